/* The few file operations that the message log and the meta files need, so that the simulator can
 * put a disk of its own underneath: one that forgets what was not synced and tears tails.
 *
 * All block; none is called on a loop thread while the replica serves. Names are relative to the
 * disk's directory and hold no slash. Errors: negative errno. */
#ifndef TUTTI_STORE_DISK_H
#define TUTTI_STORE_DISK_H

#include "base/error.h"
#include "base/must.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk_file; /* opaque */

struct disk;
struct disk_ops {
    /* Open for reading and appending; @create: it must not exist yet. */
    int (*open)(struct disk *disk, const char *name, bool create, struct disk_file **ret_file);
    int64_t (*size)(struct disk_file *file);
    /* Up to `bytes` at `offset`; the number read, less at the end of the file. */
    int64_t (*read)(struct disk_file *file, uint64_t offset, void *to, size_t bytes);
    /* All of `bytes` at the end, or an error. Not on stable storage before `sync`. */
    int (*append)(struct disk_file *file, const void *from, size_t bytes);
    int (*truncate)(struct disk_file *file, uint64_t bytes);
    /* All of it once more, in its place: what a failed sync could not write, perhaps in an earlier
     * process, reads well and counts as clean; now the next sync writes it, or says that it can't.
     */
    int (*rewrite)(struct disk_file *file);
    int (*sync)(struct disk_file *file); /* fdatasync: a failed one is never tried again */
    void (*close)(struct disk_file *file);
    int (*rename)(struct disk *disk, const char *from, const char *to);
    int (*unlink)(struct disk *disk, const char *name);
    int (*sync_directory)(struct disk *disk); /* makes creations, renames and unlinks stable */
    /* Calls `each` for every name; stops where it returns non-zero and returns that. */
    int (*list)(struct disk *disk, int (*each)(void *user, const char *name), void *user);
    void (*destroy)(struct disk *disk);
};

struct disk {
    const struct disk_ops *ops;
};

/* A directory of the real file system, which has to exist. */
int disk_posix_create(const char *directory, struct disk **ret_disk,
                      struct error *error) WARN_UNUSED;

/* Those files of @whole (borrowed, outlives it) whose names begin with @prefix, without it. 0 or
 * -ENOMEM. */
int disk_part_create(struct disk *whole, const char *prefix, struct disk **ret_disk) WARN_UNUSED;

#endif
