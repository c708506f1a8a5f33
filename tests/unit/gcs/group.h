/* A group of cores in one process, stepped by hand or at random, with simple links, logs, disks and
 * one clock for all.
 *
 * Nothing here knows the protocol: frames are carried in first-in first-out queues that a cut link
 * loses, a log is an array of which a crash keeps what was stored (and maybe more), a state machine
 * is a list of what was delivered. What every run must keep is checked as it happens: one sequence
 * for all, one view for each epoch, nothing delivered that was not sent or twice, nothing released
 * that a data member of the view has not received, indices that a restart repeats, no read allowed
 * where something released is unknown. A violation is kept; tests look at it. */
#ifndef TUTTI_TESTS_GCS_GROUP_H
#define TUTTI_TESTS_GCS_GROUP_H

#include "base/prng.h"
#include "gcs-fastdelivery/core.h"

#include <sys/queue.h>

enum {
    GROUP_NODES_MAX = 8,
    GROUP_EVENTS_MAX = 1 << 13,
    GROUP_EPOCHS_MAX = 1 << 10,
    GROUP_TRACE_BYTES = 1 << 16,
    GROUP_FRAMES_MAX = 4096,
    GROUP_HEARTBEAT_MS = 50,
};

struct carried {
    STAILQ_ENTRY(carried) entry;
    struct blob *payload;
    uint16_t type;
    uint16_t head_bytes;
    uint8_t head[];
};

/* One direction of one link. */
struct wire {
    STAILQ_HEAD(, carried) frames;
    uint32_t count;
};

/* One place of the one sequence. */
struct placed {
    uint64_t epoch, ts, seq;
    uint32_t id; /* of the payload; 0: an epoch event */
    uint8_t origin;
    struct blob *payload; /* borrowed from `payloads` */
};

enum life {
    LIFE_DOWN,
    LIFE_UP,
    LIFE_FAILED,   /* GCS_ACTION_FAILED */
    LIFE_OUT,      /* GCS_ACTION_OUT: may begin again outside */
    LIFE_SNAPSHOT, /* GCS_ACTION_SNAPSHOT_NEEDED: may begin again outside with another's state */
    LIFE_REMOVED,  /* GCS_ACTION_OUT, not expected back */
};

struct node {
    struct group *group;
    uint8_t at; /* its place in the group: its node id is one more; the slot at its peers */
    bool witness, running, outside;
    bool added; /* by an operator, and not a member since */
    enum life life;
    const char *reason; /* of the last end */
    struct gcs_core *core;
    void *memory;
    uint64_t incarnation;
    uint8_t store[16];
    bool window_open, readable, stays;

    /* disk */
    struct gcs_message *log;
    uint32_t logged, stored, trimmed; /* appended, on disk, forgotten */
    uint8_t state[GCS_CORE_STATE_BYTES_MAX];
    size_t state_bytes;
    uint8_t saving[GCS_CORE_STATE_BYTES_MAX];
    size_t saving_bytes; /* 0: no save is on its way */
    bool installs_hang;  /* no save ends where the first node is an epoch ahead */
    bool saves_hang;     /* no save ends */
    bool fetches_hang;   /* what its peers need is not read */
    uint64_t flushed;    /* index that the state machine holds durably */

    /* memory */
    uint64_t delivered, applied, released;
    struct {
        bool wanted, compare;
        uint8_t hash[16];
        uint64_t from;
    } fetches[GROUP_NODES_MAX]; /* one for each peer */
    uint64_t history_from;      /* index of the oldest that it can feed */
    uint8_t sponsor;            /* LIFE_SNAPSHOT: from whom */
};

struct group {
    uint8_t n;                     /* nodes, not all of which need be in the view */
    struct gcs_core_config config; /* what all have in common */
    uint64_t now_ns;
    struct node nodes[GROUP_NODES_MAX];
    struct wire wires[GROUP_NODES_MAX][GROUP_NODES_MAX];
    bool linked[GROUP_NODES_MAX][GROUP_NODES_MAX];
    struct placed sequence[GROUP_EVENTS_MAX]; /* by index */
    uint64_t sequence_length;
    struct gcs_view_record views[GROUP_EPOCHS_MAX]; /* by epoch; count 0: not seen */
    uint64_t released;                              /* by any member, ever */
    uint64_t forced;                                /* epochs of a lineage that was forced */
    uint32_t sent;                                  /* payload ids 1 .. sent; by which node: */
    uint8_t sent_by[GROUP_EVENTS_MAX];
    bool sent_placed[GROUP_EVENTS_MAX];
    struct blob *payloads[GROUP_EVENTS_MAX];
    uint16_t received_by[GROUP_EVENTS_MAX]; /* sets of nodes, by payload id: ever */
    uint16_t known_by[GROUP_EVENTS_MAX];    /* the same, since the node's disk was lost */
    char trace[GROUP_TRACE_BYTES];
    size_t trace_bytes;
    bool tracing;
    char violation[256];            /* empty: none */
    uint64_t counts[GCS_FRAME_END]; /* frames carried, by type */
    uint64_t fetches, reads, snapshots, outs;
    uint32_t closes;
    bool closes_expected; /* otherwise a link that is closed is a violation */
};

