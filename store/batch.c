/* A store batch: changes in the order given, encoded one behind the other in one growing buffer.
 *
 * Entry: kind (1), key bytes (4), value bytes (4), key, value. Nothing outside this file knows the
 * format; it never leaves memory. */
#include "store/store.h"

#include "base/buffer.h"
#include "base/cursor.h"

#include <errno.h>
#include <stdlib.h>

enum { BATCH_PUT = 1, BATCH_DELETE = 2, BATCH_HEAD_BYTES = 9, BATCH_BYTES_MAX = 1 << 30 };

struct store_batch {
    struct buffer changes;
};

struct store_batch *store_batch_create(void)
{
    struct store_batch *batch = malloc(sizeof *batch);
    if (batch)
        buffer_init(&batch->changes, BATCH_BYTES_MAX);
    return batch;
}

void store_batch_destroy(struct store_batch *batch)
{
    if (!batch)
        return;
    buffer_finish(&batch->changes);
    free(batch);
}

void store_batch_clear(struct store_batch *batch)
{
    buffer_clear(&batch->changes);
}

static int batch_add(struct store_batch *batch, uint8_t kind, const void *key, size_t key_bytes,
                     const void *value, size_t value_bytes)
{
    size_t all = BATCH_HEAD_BYTES + key_bytes + value_bytes;
    if (key_bytes > UINT32_MAX || value_bytes > UINT32_MAX)
        return -ENOMEM;
    uint8_t *to = buffer_reserve(&batch->changes, all);
    if (!to) {
        batch->changes.failed = false; /* what is in it is still whole */
        return -ENOMEM;
    }
    struct writer w = writer_make(to, all);
    writer_u8(&w, kind);
    writer_u32(&w, (uint32_t)key_bytes);
    writer_u32(&w, (uint32_t)value_bytes);
    writer_bytes(&w, key, key_bytes);
    writer_bytes(&w, value, value_bytes);
    MUST(!w.failed);
    batch->changes.bytes += all;
    return 0;
}

int store_batch_put(struct store_batch *batch, const void *key, size_t key_bytes, const void *value,
                    size_t value_bytes)
{
    return batch_add(batch, BATCH_PUT, key, key_bytes, value, value_bytes);
}

int store_batch_delete(struct store_batch *batch, const void *key, size_t key_bytes)
{
    return batch_add(batch, BATCH_DELETE, key, key_bytes, NULL, 0);
}

int store_batch_each(const struct store_batch *batch,
                     int (*each)(void *user, const void *key, size_t key_bytes, const void *value,
                                 size_t value_bytes),
                     void *user)
{
    struct reader r = reader_make(batch->changes.data, batch->changes.bytes);
    while (reader_left(&r) > 0) {
        uint8_t kind = reader_u8(&r);
        size_t key_bytes = reader_u32(&r);
        size_t value_bytes = reader_u32(&r);
        const uint8_t *key = reader_bytes(&r, key_bytes);
        const uint8_t *value = reader_bytes(&r, value_bytes);
        MUST(!r.failed);
        int stop = each(user, key, key_bytes, kind == BATCH_PUT ? value : NULL, value_bytes);
        if (stop)
            return stop;
    }
    return 0;
}

size_t store_batch_bytes(const struct store_batch *batch)
{
    return batch->changes.bytes;
}
