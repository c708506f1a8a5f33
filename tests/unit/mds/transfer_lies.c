/* A transfer from a sender that lies: whatever it says, what is not whole and right is refused. */
#include "mds/transfer_frame.h"
#include "tests/unit/mds/transfer_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

enum lie {
    LIE_NONE,
    LIE_BIT,            /* in a chunk */
    LIE_CHUNKS_SWAPPED, /* the second and the third */
    LIE_CHUNK_MISSING,
    LIE_CHUNK_TWICE,
    LIE_CHUNK_SHORT, /* less than its head */
    LIE_RECORD_LONG, /* longer than its chunk */
    LIE_KEY_EMPTY,
    LIE_KEY_LONG,
    LIE_ORDER, /* of the records */
    LIE_KEY_TWICE,
    LIE_VALUE,
    LIE_RECORD_LEFT_OUT,
    LIE_STATE_LEFT_OUT,
    LIE_STATE_ANOTHER,
    LIE_STATE_DAMAGED,
    LIE_CONTACTS,
    LIE_CONTACTS_LATE,
    LIE_NO_BEGIN,
    LIE_BEGIN_TWICE,
    LIE_BEGIN_SHORT,
    LIE_BEGIN_LONG,
    LIE_BEGIN_HUGE, /* says of more than there may be */
    LIE_END_CHUNKS,
    LIE_END_RECORDS,
    LIE_END_HASH,
    LIE_END_SHORT,
    LIE_CHUNK_AFTER_END,
    LIE_OTHER_FRAME,
    LIE_CLOSES,
    LIE_REFUSES,
    LIE_HELLO_SHORT,
    LIE_CLUSTER,
    LIE_LINEAGE,
};

enum { KEYS = 8, STATE_AT = 6, CHUNK_OF = 3 };

struct teller {
    enum lie lie;
    struct net_conn *conn;
    struct record_key keys[KEYS];
    uint8_t values[KEYS][STATE_BYTES_MAX];
    size_t value_bytes[KEYS];
    uint64_t records, chunks, hash;
};

static enum lie lie_now;

static void say(struct teller *teller, uint16_t type, const void *bytes, size_t count)
{
    cr_assert_eq(net_send(teller->conn, type, bytes, (uint32_t)count, NULL), 0);
}

/* Inodes, the state record, a session: in the order of their keys, with a digest that is right. */
static void make_records(struct teller *teller)
{
    static const uint8_t session[PROTO_SESSION_BYTES] = {7};
    struct state_record state = {.index = 5, .epoch = 1};
    for (unsigned i = 0; i < KEYS; i++) {
        if (i == STATE_AT)
            continue;
        teller->keys[i] = i < STATE_AT ? record_key_inode(i + 1) : record_key_session(session);
        teller->value_bytes[i] = 10 + i;
        memset(teller->values[i], (int)i, teller->value_bytes[i]);
        state.state.digest = hash128_add(
            state.state.digest, hash128_record(teller->keys[i].bytes, teller->keys[i].count,
                                               teller->values[i], teller->value_bytes[i]));
    }
    struct writer w = writer_make(teller->values[STATE_AT], STATE_BYTES_MAX);
    record_write_state(&w, &state);
    teller->keys[STATE_AT] = record_key_state();
    teller->value_bytes[STATE_AT] = writer_used(&w);
    if (teller->lie == LIE_STATE_DAMAGED)
        teller->value_bytes[STATE_AT]--;
}

static void say_hello(struct teller *teller)
{
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    struct net_hello hello = {.version = NET_HELLO_VERSION, .role = NET_ROLE_MEMBER, .node = 1};
    hello.cluster[15] = teller->lie == LIE_CLUSTER;
    hello.lineage_generation = teller->lie == LIE_LINEAGE;
    size_t count = net_hello_encode(&hello, bytes);
    say(teller, NET_FRAME_HELLO, bytes, count - (teller->lie == LIE_HELLO_SHORT));
}

static void say_begin(struct teller *teller)
{
    uint8_t bytes[32 + STATE_BYTES_MAX];
    size_t count = teller->value_bytes[STATE_AT];
    struct writer w = writer_make(bytes, sizeof bytes);
    writer_u64(&w, KEYS);
    writer_u8(&w, 0);
    writer_u32(&w, (uint32_t)(teller->lie == LIE_BEGIN_HUGE ? STATE_BYTES_MAX + 1 : count));
    writer_bytes(&w, teller->values[STATE_AT], count);
    if (teller->lie == LIE_BEGIN_LONG)
        writer_u8(&w, 0);
    say(teller, TRANSFER_BEGIN, bytes, writer_used(&w) - (teller->lie == LIE_BEGIN_SHORT ? 1 : 0));
}

