/* Faults of machines: crashes, outages, pauses, clocks. */
#include "tests/sim/cluster.h"

static uint32_t members_up(const struct cluster *cluster)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        count += cluster->members[i].up;
    return count;
}

static bool stays(const struct cluster *cluster, uint32_t member)
{
    return cluster->members[member].up && !(cluster->faults.stopping >> member & 1);
}

/* With durability in memory what was delivered is safe as long as a quorum of the view has not
 * restarted in it: a member of that quorum has each message. More is not promised. */
static bool memory_allows(const struct cluster *cluster, uint32_t member)
{
    const struct checks *checks = &cluster->checks;
    const struct check_view *view = checks_view_of(checks, checks->view_newest);
    uint32_t count = 0, lowest = UINT32_MAX, kept = 0;
    bool keeps_lowest = false;
    for (uint8_t rank = 0; view && rank < view->count; rank++) {
        uint32_t i = view->nodes[rank] - 1u;
        const struct check_member *m = &checks->members[i];
        bool keeps = i != member && stays(cluster, i) && m->inside && m->running &&
                     m->epoch == checks->view_newest;
        count++;
        kept += keeps;
        if (!(view->witnesses >> rank & 1) && lowest == UINT32_MAX) {
            lowest = i;
            keeps_lowest = keeps;
        }
    }
    return kept * 2 > count || (count && kept * 2 == count && keeps_lowest);
}

static bool data_kept(const struct cluster *cluster, uint32_t member)
{
    uint32_t data = checks_data_of(&cluster->checks, cluster->checks.view_newest);
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (i != member && (data >> i & 1) && cluster->checks.members[i].running &&
            stays(cluster, i))
            return true;
    return false;
}

/* ---- death notices ---- */

static void tell_death(struct faults *faults, struct fault_task *task)
{
    struct cluster *cluster = faults->cluster;
    const struct seat *dead = &faults->dead[task->a];
    if (!cluster->members[task->b].up || cluster->net.blocked[task->a][task->b] ||
        dead->incarnation_count != task->n)
        return;
    faults->fired[FAULT_DEATH]++;
    cluster->load_ops->death(cluster, task->a, task->b, dead);
}

/* The supervisor lives on and saw the end. */
static void tell_deaths(struct faults *faults, uint32_t member)
{
    struct cluster *cluster = faults->cluster;
    if (!(faults->set & FAULT_BIT(FAULT_DEATH)) || fault_draw(faults, 4) == 0)
        return;
    faults->dead[member] = cluster->seats[member];
    for (uint32_t to = 0; to < cluster->member_count; to++)
        if (to != member)
            fault_later(faults, tell_death, member, to, cluster->seats[member].incarnation_count,
                        world_skewed(&cluster->world, SIM_US(100), SIM_MS(400)));
}

/* ---- crashes ---- */

static void crash_again(struct faults *faults, struct fault_task *task)
{
    if (faults->cluster->members[task->a].lives == task->n &&
        fault_crash(faults, task->a, SIM_DEATH_KILLED))
        faults->fired[FAULT_CRASH_AGAIN]++;
}

/* Back after a while; sometimes killed again before it is what it was. */
static void back_later(struct faults *faults, uint32_t member, uint64_t delay_ns)
{
    struct cluster *cluster = faults->cluster;
    struct host *host = &cluster->members[member];
    if (!cluster->seats[member].belongs || faults->over)
        return;
    host_restart_later(host, delay_ns);
    if (faults->set & FAULT_BIT(FAULT_CRASH_AGAIN) && fault_draw(faults, 3) == 0)
        fault_later(faults, crash_again, member, 0, host->lives + 1,
                    delay_ns + world_skewed(&cluster->world, 0, SIM_MS(600)));
}

static bool may_end(const struct cluster *cluster, uint32_t member)
{
    if (!cluster->members[member].up)
        return false;
    return cluster->durability != GCS_DURABILITY_MEMORY || !cluster->seats[member].belongs ||
           (memory_allows(cluster, member) && data_kept(cluster, member));
}

static bool crash(struct faults *faults, uint32_t member, enum sim_death death, uint64_t back_ns)
{
    struct cluster *cluster = faults->cluster;
    struct host *host = &cluster->members[member];
    bool stopping = faults->stopping >> member & 1;
    if (!host->up || !(stopping || may_end(cluster, member)))
        return false;
    faults->stopping &= ~(1u << member);
    host->torn = faults->set & FAULT_BIT(FAULT_TORN);
    host_crash(host, death);
    if (host->torn && death == SIM_DEATH_POWER)
        faults->fired[FAULT_TORN]++;
    if (death == SIM_DEATH_KILLED)
        tell_deaths(faults, member);
    back_later(faults, member, back_ns);
    return true;
}

bool fault_crash(struct faults *faults, uint32_t member, enum sim_death death)
{
    struct world *world = &faults->cluster->world;
    return crash(faults, member, death,
                 fault_draw(faults, 3) ? world_skewed(world, SIM_MS(2), SIM_S(1))
                                       : world_between(world, SIM_MS(100), SIM_S(4)));
}

bool fault_crash_short(struct faults *faults, uint32_t member)
{
    return crash(faults, member, SIM_DEATH_KILLED,
                 world_skewed(&faults->cluster->world, SIM_MS(1), SIM_MS(100)));
}

/* One can't hear what the others, who have forgotten what they granted it, do now. */
static bool cut_and_crash(struct faults *faults, uint32_t alone)
{
    struct cluster *cluster = faults->cluster;
    uint64_t which = 1 + fault_draw(faults, (1u << cluster->member_count) - 1);
    bool any = false;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        any = (i != alone && (which >> i & 1) && fault_crash_short(faults, i)) || any;
    if (any)
        fault_isolate(faults, alone, fault_duration(faults));
    return any;
}

