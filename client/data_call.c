/* Operations of the data path: what it asks of the service, and what it makes of the answers. */
#include "client/data_internal.h"
#include "client/tutti.h"

#include <errno.h>

int data_call(struct data_inode *inode, struct data_caller *caller, const struct proto_op *op,
              struct proto_outcome *ret_outcome)
{
    const struct data_service *service = &inode->data->service;
    struct buffer reply;
    buffer_init(&reply, PROTO_REPLY_BYTES_MAX);
    int rc = service->call(service->user, caller, DATA_AS_MOUNT, op, &reply, ret_outcome);
    buffer_finish(&reply);
    if (rc < 0)
        return rc;
    ret_outcome->data = (struct proto_bytes){0};
    if (ret_outcome->status == PROTO_OK && ret_outcome->fields & PROTO_REPLY_ATTR)
        data_inode_observe(inode, &ret_outcome->attr);
    return 0;
}

int data_call_expect(struct data_inode *inode, struct data_caller *caller,
                     const struct proto_op *op, const enum proto_status *expected,
                     struct proto_outcome *ret_outcome)
{
    int rc = data_call(inode, caller, op, ret_outcome);
    if (rc < 0 || ret_outcome->status == PROTO_OK)
        return rc;
    for (; *expected != PROTO_OK; expected++)
        if (*expected == ret_outcome->status)
            return 0;
    return -tutti_errno(ret_outcome->status);
}

int data_refresh(struct data_inode *inode, struct data_caller *caller)
{
    static const enum proto_status none[] = {PROTO_OK};
    struct proto_op op = {.code = PROTO_GETATTR, .ino = inode->ino};
    struct proto_outcome outcome;
    int rc = data_call_expect(inode, caller, &op, none, &outcome);
    if (rc < 0)
        return rc;
    return outcome.fields & PROTO_REPLY_ATTR ? 0 : -EIO;
}
