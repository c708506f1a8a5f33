/* Files: open, create, read, write and what ends them. A handle is a reference to the data path's
 * inode. */
#include "client/fuse_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { EXEC_FLAG = 0x20 }; /* the kernel's own open flag for execve */

static struct data_inode *inode_of(const struct fuse_file_info *fi)
{
    return (struct data_inode *)(uintptr_t)fi->fh;
}

static uint32_t open_flags(int flags)
{
    if (flags & EXEC_FLAG)
        return PROTO_OPEN_EXEC;
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return PROTO_OPEN_READ;
    case O_WRONLY:
        return PROTO_OPEN_WRITE;
    default:
        return PROTO_OPEN_READ | PROTO_OPEN_WRITE;
    }
}

/* The service said yes: a handle. Takes the end of data_open_begin. */
static int handle_make(struct mount_call *call, struct fuse_file_info *fi)
{
    struct data_inode *inode;
    struct mount *mount = call->mount;
    if (!(call->outcome.fields & PROTO_REPLY_ATTR)) {
        data_open_failed(mount->data);
        return -EPROTO;
    }
    int rc = data_open(mount->data, &call->outcome.attr, &inode);
    if (rc < 0)
        return rc;
    fi->fh = (uintptr_t)inode;
    fi->keep_cache = mount_reopen_unchanged(mount->reopen, &call->outcome.attr);
    return 0;
}

/* O_TRUNC, by a handle that may write. */
static int truncate_opened(struct mount_call *call, uint64_t ino)
{
    struct proto_op op = {
        .code = PROTO_SETATTR,
        .ino = ino,
        .valid = PROTO_SET_SIZE | PROTO_SET_MTIME_NOW |
                 (call->caller.credentials.uid ? PROTO_SET_KILL_SUID : 0),
    };
    int rc = data_setattr(call->mount->data, &call->caller, DATA_AS_MOUNT, &op, &call->outcome);
    return rc < 0 ? rc : -tutti_errno(call->outcome.status);
}

/* The handle can't be given out after all. */
static void handle_drop(struct mount_call *call, const struct fuse_file_info *fi)
{
    data_close(inode_of(fi), &call->caller);
}

void mount_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct mount_call call;
    struct proto_op op = {.code = PROTO_OPEN, .ino = ino, .flags = open_flags(fi->flags)};
    mount_call_begin(&call, req);
    data_open_begin(call.mount->data);
    int rc = mount_call_as_caller(&call, &op);
    if (rc < 0) {
        data_open_failed(call.mount->data);
        mount_reply_error(&call, rc);
        return;
    }
    rc = handle_make(&call, fi);
    if (!rc && fi->flags & O_TRUNC) {
        rc = truncate_opened(&call, ino);
        if (rc < 0)
            handle_drop(&call, fi);
    }
    if (rc < 0) {
        mount_reply_error(&call, rc);
        return;
    }
    if (fuse_reply_open(req, fi) == -ENOENT)
        handle_drop(&call, fi); /* the kernel gave up waiting, and will not release it */
    mount_call_end(&call);
}

void mount_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                  struct fuse_file_info *fi)
{
    struct mount_call call;
    struct proto_op op = {
        .code = PROTO_CREATE,
        .parent = parent,
        .name = mount_name(name),
        .mode = S_IFREG | (mode & 07777),
        .flags = open_flags(fi->flags) | (fi->flags & O_EXCL ? PROTO_CREATE_EXCLUSIVE : 0),
    };
    mount_call_begin(&call, req);
    data_open_begin(call.mount->data);
    int rc = mount_call_as_caller(&call, &op);
    if (rc < 0) {
        data_open_failed(call.mount->data);
        mount_reply_error(&call, rc);
        return;
    }
    bool existed = !call.outcome.value;
    rc = handle_make(&call, fi);
    if (!rc && existed && fi->flags & O_TRUNC) {
        rc = truncate_opened(&call, call.outcome.attr.ino);
        if (rc < 0)
            handle_drop(&call, fi);
    }
    if (rc < 0) {
        mount_reply_error(&call, rc);
        return;
    }
    struct fuse_entry_param entry = mount_entry(call.mount, &call.outcome.attr);
    if (fuse_reply_create(req, &entry, fi) == -ENOENT)
        handle_drop(&call, fi);
    mount_call_end(&call);
}

void mount_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                struct fuse_file_info *fi)
{
    struct mount_call call;
    mount_call_begin(&call, req);
    char *to = malloc(size ? size : 1);
    ssize_t n = to ? data_read(inode_of(fi), &call.caller, to, size, (uint64_t)offset) : -ENOMEM;
    if (n < 0) {
        mount_reply_error(&call, (int)n);
    } else {
        fuse_reply_buf(req, to, (size_t)n);
        mount_call_end(&call);
    }
    free(to);
}

/* A write by somebody who is not root takes set-user-id and set-group-id away. */
static int drop_privileges(struct mount_call *call, struct data_inode *inode)
{
    struct proto_attr attr;
    data_known_attr(inode, &attr);
    bool set_gid = (attr.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
    if (call->caller.credentials.uid == 0 || (!(attr.mode & S_ISUID) && !set_gid))
        return 0;
    struct proto_op op = {.code = PROTO_SETATTR, .ino = attr.ino, .valid = PROTO_SET_KILL_SUID};
    int rc = data_setattr(call->mount->data, &call->caller, DATA_AS_MOUNT, &op, &call->outcome);
    if (rc < 0 || call->outcome.status != PROTO_OK)
        return rc < 0 ? rc : -tutti_errno(call->outcome.status);
    data_attr(call->mount->data, &call->outcome.attr);
    return 0;
}

/* A page that the kernel writes back late has its own place, whatever the handle's flags. */
void mount_write(fuse_req_t req, fuse_ino_t ino, const char *from, size_t size, off_t offset,
                 struct fuse_file_info *fi)
{
    struct mount_call call;
    struct data_inode *inode = inode_of(fi);
    mount_call_begin(&call, req);
    ssize_t n = 0;
    if (fi->writepage)
        call.caller.tid = 0;
    else
        n = drop_privileges(&call, inode);
    if (!n)
        n = data_write(inode, &call.caller, from, size, (uint64_t)offset,
                       fi->flags & O_APPEND && !fi->writepage);
    if (n < 0) {
        mount_reply_error(&call, (int)n);
        return;
    }
    fuse_reply_write(req, (size_t)n);
    mount_call_end(&call);
}

void mount_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct mount_call call;
    mount_call_begin(&call, req);
    mount_reply_error(&call, data_flush(inode_of(fi), &call.caller));
}

/* Nobody waits for the answer. What a flush could not order, because its process was killed, is
 * ordered here. */
void mount_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    int rc = data_close(inode_of(fi), NULL);
    fuse_reply_err(req, mount_errno(rc));
}

void mount_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    struct mount_call call;
    mount_call_begin(&call, req);
    mount_reply_error(&call, data_fsync(inode_of(fi), &call.caller));
}

void mount_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t bytes,
                     struct fuse_file_info *fi)
{
    struct mount_call call;
    mount_call_begin(&call, req);
    int rc = data_allocate(inode_of(fi), &call.caller, mode, (uint64_t)offset, (uint64_t)bytes);
    mount_reply_error(&call, rc);
}
