/* libtutti-gcs: one total order for a small group, with fast delivery.
 *
 * Give it a loop, a transport, a place to store messages, and it hands the same messages in the
 * same order to every member. It knows nothing of what it orders: a payload is bytes.
 *
 *     create -> recover* (what the log holds) -> start -> { multicast, stored, applied }*
 *            -> (out | snapshot_needed | failed) -> destroy
 *
 * Threads: the loop thread only, callbacks too.
 * Re-entrancy: callbacks come at LOOP_PHASE_ORDER; where a turn has very much to do also from
 *   gcs_stored, gcs_saved, gcs_applied, gcs_fetched, gcs_accept or a link; never from inside
 *   gcs_multicast or gcs_start. A callback may call everything here but gcs_destroy.
 * Source: docs/protocol.md. Terms: gcs-fastdelivery/README.md. */
#ifndef TUTTI_GCS_H
#define TUTTI_GCS_H

#include "base/blob.h"
#include "base/error.h"
#include "base/loop.h"
#include "base/must.h"
#include "net/hello.h"
#include "net/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GCS_MEMBER_MAX = 7,
    GCS_ABSENT_MAX = 7,
    GCS_PEER_MAX = 16, /* nodes that a member knows at one time: members, absent ones, joiners */
    GCS_ADDRESS_BYTES = 128,
    GCS_STATE_BYTES_MAX = 8192, /* of what `save` is given */
};

/* Expected conditions, for the direct caller. */
enum gcs_condition {
    GCS_E_WINDOW_FULL = 1, /* flow control: again after window_open */
    GCS_E_NOT_RUNNING = 2, /* no epoch is running (members missing, levelling): after `running` */
};

enum gcs_out { GCS_OUT_EXCLUDED, GCS_OUT_REMOVED, GCS_OUT_DIVERGED };

enum gcs_durability { GCS_DURABILITY_DISK, GCS_DURABILITY_MEMORY };

/* What a delivered message is in the one order: (epoch, ts, rank). That of an epoch's event is
 * (epoch, 0, 0): behind all of the epoch before, ahead of all of its own. */
struct gcs_position {
    uint64_t epoch, ts;
    uint8_t rank;
};

/* One multicast of one member in one epoch. */
struct gcs_message {
    uint64_t epoch;
    uint64_t seq;         /* of its origin in the epoch, from 1 */
    uint64_t ts;          /* Lamport time of its sending */
    uint8_t origin;       /* rank */
    struct blob *payload; /* 1 .. payload_bytes_max bytes; take a reference to keep it */
};

struct gcs_member {
    uint8_t node;                    /* id, 1 .. 255, unique; sorted by it the index is the rank */
    bool witness;                    /* votes, grants and stores views, no messages */
    char address[GCS_ADDRESS_BYTES]; /* for connecting */
};

/* Who the group is, from one epoch's beginning to the next one's. */
struct gcs_view {
    uint64_t epoch;
    uint8_t member_count, absent_count;
    struct gcs_member members[GCS_MEMBER_MAX]; /* sorted: the place is the rank */
    struct gcs_member absent[GCS_ABSENT_MAX];  /* voted out, expected to come back by themselves */
};

/* What the state machine holds durably, as a whole: where a restart or a join goes on from. */
struct gcs_applied {
    struct gcs_position position;    /* the last message or event; zero: none */
    uint64_t index;                  /* its index */
    uint64_t counts[GCS_MEMBER_MAX]; /* messages of each rank applied in position.epoch */
    uint8_t history[16];             /* hash over everything up to it, the owner's; see `fetch` */
};

struct gcs_callbacks {
    /* A message is in memory here: from now on it is pending. Called once per message and epoch,
     * before `deliver`, in order of receipt; also for this member's own. A message that
     * gcs_recover gave and that is delivered again is announced just before its delivery. */
    void (*received)(void *user, const struct gcs_message *message);

    /* Append to the log; later gcs_stored with the last one that is on stable storage. Called in
     * order of receipt. (Under GCS_DURABILITY_MEMORY too: the log then lags behind.) */
    void (*store)(void *user, const struct gcs_message *message);

    /* Put the small state of the group on stable storage (replacing the last one); later gcs_saved.
     * At most one at a time. @bytes <= GCS_STATE_BYTES_MAX, borrowed. */
    void (*save)(void *user, const void *state, size_t bytes);

