/* tuttictl member add, and replace, which is add and then remove.
 *
 * The new replica is asked who it is, a member what the group is; then the new one is told, and
 * joins by itself. Everything after that is watching: interrupted, the same command goes on. */
#include "client/ctl_admin.h"
#include "client/ctl_group.h"

#include <stdio.h>
#include <string.h>

#define JOIN_TIMEOUT_NS (60ull * 1000 * 1000 * 1000) /* formatting waits for disks */

struct addition {
    const struct ctl_command *command;
    const struct ctl_member *member;
    struct ctl_group group;
    json_t *probe;  /* of the new replica */
    bool formatted; /* it belongs to the cluster already */
};

/* Of a node that the group knows already; *ret_done: it is there. */
static enum ctl_exit check_known(const struct addition *a, bool *ret_done)
{
    const struct ctl_member *member = a->member;
    const struct ctl_node *node = ctl_group_node(&a->group, member->node);
    if (node && node->member && strcmp(node->address, member->address) == 0) {
        *ret_done = true;
        return CTL_OK;
    }
    if (node && node->member) {
        fprintf(stderr,
                "tuttictl: node %u is a member already, at %s; give the new replica another id\n",
                member->node, node->address);
        return CTL_FAILED;
    }
    if (node && node->absent && !a->formatted) {
        fprintf(stderr,
                "tuttictl: the group waits for node %u, which was voted out and comes back with "
                "what it has; if that is lost: 'tuttictl member remove %u' first\n",
                member->node, member->node);
        return CTL_FAILED;
    }
    return CTL_OK;
}

static enum ctl_exit check_room(const struct addition *a)
{
    uint32_t members = 0;
    for (uint32_t i = 0; i < a->group.count; i++) {
        const struct ctl_node *node = &a->group.nodes[i];
        members += node->member;
        if (node->member && strcmp(node->address, a->member->address) == 0) {
            fprintf(stderr, "tuttictl: %s is the address of node %u; each replica has its own\n",
                    a->member->address, node->node);
            return CTL_FAILED;
        }
    }
    if (members < CTL_MEMBERS_MAX)
        return CTL_OK;
    fprintf(stderr,
            "tuttictl: the group has %u members, the most that there can be; remove one "
            "first\n",
            members);
    return CTL_FAILED;
}

static enum ctl_exit check_state(struct addition *a)
{
    char state[32], name[64], cluster[40];
    const char *address = a->member->address;
    json_int_t node = json_integer_value(json_object_get(a->probe, "node"));
    if (node != a->member->node) {
        fprintf(stderr,
                "tuttictl: %s says that it is node %lld, not %u; correct `node` in its "
                "configuration or the command\n",
                address, (long long)node, a->member->node);
        return CTL_FAILED;
    }
    ctl_text(a->probe, "state", state, sizeof state);
    if (strcmp(state, "waiting") == 0)
        return CTL_OK;
    ctl_text(a->probe, "name", name, sizeof name);
    ctl_text(a->probe, "cluster", cluster, sizeof cluster);
    a->formatted = strcmp(cluster, a->group.cluster) == 0;
    if (strcmp(state, "removed") == 0) {
        fprintf(stderr,
                "tuttictl: %s was removed from cluster '%s'; stop it, empty its data directory and "
                "start it with --init\n",
                address, name);
        return CTL_FAILED;
    }
    if (a->formatted && json_integer_value(json_object_get(a->probe, "generation")) ==
                            (json_int_t)a->group.generation)
        return CTL_OK;
    if (a->formatted) {
        fprintf(stderr,
                "tuttictl: %s is of an older lineage: the cluster was recovered by force without "
                "it; stop it, empty its data directory and start it with --init\n",
                address);
        return CTL_FAILED;
    }
    fprintf(stderr,
            "tuttictl: %s belongs to cluster '%s' (%s) already; give it an empty data directory "
            "and start it with --init\n",
            address, name, cluster);
    return CTL_FAILED;
}

