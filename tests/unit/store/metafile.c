/* Meta files: after a crash at any step the old content is there or the new one, whole. */
#include "store/metafile.h"
#include "tests/unit/store/memory_disk.h"
#include "tests/unit/store/temporary.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

enum { STEPS_MAX = 16 };

static void expect(struct disk *disk, const char *text)
{
    void *content = NULL;
    size_t bytes = 0;
    struct error error;
    int code = metafile_read(disk, "m", &content, &bytes, &error);
    cr_assert_eq(code, 0, "%s", error.text);
    cr_assert_eq(bytes, strlen(text));
    cr_assert_eq(memcmp(content, text, bytes), 0);
    free(content);
}

Test(metafile, keeps_what_was_written)
{
    char path[64];
    struct disk *disk = NULL;
    struct error error;
    void *content;
    size_t bytes;
    temporary_make(path);
    cr_assert_eq(disk_posix_create(path, &disk, &error), 0, "%s", error.text);
    cr_assert_eq(metafile_read(disk, "m", &content, &bytes, &error), METAFILE_ABSENT);
    cr_assert_eq(metafile_write(disk, "m", "first", 5, &error), 0, "%s", error.text);
    expect(disk, "first");
    cr_assert_eq(metafile_write(disk, "m", "", 0, &error), 0, "%s", error.text);
    expect(disk, "");
    cr_assert_eq(metafile_write(disk, "m", "second one", 10, &error), 0, "%s", error.text);
    expect(disk, "second one");
    disk->ops->destroy(disk);
    temporary_remove(path);
}

/* Write "new" over "old", broken off at operation `number`. True when it was not. */
static bool crash_at(unsigned number, bool power_cut)
{
    struct memory_disk *memory = memory_disk_create();
    struct disk *disk = memory_disk_handle(memory);
    cr_assert_eq(metafile_write(disk, "m", "old", 3, NULL), 0);
    memory_disk_fail_at(memory, number);
    int code = metafile_write(disk, "m", "new", 3, NULL);
    memory_disk_fail_at(memory, 0);
    if (power_cut)
        memory_disk_cut(memory);
    void *content = NULL;
    size_t bytes = 0;
    cr_assert_eq(metafile_read(disk, "m", &content, &bytes, NULL), 0, "step %u", number);
    cr_assert_eq(bytes, 3);
    bool fresh = memcmp(content, "new", 3) == 0;
    cr_assert(fresh || memcmp(content, "old", 3) == 0, "step %u", number);
    cr_assert(code != 0 || fresh, "step %u: written and lost", number);
    free(content);
    cr_assert_eq(metafile_write(disk, "m", "newer", 5, NULL), 0, "step %u", number);
    expect(disk, "newer");
    disk->ops->destroy(disk);
    return code == 0;
}

Test(metafile, survives_a_crash_at_every_step)
{
    for (int power_cut = 0; power_cut < 2; power_cut++) {
        unsigned number = 1;
        while (!crash_at(number, power_cut))
            cr_assert_lt(++number, STEPS_MAX);
        cr_assert_gt(number, 5, "the steps were not reached");
    }
}

Test(metafile, refuses_every_flipped_bit_and_every_length)
{
    struct memory_disk *memory = memory_disk_create();
    struct disk *disk = memory_disk_handle(memory);
    size_t bytes = 0, got;
    void *content;
    cr_assert_eq(metafile_write(disk, "m", "content", 7, NULL), 0);
    uint8_t *raw = memory_disk_content(memory, "m", &bytes);
    for (size_t bit = 0; bit < 8 * bytes; bit++) {
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int code = metafile_read(disk, "m", &content, &got, NULL);
        cr_assert(code == -EBADMSG || code == -EPROTO, "bit %zu: %d", bit, code);
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    expect(disk, "content");
    while (bytes > 0) {
        memory_disk_resize(memory, "m", --bytes);
        cr_assert_eq(metafile_read(disk, "m", &content, &got, NULL), -EBADMSG);
    }
    disk->ops->destroy(disk);
}
