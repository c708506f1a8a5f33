/* Example: a replicated key-value table, by gcs.h alone.
 *
 *     tutti-gcs-example [MEMBERS [UPDATES]]
 *
 * MEMBERS replicas live in this process, each with links to the others over TCP on the loopback
 * device. Every one sends UPDATES assignments "key = value" to keys that all of them fight for; the
 * order decides. At the end all tables are equal, and the program prints how long an update took
 * from gcs_multicast to its release. Nothing is kept on disk: durability is "memory", and what
 * `store` and `save` are given counts as stored at once. A replica that survives its own crash
 * keeps both in files and gives them back by gcs_recover and gcs_create; one that was voted out
 * begins anew with `outside` and is fed by a member that answers `fetch`. Here both end the run. */
#include "gcs-fastdelivery/gcs.h"
#include "net/loop_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 8, FIRST_PORT = 17650, MEMBERS_DEFAULT = 3, UPDATES_DEFAULT = 200 };

struct assignment {
    uint32_t key, value;
};

struct replica {
    struct gcs *gcs;
    struct net_listener *listener;
    uint32_t table[KEYS];
    uint32_t applied; /* assignments of all members */
    uint32_t sent;
    uint64_t sent_at_ns, waited_ns;
    uint64_t own_index; /* of the update that waits for its release; 0: none yet */
    uint8_t rank;
    struct loop_task next;  /* sends the next update */
    struct loop_task save;  /* answers gcs_saved after the callback */
    struct loop_task fetch; /* and `fetch` of this joiner */
    uint8_t joiner;
};

static struct {
    struct loop *loop;
    struct net_transport *transport;
    struct replica replicas[GCS_MEMBER_MAX];
    uint32_t members, updates;
} world;

static bool finished(void)
{
    for (uint32_t j = 0; j < world.members; j++)
        if (world.replicas[j].applied < world.members * world.updates)
            return false;
    return true;
}

static void send_next(struct loop_task *task)
{
    struct replica *r = CONTAINER_OF(task, struct replica, next);
    struct assignment a = {(r->sent * 7 + r->rank) % KEYS, r->rank * 1000000 + r->sent};
    struct blob *payload = blob_create(&a, sizeof a);
    uint64_t seq;
    if (payload && gcs_multicast(r->gcs, payload, &seq) == 0) {
        r->sent++;
        r->sent_at_ns = loop_now_ns(world.loop);
    }
    blob_unref(payload);
}

static void on_received(void *user, const struct gcs_message *message)
{
}

static void on_store(void *user, const struct gcs_message *message)
{
    struct replica *r = user;
    gcs_stored(r->gcs, message->epoch, message->origin, message->seq);
}

static void saved(struct loop_task *task)
{
    gcs_saved(CONTAINER_OF(task, struct replica, save)->gcs);
}

static void on_save(void *user, const void *state, size_t bytes)
{
    struct replica *r = user;
    loop_defer(world.loop, &r->save);
}

static void on_deliver(void *user, const struct gcs_message *message, uint64_t index)
{
    struct replica *r = user;
    struct assignment a = {0};
    if (message->payload->bytes == sizeof a)
        memcpy(&a, message->payload->data, sizeof a);
    r->table[a.key % KEYS] = a.value;
    r->applied++;
    if (message->origin == r->rank)
        r->own_index = index;
    gcs_applied(r->gcs, index);
}

static void on_epoch(void *user, uint64_t epoch, uint64_t index)
{
    struct replica *r = user;
    gcs_applied(r->gcs, index);
}

/* Everybody has it: an answer could leave now, and the next update begins. */
static void on_released(void *user, uint64_t index)
{
    struct replica *r = user;
    if (finished())
        loop_uv_stop(world.loop);
    if (r->own_index == 0 || index < r->own_index)
        return;
    r->own_index = 0;
    r->waited_ns += loop_now_ns(world.loop) - r->sent_at_ns;
    if (r->sent < world.updates)
        loop_defer(world.loop, &r->next);
}

static void on_running(void *user, bool running, const char *waiting_for)
{
    struct replica *r = user;
    if (running)
        loop_defer(world.loop, &r->next);
}

static void on_window_open(void *user)
{
}

static void on_view(void *user, const struct gcs_view *view, bool self, uint8_t rank)
{
}

/* The table is read at the end only, by a process that holds all replicas: no lease is asked for.
 */
static void on_readable(void *user)
{
}

/* It keeps no history to feed a joiner from. */
static void no_history(struct loop_task *task)
{
    struct replica *r = CONTAINER_OF(task, struct replica, fetch);
    gcs_fetch_done(r->gcs, r->joiner, false);
}

static void on_fetch(void *user, uint8_t peer, uint64_t index_from, uint32_t bytes_max,
                     const uint8_t history[16])
{
    struct replica *r = user;
    r->joiner = peer;
    loop_defer(world.loop, &r->fetch);
}

static void on_failed(void *user, const char *detail)
{
    struct replica *r = user;
    fprintf(stderr, "member %u: %s\n", r->rank + 1u, detail);
    exit(1);
}

static void on_snapshot_needed(void *user, const struct gcs_member *sponsor)
{
    on_failed(user, "it would need a copy of another's table");
}

static void on_out(void *user, enum gcs_out why, const char *detail)
{
    on_failed(user, detail);
}

static const struct gcs_callbacks callbacks = {
    .received = on_received,
    .store = on_store,
    .save = on_save,
    .deliver = on_deliver,
    .epoch = on_epoch,
    .released = on_released,
    .running = on_running,
    .view = on_view,
    .window_open = on_window_open,
    .readable = on_readable,
    .fetch = on_fetch,
    .snapshot_needed = on_snapshot_needed,
    .out = on_out,
    .failed = on_failed,
};

