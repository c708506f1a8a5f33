/* The cases of the transport contract (net/transport.h): frames, order, flow control. */
#include "tests/transport/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CASE(name) void transport_case_##name(struct transport_fixture *fixture)

CASE(ordering)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig_open(&rig);
    for (uint32_t turn = 0; turn < 50; turn++) {
        for (uint32_t i = 0; i < 20; i++)
            cr_assert_eq(peer_send_numbered(&rig.client, turn * 20 + i, (turn * i * 37) % 5000), 0);
        rig_run(&rig, turn % 3);
    }
    RUN_UNTIL(&rig, rig.server.next == 1000);
    cr_assert_eq(rig_counters(fixture->client).frames_sent, 1000);
    cr_assert_eq(rig_counters(fixture->server).frames_received, 1000);
    rig_finish(&rig);
}

static void send_back(struct peer *peer, const struct net_frame *frame)
{
    uint32_t number = peer->next;
    peer_expect_numbered(peer, frame);
    if (number < 500)
        cr_assert_eq(peer_send_numbered(peer, number, number), 0);
}

CASE(both_ways)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig.server.on_frame = send_back;
    rig_open(&rig);
    for (uint32_t i = 0; i < 600; i++) {
        cr_assert_eq(peer_send_numbered(&rig.client, i, 100), 0);
        rig_run(&rig, i % 50 == 0);
    }
    RUN_UNTIL(&rig, rig.server.next == 600 && rig.client.next == 500);
    rig_finish(&rig);
}

static void expect_shape(struct peer *peer, const struct net_frame *frame)
{
    static const char *const shapes[] = {"", "head", "payload", "headpayload"};
    const char *expected = shapes[frame->type];
    cr_assert_eq(frame->bytes, strlen(expected));
    cr_assert(frame->bytes == 0 || memcmp(frame->payload, expected, frame->bytes) == 0);
}

CASE(shapes_of_frames)
{
    struct rig rig;
    struct blob *payload = blob_create("payload", 7), *empty = blob_create(NULL, 0);
    rig_init(&rig, fixture);
    rig.server.on_frame = expect_shape;
    rig_open(&rig);
    cr_assert_eq(peer_send(&rig.client, 0, NULL, 0, NULL), 0);
    cr_assert_eq(peer_send(&rig.client, 1, "head", 4, NULL), 0);
    cr_assert_eq(peer_send(&rig.client, 1, "head", 4, empty), 0);
    cr_assert_eq(peer_send(&rig.client, 2, NULL, 0, payload), 0);
    cr_assert_eq(peer_send(&rig.client, 3, "head", 4, payload), 0);
    RUN_UNTIL(&rig, rig.server.frames == 5);
    rig_finish(&rig);
    cr_assert_eq(payload->references, 1, "a reference was kept");
    blob_unref(payload);
    blob_unref(empty);
}

CASE(large_frames)
{
    static const uint32_t sizes[] = {1023,  1024,  1025,    4095,         65535,
                                     65536, 65537, 1 << 20, (4 << 20) - 4};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    struct rig rig;
    rig_init(&rig, fixture);
    rig_open(&rig);
    for (uint32_t i = 0; i < COUNT; i++)
        cr_assert_eq(peer_send_numbered(&rig.client, i, sizes[i]), 0);
    RUN_UNTIL(&rig, rig.server.next == COUNT);
    rig_run(&rig, 5);
    cr_assert_eq(rig_counters(fixture->server).memory_bytes, 0, "memory of large frames is kept");
    cr_assert_eq(rig_counters(fixture->client).memory_bytes, 0);
    rig_finish(&rig);
}

static void send_thirty(struct peer *peer)
{
    for (uint32_t i = 0; i < 30; i++)
        cr_assert_eq(peer_send_numbered(peer, i, i % 3 ? 100 : 2000), 0);
}

/* What one turn queues leaves in one call, whatever it consists of. */
CASE(corked)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig.client.on_opened = send_thirty;
    rig_open(&rig);
    RUN_UNTIL(&rig, rig.server.next == 30);
    cr_assert_eq(rig_counters(fixture->client).send_calls, 1);
    for (uint32_t i = 30; i < 60; i++)
        cr_assert_eq(peer_send_numbered(&rig.client, i, 10), 0);
    RUN_UNTIL(&rig, rig.server.next == 60);
    cr_assert_eq(rig_counters(fixture->client).send_calls, 2);
    rig_finish(&rig);
}

CASE(queued_before_opened)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig_listen(&rig);
    rig_connect(&rig, &rig.client, rig.address);
    for (uint32_t i = 0; i < 5; i++)
        cr_assert_eq(peer_send_numbered(&rig.client, i, 50), 0);
    RUN_UNTIL(&rig, rig.server.next == 5);
    cr_assert_eq(rig.client.opened, 1);
    rig_finish(&rig);
}

