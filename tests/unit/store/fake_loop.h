/* A loop whose every step the test decides: one thread, helper work runs when it is told to.
 *
 * A work item's `run` and its `done` are steps of their own, so a test can put anything between
 * them, and a seed repeats it. */
#ifndef TUTTI_TESTS_UNIT_STORE_FAKE_LOOP_H
#define TUTTI_TESTS_UNIT_STORE_FAKE_LOOP_H

#include "base/loop.h"
#include "base/prng.h"

struct loop *fake_loop_create(struct prng *prng);
/* The queues and timers have to be gone. */
void fake_loop_destroy(struct loop *loop);

/* Take one step, drawn at random: run or finish the first item of a queue, or let time pass up to
 * the next timer. False: there is nothing to do. End-of-turn tasks run after the step. */
bool fake_loop_step(struct loop *loop);

/* End the turn that the test itself was: run the deferred tasks. */
void fake_loop_turn(struct loop *loop);

#endif
