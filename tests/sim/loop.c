/* The loop contract (base/loop.h) on simulated time: clocks, timers, end-of-turn tasks, queues.
 *
 * A turn is one event and then the tasks it deferred, phase by phase. An item of a queue `run`s at
 * an event of its own, some time after its submission and outside of any turn, as on a helper
 * thread; `done` follows in a turn of the loop. A crash in between is an item whose work may have
 * happened. Items of one queue run one after the other; different queues interleave. */
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

STAILQ_HEAD(work_list, work);

struct sim_queue {
    struct work_queue base;
    struct process *process;
    struct work_list items; /* the head is being run */
    bool head_ran;
    struct event run, done;
    LIST_ENTRY(sim_queue) entry;
};

struct sim_timer {
    struct event event;
    struct loop_timer *timer;
};

static struct process *process_of(struct loop *loop)
{
    return CONTAINER_OF(loop, struct process, loop);
}

/* How far its own clocks have got while true time went on to `now_ns`. */
static uint64_t own_time(const struct process *process, uint64_t now_ns)
{
    return now_ns + (uint64_t)((int64_t)now_ns * process->drift_ppm / 1000000) +
           process->boot_offset_ns;
}

/* Time stands still in a turn; what takes long is several turns. */
static uint64_t loop_clock(struct loop *loop)
{
    struct process *process = process_of(loop);
    return own_time(process, process->world->now_ns);
}

static uint64_t loop_now(struct loop *loop)
{
    struct process *process = process_of(loop);
    uint64_t now = process->in_turn ? process->turn_ns : process->world->now_ns;
    return own_time(process, now);
}

static int64_t loop_wall(struct loop *loop)
{
    struct process *process = process_of(loop);
    return (int64_t)process->world->now_ns + process->wall_offset_ns;
}

/* ---- end-of-turn tasks ---- */

static void loop_defer_task(struct loop *loop, struct loop_task *task)
{
    struct process *process = process_of(loop);
    task->queued = true;
    STAILQ_INSERT_TAIL(&process->tasks[task->phase], task, entry);
}

static void loop_cancel_task(struct loop *loop, struct loop_task *task)
{
    task->queued = false;
    STAILQ_REMOVE(&process_of(loop)->tasks[task->phase], task, loop_task, entry);
}

static struct loop_task *next_task(struct process *process)
{
    for (int phase = 0; phase < LOOP_PHASE_COUNT; phase++)
        if (!STAILQ_EMPTY(&process->tasks[phase]))
            return STAILQ_FIRST(&process->tasks[phase]);
    return NULL;
}

static void turn_begin(struct process *process)
{
    MUST(!process->in_turn);
    process->in_turn = true;
    process->turn_ns = process->world->now_ns;
}

static void turn_end(struct process *process)
{
    struct loop_task *task;
    while (process->alive && (task = next_task(process))) {
        loop_cancel_task(&process->loop, task);
        task->run(task);
    }
    process->in_turn = false;
}

void process_fire(struct process *process, struct event *event)
{
    if (event->helper) {
        event->fire(event);
        return;
    }
    turn_begin(process);
    do
        event->fire(event);
    while (process->alive && (event = world_take_due(process->world, process)));
    turn_end(process);
}

void process_turn(struct process *process, void (*call)(void *user), void *user)
{
    turn_begin(process);
    call(user);
    turn_end(process);
}

/* ---- timers ---- */

static void timer_fired(struct event *event)
{
    struct loop_timer *timer = CONTAINER_OF(event, struct sim_timer, event)->timer;
    timer->fire(timer);
}

static int loop_timer_make(struct loop *loop, struct loop_timer *timer)
{
    struct sim_timer *own = sim_alloc(sizeof *own);
    own->timer = timer;
    own->event = (struct event){.fire = timer_fired, .label = "timer", .process = process_of(loop)};
    timer->implementation = own;
    return 0;
}

static void loop_timer_begin(struct loop_timer *timer, uint64_t delay_ns)
{
    struct process *process = process_of(timer->loop);
    struct sim_timer *own = timer->implementation;
    uint64_t late_ns = world_skewed(process->world, 1000, SIM_MS(2));
    delay_ns -= (uint64_t)((int64_t)delay_ns / 1000000 * process->drift_ppm);
    event_start(process->world, &own->event, delay_ns + late_ns);
}

static void loop_timer_end(struct loop_timer *timer)
{
    struct sim_timer *own = timer->implementation;
    event_stop(process_of(timer->loop)->world, &own->event);
}

static void loop_timer_release(struct loop_timer *timer)
{
    if (!timer->implementation)
        return;
    loop_timer_end(timer);
    free(timer->implementation);
    timer->implementation = NULL;
}

/* ---- queues of blocking work ---- */

static void queue_head_start(struct sim_queue *queue)
{
    struct process *process = queue->process;
    uint64_t delay = world_skewed(process->world, process->work_low_ns, process->work_high_ns);
    queue->head_ran = false;
    event_start(process->world, &queue->run, delay);
}

