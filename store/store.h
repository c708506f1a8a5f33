/* The ordered map: byte keys to byte values, sorted by memcmp.
 *
 * Implementations: store/leveldb.c, store/memory.c and the simulator's. All pass tests/unit's
 * store contract.
 *
 * Threads: any one thread at a time for writing; reads (get, scan) may run on other threads at the
 * same time as a write. They block on the disk, so never call them on a loop thread.
 * Errors: -EUCLEAN what it holds is damaged, or is there no more, or can't be read; -EIO a failed
 * write: this replica has to stop serving (a failed sync is never tried again); -ENOMEM; -ENOSPC.
 */
#ifndef TUTTI_STORE_STORE_H
#define TUTTI_STORE_STORE_H

#include "base/error.h"
#include "base/must.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct store_batch;    /* changes that take effect together; see below */
struct store_snapshot; /* the records as of one moment */

enum { STORE_ABSENT = 1 };

struct store_ops {
    const char *name;
    int (*get)(struct store *store, const void *key, size_t key_bytes, void **ret_value,
               size_t *ret_bytes, struct error *error);
    int (*scan)(struct store *store, const void *from, size_t from_bytes, const void *to,
                size_t to_bytes,
                bool (*each)(void *user, const void *key, size_t key_bytes, const void *value,
                             size_t value_bytes),
                void *user, struct error *error);
    int (*write)(struct store *store, const struct store_batch *batch, bool sync,
                 struct error *error);
    int (*snapshot_open)(struct store *store, struct store_snapshot **ret_snapshot,
                         struct error *error);
    int (*snapshot_scan)(struct store *store, struct store_snapshot *snapshot, const void *from,
                         size_t from_bytes,
                         bool (*each)(void *user, const void *key, size_t key_bytes,
                                      const void *value, size_t value_bytes),
                         void *user, struct error *error);
    void (*snapshot_close)(struct store *store, struct store_snapshot *snapshot);
    void (*close)(struct store *store);
};

struct store {
    const struct store_ops *ops;
};

/* The value of `key`, on the heap, for the caller to free. 0, STORE_ABSENT or negative errno. */
static inline WARN_UNUSED int store_get(struct store *store, const void *key, size_t key_bytes,
                                        void **ret_value, size_t *ret_bytes, struct error *error)
{
    return store->ops->get(store, key, key_bytes, ret_value, ret_bytes, error);
}

/* Calls `each` for the records with from <= key < to in order (to_bytes 0: to the end), as of one
 * moment, until it returns false. Keys and values are borrowed for the call. */
static inline WARN_UNUSED int store_scan(struct store *store, const void *from, size_t from_bytes,
                                         const void *to, size_t to_bytes,
                                         bool (*each)(void *user, const void *key, size_t key_bytes,
                                                      const void *value, size_t value_bytes),
                                         void *user, struct error *error)
{
    return store->ops->scan(store, from, from_bytes, to, to_bytes, each, user, error);
}

/* The records as they are now, whatever is written later. On any thread; close it before the store.
 */
static inline WARN_UNUSED int store_snapshot_open(struct store *store,
                                                  struct store_snapshot **ret_snapshot,
                                                  struct error *error)
{
    return store->ops->snapshot_open(store, ret_snapshot, error);
}

/* As store_scan, from a key to the end. */
static inline WARN_UNUSED int store_snapshot_scan(struct store *store,
                                                  struct store_snapshot *snapshot, const void *from,
                                                  size_t from_bytes,
                                                  bool (*each)(void *user, const void *key,
                                                               size_t key_bytes, const void *value,
                                                               size_t value_bytes),
                                                  void *user, struct error *error)
{
    return store->ops->snapshot_scan(store, snapshot, from, from_bytes, each, user, error);
}

static inline void store_snapshot_close(struct store *store, struct store_snapshot *snapshot)
{
    if (snapshot)
        store->ops->snapshot_close(store, snapshot);
}

/* All of the batch or nothing, also across a crash. @sync: on stable storage when it returns;
 * without it a crash may lose this batch and all later ones, never an earlier one alone. */
static inline WARN_UNUSED int store_write(struct store *store, const struct store_batch *batch,
                                          bool sync, struct error *error)
{
    return store->ops->write(store, batch, sync, error);
}

static inline void store_close(struct store *store)
{
    if (store)
        store->ops->close(store);
}

/* Puts and deletes in the order given; the later one of a key wins. */
struct store_batch *store_batch_create(void) WARN_UNUSED;
void store_batch_destroy(struct store_batch *batch);
void store_batch_clear(struct store_batch *batch);
/* 0 or -ENOMEM. Key and value are copied. */
int store_batch_put(struct store_batch *batch, const void *key, size_t key_bytes, const void *value,
                    size_t value_bytes) WARN_UNUSED;
int store_batch_delete(struct store_batch *batch, const void *key, size_t key_bytes) WARN_UNUSED;
/* Visit the changes; value NULL means delete. Stops where `each` returns non-zero; returns that. */
int store_batch_each(const struct store_batch *batch,
                     int (*each)(void *user, const void *key, size_t key_bytes, const void *value,
                                 size_t value_bytes),
                     void *user);
size_t store_batch_bytes(const struct store_batch *batch);

struct store_leveldb_config {
    const char *directory;
    uint64_t block_cache_bytes;  /* default 64 MiB */
    uint64_t write_buffer_bytes; /* default 16 MiB */
    bool compression;            /* snappy */
    bool create;                 /* make a new one; otherwise it has to be there */
};

int store_leveldb_open(const struct store_leveldb_config *config, struct store **ret_store,
                       struct error *error) WARN_UNUSED;
int store_memory_create(struct store **ret_store, struct error *error) WARN_UNUSED;

#endif
