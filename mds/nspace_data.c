/* Where a file's data is, how large it is, and small files' data itself: READ, WRITE, GROW,
 * RESERVE, STRIPE, CUT_DONE, PURGED, and changes of the size.
 *
 * Invariants: an inline file of size n > 0 has a B record of n bytes, and none where n = 0;
 * data_version changes with every change of the data's place or inline content, and when a striped
 * file shrinks; a striped file's size never passes `cut`, the lowest size since its objects were
 * cut. Source: docs/decisions.md, "Inline data", "Truncating striped files". */
#include "mds/nspace_run.h"

#include <errno.h>
#include <string.h>

#define SIZE_MAX_BYTES ((uint64_t)INT64_MAX)

/* --- the body of an inline file ------------------------------------------------------------------
 */

static int body_load(struct nspace_run *run, const struct inode *inode,
                     struct proto_bytes *ret_body)
{
    struct record_key key = record_key_body(inode->ino);
    struct proto_bytes value;
    *ret_body = (struct proto_bytes){0};
    if (inode->size == 0)
        return 0;
    TRY(run_get(run, &key, &value));
    if (!value.data)
        return -EBADMSG;
    TRY(record_read_bytes(value.data, value.bytes, PROTO_INLINE_BYTES_MAX, ret_body));
    return ret_body->bytes == inode->size ? 0 : -EBADMSG;
}

static int body_store(struct nspace_run *run, struct inode *inode, struct proto_bytes body)
{
    struct record_key key = record_key_body(inode->ino);
    bool fresh = inode->size == 0;
    size_t capacity = RECORD_BYTES_HEAD_BYTES + (size_t)body.bytes;
    run->state->bytes_used += body.bytes - inode->size;
    inode->size = body.bytes;
    inode->data_version++;
    if (body.bytes == 0)
        return run_delete(run, &key);
    uint8_t *value = txn_alloc(run->txn, capacity);
    if (!value)
        return -ENOMEM;
    struct writer w = writer_make(value, capacity);
    record_write_bytes(&w, body);
    if (fresh)
        return run_code(txn_insert(run->txn, &key, value, capacity));
    return run_put(run, &key, value, capacity);
}

/* The body with `bytes` bytes: cut, or zeros behind. Writable. */
static int body_with_size(struct nspace_run *run, const struct inode *inode, size_t bytes,
                          uint8_t **ret_body)
{
    struct proto_bytes old;
    TRY(body_load(run, inode, &old));
    uint8_t *body = txn_alloc(run->txn, bytes + 1);
    if (!body)
        return -ENOMEM;
    size_t kept = old.bytes < bytes ? old.bytes : bytes;
    if (kept)
        memcpy(body, old.data, kept);
    memset(body + kept, 0, bytes - kept);
    *ret_body = body;
    return 0;
}

/* What a small file may grow to. */
static bool body_fits(const struct nspace_run *run, const struct inode *inode, uint64_t size)
{
    return size <= inode->size || size <= run->limits->inline_bytes_max;
}

static int body_resize(struct nspace_run *run, struct inode *inode, uint64_t size)
{
    uint8_t *body;
    if (!body_fits(run, inode, size))
        return PROTO_FBIG;
    TRY(body_with_size(run, inode, (size_t)size, &body));
    return body_store(run, inode, (struct proto_bytes){body, (uint32_t)size});
}

static int striped_resize(struct nspace_run *run, struct inode *inode, uint64_t size)
{
    if (size > inode->size && size > inode->cut)
        return PROTO_AGAIN; /* the objects hold stale bytes there */
    if (size < inode->size) {
        inode->cut = size; /* the lowest so far: the size never passes it */
        inode->data_version++;
    }
    run->state->bytes_used += size - inode->size;
    inode->size = size;
    return 0;
}

int data_resize(struct nspace_run *run, struct inode *inode, uint64_t size)
{
    if (size == inode->size)
        return 0;
    if (size > SIZE_MAX_BYTES)
        return PROTO_FBIG;
    return inode->layout.striped ? striped_resize(run, inode, size) : body_resize(run, inode, size);
}

int data_remove(struct nspace_run *run, const struct inode *inode)
{
    run->state->bytes_used -= inode->size;
    if (inode->layout.striped) {
        struct record_key key = record_key_purge(inode->ino);
        const struct purge purge = {.generation = inode->generation};
        uint8_t value[RECORD_PURGE_BYTES];
        struct writer w = writer_make(value, sizeof value);
        record_write_purge(&w, &purge);
        return run_code(txn_insert(run->txn, &key, value, writer_used(&w)));
    }
    struct record_key key = record_key_body(inode->ino);
    return inode->size > 0 ? run_delete(run, &key) : 0;
}

/* --- operations
 * ------------------------------------------------------------------------------------ */

