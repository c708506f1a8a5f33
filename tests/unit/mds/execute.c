/* Exactly once: slots, repeats, gaps; sessions that open, close, expire in steps. */
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct world w;

static void setup(void)
{
    world_init(&w);
}

static void teardown(void)
{
    world_check(&w);
    world_finish(&w);
}

TestSuite(execute, .init = setup, .fini = teardown);

static struct proto_outcome ask(uint8_t session, uint16_t slot, uint64_t seq, struct proto_op op)
{
    struct proto_request request = {.session = {session, 2, 3}, .slot = slot, .seq = seq, .op = op};
    struct proto_outcome outcome = world_request(&w, &request);
    world_check(&w);
    return outcome;
}

static struct proto_outcome expire(uint64_t timeout)
{
    struct proto_request request = {.op = OP(SESSION_EXPIRE, .value = timeout)};
    struct proto_outcome outcome = world_request(&w, &request);
    world_check(&w);
    return outcome;
}

Test(execute, a_repeated_request_gets_the_kept_outcome)
{
    struct proto_outcome first = ask(1, 3, 1, OP(CREATE, AT(1, "f"), .mode = 0644));
    struct nspace_state before = w.state;
    struct proto_outcome again = ask(1, 3, 1, OP(CREATE, AT(1, "f"), .mode = 0644));
    cr_assert_eq(again.status, PROTO_OK);
    cr_assert_eq(again.value, 1, "it was made by this request");
    cr_assert_eq(memcmp(&first.attr, &again.attr, sizeof first.attr), 0);
    cr_assert(hash128_equal(before.digest, w.state.digest));
    cr_assert_eq(ask(1, 3, 2, OP(UNLINK, AT(1, "g"))).status, PROTO_NOENT);
    ask(1, 4, 1, OP(CREATE, AT(1, "g")));
    cr_assert_eq(ask(1, 3, 2, OP(UNLINK, AT(1, "g"))).status, PROTO_NOENT, "errors are kept too");
}

