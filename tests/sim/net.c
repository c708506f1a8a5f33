/* The transport contract on simulated links: listen, connect, send, close. */
#include "tests/sim/net_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim_transport *transport_of(struct net_transport *transport)
{
    return CONTAINER_OF(transport, struct sim_transport, base);
}

/* ---- listening ---- */

static int address_port(const char *address, uint16_t *ret_port)
{
    const char *colon = strrchr(address, ':');
    char *end;
    if (!colon || colon == address || strlen(address) >= sizeof((struct net_listener *)0)->address)
        return -EINVAL;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end || port > 65535)
        return -EINVAL;
    *ret_port = (uint16_t)port;
    return 0;
}

static struct sim_listener *listener_find(struct sim_net *net, const char *address)
{
    struct sim_listener *listener;
    LIST_FOREACH (listener, &net->listeners, entry)
        if (strcmp(listener->base.address, address) == 0 && !listener->transport->dead)
            return listener;
    return NULL;
}

static int sim_listen(struct net_transport *transport, const char *address,
                      const struct net_limits *limits, const struct net_accept *accept,
                      struct net_listener **ret_listener, struct error *error)
{
    struct sim_transport *t = transport_of(transport);
    uint16_t port;
    char bound[64];
    if (address_port(address, &port) < 0)
        return error_set(error, -EINVAL, "%s is not host:port", address);
    int host_bytes = (int)(strrchr(address, ':') - address);
    if (port == 0)
        port = ++t->net->port_next;
    snprintf(bound, sizeof bound, "%.*s:%u", host_bytes, address, port);
    if (listener_find(t->net, bound))
        return error_set(error, -EADDRINUSE, "%s is in use", bound);
    struct sim_listener *listener = sim_alloc(sizeof *listener);
    listener->base.ops = transport->ops;
    memcpy(listener->base.address, bound, sizeof bound);
    listener->transport = t;
    listener->limits = *limits;
    listener->accept = *accept;
    LIST_INSERT_HEAD(&t->net->listeners, listener, entry);
    *ret_listener = &listener->base;
    return 0;
}

static void sim_unlisten(struct net_listener *base)
{
    struct sim_listener *listener = CONTAINER_OF(base, struct sim_listener, base);
    LIST_REMOVE(listener, entry);
    free(listener);
}

/* ---- connecting ---- */

static void connect_fail(struct sim_link *link)
{
    end_close_later(&link->ends[0], NET_REASON_CONNECT, link->base_ns);
}

/* In the accepting process: its user takes the connection or refuses it. */
static void link_accepted(struct event *event)
{
    struct sim_link *link = CONTAINER_OF(event, struct sim_link, accept);
    struct end *end = &link->ends[1];
    struct sim_listener *listener = listener_find(link->net, link->address);
    const struct net_handlers *handlers = NULL;
    if (end->state != END_CONNECTING)
        return;
    if (listener && listener->transport == end->transport) {
        end->limits = listener->limits;
        handlers = listener->accept.accepted(listener->accept.user, &end->conn, "simulated:1");
    }
    if (!handlers) {
        end_close_later(&link->ends[0], NET_REASON_PEER, link->base_ns);
        end_finish(end);
        return;
    }
    end->handlers = handlers;
    if (end->unwanted) {
        end_close_later(&link->ends[0], NET_REASON_PEER, link->base_ns);
        end_close_later(end, NET_REASON_LOCAL, 0);
        return;
    }
    end->state = END_OPEN;
    pipe_mark(&link->pipes[1], ITEM_OPEN);
    handlers->opened(&end->conn);
    pipe_kick(&link->pipes[0]);
}

