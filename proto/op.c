/* One operation, by its row of the table in ops.c.
 *
 * An operation is its code (u8) and those fields that its row names, in the order of enum
 * proto_field. Names are u16 length and bytes, data u32 length and bytes. Flags that a row does not
 * know are refused, so that they can get a meaning later. */
#include "proto/codec.h"

#include <errno.h>

enum kind { KIND_U32, KIND_U64, KIND_NAME, KIND_DATA, KIND_LAYOUT };

struct field {
    uint32_t bit;
    enum kind kind;
    size_t offset;
};

#define FIELD(bit, kind, member)                                      \
    {                                                                 \
        PROTO_F_##bit, KIND_##kind, offsetof(struct proto_op, member) \
    }

static const struct field fields[] = {
    FIELD(INO, U64, ino),          FIELD(PARENT, U64, parent), FIELD(NAME, NAME, name),
    FIELD(PARENT2, U64, parent2),  FIELD(NAME2, NAME, name2),  FIELD(MODE, U32, mode),
    FIELD(OWNER, U32, uid),        FIELD(OWNER, U32, gid),     FIELD(FLAGS, U32, flags),
    FIELD(VALID, U32, valid),      FIELD(RDEV, U64, rdev),     FIELD(SIZE, U64, size),
    FIELD(OFFSET, U64, offset),    FIELD(COOKIE, U64, cookie), FIELD(COUNT, U32, count),
    FIELD(VALUE, U64, value),      FIELD(ATIME, U64, atime),   FIELD(MTIME, U64, mtime),
    FIELD(LAYOUT, LAYOUT, layout), FIELD(DATA, DATA, data),
};
enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

static const void *field_in(const struct proto_op *op, const struct field *field)
{
    return (const char *)op + field->offset;
}

static size_t field_bytes(const struct proto_op *op, const struct field *field)
{
    switch (field->kind) {
    case KIND_U32:
        return 4;
    case KIND_U64:
        return 8;
    case KIND_NAME:
        return 2 + (size_t)((const struct proto_bytes *)field_in(op, field))->bytes;
    case KIND_DATA:
        return 4 + (size_t)((const struct proto_bytes *)field_in(op, field))->bytes;
    case KIND_LAYOUT:
        return PROTO_LAYOUT_BYTES;
    }
    return 0;
}

static void field_write(struct writer *w, const struct proto_op *op, const struct field *field)
{
    const void *from = field_in(op, field);
    const struct proto_bytes *bytes = from;
    switch (field->kind) {
    case KIND_U32:
        writer_u32(w, *(const uint32_t *)from);
        break;
    case KIND_U64: /* and int64_t, which may alias it */
        writer_u64(w, *(const uint64_t *)from);
        break;
    case KIND_NAME:
        writer_u16(w, (uint16_t)bytes->bytes);
        writer_bytes(w, bytes->data, bytes->bytes);
        break;
    case KIND_DATA:
        writer_u32(w, bytes->bytes);
        writer_bytes(w, bytes->data, bytes->bytes);
        break;
    case KIND_LAYOUT:
        proto_layout_write(w, from);
        break;
    }
}

static void field_read(struct reader *r, struct proto_op *op, const struct field *field)
{
    void *to = (char *)op + field->offset;
    struct proto_bytes *bytes = to;
    switch (field->kind) {
    case KIND_U32:
        *(uint32_t *)to = reader_u32(r);
        break;
    case KIND_U64:
        *(uint64_t *)to = reader_u64(r);
        break;
    case KIND_NAME:
        bytes->bytes = reader_u16(r);
        bytes->data = reader_bytes(r, bytes->bytes);
        break;
    case KIND_DATA:
        bytes->bytes = reader_u32(r);
        bytes->data = reader_bytes(r, bytes->bytes);
        break;
    case KIND_LAYOUT:
        proto_layout_read(r, to);
        break;
    }
}

static bool xattr_name_valid(struct proto_bytes name)
{
    return name.bytes >= 1 && name.bytes <= PROTO_XATTR_NAME_BYTES_MAX &&
           !memchr(name.data, 0, name.bytes);
}

static bool names_valid(const struct proto_op *op, const struct proto_op_info *info)
{
    if ((info->fields & PROTO_F_NAME) &&
        !(info->xattr_name ? xattr_name_valid(op->name) : proto_name_valid(op->name)))
        return false;
    return !(info->fields & PROTO_F_NAME2) || proto_name_valid(op->name2);
}

bool proto_op_valid(const struct proto_op *op)
{
    const struct proto_op_info *info = proto_op_info(op->code);
    if (!info || !names_valid(op, info))
        return false;
    if ((info->fields & PROTO_F_FLAGS) && (op->flags & ~info->flags))
        return false;
    if ((info->fields & PROTO_F_VALID) && (op->valid & ~info->valid))
        return false;
    if ((info->fields & PROTO_F_LAYOUT) && !proto_layout_valid(&op->layout))
        return false;
    return !(info->fields & PROTO_F_DATA) || op->data.bytes <= info->data_bytes_max;
}

size_t proto_op_bytes(const struct proto_op *op)
{
    const struct proto_op_info *info = proto_op_info(op->code);
    size_t bytes = 1;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (info->fields & fields[i].bit)
            bytes += field_bytes(op, &fields[i]);
    return bytes;
}

void proto_op_write(struct writer *w, const struct proto_op *op)
{
    const struct proto_op_info *info = proto_op_info(op->code);
    writer_u8(w, (uint8_t)op->code);
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (info->fields & fields[i].bit)
            field_write(w, op, &fields[i]);
}

int proto_op_read(struct reader *r, struct proto_op *ret_op)
{
    struct proto_op op = {.code = (enum proto_opcode)reader_u8(r)};
    const struct proto_op_info *info = proto_op_info(op.code);
    if (!info)
        return -EPROTO;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (info->fields & fields[i].bit)
            field_read(r, &op, &fields[i]);
    if (r->failed || !proto_op_valid(&op))
        return -EPROTO;
    *ret_op = op;
    return 0;
}
