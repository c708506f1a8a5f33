/* A group of cores in one process, stepped by hand or at random, with simple links, logs and disks.
 *
 * Nothing here knows the protocol: frames are carried in first-in first-out queues that a cut link
 * loses, a log is an array of which a crash keeps what was stored (and maybe more), a state machine
 * is a list of what was delivered. What every run must keep is checked as it happens: one sequence
 * for all, nothing delivered that was not sent or twice, nothing released that some member has not
 * received, indices that a restart repeats. A violation fails the test at once. */
#ifndef TUTTI_TESTS_GCS_GROUP_H
#define TUTTI_TESTS_GCS_GROUP_H

#include "base/prng.h"
#include "gcs-fastdelivery/core.h"

enum { GROUP_EVENTS_MAX = 1 << 13, GROUP_TRACE_BYTES = 1 << 16, GROUP_FRAMES_MAX = 4096 };

struct carried {
    uint16_t type;
    uint16_t head_bytes;
    uint8_t head[GCS_HEAD_BYTES_MAX];
    struct blob *payload;
};

/* One direction of one link. */
struct wire {
    struct carried frames[GROUP_FRAMES_MAX];
    uint32_t first, count;
};

/* One place of the one sequence. */
struct placed {
    uint64_t epoch, ts, seq;
    uint32_t id; /* of the payload; 0: an epoch event */
    uint8_t origin;
};

struct node {
    struct group *group;
    uint8_t rank;
    bool alive, running, failed;
    const char *failure;
    struct gcs_core *core;
    void *memory;
    uint64_t incarnation;
    uint8_t store[16];
    bool window_open;

    /* disk */
    struct gcs_message *log;
    uint32_t logged, stored, trimmed; /* appended, on disk, forgotten */
    uint8_t state[GCS_STATE_BYTES_MAX];
    size_t state_bytes;
    uint8_t saving[GCS_STATE_BYTES_MAX];
    size_t saving_bytes; /* 0: no save is on its way */
    uint64_t flushed;    /* index that the state machine holds durably */

    /* memory */
    uint64_t delivered, applied, released;
    struct gcs_message fetching; /* epoch, origin; seq: from */
    uint64_t fetching_to;        /* 0: no fetch */
};

struct group {
    uint8_t n;
    struct gcs_core_config config; /* what all have in common */
    struct node nodes[GCS_MEMBER_MAX];
    struct wire wires[GCS_MEMBER_MAX][GCS_MEMBER_MAX];
    bool linked[GCS_MEMBER_MAX][GCS_MEMBER_MAX];
    struct placed sequence[GROUP_EVENTS_MAX]; /* by index */
    uint64_t sequence_length;
    uint64_t released; /* by anybody, ever */
    uint32_t sent;     /* payload ids 1 .. sent; by whom: */
    uint8_t sent_by[GROUP_EVENTS_MAX];
    bool sent_placed[GROUP_EVENTS_MAX];
    uint8_t received_by[GROUP_EVENTS_MAX]; /* sets of ranks, by payload id: ever, in any life */
    char trace[GROUP_TRACE_BYTES];
    size_t trace_bytes;
    bool tracing;
    char violation[256];            /* empty: none */
    uint64_t counts[GCS_FRAME_END]; /* frames carried, by type */
    uint64_t fetches;
    uint32_t closes;
    bool closes_expected; /* otherwise a link that is closed is a violation */
};

struct group *group_create(uint8_t n, const struct gcs_measures *measures,
                           enum gcs_durability durability, uint32_t window);
void group_destroy(struct group *group);

/* Processes and links. */
void group_start(struct group *group, uint8_t i); /* with what its disk holds */
/* @keep_unstored: of the log's last messages that were not stored, how many survive. @saved:
 * whether a save on its way got through. */
void group_crash(struct group *group, uint8_t i, uint32_t keep_unstored, bool saved);
void group_connect(struct group *group, uint8_t i, uint8_t j);
void group_cut(struct group *group, uint8_t i, uint8_t j);
void group_connect_all(struct group *group);

/* Single steps. True: there was something to do. */
bool group_carry(struct group *group, uint8_t from, uint8_t to);
bool group_store(struct group *group, uint8_t i, uint32_t count);
bool group_save(struct group *group, uint8_t i);
bool group_apply(struct group *group, uint8_t i, uint32_t count);
bool group_fetch(struct group *group, uint8_t i);
void group_turn(struct group *group, uint8_t i);
void group_tick(struct group *group, uint8_t i);
void group_flush(struct group *group, uint8_t i); /* state machine and log, as far as allowed */
int group_multicast(struct group *group, uint8_t i);

/* A frame as a peer might have sent it. */
void group_forge(struct group *group, uint8_t from, uint8_t to, struct gcs_frame *frame,
                 struct blob *payload);

/* Everything that can happen without a tick, in rounds, until nothing is left. */
void group_settle(struct group *group);

/* Ticks and settles until all run and have delivered the same; false: they never do. */
bool group_converge(struct group *group);

/* The story since the last call. Valid until the next event. */
const char *group_story(struct group *group);

/* One line to the story. */
__attribute__((format(printf, 2, 3))) void group_say(struct group *group, const char *format, ...);

/* A seeded run of many steps with crashes, cut links, slow disks. */
struct random_run {
    uint8_t members;
    uint32_t steps, window;
    enum gcs_durability durability;
    bool crashes;
    uint64_t crashed, cut, multicasts, rounds; /* out: what happened */
};
/* Returns NULL, or what was violated (static until the next run). */
const char *random_run(uint64_t seed, struct random_run *run);

#endif
