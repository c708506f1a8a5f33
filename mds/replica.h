/* One replica: sessions, order, apply, reads, on a loop, a transport, a store and a disk.
 *
 * `main.c` makes one on libuv, TCP, LevelDB and a directory; the simulator makes several on its
 * own. Threads: the loop thread. */
#ifndef TUTTI_MDS_REPLICA_H
#define TUTTI_MDS_REPLICA_H

#include "gcs-fastdelivery/gcs.h"
#include "mds/nspace.h"
#include "net/transport.h"
#include "store/disk.h"
#include "store/store.h"

struct replica;

/* Who this replica is and who else is a member: what its supervisor has to know. */
struct replica_view_report {
    uint8_t node;
    uint8_t cluster[16], store[16];
    uint64_t incarnation_count, incarnation_random;
    struct gcs_member members[GCS_MEMBER_MAX]; /* ascending; this one may be among them */
    uint32_t member_count;
};

enum replica_store {
    REPLICA_STORE_CURRENT,
    REPLICA_STORE_NEW,      /* the current one, which must not be there yet */
    REPLICA_STORE_INCOMING, /* next to the current one, empty; what was there is removed */
};

/* What becomes of a store that another one replaces. */
enum replica_old { REPLICA_OLD_REMOVED, REPLICA_OLD_DIVERGED, REPLICA_OLD_DAMAGED };

struct replica_config {
    struct loop *loop;
    struct net_transport *transport; /* borrowed */
    struct disk *disk;               /* borrowed: message log, identity, incarnation, group state */
    int (*store_open)(void *user, enum replica_store which, struct store **ret_store,
                      struct error *error);
    /* The incoming store takes the current one's place, at once or not at all; both are closed.
     * @old: where it diverged or is damaged it is put aside, as evidence. */
    int (*store_promote)(void *user, enum replica_old old, struct error *error);
    void *store_user;
    const char *listen; /* address for members, clients and operators */
    uint8_t node;
    struct gcs_member members[GCS_MEMBER_MAX]; /* as configured: contacts, besides what is kept */
    uint32_t member_count;
    const char *cluster_name;
    bool init;          /* an empty disk is expected: wait for `cluster create` or `member add` */
    bool init_again;    /* so it was for the process before, which may have got that far */
    bool store_damaged; /* taken for damaged, not opened: the process before died of it */
    bool witness;       /* votes, grants and stores views; no messages, no namespace, no clients */
    enum gcs_durability durability;
    struct gcs_measures measures;
    struct nspace_limits limits;
    uint64_t cache_bytes;
    uint64_t log_segment_bytes;
    uint64_t heartbeat_ns, session_timeout_ns;
    uint64_t suspect_after_ns, lease_ns, lag_after_ns, start_wait_ns; /* as in gcs_config */
    uint32_t drift_ppm;
    bool assume_no_partition;
    uint64_t history_bytes;      /* bound on what is kept in memory to feed joiners */
    uint64_t history_disk_bytes; /* on disk, while one is on its way */
    uint64_t give_up_ns;         /* not serving for so long: clients are sent away */
    uint32_t window_messages;
    uint64_t window_bytes;
    uint32_t client_connections_max;
    uint64_t random[4]; /* entropy for ids and jitter: from getrandom(2), or the simulator's seed */
    void *user;
    void (*failed)(void *user, const char *detail); /* it has stopped serving: end the process */
    /* The members, when it begins and whenever they change. Borrowed. May be NULL. */
    void (*view)(void *user, const struct replica_view_report *report);
};

void replica_config_defaults(struct replica_config *config);

/* Opens everything (blocks), replays the log, listens, connects. Errors: text says cause and way
 * out; -EEXIST (init, but the disk holds a replica), -ENOENT (no init, and the disk is empty),
 * -EPROTO (a newer format), -EXDEV (another cluster's or node's data), -EADDRINUSE, -EBADMSG,
 * -errno. */
int replica_create(const struct replica_config *config, struct replica **ret_replica,
                   struct error *error) WARN_UNUSED;

/* The cluster that a new replica is born into, or joins. */
struct replica_birth {
    const char *name;
    uint8_t cluster[16];
    uint64_t lineage, lineage_generation;
    int64_t time_ns;                           /* of the root directory; the same for all members */
    struct gcs_member members[GCS_MEMBER_MAX]; /* founders; of a joiner: who is to be asked */
    uint32_t member_count;
};

