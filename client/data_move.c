/* What moves data: from the inode's record to objects, and the cutting of objects after a truncate.
 *
 * Invariants: content reaches the objects durably before the order says striped; an object is cut,
 * durably, before the order may grow the file past the cut; both only under the guard, and only
 * after the inode was looked at again. Source: docs/decisions.md, truncating striped files. */
#include "client/data_internal.h"
#include "client/data_layout.h"
#include "client/tutti.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static struct proto_layout new_layout(const struct data_inode *inode)
{
    const struct data *data = inode->data;
    return (struct proto_layout){
        .striped = 1,
        .targets = (uint8_t)data->target_count,
        .first = (uint8_t)(inode->ino % data->target_count),
        .stripe_bytes = data->stripe_bytes,
    };
}

/* Shorten one object to what it may hold of a file of `size` bytes. */
static int object_shorten(struct data_inode *inode, uint32_t target, uint64_t bytes)
{
    struct stat st;
    int fd = data_object_fd(inode, target, false);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size <= bytes)
        return 0;
    return ftruncate(fd, (off_t)bytes) < 0 || fdatasync(fd) < 0 ? -errno : 0;
}

static int objects_shorten(struct data_inode *inode, const struct proto_layout *layout,
                           uint64_t size)
{
    int rc = 0;
    for (uint32_t i = 0; i < layout->targets && !rc; i++)
        rc = object_shorten(inode, i, data_layout_object_bytes(layout, i, size));
    return rc;
}

static int content_write(struct data_inode *inode, const struct proto_layout *layout,
                         struct proto_bytes content)
{
    for (uint32_t at = 0; at < content.bytes;) {
        struct data_piece piece = data_layout_piece(layout, at, content.bytes - at);
        int fd = data_object_fd(inode, piece.target, true);
        if (fd < 0)
            return fd;
        ssize_t n = pwrite(fd, content.data + at, piece.bytes, (off_t)piece.offset);
        if (n < 0)
            return -errno;
        data_object_written(inode, piece.target);
        at += (uint32_t)n;
    }
    return content.bytes ? data_objects_sync(inode) : 0;
}

static int stripe(struct data_inode *inode, struct data_caller *caller,
                  const struct proto_layout *layout, uint64_t data_version)
{
    static const enum proto_status expected[] = {PROTO_AGAIN, PROTO_OK};
    struct proto_op op = {
        .code = PROTO_STRIPE, .ino = inode->ino, .value = data_version, .layout = *layout};
    struct proto_outcome outcome;
    int rc = data_call_expect(inode, caller, &op, expected, &outcome);
    if (rc < 0)
        return rc;
    return outcome.status == PROTO_AGAIN ? DATA_MOVED : 0;
}

/* Guard held. 0: striped now. DATA_MOVED: the content changed meanwhile. */
static int convert_once(struct data_inode *inode, struct data_caller *caller,
                        const struct proto_layout *layout, struct buffer *reply)
{
    const struct data_service *service = &inode->data->service;
    struct proto_op op = {.code = PROTO_READ, .ino = inode->ino, .count = PROTO_INLINE_BYTES_MAX};
    struct proto_outcome outcome;
    buffer_clear(reply);
    int rc = service->call(service->user, caller, DATA_AS_MOUNT, &op, reply, &outcome);
    if (rc < 0)
        return rc;
    if (outcome.status == PROTO_AGAIN)
        return data_refresh(inode, caller);
    if (outcome.status != PROTO_OK)
        return -tutti_errno(outcome.status);
    data_inode_observe(inode, &outcome.attr);
    if (outcome.attr.layout.striped)
        return 0;
    rc = objects_shorten(inode, layout, 0);
    if (!rc)
        rc = content_write(inode, layout, outcome.data);
    return rc ? rc : stripe(inode, caller, layout, outcome.attr.data_version);
}

static int convert_guarded(struct data_inode *inode, struct data_caller *caller,
                           const struct proto_layout *layout)
{
    struct buffer reply;
    int rc = DATA_MOVED;
    buffer_init(&reply, PROTO_REPLY_BYTES_MAX);
    for (int i = 0; i < DATA_ATTEMPTS_MAX && rc == DATA_MOVED; i++)
        rc = convert_once(inode, caller, layout, &reply);
    buffer_finish(&reply);
    if (rc == -ESTALE)
        data_objects_remove(
            inode->data, (struct data_object_name){inode->ino, data_inode_attr(inode).generation});
    return rc == DATA_MOVED ? -EIO : rc;
}

/* The run that was written on top of the inline content. */
static int run_write(struct data_inode *inode)
{
    while (inode->run_begin < inode->run_end) {
        ssize_t n = data_stripe_write(inode, inode->run + inode->run_begin,
                                      inode->run_end - inode->run_begin, inode->run_begin);
        if (n < 0)
            return (int)n;
        inode->run_begin += (uint32_t)n;
    }
    inode->run_begin = inode->run_end = 0;
    return 0;
}

int data_convert(struct data_inode *inode, struct data_caller *caller)
{
    if (!inode->data->target_count)
        return -EFBIG;
    if (!inode->known) {
        int rc = data_refresh(inode, caller);
        if (rc < 0)
            return rc;
    }
    if (!data_striped(inode)) {
        struct proto_layout layout = new_layout(inode);
        int guard = data_guard_lock(inode, &layout, caller);
        if (guard < 0)
            return guard;
        int rc = convert_guarded(inode, caller, &layout);
        data_guard_unlock(guard);
        if (rc < 0)
            return rc;
        if (!data_striped(inode))
            return -EIO;
    }
    return run_write(inode);
}

/* Guard held. */
static int cut_once(struct data_inode *inode, struct data_caller *caller)
{
    static const enum proto_status expected[] = {PROTO_AGAIN, PROTO_OK};
    int rc = data_refresh(inode, caller);
    if (rc < 0)
        return rc;
    struct proto_attr attr = data_inode_attr(inode);
    if (!attr.layout.striped || attr.cut == UINT64_MAX)
        return 0;
    rc = objects_shorten(inode, &attr.layout, attr.cut);
    if (rc < 0)
        return rc;
    struct proto_op op = {.code = PROTO_CUT_DONE, .ino = inode->ino, .value = attr.data_version};
    struct proto_outcome outcome;
    rc = data_call_expect(inode, caller, &op, expected, &outcome);
    if (rc < 0)
        return rc;
    return outcome.status == PROTO_AGAIN ? DATA_MOVED : 0;
}

int data_cut(struct data_inode *inode, struct data_caller *caller)
{
    struct proto_layout layout = data_inode_attr(inode).layout;
    int guard = data_guard_lock(inode, &layout, caller);
    if (guard < 0)
        return guard;
    int rc = DATA_MOVED;
    for (int i = 0; i < DATA_ATTEMPTS_MAX && rc == DATA_MOVED; i++)
        rc = cut_once(inode, caller);
    data_guard_unlock(guard);
    return rc == DATA_MOVED ? -EIO : rc;
}
