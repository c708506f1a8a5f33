/* client/session*.c against fake replicas that do everything wrong at chosen points. */
#include "tests/unit/client/harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct harness h;

/* Everything was answered, each with the answer to its own question, and done once. */
static void check_complete(uint32_t writes)
{
    cr_expect(h.answered == h.submitted && h.failed == 0, "%u answered, %u failed of %u",
              h.answered, h.failed, h.submitted);
    cr_expect(h.wrong == 0, "%u wrong answers", h.wrong);
    cr_expect(h.table.writes == writes, "%lu writes done instead of %u",
              (unsigned long)h.table.writes, writes);
    cr_expect(h.table.violations == 0, "%lu violations", (unsigned long)h.table.violations);
    cr_expect(h.table.sessions == 1);
}

Test(session, answers)
{
    harness_setup(&h, 1);
    harness_begin(&h);
    harness_write(&h, 100);
    harness_read(&h, 100);
    harness_run(&h);
    check_complete(100);
    cr_expect(h.table.reads == 100 && h.connected == 1 && h.disconnected == 0);
    struct client_session_status status;
    client_session_get_status(h.session, &status);
    cr_expect(status.connected && status.requests == 0 && status.connects == 1);
    cr_expect(!strcmp(status.peer, h.addresses[0]));
    cr_expect(!strcmp(status.trouble, ""));
    harness_teardown(&h);
}

/* --- one fault at the n-th request --- */

struct fault {
    const char *name;
    enum fake_act act;
    uint32_t at; /* the n-th request that arrives, the session's opening included */
    uint32_t left;
    bool reconnects;
};

static enum fake_act fault_plan(void *user, const struct proto_request *request)
{
    struct fault *fault = user;
    return --fault->left == 0 ? fault->act : FAKE_ANSWER;
}

static void run_fault(struct fault fault, uint32_t fakes)
{
    harness_setup(&h, fakes);
    fault.left = fault.at;
    for (uint32_t i = 0; i < fakes; i++) {
        h.fakes[i].plan = fault_plan;
        h.fakes[i].user = &fault;
    }
    harness_begin(&h);
    for (int i = 0; i < 10; i++) {
        harness_write(&h, 5);
        harness_read(&h, 3);
    }
    harness_run(&h);
    check_complete(50);
    cr_expect((h.disconnected > 0) == (fault.reconnects && fault.at > 1), "%s at %u: %u reconnects",
              fault.name, fault.at, h.disconnected);
    harness_teardown(&h);
}

Test(session, one_fault)
{
    static const struct fault faults[] = {
        {"dropped before", FAKE_DROP_BEFORE, .reconnects = true},
        {"dropped after", FAKE_DROP_AFTER, .reconnects = true},
        {"garbage", FAKE_GARBAGE, .reconnects = true},
        {"truncated", FAKE_TRUNCATED, .reconnects = true},
        {"stray", FAKE_STRAY, .reconnects = false},
        {"twice", FAKE_TWICE, .reconnects = false},
    };
    static const uint32_t places[] = {1, 2, 3, 17, 40, 79, 81};
    for (size_t f = 0; f < sizeof faults / sizeof *faults; f++)
        for (size_t p = 0; p < sizeof places / sizeof *places; p++)
            for (uint32_t fakes = 1; fakes <= 2; fakes++) {
                struct fault fault = faults[f];
                fault.at = places[p];
                run_fault(fault, fakes);
            }
}

/* --- faults at random, three replicas --- */

static enum fake_act random_plan(void *user, const struct proto_request *request)
{
    static const enum fake_act acts[] = {FAKE_DROP_BEFORE, FAKE_DROP_AFTER, FAKE_GARBAGE,
                                         FAKE_TRUNCATED,   FAKE_STRAY,      FAKE_TWICE};
    struct prng *prng = user;
    return prng_chance(prng, 1, 25) ? acts[prng_below(prng, 6)] : FAKE_ANSWER;
}

Test(session, random_faults)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct prng prng;
        uint64_t repeats = 0;
        prng_init(&prng, seed);
        harness_setup(&h, 3);
        h.config.random[3] = seed;
        h.config.first = UINT32_MAX;
        for (int i = 0; i < 3; i++) {
            h.fakes[i].plan = random_plan;
            h.fakes[i].user = &prng;
        }
        harness_begin(&h);
        harness_write(&h, 150);
        harness_read(&h, 50);
        harness_run(&h);
        check_complete(150);
        repeats += h.table.repeats;
        cr_expect(h.disconnected > 0 && repeats > 0, "seed %lu: no fault fired",
                  (unsigned long)seed);
        harness_teardown(&h);
    }
}

