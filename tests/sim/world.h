/* A simulated world: one clock, one queue of events, one seed, any number of processes.
 *
 * A step is one event. Events are ordered by (time, tie), the tie drawn from the seed, so that what
 * happens "at the same time" happens in every order over the seeds. A process is a `struct loop`
 * (loop.c) with clocks of its own; what it waits for are events that belong to it, and killing it
 * removes them all: a crash can fall between any two events. Nothing here knows what it simulates.
 *
 * Threads: one. Memory: running out of it ends the program (a test tool). */
#ifndef TUTTI_SIM_WORLD_H
#define TUTTI_SIM_WORLD_H

#include "base/loop.h"
#include "base/prng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define SIM_US(n) ((uint64_t)(n)*1000u)
#define SIM_MS(n) ((uint64_t)(n)*1000000u)
#define SIM_S(n)  ((uint64_t)(n)*1000000000u)

struct process;

/* One thing that will happen. Embedded in what it is about; zero-initialised is "not queued". */
struct event {
    void (*fire)(struct event *event);
    const char *label; /* static, for the trace */
    uint64_t time_ns, tie;
    uint32_t place; /* in the heap, from 1; 0: not queued */
    bool put_off;   /* due while its process stood still */
    bool helper;    /* on a helper thread: ends no turn of the loop, is not held by a pause */
    struct process *process; /* NULL: the world's own */
    LIST_ENTRY(event) of_process;
};

struct world {
    uint64_t now_ns; /* true time */
    int64_t wall_ns; /* what wall clocks show, less true time, but for their errors */
    struct prng prng;
    struct event **heap; /* heap[1 .. count] */
    uint32_t heap_count, heap_capacity;
    uint64_t steps, steps_max;
    uint64_t trace_hash;    /* of all that happened, in order: equal seeds, equal hashes */
    uint32_t drift_ppm_max; /* clocks' rates differ from true time by at most this */
    bool trace;
    bool stopped;
    char violation[1024]; /* the first invariant that broke; empty: none */
};

void world_init(struct world *world, uint64_t seed);
void world_finish(struct world *world);

/* Run one event. False when there is none, or the world has stopped. */
bool world_step(struct world *world);

/* Have `event` fire `delay_ns` from now (again: it is moved). `fire`, `label`, `process` are set.
 */
void event_start(struct world *world, struct event *event, uint64_t delay_ns);
void event_stop(struct world *world, struct event *event);

/* Take the next event out of the queue if it is due now and belongs to this process's loop: several
 * that wait (after a pause) may share a turn. NULL: none. */
struct event *world_take_due(struct world *world, struct process *process);

/* An invariant broke: keep the first, stop the world. */
__attribute__((format(printf, 2, 3))) void world_violation(struct world *world, const char *format,
                                                           ...);

/* One line of the readable trace; part of the trace hash in any case. */
__attribute__((format(printf, 2, 3))) void world_note(struct world *world, const char *format, ...);

/* Mix something that happened into the trace hash. */
void world_mix(struct world *world, uint64_t value);

/* Draws: uniform in low .. high; and mostly near low, seldom far out to high (delays). */
uint64_t world_between(struct world *world, uint64_t low, uint64_t high);
uint64_t world_skewed(struct world *world, uint64_t low, uint64_t high);

/* Heap memory, zeroed, never NULL. */
void *sim_alloc(size_t bytes) __attribute__((malloc));

/* ---- processes (loop.c) ---- */

STAILQ_HEAD(loop_task_list, loop_task);
struct sim_queue;

struct process {
    struct loop loop; /* what the code under test sees */
    struct world *world;
    const char *name;        /* borrowed */
    uint64_t boot_offset_ns; /* of its CLOCK_BOOTTIME against true time */
    int64_t drift_ppm;       /* its clocks run faster by so much */
    int64_t wall_offset_ns;
    uint64_t turn_ns; /* its cached time */
    uint64_t paused_until_ns;
    uint64_t work_low_ns, work_high_ns; /* how long one item of blocking work takes */
    bool alive;
    bool in_turn;
    struct loop_task_list tasks[LOOP_PHASE_COUNT];
    LIST_HEAD(, event) events;
    LIST_HEAD(, sim_queue) queues;
};

void process_init(struct process *process, struct world *world, const char *name);

/* Enter the process from outside: `call` is one turn of its loop. */
void process_turn(struct process *process, void (*call)(void *user), void *user);

/* Stop it where it is, as SIGSTOP does, for `duration_ns`. */
void process_pause(struct process *process, uint64_t duration_ns);

/* Let it go on now, as SIGCONT does. */
void process_resume(struct process *process);

/* It is dead from here on: its events and tasks are gone, nothing of it runs any more. What it
 * allocated can be freed through its own functions afterwards: timers and queues of a dead process
 * accept calls and do nothing, except that work_queue_destroy runs what was submitted.
 * @half_done: called for each queue whose head item waits; true: the item's `run` begins now (and
 * fails at some point, which is for the caller to arrange). */
void process_kill(struct process *process, bool (*half_done)(void *user), void *user);

/* Free what the loop holds. Everything that lived in it has to be gone. */
void process_finish(struct process *process);

/* For world.c: fire one event as the process's turn. */
void process_fire(struct process *process, struct event *event);

#endif
