/* The namespace: a deterministic state machine over records.
 *
 * Pure: no clock, socket, disk, thread, random source or log. Time, credentials and everything else
 * that could differ between replicas comes with the request. What an operation reads it asks of a
 * `struct nspace_source`; a record that is not at hand makes it stop with NSPACE_MISS, having
 * changed nothing: the caller fetches txn->miss_key and calls again. What it changes is collected
 * in the transaction and put into the cache by the caller.
 *
 * Records: mds/record.h. Source: docs/protocol.md, section 5.
 */
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
    int64_t time_ns;       /* the last time given out; the next is max(this + 1, proposed) */
    int64_t epoch_time_ns; /* the first time given out in this epoch: no session is older; 0: none
                              yet */
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
struct record_key; /* mds/record.h */

/* The namespace of a new cluster: an empty root directory. @txn: begun over an empty source; the
 * records are its changes. @time_ns: of the root directory; the same at all members.
 * 0 with *ret_state, or -ENOMEM. */
int nspace_format(struct nspace_txn *txn, int64_t time_ns,
                  struct nspace_state *ret_state) WARN_UNUSED;

/* A message begins, with the wall clock of its origin: its requests happen at that time and 1 ns
 * apart, but never before what happened already. */
void nspace_propose_time(struct nspace_state *state, int64_t time_ns);

/* An epoch begins: no session is older than the first time that is given out from here on. */
void nspace_begin_epoch(struct nspace_state *state);

/* Execute one ordered request at the state's next time. The session layer (mds/execute.c) has
 * checked (session, slot, seq) before, and brings the digest up to date afterwards. Outcome bytes
 * (names, data) live in the transaction until it is begun again. Returns 0 with *ret_outcome, the
 * changes in the transaction and the state updated (an outcome that is an error changes nothing but
 * the time); NSPACE_MISS; -EIO, -ENOMEM or -EBADMSG: a record is damaged, this replica has to stop.
 */
int nspace_apply(struct nspace_txn *txn, struct nspace_state *state,
                 const struct nspace_limits *limits, const struct proto_request *request,
                 struct proto_outcome *ret_outcome) WARN_UNUSED;

/* Answer a read (all but READDIR and PURGE_LIST, which scan; see nspace_readdir_entry). Returns as
 * nspace_apply. */
int nspace_read(struct nspace_txn *txn, const struct nspace_state *state,
                const struct nspace_limits *limits, const struct proto_request *request,
                struct proto_outcome *ret_outcome) WARN_UNUSED;

/* READDIR, in two steps around a scan of records that the caller drives.
 *
 * nspace_readdir_begin checks permission and gives the dot entries that the cookie asks for (they
 * carry no attributes) and the range [from, to) of records to go on with. Each record of the range
 * becomes an entry by nspace_readdir_entry. Both return 0; NSPACE_MISS; -EIO, -ENOMEM, -EBADMSG. */
struct nspace_readdir {
    enum proto_status status; /* the rest is set with PROTO_OK */
    bool with_attr;           /* asked for, and the caller may search the directory */
    uint32_t dot_count;
    struct proto_dirent dots[2];
};
int nspace_readdir_begin(struct nspace_txn *txn, const struct proto_request *request,
                         struct nspace_readdir *ret_readdir, struct record_key *ret_from,
                         struct record_key *ret_to) WARN_UNUSED;

/* @ret_entry: its name points into `value`. Where the inode is gone meanwhile it has no attributes.
 */
int nspace_readdir_entry(struct nspace_txn *txn, bool with_attr, const void *key, size_t key_bytes,
                         const void *value, size_t value_bytes,
                         struct proto_dirent *ret_entry) WARN_UNUSED;

/* PURGE_LIST: the range to scan is that of all records of kind P. 0 or -EBADMSG. */
int nspace_purge_entry(const void *key, size_t key_bytes, const void *value, size_t value_bytes,
                       struct proto_purge *ret_purge) WARN_UNUSED;

/* What a write touches, for the pending check of local reads. `each` is called with object keys.
 * Where `resolves`, the operation also touches the inode that the entry points to when it is
 * applied. */
enum nspace_object {
    NSPACE_OBJECT_INODE,   /* anything of an inode */
    NSPACE_OBJECT_ACCESS,  /* its permissions, or whether it is there; always besides INODE */
    NSPACE_OBJECT_ENTRY,   /* (parent, name) */
    NSPACE_OBJECT_FRESH,   /* makes an inode: one whose number nobody knows here yet */
    NSPACE_OBJECT_ORPHANS, /* may remove inodes without a name */
};
typedef void nspace_touch(void *user, enum nspace_object kind, uint64_t ino,
                          struct proto_bytes name, bool resolves);
void nspace_touched(const struct proto_op *op, nspace_touch *each, void *user);

#endif
