/* What the codecs of this folder share.
 *
 * An encoder computes its size first, asks for that much room and fills it through a checked
 * writer; so an encoding is in the buffer whole or not at all. */
#include "proto/codec.h"

#include <errno.h>

int proto_append_begin(struct buffer *to, size_t bytes, struct writer *ret_writer)
{
    if (to->failed || bytes > to->bytes_max - to->bytes)
        return -ENOMEM;
    uint8_t *at = buffer_reserve(to, bytes);
    if (!at)
        return -ENOMEM;
    *ret_writer = writer_make(at, bytes);
    return 0;
}

void proto_append_end(struct buffer *to, const struct writer *writer)
{
    MUST(!writer->failed && writer->at == writer->end);
    to->bytes += writer_used(writer);
}

bool proto_name_valid(struct proto_bytes name)
{
    return name.bytes >= 1 && name.bytes <= PROTO_NAME_BYTES_MAX &&
           !memchr(name.data, '/', name.bytes) && !memchr(name.data, 0, name.bytes);
}

bool proto_layout_valid(const struct proto_layout *layout)
{
    if (layout->striped == 0)
        return true;
    return layout->striped == 1 && layout->first < layout->targets && layout->stripe_bytes > 0;
}

void proto_layout_write(struct writer *w, const struct proto_layout *layout)
{
    writer_u8(w, layout->striped);
    writer_u8(w, layout->targets);
    writer_u8(w, layout->first);
    writer_u32(w, layout->stripe_bytes);
}

void proto_layout_read(struct reader *r, struct proto_layout *ret_layout)
{
    ret_layout->striped = reader_u8(r);
    ret_layout->targets = reader_u8(r);
    ret_layout->first = reader_u8(r);
    ret_layout->stripe_bytes = reader_u32(r);
    if (!proto_layout_valid(ret_layout))
        r->failed = true;
}