/* --- bounds --- */

Test(session, slots_bound_what_is_out)
{
    harness_setup(&h, 1);
    h.table.slots_granted = 5; /* of 8 wanted */
    harness_begin(&h);
    harness_run_ms(&h, 50);
    cr_assert(h.connected == 1);
    h.fakes[0].act = FAKE_SILENT;
    h.fakes[0].received = 0;
    harness_write(&h, 50);
    harness_read(&h, 50);
    harness_run_ms(&h, 50);
    cr_expect(h.fakes[0].received == 10, "%lu requests are out instead of 5 and 5",
              (unsigned long)h.fakes[0].received);
    cr_expect(h.answered == 0);
    h.fakes[0].act = FAKE_ANSWER;
    fake_drop_all(&h.fakes[0]);
    harness_run(&h);
    check_complete(50);
    cr_expect(h.table.repeats == 5);
    harness_teardown(&h);
}

Test(session, queue_is_bounded)
{
    struct proto_credentials nobody = {0};
    harness_setup(&h, 1);
    harness_begin(&h);
    harness_write(&h, CLIENT_SESSION_REQUESTS_MAX - 1); /* and PROTO_SESSION_OPEN */
    struct proto_op op = {.code = PROTO_GETATTR, .ino = 1};
    cr_expect(client_session_submit(h.session, &nobody, &op, NULL, NULL, NULL) == -EAGAIN);
    harness_run(&h);
    check_complete(CLIENT_SESSION_REQUESTS_MAX - 1);
    cr_expect(client_session_submit(h.session, &nobody, &op, NULL, NULL, NULL) == 0);
    harness_teardown(&h);
}

Test(session, full_send_queue)
{
    static uint8_t big[PROTO_INLINE_BYTES_MAX];
    struct proto_credentials nobody = {0};
    harness_setup(&h, 1);
    h.config.slots = 512;
    harness_begin(&h);
    harness_run_ms(&h, 50);
    fake_pause(&h.fakes[0], true);
    for (int i = 0; i < 400; i++) { /* 25 MiB */
        struct proto_op op = {.code = PROTO_WRITE, .ino = 1, .data = {big, sizeof big}};
        cr_assert(client_session_submit(h.session, &nobody, &op, NULL, NULL, NULL) == 0);
    }
    harness_write(&h, 1);
    harness_run_ms(&h, 100);
    cr_expect(h.answered == 0);
    fake_pause(&h.fakes[0], false);
    harness_run(&h);
    harness_run_ms(&h, 50);
    cr_expect(h.table.writes == 401 && h.table.violations == 0 && h.disconnected == 0);
    harness_teardown(&h);
}

Test(session, refuses_what_clients_may_not_ask)
{
    static const enum proto_opcode wrong[] = {
        PROTO_SESSION_OPEN, PROTO_SESSION_KEEP, PROTO_SESSION_EXPIRE, 0, 63, 200};
    struct proto_credentials nobody = {0};
    harness_setup(&h, 1);
    harness_begin(&h);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct proto_op op = {.code = wrong[i]};
        cr_expect(client_session_submit(h.session, &nobody, &op, NULL, NULL, NULL) == -EINVAL,
                  "operation %d is taken", wrong[i]);
    }
    struct proto_op op = {.code = PROTO_LOOKUP, .parent = 1, .name = {(const uint8_t *)"a/b", 3}};
    cr_expect(client_session_submit(h.session, &nobody, &op, NULL, NULL, NULL) == -EINVAL);
    harness_teardown(&h);
}

/* --- replicas that are not fit --- */

