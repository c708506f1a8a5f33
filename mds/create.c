/* Birth of a replica: from an empty directory to a founder of a cluster (replica_format), or to one
 * that joins a cluster that runs (replica_join_format), which has no store before its first
 * snapshot. A witness never has one.
 *
 * A directory holds a replica from the moment that its identity is written, which happens last.
 * The file `formatting` says that an interrupted formatting may be gone on with, without asking for
 * --init again; without it a directory that is not empty and has no identity is refused, so that a
 * damaged or wiped disk is never taken for a new member (docs/decisions.md; protocol.md section 7,
 * "a wiped disk votes"). */
#include "mds/config.h"
#include "mds/replica_internal.h"
#include "store/metafile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- what is there
 * -------------------------------------------------------------------------------- */

struct listing_look {
    bool formatting;
    char other[128]; /* the first name that does not belong to an empty directory */
};

static int look_at(void *user, const char *name)
{
    struct listing_look *look = user;
    if (strncmp(name, "formatting", 10) == 0)
        look->formatting = true;
    else if (strcmp(name, "lost+found") != 0 && !look->other[0])
        strncpy(look->other, name, sizeof look->other - 1);
    return 0;
}

static bool same_limits(const struct nspace_limits *a, const struct nspace_limits *b)
{
    return a->inodes_max == b->inodes_max && a->inline_bytes_max == b->inline_bytes_max &&
           a->links_max == b->links_max && a->sessions_max == b->sessions_max &&
           a->slots_max == b->slots_max;
}

static int check_identity(const struct replica *replica, struct error *error)
{
    const struct replica_config *config = &replica->config;
    const struct identity *identity = &replica->identity;
    if (config->init && !config->init_again)
        return error_set(error, -EEXIST,
                         "the data directory holds node %u of cluster '%s' already; "
                         "start it without --init",
                         identity->node, identity->name);
    if (identity->node != config->node)
        return error_set(error, -EXDEV,
                         "the data directory belongs to node %u, not %u; correct "
                         "node or data",
                         identity->node, config->node);
    if (config->cluster_name[0] && strcmp(config->cluster_name, identity->name) != 0)
        return error_set(error, -EXDEV,
                         "the data directory belongs to cluster '%s', not '%s'; "
                         "correct name or data",
                         identity->name, config->cluster_name);
    if (!same_limits(&config->limits, &identity->limits))
        return error_set(error, -EXDEV,
                         "the cluster was created with inline_max = %u, inodes_max = %llu, "
                         "sessions_max = %u, which can't be changed later; correct [limits]",
                         identity->limits.inline_bytes_max,
                         (unsigned long long)identity->limits.inodes_max,
                         identity->limits.sessions_max);
    if (config->witness != identity->witness)
        return error_set(error, -EXDEV,
                         "the data directory belongs to a %s; correct witness in [replica], or "
                         "remove this node from the group and add it with an empty directory",
                         identity->witness ? "witness" : "replica that is no witness");
    return 0;
}

int create_probe(struct replica *replica, struct error *error)
{
    struct disk *disk = replica->config.disk;
    struct listing_look look = {0};
    int rc = identity_read(disk, &replica->identity, error);
    if (rc < 0)
        return rc;
    if (rc != IDENTITY_ABSENT)
        return check_identity(replica, error);
    rc = disk->ops->list(disk, look_at, &look);
    if (rc < 0)
        return error_set(error, rc, "the data directory cannot be listed: %s", strerror(-rc));
    if (look.other[0] && !look.formatting)
        return error_set(error, -ENOTEMPTY,
                         "the data directory holds '%s' but no replica; give an "
                         "empty directory%s",
                         look.other, replica->config.init ? " to --init" : "");
    if (!replica->config.init && !look.formatting)
        return error_set(error, -ENOENT,
                         "the data directory is empty; start with --init if this is a new replica");
    return IDENTITY_ABSENT;
}

/* --- formatting
 * ------------------------------------------------------------------------------------ */

