/* Bringing records in.
 *
 * An unknown key gets its entry at once: later fetches join it, and a put that comes before the
 * store's answer wins over it. Only what is not in the cache is fetched, and only what the store
 * has leaves it, so the answer is never older than what the entry would say. */
#include "store/cache_private.h"

#include <errno.h>
#include <stdlib.h>

struct fetch {
    struct work work;
    struct cache *cache;
    struct cache_entry *entry;
    void *data;
    size_t data_bytes;
    int code;
    struct error error;
};

static void fetch_run(struct work *work)
{
    struct fetch *fetch = CONTAINER_OF(work, struct fetch, work);
    fetch->code = store_get(fetch->cache->config.store, fetch->entry->key, fetch->entry->key_bytes,
                            &fetch->data, &fetch->data_bytes, &fetch->error);
}

static void fetch_done(struct work *work)
{
    struct fetch *fetch = CONTAINER_OF(work, struct fetch, work);
    struct cache *cache = fetch->cache;
    struct cache_entry *entry = fetch->entry;
    entry->fetching = false;
    if (fetch->code < 0) {
        cache_fail(cache, fetch->code, &fetch->error);
    } else if (!entry->known) {
        entry->data = fetch->data;
        entry->data_bytes = fetch->data_bytes;
        entry->known = true;
        fetch->data = NULL;
    }
    free(fetch->data);
    free(fetch);
    if (!cache->failed && !cache->closing)
        cache_entry_wake(cache, entry);
}

static int fetch_begin(struct cache *cache, const void *key, size_t key_bytes,
                       struct cache_entry **ret_entry)
{
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch)
        return -ENOMEM;
    struct cache_entry *entry = cache_entry_create(cache, key, key_bytes);
    if (!entry) {
        free(fetch);
        return -ENOMEM;
    }
    *fetch = (struct fetch){
        .work = {.run = fetch_run, .done = fetch_done}, .cache = cache, .entry = entry};
    entry->fetching = true;
    work_queue_submit(cache->read_queue, &fetch->work);
    *ret_entry = entry;
    return 0;
}

int cache_fetch(struct cache *cache, const void *key, size_t key_bytes, struct cache_wait *wait)
{
    struct cache_entry *entry = cache_entry_find(cache, key, key_bytes);
    if (!entry) {
        int code = fetch_begin(cache, key, key_bytes, &entry);
        if (code)
            return code;
    }
    if (!wait)
        return 0;
    STAILQ_INSERT_TAIL(&entry->waits, wait, entry);
    if (entry->fetching || entry->ready)
        return 0;
    entry->ready = true;
    entry->holds++;
    cache_entry_settle(cache, entry);
    STAILQ_INSERT_TAIL(&cache->ready, entry, in_ready);
    loop_defer(cache->config.loop, &cache->ready_task);
    return 0;
}
