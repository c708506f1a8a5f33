/* The record cache: create, look up, change, destroy. See cache.h and cache_private.h. */
#include "store/cache_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SYNC_BYTES_DEFAULT (64ull << 20)
#define SYNC_NS_DEFAULT    1000000000ull
#define BYTES_MAX_DEFAULT  (64ull << 20)
#define UNPIN_MAX_DEFAULT  1024

void cache_fail(struct cache *cache, int code, const struct error *error)
{
    if (cache->failed)
        return;
    cache->failed = true;
    if (!cache->closing)
        cache->config.failed(cache->config.user, code, error->text);
}

enum cache_found cache_get(struct cache *cache, const void *key, size_t key_bytes,
                           const void **ret_value, size_t *ret_bytes)
{
    struct cache_entry *entry = cache_entry_find(cache, key, key_bytes);
    if (!entry || !entry->known) {
        cache->counters.misses++;
        return CACHE_MISS;
    }
    cache->counters.hits++;
    cache_entry_touch(cache, entry);
    if (!entry->data)
        return CACHE_ABSENT;
    *ret_value = entry->data;
    *ret_bytes = entry->data_bytes;
    return CACHE_PRESENT;
}

/* `data` is taken on success. */
static int cache_change(struct cache *cache, const void *key, size_t key_bytes, void *data,
                        size_t data_bytes)
{
    struct cache_entry *entry = cache_entry_find(cache, key, key_bytes);
    bool fresh = !entry;
    if (fresh)
        entry = cache_entry_create(cache, key, key_bytes);
    if (!entry)
        return -ENOMEM;
    int code = cache_generation_change(cache, entry, data, data_bytes);
    if (code && fresh)
        cache_entry_destroy(cache, entry);
    return code;
}

int cache_put(struct cache *cache, const void *key, size_t key_bytes, const void *value,
              size_t value_bytes)
{
    void *data = malloc(value_bytes + 1); /* never NULL for an empty value */
    if (!data)
        return -ENOMEM;
    if (value_bytes)
        memcpy(data, value, value_bytes);
    int code = cache_change(cache, key, key_bytes, data, value_bytes);
    if (code)
        free(data);
    return code;
}

int cache_delete(struct cache *cache, const void *key, size_t key_bytes)
{
    return cache_change(cache, key, key_bytes, NULL, 0);
}

uint64_t cache_dirty_bytes(const struct cache *cache)
{
    return cache->collecting->bytes + (cache->sealed ? cache->sealed->bytes : 0);
}

void cache_counters(const struct cache *cache, struct cache_counters *ret_counters)
{
    *ret_counters = cache->counters;
    ret_counters->records = cache->entry_count;
    ret_counters->pinned = cache->pinned_count;
    ret_counters->clean_bytes = cache->clean_bytes;
    ret_counters->dirty_bytes = cache_dirty_bytes(cache);
    ret_counters->mark_flushed = cache->mark_flushed;
    ret_counters->mark_durable = cache->mark_durable;
}

static int cache_init(struct cache *cache)
{
    struct loop *loop = cache->config.loop;
    cache->collecting = cache_generation_create(cache);
    if (!cache->collecting || loop_timer_init(loop, &cache->flush_timer, cache_flush_timer) < 0 ||
        loop_timer_init(loop, &cache->sync_timer, cache_sync_timer) < 0 ||
        loop_timer_init(loop, &cache->retire_timer, cache_retire_timer) < 0)
        return -ENOMEM;
    cache->read_queue = work_queue_create(loop, "cache read");
    cache->write_queue = work_queue_create(loop, "cache write");
    return cache->read_queue && cache->write_queue ? 0 : -EAGAIN;
}

static void config_defaults(struct cache_config *config)
{
    if (!config->bytes_max)
        config->bytes_max = BYTES_MAX_DEFAULT;
    if (!config->unpin_max)
        config->unpin_max = UNPIN_MAX_DEFAULT;
    if (!config->sync_bytes)
        config->sync_bytes = SYNC_BYTES_DEFAULT;
    if (!config->sync_ns)
        config->sync_ns = SYNC_NS_DEFAULT;
}

int cache_create(const struct cache_config *config, struct cache **ret_cache)
{
    struct cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return -ENOMEM;
    cache->config = *config;
    config_defaults(&cache->config);
    cache->mark = cache->allowed = cache->mark_flushed = cache->mark_durable = config->mark;
    cache->boundary = true;
    TAILQ_INIT(&cache->lru);
    STAILQ_INIT(&cache->ready);
    STAILQ_INIT(&cache->written);
    STAILQ_INIT(&cache->syncing);
    TAILQ_INIT(&cache->scans);
    RB_INIT(&cache->pinned);
    cache->ready_task = (struct loop_task){.run = cache_entry_ready, .phase = LOOP_PHASE_SUBMIT};
    cache->sync_task = (struct loop_task){.run = cache_sync_task, .phase = LOOP_PHASE_SUBMIT};
    cache->evict_task = (struct loop_task){.run = cache_entry_evict, .phase = LOOP_PHASE_SEND};
    int code = cache_init(cache);
    if (code) {
        cache_destroy(cache);
        return code;
    }
    *ret_cache = cache;
    return 0;
}

static void generations_destroy(struct cache *cache)
{
    struct cache_generation *generation;
    while ((generation = STAILQ_FIRST(&cache->written))) {
        STAILQ_REMOVE_HEAD(&cache->written, in_written);
        cache_generation_destroy(generation);
    }
    cache_generation_destroy(cache->sealed);
    cache_generation_destroy(cache->collecting);
}

void cache_destroy(struct cache *cache)
{
    if (!cache)
        return;
    struct cache_syncing *syncing;
    cache->closing = true;
    work_queue_destroy(cache->read_queue);
    work_queue_destroy(cache->write_queue);
    loop_timer_finish(&cache->flush_timer);
    loop_timer_finish(&cache->sync_timer);
    loop_timer_finish(&cache->retire_timer);
    loop_cancel(cache->config.loop, &cache->ready_task);
    loop_cancel(cache->config.loop, &cache->sync_task);
    loop_cancel(cache->config.loop, &cache->evict_task);
    generations_destroy(cache);
    while ((syncing = STAILQ_FIRST(&cache->syncing))) {
        STAILQ_REMOVE_HEAD(&cache->syncing, entry);
        free(syncing);
    }
    for (uint32_t i = 0; i < CACHE_SHARDS; i++)
        while (cache->shards[i])
            cache_entry_destroy(cache, cache->shards[i]);
    free(cache);
}
