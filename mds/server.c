/* Connections: strangers until their hello, then members, clients, operators,
 * supervisors.
 *
 * A member's connection is handed to the group as a connection of its own (`proxy`), whose
 * operations and callbacks pass through here: the transport's callbacks stay those of the server,
 * and the server keeps count of all connections.
 *
 * Invariant: the sum of `counts` is the number of connections in `conns`. A stranger is closed
 * hello_deadline_ns after it came, whatever it sends meanwhile. */
#include "mds/server_internal.h"
#include "mds/transfer.h"
#include "base/log.h"
#include "net/members.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t hello_deadline_ns = 5000000000, sweep_ns = 250000000;
static const uint64_t frame_timeout_ns = 10000000000;

void server_conn_set_role(struct server_conn *c, enum conn_role role)
{
    c->server->counts[c->role]--;
    c->role = role;
    c->server->counts[role]++;
}

void server_conn_close(struct server_conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    net_close(c->conn);
}

void server_conn_refuse(struct server_conn *c, const char *why)
{
    c->server->refused++;
    if (net_send(c->conn, NET_FRAME_REFUSED, why, (uint32_t)strlen(why), NULL) != 0)
        log_debug("server", "a refusal could not be sent");
    server_conn_close(c);
}

/* --- a member's connection, as the group sees it
 * -------------------------------------------------- */

static struct server_conn *of_proxy(const struct net_conn *proxy)
{
    return CONTAINER_OF(proxy, struct server_conn, proxy);
}

static int proxy_send(struct net_conn *proxy, uint16_t type, const void *head, uint32_t head_bytes,
                      struct blob *payload)
{
    return net_send(of_proxy(proxy)->conn, type, head, head_bytes, payload);
}

static void proxy_close(struct net_conn *proxy)
{
    server_conn_close(of_proxy(proxy));
}

static void proxy_pause(struct net_conn *proxy, bool paused)
{
    net_pause(of_proxy(proxy)->conn, paused);
}

static uint32_t proxy_queued_bytes(const struct net_conn *proxy)
{
    return net_queued_bytes(of_proxy(proxy)->conn);
}

static const struct net_transport_ops proxy_ops = {
    .scheme = "member",
    .send = proxy_send,
    .close = proxy_close,
    .pause = proxy_pause,
    .queued_bytes = proxy_queued_bytes,
};

/* --- hello
 * ---------------------------------------------------------------------------------------- */

void server_conn_greet(struct server_conn *c)
{
    const struct replica *replica = c->server->replica;
    const struct identity *identity = &replica->identity;
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    struct net_hello hello = {.version = NET_HELLO_VERSION,
                              .role = NET_ROLE_MEMBER,
                              .node = replica->config.node,
                              .lineage_random = identity->lineage_random,
                              .lineage_generation = identity->lineage_generation,
                              .incarnation_count = replica->incarnation.count,
                              .incarnation_random = replica->incarnation.random};
    memcpy(hello.cluster, identity->cluster, sizeof hello.cluster);
    memcpy(hello.store, identity->store, sizeof hello.store);
    if (net_send(c->conn, NET_FRAME_HELLO, bytes, (uint32_t)net_hello_encode(&hello, bytes),
                 NULL) != 0)
        server_conn_close(c);
}

static bool cluster_matches(const struct replica *replica, const struct net_hello *hello)
{
    static const uint8_t any[16];
    return memcmp(hello->cluster, any, sizeof any) == 0 ||
           memcmp(hello->cluster, replica->identity.cluster, sizeof any) == 0;
}

static void hello_member(struct server_conn *c, const struct net_hello *hello)
{
    struct replica *replica = c->server->replica;
    c->proxy = (struct net_conn){.ops = &proxy_ops};
    server_conn_set_role(c, CONN_MEMBER);
    c->member = replica_is_live(replica) ? gcs_accept(replica->gcs, &c->proxy, hello) : NULL;
    if (!c->member) {
        c->server->refused++;
        server_conn_close(c);
    }
}

