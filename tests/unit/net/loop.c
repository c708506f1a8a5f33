/* loop_uv: tasks, timers, queues, posts, signals. */
#include "net/loop_uv.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct loop *loop;
static char story[256];

static void tell(const char *what)
{
    strcat(story, what);
}

static void begin(void)
{
    loop = loop_uv_create();
    cr_assert_not_null(loop);
}

static void stop(void *unused)
{
    loop_uv_stop(loop);
}

static void end(void)
{
    loop_uv_destroy(loop);
}

TestSuite(loop, .init = begin, .fini = end, .timeout = 30);

/* Tasks */

static void submit_run(struct loop_task *task);
static void order_run(struct loop_task *task);
static void send_run(struct loop_task *task);
static struct loop_task submit = {.run = submit_run, .phase = LOOP_PHASE_SUBMIT};
static struct loop_task order = {.run = order_run, .phase = LOOP_PHASE_ORDER};
static struct loop_task send = {.run = send_run, .phase = LOOP_PHASE_SEND};
static bool again;

static void submit_run(struct loop_task *task)
{
    tell("submit ");
}
static void order_run(struct loop_task *task)
{
    tell("order ");
    if (again) {
        again = false;
        loop_defer(loop, &order);
        loop_defer(loop, &submit);
    }
}
static void send_run(struct loop_task *task)
{
    tell("send ");
}

static void defer_all(void *unused)
{
    loop_defer(loop, &send);
    loop_defer(loop, &order);
    loop_defer(loop, &submit);
    loop_defer(loop, &submit);
    tell("call ");
    loop_uv_stop(loop);
}

Test(loop, tasks_run_phase_by_phase_at_the_end_of_the_turn)
{
    again = true;
    cr_assert_eq(loop_uv_post(loop, defer_all, NULL), 0);
    loop_uv_run(loop);
    cr_assert_str_eq(story, "call submit order submit order send ");
}

static struct loop_timer timer;
static void defer_in_timer(struct loop_timer *unused)
{
    loop_defer(loop, &send);
}
static void stop_task_run(struct loop_task *task)
{
    tell("stopped ");
    loop_uv_stop(loop);
}

/* Timers come before the wait, so what they defer must not wait for the next event. */
Test(loop, tasks_deferred_by_timers_run)
{
    send = (struct loop_task){.run = stop_task_run, .phase = LOOP_PHASE_SEND};
    cr_assert_eq(loop_timer_init(loop, &timer, defer_in_timer), 0);
    loop_timer_start(&timer, 2000000);
    loop_uv_run(loop);
    cr_assert_str_eq(story, "stopped ");
    loop_timer_finish(&timer);
}

static void cancel_some(void *unused)
{
    loop_defer(loop, &submit);
    loop_defer(loop, &order);
    loop_defer(loop, &send);
    loop_cancel(loop, &order);
    loop_cancel(loop, &order);
    loop_uv_stop(loop);
}

Test(loop, a_cancelled_task_does_not_run)
{
    cr_assert_eq(loop_uv_post(loop, cancel_some, NULL), 0);
    loop_uv_run(loop);
    cr_assert_str_eq(story, "submit send ");
}

/* Timers */

static uint64_t boot_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t begun_ns;
static _Atomic unsigned fired;
static const uint64_t delays_ns[] = {0, 1, 999999, 1000000, 1000001, 3500000, 10000000};
enum { DELAYS = sizeof delays_ns / sizeof delays_ns[0], TIMERS = 10 * DELAYS };

static void never_early(struct loop_timer *t)
{
    uint64_t delay_ns = delays_ns[fired % DELAYS];
    cr_assert_geq(boot_ns() - begun_ns, delay_ns, "a timer of %lu ns is early", delay_ns);
    if (++fired == TIMERS) {
        loop_uv_stop(loop);
        return;
    }
    begun_ns = loop_now_ns(loop);
    loop_timer_start(t, delays_ns[fired % DELAYS]);
}

static void nothing(void *unused)
{
}