Test(session, unfit_replicas_are_passed_over)
{
    static const struct {
        enum fake_hello hello;
        const char *trouble;
        bool malformed;
    } cases[] = {
        {FAKE_HELLO_REFUSED, "refused: not today?", false},
        {FAKE_HELLO_NONE, "no cluster", false},
        {FAKE_HELLO_BAD, "malformed hello", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        harness_setup(&h, 2);
        h.fakes[0].hello = cases[i].hello;
        harness_begin(&h);
        harness_write(&h, 20);
        harness_run(&h);
        check_complete(20);
        struct client_session_status status;
        client_session_get_status(h.session, &status);
        cr_expect(strstr(status.trouble, cases[i].trouble), "'%s'", status.trouble);
        cr_expect(status.malformed == cases[i].malformed);
        cr_expect(h.fakes[1].accepted == 1);
        harness_teardown(&h);
    }
}

Test(session, sticks_to_its_cluster)
{
    harness_setup(&h, 2);
    h.fakes[1].hello = FAKE_HELLO_OTHER;
    harness_begin(&h);
    harness_write(&h, 10);
    harness_run(&h);
    fake_drop_all(&h.fakes[0]);
    harness_write(&h, 10);
    harness_run(&h);
    check_complete(20);
    cr_expect(h.fakes[1].accepted == 1 && h.fakes[1].received == 0);
    cr_expect(h.table.clusters_seen >= 2, "it does not say which cluster it wants");
    harness_teardown(&h);
}

Test(session, silence_moves_it)
{
    harness_setup(&h, 2);
    h.config.stall_ns = 50 * 1000 * 1000;
    h.fakes[0].act = FAKE_SILENT;
    harness_begin(&h);
    harness_write(&h, 30);
    harness_run(&h);
    check_complete(30);
    struct client_session_status status;
    client_session_get_status(h.session, &status);
    cr_expect(status.stalls > 0 && !strcmp(status.peer, h.addresses[1]));
    harness_teardown(&h);
}

/* The first write is executed and its answer lost; everything else is answered. */
static enum fake_act lost_plan(void *user, const struct proto_request *request)
{
    uint32_t *writes = user;
    bool lost = request->op.code != PROTO_SESSION_KEEP && proto_op_info(request->op.code)->write &&
                request->op.code != PROTO_SESSION_OPEN && (*writes)++ == 0;
    return lost ? FAKE_SILENT : FAKE_ANSWER;
}

Test(session, one_lost_answer_is_noticed_among_keepalives)
{
    uint32_t writes = 0;
    harness_setup(&h, 2);
    h.config.stall_ns = 100 * 1000 * 1000;
    h.config.keepalive_ns = 10 * 1000 * 1000;
    h.fakes[0].plan = lost_plan;
    h.fakes[0].user = &writes;
    harness_begin(&h);
    harness_write(&h, 5);
    harness_run(&h);
    cr_expect(h.answered == 5 && h.failed == 0 && h.wrong == 0, "%u answered", h.answered);
    cr_expect(writes > 0 && h.table.violations == 0);
    struct client_session_status status;
    client_session_get_status(h.session, &status);
    cr_expect(status.stalls > 0);
    harness_teardown(&h);
}

Test(session, moves_when_told)
{
    harness_setup(&h, 3);
    harness_begin(&h);
    for (uint32_t i = 0; i < 6; i++) {
        harness_write(&h, 20);
        client_session_move(h.session, i);
        harness_run(&h);
        struct client_session_status status;
        client_session_get_status(h.session, &status);
        cr_expect(!strcmp(status.peer, h.addresses[i % 3]));
    }
    check_complete(120);
    harness_teardown(&h);
}

/* --- whom it asks --- */

static void expect_peer(const char *address)
{
    struct client_session_status status;
    client_session_get_status(h.session, &status);
    cr_expect_str_eq(status.peer, address);
}

/* The whole list that the user gave is replaced, one by one. */
Test(session, follows_the_group_where_nobody_configured_is_left)
{
    char a[32], b[32], c[32];
    harness_setup(&h, 3);
    strcpy(a, h.addresses[0]), strcpy(b, h.addresses[1]), strcpy(c, h.addresses[2]);
    h.config.address_count = 1;
    harness_begin(&h);
    harness_write(&h, 10);
    harness_run(&h);
    expect_peer(a);
    fake_tell(&h.fakes[0], 5, (const char *const[]){a, b, NULL});
    fake_tell(&h.fakes[1], 6, (const char *const[]){b, c, NULL});
    harness_write(&h, 10);
    harness_run(&h);
    fake_stop(&h.fakes[0]);
    harness_write(&h, 10);
    harness_run(&h);
    expect_peer(b);
    fake_stop(&h.fakes[1]);
    harness_write(&h, 10);
    harness_run(&h);
    expect_peer(c);
    check_complete(40);
    harness_teardown(&h);
}

Test(session, an_older_word_on_the_members_is_not_believed)
{
    char a[32], b[32];
    harness_setup(&h, 2);
    strcpy(a, h.addresses[0]), strcpy(b, h.addresses[1]);
    h.config.address_count = 1;
    harness_begin(&h);
    harness_write(&h, 1);
    harness_run(&h);
    fake_tell(&h.fakes[0], 5, (const char *const[]){a, b, NULL});
    fake_tell(&h.fakes[0], 4, (const char *const[]){a, NULL});
    fake_tell(&h.fakes[0], 6, (const char *const[]){NULL});
    harness_write(&h, 1);
    harness_run(&h);
    fake_stop(&h.fakes[0]);
    harness_write(&h, 10);
    harness_run(&h);
    expect_peer(b);
    check_complete(12);
    harness_teardown(&h);
}

/* Those that the group left out are asked when nobody else answers. */
Test(session, who_is_not_in_the_group_is_asked_last)
{
    harness_setup(&h, 3);
    harness_begin(&h);
    fake_tell(&h.fakes[0], 5, (const char *const[]){h.addresses[0], h.addresses[2], NULL});
    harness_write(&h, 10);
    harness_run(&h);
    fake_drop_all(&h.fakes[0]);
    h.fakes[0].hello = FAKE_HELLO_REFUSED;
    harness_write(&h, 10);
    harness_run(&h);
    expect_peer(h.addresses[2]);
    h.fakes[2].hello = FAKE_HELLO_REFUSED;
    fake_drop_all(&h.fakes[2]);
    harness_write(&h, 10);
    harness_run(&h);
    expect_peer(h.addresses[1]);
    check_complete(30);
    harness_teardown(&h);
}

Test(session, clients_spread)
{
    uint32_t chosen[3] = {0};
    for (uint64_t i = 0; i < 60; i++) {
        harness_setup(&h, 3);
        h.config.first = UINT32_MAX;
        h.config.random[2] = 1000 + i;
        harness_begin(&h);
        harness_write(&h, 1);
        harness_run(&h);
        for (uint32_t k = 0; k < 3; k++)
            chosen[k] += h.fakes[k].accepted == 1;
        harness_teardown(&h);
    }
    cr_expect(chosen[0] + chosen[1] + chosen[2] == 60);
    for (uint32_t k = 0; k < 3; k++)
        cr_expect(chosen[k] >= 5, "%u of 60 at replica %u", chosen[k], k);
}

Test(session, remembers_members_of_an_earlier_time)
{
    struct net_members known = {.epoch = 3, .count = 1};
    harness_setup(&h, 2);
    strcpy(known.addresses[0], h.addresses[1]);
    h.config.address_count = 1;
    h.config.known = &known;
    fake_stop(&h.fakes[0]);
    harness_begin(&h);
    harness_write(&h, 10);
    harness_run(&h);
    check_complete(10);
    harness_teardown(&h);
}

static uint32_t told;
static void on_members(void *user, const struct net_members *members)
{
    told++;
    cr_expect(members->count == told && members->epoch == 4 + told);
}

Test(session, says_who_the_members_are_where_that_is_news)
{
    harness_setup(&h, 2);
    h.config.members = on_members;
    harness_begin(&h);
    harness_write(&h, 1);
    harness_run(&h);
    const char *const one[] = {h.addresses[0], NULL}, *const two[] = {h.addresses[0], "b:1", NULL};
    fake_tell(&h.fakes[0], 5, one);
    fake_tell(&h.fakes[0], 5, one);
    fake_tell(&h.fakes[0], 6, two);
    fake_tell(&h.fakes[0], 5, one);
    harness_write(&h, 1);
    harness_run(&h);
    cr_expect(told == 2);
    harness_teardown(&h);
}

/* A second replica joins: about half of the clients go there, without a break. */
Test(session, some_go_to_one_that_joined)
{
    enum { CLIENTS = 16 };
    uint32_t moved = 0;
    for (uint64_t i = 0; i < CLIENTS; i++) {
        struct client_session_status status;
        harness_setup(&h, 2);
        const char *const both[] = {h.addresses[0], h.addresses[1], NULL};
        h.config.address_count = 1;
        h.config.first = UINT32_MAX;
        h.config.balance_ns = 10 * 1000 * 1000;
        h.config.random[2] = 77 + i;
        harness_begin(&h);
        harness_write(&h, 20);
        harness_run(&h);
        fake_tell(&h.fakes[0], 5, both);
        fake_tell(&h.fakes[1], 5, both);
        harness_write(&h, 20);
        harness_run_ms(&h, 60);
        harness_write(&h, 20);
        harness_run(&h);
        check_complete(60);
        client_session_get_status(h.session, &status);
        cr_expect(status.moves <= 1 && h.fakes[1].accepted == status.moves);
        expect_peer(h.addresses[status.moves]);
        moved += (uint32_t)status.moves;
        harness_teardown(&h);
    }
    cr_expect(moved > 0 && moved < CLIENTS, "%u of %u moved", moved, CLIENTS);
}

Test(session, one_that_joined_and_does_not_answer_costs_nothing)
{
    static const enum fake_hello bad[] = {FAKE_HELLO_SILENT, FAKE_HELLO_REFUSED, FAKE_HELLO_BAD,
                                          FAKE_HELLO_OTHER};
    for (uint64_t i = 0; i < 16; i++) {
        harness_setup(&h, 2);
        const char *const both[] = {h.addresses[0], h.addresses[1], NULL};
        h.config.address_count = 1;
        h.config.first = UINT32_MAX;
        h.config.balance_ns = 10 * 1000 * 1000;
        h.config.random[2] = 177 + i;
        h.fakes[0].members = (struct net_members){.epoch = 5};
        h.fakes[1].hello = bad[i % 4];
        harness_begin(&h);
        harness_write(&h, 1);
        harness_run(&h);
        fake_tell(&h.fakes[0], 5, both);
        harness_write(&h, 20);
        harness_run_ms(&h, 60);
        harness_write(&h, 20);
        harness_run(&h);
        check_complete(41);
        expect_peer(h.addresses[0]);
        cr_expect(h.connected == 1 && h.disconnected == 0 && h.fakes[1].accepted <= 1);
        harness_teardown(&h);
    }
}

/* --- the end of a session --- */

struct refusal {
    enum proto_opcode code;
    uint32_t left; /* refuse the n-th of that kind */
};

static enum fake_act refusal_plan(void *user, const struct proto_request *request)
{
    struct refusal *refusal = user;
    if (request->op.code == refusal->code && refusal->left && --refusal->left == 0)
        return FAKE_REFUSE;
    return FAKE_ANSWER;
}

Test(session, an_unknown_outcome_ends_it)
{
    static const enum proto_status fatal[] = {PROTO_SESSION_UNKNOWN, PROTO_SEQ_OLD, PROTO_SEQ_GAP};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        struct refusal refusal = {PROTO_CUT_DONE, 10};
        harness_setup(&h, 1);
        h.fakes[0].status = fatal[i];
        h.fakes[0].plan = refusal_plan;
        h.fakes[0].user = &refusal;
        harness_begin(&h);
        harness_write(&h, 100);
        harness_run(&h);
        cr_expect(h.ended == 1);
        cr_expect(h.answered == 9 && h.failed == 91, "%u answered, %u failed", h.answered,
                  h.failed);
        cr_expect(h.last_code == -ESHUTDOWN && h.wrong == 0);
        struct proto_credentials nobody = {0};
        struct proto_op op = {.code = PROTO_GETATTR, .ino = 1};
        cr_expect(client_session_submit(h.session, &nobody, &op, NULL, NULL, NULL) == -ESHUTDOWN);
        harness_teardown(&h);
    }
}

