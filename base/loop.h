/* What a component may ask of the loop it lives in: time, timers, end-of-turn tasks, helper threads.
 *
 * Two implementations: net/loop_uv.c (libuv, real time) and tests/sim (simulated time, one thread).
 * Components never touch a clock or a thread otherwise; that is what makes them simulable.
 *
 * Threads: everything here is called on the loop thread, but for `run` of a work item.
 * Re-entrancy: no callback is ever called from inside the call that registers it. */
#ifndef TUTTI_BASE_LOOP_H
#define TUTTI_BASE_LOOP_H

#include "base/must.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct loop;

/* Tasks at the end of a turn run phase by phase, the lowest first, until none is left: a task may
 * defer another one of any phase in the same turn. So one turn's requests become one message
 * (SUBMIT), the message carries the acknowledgements that the turn owes (ORDER), and all that one
 * connection has to send leaves in one system call (SEND). */
enum loop_phase { LOOP_PHASE_SUBMIT, LOOP_PHASE_ORDER, LOOP_PHASE_SEND, LOOP_PHASE_COUNT };

struct loop_task {
    void (*run)(struct loop_task *task);
    enum loop_phase phase;
    bool queued; /* owned by the loop */
    STAILQ_ENTRY(loop_task) entry;
};

struct loop_timer {
    void (*fire)(struct loop_timer *timer);
    struct loop *loop;
    void *implementation; /* owned by the loop; released by loop_timer_finish */
};

/* Blocking work. @run: on the queue's helper thread. @done: on the loop thread afterwards. The item
 * belongs to the queue from submission until `done` is called. */
struct work {
    void (*run)(struct work *work);
    void (*done)(struct work *work);
    STAILQ_ENTRY(work) entry;
};

/* A FIFO with one helper thread of its own. */
struct work_queue {
    struct loop *loop;
};

struct loop_ops {
    uint64_t (*now_ns)(struct loop *loop);
    uint64_t (*clock_ns)(struct loop *loop);
    int64_t (*wall_ns)(struct loop *loop);
    void (*defer)(struct loop *loop, struct loop_task *task);
    void (*cancel)(struct loop *loop, struct loop_task *task);
    int (*timer_init)(struct loop *loop, struct loop_timer *timer);
    void (*timer_start)(struct loop_timer *timer, uint64_t delay_ns);
    void (*timer_stop)(struct loop_timer *timer);
    void (*timer_finish)(struct loop_timer *timer);
    struct work_queue *(*queue_create)(struct loop *loop, const char *name);
    void (*queue_submit)(struct work_queue *queue, struct work *work);
    void (*queue_destroy)(struct work_queue *queue);
};

struct loop {
    const struct loop_ops *ops;
};

/* CLOCK_BOOTTIME, cached for the turn; never goes back. */
static inline uint64_t loop_now_ns(struct loop *loop)
{
    return loop->ops->now_ns(loop);
}

/* CLOCK_BOOTTIME at this very moment: for what must not be judged by the time at which the turn
 * began (a lease, after a read). */
static inline uint64_t loop_clock_ns(struct loop *loop)
{
    return loop->ops->clock_ns(loop);
}

/* CLOCK_REALTIME, ns since 1970: for file times only, never for a decision. */
static inline int64_t loop_wall_ns(struct loop *loop)
{
    return loop->ops->wall_ns(loop);
}

/* Run `task` at the end of this turn; nothing where it is queued already. */
static inline void loop_defer(struct loop *loop, struct loop_task *task)
{
    if (!task->queued)
        loop->ops->defer(loop, task);
}

/* Forget a task that may be queued (before its memory goes away). */
static inline void loop_cancel(struct loop *loop, struct loop_task *task)
{
    if (task->queued)
        loop->ops->cancel(loop, task);
}

/* 0 or -ENOMEM. One-shot: `fire` may start it again. */
static inline WARN_UNUSED int loop_timer_init(struct loop *loop, struct loop_timer *timer,
                                              void (*fire)(struct loop_timer *))
{
    timer->fire = fire;
    timer->loop = loop;
    timer->implementation = 0;
    return loop->ops->timer_init(loop, timer);
}

/* (Re)start: fires once, `delay_ns` from now. */
static inline void loop_timer_start(struct loop_timer *timer, uint64_t delay_ns)
{
    timer->loop->ops->timer_start(timer, delay_ns);
}
static inline void loop_timer_stop(struct loop_timer *timer)
{
    timer->loop->ops->timer_stop(timer);
}

/* Stop and release; the timer's own memory may go away after the call. */
static inline void loop_timer_finish(struct loop_timer *timer)
{
    if (timer->loop)
        timer->loop->ops->timer_finish(timer);
}

/* NULL when no thread can be had. */
static inline WARN_UNUSED struct work_queue *work_queue_create(struct loop *loop, const char *name)
{
    return loop->ops->queue_create(loop, name);
}
static inline void work_queue_submit(struct work_queue *queue, struct work *work)
{
    queue->loop->ops->queue_submit(queue, work);
}

/* Runs what was submitted to its end, calls every `done`, then ends the thread. Blocks: for
 * shutdown only. NULL is allowed. */
static inline void work_queue_destroy(struct work_queue *queue)
{
    if (queue)
        queue->loop->ops->queue_destroy(queue);
}

/* The object that embeds `member`. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)((char *)(pointer) - __builtin_offsetof(type, member)))

#endif
