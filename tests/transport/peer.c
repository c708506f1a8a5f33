/* The two sides of a contract case. */
#include "tests/transport/peer.h"

#include "base/cursor.h"

#include <stdio.h>

/* Callbacks: what may happen now */

static struct peer *peer_of(struct net_conn *conn)
{
    struct peer *peer = conn->user;
    cr_assert_eq(peer->rig->inside, 0, "called back from inside a call");
    cr_assert_eq(peer->closed, 0, "called back after closed");
    cr_assert(peer->conn == conn);
    return peer;
}

static void opened(struct net_conn *conn)
{
    struct peer *peer = peer_of(conn);
    cr_assert_eq(peer->opened++, 0);
    if (peer->on_opened)
        peer->on_opened(peer);
}

static void frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct peer *peer = peer_of(conn);
    cr_assert_eq(peer->opened, 1);
    peer->frames++;
    peer->bytes += frame->bytes;
    if (peer->on_frame)
        peer->on_frame(peer, frame);
}

static void drained(struct net_conn *conn)
{
    struct peer *peer = peer_of(conn);
    cr_assert(peer->full, "drained without having been full");
    peer->full = false;
    peer->drained++;
    if (peer->on_drained)
        peer->on_drained(peer);
}

static void closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct peer *peer = peer_of(conn);
    cr_assert_not_null(detail);
    peer->closed = 1;
    peer->reason = reason;
    peer->conn = NULL;
    if (peer->on_closed)
        peer->on_closed(peer);
}

static const struct net_handlers handlers = {
    .opened = opened, .frame = frame, .drained = drained, .closed = closed};

static const struct net_handlers *accepted(void *user, struct net_conn *conn, const char *name)
{
    struct rig *rig = user;
    struct peer *peer = rig->accepted == 0 ? &rig->server : &rig->others[rig->accepted - 1];
    cr_assert_eq(rig->inside, 0);
    cr_assert(name && *name);
    if (rig->refuse)
        return NULL;
    cr_assert(rig->accepted++ < PEERS_MAX);
    if (peer != &rig->server)
        *peer = (struct peer){.on_frame = rig->server.on_frame};
    peer->rig = rig;
    peer->conn = conn;
    conn->user = peer;
    if (rig->close_accepted)
        peer_close(peer);
    return &handlers;
}

/* Calls */

int peer_send(struct peer *peer, uint16_t type, const void *head, uint32_t head_bytes,
              struct blob *payload)
{
    peer->rig->inside++;
    int rc = net_send(peer->conn, type, head, head_bytes, payload);
    peer->rig->inside--;
    if (rc == NET_E_FULL)
        peer->full = true;
    return rc;
}

void peer_close(struct peer *peer)
{
    peer->rig->inside++;
    net_close(peer->conn);
    peer->rig->inside--;
}

void peer_pause(struct peer *peer, bool paused)
{
    peer->rig->inside++;
    net_pause(peer->conn, paused);
    peer->rig->inside--;
}

static uint8_t byte_of(uint32_t number, uint32_t i)
{
    return (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

int peer_send_numbered(struct peer *peer, uint32_t number, uint32_t bytes)
{
    uint8_t head[4];
    struct writer w = writer_make(head, sizeof head);
    writer_u32(&w, number);
    struct blob *payload = blob_create(NULL, bytes);
    cr_assert_not_null(payload);
    for (uint32_t i = 0; i < bytes; i++)
        payload->data[i] = byte_of(number, i);
    int rc = peer_send(peer, (uint16_t)number, head, sizeof head, payload);
    blob_unref(payload);
    return rc;
}

void peer_expect_numbered(struct peer *peer, const struct net_frame *frame)
{
    struct reader r = reader_make(frame->payload, frame->bytes);
    uint32_t number = reader_u32(&r);
    cr_assert(!r.failed);
    cr_assert_eq(number, peer->next, "frame %u where %u is due", number, peer->next);
    cr_assert_eq(frame->type, (uint16_t)number);
    for (uint32_t i = 0; i < frame->bytes - 4; i++)
        cr_assert_eq(r.at[i], byte_of(number, i));
    peer->next++;
}

/* The rig */

void rig_init(struct rig *rig, struct transport_fixture *fixture)
{
    *rig = (struct rig){.fixture = fixture};
    rig->server_limits = rig->client_limits = (struct net_limits){
        .frame_bytes_max = 4 << 20, .queue_bytes_max = 16 << 20, .frame_timeout_ns = 10000000000};
    rig->server.rig = rig->client.rig = rig;
    rig->server.on_frame = rig->client.on_frame = peer_expect_numbered;
}

void rig_listen(struct rig *rig)
{
    struct error error = {""};
    struct net_accept accept = {accepted, rig};
    int rc = net_listen(rig->fixture->server, rig->fixture->listen_address, &rig->server_limits,
                        &accept, &rig->listener, &error);
    cr_assert_eq(rc, 0, "%s", error.text);
    snprintf(rig->address, sizeof rig->address, "%s", rig->listener->address);
}

void rig_connect(struct rig *rig, struct peer *peer, const char *address)
{
    struct error error = {""};
    peer->rig = rig;
    rig->inside++;
    int rc = net_connect(rig->fixture->client, address, NULL, &rig->client_limits, &handlers, peer,
                         &peer->conn, &error);
    rig->inside--;
    cr_assert_eq(rc, 0, "%s", error.text);
}

void rig_open(struct rig *rig)
{
    rig_listen(rig);
    rig_connect(rig, &rig->client, rig->address);
    RUN_UNTIL(rig, rig->client.opened && rig->server.opened);
}

void rig_run(struct rig *rig, unsigned turns)
{
    while (turns-- > 0)
        rig->fixture->run(rig->fixture);
}

struct net_counters rig_counters(struct net_transport *transport)
{
    struct net_counters counters;
    net_counters(transport, &counters);
    return counters;
}

static void must_be_over(const struct peer *peer)
{
    if (peer->opened || peer->conn)
        cr_assert_eq(peer->closed, 1, "a connection ended without closed");
}

void rig_finish(struct rig *rig)
{
    struct transport_fixture *fixture = rig->fixture;
    bool client_lived = fixture->client != NULL;
    if (fixture->client)
        net_transport_destroy(fixture->client);
    if (fixture->server)
        net_transport_destroy(fixture->server);
    fixture->client = fixture->server = NULL;
    if (client_lived)
        must_be_over(&rig->client);
    must_be_over(&rig->server);
    for (unsigned i = 0; i + 1 < rig->accepted; i++)
        must_be_over(&rig->others[i]);
    fixture->finish(fixture);
}
