/* The pure core of the order: events in, actions out, nothing else.
 *
 *     gcs_core_init(memory) -> { gcs_step(event); while (gcs_action) do it, gcs_action_done }*
 *
 * It has no clock, socket, disk, thread or random source, takes no memory after init and calls
 * nothing outside but memcpy, memset, memmove and must_fail (checked on the object code). Payloads
 * are references: the core takes its own and says by GCS_ACTION_DROP when it is done with one.
 *
 * Actions stand in a bounded queue, to be done in their order; new events may be given between two
 * of them. When the queue is short of room the core stops where it is and goes on at
 * GCS_EVENT_CONTINUE: gcs_more tells. Before any event there must be room for
 * GCS_ACTIONS_PER_EVENT. Source: docs/protocol.md. */
#ifndef TUTTI_GCS_CORE_H
#define TUTTI_GCS_CORE_H

#include "gcs-fastdelivery/frame.h"
#include "gcs-fastdelivery/gcs.h"

enum { GCS_ACTIONS_PER_EVENT = 96, GCS_ACTIONS_MAX = 512, GCS_CORE_STATE_BYTES_MAX = 3072 };

enum { GCS_CORE_AGAIN = 1 };

struct gcs_core; /* opaque */

struct gcs_core_config {
    /* What the founding view has; for a core with a state, or outside, count 0. */
    struct gcs_view_record founders;
    struct gcs_view_member self; /* node, witness, store, incarnation */
    bool outside, added;
    bool assume_no_partition;
    struct gcs_limits limits;
    struct gcs_measures measures;
    uint32_t recovered_max;
    struct gcs_applied applied;
    uint64_t heartbeat_ns, suspect_after_ns, lease_ns, lag_after_ns, start_wait_ns;
    uint32_t drift_ppm;
    uint64_t prng_seed;
    uint64_t now_ns;
};

/* Peers have a slot, 0 .. GCS_PEER_MAX - 1, one for each node, given by the shell. */
enum gcs_event_kind {
    GCS_EVENT_RECOVERED, /* message: one of the log; before START. 0, -EBADMSG, -ENOSPC, or
                            GCS_CORE_AGAIN: once more, when the actions are done */
    GCS_EVENT_START,
    GCS_EVENT_LINK_UP,      /* peer, member; gcs_core_accepts said yes */
    GCS_EVENT_LINK_DOWN,    /* peer */
    GCS_EVENT_LINK_DRAINED, /* peer; message: epoch, seq of the first DATA that its queue refused */
    GCS_EVENT_FRAME,        /* peer, type, head, payload */
    GCS_EVENT_MULTICAST,    /* payload. As gcs_multicast */
    GCS_EVENT_STORED,       /* message: epoch, origin, seq */
    GCS_EVENT_SAVED,
    GCS_EVENT_APPLIED,    /* index */
    GCS_EVENT_FETCHED,    /* peer, message, index */
    GCS_EVENT_FETCH_DONE, /* peer, flag: found */
    GCS_EVENT_TICK,       /* a heartbeat's time has passed */
    GCS_EVENT_CLOCK,      /* time has passed: deadlines; often while gcs_core_hurries */
    GCS_EVENT_TURN,       /* the turn ends: send what is owed */
    GCS_EVENT_CONTINUE,
    GCS_EVENT_LEAVE,  /* flag: back. 0 or GCS_E_NOT_RUNNING */
    GCS_EVENT_END,    /* this incarnation says so, and nothing more */
    GCS_EVENT_REMOVE, /* member.node. As gcs_remove */
    GCS_EVENT_DEATH,  /* member: node, store, incarnation */
    GCS_EVENT_CHECK,  /* index, hash: of the state machine */
    GCS_EVENT_FORCE,  /* 0 or -EINVAL */
};

/* Everything in it is borrowed for the call. */
struct gcs_event {
    enum gcs_event_kind kind;
    uint8_t peer;
    bool flag;
    uint64_t now_ns; /* CLOCK_BOOTTIME; never goes back */
    struct gcs_view_member member;
    uint16_t type;
    const uint8_t *head;
    uint32_t head_bytes;
    struct blob *payload;
    struct gcs_message message;
    uint64_t index;
    uint8_t hash[16];
};

