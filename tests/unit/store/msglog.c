/* The message log: group commit, reopening, crashes at every step, trimming, reading back, and that
 * the first failure is the last. */
#include "tests/unit/store/msglog_rig.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(msglog, keeps_records_over_segments_and_reopening)
{
    struct rig rig;
    rig_init(&rig, 400, true);
    for (uint64_t stored = 0; stored < 100; stored += 10) {
        rig_append_stored(&rig, 10);
        rig_reopen(&rig, stored + 10);
    }
    struct msglog_counters counters;
    msglog_counters(rig.log, &counters);
    cr_assert_gt(counters.segments, 10);
    cr_assert_eq(counters.lsn_first, 1);
    cr_assert_eq(counters.lsn_stored, 100);
    rig_finish(&rig);
}

Test(msglog, one_sync_for_all_that_came_meanwhile)
{
    struct rig rig;
    rig_init(&rig, 1 << 20, true);
    rig_append_stored(&rig, 1);
    memory_disk_hold(rig.memory);
    rig_append(&rig, 1);
    /* A turn, so that the group begins; then 500 more while its sync hangs. */
    cr_assert_eq(loop_uv_post(rig.loop, (void (*)(void *))loop_uv_stop, rig.loop), 0);
    loop_uv_run(rig.loop);
    memory_disk_wait_held(rig.memory);
    unsigned before = memory_disk_syncs(rig.memory);
    rig_append(&rig, 500);
    cr_assert_gt(msglog_backlog_bytes(rig.log), 0);
    rig.wanted = 502;
    memory_disk_release(rig.memory);
    loop_uv_run(rig.loop);
    cr_assert_eq(rig.stored, 502);
    cr_assert_eq(memory_disk_syncs(rig.memory) - before, 2);
    cr_assert_eq(msglog_backlog_bytes(rig.log), 0);
    rig_finish(&rig);
}

Test(msglog, what_was_reported_survives_a_power_cut)
{
    struct rig rig;
    rig_init(&rig, 300, true);
    rig_append_stored(&rig, 25);
    msglog_close(rig.log);
    memory_disk_cut(rig.memory);
    cr_assert_eq(rig_open(&rig), 0, "%s", rig.error.text);
    cr_assert_eq(rig.recovered, 25);
    rig_append_stored(&rig, 5);
    rig_finish(&rig);
}

Test(msglog, without_sync_a_cut_loses_a_tail_only)
{
    struct rig rig;
    rig_init(&rig, 400, false);
    rig_append_stored(&rig, 23);
    msglog_close(rig.log);
    memory_disk_cut(rig.memory);
    cr_assert_eq(rig_open(&rig), 0, "%s", rig.error.text);
    cr_assert_lt(rig.recovered, 23);
    cr_assert_gt(rig.recovered, 0, "full segments are synced in either mode");
    rig.stored = rig.recovered;
    rig_append_stored(&rig, 5);
    rig_finish(&rig);
}

Test(msglog, a_crash_at_every_step_keeps_what_was_reported)
{
    for (int power_cut = 0; power_cut < 2; power_cut++)
        for (unsigned number = 1; number < 120; number++) {
            struct rig rig;
            rig_init(&rig, 300, true);
            rig_append_stored(&rig, 2);
            memory_disk_fail_at(rig.memory, number);
            for (int i = 0; i < 8 && !rig.failures; i++) {
                rig_append(&rig, 2);
                msglog_trim(rig.log, rig.stored);
                rig.wanted = rig.stored + 1;
                loop_uv_run(rig.loop);
            }
            msglog_close(rig.log);
            memory_disk_fail_at(rig.memory, 0);
            if (power_cut)
                memory_disk_cut(rig.memory);
            cr_assert_eq(rig_open(&rig), 0, "step %u: %s", number, rig.error.text);
            cr_assert_geq(rig.recovered, rig.stored, "step %u", number);
            bool failed = rig.failures > 0;
            rig.failures = 0;
            rig.stored = rig.recovered;
            rig_append_stored(&rig, 3);
            rig_finish(&rig);
            if (!failed) {
                cr_assert_gt(number, 20, "the steps were not reached");
                break;
            }
        }
}

