/* The model: extended attributes. */
#include "tests/sim/model_state.h"

#include <string.h>

static bool begins(struct proto_bytes name, const char *prefix)
{
    size_t bytes = strlen(prefix);
    return name.bytes >= bytes && memcmp(name.data, prefix, bytes) == 0;
}

static struct model_xattr *find(struct model_inode *inode, struct proto_bytes name)
{
    for (uint32_t i = 0; i < inode->xattr_count; i++)
        if (strlen(inode->xattrs[i].name) == name.bytes &&
            memcmp(inode->xattrs[i].name, name.data, name.bytes) == 0)
            return &inode->xattrs[i];
    return NULL;
}

static enum proto_status may(struct model_call *call, const struct model_inode *inode,
                             uint32_t want)
{
    bool writes = want == MODEL_W;
    if (begins(call->op->name, "trusted."))
        return call->uid == 0 ? PROTO_OK : writes ? PROTO_PERM : PROTO_NODATA;
    if (!begins(call->op->name, "user."))
        return PROTO_NOTSUP;
    if (!S_ISREG(inode->mode) && !S_ISDIR(inode->mode))
        return writes ? PROTO_PERM : PROTO_NODATA;
    if (writes && S_ISDIR(inode->mode) && (inode->mode & S_ISVTX) && !model_owns(call, inode))
        return PROTO_PERM;
    return model_access(call, inode, want);
}

enum proto_status model_setxattr(struct model_call *call)
{
    const struct proto_op *op = call->op;
    struct model_inode *inode = model_find(call->model, op->ino);
    if (!inode)
        return PROTO_STALE;
    STEP(may(call, inode, MODEL_W));
    struct model_xattr *xattr = find(inode, op->name);
    if (xattr && (op->flags & PROTO_XATTR_CREATE))
        return PROTO_EXIST;
    if (!xattr && (op->flags & PROTO_XATTR_REPLACE))
        return PROTO_NODATA;
    if (!xattr) {
        MUST(inode->xattr_count < MODEL_XATTRS_MAX);
        xattr = &inode->xattrs[inode->xattr_count++];
        memset(xattr, 0, sizeof *xattr);
        memcpy(xattr->name, op->name.data, op->name.bytes);
    }
    xattr->bytes = op->data.bytes;
    memcpy(xattr->value, op->data.data, op->data.bytes);
    return PROTO_OK;
}

enum proto_status model_removexattr(struct model_call *call)
{
    struct model_inode *inode = model_find(call->model, call->op->ino);
    if (!inode)
        return PROTO_STALE;
    STEP(may(call, inode, MODEL_W));
    struct model_xattr *xattr = find(inode, call->op->name);
    if (!xattr)
        return PROTO_NODATA;
    inode->xattr_count--;
    memmove(xattr, xattr + 1, (size_t)(&inode->xattrs[inode->xattr_count] - xattr) * sizeof *xattr);
    return PROTO_OK;
}

enum proto_status model_getxattr(struct model_call *call)
{
    struct model_inode *inode = model_find(call->model, call->op->ino);
    STEP(may(call, inode, MODEL_R));
    struct model_xattr *xattr = find(inode, call->op->name);
    if (!xattr)
        return PROTO_NODATA;
    model_answer_data(call, xattr->value, xattr->bytes);
    return PROTO_OK;
}

/* trusted.* is listed to the superuser only. */
enum proto_status model_listxattr(struct model_call *call)
{
    struct model_inode *inode = model_find(call->model, call->op->ino);
    uint8_t list[MODEL_XATTRS_MAX * 24];
    uint32_t used = 0;
    for (uint32_t i = 0; i < inode->xattr_count; i++) {
        const char *name = inode->xattrs[i].name;
        uint32_t bytes = (uint32_t)strlen(name) + 1;
        if (strncmp(name, "trusted.", 8) == 0 && call->uid != 0)
            continue;
        memcpy(list + used, name, bytes);
        used += bytes;
    }
    model_answer_data(call, list, used);
    return PROTO_OK;
}
