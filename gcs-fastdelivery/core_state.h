/* The state of the core, shared by its files and seen by nobody else.
 *
 * Each event changes the state; core_pump then derives what follows from it (core.c). One file per
 * section of docs/protocol.md:
 *   send.c receive.c promise.c (3)  order.c (3.1, 3.2)  flow.c (3.3)  link.c (2)
 *   recover.c save.c (3.4)  view.c suspect.c attempt.c choose.c accept.c push.c install.c (4)
 *   lease.c join.c sponsor.c check.c (4, 5)  action.c core.c (the interface) */
#ifndef TUTTI_GCS_CORE_STATE_H
#define TUTTI_GCS_CORE_STATE_H

#include "gcs-fastdelivery/core.h"
#include "gcs-fastdelivery/plant.h"

#include <string.h>

enum { MEMBERS = GCS_MEMBER_MAX, PEERS = GCS_PEER_MAX, NONE = 0xff };

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
    gcs_ballot ballot;
    uint64_t sent[MEMBERS], have[MEMBERS], target[MEMBERS];
    uint64_t batch_bytes; /* since the peer last had all that was sent */
};

/* A joiner that this member feeds with what was delivered. */
struct feed {
    bool active, fetching, compare;
    bool stale;    /* what is being fetched was for an earlier JOIN */
    bool welcome;  /* its WELCOME is owed */
    bool added;    /* by an operator */
    uint64_t next; /* index to be sent next */
    uint64_t have; /* index up to which it has all applied and stored */
    uint64_t have_epoch;
    uint64_t bytes; /* sent since it last had everything */
    bool barrier;   /* an epoch event was sent, or comes next: wait until it has all */
    uint8_t history[16];
};

/* A node that this one has, or had, a link with. */
struct peer {
    bool up;
    struct gcs_view_member member; /* node 0: the slot was never used */
    uint8_t rank;                  /* in the installed view; NONE */
    uint64_t heard_ns;             /* the last frame */
    uint64_t down_ns;              /* when the link broke */
    bool open;                     /* both run the same epoch and said so: DATA and ACK may go */
    uint64_t sent;                 /* own messages sent on it */
    bool resume_known;             /* what its last RESUME said */
    uint16_t resume_flags;
    uint64_t resume_epoch;
    uint64_t resume_received[MEMBERS]; /* by rank of that epoch */
    bool grant_owed;                   /* for its last BEAT */
    uint64_t forgot;                   /* it can't feed this node from this index on; 0: none */
    uint64_t beat_time;
    uint64_t no_candidate_until_ns; /* it could not be taken in: others first */
    uint8_t refusals;               /* in a row */
    struct push push;
    struct feed feed;
};

/* What is known of one rank beside section 3. Reset with each view. */
struct standing {
    uint8_t hears, slow; /* as it said; hears: all until it said */
    bool gone;           /* its incarnation in the view has ended: proof */
    bool leaving;        /* it has stopped serving and asks to leave */
    bool leaving_for_good;
    bool installed;         /* it has installed this view */
    uint64_t held_until;    /* its grant to this member */
    uint64_t granted_until; /* this member's grant to it */
    uint64_t check_index;
    uint8_t check_hash[16];
};

enum durable_standing { STANDING_MEMBER, STANDING_CANDIDATE };

/* Messages of an ended epoch that its cut left out, and that this member's log holds: those of
 * `origin` behind `seq`. */
struct void_mark {
    uint64_t epoch, origin, seq;
};

enum { VOIDS_MAX = 16 };

/* Small state on stable storage. Without hidden padding: compared as bytes. */
struct durable {
    struct gcs_view_record view; /* installed */
    uint64_t standing;           /* enum durable_standing */
    gcs_ballot promised;
    gcs_ballot accepted; /* 0: none */
    struct gcs_proposal proposal;
    uint64_t event_index; /* of the view's event; 0: not known */
    uint64_t void_count;
    struct void_mark voids[VOIDS_MAX];
    uint64_t cut[MEMBERS];               /* the cut that ended the epoch before */
    uint64_t floor[MEMBERS];             /* all members have stored up to here in the epoch */
    uint64_t incarnation_count[MEMBERS]; /* the highest known of each rank of `view` */
};

