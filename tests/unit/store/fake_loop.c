/* A loop for tests. */
#include "tests/unit/store/fake_loop.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { QUEUES_MAX = 8, TIMERS_MAX = 8, PASS_NS = 20000000 };

STAILQ_HEAD(task_list, loop_task);
STAILQ_HEAD(work_list, work);

struct fake_loop;

struct fake_queue {
    struct work_queue queue;
    struct work_list submitted, ran;
};

struct fake_loop {
    struct loop loop;
    struct prng *prng;
    uint64_t now_ns;
    struct task_list tasks[LOOP_PHASE_COUNT];
    struct fake_queue *queues[QUEUES_MAX];
    struct loop_timer *timers[TIMERS_MAX];
    uint64_t deadlines[TIMERS_MAX]; /* 0: stopped */
};

static struct fake_loop *fake_of(struct loop *loop)
{
    return CONTAINER_OF(loop, struct fake_loop, loop);
}

static uint64_t fake_now(struct loop *loop)
{
    return fake_of(loop)->now_ns;
}

static int64_t fake_wall(struct loop *loop)
{
    return (int64_t)fake_of(loop)->now_ns;
}

static void fake_defer(struct loop *loop, struct loop_task *task)
{
    task->queued = true;
    STAILQ_INSERT_TAIL(&fake_of(loop)->tasks[task->phase], task, entry);
}

static void fake_cancel(struct loop *loop, struct loop_task *task)
{
    STAILQ_REMOVE(&fake_of(loop)->tasks[task->phase], task, loop_task, entry);
    task->queued = false;
}

static unsigned timer_index(const struct fake_loop *fake, const struct loop_timer *timer)
{
    unsigned i = 0;
    while (fake->timers[i] != timer)
        cr_assert_lt(++i, TIMERS_MAX);
    return i;
}

static int fake_timer_init(struct loop *loop, struct loop_timer *timer)
{
    struct fake_loop *fake = fake_of(loop);
    fake->timers[timer_index(fake, NULL)] = timer;
    return 0;
}

static void fake_timer_start(struct loop_timer *timer, uint64_t delay_ns)
{
    struct fake_loop *fake = fake_of(timer->loop);
    fake->deadlines[timer_index(fake, timer)] = fake->now_ns + delay_ns;
}

static void fake_timer_stop(struct loop_timer *timer)
{
    struct fake_loop *fake = fake_of(timer->loop);
    fake->deadlines[timer_index(fake, timer)] = 0;
}

static void fake_timer_finish(struct loop_timer *timer)
{
    struct fake_loop *fake = fake_of(timer->loop);
    unsigned i = timer_index(fake, timer);
    fake->deadlines[i] = 0;
    fake->timers[i] = NULL;
}

static struct work_queue *fake_queue_create(struct loop *loop, const char *name)
{
    struct fake_loop *fake = fake_of(loop);
    struct fake_queue *queue = calloc(1, sizeof *queue);
    unsigned i = 0;
    cr_assert_not_null(queue);
    while (fake->queues[i])
        cr_assert_lt(++i, QUEUES_MAX);
    fake->queues[i] = queue;
    queue->queue.loop = loop;
    STAILQ_INIT(&queue->submitted);
    STAILQ_INIT(&queue->ran);
    return &queue->queue;
}

static void fake_queue_submit(struct work_queue *base, struct work *work)
{
    struct fake_queue *queue = CONTAINER_OF(base, struct fake_queue, queue);
    STAILQ_INSERT_TAIL(&queue->submitted, work, entry);
}

static void queue_run(struct fake_queue *queue)
{
    struct work *work = STAILQ_FIRST(&queue->submitted);
    STAILQ_REMOVE_HEAD(&queue->submitted, entry);
    work->run(work);
    STAILQ_INSERT_TAIL(&queue->ran, work, entry);
}

static void queue_finish(struct fake_queue *queue)
{
    struct work *work = STAILQ_FIRST(&queue->ran);
    STAILQ_REMOVE_HEAD(&queue->ran, entry);
    work->done(work);
}

