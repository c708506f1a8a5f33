/* See world.h. The map is a sorted array: plain, and nothing of the code under test. */
#include "world.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare(const struct world_record *record, const void *key, size_t bytes)
{
    size_t common = record->key_bytes < bytes ? record->key_bytes : bytes;
    int order = memcmp(record->key, key, common);
    return order ? order : (int)record->key_bytes - (int)bytes;
}

/* Where the key is or belongs. */
static size_t position(const struct world *w, const void *key, size_t bytes)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(&w->records[middle], key, bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct world_record *find(const struct world *w, const void *key, size_t bytes)
{
    size_t at = position(w, key, bytes);
    bool found = at < w->count && compare(&w->records[at], key, bytes) == 0;
    return found ? &w->records[at] : NULL;
}

const struct world_record *world_find(const struct world *w, const struct record_key *key)
{
    return find(w, key->bytes, key->count);
}

static void put(struct world *w, const struct txn_change *change)
{
    size_t at = position(w, change->key, change->key_bytes);
    struct world_record *record = find(w, change->key, change->key_bytes);
    if (!record) {
        if (w->count == w->capacity) {
            w->capacity = w->capacity ? 2 * w->capacity : 64;
            w->records = realloc(w->records, w->capacity * sizeof *w->records);
        }
        record = &w->records[at];
        memmove(record + 1, record, (w->count++ - at) * sizeof *record);
        *record = (struct world_record){.key_bytes = (uint32_t)change->key_bytes};
        memcpy(record->key, change->key, change->key_bytes);
    }
    free(record->value);
    record->value = malloc(change->value_bytes ? change->value_bytes : 1);
    memcpy(record->value, change->value, change->value_bytes);
    record->value_bytes = (uint32_t)change->value_bytes;
}

static void delete (struct world *w, const struct txn_change *change)
{
    struct world_record *record = find(w, change->key, change->key_bytes);
    cr_assert(record, "a record that is not there was deleted");
    free(record->value);
    size_t behind = (size_t)(&w->records[w->count] - record) - 1;
    memmove(record, record + 1, behind * sizeof *record);
    w->count--;
}

static void changes_take(struct world *w)
{
    struct txn_change change;
    uint32_t cursor = 0;
    while (txn_change(&w->txn, &cursor, &change)) {
        if (change.value)
            put(w, &change);
        else
            delete (w, &change);
    }
}

/* A record that is not there can be missing from memory too: the caller fetches its absence.
 * Whether it does is decided at random, once for each key that the present request fetched. */
static uint8_t fetched[256][NSPACE_KEY_BYTES_MAX];
static size_t fetched_bytes[256], fetched_count;

static bool is_fetched(const void *key, size_t bytes)
{
    for (size_t i = 0; i < fetched_count; i++)
        if (fetched_bytes[i] == bytes && memcmp(fetched[i], key, bytes) == 0)
            return true;
    return false;
}

static void fetch(const void *key, size_t bytes)
{
    cr_assert(!is_fetched(key, bytes), "the same record was missed twice");
    cr_assert_lt(fetched_count, 256);
    memcpy(fetched[fetched_count], key, bytes);
    fetched_bytes[fetched_count++] = bytes;
}

static int get(struct nspace_source *source, const void *key, size_t key_bytes,
               const void **ret_value, size_t *ret_bytes)
{
    struct world *w = (struct world *)source;
    const struct world_record *record = find(w, key, key_bytes);
    w->reads++;
    if (w->misses && !is_fetched(key, key_bytes) && prng_chance(&w->prng, 1, 2)) {
        w->missed++;
        return NSPACE_MISS;
    }
    if (!record)
        return NSPACE_ABSENT;
    *ret_value = record->value;
    *ret_bytes = record->value_bytes;
    return 0;
}

struct proto_outcome world_request(struct world *w, const struct proto_request *request)
{
    struct proto_request decoded;
    struct proto_outcome outcome;
    const struct proto_op_info *info = proto_op_info(request->op.code);
    int code;
    buffer_clear(&w->encoded);
    cr_assert_eq(proto_request_encode(request, &w->encoded), 0);
    cr_assert_eq(proto_request_decode(w->encoded.data, w->encoded.bytes, &decoded), 0);
    fetched_count = 0;
    if (w->clock)
        nspace_propose_time(&w->state, w->clock);
    for (;;) {
        struct nspace_state before = w->state;
        txn_begin(&w->txn, &w->source);
        if (info->write)
            code = execute_request(&w->txn, &w->state, &w->limits, &decoded, w->sessions, &outcome);
        else
            code = nspace_read(&w->txn, &w->state, &w->limits, &decoded, &outcome);
        if (code != NSPACE_MISS)
            break;
        cr_assert_eq(memcmp(&before, &w->state, sizeof before), 0, "a miss changed the state");
        fetch(w->txn.miss_key.bytes, w->txn.miss_key.count);
    }
    cr_assert_eq(code, 0, "%s failed: %d", info->name, code);
    cr_assert(info->write || txn_changes(&w->txn) == 0);
    changes_take(w);
    return outcome;
}

struct proto_outcome world_do(struct world *w, uint32_t uid, const struct proto_op *op)
{
    uint8_t groups[4 * 8];
    struct writer writer = writer_make(groups, sizeof groups);
    struct proto_request request = {.op = *op};
    for (uint32_t i = 0; i < w->group_count; i++)
        writer_u32(&writer, w->groups[i]);
    memcpy(request.session, w->session, sizeof request.session);
    request.credentials = (struct proto_credentials){uid, uid, w->group_count, groups};
    request.seq = proto_op_info(op->code)->write ? ++w->seq[0] : 0;
    return world_request(w, &request);
}

void world_init(struct world *w)
{
    *w = (struct world){.source = {get},
                        .limits = {.inodes_max = 1000000,
                                   .inline_bytes_max = 4096,
                                   .links_max = 65000,
                                   .sessions_max = 16,
                                   .slots_max = 32},
                        .session = {1, 2, 3}};
    prng_init(&w->prng, 1);
    buffer_init(&w->encoded, PROTO_REQUEST_BYTES_MAX);
    txn_init(&w->txn);
    cr_assert_eq(session_index_create(&w->sessions), 0);
    txn_begin(&w->txn, &w->source);
    cr_assert_eq(nspace_format(&w->txn, 1000, &w->state), 0);
    changes_take(w);
    struct proto_op open = OP(SESSION_OPEN, .count = 8);
    struct proto_outcome outcome = world_do(w, 0, &open);
    cr_assert(outcome.status == PROTO_OK && outcome.value == 8);
}

void world_finish(struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->records[i].value);
    free(w->records);
    txn_finish(&w->txn);
    session_index_destroy(w->sessions);
    buffer_finish(&w->encoded);
}

