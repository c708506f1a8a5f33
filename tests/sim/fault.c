/* The fault schedule. One event draws what happens and when the next fault comes; what follows from
 * a fault later on are tasks, of which those that heal are done at the end at once. */
#include "tests/sim/fault.h"

#include "tests/sim/cluster.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint8_t weight; /* how often it is drawn; the gentle ones more often, so that work gets done */
    bool (*fire)(struct faults *faults, enum fault_kind kind); /* NULL: the load's */
} kinds[FAULT_COUNT] = {
    [FAULT_RESET] = {"reset", 10, fault_net},
    [FAULT_STALL] = {"stall", 8, fault_net},
    [FAULT_PARTITION] = {"partition", 4, fault_net},
    [FAULT_ONE_WAY] = {"one-way", 3, fault_net},
    [FAULT_FLAP] = {"flap", 2, fault_net},
    [FAULT_CLOG] = {"clog", 2, fault_net},
    [FAULT_ISOLATE] = {"isolate", 3, fault_net},
    [FAULT_SPLIT] = {"split", 2, fault_net},
    [FAULT_UNPLUG] = {"unplug", 3, fault_net},
    [FAULT_SLOW_LINK] = {"slow-link", 3, fault_net},
    [FAULT_CRASH] = {"crash", 4, fault_host},
    [FAULT_POWER] = {"power", 3, fault_host},
    [FAULT_CRASH_ALL] = {"crash-all", 1, fault_host},
    [FAULT_POWER_ALL] = {"power-all", 1, fault_host},
    [FAULT_OUTAGE] = {"outage", 1, fault_host},
    [FAULT_CRASH_AT] = {"crash-at", 6, fault_host},
    [FAULT_CHAIN] = {"chain", 4, fault_host},
    [FAULT_CUT_CRASH] = {"cut-crash", 3, fault_host},
    [FAULT_CRASH_AGAIN] = {"crash-again", 0, NULL}, /* after a crash */
    [FAULT_DEATH] = {"death", 0, NULL},             /* after a crash */
    [FAULT_PAUSE] = {"pause", 5, fault_host},
    [FAULT_LONG_PAUSE] = {"long-pause", 2, fault_host},
    [FAULT_PAUSE_ALL] = {"pause-all", 1, fault_host},
    [FAULT_DRIFT] = {"drift", 0, NULL}, /* from the beginning */
    [FAULT_CLOCK] = {"clock", 2, fault_host},
    [FAULT_SLOW_DISK] = {"slow-disk", 3, fault_disk},
    [FAULT_TORN] = {"torn", 0, NULL}, /* with power */
    [FAULT_DISK_ERROR] = {"disk-error", 1, fault_disk},
    [FAULT_WIPE] = {"wipe", 1, fault_disk},
    [FAULT_ADD] = {"add", 4, fault_member},
    [FAULT_JOIN_CRASH] = {"join-crash", 2, fault_member},
    [FAULT_LEAVE] = {"leave", 2, fault_member},
    [FAULT_DRAIN] = {"drain", 2, fault_member},
    [FAULT_REMOVE] = {"remove", 4, fault_member},
    [FAULT_CLIENT_RESET] = {"client-reset", 6, NULL},
    [FAULT_CLIENT_CUT] = {"client-cut", 4, NULL},
    [FAULT_CLIENT_MOVE] = {"client-move", 4, NULL},
    [FAULT_CLIENT_CRASH] = {"client-crash", 2, NULL},
    [FAULT_DUPLICATE] = {"duplicate", 6, NULL},
    [FAULT_STOP] = {"stop", 3, fault_host},
    [FAULT_DAMAGE] = {"damage", 4, fault_disk},
    [FAULT_CORRUPT] = {"corrupt", 5, fault_net},
    [FAULT_STRANGER] = {"stranger", 4, fault_member},
    [FAULT_WRAP] = {"wrap", 0, NULL}, /* from the beginning */
    [FAULT_CUT_WIPE] = {"cut-wipe", 4, fault_disk},
    [FAULT_BLACK_HOLE] = {"black-hole", 3, fault_net},
};

const char *fault_name(enum fault_kind kind)
{
    return kinds[kind].name;
}

static bool parse_one(const char *text, size_t bytes, uint64_t *set)
{
    if (bytes == 3 && memcmp(text, "all", 3) == 0)
        *set |= FAULT_BIT(FAULT_COUNT) - 1;
    if ((bytes == 3 && memcmp(text, "all", 3) == 0) || (bytes == 4 && memcmp(text, "none", 4) == 0))
        return true;
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        if (strlen(kinds[kind].name) == bytes && memcmp(kinds[kind].name, text, bytes) == 0) {
            *set |= FAULT_BIT(kind);
            return true;
        }
    return false;
}

bool fault_parse(const char *text, uint64_t *ret_set)
{
    uint64_t set = 0;
    for (const char *at = text; *at;) {
        size_t bytes = strcspn(at, ",");
        if (!parse_one(at, bytes, &set))
            return false;
        at += bytes + (at[bytes] == ',');
    }
    *ret_set = set;
    return true;
}

/* ---- what follows later ---- */

static void task_free(struct fault_task *task)
{
    event_stop(&task->faults->cluster->world, &task->event);
    LIST_REMOVE(task, entry);
    free(task);
}

