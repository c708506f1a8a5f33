/* One replica and whoever connects to it: nothing that comes in does harm, what is wrong is
 * answered or closed and counted, and the next client is served. */
#include "client/session.h"
#include "mds/replica.h"
#include "base/prng.h"
#include "net/death.h"
#include "net/hello.h"
#include "net/loop_uv.h"
#include "tests/unit/store/memory_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

struct rig {
    struct loop *loop;
    struct net_transport *transport, *other;
    struct memory_disk *memory;
    struct replica *replica;
    struct loop_timer poll;
    uint64_t deadline_ns;
    bool (*wanted)(struct rig *rig);

    struct net_conn *conn; /* the stranger's */
    bool closed, refused, greeted;
    struct net_members members; /* as a client was told last */
    unsigned replies, bad;
    char text[2048]; /* of the last admin reply or refusal */
    unsigned done;
};

static struct store *kept;
static struct store_ops kept_face;
static const struct store_ops *kept_ops;

static void keep(struct store *store)
{
}

static int open_store(void *user, enum replica_store which, struct store **ret_store,
                      struct error *error)
{
    bool create = which == REPLICA_STORE_NEW;
    if (create != !kept)
        return error_set(error, -EINVAL, "store");
    if (create) {
        cr_assert_eq(store_memory_create(&kept, error), 0);
        kept_ops = kept->ops;
        kept_face = *kept_ops;
        kept_face.close = keep;
        kept->ops = &kept_face;
    }
    *ret_store = kept;
    return 0;
}

static void on_failed(void *user, const char *detail)
{
    cr_assert_fail("%s", detail);
}

static void on_poll(struct loop_timer *timer)
{
    struct rig *rig = CONTAINER_OF(timer, struct rig, poll);
    cr_assert_lt(loop_now_ns(rig->loop), rig->deadline_ns, "nothing came of it");
    if (rig->wanted(rig))
        loop_uv_stop(rig->loop);
    else
        loop_timer_start(timer, 1000000);
}

static void wait_until(struct rig *rig, bool (*wanted)(struct rig *rig))
{
    rig->wanted = wanted;
    rig->deadline_ns = loop_now_ns(rig->loop) + 20000000000;
    loop_timer_start(&rig->poll, 1000000);
    loop_uv_run(rig->loop);
}

static const char *address(uint16_t port)
{
    static char text[32];
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    return text;
}

static void rig_make(struct rig *rig, uint16_t port, bool formatted)
{
    struct replica_config config;
    struct error error;
    *rig = (struct rig){.loop = loop_uv_create(), .memory = memory_disk_create()};
    rig->transport = net_tcp_create(rig->loop);
    rig->other = net_tcp_create(rig->loop);
    cr_assert_eq(loop_timer_init(rig->loop, &rig->poll, on_poll), 0);
    replica_config_defaults(&config);
    config.loop = rig->loop;
    config.transport = rig->transport;
    config.disk = memory_disk_handle(rig->memory);
    config.store_open = open_store;
    config.listen = address(port);
    config.node = 1;
    config.cluster_name = "alone";
    config.init = !formatted;
    config.session_timeout_ns = 400000000;
    config.random[0] = config.random[2] = 1;
    config.failed = on_failed;
    struct replica_birth birth = {.name = "alone", .cluster = {3}, .member_count = 1};
    birth.members[0] = (struct gcs_member){.node = 1, .address = "127.0.0.1:1"};
    if (formatted)
        cr_assert_eq(replica_format(&config, &birth, &error), 0, "%s", error.text);
    cr_assert_eq(replica_create(&config, &rig->replica, &error), 0, "%s", error.text);
}

static void rig_finish(struct rig *rig)
{
    net_transport_destroy(rig->other);
    replica_destroy(rig->replica);
    net_transport_destroy(rig->transport);
    loop_timer_finish(&rig->poll);
    loop_uv_destroy(rig->loop);
    memory_disk_destroy(rig->memory);
    if (kept)
        kept_ops->close(kept);
    kept = NULL;
}

/* --- a stranger ----------------------------------------------------------------------------------
 */

