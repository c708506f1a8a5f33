/* RENAME with all its flags. Model: Linux, do_renameat2 and vfs_rename; the order of the checks is
 * theirs.
 *
 * A directory is never moved below itself: that is found out by walking up the parents, which are
 * few, never by looking down. Invariant: `parent` of a directory's inode names the directory that
 * lists it, and a directory's nlink is 2 and one for each directory in it. */
#include "mds/nspace_run.h"

#include <errno.h>

enum { DEPTH_MAX = 16384 }; /* levels walked up before the answer is ELOOP */

struct rename {
    struct nspace_run *run;
    uint32_t flags;
    struct place from, to;
    struct inode *from_dir, *to_dir; /* one and the same where the parents are */
    struct inode source, target;     /* target: if to.found */
};

static bool rename_exchanges(const struct rename *r)
{
    return r->flags & PROTO_RENAME_EXCHANGE;
}

static bool rename_replaces(const struct rename *r)
{
    return r->to.found && !rename_exchanges(r);
}

static bool rename_moves(const struct rename *r)
{
    return r->from_dir != r->to_dir;
}

static int rename_find(struct rename *r)
{
    const struct proto_op *op = r->run->op;
    TRY(place_find(r->run, op->parent, op->name, &r->from));
    TRY(place_find(r->run, op->parent2, op->name2, &r->to));
    r->from_dir = &r->from.dir;
    r->to_dir = op->parent == op->parent2 ? &r->from.dir : &r->to.dir;
    if (r->from.dots)
        return PROTO_INVAL;
    if (r->to.dots)
        return r->flags & PROTO_RENAME_NOREPLACE ? PROTO_EXIST : PROTO_INVAL;
    if (!r->from.found)
        return PROTO_NOENT;
    if (r->to.found && r->flags & PROTO_RENAME_NOREPLACE)
        return PROTO_EXIST;
    if (!r->to.found && rename_exchanges(r))
        return PROTO_NOENT;
    TRY(inode_load_linked(r->run, r->from.entry.ino, &r->source));
    return r->to.found ? inode_load_linked(r->run, r->to.entry.ino, &r->target) : 0;
}

/* Whether `ino` is the directory `from` or above it. */
static int is_above(struct nspace_run *run, uint64_t ino, const struct inode *from, bool *ret_above)
{
    struct inode dir = *from;
    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        *ret_above = dir.ino == ino;
        if (*ret_above || dir.ino == PROTO_ROOT_INO)
            return 0;
        struct record_key key = record_key_inode(dir.parent);
        const void *value;
        size_t bytes;
        int code = txn_peek(run->txn, &key, &value, &bytes);
        if (code == NSPACE_ABSENT)
            return -EBADMSG;
        TRY(run_code(code));
        TRY(record_read_inode(value, bytes, dir.parent, &dir));
    }
    return PROTO_LOOP;
}

static int rename_check_ancestors(struct rename *r)
{
    bool above = false;
    if (!rename_moves(r))
        return 0;
    if (r->to_dir->nlink == 0)
        return PROTO_NOENT;
    if (S_ISDIR(r->source.mode))
        TRY(is_above(r->run, r->source.ino, r->to_dir, &above));
    if (above)
        return PROTO_INVAL;
    if (r->to.found && S_ISDIR(r->target.mode))
        TRY(is_above(r->run, r->target.ino, r->from_dir, &above));
    if (above)
        return rename_exchanges(r) ? PROTO_INVAL : PROTO_NOTEMPTY;
    return 0;
}

static int rename_check_permissions(const struct rename *r)
{
    const struct nspace_run *run = r->run;
    bool source_dir = S_ISDIR(r->source.mode);
    bool target_dir = r->to.found && S_ISDIR(r->target.mode);
    TRY(permission_remove_entry(run, r->from_dir, &r->source));
    if (r->to.found)
        TRY(permission_remove_entry(run, r->to_dir, &r->target));
    else
        TRY(permission_add_entry(run, r->to_dir));
    if (rename_replaces(r) && source_dir != target_dir)
        return source_dir ? PROTO_NOTDIR : PROTO_ISDIR;
    if (rename_moves(r) && source_dir) /* its ".." changes */
        TRY(permission_check(run, &r->source, MAY_WRITE));
    if (rename_moves(r) && rename_exchanges(r) && target_dir)
        TRY(permission_check(run, &r->target, MAY_WRITE));
    return 0;
}

