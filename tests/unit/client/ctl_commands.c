/* client/ctl_create.c, ctl_status.c, ctl_admin.c: the commands against replicas of every kind. */
#include "client/ctl.h"
#include "net/hello.h"
#include "net/loop_uv.h"
#include "net/transport.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- replicas that answer operators --- */

enum manner { CIVIL, REFUSES, SILENT, NO_JSON, NO_OBJECT, NO_HELLO, FAILS, GONE };

struct replica {
    struct net_listener *listener;
    char address[64];
    int node;
    enum manner manner;
    char name[64], cluster[64], lineage[32];
    int creates, extra_inline;
    json_int_t time;
    uint64_t index;
    const char *history, *waiting_for;
};

enum { REPLICAS = 3 };

static struct {
    struct loop *loop;
    struct net_transport *transport;
    pthread_t thread;
    struct replica replicas[REPLICAS];
} world;

static void answer(struct net_conn *conn, json_t *reply)
{
    char *text = json_dumps(reply, 0);
    cr_assert(net_send(conn, NET_FRAME_ADMIN_REPLY, text, (uint32_t)strlen(text), NULL) == 0);
    free(text);
    json_decref(reply);
}

static json_t *probe(const struct replica *r)
{
    return json_pack("{s:b,s:s,s:s,s:s,s:i,s:s,s:I,s:{s:i}}", "ok", 1, "state",
                     r->cluster[0] ? "formatted" : "waiting", "cluster", r->cluster, "name",
                     r->name, "node", r->node, "store", "00", "time", r->time, "limits",
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
    if (!strcmp(verb, "probe"))
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

static void setup(const enum manner manners[REPLICAS])
{
    memset(&world, 0, sizeof world);
    world.loop = loop_uv_create();
    world.transport = net_tcp_create(world.loop);
    for (int i = 0; i < REPLICAS; i++) {
        world.replicas[i].manner = manners[i];
        start_replica(&world.replicas[i], i + 1);
    }
}

static void begin(void)
{
    cr_assert(pthread_create(&world.thread, NULL, run, NULL) == 0);
}

static void teardown(void)
{
    cr_assert(loop_uv_post(world.loop, stop, NULL) == 0);
    pthread_join(world.thread, NULL);
    net_transport_destroy(world.transport);
    loop_uv_destroy(world.loop);
}

/* --- running a command, its words kept --- */

static char said[8192];

static enum ctl_exit run_command(enum ctl_exit (*call)(const struct ctl_command *), bool json)
{
    struct ctl_command command = {.name = "home", .json = json, .timeout_ns = 300000000};
    for (int i = 0; i < REPLICAS; i++) {
        command.members[i] = (struct ctl_member){.node = (uint8_t)(i + 1)};
        strcpy(command.members[i].address, world.replicas[i].address);
        command.addresses[i] = world.replicas[i].address;
    }
    command.member_count = command.address_count = REPLICAS;
    FILE *file = tmpfile();
    int out = dup(1), err = dup(2);
    dup2(fileno(file), 1);
    dup2(fileno(file), 2);
    enum ctl_exit code = call(&command);
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

static int creates(void)
{
    int sum = 0;
    for (int i = 0; i < REPLICAS; i++)
        sum += world.replicas[i].creates;
    return sum;
}

static void check_one_cluster(void)
{
    for (int i = 0; i < REPLICAS; i++) {
        const struct replica *r = &world.replicas[i];
        cr_expect(strlen(r->cluster) == 32 && strlen(r->lineage) == 16);
        cr_expect(!strcmp(r->cluster, world.replicas[0].cluster));
        cr_expect(!strcmp(r->lineage, world.replicas[0].lineage));
        cr_expect(!strcmp(r->name, "home"));
        cr_expect(r->time > 0 && r->time == world.replicas[0].time);
    }
}

static const enum manner civil[REPLICAS];

Test(ctl, create)
{
    setup(civil);
    begin();
    cr_expect(run_command(ctl_create, false) == CTL_OK, "%s", said);
    cr_expect(strstr(said, "home") && strstr(said, world.replicas[0].cluster), "%s", said);
    check_one_cluster();
    char cluster[64];
    strcpy(cluster, world.replicas[0].cluster);
    cr_expect(run_command(ctl_create, true) == CTL_OK, "%s", said);
    cr_expect(!strcmp(world.replicas[2].cluster, cluster), "a second time is another cluster");
    json_t *json = json_loads(said, 0, NULL);
    cr_expect(json_integer_value(json_object_get(json, "formatted_now")) == 0, "%s", said);
    json_decref(json);
    teardown();
}

Test(ctl, create_refuses_different_limits)
{
    setup(civil);
    world.replicas[1].extra_inline = 1;
    begin();
    cr_expect(run_command(ctl_create, false) == CTL_FAILED);
    cr_expect(strstr(said, "4097") && strstr(said, "same [limits]"), "%s", said);
    cr_expect(creates() == 0);
    teardown();
}

Test(ctl, create_goes_on)
{
    setup(civil);
    world.replicas[2].manner = FAILS;
    begin();
    cr_expect(run_command(ctl_create, false) == CTL_FAILED);
    cr_expect(strstr(said, "node 3") && strstr(said, "the disk is full"), "%s", said);
    world.replicas[2].manner = CIVIL;
    cr_expect(run_command(ctl_create, false) == CTL_OK, "%s", said);
    check_one_cluster();
    teardown();
}

Test(ctl, create_refuses)
{
    static const struct {
        enum manner second;
        const char *name, *cluster;
        int node;
        enum ctl_exit code;
        const char *says;
    } cases[] = {
        {GONE, "", "", 2, CTL_UNREACHABLE, "nothing was created"},
        {SILENT, "", "", 2, CTL_UNREACHABLE, "no answer in time"},
        {REFUSES, "", "", 2, CTL_UNREACHABLE, "refused: no?"},
        {NO_JSON, "", "", 2, CTL_UNREACHABLE, "not a JSON object"},
        {NO_OBJECT, "", "", 2, CTL_UNREACHABLE, "not a JSON object"},
        {NO_HELLO, "", "", 2, CTL_UNREACHABLE, "not a Tutti replica"},
        {CIVIL, "", "", 9, CTL_FAILED, "says that it is node 9"},
        {CIVIL, "work", "0123456789abcdef0123456789abcdef", 2, CTL_FAILED, "'work'"},
        {CIVIL, "home", "0123456789abcdef", 2, CTL_FAILED, "already"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const enum manner manners[REPLICAS] = {CIVIL, cases[i].second, CIVIL};
        setup(manners);
        struct replica *r = &world.replicas[1];
        strcpy(r->name, cases[i].name);
        strcpy(r->cluster, cases[i].cluster);
        r->node = cases[i].node;
        begin();
        cr_expect(run_command(ctl_create, false) == cases[i].code, "case %zu: %s", i, said);
        cr_expect(strstr(said, cases[i].says) && strstr(said, r->address), "case %zu: %s", i, said);
        cr_expect(creates() == 0, "case %zu: something was created", i);
        teardown();
    }
}

Test(ctl, create_refuses_two_clusters)
{
    setup(civil);
    for (int i = 0; i < 2; i++) {
        strcpy(world.replicas[i].name, "home");
        memset(world.replicas[i].cluster, 'a' + i, 32);
    }
    begin();
    cr_expect(run_command(ctl_create, false) == CTL_FAILED);
    cr_expect(strstr(said, "another cluster of the same name") && creates() == 0, "%s", said);
    teardown();
}

Test(ctl, status)
{
    setup(civil);
    world.replicas[1].index = 9;
    world.replicas[1].history = "bbbbbbbbbbbbbbbbbbbb"; /* at another index: nothing to compare */
    world.replicas[2].waiting_for = "node 4";
    begin();
    cr_expect(run_command(ctl_status, false) == CTL_OK, "%s", said);
    cr_expect(strstr(said, "NODE") && strstr(said, "aaaaaaaaaaaa ") && strstr(said, "running?[1m"),
              "%s", said);
    cr_expect(strstr(said, "waits for node 4"), "%s", said);
    teardown();
}

Test(ctl, status_says_who_differs)
{
    setup(civil);
    world.replicas[2].history = "bbbbbbbbbbbbbbbbbbbb";
    begin();
    cr_expect(run_command(ctl_status, false) == CTL_FAILED);
    cr_expect(strstr(said, "DIFFER at index 7"), "%s", said);
    teardown();
}

Test(ctl, status_json)
{
    const enum manner manners[REPLICAS] = {CIVIL, GONE, CIVIL};
    setup(manners);
    begin();
    cr_expect(run_command(ctl_status, true) == CTL_UNREACHABLE, "%s", said);
    int lines = 0;
    for (char *line = strtok(said, "\n"); line && line[0] == '{'; line = strtok(NULL, "\n")) {
        json_t *json = json_loads(line, 0, NULL);
        cr_assert(json_is_object(json), "%s", line);
        const char *address = json_string_value(json_object_get(json, "address"));
        cr_expect(!strcmp(address, world.replicas[lines].address));
        cr_expect(json_is_true(json_object_get(json, "ok")) == (lines != 1));
        json_decref(json);
        lines++;
    }
    cr_expect(lines == REPLICAS);
    teardown();
}
