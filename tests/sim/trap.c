#include "tests/sim/trap.h"

#include "gcs-fastdelivery/frame.h"
#include "tests/sim/cluster.h"

/* What a change of view, a join and a leave consist of: most traps wait for one of these. */
static const uint8_t frames[] = {
    GCS_FRAME_PREPARE, GCS_FRAME_PROMISE,  GCS_FRAME_LEVEL,    GCS_FRAME_PUSH,
    GCS_FRAME_STORED,  GCS_FRAME_PROPOSE,  GCS_FRAME_ACCEPTED, GCS_FRAME_INSTALL,
    GCS_FRAME_AGREE,   GCS_FRAME_JOIN,     GCS_FRAME_FEED,     GCS_FRAME_FEED_EPOCH,
    GCS_FRAME_FED,     GCS_FRAME_SNAPSHOT, GCS_FRAME_LEAVE,    GCS_FRAME_DATA,
};

/* Those of them that a change of view always has. */
enum { CHAIN_FRAMES = 9, CHAIN_DEEP = 3 };

static void wait_for(struct trap *trap, uint32_t kinds, uint32_t member, uint32_t most)
{
    struct prng *prng = &trap->cluster->world.prng;
    trap->armed = true;
    trap->member = member;
    trap->countdown = (uint32_t)world_skewed(&trap->cluster->world, 1, most);
    trap->moment = frames[prng_below(prng, kinds)];
    trap->moment += prng_chance(prng, 1, 2) ? TRAP_SENT : TRAP_RECEIVED;
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
        wait_for(trap, CHAIN_FRAMES, TRAP_ANYBODY, 3);
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

bool trap_arm(struct trap *trap)
{
    struct prng *prng = &trap->cluster->world.prng;
    if (trap->armed)
        return false;
    uint32_t member = prng_chance(prng, 1, 3)
                          ? (uint32_t)prng_below(prng, trap->cluster->member_count)
                          : TRAP_ANYBODY;
    wait_for(trap, sizeof frames, member, 12);
    if (prng_chance(prng, 1, 3))
        trap->moment =
            (uint32_t)world_between(&trap->cluster->world, TRAP_VIEW, TRAP_MOMENT_END - 1);
    world_note(&trap->cluster->world, "a trap waits for %u at %d, %u times", trap->moment,
               (int)trap->member, trap->countdown);
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
