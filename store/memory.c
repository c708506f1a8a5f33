/* A store in memory: a red-black tree (<bsd/sys/tree.h>) under a readers-writer lock.
 *
 * A batch takes all its memory before it changes anything, so that it happens whole or not at all.
 * Nothing survives the process; `sync` has no meaning here. */
#include "store/store.h"

#include <bsd/sys/tree.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct record {
    RB_ENTRY(record) in_tree;
    STAILQ_ENTRY(record) in_batch;
    bool deleted; /* in a batch: take the key away */
    size_t key_bytes, value_bytes;
    uint8_t data[]; /* key, value */
};

RB_HEAD(record_tree, record);
STAILQ_HEAD(record_list, record);

struct store_memory {
    struct store store;
    pthread_rwlock_t lock;
    struct record_tree records;
};

static int record_compare(const struct record *a, const struct record *b)
{
    size_t shared = a->key_bytes < b->key_bytes ? a->key_bytes : b->key_bytes;
    int order = shared ? memcmp(a->data, b->data, shared) : 0;
    if (order)
        return order;
    return (a->key_bytes > b->key_bytes) - (a->key_bytes < b->key_bytes);
}

RB_GENERATE_INTERNAL(record_tree, record, in_tree, record_compare, __attribute__((unused)) static)

static struct record *record_create(const void *key, size_t key_bytes, const void *value,
                                    size_t value_bytes)
{
    struct record *record = malloc(sizeof *record + key_bytes + value_bytes);
    if (!record)
        return NULL;
    record->deleted = value == NULL;
    record->key_bytes = key_bytes;
    record->value_bytes = value_bytes;
    if (key_bytes)
        memcpy(record->data, key, key_bytes);
    if (value_bytes)
        memcpy(record->data + key_bytes, value, value_bytes);
    return record;
}

static struct store_memory *memory_of(struct store *store)
{
    return (struct store_memory *)store;
}

static int memory_get(struct store *store, const void *key, size_t key_bytes, void **ret_value,
                      size_t *ret_bytes, struct error *error)
{
    struct store_memory *memory = memory_of(store);
    struct record *wanted = record_create(key, key_bytes, NULL, 0);
    if (!wanted)
        return error_set(error, -ENOMEM, "memory store: no memory");
    pthread_rwlock_rdlock(&memory->lock);
    struct record *found = RB_FIND(record_tree, &memory->records, wanted);
    uint8_t *value = found ? malloc(found->value_bytes + 1) : NULL;
    if (value) {
        memcpy(value, found->data + found->key_bytes, found->value_bytes);
        *ret_value = value;
        *ret_bytes = found->value_bytes;
    }
    pthread_rwlock_unlock(&memory->lock);
    free(wanted);
    if (!found)
        return STORE_ABSENT;
    return value ? 0 : error_set(error, -ENOMEM, "memory store: no memory");
}

static int memory_scan(struct store *store, const void *from, size_t from_bytes, const void *to,
                       size_t to_bytes,
                       bool (*each)(void *user, const void *key, size_t key_bytes,
                                    const void *value, size_t value_bytes),
                       void *user, struct error *error)
{
    struct store_memory *memory = memory_of(store);
    struct record *first = record_create(from, from_bytes, NULL, 0);
    struct record *end = record_create(to, to_bytes, NULL, 0);
    int code = first && end ? 0 : error_set(error, -ENOMEM, "memory store: no memory");
    if (!code) {
        pthread_rwlock_rdlock(&memory->lock);
        struct record *r = from_bytes ? RB_NFIND(record_tree, &memory->records, first)
                                      : RB_MIN(record_tree, &memory->records);
        while (r && (to_bytes == 0 || record_compare(r, end) < 0) &&
               each(user, r->data, r->key_bytes, r->data + r->key_bytes, r->value_bytes))
            r = RB_NEXT(record_tree, &memory->records, r);
        pthread_rwlock_unlock(&memory->lock);
    }
    free(first);
    free(end);
    return code;
}

