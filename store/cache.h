/* The record cache: the loop thread's view of a store, which it must never wait for.
 *
 * Holds recently used records (bounded), and every record that was changed and is not yet in the
 * store (pinned, ordered). Changes take effect here at once and reach the store later, in one batch
 * per flush that ends exactly at a mark: the store always holds the state as of some mark.
 *
 *     loop thread:    get / put / delete / mark           scan's merge
 *     read helper:                          store_get     store_scan
 *     write helper:                                                     store_write
 *
 * Threads: loop thread only, callbacks too. Errors of the store are final: `failed` is called once. */
#ifndef TUTTI_STORE_CACHE_H
#define TUTTI_STORE_CACHE_H

#include "base/loop.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache;

/* A flush is due after so many changed bytes, or so long after the first change. */
enum { CACHE_FLUSH_BYTES = 8 << 20, CACHE_FLUSH_MS = 100 };

enum cache_found { CACHE_PRESENT = 0, CACHE_ABSENT = 1, CACHE_MISS = 2 };

struct cache_config {
    struct loop *loop;
    struct store *store;      /* borrowed; used by the cache's helper threads until cache_destroy */
    uint64_t bytes_max;       /* of clean records, much more than one operation reads; pinned ones
                                 count besides; default 64 MiB */
    uint64_t sync_bytes;      /* a flush after this many written bytes syncs the store ... */
    uint64_t sync_ns;         /* ... or after this long; default 64 MiB, 1 s */
    uint32_t unpin_max;       /* records unpinned in one turn after a flush; default 1024 */
    uint64_t mark;            /* that of the store's content at the start */
    uint64_t hash_seed;       /* unpredictable where names come from strangers */
    void *user;
    void (*flushed)(void *user, uint64_t mark, bool durable); /* the store holds all up to mark */
    void (*failed)(void *user, int code, const char *detail);
};
int cache_create(const struct cache_config *config, struct cache **ret_cache) WARN_UNUSED;

/* @ret_value: valid until the next put, delete, or end of the turn; set when present. A MISS says
 * nothing about the store: cache_fetch, then again. */
enum cache_found cache_get(struct cache *cache, const void *key, size_t key_bytes,
                           const void **ret_value, size_t *ret_bytes);

/* Bring a record in (present or absent). @wait: called from the loop when it is in, never from
 * inside this call; owned by the cache until then; NULL to prefetch. Fetches of one key are joined.
 * 0 or -ENOMEM. The record stays in until all `done`s of this fetch have returned. */
struct cache_wait {
    void (*done)(struct cache_wait *wait);
    STAILQ_ENTRY(cache_wait) entry;
};
int cache_fetch(struct cache *cache, const void *key, size_t key_bytes, struct cache_wait *wait)
    WARN_UNUSED;

/* Records with from <= key < to in order, as of the moment of `done` (changes made while the store
 * was read are merged in). At most `count_max` records; complete says whether the range ended.
 * At least one record comes unless the range ended. `each` and then `done` come from the loop, all in
 * one go; `each` must not put or delete. */
struct cache_scan {
    const void *from, *to; /* copied by cache_scan_start */
    size_t from_bytes, to_bytes;
    uint32_t count_max;
    void (*each)(struct cache_scan *scan, const void *key, size_t key_bytes, const void *value,
                 size_t value_bytes);
    void (*done)(struct cache_scan *scan, bool complete);
};
/* The scan is owned by the cache until `done`. 0 or -ENOMEM. */
int cache_scan_start(struct cache *cache, struct cache_scan *scan) WARN_UNUSED;

/* Change a record. 0 or -ENOMEM. Copied. */
int cache_put(struct cache *cache, const void *key, size_t key_bytes, const void *value,
              size_t value_bytes) WARN_UNUSED;
int cache_delete(struct cache *cache, const void *key, size_t key_bytes) WARN_UNUSED;

/* All changes so far belong to `mark` (the index of the order); a flush may end here. */
void cache_mark(struct cache *cache, uint64_t mark);

/* Flushes may carry changes up to this mark, not beyond (what the local log has stored). */
void cache_allow(struct cache *cache, uint64_t mark);

/* Call `done` once everything up to the present mark is in the store, synced. */
int cache_sync(struct cache *cache, struct cache_wait *wait) WARN_UNUSED;

uint64_t cache_dirty_bytes(const struct cache *cache);

struct cache_counters {
    uint64_t records, pinned, clean_bytes, dirty_bytes, hits, misses, flushes, flushed_bytes, scans;
    uint64_t mark_flushed, mark_durable;
};
void cache_counters(const struct cache *cache, struct cache_counters *ret_counters);

/* Flushes nothing: what was not flushed comes again from the log. Blocks for running work. */
void cache_destroy(struct cache *cache);

#endif