/* One that joins fetches the state. */
static void hello_transfer(struct server_conn *c, const struct net_hello *hello)
{
    struct replica *replica = c->server->replica;
    const struct identity *identity = &replica->identity;
    if (!replica_is_live(replica) || !replica->running || !replica->sender) {
        server_conn_refuse(c, "this replica does not run");
        return;
    }
    if (replica->outside.damaged) {
        server_conn_refuse(c, "the store of this replica is damaged");
        return;
    }
    if (memcmp(hello->cluster, identity->cluster, sizeof hello->cluster) != 0 ||
        hello->lineage_random != identity->lineage_random ||
        hello->lineage_generation != identity->lineage_generation) {
        server_conn_refuse(c, "this is a replica of another cluster or lineage");
        return;
    }
    if (transfer_sender_count(replica->sender) >= TRANSFER_SENDERS_MAX) {
        server_conn_refuse(c, "this replica gives away as many snapshots at once as it may");
        return;
    }
    c->proxy = (struct net_conn){.ops = &proxy_ops};
    server_conn_set_role(c, CONN_TRANSFER);
    server_conn_greet(c);
    if (!c->closing)
        c->member = transfer_sender_accept(replica->sender, &c->proxy, hello->node);
    if (!c->member)
        server_conn_close(c);
}

/* Clients are better off elsewhere: it drains, or has not been able to answer for a while. */
static bool server_gave_up(const struct server *server)
{
    const struct replica *replica = server->replica;
    return replica->unserved_since_ns &&
           loop_now_ns(server->loop) - replica->unserved_since_ns >= replica->config.give_up_ns;
}

/* One that waits for its epoch is given a moment: it may come at once. */
static bool server_serves(const struct server *server)
{
    const struct replica *replica = server->replica;
    return replica_is_live(replica) && !replica->config.witness && !replica->draining &&
           !replica->outside.leaving && !server_gave_up(server);
}

static void members_of(const struct gcs_view *view, struct net_members *members)
{
    *members = (struct net_members){.epoch = view->epoch};
    for (uint8_t k = 0; k < view->member_count; k++) {
        const struct gcs_member *member = &view->members[k];
        if (!member->witness && member->address[0])
            memcpy(members->addresses[members->count++], member->address, sizeof member->address);
    }
}

/* Where a client can go when this replica is gone. */
static void tell_members(struct server_conn *c)
{
    uint8_t bytes[NET_MEMBERS_BYTES_MAX];
    struct net_members members;
    members_of(&c->server->replica->view, &members);
    if (!c->closing && members.epoch > 0 &&
        net_send(c->conn, NET_FRAME_MEMBERS, bytes, (uint32_t)net_members_encode(&members, bytes),
                 NULL) != 0)
        server_conn_close(c);
}

void server_tell_members(struct server *server)
{
    struct server_conn *c;
    LIST_FOREACH (c, &server->conns, link)
        if (c->role == CONN_CLIENT)
            tell_members(c);
}

static void hello_client(struct server_conn *c, const struct net_hello *hello)
{
    struct server *server = c->server;
    if (!cluster_matches(server->replica, hello))
        server_conn_refuse(c, "this is a replica of another cluster");
    else if (server->counts[CONN_CLIENT] >= server->replica->config.client_connections_max)
        server_conn_refuse(c, "too many clients (clients_max)");
    else if (server->stopped)
        server_conn_refuse(c, "the replica is stopping");
    else if (!server_serves(server))
        server_conn_refuse(c, "the replica does not serve: it is draining, or outside its group");
    else {
        server_conn_set_role(c, CONN_CLIENT);
        server_conn_greet(c);
        tell_members(c);
    }
}

static void hello_operator(struct server_conn *c)
{
    if (c->server->counts[CONN_OPERATOR] >= OPERATORS_MAX) {
        server_conn_refuse(c, "too many operators at once");
        return;
    }
    server_conn_set_role(c, CONN_OPERATOR);
    server_conn_greet(c);
}

static void hello_of_role(struct server_conn *c, const struct net_hello *hello)
{
    switch (hello->role) {
    case NET_ROLE_MEMBER:
        hello_member(c, hello);
        break;
    case NET_ROLE_CLIENT:
        hello_client(c, hello);
        break;
    case NET_ROLE_TRANSFER:
        hello_transfer(c, hello);
        break;
    case NET_ROLE_SUPERVISOR:
        server_death_hello(c, hello);
        break;
    default:
        server_conn_refuse(c, "this replica hands out no state");
    }
}

