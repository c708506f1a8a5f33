/* Writing changes to the store, a generation at a time.
 *
 * A generation is sealed only where a mark ends, and written only when its mark is allowed; so the
 * store always holds the state as of some mark, and never more than the message log. One generation
 * is written at a time, in order. */
#include "store/cache_private.h"

#include <errno.h>
#include <stdlib.h>

RB_GENERATE(cache_tree, cache_entry, in_tree, cache_entry_compare)

enum { ITEMS_FIRST = 256 };

static void flush_consider(struct cache *cache);

struct cache_generation *cache_generation_create(struct cache *cache)
{
    struct cache_generation *generation = calloc(1, sizeof *generation);
    if (generation)
        generation->cache = cache;
    return generation;
}

/* Frees what its items own, which is what their entries no longer have. */
void cache_generation_destroy(struct cache_generation *generation)
{
    if (!generation)
        return;
    for (uint32_t i = generation->retired; i < generation->count; i++)
        if (generation->items[i].data != generation->items[i].entry->data)
            free(generation->items[i].data);
    free(generation->items);
    free(generation);
}

static int items_reserve(struct cache_generation *generation)
{
    if (generation->count < generation->capacity)
        return 0;
    uint32_t capacity = generation->capacity ? 2 * generation->capacity : ITEMS_FIRST;
    struct cache_item *items = realloc(generation->items, capacity * sizeof *items);
    if (!items)
        return -ENOMEM;
    generation->items = items;
    generation->capacity = capacity;
    return 0;
}

/* The entry's value goes from one generation, or from none, to the collecting one. */
static int change_first(struct cache *cache, struct cache_entry *entry)
{
    struct cache_generation *generation = cache->collecting;
    if (items_reserve(generation) < 0)
        return -ENOMEM;
    if (generation->count == 0)
        loop_timer_start(&cache->flush_timer, CACHE_FLUSH_MS * 1000000ull);
    bool owned = entry->pins == 0; /* else an older generation's item owns it from now on */
    entry->pins++;
    cache_entry_settle(cache, entry);
    if (owned)
        free(entry->data);
    if (owned)
        RB_INSERT(cache_tree, &cache->pinned, entry);
    cache->pinned_count += owned;
    entry->latest = generation;
    entry->item = generation->count++;
    return 0;
}

static void change_again(struct cache *cache, struct cache_entry *entry)
{
    cache->collecting->bytes -= entry->key_bytes + entry->data_bytes;
    free(entry->data);
}

int cache_generation_change(struct cache *cache, struct cache_entry *entry, void *data,
                            size_t data_bytes)
{
    struct cache_generation *generation = cache->collecting;
    if (entry->latest == generation)
        change_again(cache, entry);
    else if (change_first(cache, entry) < 0)
        return -ENOMEM;
    entry->data = data;
    entry->data_bytes = data_bytes;
    entry->known = true;
    generation->items[entry->item] = (struct cache_item){entry, data, data_bytes};
    generation->bytes += entry->key_bytes + data_bytes;
    cache->boundary = false;
    return 0;
}

static void item_retire(struct cache *cache, struct cache_generation *generation,
                        struct cache_item *item)
{
    struct cache_entry *entry = item->entry;
    if (item->data != entry->data)
        free(item->data);
    if (entry->latest == generation)
        entry->latest = NULL;
    if (--entry->pins == 0) {
        RB_REMOVE(cache_tree, &cache->pinned, entry);
        cache->pinned_count--;
    }
    cache_entry_settle(cache, entry);
}

void cache_generation_retire(struct cache *cache)
{
    struct cache_generation *generation;
    uint64_t oldest = cache_scan_oldest(cache);
    uint32_t left = cache->config.unpin_max;
    while ((generation = STAILQ_FIRST(&cache->written)) && generation->scan_last < oldest) {
        for (; generation->retired < generation->count && left > 0; left--)
            item_retire(cache, generation, &generation->items[generation->retired++]);
        if (generation->retired < generation->count) {
            loop_timer_start(&cache->retire_timer, 0);
            return;
        }
        STAILQ_REMOVE_HEAD(&cache->written, in_written);
        cache_generation_destroy(generation);
    }
}

void cache_retire_timer(struct loop_timer *timer)
{
    cache_generation_retire(CONTAINER_OF(timer, struct cache, retire_timer));
}

static int items_batch(const struct cache_generation *generation, struct store_batch *batch)
{
    int code = 0;
    for (uint32_t i = 0; i < generation->count && !code; i++) {
        const struct cache_item *item = &generation->items[i];
        const struct cache_entry *entry = item->entry;
        if (item->data)
            code =
                store_batch_put(batch, entry->key, entry->key_bytes, item->data, item->data_bytes);
        else
            code = store_batch_delete(batch, entry->key, entry->key_bytes);
    }
    return code;
}

static void flush_run(struct work *work)
{
    struct cache_generation *generation = CONTAINER_OF(work, struct cache_generation, work);
    struct store_batch *batch = store_batch_create();
    generation->code = batch ? items_batch(generation, batch) : -ENOMEM;
    if (generation->code)
        error_set(&generation->error, generation->code, "flush: no memory for the batch");
    else
        generation->code = store_write(generation->cache->config.store, batch, generation->sync,
                                       &generation->error);
    store_batch_destroy(batch);
}

