/* The model's state, its answers, its writes by their operations. */
#include "tests/sim/model_state.h"

#include <stdlib.h>
#include <string.h>

/* ---- inodes and entries ---- */

/* Beyond the last where there is none. */
static uint64_t place_of(const struct model *model, uint64_t ino)
{
    return ino == PROTO_ROOT_INO      ? 0
           : ino > model->skipped + 1 ? ino - model->skipped - 1
                                      : UINT64_MAX;
}

struct model_inode *model_find(struct model *model, uint64_t ino)
{
    uint64_t place = place_of(model, ino);
    return place < model->inode_count ? model->inodes[place] : NULL;
}

static struct model_inode *inode_append(struct model *model, uint32_t mode)
{
    if (model->inode_count == model->inode_capacity) {
        model->inode_capacity = model->inode_capacity ? model->inode_capacity * 2 : 256;
        model->inodes = realloc(model->inodes, model->inode_capacity * sizeof(void *));
        MUST(model->inodes);
    }
    struct model_inode *inode = sim_alloc(sizeof *inode);
    model->inodes[model->inode_count++] = inode;
    inode->ino = model->inode_count == 1 ? PROTO_ROOT_INO : model->inode_count + model->skipped;
    inode->mode = mode;
    inode->nlink = S_ISDIR(mode) ? 2 : 1;
    inode->data_version = 1;
    inode->cut = UINT64_MAX;
    inode->cookie_next = 3;
    model->inodes_used++;
    return inode;
}

/* Numbers are given one after the other and never again. A setgid directory hands on its group. */
struct model_inode *model_new(struct model_call *call, struct model_inode *dir, uint32_t mode)
{
    struct model_inode *inode = inode_append(call->model, mode);
    inode->uid = call->uid;
    inode->gid = call->gid;
    inode->parent = dir->ino;
    if (!(dir->mode & S_ISGID))
        return inode;
    inode->gid = dir->gid;
    if (S_ISDIR(mode))
        inode->mode |= S_ISGID;
    else if ((mode & S_IXGRP) && call->uid != 0 && call->gid != dir->gid)
        inode->mode &= ~(uint32_t)S_ISGID;
    return inode;
}

static void inode_free(struct model_inode *inode)
{
    free(inode->body);
    free(inode->entries);
    free(inode);
}

static void purge_add(struct model *model, uint64_t ino)
{
    if (model->purge_count == model->purge_capacity) {
        model->purge_capacity = model->purge_capacity ? model->purge_capacity * 2 : 16;
        model->purges = realloc(model->purges, model->purge_capacity * sizeof *model->purges);
        MUST(model->purges);
    }
    model->purges[model->purge_count++] = ino;
}

void model_forget(struct model *model, struct model_inode *inode)
{
    if (S_ISREG(inode->mode)) {
        model->bytes_used -= inode->size;
        if (inode->layout.striped)
            purge_add(model, inode->ino);
    }
    model->inodes_used--;
    model->inodes[place_of(model, inode->ino)] = NULL;
    inode_free(inode);
}

struct model_entry *model_entry(struct model_inode *dir, struct proto_bytes name)
{
    for (uint32_t i = 0; i < dir->entry_count; i++)
        if (strlen(dir->entries[i].name) == name.bytes &&
            memcmp(dir->entries[i].name, name.data, name.bytes) == 0)
            return &dir->entries[i];
    return NULL;
}

void model_entry_add(struct model_inode *dir, struct proto_bytes name, uint64_t ino)
{
    if (dir->entry_count == dir->entry_capacity) {
        dir->entry_capacity = dir->entry_capacity ? dir->entry_capacity * 2 : 16;
        dir->entries = realloc(dir->entries, dir->entry_capacity * sizeof *dir->entries);
        MUST(dir->entries);
    }
    struct model_entry *entry = &dir->entries[dir->entry_count++];
    MUST(name.bytes < sizeof entry->name);
    memset(entry, 0, sizeof *entry);
    memcpy(entry->name, name.data, name.bytes);
    entry->ino = ino;
    entry->cookie = dir->cookie_next++;
}