int nspace_op_read(struct nspace_run *run)
{
    const struct proto_op *op = run->op;
    struct inode inode;
    struct proto_bytes body;
    TRY(inode_load_regular(run, op->ino, &inode));
    TRY(permission_opened(run, &inode, MAY_READ));
    if (inode.layout.striped)
        return PROTO_AGAIN;
    TRY(body_load(run, &inode, &body));
    uint32_t from = op->offset < body.bytes ? (uint32_t)op->offset : body.bytes;
    uint32_t left = body.bytes - from;
    run_set_attr(run, &inode);
    return run_set_data(run, from ? body.data + from : body.data,
                        op->count < left ? op->count : left);
}

/* When a write says that it was made at `made` (0: now). Not in the future, and never before the
 * last change, unless somebody had set that into the future. */
static int64_t write_time(const struct nspace_run *run, const struct inode *inode, int64_t made)
{
    int64_t time = made != 0 && made < run->now ? made : run->now;
    return inode->mtime <= run->now && time < inode->mtime ? inode->mtime : time;
}

/* The file was written: times, lost privileges; store, answer. */
static int written(struct nspace_run *run, struct inode *inode)
{
    inode->mtime = write_time(run, inode, run->op->mtime);
    inode->ctime = run->now;
    if (!run_privileged(run))
        permission_drop_setid(inode);
    TRY(inode_store(run, inode));
    run_set_attr(run, inode);
    return 0;
}

int nspace_op_write(struct nspace_run *run)
{
    const struct proto_op *op = run->op;
    struct inode inode;
    uint8_t *body;
    TRY(inode_load_regular(run, op->ino, &inode));
    TRY(permission_opened(run, &inode, MAY_WRITE));
    if (inode.layout.striped)
        return PROTO_AGAIN;
    uint64_t offset = op->flags & PROTO_WRITE_APPEND ? inode.size : op->offset;
    if (offset > SIZE_MAX_BYTES - op->data.bytes)
        return PROTO_FBIG;
    run_set_value(run, offset);
    run_set_attr(run, &inode);
    if (op->data.bytes == 0)
        return 0;
    uint64_t end = offset + op->data.bytes;
    if (!body_fits(run, &inode, end))
        return PROTO_FBIG;
    uint64_t size = end > inode.size ? end : inode.size;
    TRY(body_with_size(run, &inode, (size_t)size, &body));
    memcpy(body + offset, op->data.data, op->data.bytes);
    TRY(body_store(run, &inode, (struct proto_bytes){body, (uint32_t)size}));
    return written(run, &inode);
}

/* A striped file that the caller may write. */
static int striped_load(struct nspace_run *run, struct inode *ret_inode)
{
    TRY(inode_load_regular(run, run->op->ino, ret_inode));
    TRY(permission_opened(run, ret_inode, MAY_WRITE));
    return ret_inode->layout.striped ? 0 : PROTO_AGAIN;
}

int nspace_op_grow(struct nspace_run *run)
{
    struct inode inode;
    TRY(striped_load(run, &inode));
    if (run->op->size > inode.size)
        TRY(data_resize(run, &inode, run->op->size));
    return written(run, &inode);
}

int nspace_op_reserve(struct nspace_run *run)
{
    struct inode inode;
    TRY(striped_load(run, &inode));
    if (run->op->size > SIZE_MAX_BYTES - inode.size)
        return PROTO_FBIG;
    run_set_value(run, inode.size);
    TRY(data_resize(run, &inode, inode.size + run->op->size));
    return written(run, &inode);
}

/* The content is in the objects now. No time changes: nothing that a reader sees did. */
int nspace_op_stripe(struct nspace_run *run)
{
    const struct proto_op *op = run->op;
    struct record_key body = record_key_body(op->ino);
    struct inode inode;
    TRY(inode_load_regular(run, op->ino, &inode));
    TRY(permission_opened(run, &inode, MAY_WRITE));
    if (!op->layout.striped)
        return PROTO_INVAL;
    if (inode.layout.striped || inode.data_version != op->value)
        return PROTO_AGAIN;
    if (inode.size > 0)
        TRY(run_delete(run, &body));
    inode.layout = op->layout;
    inode.data_version++;
    TRY(inode_store(run, &inode));
    run_set_attr(run, &inode);
    return 0;
}

int nspace_op_cut_done(struct nspace_run *run)
{
    struct inode inode;
    TRY(striped_load(run, &inode));
    if (inode.data_version != run->op->value)
        return PROTO_AGAIN;
    inode.cut = UINT64_MAX;
    TRY(inode_store(run, &inode));
    run_set_attr(run, &inode);
    return 0;
}

int nspace_op_purged(struct nspace_run *run)
{
    struct record_key key = record_key_purge(run->op->ino);
    struct proto_bytes value;
    TRY(run_get(run, &key, &value));
    if (!value.data)
        return PROTO_NOENT;
    return run_delete(run, &key);
}
