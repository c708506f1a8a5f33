/* A seeded pseudo-random generator (xoshiro256**, Blackman and Vigna 2018), for the simulator, back-off
 * and jitter. Not for secrets: those come from getrandom(2). */
#ifndef TUTTI_BASE_PRNG_H
#define TUTTI_BASE_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
    uint64_t s[4];
};

void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);

/* Uniform in 0 .. limit - 1; limit > 0. */
uint64_t prng_below(struct prng *prng, uint64_t limit);

/* True with probability numerator / denominator. */
static inline bool prng_chance(struct prng *prng, uint64_t numerator, uint64_t denominator)
{
    return prng_below(prng, denominator) < numerator;
}

#endif
