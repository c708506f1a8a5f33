/* The parts of one replica and how they know each other.
 *
 * Each part is a struct here and a file of its own: server.c (connections), submit.c (writes on
 * their way into the order), apply.c (the order into records), read.c (local reads), journal.c
 * (disk), history.c and history_disk.c (for joiners), create.c (birth), admin.c (operators),
 * order.c (the group's callbacks), outside.c (leaving, joining, snapshots), replica_open.c (all of
 * it opened and closed again). All on the loop thread. */
#ifndef TUTTI_MDS_REPLICA_INTERNAL_H
#define TUTTI_MDS_REPLICA_INTERNAL_H

#include "mds/execute.h"
#include "mds/identity.h"
#include "mds/journal.h"
#include "mds/pending.h"
#include "mds/record.h"
#include "mds/replica.h"
#include "mds/standing.h"
#include "mds/txn.h"
#include "base/buffer.h"
#include "base/hash.h"
#include "base/prng.h"
#include "base/table.h"
#include "store/cache.h"

#include <sys/queue.h>

struct history;
struct server;
struct server_conn;
struct transfer_sender;
struct transfer_receive;
struct read;
struct waiter;
struct waiting;

enum replica_phase {
    REPLICA_WAITING, /* empty, for `cluster create` or `member add` */
    REPLICA_SERVING, /* open: in its group, or being fed; `running` says whether requests are taken
                      */
    REPLICA_AWAY,    /* closed: between two openings, fetching a snapshot, or removed */
    REPLICA_STOPPING,
    REPLICA_FAILED, /* says and does nothing any more */
};

/* --- apply.c: messages from receipt to release ------------------------------------------------ */

/* Names a message; without padding, because it is hashed as bytes. */
struct message_key {
    uint64_t epoch, seq, origin;
};

/* One message or epoch event, from the moment that it is received until it is released. */
struct ordered {
    struct message_key key;
    struct gcs_message message; /* holds a reference; of an epoch event: payload NULL */
    uint64_t receipt;           /* counts up in order of receipt; epoch events: 0 */
    uint64_t index;             /* of the order; 0: not delivered */
    bool applied;
    STAILQ_HEAD(, waiting) answers; /* requests that it executed, for release */
    STAILQ_ENTRY(ordered) link;     /* delivered, then applied */
    TAILQ_ENTRY(ordered) receipt_link;
    UT_hash_handle hh;
};
STAILQ_HEAD(ordered_queue, ordered);

struct apply {
    struct ordered *by_key;         /* what was received, until it is released */
    TAILQ_HEAD(, ordered) receipts; /* received and not applied, in order of receipt */
    struct ordered_queue delivered, applied;
    uint64_t receipt_last;
    uint64_t index_delivered; /* the last that the group delivered */
    uint64_t index_released_group;
    uint64_t index_released; /* by the group, and applied here */

    struct state_record record; /* the state after the last whole message */
    struct nspace_state state;  /* the state after the last request */
    struct session_index *sessions;
    struct pending *pending;
    struct nspace_txn txn;

    struct proto_batch batch; /* of the message that is being applied */
    struct proto_request request;
    bool in_message, in_request;
    uint32_t executed; /* requests of this message so far */
    bool waits;        /* for a record */
    bool throttled;    /* too many changes wait for the store */
    struct cache_wait wait;
    struct loop_task task;
    struct loop_timer again;
    struct {
        uint64_t messages, operations, garbage, misses;
    } counters;
};

int apply_init(struct replica *replica) WARN_UNUSED;
void apply_finish(struct replica *replica);
/* Callbacks of gcs. */
void apply_received(struct replica *replica, const struct gcs_message *message);
void apply_delivered(struct replica *replica, const struct gcs_message *message, uint64_t index);
void apply_epoch(struct replica *replica, uint64_t epoch, uint64_t index);
void apply_released(struct replica *replica, uint64_t index);
/* True when every message with a receipt up to this one is applied. */
bool apply_receipts_done(const struct replica *replica, uint64_t receipt);
/* True while the records hold a part of a message. */
bool apply_is_partial(const struct replica *replica);
/* The store has taken changes in: go on where too many had collected. */
void apply_flushed(struct replica *replica);

/* --- submit.c: writes on their way into the order --------------------------------------------- */

struct waiting_key {
    uint8_t session[PROTO_SESSION_BYTES];
    uint64_t seq, slot;
};

/* A client's write, from its arrival until it is answered. */
struct waiting {
    struct waiting_key key;
    LIST_HEAD(, waiter) waiters; /* who is to be told; empty: the clients are gone */
    bool executed;
    uint64_t epoch, index;
    struct proto_outcome outcome; /* without data */
    STAILQ_ENTRY(waiting) link;   /* in an ordered message's answers */
    UT_hash_handle hh;
};

