/* Snapshots between two stores over real TCP: the sender and the receiver as they are, and a sender
 * that says what a broken one could say. */
#include "mds/record.h"
#include "mds/transfer.h"
#include "mds/transfer_frame.h"
#include "net/loop_uv.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNS_MAX = 4, RECEIVERS_MAX = 3, MANY = 100000, SCRIPT_BYTES_MAX = 400 };

struct rig;

struct receiver {
    struct rig *rig;
    struct store *incoming;
    struct transfer_receive *receive;
    bool done;
    int code;
    char text[256];
};

/* What came in at the sender's side. */
struct gate {
    struct net_conn *conn;
    const struct net_handlers *next; /* after the hello */
};

struct rig {
    struct loop *loop;
    struct net_transport *transport, *other;
    struct net_listener *listener;
    struct loop_timer poll;
    uint64_t deadline_ns;
    bool (*wanted)(struct rig *rig);
    struct store *store;
    struct transfer_sender *sender;
    const struct script *script; /* instead of the sender */
    struct gate gates[CONNS_MAX];
    uint32_t gate_count;
    struct receiver receivers[RECEIVERS_MAX];
};

/* --- stores --- */

static struct store *store_new(void)
{
    struct store *store = NULL;
    cr_assert_eq(store_memory_create(&store, NULL), 0);
    return store;
}

static size_t state_encode(uint8_t to[RECORD_STATE_BYTES], struct hash128 digest, uint64_t inodes)
{
    struct state_record record = {.index = 7, .epoch = 2};
    record.state.digest = digest;
    record.state.inodes = inodes;
    struct writer w = writer_make(to, RECORD_STATE_BYTES);
    record_write_state(&w, &record);
    cr_assert(!w.failed);
    return writer_used(&w);
}

static void state_put(struct store_batch *batch, struct hash128 digest, uint64_t inodes)
{
    uint8_t value[RECORD_STATE_BYTES];
    size_t bytes = state_encode(value, digest, inodes);
    struct record_key key = record_key_state();
    cr_assert_eq(store_batch_put(batch, key.bytes, key.count, value, bytes), 0);
}

/* On both sides of the state record, of many sizes, some nearly a quarter of a chunk. */
static struct record_key number_key(uint64_t number)
{
    return number % 2 ? record_key_symlink(number) : record_key_purge(number);
}

static size_t number_bytes(uint64_t number)
{
    return number % 5000 == 4999 ? 65536 : number * 31 % 97;
}

static void fill(struct store *store, uint64_t count)
{
    static uint8_t value[65536];
    struct store_batch *batch = store_batch_create();
    struct hash128 digest = {0, 0};
    for (uint64_t i = 0; i < count; i++) {
        struct record_key key = number_key(i);
        size_t bytes = number_bytes(i);
        memset(value, (int)i, bytes);
        digest = hash128_add(digest, hash128_record(key.bytes, key.count, value, bytes));
        cr_assert_eq(store_batch_put(batch, key.bytes, key.count, value, bytes), 0);
    }
    state_put(batch, digest, count / 3);
    cr_assert_eq(store_write(store, batch, true, NULL), 0);
    store_batch_destroy(batch);
}

struct sum {
    struct hash128 hash;
    uint64_t count;
};

static bool sum_add(void *user, const void *key, size_t key_bytes, const void *value,
                    size_t value_bytes)
{
    struct sum *sum = user;
    sum->hash = hash128_add(sum->hash, hash128_record(key, key_bytes, value, value_bytes));
    sum->count++;
    return true;
}

static struct sum sum_of(struct store *store)
{
    struct sum sum = {{0, 0}, 0};
    cr_assert_eq(store_scan(store, "", 0, "", 0, sum_add, &sum, NULL), 0);
    return sum;
}

/* --- the sender's side: what the server does --- */

static struct net_hello hello_of(uint8_t role)
{
    return (struct net_hello){
        .version = NET_HELLO_VERSION, .role = role, .node = 1, .cluster = {9}};
}

static void script_run(struct rig *rig, struct net_conn *conn);

