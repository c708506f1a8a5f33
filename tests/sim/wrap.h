/* A world that is old already: its counters begin near 2^31 or 2^32, its clocks near 2038 or 2106,
 * and pass them. Index of the order, epoch, ballot, messages of an epoch and their clock, inode
 * numbers, records of the log, starts of a replica. */
#ifndef TUTTI_SIM_WRAP_H
#define TUTTI_SIM_WRAP_H

#include "base/error.h"

#include <stdint.h>

struct cluster;

/* All zero: a new world. */
struct wrap {
    uint64_t index, epoch, round, seq, ts, next_ino, lsn, starts;
    int64_t wall_ns;
};

void wrap_draw(struct wrap *ret_wrap, uint64_t seed);

/* The founders, as formatted, were stopped in order after that long a life: rewrite their disks and
 * stores. */
void wrap_founders(struct cluster *cluster);

#endif
