/* client/ctl_member*.c, ctl_group.c, ctl_recover.c: verbs that change a group, against a fake one.
 */
#include "tests/unit/client/ctl_rig.h"

#include <criterion/criterion.h>
#include <string.h>

enum { N1 = 1 << 1, N2 = 1 << 2, N3 = 1 << 3 };

static struct ctl_command command_at(int replica)
{
    return (struct ctl_command){.timeout_ns = 300000000,
                                .wait_ns = 5000000000,
                                .addresses = {world.replicas[replica].address},
                                .address_count = 1};
}

static void name_new(struct ctl_command *command, uint8_t node, const char *address)
{
    command->member_count = 1;
    command->members[0].node = node;
    strcpy(command->members[0].address, address);
}

/* --- list --- */

Test(ctl_members, list)
{
    setup_group(N1 | N2);
    world.group.absent = N3;
    world.group.witnesses = N2;
    world.replicas[1].witness = true;
    world.replicas[0].draining = true;
    begin();
    struct ctl_command command = command_at(0);
    cr_expect(run_prepared(ctl_member_list, &command) == CTL_OK, "%s", said);
    cr_expect(strstr(said, "epoch 5, running") && strstr(said, "witness"), "%s", said);
    cr_expect(strstr(said, "absent") && strstr(said, "draining"), "%s", said);
    command.json = true;
    cr_expect(run_prepared(ctl_member_list, &command) == CTL_OK, "%s", said);
    json_t *json = json_loads(said, 0, NULL), *members = json_object_get(json, "members");
    cr_assert(json_array_size(members) == 3, "%s", said);
    static const char *const states[] = {"member", "witness", "absent"};
    static const int lags[] = {10, -1, -1};
    for (size_t i = 0; i < 3; i++) {
        json_t *member = json_array_get(members, i);
        cr_expect(!strcmp(json_string_value(json_object_get(member, "state")), states[i]));
        cr_expect(json_integer_value(json_object_get(member, "lag")) == lags[i], "%s", said);
    }
    json_decref(json);
    teardown();
}

/* One that was asked and lags behind with its view is not believed. */
Test(ctl_members, list_finds_who_runs)
{
    setup_group(N1 | N2);
    world.group.running = false;
    world.group.waiting_for = "node 3";
    begin();
    struct ctl_command command = command_at(1);
    cr_expect(run_prepared(ctl_member_list, &command) == CTL_OK, "%s", said);
    cr_expect(strstr(said, "not running") && strstr(said, "waits: node 3"), "%s", said);
    teardown();
}

Test(ctl_members, list_of_nobody)
{
    const enum manner manners[REPLICAS] = {GONE, CIVIL, CIVIL};
    setup(manners);
    begin();
    struct ctl_command command = command_at(0);
    cr_expect(run_prepared(ctl_member_list, &command) == CTL_UNREACHABLE, "%s", said);
    teardown();
}

/* One that forced recovery left behind says that it runs, and is not believed. */
Test(ctl_members, list_of_two_lineages)
{
    setup_group(N1 | N2 | N3);
    world.replicas[0].behind = 1; /* and of a higher epoch */
    world.group.members = N2 | N3;
    begin();
    for (int asked = 0; asked < 2; asked++) {
        struct ctl_command command = command_at(asked);
        command.json = true;
        cr_expect(run_prepared(ctl_member_list, &command) == CTL_OK, "%s", said);
        json_t *json = json_loads(said, 0, NULL);
        cr_expect(json_integer_value(json_object_get(json, "asked")) == 2, "%s", said);
        json_t *members = json_object_get(json, "members"), *first = json_array_get(members, 0);
        cr_expect(json_array_size(members) == (asked ? 2 : 3), "%s", said);
        const char *state = json_string_value(json_object_get(first, "state"));
        cr_expect(!strcmp(state, asked ? "member" : "fenced"), "%s", said);
        json_decref(json);
    }
    struct ctl_command command = command_at(1);
    name_new(&command, 1, world.replicas[0].address);
    cr_expect(run_prepared(ctl_member_add, &command) == CTL_FAILED, "%s", said);
    cr_expect(strstr(said, "older lineage") && world.replicas[0].joins == 0, "%s", said);
    command.addresses[1] = world.replicas[0].address;
    command.address_count = 2;
    (void)run_prepared(ctl_status, &command);
    cr_expect(strstr(said, "older lineage"), "%s", said);
    teardown();
}

/* --- add --- */

