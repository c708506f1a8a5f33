/* Running one operation: its time, its table entry, its outcome.
 *
 * Invariants: an operation that misses a record or fails changes neither the transaction's meaning
 * (the caller begins it anew) nor the state; one whose outcome is an error changes the time only.
 * Source: docs/protocol.md section 5. */
#include "mds/nspace_run.h"

#include <errno.h>
#include <string.h>

/* No clock is beyond this (2231); one that says so is not believed. */
#define TIME_NS_MAX (INT64_C(8237) * 1000 * 1000 * 1000 * 1000 * 1000)

typedef int nspace_op(struct nspace_run *run);

static nspace_op *const reads[] = {
    [PROTO_LOOKUP] = nspace_op_lookup,       [PROTO_GETATTR] = nspace_op_getattr,
    [PROTO_READLINK] = nspace_op_readlink,   [PROTO_OPEN] = nspace_op_open,
    [PROTO_STATFS] = nspace_op_statfs,       [PROTO_GETXATTR] = nspace_op_getxattr,
    [PROTO_LISTXATTR] = nspace_op_listxattr, [PROTO_READ] = nspace_op_read,
    [PROTO_ACCESS] = nspace_op_access,
};

static nspace_op *const writes[] = {
    [PROTO_SETATTR] = nspace_op_setattr,
    [PROTO_CREATE] = nspace_op_create,
    [PROTO_MKNOD] = nspace_op_mknod,
    [PROTO_MKDIR] = nspace_op_mkdir,
    [PROTO_SYMLINK] = nspace_op_symlink,
    [PROTO_LINK] = nspace_op_link,
    [PROTO_UNLINK] = nspace_op_unlink,
    [PROTO_RMDIR] = nspace_op_rmdir,
    [PROTO_RENAME] = nspace_op_rename,
    [PROTO_SETXATTR] = nspace_op_setxattr,
    [PROTO_REMOVEXATTR] = nspace_op_removexattr,
    [PROTO_WRITE] = nspace_op_write,
    [PROTO_GROW] = nspace_op_grow,
    [PROTO_RESERVE] = nspace_op_reserve,
    [PROTO_STRIPE] = nspace_op_stripe,
    [PROTO_CUT_DONE] = nspace_op_cut_done,
    [PROTO_RELEASE] = nspace_op_release,
    [PROTO_PURGED] = nspace_op_purged,
};

static nspace_op *op_of(nspace_op *const *table, size_t count, enum proto_opcode code)
{
    return (size_t)code < count ? table[code] : NULL;
}

void nspace_propose_time(struct nspace_state *state, int64_t time_ns)
{
    if (time_ns <= TIME_NS_MAX && time_ns - 1 > state->time_ns)
        state->time_ns = time_ns - 1;
}

void nspace_begin_epoch(struct nspace_state *state)
{
    state->epoch_time_ns = 0;
}

void run_begin(struct nspace_run *run, struct nspace_txn *txn, struct nspace_state *state,
               const struct nspace_limits *limits, const struct proto_request *request,
               struct proto_outcome *outcome)
{
    state->time_ns++;
    if (state->epoch_time_ns == 0)
        state->epoch_time_ns = state->time_ns;
    *outcome = (struct proto_outcome){0};
    *run = (struct nspace_run){.txn = txn,
                               .state = state,
                               .limits = limits,
                               .request = request,
                               .op = &request->op,
                               .now = state->time_ns,
                               .outcome = outcome};
}

/* What a finished operation returned, as its outcome. Returns 0, NSPACE_MISS or a negative errno.
 */
static int run_end(int code, struct proto_outcome *outcome)
{
    if (code < 0)
        return code;
    if (code == RUN_MISS)
        return NSPACE_MISS;
    if (code > 0)
        *outcome = (struct proto_outcome){.status = (enum proto_status)code};
    return 0;
}

int nspace_apply(struct nspace_txn *txn, struct nspace_state *state,
                 const struct nspace_limits *limits, const struct proto_request *request,
                 struct proto_outcome *ret_outcome)
{
    struct nspace_state next = *state;
    struct nspace_run run;
    nspace_op *op = op_of(writes, sizeof writes / sizeof writes[0], request->op.code);
    run_begin(&run, txn, &next, limits, request, ret_outcome);
    int code = run_end(op ? op(&run) : PROTO_BAD_REQUEST, ret_outcome);
    if (code)
        return code;
    if (ret_outcome->status == PROTO_OK) {
        *state = next;
        return 0;
    }
    txn_discard(txn);
    state->time_ns = next.time_ns;
    state->epoch_time_ns = next.epoch_time_ns;
    return 0;
}

int nspace_read(struct nspace_txn *txn, const struct nspace_state *state,
                const struct nspace_limits *limits, const struct proto_request *request,
                struct proto_outcome *ret_outcome)
{
    struct nspace_state copy = *state;
    struct nspace_run run;
    nspace_op *op = op_of(reads, sizeof reads / sizeof reads[0], request->op.code);
    run_begin(&run, txn, &copy, limits, request, ret_outcome);
    return run_end(op ? op(&run) : PROTO_BAD_REQUEST, ret_outcome);
}

int run_code(int txn_code)
{
    return txn_code == NSPACE_MISS ? RUN_MISS : txn_code;
}

int run_get(struct nspace_run *run, const struct record_key *key, struct proto_bytes *ret_value)
{
    const void *value;
    size_t bytes;
    int code = txn_get(run->txn, key, &value, &bytes);
    if (code == NSPACE_ABSENT) {
        *ret_value = (struct proto_bytes){0};
        return 0;
    }
    if (code == 0)
        *ret_value = (struct proto_bytes){value, (uint32_t)bytes};
    return run_code(code);
}

int run_put(struct nspace_run *run, const struct record_key *key, const void *value, size_t bytes)
{
    return run_code(txn_put(run->txn, key, value, bytes));
}

int run_delete(struct nspace_run *run, const struct record_key *key)
{
    return run_code(txn_delete(run->txn, key));
}

void run_set_attr(struct nspace_run *run, const struct inode *inode)
{
    run->outcome->fields |= PROTO_REPLY_ATTR;
    inode_attr(inode, &run->outcome->attr);
}

void run_set_value(struct nspace_run *run, uint64_t value)
{
    run->outcome->fields |= PROTO_REPLY_VALUE;
    run->outcome->value = value;
}

int run_set_data(struct nspace_run *run, const void *data, size_t bytes)
{
    uint8_t *copy = txn_alloc(run->txn, bytes + 1);
    if (!copy)
        return -ENOMEM;
    if (bytes)
        memcpy(copy, data, bytes);
    run->outcome->fields |= PROTO_REPLY_DATA;
    run->outcome->data = (struct proto_bytes){copy, (uint32_t)bytes};
    return 0;
}

int nspace_format(struct nspace_txn *txn, int64_t time_ns, struct nspace_state *ret_state)
{
    const struct inode root = {.ino = PROTO_ROOT_INO,
                               .generation = 1,
                               .mode = S_IFDIR | 0755,
                               .nlink = 2,
                               .atime = time_ns,
                               .mtime = time_ns,
                               .ctime = time_ns,
                               .btime = time_ns,
                               .cut = UINT64_MAX,
                               .parent = PROTO_ROOT_INO,
                               .cookie_next = 3};
    struct nspace_run run = {.txn = txn};
    int code = inode_store_new(&run, &root);
    if (code)
        return code;
    *ret_state =
        (struct nspace_state){.time_ns = time_ns, .next_ino = PROTO_ROOT_INO + 1, .inodes = 1};
    ret_state->digest = txn_digest(txn, ret_state->digest);
    return 0;
}
