/* The table of inodes in use by a mount: references, handles, and what is held.
 *
 * While a handle is open or being opened, unlinks are told to hold. What was held is released when
 * its last reference goes; but while opens are being asked for, it lingers until they are answered,
 * because one of them may be its own. */
#include "base/log.h"
#include "client/data_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct data_inode *inode_create(struct data *data, uint64_t ino)
{
    struct data_inode *inode = calloc(1, sizeof *inode);
    if (!inode)
        return NULL;
    inode->data = data;
    inode->ino = ino;
    pthread_mutex_init(&inode->mutex, NULL);
    pthread_cond_init(&inode->changed, NULL);
    return inode;
}

static void inode_destroy(struct data_inode *inode)
{
    data_objects_close(inode);
    pthread_cond_destroy(&inode->changed);
    pthread_mutex_destroy(&inode->mutex);
    free(inode->run);
    free(inode);
}

struct data_inode *data_inode_get(struct data *data, uint64_t ino)
{
    struct data_inode *inode;
    pthread_mutex_lock(&data->mutex);
    HASH_FIND(hh, data->inodes, &ino, sizeof ino, inode);
    if (!inode) {
        inode = inode_create(data, ino);
        if (inode)
            HASH_ADD(hh, data->inodes, ino, sizeof inode->ino, inode);
        if (inode && !inode->hh.tbl) {
            inode_destroy(inode);
            inode = NULL;
        }
    }
    if (inode)
        inode->references++;
    pthread_mutex_unlock(&data->mutex);
    return inode;
}

/* The service kept an unlinked inode for us and nobody here uses it any more. */
static void release(struct data_inode *inode, struct data_caller *caller)
{
    const struct data_service *service = &inode->data->service;
    struct proto_op op = {.code = PROTO_RELEASE, .ino = inode->ino};
    struct proto_outcome outcome;
    struct buffer reply;
    buffer_init(&reply, PROTO_REPLY_BYTES_MAX);
    /* Where this fails, the session's end releases it. */
    (void)service->call(service->user, caller, DATA_AS_MOUNT, &op, &reply, &outcome);
    buffer_finish(&reply);
}

/* Drop a reference with data->mutex held; whether the inode is out of the table now. An inode that
 * is held stays while an open is being asked for, which may turn out to be of this inode. */
static bool drop(struct data_inode *inode)
{
    struct data *data = inode->data;
    MUST(inode->references > 0);
    if (--inode->references)
        return false;
    if (inode->held && data->opening) {
        data->lingering = true;
        return false;
    }
    HASH_DELETE(hh, data->inodes, inode);
    return true;
}

void data_inode_put(struct data_inode *inode, struct data_caller *caller)
{
    struct data *data = inode->data;
    pthread_mutex_lock(&data->mutex);
    bool gone = drop(inode);
    pthread_mutex_unlock(&data->mutex);
    if (!gone)
        return;
    if (inode->held)
        release(inode, caller);
    inode_destroy(inode);
}

void data_inodes_finish(struct data *data)
{
    struct data_inode *inode, *next;
    HASH_ITER(hh, data->inodes, inode, next)
    {
        int rc = inode->held ? 0 : data_flush_locked(inode, NULL);
        if (rc < 0)
            log_warning("data", "inode %" PRIx64 ": what was written last is lost: %s", inode->ino,
                        strerror(-rc));
        HASH_DELETE(hh, data->inodes, inode);
        inode_destroy(inode);
    }
}

static struct data_inode *take_lingering(struct data *data)
{
    struct data_inode *inode = NULL, *next;
    pthread_mutex_lock(&data->mutex);
    if (!data->opening)
        HASH_ITER(hh, data->inodes, inode, next)
    if (!inode->references) {
        HASH_DELETE(hh, data->inodes, inode);
        break;
    }
    pthread_mutex_unlock(&data->mutex);
    return inode;
}

/* An open has come to its end: those that were kept in case it was theirs can go. */
static void open_ended(struct data *data, bool has_handle)
{
    struct data_inode *inode;
    pthread_mutex_lock(&data->mutex);
    MUST(data->opening > 0 && data->opens > 0);
    data->opens -= !has_handle;
    bool last = --data->opening == 0 && data->lingering;
    if (last)
        data->lingering = false;
    pthread_mutex_unlock(&data->mutex);
    while (last && (inode = take_lingering(data))) {
        release(inode, NULL);
        inode_destroy(inode);
    }
}

void data_open_begin(struct data *data)
{
    pthread_mutex_lock(&data->mutex);
    data->opens++;
    data->opening++;
    pthread_mutex_unlock(&data->mutex);
}

void data_open_failed(struct data *data)
{
    open_ended(data, false);
}

int data_open(struct data *data, const struct proto_attr *attr, struct data_inode **ret_inode)
{
    struct data_inode *inode = data_inode_get(data, attr->ino);
    if (inode) {
        data_inode_observe(inode, attr);
        pthread_mutex_lock(&data->mutex);
        inode->handles++;
        pthread_mutex_unlock(&data->mutex);
        *ret_inode = inode;
    }
    open_ended(data, inode != NULL);
    return inode ? 0 : -ENOMEM;
}

bool data_should_hold(struct data *data)
{
    pthread_mutex_lock(&data->mutex);
    bool hold = data->opens > 0;
    pthread_mutex_unlock(&data->mutex);
    return hold;
}

void data_hold(struct data *data, uint64_t ino, struct data_caller *caller)
{
    struct data_inode *inode = data_inode_get(data, ino);
    if (!inode)
        return; /* the session's end releases it */
    pthread_mutex_lock(&data->mutex);
    inode->held = true;
    pthread_mutex_unlock(&data->mutex);
    data_inode_put(inode, caller);
}
