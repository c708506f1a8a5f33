/* Latencies come out of a histogram as they went in, to 3 %. */
#include "bench/histogram.h"

#include "base/prng.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

Test(histogram, single_values)
{
    for (uint64_t ns = 0; ns < 1ull << 62; ns = ns < 100 ? ns + 1 : ns + ns / 3) {
        struct histogram histogram = {0};
        histogram_add(&histogram, ns);
        for (double fraction = 0; fraction <= 1; fraction += 0.25) {
            uint64_t got = histogram_quantile(&histogram, fraction);
            uint64_t off = got > ns ? got - ns : ns - got;
            cr_assert_leq(off, ns / 32, "%lu came out as %lu", ns, got);
        }
        cr_assert_eq(histogram.max, ns);
    }
}

Test(histogram, quantiles_of_many_in_two_parts)
{
    enum { COUNT = 20000 };
    static uint64_t values[COUNT];
    static struct histogram parts[2], all;
    struct prng prng;
    prng_init(&prng, 5);
    for (unsigned i = 0; i < COUNT; i++) {
        values[i] = prng_below(&prng, 1 + prng_below(&prng, 1ull << (10 + i % 20)));
        histogram_add(&parts[i % 2], values[i]);
    }
    histogram_merge(&all, &parts[0]);
    histogram_merge(&all, &parts[1]);
    qsort(values, COUNT, sizeof *values, compare);
    cr_assert_eq(all.count, COUNT);
    cr_assert_eq(all.max, values[COUNT - 1]);
    static const double fractions[] = {0.01, 0.5, 0.9, 0.99, 0.999};
    for (unsigned i = 0; i < 5; i++) {
        uint64_t exact = values[(unsigned)(COUNT * fractions[i])];
        uint64_t got = histogram_quantile(&all, fractions[i]);
        cr_assert_leq(got > exact ? got - exact : exact - got, 1 + exact / 30, "%f: %lu for %lu",
                      fractions[i], got, exact);
    }
}

Test(histogram, empty)
{
    static struct histogram histogram;
    cr_assert_eq(histogram_quantile(&histogram, 0.5), 0);
    cr_assert_eq(histogram_mean(&histogram), 0.0);
}
