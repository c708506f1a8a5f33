/* The objects of one inode: descriptors, what an fsync owes, and the guard.
 *
 * The guard is an flock on the object that holds the file's first byte. Content moves from inline
 * to objects, and objects are cut, by one mount at a time; each looks at the inode again once it
 * has the guard. So a mount that is late can't write old content over, or cut away, what another
 * one wrote after the move. A mount that dies lets go of it. */
#include "client/data_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { GUARD_INTERVAL_NS = 5 * 1000 * 1000 };

static struct data_object_name name_of(struct data_inode *inode)
{
    return (struct data_object_name){inode->ino, data_inode_attr(inode).generation};
}

static int objects_allocate(struct data_inode *inode)
{
    if (inode->objects)
        return 0;
    uint32_t count = inode->data->target_count;
    struct data_object *objects = calloc(count ? count : 1, sizeof *objects);
    if (!objects)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        objects[i].fd = -1;
    inode->objects = objects;
    return 0;
}

/* Mutex held. */
static int object_open(struct data_inode *inode, uint32_t target, struct data_object_name name,
                       bool create)
{
    int rc = objects_allocate(inode);
    if (rc < 0)
        return rc;
    struct data_object *object = &inode->objects[target];
    if (object->fd >= 0)
        return object->fd;
    bool created;
    int fd = data_target_object(&inode->data->targets[target], name, create, &created);
    if (fd < 0)
        return fd;
    object->fd = fd;
    if (created)
        object->state |= DATA_OBJECT_CREATED;
    return fd;
}

int data_object_fd(struct data_inode *inode, uint32_t target, bool create)
{
    if (target >= inode->data->target_count)
        return -EIO; /* this mount lists fewer targets than the one that made the file */
    struct data_object_name name = name_of(inode);
    pthread_mutex_lock(&inode->mutex);
    int fd = object_open(inode, target, name, create);
    pthread_mutex_unlock(&inode->mutex);
    return fd;
}

void data_object_written(struct data_inode *inode, uint32_t target)
{
    pthread_mutex_lock(&inode->mutex);
    inode->objects[target].state |= DATA_OBJECT_UNSYNCED;
    pthread_mutex_unlock(&inode->mutex);
}

static uint8_t take_state(struct data_inode *inode, uint32_t target)
{
    pthread_mutex_lock(&inode->mutex);
    uint8_t state = inode->objects ? inode->objects[target].state : 0;
    if (state)
        inode->objects[target].state = 0;
    pthread_mutex_unlock(&inode->mutex);
    return state;
}

static int object_sync(struct data_inode *inode, uint32_t target, uint8_t state)
{
    int fd = data_object_fd(inode, target, false);
    if (fd < 0)
        return fd;
    if (state & DATA_OBJECT_UNSYNCED && fdatasync(fd) < 0)
        return -errno;
    if (state & DATA_OBJECT_CREATED)
        return data_target_sync_names(&inode->data->targets[target], name_of(inode));
    return 0;
}

int data_objects_sync(struct data_inode *inode)
{
    int rc = 0;
    for (uint32_t i = 0; i < inode->data->target_count && !rc; i++) {
        uint8_t state = take_state(inode, i);
        if (state)
            rc = object_sync(inode, i, state);
    }
    pthread_mutex_lock(&inode->mutex);
    if (rc < 0)
        inode->sync_error = rc;
    rc = inode->sync_error;
    pthread_mutex_unlock(&inode->mutex);
    return rc;
}

void data_objects_close(struct data_inode *inode)
{
    for (uint32_t i = 0; inode->objects && i < inode->data->target_count; i++)
        if (inode->objects[i].fd >= 0)
            close(inode->objects[i].fd);
    free(inode->objects);
    inode->objects = NULL;
}

int data_objects_remove(struct data *data, struct data_object_name name)
{
    int rc = 0;
    for (uint32_t i = 0; i < data->target_count; i++) {
        int one = data_target_remove(&data->targets[i], name);
        if (!rc)
            rc = one;
    }
    return rc;
}

int data_guard_lock(struct data_inode *inode, const struct proto_layout *layout,
                    struct data_caller *caller)
{
    const struct data_service *service = &inode->data->service;
    const struct timespec interval = {.tv_nsec = GUARD_INTERVAL_NS};
    int fd = data_object_fd(inode, layout->first, true);
    if (fd < 0)
        return fd;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (service->cancelled(service->user, caller))
            return -EINTR;
        nanosleep(&interval, NULL);
    }
    return fd;
}

void data_guard_unlock(int guard)
{
    flock(guard, LOCK_UN);
}
