/* The record cache against a plain map, every interleaving of loop and helpers drawn from a seed:
 *
 *   - a get that hits, a fetch and a scan say what the map says at that moment;
 *   - after each flush the store is exactly the map as it was at the flushed mark;
 *   - no flush goes beyond the allowed mark; a sync is durable up to its mark. */
#include "store/cache.h"
#include "tests/unit/store/fake_loop.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEYS = 48,
    MARKS_MAX = 4000,
    SEEDS = 600,
    STEPS = 2500,
    KEY_BYTES = 4,
    VALUE_BYTES_MAX = 40
};

/* values[k]: the number of the change that wrote it; 0: absent. */
struct map {
    uint32_t values[KEYS];
};

struct world {
    struct prng prng;
    struct loop *loop;
    struct store *store;
    struct cache *cache;
    struct map map;
    struct map at_mark[MARKS_MAX];
    uint64_t mark, allowed, flushed, durable;
    uint32_t changes;
    unsigned in_flight; /* fetches, scans and syncs of the test */
    unsigned scans, fetches, syncs, flushes;
    bool final; /* only finish what was begun */
};

struct fetching {
    struct cache_wait wait;
    struct world *world;
    unsigned key;
};

struct syncing {
    struct cache_wait wait;
    struct world *world;
    uint64_t mark;
};

struct scanning {
    struct cache_scan scan;
    struct world *world;
    unsigned from, to; /* indices of keys; to == KEYS: the end */
    char from_key[8], to_key[8];
    struct map found;
    unsigned count, last;
};

static void key_make(unsigned key, char text[8])
{
    snprintf(text, 8, "k%03u", key % 1000);
}

/* Of differing lengths, some empty; the number is repeated so that parts of two can't pass for one.
 */
static size_t value_make(uint32_t number, char text[VALUE_BYTES_MAX])
{
    if (number % 13 == 0)
        return 0;
    return (size_t)snprintf(text, VALUE_BYTES_MAX, "%u:%.*s:%u", number, (int)(number % 17),
                            "xxxxxxxxxxxxxxxxx", number);
}

static void value_check(uint32_t number, const void *value, size_t bytes)
{
    char expected[VALUE_BYTES_MAX];
    cr_assert_neq(number, 0, "present, and should not be");
    cr_assert_eq(bytes, value_make(number, expected));
    cr_assert_eq(memcmp(value, expected, bytes), 0);
}

static enum cache_found key_check(struct world *world, unsigned key)
{
    char text[8];
    const void *value = NULL;
    size_t bytes = 0;
    key_make(key, text);
    enum cache_found found = cache_get(world->cache, text, KEY_BYTES, &value, &bytes);
    if (found == CACHE_PRESENT)
        value_check(world->map.values[key], value, bytes);
    if (found == CACHE_ABSENT)
        cr_assert_eq(world->map.values[key], 0);
    return found;
}

struct comparison {
    const struct map *map;
    unsigned next;
};

static bool store_compare(void *user, const void *key, size_t key_bytes, const void *value,
                          size_t value_bytes)
{
    struct comparison *comparison = user;
    unsigned number = (unsigned)strtoul(
        (char[]){((const char *)key)[1], ((const char *)key)[2], ((const char *)key)[3], 0}, NULL,
        10);
    for (; comparison->next < number; comparison->next++)
        cr_assert_eq(comparison->map->values[comparison->next], 0, "lost in the store");
    value_check(comparison->map->values[number], value, value_bytes);
    comparison->next = number + 1;
    return true;
}

static void store_check(struct world *world, uint64_t mark)
{
    struct comparison comparison = {.map = &world->at_mark[mark]};
    cr_assert_eq(store_scan(world->store, "", 0, "", 0, store_compare, &comparison, NULL), 0);
    for (; comparison.next < KEYS; comparison.next++)
        cr_assert_eq(comparison.map->values[comparison.next], 0, "lost in the store");
}

static void on_flushed(void *user, uint64_t mark, bool durable)
{
    struct world *world = user;
    cr_assert_leq(mark, world->allowed);
    cr_assert_geq(mark, world->flushed);
    world->flushed = mark;
    world->flushes++;
    if (durable)
        world->durable = mark;
    store_check(world, mark);
}

