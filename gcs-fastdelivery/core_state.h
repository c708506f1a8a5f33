/* The state of the core, shared by its files and seen by nobody else.
 *
 * Each event changes the state; core_pump then derives what follows from it (core.c). One file per
 * section of docs/protocol.md:
 *   send.c receive.c promise.c (3)  order.c (3.1, 3.2)  flow.c (3.3)  link.c (2)
 *   restart.c lead.c push.c (8)  recover.c save.c (3.4)  action.c core.c (the interface) */
#ifndef TUTTI_GCS_CORE_STATE_H
#define TUTTI_GCS_CORE_STATE_H

#include "gcs-fastdelivery/core.h"
#include "gcs-fastdelivery/plant.h"

#include <string.h>

enum { MEMBERS = GCS_MEMBER_MAX };

/* One message of one origin; its seq is its place in the ring. `ts` and `index` stay readable after
 * the payload was dropped, until the place is used again. */
struct slot {
    struct blob *payload; /* one reference; NULL once dropped */
    uint64_t ts;
    uint64_t index; /* set at delivery */
    uint32_t bytes;
    bool recovered; /* came out of the log: not announced yet */
};

/* The messages of one origin in the installed epoch: dropped .. base < kept .. received. */
struct ring {
    struct slot *slots;
    uint64_t base;      /* all up to it have been dropped here */
    uint64_t delivered; /* all up to it have been delivered here */
    uint64_t bytes;     /* of the kept ones */
};

/* What is known of one member; the row of this member is its own truth. */
struct knowledge {
    uint64_t received[MEMBERS], stored[MEMBERS];
    uint64_t applied; /* index */
    struct gcs_promise promise;
    struct gcs_promise pending; /* not counted yet: its messages are still on their way */
    bool has_pending;
};

/* Messages handed (or to be handed) to the log, in order of receipt. */
struct entry {
    uint64_t seq;
    uint8_t origin;
};
struct journal {
    struct entry *entries;
    uint64_t stored, announced, received; /* counters: stored <= announced <= received */
};

/* Messages of an ended epoch that the log holds and the state machine does not. */
struct replay {
    struct gcs_message *messages; /* sorted by (epoch, ts, rank) at the start */
    uint32_t count, next;
    uint64_t epoch; /* the last one whose event has been delivered */
};

/* One stream of messages of the installed epoch to a peer that lacks them. */
struct push {
    bool active;
    uint64_t round;
    uint64_t sent[MEMBERS], have[MEMBERS], target[MEMBERS];
    uint64_t batch_bytes; /* since the peer last had all that was sent */
};

struct fetch {
    bool active;
    uint8_t to; /* rank it is for */
    uint64_t round, epoch, from, until;
    uint8_t origin;
};

struct peer_link {
    bool up;
    struct gcs_incarnation incarnation;
    bool open;         /* both run the same epoch and said so: DATA and ACK may go */
    uint64_t sent;     /* own messages sent on it */
    bool resume_known; /* what the peer's last RESUME said */
    uint64_t resume_epoch, resume_received;
    struct push push;
};

/* Small state on stable storage. */
struct durable {
    uint64_t installed;
    uint64_t prepared; /* installed + 1, or 0 */
    uint64_t cut[MEMBERS];
    uint64_t floor[MEMBERS]; /* all members have stored up to here in the installed epoch */
    uint8_t store[MEMBERS][16];
    uint64_t incarnation_count[MEMBERS]; /* the highest known */
};

enum stage {
    STAGE_RECOVERING, /* before START */
    STAGE_WEDGED,     /* no epoch is running; waits for the leader */
    STAGE_RUNNING,
    STAGE_PREPARING,  /* the cut is known: stores up to it, then PREPARED goes to disk */
    STAGE_PREPARED,   /* and that is done */
    STAGE_INSTALLING, /* delivers up to the cut, then the epoch goes to disk */
};

/* The leader's side of a round (rank 0). */
struct lead {
    bool active;
    bool cut_known;
    uint64_t round;
    struct gcs_incarnation incarnations[MEMBERS];
    uint8_t reported, prepared; /* sets of ranks */
    uint8_t mismatched;         /* configured otherwise than the leader */
    uint64_t installed[MEMBERS];
    uint64_t received[MEMBERS][MEMBERS];
};

struct gcs_core {
    struct gcs_core_config config;
    uint8_t n, self;
    uint64_t capacity, order_capacity, journal_capacity; /* powers of two */
    bool failed, more;

    /* section 3 */
    uint64_t epoch; /* installed */
    enum stage stage;
    struct gcs_incarnation incarnations[MEMBERS]; /* of the running epoch */
    uint64_t clock;
    uint64_t heard; /* highest ts received */
    uint64_t last_ts[MEMBERS];
    struct ring rings[MEMBERS];
    struct knowledge know[MEMBERS];
    uint64_t logged[MEMBERS]; /* what the log has stored; S is what this member says it has */
    struct journal journal;
    struct replay replay;

    /* 3.1, 3.2: order of delivery; place = index */
    struct entry *order;
    uint64_t delivered, released, applied; /* indices */
    uint64_t releasable; /* index known to be applied by all, by word of an origin */
    bool deliver_blocked;

    /* 3.3 */
    uint64_t stable; /* own messages stored and applied by all */
    uint64_t window_bytes;
    bool window_wanted;
    uint64_t floor_saved_sum;

    /* 2 */
    struct peer_link links[MEMBERS];
    uint8_t ack_owed, have_owed, spoke; /* sets of ranks */
    uint64_t applied_told;

