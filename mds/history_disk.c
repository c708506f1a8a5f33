/* Old places of the order, on disk: what index has which number of a message log.
 *
 * A record's payload is the hash after the place (16 bytes), then the message's. Invariants: places
 * index .. index + count - 1 are the records lsn .. lsn + count - 1; `stretches` cover them, the
 * oldest is given up as a whole. A failure of this log is none of the replica's: what it held is
 * forgotten, and joiners that needed it get a snapshot. */
#include "mds/history_disk.h"
#include "base/cursor.h"
#include "base/log.h"
#include "store/msglog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_BYTES = 16, RECORD_BYTES = 88, STRETCHES = 32, READ_MAX = 512 };
enum { KIND_MESSAGE = 1, KIND_EPOCH = 2 };
static const uint64_t segment_bytes_max = 16 << 20, backlog_bytes_max = 64 << 20;

static const char part_prefix[] = "joiners.";

struct stretch {
    uint64_t places, bytes;
};

struct history_disk {
    struct history_disk_config config;
    struct disk *part;
    struct msglog *log;
    uint64_t index, lsn, count;
    uint64_t lsn_written;
    struct stretch stretches[STRETCHES]; /* a ring */
    uint32_t stretch_first, stretch_count;
    bool failed;
};

/* --- what there is --- */

uint64_t history_disk_first(const struct history_disk *disk)
{
    return disk->count ? disk->index : 0;
}

bool history_disk_has(const struct history_disk *disk, uint64_t index)
{
    return index >= disk->index && index - disk->index < disk->count;
}

bool history_disk_is_written(const struct history_disk *disk, uint64_t index)
{
    return disk->lsn + (index - disk->index) <= disk->lsn_written;
}

static void drop(struct history_disk *disk, uint64_t count)
{
    disk->index += count;
    disk->lsn += count;
    disk->count -= count;
    if (count)
        msglog_trim(disk->log, disk->lsn);
}

void history_disk_forget(struct history_disk *disk)
{
    drop(disk, disk->count);
    disk->stretch_count = 0;
}

/* --- adding --- */

static struct stretch *stretch_at(struct history_disk *disk, uint32_t at)
{
    return &disk->stretches[(disk->stretch_first + at) % STRETCHES];
}

static void count_place(struct history_disk *disk, uint64_t bytes)
{
    uint32_t count = disk->stretch_count;
    bool full =
        count == 0 || stretch_at(disk, count - 1)->bytes >= disk->config.bytes_max / STRETCHES;
    if (full && count == STRETCHES) {
        drop(disk, stretch_at(disk, 0)->places);
        disk->stretch_first++;
        disk->stretch_count--;
    }
    if (full)
        *stretch_at(disk, disk->stretch_count++) = (struct stretch){0};
    struct stretch *newest = stretch_at(disk, disk->stretch_count - 1);
    newest->places++;
    newest->bytes += bytes;
    disk->count++;
}

static struct blob *encode(const struct gcs_message *message, struct hash128 hash)
{
    const struct blob *payload = message->payload;
    struct blob *blob = blob_create(NULL, HASH_BYTES + (payload ? payload->bytes : 0));
    if (!blob)
        return NULL;
    struct writer w = writer_make(blob->data, blob->bytes);
    writer_u64(&w, hash.low);
    writer_u64(&w, hash.high);
    if (payload)
        writer_bytes(&w, payload->data, payload->bytes);
    return blob;
}

void history_disk_add(struct history_disk *disk, const struct gcs_message *message, uint64_t index,
                      struct hash128 hash)
{
    if (disk->count == 0 || index != disk->index + disk->count)
        history_disk_forget(disk);
    if (disk->failed || msglog_backlog_bytes(disk->log) > backlog_bytes_max)
        return;
    struct msglog_record record = {.kind = message->payload ? KIND_MESSAGE : KIND_EPOCH,
                                   .origin = message->origin,
                                   .epoch = message->epoch,
                                   .seq = message->seq,
                                   .ts = message->ts,
                                   .payload = encode(message, hash)};
    if (!record.payload)
        return;
    uint64_t lsn = msglog_append(disk->log, &record);
    if (disk->count == 0) {
        disk->index = index;
        disk->lsn = lsn;
    }
    count_place(disk, RECORD_BYTES + record.payload->bytes);
    blob_unref(record.payload);
}

