/* Where the store is: real directories, and every point at which a promotion can be cut off. */
#include "mds/store_place.h"
#include "store/metafile.h"
#include "tests/unit/store/temporary.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct place_rig {
    char data[64];
    struct disk *disk;
    struct error error;
};

static void rig_make(struct place_rig *rig)
{
    temporary_make(rig->data);
    cr_assert_eq(disk_posix_create(rig->data, &rig->disk, &rig->error), 0);
}

static void rig_finish(struct place_rig *rig)
{
    rig->disk->ops->destroy(rig->disk);
    temporary_remove(rig->data);
}

static const char *path_of(const struct place_rig *rig, const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", rig->data, name);
    return path;
}

/* A directory with a file in it, as a stand-in for a store. */
static void make_directory(struct place_rig *rig, const char *name)
{
    char file[512];
    snprintf(file, sizeof file, "%s/CURRENT", path_of(rig, name));
    cr_assert_eq(mkdir(path_of(rig, name), 0700), 0, "%s", name);
    FILE *out = fopen(file, "w");
    cr_assert_not_null(out);
    fprintf(out, "%s", name);
    fclose(out);
}

static bool is_there(struct place_rig *rig, const char *name)
{
    return access(path_of(rig, name), F_OK) == 0;
}

static void expect_current(struct place_rig *rig, const char *name)
{
    char directory[STORE_PLACE_BYTES];
    cr_assert_eq(store_place_current(rig->disk, rig->data, directory, &rig->error), 0, "%s",
                 rig->error.text);
    cr_assert_str_eq(directory, path_of(rig, name));
}

static void expect_incoming(struct place_rig *rig, const char *name)
{
    char directory[STORE_PLACE_BYTES];
    cr_assert_eq(store_place_incoming(rig->disk, rig->data, directory, &rig->error), 0, "%s",
                 rig->error.text);
    cr_assert_str_eq(directory, path_of(rig, name));
    cr_assert(!is_there(rig, name));
}

static void promote(struct place_rig *rig, enum replica_old old)
{
    cr_assert_eq(store_place_promote(rig->disk, rig->data, old, &rig->error), 0, "%s",
                 rig->error.text);
}

Test(store_place, one_takes_the_place_of_another)
{
    struct place_rig rig;
    rig_make(&rig);
    expect_current(&rig, "store");
    make_directory(&rig, "store");
    expect_incoming(&rig, "store-1");
    make_directory(&rig, "store-1");
    expect_incoming(&rig, "store-1"); /* what was begun before is gone */
    cr_assert(is_there(&rig, "store"));
    make_directory(&rig, "store-1");
    promote(&rig, REPLICA_OLD_REMOVED);
    cr_assert(!is_there(&rig, "store"));
    expect_current(&rig, "store-1");
    expect_incoming(&rig, "store-2");
    make_directory(&rig, "store-2");
    promote(&rig, REPLICA_OLD_DIVERGED);
    expect_current(&rig, "store-2");
    cr_assert(is_there(&rig, "diverged-1/CURRENT") && is_there(&rig, "store-2/CURRENT"));
    cr_assert(!is_there(&rig, "store-1"));
    rig_finish(&rig);
}

/* The newest of each kind. */
Test(store_place, evidence_does_not_collect)
{
    static const struct {
        enum replica_old old;
        const char *kept[2]; /* afterwards */
    } steps[] = {
        {REPLICA_OLD_DAMAGED, {"damaged-0"}},
        {REPLICA_OLD_DIVERGED, {"damaged-0", "diverged-1"}},
        {REPLICA_OLD_DAMAGED, {"diverged-1", "damaged-2"}},
        {REPLICA_OLD_REMOVED, {"diverged-1", "damaged-2"}},
        {REPLICA_OLD_DIVERGED, {"damaged-2", "diverged-4"}},
    };
    static const char *const all[] = {"damaged-0", "diverged-1", "damaged-2", "diverged-4"};
    struct place_rig rig;
    rig_make(&rig);
    make_directory(&rig, "store");
    make_directory(&rig, "damaged"); /* somebody else's */
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "store-%zu", i + 1);
        make_directory(&rig, name);
        promote(&rig, steps[i].old);
        expect_current(&rig, name);
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) {
            bool kept = false;
            for (size_t k = 0; k < 2; k++)
                kept = kept || (steps[i].kept[k] && strcmp(steps[i].kept[k], all[j]) == 0);
            cr_assert_eq(is_there(&rig, all[j]), kept, "%s after %zu", all[j], i);
        }
    }
    cr_assert(is_there(&rig, "damaged/CURRENT"));
    rig_finish(&rig);
}

/* A new replica has no current store yet. */
Test(store_place, the_first_one_may_come_in)
{
    struct place_rig rig;
    rig_make(&rig);
    expect_incoming(&rig, "store-1");
    make_directory(&rig, "store-1");
    promote(&rig, REPLICA_OLD_DIVERGED);
    expect_current(&rig, "store-1");
    cr_assert(is_there(&rig, "store-1/CURRENT") && !is_there(&rig, "diverged-0"));
    rig_finish(&rig);
}

