/* What tutti-bench prints: mdtest's summary, the latencies of single operations, or both as JSON.
 */
#include "bench/mdtest.h"
#include "bench/report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct summary {
    double max, min, mean, deviation; /* operations a second, over the iterations */
    double seconds;                   /* of all iterations together */
    struct histogram latency;
};

/* From the first one's start to the last one's end. */
static double iteration_seconds(const struct mdtest_options *options,
                                const struct mdtest_span *spans, uint64_t *ret_operations)
{
    uint64_t begin = UINT64_MAX, end = 0;
    *ret_operations = 0;
    for (uint32_t rank = 0; rank < options->processes; rank++) {
        if (!spans[rank].operations)
            continue;
        begin = spans[rank].begin_ns < begin ? spans[rank].begin_ns : begin;
        end = spans[rank].end_ns > end ? spans[rank].end_ns : end;
        *ret_operations += spans[rank].operations;
    }
    return end > begin ? (double)(end - begin) / 1e9 : 1e-9;
}

static void summarise(const struct mdtest_options *options, const struct mdtest_shared *shared,
                      enum mdtest_phase phase, struct summary *ret)
{
    double sum = 0, squares = 0;
    memset(ret, 0, sizeof *ret);
    for (uint32_t i = 0; i < options->iterations; i++) {
        uint64_t operations;
        const struct mdtest_span *spans =
            &shared->spans[(i * MDTEST_PHASES + phase) * options->processes];
        double seconds = iteration_seconds(options, spans, &operations);
        double rate = (double)operations / seconds;
        ret->max = i == 0 || rate > ret->max ? rate : ret->max;
        ret->min = i == 0 || rate < ret->min ? rate : ret->min;
        ret->seconds += seconds;
        sum += rate;
        squares += rate * rate;
    }
    ret->mean = sum / options->iterations;
    ret->deviation = sqrt(fmax(0, squares / options->iterations - ret->mean * ret->mean));
    for (uint32_t rank = 0; rank < options->processes; rank++)
        histogram_merge(&ret->latency, &shared->latency[phase * options->processes + rank]);
}

static void print_text(const struct mdtest_options *options, const struct summary *summaries)
{
    printf("\nSUMMARY rate (in ops/sec): (of %u iterations)\n", options->iterations);
    printf("   %-22s %14s %14s %14s %14s\n", "Operation", "Max", "Min", "Mean", "Std Dev");
    printf("   %-22s %14s %14s %14s %14s\n", "---------", "---", "---", "----", "-------");
    for (unsigned phase = 0; phase < MDTEST_PHASES; phase++) {
        const struct summary *s = &summaries[phase];
        if (mdtest_phase_wanted(options, (enum mdtest_phase)phase))
            printf("   %-22s %14.3f %14.3f %14.3f %14.3f\n", mdtest_phase_names[phase], s->max,
                   s->min, s->mean, s->deviation);
    }
    printf("\n");
    report_begin(false);
    for (unsigned phase = 0; phase < MDTEST_PHASES; phase++) {
        struct report_row row = {.seconds = summaries[phase].seconds,
                                 .latency = &summaries[phase].latency};
        snprintf(row.name, sizeof row.name, "%s", mdtest_phase_names[phase]);
        if (mdtest_phase_wanted(options, (enum mdtest_phase)phase))
            report_print("tutti-bench", &row, false);
    }
}

static json_t *phase_json(unsigned phase, const struct summary *s)
{
    return json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "name",
                     mdtest_phase_names[phase], "operations", (json_int_t)s->latency.count, "max",
                     s->max, "min", s->min, "mean", s->mean, "stddev", s->deviation, "mean_us",
                     histogram_mean(&s->latency) / 1e3, "p50_us",
                     (double)histogram_quantile(&s->latency, 0.5) / 1e3, "p90_us",
                     (double)histogram_quantile(&s->latency, 0.9) / 1e3, "p99_us",
                     (double)histogram_quantile(&s->latency, 0.99) / 1e3, "p99.9_us",
                     (double)histogram_quantile(&s->latency, 0.999) / 1e3, "max_us",
                     (double)s->latency.max / 1e3);
}

static void print_json(const struct mdtest_options *options, const struct summary *summaries)
{
    json_t *phases = json_array();
    for (unsigned phase = 0; phase < MDTEST_PHASES; phase++)
        if (mdtest_phase_wanted(options, (enum mdtest_phase)phase))
            json_array_append_new(phases, phase_json(phase, &summaries[phase]));
    json_t *all =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:o}", "program", "tutti-bench",
                  "through", options->replicas ? "library" : "directory", "processes",
                  (json_int_t)options->processes, "items", (json_int_t)options->items, "inflight",
                  (json_int_t)options->inflight, "unique", options->unique, "write_bytes",
                  (json_int_t)options->write_bytes, "read_bytes", (json_int_t)options->read_bytes,
                  "iterations", (json_int_t)options->iterations, "phases", phases);
    json_dumpf(all, stdout, JSON_REAL_PRECISION(8));
    putchar('\n');
    json_decref(all);
}

void mdtest_report(const struct mdtest_options *options, const struct mdtest_shared *shared)
{
    static struct summary summaries[MDTEST_PHASES];
    for (unsigned phase = 0; phase < MDTEST_PHASES; phase++)
        summarise(options, shared, (enum mdtest_phase)phase, &summaries[phase]);
    if (options->json)
        print_json(options, summaries);
    else
        print_text(options, summaries);
    fflush(stdout);
}
