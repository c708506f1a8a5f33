/* Writes that were received and are not yet released, by what they touch.
 *
 * A local read is answered at once only if no such write touches what it read. Each message is
 * known by its receipt number, which the caller counts up; a message holds many operations.
 *
 * What an operation touches follows from nspace_touched. Inodes behind an entry (an unlink's, a
 * rename's) are looked up when the message is received; where the entry is not at hand, or another
 * write that is not applied yet touches the same entry, whichever of the two was received first,
 * the message counts as touching all inodes.
 *
 * A plain data structure: no clock, no I/O. Threads: one. Source: docs/protocol.md section 5, local
 * reads; docs/decisions.md, "Readers of pending changes". */
#ifndef TUTTI_MDS_PENDING_H
#define TUTTI_MDS_PENDING_H

#include "base/must.h"
#include "mds/nspace.h"
#include "proto/proto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pending;

/* 0 or -ENOMEM. */
int pending_create(struct pending **ret_table) WARN_UNUSED;
void pending_destroy(struct pending *table);

/* One operation of message `receipt`, the newest message so far (or the same as the last one).
 * Operations that are not writes touch nothing. 0 or -ENOMEM. */
int pending_add(struct pending *table, uint64_t receipt, const struct proto_op *op,
                struct nspace_source *source) WARN_UNUSED;

/* A message that touches everything (an epoch event). 0 or -ENOMEM. */
int pending_add_everything(struct pending *table, uint64_t receipt) WARN_UNUSED;

/* The message's effects are in the records now: what its entries point to can be looked up again.
 * It still touches what it touches. Nothing where the message is unknown. */
void pending_applied(struct pending *table, uint64_t receipt);

/* The message is released, or void. Nothing where it is unknown (it touched nothing). */
void pending_remove(struct pending *table, uint64_t receipt);

/* Forget all messages. */
void pending_clear(struct pending *table);

/* Messages that touch something. */
size_t pending_count(const struct pending *table);

/* Whether a pending write touches what `read` reads, now that it was read.
 *
 * @ret_newest: the newest touching message's receipt number; set on true
 *
 * Exact for single objects. STATFS is touched by every write. PURGE_LIST is touched by none: it is
 * a hint. READDIR with attributes is touched by every write, unless the caller asks with the flag
 * cleared and then for each entry with pending_touches_inode. */
bool pending_touches(const struct pending *table, const struct proto_op *read,
                     struct nspace_source *source, uint64_t *ret_newest) WARN_UNUSED;

/* The same for the attributes of one inode that is there. */
bool pending_touches_inode(const struct pending *table, uint64_t ino,
                           uint64_t *ret_newest) WARN_UNUSED;

#endif
