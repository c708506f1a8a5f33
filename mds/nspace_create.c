/* Operations that make a name: CREATE, MKNOD, MKDIR, SYMLINK, LINK.
 *
 * All they read is the parent's inode and the entry; what they make has fresh keys. Order of the
 * checks as in Linux: search, exists, write permission, privilege, limits. */
#include "mds/nspace_run.h"

/* Find the place of a new name. */
static int place_vacant(struct nspace_run *run, uint64_t parent, struct proto_bytes name,
                        struct place *ret_place)
{
    TRY(place_find(run, parent, name, ret_place));
    if (ret_place->found || ret_place->dots)
        return PROTO_EXIST;
    return permission_add_entry(run, &ret_place->dir);
}

/* Put a new inode there, store both, answer with its attributes. */
static int place_fill(struct nspace_run *run, struct place *place, const struct inode *inode)
{
    TRY(inode_store_new(run, inode));
    TRY(entry_add(run, &place->dir, place->name, inode));
    TRY(inode_store(run, &place->dir));
    run_set_attr(run, inode);
    return 0;
}

/* O_CREAT without O_EXCL met a file. */
static int create_existing(struct nspace_run *run, const struct place *place)
{
    struct inode inode;
    TRY(inode_load_linked(run, place->entry.ino, &inode));
    if (S_ISDIR(inode.mode))
        return PROTO_ISDIR;
    if (S_ISLNK(inode.mode))
        return PROTO_LOOP;
    TRY(permission_check(run, &inode, permission_wanted(run->op->flags)));
    if (S_ISREG(inode.mode) && (run->op->flags & PROTO_OPEN_TRUNCATE)) {
        TRY(permission_check(run, &inode, MAY_WRITE));
        TRY(data_resize(run, &inode, 0));
        inode.mtime = inode.ctime = run->now;
        if (!run_privileged(run))
            permission_drop_setid(&inode);
        TRY(inode_store(run, &inode));
    }
    run_set_attr(run, &inode);
    run_set_value(run, 0);
    return 0;
}

int nspace_op_create(struct nspace_run *run)
{
    const struct proto_op *op = run->op;
    struct place place;
    struct inode inode;
    if (op->mode & S_IFMT && !S_ISREG(op->mode))
        return PROTO_INVAL;
    TRY(place_find(run, op->parent, op->name, &place));
    if (place.dots)
        return op->flags & PROTO_CREATE_EXCLUSIVE ? PROTO_EXIST : PROTO_ISDIR;
    if (place.found && op->flags & PROTO_CREATE_EXCLUSIVE)
        return PROTO_EXIST;
    if (place.found)
        return create_existing(run, &place);
    TRY(permission_add_entry(run, &place.dir));
    TRY(inode_make(run, &place.dir, S_IFREG | (op->mode & 07777), &inode));
    run_set_value(run, 1);
    return place_fill(run, &place, &inode);
}

static bool needs_privilege(const struct proto_op *op)
{
    bool whiteout = S_ISCHR(op->mode) && op->rdev == 0;
    return (S_ISCHR(op->mode) || S_ISBLK(op->mode)) && !whiteout;
}

int nspace_op_mknod(struct nspace_run *run)
{
    const struct proto_op *op = run->op;
    uint32_t mode = op->mode & S_IFMT ? op->mode : op->mode | S_IFREG;
    struct place place;
    struct inode inode;
    if (S_ISDIR(mode))
        return PROTO_PERM;
    if (!S_ISREG(mode) && !S_ISCHR(mode) && !S_ISBLK(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
        return PROTO_INVAL;
    TRY(place_vacant(run, op->parent, op->name, &place));
    if (needs_privilege(op) && !run_privileged(run))
        return PROTO_PERM;
    TRY(inode_make(run, &place.dir, mode & (S_IFMT | 07777), &inode));
    if (S_ISCHR(mode) || S_ISBLK(mode))
        inode.rdev = op->rdev;
    return place_fill(run, &place, &inode);
}

int nspace_op_mkdir(struct nspace_run *run)
{
    const struct proto_op *op = run->op;
    struct place place;
    struct inode inode;
    TRY(place_vacant(run, op->parent, op->name, &place));
    if (place.dir.nlink >= run->limits->links_max)
        return PROTO_MLINK;
    TRY(inode_make(run, &place.dir, S_IFDIR | (op->mode & (0777 | S_ISVTX)), &inode));
    place.dir.nlink++;
    return place_fill(run, &place, &inode);
}

int nspace_op_symlink(struct nspace_run *run)
{
    const struct proto_op *op = run->op;
    struct place place;
    struct inode inode;
    uint8_t value[RECORD_BYTES_HEAD_BYTES + PROTO_SYMLINK_BYTES_MAX];
    struct writer w = writer_make(value, sizeof value);
    if (op->data.bytes == 0)
        return PROTO_NOENT;
    if (op->data.bytes > PROTO_SYMLINK_BYTES_MAX)
        return PROTO_NAMETOOLONG;
    TRY(place_vacant(run, op->parent, op->name, &place));
    TRY(inode_make(run, &place.dir, S_IFLNK | 0777, &inode));
    inode.size = op->data.bytes;
    struct record_key key = record_key_symlink(inode.ino);
    record_write_bytes(&w, op->data);
    TRY(run_code(txn_insert(run->txn, &key, value, writer_used(&w))));
    return place_fill(run, &place, &inode);
}

int nspace_op_link(struct nspace_run *run)
{
    const struct proto_op *op = run->op;
    struct place place;
    struct inode inode;
    TRY(inode_load(run, op->ino, &inode));
    TRY(place_vacant(run, op->parent2, op->name2, &place));
    if (S_ISDIR(inode.mode))
        return PROTO_PERM;
    if (inode.nlink == 0)
        return PROTO_NOENT; /* its last name is gone */
    if (inode.nlink >= run->limits->links_max)
        return PROTO_MLINK;
    inode.nlink++;
    inode.ctime = run->now;
    TRY(inode_store(run, &inode));
    TRY(entry_add(run, &place.dir, place.name, &inode));
    TRY(inode_store(run, &place.dir));
    run_set_attr(run, &inode);
    return 0;
}
