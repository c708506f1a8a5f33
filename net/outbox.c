/* Frames to a stream. The contract stands in outbox.h.
 *
 * A chunk never moves: what was gathered stays valid while frames are appended behind it. */
#include "net/outbox.h"
#include "net/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct outbox_segment {
    TAILQ_ENTRY(outbox_segment) entry;
    struct blob *blob; /* a reference; NULL: the bytes are in `data` */
    uint32_t bytes, capacity;
    uint8_t data[];
};

enum {
    CHUNK_BYTES = 4096 - sizeof(struct outbox_segment),
    COPY_BYTES_MAX = 1024, /* below, a copy costs less than a piece of its own */
};

void net_outbox_init(struct net_outbox *outbox)
{
    *outbox = (struct net_outbox){0};
    TAILQ_INIT(&outbox->segments);
}

static struct outbox_segment *add_segment(struct net_outbox *outbox, uint32_t capacity)
{
    struct outbox_segment *segment = malloc(sizeof *segment + capacity);
    if (!segment)
        return NULL;
    *segment = (struct outbox_segment){.capacity = capacity};
    TAILQ_INSERT_TAIL(&outbox->segments, segment, entry);
    outbox->memory_bytes += sizeof *segment + capacity;
    return segment;
}

static void drop_first(struct net_outbox *outbox)
{
    struct outbox_segment *segment = TAILQ_FIRST(&outbox->segments);
    TAILQ_REMOVE(&outbox->segments, segment, entry);
    outbox->memory_bytes -= sizeof *segment + segment->capacity;
    blob_unref(segment->blob);
    free(segment);
}

void net_outbox_finish(struct net_outbox *outbox)
{
    while (!TAILQ_EMPTY(&outbox->segments))
        drop_first(outbox);
    net_outbox_init(outbox);
}

/* A segment with `bytes` of room at its end: the last one, or a new one. */
static struct outbox_segment *segment_with_room(struct net_outbox *outbox, uint32_t bytes)
{
    struct outbox_segment *last = TAILQ_LAST(&outbox->segments, outbox_list);
    if (last && !last->blob && last->capacity - last->bytes >= bytes)
        return last;
    return add_segment(outbox, bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES);
}

static void append(struct outbox_segment *segment, const void *bytes, uint32_t count)
{
    MUST(count <= segment->capacity - segment->bytes);
    if (count)
        memcpy(segment->data + segment->bytes, bytes, count);
    segment->bytes += count;
}

int net_outbox_add(struct net_outbox *outbox, uint16_t type, const void *head, uint32_t head_bytes,
                   struct blob *payload)
{
    uint32_t rest_bytes = payload ? payload->bytes : 0;
    bool copy = rest_bytes <= COPY_BYTES_MAX;
    uint32_t front_bytes = NET_FRAME_HEADER_BYTES + head_bytes + (copy ? rest_bytes : 0);
    struct outbox_segment *front = segment_with_room(outbox, front_bytes);
    if (!front)
        return -ENOMEM;
    if (!copy) {
        struct outbox_segment *rest = add_segment(outbox, 0);
        if (!rest)
            return -ENOMEM; /* an empty segment may stay behind: harmless */
        rest->blob = blob_ref(payload);
        rest->bytes = rest_bytes;
    }
    uint8_t header[NET_FRAME_HEADER_BYTES];
    net_frame_header_make(header, type, head, head_bytes, payload ? payload->data : NULL,
                          rest_bytes);
    append(front, header, sizeof header);
    append(front, head, head_bytes);
    if (copy && payload)
        append(front, payload->data, rest_bytes);
    outbox->bytes += NET_FRAME_HEADER_BYTES + head_bytes + rest_bytes;
    return 0;
}

unsigned net_outbox_gather(const struct net_outbox *outbox, struct iovec *pieces,
                           unsigned count_max, size_t *ret_bytes)
{
    unsigned count = 0;
    uint32_t skip = outbox->sent;
    *ret_bytes = 0;
    const struct outbox_segment *segment;
    TAILQ_FOREACH (segment, &outbox->segments, entry) {
        if (count == count_max)
            break;
        const uint8_t *data = segment->blob ? segment->blob->data : segment->data;
        if (segment->bytes > skip) {
            pieces[count].iov_base = (void *)(data + skip);
            pieces[count].iov_len = segment->bytes - skip;
            *ret_bytes += pieces[count++].iov_len;
        }
        skip = 0;
    }
    return count;
}

void net_outbox_consume(struct net_outbox *outbox, size_t bytes)
{
    MUST(bytes <= outbox->bytes);
    outbox->bytes -= (uint32_t)bytes;
    while (bytes > 0) {
        struct outbox_segment *first = TAILQ_FIRST(&outbox->segments);
        uint32_t left = first->bytes - outbox->sent;
        if (bytes < left) {
            outbox->sent += (uint32_t)bytes;
            return;
        }
        bytes -= left;
        outbox->sent = 0;
        drop_first(outbox);
    }
}
