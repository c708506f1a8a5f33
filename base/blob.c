/* Shared immutable bytes. */
#include "base/blob.h"

#include <stdlib.h>
#include <string.h>

struct blob *blob_create(const void *bytes, uint32_t count)
{
    struct blob *blob = malloc(sizeof *blob + count);
    if (!blob)
        return NULL;
    blob->references = 1;
    blob->bytes = count;
    if (bytes && count)
        memcpy(blob->data, bytes, count);
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (!blob)
        return;
    MUST(blob->references > 0);
    if (--blob->references == 0)
        free(blob);
}
