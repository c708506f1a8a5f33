/* Extended attributes: GETXATTR, LISTXATTR, SETXATTR, REMOVEXATTR.
 *
 * One record holds the names, one record each a value, so that listing and removing need no scan.
 * Invariant: an inode with INODE_HAS_XATTRS has a list of names, not empty, and a value for each;
 * the list knows what names and values weigh together, which is bounded, so that removing an inode
 * is. Namespaces as in Linux: user.* on regular files and directories by file permissions,
 * trusted.* for the superuser, security.* written by the superuser; the others are not supported.
 */
#include "mds/nspace_run.h"

#include <errno.h>
#include <string.h>

enum {
    XATTR_COUNT_MAX = 250,        /* of one inode */
    XATTR_BYTES_MAX = 128 * 1024, /* names and values of one inode */
};

enum xattr_space { XATTR_USER, XATTR_TRUSTED, XATTR_SECURITY, XATTR_OTHER };

static const struct {
    const char *prefix;
    enum xattr_space space;
} spaces[] = {{"user.", XATTR_USER}, {"trusted.", XATTR_TRUSTED}, {"security.", XATTR_SECURITY}};

/* @ret_bare: there is nothing behind the prefix. */
static enum xattr_space space_of(struct proto_bytes name, bool *ret_bare)
{
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
        size_t bytes = strlen(spaces[i].prefix);
        if (name.bytes >= bytes && memcmp(name.data, spaces[i].prefix, bytes) == 0) {
            *ret_bare = name.bytes == bytes;
            return spaces[i].space;
        }
    }
    *ret_bare = false;
    return XATTR_OTHER;
}

static int check_user(const struct nspace_run *run, const struct inode *inode, uint32_t may)
{
    bool writes = may == MAY_WRITE;
    if (!S_ISREG(inode->mode) && !S_ISDIR(inode->mode))
        return writes ? PROTO_PERM : PROTO_NODATA;
    if (writes && S_ISDIR(inode->mode) && inode->mode & S_ISVTX && !permission_owner(run, inode))
        return PROTO_PERM;
    return permission_check(run, inode, may);
}

static int check_access(const struct nspace_run *run, const struct inode *inode, uint32_t may)
{
    struct proto_bytes name = run->op->name;
    bool bare, writes = may == MAY_WRITE;
    enum xattr_space space = space_of(name, &bare);
    if (name.bytes == 0 || name.bytes > PROTO_XATTR_NAME_BYTES_MAX)
        return PROTO_RANGE;
    if (space == XATTR_OTHER)
        return PROTO_NOTSUP;
    if (bare)
        return PROTO_INVAL;
    if (space == XATTR_USER)
        return check_user(run, inode, may);
    if (space == XATTR_TRUSTED && !run_privileged(run))
        return writes ? PROTO_PERM : PROTO_NODATA;
    return writes && !run_privileged(run) ? PROTO_PERM : 0;
}

/* No names where the inode says so: then nothing is read. */
static int names_load(struct nspace_run *run, const struct inode *inode, struct xattr_names *ret)
{
    struct record_key key = record_key_xattr(inode->ino, (struct proto_bytes){0});
    struct proto_bytes value;
    *ret = (struct xattr_names){0};
    if (!(inode->flags & INODE_HAS_XATTRS))
        return 0;
    TRY(run_get(run, &key, &value));
    if (!value.data)
        return -EBADMSG;
    return record_read_xattr_names(value.data, value.bytes, ret);
}

static int names_store(struct nspace_run *run, struct inode *inode, const struct xattr_names *names)
{
    struct record_key key = record_key_xattr(inode->ino, (struct proto_bytes){0});
    bool had = inode->flags & INODE_HAS_XATTRS;
    size_t capacity = RECORD_XATTR_NAMES_HEAD_BYTES + names->names.bytes;
    inode->flags &= ~(uint32_t)INODE_HAS_XATTRS;
    if (names->count == 0)
        return run_delete(run, &key);
    uint8_t *value = txn_alloc(run->txn, capacity);
    if (!value)
        return -ENOMEM;
    struct writer w = writer_make(value, capacity);
    record_write_xattr_names(&w, names);
    inode->flags |= INODE_HAS_XATTRS;
    if (had)
        return run_put(run, &key, value, writer_used(&w));
    return run_code(txn_insert(run->txn, &key, value, writer_used(&w)));
}

/* Where `name` is in the list: the offset of its length byte; -1: nowhere. */
static int64_t names_find(const struct xattr_names *names, struct proto_bytes name)
{
    struct reader r = reader_make(names->names.data, names->names.bytes);
    struct proto_bytes each;
    while (record_xattr_next(&r, &each))
        if (each.bytes == name.bytes && memcmp(each.data, name.data, name.bytes) == 0)
            return each.data - 1 - names->names.data;
    return -1;
}

static int names_append(struct nspace_run *run, struct xattr_names *names, struct proto_bytes name)
{
    uint32_t bytes = names->names.bytes;
    uint8_t *list = txn_alloc(run->txn, (size_t)bytes + 1 + name.bytes);
    if (!list)
        return -ENOMEM;
    if (bytes)
        memcpy(list, names->names.data, bytes);
    list[bytes] = (uint8_t)name.bytes;
    memcpy(list + bytes + 1, name.data, name.bytes);
    names->names = (struct proto_bytes){list, bytes + 1 + name.bytes};
    names->count++;
    return 0;
}

static int names_cut(struct nspace_run *run, struct xattr_names *names, size_t at, size_t count)
{
    uint32_t bytes = names->names.bytes;
    uint8_t *list = txn_alloc(run->txn, bytes);
    if (!list)
        return -ENOMEM;
    memcpy(list, names->names.data, at);
    memcpy(list + at, names->names.data + at + count, bytes - at - count);
    names->names = (struct proto_bytes){list, bytes - (uint32_t)count};
    names->count--;
    return 0;
}

