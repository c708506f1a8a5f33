/* Damaged records: whatever a disk gives back, an operation ends with an outcome or says -EBADMSG,
 * and touches no memory that is not its own (the sanitizers watch). */
#include "world.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct world w;

static void setup(void)
{
    world_init(&w);
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "d"), .mode = 0755)},     /* 2 */
          {0, PROTO_OK, OP(CREATE, AT(2, "f"), .mode = 0644)},        /* 3 */
          {0, PROTO_OK, OP(SYMLINK, AT(2, "l"), .data = BYTES("f"))}, /* 4 */
          {0, PROTO_OK, OP(CREATE, AT(2, "o"))},                      /* 5 */
          {0, PROTO_OK, OP(CREATE, AT(2, "p"))},                      /* 6 */
          {0, PROTO_OK, OP(WRITE, .ino = 3, .data = BYTES("some content"))},
          {0, PROTO_OK, OP(SETXATTR, .ino = 3, .name = BYTES("user.a"), .data = BYTES("1"))},
          {0, PROTO_OK, OP(UNLINK, AT(2, "o"), .flags = PROTO_UNLINK_HOLD)},
          {0, PROTO_OK, OP(UNLINK, AT(2, "p"), .flags = PROTO_UNLINK_HOLD)});
}

static void teardown(void)
{
    world_finish(&w);
}

TestSuite(damage, .init = setup, .fini = teardown);

static const struct proto_op ops[] = {
    {.code = PROTO_LOOKUP, .parent = 2, .name = BYTES("f")},
    {.code = PROTO_LOOKUP, .parent = 2, .name = BYTES("..")},
    {.code = PROTO_READLINK, .ino = 4},
    {.code = PROTO_READ, .ino = 3, .count = 100},
    {.code = PROTO_GETXATTR, .ino = 3, .name = BYTES("user.a")},
    {.code = PROTO_LISTXATTR, .ino = 3},
    {.code = PROTO_CREATE, .parent = 2, .name = BYTES("new")},
    {.code = PROTO_CREATE, .parent = 2, .name = BYTES("f"), .flags = PROTO_OPEN_TRUNCATE},
    {.code = PROTO_UNLINK, .parent = 2, .name = BYTES("f")},
    {.code = PROTO_UNLINK, .parent = 2, .name = BYTES("f"), .flags = PROTO_UNLINK_HOLD},
    {.code = PROTO_UNLINK, .parent = 2, .name = BYTES("l")},
    {.code = PROTO_RENAME, .parent = 2, .name = BYTES("f"), .parent2 = 1, .name2 = BYTES("d")},
    {.code = PROTO_RENAME, .parent = 1, .name = BYTES("d"), .parent2 = 2, .name2 = BYTES("f")},
    {.code = PROTO_WRITE, .ino = 3, .offset = 5, .data = BYTES("xyz")},
    {.code = PROTO_SETATTR, .ino = 3, .valid = PROTO_SET_SIZE, .size = 5},
    {.code = PROTO_SETXATTR, .ino = 3, .name = BYTES("user.a"), .data = BYTES("22")},
    {.code = PROTO_REMOVEXATTR, .ino = 3, .name = BYTES("user.a")},
    {.code = PROTO_RELEASE, .ino = 5},
    {.code = PROTO_RELEASE, .ino = 6},
    {.code = PROTO_SESSION_CLOSE},
};

/* Nothing is kept: each operation meets the same records. */
static int attempt(const struct proto_op *op)
{
    struct proto_request request = {.op = *op, .seq = w.seq[0] + 1};
    struct nspace_state state = w.state;
    struct proto_outcome outcome;
    memcpy(request.session, w.session, sizeof request.session);
    txn_begin(&w.txn, &w.source);
    if (!proto_op_info(op->code)->write)
        return nspace_read(&w.txn, &state, &w.limits, &request, &outcome);
    struct session_index *index;
    cr_assert_eq(session_index_create(&index), 0);
    int code = execute_request(&w.txn, &state, &w.limits, &request, index, &outcome);
    session_index_destroy(index);
    return code;
}

static unsigned refused;

static void attempt_all(void)
{
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        int code = attempt(&ops[i]);
        cr_assert(code == 0 || code == -EBADMSG, "%s: %d", proto_op_info(ops[i].code)->name, code);
        refused += code == -EBADMSG;
    }
}

Test(damage, every_byte_of_every_record)
{
    attempt_all();
    cr_assert_eq(refused, 0);
    for (size_t i = 0; i < w.count; i++)
        for (uint32_t at = 0; at < w.records[i].value_bytes; at++) {
            uint8_t *byte = &w.records[i].value[at], before = *byte;
            *byte ^= (uint8_t)(1u << (at % 8));
            attempt_all();
            *byte = (uint8_t)~before;
            attempt_all();
            *byte = before;
        }
    cr_assert_gt(refused, 100);
}

Test(damage, every_record_cut_short_or_gone)
{
    for (size_t i = 0; i < w.count; i++) {
        struct world_record *record = &w.records[i], whole = *record;
        for (uint32_t bytes = 0; bytes < whole.value_bytes; bytes++) {
            record->value_bytes = bytes;
            attempt_all();
        }
        record->value_bytes = whole.value_bytes;
        record->key[0] = '~'; /* out of everybody's sight */
        attempt_all();
        *record = whole;
    }
    cr_assert_gt(refused, 100);
}
