/* The course of one seed: see cluster.h. What the seed decides (members, measures, window, faults)
 * is drawn first and said in the trace; all draws come from the world's one generator. */
#include "tests/sim/cluster.h"

#include "tests/sim/liveness.h"

#include <stdio.h>
#include <string.h>

enum {
    STEPS_TO_DRAIN = 120000, /* "a bounded number" of invariant 3 */
    DRIFT_PPM_MAX = 4900,    /* so two clocks differ by less than gcs_config.drift_ppm */
    STEPS_PER_LOAD_MAX = 6,  /* faults end at this many times a seed's size, whatever was done */
};

static uint32_t draw_founders(struct world *world)
{
    static const uint8_t sizes[] = {3, 3, 3, 3, 3, 3, 2, 2, 4, 5, 1, 7};
    return sizes[prng_below(&world->prng, sizeof sizes)];
}

/* Two of three founders and a witness, often; a spare machine may be one too. */
static void draw_witnesses(struct cluster *cluster)
{
    struct prng *prng = &cluster->world.prng;
    uint32_t founder = (uint32_t)prng_below(prng, cluster->founder_count);
    if (cluster->founder_count > 2 && prng_chance(prng, 1, 4))
        cluster->addresses[founder].witness = true;
    for (uint32_t i = cluster->founder_count; i < cluster->member_count; i++)
        cluster->addresses[i].witness = prng_chance(prng, 1, 6);
}

static struct gcs_measures draw_measures(struct world *world)
{
    struct prng *prng = &world->prng;
    if (prng_chance(prng, 2, 3))
        return (struct gcs_measures){true, true, true, true};
    return (struct gcs_measures){prng_chance(prng, 1, 2), prng_chance(prng, 1, 2),
                                 prng_chance(prng, 1, 2), prng_chance(prng, 1, 2)};
}

/* Kinds that came later, at one time: half of all seeds have none of them. */
static uint64_t draw_later(uint64_t seed, int first, int end)
{
    struct prng prng;
    uint64_t set = 0;
    prng_init(&prng, seed);
    if (!prng_chance(&prng, 1, 2))
        return 0;
    for (int kind = first; kind < end; kind++)
        if (prng_chance(&prng, 1, 2))
            set |= FAULT_BIT(kind);
    return set;
}

/* Each seed uses some kinds of faults, so that the rare ones have room and the gentle seeds exist.
 */
static uint64_t draw_faults(struct cluster *cluster)
{
    uint64_t set = 0;
    if (cluster->options.faults_given)
        return cluster->options.faults;
    for (int kind = 0; kind < FAULT_LATER_FIRST; kind++)
        if (prng_chance(&cluster->world.prng, 1, 2))
            set |= FAULT_BIT(kind);
    set |= draw_later(-cluster->options.seed, FAULT_LATER_FIRST, FAULT_LAST_FIRST);
    /* a factor with which no line of `regressions` draws it: those stay what they were */
    set |= draw_later(27 * cluster->options.seed, FAULT_LAST_FIRST, FAULT_COUNT);
    return set | FAULT_BIT(FAULT_PAUSE) | FAULT_BIT(FAULT_CRASH); /* these change views */
}

static void draw_shape(struct cluster *cluster)
{
    struct world *world = &cluster->world;
    uint32_t founders = draw_founders(world), spare = (uint32_t)world_between(world, 0, 2);
    cluster->founder_count = cluster->options.replicas ? cluster->options.replicas : founders;
    bool memory = prng_chance(&world->prng, 1, 8) && cluster->founder_count > 1;
    cluster->member_count = cluster->founder_count + spare;
    if (cluster->member_count > GCS_MEMBER_MAX)
        cluster->member_count = GCS_MEMBER_MAX;
    cluster->durability = memory ? GCS_DURABILITY_MEMORY : GCS_DURABILITY_DISK;
    if (cluster->options.durability >= 0)
        cluster->durability = (enum gcs_durability)cluster->options.durability;
    cluster->measures = draw_measures(world);
    cluster->window_messages = (uint32_t)world_between(world, 2, 32);
    cluster->heartbeat_ns = SIM_MS(world_between(world, 20, 80));
    cluster->suspect_after_ns = cluster->heartbeat_ns * world_between(world, 4, 9);
    cluster->lease_ns = cluster->heartbeat_ns * world_between(world, 2, 8);
    cluster->start_wait_ns = SIM_MS(world_skewed(world, 0, 3000));
    cluster->lag_after_ns = SIM_MS(world_between(world, 500, 5000));
    cluster->history_max = world_skewed(world, 4, 4096);
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        cluster->addresses[i].node = (uint8_t)(i + 1);
        snprintf(cluster->addresses[i].address, sizeof cluster->addresses[i].address,
                 "member%u:7400", i + 1);
        cluster->seats[i].belongs = i < cluster->founder_count;
    }
    draw_witnesses(cluster);
}