/* ---- stops: the process ends some time after it was told, done or not ---- */

static void stop_end(struct faults *faults, struct fault_task *task)
{
    struct world *world = &faults->cluster->world;
    const struct host *host = &faults->cluster->members[task->a];
    if (host->up && host->lives == task->b)
        crash(faults, task->a, SIM_DEATH_KILLED, world_skewed(world, SIM_MS(2), SIM_S(1)));
}

static bool stop(struct faults *faults, uint32_t member)
{
    struct cluster *cluster = faults->cluster;
    struct host *host = &cluster->members[member];
    if (!may_end(cluster, member) || faults->stopping >> member & 1 ||
        host->process->paused_until_ns > cluster->world.now_ns)
        return false;
    world_note(&cluster->world, "%s is stopped in order", host->name);
    faults->stopping |= 1u << member;
    fault_heal_later(faults, stop_end, member, (uint32_t)host->lives,
                     world_skewed(&cluster->world, SIM_MS(1), SIM_S(1)));
    cluster->load_ops->stop(cluster, member);
    return true;
}

static bool crash_all(struct faults *faults, enum sim_death death)
{
    struct cluster *cluster = faults->cluster;
    if (members_up(cluster) == 0 || cluster->durability != GCS_DURABILITY_DISK)
        return false;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        crash(faults, i, death, world_skewed(&cluster->world, SIM_MS(2), SIM_S(2)));
    return true;
}

static void outage_one(struct faults *faults, struct fault_task *task)
{
    crash(faults, task->a, task->b ? SIM_DEATH_POWER : SIM_DEATH_KILLED, task->n);
}

/* One after the other goes down; they come back in any order, when all have been down. */
static bool outage(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    uint32_t wiped = (uint32_t)fault_draw(faults, cluster->member_count);
    if (members_up(cluster) == 0 || cluster->durability != GCS_DURABILITY_DISK)
        return false;
    if (faults->set & FAULT_BIT(FAULT_WIPE) && fault_may_wipe(cluster, wiped) &&
        crash(faults, wiped, SIM_DEATH_POWER, SIM_MS(500))) {
        seat_add(cluster, wiped);
        faults->fired[FAULT_WIPE]++;
    }
    for (uint32_t i = 0; i < cluster->member_count; i++)
        fault_later(faults, outage_one, i, (uint32_t)fault_draw(faults, 2),
                    world_between(&cluster->world, SIM_MS(300), SIM_S(2)),
                    world_skewed(&cluster->world, 0, SIM_MS(300)));
    return true;
}

/* ---- pauses ---- */

static bool pause_one(struct faults *faults, uint32_t member, uint64_t duration_ns)
{
    struct cluster *cluster = faults->cluster;
    struct host *host = &cluster->members[member];
    if (!host->up)
        return false;
    world_note(&cluster->world, "%s stands still for %llu us", host->name,
               (unsigned long long)duration_ns / 1000);
    process_pause(host->process, duration_ns);
    return true;
}

static bool long_pause(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    uint64_t most = fault_draw(faults, 10) ? cluster->suspect_after_ns * 6 : SIM_S(120);
    return pause_one(faults, (uint32_t)fault_draw(faults, cluster->member_count),
                     world_between(&cluster->world, cluster->lease_ns, most));
}

static bool pause_all(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    uint64_t duration_ns = world_between(&cluster->world, SIM_MS(50), SIM_S(3));
    bool any = false;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        any =
            pause_one(faults, i, duration_ns + world_skewed(&cluster->world, 0, SIM_MS(50))) || any;
    return any;
}

/* Wall clocks are for file times only; CLOCK_BOOTTIME does not jump. */
static bool clock_jump(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    struct host *host = &cluster->members[fault_draw(faults, cluster->member_count)];
    if (!host->up)
        return false;
    int64_t jump_ns = (int64_t)fault_draw(faults, SIM_S(1200)) - (int64_t)SIM_S(600);
    host->process->wall_offset_ns = cluster->world.wall_ns + jump_ns;
    world_note(&cluster->world, "%s's clock jumps", host->name);
    return true;
}

bool fault_host(struct faults *faults, enum fault_kind kind)
{
    struct cluster *cluster = faults->cluster;
    uint32_t member = (uint32_t)fault_draw(faults, cluster->member_count);
    switch (kind) {
    case FAULT_CRASH:
        return fault_crash(faults, member, SIM_DEATH_KILLED);
    case FAULT_POWER:
        return fault_crash(faults, member, SIM_DEATH_POWER);
    case FAULT_STOP:
        return stop(faults, member);
    case FAULT_CRASH_ALL:
        return crash_all(faults, SIM_DEATH_KILLED);
    case FAULT_POWER_ALL:
        return crash_all(faults, SIM_DEATH_POWER);
    case FAULT_OUTAGE:
        return outage(faults);
    case FAULT_CRASH_AT:
        return trap_arm(&faults->trap);
    case FAULT_CHAIN:
        return !faults->trap.armed && fault_crash_short(faults, member) &&
               trap_chain(&faults->trap);
    case FAULT_CUT_CRASH:
        return cut_and_crash(faults, member);
    case FAULT_PAUSE:
        return pause_one(faults, member, world_skewed(&cluster->world, SIM_MS(2), SIM_S(2)));
    case FAULT_LONG_PAUSE:
        return long_pause(faults);
    case FAULT_PAUSE_ALL:
        return pause_all(faults);
    case FAULT_CLOCK:
        return clock_jump(faults);
    default:
        return false;
    }
}
