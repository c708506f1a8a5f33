/* Transactions.
 *
 * The records of one operation are few, so they are kept in an array and found by comparing. Each
 * remembers its value before the operation (`old`) and what the operation made of it (`now`).
 * Values read from the source are borrowed; values set are copied into blocks that live until
 * txn_begin. Invariant: `old` of a record is set, or known to be absent, before the record is
 * changed. */
#include "mds/txn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 16 * 1024, RECORDS_FIRST = 16 };

struct txn_value {
    const void *data; /* NULL: absent */
    size_t bytes;
};

struct txn_record {
    const uint8_t *key;
    uint32_t key_bytes;
    bool changed;
    struct txn_value old, now;
};

struct txn_block {
    struct txn_block *next;
    size_t bytes, used;
    _Alignas(16) uint8_t data[];
};

void txn_init(struct nspace_txn *txn)
{
    *txn = (struct nspace_txn){0};
}

void txn_finish(struct nspace_txn *txn)
{
    while (txn->blocks) {
        struct txn_block *next = txn->blocks->next;
        free(txn->blocks);
        txn->blocks = next;
    }
    free(txn->records);
    txn_init(txn);
}

/* Keep one block for the next operation. */
void txn_begin(struct nspace_txn *txn, struct nspace_source *source)
{
    while (txn->blocks && txn->blocks->next) {
        struct txn_block *next = txn->blocks->next;
        free(txn->blocks);
        txn->blocks = next;
    }
    if (txn->blocks)
        txn->blocks->used = 0;
    txn->source = source;
    txn->count = 0;
    txn->changes = 0;
}

static struct txn_block *block_add(struct nspace_txn *txn, size_t bytes)
{
    size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    struct txn_block *block = malloc(sizeof *block + capacity);
    if (!block)
        return NULL;
    *block = (struct txn_block){.next = txn->blocks, .bytes = capacity};
    txn->blocks = block;
    return block;
}

void *txn_alloc(struct nspace_txn *txn, size_t bytes)
{
    size_t rounded = (bytes + 15) & ~(size_t)15;
    struct txn_block *block = txn->blocks;
    if (!block || block->bytes - block->used < rounded)
        block = block_add(txn, rounded);
    if (!block)
        return NULL;
    void *here = block->data + block->used;
    block->used += rounded;
    return here;
}

static int copy(struct nspace_txn *txn, const void *from, size_t bytes, struct txn_value *ret_value)
{
    void *to = txn_alloc(txn, bytes ? bytes : 1);
    if (!to)
        return -ENOMEM;
    if (bytes)
        memcpy(to, from, bytes);
    *ret_value = (struct txn_value){to, bytes};
    return 0;
}

static struct txn_record *record_find(const struct nspace_txn *txn, const struct record_key *key)
{
    for (uint32_t i = 0; i < txn->count; i++) {
        struct txn_record *record = &txn->records[i];
        if (record->key_bytes == key->count && memcmp(record->key, key->bytes, key->count) == 0)
            return record;
    }
    return NULL;
}

static int records_grow(struct nspace_txn *txn)
{
    uint32_t capacity = txn->capacity ? 2 * txn->capacity : RECORDS_FIRST;
    struct txn_record *records = realloc(txn->records, capacity * sizeof *records);
    if (!records)
        return -ENOMEM;
    txn->records = records;
    txn->capacity = capacity;
    return 0;
}

static int record_add(struct nspace_txn *txn, const struct record_key *key, struct txn_value value,
                      struct txn_record **ret_record)
{
    struct txn_value key_copy;
    if (txn->count == txn->capacity && records_grow(txn))
        return -ENOMEM;
    if (copy(txn, key->bytes, key->count, &key_copy))
        return -ENOMEM;
    struct txn_record *record = &txn->records[txn->count++];
    *record = (struct txn_record){
        .key = key_copy.data, .key_bytes = key->count, .old = value, .now = value};
    *ret_record = record;
    return 0;
}

/* The record as the source has it. 0 (present or absent), NSPACE_MISS or a failure. */
static int source_read(struct nspace_txn *txn, const struct record_key *key,
                       struct txn_value *ret_value)
{
    struct txn_value value = {0};
    int code = txn->source->get(txn->source, key->bytes, key->count, &value.data, &value.bytes);
    if (code == NSPACE_MISS)
        txn->miss_key = *key;
    if (code != 0 && code != NSPACE_ABSENT)
        return code;
    if (code == NSPACE_ABSENT)
        value = (struct txn_value){0};
    *ret_value = value;
    return 0;
}