static json_t *contacts(const struct ctl_group *group)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < group->count; i++) {
        const struct ctl_node *node = &group->nodes[i];
        if (node->member &&
            json_array_append_new(array,
                                  json_pack("{s:i,s:s,s:b}", "node", (int)node->node, "address",
                                            node->address, "witness", (int)node->witness)) < 0)
            break;
    }
    return array;
}

/* What the new replica has to know; @known: the probe of a member. */
static json_t *join_request(const struct addition *a, json_t *known)
{
    static const char *const same[] = {"name",       "cluster", "lineage",
                                       "generation", "time",    "limits"};
    json_t *request = json_pack("{s:s,s:o}", "verb", "join", "members", contacts(&a->group));
    for (size_t i = 0; request && i < sizeof same / sizeof same[0]; i++)
        if (json_object_set(request, same[i], json_object_get(known, same[i])) < 0) {
            json_decref(request);
            return NULL;
        }
    return request;
}

static enum ctl_exit tell_limits(const struct addition *a, json_t *known)
{
    json_t *group = json_object_get(known, "limits"), *own = json_object_get(a->probe, "limits");
    if (json_equal(group, own))
        return CTL_OK;
    fprintf(stderr,
            "tuttictl: %s is configured with other limits than the group; give it the same "
            "[limits]:\n  the group: ",
            a->member->address);
    json_dumpf(group, stderr, JSON_COMPACT);
    fprintf(stderr, "\n  the new one: ");
    json_dumpf(own, stderr, JSON_COMPACT);
    fputc('\n', stderr);
    return CTL_FAILED;
}

static enum ctl_exit tell_it(const struct addition *a)
{
    enum ctl_exit result;
    const struct ctl_node *runner = ctl_group_runner(&a->group, 0);
    if (!runner)
        return ctl_group_must_run(&a->group);
    json_t *known = ctl_ask(runner->address, json_pack("{s:s}", "verb", "probe"),
                            a->command->timeout_ns, false, &result);
    if (!known)
        return result;
    result = tell_limits(a, known);
    if (result == CTL_OK)
        json_decref(
            ctl_ask(a->member->address, join_request(a, known), JOIN_TIMEOUT_NS, false, &result));
    json_decref(known);
    return result;
}

static enum ctl_exit prepare(struct addition *a, bool *ret_done)
{
    const struct ctl_command *command = a->command;
    enum ctl_exit result = ctl_group_find_running(command->addresses, command->address_count,
                                                  command->timeout_ns, &a->group);
    if (result == CTL_OK)
        result = ctl_group_must_run(&a->group);
    if (result != CTL_OK)
        return result;
    a->probe = ctl_ask(a->member->address, json_pack("{s:s}", "verb", "probe"), command->timeout_ns,
                       false, &result);
    if (!a->probe) {
        fprintf(stderr, "tuttictl: nothing was changed: the new replica has to run (tutti-mds "
                        "--init)\n");
        return result;
    }
    result = check_state(a);
    if (result == CTL_OK)
        result = check_known(a, ret_done);
    return result == CTL_OK && !*ret_done ? check_room(a) : result;
}

/* --- watching it --- */

static bool is_in(const struct ctl_group *group, uint8_t id)
{
    const struct ctl_node *node = ctl_group_node(group, id);
    return node && node->member && node->status &&
           json_is_true(json_object_get(node->status, "running"));
}

static void say_progress(struct ctl_wait *wait, const struct ctl_group *group, uint8_t id)
{
    char state[32], waiting[120] = "";
    const struct ctl_node *node = ctl_group_node(group, id);
    if (node && node->status)
        ctl_text(node->status, "waiting_for", waiting, sizeof waiting);
    if (!node || !node->status)
        ctl_wait_say(wait, "node %u: not to be reached; it goes on when it is back", id);
    else if (node->member)
        ctl_wait_say(wait, "node %u: in the view, about to run", id);
    else if (ctl_node_percent(group, node) < 0)
        ctl_wait_say(wait, "node %u: %s", id, ctl_node_state(node, state));
    else
        ctl_wait_say(wait, "node %u: %s, %d %%%s%s", id, ctl_node_state(node, state),
                     ctl_node_percent(group, node), *waiting ? ", " : "", waiting);
}

