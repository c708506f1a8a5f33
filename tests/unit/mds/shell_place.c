/* Which directory holds the store, on a real file system: one takes the other's place at once, and
 * what an interrupted change left does no harm. */
#include "mds/store_place.h"
#include "store/metafile.h"
#include "tests/unit/store/temporary.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char data[64];
    struct disk *disk;
};

static void place_make(struct place *place)
{
    struct error error;
    temporary_make(place->data);
    cr_assert_eq(disk_posix_create(place->data, &place->disk, &error), 0, "%s", error.text);
}

static void place_finish(struct place *place)
{
    place->disk->ops->destroy(place->disk);
    temporary_remove(place->data);
}

static void path_of(const struct place *place, const char *name, char path[160])
{
    snprintf(path, 160, "%s/%s", place->data, name);
}

/* A directory that looks like a store, with a directory inside. */
static void make_store(const struct place *place, const char *name, const char *content)
{
    char path[160], inside[200];
    path_of(place, name, path);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(inside, sizeof inside, "%s/lost", path);
    cr_assert_eq(mkdir(inside, 0700), 0);
    snprintf(inside, sizeof inside, "%s/lost/%s", path, content);
    int fd = open(inside, O_CREAT | O_WRONLY, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
}

/* @content NULL: there must be nothing. */
static void expect_store(const struct place *place, const char *name, const char *content)
{
    char path[160], inside[200];
    path_of(place, name, path);
    snprintf(inside, sizeof inside, "%s/lost/%s", path, content ? content : "");
    cr_assert_eq(access(content ? inside : path, F_OK), content ? 0 : -1, "%s", name);
}

static void expect_current(struct place *place, const char *name)
{
    char directory[STORE_PLACE_BYTES], path[160];
    struct error error;
    path_of(place, name, path);
    cr_assert_eq(store_place_current(place->disk, place->data, directory, &error), 0);
    cr_assert_str_eq(directory, path);
}

static void expect_incoming(struct place *place, const char *name)
{
    char directory[STORE_PLACE_BYTES], path[160];
    struct error error;
    path_of(place, name, path);
    cr_assert_eq(store_place_incoming(place->disk, place->data, directory, &error), 0, "%s",
                 error.text);
    cr_assert_str_eq(directory, path);
    expect_store(place, name, NULL);
}

static void promote(struct place *place, bool keep_old)
{
    struct error error;
    cr_assert_eq(store_place_promote(place->disk, place->data, keep_old, &error), 0, "%s",
                 error.text);
}

Test(store_place, one_takes_the_others_place)
{
    struct place place;
    place_make(&place);
    expect_current(&place, "store");
    make_store(&place, "store", "first");
    expect_incoming(&place, "store-1");
    make_store(&place, "store-1", "second");
    expect_current(&place, "store");
    promote(&place, false);
    expect_current(&place, "store-1");
    expect_store(&place, "store-1", "second");
    expect_store(&place, "store", NULL);
    expect_incoming(&place, "store-2");
    make_store(&place, "store-2", "third");
    promote(&place, false);
    expect_current(&place, "store-2");
    expect_store(&place, "store-1", NULL);
    expect_store(&place, "store-2", "third");
    place_finish(&place);
}

Test(store_place, evidence_is_kept)
{
    struct place place;
    place_make(&place);
    make_store(&place, "store", "first");
    make_store(&place, "store-1", "second");
    promote(&place, true);
    expect_current(&place, "store-1");
    expect_store(&place, "diverged-0", "first");
    make_store(&place, "store-2", "third");
    promote(&place, true);
    expect_current(&place, "store-2");
    expect_store(&place, "diverged-0", "first");
    expect_store(&place, "diverged-1", "second");
    expect_store(&place, "store-1", NULL);
    place_finish(&place);
}

/* A new replica has none. */
Test(store_place, there_need_be_no_old_one)
{
    for (int keep_old = 0; keep_old < 2; keep_old++) {
        struct place place;
        place_make(&place);
        expect_incoming(&place, "store-1");
        make_store(&place, "store-1", "first");
        promote(&place, keep_old);
        expect_current(&place, "store-1");
        expect_store(&place, "store-1", "first");
        expect_store(&place, "diverged-0", NULL);
        place_finish(&place);
    }
}

Test(store_place, what_was_half_filled_is_removed)
{
    struct place place;
    place_make(&place);
    make_store(&place, "store", "first");
    for (int i = 0; i < 3; i++) {
        expect_incoming(&place, "store-1");
        make_store(&place, "store-1", "half");
    }
    expect_current(&place, "store");
    expect_store(&place, "store", "first");
    place_finish(&place);
}

/* The power goes behind the one write that matters: the old one is still there, and means nothing.
 */
Test(store_place, what_the_old_one_left_is_not_taken_for_the_store)
{
    struct place place;
    place_make(&place);
    make_store(&place, "store-1", "second");
    promote(&place, false);
    make_store(&place, "store", "first");
    expect_current(&place, "store-1");
    expect_incoming(&place, "store-2");
    expect_store(&place, "store-1", "second");
    place_finish(&place);
}

Test(store_place, damage_is_no_place)
{
    static const size_t counts[] = {0, 7, 9};
    char directory[STORE_PLACE_BYTES];
    struct place place;
    struct error error;
    place_make(&place);
    make_store(&place, "store", "first");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        cr_assert_eq(metafile_write(place.disk, "store.place", "123456789", counts[i], &error), 0);
        cr_assert_eq(store_place_current(place.disk, place.data, directory, &error), -EBADMSG);
        cr_assert_eq(store_place_incoming(place.disk, place.data, directory, &error), -EBADMSG);
        cr_assert_eq(store_place_promote(place.disk, place.data, false, &error), -EBADMSG);
        expect_store(&place, "store", "first");
    }
    place_finish(&place);
}
