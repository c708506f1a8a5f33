/* The message log: group commit, recovery from every kind of torn or damaged file, trimming,
 * reading back, and that the first failure is the last. */
#include "net/loop_uv.h"
#include "store/msglog.h"
#include "tests/unit/store/memory_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT_HEAD = 32, RECORD_HEAD = 72 };

struct rig {
    struct memory_disk *memory;
    struct loop *loop;
    struct msglog *log;
    struct msglog_config config;
    struct error error;
    uint64_t wanted;    /* stop the loop when so much is stored */
    uint64_t stored;    /* as reported */
    uint64_t recovered; /* records given by the opening */
    int failed;         /* the code reported */
    unsigned failures;
    uint64_t read_next; /* lsn expected from a reading */
    int read_code;
};

/* Content that depends on its number alone, some of it empty. */
static struct msglog_record record_make(uint64_t lsn)
{
    char text[64];
    uint32_t bytes = lsn % 5 == 0 ? 0
                                  : (uint32_t)snprintf(text, sizeof text, "message %lu of %s", lsn,
                                                       lsn % 2 ? "some length" : "x");
    struct msglog_record record = {.kind = (uint8_t)(lsn % 3),
                                   .origin = (uint8_t)(lsn % 7),
                                   .epoch = 4,
                                   .seq = lsn * 10,
                                   .ts = lsn * 100,
                                   .payload = blob_create(text, bytes)};
    cr_assert_not_null(record.payload);
    return record;
}

static void record_check(uint64_t lsn, const struct msglog_record *record)
{
    struct msglog_record expected = record_make(lsn);
    cr_assert_eq(record->kind, expected.kind);
    cr_assert_eq(record->origin, expected.origin);
    cr_assert_eq(record->epoch, expected.epoch);
    cr_assert_eq(record->seq, expected.seq);
    cr_assert_eq(record->ts, expected.ts);
    cr_assert_eq(record->payload->bytes, expected.payload->bytes);
    cr_assert_eq(memcmp(record->payload->data, expected.payload->data, record->payload->bytes), 0);
    blob_unref(expected.payload);
}

static void on_synced(void *user, uint64_t lsn)
{
    struct rig *rig = user;
    cr_assert_gt(lsn, rig->stored);
    cr_assert_eq(rig->failures, 0);
    rig->stored = lsn;
    if (lsn >= rig->wanted)
        loop_uv_stop(rig->loop);
}

static void on_failed(void *user, int code, const char *detail)
{
    struct rig *rig = user;
    cr_assert_neq(strlen(detail), 0);
    rig->failures++;
    rig->failed = code;
    loop_uv_stop(rig->loop);
}

static int on_recover(void *user, uint64_t lsn, const struct msglog_record *record)
{
    struct rig *rig = user;
    cr_assert(rig->recovered == 0 || lsn == rig->recovered + 1);
    record_check(lsn, record);
    rig->recovered = lsn;
    return 0;
}

static int rig_open(struct rig *rig)
{
    rig->recovered = 0;
    rig->config.loop = rig->loop;
    rig->config.disk = memory_disk_handle(rig->memory);
    rig->config.user = rig;
    rig->config.synced = on_synced;
    rig->config.failed = on_failed;
    return msglog_open(&rig->config, on_recover, &rig->log, &rig->error);
}

static void rig_init(struct rig *rig, uint64_t segment_bytes, bool sync)
{
    *rig = (struct rig){.memory = memory_disk_create(), .loop = loop_uv_create()};
    rig->config = (struct msglog_config){.segment_bytes = segment_bytes, .sync = sync};
    cr_assert_not_null(rig->loop);
    cr_assert_eq(rig_open(rig), 0, "%s", rig->error.text);
}

static void rig_finish(struct rig *rig)
{
    msglog_close(rig->log);
    loop_uv_destroy(rig->loop);
    memory_disk_destroy(rig->memory);
}

static void append(struct rig *rig, uint64_t count)
{
    struct msglog_counters counters;
    msglog_counters(rig->log, &counters);
    for (uint64_t i = 0; i < count; i++) {
        struct msglog_record record = record_make(counters.lsn_last + 1 + i);
        cr_assert_eq(msglog_append(rig->log, &record), counters.lsn_last + 1 + i);
        blob_unref(record.payload);
    }
}