enum stage {
    STAGE_RECOVERING, /* before START */
    STAGE_WEDGED,     /* no epoch runs here */
    STAGE_RUNNING,
    STAGE_LEVELLING,  /* the cut is known: takes and stores what it lacks */
    STAGE_INSTALLING, /* the next view is decided: it goes to disk, the cut is delivered */
    STAGE_LEARNING,   /* outside: is fed */
};

enum attempt_stage {
    ATTEMPT_NONE,
    ATTEMPT_ASKING,
    ATTEMPT_PREPARING,
    ATTEMPT_LEVELLING,
    ATTEMPT_PROPOSING,
};

/* The proposer's side of one ballot. */
struct attempt {
    enum attempt_stage stage;
    gcs_ballot ballot;
    uint64_t since_ns, asked_ns;
    uint8_t agreed, refused, promised, fresh, hears_candidate, accepted; /* sets of ranks */
    struct gcs_limits limits[MEMBERS];                                   /* as each is configured */
    uint8_t mismatched;                                                  /* otherwise than most */
    uint8_t crippled;        /* have lost messages that they had stored */
    uint64_t index[MEMBERS]; /* how far each has delivered, or would */
    uint8_t hears[MEMBERS], slow;
    uint64_t received[MEMBERS][MEMBERS];
    uint8_t next;      /* ranks that are in the next view */
    uint8_t stored;    /* of them: have stored up to the cut */
    uint8_t candidate; /* peer; NONE */
    bool candidate_only, candidate_told, candidate_stored;
    gcs_ballot found; /* ballot of an accepted proposal among the promises */
    struct gcs_proposal proposal;
};

/* The acceptor's debts. */
struct acceptor {
    uint8_t promise_to; /* rank; NONE */
    gcs_ballot promise;
    bool hears_candidate;
    uint8_t accept_to;
    gcs_ballot accept;
    struct gcs_proposal proposal; /* waits for leases, then goes to disk */
};

enum { CHECKS_KEPT = 8 };

struct gcs_core {
    struct gcs_core_config config;
    struct gcs_view_record view; /* installed; outside: the newest one heard of */
    uint8_t n, self;             /* of it; outside: MEMBERS, NONE */
    uint8_t data;                /* ranks that are not witnesses */
    uint64_t capacity, order_capacity, journal_capacity; /* powers of two */
    bool ended, more;
    bool finishing; /* started, and recovery waits for room for its last actions */
    bool crippled;  /* a power cut took what others have (durability = memory) */
    uint64_t now, started_ns, ticked_ns, turned_ns;
    uint64_t random;

    /* section 3 */
    uint64_t epoch; /* installed; outside: the one that is learned */
    enum stage stage;
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
    uint64_t releasable;  /* index known to be applied by all, by word of an origin */
    uint64_t event_index; /* of the running epoch's event */

    /* 3.3 */
    uint64_t stable; /* own messages stored and applied by all */
    uint64_t window_bytes;
    bool window_wanted;
    uint64_t floor_saved_sum;
    uint64_t stable_ns; /* when `stable` moved, or nothing was out */
    uint8_t slow;       /* ranks that hold this member up */

    /* 2 */
    struct peer peers[PEERS];
    uint8_t peer_of_rank[MEMBERS]; /* NONE: no link */
    uint8_t ack_owed, spoke;       /* sets of ranks */
    uint16_t have_owed;            /* set of peers */
    uint64_t applied_told;

