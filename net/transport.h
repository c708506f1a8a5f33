/* The transport contract: framed, reliable, first-in first-out connections.
 *
 * Implementations: net/tcp.c, rdma/ and the simulator's. All pass tests/transport.
 *
 * Threads: one loop thread; nothing here may be called from another.
 * Re-entrancy: no callback is called from inside a call of this interface; a callback may call
 *   anything here, net_close of its own connection included.
 * Ownership: a connection belongs to the transport. The user's pointer to it is valid until its
 *   `closed` callback returns; `closed` is called exactly once for each connection, whoever ends it.
 * Integrity: a frame is delivered whole, once, in order, checksums verified, or the connection ends.
 *
 * What is dead is what an error says:
 *   NET_E_CLOSED   this connection (send after its end): wait for, or remember, `closed`
 *   NET_E_FULL     nothing: the send queue is at its limit; the frame was not taken; after `drained`
 *   -errno         this call (bad address, no memory, port in use); nothing was created */
#ifndef TUTTI_NET_TRANSPORT_H
#define TUTTI_NET_TRANSPORT_H

#include "base/blob.h"
#include "base/error.h"
#include "base/loop.h"
#include "base/must.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_transport;
struct net_transport_ops;

enum net_error { NET_E_CLOSED = 1, NET_E_FULL = 2 };

/* Why a connection ended. */
enum net_reason {
    NET_REASON_LOCAL,    /* net_close was called here */
    NET_REASON_PEER,     /* the peer ended it, or its process died */
    NET_REASON_CONNECT,  /* it never came up: refused, unreachable, timed out */
    NET_REASON_PROTOCOL, /* not a Tutti peer, wrong version, bad checksum, over a limit */
    NET_REASON_TIMEOUT,  /* a frame that was begun did not arrive in time */
    NET_REASON_SYSTEM,   /* a local error */
};
const char *net_reason_name(enum net_reason reason);

struct net_conn {
    const struct net_transport_ops *ops;
    void *user; /* the user's own; set by net_connect and by `accepted` */
};

/* One frame as it arrived; all memory is borrowed for the callback. */
struct net_frame {
    uint16_t type;
    uint32_t bytes;
    const uint8_t *payload;
};

struct net_handlers {
    /* The connection can carry frames (for an accepted one: right after `accepted`). */
    void (*opened)(struct net_conn *conn);
    void (*frame)(struct net_conn *conn, const struct net_frame *frame);
    /* The send queue was full and is half empty again. May be NULL. */
    void (*drained)(struct net_conn *conn);
    /* Last callback. @detail: text for the log, borrowed. */
    void (*closed)(struct net_conn *conn, enum net_reason reason, const char *detail);
};

struct net_limits {
    uint32_t frame_bytes_max;      /* larger ones end the connection before memory is taken */
    uint32_t queue_bytes_max;      /* of one connection's send queue */
    /* A frame once begun, and the first one of an accepted connection, has to arrive within this
     * (the time while paused does not count); 0: no limit. */
    uint64_t frame_timeout_ns;
};

struct net_listener; /* opaque, owned by the transport */

struct net_accept {
    /* A connection came in. Return the handlers to use and set conn->user, or NULL to refuse. */
    const struct net_handlers *(*accepted)(void *user, struct net_conn *conn, const char *peer);
    void *user;
};

struct net_counters {
    uint64_t frames_sent, frames_received, bytes_sent, bytes_received;
    uint64_t send_calls;            /* system calls (work requests) that sent */
    uint64_t connections_open;      /* now */
    uint64_t connections_refused;   /* ended by NET_REASON_PROTOCOL or _TIMEOUT: strangers */
    uint64_t memory_bytes;          /* now, of all connections' buffers */
};

