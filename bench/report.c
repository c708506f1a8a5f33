/* Rows of figures, for people and for programs. */
#include "bench/report.h"

#include "base/must.h"

#include <jansson.h>
#include <stdio.h>

static const struct {
    const char *name;
    double fraction;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

enum { QUANTILES = sizeof quantiles / sizeof *quantiles };

void report_extra(struct report_row *row, const char *name, double value)
{
    MUST(row->extra_count < REPORT_EXTRAS_MAX);
    row->extras[row->extra_count].name = name;
    row->extras[row->extra_count++].value = value;
}

void report_begin(bool json)
{
    if (json)
        return;
    printf("%-44s %10s %9s", "latencies in microseconds", "per s", "mean");
    for (unsigned i = 0; i < QUANTILES; i++)
        printf(" %9s", quantiles[i].name);
    printf(" %9s\n", "max");
    fflush(stdout); /* before processes are forked */
}

static double rate(const struct report_row *row)
{
    return row->seconds > 0 ? (double)row->latency->count / row->seconds : 0;
}

static void print_text(const struct report_row *row)
{
    printf("%-44s %10.0f %9.1f", row->name, rate(row), histogram_mean(row->latency) / 1e3);
    for (unsigned i = 0; i < QUANTILES; i++)
        printf(" %9.1f", (double)histogram_quantile(row->latency, quantiles[i].fraction) / 1e3);
    printf(" %9.1f\n", (double)row->latency->max / 1e3);
    for (unsigned i = 0; i < row->extra_count; i++)
        printf("%s%s %.5g%s", i ? ", " : "    ", row->extras[i].name, row->extras[i].value,
               i + 1 == row->extra_count ? "\n" : "");
}

static void print_json(const char *program, const struct report_row *row)
{
    json_t *object =
        json_pack("{s:s, s:s, s:I, s:f, s:f, s:f}", "program", program, "name", row->name, "count",
                  (json_int_t)row->latency->count, "seconds", row->seconds, "per_second", rate(row),
                  "mean_us", histogram_mean(row->latency) / 1e3);
    char key[32];
    for (unsigned i = 0; i < QUANTILES; i++) {
        snprintf(key, sizeof key, "%s_us", quantiles[i].name);
        json_object_set_new(
            object, key,
            json_real((double)histogram_quantile(row->latency, quantiles[i].fraction) / 1e3));
    }
    json_object_set_new(object, "max_us", json_real((double)row->latency->max / 1e3));
    for (unsigned i = 0; i < row->extra_count; i++)
        json_object_set_new(object, row->extras[i].name, json_real(row->extras[i].value));
    json_dumpf(object, stdout, JSON_REAL_PRECISION(8));
    putchar('\n');
    json_decref(object);
}

void report_print(const char *program, const struct report_row *row, bool json)
{
    if (json)
        print_json(program, row);
    else
        print_text(row);
    fflush(stdout);
}
