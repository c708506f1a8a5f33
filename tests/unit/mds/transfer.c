/* A transfer between honest ends: all of it arrives as of one moment, however the ends come and go.
 */
#include "mds/transfer_frame.h"
#include "tests/unit/mds/transfer_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

enum { MANY = 100000, SOME = 30000, CHUNKS_OF_SOME = 6 };

static void expect_whole(struct rig *rig)
{
    struct replica_transfer_status status = {0};
    rig_wait(rig, rig_is_told);
    cr_assert_eq(rig->code, 0, "%s", rig->detail);
    transfer_receive_status(rig->receive, &status);
    cr_assert_eq(status.percent, 100);
    cr_assert_gt(status.chunks, 0);
    rig_expect_same(rig->source, rig->incoming);
    rig_wait(rig, rig_is_quiet);
    cr_assert_eq(rig->told, 1);
}

Test(transfer, all_of_it)
{
    static const uint64_t counts[] = {0, 1, MANY};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct rig rig;
        rig_make(&rig);
        rig_fill(&rig, 1, counts[i]);
        rig_receive(&rig);
        expect_whole(&rig);
        cr_assert_eq(rig_content(rig.incoming).records, counts[i] + 1);
        rig_finish(&rig);
    }
}

/* Each look at the loop is one more batch of the source's. */
static bool told_while_it_is_written(struct rig *rig)
{
    rig_fill(rig, rig->state.state.inodes + 1, 10);
    return rig->told > 0;
}

Test(transfer, one_moment_of_a_store_that_is_written)
{
    struct rig rig;
    struct state_record state;
    struct record_key key = record_key_state();
    void *value;
    size_t bytes;
    rig_make(&rig);
    rig_fill(&rig, 1, SOME);
    rig_receive(&rig);
    rig_wait(&rig, told_while_it_is_written);
    cr_assert_eq(rig.code, 0, "%s", rig.detail);
    cr_assert_eq(rig.named, RIG_NAMED);
    cr_assert_eq(store_get(rig.incoming, key.bytes, key.count, &value, &bytes, NULL), 0);
    cr_assert_eq(record_read_state(value, bytes, &state), 0);
    free(value);
    struct content content = rig_content(rig.incoming);
    cr_assert_eq(content.records, state.state.inodes + 1);
    cr_assert(hash128_equal(content.digest, state.state.digest));
    cr_assert_lt(state.index, rig.state.index);
    rig_finish(&rig);
}

/* After a while. */
static bool told_while_the_store_follows(struct rig *rig)
{
    static unsigned looks;
    cr_assert(!rig->told || rig->state.index == rig->reaches);
    if (++looks == 30)
        rig_fill(rig, rig->state.state.inodes + 1, 1);
    return rig->told > 0;
}

/* The store lags behind what was applied, and the records of that time are forgotten. */
Test(transfer, a_snapshot_that_is_too_old_is_taken_anew)
{
    struct rig rig;
    rig_make(&rig);
    rig_fill(&rig, 1, SOME);
    rig.reaches = rig.state.index + 1;
    rig_receive(&rig);
    rig_wait(&rig, told_while_the_store_follows);
    cr_assert_eq(rig.code, 0, "%s", rig.detail);
    rig_expect_same(rig.source, rig.incoming);
    rig_finish(&rig);
}

/* Who has a vote still takes only what comes after all that it may have stored, and of nobody who
 * may need that vote. */
Test(transfer, a_state_that_may_need_the_receivers_vote_is_refused)
{
    for (uint64_t epoch = 4; epoch <= 7; epoch++) {
        bool lists = epoch == 7, refused = epoch < 5 || lists;
        struct rig rig;
        struct error error;
        rig_make(&rig);
        rig.state.epoch = epoch;
        rig.lists = lists;
        rig_fill(&rig, 1, SOME);
        cr_assert_eq(store_memory_create(&rig.incoming, NULL), 0);
        struct transfer_receive_config config = rig_receive_config(&rig);
        config.epoch_least = 5;
        cr_assert_eq(transfer_receive_start(&config, &rig.receive, &error), 0, "%s", error.text);
        rig_wait(&rig, rig_is_told);
        cr_assert_eq(rig.code, refused ? -ESTALE : 0, "%d: %s", rig.code, rig.detail);
        cr_assert_eq(rig_content(rig.incoming).records, refused ? 0 : SOME + 1);
        rig_finish(&rig);
    }
}

static uint64_t chunks_wanted;

