/* What is known of an inode: the newest ordered attributes, and what this mount has written since.
 *
 * Attributes arrive from many threads, in no order. The service gives each change of an inode a
 * time of its own that never goes back, so (ctime, data_version) tells which of two is newer. */
#include "client/data_internal.h"

#include <time.h>

int64_t data_wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool is_older(const struct proto_attr *a, const struct proto_attr *b)
{
    if (a->ctime != b->ctime)
        return a->ctime < b->ctime;
    return a->data_version < b->data_version;
}

/* Mutex held. Of two with the same time and version, the one without a cut is newer: what sets a
 * cut changes the time, what clears it need not. */
static void observe(struct data_inode *inode, const struct proto_attr *attr)
{
    if (inode->known && is_older(attr, &inode->attr))
        return;
    uint64_t cut = attr->cut;
    if (inode->known && !is_older(&inode->attr, attr) && inode->attr.cut > cut)
        cut = inode->attr.cut;
    inode->known = true;
    inode->attr = *attr;
    inode->attr.cut = cut;
}

void data_inode_observe(struct data_inode *inode, const struct proto_attr *attr)
{
    pthread_mutex_lock(&inode->mutex);
    observe(inode, attr);
    pthread_mutex_unlock(&inode->mutex);
}

struct proto_attr data_inode_attr(struct data_inode *inode)
{
    pthread_mutex_lock(&inode->mutex);
    struct proto_attr attr = inode->attr;
    pthread_mutex_unlock(&inode->mutex);
    return attr;
}

/* Mutex held. Whoever watches mtime has to see that it changed. */
static int64_t next_mtime(const struct data_inode *inode)
{
    int64_t now = data_wall_ns();
    return inode->known && now == inode->attr.mtime ? now + 1 : now;
}

void data_inode_pend(struct data_inode *inode, uint64_t end)
{
    pthread_mutex_lock(&inode->mutex);
    if (!inode->pending || end > inode->pending_size)
        inode->pending_size = end;
    inode->pending = true;
    inode->pending_mtime = next_mtime(inode);
    pthread_mutex_unlock(&inode->mutex);
}

/* Mutex held. */
static uint64_t size_with_pending(const struct data_inode *inode)
{
    if (inode->pending && inode->pending_size > inode->attr.size)
        return inode->pending_size;
    return inode->attr.size;
}

uint64_t data_inode_size(struct data_inode *inode)
{
    pthread_mutex_lock(&inode->mutex);
    uint64_t size = size_with_pending(inode);
    pthread_mutex_unlock(&inode->mutex);
    return size;
}

/* Mutex held. */
static void put_on_top(const struct data_inode *inode, struct proto_attr *attr)
{
    *attr = inode->attr;
    if (!inode->pending)
        return;
    attr->size = size_with_pending(inode);
    attr->mtime = inode->pending_mtime;
    uint64_t blocks = (attr->size + 511) / 512;
    if (attr->blocks < blocks)
        attr->blocks = blocks;
}

void data_known_attr(struct data_inode *inode, struct proto_attr *ret_attr)
{
    pthread_mutex_lock(&inode->mutex);
    put_on_top(inode, ret_attr);
    pthread_mutex_unlock(&inode->mutex);
}

void data_attr(struct data *data, struct proto_attr *attr)
{
    struct data_inode *inode;
    uint64_t ino = attr->ino;
    pthread_mutex_lock(&data->mutex);
    HASH_FIND(hh, data->inodes, &ino, sizeof ino, inode);
    if (inode)
        inode->references++;
    pthread_mutex_unlock(&data->mutex);
    if (!inode)
        return;
    pthread_mutex_lock(&inode->mutex);
    observe(inode, attr);
    put_on_top(inode, attr);
    pthread_mutex_unlock(&inode->mutex);
    data_inode_put(inode, NULL);
}
