/* The message log: what this replica has received, on stable storage.
 *
 * Append only, in segments; each record has a checksum and a consecutive number (lsn, from 1). One
 * helper thread writes and syncs: one fdatasync for everything that was appended meanwhile (group
 * commit). Recovery stops at a torn tail and refuses a hole.
 *
 * Threads: loop thread, callbacks too. A failed write or sync is final: `failed` is called once, no
 * later `synced` ever comes. Source: docs/protocol.md, sections 1 (stored) and 3.4. */
#ifndef TUTTI_STORE_MSGLOG_H
#define TUTTI_STORE_MSGLOG_H

#include "base/blob.h"
#include "base/error.h"
#include "base/loop.h"
#include "store/disk.h"

struct msglog;

/* What one record says; opaque to the log but for its size. */
struct msglog_record {
    bool lazy; /* append: written with the next one that is not, nobody waits for it */
    uint8_t kind;
    uint8_t origin;
    uint64_t epoch, seq, ts;
    struct blob *payload; /* append: a reference is taken; recovery, read: borrowed for the call */
};

struct msglog_config {
    struct loop *loop;
    struct disk *disk;         /* borrowed, outlives the log */
    uint64_t segment_bytes;    /* a new segment beyond this; default 16 MiB */
    uint32_t record_bytes_max; /* of a payload; larger ones end the log (-EMSGSIZE) and are damage
                                  where a disk holds one; default 2 MiB */
    bool sync;                 /* false: written, never waited for (durability = memory) */
    void *user;
    void (*synced)(void *user, uint64_t lsn);                 /* all up to lsn are stored */
    void (*failed)(void *user, int code, const char *detail); /* stop serving */
};

/* Open or create. Calls `recover` for every record in order, on the caller's thread (blocks: before
 * serving only). Errors: -EBADMSG a hole or damage before the tail; what `recover` returned if
 * non-zero; -errno. Note: with sync = false a crash may leave a hole at the end of the log; a torn
 * tail is whatever follows the last whole record of the newest segment. */
int msglog_open(const struct msglog_config *config,
                int (*recover)(void *user, uint64_t lsn, const struct msglog_record *record),
                struct msglog **ret_log, struct error *error) WARN_UNUSED;

/* Append; returns the record's lsn. Never blocks, never fails (errors come by `failed`). */
uint64_t msglog_append(struct msglog *log, const struct msglog_record *record);

/* Bytes appended and not yet stored; the caller applies back pressure by it. */
uint64_t msglog_backlog_bytes(const struct msglog *log);

/* Read records back, from `lsn_from` on, at most `count`; `each` on the loop thread, then `done`
 * with 0 or a negative errno (-ENOENT: trimmed; -EBADMSG: damaged). Only what is stored can be
 * read. After MSGLOG_READ_BYTES_MAX one reading ends early: go on with another one behind the last
 * lsn. */
enum { MSGLOG_READ_BYTES_MAX = 8 << 20 };
struct msglog_read {
    uint64_t lsn_from;
    uint32_t count;
    void *user;
    void (*each)(void *user, uint64_t lsn, const struct msglog_record *record);
    void (*done)(void *user, int code);
};
/* @request: copied. 0 or -ENOMEM. */
int msglog_read(struct msglog *log, const struct msglog_read *request) WARN_UNUSED;

/* Nothing below `lsn` is needed any more; whole segments are removed, later, by the helper. */
void msglog_trim(struct msglog *log, uint64_t lsn);

struct msglog_counters {
    uint64_t records, bytes, syncs, segments, lsn_first, lsn_last, lsn_stored;
};
void msglog_counters(const struct msglog *log, struct msglog_counters *ret_counters);

/* Finish what was appended, then free. Blocks; calls nothing back. */
void msglog_close(struct msglog *log);

#endif
