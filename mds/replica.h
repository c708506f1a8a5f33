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

struct replica_config {
    struct loop *loop;
    struct net_transport *transport; /* borrowed */
    struct disk *disk;               /* borrowed: message log, identity, incarnation, group state */
    int (*store_open)(void *user, bool create, struct store **ret_store, struct error *error);
    void *store_user;
    const char *listen; /* address for members, clients and operators */
    uint8_t node;
    struct gcs_member members[GCS_MEMBER_MAX]; /* as configured; checked against the identity */
    uint32_t member_count;
    const char *cluster_name;
    bool init; /* an empty disk is expected: wait for `cluster create` */
    enum gcs_durability durability;
    struct gcs_measures measures;
    struct nspace_limits limits;
    uint64_t cache_bytes;
    uint64_t log_segment_bytes;
    uint64_t heartbeat_ns, session_timeout_ns;
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

/* The cluster that a new replica is born into. */
struct replica_birth {
    const char *name;
    uint8_t cluster[16];
    uint64_t lineage;
    int64_t time_ns; /* of the root directory; the same for all members */
    struct gcs_member members[GCS_MEMBER_MAX];
    uint32_t member_count;
};

/* Format an empty disk: store, incarnation, and last of all the identity; after a crash in between
 * it can be called again. Blocks. What `tuttictl cluster create` makes a waiting replica do; the
 * replica must not be open. Errors: -EINVAL (the birth and the configuration disagree), -EEXIST,
 * -errno. */
int replica_format(const struct replica_config *config, const struct replica_birth *birth,
                   struct error *error) WARN_UNUSED;

/* Begin an orderly end: stop taking requests, finish what was taken, flush the store; then `done`.
 */
void replica_stop(struct replica *replica, void (*done)(void *user), void *user);

/* Free. Without replica_stop before, this is what a crash is to everybody else. */
void replica_destroy(struct replica *replica);

/* Status as operators see it (a JSON object; the caller frees the text). NULL: no memory. */
char *replica_status_json(struct replica *replica);

/* For checkers: called for every message and epoch event when it has been applied. */
struct replica_trace {
    void (*applied)(void *user, uint64_t index, const struct gcs_message *message_or_null,
                    struct hash128 history, struct hash128 digest);
    void (*released)(void *user, uint64_t index);
    void *user;
};
void replica_set_trace(struct replica *replica, const struct replica_trace *trace);

#endif