static void flush_account(struct cache *cache, const struct cache_generation *generation)
{
    cache->counters.flushes++;
    cache->counters.flushed_bytes += generation->bytes;
    cache->mark_flushed = generation->mark;
    if (generation->sync) {
        cache->mark_durable = generation->mark;
        cache->unsynced_bytes = 0;
        cache->sync_due = false;
        loop_timer_stop(&cache->sync_timer);
        return;
    }
    if (cache->unsynced_bytes == 0)
        loop_timer_start(&cache->sync_timer, cache->config.sync_ns);
    cache->unsynced_bytes += generation->bytes;
}

static void flush_done(struct work *work)
{
    struct cache_generation *generation = CONTAINER_OF(work, struct cache_generation, work);
    struct cache *cache = generation->cache;
    bool sync = generation->sync;
    cache->writing = false;
    cache->sealed = NULL;
    generation->scan_last = cache->scan_last;
    STAILQ_INSERT_TAIL(&cache->written, generation, in_written);
    if (generation->code)
        cache_fail(cache, generation->code, &generation->error);
    if (cache->failed || cache->closing)
        return;
    flush_account(cache, generation);
    cache_generation_retire(cache);
    if (!STAILQ_EMPTY(&cache->syncing))
        loop_defer(cache->config.loop, &cache->sync_task);
    flush_consider(cache);
    cache->config.flushed(cache->config.user, cache->mark_flushed, sync);
}

/* Everything so far, which ends at a mark, becomes one batch. */
static void generation_seal(struct cache *cache)
{
    struct cache_generation *next = cache_generation_create(cache);
    if (!next)
        return; /* at the next occasion */
    cache->sealed = cache->collecting;
    cache->sealed->mark = cache->mark;
    cache->collecting = next;
    cache->flush_due = false;
    loop_timer_stop(&cache->flush_timer);
}

static bool seal_wanted(const struct cache *cache)
{
    bool syncing = !STAILQ_EMPTY(&cache->syncing);
    if (cache->collecting->count == 0)
        return (syncing || cache->sync_due) && cache->mark_durable < cache->mark_flushed;
    return cache->boundary && (syncing || cache->flush_due || cache->sync_due ||
                               cache->collecting->bytes >= CACHE_FLUSH_BYTES);
}

static void flush_consider(struct cache *cache)
{
    if (cache->failed || cache->closing || cache->writing)
        return;
    if (!cache->sealed && seal_wanted(cache))
        generation_seal(cache);
    struct cache_generation *generation = cache->sealed;
    if (!generation || generation->mark > cache->allowed)
        return;
    generation->sync = cache->sync_due || !STAILQ_EMPTY(&cache->syncing) ||
                       cache->unsynced_bytes + generation->bytes >= cache->config.sync_bytes;
    generation->work = (struct work){.run = flush_run, .done = flush_done};
    cache->writing = true;
    work_queue_submit(cache->write_queue, &generation->work);
}

void cache_flush_timer(struct loop_timer *timer)
{
    struct cache *cache = CONTAINER_OF(timer, struct cache, flush_timer);
    cache->flush_due = true;
    flush_consider(cache);
}

void cache_sync_timer(struct loop_timer *timer)
{
    struct cache *cache = CONTAINER_OF(timer, struct cache, sync_timer);
    cache->sync_due = true;
    flush_consider(cache);
}

void cache_mark(struct cache *cache, uint64_t mark)
{
    MUST(mark >= cache->mark);
    cache->mark = mark;
    cache->boundary = true;
    flush_consider(cache);
}

void cache_allow(struct cache *cache, uint64_t mark)
{
    if (mark > cache->allowed)
        cache->allowed = mark;
    if (!STAILQ_EMPTY(&cache->syncing))
        loop_defer(cache->config.loop, &cache->sync_task);
    flush_consider(cache);
}

/* Where nothing changed since the last flush, the store already is at the present mark. */
static void marks_level(struct cache *cache)
{
    bool changed = cache->collecting->count > 0 || cache->sealed;
    if (changed || cache->mark_flushed == cache->mark || cache->mark > cache->allowed)
        return;
    bool durable = cache->mark_durable == cache->mark_flushed;
    cache->mark_flushed = cache->mark;
    if (durable)
        cache->mark_durable = cache->mark;
    cache->config.flushed(cache->config.user, cache->mark, durable);
}

void cache_sync_task(struct loop_task *task)
{
    struct cache *cache = CONTAINER_OF(task, struct cache, sync_task);
    struct cache_syncing *syncing;
    if (cache->failed)
        return;
    marks_level(cache);
    while ((syncing = STAILQ_FIRST(&cache->syncing)) && syncing->mark <= cache->mark_durable) {
        struct cache_wait *wait = syncing->wait;
        STAILQ_REMOVE_HEAD(&cache->syncing, entry);
        free(syncing);
        wait->done(wait);
    }
    flush_consider(cache);
}

int cache_sync(struct cache *cache, struct cache_wait *wait)
{
    struct cache_syncing *syncing = malloc(sizeof *syncing);
    if (!syncing)
        return -ENOMEM;
    *syncing = (struct cache_syncing){.wait = wait, .mark = cache->mark};
    STAILQ_INSERT_TAIL(&cache->syncing, syncing, entry);
    loop_defer(cache->config.loop, &cache->sync_task);
    return 0;
}
