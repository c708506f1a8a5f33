/* The newest part of the order, in memory, for joiners that missed no more than that.
 *
 * A ring of messages and epoch events by index, each with the history hash after it; bounded in
 * bytes, the oldest goes first. Threads: loop thread. */
#ifndef TUTTI_MDS_HISTORY_H
#define TUTTI_MDS_HISTORY_H

#include "base/hash.h"
#include "gcs-fastdelivery/gcs.h"

struct history;

/* @bytes_max: of payloads and bookkeeping. 0 or -ENOMEM. */
int history_create(struct loop *loop, uint64_t bytes_max, struct history **ret_history) WARN_UNUSED;
void history_destroy(struct history *history);

/* The next place of the order was applied; @message payload NULL: an epoch event. Where it does not
 * follow the last one, the ring begins anew with it. A reference is taken. 0 or -ENOMEM. */
int history_add(struct history *history, const struct gcs_message *message, uint64_t index,
                struct hash128 hash) WARN_UNUSED;

/* More room than usual, while a snapshot is under way that it has to reach back to. */
void history_hold(struct history *history, bool hold);

/* Answers gcs's `fetch`, later, from the loop. */
void history_fetch(struct history *history, struct gcs *gcs, uint8_t peer, uint64_t index_from,
                   uint32_t bytes_max, const uint8_t hash[16]);

#endif
