/* client/tutti*.c: threads against a fake replica that has a thread of its own. */
#include "client/tutti.h"
#include "tests/unit/client/fake.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define S_NS 1000000000ull

/* --- the replica's thread --- */

struct server {
    struct loop *loop;
    struct net_transport *transport;
    struct fake_table table; /* the server's thread, or nobody's after server_stop */
    struct fake fake;
    pthread_t thread;
    atomic_bool silent; /* execute, but answer nothing (but session requests) */
    atomic_uint received;
};

static enum fake_act server_plan(void *user, const struct proto_request *request)
{
    struct server *s = user;
    bool session = request->op.code >= PROTO_SESSION_OPEN && request->op.code <= PROTO_SESSION_KEEP;
    atomic_fetch_add(&s->received, 1);
    return s->silent && !session ? FAKE_SILENT : FAKE_ANSWER;
}

static void *server_run(void *user)
{
    struct server *s = user;
    loop_uv_run(s->loop);
    return NULL;
}

static void server_start(struct server *s)
{
    memset(s, 0, sizeof *s);
    s->loop = loop_uv_create();
    s->transport = net_tcp_create(s->loop);
    fake_table_init(&s->table);
    fake_start(&s->fake, s->loop, s->transport, &s->table);
    s->fake.plan = server_plan;
    s->fake.user = s;
    cr_assert(pthread_create(&s->thread, NULL, server_run, s) == 0);
}

static void server_drop(void *user)
{
    fake_drop_all(&((struct server *)user)->fake);
}

static void server_forget_session(void *user)
{
    ((struct server *)user)->table.open = false;
}

static void server_end(void *user)
{
    loop_uv_stop(((struct server *)user)->loop);
}

struct order {
    struct server *server;
    void (*call)(void *user);
    sem_t done;
};

static void server_obey(void *user)
{
    struct order *order = user;
    order->call(order->server);
    sem_post(&order->done);
}

/* On the server's thread; it has been done when this returns. */
static void server_do(struct server *s, void (*call)(void *user))
{
    struct order order = {.server = s, .call = call};
    sem_init(&order.done, 0, 0);
    cr_assert(loop_uv_post(s->loop, server_obey, &order) == 0);
    while (sem_wait(&order.done) < 0)
        ;
    sem_destroy(&order.done);
}

static void server_stop(struct server *s)
{
    server_do(s, server_end);
    pthread_join(s->thread, NULL);
    net_transport_destroy(s->transport);
    loop_uv_destroy(s->loop);
    cr_expect(s->table.violations == 0, "%lu violations", (unsigned long)s->table.violations);
}

static struct tutti *connect_for(struct server *s, uint64_t request_timeout_ns)
{
    struct tutti_options options;
    struct tutti *client = NULL;
    struct error error = {{0}};
    tutti_options_defaults(&options);
    options.request_timeout_ns = request_timeout_ns;
    options.replicas = s->fake.listener->address;
    options.connect_timeout_ns = 10 * S_NS;
    cr_assert(tutti_connect(&options, &client, &error) == 0, "%s", error.text);
    return client;
}

static struct tutti *connect_to(struct server *s)
{
    return connect_for(s, 0);
}

static const struct tutti_caller root = {0};

static int call_write(struct tutti *client, uint64_t value, uint64_t *ret_value,
                      bool (*cancelled)(void *user), void *user)
{
    struct proto_op op = {.code = PROTO_CUT_DONE, .ino = 1, .value = value};
    struct proto_outcome outcome = {0};
    struct buffer data;
    buffer_init(&data, PROTO_REPLY_BYTES_MAX);
    int code = tutti_call(client, &root, &op, &data, &outcome, cancelled, user);
    *ret_value = outcome.value;
    buffer_finish(&data);
    return code;
}

static void await(atomic_uint *counter, unsigned value)
{
    for (int i = 0; i < 5000 && atomic_load(counter) < value; i++)
        usleep(1000);
    cr_assert(atomic_load(counter) >= value);
}

/* --- tests --- */

static struct server server;

struct worker {
    struct tutti *client;
    pthread_t thread;
    uint64_t base;
    int wrong;
};

static void *work(void *user)
{
    struct worker *w = user;
    struct buffer data;
    buffer_init(&data, PROTO_REPLY_BYTES_MAX);
    for (uint64_t i = 1; i <= 400; i++) {
        uint64_t value;
        if (call_write(w->client, w->base + i, &value, NULL, NULL) || value != w->base + i)
            w->wrong++;
        struct proto_op op = {.code = PROTO_GETATTR, .ino = w->base + i};
        struct proto_outcome out;
        if (tutti_call(w->client, &root, &op, &data, &out, NULL, NULL) || out.value != op.ino ||
            out.data.bytes != 4 || memcmp(out.data.data, "data", 4) || out.data.data != data.data)
            w->wrong++;
    }
    buffer_finish(&data);
    return NULL;
}

