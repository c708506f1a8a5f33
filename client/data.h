/* The data path: what is in the files of one mount.
 *
 * Small files live in the name space itself (inline), larger ones in objects on data targets
 * (striped). One `struct data_inode` is shared by all handles that a mount has on an inode; it
 * holds what was written and is not yet ordered. Data is coherent between mounts at open, fsync and
 * close.
 *
 *     inline    written bytes are kept here as one run and become one ordered WRITE at flush,
 * fsync, close, before any SETATTR, or when a write does not touch the run striped   written
 * through to the objects at once; size and mtime become ordered by a GROW at the same points
 *
 * Attributes that come from the service pass through data_attr, which puts what is not yet ordered
 * on top, so that this mount always sees its own writes.
 *
 * Threads: everything may be called from any thread; calls block. Errors: negative errno. Of all
 * calls that talk to the service: -EINTR (the caller is being killed; outcome unknown), -ESHUTDOWN,
 * -ESTALE (no such inode any more), -EIO. Knows nothing of FUSE. */
#ifndef TUTTI_CLIENT_DATA_H
#define TUTTI_CLIENT_DATA_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/must.h"
#include "proto/proto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/types.h>

struct data;
struct data_inode;

/* On whose behalf a call is made. Opaque here, made by whoever implements the service; NULL: the
 * mount itself. */
struct data_caller;

/* With whose rights an operation is sent. What a handle may do was decided when it was opened, so
 * what is done through it goes with the mount's authority. */
enum data_authority { DATA_AS_MOUNT, DATA_AS_CALLER };

/* How operations reach the service. */
struct data_service {
    void *user;
    /* One operation, blocking. `reply` (initialised, empty) holds the outcome's data. 0 with the
     * outcome, whatever its status; or -EINTR, -ESHUTDOWN, -ENOMEM, -EIO. */
    int (*call)(void *user, struct data_caller *caller, enum data_authority authority,
                const struct proto_op *op, struct buffer *reply, struct proto_outcome *ret_outcome);
    /* Whether the caller should stop waiting. */
    bool (*cancelled)(void *user, struct data_caller *caller);
};

struct data_config {
    const char *const *targets; /* directories, the same ones in the same order at every mount */
    uint32_t target_count;      /* 0 .. 255 */
    uint32_t stripe_bytes;      /* of new files; a multiple of 4096 */
    uint32_t inline_bytes_max; /* as the service says (PROTO_STATFS); 0 .. PROTO_INLINE_BYTES_MAX */
    struct data_service service;
};

/* Open the targets. -EINVAL, -ENOMEM, or what opening a directory gave, with text. */
int data_create(const struct data_config *config, struct data **ret_data,
                struct error *error) WARN_UNUSED;

/* What is still open is ordered, as far as the service lets it, and closed. No call may be inside.
 */
void data_destroy(struct data *data);

/* An open or create is about to be asked of the service: from here on unlinks hold inodes. */
void data_open_begin(struct data *data);
/* It failed. */
void data_open_failed(struct data *data);
/* It was answered with `attr`: a reference for the new handle. -ENOMEM (then as data_open_failed).
 */
int data_open(struct data *data, const struct proto_attr *attr,
              struct data_inode **ret_inode) WARN_UNUSED;

/* Drop a handle. The last one orders what is pending, and lets go of the inode where its last link
 * went while it was open. The handle is gone whatever is returned; an error means that data was
 * lost. */
int data_close(struct data_inode *inode, struct data_caller *caller);

/* UNLINK and RENAME should say PROTO_UNLINK_HOLD. */
bool data_should_hold(struct data *data);
/* Such an operation was answered with `ino` (not 0): keep it until it is closed here. */
void data_hold(struct data *data, uint64_t ino, struct data_caller *caller);

/* Put what this mount has written and not yet ordered on top of attributes from the service. */
void data_attr(struct data *data, struct proto_attr *attr);

/* Attributes as data_attr would give them, of an open inode, without asking. */
void data_known_attr(struct data_inode *inode, struct proto_attr *ret_attr);

/* Bytes read: fewer than asked for at the end of the file only. Sees what other mounts have ordered
 * up to the last attributes that went through data_attr. */
ssize_t data_read(struct data_inode *inode, struct data_caller *caller, void *to, size_t bytes,
                  uint64_t offset) WARN_UNUSED;

/* Bytes written: `bytes`, or fewer where a target failed midway. @append: at the end, wherever that
 * is in the order; appends of several mounts never overlap. -EFBIG, -ENOSPC, what a target said. */
ssize_t data_write(struct data_inode *inode, struct data_caller *caller, const void *from,
                   size_t bytes, uint64_t offset, bool append) WARN_UNUSED;

/* Order what is pending. */
int data_flush(struct data_inode *inode, struct data_caller *caller) WARN_UNUSED;

/* Make it durable: sync the objects that this mount wrote, then order. A sync that failed is never
 * tried again: it fails every later call on this inode. */
int data_fsync(struct data_inode *inode, struct data_caller *caller) WARN_UNUSED;

/* As fallocate(2): mode 0, FALLOC_FL_KEEP_SIZE, _PUNCH_HOLE, _ZERO_RANGE; others -EOPNOTSUPP. */
int data_allocate(struct data_inode *inode, struct data_caller *caller, int mode, uint64_t offset,
                  uint64_t bytes) WARN_UNUSED;

/* A SETATTR, of an open or closed inode: orders what is pending before, so that it can't come
 * behind; makes room for a size beyond what is inline; cuts the objects after. The outcome's status
 * may be an error of the service. */
int data_setattr(struct data *data, struct data_caller *caller, enum data_authority authority,
                 const struct proto_op *op, struct proto_outcome *ret_outcome) WARN_UNUSED;

/* Remove the objects of files that are gone: one list of them. Returns how many there were. */
int data_purge(struct data *data, struct data_caller *caller) WARN_UNUSED;

/* Sum over the targets' file systems, each counted once; all zero where there are no targets. */
int data_capacity(struct data *data, struct statvfs *ret_capacity) WARN_UNUSED;

#endif