static int rename_check_limits(const struct rename *r)
{
    uint32_t links_max = r->run->limits->links_max;
    bool source_dir = S_ISDIR(r->source.mode);
    bool target_dir = r->to.found && S_ISDIR(r->target.mode);
    if (rename_moves(r) && source_dir && !target_dir && r->to_dir->nlink >= links_max)
        return PROTO_MLINK;
    if (rename_moves(r) && rename_exchanges(r) && !source_dir && target_dir &&
        r->from_dir->nlink >= links_max)
        return PROTO_MLINK;
    return rename_replaces(r) && target_dir && r->target.entries > 0 ? PROTO_NOTEMPTY : 0;
}

/* A directory changes its parent. */
static void move_directory(struct inode *inode, struct inode *from, struct inode *to)
{
    if (!S_ISDIR(inode->mode))
        return;
    inode->parent = to->ino;
    from->nlink--;
    to->nlink++;
}

static int rename_store(struct rename *r)
{
    TRY(inode_store(r->run, r->from_dir));
    if (rename_moves(r))
        TRY(inode_store(r->run, r->to_dir));
    r->source.ctime = r->run->now;
    return inode_store(r->run, &r->source);
}

static int rename_exchange(struct rename *r)
{
    struct nspace_run *run = r->run;
    move_directory(&r->source, r->from_dir, r->to_dir);
    move_directory(&r->target, r->to_dir, r->from_dir);
    TRY(entry_point(run, r->from_dir, r->from.name, &r->from.entry, &r->target));
    TRY(entry_point(run, r->to_dir, r->to.name, &r->to.entry, &r->source));
    r->target.ctime = run->now;
    TRY(inode_store(run, &r->target));
    return rename_store(r);
}

/* The old name goes, or points to a whiteout: what overlays put where something was. */
static int rename_leave(struct rename *r)
{
    struct nspace_run *run = r->run;
    struct inode whiteout;
    if (!(r->flags & PROTO_RENAME_WHITEOUT))
        return entry_remove(run, r->from_dir, r->from.name, &r->from.entry);
    TRY(inode_make(run, r->from_dir, S_IFCHR, &whiteout));
    TRY(inode_store_new(run, &whiteout));
    return entry_point(run, r->from_dir, r->from.name, &r->from.entry, &whiteout);
}

static int rename_move(struct rename *r)
{
    struct nspace_run *run = r->run;
    TRY(rename_leave(r));
    move_directory(&r->source, r->from_dir, r->to_dir);
    if (r->to.found) {
        if (S_ISDIR(r->target.mode))
            r->to_dir->nlink--;
        TRY(entry_point(run, r->to_dir, r->to.name, &r->to.entry, &r->source));
        TRY(inode_drop_link(run, &r->target, r->flags & PROTO_UNLINK_HOLD));
    } else {
        TRY(entry_add(run, r->to_dir, r->to.name, &r->source));
    }
    return rename_store(r);
}

static bool flags_valid(uint32_t flags)
{
    bool exclusive = flags & (PROTO_RENAME_NOREPLACE | PROTO_RENAME_WHITEOUT);
    return !(exclusive && flags & PROTO_RENAME_EXCHANGE);
}

int nspace_op_rename(struct nspace_run *run)
{
    struct rename r = {.run = run, .flags = run->op->flags};
    if (!flags_valid(r.flags))
        return PROTO_INVAL;
    TRY(rename_find(&r));
    TRY(rename_check_ancestors(&r));
    run_set_value(run, 0);
    if (r.to.found && r.source.ino == r.target.ino)
        return 0; /* two names of one file: POSIX wants nothing done */
    TRY(rename_check_permissions(&r));
    TRY(rename_check_limits(&r));
    return rename_exchanges(&r) ? rename_exchange(&r) : rename_move(&r);
}
