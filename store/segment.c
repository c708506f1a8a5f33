/* The segment format of the message log. See segment.h.
 *
 * Every length is read from a head whose checksum was verified before. */
#include "store/segment.h"

#include "base/cursor.h"
#include "base/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_MAGIC 0x4c545554u /* "TUTL" */

enum { SEGMENT_VERSION = 1, CHECK_BYTES = 8, WINDOW_BYTES = 256 * 1024 };

void segment_name(uint64_t first_lsn, char name[SEGMENT_NAME_BYTES])
{
    snprintf(name, SEGMENT_NAME_BYTES, "log.%016" PRIx64, first_lsn);
}

bool segment_name_parse(const char *name, uint64_t *ret_first_lsn)
{
    char again[SEGMENT_NAME_BYTES];
    if (strncmp(name, "log.", 4) != 0)
        return false;
    uint64_t lsn = strtoull(name + 4, NULL, 16);
    segment_name(lsn, again);
    if (lsn == 0 || strcmp(again, name) != 0)
        return false;
    *ret_first_lsn = lsn;
    return true;
}

/* Different for every (segment, offset) that can exist. */
static uint64_t place_seed(uint64_t first_lsn, uint64_t offset)
{
    return first_lsn * 0x9e3779b97f4a7c15u + offset;
}

void segment_head_encode(uint8_t *to, uint64_t first_lsn, uint64_t chain,
                         struct segment_place *place)
{
    struct writer w = writer_make(to, SEGMENT_HEAD_BYTES);
    writer_u32(&w, SEGMENT_MAGIC);
    writer_u32(&w, SEGMENT_VERSION);
    writer_u64(&w, first_lsn);
    writer_u64(&w, chain);
    uint64_t check = hash64_seeded(to, SEGMENT_HEAD_BYTES - CHECK_BYTES, place_seed(first_lsn, 0));
    writer_u64(&w, check);
    *place = (struct segment_place){first_lsn, SEGMENT_HEAD_BYTES, check, first_lsn};
}

void segment_record_encode(uint8_t *to, const struct msglog_record *record, uint64_t synced,
                           struct segment_place *place)
{
    const struct blob *payload = record->payload;
    struct writer w = writer_make(to, SEGMENT_RECORD_HEAD_BYTES);
    writer_u64(&w, 0);
    writer_u32(&w, payload->bytes);
    writer_u8(&w, record->kind);
    writer_u8(&w, record->origin);
    writer_u16(&w, 0);
    writer_u64(&w, place->lsn);
    writer_u64(&w, synced);
    writer_u64(&w, record->epoch);
    writer_u64(&w, record->seq);
    writer_u64(&w, record->ts);
    writer_u64(&w, place->chain);
    writer_u64(&w, hash64(payload->data, payload->bytes));
    MUST(!w.failed && w.at == w.end);
    uint64_t check = hash64_seeded(to + CHECK_BYTES, SEGMENT_RECORD_HEAD_BYTES - CHECK_BYTES,
                                   place_seed(place->first_lsn, place->offset));
    w = writer_make(to, CHECK_BYTES);
    writer_u64(&w, check);
    place->offset += SEGMENT_RECORD_HEAD_BYTES + payload->bytes;
    place->chain = check;
    place->lsn++;
}

/* What a record's head says. */
struct record_head {
    uint64_t check, lsn, synced, chain, payload_check;
    uint32_t payload_bytes;
    struct msglog_record record;
};

/* Whether `raw` is a record's head that was written for this place. */
static bool record_head_decode(const uint8_t *raw, uint64_t first_lsn, uint64_t offset,
                               struct record_head *ret_head)
{
    struct reader r = reader_make(raw, SEGMENT_RECORD_HEAD_BYTES);
    struct record_head *head = ret_head;
    head->check = reader_u64(&r);
    head->payload_bytes = reader_u32(&r);
    head->record.kind = reader_u8(&r);
    head->record.origin = reader_u8(&r);
    reader_u16(&r);
    head->lsn = reader_u64(&r);
    head->synced = reader_u64(&r);
    head->record.epoch = reader_u64(&r);
    head->record.seq = reader_u64(&r);
    head->record.ts = reader_u64(&r);
    head->chain = reader_u64(&r);
    head->payload_check = reader_u64(&r);
    return head->check == hash64_seeded(raw + CHECK_BYTES, SEGMENT_RECORD_HEAD_BYTES - CHECK_BYTES,
                                        place_seed(first_lsn, offset));
}

/* `bytes` of the file at `offset`, in the reader's window. 0; SEGMENT_END where the file ends
 * before; -errno. */
