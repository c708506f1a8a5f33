/* Replicas that answer operators: of every manner, and those of a group whose view changes. */
#include "tests/unit/client/ctl_rig.h"
#include "net/hello.h"
#include "net/loop_uv.h"
#include "net/transport.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct world world;
char said[8192];
const enum manner civil[REPLICAS];

static void answer(struct net_conn *conn, json_t *reply)
{
    char *text = json_dumps(reply, 0);
    cr_assert(net_send(conn, NET_FRAME_ADMIN_REPLY, text, (uint32_t)strlen(text), NULL) == 0);
    free(text);
    json_decref(reply);
}

static json_t *probe(const struct replica *r)
{
    return json_pack("{s:b,s:s,s:s,s:s,s:i,s:s,s:b,s:s,s:i,s:I,s:{s:i}}", "ok", 1, "state",
                     r->state        ? r->state
                     : r->cluster[0] ? "formatted"
                                     : "waiting",
                     "cluster", r->cluster, "name", r->name, "node",
                     r->claims ? r->claims : r->node, "store", "00", "witness", (int)r->witness,
                     "lineage", r->lineage, "generation", 2 - r->behind, "time", r->time, "limits",
                     "inline_max", 4096 + r->extra_inline);
}

static json_t *create(struct replica *r, const json_t *request)
{
    r->creates++;
    if (r->manner == FAILS)
        return json_pack("{s:b,s:s}", "ok", 0, "error", "the disk is full");
    cr_assert(json_array_size(json_object_get(request, "members")) == REPLICAS);
    cr_assert(json_object_get(json_object_get(request, "limits"), "inline_max"));
    r->time = json_integer_value(json_object_get(request, "time"));
    snprintf(r->name, sizeof r->name, "%s", json_string_value(json_object_get(request, "name")));
    snprintf(r->cluster, sizeof r->cluster, "%s",
             json_string_value(json_object_get(request, "cluster")));
    snprintf(r->lineage, sizeof r->lineage, "%s",
             json_string_value(json_object_get(request, "lineage")));
    return json_pack("{s:b}", "ok", 1);
}

static json_t *status(const struct replica *r)
{
    return json_pack("{s:b,s:i,s:s,s:s,s:I,s:s,s:s,s:s}", "ok", 1, "node", r->node, "state",
                     "running\033[1m", "cluster", r->cluster, "index", (json_int_t)r->index,
                     "history", r->history, "digest", "d1d2d3d4d5d6d7d8", "waiting_for",
                     r->waiting_for ? r->waiting_for : "");
}

/* --- a group --- */

static bool has(unsigned set, int node)
{
    return set & (1u << node);
}

static json_t *nodes_pack(unsigned set)
{
    json_t *array = json_array();
    for (int i = 0; i < REPLICAS; i++) {
        const struct replica *r = &world.replicas[i];
        if (has(set, r->node))
            json_array_append_new(
                array, json_pack("{s:i,s:s,s:b,s:b,s:I}", "node", r->node, "address", r->address,
                                 "witness", (int)has(world.group.witnesses, r->node), "connected",
                                 (int)(r->manner == CIVIL), "applied", (json_int_t)r->index));
    }
    return array;
}

/* What takes its time goes on a little whenever it is asked for. */
static void group_step(struct replica *r)
{
    struct group *g = &world.group;
    if (r->join_polls && --r->join_polls == 0) {
        g->members |= 1u << r->node;
        g->epoch++;
        r->state = NULL;
    }
    if (g->leaving && --g->leave_polls <= 0) {
        g->members &= ~g->leaving;
        g->absent &= ~g->leaving;
        g->leaving = 0;
        g->epoch++;
    }
    if (r->draining && r->clients > 0)
        r->clients--;
}

