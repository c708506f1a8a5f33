/* tuttictl member remove, drain and undrain.
 *
 * Who is there is asked to leave by itself, in order; who is away is removed by the others. */
#include "client/ctl_admin.h"
#include "client/ctl_group.h"

#include <stdio.h>
#include <string.h>

static enum ctl_exit unknown(const struct ctl_group *group, uint8_t node)
{
    fprintf(stderr, "tuttictl: node %u does not belong to cluster '%s'; there are", node,
            group->name);
    for (uint32_t i = 0; i < group->count; i++)
        if (group->nodes[i].member || group->nodes[i].absent)
            fprintf(stderr, " %u", group->nodes[i].node);
    fputc('\n', stderr);
    return CTL_FAILED;
}

/* The group, and the node in it; NULL with *ret_exit. ctl_group_finish in any case. */
static const struct ctl_node *find(const struct ctl_command *command, struct ctl_group *group,
                                   enum ctl_exit *ret_exit)
{
    *ret_exit =
        command->verb == CTL_MEMBER_DRAIN || command->verb == CTL_MEMBER_UNDRAIN
            ? ctl_group_find(command->addresses, command->address_count, command->timeout_ns, group)
            : ctl_group_find_running(command->addresses, command->address_count,
                                     command->timeout_ns, group);
    if (*ret_exit != CTL_OK)
        return NULL;
    const struct ctl_node *node = ctl_group_node(group, command->node);
    if (node && (node->member || node->absent))
        return node;
    *ret_exit = unknown(group, command->node);
    return NULL;
}

static void tell(const struct ctl_command *command, const char *what)
{
    if (command->json)
        printf("{\"ok\": true, \"node\": %u, \"result\": \"%s\"}\n", command->node, what);
    else
        printf("node %u: %s\n", command->node, what);
}

/* Addresses of all but the node itself: whom to ask how the group goes on without it. */
static uint32_t others(const struct ctl_group *group, uint8_t node,
                       const char *addresses[CTL_NODES_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < group->count; i++)
        if (group->nodes[i].node != node && group->nodes[i].member)
            addresses[count++] = group->nodes[i].address;
    return count;
}

/* --- remove --- */

/* A replica that is between two views says so at once; it is asked again. Takes over `request`. */
static enum ctl_exit ask_to_change(const struct ctl_command *command, const char *address,
                                   json_t *request)
{
    enum ctl_exit result;
    struct ctl_wait wait;
    json_decref(ctl_ask(address, json_incref(request), command->timeout_ns, true, &result));
    if (result != CTL_OK) {
        ctl_wait_begin(&wait, command);
        (void)ctl_wait_more(&wait);
        json_decref(ctl_ask(address, json_incref(request), command->timeout_ns, false, &result));
    }
    json_decref(request);
    return result;
}

/* What to ask, and whom; NULL: nobody runs who could be asked. */
static json_t *removal(const struct ctl_group *group, const struct ctl_node *node,
                       const char **ret_address)
{
    const struct ctl_node *runner = ctl_group_runner(group, node->node);
    bool is_there = node->member && node->status;
    if (!is_there && !runner)
        return NULL;
    *ret_address = is_there ? node->address : runner->address;
    return is_there ? json_pack("{s:s}", "verb", "leave")
                    : json_pack("{s:s,s:i}", "verb", "remove", "node", (int)node->node);
}

static enum ctl_exit begin_removal(const struct ctl_command *command, const struct ctl_group *group,
                                   const struct ctl_node *node)
{
    const char *address;
    enum ctl_exit result = ctl_group_must_run(group);
    if (result != CTL_OK)
        return result;
    json_t *request = removal(group, node, &address);
    if (request)
        return ask_to_change(command, address, request);
    fprintf(stderr, "tuttictl: nobody that runs answers; try again\n");
    return CTL_FAILED;
}

/* True when the others' newest view does not name it any more. @again: ask for it once more, for
 * whoever was asked may have ended before it told the others. */
