/* Two ordered maps: what a process sees (`now`) and what a power cut leaves (`stable`), with the
 * batches in between. Invariant: stable + batches in order = now. */
#include "tests/sim/store.h"

#include <bsd/sys/tree.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct record {
    RB_ENTRY(record) entry;
    size_t key_bytes, value_bytes;
    bool damaged;   /* the medium gives something else back */
    uint8_t *value; /* behind the key, in the same allocation */
    uint8_t key[];
};

static int record_compare(struct record *a, struct record *b)
{
    size_t common = a->key_bytes < b->key_bytes ? a->key_bytes : b->key_bytes;
    int order = memcmp(a->key, b->key, common);
    if (order)
        return order;
    return (a->key_bytes > b->key_bytes) - (a->key_bytes < b->key_bytes);
}

RB_HEAD(record_tree, record);
RB_GENERATE_INTERNAL(record_tree, record, entry, record_compare, __attribute__((unused)) static)

struct held_batch {
    STAILQ_ENTRY(held_batch) entry;
    struct store_batch *batch;
};

struct vault {
    struct world *world;
    struct record_tree now, stable;
    STAILQ_HEAD(, held_batch) batches; /* not synced */
    uint64_t batch_count, process;
    bool formatted, fail_sync;
    bool damaged; /* some records are, or were when they were not written anew yet */
    bool damage_is_met, was_damaged;
    struct vault *incoming; /* a second store, on its way in; NULL: none */
    struct vault_counters counters;
};

struct sim_store {
    struct store base;
    struct vault *vault;
    uint64_t process; /* the vault's at its opening */
};

static struct sim_store *store_of(struct store *store)
{
    return CONTAINER_OF(store, struct sim_store, base);
}

/* ---- trees ---- */

static struct record *record_make(const void *key, size_t key_bytes, const void *value,
                                  size_t value_bytes)
{
    struct record *record = sim_alloc(sizeof *record + key_bytes + value_bytes);
    record->key_bytes = key_bytes;
    record->damaged = false;
    record->value_bytes = value_bytes;
    record->value = record->key + key_bytes;
    if (key_bytes)
        memcpy(record->key, key, key_bytes);
    if (value_bytes)
        memcpy(record->value, value, value_bytes);
    return record;
}

/* Put, or delete where `value` is NULL. */
static int tree_change(void *user, const void *key, size_t key_bytes, const void *value,
                       size_t value_bytes)
{
    struct record_tree *tree = user;
    struct record *record = record_make(key, key_bytes, value, value ? value_bytes : 0);
    struct record *old = RB_FIND(record_tree, tree, record);
    if (old) {
        RB_REMOVE(record_tree, tree, old);
        free(old);
    }
    if (value)
        RB_INSERT(record_tree, tree, record);
    else
        free(record);
    return 0;
}

static void tree_free(struct record_tree *tree)
{
    struct record *record;
    while ((record = RB_MIN(record_tree, tree))) {
        RB_REMOVE(record_tree, tree, record);
        free(record);
    }
}

static void tree_copy(struct record_tree *to, struct record_tree *from)
{
    struct record *record;
    RB_FOREACH (record, record_tree, from) {
        struct record *copy =
            record_make(record->key, record->key_bytes, record->value, record->value_bytes);
        copy->damaged = record->damaged;
        RB_INSERT(record_tree, to, copy);
    }
}

static struct record *tree_at(struct record_tree *tree, uint64_t place)
{
    struct record *record = RB_MIN(record_tree, tree);
    while (place-- && record)
        record = RB_NEXT(record_tree, tree, record);
    return record;
}

static uint64_t tree_count(struct record_tree *tree)
{
    struct record *record;
    uint64_t count = 0;
    RB_FOREACH (record, record_tree, tree)
        count++;
    return count;
}

/* ---- batches ---- */

/* The oldest `count` batches become stable. */
static void batches_settle(struct vault *vault, uint64_t count, bool apply)
{
    struct held_batch *held;
    while (count-- && (held = STAILQ_FIRST(&vault->batches))) {
        if (apply)
            store_batch_each(held->batch, tree_change, &vault->stable);
        STAILQ_REMOVE_HEAD(&vault->batches, entry);
        vault->batch_count--;
        store_batch_destroy(held->batch);
        free(held);
    }
}

static int batch_copy(void *user, const void *key, size_t key_bytes, const void *value,
                      size_t value_bytes)
{
    return value ? store_batch_put(user, key, key_bytes, value, value_bytes)
                 : store_batch_delete(user, key, key_bytes);
}

/* ---- the contract ---- */

