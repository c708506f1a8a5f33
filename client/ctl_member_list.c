/* tuttictl member list: who belongs to the group, as its newest view says, and what each says of
 * itself. */
#include "client/ctl_admin.h"
#include "client/ctl_group.h"

#include <stdio.h>
#include <string.h>

enum { COLUMN_COUNT = 9, CELL_BYTES = 132 };

static const char *const titles[COLUMN_COUNT] = {
    "NODE", "ADDRESS", "STATE", "RANK", "CONNECTED", "SERVING", "LAG", "LEVEL", "CLIENTS"};

typedef char row[COLUMN_COUNT][CELL_BYTES];

/* Messages that it has not applied; -1: not known. */
static int64_t lag_of(const struct ctl_group *group, const struct ctl_node *node)
{
    uint64_t applied = node->applied;
    json_t *index = json_object_get(node->status, "index");
    if (node->witness || (!node->member && !index))
        return -1;
    if (json_is_integer(index) && json_integer_value(index) > 0)
        applied = (uint64_t)json_integer_value(index);
    return applied >= group->delivered ? 0 : (int64_t)(group->delivered - applied);
}

static const char *serving_of(const struct ctl_node *node)
{
    if (!node->status)
        return "-";
    if (!json_is_true(json_object_get(node->status, "running")) || node->witness)
        return "no";
    return json_is_true(json_object_get(node->status, "draining")) ? "draining" : "yes";
}

static void number_cell(char *cell, int64_t value, const char *unit)
{
    if (value >= 0)
        snprintf(cell, CELL_BYTES, "%lld%s", (long long)value, unit);
}

static void fill_row(const struct ctl_group *group, const struct ctl_node *node, row cells)
{
    char state[32];
    memset(cells, 0, sizeof(row));
    number_cell(cells[0], node->node, "");
    snprintf(cells[1], CELL_BYTES, "%s", node->address);
    snprintf(cells[2], CELL_BYTES, "%s", ctl_node_state(node, state));
    number_cell(cells[3], node->member ? node->rank : -1, "");
    if (node->member)
        strcpy(cells[4], node->connected ? "yes" : "no");
    strcpy(cells[5], serving_of(node));
    number_cell(cells[6], lag_of(group, node), "");
    number_cell(cells[7], ctl_node_percent(group, node), "%");
    ctl_text(node->status, "clients", cells[8], CELL_BYTES);
    for (int c = 0; c < COLUMN_COUNT; c++)
        if (!cells[c][0])
            strcpy(cells[c], "-");
}

static void print_row(row cells, const int widths[COLUMN_COUNT])
{
    for (int c = 0; c < COLUMN_COUNT; c++)
        printf("%-*s%s", c < COLUMN_COUNT - 1 ? widths[c] : 0, cells[c],
               c < COLUMN_COUNT - 1 ? "  " : "\n");
}

static void print_table(const struct ctl_group *group)
{
    row rows[CTL_NODES_MAX + 1];
    int widths[COLUMN_COUNT] = {0};
    for (int c = 0; c < COLUMN_COUNT; c++)
        strcpy(rows[0][c], titles[c]);
    for (uint32_t i = 0; i < group->count; i++)
        fill_row(group, &group->nodes[i], rows[i + 1]);
    for (uint32_t i = 0; i <= group->count; i++)
        for (int c = 0; c < COLUMN_COUNT; c++)
            if ((int)strlen(rows[i][c]) > widths[c])
                widths[c] = (int)strlen(rows[i][c]);
    printf("cluster %s (%s), epoch %llu, %s\n", group->name, group->cluster,
           (unsigned long long)group->epoch, group->running ? "running" : "not running");
    for (uint32_t i = 0; i <= group->count; i++)
        print_row(rows[i], widths);
}

static json_t *node_json(const struct ctl_group *group, const struct ctl_node *node)
{
    char state[32];
    json_t *object = json_pack(
        "{s:i,s:s,s:s,s:b,s:b,s:b,s:I,s:i,s:b}", "node", (int)node->node, "address", node->address,
        "state", ctl_node_state(node, state), "witness", (int)node->witness, "connected",
        (int)node->connected, "reached", (int)(node->status != NULL), "lag",
        (json_int_t)lag_of(group, node), "percent", ctl_node_percent(group, node), "draining",
        (int)json_is_true(json_object_get(node->status, "draining")));
    if (object && node->member &&
        json_object_set_new(object, "rank", json_integer(node->rank)) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* Members without a number of a kind have -1: lag of a witness, percent of who does not join. */
static void print_json(const struct ctl_group *group)
{
    json_t *nodes = json_array();
    for (uint32_t i = 0; i < group->count; i++)
        if (json_array_append_new(nodes, node_json(group, &group->nodes[i])) < 0)
            break;
    json_t *object =
        json_pack("{s:b,s:s,s:s,s:I,s:b,s:s,s:i,s:o}", "ok", 1, "name", group->name, "cluster",
                  group->cluster, "epoch", (json_int_t)group->epoch, "running", (int)group->running,
                  "waiting_for", group->waiting_for, "asked", (int)group->asked, "members", nodes);
    json_dumpf(object, stdout, JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(object);
}

enum ctl_exit ctl_member_list(const struct ctl_command *command)
{
    struct ctl_group group;
    enum ctl_exit result =
        ctl_group_find(command->addresses, command->address_count, command->timeout_ns, &group);
    if (result == CTL_OK && command->json)
        print_json(&group);
    else if (result == CTL_OK)
        print_table(&group);
    fflush(stdout);
    if (result == CTL_OK && group.waiting_for[0])
        fprintf(stderr, "tuttictl: the group waits: %s\n", group.waiting_for);
    ctl_group_finish(&group);
    return result;
}
