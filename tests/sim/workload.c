#include "tests/sim/workload.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void workload_init(struct workload *workload, struct world *world, uint32_t inline_bytes_max)
{
    memset(workload, 0, sizeof *workload);
    workload->world = world;
    workload->inline_bytes_max = inline_bytes_max;
    for (int i = 0; i < 6; i++)
        workload->directories[i] = PROTO_ROOT_INO;
    for (int i = 0; i < WORKLOAD_KNOWN; i++)
        workload->known[i] = (struct proto_attr){.ino = PROTO_ROOT_INO, .mode = S_IFDIR};
}

static uint64_t draw(struct workload *w, uint64_t limit)
{
    return prng_below(&w->world->prng, limit);
}

static uint64_t directory(struct workload *w)
{
    if (draw(w, 40) == 0)
        return w->known[draw(w, WORKLOAD_KNOWN)].ino; /* perhaps none */
    return w->directories[draw(w, 6)];
}

static const struct proto_attr *inode(struct workload *w)
{
    return &w->known[draw(w, WORKLOAD_KNOWN)];
}

static struct proto_bytes name(struct workload *w, int which)
{
    int bytes = snprintf(w->names[which], sizeof w->names[which], "n%u", (unsigned)draw(w, 16));
    if (draw(w, 60) == 0)
        bytes = snprintf(w->names[which], sizeof w->names[which], draw(w, 2) ? "." : "..");
    return (struct proto_bytes){(const uint8_t *)w->names[which], (uint32_t)bytes};
}

/* Content that no other operation writes. */
static struct proto_bytes content(struct workload *w, uint64_t bytes_max)
{
    uint64_t bytes = draw(w, bytes_max + 1), unique = ++w->unique;
    for (uint64_t i = 0; i < bytes; i++)
        w->data[i] = (uint8_t)(unique >> (8 * (i % 4)));
    return (struct proto_bytes){w->data, (uint32_t)bytes};
}

static struct proto_bytes xattr_name(struct workload *w)
{
    static const char *const names[] = {"user.a", "user.b", "user.c", "trusted.a", "system.x"};
    const char *picked = names[draw(w, 5)];
    return (struct proto_bytes){(const uint8_t *)picked, (uint32_t)strlen(picked)};
}

static uint32_t mode(struct workload *w)
{
    static const uint32_t modes[] = {0755, 0644, 0700, 0777, 0600, 01777, 02775, 04755, 0, 0444};
    return modes[draw(w, 10)];
}

static void draw_setattr(struct workload *w, struct proto_op *op)
{
    op->ino = inode(w)->ino;
    switch (draw(w, 5)) {
    case 0:
        op->valid = PROTO_SET_MODE;
        break;
    case 1:
        op->valid = PROTO_SET_UID | (draw(w, 2) ? PROTO_SET_GID : 0);
        break;
    case 2:
        op->valid = PROTO_SET_ATIME | PROTO_SET_MTIME |
                    (draw(w, 2) ? PROTO_SET_ATIME_NOW | PROTO_SET_MTIME_NOW : 0);
        break;
    default:
        op->valid = PROTO_SET_SIZE;
    }
    op->mode = mode(w);
    op->uid = 1000 + (uint32_t)draw(w, 2);
    op->gid = 1000 + (uint32_t)draw(w, 2);
    op->size = draw(w, w->inline_bytes_max + w->inline_bytes_max / 8);
    op->atime = (int64_t)draw(w, 1000000);
    op->mtime = (int64_t)draw(w, 1000000);
}

static void draw_mknod(struct workload *w, struct proto_op *op)
{
    static const uint32_t types[] = {S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};
    op->mode = types[draw(w, 5)] | mode(w);
    op->rdev = draw(w, 3);
}

static uint32_t draw_rename_flags(struct workload *w)
{
    static const uint32_t flags[] = {0,
                                     0,
                                     0,
                                     0,
                                     PROTO_RENAME_NOREPLACE,
                                     PROTO_RENAME_EXCHANGE,
                                     PROTO_RENAME_WHITEOUT,
                                     PROTO_UNLINK_HOLD,
                                     PROTO_RENAME_NOREPLACE | PROTO_RENAME_WHITEOUT};
    return flags[draw(w, 9)];
}

static void draw_create_flags(struct workload *w, struct proto_op *op)
{
    op->flags = PROTO_OPEN_READ;
    if (draw(w, 3))
        op->flags |= PROTO_CREATE_EXCLUSIVE;
    if (draw(w, 4) == 0)
        op->flags |= PROTO_OPEN_TRUNCATE;
    if (draw(w, 2))
        op->flags |= PROTO_OPEN_WRITE;
}