static void on_opened(struct net_conn *conn)
{
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct rig *rig = conn->user;
    struct proto_reply reply;
    switch (frame->type) {
    case NET_FRAME_HELLO:
        rig->greeted = true;
        break;
    case NET_FRAME_REPLY:
        cr_assert_eq(proto_reply_decode(frame->payload, frame->bytes, &reply), 0);
        rig->replies++;
        rig->bad += reply.outcome.status == PROTO_BAD_REQUEST;
        break;
    case NET_FRAME_REFUSED:
        rig->refused = true; /* and the text */
        /* fallthrough */
    case NET_FRAME_ADMIN_REPLY:
        rig->replies++;
        snprintf(rig->text, sizeof rig->text, "%.*s", (int)frame->bytes,
                 (const char *)frame->payload);
        break;
    case NET_FRAME_MEMBERS:
        cr_assert_eq(net_members_decode(frame->payload, frame->bytes, &rig->members), 0);
        break;
    default:
        cr_assert_fail("a frame of type %u", frame->type);
    }
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct rig *rig = conn->user;
    rig->closed = true;
}

static const struct net_handlers handlers = {
    .opened = on_opened, .frame = on_frame, .closed = on_closed};

static void stranger_connect(struct rig *rig, uint16_t port)
{
    static const struct net_limits limits = {.frame_bytes_max = 1 << 20,
                                             .queue_bytes_max = 4 << 20};
    struct error error;
    rig->closed = rig->refused = rig->greeted = false;
    rig->replies = rig->bad = 0;
    cr_assert_eq(
        net_connect(rig->other, address(port), NULL, &limits, &handlers, rig, &rig->conn, &error),
        0);
}

static void send_frame(struct rig *rig, uint16_t type, const void *bytes, size_t count)
{
    cr_assert_eq(net_send(rig->conn, type, bytes, (uint32_t)count, NULL), 0);
}

static void say_hello(struct rig *rig, struct net_hello hello)
{
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    send_frame(rig, NET_FRAME_HELLO, bytes, net_hello_encode(&hello, bytes));
}

static bool is_closed(struct rig *rig)
{
    return rig->closed;
}

static bool is_greeted(struct rig *rig)
{
    return rig->greeted;
}

static bool is_told(struct rig *rig)
{
    return rig->members.epoch > 0;
}
static bool is_greeted_or_closed(struct rig *rig)
{
    return rig->greeted || rig->closed;
}

static bool has_reply(struct rig *rig)
{
    return rig->replies > 0 || rig->closed;
}

static uint64_t status_number(struct rig *rig, const char *key)
{
    char *text = replica_status_json(rig->replica);
    json_t *object = json_loads(text, 0, NULL);
    uint64_t value = (uint64_t)json_integer_value(json_object_get(object, key));
    json_decref(object);
    free(text);
    return value;
}

/* --- a client that has to be served afterwards
 * ----------------------------------------------------- */

static void on_connected(void *user, bool connected, const char *peer)
{
}

static void on_ended(void *user, const char *detail)
{
}

static void on_done(void *user, int code, const struct proto_reply *reply)
{
    struct rig *rig = user;
    cr_assert_eq(code, 0);
    cr_assert_eq(reply->outcome.status, PROTO_OK);
    rig->done++;
}

static bool is_done(struct rig *rig)
{
    return rig->done > 0;
}

static struct client_session *must_serve(struct rig *rig, uint16_t port)
{
    static const struct proto_credentials root = {0};
    const char *addresses[] = {address(port)};
    const struct client_session_config config = {.loop = rig->loop,
                                                 .transport = rig->other,
                                                 .addresses = addresses,
                                                 .address_count = 1,
                                                 .random = {7, 8, 9, 10},
                                                 .user = rig,
                                                 .connected = on_connected,
                                                 .ended = on_ended};
    const struct proto_op op = {.code = PROTO_MKDIR,
                                .parent = PROTO_ROOT_INO,
                                .name = {(const uint8_t *)"d", 1},
                                .mode = 040755};
    struct client_session *session;
    rig->done = 0;
    cr_assert_eq(client_session_create(&config, &session), 0);
    cr_assert_eq(client_session_submit(session, &root, &op, on_done, rig, NULL), 0);
    wait_until(rig, is_done);
    return session;
}

