/* The cases of the transport contract (net/transport.h): beginnings and ends of connections. */
#include "tests/transport/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CASE(name) void transport_case_##name(struct transport_fixture *fixture)

/* What was queued before the close arrives, then the end. */
CASE(close_flushes)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig_open(&rig);
    for (uint32_t i = 0; i < 20; i++)
        cr_assert_eq(peer_send_numbered(&rig.client, i, i * 5000), 0);
    peer_close(&rig.client);
    cr_assert_eq(rig.client.closed, 0);
    RUN_UNTIL(&rig, rig.server.closed && rig.client.closed);
    cr_assert_eq(rig.server.next, 20);
    cr_assert_eq(rig.server.reason, NET_REASON_PEER);
    cr_assert_eq(rig.client.reason, NET_REASON_LOCAL);
    cr_assert_eq(rig_counters(fixture->client).connections_open, 0);
    cr_assert_eq(rig_counters(fixture->server).connections_open, 0);
    rig_finish(&rig);
}

static void close_now(struct peer *peer)
{
    peer_close(peer);
    peer_close(peer);
}

CASE(close_in_opened)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig.client.on_opened = close_now;
    rig_listen(&rig);
    rig_connect(&rig, &rig.client, rig.address);
    RUN_UNTIL(&rig, rig.server.closed && rig.client.closed);
    cr_assert_eq(rig.client.reason, NET_REASON_LOCAL);
    rig_finish(&rig);
}

static void close_at_third(struct peer *peer, const struct net_frame *frame)
{
    peer_expect_numbered(peer, frame);
    if (peer->frames == 3)
        peer_close(peer);
}

CASE(close_in_frame)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig.server.on_frame = close_at_third;
    rig_open(&rig);
    for (uint32_t i = 0; i < 10; i++)
        cr_assert_eq(peer_send_numbered(&rig.client, i, 10), 0);
    RUN_UNTIL(&rig, rig.server.closed && rig.client.closed);
    cr_assert_eq(rig.server.frames, 3, "frames after the close");
    cr_assert_eq(rig.server.reason, NET_REASON_LOCAL);
    rig_finish(&rig);
}

CASE(close_in_accepted)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig.close_accepted = true;
    rig_listen(&rig);
    rig_connect(&rig, &rig.client, rig.address);
    RUN_UNTIL(&rig, rig.server.closed && rig.client.closed);
    cr_assert_eq(rig.server.opened, 0);
    cr_assert_eq(rig.server.reason, NET_REASON_LOCAL);
    rig_finish(&rig);
}

CASE(close_in_drained)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig.client_limits.queue_bytes_max = 1000;
    rig.client.on_drained = close_now;
    rig_open(&rig);
    cr_assert_eq(peer_send_numbered(&rig.client, 0, 5000), 0);
    cr_assert_eq(peer_send_numbered(&rig.client, 1, 5000), NET_E_FULL);
    RUN_UNTIL(&rig, rig.server.closed && rig.client.closed);
    cr_assert_eq(rig.client.drained, 1);
    cr_assert_eq(rig.server.next, 1);
    rig_finish(&rig);
}

CASE(close_before_opened)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig_listen(&rig);
    rig_connect(&rig, &rig.client, rig.address);
    peer_close(&rig.client);
    cr_assert_eq(rig.client.closed, 0);
    RUN_UNTIL(&rig, rig.client.closed);
    cr_assert_eq(rig.client.opened, 0);
    cr_assert_eq(rig.client.reason, NET_REASON_LOCAL);
    rig_run(&rig, 20);
    rig_finish(&rig);
}

CASE(close_both_at_once)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig_open(&rig);
    cr_assert_eq(peer_send_numbered(&rig.client, 0, 10), 0);
    cr_assert_eq(peer_send_numbered(&rig.server, 0, 10), 0);
    peer_close(&rig.client);
    peer_close(&rig.server);
    RUN_UNTIL(&rig, rig.server.closed && rig.client.closed);
    cr_assert_eq(rig.server.reason, NET_REASON_LOCAL);
    cr_assert_eq(rig.client.reason, NET_REASON_LOCAL);
    cr_assert_eq(rig.server.frames + rig.client.frames, 0, "frames after the close");
    rig_finish(&rig);
}

CASE(send_after_close)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig_open(&rig);
    peer_close(&rig.client);
    cr_assert_eq(peer_send(&rig.client, 1, "x", 1, NULL), NET_E_CLOSED);
    peer_pause(&rig.client, true);
    peer_pause(&rig.client, false);
    RUN_UNTIL(&rig, rig.server.closed && rig.client.closed);
    cr_assert_eq(rig.server.frames, 0);
    rig_finish(&rig);
}

static void connect_again(struct peer *peer)
{
    struct rig *rig = peer->rig;
    rig_connect(rig, &rig->others[PEERS_MAX - 1], rig->address);
}

CASE(reconnect_in_closed)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig.client.on_closed = connect_again;
    rig_open(&rig);
    peer_close(&rig.server);
    RUN_UNTIL(&rig, rig.others[PEERS_MAX - 1].opened && rig.others[0].opened);
    cr_assert_eq(rig.client.reason, NET_REASON_PEER);
    rig_finish(&rig);
}

