/* What a member of the ordering benchmark keeps on disk: the message log and the group's state, as
 * a replica does. Which message a record holds is remembered in a queue from its appending until
 * all members have stored it. */
#include "bench/order.h"

#include "store/metafile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    STAILQ_ENTRY(kept) entry;
    uint64_t lsn;
    struct gcs_message message; /* without a payload */
};

struct order_log {
    struct order_log_config config;
    struct disk *disk;
    struct msglog *log;
    STAILQ_HEAD(, kept) kept; /* in log order */
    struct kept *stored_next; /* the first that is not stored yet */
    struct work_queue *queue;
    struct work save;
    uint8_t state[GCS_STATE_BYTES_MAX];
    size_t state_bytes;
    int save_code;
    struct error save_error;
};

static void on_synced(void *user, uint64_t lsn)
{
    struct order_log *log = user;
    const struct gcs_message *last = NULL;
    while (log->stored_next && log->stored_next->lsn <= lsn) {
        last = &log->stored_next->message;
        log->stored_next = STAILQ_NEXT(log->stored_next, entry);
    }
    if (last)
        log->config.stored(log->config.user, last);
}

static void on_failed(void *user, int code, const char *detail)
{
    struct order_log *log = user;
    log->config.failed(log->config.user, detail);
}

static int on_recover(void *user, uint64_t lsn, const struct msglog_record *record)
{
    return -EEXIST; /* each run begins with an empty directory */
}

static void save_run(struct work *work)
{
    struct order_log *log = CONTAINER_OF(work, struct order_log, save);
    log->save_code =
        metafile_write(log->disk, "state", log->state, log->state_bytes, &log->save_error);
}

static void save_done(struct work *work)
{
    struct order_log *log = CONTAINER_OF(work, struct order_log, save);
    if (log->save_code)
        log->config.failed(log->config.user, log->save_error.text);
    else
        log->config.saved(log->config.user);
}

static int log_open(struct order_log *log, struct error *error)
{
    const struct order_log_config *config = &log->config;
    int code = disk_posix_create(config->directory, &log->disk, error);
    if (code)
        return code;
    const struct msglog_config log_config = {
        .loop = config->loop,
        .disk = log->disk,
        .record_bytes_max = ORDER_BYTES_MAX,
        .sync = true,
        .user = log,
        .synced = on_synced,
        .failed = on_failed,
    };
    code = msglog_open(&log_config, on_recover, &log->log, error);
    log->queue = code ? NULL : work_queue_create(config->loop, "save");
    if (!code && !log->queue)
        code = error_set(error, -EAGAIN, "no thread");
    return code;
}

int order_log_open(const struct order_log_config *config, struct order_log **ret_log,
                   struct error *error)
{
    struct order_log *log = calloc(1, sizeof *log);
    if (!log)
        return error_set(error, -ENOMEM, "no memory");
    log->config = *config;
    log->save = (struct work){.run = save_run, .done = save_done};
    STAILQ_INIT(&log->kept);
    int code = log_open(log, error);
    if (code) {
        order_log_close(log);
        return code;
    }
    *ret_log = log;
    return 0;
}

void order_log_append(struct order_log *log, const struct gcs_message *message)
{
    struct kept *kept = malloc(sizeof *kept);
    if (!kept) {
        log->config.failed(log->config.user, "no memory");
        return;
    }
    const struct msglog_record record = {.origin = message->origin,
                                         .epoch = message->epoch,
                                         .seq = message->seq,
                                         .ts = message->ts,
                                         .payload = message->payload};
    kept->lsn = msglog_append(log->log, &record);
    kept->message = *message;
    kept->message.payload = NULL;
    STAILQ_INSERT_TAIL(&log->kept, kept, entry);
    if (!log->stored_next)
        log->stored_next = kept;
}

void order_log_save(struct order_log *log, const void *state, size_t bytes)
{
    MUST(bytes <= sizeof log->state);
    memcpy(log->state, state, bytes);
    log->state_bytes = bytes;
    work_queue_submit(log->queue, &log->save);
}

void order_log_trim(struct order_log *log, const struct gcs *gcs)
{
    struct kept *kept;
    uint64_t lsn = 0;
    while ((kept = STAILQ_FIRST(&log->kept)) && kept != log->stored_next &&
           gcs_stored_by_all(gcs, kept->message.epoch, kept->message.origin, kept->message.seq)) {
        lsn = kept->lsn + 1;
        STAILQ_REMOVE_HEAD(&log->kept, entry);
        free(kept);
    }
    if (lsn)
        msglog_trim(log->log, lsn);
}

uint64_t order_log_syncs(const struct order_log *log)
{
    struct msglog_counters counters;
    msglog_counters(log->log, &counters);
    return counters.syncs;
}

void order_log_close(struct order_log *log)
{
    if (!log)
        return;
    struct kept *kept;
    work_queue_destroy(log->queue);
    msglog_close(log->log);
    if (log->disk)
        log->disk->ops->destroy(log->disk);
    while ((kept = STAILQ_FIRST(&log->kept))) {
        STAILQ_REMOVE_HEAD(&log->kept, entry);
        free(kept);
    }
    free(log);
}