static int no_record(struct nspace_source *source, const void *key, size_t key_bytes,
                     const void **ret_value, size_t *ret_bytes)
{
    return NSPACE_ABSENT;
}

static int batch_state(struct store_batch *batch, const struct nspace_state *state)
{
    const struct state_record record = {.state = *state};
    uint8_t value[RECORD_STATE_BYTES];
    struct writer w = writer_make(value, sizeof value);
    struct record_key key = record_key_state();
    record_write_state(&w, &record);
    MUST(!w.failed);
    return store_batch_put(batch, key.bytes, key.count, value, writer_used(&w));
}

/* The records of an empty cluster, the same at all members. */
static int batch_fill(struct store_batch *batch, struct nspace_txn *txn, int64_t time_ns)
{
    struct nspace_source empty = {.get = no_record};
    struct nspace_state state;
    struct txn_change change;
    uint32_t cursor = 0;
    txn_begin(txn, &empty);
    int rc = nspace_format(txn, time_ns, &state);
    while (rc == 0 && txn_change(txn, &cursor, &change))
        rc = store_batch_put(batch, change.key, change.key_bytes, change.value, change.value_bytes);
    return rc == 0 ? batch_state(batch, &state) : rc;
}

static int fill_store(struct store *store, int64_t time_ns, struct error *error)
{
    struct store_batch *batch = store_batch_create();
    struct nspace_txn txn;
    if (!batch)
        return error_set(error, -ENOMEM, "no memory");
    txn_init(&txn);
    int rc = batch_fill(batch, &txn, time_ns);
    if (rc < 0)
        error_set(error, rc, "no memory");
    else
        rc = store_write(store, batch, true, error);
    txn_finish(&txn);
    store_batch_destroy(batch);
    return rc;
}

/* A store that an interrupted formatting left is written once more: the same records. */
static int format_store(const struct replica_config *config, int64_t time_ns, struct error *error)
{
    struct store *store;
    int rc = config->store_open(config->store_user, REPLICA_STORE_NEW, &store, error);
    if (rc < 0)
        rc = config->store_open(config->store_user, REPLICA_STORE_CURRENT, &store, error);
    if (rc < 0)
        return error_wrap(error, rc, "the store");
    rc = fill_store(store, time_ns, error);
    store_close(store);
    return rc;
}

static int check_name(const struct replica_config *config, const char *name, struct error *error)
{
    if (!name[0] || strlen(name) >= IDENTITY_NAME_BYTES)
        return error_set(error, -EINVAL, "a name of 1 to %d characters is needed",
                         IDENTITY_NAME_BYTES - 1);
    if (config->cluster_name && config->cluster_name[0] && strcmp(config->cluster_name, name) != 0)
        return error_set(error, -EINVAL,
                         "the configuration of node %u names the cluster '%s', not '%s'",
                         config->node, config->cluster_name, name);
    return 0;
}

/* The member that this node is; NULL: none. */
static const struct gcs_member *own_member(const struct replica_config *config,
                                           const struct replica_birth *birth)
{
    for (uint32_t i = 0; i < birth->member_count; i++)
        if (birth->members[i].node == config->node)
            return &birth->members[i];
    return NULL;
}

static int check_members(const struct replica_birth *birth, struct error *error)
{
    uint32_t witnesses = 0;
    for (uint32_t i = 0; i < birth->member_count; i++) {
        witnesses += birth->members[i].witness;
        if (birth->members[i].node == 0 ||
            (i && birth->members[i].node <= birth->members[i - 1].node))
            return error_set(error, -EINVAL, "members need distinct ids, in order");
    }
    if (witnesses == birth->member_count)
        return error_set(error, -EINVAL,
                         "a member is needed that is no witness: witnesses hold no data");
    return 0;
}

