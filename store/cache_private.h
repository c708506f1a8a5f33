/* Inside of the record cache.
 *
 * An entry is one key. It is in exactly one of these conditions:
 *
 *   unknown  a fetch is on its way and nothing was put meanwhile        fetching, not known
 *   clean    as the store has it; may be evicted                        known, pins 0, holds 0: in
 * lru held     clean, but somebody waits for it or is being told          known, pins 0, holds > 0
 *   pinned   changed in `pins` generations that are not retired         known, pins > 0: in tree
 *
 * A generation is the changes between two marks that are written as one batch:
 *
 *   collecting --(due, at a mark)--> sealed --(allowed)--> written --> retired, when no scan is
 * left that began before the write had ended
 *
 * Each has one item per key with the value as of its mark. The helper thread reads the items of a
 * sealed generation and the keys of their entries; the loop changes neither until it is written. An
 * item's data is the entry's as long as the entry was not changed again; else the item owns it. */
#ifndef TUTTI_STORE_CACHE_PRIVATE_H
#define TUTTI_STORE_CACHE_PRIVATE_H

#include "base/table.h"
#include "store/cache.h"

#include <bsd/sys/tree.h>
#include <sys/queue.h>

struct cache_generation;

struct cache_entry {
    UT_hash_handle hh;
    RB_ENTRY(cache_entry) in_tree;
    TAILQ_ENTRY(cache_entry) in_lru;
    STAILQ_ENTRY(cache_entry) in_ready;
    STAILQ_HEAD(, cache_wait) waits;
    void *data; /* owned; NULL: absent */
    size_t data_bytes;
    struct cache_generation *latest; /* the newest that has it; NULL: none */
    uint32_t item;                   /* index there */
    uint32_t pins, holds;
    bool known, fetching, lru, ready;
    uint32_t key_bytes;
    uint8_t key[];
};

RB_HEAD(cache_tree, cache_entry);

struct cache_item {
    struct cache_entry *entry;
    void *data;
    size_t data_bytes;
};

struct cache_generation {
    struct work work;
    struct cache *cache;
    STAILQ_ENTRY(cache_generation) in_written;
    struct cache_item *items;
    uint32_t count, capacity;
    uint32_t retired; /* so many items, the first ones, are unpinned */
    uint64_t bytes;
    uint64_t mark;
    uint64_t scan_last; /* written: retired when all scans up to this one have ended */
    bool sync;
    int code; /* of the helper */
    struct error error;
};

struct cache_syncing {
    STAILQ_ENTRY(cache_syncing) entry;
    struct cache_wait *wait;
    uint64_t mark;
};

struct cache_scanning;

/* uthash moves all entries of a table when it makes it larger, and the loop waits: many tables,
 * each small. */
enum { CACHE_SHARD_BITS = 12, CACHE_SHARDS = 1 << CACHE_SHARD_BITS };

struct cache {
    struct cache_config config;
    struct work_queue *read_queue, *write_queue;

    /* entries: cache_entry.c */
    struct cache_entry *shards[CACHE_SHARDS];
    uint64_t entry_count;
    TAILQ_HEAD(cache_lru, cache_entry) lru; /* the most recently used first */
    uint64_t clean_bytes;
    STAILQ_HEAD(, cache_entry) ready; /* known, with waits to call */
    struct loop_task ready_task, evict_task;

    /* generations: cache_flush.c */
    struct cache_tree pinned;
    uint64_t pinned_count;
    struct cache_generation *collecting, *sealed;
    STAILQ_HEAD(, cache_generation) written;
    struct loop_timer flush_timer, sync_timer, retire_timer;
    struct loop_task sync_task;
    STAILQ_HEAD(, cache_syncing) syncing;
    uint64_t mark, allowed, mark_flushed, mark_durable;
    uint64_t unsynced_bytes;
    bool boundary; /* nothing was changed since the last mark */
    bool flush_due, sync_due, writing;

    /* scans: cache_scan.c */
    TAILQ_HEAD(, cache_scanning) scans; /* in flight, in order of their numbers */
    uint64_t scan_last;

    struct cache_counters counters;
    bool failed, closing;
};

int cache_entry_compare(const struct cache_entry *a, const struct cache_entry *b);
RB_PROTOTYPE(cache_tree, cache_entry, in_tree, cache_entry_compare)

/* The entry of `key`, or NULL. */
struct cache_entry *cache_entry_find(struct cache *cache, const void *key, size_t key_bytes);
/* A new one, neither known nor fetching; NULL: no memory. */
struct cache_entry *cache_entry_create(struct cache *cache, const void *key, size_t key_bytes);
void cache_entry_destroy(struct cache *cache, struct cache_entry *entry);
/* After its pins, holds or knowledge changed: into the lru, or out of it. */
void cache_entry_settle(struct cache *cache, struct cache_entry *entry);
void cache_entry_touch(struct cache *cache, struct cache_entry *entry);
/* Call all that wait for it, now. */
void cache_entry_wake(struct cache *cache, struct cache_entry *entry);
void cache_entry_ready(struct loop_task *task);
void cache_entry_evict(struct loop_task *task);

struct cache_generation *cache_generation_create(struct cache *cache);
void cache_generation_destroy(struct cache_generation *generation);
/* The entry has a new value (taken; NULL: deleted). 0 or -ENOMEM (value not taken). */
int cache_generation_change(struct cache *cache, struct cache_entry *entry, void *data,
                            size_t data_bytes) WARN_UNUSED;
/* Unpin what no scan in flight may have missed; not all at once where it is much. */
void cache_generation_retire(struct cache *cache);
void cache_retire_timer(struct loop_timer *timer);
void cache_flush_timer(struct loop_timer *timer);
void cache_sync_timer(struct loop_timer *timer);
void cache_sync_task(struct loop_task *task);

/* The number of the oldest scan in flight; UINT64_MAX: none. */
uint64_t cache_scan_oldest(const struct cache *cache);

void cache_fail(struct cache *cache, int code, const struct error *error);

#endif