Test(session, too_many_sessions)
{
    struct refusal refusal = {PROTO_SESSION_OPEN, 1};
    harness_setup(&h, 1);
    h.fakes[0].status = PROTO_LIMIT;
    h.fakes[0].plan = refusal_plan;
    h.fakes[0].user = &refusal;
    harness_begin(&h);
    harness_write(&h, 3);
    harness_run(&h);
    cr_expect(h.ended == 1 && h.failed == 3 && h.connected == 0);
    harness_teardown(&h);
}

Test(session, a_refused_request_leaves_no_gap)
{
    struct refusal refusal = {PROTO_CUT_DONE, 10};
    harness_setup(&h, 1);
    h.fakes[0].status = PROTO_BAD_REQUEST;
    h.fakes[0].plan = refusal_plan;
    h.fakes[0].user = &refusal;
    harness_begin(&h);
    harness_write(&h, 100);
    harness_run(&h);
    check_complete(99);
    harness_teardown(&h);
}

Test(session, close)
{
    struct proto_credentials nobody = {0};
    struct proto_op close_op = {.code = PROTO_SESSION_CLOSE};
    static uint8_t seen;
    harness_setup(&h, 1);
    harness_begin(&h);
    harness_write(&h, 10);
    harness_run(&h);
    h.fakes[0].act = FAKE_SILENT;
    harness_write(&h, 3);
    harness_run_ms(&h, 20);
    h.fakes[0].act = FAKE_ANSWER;
    cr_assert(client_session_submit(h.session, &nobody, &close_op, NULL, &seen, NULL) == 0);
    cr_expect(client_session_submit(h.session, &nobody, &close_op, NULL, &seen, NULL) ==
              -ESHUTDOWN);
    harness_run(&h);
    cr_expect(h.failed == 3 && h.last_code == -ESHUTDOWN && h.ended == 0 && h.table.closes == 1);
    harness_teardown(&h);
}

