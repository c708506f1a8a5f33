/* Which records a request will read, as far as its fields and what is at hand tell. Only a hint:
 * what is missed here is fetched when the request is executed. */
#include "mds/execute.h"

#include <sys/stat.h>

struct probe {
    struct nspace_source *source;
    execute_missing *missing;
    void *user;
};

/* The record's value, where it is at hand and there. */
static struct proto_bytes probe_key(const struct probe *p, struct record_key key)
{
    const void *value = NULL;
    size_t bytes = 0;
    int code = p->source->get(p->source, key.bytes, key.count, &value, &bytes);
    if (code == NSPACE_MISS)
        p->missing(p->user, key.bytes, key.count);
    if (code != 0)
        return (struct proto_bytes){0};
    return (struct proto_bytes){value, (uint32_t)bytes};
}

/* An inode, and what belongs to it if it goes or changes. */
static void probe_inode(const struct probe *p, uint64_t ino)
{
    struct proto_bytes value = probe_key(p, record_key_inode(ino));
    struct inode inode;
    if (!value.data || record_read_inode(value.data, value.bytes, ino, &inode))
        return;
    if (S_ISLNK(inode.mode))
        probe_key(p, record_key_symlink(ino));
    if (S_ISREG(inode.mode) && !inode.layout.striped && inode.size > 0)
        probe_key(p, record_key_body(ino));
    if (inode.flags & INODE_HAS_XATTRS)
        probe_key(p, record_key_xattr(ino, (struct proto_bytes){0}));
}

static void probe_entry(const struct probe *p, uint64_t parent, struct proto_bytes name)
{
    struct entry entry;
    if (name.bytes == 0 || name.bytes > PROTO_NAME_BYTES_MAX)
        return;
    probe_key(p, record_key_inode(parent));
    struct proto_bytes value = probe_key(p, record_key_entry(parent, name));
    if (value.data && record_read_entry(value.data, value.bytes, &entry) == 0)
        probe_inode(p, entry.ino);
}

void execute_probe(struct nspace_source *source, const struct proto_request *request,
                   execute_missing *missing, void *user)
{
    const struct probe p = {source, missing, user};
    const struct proto_op_info *info = proto_op_info(request->op.code);
    uint32_t fields = info ? info->fields : 0;
    if (request->op.code == PROTO_SESSION_EXPIRE)
        return;
    probe_key(&p, record_key_session(request->session));
    probe_key(&p, record_key_slot(request->session, request->slot));
    if (fields & PROTO_F_INO)
        probe_inode(&p, request->op.ino);
    if (fields & PROTO_F_PARENT)
        probe_entry(&p, request->op.parent, request->op.name);
    if (fields & PROTO_F_PARENT2)
        probe_entry(&p, request->op.parent2, request->op.name2);
}
