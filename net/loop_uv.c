/* The real loop: libuv underneath the contract of base/loop.h.
 *
 * A turn is what one wait for events brings. End-of-turn tasks run in libuv's check phase, right
 * behind the callbacks of that wait, and once more in its prepare phase, right before the next
 * wait, for what timers and closing handles deferred. So the loop never waits with a task queued.
 *
 * Time is CLOCK_BOOTTIME, read once per turn, at its first use. libuv's timers count whole
 * milliseconds from a time of their own; a timer that comes early is started again for the rest. */
#include "net/loop_uv.h"
#include "base/log.h"
#include "net/loop_uv_internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

STAILQ_HEAD(task_queue, loop_task);
STAILQ_HEAD(post_queue, post);
LIST_HEAD(signal_list, signal_watch);
LIST_HEAD(readable_list, readable_watch);

struct post {
    void (*call)(void *user);
    void *user;
    STAILQ_ENTRY(post) entry;
};

struct signal_watch {
    uv_signal_t uv;
    void (*call)(void *user);
    void *user;
    LIST_ENTRY(signal_watch) entry;
};

struct readable_watch {
    uv_poll_t uv;
    void (*call)(void *user);
    void *user;
    LIST_ENTRY(readable_watch) entry;
};

struct timer_uv {
    uv_timer_t uv;
    struct loop_timer *timer;
    uint64_t deadline_ns;
};

struct loop_uv {
    struct loop base;
    uv_loop_t uv;
    uv_prepare_t before_wait;
    uv_check_t after_wait;
    uv_async_t posted;
    struct task_queue tasks[LOOP_PHASE_COUNT];
    uint64_t now_ns; /* 0: not read in this turn yet */
    uint64_t last_ns;
    pthread_mutex_t post_lock;
    struct post_queue posts; /* under post_lock */
    struct signal_list signals;
    struct readable_list readables;
};

static struct loop_uv *loop_uv_of(struct loop *loop)
{
    return CONTAINER_OF(loop, struct loop_uv, base);
}

struct uv_loop_s *loop_uv_handle(struct loop *loop)
{
    return &loop_uv_of(loop)->uv;
}

/* Time */

static uint64_t clock_ns(struct loop *loop)
{
    struct loop_uv *l = loop_uv_of(loop);
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    uint64_t now = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
    if (now > l->last_ns)
        l->last_ns = now;
    return l->last_ns;
}

static uint64_t now_ns(struct loop *loop)
{
    struct loop_uv *l = loop_uv_of(loop);
    if (l->now_ns == 0)
        l->now_ns = clock_ns(loop);
    return l->now_ns;
}

static int64_t wall_ns(struct loop *loop)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* End-of-turn tasks */

static void defer(struct loop *loop, struct loop_task *task)
{
    MUST(task->phase < LOOP_PHASE_COUNT);
    task->queued = true;
    STAILQ_INSERT_TAIL(&loop_uv_of(loop)->tasks[task->phase], task, entry);
}

static void cancel(struct loop *loop, struct loop_task *task)
{
    STAILQ_REMOVE(&loop_uv_of(loop)->tasks[task->phase], task, loop_task, entry);
    task->queued = false;
}

static struct loop_task *next_task(struct loop_uv *l)
{
    for (int phase = 0; phase < LOOP_PHASE_COUNT; phase++) {
        struct loop_task *task = STAILQ_FIRST(&l->tasks[phase]);
        if (!task)
            continue;
        STAILQ_REMOVE_HEAD(&l->tasks[phase], entry);
        task->queued = false;
        return task;
    }
    return NULL;
}

static void end_turn(struct loop_uv *l)
{
    struct loop_task *task;
    while ((task = next_task(l)))
        task->run(task);
    l->now_ns = 0;
}

static void before_wait(uv_prepare_t *handle)
{
    end_turn(handle->data);
}

static void after_wait(uv_check_t *handle)
{
    end_turn(handle->data);
}

/* Timers */

static uint64_t ms_up(uint64_t ns)
{
    return ns / 1000000 + (ns % 1000000 != 0);
}

static void timer_fired(uv_timer_t *handle)
{
    struct timer_uv *t = handle->data;
    uint64_t now = now_ns(t->timer->loop);
    if (now < t->deadline_ns)
        uv_timer_start(handle, timer_fired, ms_up(t->deadline_ns - now), 0);
    else
        t->timer->fire(t->timer);
}

