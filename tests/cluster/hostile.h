/* Somebody who speaks the protocol and does not keep to it: raw connections, and what has to come
 * of what is said on them.
 *
 * Whatever is not as it has to be ends the program with one line and exit code 1. Blocking; one
 * connection at a time for each `struct hostile`.
 *
 * Files: hostile.c (connections, options), hostile_frames.c (R6: frames that are none),
 * hostile_roles.c (R8: whole frames where they don't belong), hostile_client.c (R9: sessions and
 * handles that are somebody else's), hostile_collide.c (R10: names with one hash),
 * hostile_flood.c (R5: much is asked for, and no answer is read), hostile_links.c (R7: names beyond
 * number).
 */
#ifndef TUTTI_TESTS_CLUSTER_HOSTILE_H
#define TUTTI_TESTS_CLUSTER_HOSTILE_H

#include "base/must.h"
#include "net/hello.h"
#include "proto/proto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HOSTILE_FRAME_BYTES_MAX = (1 << 20) + (64 << 10), /* what a replica takes */
    HOSTILE_TYPES = 96,                               /* above all that are known */
    HOSTILE_WAIT_MS = 10000,
};

/* A frame that came. */
struct hostile_frame {
    uint16_t type;
    uint32_t bytes;
    uint8_t payload[HOSTILE_FRAME_BYTES_MAX];
};

struct hostile {
    const char *address;
    int fd;                      /* -1: closed */
    struct net_hello greeting;   /* of the replica */
    struct net_hello peer;       /* of another member of its group */
    struct hostile_frame *frame; /* the last one that came; owned */
    uint64_t closed;             /* connections that the replica ended and has to count */
};

enum hostile_answer { HOSTILE_FRAME, HOSTILE_CLOSED, HOSTILE_SILENT };

__attribute__((noreturn, format(printf, 1, 2))) void hostile_fail(const char *format, ...);

/* Connect; an open connection is closed before. */
void hostile_open(struct hostile *h);
void hostile_close(struct hostile *h);

/* Bytes as they are. False: the replica has hung up, which is no error here. */
bool hostile_say(struct hostile *h, const void *bytes, size_t count);
/* No byte follows. */
void hostile_say_end(struct hostile *h);
/* A frame as it ought to be. */
bool hostile_send(struct hostile *h, uint16_t type, const void *payload, size_t count);

enum hostile_answer hostile_hear(struct hostile *h, int wait_ms);

/* Connect and say it; false: refused, and the text is in the frame. */
bool hostile_greet(struct hostile *h, const struct net_hello *hello);
/* A connection with this role that was greeted. A member is a node that nobody knows, of the
 * replica's own cluster. */
void hostile_enter(struct hostile *h, enum net_role role);
struct net_hello hostile_hello(const struct hostile *h, enum net_role role);

/* The replica ends the connection now. @counted: as a stranger's. */
void hostile_must_close(struct hostile *h, bool counted, const char *what);
/* It is still there. */
void hostile_must_stay(struct hostile *h, const char *what);

/* One request, and its reply (whose data is borrowed until the next frame). */
struct proto_reply hostile_ask(struct hostile *h, const struct proto_request *request);

/* What there is to do; each prints what it has done. */
void hostile_frames(struct hostile *h, uint64_t seed);
void hostile_roles(struct hostile *h, uint64_t seed);
void hostile_client(struct hostile *h, uint64_t seed);
void hostile_collide(struct hostile *h, uint64_t seed);
void hostile_flood(struct hostile *h, uint64_t seed);
void hostile_links(struct hostile *h, uint64_t seed);

#endif
