/* Operators' verbs: one JSON object in, one out.
 *
 *     {"verb":"probe"}  -> {"ok":true,"state":"waiting"|"formatted","cluster":hex,"name":..,
 *                           "node":n,"store":hex,"time":ns,"limits":{..}}
 *     {"verb":"create","name":..,"cluster":32 hex,"lineage":16 hex,"time":ns,"limits":{..},
 *      "members":[{"node":n,"address":"host:port"}]}  -> {"ok":true}
 *     {"verb":"status"}  -> {"ok":true, ...}, see status.c
 *     anything else, or a failure -> {"ok":false,"error":text}
 *
 * `create` formats and goes on as a member, without a restart; the same cluster once more is no
 * error, so a creation that was interrupted can be repeated. */
#include "mds/replica_internal.h"
#include "mds/config.h"
#include "mds/server.h"
#include "base/log.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *refusal(const char *text)
{
    return json_pack("{s:b,s:s}", "ok", 0, "error", text);
}

/* What has to be the same at all members, as `create` and `probe` say it. */
static json_t *limits_pack(const struct nspace_limits *limits)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:I}", "inodes_max", (json_int_t)limits->inodes_max,
                     "inline_max", (json_int_t)limits->inline_bytes_max, "links_max",
                     (json_int_t)limits->links_max, "sessions_max",
                     (json_int_t)limits->sessions_max, "slots_max", (json_int_t)limits->slots_max);
}

static json_t *probe(const struct replica *replica)
{
    const struct identity *identity = &replica->identity;
    char cluster[33] = "", store[33] = "";
    bool waiting = replica->phase == REPLICA_WAITING;
    if (!waiting) {
        identity_hex(identity->cluster, cluster);
        identity_hex(identity->store, store);
    }
    return json_pack("{s:b,s:s,s:s,s:s,s:i,s:s,s:I,s:o}", "ok", 1, "state",
                     waiting ? "waiting" : "formatted", "cluster", cluster, "name", identity->name,
                     "node", (int)replica->config.node, "store", store, "time",
                     (json_int_t)identity->born_ns, "limits", limits_pack(&replica->config.limits));
}

/* --- create --------------------------------------------------------------------------------------
 */

static int member_parse(json_t *object, struct gcs_member *ret)
{
    json_t *node = json_object_get(object, "node");
    const char *address = json_string_value(json_object_get(object, "address"));
    json_int_t id = json_integer_value(node);
    if (id < 1 || id > 255 || !address || config_address_check(address, false) < 0)
        return -EINVAL;
    *ret = (struct gcs_member){.node = (uint8_t)id};
    strcpy(ret->address, address); /* its length was checked with it */
    return 0;
}

static int by_node(const void *a, const void *b)
{
    const struct gcs_member *x = a, *y = b;
    return (int)x->node - (int)y->node;
}

/* @ret_birth: its name points into `request`. */
static int birth_parse(json_t *request, struct replica_birth *ret_birth)
{
    const char *cluster = json_string_value(json_object_get(request, "cluster"));
    const char *lineage = json_string_value(json_object_get(request, "lineage"));
    json_t *members = json_object_get(request, "members");
    json_t *time = json_object_get(request, "time");
    uint8_t bytes[8];
    *ret_birth = (struct replica_birth){.name = json_string_value(json_object_get(request, "name")),
                                        .time_ns = json_integer_value(time)};
    if (!ret_birth->name || !json_is_integer(time) || ret_birth->time_ns < 0 || !cluster ||
        !lineage || json_array_size(members) > GCS_MEMBER_MAX ||
        identity_unhex(cluster, ret_birth->cluster, sizeof ret_birth->cluster) < 0 ||
        identity_unhex(lineage, bytes, sizeof bytes) < 0)
        return -EINVAL;
    struct reader r = reader_make(bytes, sizeof bytes);
    ret_birth->lineage = reader_be64(&r);
    for (size_t i = 0; i < json_array_size(members); i++)
        if (member_parse(json_array_get(members, i),
                         &ret_birth->members[ret_birth->member_count++]) < 0)
            return -EINVAL;
    qsort(ret_birth->members, ret_birth->member_count, sizeof ret_birth->members[0], by_node);
    return 0;
}

static bool same_limits(const struct replica *replica, json_t *request)
{
    json_t *own = limits_pack(&replica->config.limits);
    bool same = own && json_equal(own, json_object_get(request, "limits"));
    json_decref(own);
    return same;
}

static json_t *create_waiting(struct replica *replica, const struct replica_birth *birth)
{
    struct error error;
    int rc = replica_format(&replica->config, birth, &error);
    if (rc < 0)
        return refusal(error.text);
    rc = identity_read(replica->config.disk, &replica->identity, &error);
    if (rc == 0)
        rc = replica_open(replica, &error);
    if (rc != 0) {
        replica_fail(replica, "formatted, but: %.400s", error.text);
        return refusal(error.text);
    }
    log_info("replica", "born as node %u of cluster '%s'", replica->config.node, birth->name);
    replica_begin(replica);
    return json_pack("{s:b}", "ok", 1);
}

static json_t *create(struct replica *replica, json_t *request)
{
    struct replica_birth birth;
    if (birth_parse(request, &birth) < 0)
        return refusal("create needs name, cluster (32 hexadecimal digits), lineage (16), time "
                       "(ns), limits and members (node, address)");
    if (!same_limits(replica, request))
        return refusal("this replica is configured with other limits than the group; give all "
                       "replicas the same [limits]");
    if (replica->phase == REPLICA_WAITING)
        return create_waiting(replica, &birth);
    if (memcmp(birth.cluster, replica->identity.cluster, sizeof birth.cluster) == 0)
        return json_pack("{s:b}", "ok", 1);
    return refusal("this replica belongs to another cluster already");
}

/* --- all verbs
 * -------------------------------------------------------------------------------------- */

static json_t *status(struct replica *replica)
{
    char *text = replica_status_json(replica);
    json_t *object = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return object;
}

static json_t *answer(struct replica *replica, json_t *request)
{
    const char *verb = json_string_value(json_object_get(request, "verb"));
    if (!verb)
        return refusal("not a JSON object with a verb");
    if (strcmp(verb, "probe") == 0)
        return probe(replica);
    if (strcmp(verb, "create") == 0)
        return create(replica, request);
    if (strcmp(verb, "status") == 0)
        return status(replica);
    return refusal("unknown verb; there are probe, create, status");
}

char *admin_answer(struct replica *replica, const void *text, size_t bytes)
{
    json_t *request = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    json_t *object = answer(replica, request);
    char *reply = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    json_decref(request);
    return reply;
}