Test(msglog, a_failed_sync_is_final)
{
    struct rig rig;
    rig_init(&rig, 1 << 20, true);
    rig_append_stored(&rig, 3);
    memory_disk_fail_sync(rig.memory, 1); /* that one; later ones would succeed */
    rig_append(&rig, 1);
    loop_uv_run(rig.loop);
    cr_assert_eq(rig.failed, -EIO);
    cr_assert_eq(rig.stored, 3);
    rig_append(&rig, 5);
    msglog_trim(rig.log, 4);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(loop_uv_post(rig.loop, (void (*)(void *))loop_uv_stop, rig.loop), 0);
        loop_uv_run(rig.loop);
    }
    cr_assert_eq(rig.failures, 1);
    cr_assert_eq(rig.stored, 3);
    cr_assert_eq(memory_disk_syncs(rig.memory), 1, "never tried again");
    rig_finish(&rig);
}

Test(msglog, a_record_that_is_too_long_ends_the_log)
{
    struct rig rig;
    rig_init(&rig, 0, true);
    msglog_close(rig.log);
    rig.config.record_bytes_max = 10;
    cr_assert_eq(rig_open(&rig), 0);
    rig_append(&rig, 1);
    loop_uv_run(rig.loop);
    cr_assert_eq(rig.failed, -EMSGSIZE);
    rig_finish(&rig);
}

Test(msglog, trimming_removes_whole_segments_only)
{
    struct rig rig;
    struct msglog_counters counters;
    rig_init(&rig, 400, true);
    rig_append_stored(&rig, 40);
    msglog_trim(rig.log, 25);
    rig_append_stored(&rig, 1); /* the helper is first in, first out */
    msglog_counters(rig.log, &counters);
    cr_assert_gt(counters.lsn_first, 1);
    cr_assert_leq(counters.lsn_first, 25);
    uint64_t first = counters.lsn_first;
    msglog_close(rig.log);
    memory_disk_cut(rig.memory);
    cr_assert_eq(rig_open(&rig), 0, "%s", rig.error.text);
    msglog_counters(rig.log, &counters);
    cr_assert_eq(counters.lsn_first, first);
    msglog_trim(rig.log, 1000);
    rig_append_stored(&rig, 1);
    msglog_counters(rig.log, &counters);
    cr_assert_eq(counters.segments, 1, "the newest one stays");
    cr_assert_eq(counters.lsn_last, 42, "trimming never lowers the count");
    rig_reopen(&rig, 42);
    rig_finish(&rig);
}

static void on_read(void *user, uint64_t lsn, const struct msglog_record *record)
{
    struct rig *rig = user;
    cr_assert_eq(lsn, rig->read_next);
    record_check(lsn, record);
    rig->read_next++;
}

static void on_read_done(void *user, int code)
{
    struct rig *rig = user;
    rig->read_code = code;
    loop_uv_stop(rig->loop);
}

static void read_back(struct rig *rig, uint64_t from, uint32_t count, int code, uint64_t next)
{
    struct msglog_read request = {from, count, rig, on_read, on_read_done};
    rig->read_next = from;
    rig->read_code = 1;
    cr_assert_eq(msglog_read(rig->log, &request), 0);
    loop_uv_run(rig->loop);
    cr_assert_eq(rig->read_code, code, "from %lu: %d", from, rig->read_code);
    cr_assert_eq(rig->read_next, next, "from %lu: %lu", from, rig->read_next);
}

Test(msglog, reads_back)
{
    struct rig rig;
    rig_init(&rig, 400, true);
    read_back(&rig, 1, 10, 0, 1);
    rig_append_stored(&rig, 60);
    for (uint64_t from = 1; from <= 60; from++)
        for (uint32_t count = 0; count < 12; count++)
            read_back(&rig, from, count, 0, from + count > 61 ? 61 : from + count);
    for (uint64_t from = 1; from <= 60; from += 7) /* going on where the last one ended */
        read_back(&rig, from, 7, 0, from + 7 > 61 ? 61 : from + 7);
    read_back(&rig, 61, 5, 0, 61);
    rig_append_stored(&rig, 3);
    read_back(&rig, 61, 5, 0, 64);
    msglog_trim(rig.log, 40);
    rig_append_stored(&rig, 1);
    read_back(&rig, 2, 5, -ENOENT, 2);
    read_back(&rig, 40, 3, 0, 43);
    rig_finish(&rig);
}
