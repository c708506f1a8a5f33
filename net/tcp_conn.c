/* A TCP connection: its states, receiving, its end. The states stand in tcp_internal.h.
 *
 * All bytes are read into the transport's scratch memory and taken from there; a connection keeps
 * memory only for a frame that has begun (inbox.h). After each callback of the user the state is
 * looked at again: the callback may have ended the connection, or the transport.
 *
 * A close flushes, then says so (FIN), then discards what still comes until the peer closes too: a
 * socket closed with unread bytes would send a reset, and the reset may destroy the last frames. */
#include "net/tcp_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct tcp_conn *conn_of(struct net_conn *conn)
{
    return CONTAINER_OF(conn, struct tcp_conn, base);
}

void tcp_conn_charge(struct tcp_conn *conn)
{
    size_t now = net_inbox_memory_bytes(&conn->inbox) + conn->outbox.memory_bytes;
    conn->tcp->counters.memory_bytes += now - conn->memory_charged;
    conn->memory_charged = now;
}

/* Life */

struct tcp_conn *tcp_conn_create(struct tcp *tcp, const struct net_limits *limits,
                                 enum tcp_state state)
{
    struct tcp_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    conn->base.ops = tcp->base.ops;
    conn->tcp = tcp;
    conn->limits = *limits;
    conn->state = state;
    conn->handles_open = 2;
    conn->uv.data = conn->timer.data = conn;
    net_inbox_init(&conn->inbox, limits->frame_bytes_max);
    tcp_send_init(conn);
    uv_tcp_init(tcp->uv, &conn->uv);
    uv_timer_init(tcp->uv, &conn->timer);
    LIST_INSERT_HEAD(&tcp->conns, conn, entry);
    return conn;
}

static void say_closed(struct tcp_conn *conn)
{
    const struct net_handlers *handlers = conn->handlers;
    conn->handlers = NULL;
    if (handlers)
        handlers->closed(&conn->base, conn->reason, conn->detail);
}

static void conn_free(struct tcp_conn *conn)
{
    struct tcp *tcp = conn->tcp;
    net_inbox_finish(&conn->inbox);
    net_outbox_finish(&conn->outbox);
    tcp_conn_charge(conn);
    tcp_connect_forget(conn);
    say_closed(conn);
    LIST_REMOVE(conn, entry);
    free(conn);
    tcp_release(tcp);
}

void tcp_conn_handle_closed(uv_handle_t *handle)
{
    struct tcp_conn *conn = handle->data;
    if (conn->state == TCP_CONNECTING)
        tcp_connect_next(conn);
    else if (--conn->handles_open == 0)
        conn_free(conn);
}

void tcp_conn_end(struct tcp_conn *conn, enum net_reason reason, const char *detail)
{
    struct net_counters *counters = &conn->tcp->counters;
    if (conn->state == TCP_ENDED)
        return;
    conn->state = TCP_ENDED;
    conn->reason = reason;
    snprintf(conn->detail, sizeof conn->detail, "%s", detail);
    if (reason == NET_REASON_PROTOCOL || reason == NET_REASON_TIMEOUT)
        counters->connections_refused++;
    counters->connections_open -= conn->counted;
    conn->counted = false;
    loop_cancel(conn->tcp->loop, &conn->flush);
    if (!uv_is_closing((uv_handle_t *)&conn->uv)) /* it is between two attempts to connect */
        uv_close((uv_handle_t *)&conn->uv, tcp_conn_handle_closed);
    uv_close((uv_handle_t *)&conn->timer, tcp_conn_handle_closed);
}

void tcp_conn_ended_now(struct tcp_conn *conn)
{
    tcp_conn_end(conn, NET_REASON_LOCAL, "the transport was shut down");
    say_closed(conn);
}

/* Receiving */

static void frame_timer(struct tcp_conn *conn, bool restart)
{
    bool waiting = conn->awaits_first || net_inbox_begun(&conn->inbox);
    if (!waiting || conn->paused || conn->limits.frame_timeout_ns == 0)
        uv_timer_stop(&conn->timer);
    else if (restart)
        uv_timer_start(&conn->timer, tcp_conn_timeout,
                       (conn->limits.frame_timeout_ns + 999999) / 1000000, 0);
}

void tcp_conn_timeout(uv_timer_t *timer)
{
    struct tcp_conn *conn = timer->data;
    if (conn->state == TCP_RESOLVING || conn->state == TCP_CONNECTING)
        tcp_connect_timeout(conn);
    else if (conn->state == TCP_OPEN)
        tcp_conn_end(conn, NET_REASON_TIMEOUT, "a frame did not arrive in time");
    else
        tcp_conn_end(conn, NET_REASON_LOCAL, "closed here");
}

