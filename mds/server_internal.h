/* Inside the server: server.c has the connections, server_request.c what clients ask on them,
 * server_death.c what supervisors say. */
#ifndef TUTTI_MDS_SERVER_INTERNAL_H
#define TUTTI_MDS_SERVER_INTERNAL_H

#include "mds/server.h"
#include "net/hello.h"

enum {
    STRANGERS_MAX = 256, /* connections without a hello */
    OPERATORS_MAX = 64,
    SUPERVISORS_MAX = 16,            /* one per node */
    HELD_BYTES_MAX = 2 << 20,        /* of one connection */
    CONN_REPLY_BYTES_MAX = 4 << 20,  /* of one connection: queued, or to be expected */
    CONN_QUEUE_BYTES_MAX = 64 << 20, /* the transport's limit: members need more than clients */
    REPLY_HEAD_BYTES = 512,          /* room for a reply without data */
};

enum conn_role {
    CONN_STRANGER,
    CONN_MEMBER,
    CONN_CLIENT,
    CONN_OPERATOR,
    CONN_SUPERVISOR,
    CONN_TRANSFER, /* one that joins; handed over as a member's is */
    CONN_ROLE_COUNT
};

/* A frame that arrived while the connection could take none. */
struct held {
    STAILQ_ENTRY(held) link;
    uint32_t bytes;
    uint8_t data[];
};

struct server_conn {
    struct server *server;
    struct net_conn *conn;
    struct net_conn proxy;             /* what the group sees of a member's connection */
    const struct net_handlers *member; /* the group's */
    enum conn_role role;
    uint8_t node, store[16]; /* of a supervisor: for which member it speaks */
    bool closing, paused;
    uint64_t since_ns;
    uint32_t inflight; /* writes and reads on their way */
    uint64_t cost;     /* bytes that their replies may need */
    STAILQ_HEAD(, held) held;
    uint64_t held_bytes;
    struct loop_task pump;
    LIST_HEAD(, waiter) waiters;
    struct read_list reads;
    LIST_ENTRY(server_conn) link;
};

struct server {
    struct replica *replica; /* NULL: the replica is gone, connections are still closing */
    struct loop *loop;
    struct net_listener *listener;
    LIST_HEAD(, server_conn) conns;
    uint32_t counts[CONN_ROLE_COUNT];
    struct loop_timer sweep;
    struct loop_timer drain; /* runs while a client waits for room in its send queue alone */
    struct buffer reply;
    bool stopped;
    uint64_t refused, malformed, requests, deaths;
};

void server_conn_close(struct server_conn *conn);
void server_conn_set_role(struct server_conn *conn, enum conn_role role);
/* Say why, and close. */
void server_conn_refuse(struct server_conn *conn, const char *why);
/* This replica's own hello. */
void server_conn_greet(struct server_conn *conn);

/* The hello of another member's supervisor, and what it sends then. */
void server_death_hello(struct server_conn *conn, const struct net_hello *hello);
void server_death_frame(struct server_conn *conn, const struct net_frame *frame);

/* One frame of a client: a request. */
void server_request_frame(struct server_conn *conn, const struct net_frame *frame);
/* At the end of the turn: takes what is held, and reads on where there is room. */
void server_request_pump(struct loop_task *task);
void server_request_drop(struct server_conn *conn); /* it has closed */

#endif