static void on_failed(void *user, int code, const char *detail)
{
    cr_assert_fail("failed: %s", detail);
}

static void on_fetched(struct cache_wait *wait)
{
    struct fetching *fetching = CONTAINER_OF(wait, struct fetching, wait);
    struct world *world = fetching->world;
    cr_assert_neq(key_check(world, fetching->key), CACHE_MISS, "not there after its fetch");
    world->in_flight--;
    world->fetches++;
    free(fetching);
}

static void fetch(struct world *world, unsigned key, bool wait)
{
    char text[8];
    key_make(key, text);
    if (!wait) {
        cr_assert_eq(cache_fetch(world->cache, text, KEY_BYTES, NULL), 0);
        return;
    }
    struct fetching *fetching = malloc(sizeof *fetching);
    cr_assert_not_null(fetching);
    *fetching = (struct fetching){{.done = on_fetched}, world, key};
    world->in_flight++;
    cr_assert_eq(cache_fetch(world->cache, text, KEY_BYTES, &fetching->wait), 0);
}

static void on_synced(struct cache_wait *wait)
{
    struct syncing *syncing = CONTAINER_OF(wait, struct syncing, wait);
    struct world *world = syncing->world;
    struct cache_counters counters;
    cache_counters(world->cache, &counters);
    cr_assert_geq(counters.mark_durable, syncing->mark);
    world->in_flight--;
    world->syncs++;
    free(syncing);
}

static void sync_start(struct world *world)
{
    struct syncing *syncing = malloc(sizeof *syncing);
    cr_assert_not_null(syncing);
    *syncing = (struct syncing){{.done = on_synced}, world, world->mark};
    world->in_flight++;
    cr_assert_eq(cache_sync(world->cache, &syncing->wait), 0);
}

static void on_scan_each(struct cache_scan *scan, const void *key, size_t key_bytes,
                         const void *value, size_t value_bytes)
{
    struct scanning *scanning = CONTAINER_OF(scan, struct scanning, scan);
    char text[8];
    unsigned number = scanning->count ? scanning->last + 1 : scanning->from;
    for (key_make(number, text); number < scanning->to && memcmp(key, text, KEY_BYTES) != 0;
         key_make(number, text)) {
        cr_assert_eq(scanning->world->map.values[number], 0, "the scan left out a record");
        number++;
    }
    cr_assert_lt(number, scanning->to, "out of order or range");
    value_check(scanning->world->map.values[number], value, value_bytes);
    scanning->last = number;
    scanning->count++;
}

static void on_scan_done(struct cache_scan *scan, bool complete)
{
    struct scanning *scanning = CONTAINER_OF(scan, struct scanning, scan);
    struct world *world = scanning->world;
    cr_assert_leq(scanning->count, scan->count_max);
    cr_assert(complete || scanning->count > 0, "no record, and not the end");
    unsigned next = scanning->count ? scanning->last + 1 : scanning->from;
    for (; complete && next < scanning->to; next++)
        cr_assert_eq(world->map.values[next], 0, "the scan left out the end");
    world->in_flight--;
    world->scans++;
    free(scanning);
}

static void scan_start(struct world *world)
{
    struct scanning *scanning = calloc(1, sizeof *scanning);
    cr_assert_not_null(scanning);
    scanning->world = world;
    scanning->from = (unsigned)prng_below(&world->prng, KEYS);
    scanning->to = scanning->from + 1 + (unsigned)prng_below(&world->prng, KEYS - scanning->from);
    key_make(scanning->from, scanning->from_key);
    key_make(scanning->to, scanning->to_key);
    scanning->scan = (struct cache_scan){
        .from = scanning->from_key,
        .to = scanning->to_key,
        .from_bytes = KEY_BYTES,
        .to_bytes = scanning->to == KEYS && prng_chance(&world->prng, 1, 2) ? 0 : KEY_BYTES,
        .count_max = 1 + (uint32_t)prng_below(&world->prng, 12),
        .each = on_scan_each,
        .done = on_scan_done,
    };
    world->in_flight++;
    cr_assert_eq(cache_scan_start(world->cache, &scanning->scan), 0);
}

