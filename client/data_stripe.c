/* Striped files: reads and writes on the objects, and the ordered size and time that follow.
 *
 * Bytes beyond the order's cut are zeros to readers, whatever the objects hold, and nobody writes
 * there before they were cut. An object that is missing or short is a hole. */
#include "client/data_internal.h"
#include "client/data_layout.h"

#include <errno.h>
#include <unistd.h>

/* Fill `bytes` from one object; zeros where it has none. */
static int piece_read(struct data_inode *inode, struct data_piece piece, uint8_t *to)
{
    uint64_t at = 0;
    int fd = data_object_fd(inode, piece.target, false);
    if (fd < 0 && fd != -ENOENT)
        return fd;
    while (fd >= 0 && at < piece.bytes) {
        ssize_t n = pread(fd, to + at, piece.bytes - at, (off_t)(piece.offset + at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        at += (uint64_t)n;
    }
    memset(to + at, 0, piece.bytes - at);
    return 0;
}

ssize_t data_stripe_read(struct data_inode *inode, uint8_t *to, size_t bytes, uint64_t offset)
{
    struct proto_attr attr = data_inode_attr(inode);
    uint64_t size = data_inode_size(inode);
    if (offset >= size)
        return 0;
    if (bytes > size - offset)
        bytes = size - offset;
    size_t stored = bytes;
    if (attr.cut < offset + bytes)
        stored = attr.cut > offset ? attr.cut - offset : 0;
    for (size_t at = 0; at < stored;) {
        struct data_piece piece = data_layout_piece(&attr.layout, offset + at, stored - at);
        int rc = piece_read(inode, piece, to + at);
        if (rc < 0)
            return rc;
        at += piece.bytes;
    }
    memset(to + stored, 0, bytes - stored);
    return (ssize_t)bytes;
}

/* Bytes written, at least one; or a negative errno. */
static ssize_t piece_write(struct data_inode *inode, struct data_piece piece, const uint8_t *from)
{
    int fd = data_object_fd(inode, piece.target, true);
    if (fd < 0)
        return fd;
    for (;;) {
        ssize_t n = pwrite(fd, from, piece.bytes, (off_t)piece.offset);
        if (n > 0) {
            data_object_written(inode, piece.target);
            return n;
        }
        if (n == 0)
            return -EIO;
        if (errno != EINTR)
            return -errno;
    }
}

ssize_t data_stripe_write(struct data_inode *inode, const uint8_t *from, size_t bytes,
                          uint64_t offset)
{
    struct proto_attr attr = data_inode_attr(inode);
    size_t at = 0;
    if (attr.cut < offset + bytes)
        return DATA_MOVED;
    while (at < bytes) {
        struct data_piece piece = data_layout_piece(&attr.layout, offset + at, bytes - at);
        ssize_t n = piece_write(inode, piece, from + at);
        if (n < 0 && !at)
            return n;
        if (n < 0)
            break;
        at += (size_t)n;
    }
    if (at)
        data_inode_pend(inode, offset + at);
    return (ssize_t)at;
}

ssize_t data_stripe_append(struct data_inode *inode, struct data_caller *caller,
                           const uint8_t *from, size_t bytes)
{
    static const enum proto_status expected[] = {PROTO_AGAIN, PROTO_OK};
    struct proto_op op = {
        .code = PROTO_RESERVE, .ino = inode->ino, .size = bytes, .mtime = data_wall_ns()};
    struct proto_outcome outcome;
    if (data_inode_attr(inode).cut != UINT64_MAX) {
        int rc = data_cut(inode, caller);
        if (rc < 0)
            return rc;
    }
    int rc = data_call_expect(inode, caller, &op, expected, &outcome);
    if (rc < 0)
        return rc;
    if (outcome.status == PROTO_AGAIN) {
        rc = data_cut(inode, caller);
        return rc < 0 ? rc : DATA_MOVED;
    }
    return data_stripe_write(inode, from, bytes, outcome.value);
}

/* The inode is gone: what was written to objects since is garbage. */
static void throw_away(struct data_inode *inode)
{
    struct data_object_name name = {inode->ino, data_inode_attr(inode).generation};
    data_objects_remove(inode->data, name);
    pthread_mutex_lock(&inode->mutex);
    inode->pending = false;
    pthread_mutex_unlock(&inode->mutex);
}

int data_stripe_grow(struct data_inode *inode, struct data_caller *caller)
{
    static const enum proto_status expected[] = {PROTO_AGAIN, PROTO_OK};
    struct proto_outcome outcome;
    pthread_mutex_lock(&inode->mutex);
    bool pending = inode->pending;
    struct proto_op op = {.code = PROTO_GROW,
                          .ino = inode->ino,
                          .size = inode->pending_size,
                          .mtime = inode->pending_mtime};
    pthread_mutex_unlock(&inode->mutex);
    if (!pending)
        return 0;
    int rc = data_call_expect(inode, caller, &op, expected, &outcome);
    if (rc == -ESTALE)
        throw_away(inode);
    if (rc < 0)
        return rc;
    if (outcome.status == PROTO_AGAIN) {
        rc = data_cut(inode, caller);
        return rc < 0 ? rc : DATA_MOVED;
    }
    pthread_mutex_lock(&inode->mutex);
    inode->pending = false;
    pthread_mutex_unlock(&inode->mutex);
    return 0;
}
