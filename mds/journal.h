/* What the group asks of the disk, on the message log and a meta file.
 *
 * Keeps for each record of the log which message it is and which index the order gave it. From that
 * follows what the store may flush (only what the local log has stored) and what the log may forget
 * (what the store holds durably and all members have stored).
 *
 * Threads: loop thread, callbacks too. No callback is called from inside a call of this interface,
 * but `allowed`. */
#ifndef TUTTI_MDS_JOURNAL_H
#define TUTTI_MDS_JOURNAL_H

#include "base/hash.h"
#include "gcs-fastdelivery/gcs.h"
#include "store/disk.h"
#include "store/msglog.h"

struct journal;

struct journal_config {
    struct loop *loop;
    struct disk *disk; /* borrowed */
    uint64_t segment_bytes;
    uint32_t payload_bytes_max;
    uint64_t retain_bytes; /* of what could be forgotten, and of what is known of it in memory:
                              for joiners, also after a restart */
    bool sync;             /* false: durability = memory */
    struct gcs_position applied; /* what the store holds; recovered messages up to it are old */
    void *user;
    void (*stored)(void *user, uint64_t epoch, uint8_t origin, uint64_t seq); /* for gcs_stored */
    void (*saved)(void *user);                                                /* for gcs_saved */
    void (*allowed)(void *user, uint64_t index); /* everything up to index is in the log, stored */
    bool (*stored_by_all)(void *user, uint64_t epoch, uint8_t origin, uint64_t seq);
    void (*failed)(void *user, int code, const char *detail); /* final: stop serving */
};

/* Read the log and the group's state. Blocks. Errors: as msglog_open and metafile_read. */
int journal_open(const struct journal_config *config, struct journal **ret_journal,
                 struct error *error) WARN_UNUSED;

/* What `save` put last; NULL and 0 for a new replica. Borrowed until journal_recovered. */
const void *journal_state(const struct journal *journal, size_t *ret_bytes);

/* How many messages the log holds, and each of them in its order; once. Stops where `each` returns
 * non-zero and returns that. */
uint32_t journal_recovered_count(const struct journal *journal);
int journal_recovered(struct journal *journal,
                      int (*each)(void *user, const struct gcs_message *message),
                      void *user) WARN_UNUSED;

/* The callbacks of gcs of the same names. */
void journal_store(struct journal *journal, const struct gcs_message *message);
void journal_save(struct journal *journal, const void *state, size_t bytes);

/* What the log remembers of the order's newest part, oldest first and without a gap, up to
 * @index_last; each message (payload NULL: an epoch event) with its index and the history hash
 * after it. Before journal_recovered. Stops where `each` returns non-zero and returns that. */
int journal_remembered(struct journal *journal, uint64_t index_last,
                       int (*each)(void *user, const struct gcs_message *message, uint64_t index,
                                   struct hash128 hash),
                       void *user) WARN_UNUSED;

/* This message (payload NULL: epoch event) was applied as @index; @hash: of all up to it. */
void journal_applied(struct journal *journal, const struct gcs_message *message, uint64_t index,
                     struct hash128 hash);

/* The order gave this message, this epoch's event, the index. In the order of the indices. */
void journal_delivered(struct journal *journal, const struct gcs_message *message, uint64_t index);
void journal_epoch(struct journal *journal, uint64_t epoch, uint64_t index);

/* All members have received everything up to `index`. With durability = memory nothing else may be
 * flushed: what a restart of the others can make void must not be in this one's store. */
void journal_released(struct journal *journal, uint64_t index);

/* The store holds everything up to `index` on stable storage. */
void journal_durable(struct journal *journal, uint64_t index);

/* Bytes given to `store` and not stored yet. */
uint64_t journal_backlog_bytes(const struct journal *journal);

void journal_counters(const struct journal *journal, struct msglog_counters *ret_counters);

/* Finish what was given, then free. Blocks; calls nothing back. */
void journal_close(struct journal *journal);

#endif
