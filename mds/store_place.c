/* Directories are named, put aside and removed here; LevelDB makes and fills them.
 *
 * The content of `store.place`: number (8), what becomes of the one before (enum replica_old, 1);
 * files without the last byte are of a version that did not write it. Invariant: between any two
 * steps the directory that the file names holds a whole store, and what else there can be is the
 * one before and the one after, of which the file says what to do with them. See store_place.h. */
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
    enum replica_old old; /* what the one before this was */
};

static int place_decode(struct reader r, struct place *ret_place)
{
    ret_place->number = reader_u64(&r);
    uint8_t old = reader_left(&r) > 0 ? reader_u8(&r) : REPLICA_OLD_REMOVED;
    ret_place->old = old;
    return reader_complete(&r) && old <= REPLICA_OLD_DAMAGED && ret_place->number < UINT64_MAX
               ? 0
               : -EBADMSG;
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
    writer_u8(&w, (uint8_t)place->old);
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

/* --- evidence --- */

struct evidence {
    const char *data, *kind;
    struct error *error;
};

static int remove_evidence(void *user, const char *name)
{
    const struct evidence *evidence = user;
    char directory[STORE_PLACE_BYTES];
    size_t bytes = strlen(evidence->kind);
    if (strncmp(name, evidence->kind, bytes) != 0 || name[bytes] != '-')
        return 0;
    int used = snprintf(directory, sizeof directory, "%s/%s", evidence->data, name);
    if (used >= (int)sizeof directory)
        return 0; /* not of our making */
    return remove_tree(directory, evidence->error);
}

/* Of each kind the newest one stays: a disk that damages what it is given time and again must not
 * be filled with that. */
static int put_aside(struct disk *disk, const char *data, const char *old,
                     const struct place *place, struct error *error)
{
    char kept[STORE_PLACE_BYTES];
    struct evidence older = {
        .data = data,
        .kind = place->old == REPLICA_OLD_DIVERGED ? "diverged" : "damaged",
        .error = error,
    };
    if (access(old, F_OK) < 0 && errno == ENOENT)
        return 0; /* done before, or there was none */
    int rc = disk->ops->list(disk, remove_evidence, &older);
    if (rc < 0)
        return rc;
    int bytes = snprintf(kept, sizeof kept, "%s/%s-%llu", data, older.kind,
                         (unsigned long long)place->number - 1);
    MUST(bytes < STORE_PLACE_BYTES);
    if (rename(old, kept) < 0)
        return error_set(error, -errno, "%s cannot be put aside: %s", old, strerror(errno));
    return disk->ops->sync_directory(disk);
}

/* The one before the current one goes as the file says. */
static int settle_old(struct disk *disk, const char *data, const struct place *place,
                      struct error *error)
{
    char old[STORE_PLACE_BYTES];
    if (place->number == 0)
        return 0;
    directory_of(data, place->number - 1, old);
    if (place->old == REPLICA_OLD_REMOVED)
        return remove_tree(old, error);
    return put_aside(disk, data, old, place, error);
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

int store_place_promote(struct disk *disk, const char *data, enum replica_old old,
                        struct error *error)
{
    char directory[STORE_PLACE_BYTES];
    struct place place;
    int rc = place_read(disk, &place, error);
    if (rc < 0)
        return rc;
    place.number++;
    place.old = old;
    directory_of(data, place.number, directory);
    rc = sync_tree(directory, error);
    if (rc == 0)
        rc = place_write(disk, &place, error);
    return rc < 0 ? rc : settle_old(disk, data, &place, error);
}
