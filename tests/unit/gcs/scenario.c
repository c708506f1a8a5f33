/* Sequences that a random run meets too seldom: see group.h. They end with what was violated. */
#include "group.h"

#include <stdio.h>
#include <string.h>

static const struct gcs_measures fast = {true, true, true, true};

static struct group *founded(uint8_t n)
{
    struct group *group = group_create(n, n, 0, &fast, GCS_DURABILITY_DISK, 8);
    for (uint8_t i = 0; i < n; i++)
        group_start(group, i);
    group_connect_all(group);
    group_wait(group, 100);
    return group;
}

/* Both granters restart while the holder is cut off: they forgot what they granted, and have to
 * wait. Otherwise they write, and the holder still reads. */
static void granters_restart(struct group *group)
{
    (void)group_multicast(group, 2);
    group_settle(group);
    group_isolate(group, 4);
    for (uint8_t i = 0; i < 2; i++) {
        group_crash(group, i, 0, false);
        group_start(group, i);
    }
    group_connect(group, 0, 1);
    for (int step = 0; step < 200 && !group->violation[0]; step++) {
        group->now_ns += UINT64_C(5000000);
        for (uint8_t i = 0; i < 3; i++) {
            group_clock(group, i);
            if (step % 10 == 9 && i < 2)
                group_tick(group, i);
        }
        group_settle(group);
        if (group->nodes[0].running)
            (void)group_multicast(group, 0);
        group_settle(group);
        (void)group_may_read(group, 2);
    }
}

/* 1 delivers what it and 2 have stored. All go down; 2 loses its disk and comes back under its old
 * name. With 0, which had not stored it, it is no quorum. */
static void wiped_disk_votes(struct group *group)
{
    (void)group_multicast(group, 1);
    for (int round = 0; round < 4; round++) {
        for (uint8_t i = 0; i < 3; i++)
            for (uint8_t j = 0; j < 3; j++)
                while (group_carry(group, i, j))
                    ;
        for (uint8_t i = 0; i < 3; i++) {
            (void)(i && group_store(group, i, UINT32_MAX));
            group_turn(group, i);
        }
    }
    for (uint8_t i = 0; i < 3; i++)
        group_crash(group, i, 0, false);
    group_wipe(group, 2);
    group_start(group, 0);
    group_start(group, 2);
    group_connect(group, 0, 2);
    group_wait(group, 3000);
    if (group->nodes[0].running)
        (void)group_multicast(group, 0);
    group_wait(group, 500);
    group_start(group, 1);
}

static const struct {
    const char *name;
    uint8_t members;
    void (*run)(struct group *group);
} scenarios[] = {
    {"granters restart", 3, granters_restart},
    {"a wiped disk votes", 3, wiped_disk_votes},
};

const char *scenario_run(unsigned number, const char **ret_name)
{
    static char violation[256];
    if (number >= sizeof scenarios / sizeof *scenarios)
        return *ret_name = NULL;
    struct group *group = founded(scenarios[number].members);
    group->tracing = false;
    *ret_name = scenarios[number].name;
    scenarios[number].run(group);
    if (!group->violation[0])
        (void)group_converge(group);
    memcpy(violation, group->violation, sizeof violation);
    group_destroy(group);
    return violation[0] ? violation : NULL;
}