static void greet(struct net_conn *conn, const struct net_hello *hello)
{
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    uint32_t count = (uint32_t)net_hello_encode(hello, bytes);
    cr_assert_eq(net_send(conn, NET_FRAME_HELLO, bytes, count, NULL), 0);
}

static void gate_opened(struct net_conn *conn)
{
}

static void gate_frame(struct net_conn *conn, const struct net_frame *frame);
static void gate_closed(struct net_conn *conn, enum net_reason reason, const char *detail);

static const struct net_handlers gate_handlers = {
    .opened = gate_opened, .frame = gate_frame, .closed = gate_closed};

/* The connections that were handed over: the transport still calls the gate. */
static struct rig *rig_now;

static struct gate *gate_find(struct net_conn *conn)
{
    for (uint32_t i = 0; i < CONNS_MAX; i++)
        if (rig_now->gates[i].conn == conn)
            return &rig_now->gates[i];
    return NULL;
}

static void gate_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct gate *gate = gate_find(conn);
    struct rig *rig = rig_now;
    cr_assert_not_null(gate);
    if (gate->next) {
        gate->next->frame(conn, frame);
        return;
    }
    if (rig->script) {
        if (frame->type == NET_FRAME_HELLO)
            script_run(rig, conn);
        return; /* the credits: it sends what it likes */
    }
    struct net_hello answer = hello_of(NET_ROLE_MEMBER);
    cr_assert_eq(frame->type, NET_FRAME_HELLO);
    greet(conn, &answer);
    gate->next = rig->sender ? transfer_sender_accept(rig->sender, conn) : NULL;
    if (!gate->next)
        net_close(conn);
}

static void gate_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct gate *gate = gate_find(conn);
    if (gate->next)
        gate->next->closed(conn, reason, detail);
    gate->conn = NULL;
}

static const struct net_handlers *on_accepted(void *user, struct net_conn *conn, const char *peer)
{
    struct rig *rig = user;
    cr_assert_lt(rig->gate_count, CONNS_MAX);
    rig->gates[rig->gate_count++] = (struct gate){.conn = conn};
    conn->user = rig;
    return &gate_handlers;
}

/* --- the rig --- */

static void on_poll(struct loop_timer *timer)
{
    struct rig *rig = CONTAINER_OF(timer, struct rig, poll);
    cr_assert_lt(loop_now_ns(rig->loop), rig->deadline_ns, "nothing came of it");
    if (rig->wanted(rig))
        loop_uv_stop(rig->loop);
    else
        loop_timer_start(timer, 500000);
}

static void wait_until(struct rig *rig, bool (*wanted)(struct rig *rig))
{
    rig->wanted = wanted;
    rig->deadline_ns = loop_now_ns(rig->loop) + 30000000000;
    loop_timer_start(&rig->poll, 500000);
    loop_uv_run(rig->loop);
}

static const struct net_limits limits = {.frame_bytes_max = 1 << 20, .queue_bytes_max = 8 << 20};

static void rig_make(struct rig *rig, uint64_t records)
{
    struct error error;
    const struct net_accept accept = {.accepted = on_accepted, .user = rig};
    *rig = (struct rig){.loop = loop_uv_create(), .store = store_new()};
    rig_now = rig;
    rig->transport = net_tcp_create(rig->loop);
    rig->other = net_tcp_create(rig->loop);
    cr_assert_eq(loop_timer_init(rig->loop, &rig->poll, on_poll), 0);
    cr_assert_eq(
        net_listen(rig->transport, "127.0.0.1:0", &limits, &accept, &rig->listener, &error), 0,
        "%s", error.text);
    fill(rig->store, records);
    cr_assert_eq(transfer_sender_create(rig->loop, rig->store, &rig->sender), 0);
}

static void on_done(void *user, int code, const char *detail)
{
    struct receiver *receiver = user;
    cr_assert(!receiver->done, "told twice");
    receiver->done = true;
    receiver->code = code;
    snprintf(receiver->text, sizeof receiver->text, "%s", detail);
}