    /* The next message of the one order; index counts messages and epoch events from 1 over the
     * whole life of the cluster. After it has taken effect: gcs_applied(index). */
    void (*deliver)(void *user, const struct gcs_message *message, uint64_t index);

    /* The event that begins an epoch, in the same order and with an index of its own. */
    void (*epoch)(void *user, uint64_t epoch, uint64_t index);

    /* A view was installed (or learned of, by one that is outside); not part of the order. @self:
     * this member is in it; @rank: its rank then. Comes before `running`. @view: borrowed. */
    void (*view)(void *user, const struct gcs_view *view, bool self, uint8_t rank);

    /* Everything up to `index` is received by all members: replies may leave, effects may be read.
     * After `deliver` of index, and perhaps before it has taken effect here: what is delivered
     * and not applied stays pending for reads. */
    void (*released)(void *user, uint64_t index);

    /* Whether an epoch is running: writes and reads wait while it is not. @waiting_for: text. */
    void (*running)(void *user, bool running, const char *waiting_for);

    /* There is room again after GCS_E_WINDOW_FULL. */
    void (*window_open)(void *user);

    /* gcs_may_read said no for want of a lease; now it would say yes. */
    void (*readable)(void *user);

    /* A joiner is fed with what was delivered: give the messages and epoch events of the indices
     * from `index_from` on by gcs_fetched, in order, as many as are at hand up to about
     * `bytes_max` of payload, and call gcs_fetch_done once; all later, from the loop. Where
     * `history` is not NULL, first compare: it is the joiner's hash at index_from - 1; another
     * one, or an index that is no longer at hand, is answered by gcs_fetch_done(false). At most one
     * fetch at a time for each @peer (an opaque number). */
    void (*fetch)(void *user, uint8_t peer, uint64_t index_from, uint32_t bytes_max,
                  const uint8_t history[16]);

    /* This member is outside and what it has applied is too old (or none, or other) to be fed by
     * anybody who runs: get a state from `sponsor`, then gcs_destroy, gcs_create(outside) with
     * that. Nothing is called afterwards. */
    void (*snapshot_needed)(void *user, const struct gcs_member *sponsor);

    /* gcs_leave was taken, and comes to nothing: all others that have the data went, or go first.
     * May be NULL where nobody calls gcs_leave. */
    void (*stays)(void *user);

    /* This member is not in the group any more. GCS_OUT_EXCLUDED: it was voted out, or could not be
     * levelled: gcs_destroy, gcs_create(outside) and it joins again. GCS_OUT_REMOVED: an operator
     * removed it, or it left on request: it stays away. GCS_OUT_DIVERGED: what it applied differs
     * from the others: keep the evidence, join by a snapshot. Nothing is called afterwards. */
    void (*out)(void *user, enum gcs_out why, const char *detail);

    /* This member can't go on (a peer broke the protocol's rules beyond repair, state that
     * contradicts itself): stop serving. Nothing is called afterwards. */
    void (*failed)(void *user, const char *detail);
};

/* The four measures of fast delivery; all false is the plain protocol. docs/protocol.md 3.1. */
struct gcs_measures {
    bool subset_wait, fast_acknowledgement, on_behalf, promise_ahead;
};