void model_entry_remove(struct model_inode *dir, struct proto_bytes name)
{
    struct model_entry *entry = model_entry(dir, name);
    uint32_t at = (uint32_t)(entry - dir->entries);
    dir->entry_count--;
    memmove(entry, entry + 1, (dir->entry_count - at) * sizeof *entry);
}

bool model_is_dots(struct proto_bytes name)
{
    return (name.bytes == 1 && name.data[0] == '.') ||
           (name.bytes == 2 && name.data[0] == '.' && name.data[1] == '.');
}

/* ---- permissions ---- */

bool model_owns(const struct model_call *call, const struct model_inode *inode)
{
    return call->uid == 0 || call->uid == inode->uid;
}

enum proto_status model_access(const struct model_call *call, const struct model_inode *inode,
                               uint32_t want)
{
    uint32_t bits = inode->mode & 7;
    if (call->uid == 0) {
        bool runs = S_ISDIR(inode->mode) || (inode->mode & 0111);
        return (want & MODEL_X) && !runs ? PROTO_ACCES : PROTO_OK;
    }
    if (call->uid == inode->uid)
        bits = (inode->mode >> 6) & 7;
    else if (call->gid == inode->gid)
        bits = (inode->mode >> 3) & 7;
    return (bits & want) == want ? PROTO_OK : PROTO_ACCES;
}

enum proto_status model_access_open(const struct model_call *call, const struct model_inode *inode,
                                    uint32_t want)
{
    if (model_owns(call, inode))
        return PROTO_OK;
    if (want == MODEL_R && S_ISREG(inode->mode) && model_access(call, inode, MODEL_X) == PROTO_OK)
        return PROTO_OK;
    return model_access(call, inode, want);
}

uint32_t model_wanted(uint32_t flags)
{
    return (flags & PROTO_OPEN_READ ? MODEL_R : 0u) | (flags & PROTO_OPEN_WRITE ? MODEL_W : 0u) |
           (flags & PROTO_OPEN_EXEC ? MODEL_X : 0u);
}

void model_drop_setid(struct model_inode *inode)
{
    inode->mode &= ~(uint32_t)S_ISUID;
    if (inode->mode & S_IXGRP)
        inode->mode &= ~(uint32_t)S_ISGID;
}

enum proto_status model_directory(const struct model_call *call, uint64_t ino,
                                  struct model_inode **ret_dir)
{
    struct model_inode *dir = model_find(call->model, ino);
    if (!dir)
        return PROTO_STALE;
    if (!S_ISDIR(dir->mode))
        return PROTO_NOTDIR;
    *ret_dir = dir;
    return model_access(call, dir, MODEL_X);
}

/* ---- answers ---- */

void model_fill_attr(const struct model_inode *inode, struct proto_attr *attr)
{
    *attr = (struct proto_attr){
        .ino = inode->ino,
        .mode = inode->mode,
        .nlink = inode->nlink,
        .uid = inode->uid,
        .gid = inode->gid,
        .rdev = inode->rdev,
        .size = inode->size,
        .data_version = inode->data_version,
        .cut = inode->cut,
        .layout = inode->layout,
    };
}

void model_answer_attr(struct model_call *call, const struct model_inode *inode)
{
    call->outcome->fields |= PROTO_REPLY_ATTR;
    model_fill_attr(inode, &call->outcome->attr);
}

void model_answer_value(struct model_call *call, uint64_t value)
{
    call->outcome->fields |= PROTO_REPLY_VALUE;
    call->outcome->value = value;
}

void model_answer_data(struct model_call *call, const void *data, uint32_t bytes)
{
    MUST(bytes <= sizeof call->model->reply);
    if (bytes)
        memcpy(call->model->reply, data, bytes);
    call->outcome->fields |= PROTO_REPLY_DATA;
    call->outcome->data = (struct proto_bytes){call->model->reply, bytes};
}

