/* tuttictl recover: forced recovery of a group whose majority is lost for good.
 *
 * First all that can be reached are asked, so that the one that has most is taken: what it lacks is
 * lost. What is done is what was shown: the request names epoch and index, and the replica refuses
 * others.
 *
 * Source: docs/protocol.md, section 4 (all down). */
#include "client/ctl_admin.h"
#include "client/ctl_group.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define FORCE_TIMEOUT_NS (60ull * 1000 * 1000 * 1000) /* it opens everything again */

static json_int_t number(const json_t *status, const char *key)
{
    return json_integer_value(json_object_get(status, key));
}

static const char *time_text(json_int_t ns, char to[64])
{
    struct tm parts;
    time_t seconds = (time_t)(ns / 1000000000);
    if (ns <= 0 || !gmtime_r(&seconds, &parts) ||
        strftime(to, 64, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
        return strcpy(to, "unknown");
    return to;
}

/* --- what there is --- */

static void show_nodes(const struct ctl_group *group, uint8_t own)
{
    char state[32];
    for (uint32_t i = 0; i < group->count; i++) {
        const struct ctl_node *node = &group->nodes[i];
        if (node->node == own || !(node->member || node->absent))
            continue;
        if (!node->status)
            printf("  node %u at %s: %s, not to be reached\n", node->node, node->address,
                   ctl_node_state(node, state));
        else
            printf("  node %u at %s: %s, epoch %lld, index %lld\n", node->node, node->address,
                   ctl_node_state(node, state), (long long)number(node->status, "epoch"),
                   (long long)number(node->status, "index"));
    }
}

static void show(const struct ctl_group *group, const char *address, const json_t *status)
{
    char newest[64], epoch[64];
    printf("cluster %s (%s)\n", group->name, group->cluster);
    printf("node %lld at %s has epoch %lld up to index %lld\n", (long long)number(status, "node"),
           address, (long long)number(status, "epoch"), (long long)number(status, "index"));
    printf("  newest operation: %s; first of its epoch: %s\n",
           time_text(number(status, "time"), newest),
           time_text(number(status, "epoch_time"), epoch));
    printf("the others of the last view that it knows:\n");
    show_nodes(group, (uint8_t)number(status, "node"));
    printf("why it waits: %s\n", group->waiting_for[0] ? group->waiting_for : "it does not say");
    printf("what may be lost: operations that were answered and that this replica has not got. "
           "With\n  durability = disk an answered operation is stored by a majority, and need not "
           "be here;\n  where later views were agreed without this replica, all of theirs.\n");
}

static void show_json(const struct ctl_group *group, const char *address, const json_t *status)
{
    json_t *missing = json_array();
    for (uint32_t i = 0; i < group->count; i++)
        if (group->nodes[i].member && !group->nodes[i].status &&
            json_array_append_new(missing, json_integer(group->nodes[i].node)) < 0)
            break;
    json_t *object =
        json_pack("{s:b,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:s,s:o}", "ok", 1, "name", group->name,
                  "cluster", group->cluster, "address", address, "node", number(status, "node"),
                  "epoch", number(status, "epoch"), "index", number(status, "index"), "time",
                  number(status, "time"), "epoch_time", number(status, "epoch_time"), "waiting_for",
                  group->waiting_for, "missing", missing);
    json_dumpf(object, stdout, JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(object);
}

/* --- whether it may be done --- */

static bool has_more(const json_t *other, const json_t *status)
{
    json_int_t a = number(other, "epoch"), b = number(status, "epoch");
    return a > b || (a == b && number(other, "index") > number(status, "index"));
}

static enum ctl_exit check_best(const struct ctl_group *group, const json_t *status)
{
    for (uint32_t i = 0; i < group->count; i++) {
        const struct ctl_node *node = &group->nodes[i];
        if (!node->status || node->node == number(status, "node"))
            continue;
        if (json_is_true(json_object_get(node->status, "running"))) {
            fprintf(stderr,
                    "tuttictl: the group runs at node %u (%s): there is nothing to recover\n",
                    node->node, node->address);
            return CTL_FAILED;
        }
        if (!node->witness && has_more(node->status, status)) {
            fprintf(stderr, "tuttictl: node %u (%s) has more than this one; recover there\n",
                    node->node, node->address);
            return CTL_FAILED;
        }
    }
    return CTL_OK;
}

static enum ctl_exit check_itself(const char *address, const json_t *status)
{
    char state[32];
    ctl_text(status, "state", state, sizeof state);
    if (strcmp(state, "running") == 0) {
        fprintf(stderr, "tuttictl: %s runs with its group: there is nothing to recover\n", address);
        return CTL_FAILED;
    }
    if (json_is_true(json_object_get(status, "witness"))) {
        fprintf(stderr, "tuttictl: %s is a witness: it has no data to go on from\n", address);
        return CTL_FAILED;
    }
    if (strcmp(state, "levelling") == 0)
        return CTL_OK;
    fprintf(stderr,
            "tuttictl: %s is no member that waits for its group (state %s); recover from a member "
            "of the last view\n",
            address, state);
    return CTL_FAILED;
}

static enum ctl_exit confirm(const struct ctl_command *command, const char *name)
{
    char line[128] = "";
    const char *typed = command->yes_name;
    if (!typed) {
        fprintf(stderr,
                "\nIf any other replica may come back, bring it back instead.\n"
                "To go on with what this replica has and fence all others, type the cluster's "
                "name: ");
        if (!fgets(line, sizeof line, stdin))
            line[0] = 0;
        line[strcspn(line, "\n")] = 0;
        typed = line;
    }
    if (strcmp(typed, name) == 0)
        return CTL_OK;
    fprintf(stderr, "tuttictl: that is not the name of the cluster; nothing was changed\n");
    return CTL_FAILED;
}

/* --- doing it --- */

static json_t *force_request(const struct ctl_group *group, const json_t *status)
{
    uint64_t random;
    char lineage[17];
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return NULL;
    snprintf(lineage, sizeof lineage, "%016llx", (unsigned long long)random);
    return json_pack("{s:s,s:s,s:s,s:I,s:I}", "verb", "force", "name", group->name, "lineage",
                     lineage, "epoch", number(status, "epoch"), "index", number(status, "index"));
}

static void tell(const struct ctl_command *command, const json_t *reply)
{
    if (command->json) {
        printf("{\"ok\": true, \"index\": %lld, \"generation\": %lld}\n",
               (long long)number(reply, "index"), (long long)number(reply, "generation"));
        return;
    }
    printf("%s goes on alone from index %lld, as generation %lld of the cluster.\n"
           "All other replicas are fenced: their data can't come back. To use one again, stop it, "
           "empty\nits data directory, start it with tutti-mds --init, then:\n"
           "  tuttictl member add NODE=HOST:PORT --at %s\n",
           command->addresses[0], (long long)number(reply, "index"),
           (long long)number(reply, "generation"), command->addresses[0]);
}

static enum ctl_exit force(const struct ctl_command *command, const struct ctl_group *group,
                           const json_t *status)
{
    enum ctl_exit result = confirm(command, group->name);
    if (result != CTL_OK)
        return result;
    json_t *reply = ctl_ask(command->addresses[0], force_request(group, status), FORCE_TIMEOUT_NS,
                            false, &result);
    if (reply)
        tell(command, reply);
    json_decref(reply);
    return result;
}

static enum ctl_exit recover(const struct ctl_command *command, const struct ctl_group *group,
                             const json_t *status)
{
    const char *address = command->addresses[0];
    enum ctl_exit result = check_itself(address, status);
    if (result == CTL_OK)
        result = check_best(group, status);
    if (result != CTL_OK)
        return result;
    if (!command->json)
        show(group, address, status);
    else if (!command->force)
        show_json(group, address, status);
    fflush(stdout);
    if (command->force)
        return force(command, group, status);
    if (!command->json)
        printf("nothing was changed; with --force this replica goes on alone from there\n");
    return CTL_OK;
}

enum ctl_exit ctl_recover(const struct ctl_command *command)
{
    struct ctl_group group = {.count = 0};
    enum ctl_exit result;
    json_t *status = ctl_ask(command->addresses[0], json_pack("{s:s}", "verb", "status"),
                             command->timeout_ns, false, &result);
    if (status)
        result = ctl_group_find(command->addresses, 1, command->timeout_ns, &group);
    if (result == CTL_OK)
        result = recover(command, &group, status);
    ctl_group_finish(&group);
    json_decref(status);
    return result;
}