/* Format an empty disk: store, incarnation, and last of all the identity; after a crash in between
 * it can be called again. Blocks. What `tuttictl cluster create` makes a waiting replica do; the
 * replica must not be open. Errors: -EINVAL (the birth and the configuration disagree), -EEXIST,
 * -errno. */
int replica_format(const struct replica_config *config, const struct replica_birth *birth,
                   struct error *error) WARN_UNUSED;

/* The same for a replica that joins a cluster that runs: incarnation and identity (standing
 * IDENTITY_ADDED), no store, which comes by a transfer. A joiner is not among the members. */
int replica_join_format(const struct replica_config *config, const struct replica_birth *birth,
                        struct error *error) WARN_UNUSED;

/* --- operators' requests; from the loop, never from inside a callback of the group -------------
 */

/* What this replica is to its group. */
enum replica_standing {
    REPLICA_MEMBER,       /* of the view it has installed last; perhaps it does not run */
    REPLICA_JOINING,      /* outside, being fed, or looking for somebody who does */
    REPLICA_TRANSFERRING, /* outside, fetching a snapshot */
    REPLICA_REMOVED,      /* taken out for good; it stays away */
};
enum replica_standing replica_standing(const struct replica *replica);

/* Stop serving and leave the group in order (@back: stay among the absent members). The end comes
 * later, as the standing REPLICA_REMOVED. 0, or -EAGAIN while no epoch runs (text). */
int replica_leave(struct replica *replica, bool back, struct error *error) WARN_UNUSED;

/* Take a node that is away out for good. 0, -EAGAIN, -ENOENT, -EBUSY (it is there): text. */
int replica_remove(struct replica *replica, uint8_t node, struct error *error) WARN_UNUSED;

/* On: no new clients; idle ones are sent away, others after their answers. Not kept over a restart.
 */
void replica_drain(struct replica *replica, bool on);
bool replica_is_draining(const struct replica *replica);

/* Forced recovery of a member whose group does not run: closes all, keeps the new lineage
 * (generation + 1, @lineage_random), opens again and goes on alone from what it has. Blocks.
 * @ret_index: up to where that goes. 0; -EBUSY (its epoch runs), -EINVAL (a witness, or outside):
 * nothing was changed; other errors end the replica. */
int replica_force(struct replica *replica, uint64_t lineage_random, uint64_t *ret_index,
                  struct error *error) WARN_UNUSED;

/* Snapshots under way, sent and received. */
struct replica_transfer_status {
    uint32_t sending;       /* transfers that this replica gives */
    bool receiving;         /* it fetches one */
    uint8_t sponsor;        /* from that node */
    uint32_t percent;       /* of the received one, by records */
    uint64_t bytes, chunks; /* received so far */
    uint32_t snapshots;     /* received whole since it was last a member */
};
void replica_transfer_status(const struct replica *replica,
                             struct replica_transfer_status *ret_status);

/* Proof that an incarnation of another node has ended. */
void replica_death(struct replica *replica, uint8_t node, const uint8_t store[16],
                   uint64_t incarnation_count, uint64_t incarnation_random);

/* Begin an orderly end: stop taking requests, finish what was taken, flush the store; then `done`.
 */
void replica_stop(struct replica *replica, void (*done)(void *user), void *user);

/* Free. Without replica_stop before, this is what a crash is to everybody else. */
void replica_destroy(struct replica *replica);

/* Status as operators see it (a JSON object; the caller frees the text). NULL: no memory. */
char *replica_status_json(struct replica *replica);

/* For checkers: called for every message and epoch event when it has been applied. Set
 * before the first view may come: at once after replica_create. */
struct replica_trace {
    void (*applied)(void *user, uint64_t index, const struct gcs_message *message_or_null,
                    struct hash128 history, struct hash128 digest);
    void (*released)(void *user, uint64_t index);
    void (*view)(void *user, const struct gcs_view *view, bool self, uint8_t rank);
    void (*running)(void *user, bool running);
    void (*opened)(void *user); /* anew, in the same life */
    void (*out)(void *user, enum gcs_out why, const char *detail);
    void (*stays)(void *user); /* it was asked to leave */
    void *user;
};
void replica_set_trace(struct replica *replica, const struct replica_trace *trace);

#endif
