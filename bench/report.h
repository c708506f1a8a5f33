/* What the benchmarks print: one row per measurement, the same columns everywhere, so that figures
 * of several programs can stand beside each other; or the same as JSON, one object a row. */
#ifndef TUTTI_BENCH_REPORT_H
#define TUTTI_BENCH_REPORT_H

#include "bench/histogram.h"

#include <stdbool.h>

enum { REPORT_EXTRAS_MAX = 16 };

struct report_row {
    char name[160];
    double seconds; /* that the measurement took */
    const struct histogram *latency;
    struct {
        const char *name;
        double value;
    } extras[REPORT_EXTRAS_MAX]; /* printed on a line of their own */
    unsigned extra_count;
};

/* Add one further figure to a row. @name: not copied. */
void report_extra(struct report_row *row, const char *name, double value);

/* The heads of the columns; nothing for JSON. */
void report_begin(bool json);
/* @program: "order", "baseline", ... */
void report_print(const char *program, const struct report_row *row, bool json);

#endif
