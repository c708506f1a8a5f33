/* The sending half of a TCP connection.
 *
 * Frames wait in the outbox until LOOP_PHASE_SEND, then leave in one system call (as many as the
 * socket takes them in). What the socket does not take is given to libuv, which waits for room;
 * meanwhile frames are only queued. The queue is bounded by queue_bytes_max; an empty queue takes
 * any frame. */
#include "net/tcp_internal.h"

#include <errno.h>

_Static_assert(sizeof(uv_buf_t) == sizeof(struct iovec) &&
                   offsetof(uv_buf_t, base) == offsetof(struct iovec, iov_base) &&
                   offsetof(uv_buf_t, len) == offsetof(struct iovec, iov_len),
               "libuv promises that its buffers are iovecs");

static void flush_task(struct loop_task *task)
{
    tcp_send_flush(CONTAINER_OF(task, struct tcp_conn, flush));
}

void tcp_send_init(struct tcp_conn *conn)
{
    net_outbox_init(&conn->outbox);
    conn->flush = (struct loop_task){.run = flush_task, .phase = LOOP_PHASE_SEND};
    conn->write.data = conn->shutdown.data = conn;
}

static void left(struct tcp_conn *conn, size_t bytes)
{
    conn->tcp->counters.send_calls++;
    conn->tcp->counters.bytes_sent += bytes;
    net_outbox_consume(&conn->outbox, bytes);
    tcp_conn_charge(conn);
}

static void failed(struct tcp_conn *conn, int rc)
{
    if (conn->state == TCP_LINGERING)
        tcp_conn_end(conn, NET_REASON_LOCAL, "closed here");
    else
        tcp_conn_end(conn, NET_REASON_PEER, uv_strerror(rc));
}

static void write_done(uv_write_t *write, int status)
{
    struct tcp_conn *conn = write->data;
    size_t bytes = conn->write_bytes;
    conn->write_bytes = 0;
    if (conn->state == TCP_ENDED)
        return;
    if (status < 0) {
        failed(conn, status);
        return;
    }
    left(conn, bytes);
    tcp_send_flush(conn);
}

static void shutdown_done(uv_shutdown_t *shutdown, int status)
{
    struct tcp_conn *conn = shutdown->data;
    if (status < 0)
        tcp_conn_end(conn, NET_REASON_LOCAL, "closed here");
}

/* One system call's worth. False: not now, or never again. */
static bool send_some(struct tcp_conn *conn)
{
    struct iovec pieces[TCP_PIECES_MAX];
    uv_stream_t *stream = (uv_stream_t *)&conn->uv;
    const uv_buf_t *bufs = (const uv_buf_t *)(void *)pieces;
    size_t bytes;
    unsigned count = net_outbox_gather(&conn->outbox, pieces, TCP_PIECES_MAX, &bytes);
    int rc = uv_try_write(stream, bufs, count);
    if (rc >= 0) {
        left(conn, (size_t)rc);
        return true;
    }
    if (rc == UV_EAGAIN) {
        rc = uv_write(&conn->write, stream, bufs, count, write_done);
        conn->write_bytes = rc == 0 ? bytes : 0;
    }
    if (rc < 0)
        failed(conn, rc);
    return false;
}

static void say_drained(struct tcp_conn *conn)
{
    if (!conn->full || conn->state != TCP_OPEN ||
        conn->outbox.bytes > conn->limits.queue_bytes_max / 2)
        return;
    conn->full = false;
    if (conn->handlers->drained)
        conn->handlers->drained(&conn->base);
}

void tcp_send_flush(struct tcp_conn *conn)
{
    if (conn->state != TCP_OPEN && conn->state != TCP_LINGERING)
        return;
    while (conn->write_bytes == 0 && conn->outbox.bytes > 0)
        if (!send_some(conn))
            break;
    say_drained(conn);
    if (conn->state == TCP_LINGERING && conn->outbox.bytes == 0 && !conn->shut) {
        conn->shut = true;
        int rc = uv_shutdown(&conn->shutdown, (uv_stream_t *)&conn->uv, shutdown_done);
        if (rc < 0)
            tcp_conn_end(conn, NET_REASON_LOCAL, "closed here");
    }
}

int tcp_send(struct net_conn *base, uint16_t type, const void *head, uint32_t head_bytes,
             struct blob *payload)
{
    struct tcp_conn *conn = CONTAINER_OF(base, struct tcp_conn, base);
    uint64_t bytes = (uint64_t)head_bytes + (payload ? payload->bytes : 0);
    if (conn->state == TCP_LINGERING || conn->state == TCP_ENDED)
        return NET_E_CLOSED;
    if (bytes > conn->limits.frame_bytes_max)
        return -EMSGSIZE;
    if (conn->outbox.bytes > 0 &&
        conn->outbox.bytes + NET_FRAME_HEADER_BYTES + bytes > conn->limits.queue_bytes_max) {
        conn->full = true;
        return NET_E_FULL;
    }
    int rc = net_outbox_add(&conn->outbox, type, head, head_bytes, payload);
    tcp_conn_charge(conn);
    if (rc < 0)
        return rc;
    conn->tcp->counters.frames_sent++;
    if (conn->state == TCP_OPEN && conn->write_bytes == 0)
        loop_defer(conn->tcp->loop, &conn->flush);
    return 0;
}

uint32_t tcp_send_queued_bytes(const struct net_conn *base)
{
    return CONTAINER_OF(base, const struct tcp_conn, base)->outbox.bytes;
}
