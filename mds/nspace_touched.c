/* What a write touches, by its fields alone: the pending check's table (mds/pending.c).
 *
 * An entry that changes also changes its directory (times, counts). Permissions of an inode, and
 * whether it is there, are an object of their own (ACCESS), so that looking up in a directory need
 * not wait for every entry that is made in it. */
#include "mds/nspace.h"

struct toucher {
    nspace_touch *each;
    void *user;
};

static void touch_inode(const struct toucher *t, uint64_t ino)
{
    t->each(t->user, NSPACE_OBJECT_INODE, ino, (struct proto_bytes){0}, false);
}

static void touch_access(const struct toucher *t, uint64_t ino)
{
    touch_inode(t, ino);
    t->each(t->user, NSPACE_OBJECT_ACCESS, ino, (struct proto_bytes){0}, false);
}

static void touch_entry(const struct toucher *t, uint64_t parent, struct proto_bytes name,
                        bool resolves)
{
    touch_inode(t, parent);
    t->each(t->user, NSPACE_OBJECT_ENTRY, parent, name, resolves);
}

static void touch_kind(const struct toucher *t, enum nspace_object kind)
{
    t->each(t->user, kind, 0, (struct proto_bytes){0}, false);
}

static void touch_create(const struct toucher *t, const struct proto_op *op)
{
    bool truncates = op->code == PROTO_CREATE && op->flags & PROTO_OPEN_TRUNCATE;
    touch_entry(t, op->parent, op->name, truncates);
    touch_kind(t, NSPACE_OBJECT_FRESH);
}

static void touch_rename(const struct toucher *t, const struct proto_op *op)
{
    touch_entry(t, op->parent, op->name, true);
    touch_entry(t, op->parent2, op->name2, true);
    if (op->flags & PROTO_RENAME_WHITEOUT)
        touch_kind(t, NSPACE_OBJECT_FRESH);
}

void nspace_touched(const struct proto_op *op, nspace_touch *each, void *user)
{
    const struct toucher t = {each, user};
    switch (op->code) {
    case PROTO_CREATE:
    case PROTO_MKNOD:
    case PROTO_MKDIR:
    case PROTO_SYMLINK:
        touch_create(&t, op);
        break;
    case PROTO_LINK:
        touch_inode(&t, op->ino);
        touch_entry(&t, op->parent2, op->name2, false);
        break;
    case PROTO_UNLINK:
    case PROTO_RMDIR:
        touch_entry(&t, op->parent, op->name, true);
        break;
    case PROTO_RENAME:
        touch_rename(&t, op);
        break;
    case PROTO_SETATTR:
    case PROTO_RELEASE:
        touch_access(&t, op->ino);
        break;
    case PROTO_SETXATTR:
    case PROTO_REMOVEXATTR:
    case PROTO_WRITE:
    case PROTO_GROW:
    case PROTO_RESERVE:
    case PROTO_STRIPE:
    case PROTO_CUT_DONE:
        touch_inode(&t, op->ino);
        break;
    case PROTO_SESSION_CLOSE:
    case PROTO_SESSION_EXPIRE:
        touch_kind(&t, NSPACE_OBJECT_ORPHANS);
        break;
    default:
        break;
    }
}
