#include "tests/sim/order_conn.h"

#include "tests/sim/world.h"

#include <stdlib.h>

const struct net_limits order_limits = {.frame_bytes_max = 2 * 1024 * 1024,
                                        .queue_bytes_max = 4 * 1024 * 1024};

struct order_listener {
    struct gcs *gcs;
    struct net_listener *base;
    LIST_HEAD(, greeting) greetings;
};

/* An accepted connection. The group gets `proxy`, so that the transport's callbacks stay ours. */
struct greeting {
    struct order_listener *listener; /* NULL: it is gone */
    struct net_conn *conn;
    struct net_conn proxy;
    const struct net_handlers *taken; /* the group's */
    LIST_ENTRY(greeting) entry;
};

static struct greeting *of_proxy(const struct net_conn *proxy)
{
    return (struct greeting *)((char *)(uintptr_t)proxy - offsetof(struct greeting, proxy));
}

static int proxy_send(struct net_conn *proxy, uint16_t type, const void *head, uint32_t head_bytes,
                      struct blob *payload)
{
    return net_send(of_proxy(proxy)->conn, type, head, head_bytes, payload);
}

static void proxy_close(struct net_conn *proxy)
{
    net_close(of_proxy(proxy)->conn);
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

static void greet_opened(struct net_conn *conn)
{
    (void)conn;
}

static void greet_hello(struct greeting *greeting, const struct net_frame *frame)
{
    struct net_hello hello;
    greeting->proxy = (struct net_conn){.ops = &proxy_ops};
    if (frame->type == NET_FRAME_HELLO &&
        net_hello_decode(frame->payload, frame->bytes, &hello) == 0 &&
        hello.role == NET_ROLE_MEMBER)
        greeting->taken = gcs_accept(greeting->listener->gcs, &greeting->proxy, &hello);
    else
        net_close(greeting->conn);
}

static void greet_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct greeting *greeting = conn->user;
    if (greeting->taken)
        greeting->taken->frame(&greeting->proxy, frame);
    else if (greeting->listener)
        greet_hello(greeting, frame);
}

static void greet_drained(struct net_conn *conn)
{
    struct greeting *greeting = conn->user;
    if (greeting->taken && greeting->taken->drained)
        greeting->taken->drained(&greeting->proxy);
}

static void greet_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct greeting *greeting = conn->user;
    if (greeting->taken)
        greeting->taken->closed(&greeting->proxy, reason, detail);
    if (greeting->listener)
        LIST_REMOVE(greeting, entry);
    free(greeting);
}

static const struct net_handlers greet_handlers = {greet_opened, greet_frame, greet_drained,
                                                   greet_closed};

static const struct net_handlers *node_accepted(void *user, struct net_conn *conn, const char *peer)
{
    (void)peer;
    struct order_listener *listener = user;
    struct greeting *greeting = sim_alloc(sizeof *greeting);
    greeting->listener = listener;
    greeting->conn = conn;
    conn->user = greeting;
    LIST_INSERT_HEAD(&listener->greetings, greeting, entry);
    return &greet_handlers;
}

int order_listen(struct net_transport *transport, const char *address, struct gcs *gcs,
                 struct order_listener **ret_listener, struct error *error)
{
    struct order_listener *listener = sim_alloc(sizeof *listener);
    struct net_accept accept = {node_accepted, listener};
    LIST_INIT(&listener->greetings);
    listener->gcs = gcs;
    int code = net_listen(transport, address, &order_limits, &accept, &listener->base, error);
    if (code < 0)
        free(listener);
    else
        *ret_listener = listener;
    return code;
}

void order_unlisten(struct order_listener *listener)
{
    struct greeting *greeting;
    if (!listener)
        return;
    net_unlisten(listener->base);
    while ((greeting = LIST_FIRST(&listener->greetings))) {
        LIST_REMOVE(greeting, entry);
        greeting->listener = NULL;
    }
    free(listener);
}
