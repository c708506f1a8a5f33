/* The namespace: a deterministic state machine over records.
 *
 * Pure: no clock, socket, disk, thread, random source or log. Time, credentials and everything else
 * that could differ between replicas comes with the request. What an operation reads it asks of a
 * `struct nspace_source`; a record that is not at hand makes it stop with NSPACE_MISS, having changed
 * nothing: the caller fetches txn->miss_key and calls again. What it changes is collected in the
 * transaction and put into the cache by the caller.
 *
 * Records: mds/record.h. Source: docs/architecture (namespace records), docs/protocol.md section 5. */
#ifndef TUTTI_MDS_NSPACE_H
#define TUTTI_MDS_NSPACE_H

#include "base/hash.h"
#include "base/must.h"
#include "proto/proto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NSPACE_ABSENT = 1, NSPACE_MISS = 2 };

enum { NSPACE_KEY_BYTES_MAX = 1 + 8 + 255 + 8 };

/* Where records come from. @ret_value: borrowed until the next change of the source. */
struct nspace_source {
    int (*get)(struct nspace_source *source, const void *key, size_t key_bytes,
               const void **ret_value, size_t *ret_bytes); /* 0, NSPACE_ABSENT, NSPACE_MISS, -EIO */
};

/* The part of the state that every operation touches; stored as one record ("M" state) in each
 * transaction. */
struct nspace_state {
    int64_t time_ns;     /* the last time given out; the next is max(this + 1, proposed) */
    int64_t epoch_time_ns; /* the first time given out in this epoch: no session is older */
    uint64_t next_ino;
    uint64_t inodes;     /* in use, orphans included */
    uint64_t bytes_used; /* sum of the sizes of regular files */
    uint64_t sessions;
    struct hash128 digest; /* sum of hash128_record over all records but the M ones */
};

struct nspace_limits {
    uint64_t inodes_max;
    uint32_t inline_bytes_max;
    uint32_t links_max; /* 65000 */
    uint32_t sessions_max, slots_max;
};

struct nspace_txn; /* reads through, collects changes; mds/txn.h */

/* Execute one ordered request at the state's next time. The session layer (mds/apply.c) has checked
 * (session, slot, seq) before. Outcome bytes (names, data) live in the transaction until it is reset.
 * Returns 0 with *ret_outcome and the changes in the transaction (an outcome that is an error changes
 * nothing); NSPACE_MISS; -EIO or -EBADMSG: a record is damaged, this replica has to stop. */
int nspace_apply(struct nspace_txn *txn, struct nspace_state *state,
                 const struct nspace_limits *limits, const struct proto_request *request,
                 struct proto_outcome *ret_outcome) WARN_UNUSED;

/* Answer a read (all but READDIR and PURGE_LIST, which scan; see nspace_readdir_entry). Returns as
 * nspace_apply. */
int nspace_read(struct nspace_txn *txn, const struct nspace_state *state,
                const struct nspace_limits *limits, const struct proto_request *request,
                struct proto_outcome *ret_outcome) WARN_UNUSED;

/* What a write touches, for the pending check of local reads. `each` is called with object keys:
 * an inode, or an entry (parent, name). An operation that may touch inodes that can't be known
 * before it is applied (what an entry points to) says so by returning true, and names the entries
 * through which it finds them. */
enum nspace_object { NSPACE_OBJECT_INODE, NSPACE_OBJECT_ENTRY };
typedef void nspace_touch(void *user, enum nspace_object kind, uint64_t ino,
                          struct proto_bytes name, bool resolves);
void nspace_touched(const struct proto_op *op, nspace_touch *each, void *user);

#endif
