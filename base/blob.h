/* Reference-counted immutable bytes: the payload of a message, shared by the core, the sockets, the
 * log and the state machine without a copy.
 *
 * References are taken and dropped on the loop thread only. A helper thread may read the bytes while
 * the loop thread holds a reference for it. */
#ifndef TUTTI_BASE_BLOB_H
#define TUTTI_BASE_BLOB_H

#include "base/must.h"

#include <stddef.h>
#include <stdint.h>

struct blob {
    uint32_t references;
    uint32_t bytes;
    uint8_t data[];
};

/* One reference for the caller. @bytes: copied if not NULL. NULL when memory is short. */
struct blob *blob_create(const void *bytes, uint32_t count) WARN_UNUSED;

static inline struct blob *blob_ref(struct blob *blob)
{
    blob->references++;
    return blob;
}

/* Drop one reference; NULL is allowed. */
void blob_unref(struct blob *blob);

#endif
