#include "tests/sim/trap.h"

#include "gcs-fastdelivery/frame.h"
#include "tests/sim/cluster.h"

#include <assert.h>
#include <stdio.h>

/* What a change of view, a join and a leave consist of: most traps wait for one of these. */
static const struct {
    uint8_t type;
    const char *name;
} frames[] = {
    {GCS_FRAME_PREPARE, "PREPARE"},   {GCS_FRAME_PROMISE, "PROMISE"},
    {GCS_FRAME_LEVEL, "LEVEL"},       {GCS_FRAME_PUSH, "PUSH"},
    {GCS_FRAME_STORED, "STORED"},     {GCS_FRAME_PROPOSE, "PROPOSE"},
    {GCS_FRAME_ACCEPTED, "ACCEPTED"}, {GCS_FRAME_INSTALL, "INSTALL"},
    {GCS_FRAME_AGREE, "AGREE"},       {GCS_FRAME_JOIN, "JOIN"},
    {GCS_FRAME_FEED, "FEED"},         {GCS_FRAME_FEED_EPOCH, "FEED_EPOCH"},
    {GCS_FRAME_FED, "FED"},           {GCS_FRAME_SNAPSHOT, "SNAPSHOT"},
    {GCS_FRAME_LEAVE, "LEAVE"},       {GCS_FRAME_DATA, "DATA"},
};

static const char *const moments[] = {"view",  "epoch", "save",     "saved",  "store",
                                      "flush", "out",   "snapshot", "opening"};

enum {
    FRAMES = sizeof frames / sizeof *frames,
    CHAIN_FRAMES = 9, /* those that a change of view always has */
    CHAIN_DEEP = 3,
};

static_assert(TRAP_POINTS == 2 * FRAMES + sizeof moments / sizeof *moments, "a name for each");
static_assert(TRAP_MOMENT_END - TRAP_VIEW == sizeof moments / sizeof *moments, "all moments");

/* Points: frames sent, frames taken, moments. */
static uint32_t moment_of(uint32_t point)
{
    if (point >= 2 * FRAMES)
        return TRAP_VIEW + point - 2 * FRAMES;
    return point < FRAMES ? TRAP_SENT + frames[point].type
                          : TRAP_RECEIVED + frames[point - FRAMES].type;
}

const char *trap_name(uint32_t point, char text[32])
{
    if (point >= 2 * FRAMES)
        snprintf(text, 32, "%s", moments[point - 2 * FRAMES]);
    else
        snprintf(text, 32, "%s %s", frames[point % FRAMES].name, point < FRAMES ? "sent" : "taken");
    return text;
}

static void wait_for(struct trap *trap, uint32_t point, uint32_t member, uint32_t most)
{
    struct world *world = &trap->cluster->world;
    trap->armed = true;
    trap->armed_ns = world->now_ns;
    trap->member = member;
    trap->countdown = (uint32_t)world_skewed(world, 1, most);
    trap->point = point;
    trap->moment = moment_of(point);
    world_note(world, "a trap waits for %u at %d, %u times", trap->moment, (int)trap->member,
               trap->countdown);
}

/* One more crash of the chain; it is one while nobody has installed the next view. */
static void chain_on(struct trap *trap)
{
    struct cluster *cluster = trap->cluster;
    if (cluster->checks.view_newest != trap->deep_epoch) {
        trap->deep = 0;
    } else if (++trap->deep == CHAIN_DEEP) {
        trap->deep = 0;
        cluster->faults.fired[FAULT_CHAIN]++;
        world_note(&cluster->world, "a change of view was interrupted three times");
    } else {
        uint64_t point = prng_below(&cluster->world.prng, 2 * CHAIN_FRAMES);
        wait_for(trap, (uint32_t)(point < CHAIN_FRAMES ? point : point - CHAIN_FRAMES + FRAMES),
                 TRAP_ANYBODY, 3);
    }
}

bool trap_chain(struct trap *trap)
{
    trap->deep = 0;
    trap->deep_epoch = trap->cluster->checks.view_newest;
    chain_on(trap);
    return true;
}

static void trap_shut(struct event *event)
{
    struct trap *trap = CONTAINER_OF(event, struct trap, event);
    struct faults *faults = &trap->cluster->faults;
    enum sim_death death = faults->set & FAULT_BIT(FAULT_POWER) && fault_draw(faults, 2)
                               ? SIM_DEATH_POWER
                               : SIM_DEATH_KILLED;
    if (trap->deep) {
        if (fault_crash_short(faults, trap->caught))
            chain_on(trap);
        else
            trap->deep = 0;
    } else if (fault_crash(faults, trap->caught, death)) {
        faults->fired[FAULT_CRASH_AT]++;
        trap->fired[trap->point]++;
    }
}

void trap_init(struct trap *trap, struct cluster *cluster)
{
    *trap = (struct trap){.cluster = cluster};
    trap->event = (struct event){.fire = trap_shut, .label = "trap"};
}

void trap_finish(struct trap *trap)
{
    trap->armed = false;
    event_stop(&trap->cluster->world, &trap->event);
}

/* What it waits for may never happen; then for something else. */
static const uint64_t PATIENCE_NS = SIM_S(1);

bool trap_arm(struct trap *trap)
{
    struct world *world = &trap->cluster->world;
    struct prng *prng = &world->prng;
    if (trap->event.place || (trap->armed && world->now_ns < trap->armed_ns + PATIENCE_NS))
        return false;
    trap->deep = 0;
    uint32_t member = prng_chance(prng, 1, 3)
                          ? (uint32_t)prng_below(prng, trap->cluster->member_count)
                          : TRAP_ANYBODY;
    wait_for(trap, (uint32_t)prng_below(prng, TRAP_POINTS), member, 12);
    return true;
}

/* The turn in which it happened ends; nothing else does. */
void trap_note(struct trap *trap, uint32_t member, uint32_t moment)
{
    if (trap->armed && trap->deep && trap->cluster->checks.view_newest != trap->deep_epoch) {
        trap->armed = false; /* that change is over */
        trap->deep = 0;
    }
    if (!trap->armed || moment != trap->moment ||
        (trap->member != TRAP_ANYBODY && trap->member != member) || --trap->countdown > 0)
        return;
    trap->armed = false;
    trap->caught = member;
    event_start(&trap->cluster->world, &trap->event,
                prng_chance(&trap->cluster->world.prng, 1, 4)
                    ? world_skewed(&trap->cluster->world, 0, SIM_MS(2))
                    : 0);
}
