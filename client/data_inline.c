/* Inline files: the content is in the service, what was written here waits as one run of bytes.
 *
 * Only bytes that were written are ever sent, so that two mounts that write different parts of a
 * small file don't undo each other. A write that does not touch the run orders the run first. */
#include "client/data_internal.h"
#include "client/tutti.h"

#include <errno.h>
#include <stdlib.h>

static bool has_run(const struct data_inode *inode)
{
    return inode->run_begin < inode->run_end;
}

/* The part of the run that lies in [offset, offset + bytes), over what was read there. */
static void run_overlay(const struct data_inode *inode, uint8_t *to, size_t bytes, uint64_t offset)
{
    uint64_t begin = inode->run_begin > offset ? inode->run_begin : offset;
    uint64_t end = inode->run_end < offset + bytes ? inode->run_end : offset + bytes;
    if (begin < end)
        memcpy(to + (begin - offset), inode->run + begin, end - begin);
}

/* One READ; the ordered bytes at `to`, the rest of it zeros. DATA_MOVED too where the answer is
 * older than attributes that another thread got meanwhile: content and size have to be of one
 * moment. */
static int read_ordered(struct data_inode *inode, struct data_caller *caller, uint8_t *to,
                        size_t bytes, uint64_t offset)
{
    const struct data_service *service = &inode->data->service;
    struct proto_op op = {
        .code = PROTO_READ, .ino = inode->ino, .offset = offset, .count = (uint32_t)bytes};
    struct proto_outcome outcome;
    struct buffer reply;
    buffer_init(&reply, PROTO_REPLY_BYTES_MAX);
    int rc = service->call(service->user, caller, DATA_AS_MOUNT, &op, &reply, &outcome);
    if (!rc && outcome.status != PROTO_OK && outcome.status != PROTO_AGAIN)
        rc = -tutti_errno(outcome.status);
    if (!rc && outcome.status == PROTO_OK) {
        data_inode_observe(inode, &outcome.attr);
        size_t n = outcome.data.bytes < bytes ? outcome.data.bytes : bytes;
        memset(to + n, 0, bytes - n);
        if (n)
            memcpy(to, outcome.data.data, n);
        bool stale = data_inode_attr(inode).ctime > outcome.attr.ctime;
        rc = outcome.attr.layout.striped || stale ? DATA_MOVED : 0;
    } else if (!rc) {
        rc = data_refresh(inode, caller);
        rc = rc ? rc : DATA_MOVED;
    }
    buffer_finish(&reply);
    return rc;
}

ssize_t data_inline_read(struct data_inode *inode, struct data_caller *caller, uint8_t *to,
                         size_t bytes, uint64_t offset)
{
    if (offset >= PROTO_INLINE_BYTES_MAX)
        return 0;
    if (bytes > PROTO_INLINE_BYTES_MAX - offset)
        bytes = PROTO_INLINE_BYTES_MAX - offset;
    int rc = read_ordered(inode, caller, to, bytes, offset);
    if (rc < 0)
        return rc;
    run_overlay(inode, to, bytes, offset);
    uint64_t size = data_inode_size(inode);
    if (offset >= size)
        return 0;
    return (ssize_t)(bytes < size - offset ? bytes : size - offset);
}

/* Put the bytes into the run, which they touch or which is empty. */
static int run_put(struct data_inode *inode, const uint8_t *from, uint32_t begin, uint32_t end)
{
    if (!inode->run)
        inode->run = malloc(inode->data->inline_bytes_max);
    if (!inode->run)
        return -ENOMEM;
    memcpy(inode->run + begin, from, end - begin);
    if (!has_run(inode) || begin < inode->run_begin)
        inode->run_begin = begin;
    if (end > inode->run_end)
        inode->run_end = end;
    data_inode_pend(inode, end);
    return 0;
}

static bool touches_run(const struct data_inode *inode, uint64_t begin, uint64_t end)
{
    return !has_run(inode) || (begin <= inode->run_end && end >= inode->run_begin);
}

ssize_t data_inline_write(struct data_inode *inode, struct data_caller *caller, const uint8_t *from,
                          size_t bytes, uint64_t offset)
{
    uint64_t end = offset + bytes;
    if (end > inode->data->inline_bytes_max)
        return DATA_MOVED;
    if (!touches_run(inode, offset, end)) {
        int rc = data_flush_locked(inode, caller);
        if (rc < 0)
            return rc;
        if (data_striped(inode))
            return DATA_MOVED;
    }
    int rc = run_put(inode, from, (uint32_t)offset, (uint32_t)end);
    return rc < 0 ? rc : (ssize_t)bytes;
}

/* WRITE and what may become of it: 0 with the outcome; DATA_MOVED where the file is, or has to
 * become, striped. */
static int order_write(struct data_inode *inode, struct data_caller *caller,
                       const struct proto_op *op, struct proto_outcome *ret_outcome)
{
    static const enum proto_status expected[] = {PROTO_AGAIN, PROTO_FBIG, PROTO_OK};
    int rc = data_call_expect(inode, caller, op, expected, ret_outcome);
    if (rc < 0 || ret_outcome->status == PROTO_OK)
        return rc;
    if (ret_outcome->status == PROTO_FBIG) {
        rc = data_convert(inode, caller);
        return rc < 0 ? rc : DATA_MOVED;
    }
    rc = data_refresh(inode, caller);
    return rc < 0 ? rc : DATA_MOVED;
}

ssize_t data_inline_append(struct data_inode *inode, struct data_caller *caller,
                           const uint8_t *from, size_t bytes)
{
    if (bytes > inode->data->inline_bytes_max ||
        data_inode_attr(inode).size > inode->data->inline_bytes_max - bytes) {
        int rc = data_convert(inode, caller);
        return rc < 0 ? rc : DATA_MOVED;
    }
    struct proto_op op = {
        .code = PROTO_WRITE,
        .ino = inode->ino,
        .flags = PROTO_WRITE_APPEND,
        .mtime = data_wall_ns(),
        .data = {from, (uint32_t)bytes},
    };
    struct proto_outcome outcome;
    int rc = order_write(inode, caller, &op, &outcome);
    return rc < 0 ? rc : (ssize_t)bytes;
}

/* Everything pending is ordered, or thrown away because the inode is gone. */
static void run_done(struct data_inode *inode)
{
    inode->run_begin = inode->run_end = 0;
    pthread_mutex_lock(&inode->mutex);
    inode->pending = false;
    pthread_mutex_unlock(&inode->mutex);
}

int data_inline_flush(struct data_inode *inode, struct data_caller *caller)
{
    if (!has_run(inode))
        return 0;
    pthread_mutex_lock(&inode->mutex);
    int64_t mtime = inode->pending_mtime;
    pthread_mutex_unlock(&inode->mutex);
    struct proto_op op = {
        .code = PROTO_WRITE,
        .ino = inode->ino,
        .offset = inode->run_begin,
        .mtime = mtime,
        .data = {inode->run + inode->run_begin, inode->run_end - inode->run_begin},
    };
    struct proto_outcome outcome;
    int rc = order_write(inode, caller, &op, &outcome);
    if (!rc || rc == -ESTALE)
        run_done(inode);
    if (rc == DATA_MOVED && data_striped(inode)) {
        rc = data_convert(inode, caller); /* moves the run */
        rc = rc < 0 ? rc : DATA_MOVED;
    }
    return rc;
}