/* @founders: the first nodes are the founding view, of which @witnesses is a set. */
struct group *group_create(uint8_t n, uint8_t founders, uint8_t witnesses,
                           const struct gcs_measures *measures, enum gcs_durability durability,
                           uint32_t window);
void group_destroy(struct group *group);

/* Processes and links. */
void group_start(struct group *group, uint8_t i); /* with what its disk holds */
void group_start_outside(struct group *group, uint8_t i, bool added);
/* @keep_unstored: of the log's last messages that were not stored, how many survive. @saved:
 * whether a save on its way got through. */
void group_crash(struct group *group, uint8_t i, uint32_t keep_unstored, bool saved);
void group_power_cut(struct group *group, uint8_t i, uint32_t keep); /* also of what was stored */
/* Power cuts have taken from everybody what had this index and all behind it, views too. */
void group_lost(struct group *group, uint64_t index);
void group_wipe(struct group *group, uint8_t i); /* of one that is down: a new, empty disk */
void group_death(struct group *group, uint8_t i, uint8_t dead); /* a true notice reaches i */
void group_connect(struct group *group, uint8_t i, uint8_t j);
void group_cut(struct group *group, uint8_t i, uint8_t j);
void group_connect_all(struct group *group);
void group_isolate(struct group *group, uint16_t side); /* from the others */
/* Those that are out, or want a snapshot, begin again outside. */
void group_revive(struct group *group);

/* Single steps. True: there was something to do. */
bool group_carry(struct group *group, uint8_t from, uint8_t to);
bool group_store(struct group *group, uint8_t i, uint32_t count);
bool group_save(struct group *group, uint8_t i);
bool group_apply(struct group *group, uint8_t i, uint32_t count);
bool group_fetch(struct group *group, uint8_t i);
void group_turn(struct group *group, uint8_t i);
void group_tick(struct group *group, uint8_t i);
void group_clock(struct group *group, uint8_t i);
void group_flush(struct group *group, uint8_t i); /* state machine and log, as far as allowed */
int group_multicast(struct group *group, uint8_t i);
int group_leave(struct group *group, uint8_t i, bool back);
void group_end(struct group *group, uint8_t i); /* in order */
int group_remove(struct group *group, uint8_t i, uint8_t who);
int group_force(struct group *group, uint8_t i);
void group_check(struct group *group, uint8_t i, uint64_t index, uint8_t digest);
bool group_may_read(struct group *group, uint8_t i); /* and checks that it may */

/* A frame as a peer might have sent it. */
void group_forge(struct group *group, uint8_t from, uint8_t to, struct gcs_frame *frame,
                 struct blob *payload);

/* Everything that can happen without time, in rounds, until nothing is left. */
void group_settle(struct group *group);

/* Time in heartbeats: a tick at everybody, and settling, after each. */
void group_wait(struct group *group, uint32_t ms);

/* Waits until all that are up run and have delivered the same; false: they never do. */
bool group_converge(struct group *group);

/* The story since the last call. Valid until the next event. */
const char *group_story(struct group *group);

/* One line to the story. */
__attribute__((format(printf, 2, 3))) void group_say(struct group *group, const char *format, ...);

uint64_t group_epoch(const struct group *group, uint8_t i);
/* Its installed view: set of nodes. */
uint16_t group_view(const struct group *group, uint8_t i);
uint16_t group_absent(const struct group *group, uint8_t i);

/* A seeded run of many steps with crashes, cut links, slow disks. */
struct random_run {
    uint8_t members, witnesses;
    uint32_t steps, window;
    enum gcs_durability durability;
    bool crashes;
    uint64_t crashed, cut, multicasts, views, reads, joined; /* out: what happened */
};
/* Returns NULL, or what was violated (static until the next run). */
const char *random_run(uint64_t seed, struct random_run *run);

/* One of a few sequences written by hand; NULL, or what was violated. @ret_name: NULL behind the
 * last one. */
const char *scenario_run(unsigned number, const char **ret_name);

#endif