/* The record after the changes that the lie makes to it. */
static void write_record(struct teller *teller, struct writer *w, unsigned i)
{
    static const uint8_t long_key[KEY_BYTES_MAX + 1] = {'Z'};
    enum lie lie = teller->lie;
    bool last = i == KEYS - 1;
    unsigned of = lie == LIE_ORDER && last ? 0 : lie == LIE_KEY_TWICE && last ? STATE_AT : i;
    const uint8_t *key = lie == LIE_KEY_LONG && last ? long_key : teller->keys[of].bytes;
    size_t key_bytes = lie == LIE_KEY_LONG && last    ? sizeof long_key
                       : lie == LIE_KEY_EMPTY && last ? 0
                                                      : teller->keys[of].count;
    size_t bytes = teller->value_bytes[of];
    writer_u16(w, (uint16_t)key_bytes);
    writer_u32(w, (uint32_t)(lie == LIE_RECORD_LONG && last ? bytes + 1 : bytes));
    writer_bytes(w, key, key_bytes);
    uint8_t *at = w->at;
    writer_bytes(w, teller->values[of], bytes);
    if ((lie == LIE_VALUE && i == 2) || (lie == LIE_STATE_ANOTHER && i == STATE_AT))
        at[bytes - 1] ^= 1;
    teller->records++;
}

static bool is_left_out(const struct teller *teller, unsigned i)
{
    return (teller->lie == LIE_RECORD_LEFT_OUT && i == 1) ||
           (teller->lie == LIE_STATE_LEFT_OUT && i == STATE_AT);
}

static void say_chunk(struct teller *teller, uint64_t number)
{
    uint8_t bytes[8192] = {0};
    struct writer w = writer_make(bytes + CHUNK_HEAD_BYTES, sizeof bytes - CHUNK_HEAD_BYTES);
    unsigned from = number > 3 ? KEYS - 1 : (unsigned)(number - 1) * CHUNK_OF;
    for (unsigned i = from; i < from + CHUNK_OF && i < KEYS; i++)
        if (!is_left_out(teller, i))
            write_record(teller, &w, i);
    size_t count = CHUNK_HEAD_BYTES + writer_used(&w);
    uint64_t hash = chunk_hash(number, bytes + CHUNK_HEAD_BYTES, count - CHUNK_HEAD_BYTES);
    struct writer head = writer_make(bytes, CHUNK_HEAD_BYTES);
    writer_u64(&head, number);
    writer_u64(&head, hash);
    cr_assert(!w.failed);
    teller->hash = chunks_hash(teller->hash, hash);
    teller->chunks++;
    if (teller->lie == LIE_BIT && number == 2)
        bytes[count - 1] ^= 0x20;
    say(teller, TRANSFER_CHUNK, bytes,
        teller->lie == LIE_CHUNK_SHORT && number == 3 ? CHUNK_HEAD_BYTES - 1 : count);
}

static void say_end(struct teller *teller)
{
    uint8_t bytes[END_BYTES];
    struct writer w = writer_make(bytes, sizeof bytes);
    writer_u64(&w, teller->chunks + (teller->lie == LIE_END_CHUNKS));
    writer_u64(&w, teller->records - (teller->lie == LIE_END_RECORDS));
    writer_u64(&w, teller->hash ^ (teller->lie == LIE_END_HASH));
    say(teller, TRANSFER_END, bytes, teller->lie == LIE_END_SHORT ? END_BYTES - 1 : END_BYTES);
}

static void say_chunks(struct teller *teller)
{
    static const uint64_t usual[] = {1, 2, 3}, swapped[] = {1, 3, 2};
    const uint64_t *order = teller->lie == LIE_CHUNKS_SWAPPED ? swapped : usual;
    for (unsigned i = 0; i < 3; i++) {
        if (teller->lie == LIE_CHUNK_MISSING && i == 1)
            continue;
        say_chunk(teller, order[i]);
        if (teller->lie == LIE_CHUNK_TWICE && i == 1)
            say_chunk(teller, order[i]);
    }
}

