/* A message log under test. */
#include "tests/unit/store/msglog_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Content that depends on its number alone, some of it empty. */
struct msglog_record record_make(uint64_t lsn)
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

void record_check(uint64_t lsn, const struct msglog_record *record)
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

int rig_open(struct rig *rig)
{
    rig->recovered = 0;
    rig->config.loop = rig->loop;
    rig->config.disk = memory_disk_handle(rig->memory);
    rig->config.user = rig;
    rig->config.synced = on_synced;
    rig->config.failed = on_failed;
    return msglog_open(&rig->config, on_recover, &rig->log, &rig->error);
}

void rig_init(struct rig *rig, uint64_t segment_bytes, bool sync)
{
    *rig = (struct rig){.memory = memory_disk_create(), .loop = loop_uv_create()};
    rig->config = (struct msglog_config){.segment_bytes = segment_bytes, .sync = sync};
    cr_assert_not_null(rig->loop);
    cr_assert_eq(rig_open(rig), 0, "%s", rig->error.text);
}

void rig_finish(struct rig *rig)
{
    msglog_close(rig->log);
    loop_uv_destroy(rig->loop);
    memory_disk_destroy(rig->memory);
}

void rig_append(struct rig *rig, uint64_t count)
{
    struct msglog_counters counters;
    msglog_counters(rig->log, &counters);
    for (uint64_t i = 0; i < count; i++) {
        struct msglog_record record = record_make(counters.lsn_last + 1 + i);
        cr_assert_eq(msglog_append(rig->log, &record), counters.lsn_last + 1 + i);
        blob_unref(record.payload);
    }
}

void rig_append_stored(struct rig *rig, uint64_t count)
{
    rig_append(rig, count);
    struct msglog_counters counters;
    msglog_counters(rig->log, &counters);
    rig->wanted = counters.lsn_last;
    loop_uv_run(rig->loop);
    cr_assert_eq(rig->stored, counters.lsn_last);
}

void rig_reopen(struct rig *rig, uint64_t expected)
{
    msglog_close(rig->log);
    rig->log = NULL;
    cr_assert_eq(rig_open(rig), 0, "%s", rig->error.text);
    cr_assert_eq(rig->recovered, expected);
}
