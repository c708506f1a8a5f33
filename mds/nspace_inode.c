/* Inodes: load, store, make, drop a link, remove with all that belongs to them.
 *
 * Invariants: state.inodes counts the I records, state.bytes_used sums the sizes of regular files;
 * an inode's number is never used again. */
#include "mds/nspace_run.h"

#include <errno.h>

int inode_load(struct nspace_run *run, uint64_t ino, struct inode *ret_inode)
{
    struct record_key key = record_key_inode(ino);
    struct proto_bytes value;
    TRY(run_get(run, &key, &value));
    if (!value.data)
        return PROTO_STALE;
    return record_read_inode(value.data, value.bytes, ino, ret_inode);
}

int inode_load_linked(struct nspace_run *run, uint64_t ino, struct inode *ret_inode)
{
    int code = inode_load(run, ino, ret_inode);
    return code == PROTO_STALE ? -EBADMSG : code;
}

int inode_load_directory(struct nspace_run *run, uint64_t ino, struct inode *ret_inode)
{
    TRY(inode_load(run, ino, ret_inode));
    return S_ISDIR(ret_inode->mode) ? 0 : PROTO_NOTDIR;
}

int inode_load_regular(struct nspace_run *run, uint64_t ino, struct inode *ret_inode)
{
    TRY(inode_load(run, ino, ret_inode));
    if (S_ISDIR(ret_inode->mode))
        return PROTO_ISDIR;
    return S_ISREG(ret_inode->mode) ? 0 : PROTO_INVAL;
}

int inode_store(struct nspace_run *run, const struct inode *inode)
{
    struct record_key key = record_key_inode(inode->ino);
    uint8_t value[RECORD_DIRECTORY_BYTES];
    struct writer w = writer_make(value, sizeof value);
    record_write_inode(&w, inode);
    return run_put(run, &key, value, writer_used(&w));
}

int inode_store_new(struct nspace_run *run, const struct inode *inode)
{
    struct record_key key = record_key_inode(inode->ino);
    uint8_t value[RECORD_DIRECTORY_BYTES];
    struct writer w = writer_make(value, sizeof value);
    record_write_inode(&w, inode);
    return run_code(txn_insert(run->txn, &key, value, writer_used(&w)));
}

/* Group and mode of something new: in a setgid directory the group is the directory's, a directory
 * inherits the bit, and nobody outside the group makes an executable setgid file. */
static void inode_inherit(const struct nspace_run *run, const struct inode *dir,
                          struct inode *inode)
{
    if (!(dir->mode & S_ISGID))
        return;
    inode->gid = dir->gid;
    if (S_ISDIR(inode->mode))
        inode->mode |= S_ISGID;
    else if ((inode->mode & S_IXGRP) && !run_privileged(run) && !permission_in_group(run, dir->gid))
        inode->mode &= ~(uint32_t)S_ISGID;
}

int inode_make(struct nspace_run *run, const struct inode *dir, uint32_t mode,
               struct inode *ret_inode)
{
    struct nspace_state *state = run->state;
    if (state->inodes >= run->limits->inodes_max)
        return PROTO_NOSPC;
    bool directory = S_ISDIR(mode);
    *ret_inode = (struct inode){.ino = state->next_ino,
                                .generation = (uint64_t)run->now,
                                .mode = mode,
                                .nlink = directory ? 2 : 1,
                                .uid = run->request->credentials.uid,
                                .gid = run->request->credentials.gid,
                                .atime = run->now,
                                .mtime = run->now,
                                .ctime = run->now,
                                .btime = run->now,
                                .data_version = 1,
                                .cut = UINT64_MAX,
                                .parent = directory ? dir->ino : 0,
                                .cookie_next = directory ? 3 : 0};
    inode_inherit(run, dir, ret_inode);
    state->next_ino++;
    state->inodes++;
    return 0;
}

int inode_drop_link(struct nspace_run *run, struct inode *inode, bool hold)
{
    if (inode->nlink == 0)
        return -EBADMSG;
    inode->nlink = S_ISDIR(inode->mode) ? 0 : inode->nlink - 1;
    inode->ctime = run->now;
    if (inode->nlink == 0 && !hold)
        return inode_remove(run, inode);
    if (inode->nlink == 0) {
        TRY(orphan_add(run, inode));
        run_set_value(run, inode->ino);
    }
    return inode_store(run, inode);
}

int inode_remove(struct nspace_run *run, const struct inode *inode)
{
    struct record_key key = record_key_inode(inode->ino);
    if (inode->flags & INODE_HAS_XATTRS)
        TRY(xattr_remove_all(run, inode));
    if (S_ISREG(inode->mode))
        TRY(data_remove(run, inode));
    if (S_ISLNK(inode->mode)) {
        struct record_key target = record_key_symlink(inode->ino);
        TRY(run_delete(run, &target));
    }
    run->state->inodes--;
    return run_delete(run, &key);
}