    /* 4 */
    struct standing standings[MEMBERS];
    struct gcs_view_member unwanted[MEMBERS + GCS_ABSENT_MAX]; /* by an operator */
    uint8_t unwanted_count;
    struct attempt attempt;
    uint8_t last_candidate;         /* peer: the others have their turn before it */
    uint64_t no_candidate_until_ns; /* the last one wedged the group in vain: first some work */
    uint8_t lost; /* ranks that can't be levelled: what they lack is nowhere any more */
    struct acceptor acceptor;
    gcs_ballot ballot_seen;
    uint64_t attempt_after_ns, due_ns, wedged_ns, installed_ns;
    uint32_t recent;         /* changes of view within a while */
    gcs_ballot level_ballot; /* of the LEVEL that this member follows */
    uint8_t level_to;        /* peer that sent it */
    bool stored_told;
    uint64_t cut[MEMBERS];
    struct gcs_proposal next; /* decided */
    bool dropping; /* the epoch's messages are being dropped, before the next one begins */
    bool lease_wanted;
    uint8_t sponsor;     /* peer that feeds this member; NONE */
    uint64_t sponsor_ns; /* when it was asked, or last fed */
    uint64_t fed_told;
    bool fed_owed;
    uint64_t learn_base;            /* index before the first message of the journal */
    uint64_t learn_released;        /* index, as the sponsor says */
    uint64_t learn_epoch;           /* begins when all before it is dropped; 0: none */
    bool leaving, leaving_for_good; /* what the owner asked for; stays over views */
    bool wish_said;                 /* to the members of this view */
    uint64_t check_index[CHECKS_KEPT];
    uint8_t check_hash[CHECKS_KEPT][16];

    struct durable wanted, saving, on_disk;
    bool save_running;
    uint8_t state[GCS_CORE_STATE_BYTES_MAX];
    size_t state_bytes;

    struct gcs_action *actions;
    uint32_t action_head, action_count;
    uint64_t resent, views, ballots, leases_lost;
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
    return core->self == NONE ? 0 : (uint8_t)(all_members(core) & ~bit(core->self));
}
static inline bool in(uint8_t set, uint8_t rank)
{
    return set >> rank & 1;
}
static inline bool is_outside(const struct gcs_core *core)
{
    return core->self == NONE;
}
static inline struct peer *peer_at(struct gcs_core *core, uint8_t rank)
{
    uint8_t peer = core->peer_of_rank[rank];
    return peer == NONE ? NULL : &core->peers[peer];
}
/* Counters of this member's own messages and receipts; outside they stand in the first row. */
static inline uint8_t own_row(const struct gcs_core *core)
{
    return core->self == NONE ? 0 : core->self;
}
static inline uint64_t *received(struct gcs_core *core)
{
    return core->know[own_row(core)].received;
}
static inline uint64_t *stored(struct gcs_core *core)
{
    return core->know[own_row(core)].stored;
}
static inline struct slot *slot_of(struct gcs_core *core, uint8_t origin, uint64_t seq)
{
    return &core->rings[origin].slots[seq & (core->capacity - 1)];
}
static inline bool same_incarnation(const struct gcs_incarnation *a,
                                    const struct gcs_incarnation *b)
{
    return (a->count == b->count && a->random == b->random) || plant_same_incarnation;
}
static inline bool same_limits(const struct gcs_limits *a, const struct gcs_limits *b)
{
    return a->window_messages == b->window_messages && a->window_bytes == b->window_bytes &&
           a->payload_bytes_max == b->payload_bytes_max && a->durability == b->durability;
}
static inline bool before(uint64_t ts_a, uint8_t rank_a, uint64_t ts_b, uint8_t rank_b)
{
    return ts_a < ts_b || (ts_a == ts_b && rank_a < rank_b);
}

/* action.c */
struct gcs_action *action_add(struct gcs_core *core, enum gcs_action_kind kind);
bool action_room_for_pump(struct gcs_core *core);
void action_send_peers(struct gcs_core *core, uint16_t peers, struct gcs_frame *frame,
                       struct blob *payload);
