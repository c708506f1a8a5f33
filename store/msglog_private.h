/* Inside of the message log. Who owns what:
 *
 *   loop thread    everything in struct msglog but `writer`
 *   write helper   `writer`, and a group or trim between its submission and its `done`
 *   read helper    a reading between its submission and its `done` */
#ifndef TUTTI_STORE_MSGLOG_PRIVATE_H
#define TUTTI_STORE_MSGLOG_PRIVATE_H

#include "store/msglog.h"
#include "store/segment.h"

/* Which segments belong to the log: written before a segment takes its first record and before one
 * is removed, so that a missing segment is noticed wherever it was. */
#define MSGLOG_MANIFEST "log.manifest"

struct msglog_manifest {
    uint64_t first, last; /* the lsn with which the oldest and the newest segment begin */
};

struct msglog_entry {
    struct msglog_record record; /* holds a reference to its payload */
    bool begins_segment;
};

/* What is written and synced together. */
struct msglog_group {
    struct work work;
    struct msglog *log;
    struct msglog_entry *entries;
    uint32_t count, capacity;
    bool urgent; /* holds a record that is not lazy */
    uint64_t bytes;
    uint64_t lsn_last;
    int code; /* of the helper */
    struct error error;
    uint64_t syncs;
};

struct msglog_trimming {
    struct work work;
    struct msglog *log;
    bool running;
    uint64_t first; /* the oldest segment that stays */
    uint64_t *removed;
    uint32_t removed_count;
    int code;
    struct error error;
};

/* The end of the log, as the write helper extends it. */
struct msglog_writer {
    struct disk_file *file;
    struct segment_place place;
    struct msglog_manifest manifest;
    struct buffer staging;
    uint64_t synced; /* lsn */
};

struct msglog {
    struct msglog_config config;
    struct work_queue *write_queue, *read_queue;
    struct loop_task task; /* end of turn: begin a group */
    struct loop_task failing;
    struct msglog_group groups[2];
    unsigned collecting; /* index of the group that appends go to; the other one may be written */
    bool writing;
    uint64_t *segments; /* the lsn each one begins with, in order; some may not be written yet */
    uint32_t segment_count, segment_capacity;
    uint64_t segment_offset; /* how long the newest one will be */
    uint64_t lsn_last, lsn_stored, lsn_trim;
    uint64_t backlog_bytes;
    struct msglog_trimming trimming;
    struct segment_place read_place; /* where the last reading ended */
    struct msglog_counters counters;
    struct msglog_writer writer;
    bool failed, told, closing;
    struct error error;
    int code;
};

/* msglog_recover.c: read what is there, or create it; sets segments, writer and counters. */
int msglog_recover(struct msglog *log,
                   int (*recover)(void *user, uint64_t lsn, const struct msglog_record *record),
                   struct error *error) WARN_UNUSED;

/* msglog_write.c: helper thread, or the caller's at the opening. */
int msglog_segment_create(struct msglog *log, uint64_t first_lsn, uint64_t chain,
                          struct error *error) WARN_UNUSED;
void msglog_group_run(struct work *work);
void msglog_trim_run(struct work *work);

/* Remember that the segment beginning with `first_lsn` exists. 0 or -ENOMEM. */
int msglog_segments_add(struct msglog *log, uint64_t first_lsn) WARN_UNUSED;

#endif