static void fake_queue_destroy(struct work_queue *base)
{
    struct fake_queue *queue = CONTAINER_OF(base, struct fake_queue, queue);
    struct fake_loop *fake = fake_of(base->loop);
    while (!STAILQ_EMPTY(&queue->submitted) || !STAILQ_EMPTY(&queue->ran)) {
        if (!STAILQ_EMPTY(&queue->submitted))
            queue_run(queue);
        queue_finish(queue);
    }
    for (unsigned i = 0; i < QUEUES_MAX; i++)
        if (fake->queues[i] == queue)
            fake->queues[i] = NULL;
    free(queue);
}

static const struct loop_ops fake_ops = {
    .now_ns = fake_now,
    .wall_ns = fake_wall,
    .defer = fake_defer,
    .cancel = fake_cancel,
    .timer_init = fake_timer_init,
    .timer_start = fake_timer_start,
    .timer_stop = fake_timer_stop,
    .timer_finish = fake_timer_finish,
    .queue_create = fake_queue_create,
    .queue_submit = fake_queue_submit,
    .queue_destroy = fake_queue_destroy,
};

struct loop *fake_loop_create(struct prng *prng)
{
    struct fake_loop *fake = calloc(1, sizeof *fake);
    cr_assert_not_null(fake);
    fake->loop.ops = &fake_ops;
    fake->prng = prng;
    fake->now_ns = 1;
    for (unsigned i = 0; i < LOOP_PHASE_COUNT; i++)
        STAILQ_INIT(&fake->tasks[i]);
    return &fake->loop;
}

void fake_loop_destroy(struct loop *loop)
{
    free(fake_of(loop));
}

static struct loop_task *task_take(struct fake_loop *fake)
{
    for (unsigned i = 0; i < LOOP_PHASE_COUNT; i++) {
        struct loop_task *task = STAILQ_FIRST(&fake->tasks[i]);
        if (!task)
            continue;
        STAILQ_REMOVE_HEAD(&fake->tasks[i], entry);
        task->queued = false;
        return task;
    }
    return NULL;
}

void fake_loop_turn(struct loop *loop)
{
    struct loop_task *task;
    while ((task = task_take(fake_of(loop))))
        task->run(task);
}

static bool timers_running(const struct fake_loop *fake)
{
    bool any = false;
    for (unsigned i = 0; i < TIMERS_MAX; i++)
        any |= fake->deadlines[i] != 0;
    return any;
}

static void time_pass(struct fake_loop *fake)
{
    fake->now_ns += prng_below(fake->prng, PASS_NS);
    for (unsigned i = 0; i < TIMERS_MAX; i++) {
        if (!fake->deadlines[i] || fake->deadlines[i] > fake->now_ns)
            continue;
        fake->deadlines[i] = 0;
        fake->timers[i]->fire(fake->timers[i]);
    }
}

/* What can be done, as a choice among numbers: per queue run, finish; last, time. */
static bool step_possible(const struct fake_loop *fake, unsigned choice)
{
    const struct fake_queue *queue = choice / 2 < QUEUES_MAX ? fake->queues[choice / 2] : NULL;
    if (choice == 2 * QUEUES_MAX)
        return timers_running(fake);
    return queue && !STAILQ_EMPTY(choice % 2 ? &queue->ran : &queue->submitted);
}

bool fake_loop_step(struct loop *loop)
{
    struct fake_loop *fake = fake_of(loop);
    unsigned possible[2 * QUEUES_MAX + 1], count = 0;
    for (unsigned choice = 0; choice <= 2 * QUEUES_MAX; choice++)
        if (step_possible(fake, choice))
            possible[count++] = choice;
    if (count == 0)
        return false;
    unsigned choice = possible[prng_below(fake->prng, count)];
    if (choice == 2 * QUEUES_MAX)
        time_pass(fake);
    else if (choice % 2)
        queue_finish(fake->queues[choice / 2]);
    else
        queue_run(fake->queues[choice / 2]);
    fake_loop_turn(loop);
    return true;
}
