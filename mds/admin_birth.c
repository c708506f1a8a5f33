/* Operators' verbs around a replica's birth: probe, create (a founder), join (one that is added).
 *
 * `create` and `join` format and go on, without a restart; the same cluster once more is no error,
 * so that what was interrupted can be repeated. */
#include "mds/admin.h"
#include "mds/config.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What has to be the same at all members, as requests and `probe` say it. */
static json_t *limits_pack(const struct nspace_limits *limits)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:I}", "inodes_max", (json_int_t)limits->inodes_max,
                     "inline_max", (json_int_t)limits->inline_bytes_max, "links_max",
                     (json_int_t)limits->links_max, "sessions_max",
                     (json_int_t)limits->sessions_max, "slots_max", (json_int_t)limits->slots_max);
}

static const char *state_name(const struct replica *replica)
{
    if (replica->phase == REPLICA_WAITING)
        return "waiting";
    return replica->identity.standing == IDENTITY_REMOVED ? "removed" : "formatted";
}

json_t *admin_probe(struct replica *replica, json_t *request)
{
    const struct identity *identity = &replica->identity;
    char cluster[33] = "", store[33] = "", lineage[17] = "";
    bool waiting = replica->phase == REPLICA_WAITING;
    if (!waiting) {
        identity_hex(identity->cluster, cluster);
        identity_hex(identity->store, store);
        snprintf(lineage, sizeof lineage, "%016llx", (unsigned long long)identity->lineage_random);
    }
    return json_pack("{s:b,s:s,s:s,s:s,s:i,s:s,s:b,s:s,s:I,s:I,s:o}", "ok", 1, "state",
                     state_name(replica), "cluster", cluster, "name", identity->name, "node",
                     (int)replica->config.node, "store", store, "witness",
                     (int)replica->config.witness, "lineage", lineage, "generation",
                     (json_int_t)identity->lineage_generation, "time",
                     (json_int_t)identity->born_ns, "limits", limits_pack(&replica->config.limits));
}

static int member_parse(json_t *object, struct gcs_member *ret)
{
    const char *address = json_string_value(json_object_get(object, "address"));
    json_int_t id = json_integer_value(json_object_get(object, "node"));
    if (id < 1 || id > 255 || !address || config_address_check(address, false) < 0)
        return -EINVAL;
    *ret = (struct gcs_member){.node = (uint8_t)id,
                               .witness = json_is_true(json_object_get(object, "witness"))};
    strcpy(ret->address, address); /* its length was checked with it */
    return 0;
}

static int by_node(const void *a, const void *b)
{
    const struct gcs_member *x = a, *y = b;
    return (int)x->node - (int)y->node;
}

static int members_parse(json_t *members, struct replica_birth *birth)
{
    size_t count = json_array_size(members);
    if (count > GCS_MEMBER_MAX)
        return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (member_parse(json_array_get(members, i), &birth->members[birth->member_count++]) < 0)
            return -EINVAL;
    qsort(birth->members, birth->member_count, sizeof birth->members[0], by_node);
    return 0;
}

/* @ret_birth: its name points into `request`. */
static int birth_parse(json_t *request, struct replica_birth *ret_birth)
{
    const char *cluster = json_string_value(json_object_get(request, "cluster"));
    json_t *time = json_object_get(request, "time");
    json_int_t generation = json_integer_value(json_object_get(request, "generation"));
    *ret_birth = (struct replica_birth){.name = json_string_value(json_object_get(request, "name")),
                                        .time_ns = json_integer_value(time),
                                        .lineage_generation = (uint64_t)generation};
    if (!ret_birth->name || !json_is_integer(time) || ret_birth->time_ns < 0 || generation < 0 ||
        !cluster || identity_unhex(cluster, ret_birth->cluster, sizeof ret_birth->cluster) < 0 ||
        admin_lineage(request, "lineage", &ret_birth->lineage) < 0)
        return -EINVAL;
    return members_parse(json_object_get(request, "members"), ret_birth);
}

static bool same_limits(const struct replica *replica, json_t *request)
{
    json_t *own = limits_pack(&replica->config.limits);
    bool same = own && json_equal(own, json_object_get(request, "limits"));
    json_decref(own);
    return same;
}

typedef int format_function(const struct replica_config *config, const struct replica_birth *birth,
                            struct error *error);

static json_t *be_born(struct replica *replica, const struct replica_birth *birth,
                       format_function *format)
{
    struct error error;
    int rc = format(&replica->config, birth, &error);
    if (rc < 0)
        return admin_refusal(error.text);
    rc = identity_read(replica->config.disk, &replica->identity, &error);
    if (rc == 0)
        rc = outside_start(replica, &error);
    if (rc != 0) {
        replica_fail(replica, "formatted, but: %.400s", error.text);
        return admin_refusal(error.text);
    }
    log_info("replica", "born as node %u of cluster '%s'", replica->config.node, birth->name);
    return admin_done();
}

static json_t *birth(struct replica *replica, json_t *request, format_function *format)
{
    struct replica_birth birth;
    if (birth_parse(request, &birth) < 0)
        return admin_refusal("name, cluster (32 hexadecimal digits), lineage (16), time (ns), "
                             "limits and members (node, address) are needed");
    if (!same_limits(replica, request))
        return admin_refusal("this replica is configured with other limits than the group; give "
                             "all replicas the same [limits]");
    if (replica->phase == REPLICA_WAITING)
        return be_born(replica, &birth, format);
    if (memcmp(birth.cluster, replica->identity.cluster, sizeof birth.cluster) != 0)
        return admin_refusal("this replica belongs to another cluster already");
    if (replica->identity.standing == IDENTITY_REMOVED)
        return admin_refusal("this replica was removed from the cluster; empty its data directory "
                             "and start it with --init to add it again");
    return admin_done();
}

json_t *admin_create(struct replica *replica, json_t *request)
{
    return birth(replica, request, replica_format);
}

json_t *admin_join(struct replica *replica, json_t *request)
{
    return birth(replica, request, replica_join_format);
}
