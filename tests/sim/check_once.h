/* [8] Exactly once: which requests of the order take effect, by a session table of its own. */
#ifndef TUTTI_SIM_CHECK_ONCE_H
#define TUTTI_SIM_CHECK_ONCE_H

#include "tests/sim/history.h"

struct once;

/* @slots_max: of one session. */
struct once *once_create(uint32_t slots_max);
void once_destroy(struct once *once);

/* The next request of the order. PROTO_OK: it takes effect now; PROTO_AGAIN: it had its effect
 * before; otherwise what it is answered, without effect. */
enum proto_status once_take(struct once *once, const struct proto_request *request);

/* A request of the order that carries an operation's number: it has one name (session, slot,
 * sequence) for ever, and one effect. @takes_effect: what once_take said. */
void check_once(struct history *history, struct sim_op *op, const struct proto_request *request,
                bool takes_effect, uint64_t index);

#endif