/* --- tests
 * ------------------------------------------------------------------------------------------ */

Test(strangers, wrong_hellos_are_closed_and_counted)
{
    struct rig rig;
    struct prng prng;
    rig_make(&rig, 7880, true);
    prng_init(&prng, 1);
    for (unsigned i = 0; i < 60; i++) {
        uint8_t bytes[NET_HELLO_BYTES_MAX];
        size_t count = prng_below(&prng, sizeof bytes);
        for (size_t k = 0; k < count; k++)
            bytes[k] = (uint8_t)prng_next(&prng);
        stranger_connect(&rig, 7880);
        send_frame(&rig, i % 3 ? NET_FRAME_HELLO : (uint16_t)prng_below(&prng, 80), bytes, count);
        wait_until(&rig, is_closed);
    }
    cr_assert_geq(status_number(&rig, "strangers"), 60);
    client_session_destroy(must_serve(&rig, 7880));
    rig_finish(&rig);
}

Test(strangers, are_refused_with_a_reason)
{
    static const struct {
        struct net_hello hello;
        const char *says;
    } cases[] = {
        {{.version = NET_HELLO_VERSION + 1, .role = NET_ROLE_CLIENT}, "version"},
        {{.version = NET_HELLO_VERSION, .role = NET_ROLE_CLIENT, .cluster = {9}}, "cluster"},
        {{.version = NET_HELLO_VERSION, .role = NET_ROLE_MEMBER, .node = 2, .cluster = {3}},
         "incarnation"},
        {{.version = NET_HELLO_VERSION, .role = NET_ROLE_MEMBER, .node = 1, .cluster = {3}},
         "another node"},
        {{.version = NET_HELLO_VERSION, .role = NET_ROLE_SUPERVISOR, .node = 2}, "cluster"},
        {{.version = NET_HELLO_VERSION, .role = NET_ROLE_SUPERVISOR, .node = 1, .cluster = {3}},
         "itself"},
        {{.version = NET_HELLO_VERSION, .role = NET_ROLE_TRANSFER, .node = 2, .cluster = {9}},
         "lineage"},
    };
    struct rig rig;
    rig_make(&rig, 7881, true);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stranger_connect(&rig, 7881);
        say_hello(&rig, cases[i].hello);
        wait_until(&rig, is_closed);
        cr_expect(rig.refused, "case %zu", i);
        cr_expect_not_null(strstr(rig.text, cases[i].says), "case %zu: %s", i, rig.text);
    }
    rig_finish(&rig);
}

static const struct net_hello client = {.version = NET_HELLO_VERSION, .role = NET_ROLE_CLIENT};
static const struct net_hello operator_hello = {.version = NET_HELLO_VERSION,
                                                .role = NET_ROLE_ADMIN};

Test(strangers, bad_requests_are_answered)
{
    struct rig rig;
    struct prng prng;
    rig_make(&rig, 7882, true);
    prng_init(&prng, 2);
    stranger_connect(&rig, 7882);
    say_hello(&rig, client);
    wait_until(&rig, is_greeted);
    for (unsigned i = 0; i < 2000; i++) {
        uint8_t bytes[200];
        size_t count = prng_below(&prng, sizeof bytes);
        for (size_t k = 0; k < count; k++)
            bytes[k] = (uint8_t)prng_next(&prng);
        rig.replies = rig.bad = 0;
        send_frame(&rig, NET_FRAME_REQUEST, bytes, count);
        wait_until(&rig, has_reply);
        cr_assert_not(rig.closed);
        cr_assert_eq(rig.bad, 1);
    }
    client_session_destroy(must_serve(&rig, 7882));
    rig_finish(&rig);
}

