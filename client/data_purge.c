/* Removal of the objects of files that are gone.
 *
 * The service lists inodes whose striped data nobody can reach any more. Every mount that has the
 * targets may remove it; doing so twice is harmless. Confirmed only when all targets are done. */
#include "client/data_internal.h"

#include <errno.h>

enum { PURGE_ENTRIES_MAX = 256 };

static int purge_one(struct data *data, struct data_caller *caller, const struct proto_purge *purge)
{
    struct data_object_name name = {purge->ino, purge->generation};
    struct proto_op op = {.code = PROTO_PURGED, .ino = purge->ino};
    struct proto_outcome outcome;
    struct buffer reply;
    int rc = data_objects_remove(data, name);
    if (rc < 0)
        return rc;
    buffer_init(&reply, PROTO_REPLY_BYTES_MAX);
    rc = data->service.call(data->service.user, caller, DATA_AS_MOUNT, &op, &reply, &outcome);
    buffer_finish(&reply);
    return rc;
}

static int purge_list(struct data *data, struct data_caller *caller, struct proto_bytes list)
{
    struct reader r = reader_make(list.data, list.bytes);
    int count = 0;
    while (reader_left(&r)) {
        struct proto_purge purge;
        proto_purge_read(&r, &purge);
        if (r.failed)
            return -EPROTO;
        int rc = purge_one(data, caller, &purge);
        if (rc < 0)
            return rc;
        count++;
    }
    return count;
}

int data_purge(struct data *data, struct data_caller *caller)
{
    struct proto_op op = {.code = PROTO_PURGE_LIST, .count = PURGE_ENTRIES_MAX};
    struct proto_outcome outcome;
    struct buffer reply;
    if (!data->target_count)
        return 0;
    buffer_init(&reply, PROTO_REPLY_BYTES_MAX);
    int rc = data->service.call(data->service.user, caller, DATA_AS_MOUNT, &op, &reply, &outcome);
    if (!rc && outcome.status == PROTO_OK)
        rc = purge_list(data, caller, outcome.data);
    buffer_finish(&reply);
    return rc;
}