void world_steps(struct world *w, const struct world_step *steps, size_t count, const char *file,
                 int line)
{
    for (size_t i = 0; i < count; i++) {
        struct proto_outcome outcome = world_do(w, steps[i].uid, &steps[i].op);
        cr_assert_eq(outcome.status, steps[i].want, "%s:%d step %zu (%s): %s, not %s", file, line,
                     i, proto_op_info(steps[i].op.code)->name, proto_status_name(outcome.status),
                     proto_status_name(steps[i].want));
    }
    world_check(w);
}

size_t world_list(struct world *w, uint32_t uid, uint64_t ino, uint64_t cookie, bool with_attr,
                  struct proto_dirent *entries, size_t entries_max, enum proto_status *ret_status)
{
    struct proto_request request = {.op = OP(READDIR, .ino = ino, .cookie = cookie,
                                             .flags = with_attr ? PROTO_READDIR_ATTR : 0),
                                    .credentials = {uid, uid, 0, NULL}};
    struct nspace_readdir readdir;
    struct record_key from, to;
    bool misses = w->misses;
    size_t count = 0;
    w->misses = false;
    txn_begin(&w->txn, &w->source);
    cr_assert_eq(nspace_readdir_begin(&w->txn, &request, &readdir, &from, &to), 0);
    *ret_status = readdir.status;
    for (uint32_t i = 0; readdir.status == PROTO_OK && i < readdir.dot_count; i++)
        entries[count++] = readdir.dots[i];
    size_t at = position(w, from.bytes, from.count);
    for (; readdir.status == PROTO_OK && at < w->count; at++) {
        const struct world_record *r = &w->records[at];
        if (compare(r, to.bytes, to.count) >= 0 || count == entries_max)
            break;
        cr_assert_eq(nspace_readdir_entry(&w->txn, readdir.with_attr, r->key, r->key_bytes,
                                          r->value, r->value_bytes, &entries[count++]),
                     0);
    }
    w->misses = misses;
    return count;
}