enum { QUEUE = 256 * 1024, PIECE = 10000, PIECES = 800 };

/* Send numbered frames until the queue is full or all are sent. */
static void send_until_full(struct peer *peer)
{
    struct rig *rig = peer->rig;
    int rc = 0;
    while (rig->sent < PIECES && (rc = peer_send_numbered(peer, rig->sent, PIECE)) == 0)
        rig->sent++;
    cr_assert(rc == 0 || rc == NET_E_FULL);
    cr_assert_leq(net_queued_bytes(peer->conn), QUEUE);
}

CASE(full_and_drained)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig.client_limits.queue_bytes_max = QUEUE;
    rig.client.on_drained = send_until_full;
    rig_open(&rig);
    send_until_full(&rig.client);
    cr_assert_lt(rig.sent, PIECES, "the queue has no limit");
    RUN_UNTIL(&rig, rig.server.next == PIECES);
    cr_assert_gt(rig.client.drained, 1);
    cr_assert_eq(net_queued_bytes(rig.client.conn), 0);
    rig_finish(&rig);
}

CASE(empty_queue_takes_any_frame)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig.client_limits.queue_bytes_max = 1000;
    rig_open(&rig);
    cr_assert_eq(peer_send_numbered(&rig.client, 0, 100000), 0);
    cr_assert_eq(peer_send_numbered(&rig.client, 1, 10), NET_E_FULL);
    RUN_UNTIL(&rig, rig.server.next == 1 && rig.client.drained == 1);
    cr_assert_eq(peer_send_numbered(&rig.client, 1, 10), 0);
    RUN_UNTIL(&rig, rig.server.next == 2);
    rig_finish(&rig);
}

static void pause_now(struct peer *peer)
{
    peer_pause(peer, true);
}

CASE(pause_holds_back)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig.server.on_opened = pause_now;
    rig_open(&rig);
    for (uint32_t i = 0; i < 10; i++)
        cr_assert_eq(peer_send_numbered(&rig.client, i, 100), 0);
    rig_run(&rig, 100);
    cr_assert_eq(rig.server.frames, 0, "frames arrive at a paused connection");
    peer_pause(&rig.server, true);
    peer_pause(&rig.server, false);
    RUN_UNTIL(&rig, rig.server.next == 10);
    rig_finish(&rig);
}

/* A sender of any patience gets no more rid of than buffers hold. */
CASE(pause_is_back_pressure)
{
    enum { LARGE = 1 << 20, COUNT = 256 };
    struct rig rig;
    rig_init(&rig, fixture);
    rig.server.on_opened = pause_now;
    rig.client_limits.queue_bytes_max = 2 * LARGE;
    rig_open(&rig);
    uint32_t sent = 0;
    for (unsigned turn = 0; turn < 400 && sent < COUNT; turn++) {
        if (peer_send_numbered(&rig.client, sent, LARGE) == 0)
            sent++;
        rig_run(&rig, 1);
    }
    cr_assert_lt(sent, COUNT, "the pause does not reach the sender");
    cr_assert_eq(rig.server.frames, 0);
    peer_pause(&rig.server, false);
    RUN_UNTIL(&rig, rig.server.next == sent);
    cr_assert_eq(rig.client.drained, 1);
    rig_finish(&rig);
}

CASE(frame_over_own_limit)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig.client_limits.frame_bytes_max = 1000;
    rig_open(&rig);
    cr_assert_eq(peer_send_numbered(&rig.client, 0, 997), -EMSGSIZE);
    cr_assert_eq(peer_send_numbered(&rig.client, 0, 996), 0);
    RUN_UNTIL(&rig, rig.server.next == 1);
    rig_finish(&rig);
}

CASE(frame_over_peer_limit)
{
    struct rig rig;
    rig_init(&rig, fixture);
    rig.server_limits.frame_bytes_max = 1000;
    rig_open(&rig);
    cr_assert_eq(peer_send_numbered(&rig.client, 0, 996), 0);
    cr_assert_eq(peer_send_numbered(&rig.client, 1, 997), 0);
    RUN_UNTIL(&rig, rig.server.closed && rig.client.closed);
    cr_assert_eq(rig.server.frames, 1);
    cr_assert_eq(rig.server.reason, NET_REASON_PROTOCOL);
    cr_assert_eq(rig.client.reason, NET_REASON_PEER);
    cr_assert_eq(rig_counters(fixture->server).connections_refused, 1);
    rig_finish(&rig);
}
