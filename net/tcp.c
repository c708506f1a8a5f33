/* The TCP transport: listeners, counters, and the table of its operations. */
#include "net/address.h"
#include "net/loop_uv.h"
#include "net/tcp_internal.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tcp *tcp_of(struct net_transport *transport)
{
    return CONTAINER_OF(transport, struct tcp, base);
}

void tcp_release(struct tcp *tcp)
{
    if (tcp->destroyed && LIST_EMPTY(&tcp->conns) && LIST_EMPTY(&tcp->listeners))
        free(tcp);
}

/* Accepting */

static void peer_name(const uv_tcp_t *handle, char text[64])
{
    struct sockaddr_storage address = {0};
    int bytes = sizeof address;
    uv_tcp_getpeername(handle, (struct sockaddr *)&address, &bytes);
    net_address_format(&address, text);
}

static void offer(struct tcp_listener *listener, struct tcp_conn *conn)
{
    char peer[64];
    peer_name(&conn->uv, peer);
    conn->handlers = listener->accept.accepted(listener->accept.user, &conn->base, peer);
    if (!conn->handlers)
        tcp_conn_end(conn, NET_REASON_LOCAL, "not accepted");
    else if (conn->tcp->destroyed)
        tcp_conn_ended_now(conn);
    else if (conn->state == TCP_OPEN)
        tcp_conn_opened(conn);
}

/* Until the connection that libuv holds out is taken, it listens for no other one. */
static void take(uv_timer_t *again)
{
    struct tcp_listener *listener = again->data;
    struct tcp_conn *conn = tcp_conn_create(listener->tcp, &listener->limits, TCP_OPEN);
    if (!conn) {
        uv_timer_start(again, take, TCP_ACCEPT_AGAIN_MS, 0);
        return;
    }
    conn->awaits_first = true;
    int rc = uv_accept((uv_stream_t *)&listener->uv, (uv_stream_t *)&conn->uv);
    if (rc < 0)
        tcp_conn_end(conn, NET_REASON_SYSTEM, uv_strerror(rc));
    else
        offer(listener, conn);
}

static void incoming(uv_stream_t *stream, int status)
{
    struct tcp_listener *listener = stream->data;
    if (status == 0) /* else the peer has gone again, or descriptors are short: libuv tries later */
        take(&listener->again);
}

/* Listening */

/* Blocks for names: a listener is made at the start. */
static int resolve(const char *address, struct sockaddr_storage *ret, struct error *error)
{
    char host[NET_HOST_BYTES], port[NET_PORT_BYTES];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
    int rc = net_address_split(address, host, port, error);
    if (rc < 0 || net_address_numeric(host, port, ret) == 0)
        return rc;
    rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0)
        return error_set(error, -EINVAL, "%s: %s", address, gai_strerror(rc));
    memcpy(ret, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    return 0;
}

static int bind_and_listen(struct tcp_listener *listener, const struct sockaddr_storage *address)
{
    struct sockaddr_storage bound = {0};
    int bytes = sizeof bound;
    int rc = uv_tcp_bind(&listener->uv, (const struct sockaddr *)address, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&listener->uv, TCP_BACKLOG, incoming);
    if (rc == 0)
        rc = uv_tcp_getsockname(&listener->uv, (struct sockaddr *)&bound, &bytes);
    if (rc == 0)
        net_address_format(&bound, listener->base.address);
    return rc;
}

static void listener_closed(uv_handle_t *handle)
{
    struct tcp_listener *listener = handle->data;
    struct tcp *tcp = listener->tcp;
    if (--listener->handles_open > 0)
        return;
    LIST_REMOVE(listener, entry);
    free(listener);
    tcp_release(tcp);
}

static void unlisten(struct net_listener *base)
{
    struct tcp_listener *listener = CONTAINER_OF(base, struct tcp_listener, base);
    if (uv_is_closing((uv_handle_t *)&listener->uv))
        return;
    uv_close((uv_handle_t *)&listener->uv, listener_closed);
    uv_close((uv_handle_t *)&listener->again, listener_closed);
}

static int listen_on(struct net_transport *transport, const char *address,
                     const struct net_limits *limits, const struct net_accept *accept,
                     struct net_listener **ret_listener, struct error *error)
{
    struct tcp *tcp = tcp_of(transport);
    struct sockaddr_storage at;
    int rc = resolve(address, &at, error);
    if (rc < 0)
        return rc;
    struct tcp_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return error_set(error, -ENOMEM, "out of memory");
    listener->base.ops = transport->ops;
    listener->tcp = tcp;
    listener->limits = *limits;
    listener->accept = *accept;
    listener->uv.data = listener->again.data = listener;
    listener->handles_open = 2;
    uv_tcp_init(tcp->uv, &listener->uv);
    uv_timer_init(tcp->uv, &listener->again);
    LIST_INSERT_HEAD(&tcp->listeners, listener, entry);
    rc = bind_and_listen(listener, &at);
    if (rc < 0) {
        unlisten(&listener->base);
        return error_set(error, rc, "cannot listen on %s: %s", address, uv_strerror(rc));
    }
    *ret_listener = &listener->base;
    return 0;
}

/* The transport */

static void counters(struct net_transport *transport, struct net_counters *ret)
{
    *ret = tcp_of(transport)->counters;
}

static void destroy(struct net_transport *transport)
{
    struct tcp *tcp = tcp_of(transport);
    struct tcp_listener *listener;
    struct tcp_conn *conn;
    LIST_FOREACH (listener, &tcp->listeners, entry)
        unlisten(&listener->base);
    tcp->destroyed = true;
    LIST_FOREACH (conn, &tcp->conns, entry)
        tcp_conn_ended_now(conn);
    tcp_release(tcp);
}

static const struct net_transport_ops tcp_ops = {
    .scheme = "tcp",
    .listen = listen_on,
    .unlisten = unlisten,
    .connect = tcp_connect,
    .send = tcp_send,
    .close = tcp_conn_close,
    .pause = tcp_conn_pause,
    .queued_bytes = tcp_send_queued_bytes,
    .counters = counters,
    .destroy = destroy,
};

struct net_transport *net_tcp_create(struct loop *loop)
{
    struct tcp *tcp = calloc(1, sizeof *tcp);
    if (!tcp)
        return NULL;
    tcp->base.ops = &tcp_ops;
    tcp->loop = loop;
    tcp->uv = loop_uv_handle(loop);
    LIST_INIT(&tcp->conns);
    LIST_INIT(&tcp->listeners);
    return &tcp->base;
}
