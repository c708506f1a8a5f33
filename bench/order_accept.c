/* Connections that come in to a member of the ordering benchmark: the first frame is a hello, the
 * rest belongs to the group. The group sets `user` of the connection that it is given, and so gets
 * one of its own, which passes on to the transport's. */
#include "bench/order.h"

#include <stdlib.h>

struct incoming {
    struct net_conn proxy; /* first: what the group sees */
    struct net_conn *conn;
    struct gcs *gcs;
    const struct net_handlers *member; /* NULL before the hello */
};

static int proxy_send(struct net_conn *proxy, uint16_t type, const void *head, uint32_t head_bytes,
                      struct blob *payload)
{
    return net_send(((struct incoming *)proxy)->conn, type, head, head_bytes, payload);
}

static void proxy_close(struct net_conn *proxy)
{
    net_close(((struct incoming *)proxy)->conn);
}

static void proxy_pause(struct net_conn *proxy, bool paused)
{
    net_pause(((struct incoming *)proxy)->conn, paused);
}

static uint32_t proxy_queued_bytes(const struct net_conn *proxy)
{
    return net_queued_bytes(((const struct incoming *)proxy)->conn);
}

static const struct net_transport_ops proxy_ops = {
    .send = proxy_send,
    .close = proxy_close,
    .pause = proxy_pause,
    .queued_bytes = proxy_queued_bytes,
};

static void on_opened(struct net_conn *conn)
{
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct incoming *in = conn->user;
    struct net_hello hello;
    if (in->member)
        in->member->frame(&in->proxy, frame);
    else if (frame->type == NET_FRAME_HELLO &&
             net_hello_decode(frame->payload, frame->bytes, &hello) == 0)
        in->member = gcs_accept(in->gcs, &in->proxy, &hello);
    else
        net_close(conn);
}

static void on_drained(struct net_conn *conn)
{
    struct incoming *in = conn->user;
    if (in->member && in->member->drained)
        in->member->drained(&in->proxy);
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct incoming *in = conn->user;
    if (in->member)
        in->member->closed(&in->proxy, reason, detail);
    free(in);
}

static const struct net_handlers *on_accepted(void *user, struct net_conn *conn, const char *peer)
{
    static const struct net_handlers handlers = {on_opened, on_frame, on_drained, on_closed};
    struct incoming *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    *in = (struct incoming){.proxy.ops = &proxy_ops, .conn = conn, .gcs = user};
    conn->user = in;
    return &handlers;
}

struct net_accept order_accept(struct gcs *gcs)
{
    return (struct net_accept){.accepted = on_accepted, .user = gcs};
}