static bool so_many_chunks(struct rig *rig)
{
    struct replica_transfer_status status = {0};
    transfer_receive_status(rig->receive, &status);
    cr_assert_eq(rig->told, 0, "%s", rig->detail);
    return status.chunks >= chunks_wanted;
}

/* Returns when so many chunks are here. */
static void receive_chunks(struct rig *rig, uint64_t count)
{
    rig_receive(rig);
    chunks_wanted = count;
    rig_wait(rig, so_many_chunks);
}

Test(transfer, the_giving_end_dies)
{
    for (uint64_t chunks = 0; chunks < CHUNKS_OF_SOME; chunks++) {
        struct rig rig;
        rig_make(&rig);
        rig_fill(&rig, 1, MANY);
        receive_chunks(&rig, chunks);
        transfer_sender_destroy(rig.sender);
        rig.sender = NULL;
        net_transport_destroy(rig.transport);
        rig.transport = net_tcp_create(rig.loop);
        rig_wait(&rig, rig_is_told);
        cr_assert_lt(rig.code, 0);
        cr_assert_neq(strlen(rig.detail), 0);
        rig_finish(&rig);
    }
}

Test(transfer, the_giving_end_gives_up)
{
    for (uint64_t chunks = 0; chunks < CHUNKS_OF_SOME; chunks++) {
        struct rig rig;
        rig_make(&rig);
        rig_fill(&rig, 1, MANY);
        receive_chunks(&rig, chunks);
        transfer_sender_destroy(rig.sender);
        rig.sender = NULL;
        rig_wait(&rig, rig_is_told);
        cr_assert_eq(rig.code, -ECONNRESET, "%d: %s", rig.code, rig.detail);
        rig_finish(&rig);
    }
}

Test(transfer, the_taking_end_dies_and_comes_again)
{
    struct rig rig;
    rig_make(&rig);
    rig_fill(&rig, 1, MANY);
    for (uint64_t chunks = 0; chunks < 3; chunks++) {
        receive_chunks(&rig, chunks);
        rig_forget(&rig);
        rig_wait(&rig, rig_is_quiet);
    }
    rig_receive(&rig);
    expect_whole(&rig);
    rig_finish(&rig);
}

Test(transfer, nobody_is_there)
{
    struct rig rig;
    rig_make(&rig);
    net_unlisten(rig.listener);
    struct net_listener gone = {.address = "127.0.0.1:1"};
    rig.listener = &gone;
    rig_receive(&rig);
    rig_wait(&rig, rig_is_told);
    cr_assert_eq(rig.code, -ECONNRESET, "%d: %s", rig.code, rig.detail);
    rig_finish(&rig);
}

Test(transfer, an_address_that_is_none)
{
    struct rig rig;
    struct error error = {{0}};
    rig_make(&rig);
    struct transfer_receive_config config = rig_receive_config(&rig);
    config.address = "no address";
    cr_assert_lt(transfer_receive_start(&config, &rig.receive, &error), 0);
    cr_assert_neq(strlen(error.text), 0);
    cr_assert_eq(rig.told, 0);
    rig.receive = NULL;
    rig_finish(&rig);
}

/* --- stores that fail --- */

static int fail_write(struct store *store, const struct store_batch *batch, bool sync,
                      struct error *error)
{
    return error_set(error, -ENOSPC, "the disk is full");
}

static int fail_sync(struct store *store, const struct store_batch *batch, bool sync,
                     struct error *error)
{
    return sync ? error_set(error, -EIO, "the sync failed") : 0;
}

static int fail_snapshot(struct store *store, struct store_snapshot **ret_snapshot,
                         struct error *error)
{
    return error_set(error, -EUCLEAN, "the table is damaged");
}

static void receive_with(struct rig *rig,
                         int (*write)(struct store *store, const struct store_batch *batch,
                                      bool sync, struct error *error))
{
    static struct store_ops ops;
    rig_receive(rig);
    ops = *rig->incoming->ops;
    ops.write = write;
    rig->incoming->ops = &ops;
    rig_wait(rig, rig_is_told);
}

Test(transfer, the_new_store_fails)
{
    struct rig rig;
    rig_make(&rig);
    rig_fill(&rig, 1, SOME);
    receive_with(&rig, fail_write);
    cr_assert_eq(rig.code, -ENOSPC);
    cr_assert_str_eq(rig.detail, "the disk is full");
    rig_forget(&rig);
    receive_with(&rig, fail_sync);
    cr_assert_eq(rig.code, -EIO);
    cr_assert_str_eq(rig.detail, "the sync failed");
    rig_finish(&rig);
}

