/* Three whole replicas in one process, over TCP on 127.0.0.1 and LevelDB in a temporary directory,
 * and client sessions on them: what one writes the other reads, restarts lose nothing, all agree.
 */
#include "client/session.h"
#include "mds/replica.h"
#include "net/loop_uv.h"
#include "tests/unit/store/memory_disk.h"
#include "tests/unit/store/temporary.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

enum { MEMBERS = 3, CLIENTS = 2 };

struct node {
    struct group *group;
    uint8_t id;
    struct memory_disk *memory;
    struct net_transport *transport;
    struct replica *replica;
    struct replica_config config;
    char listen[32];
    uint64_t starts;
    bool stopped;
};

struct group {
    struct loop *loop;
    char directory[64];
    struct node nodes[MEMBERS];
    struct net_transport *client_transport;
    struct client_session *clients[CLIENTS];
    struct loop_timer poll;
    bool (*wanted)(struct group *group);
    uint64_t deadline_ns;
    unsigned asked, answered, ok;
    uint64_t index_last; /* of the newest answered write */
    uint64_t ino;        /* of the last answer */
    char names[65536];   /* of a listing, each followed by a blank */
};

static void store_directory(const struct node *node, bool incoming, char directory[160])
{
    snprintf(directory, 160, "%s/store-%u%s", node->group->directory, node->id,
             incoming ? "-incoming" : "");
}

static int open_store(void *user, enum replica_store which, struct store **ret_store,
                      struct error *error)
{
    struct node *node = user;
    char directory[160];
    store_directory(node, which == REPLICA_STORE_INCOMING, directory);
    const struct store_leveldb_config config = {.directory = directory,
                                                .block_cache_bytes = 1 << 20,
                                                .write_buffer_bytes = 1 << 20,
                                                .create = which != REPLICA_STORE_CURRENT};
    return store_leveldb_open(&config, ret_store, error);
}

static void on_failed(void *user, const char *detail)
{
    struct node *node = user;
    cr_assert_fail("node %u: %s", node->id, detail);
}

static void node_start(struct node *node)
{
    struct error error;
    node->transport = net_tcp_create(node->group->loop);
    node->config.transport = node->transport;
    for (int i = 0; i < 4; i++)
        node->config.random[i] = node->id * 1000 + ++node->starts;
    cr_assert_eq(replica_create(&node->config, &node->replica, &error), 0, "%s", error.text);
}

static void node_kill(struct node *node)
{
    replica_destroy(node->replica);
    net_transport_destroy(node->transport);
    node->replica = NULL;
}

static void node_make(struct group *group, uint8_t id, uint16_t port)
{
    struct node *node = &group->nodes[id - 1];
    struct replica_birth birth = {.name = "unit", .cluster = {1}, .lineage = 9};
    struct error error;
    *node = (struct node){.group = group, .id = id, .memory = memory_disk_create()};
    replica_config_defaults(&node->config);
    snprintf(node->listen, sizeof node->listen, "127.0.0.1:%u", port + id);
    node->config.loop = group->loop;
    node->config.disk = memory_disk_handle(node->memory);
    node->config.store_open = open_store;
    node->config.store_user = node;
    node->config.listen = node->listen;
    node->config.node = id;
    node->config.cluster_name = "unit";
    node->config.random[0] = id;
    node->config.user = node;
    node->config.failed = on_failed;
    for (uint8_t i = 0; i < MEMBERS; i++) {
        birth.members[i].node = (uint8_t)(i + 1);
        snprintf(birth.members[i].address, sizeof birth.members[i].address, "127.0.0.1:%u",
                 port + i + 1u);
    }
    birth.member_count = MEMBERS;
    cr_assert_eq(replica_format(&node->config, &birth, &error), 0, "%s", error.text);
}

/* --- waiting -------------------------------------------------------------------------------------
 */

static void on_poll(struct loop_timer *timer)
{
    struct group *group = CONTAINER_OF(timer, struct group, poll);
    cr_assert_lt(loop_now_ns(group->loop), group->deadline_ns, "%u of %u answered", group->answered,
                 group->asked);
    if (group->wanted(group))
        loop_uv_stop(group->loop);
    else
        loop_timer_start(&group->poll, 1000000);
}

static void wait_until(struct group *group, bool (*wanted)(struct group *group))
{
    group->wanted = wanted;
    group->deadline_ns = loop_now_ns(group->loop) + 30000000000;
    loop_timer_start(&group->poll, 1000000);
    loop_uv_run(group->loop);
}

static bool all_answered(struct group *group)
{
    return group->answered == group->asked;
}

static uint64_t status_number(struct node *node, const char *key)
{
    char *text = replica_status_json(node->replica);
    json_t *object = json_loads(text, 0, NULL);
    uint64_t value = (uint64_t)json_integer_value(json_object_get(object, key));
    json_decref(object);
    free(text);
    return value;
}

