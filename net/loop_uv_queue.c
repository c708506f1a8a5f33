/* Work queues: one helper thread each, first in first out, back to the loop through uv_async.
 *
 * An item is in exactly one place: `submitted`, in the thread's hands, `finished`, or its owner's
 * again. Both lists are under `lock`; `done` is called without it. */
#include "net/loop_uv.h"
#include "net/loop_uv_internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

STAILQ_HEAD(work_list, work);

struct queue_uv {
    struct work_queue base;
    uv_async_t async;
    pthread_t thread;
    char name[16]; /* of the thread, as Linux limits it */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* the thread: something was submitted, or it shall end */
    pthread_cond_t idle; /* the loop, in destroy: nothing submitted, nothing running */
    struct work_list submitted, finished;
    bool running, ending;
};

static struct queue_uv *queue_of(struct work_queue *queue)
{
    return CONTAINER_OF(queue, struct queue_uv, base);
}

/* The next item; NULL at the end. Called and left with the lock held. */
static struct work *next_work(struct queue_uv *q)
{
    while (STAILQ_EMPTY(&q->submitted) && !q->ending)
        pthread_cond_wait(&q->wake, &q->lock);
    struct work *work = STAILQ_FIRST(&q->submitted);
    if (work)
        STAILQ_REMOVE_HEAD(&q->submitted, entry);
    return work;
}

static void *helper(void *user)
{
    struct queue_uv *q = user;
    struct work *work;
    pthread_setname_np(pthread_self(), q->name);
    pthread_mutex_lock(&q->lock);
    while ((work = next_work(q))) {
        q->running = true;
        pthread_mutex_unlock(&q->lock);
        work->run(work);
        pthread_mutex_lock(&q->lock);
        q->running = false;
        STAILQ_INSERT_TAIL(&q->finished, work, entry);
        uv_async_send(&q->async);
        if (STAILQ_EMPTY(&q->submitted))
            pthread_cond_signal(&q->idle);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

/* Calls `done` for what is finished; false when there was nothing. */
static bool finish(struct queue_uv *q)
{
    struct work_list finished = STAILQ_HEAD_INITIALIZER(finished);
    pthread_mutex_lock(&q->lock);
    STAILQ_CONCAT(&finished, &q->finished);
    pthread_mutex_unlock(&q->lock);
    bool any = !STAILQ_EMPTY(&finished);
    struct work *work;
    while ((work = STAILQ_FIRST(&finished))) {
        STAILQ_REMOVE_HEAD(&finished, entry);
        work->done(work);
    }
    return any;
}

static void finished(uv_async_t *handle)
{
    finish(handle->data);
}

/* Signals belong to the loop's thread or to the program that it lives in, never to a helper. */
static int start_thread(struct queue_uv *q)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&q->thread, NULL, helper, q);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void async_closed(uv_handle_t *handle)
{
    struct queue_uv *q = handle->data;
    pthread_cond_destroy(&q->idle);
    pthread_cond_destroy(&q->wake);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

struct work_queue *loop_uv_queue_create(struct loop *loop, const char *name)
{
    struct queue_uv *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->base.loop = loop;
    q->async.data = q;
    STAILQ_INIT(&q->submitted);
    STAILQ_INIT(&q->finished);
    snprintf(q->name, sizeof q->name, "%s", name);
    if (uv_async_init(loop_uv_handle(loop), &q->async, finished) < 0) {
        free(q);
        return NULL;
    }
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->wake, NULL);
    pthread_cond_init(&q->idle, NULL);
    if (start_thread(q) != 0) {
        uv_close((uv_handle_t *)&q->async, async_closed);
        return NULL;
    }
    return &q->base;
}

void loop_uv_queue_submit(struct work_queue *queue, struct work *work)
{
    struct queue_uv *q = queue_of(queue);
    pthread_mutex_lock(&q->lock);
    MUST(!q->ending);
    STAILQ_INSERT_TAIL(&q->submitted, work, entry);
    pthread_cond_signal(&q->wake);
    pthread_mutex_unlock(&q->lock);
}

/* A `done` may submit more: until a round brings nothing. */
void loop_uv_queue_destroy(struct work_queue *queue)
{
    struct queue_uv *q = queue_of(queue);
    do {
        pthread_mutex_lock(&q->lock);
        while (q->running || !STAILQ_EMPTY(&q->submitted))
            pthread_cond_wait(&q->idle, &q->lock);
        pthread_mutex_unlock(&q->lock);
    } while (finish(q));
    pthread_mutex_lock(&q->lock);
    q->ending = true;
    pthread_cond_signal(&q->wake);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    uv_close((uv_handle_t *)&q->async, async_closed);
}
