/* Faults of disks: slow, failing, full, lost. */
#include "tests/sim/cluster.h"

static void undo_slow(struct faults *faults, struct fault_task *task)
{
    host_set_slow(&faults->cluster->members[task->a], 1);
}

static void undo_full(struct faults *faults, struct fault_task *task)
{
    platter_set_full(faults->cluster->members[task->a].platter, false);
}

static bool slow(struct faults *faults, uint32_t member)
{
    struct cluster *cluster = faults->cluster;
    host_set_slow(&cluster->members[member], 30);
    world_note(&cluster->world, "%s has a slow disk", cluster->members[member].name);
    fault_heal_later(faults, undo_slow, member, 0,
                     world_skewed(&cluster->world, SIM_MS(20), SIM_S(2)));
    return true;
}

static bool fail(struct faults *faults, uint32_t member)
{
    struct cluster *cluster = faults->cluster;
    struct host *host = &cluster->members[member];
    if (!host->up || cluster->durability != GCS_DURABILITY_DISK)
        return false;
    host->excused = true;
    switch (fault_draw(faults, 3)) {
    case 0:
        platter_fail_sync(host->platter);
        break;
    case 1:
        vault_fail_sync(host->vault);
        break;
    default:
        platter_set_full(host->platter, true);
        fault_heal_later(faults, undo_full, member, 0, SIM_MS(300));
    }
    world_note(&cluster->world, "%s has a bad disk", host->name);
    return true;
}

static bool is_damaged(const struct cluster *cluster, uint32_t member)
{
    return vault_is_damaged(cluster->members[member].vault);
}

/* A disk may be lost while all of the view run it (nobody has promised or accepted anything yet)
 * and the others, with whole stores, are a quorum of it: then no decision can depend on what it
 * held. */
bool fault_may_wipe(const struct cluster *cluster, uint32_t member)
{
    const struct checks *checks = &cluster->checks;
    const struct check_view *view = checks_view_of(checks, checks->view_newest);
    uint32_t others = 0, lowest = UINT32_MAX;
    bool there = false;
    if (cluster->durability != GCS_DURABILITY_DISK || !view)
        return false;
    for (uint8_t rank = 0; rank < view->count; rank++) {
        uint32_t i = view->nodes[rank] - 1u;
        const struct check_member *m = &checks->members[i];
        if (!cluster->members[i].up || !m->running || m->epoch != checks->view_newest ||
            is_damaged(cluster, i))
            return false;
        there = there || i == member;
        others += i != member;
        if (!(view->witnesses >> rank & 1) && lowest == UINT32_MAX)
            lowest = i;
    }
    uint32_t data = checks_data_of(checks, checks->view_newest);
    bool quorum = others * 2 > view->count || (others * 2 == view->count && lowest != member);
    return there && quorum && (data & ~(1u << member));
}

static bool wipe(struct faults *faults, uint32_t member)
{
    struct cluster *cluster = faults->cluster;
    if (!fault_may_wipe(cluster, member) || !fault_crash(faults, member, SIM_DEATH_POWER))
        return false;
    seat_add(cluster, member);
    return true;
}

static void wipe_later(struct faults *faults, struct fault_task *task)
{
    faults->fired[FAULT_CUT_WIPE] += wipe(faults, task->a);
}

/* If what is left of it had a vote, each of two that don't hear each other would find a quorum. */
static bool cut_and_wipe(struct faults *faults, uint32_t member)
{
    struct cluster *cluster = faults->cluster;
    uint32_t count = cluster->member_count;
    uint32_t alone = (member + 1 + (uint32_t)fault_draw(faults, count)) % count;
    if (alone == member || !fault_may_wipe(cluster, member))
        return false;
    for (uint32_t other = 0; other < count; other++)
        if (other != member && other != alone)
            fault_cut(faults, alone, other, 3 * cluster->suspect_after_ns);
    fault_later(faults, wipe_later, member, 0, 0,
                world_between(&cluster->world, 0, cluster->suspect_after_ns / 2));
    return true;
}

/* One at a time, and not of one that the others can't do without when it happens. */
static bool damage(struct faults *faults, uint32_t member)
{
    struct cluster *cluster = faults->cluster;
    struct host *host = &cluster->members[member];
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (is_damaged(cluster, i))
            return false;
    if (!fault_may_wipe(cluster, member) || !vault_damage(host->vault))
        return false;
    world_note(&cluster->world, "%s has a damaged table", host->name);
    return true;
}

static bool is_needed(const struct cluster *cluster, uint32_t member)
{
    const struct checks *checks = &cluster->checks;
    const struct check_view *view = checks_view_of(checks, checks->view_newest);
    uint32_t set = 0;
    for (uint8_t rank = 0; view && rank < view->count; rank++)
        set |= 1u << (view->nodes[rank] - 1);
    return view && set >> member & 1 && !checks_is_quorum(view, set & ~(1u << member));
}

void fault_repair(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        struct host *host = &cluster->members[i];
        if (!is_damaged(cluster, i))
            continue;
        bool met = vault_damage_is_met(host->vault);
        if (met && !is_needed(cluster, i))
            continue; /* it rebuilds itself */
        world_note(&cluster->world, "%s has a whole table again", host->name);
        vault_repair(host->vault);
        if (met)
            host_crash(host, SIM_DEATH_KILLED);
    }
}

bool fault_disk(struct faults *faults, enum fault_kind kind)
{
    uint32_t member = (uint32_t)fault_draw(faults, faults->cluster->member_count);
    switch (kind) {
    case FAULT_SLOW_DISK:
        return slow(faults, member);
    case FAULT_DISK_ERROR:
        return fail(faults, member);
    case FAULT_WIPE:
        return wipe(faults, member);
    case FAULT_CUT_WIPE:
        return cut_and_wipe(faults, member);
    case FAULT_DAMAGE:
        return damage(faults, member);
    default:
        return false;
    }
}
