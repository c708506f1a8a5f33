/* What failover found: a row of figures, and a drawing. */
#include "bench/clock.h"
#include "bench/failover.h"
#include "bench/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_wait(const void *a, const void *b)
{
    uint64_t x = ((const struct failover_round *)a)->wait_max_ns;
    uint64_t y = ((const struct failover_round *)b)->wait_max_ns;
    return (x > y) - (x < y);
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static void add_rates(struct report_row *row, const struct failover_load *load,
                      const struct failover_round *rounds, unsigned count)
{
    double before = 0, during = 0;
    for (unsigned i = 0; i < count; i++) {
        before += failover_rate(load, rounds[i].begin_ns, rounds[i].fault_ns) / count;
        during += failover_rate(load, rounds[i].fault_ns, rounds[i].end_ns) / count;
    }
    report_extra(row, "before_per_s", before);
    report_extra(row, "from_fault_on_per_s", during);
    report_extra(row, "ratio", before > 0 ? during / before : 0);
}

void failover_report(const struct failover_load *load, const struct failover_round *rounds,
                     unsigned round_count, unsigned passed_over)
{
    struct failover_round *sorted = calloc(round_count + 1, sizeof *sorted);
    struct histogram *latency = calloc(1, sizeof *latency);
    struct report_row row = {.latency = latency};
    uint64_t gap_ns = 0, fault_ns = 0;
    MUST(sorted && latency);
    memcpy(sorted, rounds, round_count * sizeof *sorted);
    qsort(sorted, round_count, sizeof *sorted, compare_wait);
    for (unsigned i = 0; i < load->options->threads; i++)
        histogram_merge(latency, load->threads[i].latency);
    for (unsigned i = 0; i < round_count; i++) {
        row.seconds += (double)(rounds[i].end_ns - rounds[i].fault_ns) / 1e9;
        fault_ns += (rounds[i].done_ns - rounds[i].fault_ns) / round_count;
        if (rounds[i].gap_max_ns > gap_ns)
            gap_ns = rounds[i].gap_max_ns;
    }
    snprintf(row.name, sizeof row.name, "%s: the others' writes", load->options->name);
    report_extra(&row, "rounds", round_count);
    report_extra(&row, "passed_over", passed_over);
    if (round_count) {
        report_extra(&row, "stall_p50_ms", ms(sorted[round_count / 2].wait_max_ns));
        report_extra(&row, "stall_p100_ms", ms(sorted[round_count - 1].wait_max_ns));
        report_extra(&row, "its_end_ms",
                     ms(sorted[round_count - 1].wait_end_ns - sorted[round_count - 1].fault_ns));
        report_extra(&row, "its_stolen_ms", ms(sorted[round_count - 1].stolen_ns));
    }
    report_extra(&row, "silence_p100_ms", ms(gap_ns));
    report_extra(&row, "fault_mean_ms", ms(fault_ns));
    add_rates(&row, load, rounds, round_count);
    report_extra(&row, "wrong", (double)atomic_load(&load->wrong));
    report_begin(load->options->json);
    report_print("failover", &row, load->options->json);
    free(sorted);
    free(latency);
}

/* --- drawing --- */

enum { LEFT = 70, RIGHT = 20, TOP = 50, BOTTOM = 50, HEIGHT = 260, WIDTH = 900 };

struct drawing {
    FILE *file;
    const struct failover_load *load;
    uint64_t from, to; /* bins */
    uint32_t most;
};

static double x_of(const struct drawing *d, double bin)
{
    return LEFT + (bin - (double)d->from) * WIDTH / (double)(d->to - d->from);
}

static double y_of(const struct drawing *d, double answers)
{
    return TOP + HEIGHT - answers * HEIGHT / d->most;
}

static double bin_of(const struct drawing *d, uint64_t ns)
{
    return (double)(ns - d->load->begin_ns) / FAILOVER_BIN_NS;
}

static void draw_axes(const struct drawing *d, double fault)
{
    fprintf(d->file,
            "<path d='M%d %d V%d H%d' fill='none' stroke='#333'/>\n"
            "<text x='%d' y='%d' text-anchor='end'>%u</text>\n"
            "<text x='%d' y='%d' text-anchor='end'>0</text>\n",
            LEFT, TOP, TOP + HEIGHT, LEFT + WIDTH, LEFT - 6, TOP + 5, d->most, LEFT - 6,
            TOP + HEIGHT + 4);
    uint64_t step = (d->to - d->from) / 10 / 10 * 10;
    step = step < 10 ? 10 : step;
    for (double bin = fault; bin < (double)d->to; bin += (double)step)
        fprintf(d->file, "<text x='%.1f' y='%d' text-anchor='middle'>%.0f</text>\n", x_of(d, bin),
                TOP + HEIGHT + 18, (bin - fault) * FAILOVER_BIN_NS / 1e6);
    fprintf(d->file, "<text x='%d' y='%d' text-anchor='middle'>ms after the fault</text>\n",
            LEFT + WIDTH / 2, TOP + HEIGHT + 38);
}

static void draw_mark(const struct drawing *d, double bin, const char *colour, const char *text)
{
    fprintf(d->file,
            "<path d='M%.1f %d V%d' stroke='%s' stroke-dasharray='4 3'/>\n"
            "<text x='%.1f' y='%d' fill='%s'>%s</text>\n",
            x_of(d, bin), TOP - 8, TOP + HEIGHT, colour, x_of(d, bin) + 4, TOP - 2, colour, text);
}

static void draw_bars(const struct drawing *d)
{
    fprintf(d->file, "<path fill='#4a7ab5' d='");
    for (uint64_t bin = d->from; bin < d->to; bin++)
        fprintf(d->file, "M%.2f %d V%.1f H%.2f V%dZ", x_of(d, (double)bin), TOP + HEIGHT,
                y_of(d, atomic_load(&d->load->bins[bin])), x_of(d, (double)bin + 1), TOP + HEIGHT);
    fprintf(d->file, "'/>\n");
}

static void draw(struct drawing *d, const struct failover_round *round)
{
    for (uint64_t bin = d->from; bin < d->to; bin++)
        if (atomic_load(&d->load->bins[bin]) > d->most)
            d->most = atomic_load(&d->load->bins[bin]);
    d->most = d->most ? d->most : 1;
    fprintf(d->file,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' "
            "font-family='sans-serif' font-size='12'>\n"
            "<rect width='100%%' height='100%%' fill='white'/>\n"
            "<text x='%d' y='20' font-size='15'>%s: writes answered per %d ms, %u threads; the "
            "others waited %.0f ms at most, until %.0f ms</text>\n",
            LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM, LEFT, d->load->options->name,
            FAILOVER_BIN_NS / 1000000, d->load->options->threads, ms(round->wait_max_ns),
            ms(round->wait_end_ns - round->fault_ns));
    draw_bars(d);
    draw_axes(d, bin_of(d, round->fault_ns));
    draw_mark(d, bin_of(d, round->fault_ns), "#b03030", "fault");
    if (round->done_ns - round->fault_ns > 20 * (uint64_t)FAILOVER_BIN_NS)
        draw_mark(d, bin_of(d, round->done_ns), "#308030", "done");
    fprintf(d->file, "</svg>\n");
}

int failover_draw(const struct failover_load *load, const struct failover_round *rounds,
                  unsigned round_count, const char *path, struct error *error)
{
    const struct failover_round *worst = rounds;
    for (unsigned i = 1; i < round_count; i++)
        if (rounds[i].wait_max_ns > worst->wait_max_ns)
            worst = &rounds[i];
    struct drawing d = {.load = load, .file = fopen(path, "we")};
    if (!d.file)
        return error_set(error, -errno, "%s: %s", path, strerror(errno));
    d.from = (uint64_t)bin_of(&d, worst->begin_ns);
    d.to = (uint64_t)bin_of(&d, worst->end_ns);
    if (d.to > FAILOVER_BINS_MAX)
        d.to = FAILOVER_BINS_MAX;
    if (d.from < d.to)
        draw(&d, worst);
    if (fclose(d.file))
        return error_set(error, -errno, "%s: %s", path, strerror(errno));
    return 0;
}
