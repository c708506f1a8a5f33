/* The message log, loop thread's part: appending, group commit, trimming.
 *
 * Two groups: one collects while the other is written and synced, so a slow disk makes groups
 * larger, not more numerous. A group begins at the end of a turn. The first failure is the last
 * thing that happens: nothing is written after it, and nothing is reported as stored. */
#include "store/msglog_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT_BYTES_DEFAULT = 16 << 20, RECORD_BYTES_DEFAULT = 2 << 20, STAGING_BYTES = 1 << 20 };

int msglog_segments_add(struct msglog *log, uint64_t first_lsn)
{
    if (log->segment_count == log->segment_capacity) {
        uint32_t capacity = log->segment_capacity ? 2 * log->segment_capacity : 16;
        uint64_t *segments = realloc(log->segments, capacity * sizeof *segments);
        if (!segments)
            return -ENOMEM;
        log->segments = segments;
        log->segment_capacity = capacity;
    }
    log->segments[log->segment_count++] = first_lsn;
    return 0;
}

static void log_fail(struct msglog *log, int code, const char *detail)
{
    if (log->failed)
        return;
    log->failed = true;
    log->code = error_set(&log->error, code, "%s", detail);
    if (!log->closing)
        loop_defer(log->config.loop, &log->failing);
}

static void log_failing(struct loop_task *task)
{
    struct msglog *log = CONTAINER_OF(task, struct msglog, failing);
    if (log->told)
        return;
    log->told = true;
    log->config.failed(log->config.user, log->code, log->error.text);
}

enum { LAZY_MAX = 1024 };

static void group_release(struct msglog_group *group)
{
    for (uint32_t i = 0; i < group->count; i++)
        blob_unref(group->entries[i].record.payload);
    group->count = 0;
    group->urgent = false;
    group->bytes = 0;
}

static void group_done(struct work *work)
{
    struct msglog_group *group = CONTAINER_OF(work, struct msglog_group, work);
    struct msglog *log = group->log;
    log->writing = false;
    log->backlog_bytes -= group->bytes;
    log->counters.records += group->count;
    log->counters.bytes += group->bytes;
    log->counters.syncs += group->syncs;
    group_release(group);
    if (group->code)
        log_fail(log, group->code, group->error.text);
    if (log->failed || log->closing)
        return;
    log->lsn_stored = group->lsn_last;
    if (log->groups[log->collecting].urgent)
        loop_defer(log->config.loop, &log->task);
    log->config.synced(log->config.user, log->lsn_stored);
}

static void group_begin(struct loop_task *task)
{
    struct msglog *log = CONTAINER_OF(task, struct msglog, task);
    struct msglog_group *group = &log->groups[log->collecting];
    if (log->writing || log->failed || !group->urgent)
        return;
    log->writing = true;
    log->collecting ^= 1;
    work_queue_submit(log->write_queue, &group->work);
}

static int group_add(struct msglog *log, const struct msglog_record *record)
{
    struct msglog_group *group = &log->groups[log->collecting];
    if (group->count == group->capacity) {
        uint32_t capacity = group->capacity ? 2 * group->capacity : 64;
        struct msglog_entry *entries = realloc(group->entries, capacity * sizeof *entries);
        if (!entries)
            return -ENOMEM;
        group->entries = entries;
        group->capacity = capacity;
    }
    uint64_t bytes = SEGMENT_RECORD_HEAD_BYTES + record->payload->bytes;
    bool begins = log->segment_offset > SEGMENT_HEAD_BYTES &&
                  log->segment_offset + bytes > log->config.segment_bytes;
    if (begins && msglog_segments_add(log, log->lsn_last) < 0)
        return -ENOMEM;
    log->segment_offset = (begins ? SEGMENT_HEAD_BYTES : log->segment_offset) + bytes;
    group->entries[group->count++] = (struct msglog_entry){*record, begins};
    blob_ref(record->payload);
    group->bytes += record->payload->bytes;
    group->lsn_last = log->lsn_last;
    group->urgent = group->urgent || !record->lazy || group->count >= LAZY_MAX;
    log->backlog_bytes += record->payload->bytes;
    return 0;
}

uint64_t msglog_append(struct msglog *log, const struct msglog_record *record)
{
    uint64_t lsn = ++log->lsn_last;
    if (log->failed)
        return lsn;
    if (record->payload->bytes > log->config.record_bytes_max)
        log_fail(log, -EMSGSIZE, "message log: record too long");
    else if (group_add(log, record) < 0)
        log_fail(log, -ENOMEM, "message log: no memory");
    else if (log->groups[log->collecting].urgent)
        loop_defer(log->config.loop, &log->task);
    return lsn;
}

uint64_t msglog_backlog_bytes(const struct msglog *log)
{
    return log->backlog_bytes;
}

