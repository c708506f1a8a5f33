/* Opening the message log: find its segments, read every record, cut off a torn tail, refuse a
 * hole.
 *
 *   no manifest, no segment          new
 *   no manifest, one empty segment   the creation was cut off: begun again
 *   a segment below the manifest's   its removal was cut off: removed now
 *   a torn head above the manifest's its creation was cut off: removed now
 *   torn in the newest, not synced   cut off
 *   anything else                    -EBADMSG
 *
 * After that the newest segment is written once more and synced: what was recovered counts as
 * stored, also where the process before ended because it could not sync it. */
#include "store/msglog_private.h"

#include "base/cursor.h"
#include "store/metafile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int names_collect(void *user, const char *name)
{
    uint64_t first_lsn;
    return segment_name_parse(name, &first_lsn) ? msglog_segments_add(user, first_lsn) : 0;
}

static int lsn_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int manifest_read(struct msglog *log, struct error *error)
{
    void *raw = NULL;
    size_t bytes = 0;
    int code = metafile_read(log->config.disk, MSGLOG_MANIFEST, &raw, &bytes, error);
    if (code)
        return code;
    struct reader r = reader_make(raw, bytes);
    struct msglog_manifest *manifest = &log->writer.manifest;
    manifest->first = reader_u64(&r);
    manifest->last = reader_u64(&r);
    bool whole = reader_complete(&r) && manifest->first && manifest->first <= manifest->last;
    free(raw);
    return whole ? 0 : error_set(error, -EBADMSG, "%s: damaged", MSGLOG_MANIFEST);
}

/* Forget, and remove, a segment that does not belong to the log (any more, or yet). */
static int segment_drop(struct msglog *log, uint32_t index, struct error *error)
{
    struct disk *disk = log->config.disk;
    char name[SEGMENT_NAME_BYTES];
    segment_name(log->segments[index], name);
    int code = disk->ops->unlink(disk, name);
    if (!code)
        code = disk->ops->sync_directory(disk);
    if (code)
        return error_set(error, code, "%s: remove: %s", name, strerror(-code));
    memmove(log->segments + index, log->segments + index + 1,
            (log->segment_count - index - 1) * sizeof *log->segments);
    log->segment_count--;
    return 0;
}

/* Drop the newest segment if its creation was cut off. */
static int newest_check(struct msglog *log, struct error *error)
{
    uint64_t newest = log->segments[log->segment_count - 1];
    struct segment_reader reader;
    if (newest <= log->writer.manifest.last)
        return 0;
    int code =
        segment_reader_open(&reader, log->config.disk, newest, log->config.record_bytes_max, NULL);
    if (code < 0)
        return error_set(error, code, "message log: segment %" PRIu64 ": %s", newest,
                         strerror(-code));
    bool empty = reader.file_bytes <= SEGMENT_HEAD_BYTES;
    segment_reader_close(&reader);
    return empty ? segment_drop(log, log->segment_count - 1, error) : 0;
}

static int segments_find(struct msglog *log, struct error *error)
{
    int code = log->config.disk->ops->list(log->config.disk, names_collect, log);
    if (code)
        return error_set(error, code, "message log: list: %s", strerror(-code));
    if (log->segment_count)
        qsort(log->segments, log->segment_count, sizeof *log->segments, lsn_compare);
    code = manifest_read(log, error);
    if (code < 0)
        return code;
    while (log->segment_count && log->segments[0] < log->writer.manifest.first) {
        code = segment_drop(log, 0, error);
        if (code)
            return code;
    }
    if (log->segment_count) {
        code = newest_check(log, error);
        if (code)
            return code;
    }
    if (log->writer.manifest.first == 0 && log->segment_count > 0)
        return error_set(error, -EBADMSG, "message log: %s is missing", MSGLOG_MANIFEST);
    return 0;
}

/* The manifest's first and last segment have to be there; gaps between show by their numbers. */
static int segments_complete(struct msglog *log, struct error *error)
{
    const struct msglog_manifest *manifest = &log->writer.manifest;
    uint64_t newest = log->segment_count ? log->segments[log->segment_count - 1] : 0;
    if (log->segment_count == 0 || log->segments[0] != manifest->first)
        return error_set(error, -EBADMSG, "message log: segment %" PRIu64 " is missing",
                         manifest->first);
    if (newest < manifest->last)
        return error_set(error, -EBADMSG, "message log: segment %" PRIu64 " is missing",
                         manifest->last);
    return 0;
}

