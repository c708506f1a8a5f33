/* The fault schedule. One event draws what happens and when the next fault comes; faults that last
 * leave an undo behind, which fires by itself or at faults_heal. */
#include "tests/sim/fault.h"

#include "tests/sim/cluster.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[FAULT_COUNT] = {
    [FAULT_RESET] = "reset",
    [FAULT_STALL] = "stall",
    [FAULT_PARTITION] = "partition",
    [FAULT_ONE_WAY] = "one-way",
    [FAULT_CRASH] = "crash",
    [FAULT_POWER] = "power",
    [FAULT_CRASH_ALL] = "crash-all",
    [FAULT_POWER_ALL] = "power-all",
    [FAULT_PAUSE] = "pause",
    [FAULT_SLOW_DISK] = "slow-disk",
    [FAULT_TORN] = "torn",
    [FAULT_DISK_ERROR] = "disk-error",
    [FAULT_CLOCK] = "clock",
    [FAULT_CLIENT_RESET] = "client-reset",
    [FAULT_CLIENT_MOVE] = "client-move",
    [FAULT_CLIENT_CRASH] = "client-crash",
    [FAULT_DUPLICATE] = "duplicate",
};

/* How often each kind is drawn; the gentle ones more often, so that a seed gets work done. */
static const uint8_t weights[FAULT_COUNT] = {
    [FAULT_RESET] = 10,       [FAULT_STALL] = 8,       [FAULT_PARTITION] = 4,
    [FAULT_ONE_WAY] = 3,      [FAULT_CRASH] = 3,       [FAULT_POWER] = 3,
    [FAULT_CRASH_ALL] = 1,    [FAULT_POWER_ALL] = 1,   [FAULT_PAUSE] = 5,
    [FAULT_SLOW_DISK] = 3,    [FAULT_DISK_ERROR] = 1,  [FAULT_CLOCK] = 2,
    [FAULT_CLIENT_RESET] = 6, [FAULT_CLIENT_MOVE] = 4, [FAULT_CLIENT_CRASH] = 2,
    [FAULT_DUPLICATE] = 6,
};

const char *fault_name(enum fault_kind kind)
{
    return names[kind];
}

static bool parse_one(const char *text, size_t bytes, uint32_t *set)
{
    if (bytes == 3 && memcmp(text, "all", 3) == 0)
        *set |= (1u << FAULT_COUNT) - 1;
    if ((bytes == 3 && memcmp(text, "all", 3) == 0) || (bytes == 4 && memcmp(text, "none", 4) == 0))
        return true;
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        if (strlen(names[kind]) == bytes && memcmp(names[kind], text, bytes) == 0) {
            *set |= 1u << kind;
            return true;
        }
    return false;
}

bool fault_parse(const char *text, uint32_t *ret_set)
{
    uint32_t set = 0;
    for (const char *at = text; *at;) {
        size_t bytes = strcspn(at, ",");
        if (!parse_one(at, bytes, &set))
            return false;
        at += bytes + (at[bytes] == ',');
    }
    *ret_set = set;
    return true;
}

/* ---- what lasts ---- */

enum undo_kind { UNDO_BLOCK, UNDO_SLOW, UNDO_FULL };

struct fault_undo {
    struct event event;
    struct faults *faults;
    enum undo_kind kind;
    uint32_t from, to;
    LIST_ENTRY(fault_undo) entry;
};

static void undo_now(struct fault_undo *undo)
{
    struct cluster *cluster = undo->faults->cluster;
    event_stop(&cluster->world, &undo->event);
    LIST_REMOVE(undo, entry);
    if (undo->kind == UNDO_BLOCK) {
        sim_net_unblock(&cluster->net, undo->from, undo->to);
        world_note(&cluster->world, "host %u reaches host %u again", undo->from, undo->to);
    } else if (undo->kind == UNDO_SLOW) {
        host_set_slow(&cluster->members[undo->from], 1);
    } else {
        platter_set_full(cluster->members[undo->from].platter, false);
    }
    free(undo);
}

static void undo_fired(struct event *event)
{
    undo_now(CONTAINER_OF(event, struct fault_undo, event));
}

