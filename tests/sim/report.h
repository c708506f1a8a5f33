/* The distribution of a campaign: what its seeds were made of. */
#ifndef TUTTI_SIM_REPORT_H
#define TUTTI_SIM_REPORT_H

#include "tests/sim/cluster.h"

struct tally {
    uint64_t count, sum, least, most;
};

struct report {
    struct tally steps, operations, order, epochs, faults, simulated_ms;
    uint64_t by_kind[FAULT_COUNT], seeds_with_kind[FAULT_COUNT];
    uint64_t traps[TRAP_POINTS];
    uint64_t liveness; /* seeds in which a minority stayed broken */
    uint64_t small;    /* seeds with less than README.md says */
    uint64_t reads_waited, resent, duplicates, joins, snapshots, outs, violations;
};

void report_add(struct report *report, const struct sim_result *result);
void report_merge(struct report *report, const struct report *other);
void report_print(const struct report *report);

#endif
