/* One client: keeps a number of operations in flight, drawn from the common workload. When its
 * process dies, what was out is lost: it may happen or not. */
#include "tests/sim/client_node.h"

#include "client/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_FLIGHT_MAX = 6 };

struct client_node;

struct flight {
    struct client_node *node;
    struct sim_op *op; /* NULL: idle */
    struct event next; /* of the process */
};

struct client_node {
    struct host *host;
    struct clients *clients;
    struct client_session *session;
    struct flight flights[IN_FLIGHT_MAX];
    uint32_t flight_count;
    bool ended;
};

static void flight_rest(struct flight *flight)
{
    struct world *world = flight->node->host->world;
    if (!flight->node->clients->paused && !flight->node->ended)
        event_start(world, &flight->next, world_skewed(world, 0, SIM_MS(80)));
}

static void on_done(void *user, int code, const struct proto_reply *reply)
{
    struct flight *flight = user;
    struct clients *clients = flight->node->clients;
    struct sim_op *op = flight->op;
    flight->op = NULL;
    if (code < 0 || !reply) {
        history_lost(&clients->history, op);
        return;
    }
    history_answered(&clients->history, op, reply);
    workload_learn(&clients->workload, op);
    clients->answered(clients->user, op);
    flight_rest(flight);
}

static void flight_begin(struct event *event)
{
    struct flight *flight = CONTAINER_OF(event, struct flight, next);
    struct client_node *node = flight->node;
    struct clients *clients = node->clients;
    struct proto_credentials credentials;
    struct proto_op op;
    uint8_t groups[4];
    uint32_t uid;
    if (clients->paused || node->ended)
        return;
    workload_draw(&clients->workload, &op, &uid);
    flight->op = history_begin(&clients->history, node->host->id, uid, uid, &op);
    history_credentials(flight->op, groups, &credentials);
    int code = client_session_submit(node->session, &credentials, &op, on_done, flight, NULL);
    if (code == 0)
        return;
    char text[256];
    world_violation(node->host->world, "validity: %s can't submit %s: %d", node->host->name,
                    history_text(flight->op, text), code);
    history_lost(&clients->history, flight->op);
    flight->op = NULL;
}

static void on_connected(void *user, bool connected, const char *peer)
{
    struct client_node *node = user;
    world_note(node->host->world, "%s %s %s", node->host->name,
               connected ? "is connected to" : "lost its connection:", peer);
}

static void on_ended(void *user, const char *detail)
{
    struct client_node *node = user;
    node->ended = true;
    world_violation(node->host->world, "exactly once: the session of %s ended: %s",
                    node->host->name, detail);
}

static void flights_start(struct client_node *node)
{
    node->flight_count = (uint32_t)world_between(node->host->world, 1, IN_FLIGHT_MAX);
    for (uint32_t i = 0; i < node->flight_count; i++) {
        struct flight *flight = &node->flights[i];
        flight->node = node;
        flight->next =
            (struct event){.fire = flight_begin, .label = "ask", .process = node->host->process};
        flight_rest(flight);
    }
}

/* Those that belong to the group when it begins; of others it has to learn. */
static uint32_t known_addresses(const struct cluster *cluster, const char *to[GCS_MEMBER_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (cluster->seats[i].belongs)
            to[count++] = cluster->addresses[i].address;
    return count;
}

static int node_start(struct host *host, struct error *error)
{
    struct client_node *node = sim_alloc(sizeof *node);
    struct clients *clients = host->user;
    const char *addresses[GCS_MEMBER_MAX];
    host->program = node;
    node->host = host;
    node->clients = clients;
    struct client_session_config config = {
        .loop = &host->process->loop,
        .transport = host->transport,
        .addresses = addresses,
        .address_count = known_addresses(clients->cluster, addresses),
        .first = UINT32_MAX,
        .slots = (uint32_t)world_between(host->world, 1, 8),
        .keepalive_ns = world_between(host->world, SIM_MS(300), SIM_S(5)),
        .stall_ns = world_between(host->world, SIM_MS(100), SIM_S(2)),
        .user = node,
        .connected = on_connected,
        .ended = on_ended,
    };
    for (int i = 0; i < 4; i++)
        config.random[i] = prng_next(&host->world->prng);
    int code = client_session_create(&config, &node->session);
    if (code < 0)
        return error_set(error, code, "no session");
    flights_start(node);
    return 0;
}

static void node_destroy(struct host *host)
{
    struct client_node *node = host->program;
    for (uint32_t i = 0; i < node->flight_count; i++)
        if (node->flights[i].op)
            history_lost(&node->clients->history, node->flights[i].op);
    node->clients->resent += client_node_resent(host);
    client_session_destroy(node->session);
    free(node);
    host->program = NULL;
}

const struct host_ops client_node_ops = {node_start, node_destroy};

static void move_now(void *user)
{
    struct client_node *node = user;
    struct clients *clients = node->clients;
    uint32_t to = (uint32_t)prng_below(&node->host->world->prng, clients->cluster->member_count);
    client_session_move(node->session, to);
}

bool client_node_move(struct host *host)
{
    if (!host->up || !host->program)
        return false;
    world_note(host->world, "%s moves", host->name);
    process_turn(host->process, move_now, host->program);
    return true;
}

void client_node_resume(struct host *host)
{
    struct client_node *node = host->up ? host->program : NULL;
    for (uint32_t i = 0; node && i < node->flight_count; i++)
        if (!node->flights[i].op && !node->flights[i].next.place)
            flight_rest(&node->flights[i]);
}

uint64_t client_node_resent(const struct host *host)
{
    const struct client_node *node = host->program;
    struct client_session_status status;
    if (!node || !node->session)
        return 0;
    client_session_get_status(node->session, &status);
    return status.resent;
}