void action_send(struct gcs_core *core, uint8_t ranks, struct gcs_frame *frame,
                 struct blob *payload);
void action_message(struct gcs_core *core, enum gcs_action_kind kind, uint8_t origin, uint64_t seq);
void action_drop(struct gcs_core *core, struct blob *payload);
void action_fail(struct gcs_core *core, const char *text);
void action_out(struct gcs_core *core, enum gcs_out why, const char *text);
void action_close(struct gcs_core *core, uint8_t peer, const char *text);

/* send.c */
int send_multicast(struct gcs_core *core, struct blob *payload);
void send_pump(struct gcs_core *core);
void send_turn(struct gcs_core *core);
void send_tick(struct gcs_core *core);
uint8_t links_open(const struct gcs_core *core);

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
void order_deliver(struct gcs_core *core, uint8_t origin);
bool order_may_deliver(struct gcs_core *core);
void order_keep_cut(struct gcs_core *core);
bool order_replayed(const struct gcs_core *core);

/* flow.c */
bool flow_has_room(const struct gcs_core *core, uint32_t bytes);
bool flow_accepts(const struct gcs_core *core, uint8_t origin);
bool flow_stable_from(struct gcs_core *core, uint8_t origin, uint64_t stable);
void flow_pump(struct gcs_core *core);
bool flow_drop_all(struct gcs_core *core);
void flow_trim_learned(struct gcs_core *core);

/* link.c */
void link_up(struct gcs_core *core, const struct gcs_event *event);
void link_down(struct gcs_core *core, uint8_t peer);
void link_drained(struct gcs_core *core, uint8_t peer, const struct gcs_message *refused);
void link_resume(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame);
void link_say_resume(struct gcs_core *core, uint8_t peer);
void link_close_all(struct gcs_core *core);
void link_new_view(struct gcs_core *core);

/* view.c */
bool same_member(const struct gcs_view_member *a, const struct gcs_view_member *b);
uint8_t view_rank(const struct gcs_view_record *view, const struct gcs_view_member *member);
uint8_t view_data(const struct gcs_view_record *view);
bool view_is_quorum(const struct gcs_core *core, uint8_t set);
bool view_decides(const struct gcs_core *core, uint8_t set);
bool view_has_absent(const struct gcs_view_record *view, const struct gcs_view_member *member);
void view_take(struct gcs_core *core, const struct gcs_view_record *view);
void view_next(struct gcs_core *core, uint8_t ranks, const struct gcs_view_member *candidate,
               struct gcs_view_record *ret_view);

/* suspect.c */
uint8_t suspect_missing(const struct gcs_core *core);
uint8_t suspect_slow(const struct gcs_core *core);
bool suspect_change_due(struct gcs_core *core);
uint8_t suspect_hears(const struct gcs_core *core);
void suspect_note(struct gcs_core *core, uint8_t rank, const struct gcs_frame *frame);
void suspect_gap(struct gcs_core *core);
void suspect_death(struct gcs_core *core, const struct gcs_view_member *member);
int suspect_leave(struct gcs_core *core, bool back);
void suspect_end(struct gcs_core *core);
uint8_t suspect_going(const struct gcs_core *core);
bool suspect_unwanted(const struct gcs_core *core, const struct gcs_view_member *member);
void suspect_new_view(struct gcs_core *core);
int suspect_remove(struct gcs_core *core, uint8_t node);
void suspect_told(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame);
void suspect_tick(struct gcs_core *core);
uint64_t random_below(struct gcs_core *core, uint64_t limit);

/* attempt.c: the proposer */
void attempt_pump(struct gcs_core *core);
void attempt_end(struct gcs_core *core, bool failed);
void attempt_agree(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame);
void attempt_promise(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame);
void attempt_refuse(struct gcs_core *core, const struct gcs_frame *frame);
void attempt_stored(struct gcs_core *core, uint8_t peer, uint8_t from,
                    const struct gcs_frame *frame);