static void status_text(struct node *node, const char *key, char to[64])
{
    char *text = replica_status_json(node->replica);
    json_t *object = json_loads(text, 0, NULL);
    snprintf(to, 64, "%s", json_string_value(json_object_get(object, key)));
    json_decref(object);
    free(text);
}

static bool all_released(struct group *group)
{
    uint64_t index = status_number(&group->nodes[0], "index");
    for (int i = 0; i < MEMBERS; i++)
        if (status_number(&group->nodes[i], "index") != index ||
            status_number(&group->nodes[i], "released") != index)
            return false;
    return index >= group->index_last;
}

/* The same history and digest everywhere at the same index. */
static void check_agreement(struct group *group)
{
    static const char *const keys[] = {"history", "digest"};
    wait_until(group, all_released);
    for (size_t k = 0; k < 2; k++) {
        char first[64], other[64];
        status_text(&group->nodes[0], keys[k], first);
        for (int i = 1; i < MEMBERS; i++) {
            status_text(&group->nodes[i], keys[k], other);
            cr_assert_str_eq(other, first, "%s of node %d", keys[k], i + 1);
        }
    }
}

/* --- requests ------------------------------------------------------------------------------------
 */

static void on_done(void *user, int code, const struct proto_reply *reply)
{
    struct group *group = user;
    group->answered++;
    cr_assert_eq(code, 0);
    group->ok += reply->outcome.status == PROTO_OK;
    group->ino = reply->outcome.attr.ino;
    if (reply->index > group->index_last)
        group->index_last = reply->index;
}

static void ask(struct group *group, int client, const struct proto_op *op)
{
    static const struct proto_credentials root = {0};
    group->asked++;
    cr_assert_eq(client_session_submit(group->clients[client], &root, op, on_done, group, NULL), 0);
}

static struct proto_bytes name_of(char text[32], unsigned i)
{
    snprintf(text, 32, "file-%u", i);
    return (struct proto_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static void create_files(struct group *group, int client, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char text[32];
        const struct proto_op op = {.code = PROTO_CREATE,
                                    .parent = PROTO_ROOT_INO,
                                    .name = name_of(text, i),
                                    .mode = 0100644,
                                    .flags = PROTO_CREATE_EXCLUSIVE};
        ask(group, client, &op);
    }
}

static void look_up_files(struct group *group, int client, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char text[32];
        const struct proto_op op = {
            .code = PROTO_LOOKUP, .parent = PROTO_ROOT_INO, .name = name_of(text, i)};
        ask(group, client, &op);
    }
}

static void all_must_be_ok(struct group *group)
{
    wait_until(group, all_answered);
    cr_assert_eq(group->ok, group->asked);
}

/* --- group ---------------------------------------------------------------------------------------
 */

static void on_connected(void *user, bool connected, const char *peer)
{
}

static void on_ended(void *user, const char *detail)
{
    cr_assert_fail("the session ended: %s", detail);
}

static void client_make(struct group *group, int client)
{
    const char *addresses[MEMBERS];
    for (int i = 0; i < MEMBERS; i++)
        addresses[i] = group->nodes[i].listen;
    const struct client_session_config config = {.loop = group->loop,
                                                 .transport = group->client_transport,
                                                 .addresses = addresses,
                                                 .address_count = MEMBERS,
                                                 .first = (uint32_t)client,
                                                 .slots = 32,
                                                 .random = {(uint64_t)client + 1, 2, 3, 4},
                                                 .user = group,
                                                 .connected = on_connected,
                                                 .ended = on_ended};
    cr_assert_eq(client_session_create(&config, &group->clients[client]), 0);
}

static struct group *group_make(uint16_t port)
{
    struct group *group = calloc(1, sizeof *group);
    temporary_make(group->directory);
    group->loop = loop_uv_create();
    cr_assert_eq(loop_timer_init(group->loop, &group->poll, on_poll), 0);
    for (uint8_t id = 1; id <= MEMBERS; id++)
        node_make(group, id, port);
    for (int i = 0; i < MEMBERS; i++)
        node_start(&group->nodes[i]);
    group->client_transport = net_tcp_create(group->loop);
    for (int i = 0; i < CLIENTS; i++)
        client_make(group, i);
    return group;
}

static void group_finish(struct group *group)
{
    for (int i = 0; i < CLIENTS; i++)
        client_session_destroy(group->clients[i]);
    net_transport_destroy(group->client_transport);
    for (int i = 0; i < MEMBERS; i++) {
        node_kill(&group->nodes[i]);
        memory_disk_destroy(group->nodes[i].memory);
    }
    loop_timer_finish(&group->poll);
    loop_uv_destroy(group->loop);
    temporary_remove(group->directory);
    free(group);
}