/* One connection that asked for it: a request that was sent again may have come over several, and
 * which of them the client still listens to can't be told here. */
struct waiter {
    struct server_conn *conn;
    uint64_t tag;
    uint32_t cost;
    LIST_ENTRY(waiter) link; /* of the waiting */
    LIST_ENTRY(waiter) conn_link;
};

/* An encoded request that is not in a message yet. */
struct proposal {
    STAILQ_ENTRY(proposal) link;
    uint32_t bytes;
    uint8_t data[];
};

struct submit {
    struct waiting *by_key;
    uint64_t hash_seed;
    STAILQ_HEAD(, proposal) backlog;
    uint64_t backlog_bytes;
    struct blob *unsent; /* a batch that the group did not take yet */
    bool blocked;        /* window full or not running */
    bool full;           /* clients are not read: the backlog is at its bound */
    uint64_t epoch, sent_seq, released_seq;
    struct loop_task task;
    struct {
        uint64_t messages, operations, attached;
    } counters;
};

void submit_init(struct replica *replica);
void submit_finish(struct replica *replica);
/* One valid write of a client; `bytes` is its encoding. 0 or -ENOMEM. */
int submit_request(struct replica *replica, struct server_conn *conn,
                   const struct proto_request *request, const void *bytes, uint32_t count,
                   uint32_t cost) WARN_UNUSED;
/* A request of this replica's own, nobody waits for it. 0 or -ENOMEM. */
int submit_own(struct replica *replica, const struct proto_request *request) WARN_UNUSED;
/* A request was executed by `ordered`: whoever waits for it here is answered at release. */
void submit_executed(struct replica *replica, struct ordered *ordered,
                     const struct proto_request *request, const struct proto_outcome *outcome);
/* Answers what `ordered` executed. */
void submit_released(struct replica *replica, struct ordered *ordered);
void submit_forget(struct waiter *waiter); /* its connection is gone */
void submit_epoch(struct replica *replica, uint64_t epoch);
void submit_unblock(struct replica *replica);
/* Nothing is on its way. */
bool submit_is_idle(const struct replica *replica);

/* --- read.c, read_scan.c: local reads ----------------------------------------------------------
 */

TAILQ_HEAD(read_list, read);

struct reads {
    struct read_list parked;   /* until the group runs and what was delivered before is applied */
    struct read_list blocked;  /* until touching writes are applied */
    struct read_list held;     /* executed, until their index is released */
    struct read_list fetching; /* the cache has them: until their records are in */
    uint32_t out;
    uint64_t floor; /* nothing is read before this index is applied */
    struct nspace_txn txn;
    struct buffer reply;
    struct {
        uint64_t reads, waited, parked, rescans;
    } counters;
};

void reads_init(struct replica *replica);
void reads_finish(struct replica *replica);
/* One valid read of a client; `bytes` is its encoding. 0 or -ENOMEM. */
int reads_start(struct replica *replica, struct server_conn *conn, const void *bytes,
                uint32_t count, uint32_t cost) WARN_UNUSED;
void reads_forget(struct read *read);         /* its connection is gone */
void reads_applied(struct replica *replica);  /* the applied index moved on */
void reads_released(struct replica *replica); /* the released index moved on */
void reads_running(struct replica *replica);

/* --- stop.c --------------------------------------------------------------------------------------
 */

enum stop_stage { STOP_NOT, STOP_DRAINING, STOP_TELLING, STOP_FLUSHING, STOP_OVER };

struct stop {
    enum stop_stage stage;
    struct loop_timer timer;
    struct cache_wait flush;
    uint64_t deadline_ns; /* of the stage */
    void (*done)(void *user);
    void *user;
};

int stop_init(struct replica *replica, struct loop *loop) WARN_UNUSED;
void stop_finish(struct replica *replica);

/* --- replica.c ---------------------------------------------------------------------------------
 */

/* What goes on when this replica is not in its group. outside.c */
struct outside {
    struct loop_timer again;   /* close and open anew, or fetch a snapshot, from the loop */
    enum standing standing;    /* with which it opens next; IN: as the disk says */
    bool stay_away;            /* removed */
    struct gcs_member sponsor; /* whom to ask for a snapshot; node 0: anybody */
    uint32_t contact_next;
    uint64_t pause_ns;
    struct prng prng; /* jitter of the pauses */
    struct store *incoming;
    struct transfer_receive *receive;
    bool whole;              /* `incoming` is, and waits for its promotion */
    uint64_t epoch_least;    /* not 0: it has a vote still, and takes the state of no older epoch */
    uint32_t snapshots;      /* promoted since it was last in a view */
    struct loop_timer leave; /* asks to leave once nothing is on its way */
    bool ending;             /* the group has called for the last time */
    bool leaving, leave_back;
    uint64_t leave_deadline_ns;
    bool damaged;      /* the store: nothing is applied or read any more, and it leaves */
    bool damaged_last; /* nobody else has the data */
};

