/* The model: operations that make and remove names. */
#include "tests/sim/model_state.h"

#include <string.h>

enum proto_status model_may_add(const struct model_call *call, const struct model_inode *dir)
{
    if (dir->nlink == 0)
        return PROTO_NOENT;
    return model_access(call, dir, MODEL_W | MODEL_X);
}

enum proto_status model_may_remove(const struct model_call *call, const struct model_inode *dir,
                                   const struct model_inode *victim)
{
    STEP(model_access(call, dir, MODEL_W | MODEL_X));
    if ((dir->mode & S_ISVTX) && !model_owns(call, dir) && !model_owns(call, victim))
        return PROTO_PERM;
    return PROTO_OK;
}

/* A directory in which `name` is free, and may be made. */
static enum proto_status vacant(struct model_call *call, uint64_t parent, struct proto_bytes name,
                                struct model_inode **ret_dir)
{
    STEP(model_directory(call, parent, ret_dir));
    if (model_is_dots(name) || model_entry(*ret_dir, name))
        return PROTO_EXIST;
    return model_may_add(call, *ret_dir);
}

static enum proto_status create_meets(struct model_call *call, struct model_inode *inode)
{
    uint32_t flags = call->op->flags;
    if (S_ISDIR(inode->mode))
        return PROTO_ISDIR;
    if (S_ISLNK(inode->mode))
        return PROTO_LOOP;
    STEP(model_access(call, inode, model_wanted(flags)));
    if (S_ISREG(inode->mode) && (flags & PROTO_OPEN_TRUNCATE)) {
        STEP(model_access(call, inode, MODEL_W));
        STEP(model_resize(call, inode, 0));
        if (call->uid != 0)
            model_drop_setid(inode);
    }
    model_answer_attr(call, inode);
    model_answer_value(call, 0);
    return PROTO_OK;
}

enum proto_status model_create_file(struct model_call *call)
{
    const struct proto_op *op = call->op;
    struct model_inode *dir;
    bool exclusive = op->flags & PROTO_CREATE_EXCLUSIVE;
    if ((op->mode & S_IFMT) && !S_ISREG(op->mode))
        return PROTO_INVAL;
    STEP(model_directory(call, op->parent, &dir));
    if (model_is_dots(op->name))
        return exclusive ? PROTO_EXIST : PROTO_ISDIR;
    struct model_entry *entry = model_entry(dir, op->name);
    if (entry && exclusive)
        return PROTO_EXIST;
    if (entry)
        return create_meets(call, model_find(call->model, entry->ino));
    STEP(model_may_add(call, dir));
    struct model_inode *inode = model_new(call, dir, S_IFREG | (op->mode & 07777));
    model_entry_add(dir, op->name, inode->ino);
    model_answer_attr(call, inode);
    model_answer_value(call, 1);
    return PROTO_OK;
}

enum proto_status model_mknod(struct model_call *call)
{
    const struct proto_op *op = call->op;
    struct model_inode *dir;
    bool device = S_ISCHR(op->mode) || S_ISBLK(op->mode);
    STEP(vacant(call, op->parent, op->name, &dir));
    if (device && !(S_ISCHR(op->mode) && op->rdev == 0) && call->uid != 0)
        return PROTO_PERM;
    struct model_inode *inode = model_new(call, dir, op->mode & (S_IFMT | 07777));
    inode->rdev = device ? op->rdev : 0;
    model_entry_add(dir, op->name, inode->ino);
    model_answer_attr(call, inode);
    return PROTO_OK;
}

enum proto_status model_mkdir(struct model_call *call)
{
    const struct proto_op *op = call->op;
    struct model_inode *dir;
    STEP(vacant(call, op->parent, op->name, &dir));
    if (dir->nlink >= call->model->limits.links_max)
        return PROTO_MLINK;
    struct model_inode *inode = model_new(call, dir, S_IFDIR | (op->mode & 01777));
    dir->nlink++;
    model_entry_add(dir, op->name, inode->ino);
    model_answer_attr(call, inode);
    return PROTO_OK;
}