Test(library, many_threads_through_broken_connections)
{
    struct worker workers[6];
    server_start(&server);
    struct tutti *client = connect_to(&server);
    for (uint64_t i = 0; i < 6; i++) {
        workers[i] = (struct worker){.client = client, .base = i * 1000000};
        cr_assert(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (int i = 0; i < 5; i++) {
        usleep(20000);
        server_do(&server, server_drop);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(workers[i].thread, NULL);
        cr_expect(workers[i].wrong == 0, "%d wrong answers", workers[i].wrong);
    }
    char peer[128];
    tutti_peer(client, peer);
    cr_expect(!strcmp(peer, server.fake.listener->address), "'%s'", peer);
    tutti_close(client);
    server_stop(&server);
    cr_expect(server.table.writes == 2400, "%lu writes", (unsigned long)server.table.writes);
    cr_expect(server.table.closes == 1 && server.table.sessions == 1);
}

/* Each answer submits the next request, on the client's thread. */
struct chain {
    struct tutti *client;
    atomic_uint done;
    int wrong;
};

static void chain_next(void *user, int code, const struct proto_reply *reply)
{
    struct chain *chain = user;
    unsigned done = atomic_load(&chain->done);
    struct proto_op op = {.code = PROTO_CUT_DONE, .ino = 1, .value = done + 1};
    if (done && (code || reply->outcome.value != done))
        chain->wrong++;
    if (done < 1000 && tutti_submit(chain->client, &root, &op, chain_next, chain))
        chain->wrong++;
    atomic_fetch_add(&chain->done, 1);
}

Test(library, callbacks_may_submit)
{
    server_start(&server);
    struct chain chain = {.client = connect_to(&server)};
    chain_next(&chain, 0, NULL);
    await(&chain.done, 1001);
    cr_expect(chain.wrong == 0);
    tutti_close(chain.client);
    server_stop(&server);
    cr_expect(server.table.writes == 1000);
}

struct blocked {
    struct tutti *client;
    pthread_t thread;
    atomic_bool give_up;
    atomic_uint asked;
    int code;
};

static bool gives_up(void *user)
{
    struct blocked *b = user;
    atomic_fetch_add(&b->asked, 1);
    return b->give_up;
}

static void *block(void *user)
{
    struct blocked *b = user;
    uint64_t value;
    b->code = call_write(b->client, 5, &value, gives_up, b);
    return NULL;
}

static void block_start(struct blocked *b, struct tutti *client)
{
    *b = (struct blocked){.client = client, .code = 1};
    cr_assert(pthread_create(&b->thread, NULL, block, b) == 0);
}

Test(library, a_wait_can_be_ended)
{
    server_start(&server);
    struct tutti *client = connect_to(&server);
    struct blocked stays, goes;
    server.silent = true;
    block_start(&stays, client);
    block_start(&goes, client);
    await(&server.received, 3); /* the opening and these two */
    tutti_wake(client);
    await(&stays.asked, 2);
    await(&goes.asked, 2);
    goes.give_up = true;
    tutti_wake(client);
    pthread_join(goes.thread, NULL);
    cr_expect(goes.code == -EINTR, "%d", goes.code);
    cr_expect(stays.code == 1);
    server.silent = false;
    server_do(&server, server_drop); /* both are sent again, both are answered */
    pthread_join(stays.thread, NULL);
    cr_expect(stays.code == 0, "%d", stays.code);
    tutti_close(client);
    server_stop(&server);
    cr_expect(server.table.writes == 2 && server.table.repeats == 2);
}

/* What has timed out may still happen, once; what comes after it is answered as ever. */
Test(library, a_wait_can_be_limited)
{
    uint64_t value = 0;
    server_start(&server);
    struct tutti *client = connect_for(&server, S_NS / 10);
    cr_expect(call_write(client, 7, &value, NULL, NULL) == 0 && value == 7);
    server.silent = true;
    for (uint64_t i = 0; i < 3; i++)
        cr_expect(call_write(client, 10 + i, &value, NULL, NULL) == -ETIMEDOUT);
    server.silent = false;
    server_do(&server, server_drop);
    cr_expect(call_write(client, 8, &value, NULL, NULL) == 0 && value == 8);
    tutti_close(client);
    server_stop(&server);
    cr_expect(server.table.writes == 5, "%lu writes", (unsigned long)server.table.writes);
}

Test(library, close_ends_what_waits)
{
    server_start(&server);
    struct tutti *client = connect_to(&server);
    struct blocked blocked[4];
    server.silent = true;
    for (int i = 0; i < 4; i++)
        block_start(&blocked[i], client);
    await(&server.received, 5);
    tutti_close(client);
    for (int i = 0; i < 4; i++) {
        pthread_join(blocked[i].thread, NULL);
        cr_expect(blocked[i].code == -ESHUTDOWN, "%d", blocked[i].code);
    }
    server_stop(&server);
    cr_expect(server.table.closes == 1);
}

struct tally {
    atomic_uint answered, failed;
};

static void tally_done(void *user, int code, const struct proto_reply *reply)
{
    struct tally *tally = user;
    atomic_fetch_add(code ? &tally->failed : &tally->answered, 1);
}

Test(library, what_is_out_is_bounded)
{
    server_start(&server);
    struct tutti *client = connect_to(&server);
    struct tally tally = {0};
    struct proto_op op = {.code = PROTO_GETATTR, .ino = 1};
    server.silent = true;
    for (int i = 0; i < TUTTI_REQUESTS_MAX; i++)
        cr_assert(tutti_submit(client, &root, &op, tally_done, &tally) == 0);
    cr_expect(tutti_submit(client, &root, &op, tally_done, &tally) == -EAGAIN);
    struct blocked waits, goes;
    block_start(&waits, client);
    block_start(&goes, client);
    await(&waits.asked, 1);
    await(&goes.asked, 1);
    goes.give_up = true;
    tutti_wake(client);
    pthread_join(goes.thread, NULL);
    cr_expect(goes.code == -EINTR);
    server.silent = false;
    server_do(&server, server_drop);
    await(&tally.answered, TUTTI_REQUESTS_MAX);
    pthread_join(waits.thread, NULL);
    cr_expect(waits.code == 0);
    tutti_close(client);
    server_stop(&server);
    cr_expect(tally.failed == 0 && server.table.writes == 1);
}

Test(library, bytes_out_are_bounded)
{
    static uint8_t big[PROTO_INLINE_BYTES_MAX];
    server_start(&server);
    struct tutti *client = connect_to(&server);
    struct tally tally = {0};
    struct proto_op op = {.code = PROTO_WRITE, .ino = 1, .data = {big, sizeof big}};
    unsigned taken = 0;
    server.silent = true;
    while (taken < 10000 && tutti_submit(client, &root, &op, tally_done, &tally) == 0)
        taken++;
    cr_expect(taken > 400 && taken <= TUTTI_BYTES_MAX / sizeof big, "%u", taken);
    server.silent = false;
    server_do(&server, server_drop);
    await(&tally.answered, taken);
    tutti_close(client);
    server_stop(&server);
}

Test(library, an_expired_session_is_replaced)
{
    uint64_t value;
    server_start(&server);
    struct tutti *client = connect_to(&server);
    cr_expect(call_write(client, 1, &value, NULL, NULL) == 0);
    server_do(&server, server_forget_session);
    cr_expect(call_write(client, 2, &value, NULL, NULL) == -ESHUTDOWN);
    cr_expect(call_write(client, 3, &value, NULL, NULL) == 0 && value == 3);
    tutti_close(client);
    server_stop(&server);
    cr_expect(server.table.sessions == 2 && server.table.writes == 2);
}

Test(library, nobody_answers)
{
    struct tutti_options options;
    struct tutti *client;
    struct error error = {{0}};
    server_start(&server);
    char address[64];
    strcpy(address, server.fake.listener->address);
    server_stop(&server);
    tutti_options_defaults(&options);
    options.replicas = address;
    options.connect_timeout_ns = S_NS / 5;
    cr_expect(tutti_connect(&options, &client, &error) == -ETIMEDOUT);
    cr_expect(strstr(error.text, address) && strstr(error.text, "last: "), "'%s'", error.text);
}

Test(library, wrong_options)
{
    static const struct {
        const char *replicas;
        uint32_t slots;
        const char *says;
    } cases[] = {
        {"", 1, "'' is not host:port"},
        {NULL, 1, "host:port"},
        {"a", 1, "'a' is not host:port"},
        {"a:1,,b:2", 1, "'' is not host:port"},
        {"a:0", 1, "host:port"},
        {"a:99999", 1, "host:port"},
        {"a:1x", 1, "host:port"},
        {"a:1", 0, "slots"},
        {"a:1", PROTO_SLOTS_MAX + 1, "slots"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tutti_options options;
        struct tutti *client;
        struct error error = {{0}};
        tutti_options_defaults(&options);
        options.replicas = cases[i].replicas;
        options.slots = cases[i].slots;
        cr_expect(tutti_connect(&options, &client, &error) == -EINVAL);
        cr_expect(strstr(error.text, cases[i].says), "'%s'", error.text);
    }
}

Test(library, wrong_requests)
{
    struct tally tally = {0};
    server_start(&server);
    struct tutti *client = connect_to(&server);
    struct proto_op close_op = {.code = PROTO_SESSION_CLOSE};
    cr_expect(tutti_submit(client, &root, &close_op, tally_done, &tally) == -EINVAL);
    uint32_t groups[1] = {1};
    struct tutti_caller many = {.group_count = PROTO_GROUPS_MAX + 1, .groups = groups};
    struct proto_op op = {.code = PROTO_GETATTR, .ino = 1};
    cr_expect(tutti_submit(client, &many, &op, tally_done, &tally) == -EINVAL);
    struct proto_op unknown = {.code = 63};
    struct buffer data;
    struct proto_outcome out;
    buffer_init(&data, PROTO_REPLY_BYTES_MAX);
    cr_expect(tutti_call(client, &root, &unknown, &data, &out, NULL, NULL) == -EINVAL);
    buffer_finish(&data);
    tutti_close(client);
    tutti_close(NULL);
    server_stop(&server);
}
