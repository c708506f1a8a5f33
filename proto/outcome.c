/* Outcomes (what a slot keeps) and replies (an outcome on its way to a client).
 *
 *     outcome: status u8, fields u8, [attr], [value u64], [data u32 length, bytes]
 *     reply:   version u8, tag u64, epoch u64, index u64, outcome */
#include "proto/codec.h"

#include <errno.h>

enum { REPLY_ALL = PROTO_REPLY_ATTR | PROTO_REPLY_DATA | PROTO_REPLY_VALUE };
enum { REPLY_HEAD_BYTES = 1 + 8 + 8 + 8 };

static bool outcome_valid(const struct proto_outcome *outcome)
{
    if (!proto_status_name(outcome->status) || (outcome->fields & ~(uint32_t)REPLY_ALL))
        return false;
    return !(outcome->fields & PROTO_REPLY_DATA) || outcome->data.bytes <= PROTO_DATA_BYTES_MAX;
}

static size_t outcome_bytes(const struct proto_outcome *outcome)
{
    size_t bytes = 2;
    if (outcome->fields & PROTO_REPLY_ATTR)
        bytes += PROTO_ATTR_BYTES;
    if (outcome->fields & PROTO_REPLY_VALUE)
        bytes += 8;
    if (outcome->fields & PROTO_REPLY_DATA)
        bytes += 4 + (size_t)outcome->data.bytes;
    return bytes;
}

static void outcome_write(struct writer *w, const struct proto_outcome *outcome)
{
    writer_u8(w, (uint8_t)outcome->status);
    writer_u8(w, (uint8_t)outcome->fields);
    if (outcome->fields & PROTO_REPLY_ATTR)
        proto_attr_write(w, &outcome->attr);
    if (outcome->fields & PROTO_REPLY_VALUE)
        writer_u64(w, outcome->value);
    if (outcome->fields & PROTO_REPLY_DATA) {
        writer_u32(w, outcome->data.bytes);
        writer_bytes(w, outcome->data.data, outcome->data.bytes);
    }
}

int proto_outcome_encode(const struct proto_outcome *outcome, struct buffer *to)
{
    struct writer w;
    if (!outcome_valid(outcome))
        return -EINVAL;
    int rc = proto_append_begin(to, outcome_bytes(outcome), &w);
    if (rc < 0)
        return rc;
    outcome_write(&w, outcome);
    proto_append_end(to, &w);
    return 0;
}

int proto_outcome_decode(struct reader *r, struct proto_outcome *ret_outcome)
{
    struct proto_outcome outcome = {.status = (enum proto_status)reader_u8(r)};
    outcome.fields = reader_u8(r);
    if (outcome.fields & PROTO_REPLY_ATTR)
        proto_attr_read(r, &outcome.attr);
    if (outcome.fields & PROTO_REPLY_VALUE)
        outcome.value = reader_u64(r);
    if (outcome.fields & PROTO_REPLY_DATA) {
        outcome.data.bytes = reader_u32(r);
        outcome.data.data = reader_bytes(r, outcome.data.bytes);
    }
    if (r->failed || !outcome_valid(&outcome))
        return -EPROTO;
    *ret_outcome = outcome;
    return 0;
}

int proto_reply_encode(const struct proto_reply *reply, struct buffer *to)
{
    struct writer w;
    if (!outcome_valid(&reply->outcome))
        return -EINVAL;
    int rc = proto_append_begin(to, REPLY_HEAD_BYTES + outcome_bytes(&reply->outcome), &w);
    if (rc < 0)
        return rc;
    writer_u8(&w, PROTO_VERSION);
    writer_u64(&w, reply->tag);
    writer_u64(&w, reply->epoch);
    writer_u64(&w, reply->index);
    outcome_write(&w, &reply->outcome);
    proto_append_end(to, &w);
    return 0;
}

int proto_reply_decode(const void *from, size_t bytes, struct proto_reply *ret_reply)
{
    struct reader r = reader_make(from, bytes);
    struct proto_reply reply = {0};
    if (reader_u8(&r) != PROTO_VERSION)
        return -EPROTO;
    reply.tag = reader_u64(&r);
    reply.epoch = reader_u64(&r);
    reply.index = reader_u64(&r);
    int rc = proto_outcome_decode(&r, &reply.outcome);
    if (rc < 0 || !reader_complete(&r))
        return -EPROTO;
    *ret_reply = reply;
    return 0;
}