/* Operations on names. */
static void draw_named(struct workload *w, struct proto_op *op)
{
    op->parent = directory(w);
    op->name = name(w, 0);
    op->mode = mode(w);
    if (op->code == PROTO_CREATE)
        draw_create_flags(w, op);
    if (op->code == PROTO_MKNOD)
        draw_mknod(w, op);
    if (op->code == PROTO_SYMLINK)
        op->data = content(w, 40);
    if (op->code == PROTO_UNLINK && draw(w, 4) == 0)
        op->flags = PROTO_UNLINK_HOLD;
    if (op->code == PROTO_RENAME) {
        op->flags = draw_rename_flags(w);
        op->parent2 = directory(w);
        op->name2 = name(w, 1);
    }
}

/* Operations on an inode. */
static void draw_numbered(struct workload *w, struct proto_op *op)
{
    const struct proto_attr *attr = inode(w);
    op->ino = attr->ino;
    op->count = (uint32_t)draw(w, 2 * w->inline_bytes_max) + 1;
    op->offset = draw(w, w->inline_bytes_max);
    op->value = attr->data_version;
    switch (op->code) {
    case PROTO_LINK:
        op->parent2 = directory(w);
        op->name2 = name(w, 1);
        break;
    case PROTO_WRITE:
        op->data = content(w, w->inline_bytes_max);
        op->flags = draw(w, 3) == 0 ? PROTO_WRITE_APPEND : 0;
        break;
    case PROTO_SETXATTR:
    case PROTO_REMOVEXATTR:
    case PROTO_GETXATTR:
        op->name = xattr_name(w);
        break;
    case PROTO_READDIR:
        op->ino = directory(w);
        op->count = 256 + (uint32_t)draw(w, 4096);
        op->cookie = draw(w, 2) ? 0 : draw(w, 12);
        op->flags = draw(w, 2) ? PROTO_READDIR_ATTR : 0;
        break;
    case PROTO_STRIPE:
        op->layout = (struct proto_layout){.striped = 1, .targets = 2, .stripe_bytes = 65536};
        break;
    case PROTO_OPEN:
    case PROTO_ACCESS:
        op->flags = (uint32_t)draw(w, 7) + 1;
        break;
    default:
        break;
    }
    if (op->code == PROTO_SETXATTR) {
        op->data = content(w, 60);
        op->flags = (uint32_t)draw(w, 3); /* none, CREATE, REPLACE */
    }
    if (op->code == PROTO_GROW || op->code == PROTO_RESERVE)
        op->size = draw(w, 100000);
}

static const struct {
    enum proto_opcode code;
    uint8_t weight;
    bool named;
} mix[] = {
    {PROTO_LOOKUP, 12, true}, {PROTO_GETATTR, 9, false},  {PROTO_READLINK, 2, false},
    {PROTO_OPEN, 2, false},   {PROTO_ACCESS, 2, false},   {PROTO_READDIR, 6, false},
    {PROTO_STATFS, 1, false}, {PROTO_GETXATTR, 3, false}, {PROTO_LISTXATTR, 2, false},
    {PROTO_READ, 7, false},   {PROTO_SETATTR, 8, false},  {PROTO_CREATE, 10, true},
    {PROTO_MKNOD, 2, true},   {PROTO_MKDIR, 3, true},     {PROTO_SYMLINK, 3, true},
    {PROTO_LINK, 4, false},   {PROTO_UNLINK, 7, true},    {PROTO_RMDIR, 1, true},
    {PROTO_RENAME, 9, true},  {PROTO_SETXATTR, 4, false}, {PROTO_REMOVEXATTR, 2, false},
    {PROTO_WRITE, 10, false}, {PROTO_GROW, 2, false},     {PROTO_RESERVE, 2, false},
    {PROTO_STRIPE, 1, false}, {PROTO_CUT_DONE, 1, false}, {PROTO_RELEASE, 2, false},
    {PROTO_PURGED, 1, false},
};

void workload_draw(struct workload *w, struct proto_op *ret_op, uint32_t *ret_uid)
{
    uint64_t total = 0, kind = 0;
    for (size_t i = 0; i < sizeof mix / sizeof mix[0]; i++)
        total += mix[i].weight;
    uint64_t at = draw(w, total);
    while (at >= mix[kind].weight)
        at -= mix[kind++].weight;
    *ret_op = (struct proto_op){.code = mix[kind].code};
    if (mix[kind].code == PROTO_SETATTR)
        draw_setattr(w, ret_op);
    else if (mix[kind].named)
        draw_named(w, ret_op);
    else
        draw_numbered(w, ret_op);
    *ret_uid = draw(w, 4) ? 0 : 1000 + (uint32_t)draw(w, 2);
}

void workload_learn(struct workload *w, const struct sim_op *op)
{
    const struct proto_outcome *outcome = &op->reply.outcome;
    if (outcome->status != PROTO_OK || !(outcome->fields & PROTO_REPLY_ATTR))
        return;
    const struct proto_attr *attr = &outcome->attr;
    w->known[w->known_next++ % WORKLOAD_KNOWN] = *attr;
    bool fresh = op->op.code == PROTO_MKDIR || op->op.code == PROTO_LOOKUP;
    if (S_ISDIR(attr->mode) && fresh)
        w->directories[1 + w->directory_next++ % 5] = attr->ino;
}