static void change(struct world *world)
{
    char key[8], value[VALUE_BYTES_MAX];
    unsigned number = (unsigned)prng_below(&world->prng, KEYS);
    key_make(number, key);
    if (prng_chance(&world->prng, 2, 5)) {
        world->map.values[number] = 0;
        cr_assert_eq(cache_delete(world->cache, key, KEY_BYTES), 0);
        return;
    }
    world->map.values[number] = ++world->changes;
    size_t bytes = value_make(world->changes, value);
    cr_assert_eq(cache_put(world->cache, key, KEY_BYTES, value, bytes), 0);
}

static void mark(struct world *world)
{
    if (world->mark + 1 == MARKS_MAX)
        return;
    world->at_mark[++world->mark] = world->map;
    cache_mark(world->cache, world->mark);
}

static void allow(struct world *world)
{
    world->allowed += prng_below(&world->prng, world->mark - world->allowed + 1);
    cache_allow(world->cache, world->allowed);
}

/* One thing that a replica might do in a turn. */
static void act(struct world *world)
{
    unsigned key = (unsigned)prng_below(&world->prng, KEYS);
    switch (prng_below(&world->prng, 10)) {
    case 0:
    case 1:
    case 2:
        change(world);
        break;
    case 3:
        mark(world);
        break;
    case 4:
        allow(world);
        break;
    case 5:
        if (key_check(world, key) == CACHE_MISS)
            fetch(world, key, prng_chance(&world->prng, 3, 4));
        break;
    case 6:
        fetch(world, key, true);
        break;
    case 7:
        scan_start(world);
        break;
    case 8:
        key_check(world, key);
        break;
    default:
        if (prng_chance(&world->prng, 1, 20))
            sync_start(world);
    }
}

static void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){.mark = 0};
    prng_init(&world->prng, seed);
    world->loop = fake_loop_create(&world->prng);
    cr_assert_eq(store_memory_create(&world->store, NULL), 0);
    struct cache_config config = {
        .loop = world->loop,
        .store = world->store,
        .bytes_max =
            1 + prng_below(&world->prng, 6000), /* some 200 a record: evicts all the time */
        .unpin_max = 1 + (uint32_t)prng_below(&world->prng, 12),
        .sync_bytes = 400,
        .sync_ns = 40000000,
        .hash_seed = seed,
        .user = world,
        .flushed = on_flushed,
        .failed = on_failed,
    };
    cr_assert_eq(cache_create(&config, &world->cache), 0);
}

static void world_finish(struct world *world)
{
    cache_destroy(world->cache);
    store_close(world->store);
    fake_loop_destroy(world->loop);
}

/* Everything that was begun comes to its end, and the store gets all. */
static void world_settle(struct world *world)
{
    mark(world);
    world->allowed = world->mark;
    cache_allow(world->cache, world->mark);
    sync_start(world);
    fake_loop_turn(world->loop);
    for (unsigned steps = 0; world->in_flight; steps++) {
        cr_assert_lt(steps, 100000, "something never ends");
        cr_assert(fake_loop_step(world->loop), "something never ends");
    }
    cr_assert_eq(world->flushed, world->mark);
    cr_assert_eq(world->durable, world->mark);
    cr_assert_eq(cache_dirty_bytes(world->cache), 0);
    while (fake_loop_step(world->loop))
        continue;
    struct cache_counters counters;
    cache_counters(world->cache, &counters);
    cr_assert_eq(counters.pinned, 0);
    for (unsigned key = 0; key < KEYS; key++)
        key_check(world, key);
}

