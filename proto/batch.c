/* A batch: what one message of the group carries. The layout stands in proto.h.
 *
 * The count in the head is kept up to date by each addition; a batch is complete at any time. */
#include "proto/codec.h"

#include <errno.h>

enum { COUNT_AT = 9 };

void proto_batch_begin(struct buffer *batch, int64_t time_ns)
{
    buffer_clear(batch);
    buffer_u8(batch, PROTO_VERSION);
    buffer_u64(batch, (uint64_t)time_ns);
    buffer_u32(batch, 0);
}

static void count_one_more(struct buffer *batch)
{
    struct reader r = reader_make(batch->data + COUNT_AT, 4);
    struct writer w = writer_make(batch->data + COUNT_AT, 4);
    writer_u32(&w, reader_u32(&r) + 1);
}

int proto_batch_add(struct buffer *batch, const void *request, size_t bytes)
{
    struct writer w;
    if (batch->failed)
        return -ENOMEM;
    MUST(batch->bytes >= PROTO_BATCH_HEAD_BYTES && bytes <= PROTO_REQUEST_BYTES_MAX);
    int rc = proto_append_begin(batch, 4 + bytes, &w);
    if (rc < 0)
        return rc;
    writer_u32(&w, (uint32_t)bytes);
    writer_bytes(&w, request, bytes);
    proto_append_end(batch, &w);
    count_one_more(batch);
    return 0;
}

int proto_batch_open(const void *from, size_t bytes, struct proto_batch *ret_batch)
{
    struct reader r = reader_make(from, bytes);
    uint8_t version = reader_u8(&r);
    int64_t time_ns = reader_i64(&r);
    uint32_t count = reader_u32(&r);
    if (r.failed || version != PROTO_VERSION || count > reader_left(&r) / 4)
        return -EPROTO;
    *ret_batch = (struct proto_batch){time_ns, count, r};
    return 0;
}

bool proto_batch_next(struct proto_batch *batch, struct proto_bytes *ret_request, int *ret_code)
{
    struct reader *r = &batch->rest;
    *ret_code = 0;
    if (batch->count == 0) {
        if (!reader_complete(r))
            *ret_code = -EPROTO;
        return false;
    }
    uint32_t bytes = reader_u32(r);
    const uint8_t *data = bytes <= PROTO_REQUEST_BYTES_MAX ? reader_bytes(r, bytes) : NULL;
    if (!data) {
        *ret_code = -EPROTO;
        return false;
    }
    batch->count--;
    *ret_request = (struct proto_bytes){data, bytes};
    return true;
}
