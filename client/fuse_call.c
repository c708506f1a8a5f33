/* One request of the kernel: begin, ask, reply. */
#include "client/fuse_internal.h"

#include <errno.h>
#include <string.h>

enum { BLOCK_BYTES = 4096 };

/* The kernel says that the caller got a signal: let it look whether that kills it. */
static void interrupted(fuse_req_t req, void *user)
{
    struct mount *mount = user;
    tutti_wake(mount->client);
}

void mount_call_begin(struct mount_call *call, fuse_req_t req)
{
    call->req = req;
    call->mount = fuse_req_userdata(req);
    call->outcome = (struct proto_outcome){0};
    mount_caller_begin(&call->caller, call->mount, fuse_req_ctx(req));
    buffer_init(&call->reply, PROTO_REPLY_BYTES_MAX);
    fuse_req_interrupt_func(req, interrupted, call->mount);
}

void mount_call_end(struct mount_call *call)
{
    buffer_finish(&call->reply);
}

/* The kernel lets names through up to 1024 bytes. */
static bool names_fit(const struct proto_op *op)
{
    uint32_t bytes_max = proto_op_info(op->code)->name_bytes_max;
    return op->name.bytes <= bytes_max && op->name2.bytes <= bytes_max;
}

static int ask(struct mount_call *call, enum data_authority authority, const struct proto_op *op)
{
    if (!names_fit(op))
        return -ENAMETOOLONG;
    buffer_clear(&call->reply);
    int rc =
        mount_service_call(call->mount, &call->caller, authority, op, &call->reply, &call->outcome);
    return rc < 0 ? rc : -tutti_errno(call->outcome.status);
}

int mount_call_as_caller(struct mount_call *call, const struct proto_op *op)
{
    return ask(call, DATA_AS_CALLER, op);
}

int mount_call_as_mount(struct mount_call *call, const struct proto_op *op)
{
    return ask(call, DATA_AS_MOUNT, op);
}

int mount_errno(int rc)
{
    return rc == -ESHUTDOWN || rc == -EPROTO || rc == -EUSERS || rc == -ETIMEDOUT ? EIO : -rc;
}

void mount_reply_error(struct mount_call *call, int rc)
{
    fuse_reply_err(call->req, mount_errno(rc));
    mount_call_end(call);
}

static struct timespec to_timespec(int64_t ns)
{
    int64_t s = ns / 1000000000, rest = ns % 1000000000;
    if (rest < 0) {
        rest += 1000000000;
        s--;
    }
    return (struct timespec){.tv_sec = s, .tv_nsec = rest};
}

struct stat mount_stat(struct mount *mount, struct proto_attr *attr)
{
    if (S_ISREG(attr->mode))
        data_attr(mount->data, attr);
    return (struct stat){
        .st_ino = attr->ino,
        .st_mode = attr->mode,
        .st_nlink = attr->nlink,
        .st_uid = attr->uid,
        .st_gid = attr->gid,
        .st_rdev = attr->rdev,
        .st_size = (off_t)attr->size,
        .st_blksize = BLOCK_BYTES,
        .st_blocks = (blkcnt_t)attr->blocks,
        .st_atim = to_timespec(attr->atime),
        .st_mtim = to_timespec(attr->mtime),
        .st_ctim = to_timespec(attr->ctime),
    };
}

struct fuse_entry_param mount_entry(struct mount *mount, struct proto_attr *attr)
{
    return (struct fuse_entry_param){
        .ino = attr->ino, .generation = attr->generation, .attr = mount_stat(mount, attr)};
}

/* An outcome without the attributes that it should have. */
static int check_attr(const struct mount_call *call, int rc)
{
    return !rc && !(call->outcome.fields & PROTO_REPLY_ATTR) ? -EPROTO : rc;
}

void mount_reply_entry(struct mount_call *call, int rc)
{
    rc = check_attr(call, rc);
    if (rc < 0) {
        mount_reply_error(call, rc);
        return;
    }
    struct fuse_entry_param entry = mount_entry(call->mount, &call->outcome.attr);
    fuse_reply_entry(call->req, &entry);
    mount_call_end(call);
}

void mount_reply_attr(struct mount_call *call, int rc)
{
    rc = check_attr(call, rc);
    if (rc < 0) {
        mount_reply_error(call, rc);
        return;
    }
    struct stat st = mount_stat(call->mount, &call->outcome.attr);
    fuse_reply_attr(call->req, &st, 0);
    mount_call_end(call);
}

void mount_reply_data(struct mount_call *call, int rc)
{
    if (rc < 0) {
        mount_reply_error(call, rc);
        return;
    }
    fuse_reply_buf(call->req, (const char *)call->outcome.data.data, call->outcome.data.bytes);
    mount_call_end(call);
}

void mount_reply_sized(struct mount_call *call, int rc, size_t size)
{
    if (!rc && size && call->outcome.data.bytes > size)
        rc = -ERANGE;
    if (rc < 0 || size) {
        mount_reply_data(call, rc);
        return;
    }
    fuse_reply_xattr(call->req, call->outcome.data.bytes);
    mount_call_end(call);
}

struct proto_bytes mount_name(const char *name)
{
    size_t bytes = strlen(name);
    return (struct proto_bytes){(const uint8_t *)name, bytes < UINT32_MAX ? (uint32_t)bytes : 0};
}