static int say_damaged(struct vault *vault, struct error *error)
{
    vault->damage_is_met = true;
    return error_set(error, -EUCLEAN, "simulated: a damaged table");
}

static int sim_get(struct store *base, const void *key, size_t key_bytes, void **ret_value,
                   size_t *ret_bytes, struct error *error)
{
    struct record *wanted = record_make(key, key_bytes, NULL, 0);
    struct record *record = RB_FIND(record_tree, &store_of(base)->vault->now, wanted);
    free(wanted);
    if (!record)
        return STORE_ABSENT;
    if (record->damaged)
        return say_damaged(store_of(base)->vault, error);
    void *value = sim_alloc(record->value_bytes);
    memcpy(value, record->value, record->value_bytes);
    *ret_value = value;
    *ret_bytes = record->value_bytes;
    return 0;
}

static int sim_scan(struct store *base, const void *from, size_t from_bytes, const void *to,
                    size_t to_bytes,
                    bool (*each)(void *user, const void *key, size_t key_bytes, const void *value,
                                 size_t value_bytes),
                    void *user, struct error *error)
{
    struct record *first = record_make(from, from_bytes, NULL, 0);
    struct record *last = record_make(to, to_bytes, NULL, 0);
    struct record *record = RB_NFIND(record_tree, &store_of(base)->vault->now, first);
    int code = 0;
    for (; record; record = RB_NEXT(record_tree, , record)) {
        if (to_bytes && record_compare(record, last) >= 0)
            break;
        if (record->damaged)
            code = say_damaged(store_of(base)->vault, error);
        if (code || !each(user, record->key, record->key_bytes, record->value, record->value_bytes))
            break;
    }
    free(first);
    free(last);
    return code;
}

static int sim_write(struct store *base, const struct store_batch *batch, bool sync,
                     struct error *error)
{
    struct vault *vault = store_of(base)->vault;
    if (store_of(base)->process != vault->process)
        return 0;
    if (sync && vault->fail_sync) {
        vault->fail_sync = false;
        vault->counters.syncs_failed++;
        return error_set(error, -EIO, "simulated: sync failed");
    }
    struct held_batch *held = sim_alloc(sizeof *held);
    held->batch = store_batch_create();
    MUST(held->batch && store_batch_each(batch, batch_copy, held->batch) == 0);
    STAILQ_INSERT_TAIL(&vault->batches, held, entry);
    vault->batch_count++;
    store_batch_each(batch, tree_change, &vault->now);
    vault->counters.writes++;
    if (sync) {
        vault->counters.syncs++;
        batches_settle(vault, UINT64_MAX, true);
    }
    return 0;
}

/* ---- snapshots ---- */

struct store_snapshot {
    struct record_tree records;
};

static int sim_snapshot_open(struct store *base, struct store_snapshot **ret_snapshot,
                             struct error *error)
{
    (void)error;
    struct store_snapshot *snapshot = sim_alloc(sizeof *snapshot);
    RB_INIT(&snapshot->records);
    tree_copy(&snapshot->records, &store_of(base)->vault->now);
    *ret_snapshot = snapshot;
    return 0;
}

static int sim_snapshot_scan(struct store *base, struct store_snapshot *snapshot, const void *from,
                             size_t from_bytes,
                             bool (*each)(void *user, const void *key, size_t key_bytes,
                                          const void *value, size_t value_bytes),
                             void *user, struct error *error)
{
    struct record *first = record_make(from, from_bytes, NULL, 0);
    struct record *record = RB_NFIND(record_tree, &snapshot->records, first);
    free(first);
    while (record && !record->damaged &&
           each(user, record->key, record->key_bytes, record->value, record->value_bytes))
        record = RB_NEXT(record_tree, , record);
    return record && record->damaged ? say_damaged(store_of(base)->vault, error) : 0;
}

static void sim_snapshot_close(struct store *base, struct store_snapshot *snapshot)
{
    (void)base;
    tree_free(&snapshot->records);
    free(snapshot);
}

static void sim_close(struct store *base)
{
    free(store_of(base));
}

static const struct store_ops sim_store_ops = {.name = "sim",
                                               .get = sim_get,
                                               .scan = sim_scan,
                                               .write = sim_write,
                                               .snapshot_open = sim_snapshot_open,
                                               .snapshot_scan = sim_snapshot_scan,
                                               .snapshot_close = sim_snapshot_close,
                                               .close = sim_close};