enum gcs_action_kind {
    GCS_ACTION_SEND, /* to (set of peers), type, head, payload or NULL; DATA: message.epoch, .seq */
    GCS_ACTION_CLOSE, /* to; text: the peer broke a rule; LINK_DOWN follows as always */
    GCS_ACTION_RECEIVED,
    GCS_ACTION_STORE,
    GCS_ACTION_DELIVER, /* message, index */
    GCS_ACTION_EPOCH,   /* epoch, index */
    GCS_ACTION_RELEASED,
    GCS_ACTION_VIEW,    /* gcs_core_view */
    GCS_ACTION_RUNNING, /* flag */
    GCS_ACTION_READABLE,
    GCS_ACTION_WINDOW_OPEN,
    GCS_ACTION_SAVE,            /* gcs_core_state */
    GCS_ACTION_FETCH,           /* peer; index: from; bytes_max; flag: compare head (16 bytes) */
    GCS_ACTION_DROP,            /* payload: give the reference back */
    GCS_ACTION_SNAPSHOT_NEEDED, /* peer; the core does nothing more */
    GCS_ACTION_STAYS,
    GCS_ACTION_OUT,    /* why, text; the core does nothing more */
    GCS_ACTION_FAILED, /* text; the core does nothing more */
};

struct gcs_action {
    enum gcs_action_kind kind;
    uint16_t to;
    uint8_t peer;
    bool flag;
    uint16_t type;
    uint16_t head_bytes;
    enum gcs_out why;
    struct blob *payload;
    const char *text;
    struct gcs_message message;
    uint64_t index, epoch;
    uint32_t bytes_max;
    uint8_t head[GCS_HEAD_BYTES_MAX];
};

/* Bytes of memory for this configuration; 0 where it is beyond all limits. */
size_t gcs_core_bytes(const struct gcs_core_config *config);

/* @memory: gcs_core_bytes, zeroed, aligned as by malloc; owned by the caller, outlives the core.
 * @state: what SAVE gave last, or NULL, 0. Returns 0 or -EBADMSG (state damaged, of another group,
 * or older than what is applied). */
int gcs_core_init(void *memory, const struct gcs_core_config *config, const void *state,
                  size_t state_bytes, struct gcs_core **ret_core) WARN_UNUSED;

/* 0; others as said at the event. */
int gcs_step(struct gcs_core *core, const struct gcs_event *event);

/* The next action, valid until gcs_action_done; NULL: none. */
const struct gcs_action *gcs_action(struct gcs_core *core);
void gcs_action_done(struct gcs_core *core);
uint32_t gcs_action_room(const struct gcs_core *core);
bool gcs_more(const struct gcs_core *core);

/* NULL: a link with it may be. Otherwise why not, a text for people. */
const char *gcs_core_accepts(const struct gcs_core *core, const struct gcs_view_member *member);

/* What SAVE means; at most GCS_CORE_STATE_BYTES_MAX bytes. Valid until the next event. */
const void *gcs_core_state(const struct gcs_core *core, size_t *ret_bytes);
int gcs_core_state_epoch(const void *state, size_t bytes, uint64_t *ret_epoch) WARN_UNUSED;

uint64_t gcs_core_epoch(const struct gcs_core *core);
uint64_t gcs_core_sent(const struct gcs_core *core); /* this member's last seq */
bool gcs_core_stored_by_all(const struct gcs_core *core, uint64_t epoch, uint8_t origin,
                            uint64_t seq);

/* The installed view. Its peers' slots follow from the node ids. */
const struct gcs_view_record *gcs_core_view(const struct gcs_core *core);
bool gcs_core_is_member(const struct gcs_core *core);
bool gcs_core_runs(const struct gcs_core *core);
uint8_t gcs_core_rank(const struct gcs_core *core);

/* Whether deadlines are near: CLOCK is wanted every few milliseconds. */
bool gcs_core_hurries(const struct gcs_core *core);

/* As gcs_may_read, at this moment. READABLE follows a no for want of a lease. */
bool gcs_core_may_read(struct gcs_core *core, uint64_t clock_ns);

/* What this member waits for, a text for people; NULL while an epoch runs. @ret_ranks: members
 * without whom it can't go on. */
const char *gcs_core_waits_for(const struct gcs_core *core, uint8_t *ret_ranks);

/* Everything but the driver's counters and addresses. */
void gcs_core_status(const struct gcs_core *core, struct gcs_status *ret_status);

/* At the end: the next payload reference that the core holds; NULL: none is left. The caller drops
 * it. No event may follow. */
struct blob *gcs_core_forget(struct gcs_core *core);

#endif
