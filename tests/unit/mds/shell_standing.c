/* Leaving the group, cut off at every operation of the disk: a node without a vote is never taken
 * for a founder, and one with a vote has all of its log. */
#include "mds/standing.h"
#include "store/metafile.h"
#include "tests/unit/store/memory_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOGS = 3 };

static const char *const log_names[LOGS] = {"log.0000000000000001", "log.0000000000000107",
                                            "log.0000000000000a00"};

static void touch(struct disk *disk, const char *name)
{
    struct disk_file *file;
    cr_assert_eq(disk->ops->open(disk, name, true, &file), 0);
    cr_assert_eq(disk->ops->append(file, "content", 7), 0);
    cr_assert_eq(disk->ops->sync(file), 0);
    disk->ops->close(file);
    cr_assert_eq(disk->ops->sync_directory(disk), 0);
}

/* What a member has. */
static struct memory_disk *member_disk(void)
{
    struct memory_disk *memory = memory_disk_create();
    struct disk *disk = memory_disk_handle(memory);
    struct error error;
    for (int i = 0; i < LOGS; i++)
        touch(disk, log_names[i]);
    touch(disk, "identity");
    cr_assert_eq(metafile_write(disk, "group", "the vote", 8, &error), 0);
    return memory;
}

static enum standing standing_of(struct memory_disk *memory, enum identity_standing of_identity)
{
    const struct identity identity = {.standing = of_identity};
    enum standing standing;
    struct error error;
    cr_assert_eq(standing_read(memory_disk_handle(memory), &identity, &standing, &error), 0, "%s",
                 error.text);
    return standing;
}

static bool has(struct memory_disk *memory, const char *name)
{
    size_t bytes;
    return memory_disk_content(memory, name, &bytes) != NULL;
}

static unsigned logs_of(struct memory_disk *memory)
{
    unsigned count = 0;
    for (int i = 0; i < LOGS; i++)
        count += has(memory, log_names[i]);
    return count;
}

static void expect_contacts(struct memory_disk *memory, const char *text)
{
    void *state;
    size_t bytes;
    struct error error;
    cr_assert_eq(standing_contacts(memory_disk_handle(memory), &state, &bytes, &error), 0);
    cr_assert_eq(bytes, strlen(text));
    cr_assert(bytes == 0 || memcmp(state, text, bytes) == 0);
    cr_assert(state != NULL || bytes == 0);
    free(state);
}

static void expect_gone(struct memory_disk *memory, enum standing standing)
{
    cr_assert_eq(standing_of(memory, IDENTITY_MEMBER), standing);
    cr_assert(!has(memory, "group"));
    cr_assert_eq(logs_of(memory), 0);
    cr_assert(has(memory, "identity"));
    expect_contacts(memory, "the vote");
}

/* Whatever is left is one of the two. */
static void expect_in_or_out(struct memory_disk *memory, enum standing standing, unsigned at)
{
    enum standing found = standing_of(memory, IDENTITY_MEMBER);
    cr_assert(has(memory, "identity"));
    if (found == STANDING_IN) {
        cr_assert(has(memory, "group"), "operation %u: it takes itself for a founder", at);
        cr_assert_eq(logs_of(memory), LOGS, "operation %u: a vote without its log", at);
    } else {
        cr_assert_eq(found, standing, "operation %u", at);
        cr_assert(!has(memory, "group"));
        expect_contacts(memory, "the vote");
    }
}

/* @cut: the power goes; otherwise the process is killed. */
static bool leave_cut_off(enum standing standing, unsigned at, bool cut)
{
    struct memory_disk *memory = member_disk();
    struct disk *disk = memory_disk_handle(memory);
    struct error error;
    memory_disk_fail_at(memory, at);
    bool failed = standing_leave(disk, standing, &error) < 0;
    memory_disk_fail_at(memory, 0);
    if (cut)
        memory_disk_cut(memory);
    if (failed)
        expect_in_or_out(memory, standing, at);
    else
        expect_gone(memory, standing);
    cr_assert_eq(standing_leave(disk, standing, &error), 0, "%s", error.text);
    memory_disk_cut(memory);
    expect_gone(memory, standing);
    memory_disk_destroy(memory);
    return failed;
}

