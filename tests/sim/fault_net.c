/* Faults of the network between members. Blocks are counted, so that they may overlap. */
#include "tests/sim/cluster.h"

static void unblock(struct faults *faults, struct fault_task *task)
{
    struct cluster *cluster = faults->cluster;
    sim_net_unblock(&cluster->net, task->a, task->b);
    world_note(&cluster->world, "host %u reaches host %u again", task->a, task->b);
}

static void block(struct faults *faults, uint32_t from, uint32_t to, uint64_t duration_ns)
{
    struct cluster *cluster = faults->cluster;
    if (cluster->net.blocked[from][to] > 100)
        return;
    world_note(&cluster->world, "host %u does not reach host %u", from, to);
    sim_net_block(&cluster->net, from, to);
    fault_heal_later(faults, unblock, from, to, duration_ns);
}

void fault_cut(struct faults *faults, uint32_t a, uint32_t b, uint64_t duration_ns)
{
    block(faults, a, b, duration_ns);
    block(faults, b, a, duration_ns);
}

/* Short ones, and those that are long enough for a change of view. */
uint64_t fault_duration(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    if (fault_draw(faults, 2))
        return world_skewed(&cluster->world, SIM_MS(5), SIM_S(1));
    return world_between(&cluster->world, cluster->suspect_after_ns / 2,
                         cluster->suspect_after_ns * 4);
}

static bool draw_pair(struct faults *faults, uint32_t *ret_a, uint32_t *ret_b)
{
    uint32_t count = faults->cluster->member_count;
    if (count < 2)
        return false;
    *ret_a = (uint32_t)fault_draw(faults, count);
    *ret_b = (*ret_a + 1 + (uint32_t)fault_draw(faults, count - 1)) % count;
    return true;
}

static bool cut_pair(struct faults *faults, bool both)
{
    uint32_t a, b;
    if (!draw_pair(faults, &a, &b))
        return false;
    uint64_t duration_ns = fault_duration(faults);
    block(faults, a, b, duration_ns);
    if (both)
        block(faults, b, a, duration_ns);
    return true;
}

/* Down and up for about as long as it takes to be suspected, n times. */
static void flap_once(struct faults *faults, struct fault_task *task)
{
    struct cluster *cluster = faults->cluster;
    uint64_t about = cluster->suspect_after_ns;
    uint64_t down_ns = world_between(&cluster->world, about / 2, about * 3 / 2);
    fault_cut(faults, task->a, task->b, down_ns);
    if (task->n > 1)
        fault_later(faults, flap_once, task->a, task->b, task->n - 1,
                    down_ns + world_between(&cluster->world, about / 4, about));
}

static bool flap(struct faults *faults)
{
    uint32_t a, b;
    if (!draw_pair(faults, &a, &b))
        return false;
    fault_later(faults, flap_once, a, b, 2 + fault_draw(faults, 6), 0);
    return true;
}

void fault_isolate(struct faults *faults, uint32_t member, uint64_t duration_ns)
{
    for (uint32_t other = 0; other < faults->cluster->member_count; other++)
        if (other != member)
            fault_cut(faults, member, other, duration_ns);
}

static void clog_one(struct faults *faults, struct fault_task *task)
{
    fault_isolate(faults, task->a, task->n);
}

/* Each at a moment of its own, for a time of its own. */
static bool clog_some(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    bool any = false;
    for (uint32_t i = 0; i < cluster->member_count && cluster->member_count > 1; i++) {
        if (fault_draw(faults, 2))
            continue;
        any = true;
        fault_later(faults, clog_one, i, 0,
                    world_between(&cluster->world, SIM_MS(50), cluster->suspect_after_ns * 4),
                    world_between(&cluster->world, 0, cluster->suspect_after_ns * 2));
    }
    return any;
}

static bool isolate(struct faults *faults)
{
    if (faults->cluster->member_count < 2)
        return false;
    fault_isolate(faults, (uint32_t)fault_draw(faults, faults->cluster->member_count),
                  fault_duration(faults));
    return true;
}