static void queue_run(struct event *event)
{
    struct sim_queue *queue = CONTAINER_OF(event, struct sim_queue, run);
    struct work *work = STAILQ_FIRST(&queue->items);
    queue->head_ran = true;
    work->run(work);
    uint64_t delay = world_skewed(queue->process->world, 1000, SIM_US(200));
    event_start(queue->process->world, &queue->done, delay);
}

static void queue_done(struct event *event)
{
    struct sim_queue *queue = CONTAINER_OF(event, struct sim_queue, done);
    struct work *work = STAILQ_FIRST(&queue->items);
    STAILQ_REMOVE_HEAD(&queue->items, entry);
    if (!STAILQ_EMPTY(&queue->items))
        queue_head_start(queue);
    work->done(work); /* may submit to this queue: it is consistent already */
}

static struct work_queue *loop_queue_create(struct loop *loop, const char *name)
{
    (void)name;
    struct process *process = process_of(loop);
    struct sim_queue *queue = sim_alloc(sizeof *queue);
    queue->base.loop = loop;
    queue->process = process;
    STAILQ_INIT(&queue->items);
    queue->run =
        (struct event){.fire = queue_run, .label = "work", .process = process, .helper = true};
    queue->done = (struct event){.fire = queue_done, .label = "done", .process = process};
    LIST_INSERT_HEAD(&process->queues, queue, entry);
    return &queue->base;
}

static void loop_queue_submit(struct work_queue *base, struct work *work)
{
    struct sim_queue *queue = CONTAINER_OF(base, struct sim_queue, base);
    bool idle = STAILQ_EMPTY(&queue->items);
    STAILQ_INSERT_TAIL(&queue->items, work, entry);
    if (idle)
        queue_head_start(queue);
}

static void loop_queue_destroy(struct work_queue *base)
{
    struct sim_queue *queue = CONTAINER_OF(base, struct sim_queue, base);
    event_stop(queue->process->world, &queue->run);
    event_stop(queue->process->world, &queue->done);
    struct work *work;
    while ((work = STAILQ_FIRST(&queue->items))) {
        if (!queue->head_ran)
            work->run(work);
        queue->head_ran = false;
        STAILQ_REMOVE_HEAD(&queue->items, entry);
        work->done(work);
    }
    LIST_REMOVE(queue, entry);
    free(queue);
}

/* ---- life ---- */

static const struct loop_ops sim_loop_ops = {
    .now_ns = loop_now,
    .clock_ns = loop_clock,
    .wall_ns = loop_wall,
    .defer = loop_defer_task,
    .cancel = loop_cancel_task,
    .timer_init = loop_timer_make,
    .timer_start = loop_timer_begin,
    .timer_stop = loop_timer_end,
    .timer_finish = loop_timer_release,
    .queue_create = loop_queue_create,
    .queue_submit = loop_queue_submit,
    .queue_destroy = loop_queue_destroy,
};

void process_init(struct process *process, struct world *world, const char *name)
{
    memset(process, 0, sizeof *process);
    process->loop.ops = &sim_loop_ops;
    process->world = world;
    process->name = name;
    process->boot_offset_ns = world_between(world, 0, SIM_S(1000000));
    process->drift_ppm =
        (int64_t)world_between(world, 0, 2 * world->drift_ppm_max) - (int64_t)world->drift_ppm_max;
    process->wall_offset_ns =
        world->wall_ns + (int64_t)world_between(world, 0, SIM_S(4)) - (int64_t)SIM_S(2);
    process->work_low_ns = SIM_US(20);
    process->work_high_ns = SIM_MS(4);
    process->alive = true;
    for (int phase = 0; phase < LOOP_PHASE_COUNT; phase++)
        STAILQ_INIT(&process->tasks[phase]);
    LIST_INIT(&process->events);
    LIST_INIT(&process->queues);
}

void process_pause(struct process *process, uint64_t duration_ns)
{
    uint64_t until_ns = process->world->now_ns + duration_ns;
    if (until_ns > process->paused_until_ns)
        process->paused_until_ns = until_ns;
}

void process_resume(struct process *process)
{
    struct event *event, *next;
    if (process->paused_until_ns <= process->world->now_ns)
        return;
    for (event = LIST_FIRST(&process->events); event; event = next) {
        next = LIST_NEXT(event, of_process);
        if (event->put_off)
            event_start(process->world, event, 0);
    }
    process->paused_until_ns = process->world->now_ns;
}

/* The head's `run` begins, and the crash falls into it. */
static void queue_kill(struct sim_queue *queue, bool (*half_done)(void *user), void *user)
{
    struct work *work = STAILQ_FIRST(&queue->items);
    if (!work || queue->head_ran || !half_done(user))
        return;
    queue->head_ran = true;
    work->run(work);
}

void process_kill(struct process *process, bool (*half_done)(void *user), void *user)
{
    struct sim_queue *queue;
    LIST_FOREACH (queue, &process->queues, entry)
        queue_kill(queue, half_done, user);
    process->alive = false;
    struct event *event;
    while ((event = LIST_FIRST(&process->events)))
        event_stop(process->world, event);
}

void process_finish(struct process *process)
{
    MUST(LIST_EMPTY(&process->queues));
    process->alive = false;
    struct event *event;
    while ((event = LIST_FIRST(&process->events)))
        event_stop(process->world, event);
}