/* CTL_OK when it is in; otherwise 1 with *ret_more where waiting makes sense. */
static enum ctl_exit look(const struct addition *a, struct ctl_wait *wait, bool *ret_more)
{
    const struct ctl_command *command = a->command;
    const char *addresses[CTL_NODES_MAX + 1] = {a->member->address};
    uint32_t count = 1;
    char state[32] = "";
    struct ctl_group group;
    for (uint32_t i = 0; i < a->group.count; i++)
        addresses[count++] = a->group.nodes[i].address;
    enum ctl_exit result = ctl_group_find(addresses, count, command->timeout_ns, &group);
    const struct ctl_node *node = ctl_group_node(&group, a->member->node);
    *ret_more = true;
    if (result == CTL_OK && is_in(&group, a->member->node)) {
        ctl_group_finish(&group);
        return CTL_OK;
    }
    if (node && node->status)
        ctl_text(node->status, "state", state, sizeof state);
    *ret_more = strcmp(state, "removed") != 0 && strcmp(state, "failed") != 0;
    say_progress(wait, &group, a->member->node);
    ctl_group_finish(&group);
    return CTL_FAILED;
}

static enum ctl_exit watch(const struct addition *a)
{
    struct ctl_wait wait;
    bool more = true, time_left = true;
    enum ctl_exit result = CTL_FAILED;
    ctl_wait_begin(&wait, a->command);
    while (more && time_left && (result = look(a, &wait, &more)) != CTL_OK)
        time_left = ctl_wait_more(&wait);
    ctl_wait_end(&wait);
    if (result != CTL_OK && !more)
        fprintf(stderr,
                "tuttictl: node %u does not join any more: it was removed, or it failed; its log "
                "says why\n",
                a->member->node);
    else if (result != CTL_OK)
        fprintf(stderr,
                "tuttictl: node %u is not in the group yet; it goes on by itself, 'tuttictl member "
                "list' shows how far it is\n",
                a->member->node);
    return result;
}

static void tell_done(const struct ctl_command *command, uint8_t node, const char *what)
{
    if (command->json)
        printf("{\"ok\": true, \"node\": %u, \"result\": \"%s\"}\n", node, what);
    else
        printf("node %u: %s\n", node, what);
}

enum ctl_exit ctl_member_add(const struct ctl_command *command)
{
    struct addition a = {.command = command, .member = &command->members[0]};
    bool there = false;
    enum ctl_exit result = prepare(&a, &there);
    if (result == CTL_OK && !there && !a.formatted)
        result = tell_it(&a);
    if (result == CTL_OK && !command->no_wait)
        result = watch(&a);
    if (result == CTL_OK)
        tell_done(command, a.member->node,
                  there              ? "a member already"
                  : command->no_wait ? "joins by itself"
                                     : "a member now");
    json_decref(a.probe);
    ctl_group_finish(&a.group);
    return result;
}

enum ctl_exit ctl_member_replace(const struct ctl_command *command)
{
    struct ctl_group group;
    enum ctl_exit result =
        ctl_group_find(command->addresses, command->address_count, command->timeout_ns, &group);
    const struct ctl_node *old = ctl_group_node(&group, command->node);
    bool known = old && (old->member || old->absent);
    ctl_group_finish(&group);
    if (result != CTL_OK)
        return result;
    if (!known) {
        fprintf(stderr,
                "tuttictl: node %u does not belong to the group; to add another one: "
                "'tuttictl member add'\n",
                command->node);
        return CTL_FAILED;
    }
    result = ctl_member_add(command);
    return result == CTL_OK ? ctl_member_remove(command) : result;
}
