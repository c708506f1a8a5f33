/* Reading the message log back, on a helper thread of its own so that no commit waits for it.
 *
 * The reader follows the segments by their numbers and never goes beyond what was stored when the
 * reading began, so it needs nothing that the writer changes. A reading that goes on where the last
 * one ended does not look for its place again. */
#include "store/msglog_private.h"

#include <errno.h>
#include <stdlib.h>

struct read_record {
    STAILQ_ENTRY(read_record) entry;
    uint64_t lsn;
    struct msglog_record record;
};

struct reading {
    struct work work;
    struct msglog *log;
    struct msglog_read request;
    struct segment_place place; /* where to begin, later where it ended */
    bool placed;
    uint64_t lsn_end; /* stored when the reading began */
    uint32_t record_bytes_max, count;
    uint64_t bytes;
    int code;
    STAILQ_HEAD(, read_record) records;
};

static bool reading_full(const struct reading *reading)
{
    return reading->count >= reading->request.count || reading->bytes >= MSGLOG_READ_BYTES_MAX ||
           reading->place.lsn > reading->lsn_end;
}

static int reading_take(struct reading *reading, uint64_t lsn, const struct msglog_record *record)
{
    struct read_record *taken = lsn >= reading->request.lsn_from ? malloc(sizeof *taken) : NULL;
    if (!taken) {
        blob_unref(record->payload);
        return lsn >= reading->request.lsn_from ? -ENOMEM : 0;
    }
    taken->lsn = lsn;
    taken->record = *record;
    STAILQ_INSERT_TAIL(&reading->records, taken, entry);
    reading->count++;
    reading->bytes += record->payload->bytes;
    return 0;
}

/* From reading->place to the end of its segment, or until the reading is full. */
static int reading_segment(struct reading *reading)
{
    struct segment_reader reader;
    int code =
        segment_reader_open(&reader, reading->log->config.disk, reading->place.first_lsn,
                            reading->record_bytes_max, reading->placed ? &reading->place : NULL);
    if (code)
        return code == SEGMENT_TORN ? (segment_reader_close(&reader), -EBADMSG) : code;
    reading->place = reader.place;
    while (!code && !reading_full(reading)) {
        uint64_t lsn;
        struct msglog_record record;
        code = segment_reader_next(&reader, &lsn, &record);
        if (!code)
            code = reading_take(reading, lsn, &record);
        reading->place = reader.place;
    }
    segment_reader_close(&reader);
    return code == SEGMENT_TORN ? -EBADMSG : code;
}

static void reading_run(struct work *work)
{
    struct reading *reading = CONTAINER_OF(work, struct reading, work);
    while (!reading->code && !reading_full(reading)) {
        int code = reading_segment(reading);
        if (code == SEGMENT_END) { /* the next segment begins with the next lsn */
            reading->place =
                (struct segment_place){.first_lsn = reading->place.lsn, .lsn = reading->place.lsn};
            reading->placed = false;
            continue;
        }
        reading->code = code;
    }
}

static void reading_done(struct work *work)
{
    struct reading *reading = CONTAINER_OF(work, struct reading, work);
    struct msglog *log = reading->log;
    const struct msglog_read *request = &reading->request;
    if (!reading->code && reading->place.offset)
        log->read_place = reading->place;
    while (!STAILQ_EMPTY(&reading->records)) {
        struct read_record *record = STAILQ_FIRST(&reading->records);
        STAILQ_REMOVE_HEAD(&reading->records, entry);
        if (!log->closing)
            request->each(request->user, record->lsn, &record->record);
        blob_unref(record->record.payload);
        free(record);
    }
    if (!log->closing)
        request->done(request->user, reading->code);
    free(reading);
}

/* The segment that holds `lsn`, or the place where the last reading ended. */
static void reading_find(struct reading *reading, uint64_t lsn)
{
    const struct msglog *log = reading->log;
    uint32_t low = 0, high = log->segment_count;
    if (lsn < log->segments[0]) {
        reading->code = -ENOENT;
        return;
    }
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (log->segments[middle] <= lsn)
            low = middle;
        else
            high = middle;
    }
    uint64_t first_lsn = log->segments[low];
    reading->placed = log->read_place.lsn == lsn && log->read_place.first_lsn == first_lsn;
    if (reading->placed)
        reading->place = log->read_place;
    else
        reading->place = (struct segment_place){.first_lsn = first_lsn, .lsn = first_lsn};
}

int msglog_read(struct msglog *log, const struct msglog_read *request)
{
    struct reading *reading = calloc(1, sizeof *reading);
    if (!reading)
        return -ENOMEM;
    reading->work = (struct work){.run = reading_run, .done = reading_done};
    reading->log = log;
    reading->request = *request;
    reading->lsn_end = log->lsn_stored;
    reading->record_bytes_max = log->config.record_bytes_max;
    STAILQ_INIT(&reading->records);
    reading_find(reading, request->lsn_from);
    if (request->lsn_from > reading->lsn_end)
        reading->request.count = 0;
    work_queue_submit(log->read_queue, &reading->work);
    return 0;
}
