/* Connecting: the name is looked up by a helper thread of libuv, its addresses are tried in turn,
 * all within one time-out. A handle that failed is closed before the next address gets a new one.
 */
#include "net/address.h"
#include "net/tcp_internal.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

static void attempt_failed(struct tcp_conn *conn, int rc)
{
    struct tcp_attempt *attempt = conn->attempt;
    if (attempt->address_next < attempt->address_count)
        uv_close((uv_handle_t *)&conn->uv, tcp_conn_handle_closed);
    else
        tcp_conn_end(conn, NET_REASON_CONNECT, uv_strerror(rc));
}

static void connected(uv_connect_t *connect, int status)
{
    struct tcp_conn *conn = connect->data;
    if (conn->state != TCP_CONNECTING || status == UV_ECANCELED)
        return;
    if (status < 0) {
        attempt_failed(conn, status);
        return;
    }
    uv_timer_stop(&conn->timer);
    tcp_connect_forget(conn);
    tcp_conn_opened(conn);
}

static void try_address(struct tcp_conn *conn)
{
    struct tcp_attempt *attempt = conn->attempt;
    const struct sockaddr *address =
        (const struct sockaddr *)&attempt->addresses[attempt->address_next++];
    int rc = 0;
    conn->state = TCP_CONNECTING;
    if (attempt->bind)
        rc = uv_tcp_bind(&conn->uv, (const struct sockaddr *)&attempt->source, 0);
    if (rc == 0)
        rc = uv_tcp_connect(&attempt->connect, &conn->uv, address, connected);
    if (rc < 0)
        attempt_failed(conn, rc);
}

void tcp_connect_next(struct tcp_conn *conn)
{
    uv_tcp_init(conn->tcp->uv, &conn->uv);
    try_address(conn);
}

void tcp_connect_timeout(struct tcp_conn *conn)
{
    tcp_conn_end(conn, NET_REASON_CONNECT, "no answer in time");
}

void tcp_connect_forget(struct tcp_conn *conn)
{
    struct tcp_attempt *attempt = conn->attempt;
    conn->attempt = NULL;
    if (!attempt)
        return;
    if (!attempt->looking_up) {
        free(attempt);
        return;
    }
    attempt->conn = NULL;
    uv_cancel((uv_req_t *)&attempt->lookup);
}

static void looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *list)
{
    struct tcp_attempt *attempt = lookup->data;
    struct tcp_conn *conn = attempt->conn;
    attempt->looking_up = false;
    for (struct addrinfo *a = list; a && attempt->address_count < TCP_ADDRESSES_MAX; a = a->ai_next)
        memcpy(&attempt->addresses[attempt->address_count++], a->ai_addr, a->ai_addrlen);
    uv_freeaddrinfo(list);
    if (!conn)
        free(attempt);
    else if (conn->state != TCP_RESOLVING)
        return; /* its end is under way and frees the attempt */
    else if (status < 0 || attempt->address_count == 0)
        tcp_conn_end(conn, NET_REASON_CONNECT, status < 0 ? uv_strerror(status) : "no address");
    else
        try_address(conn);
}

static int look_up(struct tcp_conn *conn, const char *host, const char *port)
{
    struct tcp_attempt *attempt = conn->attempt;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int rc = uv_getaddrinfo(conn->tcp->uv, &attempt->lookup, looked_up, host, port, &hints);
    attempt->looking_up = rc == 0;
    return rc;
}

/* Failures end the connection as later ones do: through libuv, never from inside net_connect. */
static void begin(struct tcp_conn *conn, const char *host, const char *port)
{
    struct tcp_attempt *attempt = conn->attempt;
    uv_timer_start(&conn->timer, tcp_conn_timeout, TCP_CONNECT_TIMEOUT_MS, 0);
    if (net_address_numeric(host, port, &attempt->addresses[0]) == 0) {
        attempt->address_count = 1;
        try_address(conn);
        return;
    }
    int rc = look_up(conn, host, port);
    if (rc < 0)
        tcp_conn_end(conn, NET_REASON_CONNECT, uv_strerror(rc));
}

static struct tcp_attempt *attempt_create(const char *source, struct error *error, int *ret_code)
{
    struct tcp_attempt *attempt = calloc(1, sizeof *attempt);
    *ret_code = -ENOMEM;
    if (!attempt)
        return NULL;
    attempt->bind = source != NULL;
    if (source && (*ret_code = net_address_source(source, &attempt->source, error)) < 0) {
        free(attempt);
        return NULL;
    }
    return attempt;
}

int tcp_connect(struct net_transport *transport, const char *address, const char *source,
                const struct net_limits *limits, const struct net_handlers *handlers, void *user,
                struct net_conn **ret_conn, struct error *error)
{
    struct tcp *tcp = CONTAINER_OF(transport, struct tcp, base);
    char host[NET_HOST_BYTES], port[NET_PORT_BYTES];
    int rc = net_address_split(address, host, port, error);
    if (rc < 0)
        return rc;
    if (tcp->destroyed)
        return error_set(error, -ESHUTDOWN, "the transport is shut down");
    struct tcp_attempt *attempt = attempt_create(source, error, &rc);
    if (!attempt)
        return rc;
    struct tcp_conn *conn = tcp_conn_create(tcp, limits, TCP_RESOLVING);
    if (!conn) {
        free(attempt);
        return error_set(error, -ENOMEM, "out of memory");
    }
    conn->base.user = user;
    conn->handlers = handlers;
    conn->attempt = attempt;
    attempt->conn = conn;
    attempt->lookup.data = attempt;
    attempt->connect.data = conn;
    begin(conn, host, port);
    *ret_conn = &conn->base;
    return 0;
}