static int record_load(struct nspace_txn *txn, const struct record_key *key,
                       struct txn_record **ret_record)
{
    *ret_record = record_find(txn, key);
    if (*ret_record)
        return 0;
    struct txn_value value;
    int code = source_read(txn, key, &value);
    return code ? code : record_add(txn, key, value, ret_record);
}

static int value_give(struct txn_value value, const void **ret_value, size_t *ret_bytes)
{
    if (!value.data)
        return NSPACE_ABSENT;
    *ret_value = value.data;
    *ret_bytes = value.bytes;
    return 0;
}

int txn_get(struct nspace_txn *txn, const struct record_key *key, const void **ret_value,
            size_t *ret_bytes)
{
    struct txn_record *record;
    int code = record_load(txn, key, &record);
    return code ? code : value_give(record->now, ret_value, ret_bytes);
}

int txn_peek(struct nspace_txn *txn, const struct record_key *key, const void **ret_value,
             size_t *ret_bytes)
{
    struct txn_record *record = record_find(txn, key);
    if (record)
        return value_give(record->now, ret_value, ret_bytes);
    struct txn_value value;
    int code = source_read(txn, key, &value);
    return code ? code : value_give(value, ret_value, ret_bytes);
}

static void record_set(struct nspace_txn *txn, struct txn_record *record, struct txn_value value)
{
    txn->changes += !record->changed;
    record->changed = true;
    record->now = value;
}

int txn_put(struct nspace_txn *txn, const struct record_key *key, const void *value, size_t bytes)
{
    struct txn_record *record;
    struct txn_value kept;
    int code = record_load(txn, key, &record);
    if (code)
        return code;
    if (copy(txn, value, bytes, &kept))
        return -ENOMEM;
    record_set(txn, record, kept);
    return 0;
}

int txn_replace(struct nspace_txn *txn, const struct record_key *key, const void *old,
                size_t old_bytes, const void *value, size_t bytes)
{
    struct txn_record *record = record_find(txn, key);
    struct txn_value before = {0}, after = {0};
    if (!record && old && copy(txn, old, old_bytes, &before))
        return -ENOMEM;
    if (value && copy(txn, value, bytes, &after))
        return -ENOMEM;
    if (!record && record_add(txn, key, before, &record))
        return -ENOMEM;
    record_set(txn, record, after);
    return 0;
}

int txn_insert(struct nspace_txn *txn, const struct record_key *key, const void *value,
               size_t bytes)
{
    return txn_replace(txn, key, NULL, 0, value, bytes);
}

int txn_delete(struct nspace_txn *txn, const struct record_key *key)
{
    struct txn_record *record;
    int code = record_load(txn, key, &record);
    if (code)
        return code;
    if (record->now.data)
        record_set(txn, record, (struct txn_value){0});
    return 0;
}

/* Records that the operation made up (inserted, replaced) must be forgotten altogether: their old
 * value was never read. Reading them again costs a look-up. */
void txn_discard(struct nspace_txn *txn)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < txn->count; i++)
        if (!txn->records[i].changed)
            txn->records[kept++] = txn->records[i];
    txn->count = kept;
    txn->changes = 0;
}

bool txn_change(const struct nspace_txn *txn, uint32_t *cursor, struct txn_change *ret_change)
{
    while (*cursor < txn->count) {
        const struct txn_record *record = &txn->records[(*cursor)++];
        if (!record->changed || (!record->old.data && !record->now.data))
            continue;
        *ret_change = (struct txn_change){.key = record->key,
                                          .key_bytes = record->key_bytes,
                                          .value = record->now.data,
                                          .value_bytes = record->now.bytes};
        return true;
    }
    return false;
}

static struct hash128 value_hash(const struct txn_record *record, struct txn_value value)
{
    if (!value.data)
        return (struct hash128){0};
    return hash128_record(record->key, record->key_bytes, value.data, value.bytes);
}

struct hash128 txn_digest(const struct nspace_txn *txn, struct hash128 digest)
{
    for (uint32_t i = 0; i < txn->count; i++) {
        const struct txn_record *record = &txn->records[i];
        if (!record->changed || record->key[0] == RECORD_META)
            continue;
        digest = hash128_subtract(digest, value_hash(record, record->old));
        digest = hash128_add(digest, value_hash(record, record->now));
    }
    return digest;
}
