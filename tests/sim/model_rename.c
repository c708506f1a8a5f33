/* The model: rename, in the order of Linux's checks (do_renameat2, vfs_rename). */
#include "tests/sim/model_state.h"

struct move {
    struct model_call *call;
    struct model_inode *from, *to;             /* directories */
    struct model_entry *old_entry, *new_entry; /* new: NULL where the name is free */
    struct model_inode *source, *target;
    bool exchange;
};

/* Whether `dir` is `inode` or lies below it. */
static bool below(struct model *model, const struct model_inode *dir,
                  const struct model_inode *inode)
{
    while (dir && dir != inode && dir->ino != PROTO_ROOT_INO)
        dir = model_find(model, dir->parent);
    return dir == inode;
}

static enum proto_status move_find(struct move *move)
{
    struct model_call *call = move->call;
    const struct proto_op *op = call->op;
    bool noreplace = op->flags & PROTO_RENAME_NOREPLACE;
    STEP(model_directory(call, op->parent, &move->from));
    STEP(model_directory(call, op->parent2, &move->to));
    if (model_is_dots(op->name))
        return PROTO_INVAL;
    if (model_is_dots(op->name2))
        return noreplace ? PROTO_EXIST : PROTO_INVAL;
    move->old_entry = model_entry(move->from, op->name);
    move->new_entry = model_entry(move->to, op->name2);
    if (!move->old_entry)
        return PROTO_NOENT;
    if (move->new_entry && noreplace)
        return PROTO_EXIST;
    if (!move->new_entry && move->exchange)
        return PROTO_NOENT;
    move->source = model_find(call->model, move->old_entry->ino);
    move->target = move->new_entry ? model_find(call->model, move->new_entry->ino) : NULL;
    return PROTO_OK;
}

static enum proto_status move_check_tree(struct move *move)
{
    struct model *model = move->call->model;
    if (move->from == move->to)
        return PROTO_OK;
    if (move->to->nlink == 0)
        return PROTO_NOENT;
    if (S_ISDIR(move->source->mode) && below(model, move->to, move->source))
        return PROTO_INVAL;
    if (move->target && S_ISDIR(move->target->mode) && below(model, move->from, move->target))
        return move->exchange ? PROTO_INVAL : PROTO_NOTEMPTY;
    return PROTO_OK;
}

static enum proto_status move_check(struct move *move)
{
    struct model_call *call = move->call;
    bool source_dir = S_ISDIR(move->source->mode);
    bool target_dir = move->target && S_ISDIR(move->target->mode);
    STEP(model_may_remove(call, move->from, move->source));
    if (move->target)
        STEP(model_may_remove(call, move->to, move->target));
    else
        STEP(model_may_add(call, move->to));
    if (move->target && !move->exchange && source_dir != target_dir)
        return source_dir ? PROTO_NOTDIR : PROTO_ISDIR;
    if (move->from != move->to && source_dir)
        STEP(model_access(call, move->source, MODEL_W));
    if (move->from != move->to && move->exchange && target_dir)
        STEP(model_access(call, move->target, MODEL_W));
    if (target_dir && !move->exchange && move->target->entry_count > 0)
        return PROTO_NOTEMPTY;
    return PROTO_OK;
}

static void change_parent(struct model_inode *inode, struct model_inode *from,
                          struct model_inode *to)
{
    if (!S_ISDIR(inode->mode))
        return;
    inode->parent = to->ino;
    from->nlink--;
    to->nlink++;
}

/* The old name goes, or stands for a whiteout: a character device 0. */
static void move_leave(struct move *move)
{
    struct model_call *call = move->call;
    if (!(call->op->flags & PROTO_RENAME_WHITEOUT)) {
        model_entry_remove(move->from, call->op->name);
        return;
    }
    uint64_t whiteout = model_new(call, move->from, S_IFCHR)->ino;
    model_entry(move->from, call->op->name)->ino = whiteout;
}

static void move_do(struct move *move)
{
    struct model_call *call = move->call;
    change_parent(move->source, move->from, move->to);
    if (move->exchange) {
        change_parent(move->target, move->to, move->from);
        move->old_entry->ino = move->target->ino;
        move->new_entry->ino = move->source->ino;
        return;
    }
    move_leave(move);
    if (!move->target) {
        model_entry_add(move->to, call->op->name2, move->source->ino);
        return;
    }
    if (S_ISDIR(move->target->mode))
        move->to->nlink--;
    model_entry(move->to, call->op->name2)->ino = move->source->ino;
    model_drop_name(call, move->target, call->op->flags & PROTO_UNLINK_HOLD);
}

enum proto_status model_rename(struct model_call *call)
{
    uint32_t flags = call->op->flags;
    struct move move = {.call = call, .exchange = flags & PROTO_RENAME_EXCHANGE};
    if (move.exchange && (flags & (PROTO_RENAME_NOREPLACE | PROTO_RENAME_WHITEOUT)))
        return PROTO_INVAL;
    STEP(move_find(&move));
    STEP(move_check_tree(&move));
    model_answer_value(call, 0);
    if (move.source == move.target)
        return PROTO_OK;
    STEP(move_check(&move));
    move_do(&move);
    return PROTO_OK;
}
