/* A byte buffer that grows up to a limit of its own.
 *
 * `failed` is set when the limit or the memory ends, stays set, and further appends do nothing; the
 * caller checks once. Zero-initialise with buffer_init. One thread at a time. */
#ifndef TUTTI_BASE_BUFFER_H
#define TUTTI_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;   /* owned */
    size_t bytes;    /* used */
    size_t capacity; /* allocated */
    size_t bytes_max;
    bool failed;
};

void buffer_init(struct buffer *buffer, size_t bytes_max);
void buffer_finish(struct buffer *buffer);

/* Empty it and keep its memory. */
void buffer_clear(struct buffer *buffer);

/* Room for `count` more bytes at data + bytes; does not change `bytes`. NULL on failure. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t count);

/* Append; the address of the copy, valid until the next append, or NULL on failure. */
uint8_t *buffer_append(struct buffer *buffer, const void *bytes, size_t count);

void buffer_u8(struct buffer *buffer, uint8_t value);
void buffer_u16(struct buffer *buffer, uint16_t value);
void buffer_u32(struct buffer *buffer, uint32_t value);
void buffer_u64(struct buffer *buffer, uint64_t value);

/* Drop the first `count` bytes. */
void buffer_consume(struct buffer *buffer, size_t count);

#endif
