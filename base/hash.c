/* XXH3 behind the names that the rest uses. Inlined, so that pure code pulls in no symbol. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/hash.h"
#include "base/cursor.h"

uint64_t hash64(const void *bytes, size_t count)
{
    return XXH3_64bits(bytes, count);
}

uint64_t hash64_seeded(const void *bytes, size_t count, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, count, seed);
}

uint64_t hash64_two(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    if (b_bytes == 0)
        return XXH3_64bits(a, a_bytes);
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, a, a_bytes);
    XXH3_64bits_update(&state, b, b_bytes);
    return XXH3_64bits_digest(&state);
}

static struct hash128 hash128_three(const void *a, size_t a_bytes, const void *b, size_t b_bytes,
                                    const void *c, size_t c_bytes)
{
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, a, a_bytes);
    XXH3_128bits_update(&state, b, b_bytes);
    XXH3_128bits_update(&state, c, c_bytes);
    XXH128_hash_t h = XXH3_128bits_digest(&state);
    return (struct hash128){h.low64, h.high64};
}

struct hash128 hash128_chain(struct hash128 previous, const void *head, size_t head_bytes,
                             const void *payload, size_t payload_bytes)
{
    uint8_t raw[16];
    struct writer w = writer_make(raw, sizeof raw);
    writer_u64(&w, previous.low);
    writer_u64(&w, previous.high);
    return hash128_three(raw, sizeof raw, head, head_bytes, payload, payload_bytes);
}

struct hash128 hash128_record(const void *key, size_t key_bytes, const void *value,
                              size_t value_bytes)
{
    uint8_t raw[4]; /* the key's length keeps (key, value) apart from any other split */
    struct writer w = writer_make(raw, sizeof raw);
    writer_u32(&w, (uint32_t)key_bytes);
    return hash128_three(raw, sizeof raw, key, key_bytes, value, value_bytes);
}
