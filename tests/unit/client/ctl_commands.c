/* client/ctl_create.c, ctl_status.c, ctl_admin.c: the commands against replicas of every kind. */
#include "tests/unit/client/ctl_rig.h"

#include <criterion/criterion.h>
#include <string.h>

static int creates(void)
{
    int sum = 0;
    for (int i = 0; i < REPLICAS; i++)
        sum += world.replicas[i].creates;
    return sum;
}

static void check_one_cluster(void)
{
    for (int i = 0; i < REPLICAS; i++) {
        const struct replica *r = &world.replicas[i];
        cr_expect(strlen(r->cluster) == 32 && strlen(r->lineage) == 16);
        cr_expect(!strcmp(r->cluster, world.replicas[0].cluster));
        cr_expect(!strcmp(r->lineage, world.replicas[0].lineage));
        cr_expect(!strcmp(r->name, "home"));
        cr_expect(r->time > 0 && r->time == world.replicas[0].time);
    }
}

Test(ctl, create)
{
    setup(civil);
    begin();
    cr_expect(run_command(ctl_create, false) == CTL_OK, "%s", said);
    cr_expect(strstr(said, "home") && strstr(said, world.replicas[0].cluster), "%s", said);
    check_one_cluster();
    char cluster[64];
    strcpy(cluster, world.replicas[0].cluster);
    cr_expect(run_command(ctl_create, true) == CTL_OK, "%s", said);
    cr_expect(!strcmp(world.replicas[2].cluster, cluster), "a second time is another cluster");
    json_t *json = json_loads(said, 0, NULL);
    cr_expect(json_integer_value(json_object_get(json, "formatted_now")) == 0, "%s", said);
    json_decref(json);
    teardown();
}

Test(ctl, create_refuses_different_limits)
{
    setup(civil);
    world.replicas[1].extra_inline = 1;
    begin();
    cr_expect(run_command(ctl_create, false) == CTL_FAILED);
    cr_expect(strstr(said, "4097") && strstr(said, "same [limits]"), "%s", said);
    cr_expect(creates() == 0);
    teardown();
}

Test(ctl, create_goes_on)
{
    setup(civil);
    world.replicas[2].manner = FAILS;
    begin();
    cr_expect(run_command(ctl_create, false) == CTL_FAILED);
    cr_expect(strstr(said, "node 3") && strstr(said, "the disk is full"), "%s", said);
    world.replicas[2].manner = CIVIL;
    cr_expect(run_command(ctl_create, false) == CTL_OK, "%s", said);
    check_one_cluster();
    teardown();
}

Test(ctl, create_refuses)
{
    static const struct {
        enum manner second;
        const char *name, *cluster;
        int node;
        enum ctl_exit code;
        const char *says;
    } cases[] = {
        {GONE, "", "", 2, CTL_UNREACHABLE, "nothing was created"},
        {SILENT, "", "", 2, CTL_UNREACHABLE, "no answer in time"},
        {REFUSES, "", "", 2, CTL_UNREACHABLE, "refused: no?"},
        {NO_JSON, "", "", 2, CTL_UNREACHABLE, "not a JSON object"},
        {NO_OBJECT, "", "", 2, CTL_UNREACHABLE, "not a JSON object"},
        {NO_HELLO, "", "", 2, CTL_UNREACHABLE, "not a Tutti replica"},
        {CIVIL, "", "", 9, CTL_FAILED, "says that it is node 9"},
        {CIVIL, "work", "0123456789abcdef0123456789abcdef", 2, CTL_FAILED, "'work'"},
        {CIVIL, "home", "0123456789abcdef", 2, CTL_FAILED, "already"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const enum manner manners[REPLICAS] = {CIVIL, cases[i].second, CIVIL};
        setup(manners);
        struct replica *r = &world.replicas[1];
        strcpy(r->name, cases[i].name);
        strcpy(r->cluster, cases[i].cluster);
        r->node = cases[i].node;
        begin();
        cr_expect(run_command(ctl_create, false) == cases[i].code, "case %zu: %s", i, said);
        cr_expect(strstr(said, cases[i].says) && strstr(said, r->address), "case %zu: %s", i, said);
        cr_expect(creates() == 0, "case %zu: something was created", i);
        teardown();
    }
}

Test(ctl, create_refuses_two_clusters)
{
    setup(civil);
    for (int i = 0; i < 2; i++) {
        strcpy(world.replicas[i].name, "home");
        memset(world.replicas[i].cluster, 'a' + i, 32);
    }
    begin();
    cr_expect(run_command(ctl_create, false) == CTL_FAILED);
    cr_expect(strstr(said, "another cluster of the same name") && creates() == 0, "%s", said);
    teardown();
}

Test(ctl, status)
{
    setup(civil);
    world.replicas[1].index = 9;
    world.replicas[1].history = "bbbbbbbbbbbbbbbbbbbb"; /* at another index: nothing to compare */
    world.replicas[2].waiting_for = "node 4";
    begin();
    cr_expect(run_command(ctl_status, false) == CTL_OK, "%s", said);
    cr_expect(strstr(said, "NODE") && strstr(said, "aaaaaaaaaaaa ") && strstr(said, "running?[1m"),
              "%s", said);
    cr_expect(strstr(said, "waits: node 4"), "%s", said);
    teardown();
}

Test(ctl, status_says_who_differs)
{
    setup(civil);
    world.replicas[2].history = "bbbbbbbbbbbbbbbbbbbb";
    begin();
    cr_expect(run_command(ctl_status, false) == CTL_FAILED);
    cr_expect(strstr(said, "DIFFER at index 7"), "%s", said);
    teardown();
}

Test(ctl, status_json)
{
    const enum manner manners[REPLICAS] = {CIVIL, GONE, CIVIL};
    setup(manners);
    begin();
    cr_expect(run_command(ctl_status, true) == CTL_UNREACHABLE, "%s", said);
    int lines = 0;
    for (char *line = strtok(said, "\n"); line && line[0] == '{'; line = strtok(NULL, "\n")) {
        json_t *json = json_loads(line, 0, NULL);
        cr_assert(json_is_object(json), "%s", line);
        const char *address = json_string_value(json_object_get(json, "address"));
        cr_expect(!strcmp(address, world.replicas[lines].address));
        cr_expect(json_is_true(json_object_get(json, "ok")) == (lines != 1));
        json_decref(json);
        lines++;
    }
    cr_expect(lines == REPLICAS);
    teardown();
}
