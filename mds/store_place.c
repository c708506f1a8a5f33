/* Directories are named, put aside and removed here; LevelDB makes and fills them.
 *
 * The content of `store.place`: number (8), whether the one before is kept as evidence (1); files
 * without the last byte are of a version that did not write it. Invariant: between any two steps
 * the directory that the file names holds a whole store, and what else there can be is the one
 * before and the one after, of which the file says what to do with them. See store_place.h. */
#include "mds/store_place.h"
#include "base/cursor.h"
#include "store/metafile.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char place_name[] = "store.place";

struct place {
    uint64_t number;
    bool keep_old; /* the one before this is evidence */
};

static int place_decode(struct reader r, struct place *ret_place)
{
    ret_place->number = reader_u64(&r);
    uint8_t keep_old = reader_left(&r) > 0 ? reader_u8(&r) : 0;
    ret_place->keep_old = keep_old == 1;
    return reader_complete(&r) && keep_old <= 1 && ret_place->number < UINT64_MAX ? 0 : -EBADMSG;
}

static int place_read(struct disk *disk, struct place *ret_place, struct error *error)
{
    void *content;
    size_t bytes;
    *ret_place = (struct place){0};
    int rc = metafile_read(disk, place_name, &content, &bytes, error);
    if (rc == METAFILE_ABSENT)
        return 0;
    if (rc < 0)
        return rc;
    rc = place_decode(reader_make(content, bytes), ret_place);
    free(content);
    return rc < 0 ? error_set(error, rc, "the file %s is damaged", place_name) : 0;
}

static int place_write(struct disk *disk, const struct place *place, struct error *error)
{
    uint8_t content[9];
    struct writer w = writer_make(content, sizeof content);
    writer_u64(&w, place->number);
    writer_u8(&w, place->keep_old);
    return metafile_write(disk, place_name, content, writer_used(&w), error);
}

static void directory_of(const char *data, uint64_t number, char directory[STORE_PLACE_BYTES])
{
    int bytes = number ? snprintf(directory, STORE_PLACE_BYTES, "%s/store-%llu", data,
                                  (unsigned long long)number)
                       : snprintf(directory, STORE_PLACE_BYTES, "%s/store", data);
    MUST(bytes < STORE_PLACE_BYTES); /* what is cut off would name another directory */
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    return remove(path);
}

/* Nothing where it is not there. */
static int remove_tree(const char *directory, struct error *error)
{
    enum { DESCRIPTORS = 16 };
    if (nftw(directory, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
        return 0;
    return error_set(error, -errno, "%s cannot be removed: %s", directory, strerror(errno));
}

/* The one before the current one goes as the file says. */
static int settle_old(struct disk *disk, const char *data, const struct place *place,
                      struct error *error)
{
    char old[STORE_PLACE_BYTES], kept[STORE_PLACE_BYTES];
    if (place->number == 0)
        return 0;
    directory_of(data, place->number - 1, old);
    if (!place->keep_old)
        return remove_tree(old, error);
    int bytes = snprintf(kept, sizeof kept, "%s/diverged-%llu", data,
                         (unsigned long long)place->number - 1);
    MUST(bytes < STORE_PLACE_BYTES);
    if (rename(old, kept) < 0 && errno != ENOENT)
        return error_set(error, -errno, "%s cannot be put aside: %s", old, strerror(errno));
    return disk->ops->sync_directory(disk);
}

int store_place_current(struct disk *disk, const char *data, char directory[STORE_PLACE_BYTES],
                        struct error *error)
{
    struct place place;
    int rc = store_place_incoming(disk, data, directory, error);
    if (rc == 0)
        rc = place_read(disk, &place, error);
    if (rc == 0)
        rc = settle_old(disk, data, &place, error);
    if (rc == 0)
        directory_of(data, place.number, directory);
    return rc;
}

int store_place_incoming(struct disk *disk, const char *data, char directory[STORE_PLACE_BYTES],
                         struct error *error)
{
    struct place place;
    int rc = place_read(disk, &place, error);
    if (rc < 0)
        return rc;
    directory_of(data, place.number + 1, directory);
    return remove_tree(directory, error);
}

/* Names inside it are on stable storage: LevelDB syncs what it writes, but its last rename only
 * along with something later. */
static int sync_tree(const char *directory, struct error *error)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return rc < 0 ? error_set(error, rc, "%s: %s", directory, strerror(-rc)) : 0;
}

int store_place_promote(struct disk *disk, const char *data, bool keep_old, struct error *error)
{
    char directory[STORE_PLACE_BYTES];
    struct place place;
    int rc = place_read(disk, &place, error);
    if (rc < 0)
        return rc;
    place.number++;
    place.keep_old = keep_old;
    directory_of(data, place.number, directory);
    rc = sync_tree(directory, error);
    if (rc == 0)
        rc = place_write(disk, &place, error);
    return rc < 0 ? rc : settle_old(disk, data, &place, error);
}
