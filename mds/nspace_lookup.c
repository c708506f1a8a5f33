/* Reads that look at one entry or inode: LOOKUP, GETATTR, READLINK, OPEN, ACCESS, STATFS. */
#include "mds/nspace_run.h"

#include <errno.h>

/* "." and "..", for those who find a directory by its number only. */
static int lookup_dots(struct nspace_run *run, const struct place *place)
{
    struct inode parent;
    if (place->name.bytes == 1) {
        run_set_attr(run, &place->dir);
        return 0;
    }
    TRY(inode_load(run, place->dir.parent, &parent));
    run_set_attr(run, &parent);
    return 0;
}

int nspace_op_lookup(struct nspace_run *run)
{
    struct place place;
    struct inode inode;
    TRY(place_find(run, run->op->parent, run->op->name, &place));
    if (place.dots)
        return lookup_dots(run, &place);
    if (!place.found)
        return PROTO_NOENT;
    TRY(inode_load_linked(run, place.entry.ino, &inode));
    run_set_attr(run, &inode);
    return 0;
}

int nspace_op_getattr(struct nspace_run *run)
{
    struct inode inode;
    TRY(inode_load(run, run->op->ino, &inode));
    run_set_attr(run, &inode);
    return 0;
}

int nspace_op_readlink(struct nspace_run *run)
{
    struct inode inode;
    struct record_key key = record_key_symlink(run->op->ino);
    struct proto_bytes value, target;
    TRY(inode_load(run, run->op->ino, &inode));
    if (!S_ISLNK(inode.mode))
        return PROTO_INVAL;
    TRY(run_get(run, &key, &value));
    if (!value.data)
        return -EBADMSG;
    TRY(record_read_bytes(value.data, value.bytes, PROTO_SYMLINK_BYTES_MAX, &target));
    return run_set_data(run, target.data, target.bytes);
}

int nspace_op_open(struct nspace_run *run)
{
    struct inode inode;
    uint32_t may = permission_wanted(run->op->flags);
    TRY(inode_load(run, run->op->ino, &inode));
    if (S_ISLNK(inode.mode))
        return PROTO_LOOP;
    if (S_ISDIR(inode.mode) && (may & MAY_WRITE))
        return PROTO_ISDIR;
    if (S_ISDIR(inode.mode) && (may & MAY_EXECUTE))
        return PROTO_ACCES; /* a directory is searched, not executed */
    TRY(permission_check(run, &inode, may));
    run_set_attr(run, &inode);
    return 0;
}

int nspace_op_access(struct nspace_run *run)
{
    struct inode inode;
    TRY(inode_load(run, run->op->ino, &inode));
    return permission_check(run, &inode, permission_wanted(run->op->flags));
}

int nspace_op_statfs(struct nspace_run *run)
{
    const struct proto_statfs statfs = {.inodes_used = run->state->inodes,
                                        .inodes_max = run->limits->inodes_max,
                                        .bytes_used = run->state->bytes_used,
                                        .name_bytes_max = PROTO_NAME_BYTES_MAX,
                                        .inline_bytes_max = run->limits->inline_bytes_max};
    uint8_t data[PROTO_STATFS_BYTES];
    struct writer w = writer_make(data, sizeof data);
    proto_statfs_write(&w, &statfs);
    return run_set_data(run, data, writer_used(&w));
}