/* As when its cable is pulled and its kernel says so: both ends know at once. */
static bool unplug(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    uint32_t member = (uint32_t)fault_draw(faults, cluster->member_count);
    if (cluster->member_count < 2)
        return false;
    fault_isolate(faults, member, fault_duration(faults));
    sim_net_end_blocked(&cluster->net, member);
    return true;
}

static void undo_slow_link(struct faults *faults, struct fault_task *task)
{
    sim_net_slow(&faults->cluster->net, task->a, task->b, 0);
}

static bool slow_link(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    uint32_t a, b;
    if (!draw_pair(faults, &a, &b))
        return false;
    uint64_t slower_ns = world_skewed(&cluster->world, SIM_MS(1), SIM_MS(200));
    sim_net_slow(&cluster->net, a, b, slower_ns);
    world_note(&cluster->world, "host %u and host %u are %llu us slower", a, b,
               (unsigned long long)slower_ns / 1000);
    fault_heal_later(faults, undo_slow_link, a, b, fault_duration(faults));
    return true;
}

static void undo_swallow(struct faults *faults, struct fault_task *task)
{
    struct cluster *cluster = faults->cluster;
    sim_net_swallow(&cluster->net, task->a, task->b, 0);
    world_note(&cluster->world, "host %u reaches host %u with large frames, too", task->a, task->b);
}

static void swallow(struct faults *faults, uint32_t from, uint32_t to, uint32_t bytes,
                    uint64_t duration_ns)
{
    sim_net_swallow(&faults->cluster->net, from, to, bytes);
    fault_heal_later(faults, undo_swallow, from, to, duration_ns);
}

/* One way, or both; as where a path has a smaller MTU than its ends know. */
static bool black_hole(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    uint32_t a, b;
    if (!draw_pair(faults, &a, &b) || cluster->net.frame_bytes_max[a][b] ||
        cluster->net.frame_bytes_max[b][a])
        return false;
    uint32_t bytes = (uint32_t)world_between(&cluster->world, 200, 1500);
    uint64_t duration_ns = fault_duration(faults);
    world_note(&cluster->world, "what is larger than %u bytes does not get from host %u to host %u",
               bytes, a, b);
    swallow(faults, a, b, bytes, duration_ns);
    if (fault_draw(faults, 2))
        swallow(faults, b, a, bytes, duration_ns);
    return true;
}

static bool split(struct faults *faults)
{
    uint32_t count = faults->cluster->member_count, all = (1u << count) - 1;
    uint32_t part = (uint32_t)fault_draw(faults, all + 1);
    uint64_t duration_ns = fault_duration(faults);
    if (part == 0 || part == all)
        return false;
    for (uint32_t a = 0; a < count; a++)
        for (uint32_t b = 0; b < count; b++)
            if ((part >> a & 1) && !(part >> b & 1))
                fault_cut(faults, a, b, duration_ns);
    return true;
}

bool fault_net(struct faults *faults, enum fault_kind kind)
{
    struct cluster *cluster = faults->cluster;
    switch (kind) {
    case FAULT_RESET:
        return sim_net_reset(&cluster->net, (uint32_t)fault_draw(faults, cluster->member_count));
    case FAULT_STALL:
        return sim_net_stall(&cluster->net, world_skewed(&cluster->world, SIM_MS(2), SIM_S(2)));
    case FAULT_PARTITION:
        return cut_pair(faults, true);
    case FAULT_ONE_WAY:
        return cut_pair(faults, false);
    case FAULT_FLAP:
        return flap(faults);
    case FAULT_CLOG:
        return clog_some(faults);
    case FAULT_ISOLATE:
        return isolate(faults);
    case FAULT_SPLIT:
        return split(faults);
    case FAULT_UNPLUG:
        return unplug(faults);
    case FAULT_SLOW_LINK:
        return slow_link(faults);
    case FAULT_CORRUPT:
        return sim_net_spoil(&cluster->net, &faults->fired[FAULT_CORRUPT]);
    case FAULT_BLACK_HOLE:
        return black_hole(faults);
    default:
        return false;
    }
}