struct gcs_config {
    struct loop *loop;
    struct net_transport *transport;
    struct net_limits link_limits;
    /* A new cluster (no state, not outside): exactly its founders. Otherwise whom to try to reach,
     * besides those that the state knows; an address here is preferred to a remembered one. */
    struct gcs_member members[GCS_MEMBER_MAX];
    uint32_t member_count;
    uint8_t node;                    /* this member */
    bool witness;                    /* what this member is */
    char address[GCS_ADDRESS_BYTES]; /* of this member, as others reach it */
    bool outside;                    /* begin outside and join; of `state` only the
                                        addresses are used, of the log nothing */
    bool added;                      /* outside: an operator added it; without it only an absent
                                        member is let in again */
    struct net_hello hello;          /* sent on every link; epoch is filled in */
    enum gcs_durability durability;
    struct gcs_measures measures;
    uint64_t heartbeat_ns;     /* default 50 ms */
    uint64_t suspect_after_ns; /* nothing heard for so long: suspected; default 400 ms */
    uint64_t lease_ns;         /* of a read lease; default 300 ms */
    uint32_t drift_ppm;       /* two clocks' rates differ by less than this; default 10,000 (1 %) */
    uint64_t lag_after_ns;    /* a member that throttles for so long is voted out; default 5 s */
    uint64_t start_wait_ns;   /* after a start others are waited for so long; default 2 s */
    bool assume_no_partition; /* docs/protocol.md, section 4: what it gives up */
    uint64_t reconnect_ns;    /* first pause, doubled with jitter up to 20 times it; 50 ms */
    /* The next three and `durability` have to be equal at all members: others never run together.
     */
    uint32_t window_messages;   /* own messages not yet stored and applied by all; default 1024 */
    uint64_t window_bytes;      /* default 16 MiB */
    uint32_t payload_bytes_max; /* default 1 MiB */
    uint32_t recovered_max;     /* messages that gcs_recover will be given at most */
    struct gcs_applied applied; /* what the state machine holds durably */
    uint64_t prng_seed;         /* for jitter */
    const struct gcs_callbacks *callbacks;
    void *user;
};

struct gcs; /* opaque */

/* Reasonable values for everything that has a default. */
void gcs_config_defaults(struct gcs_config *config);

/* @state: what `save` was given last (NULL, 0 for a new cluster). @config: copied. All memory of
 * the protocol is taken here. Errors: -EINVAL (text), -EBADMSG (state damaged), -ENOMEM. */
int gcs_create(const struct gcs_config *config, const void *state, size_t state_bytes,
               struct gcs **ret_gcs, struct error *error) WARN_UNUSED;

/* Every message of the log, in log order, before gcs_start. 0 or -EBADMSG, -ENOSPC, -ENOMEM.
 * Messages at or before config.applied are counted as stored and not delivered again; the others
 * are delivered again after gcs_start, when the order says so. */
int gcs_recover(struct gcs *gcs, const struct gcs_message *message,
                struct error *error) WARN_UNUSED;

/* Connect to the others. From here on callbacks come. */
void gcs_start(struct gcs *gcs);

/* An accepted connection said hello as a member: gcs takes it over (conn->user and handlers) or
 * refuses it (a REFUSED frame, closed). Returns the handlers to go on with, or NULL. The lower node
 * id connects, so only lower ones are accepted. Of @conn gcs uses send and close, and forgets it
 * after closing it: it may be a proxy. */
const struct net_handlers *gcs_accept(struct gcs *gcs, struct net_conn *conn,
                                      const struct net_hello *hello);

/* Multicast one payload in the running epoch. Call it at LOOP_PHASE_SUBMIT, so that one turn is one
 * message. A reference is taken. Never blocks.
 * Returns 0, GCS_E_WINDOW_FULL, GCS_E_NOT_RUNNING, -EINVAL (size).
 * @ret_seq: this member's sequence number in the epoch. Its `received` follows from the loop. */
int gcs_multicast(struct gcs *gcs, struct blob *payload, uint64_t *ret_seq) WARN_UNUSED;

/* All messages that `store` was given up to and including this one are on stable storage. */
void gcs_stored(struct gcs *gcs, uint64_t epoch, uint8_t origin, uint64_t seq);

/* What `save` was given is on stable storage. */
void gcs_saved(struct gcs *gcs);

/* The epoch of the newest view that a state given to `save` knows of. 0; -EBADMSG: it is damaged.
 */
int gcs_state_epoch(const void *state, size_t bytes, uint64_t *ret_epoch) WARN_UNUSED;

/* The state machine has taken in everything up to `index`. Bounds how far delivery runs ahead. */
void gcs_applied(struct gcs *gcs, uint64_t index);

/* One message, or (payload NULL) an epoch event, that `fetch` asked for; `index` follows the last
 * one's. After them gcs_fetch_done: @found false where it can't be had. */
void gcs_fetched(struct gcs *gcs, uint8_t peer, const struct gcs_message *message, uint64_t index);
void gcs_fetch_done(struct gcs *gcs, uint8_t peer, bool found);

/* Whether what was read before this call may be answered: an epoch runs and this member holds the
 * lease at this moment. Where a lease is all that is missing, `readable` follows. */