struct replica {
    struct replica_config config;
    char cluster_name[IDENTITY_NAME_BYTES];
    char listen[128];
    enum replica_phase phase;
    struct loop *loop;
    struct identity identity;
    struct incarnation incarnation;
    struct store *store;
    struct cache *cache;
    struct journal *journal;
    struct history *history;
    struct transfer_sender *sender;
    struct gcs *gcs;
    struct server *server;
    struct nspace_source source; /* the cache, as the namespace sees it */
    struct apply apply;
    struct submit submit;
    struct reads reads;
    struct outside outside;
    struct replica_trace trace;
    struct gcs_view view; /* the newest that it knows of */
    bool in_view;
    uint8_t rank;
    bool is_lowest; /* of the data members: it proposes expiries */
    bool running, draining;
    uint64_t unserved_since_ns; /* 0: it takes requests */
    char waiting_for[256];
    uint64_t started_ns;
    uint64_t mark_flushed, mark_durable;

    struct loop_timer expire_timer;
    bool expire_out; /* a SESSION_EXPIRE of this replica's is on its way */
    struct {
        uint64_t looked_ns, calm_since_ns; /* looked_ns 0: never */
        int64_t ahead_ns;                  /* ordered time, of the loop's clock, then */
    } expire_calm;
    struct stop stop;
    struct error error;
};

/* --- replica_open.c ------------------------------------------------------------------------------
 */

/* Everything behind the identity: store, log, group. Blocks. @standing: IN, or OUT. */
int replica_open(struct replica *replica, enum standing standing, struct error *error) WARN_UNUSED;

/* The group begins with the loop: connects, delivers. After replica_open. */
void replica_begin(struct replica *replica);

/* All that replica_open opened, also where it failed midway. Blocks for helpers. */
void replica_close(struct replica *replica);

/* --- order.c -------------------------------------------------------------------------------------
 */

/* The group, from the state on disk (or outside). After store, journal and cache. */
int order_open(struct replica *replica, bool outside, struct error *error) WARN_UNUSED;
/* An epoch runs, and so many of its members are there that something can happen in it. */
bool order_goes_on(const struct replica *replica);
/* Tell the supervisor who is there. */
void order_report_view(const struct replica *replica);

/* --- outside.c -----------------------------------------------------------------------------------
 */

int outside_init(struct replica *replica) WARN_UNUSED;
void outside_finish(struct replica *replica);
/* What the group says: from its callbacks. */
void outside_out(struct replica *replica, enum gcs_out why, const char *detail);
void outside_stays(struct replica *replica);
/* Outside, and whenever the group has changed: of whom it consists. */
void outside_note_contacts(struct replica *replica);
/* The store is found to be damaged: leave the group, and be built anew by it. From anywhere. */
__attribute__((format(printf, 2, 3))) void outside_damaged(struct replica *replica,
                                                           const char *format, ...);
void outside_snapshot_needed(struct replica *replica, const struct gcs_member *sponsor);
/* The first opening: as the disk says, which may be none at all but a transfer. Blocks. */
int outside_start(struct replica *replica, struct error *error) WARN_UNUSED;

/* Stop serving for good and say why, once. */
__attribute__((format(printf, 2, 3))) void replica_fail(struct replica *replica, const char *format,
                                                        ...);

static inline bool replica_is_live(const struct replica *replica)
{
    return (replica->phase == REPLICA_SERVING || replica->phase == REPLICA_STOPPING) &&
           replica->gcs && !replica->outside.ending;
}

/* Key of the hash of tables that names from clients index: nobody outside can know it. */
static inline uint64_t replica_hash_seed(const struct replica *replica)
{
    return hash64(replica->config.random, sizeof replica->config.random);
}

/* Bring the record that a transaction missed into the cache; `wait` as cache_fetch. */
void replica_fetch(struct replica *replica, const struct record_key *key, struct cache_wait *wait);

/* --- create.c: birth ----------------------------------------------------------------------------
 */

/* 0: an identity is there (taken over); IDENTITY_ABSENT: empty, and that was expected (init). */
int create_probe(struct replica *replica, struct error *error) WARN_UNUSED;

/* --- expire.c ------------------------------------------------------------------------------------
 */

int expire_init(struct replica *replica) WARN_UNUSED;
void expire_finish(struct replica *replica);
void expire_executed(struct replica *replica, const struct proto_request *request,
                     const struct proto_outcome *outcome);

/* --- admin.c -------------------------------------------------------------------------------------
 */

/* One admin frame; the answer, on the heap, for the caller to free (NULL: no memory). */
char *admin_answer(struct replica *replica, const void *text, size_t bytes);

#endif