/* All of it at once: it is less than the credits allow. */
static void tell(struct gate *gate)
{
    struct teller teller = {.lie = lie_now, .conn = gate->conn};
    make_records(&teller);
    if (teller.lie == LIE_REFUSES) {
        say(&teller, NET_FRAME_REFUSED, "not today", 9);
        return;
    }
    say_hello(&teller);
    if (teller.lie == LIE_CONTACTS)
        say(&teller, TRANSFER_CONTACTS, "no contacts at all", 18);
    for (int i = teller.lie == LIE_BEGIN_TWICE ? 2 : teller.lie == LIE_NO_BEGIN ? 0 : 1; i > 0; i--)
        say_begin(&teller);
    say_chunks(&teller);
    if (teller.lie == LIE_CONTACTS_LATE)
        say(&teller, TRANSFER_CONTACTS, "", 0);
    if (teller.lie == LIE_OTHER_FRAME)
        say(&teller, TRANSFER_CREDIT, "1234", 4);
    if (teller.lie == LIE_CLOSES)
        net_close(gate->conn);
    else
        say_end(&teller);
    if (teller.lie == LIE_CHUNK_AFTER_END) {
        teller.keys[KEYS - 1].bytes[0] = 'Z'; /* behind all the others */
        say_chunk(&teller, 4);
    }
}

static void expect(enum lie lie, int code, const char *detail)
{
    struct rig rig;
    rig_make(&rig);
    rig.greeted = tell;
    lie_now = lie;
    rig_receive(&rig);
    rig_wait(&rig, rig_is_told);
    cr_assert_eq(rig.code, code, "lie %d: %d %s", lie, rig.code, rig.detail);
    cr_assert_not_null(strstr(rig.detail, detail), "lie %d: %s", lie, rig.detail);
    if (code == 0)
        cr_assert_eq(rig_content(rig.incoming).records, KEYS);
    transfer_receive_destroy(rig.receive);
    rig.receive = NULL;
    cr_assert_eq(rig.told, 1, "lie %d", lie);
    rig_finish(&rig);
}

Test(transfer_lies, the_truth_is_believed)
{
    expect(LIE_NONE, 0, "");
}

Test(transfer_lies, are_all_found)
{
    static const struct {
        enum lie lie;
        int code;
        const char *detail;
    } cases[] = {
        {LIE_BIT, -EBADMSG, "checksum"},
        {LIE_CHUNKS_SWAPPED, -EPROTO, "not due"},
        {LIE_CHUNK_MISSING, -EPROTO, "not due"},
        {LIE_CHUNK_TWICE, -EPROTO, "not due"},
        {LIE_CHUNK_SHORT, -EPROTO, "not due"},
        {LIE_RECORD_LONG, -EBADMSG, "size"},
        {LIE_KEY_EMPTY, -EBADMSG, "size"},
        {LIE_KEY_LONG, -EBADMSG, "size"},
        {LIE_ORDER, -EBADMSG, "order"},
        {LIE_KEY_TWICE, -EBADMSG, "order"},
        {LIE_VALUE, -EBADMSG, "digest"},
        {LIE_RECORD_LEFT_OUT, -EBADMSG, "digest"},
        {LIE_STATE_LEFT_OUT, -EBADMSG, "missing"},
        {LIE_STATE_ANOTHER, -EBADMSG, "another state"},
        {LIE_STATE_DAMAGED, -EBADMSG, "state record"},
        {LIE_CONTACTS, -EPROTO, "contacts"},
        {LIE_CONTACTS_LATE, -EPROTO, "no meaning"},
        {LIE_NO_BEGIN, -EPROTO, "not due"},
        {LIE_BEGIN_TWICE, -EPROTO, "beginning"},
        {LIE_BEGIN_SHORT, -EPROTO, "beginning"},
        {LIE_BEGIN_LONG, -EPROTO, "beginning"},
        {LIE_BEGIN_HUGE, -EPROTO, "beginning"},
        {LIE_END_CHUNKS, -EPROTO, "end"},
        {LIE_END_RECORDS, -EBADMSG, "missing"},
        {LIE_END_HASH, -EPROTO, "end"},
        {LIE_END_SHORT, -EPROTO, "end"},
        {LIE_CHUNK_AFTER_END, -EPROTO, "not due"},
        {LIE_OTHER_FRAME, -EPROTO, "no meaning"},
        {LIE_CLOSES, -ECONNRESET, ""},
        {LIE_REFUSES, -ECONNREFUSED, "not today"},
        {LIE_HELLO_SHORT, -EPROTO, "hello"},
        {LIE_CLUSTER, -EXDEV, "another cluster"},
        {LIE_LINEAGE, -EXDEV, "lineage"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(cases[i].lie, cases[i].code, cases[i].detail);
}
