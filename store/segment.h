/* One segment file of the message log: its format, and a reader that believes nothing.
 *
 *     file:    head (32), record*
 *     head:    magic (4), version (4), first lsn (8), chain (8), check (8)
 *     record:  check (8), payload bytes (4), kind (1), origin (1), zero (2), lsn (8), synced (8),
 *              epoch (8), seq (8), ts (8), chain (8), payload check (8), payload
 *
 * `check` is XXH3-64 of the rest of the head, seeded with the place (segment, offset) at which it
 * lies: a copy elsewhere is not valid. `chain` is the check before: an old version of a block is
 * not valid either. `synced`: all records up to this lsn were on stable storage when this one was
 * written. That tells a torn tail from damage: what a crash may tear was never synced, so no record
 * that lies behind it can say that it was. */
#ifndef TUTTI_STORE_SEGMENT_H
#define TUTTI_STORE_SEGMENT_H

#include "base/buffer.h"
#include "store/msglog.h"

enum {
    SEGMENT_HEAD_BYTES = 32,
    SEGMENT_RECORD_HEAD_BYTES = 72,
    SEGMENT_NAME_BYTES = 24,
};

void segment_name(uint64_t first_lsn, char name[SEGMENT_NAME_BYTES]);

/* True where `name` is that of a segment. */
bool segment_name_parse(const char *name, uint64_t *ret_first_lsn);

/* Where the next record of a segment goes, and what it has to continue. */
struct segment_place {
    uint64_t first_lsn, offset, chain, lsn;
};

/* Write a segment's head (SEGMENT_HEAD_BYTES) into `to` and set `place` behind it. @chain: that of
 * the record before. */
__attribute__((nonnull)) void segment_head_encode(uint8_t *to, uint64_t first_lsn, uint64_t chain,
                                                  struct segment_place *place);

/* Write a record's head (SEGMENT_RECORD_HEAD_BYTES) into `to` and move `place` behind its payload.
 */
__attribute__((nonnull)) void segment_record_encode(uint8_t *to, const struct msglog_record *record,
                                                    uint64_t synced, struct segment_place *place);

struct segment_reader {
    struct disk *disk;
    struct disk_file *file;
    uint64_t file_bytes;
    uint32_t record_bytes_max;
    struct segment_place place; /* of the next record */
    uint64_t chain_before;      /* what the segment says that it continues */
    uint8_t *window;            /* file content from window_offset on */
    uint64_t window_offset;
    size_t window_bytes, window_capacity;
};

/* Results beside 0 and a negative errno. */
enum { SEGMENT_END = 1, SEGMENT_TORN = 2 };

/* Open the segment. @place: where to go on, as an earlier reader left it; NULL: at the beginning.
 * 0; SEGMENT_TORN (the head is incomplete or wrong; the reader is open); -EPROTO a newer format;
 * -ENOENT; -errno. Blocks. Unless negative, segment_reader_close has to follow. */
int segment_reader_open(struct segment_reader *reader, struct disk *disk, uint64_t first_lsn,
                        uint32_t record_bytes_max, const struct segment_place *place) WARN_UNUSED;
void segment_reader_close(struct segment_reader *reader);

/* The next record: 0 (payload: a new reference for the caller); SEGMENT_END; SEGMENT_TORN: no whole
 * record is here, but bytes are; -errno. */
int segment_reader_next(struct segment_reader *reader, uint64_t *ret_lsn,
                        struct msglog_record *ret_record) WARN_UNUSED;

/* After SEGMENT_TORN: whether a record behind says that the one missing here was synced.
 * 1 yes: damage; 0 no: a torn tail; -errno. */
int segment_reader_damaged(struct segment_reader *reader) WARN_UNUSED;

#endif