CASE(not_accepted)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig.refuse = true;
    rig_listen(&rig);
    rig_connect(&rig, &rig.client, rig.address);
    RUN_UNTIL(&rig, rig.client.closed);
    cr_assert(rig.client.reason == NET_REASON_PEER || rig.client.reason == NET_REASON_CONNECT);
    RUN_UNTIL(&rig, rig_counters(fixture->server).connections_open == 0);
    rig_finish(&rig);
}

CASE(peer_death)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig_open(&rig);
    cr_assert_eq(peer_send_numbered(&rig.client, 0, 100), 0);
    RUN_UNTIL(&rig, rig.server.next == 1);
    fixture->kill_client(fixture);
    RUN_UNTIL(&rig, rig.server.closed);
    cr_assert_eq(rig.server.reason, NET_REASON_PEER);
    rig_finish(&rig);
}

CASE(refused_connect)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig_connect(&rig, &rig.client, fixture->dead_address);
    cr_assert_eq(rig.client.closed, 0);
    cr_assert_eq(peer_send(&rig.client, 1, "x", 1, NULL), 0);
    RUN_UNTIL(&rig, rig.client.closed);
    cr_assert_eq(rig.client.opened, 0);
    cr_assert_eq(rig.client.reason, NET_REASON_CONNECT);
    rig_finish(&rig);
}

CASE(bad_addresses)
{
    static const char *const bad[] = {"", "nothing", ":", "host:", ":7400", "host:http"};
    struct rig rig;
    rig_init(&rig, fixture);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error error = {""};
        struct net_conn *conn = NULL;
        struct net_listener *listener = NULL;
        static const struct net_handlers none;
        struct net_accept accept = {NULL, NULL};
        int rc = net_connect(fixture->client, bad[i], NULL, &rig.client_limits, &none, NULL, &conn,
                             &error);
        cr_assert_eq(rc, -EINVAL, "\"%s\" was taken for an address", bad[i]);
        cr_assert(*error.text && !conn);
        error.text[0] = 0;
        rc = net_listen(fixture->server, bad[i], &rig.server_limits, &accept, &listener, &error);
        cr_assert_eq(rc, -EINVAL);
        cr_assert(*error.text && !listener);
    }
    rig_finish(&rig);
}

CASE(port_in_use)
{
    struct rig rig;
    struct error error = {""};
    struct net_accept accept = {NULL, NULL};
    struct net_listener *second = NULL;
    rig_init(&rig, fixture);
    rig_listen(&rig);
    int rc = net_listen(fixture->server, rig.address, &rig.server_limits, &accept, &second, &error);
    cr_assert_eq(rc, -EADDRINUSE);
    cr_assert(*error.text && !second);
    rig_finish(&rig);
}

CASE(unlisten_stops_accepting)
{
    struct rig rig;
    struct peer *late;
    rig_init(&rig, fixture);
    rig_open(&rig);
    net_unlisten(rig.listener);
    rig_run(&rig, 5);
    late = &rig.others[PEERS_MAX - 1];
    rig_connect(&rig, late, rig.address);
    RUN_UNTIL(&rig, late->closed);
    cr_assert_eq(late->reason, NET_REASON_CONNECT);
    cr_assert_eq(peer_send_numbered(&rig.client, 0, 10), 0);
    RUN_UNTIL(&rig, rig.server.next == 1);
    rig_finish(&rig);
}

CASE(destroy_calls_closed)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig_open(&rig);
    cr_assert_eq(peer_send_numbered(&rig.client, 0, 10), 0);
    net_transport_destroy(fixture->server);
    fixture->server = NULL;
    cr_assert_eq(rig.server.closed, 1);
    cr_assert_eq(rig.server.reason, NET_REASON_LOCAL);
    RUN_UNTIL(&rig, rig.client.closed);
    cr_assert_eq(rig.client.reason, NET_REASON_PEER);
    rig_finish(&rig);
}

CASE(many_connections)
{
    enum { COUNT = 30 };
    struct peer clients[COUNT] = {0};
    struct rig rig;
    rig_init(&rig, fixture);
    rig_listen(&rig);
    for (unsigned i = 0; i < COUNT; i++) {
        rig_connect(&rig, &clients[i], rig.address);
        for (uint32_t k = 0; k < 10; k++)
            cr_assert_eq(peer_send_numbered(&clients[i], k, 100 * i), 0);
    }
    RUN_UNTIL(&rig, rig_counters(fixture->server).frames_received == COUNT * 10);
    cr_assert_eq(rig_counters(fixture->server).connections_open, COUNT);
    cr_assert_eq(rig.accepted, COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        peer_close(&clients[i]);
    RUN_UNTIL(&rig, rig_counters(fixture->client).connections_open == 0);
    for (unsigned i = 0; i < COUNT; i++)
        RUN_UNTIL(&rig, clients[i].closed);
    RUN_UNTIL(&rig, rig_counters(fixture->server).connections_open == 0);
    RUN_UNTIL(&rig, rig.server.closed);
    rig_finish(&rig);
}
