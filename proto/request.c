/* Requests.
 *
 *     version u8, tag u64, session 16 bytes, slot u16, seq u64, uid u32, gid u32,
 *     group count u16, groups u32 each, operation (op.c)
 *
 * The tag stands in front, so that what can't be decoded can still be answered. */
#include "proto/codec.h"

#include <errno.h>

enum { HEAD_BYTES = 1 + 8 + PROTO_SESSION_BYTES + 2 + 8 + 4 + 4 + 2 };

static bool request_valid(const struct proto_request *request)
{
    return request->slot < PROTO_SLOTS_MAX &&
           request->credentials.group_count <= PROTO_GROUPS_MAX && proto_op_valid(&request->op);
}

int proto_request_encode(const struct proto_request *request, struct buffer *to)
{
    if (!request_valid(request))
        return -EINVAL;
    const struct proto_credentials *c = &request->credentials;
    size_t bytes = HEAD_BYTES + 4 * (size_t)c->group_count + proto_op_bytes(&request->op);
    if (bytes > PROTO_REQUEST_BYTES_MAX)
        return -EINVAL;
    struct writer w;
    int rc = proto_append_begin(to, bytes, &w);
    if (rc < 0)
        return rc;
    writer_u8(&w, PROTO_VERSION);
    writer_u64(&w, request->tag);
    writer_bytes(&w, request->session, PROTO_SESSION_BYTES);
    writer_u16(&w, request->slot);
    writer_u64(&w, request->seq);
    writer_u32(&w, c->uid);
    writer_u32(&w, c->gid);
    writer_u16(&w, (uint16_t)c->group_count);
    writer_bytes(&w, c->groups, 4 * (size_t)c->group_count);
    proto_op_write(&w, &request->op);
    proto_append_end(to, &w);
    return 0;
}

static void credentials_read(struct reader *r, struct proto_credentials *ret)
{
    ret->uid = reader_u32(r);
    ret->gid = reader_u32(r);
    ret->group_count = reader_u16(r);
    ret->groups = reader_bytes(r, 4 * (size_t)ret->group_count);
}

int proto_request_decode(const void *from, size_t bytes, struct proto_request *ret_request)
{
    struct reader r = reader_make(from, bytes);
    *ret_request = (struct proto_request){0};
    uint8_t version = reader_u8(&r);
    ret_request->tag = reader_u64(&r);
    if (bytes > PROTO_REQUEST_BYTES_MAX || version != PROTO_VERSION)
        return -EPROTO;
    reader_copy(&r, ret_request->session, PROTO_SESSION_BYTES);
    ret_request->slot = reader_u16(&r);
    ret_request->seq = reader_u64(&r);
    credentials_read(&r, &ret_request->credentials);
    if (proto_op_read(&r, &ret_request->op) < 0)
        return -EPROTO;
    return reader_complete(&r) && request_valid(ret_request) ? 0 : -EPROTO;
}
