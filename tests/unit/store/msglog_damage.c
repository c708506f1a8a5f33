/* Opening a message log that was torn, damaged, or lost a file: a torn tail is cut off, everything
 * else is refused. */
#include "tests/unit/store/msglog_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SEGMENT_HEAD = 32, RECORD_HEAD = 72 };

/* A log of `count` records, each synced by itself, in one segment; closed. */
static void small_log(struct rig *rig, unsigned count)
{
    rig_init(rig, 1 << 20, true);
    for (unsigned i = 0; i < count; i++)
        rig_append_stored(rig, 1);
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
        rig_append_stored(rig, 2);
        rig_reopen(rig, recovered + 2);
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
    rig_append_stored(&rig, 5); /* one group: nothing says yet that it was synced */
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
    rig_append_stored(&rig, 1);
    rig_append_stored(&rig, 1);
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
    rig_append_stored(&rig, 30);
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
    rig_append_stored(&rig, 10);
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
