/* The standard workload W: a small name space (16 names in few directories) to force conflicts, all
 * operations, unique content. */
#ifndef TUTTI_SIM_WORKLOAD_H
#define TUTTI_SIM_WORKLOAD_H

#include "tests/sim/history.h"

enum { WORKLOAD_KNOWN = 24 };

struct workload {
    struct world *world;
    struct proto_attr known[WORKLOAD_KNOWN]; /* of inodes that replies told of; a ring */
    uint32_t known_next;
    uint64_t directories[6]; /* root first */
    uint32_t directory_next;
    uint64_t unique;
    uint32_t inline_bytes_max;
    char names[2][8];
    uint8_t data[2048];
};

void workload_init(struct workload *workload, struct world *world, uint32_t inline_bytes_max);

/* Draw the next operation; its bytes live until the next draw. */
void workload_draw(struct workload *workload, struct proto_op *ret_op, uint32_t *ret_uid);

/* Learn from a reply. */
void workload_learn(struct workload *workload, const struct sim_op *op);

#endif