static void receiver_start(struct rig *rig, uint32_t number)
{
    struct receiver *receiver = &rig->receivers[number];
    struct error error;
    *receiver = (struct receiver){.rig = rig, .incoming = store_new()};
    struct transfer_receive_config config = {.loop = rig->loop,
                                             .transport = rig->other,
                                             .address = rig->listener->address,
                                             .hello = hello_of(NET_ROLE_TRANSFER),
                                             .incoming = receiver->incoming,
                                             .user = receiver,
                                             .done = on_done};
    cr_assert_eq(transfer_receive_start(&config, &receiver->receive, &error), 0, "%s", error.text);
}

static void receivers_finish(struct rig *rig)
{
    for (uint32_t i = 0; i < RECEIVERS_MAX; i++) {
        transfer_receive_destroy(rig->receivers[i].receive);
        store_close(rig->receivers[i].incoming);
        rig->receivers[i] = (struct receiver){.rig = rig};
    }
}

static void transport_end(struct net_transport **transport)
{
    if (*transport)
        net_transport_destroy(*transport);
    *transport = NULL;
}

static void rig_finish(struct rig *rig)
{
    receivers_finish(rig);
    transfer_sender_destroy(rig->sender);
    transport_end(&rig->other);
    transport_end(&rig->transport);
    loop_timer_finish(&rig->poll);
    loop_uv_destroy(rig->loop);
    store_close(rig->store);
}

static bool is_done(struct rig *rig)
{
    return rig->receivers[0].done;
}

static bool is_under_way(struct rig *rig)
{
    struct replica_transfer_status status;
    cr_assert(!rig->receivers[0].done, "%s", rig->receivers[0].text);
    transfer_receive_status(rig->receivers[0].receive, &status);
    return status.chunks > 0;
}

static bool is_alone(struct rig *rig)
{
    return transfer_sender_count(rig->sender) == 0;
}

/* --- both as they are --- */

static void check_equal(struct rig *rig, struct sum wanted)
{
    struct sum got = sum_of(rig->receivers[0].incoming);
    struct replica_transfer_status status;
    cr_assert_eq(rig->receivers[0].code, 0, "%s", rig->receivers[0].text);
    cr_assert_eq(got.count, wanted.count);
    cr_assert(hash128_equal(got.hash, wanted.hash));
    transfer_receive_status(rig->receivers[0].receive, &status);
    cr_assert_eq(status.percent, 100);
}

Test(transfer, all_of_it_comes)
{
    static const uint64_t counts[] = {0, 1, 2, 5000, MANY};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct rig rig;
        rig_make(&rig, counts[i]);
        cr_assert(!transfer_sender_holds(rig.sender));
        receiver_start(&rig, 0);
        wait_until(&rig, is_done);
        cr_assert(transfer_sender_holds(rig.sender));
        check_equal(&rig, sum_of(rig.store));
        cr_assert_eq(sum_of(rig.store).count, counts[i] + 1);
        wait_until(&rig, is_alone);
        rig_finish(&rig);
    }
}

Test(transfer, a_sender_that_goes_on_writing_sends_one_moment)
{
    struct rig rig;
    rig_make(&rig, MANY);
    struct sum before = sum_of(rig.store);
    receiver_start(&rig, 0);
    wait_until(&rig, is_under_way);
    struct store_batch *batch = store_batch_create();
    for (uint64_t i = 0; i < MANY; i += 7) {
        struct record_key key = number_key(i);
        cr_assert_eq(i % 2 ? store_batch_delete(batch, key.bytes, key.count)
                           : store_batch_put(batch, key.bytes, key.count, "other", 5),
                     0);
    }
    state_put(batch, (struct hash128){1, 2}, 3);
    cr_assert_eq(store_write(rig.store, batch, true, NULL), 0);
    store_batch_destroy(batch);
    wait_until(&rig, is_done);
    check_equal(&rig, before);
    rig_finish(&rig);
}

static bool one_is_refused(struct rig *rig)
{
    for (uint32_t i = 0; i < RECEIVERS_MAX; i++)
        if (rig->receivers[i].done && rig->receivers[i].code < 0)
            return true;
    return false;
}

static bool all_are_done(struct rig *rig)
{
    return rig->receivers[0].done && rig->receivers[1].done && rig->receivers[2].done;
}

