/* The contract of store/store.h, one function per sentence of it. */
#include "tests/unit/store/contract.h"

#include "base/prng.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_KEYS = 200, RANDOM_BATCHES = 400, PAIR_ROUNDS = 2000, SNAPSHOTS = 100 };

static struct store_batch *batch_new(void)
{
    struct store_batch *batch = store_batch_create();
    cr_assert_not_null(batch);
    return batch;
}

static void put(struct store_batch *batch, const char *key, const char *value)
{
    cr_assert_eq(store_batch_put(batch, key, strlen(key), value, strlen(value)), 0);
}

static void delete (struct store_batch *batch, const char *key)
{
    cr_assert_eq(store_batch_delete(batch, key, strlen(key)), 0);
}

static void write_batch(struct store *store, struct store_batch *batch, bool sync)
{
    struct error error;
    cr_assert_eq(store_write(store, batch, sync, &error), 0, "%s", error.text);
    store_batch_clear(batch);
}

/* @value: NULL where the key must be absent. */
static void expect(struct store *store, const char *key, const char *value)
{
    void *found = NULL;
    size_t bytes = 0;
    int code = store_get(store, key, strlen(key), &found, &bytes, NULL);
    cr_assert_eq(code, value ? 0 : STORE_ABSENT, "%s: %d", key, code);
    if (value) {
        cr_assert_eq(bytes, strlen(value), "%s", key);
        cr_assert_eq(memcmp(found, value, bytes), 0, "%s", key);
    }
    free(found);
}

struct listing {
    char text[256];
    unsigned left; /* stop after so many */
};

static bool listing_add(void *user, const void *key, size_t key_bytes, const void *value,
                        size_t value_bytes)
{
    struct listing *listing = user;
    size_t used = strlen(listing->text);
    snprintf(listing->text + used, sizeof listing->text - used, "%.*s=%.*s ", (int)key_bytes,
             (const char *)key, (int)value_bytes, (const char *)value);
    return --listing->left > 0;
}

static void expect_scan(struct store *store, const char *from, const char *to, unsigned count_max,
                        const char *text)
{
    struct listing listing = {.left = count_max};
    cr_assert_eq(store_scan(store, from, strlen(from), to, strlen(to), listing_add, &listing, NULL),
                 0);
    cr_assert_str_eq(listing.text, text, "from \"%s\" to \"%s\"", from, to);
}

static void check_batches(struct store *store)
{
    struct store_batch *batch = batch_new();
    put(batch, "a", "1");
    put(batch, "b", "2");
    delete(batch, "b");
    put(batch, "c", "");
    put(batch, "a", "3");
    delete(batch, "never there");
    write_batch(store, batch, true);
    expect(store, "a", "3");
    expect(store, "b", NULL);
    expect(store, "c", "");
    expect(store, "", NULL);
    delete(batch, "c");
    put(batch, "c", "again");
    delete(batch, "a");
    write_batch(store, batch, false);
    expect(store, "a", NULL);
    expect(store, "c", "again");
    write_batch(store, batch, true); /* an empty one */
    expect(store, "c", "again");
    store_batch_destroy(batch);
}

