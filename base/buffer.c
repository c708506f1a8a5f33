/* Growable bytes with a limit. */
#include "base/buffer.h"
#include "base/cursor.h"
#include "base/must.h"

#include <stdlib.h>

void buffer_init(struct buffer *buffer, size_t bytes_max)
{
    *buffer = (struct buffer){.bytes_max = bytes_max};
}

void buffer_finish(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){.bytes_max = buffer->bytes_max};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->bytes = 0;
    buffer->failed = false;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t count)
{
    if (buffer->failed || count > buffer->bytes_max - buffer->bytes) {
        buffer->failed = true;
        return NULL;
    }
    size_t need = buffer->bytes + count;
    if (need > buffer->capacity || !buffer->data) {
        size_t capacity = buffer->capacity ? buffer->capacity : 256;
        while (capacity < need)
            capacity *= 2;
        if (capacity > buffer->bytes_max)
            capacity = buffer->bytes_max;
        uint8_t *data = realloc(buffer->data, capacity);
        if (!data) {
            buffer->failed = true;
            return NULL;
        }
        buffer->data = data;
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->bytes;
}

uint8_t *buffer_append(struct buffer *buffer, const void *bytes, size_t count)
{
    uint8_t *to = buffer_reserve(buffer, count);
    if (!to)
        return NULL;
    if (count)
        memcpy(to, bytes, count);
    buffer->bytes += count;
    return to;
}

static void buffer_uint(struct buffer *buffer, uint64_t value, unsigned count)
{
    uint8_t raw[8];
    struct writer w = writer_make(raw, sizeof raw);
    writer_uint(&w, value, count);
    buffer_append(buffer, raw, count);
}

void buffer_u8(struct buffer *buffer, uint8_t value)
{
    buffer_uint(buffer, value, 1);
}

void buffer_u16(struct buffer *buffer, uint16_t value)
{
    buffer_uint(buffer, value, 2);
}

void buffer_u32(struct buffer *buffer, uint32_t value)
{
    buffer_uint(buffer, value, 4);
}

void buffer_u64(struct buffer *buffer, uint64_t value)
{
    buffer_uint(buffer, value, 8);
}

void buffer_consume(struct buffer *buffer, size_t count)
{
    MUST(count <= buffer->bytes);
    buffer->bytes -= count;
    if (buffer->bytes)
        memmove(buffer->data, buffer->data + count, buffer->bytes);
}