static int batch_copy(void *user, const void *key, size_t key_bytes, const void *value,
                      size_t value_bytes)
{
    struct record_list *list = user;
    struct record *record = record_create(key, key_bytes, value, value_bytes);
    if (!record)
        return -ENOMEM;
    STAILQ_INSERT_TAIL(list, record, in_batch);
    return 0;
}

static void memory_change(struct store_memory *memory, struct record *change)
{
    struct record *old = RB_FIND(record_tree, &memory->records, change);
    if (old) {
        RB_REMOVE(record_tree, &memory->records, old);
        free(old);
    }
    if (change->deleted)
        free(change);
    else
        RB_INSERT(record_tree, &memory->records, change);
}

static int memory_write(struct store *store, const struct store_batch *batch, bool sync,
                        struct error *error)
{
    struct store_memory *memory = memory_of(store);
    struct record_list changes = STAILQ_HEAD_INITIALIZER(changes);
    int code = store_batch_each(batch, batch_copy, &changes);
    pthread_rwlock_wrlock(&memory->lock);
    while (!STAILQ_EMPTY(&changes)) {
        struct record *change = STAILQ_FIRST(&changes);
        STAILQ_REMOVE_HEAD(&changes, in_batch);
        if (code)
            free(change);
        else
            memory_change(memory, change);
    }
    pthread_rwlock_unlock(&memory->lock);
    return code ? error_set(error, code, "memory store: no memory for a batch") : 0;
}

/* --- snapshots: a store of their own, with a copy --- */

struct copying {
    struct store *to;
    bool failed;
};

static bool copy_one(void *user, const void *key, size_t key_bytes, const void *value,
                     size_t value_bytes)
{
    struct copying *copying = user;
    struct record *copy = record_create(key, key_bytes, value, value_bytes);
    if (copy)
        RB_INSERT(record_tree, &memory_of(copying->to)->records, copy);
    copying->failed = !copy;
    return copy != NULL;
}

static int memory_snapshot_open(struct store *store, struct store_snapshot **ret_snapshot,
                                struct error *error)
{
    struct copying copying = {.failed = false};
    int code = store_memory_create(&copying.to, error);
    if (code)
        return code;
    code = memory_scan(store, "", 0, NULL, 0, copy_one, &copying, error);
    if (code == 0 && copying.failed)
        code = error_set(error, -ENOMEM, "memory store: no memory for a snapshot");
    if (code)
        store_close(copying.to);
    else
        *ret_snapshot = (struct store_snapshot *)copying.to;
    return code;
}

static int memory_snapshot_scan(struct store *store, struct store_snapshot *snapshot,
                                const void *from, size_t from_bytes,
                                bool (*each)(void *user, const void *key, size_t key_bytes,
                                             const void *value, size_t value_bytes),
                                void *user, struct error *error)
{
    return memory_scan((struct store *)snapshot, from, from_bytes, NULL, 0, each, user, error);
}

static void memory_snapshot_close(struct store *store, struct store_snapshot *snapshot)
{
    store_close((struct store *)snapshot);
}

static void memory_close(struct store *store)
{
    struct store_memory *memory = memory_of(store);
    struct record *record;
    while ((record = RB_ROOT(&memory->records))) {
        RB_REMOVE(record_tree, &memory->records, record);
        free(record);
    }
    pthread_rwlock_destroy(&memory->lock);
    free(memory);
}

static const struct store_ops memory_ops = {
    .name = "memory",
    .get = memory_get,
    .scan = memory_scan,
    .write = memory_write,
    .snapshot_open = memory_snapshot_open,
    .snapshot_scan = memory_snapshot_scan,
    .snapshot_close = memory_snapshot_close,
    .close = memory_close,
};

int store_memory_create(struct store **ret_store, struct error *error)
{
    struct store_memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        return error_set(error, -ENOMEM, "memory store: no memory");
    int code = -pthread_rwlock_init(&memory->lock, NULL);
    if (code) {
        free(memory);
        return error_set(error, code, "memory store: no lock: %s", strerror(-code));
    }
    RB_INIT(&memory->records);
    memory->store.ops = &memory_ops;
    *ret_store = &memory->store;
    return 0;
}
