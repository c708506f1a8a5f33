/* What a decoder has to do with encodings that are not whole or not right. */
#ifndef TUTTI_TESTS_UNIT_PROTO_DAMAGE_H
#define TUTTI_TESTS_UNIT_PROTO_DAMAGE_H

#include "base/buffer.h"

/* Decode all of `bytes` and encode again into `to`. 0, or -EPROTO where it was refused. Fails the
 * test where what was decoded can't be encoded. */
typedef int recode_fn(const uint8_t *bytes, size_t count, struct buffer *to);

/* `encoding` comes back the same; every shorter and every longer one is refused; with any one bit
 * flipped it is refused or is the encoding of something else that is valid. */
void damage_check(const char *what, const struct buffer *encoding, recode_fn *recode);

#endif
