/* A seeded run: every step one thing that can happen, at a member or link drawn at random. */
#include "group.h"

#include <stdio.h>
#include <string.h>

struct world {
    struct group *group;
    struct prng prng;
    struct random_run *run;
};

static uint8_t draw(struct world *world)
{
    return (uint8_t)prng_below(&world->prng, world->group->n);
}

static uint32_t few(struct world *world)
{
    return (uint32_t)(1 + prng_below(&world->prng, 4));
}

static void carry_some(struct world *world)
{
    uint8_t from = draw(world), to = draw(world);
    for (uint32_t count = few(world); count; count--)
        (void)group_carry(world->group, from, to);
}

static void send_some(struct world *world, uint8_t i)
{
    struct group *group = world->group;
    if (group->nodes[i].life == LIFE_UP && group->sent < GROUP_EVENTS_MAX / 4 &&
        group_multicast(group, i) == 0)
        world->run->multicasts++;
}

static void crash_or_restart(struct world *world, uint8_t i)
{
    struct group *group = world->group;
    struct node *node = &group->nodes[i];
    if (!world->run->crashes)
        return;
    if (node->life == LIFE_DOWN) {
        group_start(group, i);
    } else if (prng_chance(&world->prng, 1, 3u * world->group->n)) {
        uint32_t unstored = node->logged - node->stored;
        uint32_t keep = (uint32_t)prng_below(&world->prng, unstored + 1);
        group_crash(group, i, keep, prng_chance(&world->prng, 1, 2));
        world->run->crashed++;
        for (uint8_t j = 0; j < group->n; j++)
            if (j != i && prng_chance(&world->prng, 1, 4))
                group_death(group, j, i);
    }
}

/* Only where the others are a quorum. A node that has lost its disk comes back
 * as one that an operator adds. */
static void lose_disk(struct world *world, uint8_t i)
{
    struct group *group = world->group;
    bool whole = group->n > 2 && group->nodes[i].life == LIFE_UP && !group->nodes[i].witness &&
                 group_view(group, i) == (1u << group->n) - 1;
    for (uint8_t j = 0; j < group->n; j++)
        whole = whole && group->nodes[j].running && group_epoch(group, j) == group_epoch(group, i);
    if (!world->run->crashes || !whole || !prng_chance(&world->prng, 1, 5))
        return;
    group_crash(group, i, 0, false);
    group_wipe(group, i);
    group_start_outside(group, i, true);
}

static void pass_time(struct world *world)
{
    struct group *group = world->group;
    group->now_ns += prng_below(&world->prng, 20000000);
    for (uint8_t i = 0; i < group->n; i++)
        if (prng_chance(&world->prng, 1, 2))
            group_clock(group, i);
}

static void cut_or_connect(struct world *world)
{
    uint8_t i = draw(world), j = draw(world);
    if (i == j)
        return;
    if (prng_chance(&world->prng, 1, 5) && world->group->linked[i][j]) {
        group_cut(world->group, i, j);
        world->run->cut++;
    } else {
        group_connect(world->group, i, j);
    }
}

static void any_step(struct world *world)
{
    struct group *group = world->group;
    uint8_t i = draw(world);
    uint64_t what = prng_below(&world->prng, 1000);
    if (what < 480)
        carry_some(world);
    else if (what < 560)
        send_some(world, i);
    else if (what < 660)
        (void)group_store(group, i, few(world));
    else if (what < 740)
        (void)group_apply(group, i, few(world));
    else if (what < 790)
        (void)group_save(group, i);
    else if (what < 870)
        group_turn(group, i);
    else if (what < 920)
        group_tick(group, i);
    else if (what < 950)
        pass_time(world);
    else if (what < 960)
        (void)group_fetch(group, i);
    else if (what < 965)
        group_flush(group, i);
    else if (what < 975)
        world->run->reads += group_may_read(group, i);
    else if (what < 978)
        group_revive(group);
    else if (what < 992)
        cut_or_connect(world);
    else if (what < 999)
        crash_or_restart(world, i);
    else
        lose_disk(world, i);
}

static void say_stuck(struct group *group, uint8_t i, const char *text)
{
    const struct node *node = &group->nodes[i];
    if (!group->violation[0])
        snprintf(group->violation, sizeof group->violation,
                 "never at rest: %u: %s; delivered %lu of %lu, released %lu", i, text,
                 node->delivered, group->sequence_length - 1, node->released);
}

/* After the last fault everybody comes back and all that was released is everywhere. */
static void check_end(struct world *world)
{
    struct group *group = world->group;
    uint8_t ranks;
    for (uint8_t i = 0; i < group->n; i++)
        if (group->nodes[i].life == LIFE_DOWN)
            group_start(group, i);
    bool converged = group_converge(group);
    for (uint8_t i = 0; i < group->n; i++)
        if (group->nodes[i].life != LIFE_UP)
            say_stuck(group, i, group->nodes[i].reason);
    for (uint8_t i = 0; i < group->n && !converged; i++)
        if (group->nodes[i].life == LIFE_UP && gcs_core_waits_for(group->nodes[i].core, &ranks))
            say_stuck(group, i, gcs_core_waits_for(group->nodes[i].core, &ranks));
    if (!converged)
        say_stuck(group, 0, "it runs");
}

const char *random_run(uint64_t seed, struct random_run *run)
{
    static char violation[256];
    struct world world = {.run = run};
    prng_init(&world.prng, seed);
    uint64_t bits = prng_next(&world.prng);
    const struct gcs_measures measures = {bits & 1, bits & 2, bits & 4, bits & 8};
    world.group = group_create(run->members, run->members, run->witnesses, &measures,
                               run->durability, run->window);
    world.group->tracing = false;
    for (uint8_t i = 0; i < run->members; i++)
        group_start(world.group, i);
    group_connect_all(world.group);
    for (uint32_t s = 0; s < run->steps && !world.group->violation[0]; s++)
        any_step(&world);
    if (!world.group->violation[0])
        check_end(&world);
    run->views += world.group->counts[GCS_FRAME_INSTALL];
    run->joined += world.group->counts[GCS_FRAME_WELCOME];
    memcpy(violation, world.group->violation, sizeof violation);
    group_destroy(world.group);
    return violation[0] ? violation : NULL;
}