void attempt_lost(struct gcs_core *core, uint8_t ranks);
void attempt_lost_link(struct gcs_core *core, uint8_t peer);
void attempt_tick(struct gcs_core *core);
void attempt_accepted(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame);
uint64_t attempt_timeout(const struct gcs_core *core);

/* choose.c: the next view and its cut */
bool choose_ready(const struct gcs_core *core);
bool choose_next(struct gcs_core *core);
uint8_t choose_sources(const struct gcs_core *core);

/* accept.c: the acceptor */
void accept_ask(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame);
void accept_prepare(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame);
void accept_propose(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame);
void accept_pump(struct gcs_core *core);
/* The planted bug WIPED_VOTES. */
void accept_without_memory(struct gcs_core *core, uint8_t peer, const struct gcs_frame *asked);
void accept_wedge(struct gcs_core *core);

/* push.c: levelling */
void push_level(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame);
void push_begin(struct gcs_core *core, uint8_t peer, gcs_ballot ballot, const uint64_t *have,
                const uint64_t *target);
void push_lost(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame);
void push_pull(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame);
void push_receive(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame,
                  struct blob *payload);
void push_have(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame);
void push_turn(struct gcs_core *core);
void push_pump(struct gcs_core *core);

/* install.c */
void install_decided(struct gcs_core *core, uint64_t epoch, const struct gcs_proposal *proposal);
void install_repeat(struct gcs_core *core, uint8_t peer);
void install_out(struct gcs_core *core, const struct gcs_frame *frame);
void install_pump(struct gcs_core *core);
bool install_votes_only(const struct gcs_core *core);
int install_force(struct gcs_core *core);
void install_reset_epoch(struct gcs_core *core);

/* lease.c */
void lease_beat(struct gcs_core *core);
void lease_beaten(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame);
void lease_turn(struct gcs_core *core);
void lease_granted(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame);
void lease_install(struct gcs_core *core);
bool lease_allows(const struct gcs_core *core, const struct gcs_view_record *next);
bool lease_holds(const struct gcs_core *core, uint64_t now_ns);

/* join.c: outside */
void join_start(struct gcs_core *core);
void join_tick(struct gcs_core *core);
void join_frame(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame,
                struct blob *payload);
void join_pump(struct gcs_core *core);
void join_turn(struct gcs_core *core);
void join_lost_link(struct gcs_core *core, uint8_t peer);

/* sponsor.c */
void sponsor_join(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame);
void sponsor_fed(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame);
void sponsor_fetched(struct gcs_core *core, uint8_t peer, const struct gcs_message *message,
                     uint64_t index);
void sponsor_fetch_done(struct gcs_core *core, uint8_t peer, bool found);
void sponsor_pump(struct gcs_core *core);
uint8_t sponsor_candidate(const struct gcs_core *core);
bool sponsor_may_take(const struct gcs_core *core, uint8_t peer);
void sponsor_put_off(struct gcs_core *core, uint8_t peer, uint64_t pause_ns);
void sponsor_refuse(struct gcs_core *core, uint8_t peer);
void sponsor_new_view(struct gcs_core *core);
bool sponsor_is_level(const struct gcs_core *core, uint8_t peer);

/* check.c */
void check_own(struct gcs_core *core, uint64_t index, const uint8_t hash[16]);
void check_told(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame);

/* recover.c */
/* GCS_CORE_AGAIN, -EBADMSG, -ENOSPC. */
int recover_message(struct gcs_core *core, const struct gcs_message *message);
/* Stops where there is no room for more actions; to be called again then. */
void recover_finish(struct gcs_core *core);

/* save.c */
int save_load(struct gcs_core *core, const void *state, size_t bytes);
void save_pump(struct gcs_core *core);
void save_done(struct gcs_core *core);

#endif