Test(cache, is_the_plain_map_whatever_the_interleaving)
{
    static struct world world;
    unsigned scans = 0, fetches = 0, syncs = 0, flushes = 0;
    uint64_t misses = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        world_init(&world, seed);
        for (unsigned step = 0; step < STEPS; step++) {
            if (prng_chance(&world.prng, 1, 2) && world.in_flight < 20)
                act(&world);
            if (prng_chance(&world.prng, 1, 3))
                fake_loop_turn(world.loop);
            if (prng_chance(&world.prng, 3, 4)) {
                fake_loop_turn(world.loop);
                fake_loop_step(world.loop);
            }
        }
        world_settle(&world);
        struct cache_counters counters;
        cache_counters(world.cache, &counters);
        misses += counters.misses;
        scans += world.scans;
        fetches += world.fetches;
        syncs += world.syncs;
        flushes += world.flushes;
        world_finish(&world);
    }
    /* What was meant to happen did. */
    cr_assert_gt(scans, SEEDS * 20);
    cr_assert_gt(fetches, SEEDS * 20);
    cr_assert_gt(syncs, SEEDS * 2);
    cr_assert_gt(flushes, SEEDS * 10);
    cr_assert_gt(misses, SEEDS * 20);
}

Test(cache, destroyed_in_the_middle_of_everything)
{
    static struct world world;
    for (uint64_t seed = 1000; seed < 1040; seed++) {
        world_init(&world, seed);
        unsigned steps = (unsigned)prng_below(&world.prng, 300);
        for (unsigned step = 0; step < steps; step++) {
            change(&world);
            mark(&world);
            allow(&world);
            fetch(&world, (unsigned)prng_below(&world.prng, KEYS), false);
            if (prng_chance(&world.prng, 1, 2))
                fake_loop_step(world.loop);
        }
        world_finish(&world);
    }
}

Test(cache, ten_thousand_changes_of_one_record_are_written_once)
{
    static struct world world;
    struct cache_counters counters;
    world_init(&world, 7);
    for (uint32_t i = 0; i < 10000; i++) {
        cr_assert_eq(cache_put(world.cache, "k001", KEY_BYTES, &i, sizeof i), 0);
        cache_mark(world.cache, i + 1);
        cache_allow(world.cache, i + 1);
    }
    cr_assert_eq(cache_dirty_bytes(world.cache), KEY_BYTES + sizeof(uint32_t));
    cache_counters(world.cache, &counters);
    cr_assert_eq(counters.flushes, 0);
    world_finish(&world);
}

/* A store that fails its writes. */
struct failing_store {
    struct store store;
    unsigned writes;
};

static int failing_write(struct store *store, const struct store_batch *batch, bool sync,
                         struct error *error)
{
    ((struct failing_store *)store)->writes++;
    return error_set(error, -ENOSPC, "the disk is full");
}

static int failing_get(struct store *store, const void *key, size_t key_bytes, void **ret_value,
                       size_t *ret_bytes, struct error *error)
{
    return STORE_ABSENT;
}

struct failures {
    unsigned count;
    int code;
};

static void count_failure(void *user, int code, const char *detail)
{
    struct failures *failures = user;
    cr_assert_not_null(strstr(detail, "full"));
    failures->count++;
    failures->code = code;
}

static void no_flush(void *user, uint64_t mark_flushed, bool durable)
{
    cr_assert_fail("flushed, and nothing was");
}

Test(cache, a_failed_write_is_final)
{
    static const struct store_ops ops = {.get = failing_get, .write = failing_write};
    struct failing_store store = {.store.ops = &ops};
    struct failures failures = {0};
    struct prng prng;
    prng_init(&prng, 3);
    struct loop *loop = fake_loop_create(&prng);
    struct cache_config config = {.loop = loop,
                                  .store = &store.store,
                                  .user = &failures,
                                  .flushed = no_flush,
                                  .failed = count_failure};
    struct cache *cache;
    cr_assert_eq(cache_create(&config, &cache), 0);
    for (uint64_t i = 1; i < 200; i++) {
        cr_assert_eq(cache_put(cache, "key", 3, &i, sizeof i), 0);
        cache_mark(cache, i);
        cache_allow(cache, i);
        fake_loop_step(loop);
    }
    cr_assert_eq(failures.count, 1);
    cr_assert_eq(failures.code, -ENOSPC);
    cr_assert_eq(store.writes, 1, "never tried again");
    cache_destroy(cache);
    fake_loop_destroy(loop);
}
