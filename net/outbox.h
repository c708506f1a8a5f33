/* What one stream has to send: frames in, gathered buffers out.
 *
 * Headers and small payloads are copied one behind the other into chunks; larger payloads stay
 * where they are, held by a reference. */
#ifndef TUTTI_NET_OUTBOX_H
#define TUTTI_NET_OUTBOX_H

#include "base/blob.h"
#include "base/must.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

struct outbox_segment;

struct net_outbox {
    TAILQ_HEAD(outbox_list, outbox_segment) segments;
    uint32_t sent;  /* of the first segment */
    uint32_t bytes; /* not sent yet */
    size_t memory_bytes;
};

void net_outbox_init(struct net_outbox *outbox);
void net_outbox_finish(struct net_outbox *outbox);

/* Append one frame. `head` is copied, of `payload` (may be NULL) a reference is taken.
 * 0, or -ENOMEM and nothing was appended. */
int net_outbox_add(struct net_outbox *outbox, uint16_t type, const void *head, uint32_t head_bytes,
                   struct blob *payload) WARN_UNUSED;

/* The next bytes to send, in at most `count_max` pieces; valid until they are consumed, also while
 * more is appended. Returns the number of pieces; *ret_bytes: their sum. */
unsigned net_outbox_gather(const struct net_outbox *outbox, struct iovec *pieces,
                           unsigned count_max, size_t *ret_bytes);

/* The first `bytes` have left. */
void net_outbox_consume(struct net_outbox *outbox, size_t bytes);

#endif
