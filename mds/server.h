/* Connections: strangers until their hello, then members (handed to the group), clients, operators.
 *
 * What a connection may make this replica hold is bounded: requests in flight, bytes of replies
 * that they may need, frames that wait while it is paused. A client that reaches a bound is not
 * read. */
#ifndef TUTTI_MDS_SERVER_H
#define TUTTI_MDS_SERVER_H

#include "mds/replica_internal.h"

/* Listens at once. Errors: as net_listen. The server outlives the replica until its last connection
 * has closed. */
int server_create(struct replica *replica, struct server **ret_server,
                  struct error *error) WARN_UNUSED;
void server_destroy(struct server *server);

/* Accept nobody any more, and take no further request. */
void server_stop(struct server *server);

/* Every client goes elsewhere. */
void server_close_clients(struct server *server);
/* Those that wait for nothing; the others when the next look finds them so. */
void server_drain(struct server *server);

/* The view is another one: clients hear where else they can go. */
void server_tell_members(struct server *server);

/* Requests are taken again after the backlog was full. */
void server_resume(struct server *server);

/* A write or read is on its way for this connection. */
void server_conn_charge(struct server_conn *conn, uint32_t cost);
void server_conn_release(struct server_conn *conn, uint32_t cost);
void server_conn_add_waiter(struct server_conn *conn, struct waiter *waiter);
struct read_list *server_conn_reads(struct server_conn *conn); /* its reads, for read.c */

/* Send an encoded reply. */
void server_conn_reply(struct server_conn *conn, const void *reply, size_t bytes);
/* Encode and send one. */
void server_conn_answer(struct server_conn *conn, const struct proto_reply *reply);

struct server_counters {
    uint32_t clients, connections;
    uint64_t refused, malformed, requests, deaths; /* deaths: notices taken */
};
void server_counters(const struct server *server, struct server_counters *ret_counters);

/* The address as bound. */
const char *server_address(const struct server *server);

#endif
