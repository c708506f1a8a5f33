/* Shared by the codecs of this folder: all-or-nothing appends, names, layouts. */
#ifndef TUTTI_PROTO_CODEC_H
#define TUTTI_PROTO_CODEC_H

#include "proto/proto.h"

enum { PROTO_VERSION = 1 }; /* first byte of each request, reply and batch */
enum { PROTO_LAYOUT_BYTES = 1 + 1 + 1 + 4 };

/* Room for exactly `bytes` more in `to`, which stays as it was until proto_append_end.
 * 0 or -ENOMEM (limit or memory), `to` unchanged and usable. */
int proto_append_begin(struct buffer *to, size_t bytes, struct writer *ret_writer) WARN_UNUSED;

/* Everything announced has been written: make it part of `to`. */
void proto_append_end(struct buffer *to, const struct writer *writer);

/* A directory entry's name: 1 .. 255 bytes, neither '/' nor NUL. */
bool proto_name_valid(struct proto_bytes name);

/* Striped data has at least one target, a first one among them, and a stripe size. */
bool proto_layout_valid(const struct proto_layout *layout);

void proto_layout_write(struct writer *w, const struct proto_layout *layout);

/* Fails the reader where the layout is not valid. */
void proto_layout_read(struct reader *r, struct proto_layout *ret_layout);

/* One operation: code u8, then its fields in the order of enum proto_field. */
size_t proto_op_bytes(const struct proto_op *op);
bool proto_op_valid(const struct proto_op *op);
void proto_op_write(struct writer *w, const struct proto_op *op);

/* 0 or -EPROTO. */
int proto_op_read(struct reader *r, struct proto_op *ret_op) WARN_UNUSED;

#endif