static void task_fired(struct event *event)
{
    struct fault_task *task = CONTAINER_OF(event, struct fault_task, event);
    task->run(task->faults, task);
    task_free(task);
}

static struct fault_task *task_make(struct faults *faults, fault_run run, uint32_t a, uint32_t b,
                                    uint64_t delay_ns)
{
    struct fault_task *task = sim_alloc(sizeof *task);
    task->event = (struct event){.fire = task_fired, .label = "task"};
    task->faults = faults;
    task->run = run;
    task->a = a;
    task->b = b;
    LIST_INSERT_HEAD(&faults->tasks, task, entry);
    event_start(&faults->cluster->world, &task->event, delay_ns);
    return task;
}

void fault_later(struct faults *faults, fault_run run, uint32_t a, uint32_t b, uint64_t n,
                 uint64_t delay_ns)
{
    if (!faults->over)
        task_make(faults, run, a, b, delay_ns)->n = n;
}

void fault_heal_later(struct faults *faults, fault_run run, uint32_t a, uint32_t b,
                      uint64_t delay_ns)
{
    task_make(faults, run, a, b, delay_ns)->heals = true;
}

static void tasks_end(struct faults *faults)
{
    struct fault_task *task;
    while ((task = LIST_FIRST(&faults->tasks))) {
        if (task->heals)
            task->run(faults, task);
        task_free(task);
    }
}

/* ---- the schedule: storms with calm in between, so that work gets done ---- */

uint64_t fault_draw(struct faults *faults, uint64_t limit)
{
    return prng_below(&faults->cluster->world.prng, limit);
}

static bool draw_kind(struct faults *faults, enum fault_kind *ret_kind)
{
    uint64_t total = 0;
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        if (faults->set & FAULT_BIT(kind))
            total += kinds[kind].weight;
    if (!total)
        return false;
    uint64_t at = fault_draw(faults, total);
    for (int kind = 0; kind < FAULT_COUNT; kind++) {
        uint64_t weight = faults->set & FAULT_BIT(kind) ? kinds[kind].weight : 0;
        *ret_kind = (enum fault_kind)kind;
        if (at < weight)
            return true;
        at -= weight;
    }
    return false;
}

static bool fire(struct faults *faults, enum fault_kind kind)
{
    struct cluster *cluster = faults->cluster;
    return kinds[kind].fire ? kinds[kind].fire(faults, kind)
                            : cluster->load_ops->client_fault(cluster, kind);
}

/* Where the trap shuts, where the bytes are spoiled, where the stranger is sent away, where the
 * store is put aside. */
static bool counts_itself(enum fault_kind kind)
{
    return kind == FAULT_CRASH_AT || kind == FAULT_CHAIN || kind == FAULT_CORRUPT ||
           kind == FAULT_STRANGER || kind == FAULT_DAMAGE || kind == FAULT_CUT_WIPE;
}

static void faults_fire(struct event *event)
{
    struct faults *faults = CONTAINER_OF(event, struct faults, next);
    struct world *world = &faults->cluster->world;
    enum fault_kind kind;
    uint64_t pause_ns = SIM_MS(1);
    if (draw_kind(faults, &kind) && fire(faults, kind)) {
        if (!counts_itself(kind))
            faults->fired[kind]++;
        pause_ns = world_skewed(world, SIM_MS(1), faults->gap_ns);
        if (faults->storm_left-- == 0) {
            faults->storm_left = world_between(world, 5, 40);
            pause_ns += SIM_MS(world_between(world, 100, 2500));
        }
    }
    event_start(world, &faults->next, pause_ns);
}

void faults_begin(struct faults *faults, struct cluster *cluster, uint64_t set)
{
    memset(faults, 0, sizeof *faults);
    faults->cluster = cluster;
    faults->set = set;
    faults->fired[FAULT_DRIFT] = (set & FAULT_BIT(FAULT_DRIFT)) != 0;
    faults->fired[FAULT_WRAP] = cluster->wrap.index != 0;
    LIST_INIT(&faults->tasks);
    trap_init(&faults->trap, cluster);
    faults->next = (struct event){.fire = faults_fire, .label = "fault"};
    faults->gap_ns = SIM_MS(world_between(&cluster->world, 100, 2000));
    faults->storm_left = world_between(&cluster->world, 5, 40);
    event_start(&cluster->world, &faults->next, SIM_MS(world_between(&cluster->world, 1, 60)));
}

void faults_heal(struct faults *faults)
{
    struct cluster *cluster = faults->cluster;
    faults->over = true;
    event_stop(&cluster->world, &faults->next);
    tasks_end(faults);
    trap_finish(&faults->trap);
    fault_repair(faults);
    sim_net_spoil_end(&cluster->net);
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        struct host *host = &cluster->members[i];
        platter_heal(host->platter);
        vault_heal(host->vault);
        if (host->up)
            process_resume(host->process);
        else if (cluster->seats[i].belongs)
            host_restart_later(host, SIM_MS(1));
    }
}

void faults_finish(struct faults *faults)
{
    faults->over = true;
    event_stop(&faults->cluster->world, &faults->next);
    tasks_end(faults);
    trap_finish(&faults->trap);
    stranger_destroy(faults->stranger);
}

uint64_t faults_total(const struct faults *faults)
{
    uint64_t total = 0;
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        total += faults->fired[kind];
    return total;
}