static void on_hello(struct server_conn *c, const struct net_frame *frame)
{
    const struct replica *replica = c->server->replica;
    struct net_hello hello;
    if (frame->type != NET_FRAME_HELLO ||
        net_hello_decode(frame->payload, frame->bytes, &hello) < 0) {
        c->server->malformed++;
        server_conn_close(c);
        return;
    }
    if (hello.version != NET_HELLO_VERSION)
        server_conn_refuse(c, "another version of the protocol");
    else if (hello.role == NET_ROLE_ADMIN)
        hello_operator(c);
    else if (replica->phase == REPLICA_WAITING)
        server_conn_refuse(c, "not formatted yet: waiting for 'tuttictl cluster create'");
    else
        hello_of_role(c, &hello);
}

/* --- the transport's callbacks
 * --------------------------------------------------------------------- */

static void on_admin(struct server_conn *c, const struct net_frame *frame)
{
    if (frame->type != NET_FRAME_ADMIN) {
        c->server->malformed++;
        server_conn_close(c);
        return;
    }
    char *text = admin_answer(c->server->replica, frame->payload, frame->bytes);
    if (!text || net_send(c->conn, NET_FRAME_ADMIN_REPLY, text, (uint32_t)strlen(text), NULL) != 0)
        server_conn_close(c);
    free(text);
}

static void on_opened(struct net_conn *conn)
{
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct server_conn *c = conn->user;
    struct replica *replica = c->server->replica;
    if (c->closing || !replica || replica->phase == REPLICA_FAILED)
        return;
    switch (c->role) {
    case CONN_STRANGER:
        on_hello(c, frame);
        break;
    case CONN_MEMBER:
    case CONN_TRANSFER:
        if (c->member)
            c->member->frame(&c->proxy, frame);
        break;
    case CONN_CLIENT:
        server_request_frame(c, frame);
        break;
    case CONN_OPERATOR:
        on_admin(c, frame);
        break;
    case CONN_SUPERVISOR:
        server_death_frame(c, frame);
        break;
    case CONN_ROLE_COUNT:
        break;
    }
}

static void on_drained(struct net_conn *conn)
{
    struct server_conn *c = conn->user;
    if (!c->server->replica)
        return;
    if (c->member && c->member->drained)
        c->member->drained(&c->proxy);
    else if (c->role == CONN_CLIENT)
        loop_defer(c->server->loop, &c->pump);
}

static void server_free(struct server *server)
{
    buffer_finish(&server->reply);
    free(server);
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct server_conn *c = conn->user;
    struct server *server = c->server;
    c->closing = true;
    if (c->member && server->replica)
        c->member->closed(&c->proxy, reason, detail);
    server_request_drop(c);
    loop_cancel(server->loop, &c->pump);
    server->counts[c->role]--;
    LIST_REMOVE(c, link);
    free(c);
    if (!server->replica && LIST_EMPTY(&server->conns))
        server_free(server);
}

static const struct net_handlers handlers = {
    .opened = on_opened,
    .frame = on_frame,
    .drained = on_drained,
    .closed = on_closed,
};

static const struct net_handlers *on_accepted(void *user, struct net_conn *conn, const char *peer)
{
    struct server *server = user;
    struct server_conn *c;
    if (server->counts[CONN_STRANGER] >= STRANGERS_MAX || !server->replica ||
        !(c = calloc(1, sizeof *c))) {
        server->refused++;
        return NULL;
    }
    c->server = server;
    c->conn = conn;
    c->since_ns = loop_now_ns(server->loop);
    c->pump = (struct loop_task){.run = server_request_pump, .phase = LOOP_PHASE_SUBMIT};
    STAILQ_INIT(&c->held);
    TAILQ_INIT(&c->reads);
    LIST_INIT(&c->waiters);
    LIST_INSERT_HEAD(&server->conns, c, link);
    server->counts[CONN_STRANGER]++;
    conn->user = c;
    return &handlers;
}

/* A member that is cut off from the others still has its epoch, and nothing goes on in it. */
static void watch_order(struct replica *replica)
{
    if (!replica->running)
        return;
    if (order_goes_on(replica))
        replica->unserved_since_ns = 0;
    else if (!replica->unserved_since_ns)
        replica->unserved_since_ns = loop_now_ns(replica->loop);
}

