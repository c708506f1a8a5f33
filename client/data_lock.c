/* The inode lock: many readers or one writer, held across calls to the service.
 *
 * Not a pthread_rwlock, because whoever waits for it may wait for a replica that is away, and has
 * to be killable: the wait asks at intervals whether its caller is being killed. A waiting writer
 * stops new readers. */
#include "client/data_internal.h"

#include <errno.h>
#include <time.h>

enum { ASK_INTERVAL_NS = 200 * 1000 * 1000 };

static bool may_enter(const struct data_inode *inode, bool exclusive)
{
    if (exclusive)
        return !inode->writer && !inode->readers;
    return !inode->writer && !inode->writers_waiting;
}

/* Mutex held. */
static void wait_a_while(struct data_inode *inode)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ASK_INTERVAL_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_clockwait(&inode->changed, &inode->mutex, CLOCK_MONOTONIC, &until);
}

/* Mutex held, and let go of while asking. */
static bool is_cancelled(struct data_inode *inode, struct data_caller *caller)
{
    const struct data_service *service = &inode->data->service;
    pthread_mutex_unlock(&inode->mutex);
    bool cancelled = service->cancelled(service->user, caller);
    pthread_mutex_lock(&inode->mutex);
    return cancelled;
}

int data_lock(struct data_inode *inode, bool exclusive, struct data_caller *caller)
{
    int rc = 0;
    pthread_mutex_lock(&inode->mutex);
    inode->writers_waiting += exclusive;
    while (!may_enter(inode, exclusive)) {
        wait_a_while(inode);
        if (!may_enter(inode, exclusive) && is_cancelled(inode, caller)) {
            rc = -EINTR;
            break;
        }
    }
    inode->writers_waiting -= exclusive;
    if (rc < 0)
        pthread_cond_broadcast(&inode->changed); /* readers may have waited for this writer */
    else if (exclusive)
        inode->writer = true;
    else
        inode->readers++;
    pthread_mutex_unlock(&inode->mutex);
    return rc;
}

void data_unlock(struct data_inode *inode, bool exclusive)
{
    pthread_mutex_lock(&inode->mutex);
    if (exclusive)
        inode->writer = false;
    else
        inode->readers--;
    pthread_cond_broadcast(&inode->changed);
    pthread_mutex_unlock(&inode->mutex);
}