static void on_synced(void *user, uint64_t lsn)
{
    struct history_disk *disk = user;
    disk->lsn_written = lsn;
    disk->config.written(disk->config.user);
}

static void on_failed(void *user, int code, const char *detail)
{
    struct history_disk *disk = user;
    log_warning("history", "what joiners may need can't be kept on disk: %s", detail);
    disk->failed = true;
    disk->count = disk->stretch_count = 0;
    disk->config.written(disk->config.user);
}

/* --- reading --- */

static void on_record(void *user, uint64_t lsn, const struct msglog_record *record)
{
    struct history_disk_read *read = user;
    struct reader r = reader_make(record->payload->data, record->payload->bytes);
    struct gcs_message message = {
        .epoch = record->epoch, .seq = record->seq, .ts = record->ts, .origin = record->origin};
    struct hash128 hash;
    hash.low = reader_u64(&r);
    hash.high = reader_u64(&r);
    if (r.failed || read->code) {
        read->code = read->code ? read->code : -EBADMSG;
        return;
    }
    if (record->kind == KIND_MESSAGE) {
        message.payload = blob_create(r.at, (uint32_t)reader_left(&r));
        read->code = message.payload ? 0 : -ENOMEM;
    }
    if (read->code == 0)
        read->each(read->user, &message, read->index + (lsn - read->lsn), hash);
    blob_unref(message.payload);
}

static void on_read(void *user, int code)
{
    struct history_disk_read *read = user;
    read->done(read->user, code ? code : read->code);
}

/* How many places hold about so much, as they are on average. */
static uint32_t places_of(struct history_disk *disk, uint64_t bytes)
{
    uint64_t held = 0;
    for (uint32_t i = 0; i < disk->stretch_count; i++)
        held += stretch_at(disk, i)->bytes;
    uint64_t places = held ? bytes * disk->count / held : 0;
    return (uint32_t)(places < 1 ? 1 : places > READ_MAX ? READ_MAX : places);
}

int history_disk_read(struct history_disk *disk, struct history_disk_read *read)
{
    MUST(history_disk_has(disk, read->index) && history_disk_is_written(disk, read->index));
    read->lsn = disk->lsn + (read->index - disk->index);
    read->code = 0;
    const struct msglog_read request = {.lsn_from = read->lsn,
                                        .count = places_of(disk, read->bytes_max),
                                        .user = read,
                                        .each = on_record,
                                        .done = on_read};
    return msglog_read(disk->log, &request);
}

/* --- opening, closing --- */

static int unlink_one(void *user, const char *name)
{
    struct disk *part = user;
    return part->ops->unlink(part, name);
}

int history_disk_wipe(struct disk *disk)
{
    struct disk *part;
    int rc = disk_part_create(disk, part_prefix, &part);
    if (rc < 0)
        return rc;
    rc = part->ops->list(part, unlink_one, part);
    part->ops->destroy(part);
    return rc;
}

static int refuse_record(void *user, uint64_t lsn, const struct msglog_record *record)
{
    return -EBADMSG;
}

static int open_log(struct history_disk *disk, struct error *error)
{
    const struct history_disk_config *config = &disk->config;
    uint64_t segment_bytes = config->bytes_max / STRETCHES;
    const struct msglog_config log = {
        .loop = config->loop,
        .disk = disk->part,
        .segment_bytes = segment_bytes < segment_bytes_max ? segment_bytes + 1 : segment_bytes_max,
        .record_bytes_max = config->payload_bytes_max + HASH_BYTES,
        .user = disk,
        .synced = on_synced,
        .failed = on_failed,
    };
    return msglog_open(&log, refuse_record, &disk->log, error);
}

int history_disk_open(const struct history_disk_config *config, struct history_disk **ret_disk,
                      struct error *error)
{
    struct history_disk *disk = calloc(1, sizeof *disk);
    int rc = disk ? history_disk_wipe(config->disk) : -ENOMEM;
    if (rc == 0)
        rc = disk_part_create(config->disk, part_prefix, &disk->part);
    if (rc < 0) {
        free(disk);
        return error_set(error, rc, "%s", strerror(-rc));
    }
    disk->config = *config;
    rc = open_log(disk, error);
    if (rc < 0) {
        history_disk_close(disk);
        return rc;
    }
    *ret_disk = disk;
    return 0;
}

void history_disk_close(struct history_disk *disk)
{
    if (!disk)
        return;
    msglog_close(disk->log);
    disk->part->ops->destroy(disk->part);
    free(disk);
}
