/* [7] Linearizability by certificate: each answer names its place in the order. If real time
 * respects these places, and the reference model, taken through the order, gives every answer that
 * was given, the history is linearizable, whoever produced the places (docs/protocol.md, section
 * 6). */
#ifndef TUTTI_SIM_CHECK_LINEAR_H
#define TUTTI_SIM_CHECK_LINEAR_H

#include "tests/sim/check.h"
#include "tests/sim/check_once.h"
#include "tests/sim/model.h"

struct linear {
    struct history *history;
    struct model *model;
    struct once *once;
    struct model_limits limits;
    uint32_t slots_max;
};

void linear_init(struct linear *linear, struct history *history, const struct model_limits *limits,
                 uint32_t slots_max);
void linear_finish(struct linear *linear);

/* A new place of the order: what its requests have to be answered. */
void linear_ordered(struct linear *linear, uint64_t index, const struct order_entry *entry);

/* An answer: its place against real time; of a write also what it says. @order_count: how long the
 * order is by now. */
void linear_answered(struct linear *linear, const struct sim_op *op, uint64_t order_count);

/* What a replica says to a repeated request whose first copy took effect. */
void linear_repeated(struct linear *linear, const struct sim_op *op,
                     const struct proto_reply *reply);

/* All reads, each against the model's state at its place: a second way through the whole order. */
void linear_check_reads(struct linear *linear, const struct checks *checks);

#endif
