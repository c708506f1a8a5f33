/* Inside execution: how the session index changes. Nothing here can fail once a node is there. */
#ifndef TUTTI_MDS_EXECUTE_INDEX_H
#define TUTTI_MDS_EXECUTE_INDEX_H

#include "mds/execute.h"

/* Take in one more session, or bring one up to date. 0 or -ENOMEM; the latter only for a new one.
 */
int session_index_set(struct session_index *index, const uint8_t id[PROTO_SESSION_BYTES],
                      const struct session *session) WARN_UNUSED;
void session_index_remove(struct session_index *index, const uint8_t id[PROTO_SESSION_BYTES]);

/* The session that has to go first: closing ones, then the oldest. False: there is none. */
bool session_index_first(const struct session_index *index, uint8_t ret_id[PROTO_SESSION_BYTES]);

/* The one behind `id` in that order; false at the end. */
bool session_index_next(const struct session_index *index, uint8_t id[PROTO_SESSION_BYTES]);

/* Whether a session is due: closing, or silent for longer than the timeout. Its age counts from its
 * last sign of life or the beginning of the epoch. */
bool session_due(const struct session *session, const struct nspace_state *state, int64_t now_ns,
                 uint64_t timeout_ns);

#endif
