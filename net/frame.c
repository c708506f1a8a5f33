/* The frame header. */
#include "net/frame.h"
#include "base/cursor.h"
#include "base/hash.h"

enum { MAGIC = 0x49545554 /* "TUTI" */, CHECKED_BYTES = NET_FRAME_HEADER_BYTES - 4 };

static uint32_t header_checksum(const uint8_t *header)
{
    return (uint32_t)hash64(header, CHECKED_BYTES);
}

void net_frame_header_make(uint8_t to[NET_FRAME_HEADER_BYTES], uint16_t type, const void *head,
                           uint32_t head_bytes, const void *rest, uint32_t rest_bytes)
{
    MUST(rest_bytes <= UINT32_MAX - head_bytes);
    struct writer w = writer_make(to, NET_FRAME_HEADER_BYTES);
    writer_u32(&w, MAGIC);
    writer_u16(&w, NET_FRAME_VERSION);
    writer_u16(&w, type);
    writer_u32(&w, head_bytes + rest_bytes);
    writer_u64(&w, hash64_two(head, head_bytes, rest, rest_bytes));
    writer_u32(&w, header_checksum(to));
}

const char *net_frame_header_read(const uint8_t from[NET_FRAME_HEADER_BYTES], uint32_t bytes_max,
                                  struct net_frame_header *ret_header)
{
    struct reader r = reader_make(from, NET_FRAME_HEADER_BYTES);
    uint32_t magic = reader_u32(&r);
    uint16_t version = reader_u16(&r);
    struct net_frame_header header = {.type = reader_u16(&r)};
    header.bytes = reader_u32(&r);
    header.checksum = reader_u64(&r);
    if (magic != MAGIC)
        return "not a Tutti peer";
    if (reader_u32(&r) != header_checksum(from))
        return "bad checksum of a frame header";
    if (version != NET_FRAME_VERSION)
        return "another version of the frame format";
    if (header.bytes > bytes_max)
        return "frame over the size limit";
    *ret_header = header;
    return NULL;
}

bool net_frame_payload_valid(const struct net_frame_header *header, const void *payload)
{
    return hash64(payload, header->bytes) == header->checksum;
}
