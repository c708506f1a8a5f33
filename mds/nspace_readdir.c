/* READDIR and PURGE_LIST: what the caller needs around its scan of records.
 *
 * Cookies: 1 is ".", 2 is "..", entries follow from 3 in the order of their making and keep their
 * cookie for life, so a listing that goes on behind a cookie never skips or repeats an entry that
 * was there all the time. */
#include "mds/nspace_run.h"

#include <errno.h>

enum { COOKIE_DOT = 1, COOKIE_DOT_DOT = 2, COOKIE_FIRST = 3 };

static void readdir_dots(struct nspace_readdir *readdir, const struct inode *dir, uint64_t cookie)
{
    static const uint8_t dots[] = "..";
    const struct proto_dirent both[] = {
        {.cookie = COOKIE_DOT, .ino = dir->ino, .type = S_IFDIR, .name = {dots, 1}},
        {.cookie = COOKIE_DOT_DOT, .ino = dir->parent, .type = S_IFDIR, .name = {dots, 2}},
    };
    for (unsigned i = 0; i < 2; i++)
        if (both[i].cookie > cookie)
            readdir->dots[readdir->dot_count++] = both[i];
}

static int readdir_begin(struct nspace_run *run, struct nspace_readdir *readdir,
                         struct record_key *ret_from, struct record_key *ret_to)
{
    const struct proto_op *op = run->op;
    struct inode dir;
    TRY(inode_load_directory(run, op->ino, &dir));
    TRY(permission_opened(run, &dir, MAY_READ));
    readdir->with_attr =
        op->flags & PROTO_READDIR_ATTR && permission_check(run, &dir, MAY_EXECUTE) == 0;
    readdir_dots(readdir, &dir, op->cookie);
    uint64_t from =
        op->cookie < COOKIE_FIRST ? COOKIE_FIRST : op->cookie + (op->cookie < INT64_MAX);
    *ret_from = record_key_listing(op->ino, from);
    *ret_to = record_key_listing(op->ino, UINT64_MAX);
    return 0;
}

int nspace_readdir_begin(struct nspace_txn *txn, const struct proto_request *request,
                         struct nspace_readdir *ret_readdir, struct record_key *ret_from,
                         struct record_key *ret_to)
{
    struct nspace_run run = {.txn = txn, .request = request, .op = &request->op};
    *ret_readdir = (struct nspace_readdir){0};
    int code = readdir_begin(&run, ret_readdir, ret_from, ret_to);
    if (code == RUN_MISS)
        return NSPACE_MISS;
    if (code > 0)
        ret_readdir->status = (enum proto_status)code;
    return code < 0 ? code : 0;
}

static int readdir_attr(struct nspace_txn *txn, struct proto_dirent *entry)
{
    struct record_key key = record_key_inode(entry->ino);
    struct inode inode;
    const void *value;
    size_t bytes;
    int code = txn_peek(txn, &key, &value, &bytes);
    if (code == NSPACE_ABSENT)
        return 0;
    if (code)
        return code;
    code = record_read_inode(value, bytes, entry->ino, &inode);
    if (code)
        return code;
    entry->has_attr = true;
    inode_attr(&inode, &entry->attr);
    return 0;
}

int nspace_readdir_entry(struct nspace_txn *txn, bool with_attr, const void *key, size_t key_bytes,
                         const void *value, size_t value_bytes, struct proto_dirent *ret_entry)
{
    struct listing listing;
    uint64_t parent, cookie;
    int code = record_parse_listing_key(key, key_bytes, &parent, &cookie);
    if (code == 0)
        code = record_read_listing(value, value_bytes, &listing);
    if (code)
        return code;
    *ret_entry = (struct proto_dirent){
        .cookie = cookie, .ino = listing.ino, .type = listing.type, .name = listing.name};
    return with_attr ? readdir_attr(txn, ret_entry) : 0;
}

int nspace_purge_entry(const void *key, size_t key_bytes, const void *value, size_t value_bytes,
                       struct proto_purge *ret_purge)
{
    struct purge purge;
    uint64_t ino;
    int code = record_parse_purge_key(key, key_bytes, &ino);
    if (code == 0)
        code = record_read_purge(value, value_bytes, &purge);
    if (code == 0)
        *ret_purge = (struct proto_purge){.ino = ino, .generation = purge.generation};
    return code;
}