/* The request reaches the other host, if it does. */
static void link_syn(struct event *event)
{
    struct sim_link *link = CONTAINER_OF(event, struct sim_link, syn);
    struct sim_net *net = link->net;
    struct sim_listener *listener = listener_find(net, link->address);
    if (link->ends[0].state != END_CONNECTING)
        return;
    uint32_t from = link->hosts[0], to = listener ? listener->transport->host : from;
    if (!listener) {
        connect_fail(link);
    } else if (net->blocked[from][to] || net->blocked[to][from]) {
        if (net->world->now_ns - link->begun_ns > net->connect_timeout_ns)
            connect_fail(link);
        else
            event_start(net->world, &link->syn, SIM_MS(20));
    } else {
        end_attach(&link->ends[1], listener->transport, &listener->limits);
        link->accept.process = listener->transport->process;
        event_start(net->world, &link->accept, 0);
    }
}

static int sim_connect(struct net_transport *transport, const char *address, const char *source,
                       const struct net_limits *limits, const struct net_handlers *handlers,
                       void *user, struct net_conn **ret_conn, struct error *error)
{
    (void)source;
    struct sim_transport *t = transport_of(transport);
    uint16_t port;
    if (address_port(address, &port) < 0 || port == 0)
        return error_set(error, -EINVAL, "%s is not host:port", address);
    struct sim_link *link = link_create(t->net);
    snprintf(link->address, sizeof link->address, "%s", address);
    end_attach(&link->ends[0], t, limits);
    link->ends[0].handlers = handlers;
    link->ends[0].conn.user = user;
    link->syn = (struct event){.fire = link_syn, .label = "syn"};
    link->accept = (struct event){.fire = link_accepted, .label = "accept"};
    if (!t->dead)
        event_start(t->net->world, &link->syn, link->base_ns);
    *ret_conn = &link->ends[0].conn;
    return 0;
}

/* ---- sending ---- */

static int sim_send(struct net_conn *conn, uint16_t type, const void *head, uint32_t head_bytes,
                    struct blob *payload)
{
    struct end *end = end_of(conn);
    uint32_t payload_bytes = payload ? payload->bytes : 0;
    uint64_t bytes = (uint64_t)head_bytes + payload_bytes;
    if (end->state != END_OPEN && end->state != END_CONNECTING)
        return NET_E_CLOSED;
    if (bytes > end->limits.frame_bytes_max)
        return -EMSGSIZE;
    if (end->queued_bytes > 0 &&
        bytes + FRAME_HEADER_BYTES + end->queued_bytes > end->limits.queue_bytes_max) {
        end->was_full = true;
        return NET_E_FULL;
    }
    struct item *item = sim_alloc(sizeof *item + bytes);
    item->kind = ITEM_FRAME;
    item->type = type;
    item->bytes = (uint32_t)bytes;
    if (head_bytes)
        memcpy(item->payload, head, head_bytes);
    if (payload_bytes)
        memcpy(item->payload + head_bytes, payload->data, payload_bytes);
    STAILQ_INSERT_TAIL(&end->queue, item, entry);
    end->queued_bytes += item->bytes + FRAME_HEADER_BYTES;
    end->transport->counters.memory_bytes += item->bytes + FRAME_HEADER_BYTES;
    struct sim_link *link = end->link;
    if (link->net->tap && !end->transport->dead)
        link->net->tap(link->net->tap_user, link->hosts[end_side(end)], link->hosts[!end_side(end)],
                       type, item->payload, item->bytes);
    if (link->net->moved && !end->transport->dead)
        link->net->moved(link->net->moved_user, link->hosts[end_side(end)], true, type);
    loop_defer(&end->transport->process->loop, &end->flush);
    return 0;
}

/* Close while the connection is still coming up: as if it had never been wanted. */
static void close_connecting(struct end *end)
{
    struct sim_link *link = end->link;
    if (end_side(end) == 1) { /* inside of `accepted`: link_accepted goes on */
        end->unwanted = true;
        return;
    }
    if (link->ends[1].state == END_OPEN)
        pipe_mark(&link->pipes[0], ITEM_FIN);
    else if (link->ends[1].state == END_CONNECTING)
        end_finish(&link->ends[1]);
    event_stop(link->net->world, &link->accept);
    event_stop(link->net->world, &link->syn);
    end_close_later(end, NET_REASON_LOCAL, 0);
}