struct net_transport_ops {
    const char *scheme; /* "tcp" */
    int (*listen)(struct net_transport *transport, const char *address,
                  const struct net_limits *limits, const struct net_accept *accept,
                  struct net_listener **ret_listener, struct error *error);
    void (*unlisten)(struct net_listener *listener);
    int (*connect)(struct net_transport *transport, const char *address, const char *source,
                   const struct net_limits *limits, const struct net_handlers *handlers, void *user,
                   struct net_conn **ret_conn, struct error *error);
    int (*send)(struct net_conn *conn, uint16_t type, const void *head, uint32_t head_bytes,
                struct blob *payload);
    void (*close)(struct net_conn *conn);
    void (*pause)(struct net_conn *conn, bool paused);
    uint32_t (*queued_bytes)(const struct net_conn *conn);
    void (*counters)(struct net_transport *transport, struct net_counters *ret_counters);
    void (*destroy)(struct net_transport *transport);
};

struct net_transport {
    const struct net_transport_ops *ops;
};

/* Listen on "host:port" ("[::1]:7400" for IPv6; port 0: any, see net_listener_address).
 * @limits: copied. Errors: -EADDRINUSE, -EINVAL, -ENOMEM, ...; text in `error`. */
static inline WARN_UNUSED int net_listen(struct net_transport *transport, const char *address,
                                         const struct net_limits *limits,
                                         const struct net_accept *accept,
                                         struct net_listener **ret_listener, struct error *error)
{
    return transport->ops->listen(transport, address, limits, accept, ret_listener, error);
}

/* Stop accepting; connections that were accepted go on. */
static inline void net_unlisten(struct net_listener *listener);

/* Begin to connect. Later exactly one of `opened` (then eventually `closed`) or `closed` alone.
 * @source: local address to bind, or NULL. */
static inline WARN_UNUSED int net_connect(struct net_transport *transport, const char *address,
                                          const char *source, const struct net_limits *limits,
                                          const struct net_handlers *handlers, void *user,
                                          struct net_conn **ret_conn, struct error *error)
{
    return transport->ops->connect(transport, address, source, limits, handlers, user, ret_conn,
                                   error);
}

/* Queue one frame: `head` (copied) and then `payload` (a reference is taken; NULL for none). All
 * that is queued in one turn leaves at its end in one system call. Before `opened` it only queues.
 * An empty queue takes any frame up to frame_bytes_max.
 * Returns 0, NET_E_FULL, NET_E_CLOSED, -EMSGSIZE (over frame_bytes_max), -ENOMEM. */
static inline WARN_UNUSED int net_send(struct net_conn *conn, uint16_t type, const void *head,
                                       uint32_t head_bytes, struct blob *payload)
{
    return conn->ops->send(conn, type, head, head_bytes, payload);
}

/* End it: what is queued is still tried for a moment, nothing more is received, `closed` follows
 * with NET_REASON_LOCAL. */
static inline void net_close(struct net_conn *conn)
{
    conn->ops->close(conn);
}

/* Stop (or go on) reading: back pressure. Frames already read may still be delivered; that the peer
 * went away may be noticed only when reading goes on. */
static inline void net_pause(struct net_conn *conn, bool paused)
{
    conn->ops->pause(conn, paused);
}

static inline uint32_t net_queued_bytes(const struct net_conn *conn)
{
    return conn->ops->queued_bytes(conn);
}

static inline void net_counters(struct net_transport *transport, struct net_counters *ret)
{
    transport->ops->counters(transport, ret);
}

/* Ends all listeners and connections at once, calling `closed` of each before it returns, and frees the
 * transport. (The one call that calls back; may itself be called from a callback.) */
static inline void net_transport_destroy(struct net_transport *transport)
{
    transport->ops->destroy(transport);
}

struct net_listener {
    const struct net_transport_ops *ops;
    char address[64]; /* as bound, the port filled in */
};

static inline void net_unlisten(struct net_listener *listener)
{
    listener->ops->unlisten(listener);
}

/* The TCP transport on a libuv loop (net/loop_uv.h). NULL when memory is short. */
struct net_transport *net_tcp_create(struct loop *loop) WARN_UNUSED;

#endif
