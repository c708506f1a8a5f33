/* Extended attributes.
 *
 * `system.` and `security.` are not kept, and answered here: the kernel asks for
 * security.capability before each write and for ACLs at each look, which must not cost a request.
 */
#include "client/fuse_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

static bool is_security(const char *name)
{
    return strncmp(name, "security.", strlen("security.")) == 0;
}

static bool is_kept(const char *name)
{
    return !is_security(name) && strncmp(name, "system.", strlen("system.")) != 0;
}

void mount_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                    size_t size, int flags)
{
    struct mount_call call;
    mount_call_begin(&call, req);
    if (!is_kept(name) || size > PROTO_XATTR_VALUE_BYTES_MAX) {
        mount_reply_error(&call, is_kept(name) ? -E2BIG : -EOPNOTSUPP);
        return;
    }
    struct proto_op op = {
        .code = PROTO_SETXATTR,
        .ino = ino,
        .name = mount_name(name),
        .data = {(const uint8_t *)value, (uint32_t)size},
        .flags = (flags & XATTR_CREATE ? PROTO_XATTR_CREATE : 0) |
                 (flags & XATTR_REPLACE ? PROTO_XATTR_REPLACE : 0),
    };
    mount_reply_error(&call, mount_call_as_caller(&call, &op));
}

void mount_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    struct mount_call call;
    struct proto_op op = {.code = PROTO_GETXATTR, .ino = ino, .name = mount_name(name)};
    if (!is_kept(name)) {
        fuse_reply_err(req, is_security(name) ? ENODATA : EOPNOTSUPP);
        return;
    }
    mount_call_begin(&call, req);
    mount_reply_sized(&call, mount_call_as_caller(&call, &op), size);
}

void mount_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    struct mount_call call;
    struct proto_op op = {.code = PROTO_LISTXATTR, .ino = ino};
    mount_call_begin(&call, req);
    mount_reply_sized(&call, mount_call_as_caller(&call, &op), size);
}

void mount_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    struct mount_call call;
    struct proto_op op = {.code = PROTO_REMOVEXATTR, .ino = ino, .name = mount_name(name)};
    mount_call_begin(&call, req);
    if (is_kept(name))
        mount_reply_error(&call, mount_call_as_caller(&call, &op));
    else
        mount_reply_error(&call, is_security(name) ? -ENODATA : -EOPNOTSUPP);
}
