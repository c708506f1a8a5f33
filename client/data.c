/* The data path's calls: take the inode lock in the right way, see where the data is, look again
 * where it was moved meanwhile. */
#include "client/data_internal.h"

#include <errno.h>
#include <stdlib.h>

static int targets_open(struct data *data, const struct data_config *config, struct error *error)
{
    data->targets = calloc(config->target_count ? config->target_count : 1, sizeof *data->targets);
    if (!data->targets)
        return error_set(error, -ENOMEM, "no memory");
    for (uint32_t i = 0; i < config->target_count; i++) {
        int rc = data_target_open(config->targets[i], i, &data->targets[i], error);
        if (rc < 0)
            return rc;
        data->target_count++;
    }
    return 0;
}

int data_create(const struct data_config *config, struct data **ret_data, struct error *error)
{
    if (config->target_count > DATA_TARGETS_MAX)
        return error_set(error, -EINVAL, "at most %d data targets", DATA_TARGETS_MAX);
    if (!config->stripe_bytes || config->stripe_bytes % 4096)
        return error_set(error, -EINVAL, "the stripe size is a multiple of 4096 bytes");
    if (config->inline_bytes_max > PROTO_INLINE_BYTES_MAX)
        return error_set(error, -EPROTO, "the service asks for %u inline bytes, the limit is %d",
                         config->inline_bytes_max, PROTO_INLINE_BYTES_MAX);
    struct data *data = calloc(1, sizeof *data);
    if (!data)
        return error_set(error, -ENOMEM, "no memory");
    data->service = config->service;
    data->stripe_bytes = config->stripe_bytes;
    data->inline_bytes_max = config->inline_bytes_max;
    pthread_mutex_init(&data->mutex, NULL);
    int rc = targets_open(data, config, error);
    if (rc < 0) {
        data_destroy(data);
        return rc;
    }
    *ret_data = data;
    return 0;
}

void data_destroy(struct data *data)
{
    data_inodes_finish(data);
    for (uint32_t i = 0; i < data->target_count; i++)
        data_target_close(&data->targets[i]);
    pthread_mutex_destroy(&data->mutex);
    free(data->targets);
    free(data);
}

int data_flush_locked(struct data_inode *inode, struct data_caller *caller)
{
    int rc = DATA_MOVED;
    for (int i = 0; i < DATA_ATTEMPTS_MAX && rc == DATA_MOVED; i++)
        rc = data_striped(inode) ? data_stripe_grow(inode, caller)
                                 : data_inline_flush(inode, caller);
    return rc == DATA_MOVED ? -EIO : rc;
}

static bool is_pending(struct data_inode *inode)
{
    pthread_mutex_lock(&inode->mutex);
    bool pending = inode->pending;
    pthread_mutex_unlock(&inode->mutex);
    return pending;
}

int data_flush(struct data_inode *inode, struct data_caller *caller)
{
    if (!is_pending(inode))
        return 0;
    int rc = data_lock(inode, true, caller);
    if (rc < 0)
        return rc;
    rc = data_flush_locked(inode, caller);
    data_unlock(inode, true);
    return rc;
}

int data_fsync(struct data_inode *inode, struct data_caller *caller)
{
    int rc = data_lock(inode, true, caller);
    if (rc < 0)
        return rc;
    rc = data_objects_sync(inode);
    if (!rc)
        rc = data_flush_locked(inode, caller);
    if (!rc)
        rc = data_objects_sync(inode); /* what was moved out of the inode's record just now */
    data_unlock(inode, true);
    return rc;
}

ssize_t data_read(struct data_inode *inode, struct data_caller *caller, void *to, size_t bytes,
                  uint64_t offset)
{
    ssize_t n = DATA_MOVED;
    if (bytes == 0)
        return 0;
    if (offset > INT64_MAX)
        return -EINVAL;
    if (bytes > INT64_MAX - offset)
        bytes = INT64_MAX - offset;
    for (int i = 0; i < DATA_ATTEMPTS_MAX && n == DATA_MOVED; i++) {
        int rc = data_lock(inode, false, caller);
        if (rc < 0)
            return rc;
        n = data_striped(inode) ? data_stripe_read(inode, to, bytes, offset)
                                : data_inline_read(inode, caller, to, bytes, offset);
        data_unlock(inode, false);
    }
    return n == DATA_MOVED ? -EIO : n;
}