Test(ctl_members, add)
{
    setup_group(N1 | N2);
    world.replicas[2].join_polls = 4;
    begin();
    struct ctl_command command = command_at(0);
    name_new(&command, 3, world.replicas[2].address);
    cr_expect(run_prepared(ctl_member_add, &command) == CTL_OK, "%s", said);
    cr_expect(strstr(said, "node 3: a member now") && strstr(said, "25 %"), "%s", said);
    cr_expect(world.replicas[2].joins == 1);
    cr_expect(run_prepared(ctl_member_add, &command) == CTL_OK, "%s", said);
    cr_expect(strstr(said, "a member already") && world.replicas[2].joins == 1, "%s", said);
    teardown();
}

Test(ctl_members, add_without_waiting)
{
    setup_group(N1 | N2);
    world.replicas[2].join_polls = 1000000;
    begin();
    struct ctl_command command = command_at(0);
    name_new(&command, 3, world.replicas[2].address);
    command.no_wait = command.json = true;
    cr_expect(run_prepared(ctl_member_add, &command) == CTL_OK, "%s", said);
    json_t *json = json_loads(said, 0, NULL);
    cr_expect(json_is_true(json_object_get(json, "ok")), "%s", said);
    json_decref(json);
    command.no_wait = false;
    command.wait_ns = 1; /* once more: goes on, and gives up watching */
    cr_expect(run_prepared(ctl_member_add, &command) == CTL_FAILED, "%s", said);
    cr_expect(strstr(said, "goes on by itself") && world.replicas[2].joins == 1, "%s", said);
    teardown();
}

