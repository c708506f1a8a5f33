/* A replica for tests; see fake.h. */
#include "tests/unit/client/fake.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct fake_conn {
    struct fake *fake;
    struct net_conn *conn;
    bool greeted;
    LIST_ENTRY(fake_conn) entry;
};

static const struct net_limits limits = {.frame_bytes_max = PROTO_REQUEST_BYTES_MAX,
                                         .queue_bytes_max = 64 * 1024 * 1024};

void fake_table_init(struct fake_table *table)
{
    memset(table, 0, sizeof *table);
}

static void send_reply(struct fake_conn *c, uint64_t tag, const struct proto_outcome *outcome,
                       enum fake_act act)
{
    struct proto_reply reply = {.tag = tag, .epoch = 1, .index = 1, .outcome = *outcome};
    struct buffer bytes;
    buffer_init(&bytes, PROTO_REPLY_BYTES_MAX);
    cr_assert(proto_reply_encode(&reply, &bytes) == 0);
    if (act == FAKE_GARBAGE)
        memset(bytes.data, 0xff, bytes.bytes);
    uint32_t count = (uint32_t)(act == FAKE_TRUNCATED ? bytes.bytes / 2 : bytes.bytes);
    int code = net_send(c->conn, NET_FRAME_REPLY, bytes.data, count, NULL);
    cr_assert(code == 0 || code == NET_E_CLOSED);
    buffer_finish(&bytes);
}

static void open_session(struct fake_table *t, const struct proto_request *r,
                         struct proto_outcome *out)
{
    uint32_t granted = t->slots_granted ? t->slots_granted : r->op.count;
    if (r->slot || r->seq != 1)
        t->violations++;
    if (!t->open || memcmp(t->session, r->session, sizeof t->session)) {
        memset(t->slots, 0, sizeof t->slots);
        memcpy(t->session, r->session, sizeof t->session);
        t->open = true;
        t->slots[0] = (struct fake_slot){1, granted};
        t->sessions++;
    }
    *out = (struct proto_outcome){.fields = PROTO_REPLY_VALUE, .value = granted};
}

static void count_write(struct fake_table *t, enum proto_opcode code)
{
    if (code == PROTO_SESSION_KEEP)
        t->keeps++;
    else if (code == PROTO_SESSION_CLOSE)
        t->closes++;
    else
        t->writes++;
}

static void execute_write(struct fake_table *t, const struct proto_request *r,
                          struct proto_outcome *out)
{
    struct fake_slot *slot = &t->slots[r->slot % PROTO_SLOTS_MAX];
    if (r->seq == slot->seq + 1) {
        count_write(t, r->op.code);
        slot->seq++;
        slot->value = r->op.value + r->op.offset; /* an answer that belongs to its question */
    } else if (r->seq == slot->seq) {
        t->repeats++;
    } else {
        t->violations++;
    }
    if (t->slots_granted && r->slot >= t->slots_granted)
        t->violations++;
    *out = (struct proto_outcome){.fields = PROTO_REPLY_VALUE, .value = slot->value};
}

static void execute(struct fake_table *t, const struct proto_request *r, struct proto_outcome *out)
{
    if (r->op.code == PROTO_SESSION_OPEN) {
        open_session(t, r, out);
    } else if (!proto_op_info(r->op.code)->write) {
        if (r->seq)
            t->violations++;
        t->reads++;
        *out = (struct proto_outcome){.fields = PROTO_REPLY_VALUE | PROTO_REPLY_DATA,
                                      .value = r->op.ino,
                                      .data = {(const uint8_t *)"data", 4}};
    } else if (!t->open || memcmp(t->session, r->session, sizeof t->session)) {
        *out = (struct proto_outcome){.status = PROTO_SESSION_UNKNOWN};
    } else {
        execute_write(t, r, out);
    }
}

static void answer(struct fake_conn *c, const struct proto_request *r, enum fake_act act)
{
    struct proto_outcome out = {.status = c->fake->status};
    static const struct proto_outcome stray = {.fields = PROTO_REPLY_VALUE, .value = 7};
    if (act == FAKE_DROP_BEFORE) {
        net_close(c->conn);
        return;
    }
    if (act != FAKE_REFUSE)
        execute(c->fake->table, r, &out);
    if (act == FAKE_DROP_AFTER)
        net_close(c->conn);
    if (act == FAKE_DROP_AFTER || act == FAKE_SILENT)
        return;
    if (act == FAKE_STRAY)
        send_reply(c, UINT64_MAX - 1, &stray, FAKE_ANSWER);
    if (act == FAKE_TWICE)
        send_reply(c, r->tag, &out, FAKE_ANSWER);
    send_reply(c, r->tag, &out, act);
}

