/* What operators do, at bad times: add, leave, drain, remove. */
#include "tests/sim/cluster.h"

static uint32_t data_seats(const struct cluster *cluster)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        count += cluster->seats[i].belongs && !cluster->seats[i].leaving && !is_witness(cluster, i);
    return count;
}

/* A machine that does not belong joins with an empty disk. */
static bool add(struct faults *faults, uint32_t member)
{
    struct cluster *cluster = faults->cluster;
    if (cluster->seats[member].belongs || cluster->members[member].up)
        return false;
    seat_add(cluster, member);
    host_restart_later(&cluster->members[member], world_skewed(&cluster->world, 0, SIM_MS(100)));
    return true;
}

static void crash_task(struct faults *faults, struct fault_task *task)
{
    if (fault_crash(faults, task->a, SIM_DEATH_KILLED))
        faults->fired[FAULT_JOIN_CRASH]++;
}

static bool add_and_crash(struct faults *faults, uint32_t member)
{
    struct cluster *cluster = faults->cluster;
    if (!add(faults, member))
        return false;
    uint32_t other = (uint32_t)fault_draw(faults, cluster->member_count);
    fault_later(faults, crash_task, fault_draw(faults, 2) ? member : other, 0, 0,
                world_skewed(&cluster->world, SIM_MS(1), SIM_S(1)));
    return true;
}

/* The last data member of a view can't leave. */
static bool has_company(const struct cluster *cluster)
{
    return __builtin_popcount(checks_data_of(&cluster->checks, cluster->checks.view_newest)) > 1;
}

static bool leave(struct faults *faults, uint32_t member, bool back)
{
    struct cluster *cluster = faults->cluster;
    struct seat *seat = &cluster->seats[member];
    if (!cluster->members[member].up || !seat->belongs || seat->leaving || !has_company(cluster) ||
        (!back && (data_seats(cluster) < 3 || seat_is_needed(cluster, member))) ||
        !cluster->load_ops->leave(cluster, member, back))
        return false;
    world_note(&cluster->world, "%s is asked to leave%s", cluster->members[member].name,
               back ? " for a while" : "");
    seat->leaving = !back;
    checks_leaves(&cluster->checks, member);
    return true;
}

static bool remove_one(struct faults *faults, uint32_t member)
{
    struct cluster *cluster = faults->cluster;
    struct seat *seat = &cluster->seats[member];
    uint32_t by = (uint32_t)fault_draw(faults, cluster->member_count);
    if (!seat->belongs || by == member || !cluster->members[by].up || data_seats(cluster) < 3 ||
        seat_is_needed(cluster, member) ||
        !cluster->load_ops->remove(cluster, by, (uint8_t)(member + 1)))
        return false;
    world_note(&cluster->world, "%s removes %s", cluster->members[by].name,
               cluster->members[member].name);
    seat->to_remove = seat->leaving = true;
    return true;
}

bool fault_member(struct faults *faults, enum fault_kind kind)
{
    uint32_t member = (uint32_t)fault_draw(faults, faults->cluster->member_count);
    switch (kind) {
    case FAULT_ADD:
        return add(faults, member);
    case FAULT_JOIN_CRASH:
        return add_and_crash(faults, member);
    case FAULT_LEAVE:
        return leave(faults, member, false);
    case FAULT_DRAIN:
        return leave(faults, member, true);
    case FAULT_STRANGER:
        if (!faults->stranger)
            faults->stranger = stranger_create(faults->cluster, &faults->fired[FAULT_STRANGER]);
        return stranger_fire(faults->stranger);
    case FAULT_REMOVE:
        return remove_one(faults, member);
    default:
        return false;
    }
}
