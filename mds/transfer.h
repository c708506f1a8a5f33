/* The state of one replica, from a member that runs to one that joins, over a connection of its
 * own.
 *
 * The sender reads a snapshot of its store, in key order, while it goes on serving; the receiver
 * fills an empty store and believes nothing before all of it is there: every chunk has a number and
 * a checksum, the last frame says how much it was, and the records have to add up to the digest
 * that the state record claims. It grants credits, so that neither side holds more than a few
 * chunks. A break at any point leaves the receiver with a store that means nothing, and the sender
 * without it.
 *
 *     receiver: hello (NET_ROLE_TRANSFER)           sender: hello
 *                                                <- CONTACTS (of whom the group consists)
 *     CREDIT n ->                                <- BEGIN (records expected, state record)
 *     CREDIT n ->                                <- CHUNK (number, checksum, records) ...
 *                                                <- END (chunks, records, checksum of checksums)
 *
 * Threads: loop thread, callbacks too; reading and writing the stores happens on helpers.
 * Source: docs/protocol.md, section 4 (Join). */
#ifndef TUTTI_MDS_TRANSFER_H
#define TUTTI_MDS_TRANSFER_H

#include "mds/replica.h"
#include "net/hello.h"

struct transfer_sender;
struct transfer_receive;

enum { TRANSFER_SENDERS_MAX = 2, TRANSFER_CHUNK_BYTES = 256 << 10, TRANSFER_CREDITS = 8 };

struct transfer_sender_config {
    struct loop *loop;
    struct store *store; /* borrowed */
    void *user;
    /* Whether one that holds everything up to `index` can be fed with what follows. A snapshot
     * that is too old for that is taken anew: the store lags behind what was applied. */
    bool (*reaches)(void *user, uint64_t index);
    bool (*lists)(void *user, uint8_t node); /* in the installed view */
    /* Of whom the group consists (gcs_contacts); returns the bytes. */
    size_t (*contacts)(void *user, uint8_t to[GCS_STATE_BYTES_MAX]);
    void (*damaged)(void *user, const char *detail); /* the store is */
};
/* @config: copied. 0 or -ENOMEM. */
int transfer_sender_create(const struct transfer_sender_config *config,
                           struct transfer_sender **ret_sender) WARN_UNUSED;
/* Ends all transfers. Blocks for what is being read. NULL is allowed. */
void transfer_sender_destroy(struct transfer_sender *sender);

/* A connection whose hello was answered: it is the sender's from here on (conn->user, handlers).
 * NULL: too many at once, or no memory; the caller closes it. */
const struct net_handlers *transfer_sender_accept(struct transfer_sender *sender,
                                                  struct net_conn *conn, uint8_t node);
uint32_t transfer_sender_count(const struct transfer_sender *sender);
/* Whether what is applied now may be needed by a receiver that has to catch up: one is being sent a
 * snapshot, or was shortly ago. */
bool transfer_sender_holds(const struct transfer_sender *sender);

struct transfer_receive_config {
    struct loop *loop;
    struct net_transport *transport;
    const char *address;    /* copied */
    struct net_hello hello; /* role NET_ROLE_TRANSFER */
    struct store *incoming; /* empty; borrowed until destroy */
    /* Not 0: it has a vote still. The state of an older epoch is refused, and that of a group in
     * whose view the receiver is: the vote may be needed there. */
    uint64_t epoch_least;
    void *user;
    /* Of whom the group consists (gcs_contacts), before anything else. @state is borrowed. */
    void (*contacts)(void *user, const void *state, size_t bytes);
    /* Once. 0: all of it is in `incoming`, verified and on stable storage. Otherwise a negative
     * errno and a text; -EBADMSG: what came is damaged. Destroy it later, not from in here. */
    void (*done)(void *user, int code, const char *detail);
};
/* @config: copied. 0 or negative errno (text). */
int transfer_receive_start(const struct transfer_receive_config *config,
                           struct transfer_receive **ret_receive, struct error *error) WARN_UNUSED;
void transfer_receive_status(const struct transfer_receive *receive,
                             struct replica_transfer_status *ret_status);
/* Blocks for what is being written. NULL is allowed. */
void transfer_receive_destroy(struct transfer_receive *receive);

#endif
