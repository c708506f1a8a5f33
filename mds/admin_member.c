/* Operators' verbs for a replica that lives: leave, remove, drain, force.
 *
 * `leave` and `remove` begin what goes on by itself; `status` says how far it is. `force` does what
 * was shown and confirmed or nothing: the request names epoch and index that the operator saw. */
#include "mds/admin.h"
#include "base/log.h"

#include <string.h>

static json_t *not_a_member(const struct replica *replica)
{
    if (replica->phase == REPLICA_WAITING)
        return admin_refusal("this replica is empty: it waits for 'tuttictl cluster create' or "
                             "'tuttictl member add'");
    if (replica->phase != REPLICA_SERVING)
        return admin_refusal("this replica is stopping");
    return NULL;
}

static json_t *done_or(int code, const struct error *error)
{
    return code < 0 ? admin_refusal(error->text) : admin_done();
}

/* Nobody else has the data. */
static bool is_last(const struct replica *replica)
{
    struct gcs_status order;
    gcs_status(replica->gcs, &order);
    for (uint32_t i = 0; i < order.member_count; i++)
        if (order.members[i].node != replica->config.node && !order.members[i].witness)
            return false;
    return !replica->config.witness;
}

json_t *admin_leave(struct replica *replica, json_t *request)
{
    struct error error = {{0}};
    json_t *refusal = not_a_member(replica);
    if (refusal)
        return refusal;
    if (!replica->gcs || replica_standing(replica) != REPLICA_MEMBER)
        return admin_refusal("this replica is not in the group; remove it through a member");
    if (is_last(replica))
        return admin_refusal("this replica is the last one with data: nobody could go on; add "
                             "another one first");
    log_info("replica", "an operator asks this replica to leave the group");
    return done_or(replica_leave(replica, false, &error), &error);
}

json_t *admin_remove(struct replica *replica, json_t *request)
{
    struct error error = {{0}};
    json_int_t node = json_integer_value(json_object_get(request, "node"));
    json_t *refusal = not_a_member(replica);
    if (refusal)
        return refusal;
    if (node < 1 || node > 255)
        return admin_refusal("remove needs a node, 1 to 255");
    if (!replica->gcs)
        return admin_refusal("this replica is not in the group; ask a member");
    log_info("replica", "an operator removes node %d", (int)node);
    return done_or(replica_remove(replica, (uint8_t)node, &error), &error);
}

json_t *admin_drain(struct replica *replica, json_t *request)
{
    json_t *on = json_object_get(request, "on");
    json_t *refusal = not_a_member(replica);
    if (refusal)
        return refusal;
    if (!json_is_boolean(on))
        return admin_refusal("drain needs on, true or false");
    log_info("replica", "an operator %s", json_is_true(on) ? "drains it" : "lets clients in again");
    replica_drain(replica, json_is_true(on));
    return admin_done();
}

/* --- forced recovery -----------------------------------------------------------------------------
 */

static bool is_what_was_shown(const struct replica *replica, json_t *request)
{
    struct gcs_status order;
    gcs_status(replica->gcs, &order);
    json_t *epoch = json_object_get(request, "epoch"), *index = json_object_get(request, "index");
    return json_is_integer(epoch) && json_is_integer(index) &&
           (uint64_t)json_integer_value(epoch) == order.epoch &&
           (uint64_t)json_integer_value(index) == replica->apply.record.index;
}

static json_t *force(struct replica *replica, uint64_t lineage)
{
    struct error error = {{0}};
    uint64_t index;
    log_warning("replica", "an operator forces node %u to go on alone", replica->config.node);
    int rc = replica_force(replica, lineage, &index, &error);
    if (rc < 0)
        return admin_refusal(error.text);
    return json_pack("{s:b,s:I,s:I}", "ok", 1, "index", (json_int_t)index, "generation",
                     (json_int_t)replica->identity.lineage_generation);
}

json_t *admin_force(struct replica *replica, json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "name"));
    uint64_t lineage;
    json_t *refusal = not_a_member(replica);
    if (refusal)
        return refusal;
    if (!name || strcmp(name, replica->identity.name) != 0)
        return admin_refusal("force needs the cluster's name, as it is");
    if (admin_lineage(request, "lineage", &lineage) < 0)
        return admin_refusal("force needs a lineage, 16 hexadecimal digits");
    if (!replica->gcs || replica_standing(replica) != REPLICA_MEMBER)
        return admin_refusal("this replica is not a member of the last view: what it has is older "
                             "than what the group answered; recover from a member");
    if (order_goes_on(replica))
        return admin_refusal("the group runs: there is nothing to recover");
    if (!is_what_was_shown(replica, request))
        return admin_refusal("epoch or index are not what was shown: something came back "
                             "meanwhile; look again");
    return force(replica, lineage);
}
