/* The group, asked in two rounds: the addresses that were given, then everybody whom the best of
 * their answers names. The best answer is of the newest lineage, then of a group that runs, then of
 * the newest epoch. */
#include "client/ctl_group.h"
#include "client/ctl_admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t number_of(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value < 0 ? 0 : (uint64_t)value;
}

static bool truth_of(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* --- the nodes of one answer --- */

/* The entry of `node`, a new one if need be; NULL: the table is full. */
static struct ctl_node *node_at(struct ctl_group *group, uint64_t node)
{
    if (node < 1 || node > CTL_NODE_MAX)
        return NULL;
    for (uint32_t i = 0; i < group->count; i++)
        if (group->nodes[i].node == node)
            return &group->nodes[i];
    if (group->count == CTL_NODES_MAX)
        return NULL;
    group->nodes[group->count] = (struct ctl_node){.node = (uint8_t)node};
    return &group->nodes[group->count++];
}

static struct ctl_node *take_node(struct ctl_group *group, const json_t *object)
{
    struct ctl_node *node = node_at(group, number_of(object, "node"));
    if (!node)
        return NULL;
    ctl_text(object, "address", node->address, sizeof node->address);
    node->witness = truth_of(object, "witness");
    return node;
}

static void take_members(struct ctl_group *group, const json_t *status)
{
    json_t *members = json_object_get(status, "members");
    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *object = json_array_get(members, i);
        struct ctl_node *node = take_node(group, object);
        if (!node)
            continue;
        node->member = true;
        node->rank = (int)i;
        node->applied = number_of(object, "applied");
        node->connected = truth_of(object, "connected") || node->node == group->asked;
    }
}

static void take_view(struct ctl_group *group, const json_t *status)
{
    json_t *absent = json_object_get(status, "absent");
    *group = (struct ctl_group){.generation = number_of(status, "generation"),
                                .epoch = number_of(status, "epoch"),
                                .delivered = number_of(status, "delivered"),
                                .running = truth_of(status, "running"),
                                .asked = (uint8_t)number_of(status, "node")};
    ctl_text(status, "name", group->name, sizeof group->name);
    ctl_text(status, "cluster", group->cluster, sizeof group->cluster);
    ctl_text(status, "waiting_for", group->waiting_for, sizeof group->waiting_for);
    take_members(group, status);
    for (size_t i = 0; i < json_array_size(absent); i++) {
        struct ctl_node *node = take_node(group, json_array_get(absent, i));
        if (node)
            node->absent = true;
    }
}

/* --- asking --- */

struct answers {
    struct ctl_exchange exchanges[CTL_ADDRESSES_MAX + CTL_NODES_MAX];
    uint32_t count;
};

static bool is_better(const json_t *a, const json_t *b)
{
    if (number_of(a, "generation") != number_of(b, "generation"))
        return number_of(a, "generation") > number_of(b, "generation");
    if (truth_of(a, "running") != truth_of(b, "running"))
        return truth_of(a, "running");
    return number_of(a, "epoch") > number_of(b, "epoch");
}

/* The answer to be believed; NULL: none that is of a cluster. */
static const json_t *best_of(const struct answers *answers)
{
    const json_t *best = NULL;
    for (uint32_t i = 0; i < answers->count; i++) {
        const json_t *reply = answers->exchanges[i].reply;
        if (reply && json_object_get(reply, "epoch") && (!best || is_better(reply, best)))
            best = reply;
    }
    return best;
}

static bool is_asked(const struct answers *answers, const char *address)
{
    for (uint32_t i = 0; i < answers->count; i++)
        if (!strcmp(answers->exchanges[i].address, address))
            return true;
    return false;
}

/* Asks those that were added from `first` on. */
static enum ctl_exit ask_from(struct answers *answers, uint32_t first, uint64_t timeout_ns)
{
    json_t *request = json_pack("{s:s}", "verb", "status");
    uint32_t count = answers->count - first;
    for (uint32_t i = first; i < answers->count; i++)
        answers->exchanges[i].request = request;
    bool failed =
        !request || (count && ctl_exchange_all(&answers->exchanges[first], count, timeout_ns) != 0);
    for (uint32_t i = first; i < answers->count; i++)
        answers->exchanges[i].request = NULL;
    json_decref(request);
    if (failed)
        fprintf(stderr, "tuttictl: out of memory\n");
    return failed ? CTL_FAILED : CTL_OK;
}

static void add_nodes(struct answers *answers, const struct ctl_group *group)
{
    for (uint32_t i = 0; i < group->count; i++)
        if (group->nodes[i].address[0] && !is_asked(answers, group->nodes[i].address))
            answers->exchanges[answers->count++] =
                (struct ctl_exchange){.address = group->nodes[i].address};
}

/* What each node says of itself, also of nodes that no view names (joiners, removed ones). */
static void keep_statuses(struct ctl_group *group, const struct answers *answers)
{
    char cluster[sizeof group->cluster];
    for (uint32_t i = 0; i < answers->count; i++) {
        json_t *reply = answers->exchanges[i].reply;
        ctl_text(reply, "cluster", cluster, sizeof cluster);
        struct ctl_node *node = reply && !strcmp(cluster, group->cluster)
                                    ? node_at(group, number_of(reply, "node"))
                                    : NULL;
        if (!node || node->status)
            continue;
        node->status = json_incref(reply);
        node->fenced = number_of(reply, "generation") != group->generation;
        if (!node->address[0])
            snprintf(node->address, sizeof node->address, "%s", answers->exchanges[i].address);
    }
}

