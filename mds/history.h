/* The newest part of the order, for joiners that missed no more than that.
 *
 * A ring of messages and epoch events by index, each with the history hash after it; bounded in
 * bytes, the oldest goes first. While a joiner is on its way (a snapshot is sent, or something was
 * fetched lately) what leaves the ring goes to disk, so that it is still there when the joiner
 * comes to ask for it. Threads: loop thread. */
#ifndef TUTTI_MDS_HISTORY_H
#define TUTTI_MDS_HISTORY_H

#include "mds/history_disk.h"

struct history;

struct history_config {
    struct loop *loop;
    uint64_t bytes_max;      /* in memory, of payloads and bookkeeping */
    struct disk *disk;       /* borrowed; NULL: nothing goes there */
    uint64_t disk_bytes_max; /* there */
    uint32_t payload_bytes_max;
};

/* Blocks. Where the disk is not to be had it goes on without. 0 or -ENOMEM. */
int history_create(const struct history_config *config, struct history **ret_history) WARN_UNUSED;
/* Blocks. NULL is allowed. */
void history_destroy(struct history *history);

/* It is empty, and what is applied next is index + 1. @hash: of all up to index. */
void history_start_after(struct history *history, uint64_t index, struct hash128 hash);

/* The next place of the order was applied; @message payload NULL: an epoch event. Where it does not
 * follow the last one, the ring begins anew with it. A reference is taken. 0 or -ENOMEM. */
int history_add(struct history *history, const struct gcs_message *message, uint64_t index,
                struct hash128 hash) WARN_UNUSED;

/* From the next place on: whether a snapshot is under way that it has to reach back to. */
void history_hold(struct history *history, bool hold);

/* One that holds everything up to `index` can be fed from here, as things are now. */
bool history_reaches(const struct history *history, uint64_t index);

/* Answers gcs's `fetch`, later, from the loop. */
void history_fetch(struct history *history, struct gcs *gcs, uint8_t peer, uint64_t index_from,
                   uint32_t bytes_max, const uint8_t hash[16]);

#endif