/* A write up to `end` needs no more than the objects. */
static bool is_in_place(struct data_inode *inode, uint64_t end)
{
    struct proto_attr attr = data_inode_attr(inode);
    return attr.layout.striped && end <= attr.cut;
}

static ssize_t write_in_place(struct data_inode *inode, struct data_caller *caller,
                              const void *from, size_t bytes, uint64_t offset)
{
    int rc = data_lock(inode, false, caller);
    if (rc < 0)
        return rc;
    ssize_t n = is_in_place(inode, offset + bytes) ? data_stripe_write(inode, from, bytes, offset)
                                                   : DATA_MOVED;
    data_unlock(inode, false);
    return n;
}

/* Exclusive lock held: make [0, end) writable where it is to be. */
static int make_room(struct data_inode *inode, struct data_caller *caller, uint64_t end)
{
    if (!data_striped(inode))
        return end > inode->data->inline_bytes_max ? data_convert(inode, caller) : 0;
    return is_in_place(inode, end) ? 0 : data_cut(inode, caller);
}

static ssize_t write_exclusive(struct data_inode *inode, struct data_caller *caller,
                               const void *from, size_t bytes, uint64_t offset)
{
    int rc = data_lock(inode, true, caller);
    if (rc < 0)
        return rc;
    ssize_t n = make_room(inode, caller, offset + bytes);
    if (!n)
        n = data_striped(inode) ? data_stripe_write(inode, from, bytes, offset)
                                : data_inline_write(inode, caller, from, bytes, offset);
    data_unlock(inode, true);
    return n;
}

/* What was written before has to be in the size that the append goes behind. */
static int append_flush(struct data_inode *inode, struct data_caller *caller)
{
    if (data_striped(inode) && data_inode_size(inode) == data_inode_attr(inode).size)
        return 0;
    return data_flush_locked(inode, caller);
}

static ssize_t append(struct data_inode *inode, struct data_caller *caller, const void *from,
                      size_t bytes)
{
    ssize_t n = DATA_MOVED;
    int rc = data_lock(inode, true, caller);
    if (rc < 0)
        return rc;
    rc = append_flush(inode, caller);
    for (int i = 0; i < DATA_ATTEMPTS_MAX && !rc && n == DATA_MOVED; i++)
        n = data_striped(inode) ? data_stripe_append(inode, caller, from, bytes)
                                : data_inline_append(inode, caller, from, bytes);
    data_unlock(inode, true);
    return rc < 0 ? rc : n;
}

ssize_t data_write(struct data_inode *inode, struct data_caller *caller, const void *from,
                   size_t bytes, uint64_t offset, bool at_end)
{
    ssize_t n = DATA_MOVED;
    if (bytes == 0)
        return 0;
    if (bytes > INT64_MAX || offset > INT64_MAX - bytes)
        return -EFBIG;
    for (int i = 0; i < DATA_ATTEMPTS_MAX && n == DATA_MOVED; i++) {
        if (at_end)
            n = append(inode, caller, from, bytes);
        else if (is_in_place(inode, offset + bytes))
            n = write_in_place(inode, caller, from, bytes, offset);
        else
            n = write_exclusive(inode, caller, from, bytes, offset);
    }
    return n == DATA_MOVED ? -EIO : n;
}

/* Whether this is the last handle, which still counts. */
static bool is_last(struct data_inode *inode)
{
    pthread_mutex_lock(&inode->data->mutex);
    bool last = inode->handles == 1 && !inode->held;
    pthread_mutex_unlock(&inode->data->mutex);
    return last;
}

int data_close(struct data_inode *inode, struct data_caller *caller)
{
    struct data *data = inode->data;
    int rc = is_last(inode) ? data_flush(inode, caller) : 0;
    pthread_mutex_lock(&data->mutex);
    MUST(inode->handles > 0 && data->opens > 0);
    inode->handles--;
    data->opens--;
    pthread_mutex_unlock(&data->mutex);
    data_inode_put(inode, caller);
    return rc;
}

int data_capacity(struct data *data, struct statvfs *ret_capacity)
{
    return data_target_capacity(data->targets, data->target_count, ret_capacity);
}