static void on_request(struct fake_conn *c, const struct net_frame *frame)
{
    struct fake *fake = c->fake;
    struct proto_request request;
    if (!c->greeted || proto_request_decode(frame->payload, frame->bytes, &request)) {
        fake->table->violations++;
        return;
    }
    fake->received++;
    answer(c, &request, fake->plan ? fake->plan(fake->user, &request) : fake->act);
}

static void send_hello(struct fake_conn *c)
{
    static const char refusal[] = "not today\033";
    struct net_hello hello = {.version = NET_HELLO_VERSION, .role = NET_ROLE_MEMBER, .node = 1};
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    int code = 0;
    memset(hello.cluster, c->fake->hello == FAKE_HELLO_OTHER ? 0xbb : 0xaa, sizeof hello.cluster);
    if (c->fake->hello == FAKE_HELLO_NONE)
        memset(hello.cluster, 0, sizeof hello.cluster);
    size_t count = net_hello_encode(&hello, bytes);
    if (c->fake->hello == FAKE_HELLO_REFUSED)
        code = net_send(c->conn, NET_FRAME_REFUSED, refusal, sizeof refusal - 1, NULL);
    else if (c->fake->hello == FAKE_HELLO_BAD)
        code = net_send(c->conn, NET_FRAME_HELLO, bytes, 5, NULL);
    else if (c->fake->hello != FAKE_HELLO_SILENT)
        code = net_send(c->conn, NET_FRAME_HELLO, bytes, (uint32_t)count, NULL);
    cr_assert(code == 0);
}

static void send_members(struct fake_conn *c)
{
    uint8_t bytes[NET_MEMBERS_BYTES_MAX];
    uint32_t count = (uint32_t)net_members_encode(&c->fake->members, bytes);
    if (c->fake->members.epoch)
        cr_assert(net_send(c->conn, NET_FRAME_MEMBERS, bytes, count, NULL) == 0);
}

static void on_hello(struct fake_conn *c, const struct net_frame *frame)
{
    static const uint8_t none[16];
    struct net_hello hello;
    cr_assert(net_hello_decode(frame->payload, frame->bytes, &hello) == 0);
    if (hello.role != NET_ROLE_CLIENT || c->greeted)
        c->fake->table->violations++;
    if (memcmp(hello.cluster, none, sizeof none))
        c->fake->table->clusters_seen++;
    c->greeted = true;
    send_hello(c);
    if (c->fake->hello == FAKE_HELLO)
        send_members(c);
}

static void on_opened(struct net_conn *conn)
{
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct fake_conn *c = conn->user;
    if (frame->type == NET_FRAME_HELLO)
        on_hello(c, frame);
    else if (frame->type == NET_FRAME_REQUEST)
        on_request(c, frame);
    else
        c->fake->table->violations++;
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct fake_conn *c = conn->user;
    LIST_REMOVE(c, entry);
    free(c);
}

static const struct net_handlers handlers = {
    .opened = on_opened, .frame = on_frame, .closed = on_closed};

static const struct net_handlers *on_accepted(void *user, struct net_conn *conn, const char *peer)
{
    struct fake *fake = user;
    struct fake_conn *c = calloc(1, sizeof *c);
    cr_assert(c);
    *c = (struct fake_conn){.fake = fake, .conn = conn};
    LIST_INSERT_HEAD(&fake->conns, c, entry);
    conn->user = c;
    fake->accepted++;
    return &handlers;
}

void fake_start(struct fake *fake, struct loop *loop, struct net_transport *transport,
                struct fake_table *table)
{
    struct error error = {{0}};
    *fake = (struct fake){.loop = loop, .transport = transport, .table = table};
    LIST_INIT(&fake->conns);
    struct net_accept accept = {.accepted = on_accepted, .user = fake};
    int code = net_listen(transport, "127.0.0.1:0", &limits, &accept, &fake->listener, &error);
    cr_assert(code == 0, "listen: %s", error.text);
}

void fake_drop_all(struct fake *fake)
{
    struct fake_conn *c;
    LIST_FOREACH (c, &fake->conns, entry)
        net_close(c->conn);
}

void fake_tell(struct fake *fake, uint64_t epoch, const char *const *addresses)
{
    struct fake_conn *c;
    fake->members = (struct net_members){.epoch = epoch};
    for (; *addresses; addresses++)
        strcpy(fake->members.addresses[fake->members.count++], *addresses);
    LIST_FOREACH (c, &fake->conns, entry)
        if (c->greeted)
            send_members(c);
}

void fake_stop(struct fake *fake)
{
    net_unlisten(fake->listener);
    fake->listener = NULL;
    fake_drop_all(fake);
}

void fake_pause(struct fake *fake, bool paused)
{
    struct fake_conn *c;
    LIST_FOREACH (c, &fake->conns, entry)
        net_pause(c->conn, paused);
}