Test(execute, sequence_numbers)
{
    static const struct {
        uint16_t slot;
        uint64_t seq;
        enum proto_status want;
    } rows[] = {
        {1, 0, PROTO_SEQ_OLD}, {1, 2, PROTO_SEQ_GAP},          {1, 1, PROTO_OK}, {1, 2, PROTO_OK},
        {1, 1, PROTO_SEQ_OLD}, {1, 4, PROTO_SEQ_GAP},          {1, 3, PROTO_OK}, {7, 1, PROTO_OK},
        {8, 1, PROTO_LIMIT},   {6, UINT64_MAX, PROTO_SEQ_GAP}, {6, 1, PROTO_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_eq(ask(1, rows[i].slot, rows[i].seq, OP(SESSION_KEEP)).status, rows[i].want,
                     "row %zu", i);
}

Test(execute, opening)
{
    w.limits.sessions_max = 3;
    cr_assert_eq(ask(2, 0, 1, OP(CREATE, AT(1, "f"))).status, PROTO_SESSION_UNKNOWN);
    cr_assert_eq(ask(2, 0, 2, OP(SESSION_OPEN, .count = 4)).status, PROTO_SESSION_UNKNOWN);
    cr_assert_eq(ask(2, 1, 1, OP(SESSION_OPEN, .count = 4)).status, PROTO_SESSION_UNKNOWN);
    cr_assert_eq(ask(2, 0, 1, OP(SESSION_OPEN, .count = 4)).value, 4);
    cr_assert_eq(ask(2, 0, 1, OP(SESSION_OPEN, .count = 4)).value, 4);
    cr_assert_eq(ask(2, 0, 2, OP(SESSION_OPEN, .count = 9)).value, 4);
    cr_assert_eq(ask(3, 0, 1, OP(SESSION_OPEN, .count = 400)).value, 32);
    cr_assert_eq(ask(4, 0, 1, OP(SESSION_OPEN, .count = 4)).status, PROTO_LIMIT);
    cr_assert_eq(ask(3, 0, 2, OP(SESSION_CLOSE)).status, PROTO_OK);
    cr_assert_eq(ask(4, 0, 1, OP(SESSION_OPEN)).value, 1);
}

Test(execute, no_session_is_all_zero)
{
    struct proto_request request = {.seq = 1, .op = OP(SESSION_OPEN, .count = 4)};
    cr_assert_eq(world_request(&w, &request).status, PROTO_SESSION_UNKNOWN);
}

Test(execute, closing)
{
    ask(2, 0, 1, OP(SESSION_OPEN, .count = 4));
    cr_assert_eq(ask(2, 3, 1, OP(CREATE, AT(1, "f"))).attr.ino, 2);
    cr_assert_eq(ask(2, 3, 2, OP(UNLINK, AT(1, "f"), .flags = PROTO_UNLINK_HOLD)).value, 2);
    cr_assert_eq(w.state.inodes, 2);
    cr_assert_eq(ask(1, 1, 1, OP(RELEASE, .ino = 2)).status, PROTO_PERM, "it is another's");
    cr_assert_eq(ask(2, 0, 2, OP(SESSION_CLOSE)).status, PROTO_OK);
    cr_assert_eq(w.state.inodes, 1);
    cr_assert_eq(w.state.sessions, 1);
    cr_assert_eq(ask(2, 0, 2, OP(SESSION_CLOSE)).status, PROTO_SESSION_UNKNOWN);
}

Test(execute, expiry)
{
    w.clock = 1000000;
    ask(2, 0, 1, OP(SESSION_OPEN, .count = 4));
    w.clock = 2000000;
    ask(1, 1, 1, OP(SESSION_KEEP));
    ask(2, 1, 1, OP(CREATE, AT(1, "f"))); /* work is no sign of life: KEEP is */
    cr_assert(!session_index_expired(w.sessions, &w.state, 2000000, 1000000));
    cr_assert(session_index_expired(w.sessions, &w.state, 2000001, 1000000));
    cr_assert_eq(expire(1500000).value, 0);
    cr_assert_eq(w.state.sessions, 2);
    w.clock = 2500000;
    expire(1000000);
    cr_assert_eq(w.state.sessions, 1);
    cr_assert_eq(ask(2, 1, 2, OP(SESSION_KEEP)).status, PROTO_SESSION_UNKNOWN);
    cr_assert_eq(ask(1, 1, 2, OP(SESSION_KEEP)).status, PROTO_OK);
}

Test(execute, an_outage_expires_nobody)
{
    w.clock = 1000000;
    ask(1, 1, 1, OP(SESSION_KEEP));
    nspace_begin_epoch(&w.state);
    w.clock = 90000000;
    expire(1000);
    cr_assert_eq(w.state.sessions, 1);
    w.clock = 90000900;
    expire(1000);
    cr_assert_eq(w.state.sessions, 1);
    w.clock = 90001001;
    expire(1000);
    cr_assert_eq(w.state.sessions, 0);
}

/* A session with much to remove goes in steps, and is known to nobody meanwhile. */
Test(execute, large_sessions_end_in_steps)
{
    char name[16];
    ask(2, 0, 1, OP(SESSION_OPEN, .count = 32));
    for (uint16_t i = 0; i < 200; i++) {
        struct proto_op create = OP(CREATE, .parent = 1);
        create.name.data = (const uint8_t *)name;
        create.name.bytes = (uint32_t)snprintf(name, sizeof name, "f%u", i);
        struct proto_op unlink = create;
        unlink.code = PROTO_UNLINK;
        unlink.flags = PROTO_UNLINK_HOLD;
        struct proto_request request = {
            .session = {2, 2, 3}, .slot = 1 + i % 31, .seq = 1 + 2 * (i / 31u), .op = create};
        cr_assert_eq(world_request(&w, &request).status, PROTO_OK);
        request.seq++;
        request.op = unlink;
        cr_assert_neq(world_request(&w, &request).value, 0);
    }
    world_check(&w);
    cr_assert_eq(ask(2, 0, 2, OP(SESSION_CLOSE)).status, PROTO_OK);
    cr_assert_eq(w.state.sessions, 2);
    cr_assert_gt(w.state.inodes, 1);
    cr_assert_eq(ask(2, 0, 3, OP(SESSION_KEEP)).status, PROTO_SESSION_UNKNOWN);
    cr_assert_eq(ask(2, 0, 1, OP(SESSION_OPEN, .count = 1)).status, PROTO_SESSION_UNKNOWN);
    unsigned steps = 0;
    while (expire(1000000000).value == 1)
        steps++;
    cr_assert(steps > 2 && steps < 20);
    cr_assert_eq(w.state.sessions, 1);
    cr_assert_eq(w.state.inodes, 1);
}

Test(execute, the_index_is_what_the_records_say)
{
    struct session_index *index;
    ask(2, 0, 1, OP(SESSION_OPEN, .count = 4));
    ask(3, 0, 1, OP(SESSION_OPEN, .count = 4));
    ask(3, 1, 1, OP(SESSION_KEEP));
    cr_assert_eq(session_index_create(&index), 0);
    for (size_t i = 0; i < w.count; i++)
        if (w.records[i].key[0] == RECORD_SESSION)
            cr_assert_eq(session_index_load_record(index, w.records[i].key, w.records[i].key_bytes,
                                                   w.records[i].value, w.records[i].value_bytes),
                         0);
    cr_assert_eq(session_index_count(index), 3);
    session_index_destroy(w.sessions);
    w.sessions = index;
    w.clock = 1000000000;
    expire(1000);
    cr_assert_eq(w.state.sessions, 0);
    cr_assert_lt(session_index_load_record(index, "S", 1, "", 0), 0);
}

static size_t probed;

static void missing(void *user, const void *key, size_t key_bytes)
{
    probed++;
}

static int miss(struct nspace_source *source, const void *key, size_t key_bytes,
                const void **ret_value, size_t *ret_bytes)
{
    return NSPACE_MISS;
}

Test(execute, probing_names_what_will_be_read)
{
    struct nspace_source empty = {miss};
    struct proto_request request = {.session = {1}, .op = OP(RENAME, AT(1, "a"), AT2(2, "b"))};
    execute_probe(&empty, &request, missing, NULL);
    cr_assert_eq(probed, 6); /* session, slot, two parents, two entries */
}
