/* Between the files of the TCP transport.
 *
 *     RESOLVING -> CONNECTING -> OPEN -> LINGERING -> ENDED
 *
 * An accepted connection begins OPEN; from each state a failure leads to ENDED. `closed` is called
 * when libuv has closed the handles of an ENDED connection, so never from inside a call of the
 * user's; the one exception is net_transport_destroy, which calls it itself.
 *
 * The transport outlives its destruction until the last handle is closed. */
#ifndef TUTTI_NET_TCP_INTERNAL_H
#define TUTTI_NET_TCP_INTERNAL_H

#include "net/inbox.h"
#include "net/outbox.h"
#include "net/transport.h"

#include <sys/queue.h>
#include <sys/socket.h>
#include <uv.h>

enum {
    TCP_CONNECT_TIMEOUT_MS = 5000,
    TCP_LINGER_MS = 1000,
    TCP_ACCEPT_AGAIN_MS = 100,
    TCP_KEEPALIVE_S = 30,
    TCP_BACKLOG = 4096,
    TCP_SCRATCH_BYTES = 64 * 1024,
    TCP_PIECES_MAX = 256,  /* of one system call that sends */
    TCP_ADDRESSES_MAX = 8, /* of one name */
};

enum tcp_state { TCP_RESOLVING, TCP_CONNECTING, TCP_OPEN, TCP_LINGERING, TCP_ENDED };

LIST_HEAD(tcp_conn_list, tcp_conn);
LIST_HEAD(tcp_listener_list, tcp_listener);

struct tcp {
    struct net_transport base;
    struct loop *loop;
    uv_loop_t *uv;
    bool destroyed;
    struct tcp_conn_list conns;
    struct tcp_listener_list listeners;
    struct net_counters counters;
    uint8_t scratch[TCP_SCRATCH_BYTES]; /* every read goes here first, but for begun payloads */
};

struct tcp_listener {
    struct net_listener base;
    struct tcp *tcp;
    uv_tcp_t uv;
    uv_timer_t again; /* no memory for the connection that is next */
    unsigned handles_open;
    struct net_limits limits;
    struct net_accept accept;
    LIST_ENTRY(tcp_listener) entry;
};

/* What only connecting needs. Freed by whoever is last: the connection or its look-up. */
struct tcp_attempt {
    uv_getaddrinfo_t lookup;
    uv_connect_t connect;
    struct tcp_conn *conn; /* NULL: ended while the look-up ran */
    bool looking_up;
    bool bind;
    struct sockaddr_storage source;
    struct sockaddr_storage addresses[TCP_ADDRESSES_MAX];
    unsigned address_count, address_next;
};

struct tcp_conn {
    struct net_conn base;
    struct tcp *tcp;
    const struct net_handlers *handlers; /* NULL: nobody wants to hear */
    struct net_limits limits;
    enum tcp_state state;
    uv_tcp_t uv;
    uv_timer_t timer; /* connecting, the frame that has begun, lingering */
    unsigned handles_open;
    struct tcp_attempt *attempt;

    struct net_inbox inbox;
    bool awaits_first; /* accepted, and no frame has arrived yet */
    bool paused, reading;

    struct net_outbox outbox;
    struct loop_task flush;
    uv_write_t write;
    uv_shutdown_t shutdown;
    size_t write_bytes; /* in the kernel's hands by `write`; 0: none */
    bool full, shut;

    size_t memory_charged;
    bool counted; /* in connections_open */
    enum net_reason reason;
    char detail[128];
    LIST_ENTRY(tcp_conn) entry;
};

/* tcp.c */
void tcp_release(struct tcp *tcp); /* frees a destroyed transport that has nothing left */

/* tcp_conn.c: life and receiving */
struct tcp_conn *tcp_conn_create(struct tcp *tcp, const struct net_limits *limits,
                                 enum tcp_state state) WARN_UNUSED;
void tcp_conn_opened(struct tcp_conn *conn); /* handle connected: calls `opened`, begins to read */
void tcp_conn_end(struct tcp_conn *conn, enum net_reason reason, const char *detail);
void tcp_conn_ended_now(struct tcp_conn *conn); /* for destroy: end, call `closed` at once */
void tcp_conn_handle_closed(uv_handle_t *handle);
void tcp_conn_timeout(uv_timer_t *timer);
void tcp_conn_charge(struct tcp_conn *conn); /* bring memory_bytes up to date */
void tcp_conn_close(struct net_conn *conn);
void tcp_conn_pause(struct net_conn *conn, bool paused);

/* tcp_send.c */
void tcp_send_init(struct tcp_conn *conn);
void tcp_send_flush(struct tcp_conn *conn);
int tcp_send(struct net_conn *conn, uint16_t type, const void *head, uint32_t head_bytes,
             struct blob *payload);
uint32_t tcp_send_queued_bytes(const struct net_conn *conn);

/* tcp_connect.c */
int tcp_connect(struct net_transport *transport, const char *address, const char *source,
                const struct net_limits *limits, const struct net_handlers *handlers, void *user,
                struct net_conn **ret_conn, struct error *error);
void tcp_connect_next(struct tcp_conn *conn);   /* the handle of a failed attempt is closed */
void tcp_connect_forget(struct tcp_conn *conn); /* the connection is open or over */
void tcp_connect_timeout(struct tcp_conn *conn);

#endif
