/* The mount's two threads beside those of libfuse.
 *
 * watch: twice a second, if calls wait, has each look at its caller (fuse_caller.c). When the mount
 * is told to end while no replica answers, gives what waits some time and then lets go of it.
 * purge: removes the objects of deleted files; blocks in the service, so it is a thread of its own.
 */
#include "base/log.h"
#include "client/fuse_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WATCH_INTERVAL_MS = 500, PURGE_INTERVAL_MS = 1000, END_INTERVALS = 20 };

struct mount_watch {
    struct mount *mount;
    pthread_t watcher, purger;
    pthread_mutex_t mutex;
    pthread_cond_t stopped;
    bool stop;
};

/* True when it is time to end. */
static bool sleep_ms(struct mount_watch *watch, unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&watch->mutex);
    int rc = 0;
    while (!watch->stop && rc != ETIMEDOUT)
        rc = pthread_cond_clockwait(&watch->stopped, &watch->mutex, CLOCK_MONOTONIC, &until);
    bool stop = watch->stop;
    pthread_mutex_unlock(&watch->mutex);
    return stop;
}

static void *watch_run(void *user)
{
    struct mount_watch *watch = user;
    struct mount *mount = watch->mount;
    unsigned ending = 0;
    while (!sleep_ms(watch, WATCH_INTERVAL_MS)) {
        ending += fuse_session_exited(mount->session);
        if (ending > END_INTERVALS)
            atomic_store(&mount->stopping, true);
        if (atomic_load(&mount->waiting))
            tutti_wake(mount->client);
    }
    return NULL;
}

/* The last round, at unmounting, takes what is there without waiting for more. */
static void *purge_run(void *user)
{
    struct mount_watch *watch = user;
    struct log_limit limit = {0};
    unsigned pause_ms = PURGE_INTERVAL_MS;
    while (!sleep_ms(watch, pause_ms)) {
        int n = data_purge(watch->mount->data, NULL);
        if (n < 0)
            log_limited(&limit, 1, LOG_LEVEL_WARNING, "purge", "%s", strerror(-n));
        pause_ms = n > 0 ? 0 : PURGE_INTERVAL_MS;
    }
    while (data_purge(watch->mount->data, NULL) > 0)
        continue;
    return NULL;
}

int mount_watch_start(struct mount *mount, struct error *error)
{
    struct mount_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return error_set(error, -ENOMEM, "no memory");
    watch->mount = mount;
    pthread_mutex_init(&watch->mutex, NULL);
    pthread_cond_init(&watch->stopped, NULL);
    int rc = pthread_create(&watch->watcher, NULL, watch_run, watch);
    if (rc) {
        free(watch);
        return error_set(error, -rc, "thread: %s", strerror(rc));
    }
    rc = pthread_create(&watch->purger, NULL, purge_run, watch);
    mount->watch = watch;
    if (!rc)
        return 0;
    watch->purger = watch->watcher;
    mount_watch_stop(mount);
    return error_set(error, -rc, "thread: %s", strerror(rc));
}

void mount_watch_stop(struct mount *mount)
{
    struct mount_watch *watch = mount->watch;
    if (!watch)
        return;
    pthread_mutex_lock(&watch->mutex);
    watch->stop = true;
    pthread_cond_broadcast(&watch->stopped);
    pthread_mutex_unlock(&watch->mutex);
    pthread_join(watch->watcher, NULL);
    if (!pthread_equal(watch->purger, watch->watcher))
        pthread_join(watch->purger, NULL);
    pthread_cond_destroy(&watch->stopped);
    pthread_mutex_destroy(&watch->mutex);
    free(watch);
    mount->watch = NULL;
}
