/* The group as a replica tells it to its clients (NET_FRAME_MEMBERS): where else they can go. Sent
 * after the hello, and again whenever it changes. */
#ifndef TUTTI_NET_MEMBERS_H
#define TUTTI_NET_MEMBERS_H

#include "base/must.h"

#include <stddef.h>
#include <stdint.h>

enum {
    NET_MEMBERS_MAX = 16,
    NET_MEMBER_ADDRESS_BYTES = 128,
    NET_MEMBERS_BYTES_MAX = 8 + 1 + NET_MEMBERS_MAX * (1 + NET_MEMBER_ADDRESS_BYTES),
};

/* Those that serve clients, sorted as in the view. */
struct net_members {
    uint64_t epoch; /* of the view: a later one is newer */
    uint32_t count;
    char addresses[NET_MEMBERS_MAX][NET_MEMBER_ADDRESS_BYTES]; /* NUL-terminated, not empty */
};

/* Bytes written into `to`. */
size_t net_members_encode(const struct net_members *members, uint8_t to[NET_MEMBERS_BYTES_MAX]);

/* 0 or -EPROTO (too many, an address that is empty, too long or holds other than printable ASCII).
 */
int net_members_decode(const void *from, size_t bytes, struct net_members *ret_members) WARN_UNUSED;

#endif