static enum ctl_exit none_answered(const struct answers *answers)
{
    enum ctl_exit result = CTL_UNREACHABLE;
    for (uint32_t i = 0; i < answers->count; i++) {
        const struct ctl_exchange *e = &answers->exchanges[i];
        if (!e->reply)
            fprintf(stderr, "tuttictl: %s: %s\n", e->address, e->trouble);
        else
            fprintf(stderr,
                    "tuttictl: %s: this replica belongs to no cluster yet; ask a member of one\n",
                    e->address);
        result = e->reply ? CTL_FAILED : result;
    }
    return result;
}

static int by_node(const void *a, const void *b)
{
    const struct ctl_node *x = a, *y = b;
    return (int)x->node - (int)y->node;
}

/* Two rounds; the addresses of the second one are those of `named`. */
static enum ctl_exit ask_rounds(struct answers *answers, struct ctl_group *named,
                                uint64_t timeout_ns, struct ctl_group *group)
{
    enum ctl_exit result = ask_from(answers, 0, timeout_ns);
    const json_t *best = best_of(answers);
    if (result != CTL_OK || !best)
        return result != CTL_OK ? result : none_answered(answers);
    take_view(named, best);
    uint32_t first = answers->count;
    add_nodes(answers, named);
    result = ask_from(answers, first, timeout_ns);
    if (result != CTL_OK)
        return result;
    take_view(group, best_of(answers));
    keep_statuses(group, answers);
    qsort(group->nodes, group->count, sizeof group->nodes[0], by_node);
    return CTL_OK;
}

enum ctl_exit ctl_group_find(const char *const *addresses, uint32_t count, uint64_t timeout_ns,
                             struct ctl_group *ret_group)
{
    struct answers answers = {.count = 0};
    struct ctl_group named;
    *ret_group = (struct ctl_group){.count = 0};
    for (uint32_t i = 0; i < count && i < CTL_ADDRESSES_MAX; i++)
        if (!is_asked(&answers, addresses[i]))
            answers.exchanges[answers.count++] = (struct ctl_exchange){.address = addresses[i]};
    enum ctl_exit result = ask_rounds(&answers, &named, timeout_ns, ret_group);
    for (uint32_t i = 0; i < answers.count; i++)
        json_decref(answers.exchanges[i].reply);
    return result;
}

void ctl_group_finish(struct ctl_group *group)
{
    for (uint32_t i = 0; i < group->count; i++)
        json_decref(group->nodes[i].status);
    group->count = 0;
}

json_t *ctl_ask(const char *address, json_t *request, uint64_t timeout_ns, bool quiet,
                enum ctl_exit *ret_exit)
{
    struct ctl_exchange e = {.address = address, .request = request};
    char text[256];
    bool asked = request && ctl_exchange_all(&e, 1, timeout_ns) == 0;
    json_decref(request);
    *ret_exit = CTL_OK;
    if (asked && e.reply && json_is_true(json_object_get(e.reply, "ok")))
        return e.reply;
    *ret_exit = asked && !e.reply ? CTL_UNREACHABLE : CTL_FAILED;
    if (!asked)
        fprintf(stderr, "tuttictl: out of memory\n");
    else if (!quiet)
        fprintf(stderr, "tuttictl: %s: %s\n", address,
                e.reply ? ctl_text(e.reply, "error", text, sizeof text) : e.trouble);
    json_decref(e.reply);
    return NULL;
}

/* --- looking at it --- */

const struct ctl_node *ctl_group_node(const struct ctl_group *group, uint8_t node)
{
    for (uint32_t i = 0; i < group->count; i++)
        if (group->nodes[i].node == node)
            return &group->nodes[i];
    return NULL;
}

enum ctl_exit ctl_group_must_run(const struct ctl_group *group)
{
    if (group->running)
        return CTL_OK;
    fprintf(stderr,
            "tuttictl: the group does not run, so its membership can't be changed: %s; bring a "
            "majority back, or see 'tuttictl recover --help' if it is lost\n",
            group->waiting_for[0] ? group->waiting_for : "it waits");
    return CTL_FAILED;
}

const struct ctl_node *ctl_group_runner(const struct ctl_group *group, uint8_t but)
{
    const struct ctl_node *asked = ctl_group_node(group, group->asked);
    if (asked && asked->node != but && truth_of(asked->status, "running"))
        return asked;
    for (uint32_t i = 0; i < group->count; i++)
        if (group->nodes[i].node != but && group->nodes[i].member &&
            truth_of(group->nodes[i].status, "running"))
            return &group->nodes[i];
    return NULL;
}

const char *ctl_node_state(const struct ctl_node *node, char to[32])
{
    ctl_text(node->status, "state", to, 32);
    if (node->fenced)
        return "fenced";
    if (node->member)
        return node->witness ? "witness" : "member";
    if (node->absent && strcmp(to, "joining") != 0 && strcmp(to, "transferring") != 0)
        return "absent";
    return to[0] ? to : "unknown";
}

int ctl_node_percent(const struct ctl_group *group, const struct ctl_node *node)
{
    char state[32];
    json_t *transfer = json_object_get(node->status, "transfer");
    ctl_text(node->status, "state", state, sizeof state);
    if (node->member || (strcmp(state, "joining") != 0 && strcmp(state, "transferring") != 0))
        return -1;
    if (truth_of(transfer, "receiving"))
        return (int)number_of(transfer, "percent");
    uint64_t index = number_of(node->status, "index");
    if (group->delivered == 0 || index >= group->delivered)
        return 100;
    return (int)((double)index * 100 / (double)group->delivered);
}