static void undo_later(struct faults *faults, enum undo_kind kind, uint32_t from, uint32_t to,
                       uint64_t delay_ns)
{
    struct fault_undo *undo = sim_alloc(sizeof *undo);
    undo->event = (struct event){.fire = undo_fired, .label = "undo"};
    undo->faults = faults;
    undo->kind = kind;
    undo->from = from;
    undo->to = to;
    LIST_INSERT_HEAD(&faults->undos, undo, entry);
    event_start(&faults->cluster->world, &undo->event, delay_ns);
}

static void block(struct faults *faults, uint32_t from, uint32_t to, uint64_t duration_ns)
{
    world_note(&faults->cluster->world, "host %u does not reach host %u", from, to);
    sim_net_block(&faults->cluster->net, from, to);
    undo_later(faults, UNDO_BLOCK, from, to, duration_ns);
}

/* ---- the kinds ---- */

static uint64_t draw(struct faults *faults, uint64_t limit)
{
    return prng_below(&faults->cluster->world.prng, limit);
}

static bool do_partition(struct faults *faults, bool both)
{
    struct cluster *cluster = faults->cluster;
    if (cluster->member_count < 2)
        return false;
    uint32_t a = (uint32_t)draw(faults, cluster->member_count);
    uint32_t b =
        (a + 1 + (uint32_t)draw(faults, cluster->member_count - 1)) % cluster->member_count;
    uint64_t duration = world_skewed(&cluster->world, SIM_MS(5), SIM_S(1));
    block(faults, a, b, duration);
    if (both)
        block(faults, b, a, duration);
    return true;
}

static uint32_t members_up(const struct cluster *cluster)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        count += cluster->members[i].up;
    return count;
}

static void crash_one(struct cluster *cluster, struct host *host, enum sim_death death)
{
    host->torn = cluster->faults.set & (1u << FAULT_TORN);
    host_crash(host, death);
    if (host->torn && death == SIM_DEATH_POWER)
        cluster->faults.fired[FAULT_TORN]++;
    host_restart_later(host, world_skewed(&cluster->world, SIM_MS(2), SIM_S(1)));
}

/* With durability in memory at most one of several members may be down, not before all are level
 * again, and with its kernel alive: what the log has lost to a power cut nobody may have any more.
 */
static bool may_crash(const struct cluster *cluster, enum sim_death death)
{
    return cluster->durability == GCS_DURABILITY_DISK ||
           (death == SIM_DEATH_KILLED && cluster->member_count > 1 &&
            members_up(cluster) == cluster->member_count && checks_level(&cluster->checks));
}

static bool do_crash(struct faults *faults, enum sim_death death)
{
    struct cluster *cluster = faults->cluster;
    struct host *host = &cluster->members[draw(faults, cluster->member_count)];
    if (!host->up || !may_crash(cluster, death))
        return false;
    crash_one(cluster, host, death);
    return true;
}

static bool do_crash_all(struct faults *faults, enum sim_death death)
{
    struct cluster *cluster = faults->cluster;
    if (members_up(cluster) == 0 || cluster->durability != GCS_DURABILITY_DISK)
        return false;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        crash_one(cluster, &cluster->members[i], death);
    return true;
}

static bool do_pause(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    struct host *host = &cluster->members[draw(faults, cluster->member_count)];
    if (!host->up)
        return false;
    world_note(&cluster->world, "%s stands still", host->name);
    process_pause(host->process, world_skewed(&cluster->world, SIM_MS(2), SIM_S(2)));
    return true;
}

static bool do_slow_disk(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    uint32_t member = (uint32_t)draw(faults, cluster->member_count);
    host_set_slow(&cluster->members[member], 30);
    world_note(&cluster->world, "%s has a slow disk", cluster->members[member].name);
    undo_later(faults, UNDO_SLOW, member, 0, world_skewed(&cluster->world, SIM_MS(20), SIM_S(2)));
    return true;
}

static bool do_disk_error(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    uint32_t member = (uint32_t)draw(faults, cluster->member_count);
    struct host *host = &cluster->members[member];
    if (!host->up || cluster->durability != GCS_DURABILITY_DISK)
        return false;
    host->excused = true;
    switch (draw(faults, 3)) {
    case 0:
        platter_fail_sync(host->platter);
        break;
    case 1:
        vault_fail_sync(host->vault);
        break;
    default:
        platter_set_full(host->platter, true);
        undo_later(faults, UNDO_FULL, member, 0, SIM_MS(300));
    }
    world_note(&cluster->world, "%s has a bad disk", host->name);
    return true;
}

