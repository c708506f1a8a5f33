/* The course of one seed: see cluster.h. What the seed decides (members, measures, window, faults)
 * is drawn first and said in the trace; all draws come from the world's one generator. */
#include "tests/sim/cluster.h"

#include <stdio.h>
#include <string.h>

enum {
    STEPS_TO_DRAIN = 60000,  /* "a bounded number" of invariant 3 */
    STEPS_PER_LOAD_MAX = 40, /* a seed that gets no work done ends at this many times its size */
};

static uint32_t draw_members(struct world *world)
{
    static const uint8_t sizes[] = {3, 3, 3, 3, 3, 2, 4, 5, 1, 7};
    return sizes[prng_below(&world->prng, sizeof sizes)];
}

static struct gcs_measures draw_measures(struct world *world)
{
    struct prng *prng = &world->prng;
    if (prng_chance(prng, 2, 3))
        return (struct gcs_measures){true, true, true, true};
    return (struct gcs_measures){prng_chance(prng, 1, 2), prng_chance(prng, 1, 2),
                                 prng_chance(prng, 1, 2), prng_chance(prng, 1, 2)};
}

/* Each seed uses some kinds of faults, so that the rare ones have room and the gentle seeds exist.
 */
static uint32_t draw_faults(struct cluster *cluster)
{
    uint32_t set = 0;
    if (cluster->options.faults_given)
        return cluster->options.faults;
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        if (prng_chance(&cluster->world.prng, 1, 2))
            set |= 1u << kind;
    return set | 1u << FAULT_PAUSE; /* one that is always possible */
}

static void draw_shape(struct cluster *cluster)
{
    struct world *world = &cluster->world;
    uint32_t members = draw_members(world);
    bool memory = prng_chance(&world->prng, 1, 8);
    cluster->member_count = cluster->options.replicas ? cluster->options.replicas : members;
    cluster->durability = memory ? GCS_DURABILITY_MEMORY : GCS_DURABILITY_DISK;
    if (cluster->options.durability >= 0)
        cluster->durability = (enum gcs_durability)cluster->options.durability;
    cluster->measures = draw_measures(world);
    cluster->window_messages = (uint32_t)world_between(world, 2, 32);
    cluster->heartbeat_ns = SIM_MS(world_between(world, 20, 80));
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        cluster->addresses[i].node = (uint8_t)(i + 1);
        snprintf(cluster->addresses[i].address, sizeof cluster->addresses[i].address,
                 "member%u:7400", i + 1);
    }
}

static void say_shape(struct cluster *cluster, uint32_t set)
{
    char text[256] = "";
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        if (set & (1u << kind)) {
            size_t used = strlen(text);
            snprintf(text + used, sizeof text - used, " %s", fault_name((enum fault_kind)kind));
        }
    world_note(&cluster->world, "%u members, %s, window %u, measures %d%d%d%d, faults:%s",
               cluster->member_count,
               cluster->durability == GCS_DURABILITY_DISK ? "disk" : "memory",
               cluster->window_messages, cluster->measures.subset_wait,
               cluster->measures.fast_acknowledgement, cluster->measures.on_behalf,
               cluster->measures.promise_ahead, text);
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
    draw_shape(cluster);
    checks_init(&cluster->checks, &cluster->world, cluster->member_count);
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
    for (uint32_t i = 0; i < cluster->member_count; i++)
        host_finish(&cluster->members[i]);
    cluster->load_ops->finish(cluster);
    sim_net_finish(&cluster->net);
    checks_finish(&cluster->checks);
    world_finish(&cluster->world);
}

static bool sized(struct cluster *cluster)
{
    bool possible = cluster->world.steps < cluster->options.steps * 4;
    uint64_t faults_min = cluster->faults.set && possible ? 3 : 0;
    if (cluster->world.steps > cluster->options.steps * STEPS_PER_LOAD_MAX) {
        world_violation(&cluster->world, "validity: no work gets done in %llu steps",
                        (unsigned long long)cluster->world.steps);
        return true;
    }
    return cluster->world.steps >= cluster->options.steps &&
           faults_total(&cluster->faults) >= faults_min && cluster->load_ops->sized(cluster);
}

/* Everything that is broken heals; then all that was begun has to end (check_validity.c). */
static void drain(struct cluster *cluster)
{
    char detail[256] = "";
    world_note(&cluster->world, "heal");
    cluster->load_ops->pause(cluster);
    faults_heal(&cluster->faults);
    uint64_t limit = cluster->world.steps + STEPS_TO_DRAIN;
    while (!cluster->world.stopped && !check_validity(cluster, detail)) {
        if (cluster->world.steps >= limit)
            world_violation(&cluster->world, "validity: %d steps after the last fault: %s",
                            STEPS_TO_DRAIN, detail);
        else if (!world_step(&cluster->world))
            world_violation(&cluster->world, "validity: nothing happens any more: %s", detail);
    }
}

static void report(struct cluster *cluster, struct sim_result *result)
{
    memset(result, 0, sizeof *result);
    result->steps = cluster->world.steps;
    result->simulated_ns = cluster->world.now_ns - SIM_S(1000);
    result->trace_hash = cluster->world.trace_hash;
    result->order = cluster->checks.order_count;
    result->epochs = cluster->checks.epoch;
    memcpy(result->faults, cluster->faults.fired, sizeof result->faults);
    memcpy(result->violation, cluster->world.violation, sizeof result->violation);
    cluster->load_ops->count(cluster, result);
}

void sim_run(const struct sim_options *options, const struct load_ops *ops,
             struct sim_result *ret_result)
{
    static struct cluster cluster; /* large; one seed at a time */
    cluster_init(&cluster, options, ops);
    uint32_t set = draw_faults(&cluster);
    say_shape(&cluster, set);
    ops->begin(&cluster);
    for (uint32_t i = 0; i < cluster.member_count && !cluster.world.stopped; i++)
        host_start(&cluster.members[i]);
    faults_begin(&cluster.faults, &cluster, set);
    while (!sized(&cluster) && world_step(&cluster.world))
        ;
    if (!cluster.world.stopped)
        drain(&cluster);
    for (uint32_t i = 0; i < cluster.member_count && !cluster.world.stopped; i++)
        check_durability(&cluster.checks, i);
    if (!cluster.world.stopped)
        ops->final(&cluster);
    report(&cluster, ret_result);
    cluster_finish(&cluster);
}
