/* Sizes and durations as people write them: "64K", "1.5GiB", "50ms", "2m". */
#ifndef TUTTI_BASE_SIZE_H
#define TUTTI_BASE_SIZE_H

#include "base/must.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes with an optional suffix K, M, G, T (powers of 1024; "KiB", "KB", "k" mean the same).
 * Returns 0; -EINVAL where the text is no size; -ERANGE beyond 2^63 - 1. */
int size_parse(const char *text, uint64_t *ret_bytes) WARN_UNUSED;

/* A duration with a unit us, ms, s, m or h; a bare number counts in seconds. Errors as size_parse. */
int duration_parse(const char *text, uint64_t *ret_ns) WARN_UNUSED;

/* "4.0 KiB", "17 B"; at most 15 characters and the NUL. Returns `text`. */
char *size_format(uint64_t bytes, char text[16]);

#endif