Test(transfer, so_many_at_once)
{
    struct rig rig;
    rig_make(&rig, MANY);
    for (uint32_t i = 0; i < RECEIVERS_MAX; i++)
        receiver_start(&rig, i);
    wait_until(&rig, one_is_refused);
    wait_until(&rig, all_are_done);
    uint32_t good = 0;
    for (uint32_t i = 0; i < RECEIVERS_MAX; i++)
        good += rig.receivers[i].code == 0;
    cr_assert_eq(good, TRANSFER_SENDERS_MAX);
    rig_finish(&rig);
}

/* --- one of them goes away --- */

Test(transfer, the_sender_dies)
{
    struct rig rig;
    rig_make(&rig, MANY);
    receiver_start(&rig, 0);
    wait_until(&rig, is_under_way);
    transport_end(&rig.transport);
    wait_until(&rig, is_done);
    cr_assert_lt(rig.receivers[0].code, 0);
    cr_assert_neq(rig.receivers[0].text[0], 0);
    rig_finish(&rig);
}

Test(transfer, the_sender_ends_in_order)
{
    struct rig rig;
    rig_make(&rig, MANY);
    receiver_start(&rig, 0);
    wait_until(&rig, is_under_way);
    transfer_sender_destroy(rig.sender);
    rig.sender = NULL;
    wait_until(&rig, is_done);
    cr_assert_eq(rig.receivers[0].code, -ECONNRESET);
    rig_finish(&rig);
}

Test(transfer, the_receiver_goes_and_starts_over)
{
    struct rig rig;
    rig_make(&rig, MANY);
    receiver_start(&rig, 0);
    wait_until(&rig, is_under_way);
    receivers_finish(&rig);
    wait_until(&rig, is_alone);
    receiver_start(&rig, 0);
    wait_until(&rig, is_under_way);
    transport_end(&rig.other); /* its process dies */
    wait_until(&rig, is_alone);
    cr_assert_lt(rig.receivers[0].code, 0);
    receivers_finish(&rig);
    rig.other = net_tcp_create(rig.loop);
    receiver_start(&rig, 0);
    wait_until(&rig, is_done);
    check_equal(&rig, sum_of(rig.store));
    rig_finish(&rig);
}

Test(transfer, nobody_is_there)
{
    struct rig rig;
    rig_make(&rig, 1);
    net_unlisten(rig.listener);
    transport_end(&rig.transport);
    struct receiver *receiver = &rig.receivers[0];
    *receiver = (struct receiver){.rig = &rig, .incoming = store_new()};
    struct transfer_receive_config config = {.loop = rig.loop,
                                             .transport = rig.other,
                                             .address = "127.0.0.1:1",
                                             .hello = hello_of(NET_ROLE_TRANSFER),
                                             .incoming = receiver->incoming,
                                             .user = receiver,
                                             .done = on_done};
    cr_assert_eq(transfer_receive_start(&config, &receiver->receive, NULL), 0);
    wait_until(&rig, is_done);
    cr_assert_lt(receiver->code, 0);
    rig_finish(&rig);
}

/* --- what the sender's store holds is wrong --- */

Test(transfer, records_that_do_not_add_up)
{
    struct rig rig;
    rig_make(&rig, 10);
    struct store_batch *batch = store_batch_create();
    struct record_key key = number_key(4);
    cr_assert_eq(store_batch_delete(batch, key.bytes, key.count), 0);
    cr_assert_eq(store_write(rig.store, batch, true, NULL), 0);
    receiver_start(&rig, 0);
    wait_until(&rig, is_done);
    cr_assert_eq(rig.receivers[0].code, -EBADMSG);
    cr_assert_not_null(strstr(rig.receivers[0].text, "digest"), "%s", rig.receivers[0].text);
    receivers_finish(&rig);
    store_batch_clear(batch); /* and now no state at all */
    key = record_key_state();
    cr_assert_eq(store_batch_delete(batch, key.bytes, key.count), 0);
    cr_assert_eq(store_write(rig.store, batch, true, NULL), 0);
    store_batch_destroy(batch);
    receiver_start(&rig, 0);
    wait_until(&rig, is_done);
    cr_assert_eq(rig.receivers[0].code, -ECONNRESET);
    rig_finish(&rig);
}