Test(session, closed_before_it_was_open)
{
    struct proto_credentials nobody = {0};
    struct proto_op close_op = {.code = PROTO_SESSION_CLOSE};
    harness_setup(&h, 1);
    harness_begin(&h);
    harness_write(&h, 20);
    cr_assert(client_session_submit(h.session, &nobody, &close_op, NULL, NULL, NULL) == 0);
    harness_run(&h);
    harness_run_ms(&h, 30);
    cr_expect(h.answered + h.failed == 20 && h.wrong == 0 && h.ended == 0);
    cr_expect(h.table.closes == 1 && h.table.violations == 0);
    cr_expect(client_session_submit(h.session, &nobody, &close_op, NULL, NULL, NULL) == -ESHUTDOWN);
    harness_teardown(&h);
}

Test(session, end)
{
    harness_setup(&h, 1);
    harness_begin(&h);
    harness_write(&h, 10);
    client_session_end(h.session);
    cr_expect(h.failed == 10 && h.last_code == -ESHUTDOWN && h.ended == 0);
    harness_run_ms(&h, 30);
    cr_expect(h.fakes[0].accepted == 0);
    harness_teardown(&h);
}

Test(session, destroyed_with_requests_out)
{
    harness_setup(&h, 1);
    harness_begin(&h);
    h.fakes[0].plan = NULL;
    harness_write(&h, 100);
    harness_run_ms(&h, 2);
    client_session_destroy(h.session);
    h.session = NULL;
    harness_run_ms(&h, 20);
    cr_expect(h.failed == 0 && h.wrong == 0);
    harness_teardown(&h);
}

