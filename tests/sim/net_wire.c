/* A wire that spoils bytes, and the real framing (net/frame.h, net/inbox.h) that has to notice.
 *
 * From the frame on that is spoiled a pipe carries bytes: each frame is written with its header,
 * and read by an inbox, as from a socket. Invariant: what comes out is what went in, whole and in
 * order (perhaps twice: a copy of a whole frame is no fault to a stream that TCP or RDMA has
 * numbered already), or the connection ends. */
#include "tests/sim/net_link.h"

#include "base/buffer.h"
#include "net/inbox.h"

#include <stdlib.h>
#include <string.h>

struct wire {
    struct net_inbox inbox;
    uint64_t *strikes; /* counts; NULL: it has struck */
};

enum { RANGE_MAX = 64 };

void wire_lay(struct pipe *pipe, uint64_t *strikes)
{
    pipe->wire = sim_alloc(sizeof *pipe->wire);
    net_inbox_init(&pipe->wire->inbox, pipe->link->ends[!pipe->from].limits.frame_bytes_max);
    pipe->wire->strikes = strikes;
}

void wire_spare(struct pipe *pipe)
{
    if (pipe->wire)
        pipe->wire->strikes = NULL;
}

void wire_free(struct pipe *pipe)
{
    if (!pipe->wire)
        return;
    net_inbox_finish(&pipe->wire->inbox);
    free(pipe->wire);
    pipe->wire = NULL;
}

static void write_frame(const struct item *item, struct buffer *to)
{
    uint8_t header[NET_FRAME_HEADER_BYTES];
    net_frame_header_make(header, item->type, item->payload, item->bytes, NULL, 0);
    buffer_append(to, header, sizeof header);
    buffer_append(to, item->payload, item->bytes);
}

/* Bits turn over; bytes become others; some are missing; some come twice. */
static void spoil(struct world *world, struct buffer *bytes)
{
    struct buffer copy;
    size_t all = bytes->bytes, at = world_between(world, 0, all - 1);
    size_t most = all - at < RANGE_MAX ? all - at : RANGE_MAX;
    size_t count = world_between(world, 1, most);
    switch (world_between(world, 0, 3)) {
    case 0:
        bytes->data[at] ^= (uint8_t)(1u << world_between(world, 0, 7));
        return;
    case 1:
        for (size_t i = at; i < at + count; i++)
            bytes->data[i] = (uint8_t)prng_next(&world->prng);
        return;
    case 2:
        memmove(bytes->data + at, bytes->data + at + count, all - at - count);
        bytes->bytes -= count;
        return;
    default:
        if (prng_chance(&world->prng, 1, 2)) {
            at = 0;
            count = all;
        }
        buffer_init(&copy, count);
        buffer_append(&copy, bytes->data + at, count);
        buffer_append(bytes, copy.data, count);
        memmove(bytes->data + at + count, bytes->data + at, all - at);
        memcpy(bytes->data + at, copy.data, count);
        buffer_finish(&copy);
    }
}

static void strike(struct wire *wire, struct end *end, const struct item *item,
                   struct buffer *bytes)
{
    struct world *world = end->link->net->world;
    if (!wire->strikes)
        return;
    ++*wire->strikes;
    wire->strikes = NULL;
    spoil(world, bytes);
    world_note(world, "a frame %u of %u bytes is spoiled on its way from host %u to host %u",
               item->type, item->bytes, end->link->hosts[!end_side(end)],
               end->link->hosts[end_side(end)]);
}

static bool same(const struct item *item, const struct net_frame *frame)
{
    return frame->type == item->type && frame->bytes == item->bytes &&
           (item->bytes == 0 || memcmp(frame->payload, item->payload, item->bytes) == 0);
}

void wire_take(struct wire *wire, struct end *end, const struct item *item)
{
    struct world *world = end->link->net->world;
    struct net_frame frame;
    const char *fault;
    struct buffer bytes;
    int code = 1;
    buffer_init(&bytes, 2 * ((size_t)NET_FRAME_HEADER_BYTES + item->bytes));
    write_frame(item, &bytes);
    strike(wire, end, item, &bytes);
    struct reader from = reader_make(bytes.data, bytes.bytes);
    while (end->state == END_OPEN && code == 1) {
        code = net_inbox_next(&wire->inbox, &from, &frame, &fault);
        if (code == 1 && !same(item, &frame))
            world_violation(world, "integrity: a spoiled frame gets through");
        else if (code == 1)
            end_take_frame(end, &frame);
    }
    if (code < 0) {
        world_note(world, "host %u notices: %s", end->link->hosts[end_side(end)], fault);
        end_refuse(end);
    }
    buffer_finish(&bytes);
}