Test(group, one_writes_the_other_reads)
{
    struct group *group = group_make(7820);
    create_files(group, 0, 0, 300);
    all_must_be_ok(group);
    look_up_files(group, 1, 300);
    all_must_be_ok(group);
    check_agreement(group);
    cr_assert_eq(status_number(&group->nodes[1], "inodes"), 301);
    group_finish(group);
}

Test(group, both_create_the_same_and_one_wins)
{
    struct group *group = group_make(7830);
    create_files(group, 0, 0, 100);
    create_files(group, 1, 0, 100);
    wait_until(group, all_answered);
    cr_assert_eq(group->ok, 100, "%u of 200 were made, each name once", group->ok);
    check_agreement(group);
    group_finish(group);
}

Test(group, a_lost_member_comes_back_and_nothing_is_lost)
{
    struct group *group = group_make(7840);
    create_files(group, 0, 0, 100);
    all_must_be_ok(group);
    node_kill(&group->nodes[2]);
    memory_disk_cut(group->nodes[2].memory);
    create_files(group, 0, 100, 200); /* these wait: all members are needed */
    create_files(group, 1, 200, 300);
    node_start(&group->nodes[2]);
    all_must_be_ok(group);
    look_up_files(group, 1, 300);
    all_must_be_ok(group);
    check_agreement(group);
    cr_assert_geq(status_number(&group->nodes[2], "epoch"), 2);
    group_finish(group);
}

Test(group, all_lose_power_and_come_back)
{
    struct group *group = group_make(7850);
    create_files(group, 0, 0, 200);
    all_must_be_ok(group);
    create_files(group, 1, 200, 264); /* on their way when the power goes */
    for (int i = 0; i < MEMBERS; i++) {
        node_kill(&group->nodes[i]);
        memory_disk_cut(group->nodes[i].memory);
    }
    for (int i = 0; i < MEMBERS; i++)
        node_start(&group->nodes[i]);
    all_must_be_ok(group);
    look_up_files(group, 0, 264);
    all_must_be_ok(group);
    check_agreement(group);
    group_finish(group);
}

static void on_stopped(void *user)
{
    struct node *node = user;
    node->stopped = true;
}

static bool first_stopped(struct group *group)
{
    return group->nodes[0].stopped;
}

Test(group, an_orderly_stop_leaves_everything_in_the_store)
{
    struct group *group = group_make(7860);
    create_files(group, 0, 0, 50);
    all_must_be_ok(group);
    uint64_t index = status_number(&group->nodes[0], "index");
    replica_stop(group->nodes[0].replica, on_stopped, &group->nodes[0]);
    wait_until(group, first_stopped);
    cr_assert_geq(status_number(&group->nodes[0], "durable"), index);
    node_kill(&group->nodes[0]);
    node_start(&group->nodes[0]);
    look_up_files(group, 0, 50);
    all_must_be_ok(group);
    check_agreement(group);
    group_finish(group);
}

/* --- listings ------------------------------------------------------------------------------------
 */

static void on_listing(void *user, int code, const struct proto_reply *reply)
{
    struct group *group = user;
    struct reader r = reader_make(reply->outcome.data.data, reply->outcome.data.bytes);
    struct proto_dirent entry;
    group->answered++;
    cr_assert_eq(code, 0);
    cr_assert_eq(reply->outcome.status, PROTO_OK);
    group->ino = 0;
    while (reader_left(&r) && proto_dirent_decode(&r, &entry) == 0) {
        size_t used = strlen(group->names);
        snprintf(group->names + used, sizeof group->names - used, "%.*s ", (int)entry.name.bytes,
                 (const char *)entry.name.data);
        group->ino = entry.cookie;
        if (entry.name.data[0] == 'f')
            cr_assert(entry.has_attr && entry.attr.ino == entry.ino);
    }
    cr_assert(reader_complete(&r));
}

Test(group, a_listing_in_pieces_has_every_entry_once)
{
    struct group *group = group_make(7870);
    static const struct proto_credentials root = {0};
    create_files(group, 0, 0, 100);
    all_must_be_ok(group);
    uint64_t cookie = 0;
    do {
        const struct proto_op op = {.code = PROTO_READDIR,
                                    .ino = PROTO_ROOT_INO,
                                    .cookie = cookie,
                                    .count = 2048,
                                    .flags = PROTO_READDIR_ATTR};
        group->asked++;
        cr_assert_eq(client_session_submit(group->clients[1], &root, &op, on_listing, group, NULL),
                     0);
        wait_until(group, all_answered);
        cr_assert(group->ino == 0 || group->ino > cookie);
        cookie = group->ino;
    } while (cookie != 0);
    for (unsigned i = 0; i < 100; i++) {
        char text[48], padded[50];
        name_of(text, i);
        snprintf(padded, sizeof padded, "%s ", text);
        const char *at = strstr(group->names, padded);
        cr_assert_not_null(at, "%s is missing", text);
        cr_assert_null(strstr(at + 1, padded), "%s is there twice", text);
    }
    group_finish(group);
}