static int window_at(struct segment_reader *reader, uint64_t offset, size_t bytes,
                     const uint8_t **ret_bytes)
{
    if (offset > reader->file_bytes || bytes > reader->file_bytes - offset)
        return SEGMENT_END;
    uint64_t window_end = reader->window_offset + reader->window_bytes;
    if (offset < reader->window_offset || offset + bytes > window_end) {
        if (bytes > reader->window_capacity) {
            size_t capacity = bytes + WINDOW_BYTES;
            uint8_t *window = realloc(reader->window, capacity);
            if (!window)
                return -ENOMEM;
            reader->window = window;
            reader->window_capacity = capacity;
        }
        reader->window_bytes = 0;
        int64_t got =
            reader->disk->ops->read(reader->file, offset, reader->window, reader->window_capacity);
        if (got < 0)
            return (int)got;
        reader->window_offset = offset;
        reader->window_bytes = (size_t)got;
        if (reader->window_bytes < bytes)
            return -EIO; /* the file is shorter than it said */
    }
    *ret_bytes = reader->window + (offset - reader->window_offset);
    return 0;
}

static int segment_head_read(struct segment_reader *reader, uint64_t first_lsn)
{
    const uint8_t *raw = NULL;
    int code = window_at(reader, 0, SEGMENT_HEAD_BYTES, &raw);
    if (code)
        return code == SEGMENT_END ? SEGMENT_TORN : code;
    struct reader r = reader_make(raw, SEGMENT_HEAD_BYTES);
    uint32_t magic = reader_u32(&r);
    uint32_t version = reader_u32(&r);
    uint64_t lsn = reader_u64(&r);
    uint64_t chain = reader_u64(&r);
    uint64_t check = reader_u64(&r);
    if (check != hash64_seeded(raw, SEGMENT_HEAD_BYTES - CHECK_BYTES, place_seed(first_lsn, 0)) ||
        magic != SEGMENT_MAGIC || lsn != first_lsn)
        return SEGMENT_TORN;
    if (version != SEGMENT_VERSION)
        return -EPROTO;
    reader->chain_before = chain;
    reader->place = (struct segment_place){first_lsn, SEGMENT_HEAD_BYTES, check, first_lsn};
    return 0;
}

int segment_reader_open(struct segment_reader *reader, struct disk *disk, uint64_t first_lsn,
                        uint32_t record_bytes_max, const struct segment_place *place)
{
    *reader = (struct segment_reader){.disk = disk, .record_bytes_max = record_bytes_max};
    char name[SEGMENT_NAME_BYTES];
    segment_name(first_lsn, name);
    int code = disk->ops->open(disk, name, false, &reader->file);
    if (code)
        return code;
    int64_t size = disk->ops->size(reader->file);
    if (size < 0) {
        segment_reader_close(reader);
        return (int)size;
    }
    reader->file_bytes = (uint64_t)size;
    code = segment_head_read(reader, first_lsn);
    if (code < 0)
        segment_reader_close(reader);
    else if (place && code == 0)
        reader->place = *place;
    return code;
}

void segment_reader_close(struct segment_reader *reader)
{
    if (reader->file)
        reader->disk->ops->close(reader->file);
    free(reader->window);
    *reader = (struct segment_reader){0};
}

int segment_reader_next(struct segment_reader *reader, uint64_t *ret_lsn,
                        struct msglog_record *ret_record)
{
    struct segment_place *place = &reader->place;
    const uint8_t *raw = NULL;
    struct record_head head;
    if (place->offset == reader->file_bytes)
        return SEGMENT_END;
    int code = window_at(reader, place->offset, SEGMENT_RECORD_HEAD_BYTES, &raw);
    if (code)
        return code == SEGMENT_END ? SEGMENT_TORN : code;
    if (!record_head_decode(raw, place->first_lsn, place->offset, &head) ||
        head.lsn != place->lsn || head.chain != place->chain ||
        head.payload_bytes > reader->record_bytes_max)
        return SEGMENT_TORN;
    code = window_at(reader, place->offset + SEGMENT_RECORD_HEAD_BYTES, head.payload_bytes, &raw);
    if (code)
        return code == SEGMENT_END ? SEGMENT_TORN : code;
    if (hash64(raw, head.payload_bytes) != head.payload_check)
        return SEGMENT_TORN;
    head.record.payload = blob_create(raw, head.payload_bytes);
    if (!head.record.payload)
        return -ENOMEM;
    *ret_lsn = place->lsn;
    *ret_record = head.record;
    place->offset += SEGMENT_RECORD_HEAD_BYTES + head.payload_bytes;
    place->chain = head.check;
    place->lsn++;
    return 0;
}

int segment_reader_damaged(struct segment_reader *reader)
{
    const struct segment_place *place = &reader->place;
    for (uint64_t at = place->offset + 1;; at++) {
        const uint8_t *raw = NULL;
        struct record_head head;
        int code = window_at(reader, at, SEGMENT_RECORD_HEAD_BYTES, &raw);
        if (code)
            return code == SEGMENT_END ? 0 : code;
        struct reader r = reader_make(raw + 16, 16); /* lsn, synced: most bytes need no hash */
        if (reader_u64(&r) <= place->lsn || reader_u64(&r) < place->lsn)
            continue;
        if (record_head_decode(raw, place->first_lsn, at, &head))
            return 1;
    }
}
