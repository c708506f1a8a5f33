/* Directories. Positions are the service's cookies, stable while entries come and go; nothing is
 * kept between two calls. That the handle may list was decided when it was opened, so listing goes
 * with the mount's authority. */
#include "client/fuse_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_BYTES_MIN = 1024 };

/* One listing in the making. */
struct list {
    fuse_req_t req;
    struct mount *mount;
    char *to;
    size_t bytes, bytes_max;
    bool plus;
};

void mount_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct mount_call call;
    struct proto_op op = {.code = PROTO_OPEN, .ino = ino, .flags = PROTO_OPEN_READ};
    mount_call_begin(&call, req);
    int rc = mount_call_as_caller(&call, &op);
    if (rc < 0) {
        mount_reply_error(&call, rc);
        return;
    }
    fuse_reply_open(req, fi);
    mount_call_end(&call);
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* False where there is no more room. "." and ".." have no attributes for the kernel: a node id
 * there would count as a lookup of the wrong entry. */
static bool list_add(struct list *list, struct proto_dirent *entry)
{
    char name[PROTO_NAME_BYTES_MAX + 1];
    size_t room = list->bytes_max - list->bytes, bytes;
    memcpy(name, entry->name.data, entry->name.bytes);
    name[entry->name.bytes] = 0;
    struct fuse_entry_param param = {.attr = {.st_ino = entry->ino, .st_mode = entry->type}};
    if (entry->has_attr && !is_dot(name))
        param = mount_entry(list->mount, &entry->attr);
    char *to = list->to + list->bytes;
    bytes = list->plus
                ? fuse_add_direntry_plus(list->req, to, room, name, &param, (off_t)entry->cookie)
                : fuse_add_direntry(list->req, to, room, name, &param.attr, (off_t)entry->cookie);
    if (bytes > room)
        return false;
    list->bytes += bytes;
    return true;
}

static int list_fill(struct list *list, struct proto_bytes data)
{
    struct reader r = reader_make(data.data, data.bytes);
    struct proto_dirent entry;
    while (reader_left(&r)) {
        int rc = proto_dirent_decode(&r, &entry);
        if (rc < 0)
            return rc;
        if (!list_add(list, &entry))
            return 0;
    }
    return 0;
}

/* An entry of the kernel's is somewhat larger than the service's: ask for what will fit. */
static uint32_t list_ask_bytes(size_t size)
{
    size_t bytes = size / 8 * 7;
    if (bytes < LIST_BYTES_MIN)
        return LIST_BYTES_MIN;
    return bytes < PROTO_DATA_BYTES_MAX ? (uint32_t)bytes : PROTO_DATA_BYTES_MAX;
}

static void list_reply(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie, bool plus)
{
    struct mount_call call;
    struct proto_op op = {
        .code = PROTO_READDIR,
        .ino = ino,
        .cookie = (uint64_t)cookie,
        .count = list_ask_bytes(size),
        .flags = plus ? PROTO_READDIR_ATTR : 0,
    };
    mount_call_begin(&call, req);
    struct list list = {req, call.mount, malloc(size), 0, size, plus};
    int rc = list.to ? mount_call_as_mount(&call, &op) : -ENOMEM;
    if (!rc)
        rc = list_fill(&list, call.outcome.data);
    if (rc < 0) {
        mount_reply_error(&call, rc);
    } else {
        fuse_reply_buf(req, list.to, list.bytes);
        mount_call_end(&call);
    }
    free(list.to);
}

void mount_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie,
                   struct fuse_file_info *fi)
{
    list_reply(req, ino, size, cookie, false);
}

void mount_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie,
                       struct fuse_file_info *fi)
{
    list_reply(req, ino, size, cookie, true);
}

void mount_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    fuse_reply_err(req, 0);
}

/* What was answered is durable already. */
void mount_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    fuse_reply_err(req, 0);
}
