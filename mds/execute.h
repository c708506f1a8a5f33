/* Exactly once: from an ordered request to its outcome, by way of the session table.
 *
 * Each session has slots; each slot keeps the sequence number and the outcome of its last request,
 * as a record that is written with the effects. A request that is repeated gets the kept outcome,
 * from any replica; nothing is applied twice, also when two replicas order it.
 *
 * Pure, as nspace.h. Source: docs/protocol.md section 5; docs/decisions.md, "Sessions and expiry".
 */
#ifndef TUTTI_MDS_EXECUTE_H
#define TUTTI_MDS_EXECUTE_H

#include "base/must.h"
#include "mds/nspace.h"
#include "mds/txn.h"
#include "proto/proto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which sessions there are and when they were last heard of: what the S records say, ordered by
 * age, so that expiry need not scan. In memory; rebuilt from the records at the start. */
struct session_index;

/* 0 or -ENOMEM. */
int session_index_create(struct session_index **ret_index) WARN_UNUSED;
void session_index_destroy(struct session_index *index);

/* Take in one record of the range record_key_first/end(RECORD_SESSION); those of slots are passed
 * over. 0, -EBADMSG, -ENOMEM. */
int session_index_load_record(struct session_index *index, const void *key, size_t key_bytes,
                              const void *value, size_t value_bytes) WARN_UNUSED;

size_t session_index_count(const struct session_index *index);

/* Whether a SESSION_EXPIRE with this timeout, executed at now_ns, would have something to do. */
bool session_index_expired(const struct session_index *index, const struct nspace_state *state,
                           int64_t now_ns, uint64_t timeout_ns);

/* Execute one ordered request: session operations here, the others by nspace_apply. Begin with
 * txn_begin; the request must have been decoded by proto_request_decode.
 *
 * @state: updated on 0, with the digest; otherwise unchanged
 * @sessions: updated on 0; otherwise unchanged
 * @ret_outcome: set on 0; its bytes live in the transaction
 *
 * A SESSION_EXPIRE (session all zero, no slot) removes a bounded number of records; its outcome's
 * value is 1 where more is left to do, so that the next one need not wait long.
 *
 * Returns 0 with the changes in the transaction; NSPACE_MISS: fetch txn->miss_key, txn_begin, call
 * again; -EIO, -EBADMSG (a record is damaged), -ENOMEM: this replica has to stop. */
int execute_request(struct nspace_txn *txn, struct nspace_state *state,
                    const struct nspace_limits *limits, const struct proto_request *request,
                    struct session_index *sessions, struct proto_outcome *ret_outcome) WARN_UNUSED;

/* Calls `missing` for records that the request will read and that are not at hand, as far as that
 * can be told now: for fetching them while the request is still being ordered. */
typedef void execute_missing(void *user, const void *key, size_t key_bytes);
void execute_probe(struct nspace_source *source, const struct proto_request *request,
                   execute_missing *missing, void *user);

#endif
