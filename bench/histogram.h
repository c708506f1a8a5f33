/* Latencies in logarithmic buckets: 32 per power of two, so each figure is right to 3 %. Fixed size
 * and no pointers: processes may share one. One writer at a time. */
#ifndef TUTTI_BENCH_HISTOGRAM_H
#define TUTTI_BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 5,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS
};

struct histogram {
    uint64_t count, sum, max; /* ns */
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);
void histogram_merge(struct histogram *to, const struct histogram *from);

/* The value (ns) below which `fraction` of all are; 0 where there is none. */
uint64_t histogram_quantile(const struct histogram *histogram, double fraction);
double histogram_mean(const struct histogram *histogram);

#endif