static void sim_close(struct net_conn *conn)
{
    struct end *end = end_of(conn);
    if (end->state == END_FINISHED || end->transport->dead)
        return;
    if (end->state == END_CONNECTING) {
        close_connecting(end);
    } else if (end->state == END_OPEN) {
        end->was_full = false;
        end_flush(end, true);
        pipe_mark(&end->link->pipes[end_side(end)], ITEM_FIN);
        end_close_later(end, NET_REASON_LOCAL, SIM_US(1));
        pipe_kick(&end->link->pipes[!end_side(end)]); /* what comes in is dropped */
    }
}

static void sim_pause(struct net_conn *conn, bool paused)
{
    struct end *end = end_of(conn);
    end->paused = paused;
    if (!paused && !end->transport->dead)
        pipe_kick(&end->link->pipes[!end_side(end)]);
}

static uint32_t sim_queued_bytes(const struct net_conn *conn)
{
    return end_of(conn)->queued_bytes;
}

static void sim_counters(struct net_transport *transport, struct net_counters *ret_counters)
{
    *ret_counters = transport_of(transport)->counters;
}

/* ---- life ---- */

static void end_destroy(struct end *end)
{
    if (end->state == END_NONE || end->state == END_FINISHED)
        return;
    if (end->state == END_OPEN && !end->transport->dead) {
        end_flush(end, true);
        pipe_mark(&end->link->pipes[end_side(end)], ITEM_FIN);
    }
    if (end->handlers)
        end->handlers->closed(&end->conn, NET_REASON_LOCAL, "transport destroyed");
    else if (!end->transport->dead)
        end_close_later(end_peer(end), NET_REASON_PEER, end->link->base_ns);
    end_finish(end);
}

static void sim_destroy(struct net_transport *transport)
{
    struct sim_transport *t = transport_of(transport);
    struct sim_listener *listener, *listener_next;
    for (listener = LIST_FIRST(&t->net->listeners); listener; listener = listener_next) {
        listener_next = LIST_NEXT(listener, entry);
        if (listener->transport == t)
            sim_unlisten(&listener->base);
    }
    struct sim_link *link = TAILQ_FIRST(&t->net->links), *next;
    for (; link; link = next) {
        next = TAILQ_NEXT(link, entry);
        bool own[2] = {link->ends[0].transport == t, link->ends[1].transport == t};
        bool last = own[0] && own[1] && link->ends[1].state != END_FINISHED &&
                    link->ends[1].state != END_NONE;
        if (own[0])
            end_destroy(&link->ends[0]);
        if (own[1] && (!own[0] || last))
            end_destroy(&link->ends[1]);
    }
    free(t);
}

static const struct net_transport_ops sim_transport_ops = {
    .scheme = "sim",
    .listen = sim_listen,
    .unlisten = sim_unlisten,
    .connect = sim_connect,
    .send = sim_send,
    .close = sim_close,
    .pause = sim_pause,
    .queued_bytes = sim_queued_bytes,
    .counters = sim_counters,
    .destroy = sim_destroy,
};

struct net_transport *sim_transport_create(struct sim_net *net, struct process *process,
                                           uint32_t host)
{
    MUST(host < SIM_HOSTS_MAX);
    struct sim_transport *t = sim_alloc(sizeof *t);
    t->base.ops = &sim_transport_ops;
    t->net = net;
    t->process = process;
    t->host = host;
    return &t->base;
}

void sim_net_init(struct sim_net *net, struct world *world)
{
    memset(net, 0, sizeof *net);
    net->world = world;
    net->delay_low_ns = SIM_US(10);
    net->delay_high_ns = SIM_MS(8);
    net->connect_timeout_ns = SIM_MS(400);
    net->silence_timeout_ns = SIM_S(2);
    net->port_next = 20000;
    LIST_INIT(&net->listeners);
    TAILQ_INIT(&net->links);
}

void sim_net_finish(struct sim_net *net)
{
    MUST(TAILQ_EMPTY(&net->links) && LIST_EMPTY(&net->listeners));
}
