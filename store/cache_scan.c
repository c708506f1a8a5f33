/* Ranges: what the store has, read on a helper thread, merged with what changed.
 *
 * While a scan is in flight no generation is retired that was written after the scan began; so
 * whatever the store's snapshot may have missed is still pinned when the two are merged, and the
 * result is the state at that moment. */
#include "store/cache_private.h"

#include "base/buffer.h"
#include "base/cursor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SCAN_BYTES = 4 << 20, RECORD_BYTES_MAX = 64 << 20 };

struct key {
    const uint8_t *bytes;
    size_t count;
};

/* One record of the store's, in the buffer. */
struct scan_record {
    struct key key;
    const uint8_t *value;
    size_t value_bytes;
};

struct cache_scanning {
    struct work work;
    struct cache *cache;
    struct cache_scan *scan;
    TAILQ_ENTRY(cache_scanning) in_flight;
    uint64_t number;
    struct buffer range;      /* from, to */
    struct buffer store_from; /* where the store is read from: `from`, later further on */
    struct buffer records;    /* key bytes (4), value bytes (4), key, value */
    size_t last_offset;       /* of the last record */
    uint32_t count;
    bool store_complete;
    int code;
    struct error error;
};

uint64_t cache_scan_oldest(const struct cache *cache)
{
    const struct cache_scanning *oldest = TAILQ_FIRST(&cache->scans);
    return oldest ? oldest->number : UINT64_MAX;
}

static struct key range_from(const struct cache_scanning *scanning)
{
    return (struct key){scanning->range.data, scanning->scan->from_bytes};
}

static struct key range_to(const struct cache_scanning *scanning)
{
    return (struct key){scanning->range.data + scanning->scan->from_bytes,
                        scanning->scan->to_bytes};
}

static int key_compare(struct key a, struct key b)
{
    size_t shared = a.count < b.count ? a.count : b.count;
    int order = shared ? memcmp(a.bytes, b.bytes, shared) : 0;
    return order ? order : (a.count > b.count) - (a.count < b.count);
}

/* Helper thread. One record more than wanted says that the range goes on. */
static bool scan_collect(void *user, const void *key, size_t key_bytes, const void *value,
                         size_t value_bytes)
{
    struct cache_scanning *scanning = user;
    struct buffer *records = &scanning->records;
    if (scanning->count == scanning->scan->count_max || records->bytes >= SCAN_BYTES) {
        scanning->store_complete = false;
        return false;
    }
    scanning->last_offset = records->bytes;
    buffer_u32(records, (uint32_t)key_bytes);
    buffer_u32(records, (uint32_t)value_bytes);
    buffer_append(records, key, key_bytes);
    buffer_append(records, value, value_bytes);
    scanning->count++;
    return !records->failed;
}

static void scan_run(struct work *work)
{
    struct cache_scanning *scanning = CONTAINER_OF(work, struct cache_scanning, work);
    struct key to = range_to(scanning);
    buffer_clear(&scanning->records);
    scanning->count = 0;
    scanning->store_complete = true;
    scanning->code = store_scan(scanning->cache->config.store, scanning->store_from.data,
                                scanning->store_from.bytes, to.bytes, to.count, scan_collect,
                                scanning, &scanning->error);
    if (scanning->records.failed)
        scanning->code = error_set(&scanning->error, -ENOMEM, "scan: no memory");
}

static bool record_next(struct reader *r, struct scan_record *ret_record)
{
    if (reader_left(r) == 0)
        return false;
    ret_record->key.count = reader_u32(r);
    ret_record->value_bytes = reader_u32(r);
    ret_record->key.bytes = reader_bytes(r, ret_record->key.count);
    ret_record->value = reader_bytes(r, ret_record->value_bytes);
    MUST(!r->failed);
    return true;
}

/* The first pinned entry with key >= from. */
static struct cache_entry *pinned_from(struct cache *cache, struct key from)
{
    struct cache_entry *at = RB_ROOT(&cache->pinned), *found = NULL;
    while (at) {
        int order = key_compare((struct key){at->key, at->key_bytes}, from);
        if (order >= 0)
            found = at;
        at = order >= 0 ? RB_LEFT(at, in_tree) : RB_RIGHT(at, in_tree);
    }
    return found;
}

/* One step of the merge: the next present record of both, the changed one where both have it. */
struct merge {
    struct reader reader;
    struct scan_record record; /* of the store */
    bool have_record;
    struct cache_entry *entry; /* pinned */
    struct key end;            /* entries from here on are not merged; count 0: no end */
    bool end_included;
};

static bool merge_entry_inside(const struct merge *merge)
{
    if (!merge->entry)
        return false;
    if (merge->end.count == 0)
        return true;
    int order = key_compare((struct key){merge->entry->key, merge->entry->key_bytes}, merge->end);
    return order < 0 || (order == 0 && merge->end_included);
}