static bool is_gone(const struct ctl_command *command, const struct ctl_group *before, bool again)
{
    const char *addresses[CTL_NODES_MAX], *address;
    struct ctl_group group;
    enum ctl_exit result;
    uint32_t count = others(before, command->node, addresses);
    bool gone = false;
    if (ctl_group_find(addresses, count, command->timeout_ns, &group) == CTL_OK && group.running) {
        const struct ctl_node *node = ctl_group_node(&group, command->node);
        gone = !node || !(node->member || node->absent);
        json_t *request = gone || !again ? NULL : removal(&group, node, &address);
        if (request)
            json_decref(ctl_ask(address, request, command->timeout_ns, true, &result));
    }
    ctl_group_finish(&group);
    return gone;
}

static enum ctl_exit wait_gone(const struct ctl_command *command, const struct ctl_group *before)
{
    enum { AGAIN_EVERY = 20 };
    struct ctl_wait wait;
    bool gone, time_left = true;
    ctl_wait_begin(&wait, command);
    for (unsigned i = 1; !(gone = is_gone(command, before, i % AGAIN_EVERY == 0)) && time_left;
         i++) {
        ctl_wait_say(&wait, "node %u: about to be out of the group", command->node);
        time_left = ctl_wait_more(&wait);
    }
    ctl_wait_end(&wait);
    if (gone)
        return CTL_OK;
    fprintf(stderr,
            "tuttictl: node %u is not out of the group yet; 'tuttictl member list' shows when it "
            "is\n",
            command->node);
    return CTL_FAILED;
}

enum ctl_exit ctl_member_remove(const struct ctl_command *command)
{
    struct ctl_group group;
    enum ctl_exit result;
    const struct ctl_node *node = find(command, &group, &result);
    if (node)
        result = begin_removal(command, &group, node);
    if (result == CTL_OK && !command->no_wait)
        result = wait_gone(command, &group);
    if (result == CTL_OK)
        tell(command, command->no_wait ? "leaves by itself" : "removed");
    ctl_group_finish(&group);
    return result;
}

/* --- drain and undrain --- */

static enum ctl_exit wait_drained(const struct ctl_command *command, const char *address)
{
    struct ctl_wait wait;
    enum ctl_exit result;
    json_int_t clients = 1;
    bool time_left = true;
    ctl_wait_begin(&wait, command);
    while (clients > 0 && time_left) {
        json_t *status = ctl_ask(address, json_pack("{s:s}", "verb", "status"), command->timeout_ns,
                                 false, &result);
        if (!status)
            return result;
        clients = json_integer_value(json_object_get(status, "clients"));
        json_decref(status);
        ctl_wait_say(&wait, "node %u: %lld clients", command->node, (long long)clients);
        time_left = clients <= 0 || ctl_wait_more(&wait);
    }
    ctl_wait_end(&wait);
    if (clients <= 0)
        return CTL_OK;
    fprintf(stderr, "tuttictl: node %u still has %lld clients; it lets no new ones in\n",
            command->node, (long long)clients);
    return CTL_FAILED;
}

static enum ctl_exit set_drain(const struct ctl_command *command, const struct ctl_node *node,
                               bool on)
{
    enum ctl_exit result;
    json_decref(ctl_ask(node->address, json_pack("{s:s,s:b}", "verb", "drain", "on", (int)on),
                        command->timeout_ns, false, &result));
    return result == CTL_OK && on && !command->no_wait ? wait_drained(command, node->address)
                                                       : result;
}

enum ctl_exit ctl_member_drain(const struct ctl_command *command)
{
    struct ctl_group group;
    enum ctl_exit result;
    bool on = command->verb == CTL_MEMBER_DRAIN;
    const struct ctl_node *node = find(command, &group, &result);
    if (node)
        result = set_drain(command, node, on);
    if (result == CTL_OK)
        tell(command, !on                ? "takes clients again"
                      : command->no_wait ? "lets no new clients in"
                                         : "drained");
    ctl_group_finish(&group);
    return result;
}
