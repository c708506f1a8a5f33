/* The model: attributes, content, sizes. */
#include "tests/sim/model_state.h"

#include <string.h>

static bool has(const struct model_call *call, uint32_t valid)
{
    return call->op->valid & valid;
}

/* ---- sizes ---- */

static enum proto_status resize_inline(struct model_call *call, struct model_inode *inode,
                                       uint64_t size)
{
    if (size > inode->size && size > call->model->limits.inline_bytes_max)
        return PROTO_FBIG;
    if (!inode->body)
        inode->body = sim_alloc(MODEL_BODY_MAX);
    MUST(size <= MODEL_BODY_MAX);
    if (size > inode->size)
        memset(inode->body + inode->size, 0, size - inode->size);
    call->model->bytes_used += size - inode->size;
    inode->size = size;
    inode->data_version++;
    return PROTO_OK;
}

/* Behind `cut` the objects hold stale bytes: nobody grows over it. */
static enum proto_status resize_striped(struct model_call *call, struct model_inode *inode,
                                        uint64_t size)
{
    if (size > inode->size && size > inode->cut)
        return PROTO_AGAIN;
    if (size < inode->size) {
        inode->data_version++;
        if (size < inode->cut)
            inode->cut = size;
    }
    call->model->bytes_used += size - inode->size;
    inode->size = size;
    return PROTO_OK;
}

enum proto_status model_resize(struct model_call *call, struct model_inode *inode, uint64_t size)
{
    if (size == inode->size)
        return PROTO_OK;
    return inode->layout.striped ? resize_striped(call, inode, size)
                                 : resize_inline(call, inode, size);
}

/* ---- attributes ---- */

static enum proto_status setattr_check(const struct model_call *call,
                                       const struct model_inode *inode)
{
    const struct proto_op *op = call->op;
    bool owner = call->uid == inode->uid, root = call->uid == 0;
    bool now = has(call, PROTO_SET_ATIME_NOW | PROTO_SET_MTIME_NOW);
    if (has(call, PROTO_SET_SIZE)) {
        if (!S_ISREG(inode->mode))
            return S_ISDIR(inode->mode) ? PROTO_ISDIR : PROTO_INVAL;
        STEP(model_access_open(call, inode, MODEL_W));
    }
    if (!root && has(call, PROTO_SET_UID) && !(owner && op->uid == inode->uid))
        return PROTO_PERM;
    if (!root && has(call, PROTO_SET_GID) &&
        !(owner && (op->gid == inode->gid || op->gid == call->gid)))
        return PROTO_PERM;
    if (has(call, PROTO_SET_MODE) && S_ISLNK(inode->mode))
        return PROTO_NOTSUP;
    if (has(call, PROTO_SET_MODE) && !owner && !root)
        return PROTO_PERM;
    if (has(call, PROTO_SET_ATIME | PROTO_SET_MTIME) && !now && !owner && !root)
        return PROTO_PERM;
    return now && !owner && !root ? model_access(call, inode, MODEL_W) : PROTO_OK;
}

enum proto_status model_setattr(struct model_call *call)
{
    const struct proto_op *op = call->op;
    struct model_inode *inode = model_find(call->model, op->ino);
    if (!inode)
        return PROTO_STALE;
    STEP(setattr_check(call, inode));
    if (has(call, PROTO_SET_SIZE))
        STEP(model_resize(call, inode, op->size));
    if (has(call, PROTO_SET_UID))
        inode->uid = op->uid;
    if (has(call, PROTO_SET_GID))
        inode->gid = op->gid;
    bool given = has(call, PROTO_SET_UID | PROTO_SET_GID | PROTO_SET_KILL_SUID);
    bool cut = has(call, PROTO_SET_SIZE) && call->uid != 0;
    if (!S_ISDIR(inode->mode) && (given || cut))
        model_drop_setid(inode);
    if (has(call, PROTO_SET_MODE)) {
        inode->mode = (inode->mode & S_IFMT) | (op->mode & 07777);
        if (call->uid != 0 && call->gid != inode->gid)
            inode->mode &= ~(uint32_t)S_ISGID;
    }
    model_answer_attr(call, inode);
    return PROTO_OK;
}

