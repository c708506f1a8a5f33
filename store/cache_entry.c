/* The cache's entries: hash table, least recently used list, waiting. See cache_private.h. */
#include "store/cache_private.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

int cache_entry_compare(const struct cache_entry *a, const struct cache_entry *b)
{
    size_t shared = a->key_bytes < b->key_bytes ? a->key_bytes : b->key_bytes;
    int order = shared ? memcmp(a->key, b->key, shared) : 0;
    if (order)
        return order;
    return (a->key_bytes > b->key_bytes) - (a->key_bytes < b->key_bytes);
}

static unsigned key_hash(const struct cache *cache, const void *key, size_t key_bytes)
{
    return (unsigned)hash64_seeded(key, key_bytes, cache->config.hash_seed);
}

/* By the hash's upper bits; within the shard uthash takes the lower ones. */
static struct cache_entry **shard_of(struct cache *cache, unsigned hash)
{
    return &cache->shards[(uint32_t)hash >> (32 - CACHE_SHARD_BITS)];
}

struct cache_entry *cache_entry_find(struct cache *cache, const void *key, size_t key_bytes)
{
    struct cache_entry *entry = NULL;
    unsigned hash = key_hash(cache, key, key_bytes);
    HASH_FIND_BYHASHVALUE(hh, *shard_of(cache, hash), key, key_bytes, hash, entry);
    return entry;
}

struct cache_entry *cache_entry_create(struct cache *cache, const void *key, size_t key_bytes)
{
    struct cache_entry *entry = calloc(1, sizeof *entry + key_bytes);
    if (!entry)
        return NULL;
    entry->key_bytes = (uint32_t)key_bytes;
    if (key_bytes)
        memcpy(entry->key, key, key_bytes);
    STAILQ_INIT(&entry->waits);
    unsigned hash = key_hash(cache, key, key_bytes);
    struct cache_entry **shard = shard_of(cache, hash);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, *shard, entry->key, key_bytes, hash, entry);
    if (!entry->hh.tbl) {
        free(entry);
        return NULL;
    }
    cache->entry_count++;
    return entry;
}

static uint64_t entry_bytes(const struct cache_entry *entry)
{
    return sizeof *entry + entry->key_bytes + entry->data_bytes;
}

static void lru_remove(struct cache *cache, struct cache_entry *entry)
{
    if (!entry->lru)
        return;
    TAILQ_REMOVE(&cache->lru, entry, in_lru);
    cache->clean_bytes -= entry_bytes(entry);
    entry->lru = false;
}

void cache_entry_destroy(struct cache *cache, struct cache_entry *entry)
{
    lru_remove(cache, entry);
    struct cache_entry **shard = shard_of(cache, entry->hh.hashv);
    HASH_DEL(*shard, entry);
    cache->entry_count--;
    free(entry->data);
    free(entry);
}

void cache_entry_settle(struct cache *cache, struct cache_entry *entry)
{
    bool clean = entry->known && !entry->pins && !entry->holds && !entry->fetching;
    if (!clean) {
        lru_remove(cache, entry);
        return;
    }
    if (entry->lru)
        return;
    TAILQ_INSERT_HEAD(&cache->lru, entry, in_lru);
    cache->clean_bytes += entry_bytes(entry);
    entry->lru = true;
    if (cache->clean_bytes > cache->config.bytes_max && !cache->closing)
        loop_defer(cache->config.loop, &cache->evict_task);
}

void cache_entry_touch(struct cache *cache, struct cache_entry *entry)
{
    if (!entry->lru || TAILQ_FIRST(&cache->lru) == entry)
        return;
    TAILQ_REMOVE(&cache->lru, entry, in_lru);
    TAILQ_INSERT_HEAD(&cache->lru, entry, in_lru);
}

/* At the end of a turn, so that what cache_get returned stays valid until then. */
void cache_entry_evict(struct loop_task *task)
{
    struct cache *cache = CONTAINER_OF(task, struct cache, evict_task);
    while (cache->clean_bytes > cache->config.bytes_max)
        cache_entry_destroy(cache, TAILQ_LAST(&cache->lru, cache_lru));
}

void cache_entry_wake(struct cache *cache, struct cache_entry *entry)
{
    STAILQ_HEAD(, cache_wait) waits = STAILQ_HEAD_INITIALIZER(waits);
    STAILQ_CONCAT(&waits, &entry->waits);
    entry->holds++;
    cache_entry_settle(cache, entry);
    struct cache_wait *wait;
    while ((wait = STAILQ_FIRST(&waits))) {
        STAILQ_REMOVE_HEAD(&waits, entry);
        wait->done(wait);
    }
    entry->holds--;
    cache_entry_settle(cache, entry);
}

void cache_entry_ready(struct loop_task *task)
{
    struct cache *cache = CONTAINER_OF(task, struct cache, ready_task);
    struct cache_entry *entry;
    while (!cache->failed && (entry = STAILQ_FIRST(&cache->ready))) {
        STAILQ_REMOVE_HEAD(&cache->ready, in_ready);
        entry->ready = false;
        entry->holds--;
        cache_entry_wake(cache, entry);
    }
}