/* Append and wait until it is stored. */
static void append_stored(struct rig *rig, uint64_t count)
{
    append(rig, count);
    struct msglog_counters counters;
    msglog_counters(rig->log, &counters);
    rig->wanted = counters.lsn_last;
    loop_uv_run(rig->loop);
    cr_assert_eq(rig->stored, counters.lsn_last);
}

static void reopen(struct rig *rig, uint64_t expected)
{
    msglog_close(rig->log);
    rig->log = NULL;
    cr_assert_eq(rig_open(rig), 0, "%s", rig->error.text);
    cr_assert_eq(rig->recovered, expected);
}

Test(msglog, keeps_records_over_segments_and_reopening)
{
    struct rig rig;
    rig_init(&rig, 400, true);
    for (uint64_t stored = 0; stored < 100; stored += 10) {
        append_stored(&rig, 10);
        reopen(&rig, stored + 10);
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
    append_stored(&rig, 1);
    memory_disk_hold(rig.memory);
    append(&rig, 1);
    /* A turn, so that the group begins; then 500 more while its sync hangs. */
    cr_assert_eq(loop_uv_post(rig.loop, (void (*)(void *))loop_uv_stop, rig.loop), 0);
    loop_uv_run(rig.loop);
    memory_disk_wait_held(rig.memory);
    unsigned before = memory_disk_syncs(rig.memory);
    append(&rig, 500);
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
    append_stored(&rig, 25);
    msglog_close(rig.log);
    memory_disk_cut(rig.memory);
    cr_assert_eq(rig_open(&rig), 0, "%s", rig.error.text);
    cr_assert_eq(rig.recovered, 25);
    append_stored(&rig, 5);
    rig_finish(&rig);
}

Test(msglog, without_sync_a_cut_loses_a_tail_only)
{
    struct rig rig;
    rig_init(&rig, 400, false);
    append_stored(&rig, 23);
    msglog_close(rig.log);
    memory_disk_cut(rig.memory);
    cr_assert_eq(rig_open(&rig), 0, "%s", rig.error.text);
    cr_assert_lt(rig.recovered, 23);
    cr_assert_gt(rig.recovered, 0, "full segments are synced in either mode");
    rig.stored = rig.recovered;
    append_stored(&rig, 5);
    rig_finish(&rig);
}

/* A log of `count` records, each synced by itself, in one segment; closed. */
static void small_log(struct rig *rig, unsigned count)
{
    rig_init(rig, 1 << 20, true);
    for (unsigned i = 0; i < count; i++)
        append_stored(rig, 1);
    msglog_close(rig->log);
    rig->log = NULL;
}

static const char *const SMALL_NAME = "log.0000000000000001";

static size_t record_bytes(uint64_t lsn)
{
    struct msglog_record record = record_make(lsn);
    size_t bytes = RECORD_HEAD + record.payload->bytes;
    blob_unref(record.payload);
    return bytes;
}

/* Open a tampered copy; when it opens, it has to be usable, and whole the next time. */
static int open_copy(struct rig *rig, struct memory_disk *copy)
{
    struct memory_disk *original = rig->memory;
    rig->memory = copy;
    int code = rig_open(rig);
    if (!code) {
        uint64_t recovered = rig->recovered;
        rig->stored = recovered;
        append_stored(rig, 2);
        reopen(rig, recovered + 2);
        rig->recovered = recovered;
        msglog_close(rig->log);
    }
    rig->log = NULL;
    memory_disk_destroy(copy);
    rig->memory = original;
    return code;
}

Test(msglog, a_torn_tail_is_cut_off)
{
    struct rig rig;
    size_t bytes = 0;
    small_log(&rig, 6);
    memory_disk_content(rig.memory, SMALL_NAME, &bytes);
    size_t end[7] = {SEGMENT_HEAD};
    for (uint64_t lsn = 1; lsn <= 6; lsn++)
        end[lsn] = end[lsn - 1] + record_bytes(lsn);
    cr_assert_eq(end[6], bytes);
    for (size_t length = end[4]; length <= end[6]; length++)
        for (int filled = 0; filled < 2; filled++) { /* cut short, or zeros instead */
            struct memory_disk *copy = memory_disk_copy(rig.memory);
            if (filled)
                memset(memory_disk_content(copy, SMALL_NAME, &bytes) + length, 0, end[6] - length);
            else
                memory_disk_resize(copy, SMALL_NAME, length);
            cr_assert_eq(open_copy(&rig, copy), 0, "%zu: %s", length, rig.error.text);
            uint64_t whole = length == end[6] ? 6 : length >= end[5] ? 5 : 4;
            cr_assert(rig.recovered == whole || (filled && rig.recovered > whole), "%zu", length);
        }
    rig_finish(&rig);
}

/* A group that was never synced may be torn anywhere, also with whole records behind the hole. */
Test(msglog, a_hole_in_what_was_never_synced_is_a_torn_tail)
{
    struct rig rig;
    size_t bytes = 0;
    small_log(&rig, 3);
    cr_assert_eq(rig_open(&rig), 0);
    append_stored(&rig, 5); /* one group: nothing says yet that it was synced */
    msglog_close(rig.log);
    rig.log = NULL;
    size_t at = SEGMENT_HEAD;
    for (uint64_t lsn = 1; lsn <= 4; lsn++)
        at += record_bytes(lsn);
    memory_disk_content(rig.memory, SMALL_NAME, &bytes)[at + 20] ^= 1; /* in record 5 of 8 */
    cr_assert_eq(open_copy(&rig, memory_disk_copy(rig.memory)), 0, "%s", rig.error.text);
    cr_assert_eq(rig.recovered, 4);
    rig_finish(&rig);
}

Test(msglog, every_flipped_byte_is_noticed)
{
    struct rig rig;
    size_t bytes = 0, unused;
    small_log(&rig, 6);
    memory_disk_content(rig.memory, SMALL_NAME, &bytes);
    size_t last = bytes - record_bytes(6);
    for (size_t at = 0; at < bytes; at++) {
        struct memory_disk *copy = memory_disk_copy(rig.memory);
        memory_disk_content(copy, SMALL_NAME, &unused)[at] ^= 0x20;
        int code = open_copy(&rig, copy);
        if (at < last)
            cr_assert_eq(code, -EBADMSG, "byte %zu: %d", at, code);
        else
            cr_assert(code == 0 && rig.recovered == 5, "byte %zu: %d", at, code);
    }
    rig_finish(&rig);
}

Test(msglog, a_flipped_byte_of_the_manifest_is_refused)
{
    struct rig rig;
    size_t bytes = 0, unused;
    small_log(&rig, 2);
    memory_disk_content(rig.memory, "log.manifest", &bytes);
    for (size_t at = 0; at < bytes; at++) {
        struct memory_disk *copy = memory_disk_copy(rig.memory);
        memory_disk_content(copy, "log.manifest", &unused)[at] ^= 0x20;
        int code = open_copy(&rig, copy);
        cr_assert(code == -EBADMSG || code == -EPROTO, "byte %zu: %d", at, code);
    }
    rig_finish(&rig);
}

/* An old version of a block comes back: valid by itself, but nothing continues it. */
Test(msglog, a_stale_record_is_refused)
{
    struct rig rig;
    size_t bytes = 0;
    small_log(&rig, 3);
    uint8_t *content = memory_disk_content(rig.memory, SMALL_NAME, &bytes);
    size_t at = bytes - record_bytes(3);
    uint8_t old[256];
    cr_assert_lt(bytes - at, sizeof old);
    memcpy(old, content + at, bytes - at);
    memory_disk_resize(rig.memory, SMALL_NAME, at); /* torn off; another one takes its place */
    cr_assert_eq(rig_open(&rig), 0, "%s", rig.error.text);
    cr_assert_eq(rig.recovered, 2);
    struct msglog_record other = record_make(3);
    other.epoch++;
    rig.stored = rig.wanted = 2;
    msglog_append(rig.log, &other);
    loop_uv_run(rig.loop);
    blob_unref(other.payload);
    append_stored(&rig, 1);
    append_stored(&rig, 1);
    msglog_close(rig.log);
    rig.log = NULL;
    memcpy(memory_disk_content(rig.memory, SMALL_NAME, &bytes) + at, old, record_bytes(3));
    cr_assert_eq(open_copy(&rig, memory_disk_copy(rig.memory)), -EBADMSG);
    rig_finish(&rig);
}

struct names {
    char text[64][64];
    unsigned count;
};

static int names_add(void *user, const char *name)
{
    struct names *names = user;
    snprintf(names->text[names->count++], sizeof names->text[0], "%s", name);
    return 0;
}

Test(msglog, a_missing_file_is_refused)
{
    struct rig rig;
    struct names names = {.count = 0};
    rig_init(&rig, 400, true);
    append_stored(&rig, 30);
    msglog_close(rig.log);
    rig.log = NULL;
    struct disk *disk = memory_disk_handle(rig.memory);
    cr_assert_eq(disk->ops->list(disk, names_add, &names), 0);
    cr_assert_gt(names.count, 5);
    for (unsigned i = 0; i < names.count; i++) {
        struct memory_disk *copy = memory_disk_copy(rig.memory);
        memory_disk_remove(copy, names.text[i]);
        cr_assert_eq(open_copy(&rig, copy), -EBADMSG, "%s", names.text[i]);
    }
    rig_finish(&rig);
}

/* Damage in any segment but the newest can't be a torn tail. */
Test(msglog, a_flipped_byte_in_an_old_segment_is_refused)
{
    struct rig rig;
    size_t bytes = 0, unused;
    rig_init(&rig, 400, true);
    append_stored(&rig, 10);
    msglog_close(rig.log);
    rig.log = NULL;
    memory_disk_content(rig.memory, SMALL_NAME, &bytes);
    for (size_t at = 0; at < bytes; at++) {
        struct memory_disk *copy = memory_disk_copy(rig.memory);
        memory_disk_content(copy, SMALL_NAME, &unused)[at] ^= 0x04;
        cr_assert_eq(open_copy(&rig, copy), -EBADMSG, "byte %zu", at);
    }
    rig_finish(&rig);
}

Test(msglog, a_crash_at_every_step_keeps_what_was_reported)
{
    for (int power_cut = 0; power_cut < 2; power_cut++)
        for (unsigned number = 1; number < 120; number++) {
            struct rig rig;
            rig_init(&rig, 300, true);
            append_stored(&rig, 2);
            memory_disk_fail_at(rig.memory, number);
            for (int i = 0; i < 8 && !rig.failures; i++) {
                append(&rig, 2);
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
            append_stored(&rig, 3);
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
    append_stored(&rig, 3);
    memory_disk_fail_sync(rig.memory, 1); /* that one; later ones would succeed */
    append(&rig, 1);
    loop_uv_run(rig.loop);
    cr_assert_eq(rig.failed, -EIO);
    cr_assert_eq(rig.stored, 3);
    append(&rig, 5);
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
    append(&rig, 1);
    loop_uv_run(rig.loop);
    cr_assert_eq(rig.failed, -EMSGSIZE);
    rig_finish(&rig);
}

Test(msglog, trimming_removes_whole_segments_only)
{
    struct rig rig;
    struct msglog_counters counters;
    rig_init(&rig, 400, true);
    append_stored(&rig, 40);
    msglog_trim(rig.log, 25);
    append_stored(&rig, 1); /* the helper is first in, first out */
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
    append_stored(&rig, 1);
    msglog_counters(rig.log, &counters);
    cr_assert_eq(counters.segments, 1, "the newest one stays");
    cr_assert_eq(counters.lsn_last, 42, "trimming never lowers the count");
    reopen(&rig, 42);
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
    append_stored(&rig, 60);
    for (uint64_t from = 1; from <= 60; from++)
        for (uint32_t count = 0; count < 12; count++)
            read_back(&rig, from, count, 0, from + count > 61 ? 61 : from + count);
    for (uint64_t from = 1; from <= 60; from += 7) /* going on where the last one ended */
        read_back(&rig, from, 7, 0, from + 7 > 61 ? 61 : from + 7);
    read_back(&rig, 61, 5, 0, 61);
    append_stored(&rig, 3);
    read_back(&rig, 61, 5, 0, 64);
    msglog_trim(rig.log, 40);
    append_stored(&rig, 1);
    read_back(&rig, 2, 5, -ENOENT, 2);
    read_back(&rig, 40, 3, 0, 43);
    rig_finish(&rig);
}