/* --- the rest --- */

Test(session, signs_of_life)
{
    harness_setup(&h, 1);
    h.config.keepalive_ns = 10 * 1000 * 1000;
    harness_begin(&h);
    harness_run_ms(&h, 200);
    cr_expect(h.table.keeps >= 5, "%lu signs of life", (unsigned long)h.table.keeps);
    cr_expect(h.table.violations == 0);
    fake_drop_all(&h.fakes[0]);
    harness_write(&h, 20);
    harness_run(&h);
    check_complete(20);
    harness_teardown(&h);
}

static void count(void *user, int code, const struct proto_reply *reply)
{
    ++*(uint32_t *)user;
}

Test(session, forgotten_requests_go_on)
{
    struct proto_credentials nobody = {0};
    uint64_t tags[40];
    uint32_t called = 0;
    harness_setup(&h, 1);
    harness_begin(&h);
    for (int i = 0; i < 40; i++) {
        struct proto_op op = {.code = PROTO_CUT_DONE, .ino = 1, .value = 1};
        cr_assert(client_session_submit(h.session, &nobody, &op, count, &called, &tags[i]) == 0);
    }
    for (int i = 0; i < 40; i += 2)
        client_session_forget(h.session, tags[i]);
    client_session_forget(h.session, 12345);
    harness_run_ms(&h, 50);
    cr_expect(called == 20 && h.table.writes == 40 && h.table.violations == 0);
    harness_teardown(&h);
}

Test(session, no_replica_yet)
{
    harness_setup(&h, 2);
    net_unlisten(h.fakes[0].listener);
    net_unlisten(h.fakes[1].listener);
    static char a[64], b[64];
    strcpy(a, h.addresses[0]);
    strcpy(b, h.addresses[1]);
    h.addresses[0] = a;
    h.addresses[1] = b;
    harness_begin(&h);
    harness_write(&h, 5);
    harness_run_ms(&h, 200);
    cr_expect(h.answered == 0 && h.failed == 0 && h.connected == 0);
    struct client_session_status status;
    client_session_get_status(h.session, &status);
    cr_expect(strlen(status.trouble) > strlen(a), "'%s'", status.trouble);
    harness_teardown(&h);
}
