/* Who may do what: owner, group, others; the sticky bit; the superuser.
 *
 * Checked on every request, by uid, gid and supplementary groups. Uid 0 passes everywhere, except
 * that it executes only what somebody may execute. Model: Linux, generic_permission and may_delete.
 *
 * Data operations come through a file that was opened before. Replicas know no opens, so they use
 * the rule of NFS servers: the owner passes whatever the mode has become, others by the present
 * mode. */
#include "mds/nspace_run.h"

bool permission_in_group(const struct nspace_run *run, uint32_t gid)
{
    const struct proto_credentials *who = &run->request->credentials;
    if (who->gid == gid)
        return true;
    for (uint32_t i = 0; i < who->group_count; i++)
        if (proto_group(who, i) == gid)
            return true;
    return false;
}

bool permission_owner(const struct nspace_run *run, const struct inode *inode)
{
    return run_privileged(run) || run->request->credentials.uid == inode->uid;
}

static bool may_as_superuser(const struct inode *inode, uint32_t may)
{
    return !(may & MAY_EXECUTE) || S_ISDIR(inode->mode) || (inode->mode & 0111);
}

int permission_check(const struct nspace_run *run, const struct inode *inode, uint32_t may)
{
    uint32_t granted = inode->mode;
    if (run_privileged(run))
        return may_as_superuser(inode, may) ? 0 : PROTO_ACCES;
    if (run->request->credentials.uid == inode->uid)
        granted >>= 6;
    else if (permission_in_group(run, inode->gid))
        granted >>= 3;
    return (granted & may) == may ? 0 : PROTO_ACCES;
}

uint32_t permission_wanted(uint32_t flags)
{
    uint32_t may = 0;
    if (flags & PROTO_OPEN_READ)
        may |= MAY_READ;
    if (flags & PROTO_OPEN_WRITE)
        may |= MAY_WRITE;
    if (flags & PROTO_OPEN_EXEC)
        may |= MAY_EXECUTE;
    return may;
}

/* Whoever may execute a file may have its pages read for him. */
int permission_opened(const struct nspace_run *run, const struct inode *inode, uint32_t may)
{
    if (permission_owner(run, inode))
        return 0;
    if (may == MAY_READ && S_ISREG(inode->mode) && permission_check(run, inode, MAY_EXECUTE) == 0)
        return 0;
    return permission_check(run, inode, may);
}

int permission_add_entry(const struct nspace_run *run, const struct inode *dir)
{
    if (dir->nlink == 0)
        return PROTO_NOENT; /* removed, and held open by somebody */
    return permission_check(run, dir, MAY_WRITE | MAY_EXECUTE);
}

int permission_remove_entry(const struct nspace_run *run, const struct inode *dir,
                            const struct inode *victim)
{
    TRY(permission_check(run, dir, MAY_WRITE | MAY_EXECUTE));
    bool sticky = dir->mode & S_ISVTX;
    if (sticky && !permission_owner(run, dir) && !permission_owner(run, victim))
        return PROTO_PERM;
    return 0;
}

/* Setgid without group execution is not a privilege, but mandatory locking's mark. */
void permission_drop_setid(struct inode *inode)
{
    inode->mode &= ~(uint32_t)S_ISUID;
    if (inode->mode & S_IXGRP)
        inode->mode &= ~(uint32_t)S_ISGID;
}