int sim_store_open(struct vault *vault, bool create, struct store **ret_store, struct error *error)
{
    if (create && vault->formatted)
        return error_set(error, -EEXIST, "simulated: there is a store already");
    if (!create && !vault->formatted)
        return error_set(error, -ENOENT, "simulated: there is no store");
    struct sim_store *store = sim_alloc(sizeof *store);
    store->base.ops = &sim_store_ops;
    store->vault = vault;
    store->process = vault->process;
    vault->formatted = true;
    *ret_store = &store->base;
    return 0;
}

/* ---- a store that comes in from another member ---- */

int sim_store_open_incoming(struct vault *vault, struct store **ret_store, struct error *error)
{
    if (vault->incoming)
        vault_destroy(vault->incoming);
    vault->incoming = vault_create(vault->world);
    return sim_store_open(vault->incoming, true, ret_store, error);
}

/* One rename, synced: what it replaces is gone, unless the process is dead already. What was
 * written into it and not synced can still be lost. */
int sim_store_promote(struct vault *vault, uint64_t process, struct error *error)
{
    struct vault *incoming = vault->incoming;
    if (process != vault->process)
        return 0;
    if (!incoming)
        return error_set(error, -ENOENT, "simulated: nothing has come in");
    batches_settle(vault, UINT64_MAX, false);
    tree_free(&vault->now);
    tree_free(&vault->stable);
    RB_ROOT(&vault->now) = RB_ROOT(&incoming->now);
    RB_ROOT(&vault->stable) = RB_ROOT(&incoming->stable);
    STAILQ_CONCAT(&vault->batches, &incoming->batches); /* what was not synced is lost still */
    vault->batch_count = incoming->batch_count;
    vault->counters.writes += incoming->counters.writes;
    vault->counters.syncs += incoming->counters.syncs;
    vault->formatted = true;
    vault->damaged = false;
    vault->incoming = NULL;
    free(incoming);
    return 0;
}

uint64_t vault_process(const struct vault *vault)
{
    return vault->process;
}

void vault_cut_process(struct vault *vault)
{
    vault->process++;
    if (vault->incoming)
        vault->incoming->process++;
}

/* ---- the medium ---- */

struct vault *vault_create(struct world *world)
{
    struct vault *vault = sim_alloc(sizeof *vault);
    vault->world = world;
    RB_INIT(&vault->now);
    RB_INIT(&vault->stable);
    STAILQ_INIT(&vault->batches);
    return vault;
}

void vault_destroy(struct vault *vault)
{
    batches_settle(vault, UINT64_MAX, false);
    tree_free(&vault->now);
    tree_free(&vault->stable);
    if (vault->incoming)
        vault_destroy(vault->incoming);
    free(vault);
}

bool vault_formatted(const struct vault *vault)
{
    return vault->formatted;
}

void vault_power_cut(struct vault *vault)
{
    uint64_t keep = prng_below(&vault->world->prng, vault->batch_count + 1);
    vault->counters.batches_lost += vault->batch_count - keep;
    batches_settle(vault, keep, true);
    if (vault->batch_count) {
        batches_settle(vault, UINT64_MAX, false);
        tree_free(&vault->now);
        tree_copy(&vault->now, &vault->stable);
    }
    vault->fail_sync = false;
}

void vault_fail_sync(struct vault *vault)
{
    vault->fail_sync = true;
}

static void records_damage(struct record_tree *tree, const struct record *from, uint64_t count)
{
    struct record *record = RB_NFIND(record_tree, tree, (struct record *)from);
    for (; record && count--; record = RB_NEXT(record_tree, tree, record))
        record->damaged = true;
}

bool vault_damage(struct vault *vault)
{
    struct prng *prng = &vault->world->prng;
    uint64_t all = tree_count(&vault->now);
    if (all == 0)
        return false;
    const struct record *from = tree_at(&vault->now, prng_below(prng, all));
    uint64_t count = world_skewed(vault->world, 1, all);
    records_damage(&vault->now, from, count);
    records_damage(&vault->stable, from, count);
    vault->damage_is_met = false;
    return vault->damaged = vault->was_damaged = true;
}

bool vault_was_damaged(const struct vault *vault)
{
    return vault->was_damaged;
}

bool vault_is_damaged(const struct vault *vault)
{
    return vault->damaged;
}

bool vault_damage_is_met(const struct vault *vault)
{
    return vault->damage_is_met;
}

void vault_repair(struct vault *vault)
{
    struct record *record;
    RB_FOREACH (record, record_tree, &vault->now)
        record->damaged = false;
    RB_FOREACH (record, record_tree, &vault->stable)
        record->damaged = false;
    vault->damaged = false;
}

void vault_heal(struct vault *vault)
{
    vault->fail_sync = false;
}

void vault_counters(const struct vault *vault, struct vault_counters *ret_counters)
{
    *ret_counters = vault->counters;
}
