/* What clients asked for and what they were told: the history that check_linear.c and check_once.c
 * explain. An operation is known by a number, which travels in its request as a supplementary
 * group, so that it is recognised in the order without help from the code under test. */
#ifndef TUTTI_SIM_HISTORY_H
#define TUTTI_SIM_HISTORY_H

#include "proto/proto.h"
#include "tests/sim/world.h"

enum { HISTORY_GROUP_BASE = 1u << 20 };

enum op_state { OP_OUT, OP_ANSWERED, OP_LOST };

struct sim_op {
    uint32_t number; /* from 1 */
    uint32_t client;
    uint32_t uid, gid;
    struct proto_op op; /* its bytes are the history's */
    enum op_state state;
    uint64_t floor; /* the highest index that had been answered to anybody when it began */
    struct proto_reply reply;
    /* Its place in the order, for a write: */
    bool ordered; /* it is there */
    uint8_t session[PROTO_SESSION_BYTES];
    uint16_t slot;
    uint64_t seq;
    bool executed;                 /* it took effect */
    uint64_t index;                /* where */
    struct proto_outcome expected; /* by the model; its bytes are the history's */
};

struct history {
    struct world *world;
    struct sim_op **ops; /* number i at [i - 1] */
    uint32_t count, capacity;
    uint32_t answered, out;
    uint64_t answered_index_max;
};

void history_init(struct history *history, struct world *world);
void history_finish(struct history *history);

/* An operation begins now. @op: copied. */
struct sim_op *history_begin(struct history *history, uint32_t client, uint32_t uid, uint32_t gid,
                             const struct proto_op *op);

/* It was answered (copied), or nobody will ever know. */
void history_answered(struct history *history, struct sim_op *op, const struct proto_reply *reply);
void history_lost(struct history *history, struct sim_op *op);

/* The operation that a request carries the number of; NULL: none, or no such. */
struct sim_op *history_find(const struct history *history, const struct proto_request *request);

/* The credentials for submitting it; `groups` has to live as long. */
void history_credentials(const struct sim_op *op, uint8_t groups[4],
                         struct proto_credentials *ret_credentials);

/* Replace an outcome by a copy whose bytes are on the heap. */
void outcome_copy(struct proto_outcome *to, const struct proto_outcome *from);
void outcome_free(struct proto_outcome *outcome);

/* "write 17 UNLINK parent 1 name n3", for messages. */
const char *history_text(const struct sim_op *op, char text[256]);

#endif
