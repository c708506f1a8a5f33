/* What a disk does beside keeping bytes: rewriting in place, parts of it. */
#include "store/disk.h"
#include "tests/unit/store/memory_disk.h"
#include "tests/unit/store/temporary.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void expect_content(struct disk_file *file, struct disk *disk, const uint8_t *bytes,
                           size_t count)
{
    uint8_t *seen = malloc(count + 1);
    cr_assert_eq(disk->ops->size(file), (int64_t)count);
    cr_assert_eq(disk->ops->read(file, 0, seen, count + 1), (int64_t)count);
    cr_assert_eq(memcmp(seen, bytes, count), 0);
    free(seen);
}

/* Larger than one piece, and then it goes on at the end. */
Test(disk, a_rewritten_file_is_what_it_was)
{
    enum { BYTES = 700001, MORE = 10 };
    struct error error;
    struct disk *disk;
    struct disk_file *file;
    char directory[64];
    uint8_t *bytes = malloc(BYTES + MORE);
    for (size_t i = 0; i < BYTES + MORE; i++)
        bytes[i] = (uint8_t)(i * i >> 7);
    temporary_make(directory);
    cr_assert_eq(disk_posix_create(directory, &disk, &error), 0, "%s", error.text);
    cr_assert_eq(disk->ops->open(disk, "file", true, &file), 0);
    cr_assert_eq(disk->ops->rewrite(file), 0, "an empty one");
    cr_assert_eq(disk->ops->append(file, bytes, BYTES), 0);
    cr_assert_eq(disk->ops->rewrite(file), 0);
    cr_assert_eq(disk->ops->sync(file), 0);
    expect_content(file, disk, bytes, BYTES);
    cr_assert_eq(disk->ops->append(file, bytes + BYTES, MORE), 0);
    expect_content(file, disk, bytes, BYTES + MORE);
    disk->ops->close(file);
    disk->ops->destroy(disk);
    free(bytes);
    temporary_remove(directory);
}

static int count_name(void *user, const char *name)
{
    unsigned *count = user;
    cr_assert_str_eq(name, "b");
    ++*count;
    return 0;
}

Test(disk, a_part_has_names_of_its_own)
{
    struct memory_disk *memory = memory_disk_create();
    struct disk *whole = memory_disk_handle(memory), *part;
    struct disk_file *file;
    unsigned count = 0;
    size_t bytes;
    cr_assert_eq(disk_part_create(whole, "part.", &part), 0);
    cr_assert_eq(whole->ops->open(whole, "a", true, &file), 0);
    cr_assert_eq(whole->ops->append(file, "whole", 5), 0);
    whole->ops->close(file);
    cr_assert_eq(part->ops->open(part, "a", false, &file), -ENOENT);
    cr_assert_eq(part->ops->open(part, "a", true, &file), 0);
    cr_assert_eq(part->ops->append(file, "x", 1), 0);
    part->ops->close(file);
    cr_assert_eq(part->ops->rename(part, "a", "b"), 0);
    cr_assert_not_null(memory_disk_content(memory, "a", &bytes));
    cr_assert_not_null(memory_disk_content(memory, "part.b", &bytes));
    cr_assert_eq(bytes, 1);
    cr_assert_eq(part->ops->list(part, count_name, &count), 0);
    cr_assert_eq(count, 1);
    cr_assert_eq(part->ops->unlink(part, "b"), 0);
    cr_assert_eq(part->ops->unlink(part, "a"), -ENOENT);
    part->ops->destroy(part);
    cr_assert_not_null(memory_disk_content(memory, "a", &bytes));
    memory_disk_destroy(memory);
}