static int check_founder(const struct replica_config *config, const struct replica_birth *birth,
                         struct error *error)
{
    const struct gcs_member *own = own_member(config, birth);
    if (!own)
        return error_set(error, -EINVAL, "this is node %u, which is not among the members",
                         config->node);
    if (own->witness != config->witness)
        return error_set(error, -EINVAL,
                         "node %u is %s by its configuration, and the group takes it for %s; "
                         "correct witness in [replica] or the command",
                         config->node, config->witness ? "a witness" : "no witness",
                         own->witness ? "one" : "a member with data");
    return 0;
}

/* The group learns its address from the joiner itself: as configured, or as it listens. */
static bool has_address(const struct replica_config *config)
{
    for (uint32_t i = 0; i < config->member_count; i++)
        if (config->members[i].node == config->node)
            return true;
    return !config->listen || !config_address_is_any(config->listen);
}

static int check_joiner(const struct replica_config *config, const struct replica_birth *birth,
                        struct error *error)
{
    if (own_member(config, birth))
        return error_set(error, -EINVAL,
                         "node %u is a member already; a new replica needs an id of its own",
                         config->node);
    if (!has_address(config))
        return error_set(error, -EINVAL,
                         "node %u listens at %.100s, which tells the others no way to it; give "
                         "member.%u = HOST:PORT in its [group] and start it again",
                         config->node, config->listen, config->node);
    return 0;
}

static struct identity identity_of(const struct replica_config *config,
                                   const struct replica_birth *birth,
                                   enum identity_standing standing)
{
    struct identity identity = {.lineage_random = birth->lineage,
                                .lineage_generation = birth->lineage_generation,
                                .node = config->node,
                                .witness = config->witness,
                                .standing = standing,
                                .born_ns = birth->time_ns,
                                .limits = config->limits,
                                .member_count = birth->member_count};
    strcpy(identity.name, birth->name); /* check_name measured it */
    memcpy(identity.cluster, birth->cluster, sizeof identity.cluster);
    memcpy(identity.store, config->random, sizeof identity.store);
    memcpy(identity.members, birth->members, sizeof identity.members);
    return identity;
}

/* The identity comes last: with it the directory holds a replica. */
static int format(const struct replica_config *config, const struct replica_birth *birth,
                  enum identity_standing standing, struct error *error)
{
    struct identity identity = identity_of(config, birth, standing);
    int rc = metafile_write(config->disk, "formatting", "", 0, error);
    if (rc == 0 && standing == IDENTITY_MEMBER && !config->witness)
        rc = format_store(config, birth->time_ns, error);
    if (rc == 0)
        rc = incarnation_format(config->disk, error);
    if (rc == 0)
        rc = identity_write(config->disk, &identity, error);
    if (rc == 0)
        (void)config->disk->ops->unlink(config->disk, "formatting"); /* means nothing any more */
    return rc;
}

static int check_empty(const struct replica_config *config, struct error *error)
{
    struct identity identity;
    int rc = identity_read(config->disk, &identity, error);
    if (rc < 0)
        return rc;
    return rc == IDENTITY_ABSENT
               ? 0
               : error_set(error, -EEXIST, "the data directory holds a replica already");
}

static int check_birth(const struct replica_config *config, const struct replica_birth *birth,
                       struct error *error)
{
    int rc = check_empty(config, error);
    if (rc == 0)
        rc = check_name(config, birth->name, error);
    return rc == 0 ? check_members(birth, error) : rc;
}

int replica_format(const struct replica_config *config, const struct replica_birth *birth,
                   struct error *error)
{
    int rc = check_birth(config, birth, error);
    if (rc == 0)
        rc = check_founder(config, birth, error);
    return rc == 0 ? format(config, birth, IDENTITY_MEMBER, error) : rc;
}

int replica_join_format(const struct replica_config *config, const struct replica_birth *birth,
                        struct error *error)
{
    int rc = check_birth(config, birth, error);
    if (rc == 0)
        rc = check_joiner(config, birth, error);
    return rc == 0 ? format(config, birth, IDENTITY_ADDED, error) : rc;
}