static void *wake_often(void *unused)
{
    struct timespec pause = {0, 100000};
    while (fired < TIMERS) {
        cr_assert_eq(loop_uv_post(loop, nothing, NULL), 0);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* Also where other events end the wait at any fraction of a millisecond. */
Test(loop, timers_are_never_early)
{
    pthread_t thread;
    cr_assert_eq(loop_timer_init(loop, &timer, never_early), 0);
    begun_ns = loop_now_ns(loop);
    loop_timer_start(&timer, delays_ns[0]);
    cr_assert_eq(pthread_create(&thread, NULL, wake_often, NULL), 0);
    loop_uv_run(loop);
    pthread_join(thread, NULL);
    cr_assert_eq(fired, TIMERS);
    loop_timer_finish(&timer);
}

static struct loop_timer victim;
static void must_not_fire(struct loop_timer *unused)
{
    cr_assert_fail("a stopped timer fired");
}
static void stop_in_timer(struct loop_timer *unused)
{
    loop_uv_stop(loop);
}

Test(loop, stopped_and_finished_timers_do_not_fire)
{
    struct loop_timer finished;
    cr_assert_eq(loop_timer_init(loop, &victim, must_not_fire), 0);
    cr_assert_eq(loop_timer_init(loop, &finished, must_not_fire), 0);
    cr_assert_eq(loop_timer_init(loop, &timer, stop_in_timer), 0);
    loop_timer_start(&victim, 1000000);
    loop_timer_start(&finished, 1000000);
    loop_timer_start(&timer, 20000000);
    loop_timer_stop(&victim);
    loop_timer_finish(&finished);
    loop_timer_finish(&finished);
    loop_uv_run(loop);
    loop_timer_finish(&victim);
    loop_timer_finish(&timer);
}

static void check_clock(struct loop_timer *t)
{
    uint64_t now = loop_now_ns(loop);
    struct timespec pause = {0, 2000000};
    nanosleep(&pause, NULL);
    cr_assert_eq(loop_now_ns(loop), now, "time goes on inside of a turn");
    cr_assert_gt(now, begun_ns, "time stands still between turns");
    begun_ns = now;
    if (++fired < 5)
        loop_timer_start(t, 1000000);
    else
        loop_uv_stop(loop);
}

Test(loop, time_is_that_of_the_turn)
{
    cr_assert_eq(loop_timer_init(loop, &timer, check_clock), 0);
    loop_timer_start(&timer, 1000000);
    loop_uv_run(loop);
    loop_timer_finish(&timer);
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    cr_assert_lt(llabs(loop_wall_ns(loop) / 1000000000 - t.tv_sec), 5);
}

/* Queues */

enum { ITEMS = 200 };
static struct item {
    struct work work;
    unsigned number;
    pthread_t ran_on;
} items[ITEMS];
static unsigned ran, done;
static pthread_t loop_thread;
static struct work_queue *queue;

static void item_run(struct work *work)
{
    struct item *item = CONTAINER_OF(work, struct item, work);
    item->ran_on = pthread_self();
    cr_assert_eq(item->number, ran++, "not first in, first out");
}

static void item_done(struct work *work)
{
    struct item *item = CONTAINER_OF(work, struct item, work);
    cr_assert(pthread_equal(pthread_self(), loop_thread));
    cr_assert(!pthread_equal(item->ran_on, loop_thread));
    cr_assert_eq(item->number, done++);
    if (done == ITEMS)
        loop_uv_stop(loop);
}

static void submit_item(unsigned number, void (*then)(struct work *work))
{
    items[number] = (struct item){.work = {.run = item_run, .done = then}, .number = number};
    work_queue_submit(queue, &items[number].work);
}

Test(loop, work_runs_in_order_on_a_thread_of_its_own)
{
    loop_thread = pthread_self();
    queue = work_queue_create(loop, "a name longer than Linux allows");
    cr_assert_not_null(queue);
    for (unsigned i = 0; i < ITEMS; i++)
        submit_item(i, item_done);
    loop_uv_run(loop);
    cr_assert_eq(done, ITEMS);
    work_queue_destroy(queue);
    work_queue_destroy(NULL);
}

static void done_and_more(struct work *work)
{
    struct item *item = CONTAINER_OF(work, struct item, work);
    cr_assert_eq(item->number, done++);
    if (done < 5)
        submit_item(done, done_and_more);
}

Test(loop, destroying_a_queue_finishes_what_was_submitted)
{
    loop_thread = pthread_self();
    queue = work_queue_create(loop, "queue");
    submit_item(0, done_and_more);
    work_queue_destroy(queue);
    cr_assert_eq(done, 5, "%u of 5 done", done);
}

/* Posts and signals */

enum { POSTS = 1000 };
static unsigned posts;

static void count_post(void *user)
{
    cr_assert_eq((uintptr_t)user, posts, "posts of one thread arrive in its order");
    if (++posts == POSTS)
        loop_uv_stop(loop);
}

static void *post_many(void *unused)
{
    for (uintptr_t i = 0; i < POSTS; i++)
        cr_assert_eq(loop_uv_post(loop, count_post, (void *)i), 0);
    return NULL;
}

Test(loop, posts_of_other_threads_arrive)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, post_many, NULL), 0);
    loop_uv_run(loop);
    pthread_join(thread, NULL);
    cr_assert_eq(posts, POSTS);
}

static void raise_it(void *unused)
{
    raise(SIGUSR1);
}

Test(loop, signals_arrive)
{
    cr_assert_eq(loop_uv_on_signal(loop, SIGUSR1, stop, NULL), 0);
    cr_assert_lt(loop_uv_on_signal(loop, SIGKILL, stop, NULL), 0);
    cr_assert_eq(loop_uv_post(loop, raise_it, NULL), 0);
    loop_uv_run(loop);
}

/* Descriptors */

static int pair[2];

static void take_a_byte(void *unused)
{
    char byte;
    cr_assert_eq(read(pair[0], &byte, 1), 1);
    char text[2] = {byte};
    tell(text);
    if (byte == 'z')
        loop_uv_stop(loop);
    else
        cr_assert_eq(write(pair[1], "z", 1), 1);
}

Test(loop, a_readable_descriptor_calls)
{
    cr_assert_eq(pipe(pair), 0);
    cr_assert_eq(loop_uv_on_readable(loop, pair[0], take_a_byte, NULL), 0);
    cr_assert_lt(loop_uv_on_readable(loop, -1, take_a_byte, NULL), 0);
    cr_assert_eq(write(pair[1], "a", 1), 1);
    loop_uv_run(loop);
    cr_assert_str_eq(story, "az");
}
