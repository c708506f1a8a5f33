/* Bytes in, verified frames out: the receiving half of a stream, without a socket.
 *
 * Memory is held only between two reads, for a frame that has begun: its header inline, and of its
 * payload never more than twice what has arrived and never more than its verified header announces.
 * A frame that lies whole in what was read is not copied. */
#ifndef TUTTI_NET_INBOX_H
#define TUTTI_NET_INBOX_H

#include "base/cursor.h"
#include "net/frame.h"
#include "net/transport.h"

struct net_inbox {
    uint32_t frame_bytes_max;
    uint32_t header_bytes; /* that have arrived of the frame being received */
    uint8_t header_raw[NET_FRAME_HEADER_BYTES];
    struct net_frame_header header; /* where header_bytes is complete */
    uint8_t *payload;               /* owned; NULL where nothing is kept */
    uint32_t payload_bytes, payload_capacity;
    bool delivered; /* `payload` was lent out by the last net_inbox_next */
};

void net_inbox_init(struct net_inbox *inbox, uint32_t frame_bytes_max);
void net_inbox_finish(struct net_inbox *inbox);

/* Take the next frame from `from`, and what follows behind it if that is less than a frame.
 * Returns 1: *ret_frame, its payload borrowed until the next call of this inbox; 0: `from` is used
 * up; -EPROTO: the stream is broken, *ret_fault says how (static text); -ENOMEM. */
int net_inbox_next(struct net_inbox *inbox, struct reader *from, struct net_frame *ret_frame,
                   const char **ret_fault) WARN_UNUSED;

/* A frame has begun and is not complete. */
bool net_inbox_begun(const struct net_inbox *inbox);

/* Where the rest of a begun payload can be read to directly; NULL when there is none. After reading
 * call net_inbox_filled, then net_inbox_next with an empty reader. */
uint8_t *net_inbox_room(struct net_inbox *inbox, size_t *ret_bytes);
void net_inbox_filled(struct net_inbox *inbox, size_t bytes);

static inline size_t net_inbox_memory_bytes(const struct net_inbox *inbox)
{
    return inbox->payload_capacity;
}

#endif