static bool merge_next(struct merge *merge, struct scan_record *ret_record)
{
    for (;;) {
        bool have_entry = merge_entry_inside(merge);
        if (!have_entry && !merge->have_record)
            return false;
        const struct cache_entry *entry = merge->entry;
        int order = 1; /* of the entry to the record */
        if (have_entry)
            order = merge->have_record
                        ? key_compare((struct key){entry->key, entry->key_bytes}, merge->record.key)
                        : -1;
        *ret_record = merge->record;
        if (order >= 0)
            merge->have_record = record_next(&merge->reader, &merge->record);
        if (order > 0)
            return true;
        merge->entry = RB_NEXT(cache_tree, NULL, merge->entry);
        if (entry->data) {
            *ret_record = (struct scan_record){
                {entry->key, entry->key_bytes}, entry->data, entry->data_bytes};
            return true;
        }
    }
}

static struct key last_key(const struct cache_scanning *scanning)
{
    struct reader r = reader_make(scanning->records.data + scanning->last_offset,
                                  scanning->records.bytes - scanning->last_offset);
    struct scan_record record;
    MUST(record_next(&r, &record));
    return record.key;
}

static void merge_begin(const struct cache_scanning *scanning, struct merge *merge)
{
    *merge = (struct merge){
        .reader = reader_make(scanning->records.data, scanning->records.bytes),
        .entry = pinned_from(scanning->cache, range_from(scanning)),
        .end = range_to(scanning),
    };
    if (!scanning->store_complete) { /* what lies behind is not known yet */
        merge->end = last_key(scanning);
        merge->end_included = true;
    }
    merge->have_record = record_next(&merge->reader, &merge->record);
}

static void scan_end(struct cache_scanning *scanning)
{
    struct cache *cache = scanning->cache;
    TAILQ_REMOVE(&cache->scans, scanning, in_flight);
    buffer_finish(&scanning->range);
    buffer_finish(&scanning->store_from);
    buffer_finish(&scanning->records);
    free(scanning);
}

/* All that the store gave was deleted meanwhile: read on behind it. */
static int scan_continue(struct cache_scanning *scanning)
{
    struct key last = last_key(scanning);
    buffer_clear(&scanning->store_from);
    buffer_append(&scanning->store_from, last.bytes, last.count);
    buffer_u8(&scanning->store_from, 0); /* the next key that can exist */
    if (scanning->store_from.failed)
        return -ENOMEM;
    work_queue_submit(scanning->cache->read_queue, &scanning->work);
    return 0;
}

static void scan_deliver(struct cache_scanning *scanning, struct merge *merge,
                         struct scan_record *record)
{
    struct cache *cache = scanning->cache;
    struct cache_scan *scan = scanning->scan;
    uint32_t count = 0;
    bool more = true;
    while (more && count < scan->count_max) {
        scan->each(scan, record->key.bytes, record->key.count, record->value, record->value_bytes);
        count++;
        more = merge_next(merge, record);
    }
    bool complete = !more && scanning->store_complete;
    scan_end(scanning);
    cache_generation_retire(cache);
    scan->done(scan, complete);
}

static void scan_done(struct work *work)
{
    struct cache_scanning *scanning = CONTAINER_OF(work, struct cache_scanning, work);
    struct cache *cache = scanning->cache;
    struct cache_scan *scan = scanning->scan;
    struct merge merge;
    struct scan_record record;
    if (scanning->code < 0)
        cache_fail(cache, scanning->code, &scanning->error);
    if (cache->failed || cache->closing) {
        scan_end(scanning);
        return;
    }
    merge_begin(scanning, &merge);
    if (merge_next(&merge, &record)) {
        scan_deliver(scanning, &merge, &record);
    } else if (scanning->store_complete) {
        scan_end(scanning);
        cache_generation_retire(cache);
        scan->done(scan, true);
    } else if (scan_continue(scanning) < 0) {
        error_set(&scanning->error, -ENOMEM, "scan: no memory");
        cache_fail(cache, -ENOMEM, &scanning->error);
        scan_end(scanning);
    }
}

int cache_scan_start(struct cache *cache, struct cache_scan *scan)
{
    MUST(scan->count_max > 0);
    struct cache_scanning *scanning = calloc(1, sizeof *scanning);
    if (!scanning)
        return -ENOMEM;
    buffer_init(&scanning->range, RECORD_BYTES_MAX);
    buffer_init(&scanning->store_from, RECORD_BYTES_MAX);
    buffer_init(&scanning->records, SCAN_BYTES + RECORD_BYTES_MAX);
    scanning->work = (struct work){.run = scan_run, .done = scan_done};
    scanning->cache = cache;
    scanning->scan = scan;
    scanning->number = ++cache->scan_last;
    TAILQ_INSERT_TAIL(&cache->scans, scanning, in_flight);
    buffer_append(&scanning->range, scan->from, scan->from_bytes);
    buffer_append(&scanning->range, scan->to, scan->to_bytes);
    buffer_append(&scanning->store_from, scan->from, scan->from_bytes);
    if (scanning->range.failed || scanning->store_from.failed) {
        scan_end(scanning);
        return -ENOMEM;
    }
    cache->counters.scans++;
    work_queue_submit(cache->read_queue, &scanning->work);
    return 0;
}