static json_t *group_status(struct replica *r)
{
    struct group *g = &world.group;
    group_step(r);
    bool running = g->running && (r->behind || has(g->members, r->node));
    return json_pack(
        "{s:b,s:i,s:s,s:s,s:i,s:s,s:b,s:b,s:b,s:I,s:I,s:I,s:I,s:s,s:o,s:o,s:i}", "ok", 1, "node",
        r->node, "name", r->name, "cluster", r->cluster, "generation", 2 - r->behind, "state",
        r->state  ? r->state
        : running ? "running"
                  : "levelling",
        "running", (int)running, "witness", (int)r->witness, "draining", (int)r->draining, "epoch",
        (json_int_t)g->epoch + r->behind, "delivered", (json_int_t)1000, "index",
        (json_int_t)r->index, "time", (json_int_t)1700000000000000000, "waiting_for",
        g->waiting_for ? g->waiting_for : "", "members", nodes_pack(g->members), "absent",
        nodes_pack(g->absent), "clients", r->clients);
}

static json_t *join(struct replica *r, const json_t *request)
{
    const struct replica *first = &world.replicas[0];
    char *limits = json_dumps(json_object_get(request, "limits"), JSON_COMPACT);
    cr_expect(!strcmp(limits, "{\"inline_max\":4096}"), "%s", limits);
    free(limits);
    cr_expect(!strcmp(json_string_value(json_object_get(request, "name")), first->name));
    cr_expect(!strcmp(json_string_value(json_object_get(request, "cluster")), first->cluster));
    cr_expect(!strcmp(json_string_value(json_object_get(request, "lineage")), first->lineage));
    cr_expect(json_integer_value(json_object_get(request, "generation")) == 2);
    cr_expect(json_integer_value(json_object_get(request, "time")) == first->time);
    json_t *members = json_object_get(request, "members");
    cr_expect((int)json_array_size(members) == __builtin_popcount(world.group.members));
    r->joins++;
    strcpy(r->name, first->name);
    strcpy(r->cluster, first->cluster);
    r->in_group = true;
    r->state = "transferring";
    r->index = 250;
    return json_pack("{s:b}", "ok", 1);
}

static json_t *leave(unsigned node)
{
    world.group.leaving = 1u << node;
    return json_pack("{s:b}", "ok", 1);
}

static json_t *force(struct replica *r, const json_t *request)
{
    cr_expect(!strcmp(json_string_value(json_object_get(request, "name")), r->name));
    cr_expect(strlen(json_string_value(json_object_get(request, "lineage"))) == 16);
    cr_expect(json_integer_value(json_object_get(request, "epoch")) ==
              (json_int_t)world.group.epoch);
    cr_expect(json_integer_value(json_object_get(request, "index")) == (json_int_t)r->index);
    r->forces++;
    return json_pack("{s:b,s:I,s:i}", "ok", 1, "index", (json_int_t)r->index, "generation", 3);
}

/* The verbs of a member; NULL: another one. */
static json_t *group_answer(struct replica *r, const char *verb, const json_t *request)
{
    if (!strcmp(verb, "status") && r->in_group)
        return group_status(r);
    if (!strcmp(verb, "join"))
        return join(r, request);
    if (!strcmp(verb, "leave")) {
        r->leaves++;
        return leave((unsigned)r->node);
    }
    if (!strcmp(verb, "remove")) {
        r->removes++;
        return leave((unsigned)json_integer_value(json_object_get(request, "node")));
    }
    if (!strcmp(verb, "drain")) {
        r->draining = json_is_true(json_object_get(request, "on"));
        return json_pack("{s:b}", "ok", 1);
    }
    return strcmp(verb, "force") ? NULL : force(r, request);
}

static void on_admin(struct net_conn *conn, struct replica *r, const struct net_frame *frame)
{
    if (r->manner == SILENT)
        return;
    if (r->manner == NO_JSON || r->manner == NO_OBJECT) {
        const char *text = r->manner == NO_JSON ? "{\"ok\":" : "[1]";
        cr_assert(net_send(conn, NET_FRAME_ADMIN_REPLY, text, (uint32_t)strlen(text), NULL) == 0);
        return;
    }
    json_t *request = json_loadb((const char *)frame->payload, frame->bytes, 0, NULL);
    const char *verb = json_string_value(json_object_get(request, "verb"));
    cr_assert(verb);
    json_t *reply = group_answer(r, verb, request);
    if (reply)
        answer(conn, reply);
    else if (!strcmp(verb, "probe"))
        answer(conn, probe(r));
    else if (!strcmp(verb, "create"))
        answer(conn, create(r, request));
    else
        answer(conn, status(r));
    json_decref(request);
}

