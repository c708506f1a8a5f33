/* One operation's view of the records: reads through a source, sees its own changes, and collects
 * them for the caller, who puts them into the cache once the operation has ended well.
 *
 *     txn_begin -> nspace_apply / nspace_read / execute_request -> txn_change* -> txn_begin ...
 *
 * A record that is not at hand is noted in `miss_key`; nothing of the source was changed then, and
 * the same operation can be started again from txn_begin. The transaction knows the old value of
 * whatever it changes, so it knows what the changes do to the state digest.
 *
 * Threads: one at a time. Memory: kept from one operation to the next; what was handed out lives
 * until the next txn_begin. */
#ifndef TUTTI_MDS_TXN_H
#define TUTTI_MDS_TXN_H

#include "base/hash.h"
#include "base/must.h"
#include "mds/nspace.h"
#include "mds/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct txn_record; /* a record that was read or changed */
struct txn_block;  /* a block of memory for values */

struct nspace_txn {
    struct nspace_source *source;
    struct record_key miss_key; /* set with NSPACE_MISS */
    struct txn_record *records; /* owned; count in use */
    uint32_t count, capacity, changes;
    struct txn_block *blocks; /* owned, the one in use first */
};

void txn_init(struct nspace_txn *txn);
void txn_finish(struct nspace_txn *txn);

/* Forget everything; read from `source` (borrowed until the next txn_begin). */
void txn_begin(struct nspace_txn *txn, struct nspace_source *source);

/* One change, for putting it into the cache; value NULL: delete. Borrowed until txn_begin. False at
 * the end. Start with *cursor = 0. */
struct txn_change {
    const void *key, *value;
    size_t key_bytes, value_bytes;
};
bool txn_change(const struct nspace_txn *txn, uint32_t *cursor, struct txn_change *ret_change);

/* Changes so far. */
static inline uint32_t txn_changes(const struct nspace_txn *txn)
{
    return txn->changes;
}

/* `digest` after the changes. Records of kind M do not count. */
struct hash128 txn_digest(const struct nspace_txn *txn, struct hash128 digest);

/* --- for operations ------------------------------------------------------------------------- */

/* Returns 0; NSPACE_ABSENT; NSPACE_MISS; -EIO, -ENOMEM. The value lives until txn_begin, or until
 * the source changes. */
int txn_get(struct nspace_txn *txn, const struct record_key *key, const void **ret_value,
            size_t *ret_bytes) WARN_UNUSED;

/* The same without remembering the record: for long walks. */
int txn_peek(struct nspace_txn *txn, const struct record_key *key, const void **ret_value,
             size_t *ret_bytes) WARN_UNUSED;

/* Set a record. The old value is read first, so this may be NSPACE_MISS. The value is copied. */
int txn_put(struct nspace_txn *txn, const struct record_key *key, const void *value,
            size_t bytes) WARN_UNUSED;

/* Set a record that is known not to exist (it belongs to a fresh inode or cookie): reads nothing.
 */
int txn_insert(struct nspace_txn *txn, const struct record_key *key, const void *value,
               size_t bytes) WARN_UNUSED;

/* Delete; nothing where it is absent. May be NSPACE_MISS. */
int txn_delete(struct nspace_txn *txn, const struct record_key *key) WARN_UNUSED;

/* Set or delete (value NULL) a record whose present value follows from another record: reads
 * nothing. Both values are copied. */
int txn_replace(struct nspace_txn *txn, const struct record_key *key, const void *old,
                size_t old_bytes, const void *value, size_t bytes) WARN_UNUSED;

/* Forget the changes; what was read stays read. */
void txn_discard(struct nspace_txn *txn);

/* Memory that lives until txn_begin. NULL when there is none. */
void *txn_alloc(struct nspace_txn *txn, size_t bytes) WARN_UNUSED;

#endif
