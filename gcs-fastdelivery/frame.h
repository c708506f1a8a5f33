/* All frames between members, encoded and decoded by one table.
 *
 * A frame is one byte (the member count), then the fields that its type has, in the order of the
 * enumeration below, then (DATA, PUSH) the payload. So the head of a type has one size per group
 * and a frame of another group's size is refused before anything in it is believed. Who sends what
 * to whom, and why: README.md. Source: docs/protocol.md, sections 2, 3, 8. */
#ifndef TUTTI_GCS_FRAME_H
#define TUTTI_GCS_FRAME_H

#include "base/must.h"
#include "gcs-fastdelivery/gcs.h"

enum gcs_frame_type {
    GCS_FRAME_DATA = NET_FRAME_GCS_FIRST,
    GCS_FRAME_ACK,
    GCS_FRAME_RESUME,
    GCS_FRAME_LEVEL,
    GCS_FRAME_REPORT,
    GCS_FRAME_CATCH_UP,
    GCS_FRAME_CUT,
    GCS_FRAME_PULL,
    GCS_FRAME_PUSH,
    GCS_FRAME_HAVE,
    GCS_FRAME_LOST,
    GCS_FRAME_PREPARED,
    GCS_FRAME_INSTALL,
    GCS_FRAME_END,
};

enum {
    GCS_HEAD_BYTES_MAX = 320,
    GCS_PAYLOAD_BYTES_LIMIT = 64 << 20, /* no configuration may ask for more */
};

/* No clock reaches this; a frame that says so is damaged. */
#define GCS_CLOCK_MAX (UINT64_C(1) << 62)

/* One start of one member. Count 0 is nobody. */
struct gcs_incarnation {
    uint64_t count, random;
};

/* "I have sent `sent` messages in this epoch and will send no further one with ts <= clock." */
struct gcs_promise {
    uint64_t clock, sent;
};

/* What must be equal at all members. */
struct gcs_limits {
    uint32_t window_messages;
    uint64_t window_bytes;
    uint32_t payload_bytes_max;
    uint8_t durability;
};

/* One decoded head. What the type has not is zero. */
struct gcs_frame {
    uint16_t type;
    uint8_t count;
    uint64_t round;
    uint64_t epoch;
    uint64_t prepared;
    uint8_t origin;
    uint64_t seq, ts;
    uint64_t stable;  /* own messages that all members have stored and applied */
    uint64_t applied; /* index */
    struct gcs_promise promises[GCS_MEMBER_MAX];
    uint64_t received[GCS_MEMBER_MAX];
    uint64_t stored[GCS_MEMBER_MAX];
    uint64_t target[GCS_MEMBER_MAX]; /* a cut, or what is wanted */
    struct gcs_incarnation incarnations[GCS_MEMBER_MAX];
    struct gcs_limits limits;
};

/* Size of the head of this type in a group of `count`; 0 for an unknown type. */
uint32_t gcs_frame_head_bytes(uint16_t type, uint8_t count);

/* Whether a payload follows the head. */
bool gcs_frame_has_payload(uint16_t type);

/* Bytes written into `to`. */
uint32_t gcs_frame_encode(const struct gcs_frame *frame, uint8_t to[GCS_HEAD_BYTES_MAX]);

/* @count: members of this group. 0 or -EPROTO: size, count, a rank, a clock, or more stored than
 * received. */
int gcs_frame_decode(uint16_t type, const uint8_t *head, uint32_t head_bytes, uint8_t count,
                     struct gcs_frame *ret_frame) WARN_UNUSED;

#endif