Test(ctl_members, add_refuses)
{
    static const struct {
        int node, says_node, extra_inline;
        unsigned absent;
        bool running, own_address;
        const char *name, *cluster, *says, *state;
    } cases[] = {
        {4, 3, 0, 0, true, false, "", "", "says that it is node 3"},
        {3, 3, 1, 0, true, false, "", "", "other limits"},
        {3, 3, 0, N3, true, false, "", "", "member remove 3"},
        {3, 3, 0, 0, false, false, "", "", "does not run"},
        {3, 3, 0, 0, true, false, "other", "ff", "belongs to cluster 'other'"},
        {3, 3, 0, 0, true, false, "home", "0123456789abcdef0123456789abcdef", "was removed from",
         "removed"},
        {2, 2, 0, 0, true, false, "", "", "a member already, at"},
        {1, 1, 0, 0, true, true, "", "", "a member already"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup_group(N1 | N2);
        struct replica *r = &world.replicas[2];
        r->extra_inline = cases[i].extra_inline;
        strcpy(r->name, cases[i].name);
        strcpy(r->cluster, cases[i].cluster);
        r->state = cases[i].state;
        world.group.absent = cases[i].absent;
        world.group.running = cases[i].running;
        begin();
        struct ctl_command command = command_at(0);
        name_new(&command, (uint8_t)cases[i].node,
                 cases[i].own_address ? world.replicas[0].address : r->address);
        r->claims = cases[i].own_address ? 0 : cases[i].says_node;
        command.no_wait = true;
        enum ctl_exit code = run_prepared(ctl_member_add, &command);
        cr_expect(code == (cases[i].own_address ? CTL_OK : CTL_FAILED), "case %zu: %s", i, said);
        cr_expect(strstr(said, cases[i].says), "case %zu: %s", i, said);
        cr_expect(r->joins == 0, "case %zu joined", i);
        teardown();
    }
}

/* --- remove, replace, drain --- */

Test(ctl_members, remove_one_that_is_there)
{
    setup_group(N1 | N2 | N3);
    begin();
    struct ctl_command command = command_at(2);
    command.node = 3;
    cr_expect(run_prepared(ctl_member_remove, &command) == CTL_OK, "%s", said);
    cr_expect(strstr(said, "node 3: removed"), "%s", said);
    cr_expect(world.replicas[2].leaves == 1, "it was not asked to leave in order");
    cr_expect(world.group.members == (N1 | N2));
    teardown();
}

Test(ctl_members, remove_one_that_is_away)
{
    static const bool absent[] = {false, true};
    for (size_t i = 0; i < 2; i++) {
        setup_group(N1 | N2 | N3);
        world.replicas[2].manner = REFUSES;
        if (absent[i]) {
            world.group.members = N1 | N2;
            world.group.absent = N3;
        }
        begin();
        struct ctl_command command = command_at(1);
        command.node = 3;
        cr_expect(run_prepared(ctl_member_remove, &command) == CTL_OK, "%s", said);
        cr_expect(world.replicas[0].removes + world.replicas[1].removes == 1);
        cr_expect(world.replicas[2].leaves == 0);
        cr_expect(world.group.members == (N1 | N2) && world.group.absent == 0);
        teardown();
    }
}

Test(ctl_members, remove_refuses)
{
    setup_group(N1 | N2);
    begin();
    struct ctl_command command = command_at(0);
    command.node = 9;
    cr_expect(run_prepared(ctl_member_remove, &command) == CTL_FAILED);
    cr_expect(strstr(said, "there are 1 2"), "%s", said);
    world.group.running = false;
    command.node = 2;
    cr_expect(run_prepared(ctl_member_remove, &command) == CTL_FAILED);
    cr_expect(strstr(said, "does not run"), "%s", said);
    cr_expect(world.replicas[1].leaves == 0);
    teardown();
}

Test(ctl_members, replace)
{
    setup_group(N1 | N2);
    world.replicas[2].join_polls = 3;
    begin();
    struct ctl_command command = command_at(0);
    command.node = 9;
    name_new(&command, 3, world.replicas[2].address);
    cr_expect(run_prepared(ctl_member_replace, &command) == CTL_FAILED);
    cr_expect(world.replicas[2].joins == 0, "added for a node that is not there");
    command.node = 2;
    cr_expect(run_prepared(ctl_member_replace, &command) == CTL_OK, "%s", said);
    cr_expect(world.group.members == (N1 | N3) && world.replicas[1].leaves == 1);
    teardown();
}

Test(ctl_members, drain_waits_for_clients)
{
    setup_group(N1 | N2);
    world.replicas[1].clients = 3;
    begin();
    struct ctl_command command = command_at(0);
    command.node = 2;
    command.verb = CTL_MEMBER_DRAIN;
    cr_expect(run_prepared(ctl_member_drain, &command) == CTL_OK, "%s", said);
    cr_expect(strstr(said, "drained") && world.replicas[1].draining, "%s", said);
    cr_expect(world.replicas[1].clients == 0 && !world.replicas[0].draining);
    command.verb = CTL_MEMBER_UNDRAIN;
    cr_expect(run_prepared(ctl_member_drain, &command) == CTL_OK, "%s", said);
    cr_expect(!world.replicas[1].draining);
    teardown();
}

/* --- recover --- */

static void setup_loss(void)
{
    setup_group(N1 | N2 | N3);
    world.group.running = false;
    world.group.waiting_for = "node 2 or 3";
    world.replicas[1].manner = world.replicas[2].manner = REFUSES;
}

Test(ctl_members, recover_shows_first)
{
    setup_loss();
    begin();
    struct ctl_command command = command_at(0);
    cr_expect(run_prepared(ctl_recover, &command) == CTL_OK, "%s", said);
    cr_expect(strstr(said, "epoch 5 up to index 990") && strstr(said, "2023-11-14"), "%s", said);
    cr_expect(strstr(said, "not to be reached") && strstr(said, "node 2 or 3"), "%s", said);
    cr_expect(strstr(said, "what may be lost") && strstr(said, "nothing was changed"), "%s", said);
    cr_expect(world.replicas[0].forces == 0);
    command.json = true;
    cr_expect(run_prepared(ctl_recover, &command) == CTL_OK, "%s", said);
    json_t *json = json_loads(said, 0, NULL);
    cr_expect(json_array_size(json_object_get(json, "missing")) == 2, "%s", said);
    json_decref(json);
    teardown();
}

Test(ctl_members, recover_wants_the_name)
{
    setup_loss();
    begin();
    struct ctl_command command = command_at(0);
    command.force = true;
    command.yes_name = "homes";
    cr_expect(run_prepared(ctl_recover, &command) == CTL_FAILED, "%s", said);
    cr_expect(strstr(said, "not the name") && world.replicas[0].forces == 0, "%s", said);
    command.yes_name = "home";
    cr_expect(run_prepared(ctl_recover, &command) == CTL_OK, "%s", said);
    cr_expect(strstr(said, "generation 3") && strstr(said, "member add"), "%s", said);
    cr_expect(world.replicas[0].forces == 1);
    teardown();
}

Test(ctl_members, recover_refuses)
{
    static const struct {
        const char *state;
        bool running, witness;
        uint64_t other_index; /* of node 2, which can be reached; 0: it can't */
        const char *says;
    } cases[] = {{NULL, true, false, 0, "nothing to recover"},
                 {NULL, false, true, 0, "a witness"},
                 {"joining", false, false, 0, "no member that waits"},
                 {NULL, false, false, 991, "has more than this one"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup_loss();
        world.group.running = cases[i].running;
        world.replicas[0].state = cases[i].state;
        world.replicas[0].witness = cases[i].witness;
        if (cases[i].other_index) {
            world.replicas[1].manner = CIVIL;
            world.replicas[1].index = cases[i].other_index;
        }
        begin();
        struct ctl_command command = command_at(0);
        command.force = true;
        command.yes_name = "home";
        cr_expect(run_prepared(ctl_recover, &command) == CTL_FAILED, "case %zu: %s", i, said);
        cr_expect(strstr(said, cases[i].says), "case %zu: %s", i, said);
        cr_expect(world.replicas[0].forces == 0);
        teardown();
    }
}
