/* SETATTR with regard to data: order what was written before it, make room, cut after.
 *
 * A size is ordered first and the objects are cut behind it; what the order says of `cut` protects
 * both readers and writers meanwhile. Source: docs/decisions.md, truncating striped files. */
#include "base/log.h"
#include "client/data_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int call(struct data *data, struct data_caller *caller, enum data_authority authority,
                const struct proto_op *op, struct proto_outcome *ret_outcome)
{
    struct buffer reply;
    buffer_init(&reply, PROTO_REPLY_BYTES_MAX);
    int rc = data->service.call(data->service.user, caller, authority, op, &reply, ret_outcome);
    buffer_finish(&reply);
    ret_outcome->data = (struct proto_bytes){0};
    return rc;
}

/* The outcome may say that data has to move first. DATA_MOVED: it did, again. */
static int make_room(struct data_inode *inode, struct data_caller *caller, enum proto_status status)
{
    int rc = 0;
    if (status == PROTO_FBIG && inode->data->target_count) {
        rc = data_convert(inode, caller);
        return rc < 0 ? rc : DATA_MOVED;
    }
    if (status != PROTO_AGAIN)
        return 0;
    rc = data_refresh(inode, caller);
    if (!rc && data_striped(inode))
        rc = data_cut(inode, caller);
    return rc < 0 ? rc : DATA_MOVED;
}

static int set_once(struct data_inode *inode, struct data_caller *caller,
                    enum data_authority authority, const struct proto_op *op,
                    struct proto_outcome *ret_outcome)
{
    int rc = call(inode->data, caller, authority, op, ret_outcome);
    if (rc < 0)
        return rc;
    if (ret_outcome->status != PROTO_OK)
        return make_room(inode, caller, ret_outcome->status);
    data_inode_observe(inode, &ret_outcome->attr);
    struct proto_attr attr = data_inode_attr(inode);
    /* It is truncated whether the objects can be cut now or not; who wants to write there cuts. */
    if (attr.layout.striped && attr.cut != UINT64_MAX)
        rc = data_cut(inode, caller);
    if (rc < 0)
        log_debug("data", "inode %" PRIx64 ": objects not cut: %s", inode->ino, strerror(-rc));
    return 0;
}

static int set_locked(struct data_inode *inode, struct data_caller *caller,
                      enum data_authority authority, const struct proto_op *op,
                      struct proto_outcome *ret_outcome)
{
    int rc = data_flush_locked(inode, caller);
    if (rc < 0)
        return rc;
    rc = DATA_MOVED;
    for (int i = 0; i < DATA_ATTEMPTS_MAX && rc == DATA_MOVED; i++)
        rc = set_once(inode, caller, authority, op, ret_outcome);
    return rc == DATA_MOVED ? -EIO : rc;
}

int data_setattr(struct data *data, struct data_caller *caller, enum data_authority authority,
                 const struct proto_op *op, struct proto_outcome *ret_outcome)
{
    struct data_inode *inode = data_inode_get(data, op->ino);
    if (!inode)
        return -ENOMEM;
    pthread_mutex_lock(&inode->mutex);
    bool plain = !inode->pending && !(op->valid & PROTO_SET_SIZE);
    pthread_mutex_unlock(&inode->mutex);
    int rc = plain ? 0 : data_lock(inode, true, caller);
    if (!rc) {
        rc = plain ? call(data, caller, authority, op, ret_outcome)
                   : set_locked(inode, caller, authority, op, ret_outcome);
        if (!plain)
            data_unlock(inode, true);
    }
    data_inode_put(inode, caller);
    return rc;
}
