/* The journal: stored in order, recovered whole, flushed only behind the log, forgotten only behind
 * the store and the others. */
#include "mds/journal.h"
#include "net/loop_uv.h"
#include "tests/unit/store/memory_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct rig {
    struct memory_disk *memory;
    struct loop *loop;
    struct journal *journal;
    struct gcs_position applied;
    uint64_t retain_bytes;
    uint64_t stored_seq, wait_stored, allowed, by_all_seq;
    uint64_t remembered, remembered_first;
    bool saved;
    int failed;
    uint64_t recovered, recover_next;
};

static void on_stored(void *user, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    struct rig *rig = user;
    cr_assert_gt(seq, rig->stored_seq);
    rig->stored_seq = seq;
    if (seq >= rig->wait_stored)
        loop_uv_stop(rig->loop);
}

static void on_saved(void *user)
{
    struct rig *rig = user;
    rig->saved = true;
    loop_uv_stop(rig->loop);
}

static void on_allowed(void *user, uint64_t index)
{
    struct rig *rig = user;
    cr_assert_gt(index, rig->allowed);
    rig->allowed = index;
}

static bool on_stored_by_all(void *user, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    const struct rig *rig = user;
    return seq <= rig->by_all_seq;
}

static void on_failed(void *user, int code, const char *detail)
{
    struct rig *rig = user;
    cr_assert_eq(rig->failed, 0);
    rig->failed = code;
    loop_uv_stop(rig->loop);
}

static void rig_open(struct rig *rig)
{
    struct error error;
    const struct journal_config config = {
        .loop = rig->loop,
        .disk = memory_disk_handle(rig->memory),
        .segment_bytes = 1024,
        .payload_bytes_max = 1 << 20,
        .retain_bytes = rig->retain_bytes,
        .sync = true,
        .applied = rig->applied,
        .user = rig,
        .stored = on_stored,
        .saved = on_saved,
        .allowed = on_allowed,
        .stored_by_all = on_stored_by_all,
        .failed = on_failed,
    };
    cr_assert_eq(journal_open(&config, &rig->journal, &error), 0, "%s", error.text);
}

static struct rig rig_make(void)
{
    return (struct rig){.memory = memory_disk_create(), .loop = loop_uv_create()};
}

static void rig_finish(struct rig *rig)
{
    journal_close(rig->journal);
    loop_uv_destroy(rig->loop);
    memory_disk_destroy(rig->memory);
}

/* Message `seq` of origin 0 in epoch 1, at ts = seq. */
static void store(struct rig *rig, uint64_t seq)
{
    char text[32];
    snprintf(text, sizeof text, "message %llu", (unsigned long long)seq);
    struct blob *payload = blob_create(text, (uint32_t)strlen(text));
    const struct gcs_message message = {.epoch = 1, .seq = seq, .ts = seq, .payload = payload};
    journal_store(rig->journal, &message);
    blob_unref(payload);
}

static void deliver(struct rig *rig, uint64_t seq, uint64_t index)
{
    const struct gcs_message message = {.epoch = 1, .seq = seq, .ts = seq};
    journal_delivered(rig->journal, &message, index);
}

static void store_all(struct rig *rig, uint64_t from, uint64_t to)
{
    rig->wait_stored = to;
    for (uint64_t seq = from; seq <= to; seq++)
        store(rig, seq);
    loop_uv_run(rig->loop);
    cr_assert_eq(rig->stored_seq, to);
}

struct pause {
    struct loop_timer timer;
    struct loop *loop;
};

static void pause_over(struct loop_timer *timer)
{
    loop_uv_stop(CONTAINER_OF(timer, struct pause, timer)->loop);
}

static void run_for(struct rig *rig, uint64_t ns)
{
    struct pause pause = {.loop = rig->loop};
    cr_assert_eq(loop_timer_init(rig->loop, &pause.timer, pause_over), 0);
    loop_timer_start(&pause.timer, ns);
    loop_uv_run(rig->loop);
    loop_timer_finish(&pause.timer);
}

static int count_recovered(void *user, const struct gcs_message *message)
{
    struct rig *rig = user;
    cr_assert_eq(message->seq, rig->recover_next++);
    rig->recovered++;
    return 0;
}

Test(journal, recovers_what_it_stored)
{
    struct rig rig = rig_make();
    rig_open(&rig);
    store_all(&rig, 1, 50);
    journal_close(rig.journal);
    memory_disk_cut(rig.memory);
    rig.recover_next = 1;
    rig_open(&rig);
    cr_assert_eq(journal_recovered_count(rig.journal), 50);
    cr_assert_eq(journal_recovered(rig.journal, count_recovered, &rig), 0);
    cr_assert_eq(rig.recovered, 50);
    rig_finish(&rig);
}

Test(journal, the_store_may_flush_only_what_the_log_has)
{
    struct rig rig = rig_make();
    rig_open(&rig);
    memory_disk_hold(rig.memory);
    store(&rig, 1);
    journal_epoch(rig.journal, 1, 1);
    cr_assert_eq(rig.allowed, 1, "an epoch event waits for no message");
    deliver(&rig, 1, 2);
    run_for(&rig, 20000000); /* the log's helper gets as far as the sync, which waits */
    memory_disk_wait_held(rig.memory);
    cr_assert_eq(rig.allowed, 1, "index 2 is not stored yet");
    rig.wait_stored = 1;
    memory_disk_release(rig.memory);
    loop_uv_run(rig.loop);
    cr_assert_eq(rig.allowed, 2);
    store_all(&rig, 2, 2);
    deliver(&rig, 2, 3);
    cr_assert_eq(rig.allowed, 3, "what is stored already is allowed at once");
    rig_finish(&rig);
}