Test(strangers, a_client_may_not_say_what_replicas_say)
{
    const struct proto_request expire = {.tag = 5, .op = {.code = PROTO_SESSION_EXPIRE}};
    struct buffer bytes;
    struct rig rig;
    rig_make(&rig, 7883, true);
    buffer_init(&bytes, PROTO_REQUEST_BYTES_MAX);
    cr_assert_eq(proto_request_encode(&expire, &bytes), 0);
    stranger_connect(&rig, 7883);
    say_hello(&rig, client);
    send_frame(&rig, NET_FRAME_REQUEST, bytes.data, bytes.bytes);
    wait_until(&rig, has_reply);
    cr_assert_eq(rig.bad, 1);
    wait_until(&rig, is_told);
    cr_assert_eq(rig.members.count, 1);
    for (uint16_t type = NET_FRAME_GCS_FIRST; type <= NET_FRAME_GCS_LAST; type += 7) {
        stranger_connect(&rig, 7883);
        say_hello(&rig, client);
        wait_until(&rig, is_greeted);
        send_frame(&rig, type, bytes.data, bytes.bytes);
        wait_until(&rig, is_closed);
    }
    buffer_finish(&bytes);
    rig_finish(&rig);
}

Test(strangers, nonsense_from_an_operator_is_answered)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"verb\":1}",
        "{\"verb\":\"dance\"}",
        "{\"verb\":\"create\"}",
        "{\"verb\":\"join\"}",
        "{\"verb\":\"leave\"}", /* the only member */
        "{\"verb\":\"remove\"}",
        "{\"verb\":\"remove\",\"node\":1000}",
        "{\"verb\":\"drain\",\"on\":1}",
        "{\"verb\":\"force\"}",
        "{\"verb\":\"force\",\"name\":\"x\",\"lineage\":\"0011223344556677\"}",
        "{\"verb\":\"create\",\"name\":\"x\",\"cluster\":\"12\"}",
        "{\"verb\":\"create\",\"name\":\"x\",\"cluster\":\"00112233445566778899aabbccddeeff\","
        "\"lineage\":\"0011223344556677\",\"members\":[{\"node\":300,\"address\":\"a:1\"}]}",
        "{\"verb\":\"create\",\"name\":\"x\",\"cluster\":\"00112233445566778899aabbccddeeff\","
        "\"lineage\":\"0011223344556677\",\"members\":[{\"node\":1,\"address\":\"a:1\"}]}",
        "{\"verb\":\"create\",\"name\":\"x\",\"cluster\":\"00112233445566778899aabbccddeeff\","
        "\"lineage\":\"0011223344556677\",\"members\":[{\"node\":1,\"address\":\"a:1\"}],"
        "\"time\":1,\"limits\":{\"inline_max\":1}}",
    };
    struct rig rig;
    rig_make(&rig, 7884, true);
    stranger_connect(&rig, 7884);
    say_hello(&rig, operator_hello);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        rig.replies = 0;
        send_frame(&rig, NET_FRAME_ADMIN, texts[i], strlen(texts[i]));
        wait_until(&rig, has_reply);
        cr_assert_not(rig.closed);
        cr_expect_not_null(strstr(rig.text, "\"ok\":false"), "%s: %s", texts[i], rig.text);
        cr_expect_not_null(strstr(rig.text, "\"error\""), "%s: %s", texts[i], rig.text);
    }
    rig_finish(&rig);
}

Test(strangers, an_empty_replica_is_born_by_create_and_serves)
{
    static const char birth[] =
        "{\"verb\":\"create\",\"name\":\"alone\",\"cluster\":\"00112233445566778899aabbccddeeff\","
        "\"lineage\":\"0011223344556677\",\"members\":[{\"node\":1,\"address\":\"127.0.0.1:1\"}],"
        "\"time\":1700000000000000000,";
    char create[1024];
    struct rig rig;
    rig_make(&rig, 7885, false);
    stranger_connect(&rig, 7885);
    say_hello(&rig, client);
    wait_until(&rig, is_closed);
    cr_assert_not_null(strstr(rig.text, "not formatted"), "%s", rig.text);
    stranger_connect(&rig, 7885);
    say_hello(&rig, operator_hello);
    send_frame(&rig, NET_FRAME_ADMIN, "{\"verb\":\"probe\"}", 16);
    wait_until(&rig, has_reply);
    cr_assert_not_null(strstr(rig.text, "\"waiting\""), "%s", rig.text);
    const char *limits = strstr(rig.text, "\"limits\""); /* to the end, braces included */
    cr_assert_not_null(limits);
    snprintf(create, sizeof create, "%s%s", birth, limits);
    for (int time = 0; time < 2; time++) { /* the second one changes nothing */
        rig.replies = 0;
        send_frame(&rig, NET_FRAME_ADMIN, create, strlen(create));
        wait_until(&rig, has_reply);
        cr_assert_str_eq(rig.text, "{\"ok\":true}");
    }
    client_session_destroy(must_serve(&rig, 7885));
    rig_finish(&rig);
}

