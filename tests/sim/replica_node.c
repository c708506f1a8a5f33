/* One replica: its configuration from the seed, its disk and store the machine's, its trace to the
 * checks. */
#include "tests/sim/replica_node.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct replica_node {
    struct host *host;
    struct replica *replica;
    uint64_t vault_process;
    bool stopped, leaving;
};

void replica_shape_draw(struct replica_shape *shape, struct world *world)
{
    struct replica_config config;
    replica_config_defaults(&config);
    *shape = (struct replica_shape){
        .cache_bytes = world_skewed(world, 16384, 1 << 20), /* at least what one listing needs */
        .log_segment_bytes = world_between(world, 4096, 65536),
        .session_timeout_ns = SIM_S(30 * 86400), /* longer than any seed stands still */
        .limits = config.limits,
    };
    shape->limits.inline_bytes_max = (uint32_t)world_between(world, 64, 1024);
    shape->limits.slots_max = (uint32_t)world_between(world, 1, 16);
}

/* ---- configuration ---- */

static int open_store(void *user, enum replica_store which, struct store **ret_store,
                      struct error *error)
{
    struct host *host = user;
    if (which == REPLICA_STORE_INCOMING)
        return sim_store_open_incoming(host->vault, ret_store, error);
    return sim_store_open(host->vault, which == REPLICA_STORE_NEW, ret_store, error);
}

static int promote_store(void *user, enum replica_old old, struct error *error)
{
    struct host *host = user;
    const struct replica_node *node = host->program;
    struct cluster *cluster = cluster_of_host(host);
    /* after a crash behind the promotion, and before the mark, it is fetched once more */
    if (old == REPLICA_OLD_DAMAGED && !vault_was_damaged(host->vault))
        world_violation(host->world, "validity: %s says that its store is damaged", host->name);
    cluster->faults.fired[FAULT_DAMAGE] += old == REPLICA_OLD_DAMAGED;
    trap_note(&cluster->faults.trap, member_of_host(host), TRAP_SNAPSHOT);
    cluster->snapshots++;
    return sim_store_promote(host->vault, node->vault_process, error);
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
    config->store_promote = promote_store;
    config->store_user = host;
    config->listen = cluster->addresses[member_of_host(host)].address;
    config->node = (uint8_t)(member_of_host(host) + 1);
    config->witness = is_witness(cluster, member_of_host(host));
    config->suspect_after_ns = cluster->suspect_after_ns;
    config->lease_ns = cluster->lease_ns;
    config->start_wait_ns = cluster->start_wait_ns;
    config->lag_after_ns = cluster->lag_after_ns;
    config->history_bytes = 128 * cluster->history_max;
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

/* Whom the operator knows to belong to the group when a machine is added. */
static void take_contacts(struct cluster *cluster, uint8_t node, struct replica_birth *birth)
{
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (cluster->seats[i].belongs && cluster->addresses[i].node != node)
            birth->members[birth->member_count++] = cluster->addresses[i];
}

/* @joins: it is added to a group that runs. */
static void format_one(struct cluster *cluster, struct host *host, bool joins)
{
    struct replica_config config;
    struct replica_birth birth = {.name = "sim", .lineage = 1};
    struct error error = {{0}};
    host->disk = sim_disk_create(host->platter);
    make_config(host, &config);
    memset(birth.cluster, 1, sizeof birth.cluster);
    if (joins)
        take_contacts(cluster, config.node, &birth);
    for (uint32_t i = 0; i < cluster->founder_count && !joins; i++)
        birth.members[birth.member_count++] = cluster->addresses[i];
    int code = joins ? replica_join_format(&config, &birth, &error)
                     : replica_format(&config, &birth, &error);
    if (code < 0)
        world_violation(host->world, "validity: %s can't be formatted: %s", host->name, error.text);
    host->disk->ops->destroy(host->disk);
    host->disk = NULL;
}

void replica_nodes_format(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->founder_count; i++)
        format_one(cluster, &cluster->members[i], false);
}

void replica_node_format(struct cluster *cluster, uint32_t member)
{
    format_one(cluster, &cluster->members[member], true);
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
    if (!message)
        trap_note(&cluster_of_host(host)->faults.trap, member_of_host(host), TRAP_EPOCH);
    checks_applied(&cluster_of_host(host)->checks, member_of_host(host), index, message, history,
                   digest);
}

static void on_released(void *user, uint64_t index)
{
    struct replica_node *node = user;
    checks_released(&cluster_of_host(node->host)->checks, member_of_host(node->host), index);
}