static void say_shape(struct cluster *cluster, uint64_t set)
{
    char text[512] = "";
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        if (set & FAULT_BIT(kind)) {
            size_t used = strlen(text);
            snprintf(text + used, sizeof text - used, " %s", fault_name((enum fault_kind)kind));
        }
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (is_witness(cluster, i))
            world_note(&cluster->world, "%s is a witness", cluster->members[i].name);
    world_note(&cluster->world, "%u founders of %u, %s, window %u, measures %d%d%d%d, faults:%s",
               cluster->founder_count, cluster->member_count,
               cluster->durability == GCS_DURABILITY_DISK ? "disk" : "memory",
               cluster->window_messages, cluster->measures.subset_wait,
               cluster->measures.fast_acknowledgement, cluster->measures.on_behalf,
               cluster->measures.promise_ahead, text);
}

static void frame_moved(void *user, uint32_t host, bool sent, uint16_t type)
{
    struct cluster *cluster = user;
    if (host < cluster->member_count)
        trap_note(&cluster->faults.trap, host, type + (sent ? TRAP_SENT : TRAP_RECEIVED));
}

static void frame_sent(void *user, uint32_t from, uint32_t to, uint16_t type,
                       const uint8_t *payload, uint32_t bytes)
{
    struct cluster *cluster = user;
    if (from < cluster->member_count)
        checks_sent(&cluster->checks, from, to, type, payload, bytes);
    if (cluster->load_ops->sent)
        cluster->load_ops->sent(cluster, from, to, type, payload, bytes);
}

static void cluster_init(struct cluster *cluster, const struct sim_options *options,
                         const struct load_ops *ops)
{
    memset(cluster, 0, sizeof *cluster);
    cluster->options = *options;
    cluster->load_ops = ops;
    world_init(&cluster->world, options->seed);
    cluster->world.trace = options->trace;
    sim_net_init(&cluster->net, &cluster->world);
    cluster->net.moved = frame_moved;
    cluster->net.moved_user = cluster;
    cluster->net.tap = frame_sent;
    cluster->net.tap_user = cluster;
    draw_shape(cluster);
    checks_init(&cluster->checks, &cluster->world, cluster->member_count);
    cluster->checks.lease_ns = cluster->lease_ns;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        char name[16];
        snprintf(name, sizeof name, "member %u", (unsigned)(i + 1) & 7);
        host_init(&cluster->members[i], &cluster->world, &cluster->net, i, name, ops->member,
                  cluster);
    }
}

static void cluster_finish(struct cluster *cluster)
{
    faults_finish(&cluster->faults);
    cluster->net.tap = NULL;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        host_finish(&cluster->members[i]);
    cluster->load_ops->finish(cluster);
    sim_net_finish(&cluster->net);
    checks_finish(&cluster->checks);
    world_finish(&cluster->world);
}

static void describe(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        char text[256] = "is off";
        if (cluster->members[i].up)
            cluster->load_ops->describe(cluster, i, text);
        world_note(&cluster->world, "%s: %s", cluster->members[i].name, text);
    }
}

/* Founding is the first; then at least two changes. */
enum { EPOCHS_MIN = 3 };

static uint64_t epochs_of(const struct cluster *cluster)
{
    return cluster->checks.epoch - cluster->checks.epoch_first;
}

static bool sized(struct cluster *cluster)
{
    uint64_t faults_min = cluster->faults.set ? 3 : 0;
    uint64_t epochs_min = cluster->faults.set ? EPOCHS_MIN : 0;
    if (cluster->world.steps > cluster->options.steps * STEPS_PER_LOAD_MAX)
        return true;
    return cluster->world.steps >= cluster->options.steps &&
           faults_total(&cluster->faults) >= faults_min && epochs_of(cluster) >= epochs_min &&
           cluster->load_ops->sized(cluster);
}

static bool has_worked(struct cluster *cluster, char detail[256])
{
    snprintf(detail, 256, "no work gets done");
    return cluster->load_ops->sized(cluster);
}

