#include "tests/sim/report.h"

#include <stdio.h>

static void tally_add(struct tally *tally, uint64_t value)
{
    if (!tally->count || value < tally->least)
        tally->least = value;
    if (value > tally->most)
        tally->most = value;
    tally->count++;
    tally->sum += value;
}

static void tally_merge(struct tally *tally, const struct tally *other)
{
    if (!other->count)
        return;
    if (!tally->count || other->least < tally->least)
        tally->least = other->least;
    if (other->most > tally->most)
        tally->most = other->most;
    tally->count += other->count;
    tally->sum += other->sum;
}

/* What every seed has at least, unless its options forbid it. */
enum { STEPS_MIN = 20000, OPERATIONS_MIN = 300, FAULTS_MIN = 3, EPOCHS_MIN = 3 };

static bool is_small(const struct sim_result *result, uint64_t faults)
{
    return result->steps < STEPS_MIN || result->operations < OPERATIONS_MIN ||
           faults < FAULTS_MIN || result->epochs < EPOCHS_MIN;
}

void report_add(struct report *report, const struct sim_result *result)
{
    uint64_t faults = 0;
    for (int kind = 0; kind < FAULT_COUNT; kind++) {
        faults += result->faults[kind];
        report->by_kind[kind] += result->faults[kind];
        report->seeds_with_kind[kind] += result->faults[kind] > 0;
    }
    report->small += is_small(result, faults);
    report->liveness += result->liveness > 0;
    for (int point = 0; point < TRAP_POINTS; point++)
        report->traps[point] += result->traps[point];
    tally_add(&report->steps, result->steps);
    tally_add(&report->operations, result->operations);
    tally_add(&report->order, result->order);
    tally_add(&report->epochs, result->epochs);
    tally_add(&report->faults, faults);
    tally_add(&report->simulated_ms, result->simulated_ns / 1000000);
    report->reads_waited += result->reads_waited;
    report->resent += result->resent;
    report->duplicates += result->duplicates;
    report->joins += result->joins;
    report->snapshots += result->snapshots;
    report->outs += result->outs;
}

void report_merge(struct report *report, const struct report *other)
{
    tally_merge(&report->steps, &other->steps);
    tally_merge(&report->operations, &other->operations);
    tally_merge(&report->order, &other->order);
    tally_merge(&report->epochs, &other->epochs);
    tally_merge(&report->faults, &other->faults);
    tally_merge(&report->simulated_ms, &other->simulated_ms);
    for (int kind = 0; kind < FAULT_COUNT; kind++) {
        report->by_kind[kind] += other->by_kind[kind];
        report->seeds_with_kind[kind] += other->seeds_with_kind[kind];
    }
    for (int point = 0; point < TRAP_POINTS; point++)
        report->traps[point] += other->traps[point];
    report->small += other->small;
    report->liveness += other->liveness;
    report->reads_waited += other->reads_waited;
    report->resent += other->resent;
    report->duplicates += other->duplicates;
    report->joins += other->joins;
    report->snapshots += other->snapshots;
    report->outs += other->outs;
    report->violations += other->violations;
}

static void print_tally(const char *name, const struct tally *tally)
{
    printf("  %-20s least %8llu   mean %8llu   most %8llu\n", name,
           (unsigned long long)tally->least,
           (unsigned long long)(tally->count ? tally->sum / tally->count : 0),
           (unsigned long long)tally->most);
}

/* Where crash-at has killed, and where never. */
static void print_traps(const struct report *report)
{
    const char *before = "; never at";
    char name[32];
    uint32_t hit = 0;
    for (uint32_t point = 0; point < TRAP_POINTS; point++)
        hit += report->traps[point] > 0;
    printf("    crash-at was at %u of %u points", hit, (uint32_t)TRAP_POINTS);
    for (uint32_t point = 0; point < TRAP_POINTS; point++)
        if (!report->traps[point]) {
            printf("%s %s", before, trap_name(point, name));
            before = ",";
        }
    printf("\n");
}

void report_print(const struct report *report)
{
    printf("%llu seeds held, %llu broke an invariant\n", (unsigned long long)report->steps.count,
           (unsigned long long)report->violations);
    printf("  %llu seeds with less than %d steps, %d operations, %d faults or %d views\n",
           (unsigned long long)report->small, STEPS_MIN, OPERATIONS_MIN, FAULTS_MIN, EPOCHS_MIN);
    printf("  %llu seeds in which a minority stayed broken, and the others had to go on\n",
           (unsigned long long)report->liveness);
    print_tally("steps", &report->steps);
    print_tally("operations", &report->operations);
    print_tally("places of the order", &report->order);
    print_tally("views", &report->epochs);
    print_tally("simulated ms", &report->simulated_ms);
    print_tally("faults that fired", &report->faults);
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        printf("    %-12s %8llu in %6llu seeds%s\n", fault_name((enum fault_kind)kind),
               (unsigned long long)report->by_kind[kind],
               (unsigned long long)report->seeds_with_kind[kind],
               report->by_kind[kind] ? "" : "   NEVER FIRED");
    print_traps(report);
    printf("  joined %llu, snapshots %llu, times out of the group %llu\n",
           (unsigned long long)report->joins, (unsigned long long)report->snapshots,
           (unsigned long long)report->outs);
    printf("  reads that waited %llu, requests sent again %llu, duplicates answered %llu\n",
           (unsigned long long)report->reads_waited, (unsigned long long)report->resent,
           (unsigned long long)report->duplicates);
}
