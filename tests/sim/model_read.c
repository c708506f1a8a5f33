/* The model: reads and listings. */
#include "tests/sim/model_state.h"

#include "base/cursor.h"

#include <string.h>

static enum proto_status read_lookup(struct model_call *call)
{
    struct model_inode *dir;
    STEP(model_directory(call, call->op->parent, &dir));
    if (model_is_dots(call->op->name)) {
        struct model_inode *to =
            call->op->name.bytes == 1 ? dir : model_find(call->model, dir->parent);
        if (!to)
            return PROTO_STALE;
        model_answer_attr(call, to);
        return PROTO_OK;
    }
    struct model_entry *entry = model_entry(dir, call->op->name);
    if (!entry)
        return PROTO_NOENT;
    model_answer_attr(call, model_find(call->model, entry->ino));
    return PROTO_OK;
}

static enum proto_status read_open(struct model_call *call, const struct model_inode *inode)
{
    uint32_t want = model_wanted(call->op->flags);
    if (S_ISLNK(inode->mode))
        return PROTO_LOOP;
    if (S_ISDIR(inode->mode) && (want & MODEL_W))
        return PROTO_ISDIR;
    if (S_ISDIR(inode->mode) && (want & MODEL_X))
        return PROTO_ACCES;
    STEP(model_access(call, inode, want));
    model_answer_attr(call, inode);
    return PROTO_OK;
}

static enum proto_status read_statfs(struct model_call *call)
{
    const struct proto_statfs statfs = {.inodes_used = call->model->inodes_used,
                                        .bytes_used = call->model->bytes_used};
    uint8_t bytes[PROTO_STATFS_BYTES];
    struct writer w = writer_make(bytes, sizeof bytes);
    proto_statfs_write(&w, &statfs);
    model_answer_data(call, bytes, (uint32_t)writer_used(&w));
    return PROTO_OK;
}

static enum proto_status read_any(struct model_call *call)
{
    const struct proto_op *op = call->op;
    struct model_inode *inode = model_find(call->model, op->ino);
    if (op->code == PROTO_LOOKUP)
        return read_lookup(call);
    if (op->code == PROTO_STATFS)
        return read_statfs(call);
    if (!inode)
        return PROTO_STALE;
    switch (op->code) {
    case PROTO_GETATTR:
        model_answer_attr(call, inode);
        return PROTO_OK;
    case PROTO_READLINK:
        if (!S_ISLNK(inode->mode))
            return PROTO_INVAL;
        model_answer_data(call, inode->body, (uint32_t)inode->size);
        return PROTO_OK;
    case PROTO_OPEN:
        return read_open(call, inode);
    case PROTO_ACCESS:
        return model_access(call, inode, model_wanted(op->flags));
    case PROTO_GETXATTR:
        return model_getxattr(call);
    case PROTO_LISTXATTR:
        return model_listxattr(call);
    case PROTO_READ:
        return model_read_data(call);
    default:
        return PROTO_BAD_REQUEST;
    }
}

void model_read(struct model *model, const struct proto_request *request,
                struct proto_outcome *ret_outcome)
{
    struct model_call call = model_call_make(model, request, ret_outcome);
    model_call_end(read_any(&call), ret_outcome);
}

/* ---- listings ---- */

static const char *compare_entry(struct model *model, const struct proto_dirent *got,
                                 uint64_t cookie, const char *name, uint64_t ino, bool with_attr)
{
    const struct model_inode *inode = model_find(model, ino);
    struct proto_attr attr;
    if (got->cookie != cookie || got->ino != ino || got->name.bytes != strlen(name) ||
        memcmp(got->name.data, name, got->name.bytes) != 0)
        return "an entry differs";
    if (inode && (got->type & S_IFMT) != (inode->mode & S_IFMT))
        return "an entry's type differs";
    if (with_attr && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !got->has_attr)
        return "an entry lacks its attributes";
    if (!got->has_attr || !inode)
        return NULL;
    model_fill_attr(inode, &attr);
    return model_compare_attr(&attr, &got->attr) ? "an entry's attributes differ" : NULL;
}

/* The next expected entry behind `cookie`; NULL: the end. */
static const char *entry_after(const struct model_inode *dir, uint64_t cookie, uint64_t *ret_cookie,
                               uint64_t *ret_ino)
{
    if (cookie < 2) {
        *ret_cookie = cookie + 1;
        *ret_ino = cookie == 0 ? dir->ino : dir->parent;
        return cookie == 0 ? "." : "..";
    }
    for (uint32_t i = 0; i < dir->entry_count; i++)
        if (dir->entries[i].cookie > cookie) {
            *ret_cookie = dir->entries[i].cookie;
            *ret_ino = dir->entries[i].ino;
            return dir->entries[i].name;
        }
    return NULL;
}

static enum proto_status readdir_status(const struct model_call *call, struct model_inode *dir)
{
    if (!dir)
        return PROTO_STALE;
    if (!S_ISDIR(dir->mode))
        return PROTO_NOTDIR;
    return model_access_open(call, dir, MODEL_R);
}

const char *model_readdir(struct model *model, const struct proto_request *request,
                          const struct proto_outcome *outcome)
{
    struct proto_outcome unused;
    struct model_call call = model_call_make(model, request, &unused);
    struct model_inode *dir = model_find(model, request->op.ino);
    enum proto_status status = readdir_status(&call, dir);
    if (status != outcome->status)
        return "status";
    if (status != PROTO_OK)
        return NULL;
    bool with_attr =
        (request->op.flags & PROTO_READDIR_ATTR) && model_access(&call, dir, MODEL_X) == PROTO_OK;
    struct reader r = reader_make(outcome->data.data, outcome->data.bytes);
    uint64_t cookie = request->op.cookie, ino;
    const char *name, *wrong = NULL;
    if (reader_left(&r) == 0)
        return entry_after(dir, cookie, &cookie, &ino) ? "nothing is listed" : NULL;
    while (reader_left(&r) > 0 && !wrong) {
        struct proto_dirent got;
        if (proto_dirent_decode(&r, &got) < 0)
            return "a listing that can't be decoded";
        name = entry_after(dir, cookie, &cookie, &ino);
        wrong = name ? compare_entry(model, &got, cookie, name, ino, with_attr)
                     : "more entries than there are";
    }
    return wrong;
}