    /* 8 */
    uint64_t round;
    bool round_waiting; /* LEVEL came while installing */
    bool catching_up;
    bool event_delivered;
    uint64_t cut[MEMBERS];
    struct gcs_incarnation next_incarnations[MEMBERS];
    struct lead lead;
    struct fetch fetch;

    struct durable wanted, saving, on_disk;
    bool save_running;
    uint8_t state[GCS_STATE_BYTES_MAX];
    size_t state_bytes;

    struct gcs_action *actions;
    uint32_t action_head, action_count;
    uint64_t resent, rounds;
};

static inline uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}
static inline uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}
static inline uint8_t bit(uint8_t rank)
{
    return (uint8_t)(1u << rank);
}
static inline uint8_t all_members(const struct gcs_core *core)
{
    return (uint8_t)((1u << core->n) - 1);
}
static inline uint8_t others(const struct gcs_core *core)
{
    return (uint8_t)(all_members(core) & ~bit(core->self));
}
static inline uint64_t *received(struct gcs_core *core)
{
    return core->know[core->self].received;
}
static inline uint64_t *stored(struct gcs_core *core)
{
    return core->know[core->self].stored;
}
static inline struct slot *slot_of(struct gcs_core *core, uint8_t origin, uint64_t seq)
{
    return &core->rings[origin].slots[seq & (core->capacity - 1)];
}
static inline bool same_incarnation(const struct gcs_incarnation *a,
                                    const struct gcs_incarnation *b)
{
    return a->count == b->count && a->random == b->random;
}
static inline bool before(uint64_t ts_a, uint8_t rank_a, uint64_t ts_b, uint8_t rank_b)
{
    return ts_a < ts_b || (ts_a == ts_b && rank_a < rank_b);
}

/* action.c */
struct gcs_action *action_add(struct gcs_core *core, enum gcs_action_kind kind);
bool action_room_for_pump(struct gcs_core *core);
void action_send(struct gcs_core *core, uint8_t to, struct gcs_frame *frame, struct blob *payload);
void action_message(struct gcs_core *core, enum gcs_action_kind kind, uint8_t origin, uint64_t seq);
void action_drop(struct gcs_core *core, struct blob *payload);
void action_fail(struct gcs_core *core, const char *text);
void action_close(struct gcs_core *core, uint8_t rank, const char *text);

/* send.c */
int send_multicast(struct gcs_core *core, struct blob *payload);
void send_pump(struct gcs_core *core);
void send_turn(struct gcs_core *core);
void send_tick(struct gcs_core *core);
uint8_t links_open(const struct gcs_core *core);
uint8_t links_up(const struct gcs_core *core);

/* receive.c */
void receive_data(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame,
                  struct blob *payload);
void receive_ack(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame);
void receive_take(struct gcs_core *core, uint8_t origin, uint64_t ts, struct blob *payload);
void receive_stored(struct gcs_core *core, const struct gcs_message *message);
void receive_announce_pump(struct gcs_core *core);

/* promise.c */
void promise_note(struct gcs_core *core, uint8_t member, struct gcs_promise promise);
void promise_ripen(struct gcs_core *core, uint8_t member);
void promise_renew(struct gcs_core *core);

/* order.c */
void order_pump(struct gcs_core *core);
void order_applied(struct gcs_core *core, uint64_t index);

/* flow.c */
bool flow_has_room(const struct gcs_core *core, uint32_t bytes);
bool flow_accepts(const struct gcs_core *core, uint8_t origin);
bool flow_stable_from(struct gcs_core *core, uint8_t origin, uint64_t stable);
void flow_pump(struct gcs_core *core);
bool flow_drop_all(struct gcs_core *core);

/* link.c */
void link_up(struct gcs_core *core, const struct gcs_event *event);
void link_down(struct gcs_core *core, uint8_t rank);
void link_drained(struct gcs_core *core, uint8_t rank, const struct gcs_message *refused);
void link_resume(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame);
void link_say_resume(struct gcs_core *core, uint8_t to);
void link_open_all(struct gcs_core *core);

/* restart.c */
void restart_level(struct gcs_core *core, uint64_t round);
void restart_report(struct gcs_core *core);
void restart_cut(struct gcs_core *core, const struct gcs_frame *frame);
void restart_catch_up(struct gcs_core *core, uint64_t round, uint64_t epoch);
void restart_install(struct gcs_core *core, uint64_t epoch,
                     const struct gcs_incarnation *incarnations);
void restart_pump(struct gcs_core *core);

/* lead.c */
void lead_pump(struct gcs_core *core);
void lead_report(struct gcs_core *core, uint8_t from, const struct gcs_frame *report);
void lead_prepared(struct gcs_core *core, uint8_t from, uint64_t round, uint64_t epoch);

/* push.c */
void push_begin(struct gcs_core *core, uint8_t to, uint64_t round, const uint64_t *have,
                const uint64_t *target);
void push_receive(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame,
                  struct blob *payload);
void push_have(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame);
void push_lost(struct gcs_core *core, const struct gcs_frame *frame);
void push_fetched(struct gcs_core *core, const struct gcs_message *message);
void push_turn(struct gcs_core *core);
void push_pump(struct gcs_core *core);

/* recover.c */
int recover_message(struct gcs_core *core, const struct gcs_message *message);
void recover_finish(struct gcs_core *core);

/* save.c */
int save_load(struct gcs_core *core, const void *state, size_t bytes);
void save_pump(struct gcs_core *core);
void save_done(struct gcs_core *core);

#endif
