/* The liveness phase: see liveness.h. Which machines freeze, and how, is drawn: dead, standing
 * still, cut off, deaf or mute, or one pair of them cut (then either of the two may be left out).
 * The rest is a quorum of the view in which all are level, so nothing excuses it from going on: it
 * changes the view, and answers. A machine alone is killed and started again. */
#include "tests/sim/liveness.h"

#include "tests/sim/cluster.h"

#include <stdio.h>

enum freeze { FREEZE_DEAD, FREEZE_STILL, FREEZE_CUT, FREEZE_DEAF, FREEZE_MUTE, FREEZE_PAIR };
enum { WORK = 40 };

static const char *const names[] = {"dead", "still", "cut off", "deaf", "mute", "cut"};

static uint32_t in_view(const struct cluster *cluster)
{
    const struct check_view *view = checks_view_of(&cluster->checks, cluster->checks.view_newest);
    uint32_t set = 0;
    for (uint8_t rank = 0; view && rank < view->count; rank++)
        set |= 1u << (view->nodes[rank] - 1);
    return set;
}

bool liveness_possible(const struct cluster *cluster)
{
    uint32_t set = in_view(cluster);
    return cluster->durability == GCS_DURABILITY_DISK || (set & (set - 1));
}

static bool can_do_without(const struct cluster *cluster, uint32_t set, uint32_t frozen)
{
    const struct check_view *view = checks_view_of(&cluster->checks, cluster->checks.view_newest);
    return (frozen & ~set) == 0 && view && checks_is_quorum(view, set & ~frozen);
}

/* A minority, perhaps not the largest. 0: there is none. */
static uint32_t draw_minority(struct cluster *cluster, uint32_t set)
{
    uint32_t frozen = 0;
    for (int tries = 0; tries < 8; tries++) {
        uint32_t more = frozen | 1u << prng_below(&cluster->world.prng, cluster->member_count);
        if (can_do_without(cluster, set, more))
            frozen = more;
    }
    for (uint32_t i = 0; i < cluster->member_count && !frozen; i++)
        if (can_do_without(cluster, set, 1u << i))
            frozen = 1u << i;
    return frozen;
}

static void block(struct cluster *cluster, uint32_t from, uint32_t to, bool on)
{
    if (on)
        sim_net_block(&cluster->net, from, to);
    else
        sim_net_unblock(&cluster->net, from, to);
}

/* What frozen machines send (mute), or are sent (deaf), arrives nowhere; a pair: one link. */
static void block_all(struct cluster *cluster, bool on)
{
    const uint32_t frozen = cluster->frozen;
    const enum freeze how = cluster->frozen_how;
    for (uint32_t a = 0; a < cluster->member_count; a++)
        for (uint32_t b = 0; b < cluster->member_count; b++) {
            bool from = frozen >> a & 1, to = frozen >> b & 1;
            if (how == FREEZE_PAIR
                    ? from && to && a != b
                    : ((from && how != FREEZE_DEAF) || (to && how != FREEZE_MUTE)) && from != to)
                block(cluster, a, b, on);
        }
}

static void freeze_one(struct cluster *cluster, struct host *host)
{
    if (cluster->frozen_how == FREEZE_DEAD)
        host_crash(host, SIM_DEATH_KILLED);
    else if (cluster->frozen_how == FREEZE_STILL)
        process_pause(host->process, SIM_S(7 * 86400));
}

/* The second end of a link that breaks. */
static uint32_t with_partner(struct cluster *cluster, uint32_t set, uint32_t one)
{
    uint32_t other = 1u << prng_below(&cluster->world.prng, cluster->member_count);
    return (set & other) && other != one ? one | other : 0;
}

static void draw_freeze(struct cluster *cluster)
{
    uint32_t set = in_view(cluster), minority = draw_minority(cluster, set);
    cluster->frozen_how = (enum freeze)prng_below(&cluster->world.prng, FREEZE_PAIR + 1);
    if (cluster->frozen_how == FREEZE_PAIR)
        minority = with_partner(cluster, set, minority & -minority);
    if (!minority) {
        cluster->frozen_how = FREEZE_DEAD;
        minority = draw_minority(cluster, set);
    }
    cluster->frozen = minority;
}

void liveness_freeze(struct cluster *cluster)
{
    draw_freeze(cluster);
    cluster->work_done = cluster->load_ops->done(cluster);
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (cluster->frozen >> i & 1) {
            world_note(&cluster->world, "%s is %s for good", cluster->members[i].name,
                       names[cluster->frozen_how]);
            freeze_one(cluster, &cluster->members[i]);
        }
    if (cluster->frozen_how >= FREEZE_CUT)
        block_all(cluster, true);
    for (uint32_t i = 0; !cluster->frozen && i < cluster->member_count; i++)
        if (cluster->members[i].up) {
            host_crash(&cluster->members[i], SIM_DEATH_KILLED);
            host_restart_later(&cluster->members[i], SIM_MS(10));
        }
    cluster->load_ops->resume(cluster);
}

bool liveness_progress(struct cluster *cluster, char detail[256])
{
    snprintf(detail, 256, "a quorum is well, and no work gets done");
    return cluster->load_ops->done(cluster) >= cluster->work_done + WORK;
}

bool liveness_level(struct cluster *cluster, char detail[256])
{
    uint32_t view = in_view(cluster), well = 0;
    bool pair = cluster->frozen_how == FREEZE_PAIR;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        if ((view >> i & 1) && !checks_level(&cluster->checks, i, is_witness(cluster, i)))
            well = UINT32_MAX;
        if (cluster->seats[i].belongs && !(cluster->frozen >> i & 1) && well != UINT32_MAX)
            well |= 1u << i;
    }
    snprintf(detail, 256, "a quorum is well, and not level in one view");
    if (well == UINT32_MAX || (well & ~view) ||
        (pair ? __builtin_popcount(cluster->frozen & view) > 1 : (cluster->frozen & view) != 0))
        return false;
    return cluster->load_ops->drained(cluster, detail);
}

void liveness_thaw(struct cluster *cluster)
{
    if (cluster->frozen_how >= FREEZE_CUT)
        block_all(cluster, false);
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (cluster->frozen >> i & 1) {
            if (cluster->frozen_how == FREEZE_DEAD)
                host_restart_later(&cluster->members[i], SIM_MS(1));
            else if (cluster->frozen_how == FREEZE_STILL && cluster->members[i].up)
                process_resume(cluster->members[i].process);
        }
    cluster->frozen = 0;
}