static void check_bytes(struct store *store)
{
    static const uint8_t keys[][3] = {{0, 0, 0}, {0, 255, 0}, {255, 0, 255}, {127, 128, 129}};
    struct store_batch *batch = batch_new();
    size_t big_bytes = 300000;
    uint8_t *big = malloc(big_bytes);
    cr_assert_not_null(big);
    for (size_t i = 0; i < big_bytes; i++)
        big[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(store_batch_put(batch, keys[i], 3, big, big_bytes - i), 0);
    write_batch(store, batch, true);
    for (size_t i = 0; i < 4; i++) {
        void *found = NULL;
        size_t bytes = 0;
        cr_assert_eq(store_get(store, keys[i], 3, &found, &bytes, NULL), 0);
        cr_assert_eq(bytes, big_bytes - i);
        cr_assert_eq(memcmp(found, big, bytes), 0);
        free(found);
        cr_assert_eq(store_batch_delete(batch, keys[i], 3), 0);
    }
    write_batch(store, batch, true);
    free(big);
    store_batch_destroy(batch);
}

static void check_scans(struct store *store)
{
    struct store_batch *batch = batch_new();
    delete(batch, "c");
    put(batch, "d/b", "2");
    put(batch, "d/a", "1");
    put(batch, "d/c", "3");
    put(batch, "d", "0");
    put(batch, "e", "4");
    write_batch(store, batch, true);
    expect_scan(store, "", "", 99, "d=0 d/a=1 d/b=2 d/c=3 e=4 ");
    expect_scan(store, "d/", "d0", 99, "d/a=1 d/b=2 d/c=3 ");
    expect_scan(store, "d/a", "d/c", 99, "d/a=1 d/b=2 ");
    expect_scan(store, "d/a", "", 2, "d/a=1 d/b=2 ");
    expect_scan(store, "d/aa", "d/b", 99, "");
    expect_scan(store, "f", "", 99, "");
    expect_scan(store, "e", "a", 99, "");
    for (unsigned i = 0; i < 5; i++)
        delete(batch, (const char *[]){"d", "d/a", "d/b", "d/c", "e"}[i]);
    write_batch(store, batch, true);
    expect_scan(store, "", "", 99, "");
    store_batch_destroy(batch);
}

static struct store_snapshot *snapshot_new(struct store *store)
{
    struct store_snapshot *snapshot = NULL;
    struct error error;
    cr_assert_eq(store_snapshot_open(store, &snapshot, &error), 0, "%s", error.text);
    return snapshot;
}

static void expect_snapshot(struct store *store, struct store_snapshot *snapshot, const char *from,
                            unsigned count_max, const char *text)
{
    struct listing listing = {.left = count_max};
    cr_assert_eq(
        store_snapshot_scan(store, snapshot, from, strlen(from), listing_add, &listing, NULL), 0);
    cr_assert_str_eq(listing.text, text, "from \"%s\"", from);
}

/* What is written after the opening of a snapshot is not in it; two of them do not meet. */
static void check_snapshots(struct store *store)
{
    struct store_batch *batch = batch_new();
    struct store_snapshot *empty = snapshot_new(store);
    put(batch, "a", "1");
    put(batch, "b", "2");
    put(batch, "d", "4");
    write_batch(store, batch, true);
    struct store_snapshot *first = snapshot_new(store);
    put(batch, "a", "new");
    delete(batch, "b");
    put(batch, "c", "3");
    write_batch(store, batch, true);
    struct store_snapshot *second = snapshot_new(store);
    delete(batch, "a");
    delete(batch, "c");
    delete(batch, "d");
    write_batch(store, batch, true);
    expect_snapshot(store, empty, "", 99, "");
    expect_snapshot(store, first, "", 99, "a=1 b=2 d=4 ");
    expect_snapshot(store, second, "", 99, "a=new c=3 d=4 ");
    expect_snapshot(store, first, "b", 99, "b=2 d=4 "); /* from a key that is there, */
    expect_snapshot(store, first, "aa", 99, "b=2 d=4 ");
    expect_snapshot(store, first, "c", 99, "d=4 "); /* and one that came later */
    expect_snapshot(store, first, "e", 99, "");
    expect_snapshot(store, first, "a", 2, "a=1 b=2 ");
    store_snapshot_close(store, first);
    expect_snapshot(store, second, "b", 99, "c=3 d=4 ");
    store_snapshot_close(store, empty);
    store_snapshot_close(store, second);
    store_snapshot_close(store, NULL);
    expect_scan(store, "", "", 99, "");
    store_batch_destroy(batch);
}

struct model {
    int values[MODEL_KEYS]; /* 0: absent */
    int next;
};

static bool model_compare(void *user, const void *key, size_t key_bytes, const void *value,
                          size_t value_bytes)
{
    struct model *model = user;
    int number = -1, content = -1;
    sscanf((const char *)key, "k%d", &number);
    sscanf((const char *)value, "%d", &content);
    while (model->next < MODEL_KEYS && model->values[model->next] == 0)
        model->next++;
    cr_assert_eq(number, model->next);
    cr_assert_eq(content, model->values[number]);
    model->next++;
    return true;
}

static void model_check(struct store *store, struct model *model)
{
    model->next = 0;
    cr_assert_eq(store_scan(store, "k", 1, "l", 1, model_compare, model, NULL), 0);
    while (model->next < MODEL_KEYS)
        cr_assert_eq(model->values[model->next++], 0);
}

/* Random batches against a plain array; keys and values carry a NUL, so that sscanf may read them.
 */
static void check_random(struct store *store, struct model *model)
{
    struct prng prng;
    struct store_batch *batch = batch_new();
    prng_init(&prng, 17);
    for (int round = 1; round <= RANDOM_BATCHES; round++) {
        for (uint64_t n = prng_below(&prng, 12); n > 0; n--) {
            char key[8], value[16];
            int number = (int)prng_below(&prng, MODEL_KEYS);
            model->values[number] = prng_chance(&prng, 1, 3) ? 0 : round;
            size_t key_bytes = 1 + (size_t)snprintf(key, sizeof key, "k%03d", number);
            size_t value_bytes = 1 + (size_t)snprintf(value, sizeof value, "%d", round);
            cr_assert_eq(model->values[number]
                             ? store_batch_put(batch, key, key_bytes, value, value_bytes)
                             : store_batch_delete(batch, key, key_bytes),
                         0);
        }
        write_batch(store, batch, prng_chance(&prng, 1, 10));
        if (round % 16 == 0)
            model_check(store, model);
    }
    store_batch_destroy(batch);
}

struct pair {
    struct store *store;
    atomic_bool end;
    atomic_uint seen;
};

static bool pair_collect(void *user, const void *key, size_t key_bytes, const void *value,
                         size_t value_bytes)
{
    char *text = user;
    cr_assert_lt(value_bytes, 16);
    memcpy(text + (*(const char *)key == 'x' ? 0 : 16), value, value_bytes);
    return true;
}

/* Both keys of a pair change together; no scan may see one without the other. */
static void *pair_reader(void *user)
{
    struct pair *pair = user;
    while (!atomic_load(&pair->end)) {
        char text[32] = {0};
        cr_assert_eq(store_scan(pair->store, "x", 1, "z", 1, pair_collect, text, NULL), 0);
        cr_assert_str_eq(text, text + 16);
        atomic_fetch_add(&pair->seen, 1);
    }
    return NULL;
}

/* The same of a snapshot, and twice the same. */
static void *pair_snapshots(void *user)
{
    struct pair *pair = user;
    while (atomic_load(&pair->seen) < SNAPSHOTS) {
        struct store_snapshot *snapshot = snapshot_new(pair->store);
        char text[32] = {0}, again[32] = {0};
        cr_assert_eq(store_snapshot_scan(pair->store, snapshot, "x", 1, pair_collect, text, NULL),
                     0);
        cr_assert_eq(store_snapshot_scan(pair->store, snapshot, "x", 1, pair_collect, again, NULL),
                     0);
        store_snapshot_close(pair->store, snapshot);
        cr_assert_str_eq(text, text + 16);
        cr_assert_str_eq(text, again);
        atomic_fetch_add(&pair->seen, 1);
    }
    return NULL;
}

/* Records come and go while snapshots are taken. */
static void check_snapshot_moment(struct store *store)
{
    struct pair pair = {.store = store};
    struct store_batch *batch = batch_new();
    pthread_t reader;
    cr_assert_eq(pthread_create(&reader, NULL, pair_snapshots, &pair), 0);
    for (int i = 0; atomic_load(&pair.seen) < SNAPSHOTS; i++) {
        if (i % 2) {
            delete(batch, "x");
            delete(batch, "y");
        } else {
            put(batch, "x", "both");
            put(batch, "y", "both");
        }
        write_batch(store, batch, false);
    }
    pthread_join(reader, NULL);
    store_batch_destroy(batch);
}

static void check_moment(struct store *store)
{
    struct pair pair = {.store = store};
    struct store_batch *batch = batch_new();
    pthread_t reader;
    cr_assert_eq(pthread_create(&reader, NULL, pair_reader, &pair), 0);
    for (int i = 0; i < PAIR_ROUNDS || atomic_load(&pair.seen) < 10; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        put(batch, "x", value);
        put(batch, "y", value);
        write_batch(store, batch, false);
    }
    atomic_store(&pair.end, true);
    pthread_join(reader, NULL);
    store_batch_destroy(batch);
}

void store_contract_run(const struct store_fixture *fixture)
{
    struct model model = {.next = 0};
    struct store *store = fixture->create(fixture->user);
    check_batches(store);
    check_bytes(store);
    check_scans(store);
    check_snapshots(store);
    check_random(store, &model);
    model_check(store, &model);
    if (fixture->reopen) {
        store = fixture->reopen(fixture->user, store);
        model_check(store, &model);
    }
    if (fixture->threads) {
        check_moment(store);
        check_snapshot_moment(store);
    }
    store_close(store);
}