static void on_sweep(struct loop_timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, sweep);
    uint64_t now = loop_now_ns(server->loop);
    struct server_conn *c;
    LIST_FOREACH (c, &server->conns, link)
        if (c->role == CONN_STRANGER && !c->closing && now - c->since_ns > hello_deadline_ns) {
            server->malformed++;
            server_conn_close(c);
        }
    watch_order(server->replica);
    if (server_gave_up(server))
        server_close_clients(server);
    else if (server->replica->draining || server->replica->outside.leaving)
        server_drain(server);
    loop_timer_start(&server->sweep, sweep_ns);
}

/* Looks again whether the send queues of paused clients have room. */
static void on_drain(struct loop_timer *timer)
{
    server_resume(CONTAINER_OF(timer, struct server, drain));
}

/* --- begin and end
 * ----------------------------------------------------------------------------------- */

int server_create(struct replica *replica, struct server **ret_server, struct error *error)
{
    struct server *server = calloc(1, sizeof *server);
    if (!server || loop_timer_init(replica->loop, &server->sweep, on_sweep) < 0 ||
        loop_timer_init(replica->loop, &server->drain, on_drain) < 0) {
        if (server)
            loop_timer_finish(&server->sweep);
        free(server);
        return error_set(error, -ENOMEM, "no memory");
    }
    server->replica = replica;
    server->loop = replica->loop;
    LIST_INIT(&server->conns);
    buffer_init(&server->reply, PROTO_REPLY_BYTES_MAX + 1024);
    const struct net_limits limits = {.frame_bytes_max = (1 << 20) + (64 << 10),
                                      .queue_bytes_max = CONN_QUEUE_BYTES_MAX,
                                      .frame_timeout_ns = frame_timeout_ns};
    const struct net_accept accept = {.accepted = on_accepted, .user = server};
    int rc = net_listen(replica->config.transport, replica->listen, &limits, &accept,
                        &server->listener, error);
    if (rc < 0) {
        loop_timer_finish(&server->sweep);
        loop_timer_finish(&server->drain);
        server_free(server);
        return rc;
    }
    loop_timer_start(&server->sweep, sweep_ns);
    *ret_server = server;
    return 0;
}

void server_stop(struct server *server)
{
    struct server_conn *c;
    if (server->listener)
        net_unlisten(server->listener);
    server->listener = NULL;
    server->stopped = true;
    LIST_FOREACH (c, &server->conns, link)
        if (c->role == CONN_STRANGER || (c->role == CONN_CLIENT && c->inflight == 0))
            server_conn_close(c);
}

void server_close_clients(struct server *server)
{
    struct server_conn *c;
    LIST_FOREACH (c, &server->conns, link)
        if (c->role == CONN_CLIENT)
            server_conn_close(c);
}

void server_drain(struct server *server)
{
    struct server_conn *c;
    LIST_FOREACH (c, &server->conns, link)
        if (c->role == CONN_CLIENT && c->inflight == 0)
            server_conn_close(c);
}

void server_resume(struct server *server)
{
    struct server_conn *c;
    LIST_FOREACH (c, &server->conns, link)
        if (c->role == CONN_CLIENT)
            loop_defer(server->loop, &c->pump);
}

void server_destroy(struct server *server)
{
    struct server_conn *c;
    if (!server)
        return;
    server_stop(server);
    loop_timer_finish(&server->sweep);
    loop_timer_finish(&server->drain);
    LIST_FOREACH (c, &server->conns, link) {
        server_conn_close(c);
        server_request_drop(c);
        loop_cancel(server->loop, &c->pump);
    }
    server->replica = NULL;
    if (LIST_EMPTY(&server->conns))
        server_free(server);
}

void server_counters(const struct server *server, struct server_counters *ret_counters)
{
    *ret_counters = (struct server_counters){
        .clients = server->counts[CONN_CLIENT],
        .refused = server->refused,
        .malformed = server->malformed,
        .requests = server->requests,
        .deaths = server->deaths,
    };
    for (int role = 0; role < CONN_ROLE_COUNT; role++)
        ret_counters->connections += server->counts[role];
}

const char *server_address(const struct server *server)
{
    return server->listener ? server->listener->address : "";
}
