/* Names: lookup, making and removing entries.
 *
 * Time-outs are 0, so every look of the kernel comes here. Where this mount has files open, unlink
 * and rename ask the service to hold the inode (docs/decisions.md, unlinked and still open). */
#include "client/fuse_internal.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>

void mount_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct mount_call call;
    struct proto_op op = {.code = PROTO_LOOKUP, .parent = parent, .name = mount_name(name)};
    mount_call_begin(&call, req);
    mount_reply_entry(&call, mount_call_as_caller(&call, &op));
}

void mount_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    fuse_reply_none(req);
}

void mount_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    fuse_reply_none(req);
}

void mount_readlink(fuse_req_t req, fuse_ino_t ino)
{
    struct mount_call call;
    struct proto_op op = {.code = PROTO_READLINK, .ino = ino};
    char target[PROTO_SYMLINK_BYTES_MAX + 1];
    mount_call_begin(&call, req);
    int rc = mount_call_as_caller(&call, &op);
    if (!rc && call.outcome.data.bytes > PROTO_SYMLINK_BYTES_MAX)
        rc = -EPROTO;
    if (rc < 0) {
        mount_reply_error(&call, rc);
        return;
    }
    if (call.outcome.data.bytes)
        memcpy(target, call.outcome.data.data, call.outcome.data.bytes);
    target[call.outcome.data.bytes] = 0;
    fuse_reply_readlink(req, target);
    mount_call_end(&call);
}

/* Operations that make an entry and answer with its attributes. */
static void make(fuse_req_t req, const struct proto_op *op)
{
    struct mount_call call;
    mount_call_begin(&call, req);
    mount_reply_entry(&call, mount_call_as_caller(&call, op));
}

void mount_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    make(req, &(struct proto_op){.code = PROTO_MKNOD,
                                 .parent = parent,
                                 .name = mount_name(name),
                                 .mode = mode,
                                 .rdev = rdev});
}

void mount_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    make(req, &(struct proto_op){.code = PROTO_MKDIR,
                                 .parent = parent,
                                 .name = mount_name(name),
                                 .mode = S_IFDIR | (mode & 07777)});
}

void mount_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    make(req, &(struct proto_op){.code = PROTO_SYMLINK,
                                 .parent = parent,
                                 .name = mount_name(name),
                                 .data = mount_name(target)});
}

void mount_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    make(req, &(struct proto_op){
                  .code = PROTO_LINK, .ino = ino, .parent2 = parent, .name2 = mount_name(name)});
}

/* An entry went, and with it perhaps the last link of what is open here. */
static void reply_removed(struct mount_call *call, int rc)
{
    if (!rc && call->outcome.fields & PROTO_REPLY_VALUE && call->outcome.value)
        data_hold(call->mount->data, call->outcome.value, &call->caller);
    mount_reply_error(call, rc);
}

void mount_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct mount_call call;
    struct proto_op op = {.code = PROTO_UNLINK, .parent = parent, .name = mount_name(name)};
    mount_call_begin(&call, req);
    if (data_should_hold(call.mount->data))
        op.flags |= PROTO_UNLINK_HOLD;
    reply_removed(&call, mount_call_as_caller(&call, &op));
}

void mount_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct mount_call call;
    struct proto_op op = {.code = PROTO_RMDIR, .parent = parent, .name = mount_name(name)};
    mount_call_begin(&call, req);
    mount_reply_error(&call, mount_call_as_caller(&call, &op));
}

static uint32_t rename_flags(unsigned flags)
{
    return (flags & RENAME_NOREPLACE ? PROTO_RENAME_NOREPLACE : 0) |
           (flags & RENAME_EXCHANGE ? PROTO_RENAME_EXCHANGE : 0) |
           (flags & RENAME_WHITEOUT ? PROTO_RENAME_WHITEOUT : 0);
}

void mount_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t parent2,
                  const char *name2, unsigned flags)
{
    struct mount_call call;
    struct proto_op op = {
        .code = PROTO_RENAME,
        .parent = parent,
        .name = mount_name(name),
        .parent2 = parent2,
        .name2 = mount_name(name2),
        .flags = rename_flags(flags),
    };
    mount_call_begin(&call, req);
    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) {
        mount_reply_error(&call, -EINVAL);
        return;
    }
    if (data_should_hold(call.mount->data))
        op.flags |= PROTO_UNLINK_HOLD;
    reply_removed(&call, mount_call_as_caller(&call, &op));
}
