/* Frames on a byte stream: a header with a checksum of its own, then the payload.
 *
 *     magic u32 "TUTI", version u16, type u16, payload bytes u32,
 *     XXH3-64 of the payload u64, low half of XXH3-64 of the 20 bytes before u32
 *
 * The header's checksum is verified before its length is believed. Little endian. */
#ifndef TUTTI_NET_FRAME_H
#define TUTTI_NET_FRAME_H

#include "base/must.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NET_FRAME_HEADER_BYTES = 24, NET_FRAME_VERSION = 1 };

struct net_frame_header {
    uint16_t type;
    uint32_t bytes;
    uint64_t checksum;
};

/* The header of a frame whose payload is `head` and then `rest` (each may be NULL, 0). */
void net_frame_header_make(uint8_t to[NET_FRAME_HEADER_BYTES], uint16_t type, const void *head,
                           uint32_t head_bytes, const void *rest, uint32_t rest_bytes);

/* NULL, or what is wrong with it (static text; *ret_header is not set then).
 * @bytes_max: a longer payload is refused. */
const char *net_frame_header_read(const uint8_t from[NET_FRAME_HEADER_BYTES], uint32_t bytes_max,
                                  struct net_frame_header *ret_header) WARN_UNUSED;

/* Whether `payload` (header->bytes long) is what the sender sent. */
bool net_frame_payload_valid(const struct net_frame_header *header,
                             const void *payload) WARN_UNUSED;

#endif