Test(journal, forgets_only_what_store_and_members_have)
{
    struct rig rig = rig_make();
    struct msglog_counters before, after;
    rig_open(&rig);
    store_all(&rig, 1, 200);
    for (uint64_t seq = 1; seq <= 200; seq++)
        deliver(&rig, seq, seq + 1);
    journal_counters(rig.journal, &before);
    cr_assert_eq(before.lsn_first, 1);
    cr_assert_gt(before.segments, 4);
    journal_durable(rig.journal, 201);
    store_all(&rig, 201, 201);
    journal_counters(rig.journal, &after);
    cr_assert_eq(after.lsn_first, 1, "no member has said that it stored them");
    rig.by_all_seq = 150;
    journal_durable(rig.journal, 101);
    rig.by_all_seq = 200;
    journal_close(rig.journal);
    rig.applied = (struct gcs_position){.epoch = 1, .ts = 100};
    rig.stored_seq = 0;
    rig_open(&rig);
    uint32_t left = journal_recovered_count(rig.journal);
    cr_assert_lt(left, 201, "nothing was forgotten");
    cr_assert_geq(left, 101, "index 101 is message 100: later ones are needed");
    rig_finish(&rig);
}

/* Small messages cost more memory than their payloads. */
Test(journal, retains_as_much_as_memory_is_given)
{
    struct rig rig = rig_make();
    rig.retain_bytes = 8 << 10;
    rig_open(&rig);
    store_all(&rig, 1, 300);
    for (uint64_t seq = 1; seq <= 300; seq++)
        deliver(&rig, seq, seq + 1);
    rig.by_all_seq = 300;
    journal_durable(rig.journal, 301);
    journal_close(rig.journal);
    rig.stored_seq = 0;
    rig_open(&rig);
    uint32_t left = journal_recovered_count(rig.journal);
    cr_assert(left > 20 && left < 100, "%u", left);
    rig_finish(&rig);
}

static void note(struct rig *rig, uint64_t index, uint64_t seq)
{
    struct gcs_message message = {.epoch = 1, .seq = seq, .ts = seq};
    journal_applied(rig->journal, &message, index, (struct hash128){index, 7});
}

static int on_remembered(void *user, const struct gcs_message *message, uint64_t index,
                         struct hash128 hash)
{
    struct rig *rig = user;
    if (rig->remembered == 0)
        rig->remembered_first = index;
    cr_assert_eq(index, rig->remembered_first + rig->remembered);
    cr_assert(hash128_equal(hash, (struct hash128){index, 7}));
    cr_assert_eq(message->seq == 0, message->payload == NULL);
    rig->remembered++;
    return 0;
}

Test(journal, remembers_the_newest_part_of_the_order)
{
    struct rig rig = rig_make();
    rig_open(&rig);
    store_all(&rig, 1, 100);
    note(&rig, 1, 0); /* the epoch's event */
    for (uint64_t seq = 1; seq <= 100; seq++)
        if (seq != 40) /* a gap: what is before it is of no use */
            note(&rig, seq + 1, seq);
    journal_close(rig.journal);
    rig_open(&rig);
    cr_assert_eq(journal_remembered(rig.journal, 91, on_remembered, &rig), 0);
    cr_assert_eq(rig.remembered_first, 42);
    cr_assert_eq(rig.remembered, 50, "41 .. 90 have the indices 42 .. 91");
    rig.remembered = 0;
    cr_assert_eq(journal_remembered(rig.journal, 500, on_remembered, &rig), 0);
    cr_assert_eq(rig.remembered, 0, "the log does not reach the state");
    rig_finish(&rig);
}

/* After a restart what was applied and not flushed is applied again, and noted again. */
Test(journal, remembers_what_was_noted_last)
{
    struct rig rig = rig_make();
    rig_open(&rig);
    store_all(&rig, 1, 60);
    for (uint64_t seq = 1; seq <= 60; seq++)
        note(&rig, seq, seq);
    for (uint64_t seq = 31; seq <= 60; seq++)
        note(&rig, seq, seq);
    note(&rig, 45, 99); /* of a message that is not here */
    journal_close(rig.journal);
    rig_open(&rig);
    cr_assert_eq(journal_remembered(rig.journal, 60, on_remembered, &rig), 0);
    cr_assert_eq(rig.remembered_first, 31);
    cr_assert_eq(rig.remembered, 30);
    rig_finish(&rig);
}

Test(journal, keeps_the_groups_state)
{
    struct rig rig = rig_make();
    size_t bytes;
    rig_open(&rig);
    cr_assert_null(journal_state(rig.journal, &bytes));
    journal_save(rig.journal, "state one", 9);
    loop_uv_run(rig.loop);
    cr_assert(rig.saved);
    journal_close(rig.journal);
    memory_disk_cut(rig.memory);
    rig_open(&rig);
    const void *state = journal_state(rig.journal, &bytes);
    cr_assert_eq(bytes, 9);
    cr_assert_eq(memcmp(state, "state one", 9), 0);
    rig_finish(&rig);
}

Test(journal, a_failed_sync_is_final)
{
    struct rig rig = rig_make();
    rig_open(&rig);
    memory_disk_fail_sync(rig.memory, 1);
    rig.wait_stored = 1;
    store(&rig, 1);
    loop_uv_run(rig.loop);
    cr_assert_eq(rig.failed, -EIO);
    cr_assert_eq(rig.stored_seq, 0);
    store(&rig, 2);
    deliver(&rig, 1, 2);
    cr_assert_eq(rig.allowed, 0);
    rig_finish(&rig);
}