/* ---- content ---- */

static enum proto_status regular(struct model_call *call, uint32_t want,
                                 struct model_inode **ret_inode)
{
    struct model_inode *inode = model_find(call->model, call->op->ino);
    if (!inode)
        return PROTO_STALE;
    if (!S_ISREG(inode->mode))
        return S_ISDIR(inode->mode) ? PROTO_ISDIR : PROTO_INVAL;
    *ret_inode = inode;
    return model_access_open(call, inode, want);
}

enum proto_status model_read_data(struct model_call *call)
{
    const struct proto_op *op = call->op;
    struct model_inode *inode;
    STEP(regular(call, MODEL_R, &inode));
    if (inode->layout.striped)
        return PROTO_AGAIN;
    uint64_t from = op->offset < inode->size ? op->offset : inode->size;
    uint64_t left = inode->size - from;
    model_answer_attr(call, inode);
    model_answer_data(call, inode->body ? inode->body + from : NULL,
                      (uint32_t)(op->count < left ? op->count : left));
    return PROTO_OK;
}

static void written(struct model_call *call, struct model_inode *inode)
{
    if (call->uid != 0)
        model_drop_setid(inode);
    model_answer_attr(call, inode);
}

enum proto_status model_write_data(struct model_call *call)
{
    const struct proto_op *op = call->op;
    struct model_inode *inode;
    STEP(regular(call, MODEL_W, &inode));
    if (inode->layout.striped)
        return PROTO_AGAIN;
    uint64_t offset = op->flags & PROTO_WRITE_APPEND ? inode->size : op->offset;
    uint64_t end = offset + op->data.bytes;
    model_answer_value(call, offset);
    model_answer_attr(call, inode);
    if (op->data.bytes == 0)
        return PROTO_OK;
    if (end > inode->size && end > call->model->limits.inline_bytes_max)
        return PROTO_FBIG;
    uint64_t version = inode->data_version;
    if (end > inode->size)
        STEP(resize_inline(call, inode, end));
    memcpy(inode->body + offset, op->data.data, op->data.bytes);
    inode->data_version = version + 1;
    written(call, inode);
    return PROTO_OK;
}

static enum proto_status striped(struct model_call *call, struct model_inode **ret_inode)
{
    STEP(regular(call, MODEL_W, ret_inode));
    return (*ret_inode)->layout.striped ? PROTO_OK : PROTO_AGAIN;
}

enum proto_status model_grow(struct model_call *call)
{
    struct model_inode *inode;
    STEP(striped(call, &inode));
    if (call->op->size > inode->size)
        STEP(resize_striped(call, inode, call->op->size));
    written(call, inode);
    return PROTO_OK;
}

enum proto_status model_reserve(struct model_call *call)
{
    struct model_inode *inode;
    STEP(striped(call, &inode));
    uint64_t offset = inode->size;
    STEP(model_resize(call, inode, offset + call->op->size));
    model_answer_value(call, offset);
    written(call, inode);
    return PROTO_OK;
}

enum proto_status model_stripe(struct model_call *call)
{
    struct model_inode *inode;
    STEP(regular(call, MODEL_W, &inode));
    if (inode->layout.striped || inode->data_version != call->op->value)
        return PROTO_AGAIN;
    inode->layout = call->op->layout;
    inode->data_version++;
    model_answer_attr(call, inode);
    return PROTO_OK;
}

enum proto_status model_cut_done(struct model_call *call)
{
    struct model_inode *inode;
    STEP(striped(call, &inode));
    if (inode->data_version != call->op->value)
        return PROTO_AGAIN;
    inode->cut = UINT64_MAX;
    model_answer_attr(call, inode);
    return PROTO_OK;
}