static int timer_init(struct loop *loop, struct loop_timer *timer)
{
    struct timer_uv *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->timer = timer;
    t->uv.data = t;
    uv_timer_init(loop_uv_handle(loop), &t->uv);
    timer->implementation = t;
    return 0;
}

static void timer_start(struct loop_timer *timer, uint64_t delay_ns)
{
    struct timer_uv *t = timer->implementation;
    uint64_t now = now_ns(timer->loop);
    t->deadline_ns = delay_ns > UINT64_MAX - now ? UINT64_MAX : now + delay_ns;
    uv_timer_start(&t->uv, timer_fired, ms_up(delay_ns), 0);
}

static void timer_stop(struct loop_timer *timer)
{
    struct timer_uv *t = timer->implementation;
    uv_timer_stop(&t->uv);
}

static void timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void timer_finish(struct loop_timer *timer)
{
    struct timer_uv *t = timer->implementation;
    if (!t)
        return;
    uv_close((uv_handle_t *)&t->uv, timer_closed);
    *timer = (struct loop_timer){0};
}

/* Calls from other threads */

int loop_uv_post(struct loop *loop, void (*call)(void *user), void *user)
{
    struct loop_uv *l = loop_uv_of(loop);
    struct post *post = malloc(sizeof *post);
    if (!post)
        return -ENOMEM;
    *post = (struct post){.call = call, .user = user};
    pthread_mutex_lock(&l->post_lock);
    STAILQ_INSERT_TAIL(&l->posts, post, entry);
    pthread_mutex_unlock(&l->post_lock);
    uv_async_send(&l->posted);
    return 0;
}

static void take_posts(struct loop_uv *l, struct post_queue *ret)
{
    STAILQ_INIT(ret);
    pthread_mutex_lock(&l->post_lock);
    STAILQ_CONCAT(ret, &l->posts);
    pthread_mutex_unlock(&l->post_lock);
}

static void posted(uv_async_t *handle)
{
    struct post_queue posts;
    take_posts(handle->data, &posts);
    struct post *post;
    while ((post = STAILQ_FIRST(&posts))) {
        STAILQ_REMOVE_HEAD(&posts, entry);
        post->call(post->user);
        free(post);
    }
}

/* Signals */

static void signalled(uv_signal_t *handle, int number)
{
    struct signal_watch *watch = handle->data;
    watch->call(watch->user);
}

static void signal_closed(uv_handle_t *handle)
{
    free(handle->data);
}

int loop_uv_on_signal(struct loop *loop, int number, void (*call)(void *user), void *user)
{
    struct loop_uv *l = loop_uv_of(loop);
    struct signal_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return -ENOMEM;
    *watch = (struct signal_watch){.uv.data = watch, .call = call, .user = user};
    int rc = uv_signal_init(&l->uv, &watch->uv);
    if (rc < 0) {
        free(watch);
        return rc;
    }
    rc = uv_signal_start(&watch->uv, signalled, number);
    if (rc < 0) {
        uv_close((uv_handle_t *)&watch->uv, signal_closed);
        return rc;
    }
    LIST_INSERT_HEAD(&l->signals, watch, entry);
    return 0;
}

/* Descriptors */

static void became_readable(uv_poll_t *handle, int status, int events)
{
    struct readable_watch *watch = handle->data;
    watch->call(watch->user);
}

static void readable_closed(uv_handle_t *handle)
{
    free(handle->data);
}

int loop_uv_on_readable(struct loop *loop, int descriptor, void (*call)(void *user), void *user)
{
    struct loop_uv *l = loop_uv_of(loop);
    struct readable_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return -ENOMEM;
    *watch = (struct readable_watch){.uv.data = watch, .call = call, .user = user};
    int rc = uv_poll_init(&l->uv, &watch->uv, descriptor);
    if (rc < 0) {
        free(watch);
        return rc;
    }
    rc = uv_poll_start(&watch->uv, UV_READABLE, became_readable);
    if (rc < 0) {
        uv_close((uv_handle_t *)&watch->uv, readable_closed);
        return rc;
    }
    LIST_INSERT_HEAD(&l->readables, watch, entry);
    return 0;
}