enum proto_status model_symlink(struct model_call *call)
{
    const struct proto_op *op = call->op;
    struct model_inode *dir;
    if (op->data.bytes == 0)
        return PROTO_NOENT;
    STEP(vacant(call, op->parent, op->name, &dir));
    struct model_inode *inode = model_new(call, dir, S_IFLNK | 0777);
    inode->size = op->data.bytes;
    inode->body = sim_alloc(op->data.bytes);
    memcpy(inode->body, op->data.data, op->data.bytes);
    model_entry_add(dir, op->name, inode->ino);
    model_answer_attr(call, inode);
    return PROTO_OK;
}

enum proto_status model_link(struct model_call *call)
{
    const struct proto_op *op = call->op;
    struct model_inode *inode = model_find(call->model, op->ino), *dir;
    if (!inode)
        return PROTO_STALE;
    STEP(vacant(call, op->parent2, op->name2, &dir));
    if (S_ISDIR(inode->mode))
        return PROTO_PERM;
    if (inode->nlink == 0)
        return PROTO_NOENT;
    if (inode->nlink >= call->model->limits.links_max)
        return PROTO_MLINK;
    inode->nlink++;
    model_entry_add(dir, op->name2, inode->ino);
    model_answer_attr(call, inode);
    return PROTO_OK;
}

/* The last name of an inode goes: held for the session, or gone. Answers which. */
void model_drop_name(struct model_call *call, struct model_inode *inode, bool hold)
{
    inode->nlink = S_ISDIR(inode->mode) ? 0 : inode->nlink - 1;
    if (inode->nlink > 0)
        return;
    if (!hold) {
        model_forget(call->model, inode);
        return;
    }
    inode->held = true;
    memcpy(inode->holder, call->request->session, sizeof inode->holder);
    model_answer_value(call, inode->ino);
}

static enum proto_status victim_find(struct model_call *call, struct model_inode **ret_dir,
                                     struct model_inode **ret_victim)
{
    struct model_entry *entry = model_entry(*ret_dir, call->op->name);
    if (!entry)
        return PROTO_NOENT;
    *ret_victim = model_find(call->model, entry->ino);
    return model_may_remove(call, *ret_dir, *ret_victim);
}

enum proto_status model_unlink(struct model_call *call)
{
    struct model_inode *dir, *victim;
    STEP(model_directory(call, call->op->parent, &dir));
    if (model_is_dots(call->op->name))
        return PROTO_ISDIR;
    STEP(victim_find(call, &dir, &victim));
    if (S_ISDIR(victim->mode))
        return PROTO_ISDIR;
    model_answer_value(call, 0);
    model_entry_remove(dir, call->op->name);
    model_drop_name(call, victim, call->op->flags & PROTO_UNLINK_HOLD);
    return PROTO_OK;
}

enum proto_status model_rmdir(struct model_call *call)
{
    struct model_inode *dir, *victim;
    STEP(model_directory(call, call->op->parent, &dir));
    if (model_is_dots(call->op->name))
        return call->op->name.bytes == 1 ? PROTO_INVAL : PROTO_NOTEMPTY;
    STEP(victim_find(call, &dir, &victim));
    if (!S_ISDIR(victim->mode))
        return PROTO_NOTDIR;
    if (victim->entry_count > 0)
        return PROTO_NOTEMPTY;
    dir->nlink--;
    model_answer_value(call, 0);
    model_entry_remove(dir, call->op->name);
    model_drop_name(call, victim, false);
    return PROTO_OK;
}

enum proto_status model_release(struct model_call *call)
{
    struct model_inode *inode = model_find(call->model, call->op->ino);
    if (!inode || !inode->held)
        return PROTO_NOENT;
    if (memcmp(inode->holder, call->request->session, sizeof inode->holder) != 0)
        return PROTO_PERM;
    model_forget(call->model, inode);
    return PROTO_OK;
}

enum proto_status model_purged(struct model_call *call)
{
    struct model *model = call->model;
    for (uint32_t i = 0; i < model->purge_count; i++)
        if (model->purges[i] == call->op->ino) {
            model->purges[i] = model->purges[--model->purge_count];
            return PROTO_OK;
        }
    return PROTO_NOENT;
}