/* Wait until it is so, within a bounded number of steps. */
static void wait_until(struct cluster *cluster,
                       bool (*is_so)(struct cluster *cluster, char detail[256]))
{
    char detail[256] = "";
    uint64_t limit = cluster->world.steps + STEPS_TO_DRAIN;
    while (!cluster->world.stopped && !is_so(cluster, detail)) {
        if (cluster->world.steps >= limit)
            describe(cluster);
        if (cluster->world.steps >= limit)
            world_violation(&cluster->world, "validity: %d steps after the last fault: %s",
                            STEPS_TO_DRAIN, detail);
        else if (!world_step(&cluster->world))
            world_violation(&cluster->world, "validity: nothing happens any more: %s", detail);
    }
}

/* Everything that is broken heals. Then work gets done, if it did not before; and all that was
 * begun has to end (check_validity.c). */
static void drain(struct cluster *cluster)
{
    world_note(&cluster->world, "heal");
    faults_heal(&cluster->faults);
    wait_until(cluster, has_worked);
    cluster->load_ops->pause(cluster);
    wait_until(cluster, check_validity);
}

/* A quorum is well; the others stay as they are, and it has to do without. */
static void demand_liveness(struct cluster *cluster)
{
    cluster->liveness_runs++;
    liveness_freeze(cluster);
    wait_until(cluster, liveness_progress);
    cluster->load_ops->pause(cluster);
    wait_until(cluster, liveness_level);
    liveness_thaw(cluster);
    wait_until(cluster, check_validity);
}

static bool liveness_due(struct cluster *cluster)
{
    if (cluster->world.stopped || !cluster->faults.set || cluster->liveness_runs > 2 ||
        !liveness_possible(cluster))
        return false;
    return epochs_of(cluster) < EPOCHS_MIN ||
           (cluster->liveness_runs == 0 && prng_chance(&cluster->world.prng, 1, 2));
}

static void check_all_hold(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->member_count && !cluster->world.stopped; i++)
        if (cluster->seats[i].belongs && !is_witness(cluster, i))
            check_durability(&cluster->checks, i);
}

/* In either durability: who ended in order comes back with all that was answered. */
static void stop_and_start(struct cluster *cluster)
{
    cluster->load_ops->stop_all(cluster);
    for (uint32_t i = 0; i < cluster->member_count && !cluster->world.stopped; i++)
        if (cluster->seats[i].belongs)
            host_start(&cluster->members[i]);
    if (!cluster->world.stopped)
        wait_until(cluster, check_validity);
    check_all_hold(cluster);
}

static void report(struct cluster *cluster, struct sim_result *result)
{
    memset(result, 0, sizeof *result);
    result->steps = cluster->world.steps;
    result->simulated_ns = cluster->world.now_ns - SIM_S(1000);
    result->trace_hash = cluster->world.trace_hash;
    result->order = cluster->checks.order_count - cluster->checks.index_first;
    result->epochs = epochs_of(cluster);
    result->snapshots = cluster->snapshots;
    result->joins = cluster->joins;
    result->outs = cluster->outs;
    result->liveness = cluster->liveness_runs;
    memcpy(result->faults, cluster->faults.fired, sizeof result->faults);
    memcpy(result->traps, cluster->faults.trap.fired, sizeof result->traps);
    memcpy(result->violation, cluster->world.violation, sizeof result->violation);
    cluster->load_ops->count(cluster, result);
}

void sim_run(const struct sim_options *options, const struct load_ops *ops,
             struct sim_result *ret_result)
{
    static struct cluster cluster; /* large; one seed at a time */
    cluster_init(&cluster, options, ops);
    uint64_t set = draw_faults(&cluster);
    say_shape(&cluster, set);
    if (set & FAULT_BIT(FAULT_DRIFT))
        cluster.world.drift_ppm_max = DRIFT_PPM_MAX;
    if (set & FAULT_BIT(FAULT_WRAP) && !options->only_order) {
        wrap_draw(&cluster.wrap, options->seed);
        cluster.world.wall_ns = cluster.wrap.wall_ns;
    }
    ops->begin(&cluster);
    for (uint32_t i = 0; i < cluster.founder_count && !cluster.world.stopped; i++)
        host_start(&cluster.members[i]);
    faults_begin(&cluster.faults, &cluster, set);
    while (!sized(&cluster) && world_step(&cluster.world))
        ;
    if (!cluster.world.stopped)
        drain(&cluster);
    while (liveness_due(&cluster))
        demand_liveness(&cluster);
    check_all_hold(&cluster);
    if (!cluster.world.stopped)
        stop_and_start(&cluster);
    report(&cluster, ret_result);
    cluster_finish(&cluster);
}