/* Directories' sizes are the implementation's affair. */
const char *model_compare_attr(const struct proto_attr *a, const struct proto_attr *b)
{
    if (a->ino != b->ino)
        return "inode number";
    if (a->mode != b->mode)
        return "mode";
    if (a->nlink != b->nlink)
        return "links";
    if (a->uid != b->uid || a->gid != b->gid)
        return "owner";
    if (a->rdev != b->rdev)
        return "device";
    if (a->size != b->size && !S_ISDIR(a->mode))
        return "size";
    if (!S_ISREG(a->mode))
        return NULL;
    if (a->data_version != b->data_version)
        return "data version";
    if (a->cut != b->cut)
        return "cut";
    return a->layout.striped != b->layout.striped ? "layout" : NULL;
}

const char *model_compare(const struct proto_outcome *a, const struct proto_outcome *b)
{
    if (a->status != b->status)
        return "status";
    if (a->status != PROTO_OK)
        return NULL;
    if (a->fields != b->fields)
        return "fields";
    if ((a->fields & PROTO_REPLY_VALUE) && a->value != b->value)
        return "value";
    if ((a->fields & PROTO_REPLY_DATA) &&
        (a->data.bytes != b->data.bytes ||
         (a->data.bytes && memcmp(a->data.data, b->data.data, a->data.bytes) != 0)))
        return "data";
    return a->fields & PROTO_REPLY_ATTR ? model_compare_attr(&a->attr, &b->attr) : NULL;
}

struct model_call model_call_make(struct model *model, const struct proto_request *request,
                                  struct proto_outcome *outcome)
{
    *outcome = (struct proto_outcome){0};
    return (struct model_call){.model = model,
                               .request = request,
                               .op = &request->op,
                               .uid = request->credentials.uid,
                               .gid = request->credentials.gid,
                               .outcome = outcome};
}

void model_call_end(enum proto_status status, struct proto_outcome *outcome)
{
    if (status != PROTO_OK)
        *outcome = (struct proto_outcome){.status = status};
}

/* ---- writes ---- */

typedef enum proto_status model_op(struct model_call *call);

static model_op *write_op(enum proto_opcode code)
{
    switch (code) {
    case PROTO_SETATTR:
        return model_setattr;
    case PROTO_CREATE:
        return model_create_file;
    case PROTO_MKNOD:
        return model_mknod;
    case PROTO_MKDIR:
        return model_mkdir;
    case PROTO_SYMLINK:
        return model_symlink;
    case PROTO_LINK:
        return model_link;
    case PROTO_UNLINK:
        return model_unlink;
    case PROTO_RMDIR:
        return model_rmdir;
    case PROTO_RENAME:
        return model_rename;
    case PROTO_SETXATTR:
        return model_setxattr;
    case PROTO_REMOVEXATTR:
        return model_removexattr;
    case PROTO_WRITE:
        return model_write_data;
    case PROTO_GROW:
        return model_grow;
    case PROTO_RESERVE:
        return model_reserve;
    case PROTO_STRIPE:
        return model_stripe;
    case PROTO_CUT_DONE:
        return model_cut_done;
    case PROTO_RELEASE:
        return model_release;
    case PROTO_PURGED:
        return model_purged;
    default:
        return NULL;
    }
}

void model_write(struct model *model, const struct proto_request *request,
                 struct proto_outcome *ret_outcome)
{
    struct model_call call = model_call_make(model, request, ret_outcome);
    model_op *op = write_op(request->op.code);
    model_call_end(op ? op(&call) : PROTO_BAD_REQUEST, ret_outcome);
}

struct model *model_create(const struct model_limits *limits)
{
    struct model *model = sim_alloc(sizeof *model);
    model->limits = *limits;
    model->skipped = limits->next_ino ? limits->next_ino - PROTO_ROOT_INO - 1 : 0;
    inode_append(model, S_IFDIR | 0755)->parent = PROTO_ROOT_INO;
    return model;
}

void model_destroy(struct model *model)
{
    for (uint64_t i = 0; i < model->inode_count; i++)
        if (model->inodes[i])
            inode_free(model->inodes[i]);
    free(model->inodes);
    free(model->purges);
    free(model);
}