Test(standing, leaving_is_cut_off_anywhere)
{
    static const enum standing standings[] = {STANDING_OUT, STANDING_EMPTY, STANDING_DAMAGED};
    for (size_t i = 0; i < sizeof standings / sizeof standings[0]; i++)
        for (int cut = 0; cut < 2; cut++) {
            unsigned at = 1;
            while (leave_cut_off(standings[i], at, cut))
                at++;
            cr_assert_gt(at, LOGS + 4, "%u operations are not all", at);
        }
}

Test(standing, without_any_mark_it_is_what_the_identity_says)
{
    struct memory_disk *memory = memory_disk_create();
    cr_assert_eq(standing_of(memory, IDENTITY_MEMBER), STANDING_IN, "a founder");
    cr_assert_eq(standing_of(memory, IDENTITY_ADDED), STANDING_EMPTY);
    expect_contacts(memory, "");
    memory_disk_destroy(memory);
}

Test(standing, a_vote_is_worth_more_than_the_mark)
{
    struct memory_disk *memory = memory_disk_create();
    struct disk *disk = memory_disk_handle(memory);
    struct error error;
    cr_assert_eq(standing_leave(disk, STANDING_EMPTY, &error), 0);
    cr_assert_eq(standing_of(memory, IDENTITY_ADDED), STANDING_EMPTY);
    cr_assert_eq(standing_leave(disk, STANDING_OUT, &error), 0);
    cr_assert_eq(standing_of(memory, IDENTITY_ADDED), STANDING_OUT);
    cr_assert_eq(metafile_write(disk, "group", "in again", 8, &error), 0);
    cr_assert_eq(standing_of(memory, IDENTITY_ADDED), STANDING_IN);
    cr_assert_eq(standing_leave(disk, STANDING_OUT, &error), 0);
    expect_contacts(memory, "in again");
    memory_disk_destroy(memory);
}

Test(standing, damage_is_no_standing)
{
    static const char *const names[] = {"group", "outside"};
    const struct identity identity = {.standing = IDENTITY_MEMBER};
    for (size_t i = 0; i < 2; i++) {
        struct memory_disk *memory = memory_disk_create();
        struct disk *disk = memory_disk_handle(memory);
        enum standing standing;
        struct error error;
        size_t bytes;
        cr_assert_eq(metafile_write(disk, names[i], "x", 1, &error), 0);
        memory_disk_content(memory, names[i], &bytes)[bytes - 1] ^= 1;
        cr_assert_lt(standing_read(disk, &identity, &standing, &error), 0, "%s", names[i]);
        memory_disk_destroy(memory);
    }
}

/* Of a vote that can't be read nothing is known. */
Test(standing, the_epoch_of_a_vote)
{
    struct memory_disk *memory = memory_disk_create();
    struct disk *disk = memory_disk_handle(memory);
    struct error error;
    uint64_t epoch = 7;
    cr_assert_eq(standing_epoch(disk, &epoch, &error), 0);
    cr_assert_eq(epoch, 0);
    cr_assert_eq(metafile_write(disk, "group", "the vote of another", 19, &error), 0);
    cr_assert_eq(standing_epoch(disk, &epoch, &error), -EBADMSG);
    cr_assert_not_null(strstr(error.text, "group"));
    memory_disk_destroy(memory);
}

/* Whom it knew is known over a restart; what is damaged names nobody. */
Test(standing, contacts_are_remembered)
{
    struct memory_disk *memory = member_disk();
    struct disk *disk = memory_disk_handle(memory);
    struct error error;
    void *state;
    size_t bytes;
    cr_assert_eq(disk->ops->unlink(disk, "group"), 0);
    cr_assert_eq(standing_contacts(disk, &state, &bytes, &error), 0);
    cr_assert_null(state);
    cr_assert_eq(standing_keep_contacts(disk, "others", 6, &error), 0);
    cr_assert_eq(standing_leave(disk, STANDING_EMPTY, &error), 0);
    cr_assert_eq(standing_contacts(disk, &state, &bytes, &error), 0);
    cr_assert_eq(bytes, 6);
    cr_assert_arr_eq(state, "others", 6);
    free(state);
    size_t length;
    memory_disk_content(memory, "contacts", &length)[length - 1] ^= 1;
    cr_assert_eq(standing_contacts(disk, &state, &bytes, &error), 0);
    cr_assert_null(state);
    memory_disk_destroy(memory);
}
