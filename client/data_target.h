/* Data targets: directories that every mount can reach, which hold the objects of striped files.
 *
 *     DIR/tutti-target             which target of how the mounts count it is, so that two mounts
 *                                  can't list the same directories in another order
 *     DIR/<2 hex>/<ino>.<generation>   one object per striped file and target, both in hex; the two
 *                                  digits are the inode number's lowest byte
 *
 * Threads: any. Errors: negative errno of the directory's file system. */
#ifndef TUTTI_CLIENT_DATA_TARGET_H
#define TUTTI_CLIENT_DATA_TARGET_H

#include "base/error.h"
#include "base/must.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>

enum { DATA_TARGETS_MAX = 255 };

struct data_target {
    int fd; /* the directory */
};

struct data_object_name {
    uint64_t ino, generation;
};

/* Open the directory and check, or at first write, its mark. */
int data_target_open(const char *directory, uint32_t index, struct data_target *ret_target,
                     struct error *error) WARN_UNUSED;
void data_target_close(struct data_target *target);

/* A descriptor for reading and writing, owned by the caller; -ENOENT where it is not there and
 * `create` is false. @ret_created: it may be new, see data_target_sync_names. */
int data_target_object(const struct data_target *target, struct data_object_name name, bool create,
                       bool *ret_created) WARN_UNUSED;

/* Make the name of an object that was created durable. */
int data_target_sync_names(const struct data_target *target,
                           struct data_object_name name) WARN_UNUSED;

/* 0 also where there is none. */
int data_target_remove(const struct data_target *target, struct data_object_name name) WARN_UNUSED;

/* Sum over the file systems of all targets, each counted once, in blocks of 4 KiB. */
int data_target_capacity(const struct data_target *targets, uint32_t count,
                         struct statvfs *ret_capacity) WARN_UNUSED;

#endif