/* Hands over all frames that `bytes` completes. */
static void take_frames(struct tcp_conn *conn, struct reader bytes)
{
    struct net_frame frame;
    const char *fault = NULL;
    bool restart = !conn->awaits_first && !net_inbox_begun(&conn->inbox);
    int rc = 0;
    while (conn->state == TCP_OPEN &&
           (rc = net_inbox_next(&conn->inbox, &bytes, &frame, &fault)) > 0) {
        conn->tcp->counters.frames_received++;
        conn->awaits_first = false;
        restart = true;
        conn->handlers->frame(&conn->base, &frame);
    }
    tcp_conn_charge(conn);
    if (rc == -EPROTO)
        tcp_conn_end(conn, NET_REASON_PROTOCOL, fault);
    else if (rc < 0)
        tcp_conn_end(conn, NET_REASON_SYSTEM, "out of memory");
    else if (conn->state == TCP_OPEN)
        frame_timer(conn, restart);
}

static void read_failed(struct tcp_conn *conn, int rc)
{
    if (conn->state == TCP_LINGERING)
        tcp_conn_end(conn, NET_REASON_LOCAL, "closed here");
    else if (rc != UV_EOF)
        tcp_conn_end(conn, NET_REASON_PEER, uv_strerror(rc));
    else if (net_inbox_begun(&conn->inbox))
        tcp_conn_end(conn, NET_REASON_PEER, "the peer closed it in the middle of a frame");
    else
        tcp_conn_end(conn, NET_REASON_PEER, "the peer closed it");
}

static void read_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct tcp_conn *conn = handle->data;
    size_t bytes;
    uint8_t *room = conn->state == TCP_OPEN ? net_inbox_room(&conn->inbox, &bytes) : NULL;
    if (room)
        *ret = uv_buf_init((char *)room, (unsigned)bytes);
    else
        *ret = uv_buf_init((char *)conn->tcp->scratch, TCP_SCRATCH_BYTES);
}

static void read_done(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buf)
{
    struct tcp_conn *conn = stream->data;
    if (bytes == 0 || conn->state == TCP_ENDED)
        return;
    if (bytes < 0) {
        read_failed(conn, (int)bytes);
        return;
    }
    conn->tcp->counters.bytes_received += (uint64_t)bytes;
    if (conn->state == TCP_LINGERING)
        return;
    if (buf->base == (char *)conn->tcp->scratch) {
        take_frames(conn, reader_make(buf->base, (size_t)bytes));
    } else {
        net_inbox_filled(&conn->inbox, (size_t)bytes);
        take_frames(conn, reader_make(NULL, 0));
    }
}

static void update_reading(struct tcp_conn *conn)
{
    bool want = conn->state == TCP_LINGERING || (conn->state == TCP_OPEN && !conn->paused);
    if (want == conn->reading)
        return;
    conn->reading = want;
    if (!want) {
        uv_read_stop((uv_stream_t *)&conn->uv);
        return;
    }
    int rc = uv_read_start((uv_stream_t *)&conn->uv, read_room, read_done);
    if (rc < 0)
        tcp_conn_end(conn, NET_REASON_SYSTEM, uv_strerror(rc));
}

void tcp_conn_opened(struct tcp_conn *conn)
{
    conn->state = TCP_OPEN;
    conn->counted = true;
    conn->tcp->counters.connections_open++;
    uv_tcp_nodelay(&conn->uv, 1);
    uv_tcp_keepalive(&conn->uv, 1, TCP_KEEPALIVE_S);
    frame_timer(conn, true);
    if (conn->handlers && conn->handlers->opened)
        conn->handlers->opened(&conn->base);
    if (conn->state == TCP_OPEN) {
        update_reading(conn);
        loop_defer(conn->tcp->loop, &conn->flush); /* what was queued before */
    }
}

/* The user's calls */

void tcp_conn_pause(struct net_conn *base, bool paused)
{
    struct tcp_conn *conn = conn_of(base);
    if (conn->paused == paused)
        return;
    conn->paused = paused;
    if (conn->state != TCP_OPEN)
        return;
    update_reading(conn);
    if (conn->state == TCP_OPEN)
        frame_timer(conn, !paused);
}

void tcp_conn_close(struct net_conn *base)
{
    struct tcp_conn *conn = conn_of(base);
    if (conn->state == TCP_RESOLVING || conn->state == TCP_CONNECTING) {
        tcp_conn_end(conn, NET_REASON_LOCAL, "closed here");
    } else if (conn->state == TCP_OPEN) {
        conn->state = TCP_LINGERING;
        uv_timer_start(&conn->timer, tcp_conn_timeout, TCP_LINGER_MS, 0);
        update_reading(conn);
        loop_defer(conn->tcp->loop, &conn->flush);
    }
}