Test(transfer, the_giving_store_fails)
{
    struct rig rig;
    static struct store_ops ops;
    rig_make(&rig);
    rig_fill(&rig, 1, SOME);
    ops = *rig.source->ops;
    ops.snapshot_open = fail_snapshot;
    rig.source->ops = &ops;
    rig_receive(&rig);
    rig_wait(&rig, rig_is_told);
    cr_assert_eq(rig.code, -ECONNRESET, "%d: %s", rig.code, rig.detail);
    cr_assert_eq(rig.damaged, 1);
    cr_assert(rig_is_quiet(&rig));
    rig_finish(&rig);
}

Test(transfer, a_store_without_a_state_is_not_given)
{
    struct rig rig;
    rig_make(&rig);
    rig_receive(&rig);
    rig_wait(&rig, rig_is_told);
    cr_assert_eq(rig.code, -ECONNRESET, "%d: %s", rig.code, rig.detail);
    rig_finish(&rig);
}

/* --- what the giving end is told --- */

static void on_opened(struct net_conn *conn)
{
}

struct stranger {
    struct net_conn *conn;
    uint16_t type;
    uint8_t bytes[8];
    uint32_t count;
    bool closed;
    enum net_reason reason;
};

/* Answers the beginning with what it was told to. */
static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct stranger *stranger = conn->user;
    if (frame->type == TRANSFER_BEGIN)
        cr_assert_eq(net_send(conn, stranger->type, stranger->bytes, stranger->count, NULL), 0);
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct stranger *stranger = conn->user;
    stranger->closed = true;
    stranger->reason = reason;
}

static const struct net_handlers stranger_handlers = {
    .opened = on_opened, .frame = on_frame, .closed = on_closed};

static struct stranger strangers[GATES_MAX];

static void connect_stranger(struct rig *rig, struct stranger *stranger)
{
    static const struct net_limits limits = {.frame_bytes_max = 1 << 20,
                                             .queue_bytes_max = 1 << 20};
    struct transfer_receive_config config = rig_receive_config(rig);
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    struct error error;
    size_t count = net_hello_encode(&config.hello, bytes);
    cr_assert_eq(net_connect(rig->other, config.address, NULL, &limits, &stranger_handlers,
                             stranger, &stranger->conn, &error),
                 0);
    cr_assert_eq(net_send(stranger->conn, NET_FRAME_HELLO, bytes, (uint32_t)count, NULL), 0);
}

static bool first_closed(struct rig *rig)
{
    return strangers[0].closed;
}

Test(transfer, credits_that_cannot_be)
{
    static const struct stranger cases[] = {
        {.type = TRANSFER_CREDIT, .bytes = {TRANSFER_CREDITS + 1}, .count = 4},
        {.type = TRANSFER_CREDIT, .bytes = {255, 255, 255, 255}, .count = 4},
        {.type = TRANSFER_CREDIT, .bytes = {1}, .count = 3},
        {.type = TRANSFER_CREDIT, .bytes = {1}, .count = 5},
        {.type = TRANSFER_CREDIT, .count = 0},
        {.type = TRANSFER_CHUNK, .bytes = {1}, .count = 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig rig;
        rig_make(&rig);
        rig_fill(&rig, 1, 10);
        strangers[0] = cases[i];
        connect_stranger(&rig, &strangers[0]);
        rig_wait(&rig, first_closed);
        cr_assert_eq(strangers[0].reason, NET_REASON_PEER);
        cr_assert(rig_is_quiet(&rig));
        rig_finish(&rig);
    }
}

static bool third_closed(struct rig *rig)
{
    return strangers[2].closed;
}

Test(transfer, no_more_than_so_many_at_once)
{
    struct rig rig;
    rig_make(&rig);
    rig_fill(&rig, 1, 10);
    for (int i = 0; i < TRANSFER_SENDERS_MAX + 1; i++) {
        strangers[i].type = TRANSFER_CREDIT;
        strangers[i].count = 4;
        connect_stranger(&rig, &strangers[i]);
    }
    rig_wait(&rig, third_closed);
    cr_assert_eq(strangers[2].reason, NET_REASON_PEER);
    cr_assert_eq(transfer_sender_count(rig.sender), TRANSFER_SENDERS_MAX);
    cr_assert(!strangers[0].closed && !strangers[1].closed);
    rig_finish(&rig);
}