/* Memory */

static void *tell(void *memory, size_t bytes)
{
    if (!memory && bytes)
        log_error("loop", "no memory for libuv");
    return memory;
}

static void *tell_malloc(size_t bytes)
{
    return tell(malloc(bytes), bytes);
}

static void *tell_realloc(void *old, size_t bytes)
{
    return tell(realloc(old, bytes), bytes);
}

static void *tell_calloc(size_t count, size_t bytes)
{
    return tell(calloc(count, bytes), count * bytes);
}

void loop_uv_tell_shortage(void)
{
    uv_replace_allocator(tell_malloc, tell_realloc, tell_calloc, free);
}

/* Life */

static const struct loop_ops loop_uv_ops = {
    .now_ns = now_ns,
    .clock_ns = clock_ns,
    .wall_ns = wall_ns,
    .defer = defer,
    .cancel = cancel,
    .timer_init = timer_init,
    .timer_start = timer_start,
    .timer_stop = timer_stop,
    .timer_finish = timer_finish,
    .queue_create = loop_uv_queue_create,
    .queue_submit = loop_uv_queue_submit,
    .queue_destroy = loop_uv_queue_destroy,
};

struct loop *loop_uv_create(void)
{
    struct loop_uv *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    if (uv_loop_init(&l->uv) < 0) {
        free(l);
        return NULL;
    }
    if (uv_async_init(&l->uv, &l->posted, posted) < 0) {
        uv_loop_close(&l->uv);
        free(l);
        return NULL;
    }
    l->base.ops = &loop_uv_ops;
    l->posted.data = l->before_wait.data = l->after_wait.data = l;
    uv_prepare_init(&l->uv, &l->before_wait);
    uv_check_init(&l->uv, &l->after_wait);
    uv_prepare_start(&l->before_wait, before_wait);
    uv_check_start(&l->after_wait, after_wait);
    for (int phase = 0; phase < LOOP_PHASE_COUNT; phase++)
        STAILQ_INIT(&l->tasks[phase]);
    STAILQ_INIT(&l->posts);
    LIST_INIT(&l->signals);
    LIST_INIT(&l->readables);
    pthread_mutex_init(&l->post_lock, NULL);
    return &l->base;
}

/* A peer's end shows as EPIPE. Blocked for this thread rather than ignored by the process: the loop
 * may live in somebody else's program. */
static void block_sigpipe(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void loop_uv_run(struct loop *loop)
{
    block_sigpipe();
    loop_uv_of(loop)->now_ns = 0; /* what came before may have taken long */
    uv_run(loop_uv_handle(loop), UV_RUN_DEFAULT);
}

void loop_uv_stop(struct loop *loop)
{
    uv_stop(loop_uv_handle(loop));
}

static void must_be_closing(uv_handle_t *handle, void *unused)
{
    MUST(uv_is_closing(handle));
}

static void close_watches(struct loop_uv *l)
{
    struct signal_watch *signal_one, *signal_next;
    for (signal_one = LIST_FIRST(&l->signals); signal_one; signal_one = signal_next) {
        signal_next = LIST_NEXT(signal_one, entry);
        uv_close((uv_handle_t *)&signal_one->uv, signal_closed);
    }
    struct readable_watch *readable, *readable_next;
    for (readable = LIST_FIRST(&l->readables); readable; readable = readable_next) {
        readable_next = LIST_NEXT(readable, entry);
        uv_close((uv_handle_t *)&readable->uv, readable_closed);
    }
}

void loop_uv_destroy(struct loop *loop)
{
    struct loop_uv *l = loop_uv_of(loop);
    close_watches(l);
    uv_close((uv_handle_t *)&l->before_wait, NULL);
    uv_close((uv_handle_t *)&l->after_wait, NULL);
    uv_close((uv_handle_t *)&l->posted, NULL);
    uv_walk(&l->uv, must_be_closing, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT); /* what closes or still looks up an address */
    MUST(uv_loop_close(&l->uv) == 0);

    struct post_queue posts;
    take_posts(l, &posts);
    struct post *post;
    while ((post = STAILQ_FIRST(&posts))) {
        STAILQ_REMOVE_HEAD(&posts, entry);
        free(post);
    }
    pthread_mutex_destroy(&l->post_lock);
    free(l);
}
