/* SETATTR: mode, owner, size, times. Checks as in Linux (setattr_prepare): all of them before the
 * first change. A change of the size is a data operation: who opened the file may do it. */
#include "mds/nspace_run.h"

static bool changes(const struct nspace_run *run, uint32_t valid)
{
    return run->op->valid & valid;
}

static int check_owner(const struct nspace_run *run, const struct inode *inode)
{
    const struct proto_op *op = run->op;
    bool owner = run->request->credentials.uid == inode->uid;
    if (run_privileged(run))
        return 0;
    if (changes(run, PROTO_SET_UID) && !(owner && op->uid == inode->uid))
        return PROTO_PERM;
    if (changes(run, PROTO_SET_GID) &&
        !(owner && (op->gid == inode->gid || permission_in_group(run, op->gid))))
        return PROTO_PERM;
    return 0;
}

/* Setting a time needs the owner; setting it to now, whoever may write as well. */
static int check_times(const struct nspace_run *run, const struct inode *inode)
{
    bool given = (changes(run, PROTO_SET_ATIME) && !changes(run, PROTO_SET_ATIME_NOW)) ||
                 (changes(run, PROTO_SET_MTIME) && !changes(run, PROTO_SET_MTIME_NOW));
    bool now = changes(run, PROTO_SET_ATIME_NOW | PROTO_SET_MTIME_NOW);
    if (given && !permission_owner(run, inode))
        return PROTO_PERM;
    if (now && !permission_owner(run, inode))
        return permission_check(run, inode, MAY_WRITE);
    return 0;
}

static int check_size(const struct nspace_run *run, const struct inode *inode)
{
    if (!changes(run, PROTO_SET_SIZE))
        return 0;
    if (S_ISDIR(inode->mode))
        return PROTO_ISDIR;
    if (!S_ISREG(inode->mode))
        return PROTO_INVAL;
    return permission_opened(run, inode, MAY_WRITE);
}

static int check_mode(const struct nspace_run *run, const struct inode *inode)
{
    if (!changes(run, PROTO_SET_MODE))
        return 0;
    if (S_ISLNK(inode->mode))
        return PROTO_NOTSUP;
    return permission_owner(run, inode) ? 0 : PROTO_PERM;
}

/* The content changed hands or was cut: privileges that it had are gone. */
static bool drops_setid(const struct nspace_run *run, const struct inode *inode)
{
    if (S_ISDIR(inode->mode))
        return false;
    if (changes(run, PROTO_SET_UID | PROTO_SET_GID | PROTO_SET_KILL_SUID))
        return true;
    return changes(run, PROTO_SET_SIZE) && !run_privileged(run);
}

static void set_owner_and_mode(const struct nspace_run *run, struct inode *inode)
{
    const struct proto_op *op = run->op;
    if (changes(run, PROTO_SET_UID))
        inode->uid = op->uid;
    if (changes(run, PROTO_SET_GID))
        inode->gid = op->gid;
    if (drops_setid(run, inode))
        permission_drop_setid(inode);
    if (!changes(run, PROTO_SET_MODE))
        return;
    inode->mode = (inode->mode & S_IFMT) | (op->mode & 07777);
    if (!run_privileged(run) && !permission_in_group(run, inode->gid))
        inode->mode &= ~(uint32_t)S_ISGID;
}

static void set_times(const struct nspace_run *run, struct inode *inode)
{
    const struct proto_op *op = run->op;
    if (changes(run, PROTO_SET_ATIME_NOW))
        inode->atime = run->now;
    else if (changes(run, PROTO_SET_ATIME))
        inode->atime = op->atime;
    if (changes(run, PROTO_SET_MTIME_NOW))
        inode->mtime = run->now;
    else if (changes(run, PROTO_SET_MTIME))
        inode->mtime = op->mtime;
}

/* A size that stays as it is changes no time by itself. */
static int set_size(struct nspace_run *run, struct inode *inode)
{
    uint64_t before = inode->size;
    if (!changes(run, PROTO_SET_SIZE))
        return 0;
    TRY(data_resize(run, inode, run->op->size));
    if (inode->size != before)
        inode->mtime = inode->ctime = run->now;
    return 0;
}

int nspace_op_setattr(struct nspace_run *run)
{
    struct inode inode;
    TRY(inode_load(run, run->op->ino, &inode));
    TRY(check_size(run, &inode));
    TRY(check_owner(run, &inode));
    TRY(check_mode(run, &inode));
    TRY(check_times(run, &inode));
    TRY(set_size(run, &inode));
    set_owner_and_mode(run, &inode);
    set_times(run, &inode);
    if (changes(run, ~(uint32_t)PROTO_SET_SIZE))
        inode.ctime = run->now;
    TRY(inode_store(run, &inode));
    run_set_attr(run, &inode);
    return 0;
}
