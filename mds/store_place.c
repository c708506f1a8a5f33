/* Directories are named and removed here; LevelDB makes and fills them. See store_place.h. */
#define _XOPEN_SOURCE 700
#include "mds/store_place.h"
#include "base/cursor.h"
#include "store/metafile.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_number(struct disk *disk, uint64_t *ret_number, struct error *error)
{
    void *content;
    size_t bytes;
    *ret_number = 0;
    int rc = metafile_read(disk, "store.place", &content, &bytes, error);
    if (rc == METAFILE_ABSENT)
        return 0;
    if (rc < 0)
        return error_wrap(error, rc, "the file store.place");
    struct reader r = reader_make(content, bytes);
    *ret_number = reader_u64(&r);
    rc = reader_complete(&r) ? 0 : error_set(error, -EBADMSG, "the file store.place is damaged");
    free(content);
    return rc;
}

static void directory_of(const char *data, uint64_t number, char directory[STORE_PLACE_BYTES])
{
    if (number)
        snprintf(directory, STORE_PLACE_BYTES, "%s/store-%llu", data, (unsigned long long)number);
    else
        snprintf(directory, STORE_PLACE_BYTES, "%s/store", data);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    return remove(path);
}

static int remove_tree(const char *directory, struct error *error)
{
    enum { DESCRIPTORS = 16 };
    if (nftw(directory, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
        return 0;
    return error_set(error, -errno, "%s cannot be removed: %s", directory, strerror(errno));
}

int store_place_current(struct disk *disk, const char *data, char directory[STORE_PLACE_BYTES],
                        struct error *error)
{
    uint64_t number;
    int rc = read_number(disk, &number, error);
    if (rc == 0)
        directory_of(data, number, directory);
    return rc;
}

int store_place_incoming(struct disk *disk, const char *data, char directory[STORE_PLACE_BYTES],
                         struct error *error)
{
    uint64_t number;
    int rc = read_number(disk, &number, error);
    if (rc < 0)
        return rc;
    directory_of(data, number + 1, directory);
    return remove_tree(directory, error);
}

int store_place_promote(struct disk *disk, const char *data, bool keep_old, struct error *error)
{
    char old[STORE_PLACE_BYTES], kept[STORE_PLACE_BYTES];
    uint8_t content[8];
    uint64_t number;
    int rc = read_number(disk, &number, error);
    if (rc < 0)
        return rc;
    struct writer w = writer_make(content, sizeof content);
    writer_u64(&w, number + 1);
    rc = metafile_write(disk, "store.place", content, sizeof content, error);
    if (rc < 0)
        return rc;
    directory_of(data, number, old);
    if (!keep_old)
        return remove_tree(old, error);
    snprintf(kept, sizeof kept, "%s/diverged-%llu", data, (unsigned long long)number);
    if (rename(old, kept) < 0 && errno != ENOENT)
        return error_set(error, -errno, "%s cannot be put aside: %s", old, strerror(errno));
    return 0;
}
