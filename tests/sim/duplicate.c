#include "tests/sim/duplicate.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 128, AT_ONCE_MAX = 8 };

struct duplicator {
    struct cluster *cluster;
    struct process process;
    struct net_transport *transport;
    struct net_conn *conn; /* NULL: idle */
    struct blob *kept[KEPT_MAX];
    uint64_t kept_count;
    struct blob *sent[AT_ONCE_MAX]; /* on the present connection */
    uint32_t sent_count;
    struct event end;
    void (*replied)(void *user, const struct proto_request *request,
                    const struct proto_reply *reply);
    void *user;
};

static const struct net_limits limits = {.frame_bytes_max = 1 << 20, .queue_bytes_max = 8 << 20};

void duplicator_keep(struct duplicator *d, const uint8_t *payload, uint32_t bytes)
{
    struct blob **place = &d->kept[d->kept_count++ % KEPT_MAX];
    blob_unref(*place);
    *place = blob_create(payload, bytes);
    MUST(*place);
}

static void on_opened(struct net_conn *conn)
{
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    struct net_hello hello = {.version = NET_HELLO_VERSION, .role = NET_ROLE_CLIENT};
    uint32_t count = (uint32_t)net_hello_encode(&hello, bytes);
    if (net_send(conn, NET_FRAME_HELLO, bytes, count, NULL) != 0)
        net_close(conn);
}

static void send_all(struct duplicator *d)
{
    for (uint32_t i = 0; i < d->sent_count; i++)
        if (net_send(d->conn, NET_FRAME_REQUEST, NULL, 0, d->sent[i]) != 0)
            return;
}

/* A reply names the request by its tag; of two with one tag (two sessions) neither can be told. */
static void take_reply(struct duplicator *d, const struct net_frame *frame)
{
    struct proto_reply reply;
    struct proto_request request, found;
    uint32_t matches = 0;
    if (proto_reply_decode(frame->payload, frame->bytes, &reply) < 0)
        return;
    for (uint32_t i = 0; i < d->sent_count; i++)
        if (proto_request_decode(d->sent[i]->data, d->sent[i]->bytes, &request) == 0 &&
            request.tag == reply.tag) {
            found = request;
            matches++;
        }
    if (matches == 1)
        d->replied(d->user, &found, &reply);
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct duplicator *d = conn->user;
    if (frame->type == NET_FRAME_HELLO)
        send_all(d);
    else if (frame->type == NET_FRAME_REPLY)
        take_reply(d, frame);
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    (void)reason;
    (void)detail;
    struct duplicator *d = conn->user;
    d->conn = NULL;
    event_stop(&d->cluster->world, &d->end);
    while (d->sent_count)
        blob_unref(d->sent[--d->sent_count]);
}

static const struct net_handlers handlers = {on_opened, on_frame, NULL, on_closed};

static void end_now(struct event *event)
{
    struct duplicator *d = CONTAINER_OF(event, struct duplicator, end);
    if (d->conn)
        net_close(d->conn);
}

static void connect_now(void *user)
{
    struct duplicator *d = user;
    struct cluster *cluster = d->cluster;
    uint32_t member = (uint32_t)prng_below(&cluster->world.prng, cluster->member_count);
    MUST(net_connect(d->transport, cluster->addresses[member].address, NULL, &limits, &handlers, d,
                     &d->conn, NULL) == 0);
}

bool duplicator_fire(struct duplicator *d)
{
    struct world *world = &d->cluster->world;
    uint64_t here = d->kept_count < KEPT_MAX ? d->kept_count : KEPT_MAX;
    if (d->conn || here == 0)
        return false;
    d->sent_count = (uint32_t)world_between(world, 1, AT_ONCE_MAX);
    for (uint32_t i = 0; i < d->sent_count; i++)
        d->sent[i] = blob_ref(d->kept[prng_below(&world->prng, here)]);
    world_note(world, "%u old requests are sent again", d->sent_count);
    process_turn(&d->process, connect_now, d);
    event_start(world, &d->end, SIM_MS(200));
    return true;
}

struct duplicator *duplicator_create(struct cluster *cluster, uint32_t host,
                                     void (*replied)(void *user,
                                                     const struct proto_request *request,
                                                     const struct proto_reply *reply),
                                     void *user)
{
    struct duplicator *d = sim_alloc(sizeof *d);
    d->cluster = cluster;
    process_init(&d->process, &cluster->world, "duplicator");
    d->transport = sim_transport_create(&cluster->net, &d->process, host);
    d->end = (struct event){.fire = end_now, .label = "enough", .process = &d->process};
    d->replied = replied;
    d->user = user;
    return d;
}

void duplicator_destroy(struct duplicator *d)
{
    net_transport_destroy(d->transport);
    process_finish(&d->process);
    for (uint32_t i = 0; i < KEPT_MAX; i++)
        blob_unref(d->kept[i]);
    free(d);
}