/* --- incoming connections: the first frame is a hello, the rest belongs to gcs -------------------
 */

/* gcs owns `user` of what it is given; this one stands between it and the transport's connection.
 */
struct incoming {
    struct net_conn proxy; /* first: what gcs sees */
    struct net_conn *conn;
    struct replica *replica;
    const struct net_handlers *member;
};

static int proxy_send(struct net_conn *proxy, uint16_t type, const void *head, uint32_t head_bytes,
                      struct blob *payload)
{
    return net_send(((struct incoming *)proxy)->conn, type, head, head_bytes, payload);
}

static void proxy_close(struct net_conn *proxy)
{
    net_close(((struct incoming *)proxy)->conn);
}

static const struct net_transport_ops proxy_ops = {.send = proxy_send, .close = proxy_close};

static void on_open(struct net_conn *conn)
{
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct incoming *in = conn->user;
    struct net_hello hello;
    if (in->member)
        in->member->frame(&in->proxy, frame);
    else if (frame->type == NET_FRAME_HELLO &&
             net_hello_decode(frame->payload, frame->bytes, &hello) == 0)
        in->member = gcs_accept(in->replica->gcs, &in->proxy, &hello);
    else
        net_close(conn);
}

static void on_drained(struct net_conn *conn)
{
    struct incoming *in = conn->user;
    if (in->member)
        in->member->drained(&in->proxy);
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct incoming *in = conn->user;
    if (in->member)
        in->member->closed(&in->proxy, reason, detail);
    free(in);
}

static const struct net_handlers incoming_handlers = {on_open, on_frame, on_drained, on_closed};

static const struct net_handlers *on_accepted(void *user, struct net_conn *conn, const char *peer)
{
    struct incoming *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->proxy.ops = &proxy_ops;
    in->conn = conn;
    in->replica = user;
    conn->user = in;
    return &incoming_handlers;
}

/* --- begin and end -------------------------------------------------------------------------------
 */

static void make_replica(uint8_t rank)
{
    struct replica *r = &world.replicas[rank];
    struct gcs_config config;
    struct error error;
    gcs_config_defaults(&config);
    config.loop = world.loop;
    config.transport = world.transport;
    config.member_count = world.members;
    for (uint32_t j = 0; j < world.members; j++) {
        config.members[j].node = (uint8_t)(j + 1);
        snprintf(config.members[j].address, sizeof config.members[j].address, "127.0.0.1:%u",
                 FIRST_PORT + j);
    }
    config.node = (uint8_t)(rank + 1);
    memcpy(config.address, config.members[rank].address, sizeof config.address);
    config.hello.incarnation_count = 1;
    config.hello.incarnation_random = rank + 1u;
    config.hello.store[0] = (uint8_t)(rank + 1);
    config.durability = GCS_DURABILITY_MEMORY;
    config.prng_seed = rank;
    config.callbacks = &callbacks;
    config.user = r;
    r->rank = rank;
    r->next = (struct loop_task){.run = send_next, .phase = LOOP_PHASE_SUBMIT};
    r->save = (struct loop_task){.run = saved, .phase = LOOP_PHASE_SUBMIT};
    r->fetch = (struct loop_task){.run = no_history, .phase = LOOP_PHASE_SUBMIT};
    const struct net_accept accept = {.accepted = on_accepted, .user = r};
    if (gcs_create(&config, NULL, 0, &r->gcs, &error) ||
        net_listen(world.transport, config.members[rank].address, &config.link_limits, &accept,
                   &r->listener, &error)) {
        fprintf(stderr, "member %u: %s\n", rank + 1u, error.text);
        exit(1);
    }
}

static int report(void)
{
    uint64_t waited_ns = 0;
    int code = 0;
    for (uint32_t j = 0; j < world.members; j++) {
        const struct replica *r = &world.replicas[j];
        waited_ns += r->waited_ns;
        if (memcmp(r->table, world.replicas[0].table, sizeof r->table) != 0)
            code = 1;
    }
    printf("%u members, %u updates each: tables %s; %.1f us from multicast to release\n",
           world.members, world.updates, code ? "DIFFER" : "equal",
           (double)waited_ns / 1e3 / (world.members * world.updates));
    for (uint32_t k = 0; k < KEYS; k++)
        printf("  key %u = %u\n", k, world.replicas[0].table[k]);
    return code;
}

int main(int argc, char **argv)
{
    world.members = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : MEMBERS_DEFAULT;
    world.updates = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : UPDATES_DEFAULT;
    if (world.members < 1 || world.members > GCS_MEMBER_MAX || world.updates < 1 ||
        world.updates > 1000000) {
        fprintf(stderr, "usage: %s [MEMBERS 1..%d [UPDATES 1..1000000]]\n", argv[0],
                GCS_MEMBER_MAX);
        return 2;
    }
    if (!(world.loop = loop_uv_create()) || !(world.transport = net_tcp_create(world.loop)))
        return 1;
    for (uint8_t j = 0; j < world.members; j++)
        make_replica(j);
    for (uint8_t j = 0; j < world.members; j++)
        gcs_start(world.replicas[j].gcs);
    loop_uv_run(world.loop);
    int code = report();
    for (uint8_t j = 0; j < world.members; j++)
        gcs_destroy(world.replicas[j].gcs);
    net_transport_destroy(world.transport);
    loop_uv_destroy(world.loop);
    return code;
}