static void on_view(void *user, const struct gcs_view *view, bool self, uint8_t rank)
{
    struct replica_node *node = user;
    struct cluster *cluster = cluster_of_host(node->host);
    trap_note(&cluster->faults.trap, member_of_host(node->host), TRAP_VIEW);
    checks_view(&cluster->checks, member_of_host(node->host), view, self, rank);
    if (self)
        seat_inside(cluster, member_of_host(node->host));
    else
        seat_hears(cluster, member_of_host(node->host), view);
}

static void on_running(void *user, bool running)
{
    struct replica_node *node = user;
    checks_running(&cluster_of_host(node->host)->checks, member_of_host(node->host), running);
}

static void on_opened(void *user)
{
    struct replica_node *node = user;
    struct cluster *cluster = cluster_of_host(node->host);
    trap_note(&cluster->faults.trap, member_of_host(node->host), TRAP_OPEN);
    checks_started(&cluster->checks, member_of_host(node->host));
}

static void on_out(void *user, enum gcs_out why, const char *detail)
{
    struct replica_node *node = user;
    struct cluster *cluster = cluster_of_host(node->host);
    uint32_t member = member_of_host(node->host);
    trap_note(&cluster->faults.trap, member, TRAP_OUT);
    checks_out(&cluster->checks, member, node->leaving);
    (void)seat_out(cluster, member, node->leaving ? GCS_OUT_REMOVED : why, detail);
}

static void on_stays(void *user)
{
    struct replica_node *node = user;
    node->leaving = false;
    seat_stays(cluster_of_host(node->host), member_of_host(node->host));
}

/* What its supervisor knows: whose death it may have to tell. */
static void on_report(void *user, const struct replica_view_report *report)
{
    struct replica_node *node = user;
    replica_load_report(cluster_of_host(node->host), member_of_host(node->host), report);
}

/* ---- life ---- */

static int node_start(struct host *host, struct error *error)
{
    struct replica_node *node = sim_alloc(sizeof *node);
    struct replica_config config;
    host->program = node;
    node->host = host;
    node->vault_process = vault_process(host->vault);
    make_config(host, &config);
    config.user = node;
    config.view = on_report;
    checks_started(&cluster_of_host(host)->checks, member_of_host(host));
    int code = replica_create(&config, &node->replica, error);
    if (code < 0)
        return code;
    struct replica_trace trace = {.applied = on_applied,
                                  .released = on_released,
                                  .view = on_view,
                                  .running = on_running,
                                  .opened = on_opened,
                                  .out = on_out,
                                  .stays = on_stays,
                                  .user = node};
    replica_set_trace(node->replica, &trace);
    return 0;
}

/* ---- operators, and other machines' supervisors ---- */

struct request {
    struct replica_node *node;
    bool back, taken;
    uint8_t remove;
    const struct replica_view_report *dead;
};

static void leave_now(void *user)
{
    struct request *request = user;
    struct error error = {{0}};
    request->taken = replica_leave(request->node->replica, request->back, &error) == 0;
    if (request->taken && !request->back)
        request->node->leaving = true;
}

static void remove_now(void *user)
{
    struct request *request = user;
    struct error error = {{0}};
    request->taken = replica_remove(request->node->replica, request->remove, &error) == 0;
}

static void death_now(void *user)
{
    struct request *request = user;
    const struct replica_view_report *dead = request->dead;
    replica_death(request->node->replica, dead->node, dead->store, dead->incarnation_count,
                  dead->incarnation_random);
}

static bool ask(struct host *host, void (*now)(void *user), struct request request)
{
    if (!host->up || !host->program)
        return false;
    request.node = host->program;
    process_turn(host->process, now, &request);
    return request.taken;
}

bool replica_node_leave(struct host *host, bool back)
{
    return ask(host, leave_now, (struct request){.back = back});
}

bool replica_node_remove(struct host *host, uint8_t node)
{
    return ask(host, remove_now, (struct request){.remove = node});
}

void replica_node_death(struct host *host, const struct replica_view_report *dead)
{
    (void)ask(host, death_now, (struct request){.dead = dead});
}

char *replica_node_status(const struct host *host)
{
    struct replica_node *node = host->program;
    return node && node->replica ? replica_status_json(node->replica) : NULL;
}

static void node_destroy(struct host *host)
{
    struct replica_node *node = host->program;
    checks_running(&cluster_of_host(host)->checks, member_of_host(host), false);
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
