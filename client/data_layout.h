/* Where the bytes of a striped file are: pure arithmetic on struct proto_layout. */
#ifndef TUTTI_CLIENT_DATA_LAYOUT_H
#define TUTTI_CLIENT_DATA_LAYOUT_H

#include "proto/proto.h"

struct data_piece {
    uint32_t target;
    uint64_t offset; /* in the target's object */
    uint64_t bytes;  /* as far as this stripe goes */
};

/* The first piece of [offset, offset + bytes). bytes > 0. */
static inline struct data_piece data_layout_piece(const struct proto_layout *layout,
                                                  uint64_t offset, uint64_t bytes)
{
    uint64_t stripe = offset / layout->stripe_bytes, inside = offset % layout->stripe_bytes;
    uint64_t room = layout->stripe_bytes - inside;
    return (struct data_piece){
        .target = (uint32_t)((layout->first + stripe) % layout->targets),
        .offset = stripe / layout->targets * layout->stripe_bytes + inside,
        .bytes = bytes < room ? bytes : room,
    };
}

/* How long the object of `target` is in a file of `size` bytes without holes. */
static inline uint64_t data_layout_object_bytes(const struct proto_layout *layout, uint32_t target,
                                                uint64_t size)
{
    uint64_t round = (uint64_t)layout->stripe_bytes * layout->targets;
    uint64_t rank = (target + layout->targets - layout->first) % layout->targets;
    uint64_t rest = size % round, before = rank * layout->stripe_bytes;
    uint64_t last = rest > before ? rest - before : 0;
    if (last > layout->stripe_bytes)
        last = layout->stripe_bytes;
    return size / round * layout->stripe_bytes + last;
}

#endif