/* How many of the oldest segments lie wholly below `lsn` and are on the disk. */
static uint32_t segments_below(const struct msglog *log, uint64_t lsn)
{
    uint32_t count = 0;
    while (count + 1 < log->segment_count && log->segments[count + 1] <= lsn &&
           log->segments[count + 1] <= log->lsn_stored)
        count++;
    return count;
}

static void trim_begin(struct msglog *log)
{
    struct msglog_trimming *trimming = &log->trimming;
    uint32_t count = segments_below(log, log->lsn_trim);
    if (trimming->running || log->failed || log->closing || count == 0)
        return;
    uint64_t *removed = malloc(count * sizeof *removed);
    if (!removed)
        return; /* the next trim takes them along */
    memcpy(removed, log->segments, count * sizeof *removed);
    log->segment_count -= count;
    memmove(log->segments, log->segments + count, log->segment_count * sizeof *log->segments);
    trimming->running = true;
    trimming->first = log->segments[0];
    trimming->removed = removed;
    trimming->removed_count = count;
    work_queue_submit(log->write_queue, &trimming->work);
}

static void trim_done(struct work *work)
{
    struct msglog_trimming *trimming = CONTAINER_OF(work, struct msglog_trimming, work);
    struct msglog *log = trimming->log;
    trimming->running = false;
    free(trimming->removed);
    trimming->removed = NULL;
    if (trimming->code)
        log_fail(log, trimming->code, trimming->error.text);
    trim_begin(log);
}

void msglog_trim(struct msglog *log, uint64_t lsn)
{
    if (lsn > log->lsn_trim)
        log->lsn_trim = lsn;
    trim_begin(log);
}

void msglog_counters(const struct msglog *log, struct msglog_counters *ret_counters)
{
    *ret_counters = log->counters;
    ret_counters->segments = log->segment_count;
    ret_counters->lsn_first = log->segments[0];
    ret_counters->lsn_last = log->lsn_last;
    ret_counters->lsn_stored = log->lsn_stored;
}

static void log_free(struct msglog *log)
{
    for (unsigned i = 0; i < 2; i++) {
        group_release(&log->groups[i]);
        free(log->groups[i].entries);
    }
    if (log->writer.file)
        log->config.disk->ops->close(log->writer.file);
    buffer_finish(&log->writer.staging);
    free(log->trimming.removed);
    free(log->segments);
    free(log);
}

static struct msglog *log_create(const struct msglog_config *config)
{
    struct msglog *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    log->config = *config;
    if (!log->config.segment_bytes)
        log->config.segment_bytes = SEGMENT_BYTES_DEFAULT;
    if (!log->config.record_bytes_max)
        log->config.record_bytes_max = RECORD_BYTES_DEFAULT;
    log->task = (struct loop_task){.run = group_begin, .phase = LOOP_PHASE_SEND};
    log->failing = (struct loop_task){.run = log_failing, .phase = LOOP_PHASE_SEND};
    for (unsigned i = 0; i < 2; i++)
        log->groups[i] = (struct msglog_group){
            .work = {.run = msglog_group_run, .done = group_done}, .log = log};
    log->trimming.work = (struct work){.run = msglog_trim_run, .done = trim_done};
    log->trimming.log = log;
    buffer_init(&log->writer.staging, STAGING_BYTES + 2 * (size_t)SEGMENT_RECORD_HEAD_BYTES +
                                          log->config.record_bytes_max);
    return log;
}

static int queues_create(struct msglog *log, struct error *error)
{
    log->write_queue = work_queue_create(log->config.loop, "log write");
    log->read_queue = work_queue_create(log->config.loop, "log read");
    if (log->write_queue && log->read_queue)
        return 0;
    work_queue_destroy(log->write_queue);
    work_queue_destroy(log->read_queue);
    return error_set(error, -EAGAIN, "message log: no thread");
}

int msglog_open(const struct msglog_config *config,
                int (*recover)(void *user, uint64_t lsn, const struct msglog_record *record),
                struct msglog **ret_log, struct error *error)
{
    struct msglog *log = log_create(config);
    if (!log)
        return error_set(error, -ENOMEM, "message log: no memory");
    int code = msglog_recover(log, recover, error);
    if (!code)
        code = queues_create(log, error);
    if (code) {
        log_free(log);
        return code;
    }
    log->segment_offset = log->writer.place.offset;
    log->lsn_last = log->lsn_stored = log->writer.place.lsn - 1;
    *ret_log = log;
    return 0;
}

void msglog_close(struct msglog *log)
{
    if (!log)
        return;
    struct msglog_group *group = &log->groups[log->collecting];
    log->closing = true;
    loop_cancel(log->config.loop, &log->task);
    loop_cancel(log->config.loop, &log->failing);
    if (group->count && !log->failed)
        work_queue_submit(log->write_queue, &group->work); /* behind the one that is written */
    work_queue_destroy(log->read_queue);
    work_queue_destroy(log->write_queue);
    log_free(log);
}