Test(store_place, nothing_is_promoted_where_nothing_came)
{
    struct place_rig rig;
    rig_make(&rig);
    make_directory(&rig, "store");
    cr_assert_eq(store_place_promote(rig.disk, rig.data, REPLICA_OLD_REMOVED, &rig.error), -ENOENT);
    expect_current(&rig, "store");
    cr_assert(is_there(&rig, "store/CURRENT"));
    rig_finish(&rig);
}

/* The process dies at the first step of the real thing that changes something, at the second, ... :
 * a child for each, over a disk that ends it there. */
static unsigned steps_left;
static const struct disk_ops *real_ops;

static void step(void)
{
    if (steps_left-- == 0)
        _exit(0);
}

static int dying_rename(struct disk *disk, const char *from, const char *to)
{
    step();
    return real_ops->rename(disk, from, to);
}

static int dying_sync_directory(struct disk *disk)
{
    step();
    return real_ops->sync_directory(disk);
}

static int dying_unlink(struct disk *disk, const char *name)
{
    step();
    return real_ops->unlink(disk, name);
}

static void promote_and_die(struct place_rig *rig, enum replica_old old, unsigned steps)
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        struct disk_ops ops = *rig->disk->ops;
        real_ops = rig->disk->ops;
        ops.rename = dying_rename;
        ops.unlink = dying_unlink;
        ops.sync_directory = dying_sync_directory;
        rig->disk->ops = &ops;
        steps_left = steps;
        _exit(store_place_promote(rig->disk, rig->data, old, &rig->error) == 0 ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

/* Either the old one is current, whole, and what came in is gone; or the new one, and the old one
 * is where it was to go. Returns whether it is the new one. */
static bool check_settled(struct place_rig *rig, enum replica_old old)
{
    char directory[STORE_PLACE_BYTES];
    cr_assert_eq(store_place_current(rig->disk, rig->data, directory, &rig->error), 0);
    bool is_new = strcmp(directory, path_of(rig, "store-1")) == 0;
    if (!is_new)
        cr_assert_str_eq(directory, path_of(rig, "store"));
    cr_assert_eq(is_there(rig, "store-1/CURRENT"), is_new);
    cr_assert_eq(is_there(rig, "store/CURRENT"), !is_new);
    cr_assert_eq(is_there(rig, "diverged-0/CURRENT"), is_new && old == REPLICA_OLD_DIVERGED);
    cr_assert_eq(is_there(rig, "damaged-0/CURRENT"), is_new && old == REPLICA_OLD_DAMAGED);
    return is_new;
}

Test(store_place, a_promotion_that_is_cut_off)
{
    for (unsigned steps = 0, news = 0; steps < 8; steps++)
        for (enum replica_old old = 0; old <= REPLICA_OLD_DAMAGED; old++) {
            struct place_rig rig;
            rig_make(&rig);
            make_directory(&rig, "store");
            make_directory(&rig, "store-1");
            promote_and_die(&rig, old, steps);
            news += check_settled(&rig, old);
            cr_assert(steps > 0 || news == 0);
            cr_assert(steps < 7 || news >= 3);
            rig_finish(&rig);
        }
}

/* Between the meta file and the old directory: the next opening goes on. */
Test(store_place, the_old_one_is_settled_later)
{
    for (uint8_t old = 0; old <= REPLICA_OLD_DAMAGED; old++) {
        struct place_rig rig;
        uint8_t content[9] = {1, [8] = old};
        rig_make(&rig);
        make_directory(&rig, "store");
        make_directory(&rig, "store-1");
        cr_assert_eq(metafile_write(rig.disk, "store.place", content, sizeof content, &rig.error),
                     0);
        cr_assert(check_settled(&rig, old));
        rig_finish(&rig);
    }
}

Test(store_place, damage_is_told)
{
    static const struct {
        uint8_t bytes[10];
        size_t count;
        int code;
    } cases[] = {
        {{3}, 8, 0}, /* as it was written before */
        {{3}, 9, 0},          {{3, [8] = 1}, 9, 0},
        {{3, [8] = 2}, 9, 0}, {{3, [8] = 3}, 9, -EBADMSG},
        {{3}, 10, -EBADMSG},  {{3}, 7, -EBADMSG},
        {{0}, 0, -EBADMSG},   {{255, 255, 255, 255, 255, 255, 255, 255}, 8, -EBADMSG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct place_rig rig;
        char directory[STORE_PLACE_BYTES];
        rig_make(&rig);
        cr_assert_eq(metafile_write(rig.disk, "store.place", cases[i].bytes, cases[i].count, NULL),
                     0);
        make_directory(&rig, "store");
        make_directory(&rig, "store-3");
        cr_assert_eq(store_place_current(rig.disk, rig.data, directory, &rig.error), cases[i].code,
                     "case %zu", i);
        cr_assert(is_there(&rig, "store") && is_there(&rig, "store-3"));
        rig_finish(&rig);
    }
}
