/* fallocate(2): reserve, punch and zero.
 *
 * Striped: passed on to the objects, piece by piece. Inline: punching writes zeros, reserving needs
 * nothing, since the service has room for inline content anyway. */
#include "client/data_internal.h"
#include "client/data_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

enum { ZERO_BYTES = 65536 };

static const uint8_t zeros[ZERO_BYTES];

static int piece_zero(int fd, struct data_piece piece)
{
    while (piece.bytes) {
        size_t bytes = piece.bytes < ZERO_BYTES ? piece.bytes : ZERO_BYTES;
        ssize_t n = pwrite(fd, zeros, bytes, (off_t)piece.offset);
        if (n < 0)
            return -errno;
        piece.offset += (uint64_t)n;
        piece.bytes -= (uint64_t)n;
    }
    return 0;
}

/* A missing object is a hole already. */
static int piece_punch(struct data_inode *inode, struct data_piece piece)
{
    int fd = data_object_fd(inode, piece.target, false);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    int rc = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)piece.offset,
                       (off_t)piece.bytes);
    if (rc < 0 && errno == EOPNOTSUPP)
        rc = piece_zero(fd, piece);
    else if (rc < 0)
        rc = -errno;
    if (!rc)
        data_object_written(inode, piece.target);
    return rc;
}

static int piece_reserve(struct data_inode *inode, struct data_piece piece)
{
    int fd = data_object_fd(inode, piece.target, true);
    if (fd < 0)
        return fd;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)piece.offset, (off_t)piece.bytes) < 0)
        return -errno;
    data_object_written(inode, piece.target);
    return 0;
}

static int each_piece(struct data_inode *inode, uint64_t offset, uint64_t bytes,
                      int (*apply)(struct data_inode *, struct data_piece))
{
    struct proto_layout layout = data_inode_attr(inode).layout;
    int rc = 0;
    while (bytes && !rc) {
        struct data_piece piece = data_layout_piece(&layout, offset, bytes);
        rc = apply(inode, piece);
        offset += piece.bytes;
        bytes -= piece.bytes;
    }
    return rc;
}

static int stripe_allocate(struct data_inode *inode, struct data_caller *caller, int mode,
                           uint64_t offset, uint64_t bytes)
{
    uint64_t end = offset + bytes, size = data_inode_size(inode);
    bool zero = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
    if (data_inode_attr(inode).cut < end) {
        int rc = data_cut(inode, caller);
        if (rc < 0)
            return rc;
    }
    int rc = each_piece(inode, offset, bytes, zero ? piece_punch : piece_reserve);
    if (rc < 0)
        return rc;
    if (!(mode & FALLOC_FL_KEEP_SIZE))
        data_inode_pend(inode, end);
    else if (zero)
        data_inode_pend(inode, end < size ? end : size);
    return 0;
}

static int inline_allocate(struct data_inode *inode, struct data_caller *caller, int mode,
                           uint64_t offset, uint64_t bytes)
{
    uint64_t end = offset + bytes, size = data_inode_size(inode);
    ssize_t n = 0;
    if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && offset < size) {
        uint64_t stop = end < size ? end : size;
        n = data_inline_write(inode, caller, zeros, stop - offset, offset);
    }
    if (n >= 0 && !(mode & FALLOC_FL_KEEP_SIZE) && end > size)
        n = data_inline_write(inode, caller, zeros, 1, end - 1);
    return n < 0 ? (int)n : 0;
}

/* Exclusive lock held. */
static int allocate(struct data_inode *inode, struct data_caller *caller, int mode, uint64_t offset,
                    uint64_t bytes)
{
    int rc = DATA_MOVED;
    for (int i = 0; i < DATA_ATTEMPTS_MAX && rc == DATA_MOVED; i++) {
        uint64_t reach = mode & FALLOC_FL_KEEP_SIZE ? data_inode_size(inode) : offset + bytes;
        rc = 0;
        if (!data_striped(inode) && reach > inode->data->inline_bytes_max)
            rc = data_convert(inode, caller);
        if (rc < 0)
            break;
        rc = data_striped(inode) ? stripe_allocate(inode, caller, mode, offset, bytes)
                                 : inline_allocate(inode, caller, mode, offset, bytes);
    }
    return rc == DATA_MOVED ? -EIO : rc;
}

int data_allocate(struct data_inode *inode, struct data_caller *caller, int mode, uint64_t offset,
                  uint64_t bytes)
{
    bool punch = mode & FALLOC_FL_PUNCH_HOLE;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) ||
        (punch && mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)))
        return -EOPNOTSUPP;
    if (!bytes)
        return -EINVAL;
    if (bytes > INT64_MAX || offset > INT64_MAX - bytes)
        return -EFBIG;
    int rc = data_lock(inode, true, caller);
    if (rc < 0)
        return rc;
    rc = data_refresh(inode, caller);
    if (!rc)
        rc = allocate(inode, caller, mode, offset, bytes);
    data_unlock(inode, true);
    return rc;
}