static int records_read(struct msglog *log, struct segment_reader *reader,
                        int (*recover)(void *user, uint64_t lsn,
                                       const struct msglog_record *record),
                        struct error *error)
{
    for (;;) {
        uint64_t lsn;
        struct msglog_record record;
        int code = segment_reader_next(reader, &lsn, &record);
        if (code < 0)
            return error_set(error, code, "message log: read record %" PRIu64 ": %s",
                             reader->place.lsn, strerror(-code));
        if (code > 0)
            return code;
        log->counters.records++;
        log->counters.bytes += record.payload->bytes;
        code = recover(log->config.user, lsn, &record);
        blob_unref(record.payload);
        if (code > 0)
            code = -EBADMSG;
        if (code)
            return error_set(error, code, "message log: record %" PRIu64 ": %s", lsn,
                             strerror(-code));
    }
}

/* One segment, opened in `reader`. 0 whole; SEGMENT_TORN a tail to be cut off; negative. */
static int segment_read(struct msglog *log, struct segment_reader *reader, uint32_t index,
                        const struct segment_place *before,
                        int (*recover)(void *user, uint64_t lsn,
                                       const struct msglog_record *record),
                        struct error *error)
{
    uint64_t first_lsn = log->segments[index];
    if (index > 0 && (before->lsn != first_lsn || before->chain != reader->chain_before))
        return error_set(error, -EBADMSG,
                         "message log: hole: record %" PRIu64 " is followed by segment %" PRIu64,
                         before->lsn - 1, first_lsn);
    int code = records_read(log, reader, recover, error);
    if (code != SEGMENT_TORN)
        return code == SEGMENT_END ? 0 : code;
    int damaged = index + 1 < log->segment_count ? 1 : segment_reader_damaged(reader);
    if (damaged < 0)
        return error_set(error, damaged, "message log: read: %s", strerror(-damaged));
    if (damaged)
        return error_set(error, -EBADMSG,
                         "message log: record %" PRIu64 " is damaged (segment %" PRIu64
                         ", offset %" PRIu64 ")",
                         reader->place.lsn, first_lsn, reader->place.offset);
    return SEGMENT_TORN;
}

/* Go on writing where the newest segment ends; all before is stored from here on. */
static int writer_continue(struct msglog *log, const struct segment_place *place, bool torn,
                           struct error *error)
{
    struct disk *disk = log->config.disk;
    struct msglog_writer *writer = &log->writer;
    char name[SEGMENT_NAME_BYTES];
    segment_name(place->first_lsn, name);
    int code = disk->ops->open(disk, name, false, &writer->file);
    if (!code && torn)
        code = disk->ops->truncate(writer->file, place->offset);
    if (!code)
        code = disk->ops->rewrite(writer->file);
    if (!code)
        code = disk->ops->sync(writer->file);
    if (code)
        return error_set(error, code, "%s: %s", name, strerror(-code));
    writer->place = *place;
    writer->synced = place->lsn - 1;
    return 0;
}

static int segments_read(struct msglog *log,
                         int (*recover)(void *user, uint64_t lsn,
                                        const struct msglog_record *record),
                         struct error *error)
{
    struct segment_place place = {0};
    int code = 0;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct segment_reader reader;
        code = segment_reader_open(&reader, log->config.disk, log->segments[i],
                                   log->config.record_bytes_max, NULL);
        if (code < 0)
            return error_set(error, code, "message log: segment %" PRIu64 ": %s", log->segments[i],
                             strerror(-code));
        if (code > 0)
            code = error_set(error, -EBADMSG, "message log: head of segment %" PRIu64 " damaged",
                             log->segments[i]);
        else
            code = segment_read(log, &reader, i, &place, recover, error);
        place = reader.place;
        segment_reader_close(&reader);
        if (code < 0)
            return code;
    }
    return writer_continue(log, &place, code == SEGMENT_TORN, error);
}

int msglog_recover(struct msglog *log,
                   int (*recover)(void *user, uint64_t lsn, const struct msglog_record *record),
                   struct error *error)
{
    int code = segments_find(log, error);
    if (code)
        return code;
    if (log->writer.manifest.first == 0) {
        code = msglog_segments_add(log, 1);
        return code ? code : msglog_segment_create(log, 1, 0, error);
    }
    code = segments_complete(log, error);
    return code ? code : segments_read(log, recover, error);
}
