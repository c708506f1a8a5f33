/* The death notice (NET_FRAME_DEATH): proof that one incarnation of a member has ended.
 *
 * Only the member's own supervisor sends it, when its kernel has reaped the worker
 * (docs/protocol.md, section 4: death notice). */
#ifndef TUTTI_NET_DEATH_H
#define TUTTI_NET_DEATH_H

#include "base/must.h"

#include <stddef.h>
#include <stdint.h>

enum { NET_DEATH_BYTES = 1 + 16 + 8 + 8 };

struct net_death {
    uint8_t node; /* 1 .. 255 */
    uint8_t store[16];
    uint64_t incarnation_count; /* 1 .. */
    uint64_t incarnation_random;
};

void net_death_encode(const struct net_death *death, uint8_t to[NET_DEATH_BYTES]);

/* 0 or -EPROTO (another length, node or count 0). */
int net_death_decode(const void *from, size_t bytes, struct net_death *ret_death) WARN_UNUSED;

#endif