static void on_hello(struct net_conn *conn, const struct replica *r)
{
    struct net_hello hello = {
        .version = NET_HELLO_VERSION, .role = NET_ROLE_MEMBER, .node = (uint8_t)r->node};
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    size_t count = net_hello_encode(&hello, bytes);
    int code = 0;
    if (r->manner == REFUSES)
        code = net_send(conn, NET_FRAME_REFUSED, "no\n", 3, NULL);
    else
        code = net_send(conn, NET_FRAME_HELLO, bytes, r->manner == NO_HELLO ? 3 : (uint32_t)count,
                        NULL);
    cr_assert(code == 0);
}

static void on_opened(struct net_conn *conn)
{
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct replica *r = conn->user;
    if (frame->type == NET_FRAME_HELLO)
        on_hello(conn, r);
    else
        on_admin(conn, r, frame);
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
}

static const struct net_handlers handlers = {
    .opened = on_opened, .frame = on_frame, .closed = on_closed};

static const struct net_handlers *on_accepted(void *user, struct net_conn *conn, const char *peer)
{
    conn->user = user;
    return &handlers;
}

static void *run(void *user)
{
    loop_uv_run(world.loop);
    return NULL;
}

static void stop(void *user)
{
    loop_uv_stop(world.loop);
}

static void start_replica(struct replica *r, int node)
{
    static const struct net_limits limits = {.frame_bytes_max = 65536, .queue_bytes_max = 65536};
    struct error error = {{0}};
    struct net_accept accept = {.accepted = on_accepted, .user = r};
    r->node = node;
    r->history = "aaaaaaaaaaaaaaaaaaaa";
    r->index = 7;
    cr_assert(net_listen(world.transport, "127.0.0.1:0", &limits, &accept, &r->listener, &error) ==
              0);
    snprintf(r->address, sizeof r->address, "%s", r->listener->address);
    if (r->manner == GONE)
        net_unlisten(r->listener);
}

void setup(const enum manner manners[REPLICAS])
{
    memset(&world, 0, sizeof world);
    world.loop = loop_uv_create();
    world.transport = net_tcp_create(world.loop);
    for (int i = 0; i < REPLICAS; i++) {
        world.replicas[i].manner = manners[i];
        start_replica(&world.replicas[i], i + 1);
    }
}

void setup_group(unsigned members)
{
    setup(civil);
    world.group = (struct group){.members = members, .epoch = 5, .running = true, .leave_polls = 2};
    for (int i = 0; i < REPLICAS; i++) {
        struct replica *r = &world.replicas[i];
        r->index = 990;
        if (!has(members, r->node))
            continue;
        r->in_group = true;
        r->time = 1600000000000000000;
        strcpy(r->name, "home");
        strcpy(r->cluster, "0123456789abcdef0123456789abcdef");
        strcpy(r->lineage, "00112233445566aa");
    }
}

void begin(void)
{
    cr_assert(pthread_create(&world.thread, NULL, run, NULL) == 0);
}

void teardown(void)
{
    cr_assert(loop_uv_post(world.loop, stop, NULL) == 0);
    pthread_join(world.thread, NULL);
    net_transport_destroy(world.transport);
    loop_uv_destroy(world.loop);
}

/* --- running a command, its words kept --- */

enum ctl_exit run_prepared(enum ctl_exit (*call)(const struct ctl_command *),
                           const struct ctl_command *command)
{
    FILE *file = tmpfile();
    int out = dup(1), err = dup(2);
    dup2(fileno(file), 1);
    dup2(fileno(file), 2);
    enum ctl_exit code = call(command);
    fflush(stdout);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = 0;
    fclose(file);
    return code;
}

enum ctl_exit run_command(enum ctl_exit (*call)(const struct ctl_command *), bool json)
{
    struct ctl_command command = {.name = "home", .json = json, .timeout_ns = 300000000};
    for (int i = 0; i < REPLICAS; i++) {
        command.members[i] = (struct ctl_member){.node = (uint8_t)(i + 1)};
        strcpy(command.members[i].address, world.replicas[i].address);
        command.addresses[i] = world.replicas[i].address;
    }
    command.member_count = command.address_count = REPLICAS;
    return run_prepared(call, &command);
}
