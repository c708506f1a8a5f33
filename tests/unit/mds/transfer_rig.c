/* Both ends of a transfer; see transfer_rig.h. */
#include "tests/unit/mds/transfer_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { VALUE_BYTES = 40 };

static const struct net_limits limits = {
    .frame_bytes_max = 1 << 20, .queue_bytes_max = 4 << 20, .frame_timeout_ns = 10000000000};

/* --- waiting --- */

static void on_poll(struct loop_timer *timer)
{
    struct rig *rig = CONTAINER_OF(timer, struct rig, poll);
    cr_assert_lt(loop_now_ns(rig->loop), rig->deadline_ns, "nothing came of it");
    if (rig->wanted(rig))
        loop_uv_stop(rig->loop);
    else
        loop_timer_start(timer, 200000);
}

void rig_wait(struct rig *rig, bool (*wanted)(struct rig *rig))
{
    rig->wanted = wanted;
    rig->deadline_ns = loop_now_ns(rig->loop) + 20000000000;
    loop_timer_start(&rig->poll, 0);
    loop_uv_run(rig->loop);
}

bool rig_is_told(struct rig *rig)
{
    return rig->told > 0;
}

bool rig_is_quiet(struct rig *rig)
{
    return transfer_sender_count(rig->sender) == 0;
}

/* --- the giving end --- */

static struct gate *gate_of(const struct net_conn *proxy)
{
    return CONTAINER_OF((struct net_conn *)proxy, struct gate, proxy);
}

static int gate_send(struct net_conn *proxy, uint16_t type, const void *head, uint32_t head_bytes,
                     struct blob *payload)
{
    struct gate *gate = gate_of(proxy);
    return gate->conn ? net_send(gate->conn, type, head, head_bytes, payload) : NET_E_CLOSED;
}

static void gate_close(struct net_conn *proxy)
{
    if (gate_of(proxy)->conn)
        net_close(gate_of(proxy)->conn);
}

static const struct net_transport_ops gate_ops = {
    .scheme = "gate", .send = gate_send, .close = gate_close};

static void on_opened(struct net_conn *conn)
{
}

static void on_hello(struct gate *gate)
{
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    const struct net_hello hello = {
        .version = NET_HELLO_VERSION, .role = NET_ROLE_MEMBER, .node = 1};
    size_t count = net_hello_encode(&hello, bytes);
    if (gate->rig->greeted) {
        gate->rig->greeted(gate);
        return;
    }
    cr_assert_eq(net_send(gate->conn, NET_FRAME_HELLO, bytes, (uint32_t)count, NULL), 0);
    if (gate->rig->sender)
        gate->member = transfer_sender_accept(gate->rig->sender, &gate->proxy, 2);
    if (!gate->member)
        net_close(gate->conn);
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct gate *gate = conn->user;
    if (gate->member)
        gate->member->frame(&gate->proxy, frame);
    else if (frame->type == NET_FRAME_HELLO)
        on_hello(gate);
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct gate *gate = conn->user;
    gate->conn = NULL;
    if (gate->member)
        gate->member->closed(&gate->proxy, reason, detail);
}

static const struct net_handlers handlers = {
    .opened = on_opened, .frame = on_frame, .closed = on_closed};

static const struct net_handlers *on_accepted(void *user, struct net_conn *conn, const char *peer)
{
    struct rig *rig = user;
    cr_assert_lt(rig->gate_count, GATES_MAX);
    struct gate *gate = &rig->gates[rig->gate_count++];
    *gate = (struct gate){.proxy = {.ops = &gate_ops}, .conn = conn, .rig = rig};
    conn->user = gate;
    return &handlers;
}

/* --- the taking end --- */

static void on_done(void *user, int code, const char *detail)
{
    struct rig *rig = user;
    rig->told++;
    rig->code = code;
    snprintf(rig->detail, sizeof rig->detail, "%s", detail);
}

static void on_named(void *user, const void *state, size_t bytes)
{
    struct rig *rig = user;
    struct gcs_member members[GCS_PEER_MAX];
    cr_assert_eq(gcs_contacts_read(state, bytes, members), 1);
    rig->named = members[0].node;
}

struct transfer_receive_config rig_receive_config(struct rig *rig)
{
    return (struct transfer_receive_config){
        .loop = rig->loop,
        .transport = rig->other,
        .address = rig->listener->address,
        .hello = {.version = NET_HELLO_VERSION, .role = NET_ROLE_TRANSFER, .node = 2},
        .incoming = rig->incoming,
        .user = rig,
        .contacts = on_named,
        .done = on_done};
}

void rig_receive(struct rig *rig)
{
    struct error error;
    rig_forget(rig);
    cr_assert_eq(store_memory_create(&rig->incoming, NULL), 0);
    const struct transfer_receive_config config = rig_receive_config(rig);
    cr_assert_eq(transfer_receive_start(&config, &rig->receive, &error), 0, "%s", error.text);
}