static int value_load(struct nspace_run *run, const struct inode *inode, struct proto_bytes name,
                      struct proto_bytes *ret_value)
{
    struct record_key key = record_key_xattr(inode->ino, name);
    struct proto_bytes record;
    TRY(run_get(run, &key, &record));
    if (!record.data)
        return -EBADMSG;
    return record_read_bytes(record.data, record.bytes, PROTO_XATTR_VALUE_BYTES_MAX, ret_value);
}

static int value_store(struct nspace_run *run, const struct inode *inode, struct proto_bytes name,
                       struct proto_bytes data, bool fresh)
{
    struct record_key key = record_key_xattr(inode->ino, name);
    size_t capacity = RECORD_BYTES_HEAD_BYTES + (size_t)data.bytes;
    uint8_t *value = txn_alloc(run->txn, capacity);
    if (!value)
        return -ENOMEM;
    struct writer w = writer_make(value, capacity);
    record_write_bytes(&w, data);
    if (fresh)
        return run_code(txn_insert(run->txn, &key, value, capacity));
    return run_put(run, &key, value, capacity);
}

int nspace_op_getxattr(struct nspace_run *run)
{
    struct inode inode;
    struct xattr_names names;
    struct proto_bytes value;
    TRY(inode_load(run, run->op->ino, &inode));
    TRY(check_access(run, &inode, MAY_READ));
    TRY(names_load(run, &inode, &names));
    if (names_find(&names, run->op->name) < 0)
        return PROTO_NODATA;
    TRY(value_load(run, &inode, run->op->name, &value));
    return run_set_data(run, value.data, value.bytes);
}

/* What the caller could not read is not listed to him (trusted.*). */
int nspace_op_listxattr(struct nspace_run *run)
{
    struct inode inode;
    struct xattr_names names;
    struct proto_bytes name;
    bool bare;
    TRY(inode_load(run, run->op->ino, &inode));
    TRY(names_load(run, &inode, &names));
    uint8_t *list = txn_alloc(run->txn, names.names.bytes + 1);
    if (!list)
        return -ENOMEM;
    struct writer w = writer_make(list, names.names.bytes);
    struct reader r = reader_make(names.names.data, names.names.bytes);
    while (record_xattr_next(&r, &name)) {
        if (space_of(name, &bare) == XATTR_TRUSTED && !run_privileged(run))
            continue;
        writer_bytes(&w, name.data, name.bytes);
        writer_u8(&w, 0);
    }
    return run_set_data(run, list, writer_used(&w));
}

/* The list of names with `name` in it; *ret_fresh: it was not. */
static int xattr_admit(struct nspace_run *run, const struct inode *inode, struct xattr_names *names,
                       bool *ret_fresh)
{
    const struct proto_op *op = run->op;
    struct proto_bytes old = {0};
    *ret_fresh = names_find(names, op->name) < 0;
    if (!*ret_fresh && op->flags & PROTO_XATTR_CREATE)
        return PROTO_EXIST;
    if (*ret_fresh && op->flags & PROTO_XATTR_REPLACE)
        return PROTO_NODATA;
    if (*ret_fresh) {
        TRY(names_append(run, names, op->name));
        names->bytes += op->name.bytes;
    } else {
        TRY(value_load(run, inode, op->name, &old));
    }
    names->bytes += op->data.bytes - old.bytes;
    bool fits = names->count <= XATTR_COUNT_MAX && names->bytes <= XATTR_BYTES_MAX;
    return fits ? 0 : PROTO_NOSPC;
}

int nspace_op_setxattr(struct nspace_run *run)
{
    const struct proto_op *op = run->op;
    struct inode inode;
    struct xattr_names names;
    bool fresh;
    if (op->data.bytes > PROTO_XATTR_VALUE_BYTES_MAX)
        return PROTO_TOOBIG;
    TRY(inode_load(run, op->ino, &inode));
    TRY(check_access(run, &inode, MAY_WRITE));
    TRY(names_load(run, &inode, &names));
    TRY(xattr_admit(run, &inode, &names, &fresh));
    TRY(value_store(run, &inode, op->name, op->data, fresh));
    TRY(names_store(run, &inode, &names));
    inode.ctime = run->now;
    return inode_store(run, &inode);
}

int nspace_op_removexattr(struct nspace_run *run)
{
    struct proto_bytes name = run->op->name, value;
    struct inode inode;
    struct xattr_names names;
    TRY(inode_load(run, run->op->ino, &inode));
    TRY(check_access(run, &inode, MAY_WRITE));
    TRY(names_load(run, &inode, &names));
    int64_t at = names_find(&names, name);
    if (at < 0)
        return PROTO_NODATA;
    TRY(value_load(run, &inode, name, &value));
    names.bytes -= name.bytes + value.bytes;
    TRY(names_cut(run, &names, (size_t)at, 1 + (size_t)name.bytes));
    struct record_key key = record_key_xattr(inode.ino, name);
    TRY(run_delete(run, &key));
    TRY(names_store(run, &inode, &names));
    inode.ctime = run->now;
    return inode_store(run, &inode);
}

int xattr_remove_all(struct nspace_run *run, const struct inode *inode)
{
    struct record_key list = record_key_xattr(inode->ino, (struct proto_bytes){0});
    struct xattr_names names;
    struct proto_bytes name;
    TRY(names_load(run, inode, &names));
    struct reader r = reader_make(names.names.data, names.names.bytes);
    while (record_xattr_next(&r, &name)) {
        struct record_key key = record_key_xattr(inode->ino, name);
        TRY(run_delete(run, &key));
    }
    return run_delete(run, &list);
}
