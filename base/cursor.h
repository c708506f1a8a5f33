/* Checked cursors: the only way in which bytes of a frame, a record or a file are read or written.
 *
 * Integers are little endian. A cursor that runs short sets `failed`, stays failed, reads zeros and
 * writes nothing; the caller checks once, at the end. Neither allocates. */
#ifndef TUTTI_BASE_CURSOR_H
#define TUTTI_BASE_CURSOR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct reader reader_make(const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    return (struct reader){at, at + count, false};
}

static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

/* The next `count` bytes, inside the source; NULL when there are fewer. */
static inline const uint8_t *reader_bytes(struct reader *r, size_t count)
{
    if (r->failed || reader_left(r) < count) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *here = r->at;
    r->at += count;
    return here;
}

static inline void reader_copy(struct reader *r, void *to, size_t count)
{
    const uint8_t *from = reader_bytes(r, count);
    if (from)
        memcpy(to, from, count);
    else
        memset(to, 0, count);
}

static inline uint64_t reader_uint(struct reader *r, unsigned count)
{
    uint64_t little = 0;
    reader_copy(r, &little, count);
    return le64toh(little);
}

static inline uint8_t reader_u8(struct reader *r)
{
    return (uint8_t)reader_uint(r, 1);
}
static inline uint16_t reader_u16(struct reader *r)
{
    return (uint16_t)reader_uint(r, 2);
}
static inline uint32_t reader_u32(struct reader *r)
{
    return (uint32_t)reader_uint(r, 4);
}
static inline uint64_t reader_u64(struct reader *r)
{
    return reader_uint(r, 8);
}
static inline int64_t reader_i64(struct reader *r)
{
    return (int64_t)reader_uint(r, 8);
}

/* True when nothing ran short and nothing is left over. */
static inline bool reader_complete(const struct reader *r)
{
    return !r->failed && r->at == r->end;
}

struct writer {
    uint8_t *base;
    uint8_t *at;
    uint8_t *end;
    bool failed;
};

static inline struct writer writer_make(void *bytes, size_t capacity)
{
    uint8_t *at = bytes;
    return (struct writer){at, at, at + capacity, false};
}

static inline size_t writer_used(const struct writer *w)
{
    return (size_t)(w->at - w->base);
}

/* Room for `count` bytes that the caller fills at once; NULL when there is not enough. */
static inline uint8_t *writer_room(struct writer *w, size_t count)
{
    if (w->failed || (size_t)(w->end - w->at) < count) {
        w->failed = true;
        return NULL;
    }
    uint8_t *here = w->at;
    w->at += count;
    return here;
}

static inline void writer_bytes(struct writer *w, const void *bytes, size_t count)
{
    uint8_t *to = writer_room(w, count);
    if (to && count)
        memcpy(to, bytes, count);
}

static inline void writer_uint(struct writer *w, uint64_t value, unsigned count)
{
    uint64_t little = htole64(value);
    writer_bytes(w, &little, count);
}

static inline void writer_u8(struct writer *w, uint8_t v)
{
    writer_uint(w, v, 1);
}
static inline void writer_u16(struct writer *w, uint16_t v)
{
    writer_uint(w, v, 2);
}
static inline void writer_u32(struct writer *w, uint32_t v)
{
    writer_uint(w, v, 4);
}
static inline void writer_u64(struct writer *w, uint64_t v)
{
    writer_uint(w, v, 8);
}
static inline void writer_i64(struct writer *w, int64_t v)
{
    writer_uint(w, (uint64_t)v, 8);
}

/* Big endian, for keys that have to sort. */
static inline void writer_be64(struct writer *w, uint64_t v)
{
    writer_uint(w, __builtin_bswap64(v), 8);
}
static inline uint64_t reader_be64(struct reader *r)
{
    return __builtin_bswap64(reader_uint(r, 8));
}

#endif
