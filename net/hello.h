/* The first frame on every connection, from both ends: who speaks.
 *
 * The connecting end sends NET_FRAME_HELLO; the accepting end answers with a NET_FRAME_HELLO of its
 * own, or with NET_FRAME_REFUSED (a text for people) and closes. Nothing else is accepted before.
 */
#ifndef TUTTI_NET_HELLO_H
#define TUTTI_NET_HELLO_H

#include "base/must.h"

#include <stddef.h>
#include <stdint.h>

/* Frame types of all protocols, in one place. */
enum net_frame_type {
    NET_FRAME_HELLO = 1,
    NET_FRAME_REFUSED = 2,
    NET_FRAME_GCS_FIRST = 16, /* gcs-fastdelivery/frame.h, both ends members */
    NET_FRAME_GCS_LAST = 47,
    NET_FRAME_REQUEST = 48,        /* client to replica: one proto request */
    NET_FRAME_REPLY = 49,          /* replica to client: one proto reply */
    NET_FRAME_MEMBERS = 50,        /* replica to client: net/members.h */
    NET_FRAME_ADMIN = 64,          /* tuttictl to replica: JSON */
    NET_FRAME_ADMIN_REPLY = 65,    /* replica to tuttictl: JSON */
    NET_FRAME_TRANSFER_FIRST = 72, /* state transfer, replica to replica */
    NET_FRAME_TRANSFER_LAST = 79,
    NET_FRAME_DEATH = 80, /* net/death.h, a member's supervisor to another member */
};

enum net_role {
    NET_ROLE_MEMBER = 1,
    NET_ROLE_CLIENT = 2,
    NET_ROLE_ADMIN = 3,
    NET_ROLE_SUPERVISOR = 4, /* of the member that node, cluster and store name */
    NET_ROLE_TRANSFER = 5,   /* a member, or one that joins, fetches the state */
};

enum { NET_HELLO_VERSION = 2, NET_HELLO_BYTES_MAX = 256 };

/* What a field means for a role that does not use it: all zero. A client that does not know the
 * cluster yet sends cluster zero and learns it from the answer. */
struct net_hello {
    uint16_t version; /* of the protocol behind the hello */
    uint8_t role;     /* enum net_role */
    uint8_t node;     /* members, supervisors, transfers: node id, 1 .. 255 */
    uint8_t cluster[16];
    uint8_t store[16];       /* the same: store id */
    uint64_t lineage_random; /* members: lineage */
    uint64_t lineage_generation;
    uint64_t incarnation_count; /* members: persistent counter, and */
    uint64_t incarnation_random;
    uint64_t epoch;    /* members: last installed */
    uint8_t witness;   /* members: votes, holds no messages */
    char address[128]; /* members: where others reach it; NUL-terminated */
};

/* Bytes written into `to`; never more than NET_HELLO_BYTES_MAX. */
size_t net_hello_encode(const struct net_hello *hello, uint8_t to[NET_HELLO_BYTES_MAX]);

/* 0 or -EPROTO (too short, unknown role). Extra bytes behind are allowed (room for authentication).
 */
int net_hello_decode(const void *from, size_t bytes, struct net_hello *ret_hello) WARN_UNUSED;

#endif
