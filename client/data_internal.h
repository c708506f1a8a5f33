/* Shared by the files of the data path.
 *
 * Two locks. `data->mutex`: the table, references, held. `inode->mutex`: short, the fields marked
 * with (m). Beside them each inode has a lock of its own that is held across calls to the service,
 * shared by reads and writes in place, exclusive for everything that moves data or orders it
 * (data_lock.c); waiting for it can be cancelled. Order: inode lock, then a mutex; never both
 * mutexes. */
#ifndef TUTTI_CLIENT_DATA_INTERNAL_H
#define TUTTI_CLIENT_DATA_INTERNAL_H

#include "base/table.h"
#include "client/data.h"
#include "client/data_target.h"

#include <pthread.h>

struct data {
    struct data_service service;
    struct data_target *targets;
    uint32_t target_count, stripe_bytes, inline_bytes_max;

    pthread_mutex_t mutex;
    struct data_inode *inodes;
    uint64_t opens;   /* handles, and opens being asked for */
    uint64_t opening; /* opens being asked for: their inode is not in the table yet */
    bool lingering;   /* held inodes may be in the table that only wait for `opening` to be 0 */
};

enum { DATA_OBJECT_UNSYNCED = 1, DATA_OBJECT_CREATED = 2 };

/* One object of the inode, opened at its first use. */
struct data_object {
    int fd;        /* -1: not opened */
    uint8_t state; /* DATA_OBJECT_*: what the next fsync has to do */
};

struct data_inode {
    struct data *data;
    uint64_t ino;
    UT_hash_handle hh;
    uint32_t references; /* handles and calls in progress */
    uint32_t handles;
    bool held; /* unlinked, kept by the service for this session */

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t readers, writers_waiting; /* (m) the inode lock */
    bool writer;                       /* (m) */

    bool known;                  /* (m) attr is set */
    struct proto_attr attr;      /* (m) newest ordered attributes seen */
    bool pending;                /* (m) size and mtime below are not ordered yet */
    uint64_t pending_size;       /* (m) end of the furthest byte written */
    int64_t pending_mtime;       /* (m) */
    struct data_object *objects; /* (m) data->target_count of them, or NULL */
    int sync_error;              /* (m) of an fsync that failed */

    /* Inline bytes not ordered yet: [run_begin, run_end) of the file, at the same place in run.
     * Changed under the exclusive lock, empty where the file is striped. */
    uint8_t *run;
    uint32_t run_begin, run_end;
};

/* DATA_MOVED: the data was moved meanwhile, or has to be first; look again. An expected condition
 * that also fits where bytes are counted, so it is negative; no errno is that large. */
enum { DATA_MOVED = -4096, DATA_ATTEMPTS_MAX = 64 };

/* data_lock.c: 0 or -EINTR. */
int data_lock(struct data_inode *inode, bool exclusive, struct data_caller *caller) WARN_UNUSED;
void data_unlock(struct data_inode *inode, bool exclusive);

/* data_inode.c */
/* A reference; created where it is not in the table. NULL: no memory. */
struct data_inode *data_inode_get(struct data *data, uint64_t ino) WARN_UNUSED;
void data_inode_put(struct data_inode *inode, struct data_caller *caller);
/* At the end of the mount: all that are left. */
void data_inodes_finish(struct data *data);
/* Take over attributes unless newer ones are known. */
void data_inode_observe(struct data_inode *inode, const struct proto_attr *attr);
struct proto_attr data_inode_attr(struct data_inode *inode);
void data_inode_pend(struct data_inode *inode, uint64_t end);
/* Bytes up to which the file reaches with what is pending. */
uint64_t data_inode_size(struct data_inode *inode);

/* data_call.c */
int64_t data_wall_ns(void);
/* One operation without data in its outcome, with the mount's authority; its attributes are
 * observed. Returns 0 with the status, or a negative errno. */
int data_call(struct data_inode *inode, struct data_caller *caller, const struct proto_op *op,
              struct proto_outcome *ret_outcome) WARN_UNUSED;
/* As data_call, and every status but those in `expected` (PROTO_OK ends the list) is an error. */
int data_call_expect(struct data_inode *inode, struct data_caller *caller,
                     const struct proto_op *op, const enum proto_status *expected,
                     struct proto_outcome *ret_outcome) WARN_UNUSED;
/* GETATTR. */
int data_refresh(struct data_inode *inode, struct data_caller *caller) WARN_UNUSED;

/* data_object.c: the inode's objects. Striped inodes; inode lock held. */
/* -ENOENT where it is not there and `create` is false. Borrowed. */
int data_object_fd(struct data_inode *inode, uint32_t target, bool create) WARN_UNUSED;
void data_object_written(struct data_inode *inode, uint32_t target);
/* Sync what was written since the last time. */
int data_objects_sync(struct data_inode *inode) WARN_UNUSED;
void data_objects_close(struct data_inode *inode);
/* All targets' objects of an inode that is gone: as many as can be, the first error. */
int data_objects_remove(struct data *data, struct data_object_name name);
/* The guard: whoever moves data from inline to objects or cuts objects holds it, in any mount. An
 * flock on the object with the first byte. Returns its descriptor (borrowed). */
int data_guard_lock(struct data_inode *inode, const struct proto_layout *layout,
                    struct data_caller *caller) WARN_UNUSED;
void data_guard_unlock(int guard);

/* data_inline.c: inline inodes. DATA_MOVED where the file turned out to be striped. */
ssize_t data_inline_read(struct data_inode *inode, struct data_caller *caller, uint8_t *to,
                         size_t bytes, uint64_t offset) WARN_UNUSED;
ssize_t data_inline_write(struct data_inode *inode, struct data_caller *caller, const uint8_t *from,
                          size_t bytes, uint64_t offset) WARN_UNUSED;
ssize_t data_inline_append(struct data_inode *inode, struct data_caller *caller,
                           const uint8_t *from, size_t bytes) WARN_UNUSED;
int data_inline_flush(struct data_inode *inode, struct data_caller *caller) WARN_UNUSED;

/* data_stripe.c: striped inodes. */
ssize_t data_stripe_read(struct data_inode *inode, uint8_t *to, size_t bytes,
                         uint64_t offset) WARN_UNUSED;
ssize_t data_stripe_write(struct data_inode *inode, const uint8_t *from, size_t bytes,
                          uint64_t offset) WARN_UNUSED;
ssize_t data_stripe_append(struct data_inode *inode, struct data_caller *caller,
                           const uint8_t *from, size_t bytes) WARN_UNUSED;
int data_stripe_grow(struct data_inode *inode, struct data_caller *caller) WARN_UNUSED;

/* data_move.c; exclusive lock held. */
/* Inline to striped; nothing where it is striped already. -EFBIG without targets. */
int data_convert(struct data_inode *inode, struct data_caller *caller) WARN_UNUSED;
/* Cut the objects where the order has truncated the file, and say so. */
int data_cut(struct data_inode *inode, struct data_caller *caller) WARN_UNUSED;

/* data.c: order what is pending; exclusive lock held. */
int data_flush_locked(struct data_inode *inode, struct data_caller *caller) WARN_UNUSED;

/* Inode lock held in either way. */
static inline bool data_striped(struct data_inode *inode)
{
    return data_inode_attr(inode).layout.striped;
}

#endif