void rig_forget(struct rig *rig)
{
    transfer_receive_destroy(rig->receive);
    store_close(rig->incoming);
    rig->receive = NULL;
    rig->incoming = NULL;
    rig->told = 0;
}

/* --- stores --- */

static void put(struct store_batch *batch, const struct record_key *key, const void *value,
                size_t bytes)
{
    cr_assert_eq(store_batch_put(batch, key->bytes, key->count, value, bytes), 0);
}

void rig_fill(struct rig *rig, uint64_t from, uint64_t count)
{
    struct store_batch *batch = store_batch_create();
    uint8_t value[VALUE_BYTES], state[RECORD_STATE_BYTES];
    for (uint64_t i = from; i < from + count; i++) {
        struct record_key key = record_key_inode(i);
        memset(value, (int)(i * 31), sizeof value);
        put(batch, &key, value, sizeof value);
        rig->state.state.digest = hash128_add(
            rig->state.state.digest, hash128_record(key.bytes, key.count, value, sizeof value));
    }
    struct record_key key = record_key_state();
    rig->state.index++;
    rig->state.state.inodes += count;
    struct writer w = writer_make(state, sizeof state);
    record_write_state(&w, &rig->state);
    put(batch, &key, state, writer_used(&w));
    cr_assert_eq(store_write(rig->source, batch, true, NULL), 0);
    store_batch_destroy(batch);
}

static bool add(void *user, const void *key, size_t key_bytes, const void *value,
                size_t value_bytes)
{
    struct content *content = user;
    content->records++;
    content->chain = hash128_chain(content->chain, key, key_bytes, value, value_bytes);
    if (*(const char *)key != RECORD_META)
        content->digest =
            hash128_add(content->digest, hash128_record(key, key_bytes, value, value_bytes));
    return true;
}

struct content rig_content(struct store *store)
{
    struct content content = {0};
    cr_assert_eq(store_scan(store, "", 0, "", 0, add, &content, NULL), 0);
    return content;
}

void rig_expect_same(struct store *a, struct store *b)
{
    struct content of_a = rig_content(a), of_b = rig_content(b);
    cr_assert_eq(of_a.records, of_b.records);
    cr_assert(hash128_equal(of_a.chain, of_b.chain));
}

/* --- begin and end --- */

static bool on_reaches(void *user, uint64_t index)
{
    const struct rig *rig = user;
    return index >= rig->reaches;
}

static bool on_lists(void *user, uint8_t node)
{
    const struct rig *rig = user;
    cr_assert_eq(node, 2);
    return rig->lists;
}

/* One member, and no state of the core's. */
static size_t on_contacts(void *user, uint8_t to[GCS_STATE_BYTES_MAX])
{
    static const char address[] = "member7:7400";
    struct writer w = writer_make(to, GCS_STATE_BYTES_MAX);
    writer_u16(&w, 0);
    for (int i = 0; i < GCS_PEER_MAX; i++) {
        bool free = i != 3;
        writer_u8(&w, free ? 0 : RIG_NAMED);
        writer_u8(&w, 0);
        writer_u8(&w, free ? 0 : sizeof address - 1);
        writer_bytes(&w, address, free ? 0 : sizeof address - 1);
    }
    writer_u64(&w, hash64(to, writer_used(&w)));
    return writer_used(&w);
}

static void on_damaged(void *user, const char *detail)
{
    struct rig *rig = user;
    rig->damaged++;
}

void rig_make(struct rig *rig)
{
    const struct net_accept accept = {.accepted = on_accepted, .user = rig};
    struct error error;
    *rig = (struct rig){.loop = loop_uv_create()};
    rig->transport = net_tcp_create(rig->loop);
    rig->other = net_tcp_create(rig->loop);
    cr_assert_eq(loop_timer_init(rig->loop, &rig->poll, on_poll), 0);
    cr_assert_eq(
        net_listen(rig->transport, "127.0.0.1:0", &limits, &accept, &rig->listener, &error), 0,
        "%s", error.text);
    cr_assert_eq(store_memory_create(&rig->source, NULL), 0);
    const struct transfer_sender_config sender = {
        .loop = rig->loop,
        .store = rig->source,
        .user = rig,
        .reaches = on_reaches,
        .lists = on_lists,
        .contacts = on_contacts,
        .damaged = on_damaged,
    };
    cr_assert_eq(transfer_sender_create(&sender, &rig->sender), 0);
}

void rig_finish(struct rig *rig)
{
    rig_forget(rig);
    transfer_sender_destroy(rig->sender);
    net_transport_destroy(rig->transport);
    net_transport_destroy(rig->other);
    store_close(rig->source);
    loop_timer_finish(&rig->poll);
    loop_uv_destroy(rig->loop);
}