/* --- what a broken sender says --- */

enum fault {
    FAULT_NONE,
    FAULT_OTHER_CLUSTER,
    FAULT_OTHER_LINEAGE,
    FAULT_REFUSES,
    FAULT_NO_BEGIN,
    FAULT_TWO_BEGINS,
    FAULT_LONG_BEGIN,
    FAULT_STATE_DAMAGED,
    FAULT_STATE_DIFFERS,
    FAULT_STATE_MISSING,
    FAULT_CHECKSUM,
    FAULT_NUMBER,
    FAULT_SHORT_CHUNK,
    FAULT_CUT_RECORD,
    FAULT_LONG_KEY,
    FAULT_EMPTY_KEY,
    FAULT_ORDER,
    FAULT_TWICE,
    FAULT_DIGEST,
    FAULT_RECORD_COUNT,
    FAULT_CHUNK_COUNT,
    FAULT_END_CHECKSUM,
    FAULT_SHORT_END,
    FAULT_BEHIND_END,
    FAULT_STRANGE_FRAME,
    FAULT_TOO_MANY,
    FAULT_CLOSES,
};

static const struct script {
    enum fault fault;
    int code;
    const char *text; /* in what the receiver says */
} scripts[] = {
    {FAULT_NONE, 0, ""},
    {FAULT_OTHER_CLUSTER, -EXDEV, "another cluster"},
    {FAULT_OTHER_LINEAGE, -EXDEV, "lineage"},
    {FAULT_REFUSES, -ECONNREFUSED, "refused: go away"},
    {FAULT_NO_BEGIN, -EPROTO, "not due"},
    {FAULT_TWO_BEGINS, -EPROTO, "beginning"},
    {FAULT_LONG_BEGIN, -EPROTO, "beginning"},
    {FAULT_STATE_DAMAGED, -EBADMSG, "state record"},
    {FAULT_STATE_DIFFERS, -EBADMSG, "state record"},
    {FAULT_STATE_MISSING, -EBADMSG, "missing"},
    {FAULT_CHECKSUM, -EBADMSG, "checksum"},
    {FAULT_NUMBER, -EPROTO, "not due"},
    {FAULT_SHORT_CHUNK, -EPROTO, "not due"},
    {FAULT_CUT_RECORD, -EBADMSG, "size"},
    {FAULT_LONG_KEY, -EBADMSG, "size"},
    {FAULT_EMPTY_KEY, -EBADMSG, "size"},
    {FAULT_ORDER, -EBADMSG, "order"},
    {FAULT_TWICE, -EBADMSG, "order"},
    {FAULT_DIGEST, -EBADMSG, "digest"},
    {FAULT_RECORD_COUNT, -EBADMSG, "missing"},
    {FAULT_CHUNK_COUNT, -EPROTO, "end"},
    {FAULT_END_CHECKSUM, -EPROTO, "end"},
    {FAULT_SHORT_END, -EPROTO, "end"},
    {FAULT_BEHIND_END, -EPROTO, "not due"},
    {FAULT_STRANGE_FRAME, -EPROTO, "no meaning"},
    {FAULT_TOO_MANY, -EPROTO, "not due"},
    {FAULT_CLOSES, -ECONNRESET, ""},
};

/* One transfer as it is written down: three records, a chunk for each. */
struct speech {
    struct net_conn *conn;
    enum fault fault;
    uint64_t chunks, hash;
    uint8_t state[RECORD_STATE_BYTES];
    size_t state_bytes;
};

static void say(struct speech *s, uint16_t type, const void *bytes, size_t count)
{
    cr_assert_eq(net_send(s->conn, type, bytes, (uint32_t)count, NULL), 0);
}

static void say_begin(struct speech *s)
{
    uint8_t bytes[SCRIPT_BYTES_MAX];
    struct writer w = writer_make(bytes, sizeof bytes);
    writer_u64(&w, 3);
    writer_u32(&w, s->fault == FAULT_LONG_BEGIN ? UINT32_MAX : (uint32_t)s->state_bytes);
    writer_bytes(&w, s->state, s->state_bytes);
    say(s, TRANSFER_BEGIN, bytes, writer_used(&w));
}

