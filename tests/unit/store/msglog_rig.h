/* What the tests of the message log share: a log on a disk in memory, with a loop; records whose
 * content follows from their number. */
#ifndef TUTTI_TESTS_UNIT_STORE_MSGLOG_RIG_H
#define TUTTI_TESTS_UNIT_STORE_MSGLOG_RIG_H

#include "net/loop_uv.h"
#include "store/msglog.h"
#include "tests/unit/store/memory_disk.h"

struct rig {
    struct memory_disk *memory;
    struct loop *loop;
    struct msglog *log;
    struct msglog_config config;
    struct error error;
    uint64_t wanted;    /* stop the loop when so much is stored */
    uint64_t stored;    /* as reported */
    uint64_t recovered; /* records given by the opening */
    int failed;         /* the code reported */
    unsigned failures;
    uint64_t read_next; /* lsn expected from a reading */
    int read_code;
};

struct msglog_record record_make(uint64_t lsn);
void record_check(uint64_t lsn, const struct msglog_record *record);

/* A new disk and an open log. */
void rig_init(struct rig *rig, uint64_t segment_bytes, bool sync);
void rig_finish(struct rig *rig);
/* What msglog_open returns; rig->recovered is the last lsn that it gave. */
int rig_open(struct rig *rig);
/* Close and open; asserts what is recovered. */
void rig_reopen(struct rig *rig, uint64_t expected);
void rig_append(struct rig *rig, uint64_t count);
/* Append and wait until it is stored. */
void rig_append_stored(struct rig *rig, uint64_t count);

#endif