bool gcs_may_read(struct gcs *gcs);

/* Take this member (the calling one) out of the group, in order. The caller has stopped serving;
 * `out` (GCS_OUT_REMOVED; @back: GCS_OUT_EXCLUDED, it stays among the absent ones) follows when all
 * of the next view have installed it. Said again it does no harm. One that joins, and on whose copy
 * no view counts yet, is out (GCS_OUT_EXCLUDED) at once. 0; GCS_E_NOT_RUNNING; -EBUSY: nobody else
 * has the data. */
int gcs_leave(struct gcs *gcs, bool back) WARN_UNUSED;

/* This incarnation ends, and says so: the others go on without it at once. It stays a member that
 * is away, votes nothing more, and starts again with what its disk holds. Nothing can be multicast
 * or read any more; gcs_destroy follows when gcs_ended says that the others have heard it. */
void gcs_end(struct gcs *gcs);
bool gcs_ended(const struct gcs *gcs);

/* Take a node out for good: a member that is away, or an absent one. It can't come back without
 * being added. A member that is there has to leave by itself. 0, GCS_E_NOT_RUNNING, -ENOENT,
 * -EBUSY (it is there, or this member). */
int gcs_remove(struct gcs *gcs, uint8_t node) WARN_UNUSED;

/* Proof that this incarnation of the node has ended (its supervisor's kernel reaped it). */
void gcs_death(struct gcs *gcs, uint8_t node, const uint8_t store[16], uint64_t incarnation_count,
               uint64_t incarnation_random);

/* The state machine's digest after `index` was applied: call it with every index that is a multiple
 * of GCS_CHECK_EVERY. Members compare; see gcs_out. */
enum { GCS_CHECK_EVERY = 1024 };
void gcs_check(struct gcs *gcs, uint64_t index, const uint8_t digest[16]);

/* Forced recovery, instead of gcs_start, after all gcs_recover: this member alone founds a new
 * lineage from what it has (@lineage: the new one, also in config.hello from the next start on; the
 * owner keeps it). Says by @ret_index up to which index it goes. 0 or -EINVAL (a witness, or it is
 * outside). */
int gcs_force(struct gcs *gcs, uint64_t *ret_index) WARN_UNUSED;

/* Whom this node knows by which address, itself among them, as the state of a gcs_create(outside)
 * to come, of this node or another one. Returns the bytes. */
size_t gcs_contacts(const struct gcs *gcs, uint8_t to[GCS_STATE_BYTES_MAX]);
/* Those in such a state, or in what `save` was given. Returns how many; 0 where it is damaged. */
uint32_t gcs_contacts_read(const void *state, size_t bytes, struct gcs_member to[GCS_PEER_MAX]);

/* True when every member has stored this message and this one would know it after a restart (what
 * all have stored is saved now and then, by `save`): as far as the group is concerned the log may
 * forget it. (Messages of ended epochs: always, all members stored them before the next was
 * installed.) */
bool gcs_stored_by_all(const struct gcs *gcs, uint64_t epoch, uint8_t origin, uint64_t seq);

struct gcs_status {
    bool running; /* an epoch runs and this member is in it */
    bool outside; /* joining, or out */
    bool lease;   /* it may answer reads */
    uint64_t epoch, index_delivered, index_released, clock;
    uint8_t rank;
    uint32_t member_count;
    struct {
        uint8_t node;
        bool witness, connected, suspected;
        uint64_t received, stored; /* of its own messages in this epoch, as known here */
        uint64_t index_applied;    /* the member's, as known here */
        char address[GCS_ADDRESS_BYTES];
    } members[GCS_MEMBER_MAX];
    uint32_t absent_count;
    struct gcs_member absent[GCS_ABSENT_MAX];
    uint8_t joining; /* node that this member feeds; 0: none */
    uint64_t joining_index;
    char waiting_for[256];
    uint64_t frames_sent, acknowledgements_sent, messages_sent, resent;
    uint64_t views, ballots, leases_lost; /* installed, prepared, run out at a read */
};
void gcs_status(const struct gcs *gcs, struct gcs_status *ret_status);

/* Ends links, drops references. */
void gcs_destroy(struct gcs *gcs);

#endif