static void say_chunk(struct speech *s, const void *records, size_t count)
{
    uint8_t bytes[SCRIPT_BYTES_MAX];
    uint64_t hash = chunk_hash(++s->chunks, records, count) + (s->fault == FAULT_CHECKSUM);
    struct writer w = writer_make(bytes, sizeof bytes);
    writer_u64(&w, s->fault == FAULT_NUMBER ? s->chunks + 1 : s->chunks);
    writer_u64(&w, hash);
    writer_bytes(&w, records, count);
    cr_assert(!w.failed);
    s->hash = chunks_hash(s->hash, hash);
    say(s, TRANSFER_CHUNK, bytes, s->fault == FAULT_SHORT_CHUNK ? 15 : writer_used(&w));
}

static void say_record(struct speech *s, const void *key, size_t key_bytes, const void *value,
                       size_t value_bytes)
{
    uint8_t bytes[SCRIPT_BYTES_MAX];
    struct writer w = writer_make(bytes, sizeof bytes);
    writer_u16(&w, s->fault == FAULT_LONG_KEY ? UINT16_MAX : (uint16_t)key_bytes);
    writer_u32(&w, (uint32_t)value_bytes + (s->fault == FAULT_CUT_RECORD));
    writer_bytes(&w, key, key_bytes);
    writer_bytes(&w, value, value_bytes);
    say_chunk(s, bytes, writer_used(&w));
}

static void say_end(struct speech *s)
{
    uint8_t bytes[END_BYTES];
    struct writer w = writer_make(bytes, sizeof bytes);
    writer_u64(&w, s->chunks + (s->fault == FAULT_CHUNK_COUNT));
    writer_u64(&w, s->chunks + (s->fault == FAULT_RECORD_COUNT));
    writer_u64(&w, s->hash + (s->fault == FAULT_END_CHECKSUM));
    say(s, TRANSFER_END, bytes, s->fault == FAULT_SHORT_END ? END_BYTES - 1 : END_BYTES);
}

static void say_records(struct speech *s)
{
    struct record_key key = record_key_state();
    const char *first = s->fault == FAULT_ORDER ? "Z" : "I";
    say_record(s, first, s->fault == FAULT_EMPTY_KEY ? 0 : 1, "1", 1);
    if (s->fault == FAULT_CLOSES) {
        net_close(s->conn);
        return;
    }
    if (s->fault == FAULT_TWICE)
        say_record(s, first, 1, "1", 1);
    uint8_t differs = s->fault == FAULT_STATE_DIFFERS;
    s->state[s->state_bytes - 1] ^= differs;
    if (s->fault != FAULT_STATE_MISSING)
        say_record(s, key.bytes, key.count, s->state, s->state_bytes);
    say_record(s, "X", 1, "2", 1);
    for (char more[] = "Xa"; s->fault == FAULT_TOO_MANY && more[1] < 'z'; more[1]++)
        say_record(s, more, 2, "", 0);
    say_end(s);
    if (s->fault == FAULT_BEHIND_END)
        say_record(s, "Z", 1, "3", 1);
}

static void say_state(struct speech *s)
{
    struct hash128 digest =
        hash128_add(hash128_record("I", 1, "1", 1), hash128_record("X", 1, "2", 1));
    digest.low += s->fault == FAULT_DIGEST;
    s->state_bytes = state_encode(s->state, digest, 1);
    s->state_bytes -= s->fault == FAULT_STATE_DAMAGED;
}

static void script_run(struct rig *rig, struct net_conn *conn)
{
    struct speech s = {.conn = conn, .fault = rig->script->fault};
    struct net_hello hello = hello_of(NET_ROLE_MEMBER);
    hello.cluster[15] = s.fault == FAULT_OTHER_CLUSTER;
    hello.lineage_generation = s.fault == FAULT_OTHER_LINEAGE;
    if (s.fault == FAULT_REFUSES) {
        say(&s, NET_FRAME_REFUSED, "go away", 7);
        return;
    }
    greet(conn, &hello);
    say_state(&s);
    if (s.fault != FAULT_NO_BEGIN)
        say_begin(&s);
    if (s.fault == FAULT_TWO_BEGINS)
        say_begin(&s);
    if (s.fault == FAULT_STRANGE_FRAME)
        say(&s, TRANSFER_CREDIT, "\1\0\0", 4);
    say_records(&s);
}

