/* Checksums and digests: XXH3, as everywhere in Tutti (frames, log records, history, digest). */
#ifndef TUTTI_BASE_HASH_H
#define TUTTI_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash128 {
    uint64_t low, high;
};

uint64_t hash64(const void *bytes, size_t count);
uint64_t hash64_seeded(const void *bytes, size_t count, uint64_t seed);

/* XXH3-64 of the two parts one behind the other. */
uint64_t hash64_two(const void *a, size_t a_bytes, const void *b, size_t b_bytes);

/* Chain: the next value from the previous one, a fixed part and a payload. */
struct hash128 hash128_chain(struct hash128 previous, const void *head, size_t head_bytes,
                             const void *payload, size_t payload_bytes);

/* Hash of one (key, value) record for an order-independent sum. */
struct hash128 hash128_record(const void *key, size_t key_bytes, const void *value,
                              size_t value_bytes);

/* Sums modulo 2^64 in each lane. */
static inline struct hash128 hash128_add(struct hash128 a, struct hash128 b)
{
    return (struct hash128){a.low + b.low, a.high + b.high};
}
static inline struct hash128 hash128_subtract(struct hash128 a, struct hash128 b)
{
    return (struct hash128){a.low - b.low, a.high - b.high};
}
static inline bool hash128_equal(struct hash128 a, struct hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

#endif
