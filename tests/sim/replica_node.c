/* One replica: its configuration from the seed, its disk and store the machine's, its trace to the
 * checks. */
#include "tests/sim/replica_node.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct replica_node {
    struct host *host;
    struct replica *replica;
    bool stopped;
};

void replica_shape_draw(struct replica_shape *shape, struct world *world)
{
    struct replica_config config;
    replica_config_defaults(&config);
    *shape = (struct replica_shape){
        .cache_bytes = world_skewed(world, 16384, 1 << 20), /* at least what one listing needs */
        .log_segment_bytes = world_between(world, 4096, 65536),
        .session_timeout_ns = SIM_S(3600),
        .limits = config.limits,
    };
    shape->limits.inline_bytes_max = (uint32_t)world_between(world, 64, 1024);
    shape->limits.slots_max = (uint32_t)world_between(world, 1, 16);
}

/* ---- configuration ---- */

static int open_store(void *user, bool create, struct store **ret_store, struct error *error)
{
    struct host *host = user;
    return sim_store_open(host->vault, create, ret_store, error);
}

static void on_failed(void *user, const char *detail)
{
    struct replica_node *node = user;
    host_program_failed(node->host, detail);
}

static void make_config(struct host *host, struct replica_config *config)
{
    const struct cluster *cluster = cluster_of_host(host);
    const struct replica_shape *shape = replica_load_shape(cluster);
    replica_config_defaults(config);
    if (host->process)
        config->loop = &host->process->loop;
    config->transport = host->transport;
    config->disk = host->disk;
    config->store_open = open_store;
    config->store_user = host;
    config->listen = cluster->addresses[member_of_host(host)].address;
    config->node = (uint8_t)(member_of_host(host) + 1);
    memcpy(config->members, cluster->addresses, sizeof config->members);
    config->member_count = cluster->member_count;
    config->cluster_name = "sim";
    config->durability = cluster->durability;
    config->measures = cluster->measures;
    config->limits = shape->limits;
    config->cache_bytes = shape->cache_bytes;
    config->log_segment_bytes = shape->log_segment_bytes;
    config->heartbeat_ns = cluster->heartbeat_ns;
    config->session_timeout_ns = shape->session_timeout_ns;
    config->window_messages = cluster->window_messages;
    for (int i = 0; i < 4; i++)
        config->random[i] = prng_next(&host->world->prng);
    config->failed = on_failed;
}

static void format_one(struct cluster *cluster, struct host *host)
{
    struct replica_config config;
    struct replica_birth birth = {.name = "sim", .lineage = 1};
    struct error error = {{0}};
    host->disk = sim_disk_create(host->platter);
    make_config(host, &config);
    memset(birth.cluster, 1, sizeof birth.cluster);
    memcpy(birth.members, cluster->addresses, sizeof birth.members);
    birth.member_count = cluster->member_count;
    int code = replica_format(&config, &birth, &error);
    if (code < 0)
        world_violation(host->world, "validity: %s can't be formatted: %s", host->name, error.text);
    host->disk->ops->destroy(host->disk);
    host->disk = NULL;
}

void replica_nodes_format(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->member_count; i++)
        format_one(cluster, &cluster->members[i]);
}

/* ---- the trace ---- */

static void on_applied(void *user, uint64_t index, const struct gcs_message *message,
                       struct hash128 history, struct hash128 digest)
{
    struct replica_node *node = user;
    struct host *host = node->host;
    if (message && !message->payload)
        message = NULL;
    if (message)
        world_note(host->world, "%s applies %llu: epoch %llu origin %u seq %llu ts %llu",
                   host->name, (unsigned long long)index, (unsigned long long)message->epoch,
                   message->origin, (unsigned long long)message->seq,
                   (unsigned long long)message->ts);
    else
        world_note(host->world, "%s applies %llu: an epoch begins", host->name,
                   (unsigned long long)index);
    checks_applied(&cluster_of_host(host)->checks, member_of_host(host), index, message, history,
                   digest);
}

static void on_released(void *user, uint64_t index)
{
    struct replica_node *node = user;
    checks_released(&cluster_of_host(node->host)->checks, member_of_host(node->host), index);
}

/* ---- life ---- */

static int node_start(struct host *host, struct error *error)
{
    struct replica_node *node = sim_alloc(sizeof *node);
    struct replica_config config;
    host->program = node;
    node->host = host;
    make_config(host, &config);
    config.user = node;
    checks_started(&cluster_of_host(host)->checks, member_of_host(host));
    int code = replica_create(&config, &node->replica, error);
    if (code < 0)
        return code;
    struct replica_trace trace = {on_applied, on_released, node};
    replica_set_trace(node->replica, &trace);
    return 0;
}

static void node_destroy(struct host *host)
{
    struct replica_node *node = host->program;
    if (node->replica)
        replica_destroy(node->replica);
    free(node);
    host->program = NULL;
}

const struct host_ops replica_node_ops = {node_start, node_destroy};

static void on_stopped(void *user)
{
    struct replica_node *node = user;
    node->stopped = true;
}

static void stop_now(void *user)
{
    struct replica_node *node = user;
    replica_stop(node->replica, on_stopped, node);
}

void replica_node_stop(struct host *host)
{
    process_turn(host->process, stop_now, host->program);
}

bool replica_node_stopped(const struct host *host)
{
    const struct replica_node *node = host->program;
    return node && node->stopped;
}

uint64_t replica_node_reads_waited(const struct host *host)
{
    struct replica_node *node = host->program;
    char *text = node && node->replica ? replica_status_json(node->replica) : NULL;
    json_t *status = text ? json_loads(text, 0, NULL) : NULL;
    json_t *reads = json_object_get(status, "reads");
    uint64_t waited = (uint64_t)json_integer_value(json_object_get(reads, "waited"));
    json_decref(status);
    free(text);
    return waited;
}
