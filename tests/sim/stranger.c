#include "tests/sim/stranger.h"

#include "gcs-fastdelivery/frame.h"
#include "net/hello.h"
#include "tests/sim/cluster.h"

#include <stdlib.h>
#include <string.h>

enum { STRANGER_HOST = 30 };
enum oddity { ODD_CLUSTER, ODD_LINEAGE, ODD_VERSION, ODD_SELF, ODD_TAKEN, ODDITIES };

struct stranger {
    struct cluster *cluster;
    uint64_t *ends;
    struct process process;
    struct net_transport *transport;
    struct net_conn *conn; /* NULL: at home */
    uint32_t member;       /* whom it visits */
    enum oddity oddity;
    uint8_t role;
    bool reached;
    struct event end;
};

static const char *const names[] = {"another cluster", "another lineage", "another version",
                                    "its own id", "an id that is taken"};
static const struct net_limits limits = {.frame_bytes_max = 1 << 20, .queue_bytes_max = 1 << 20};

/* What a member would say, but for the oddity. */
static struct net_hello hello_of(const struct stranger *s)
{
    const uint32_t taken = (s->member + 1) % s->cluster->member_count;
    struct net_hello hello = {.version = NET_HELLO_VERSION,
                              .role = s->role,
                              .node = (uint8_t)(s->cluster->member_count + 1),
                              .lineage_random = s->cluster->options.only_order ? 7 : 1,
                              .incarnation_count = 1,
                              .incarnation_random = 1};
    memset(hello.cluster, s->oddity == ODD_CLUSTER ? 2 : 1, sizeof hello.cluster);
    memset(hello.store, 0x55, sizeof hello.store);
    strcpy(hello.address, "stranger:7400");
    hello.lineage_random += s->oddity == ODD_LINEAGE;
    hello.version += s->oddity == ODD_VERSION;
    if (s->oddity == ODD_SELF)
        hello.node = (uint8_t)(s->member + 1);
    if (s->oddity == ODD_TAKEN)
        hello.node = (uint8_t)(taken + 1);
    return hello;
}

static void ask(struct net_conn *conn)
{
    struct gcs_frame frame = {.type = GCS_FRAME_JOIN, .count = 1, .flags = GCS_FLAG_ADDED};
    uint8_t head[GCS_HEAD_BYTES_MAX];
    uint32_t bytes = gcs_frame_encode(&frame, head);
    if (net_send(conn, frame.type, head, bytes, NULL) != 0)
        net_close(conn);
}

static void on_opened(struct net_conn *conn)
{
    struct stranger *s = conn->user;
    struct net_hello hello = hello_of(s);
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    uint32_t count = (uint32_t)net_hello_encode(&hello, bytes);
    s->reached = true;
    if (net_send(conn, NET_FRAME_HELLO, bytes, count, NULL) != 0)
        net_close(conn);
    else
        ask(conn);
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct stranger *s = conn->user;
    if (frame->type != NET_FRAME_REFUSED && s->oddity != ODD_TAKEN)
        world_violation(&s->cluster->world, "integrity: a stranger (%s, role %u) is answered by %s",
                        names[s->oddity], s->role, s->cluster->members[s->member].name);
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    (void)reason;
    (void)detail;
    struct stranger *s = conn->user;
    s->conn = NULL;
    *s->ends += s->reached;
    event_stop(&s->cluster->world, &s->end);
}

static const struct net_handlers handlers = {on_opened, on_frame, NULL, on_closed};

static void end_now(struct event *event)
{
    struct stranger *s = CONTAINER_OF(event, struct stranger, end);
    if (s->conn)
        net_close(s->conn);
}

static void connect_now(void *user)
{
    struct stranger *s = user;
    MUST(net_connect(s->transport, s->cluster->addresses[s->member].address, NULL, &limits,
                     &handlers, s, &s->conn, NULL) == 0);
}

/* A client of another version, lineage or node is none: clients have no such thing. */
static uint8_t draw_role(struct stranger *s)
{
    static const uint8_t roles[] = {NET_ROLE_MEMBER, NET_ROLE_TRANSFER, NET_ROLE_CLIENT};
    uint64_t count = s->oddity == ODD_CLUSTER ? 3 : s->oddity == ODD_LINEAGE ? 2 : 1;
    return roles[prng_below(&s->cluster->world.prng, count)];
}

bool stranger_fire(struct stranger *s)
{
    struct world *world = &s->cluster->world;
    if (s->conn)
        return false;
    s->member = (uint32_t)prng_below(&world->prng, s->cluster->member_count);
    s->oddity = (enum oddity)prng_below(&world->prng, ODDITIES);
    s->role = draw_role(s);
    s->reached = false;
    world_note(world, "a stranger (%s, role %u) visits %s", names[s->oddity], s->role,
               s->cluster->members[s->member].name);
    process_turn(&s->process, connect_now, s);
    event_start(world, &s->end, SIM_MS(200));
    return true;
}

struct stranger *stranger_create(struct cluster *cluster, uint64_t *ends)
{
    struct stranger *s = sim_alloc(sizeof *s);
    s->cluster = cluster;
    s->ends = ends;
    process_init(&s->process, &cluster->world, "stranger");
    s->transport = sim_transport_create(&cluster->net, &s->process, STRANGER_HOST);
    s->end = (struct event){.fire = end_now, .label = "enough", .process = &s->process};
    return s;
}

void stranger_destroy(struct stranger *s)
{
    if (!s)
        return;
    net_transport_destroy(s->transport);
    process_finish(&s->process);
    free(s);
}