static bool no_session(struct rig *rig)
{
    return status_number(rig, "sessions") == 0;
}

Test(strangers, a_silent_session_expires)
{
    struct rig rig;
    rig_make(&rig, 7886, true);
    struct client_session *session = must_serve(&rig, 7886);
    cr_assert_eq(status_number(&rig, "sessions"), 1);
    client_session_destroy(session);
    wait_until(&rig, no_session);
    rig_finish(&rig);
}

static const struct net_hello supervisor = {.version = NET_HELLO_VERSION,
                                            .role = NET_ROLE_SUPERVISOR,
                                            .node = 2,
                                            .cluster = {3},
                                            .store = {4}};

static bool is_counted(struct rig *rig)
{
    return status_number(rig, "deaths") > 0 || rig->closed;
}

Test(strangers, a_supervisor_speaks_for_its_own_member)
{
    static const struct {
        struct net_death death;
        uint16_t type;
        bool taken;
    } cases[] = {
        {{2, {4}, 1, 9}, NET_FRAME_DEATH, true},
        {{3, {4}, 1, 9}, NET_FRAME_DEATH, false}, /* another node */
        {{2, {5}, 1, 9}, NET_FRAME_DEATH, false}, /* another store of it */
        {{2, {4}, 0, 9}, NET_FRAME_DEATH, false}, /* a start that never was */
        {{2, {4}, 1, 9}, NET_FRAME_REQUEST, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[NET_DEATH_BYTES];
        struct rig rig;
        rig_make(&rig, 7888, true);
        stranger_connect(&rig, 7888);
        say_hello(&rig, supervisor);
        wait_until(&rig, is_greeted);
        net_death_encode(&cases[i].death, bytes);
        send_frame(&rig, cases[i].type, bytes, sizeof bytes);
        wait_until(&rig, is_counted);
        cr_expect_eq(rig.closed, !cases[i].taken, "case %zu", i);
        cr_expect_eq(status_number(&rig, "deaths"), cases[i].taken, "case %zu", i);
        rig_finish(&rig);
    }
}

Test(strangers, of_a_nodes_supervisors_the_newest_stays)
{
    struct rig rig;
    rig_make(&rig, 7889, true);
    stranger_connect(&rig, 7889);
    say_hello(&rig, supervisor);
    wait_until(&rig, is_greeted);
    stranger_connect(&rig, 7889);
    say_hello(&rig, supervisor);
    wait_until(&rig, is_closed); /* both connections tell one rig: the first one has closed */
    uint8_t bytes[NET_DEATH_BYTES];
    struct net_death death = {2, {4}, 1, 9};
    net_death_encode(&death, bytes);
    rig.closed = false;
    send_frame(&rig, NET_FRAME_DEATH, bytes, sizeof bytes);
    wait_until(&rig, is_counted);
    cr_assert_not(rig.closed);
    for (unsigned node = 3; node < 40; node++) { /* their number has a bound */
        struct net_hello other = supervisor;
        other.node = (uint8_t)node;
        stranger_connect(&rig, 7889);
        say_hello(&rig, other);
        wait_until(&rig, is_greeted_or_closed);
        cr_assert_eq(rig.closed, node >= 2 + 16, "node %u", node);
    }
    rig_finish(&rig);
}
