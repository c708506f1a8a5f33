/* Frames from a stream. The contract stands in inbox.h. */
#include "net/inbox.h"

#include <errno.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 4096 };

void net_inbox_init(struct net_inbox *inbox, uint32_t frame_bytes_max)
{
    *inbox = (struct net_inbox){.frame_bytes_max = frame_bytes_max};
}

static void drop_payload(struct net_inbox *inbox)
{
    free(inbox->payload);
    inbox->payload = NULL;
    inbox->payload_bytes = inbox->payload_capacity = 0;
    inbox->delivered = false;
}

void net_inbox_finish(struct net_inbox *inbox)
{
    drop_payload(inbox);
    inbox->header_bytes = 0;
}

static bool header_complete(const struct net_inbox *inbox)
{
    return inbox->header_bytes == NET_FRAME_HEADER_BYTES;
}

bool net_inbox_begun(const struct net_inbox *inbox)
{
    return inbox->header_bytes > 0;
}

static size_t at_most(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void take_header(struct net_inbox *inbox, struct reader *from)
{
    size_t bytes = at_most(NET_FRAME_HEADER_BYTES - inbox->header_bytes, reader_left(from));
    reader_copy(from, inbox->header_raw + inbox->header_bytes, bytes);
    inbox->header_bytes += (uint32_t)bytes;
}

/* Room for `more` bytes (that have arrived) behind those kept: doubling, up to the frame's end. */
static int grow(struct net_inbox *inbox, size_t more)
{
    size_t need = inbox->payload_bytes + more, capacity = inbox->payload_capacity;
    if (need <= capacity)
        return 0;
    capacity = capacity ? capacity : CAPACITY_MIN;
    while (capacity < need)
        capacity *= 2;
    capacity = at_most(capacity, inbox->header.bytes);
    uint8_t *payload = realloc(inbox->payload, capacity);
    if (!payload)
        return -ENOMEM;
    inbox->payload = payload;
    inbox->payload_capacity = (uint32_t)capacity;
    return 0;
}

static int keep_payload(struct net_inbox *inbox, struct reader *from)
{
    size_t bytes = at_most(inbox->header.bytes - inbox->payload_bytes, reader_left(from));
    if (bytes == 0)
        return 0;
    int rc = grow(inbox, bytes);
    if (rc < 0)
        return rc;
    reader_copy(from, inbox->payload + inbox->payload_bytes, bytes);
    inbox->payload_bytes += (uint32_t)bytes;
    return 0;
}

uint8_t *net_inbox_room(struct net_inbox *inbox, size_t *ret_bytes)
{
    if (inbox->delivered || !header_complete(inbox) || inbox->payload_bytes == 0)
        return NULL;
    if (inbox->payload_bytes == inbox->payload_capacity && grow(inbox, 1) < 0)
        return NULL;
    *ret_bytes = inbox->payload_capacity - inbox->payload_bytes;
    return inbox->payload + inbox->payload_bytes;
}

void net_inbox_filled(struct net_inbox *inbox, size_t bytes)
{
    MUST(bytes <= inbox->payload_capacity - inbox->payload_bytes);
    inbox->payload_bytes += (uint32_t)bytes;
}

/* The payload, from where it lies; NULL and 0 when it is not complete. */
static int take_payload(struct net_inbox *inbox, struct reader *from, const uint8_t **ret)
{
    *ret = NULL;
    if (inbox->payload_bytes == 0 && reader_left(from) >= inbox->header.bytes) {
        *ret = reader_bytes(from, inbox->header.bytes);
        return 0;
    }
    int rc = keep_payload(inbox, from);
    if (rc < 0 || inbox->payload_bytes < inbox->header.bytes)
        return rc;
    inbox->delivered = true;
    *ret = inbox->payload;
    return 0;
}

int net_inbox_next(struct net_inbox *inbox, struct reader *from, struct net_frame *ret_frame,
                   const char **ret_fault)
{
    if (inbox->delivered)
        drop_payload(inbox);
    if (!header_complete(inbox)) {
        take_header(inbox, from);
        if (!header_complete(inbox))
            return 0;
        *ret_fault =
            net_frame_header_read(inbox->header_raw, inbox->frame_bytes_max, &inbox->header);
        if (*ret_fault)
            return -EPROTO;
    }
    const uint8_t *payload;
    int rc = take_payload(inbox, from, &payload);
    if (rc < 0 || !payload)
        return rc;
    if (!net_frame_payload_valid(&inbox->header, payload)) {
        *ret_fault = "bad checksum of a frame";
        return -EPROTO;
    }
    *ret_frame = (struct net_frame){inbox->header.type, inbox->header.bytes, payload};
    inbox->header_bytes = 0;
    return 1;
}
