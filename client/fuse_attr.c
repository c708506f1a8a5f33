/* Attributes, access, capacity. */
#include "client/fuse_internal.h"

#include <errno.h>
#include <unistd.h>

enum { BLOCK_BYTES = 4096 };

void mount_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct mount_call call;
    struct proto_op op = {.code = PROTO_GETATTR, .ino = ino};
    mount_call_begin(&call, req);
    mount_reply_attr(&call, mount_call_as_caller(&call, &op));
}

static int64_t to_ns(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static uint32_t valid_bits(int to_set)
{
    static const struct {
        int fuse;
        uint32_t proto;
    } bits[] = {
        {FUSE_SET_ATTR_MODE, PROTO_SET_MODE},   {FUSE_SET_ATTR_UID, PROTO_SET_UID},
        {FUSE_SET_ATTR_GID, PROTO_SET_GID},     {FUSE_SET_ATTR_SIZE, PROTO_SET_SIZE},
        {FUSE_SET_ATTR_ATIME, PROTO_SET_ATIME}, {FUSE_SET_ATTR_MTIME, PROTO_SET_MTIME},
    };
    uint32_t valid = 0;
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
        if (to_set & bits[i].fuse)
            valid |= bits[i].proto;
    if (to_set & FUSE_SET_ATTR_ATIME_NOW)
        valid = (valid & ~(uint32_t)PROTO_SET_ATIME) | PROTO_SET_ATIME_NOW;
    if (to_set & FUSE_SET_ATTR_MTIME_NOW)
        valid = (valid & ~(uint32_t)PROTO_SET_MTIME) | PROTO_SET_MTIME_NOW;
    return valid;
}

/* ftruncate: that the handle may write was decided when it was opened. */
static enum data_authority authority_of(const struct proto_op *op, const struct fuse_file_info *fi)
{
    const uint32_t others = PROTO_SET_MODE | PROTO_SET_UID | PROTO_SET_GID;
    return fi && op->valid & PROTO_SET_SIZE && !(op->valid & others) ? DATA_AS_MOUNT
                                                                     : DATA_AS_CALLER;
}

/* Files lose set-user-id and set-group-id when somebody else writes them. The kernel does that by a
 * new mode with the writer's credentials, which the service has to refuse. A chmod(2) by somebody
 * who is not the owner never comes here: the kernel refuses it itself (default_permissions). So a
 * refused mode that only takes those bits away is the kernel's own. (FUSE_CAP_HANDLE_KILLPRIV would
 * leave it to us, but libfuse 3.14 does not pass it on, and with it chown(2) of nothing by anybody
 * would look the same.) */
static bool is_drop(const struct proto_op *op, const struct proto_attr *attr)
{
    const uint32_t both = S_ISUID | S_ISGID, mode = op->mode & 07777, now = attr->mode & 07777;
    return (mode & ~both) == (now & ~both) && !(mode & both & ~now);
}

static int drop_refused(struct mount_call *call, const struct proto_op *op)
{
    struct proto_op look = {.code = PROTO_GETATTR, .ino = op->ino};
    struct proto_op drop = {.code = PROTO_SETATTR, .ino = op->ino, .valid = PROTO_SET_KILL_SUID};
    int rc = mount_call_as_mount(call, &look);
    if (rc < 0)
        return rc;
    return is_drop(op, &call->outcome.attr) ? mount_call_as_mount(call, &drop) : -EPERM;
}

void mount_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
                   struct fuse_file_info *fi)
{
    struct mount_call call;
    struct proto_op op = {
        .code = PROTO_SETATTR,
        .ino = ino,
        .valid = valid_bits(to_set),
        .mode = st->st_mode,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .size = (uint64_t)st->st_size,
        .atime = to_ns(&st->st_atim),
        .mtime = to_ns(&st->st_mtim),
    };
    mount_call_begin(&call, req);
    if (op.valid & PROTO_SET_SIZE && call.caller.credentials.uid != 0)
        op.valid = (op.valid & ~(uint32_t)PROTO_SET_MODE) | PROTO_SET_KILL_SUID;
    int rc =
        data_setattr(call.mount->data, &call.caller, authority_of(&op, fi), &op, &call.outcome);
    if (!rc)
        rc = -tutti_errno(call.outcome.status);
    if (rc == -EPERM && op.valid == PROTO_SET_MODE)
        rc = drop_refused(&call, &op);
    mount_reply_attr(&call, rc);
}

void mount_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
    struct mount_call call;
    struct proto_op op = {
        .code = PROTO_ACCESS,
        .ino = ino,
        .flags = (mask & R_OK ? PROTO_OPEN_READ : 0) | (mask & W_OK ? PROTO_OPEN_WRITE : 0) |
                 (mask & X_OK ? PROTO_OPEN_EXEC : 0),
    };
    mount_call_begin(&call, req);
    mount_reply_error(&call, mount_call_as_caller(&call, &op));
}

/* Without data targets all content is inline: as many blocks as there can be small files. */
static void inline_capacity(const struct proto_statfs *figures, struct statvfs *capacity)
{
    uint64_t each = (figures->inline_bytes_max + BLOCK_BYTES - 1) / BLOCK_BYTES;
    uint64_t used = (figures->bytes_used + BLOCK_BYTES - 1) / BLOCK_BYTES;
    uint64_t limit = UINT64_MAX / BLOCK_BYTES / (each ? each : 1);
    uint64_t inodes = figures->inodes_max < limit ? figures->inodes_max : limit;
    capacity->f_bsize = capacity->f_frsize = BLOCK_BYTES;
    capacity->f_blocks = inodes * each;
    capacity->f_bfree = used < capacity->f_blocks ? capacity->f_blocks - used : 0;
    capacity->f_bavail = capacity->f_bfree;
}

static int capacity_of(struct mount *mount, struct proto_bytes data, struct statvfs *ret_capacity)
{
    struct proto_statfs figures;
    struct reader r = reader_make(data.data, data.bytes);
    proto_statfs_read(&r, &figures);
    if (!reader_complete(&r))
        return -EPROTO;
    int rc = data_capacity(mount->data, ret_capacity);
    if (rc < 0)
        return rc;
    if (!ret_capacity->f_blocks)
        inline_capacity(&figures, ret_capacity);
    ret_capacity->f_namemax = figures.name_bytes_max;
    ret_capacity->f_files = figures.inodes_max;
    ret_capacity->f_ffree =
        figures.inodes_used < figures.inodes_max ? figures.inodes_max - figures.inodes_used : 0;
    ret_capacity->f_favail = ret_capacity->f_ffree;
    return 0;
}

void mount_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct mount_call call;
    struct statvfs capacity;
    struct proto_op op = {.code = PROTO_STATFS, .ino = ino ? ino : PROTO_ROOT_INO};
    mount_call_begin(&call, req);
    int rc = mount_call_as_caller(&call, &op);
    if (!rc)
        rc = capacity_of(call.mount, call.outcome.data, &capacity);
    if (rc < 0) {
        mount_reply_error(&call, rc);
        return;
    }
    fuse_reply_statfs(req, &capacity);
    mount_call_end(&call);
}