static void check_script(const struct script *script)
{
    struct rig rig;
    rig_make(&rig, 0);
    rig.script = script;
    receiver_start(&rig, 0);
    wait_until(&rig, is_done);
    cr_assert_eq(rig.receivers[0].code, script->code, "fault %d: %d, %s", script->fault,
                 rig.receivers[0].code, rig.receivers[0].text);
    cr_assert_not_null(strstr(rig.receivers[0].text, script->text), "fault %d: %s", script->fault,
                       rig.receivers[0].text);
    rig_finish(&rig);
}

Test(transfer, a_broken_sender)
{
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++)
        check_script(&scripts[i]);
}

/* --- what a broken receiver says --- */

struct asker {
    struct net_conn *conn;
    uint16_t type;
    uint32_t credits, bytes;
    uint32_t times;
    uint32_t chunks;
    bool closed;
};

static void asker_opened(struct net_conn *conn)
{
    struct asker *asker = conn->user;
    struct net_hello hello = hello_of(NET_ROLE_TRANSFER);
    uint8_t head[8] = {0};
    greet(conn, &hello);
    head[0] = (uint8_t)asker->credits;
    head[3] = (uint8_t)(asker->credits >> 24);
    for (uint32_t i = 0; i < asker->times; i++)
        cr_assert_eq(net_send(conn, asker->type, head, asker->bytes, NULL), 0);
}

static void asker_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct asker *asker = conn->user;
    asker->chunks += frame->type == TRANSFER_CHUNK;
}

static void asker_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct asker *asker = conn->user;
    asker->closed = true;
}

static const struct net_handlers asker_handlers = {
    .opened = asker_opened, .frame = asker_frame, .closed = asker_closed};

static struct asker asker;

static bool asker_is_closed(struct rig *rig)
{
    return asker.closed;
}

static bool asker_has_all(struct rig *rig)
{
    return asker.chunks >= asker.credits * asker.times;
}

static void ask(struct rig *rig, uint16_t type, uint32_t credits, uint32_t bytes, uint32_t times)
{
    asker = (struct asker){.type = type, .credits = credits, .bytes = bytes, .times = times};
    cr_assert_eq(net_connect(rig->other, rig->listener->address, NULL, &limits, &asker_handlers,
                             &asker, &asker.conn, NULL),
                 0);
}

Test(transfer, a_broken_receiver)
{
    static const struct {
        uint16_t type;
        uint32_t credits, bytes, times;
    } cases[] = {
        {TRANSFER_CHUNK, 1, 4, 1},
        {TRANSFER_CREDIT, 1, 3, 1},
        {TRANSFER_CREDIT, 1, 5, 1},
        {TRANSFER_CREDIT, 1, 0, 1},
        {TRANSFER_CREDIT, TRANSFER_CREDITS + 1, 4, 1},
        {TRANSFER_CREDIT, UINT32_C(0xff000000), 4, 1},
        {NET_FRAME_HELLO, 1, 4, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig rig;
        rig_make(&rig, 5000);
        ask(&rig, cases[i].type, cases[i].credits, cases[i].bytes, cases[i].times);
        wait_until(&rig, asker_is_closed);
        wait_until(&rig, is_alone);
        rig_finish(&rig);
    }
}

/* Exactly what was granted is sent, and no chunk more. */
Test(transfer, credits_bound_what_is_sent)
{
    struct rig rig;
    rig_make(&rig, MANY);
    ask(&rig, TRANSFER_CREDIT, 3, 4, 2);
    wait_until(&rig, asker_has_all);
    receiver_start(&rig, 0); /* time passes: a whole transfer next to it */
    wait_until(&rig, is_done);
    check_equal(&rig, sum_of(rig.store));
    cr_assert_eq(asker.chunks, 6);
    rig_finish(&rig);
}