/* Wall clocks are for file times only; CLOCK_BOOTTIME does not jump. */
static bool do_clock(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    struct host *host = &cluster->members[draw(faults, cluster->member_count)];
    if (!host->up)
        return false;
    int64_t jump_ns = (int64_t)draw(faults, SIM_S(1200)) - (int64_t)SIM_S(600);
    host->process->wall_offset_ns = (int64_t)SIM_S(1700000000) + jump_ns;
    world_note(&cluster->world, "%s's clock jumps", host->name);
    return true;
}

static bool do_fault(struct faults *faults, enum fault_kind kind)
{
    struct cluster *cluster = faults->cluster;
    switch (kind) {
    case FAULT_RESET:
        return sim_net_reset(&cluster->net, (uint32_t)draw(faults, cluster->member_count));
    case FAULT_STALL:
        return sim_net_stall(&cluster->net, world_skewed(&cluster->world, SIM_MS(2), SIM_S(2)));
    case FAULT_PARTITION:
        return do_partition(faults, true);
    case FAULT_ONE_WAY:
        return do_partition(faults, false);
    case FAULT_CRASH:
        return do_crash(faults, SIM_DEATH_KILLED);
    case FAULT_POWER:
        return do_crash(faults, SIM_DEATH_POWER);
    case FAULT_CRASH_ALL:
        return do_crash_all(faults, SIM_DEATH_KILLED);
    case FAULT_POWER_ALL:
        return do_crash_all(faults, SIM_DEATH_POWER);
    case FAULT_PAUSE:
        return do_pause(faults);
    case FAULT_SLOW_DISK:
        return do_slow_disk(faults);
    case FAULT_DISK_ERROR:
        return do_disk_error(faults);
    case FAULT_CLOCK:
        return do_clock(faults);
    default:
        return cluster->load_ops->client_fault(cluster, kind);
    }
}

/* ---- the schedule: storms with calm in between, so that work gets done ---- */

static bool draw_kind(struct faults *faults, enum fault_kind *ret_kind)
{
    uint64_t total = 0;
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        if (faults->set & (1u << kind))
            total += weights[kind];
    if (!total)
        return false;
    uint64_t at = draw(faults, total);
    for (int kind = 0; kind < FAULT_COUNT; kind++) {
        uint64_t weight = faults->set & (1u << kind) ? weights[kind] : 0;
        *ret_kind = (enum fault_kind)kind;
        if (at < weight)
            return true;
        at -= weight;
    }
    return false;
}

static void faults_fire(struct event *event)
{
    struct faults *faults = CONTAINER_OF(event, struct faults, next);
    struct world *world = &faults->cluster->world;
    enum fault_kind kind;
    uint64_t pause_ns = SIM_MS(1);
    if (draw_kind(faults, &kind) && do_fault(faults, kind)) {
        faults->fired[kind]++;
        pause_ns = world_skewed(world, SIM_MS(1), faults->gap_ns);
        if (faults->storm_left-- == 0) {
            faults->storm_left = world_between(world, 5, 40);
            pause_ns += SIM_MS(world_between(world, 50, 500));
        }
    }
    event_start(world, &faults->next, pause_ns);
}

void faults_begin(struct faults *faults, struct cluster *cluster, uint32_t set)
{
    memset(faults, 0, sizeof *faults);
    faults->cluster = cluster;
    faults->set = set;
    LIST_INIT(&faults->undos);
    faults->next = (struct event){.fire = faults_fire, .label = "fault"};
    faults->gap_ns = SIM_MS(world_between(&cluster->world, 100, 1000));
    faults->storm_left = world_between(&cluster->world, 5, 40);
    event_start(&cluster->world, &faults->next, SIM_MS(world_between(&cluster->world, 1, 60)));
}

static void undo_all(struct faults *faults)
{
    struct fault_undo *undo;
    while ((undo = LIST_FIRST(&faults->undos)))
        undo_now(undo);
}

void faults_heal(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    event_stop(&cluster->world, &faults->next);
    undo_all(faults);
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        platter_heal(cluster->members[i].platter);
        vault_heal(cluster->members[i].vault);
        host_restart_later(&cluster->members[i], SIM_MS(1));
    }
}

void faults_finish(struct faults *faults)
{
    event_stop(&faults->cluster->world, &faults->next);
    undo_all(faults);
}

uint64_t faults_total(const struct faults *faults)
{
    uint64_t total = 0;
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        total += faults->fired[kind];
    return total;
}
