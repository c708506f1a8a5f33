/* The reference model of the load: 16 names, and what each inode is. Small enough to be obviously
 * right; every change can be taken back. */
#include "tests/cluster/load.h"
#include "base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_BYTES = 160 };

const char *const load_kind_names[LOAD_KINDS] = {
    "create", "unlink", "rename", "setattr", "append", "release", "lookup", "getattr", "list"};

int model_init(struct model *model, uint64_t *inos, size_t inode_count, uint64_t inline_bytes_max)
{
    *model = (struct model){
        .inline_bytes_max = inline_bytes_max, .inos = inos, .inode_count = inode_count};
    model->inodes = calloc(inode_count + 1, sizeof *model->inodes);
    return model->inodes ? 0 : -ENOMEM;
}

void model_finish(struct model *model)
{
    free(model->inodes);
    free(model->undo);
}

/* --- changes --- */

static struct model_undo *note(struct model *model)
{
    if (model->undo_count == model->undo_capacity) {
        model->undo_capacity = model->undo_capacity ? 2 * model->undo_capacity : 1024;
        model->undo = realloc(model->undo, model->undo_capacity * sizeof *model->undo);
        MUST(model->undo);
    }
    return &model->undo[model->undo_count++];
}

static uint64_t name_hash(uint32_t place, uint32_t name)
{
    const uint32_t words[2] = {place, name};
    return hash64(words, sizeof words);
}

static uint64_t inode_hash(uint32_t number, const struct model_inode *inode)
{
    const uint64_t words[4] = {1000 + (uint64_t)number, (uint64_t)inode->state,
                               (uint64_t)inode->tag, inode->size};
    return hash64(words, sizeof words);
}

static void put_name(struct model *model, uint32_t place, uint32_t name)
{
    model->hash ^= name_hash(place, model->names[place]) ^ name_hash(place, name);
    model->names[place] = name;
}

static void put_inode(struct model *model, uint32_t number, struct model_inode inode)
{
    model->hash ^= inode_hash(number, &model->inodes[number]) ^ inode_hash(number, &inode);
    model->inodes[number] = inode;
}

static void set_name(struct model *model, uint32_t place, uint32_t name)
{
    *note(model) = (struct model_undo){true, place, model->names[place], {0}};
    put_name(model, place, name);
}

static void set_inode(struct model *model, uint32_t number, struct model_inode inode)
{
    *note(model) = (struct model_undo){false, number, 0, model->inodes[number]};
    put_inode(model, number, inode);
}

static void set_state(struct model *model, uint32_t number, int state)
{
    struct model_inode inode = model->inodes[number];
    inode.state = state;
    set_inode(model, number, inode);
}

void model_back(struct model *model, size_t mark)
{
    while (model->undo_count > mark) {
        const struct model_undo *undo = &model->undo[--model->undo_count];
        if (undo->name)
            put_name(model, undo->number, undo->was_name);
        else
            put_inode(model, undo->number, undo->was);
    }
}

/* --- answers --- */

static bool status_is(const struct load_op *op, enum proto_status expected, char *why)
{
    if (op->status == expected)
        return true;
    snprintf(why, WHY_BYTES, "should have been answered with %s", proto_status_name(expected));
    return false;
}

static bool number_is(const char *what, uint64_t answered, uint64_t expected, char *why)
{
    if (answered == expected)
        return true;
    snprintf(why, WHY_BYTES, "%s should have been %llu, not %llu", what,
             (unsigned long long)expected, (unsigned long long)answered);
    return false;
}

static uint64_t ino_of(const struct model *model, uint32_t name)
{
    return name ? model->inos[name - 1] : 0;
}

static bool apply_create(struct model *model, const struct load_op *op, char *why)
{
    if (model->names[op->place])
        return status_is(op, PROTO_EXIST, why);
    if (!status_is(op, PROTO_OK, why))
        return false;
    if (model->inodes[op->inode].state != MODEL_NEVER) {
        snprintf(why, WHY_BYTES, "made an inode that was there before");
        return false;
    }
    set_inode(model, op->inode, (struct model_inode){MODEL_LINKED, op->tag, 0});
    set_name(model, op->place, op->inode + 1);
    return true;
}

static bool apply_unlink(struct model *model, const struct load_op *op, char *why)
{
    uint32_t name = model->names[op->place];
    if (!name)
        return status_is(op, PROTO_NOENT, why);
    if (!status_is(op, PROTO_OK, why) ||
        !number_is("the removed inode", op->value, ino_of(model, name), why))
        return false;
    set_state(model, name - 1, MODEL_HELD);
    set_name(model, op->place, 0);
    return true;
}

static bool apply_rename(struct model *model, const struct load_op *op, char *why)
{
    uint32_t from = model->names[op->place], to = model->names[op->place2];
    bool exchange = op->flags & PROTO_RENAME_EXCHANGE;
    if (!from || (exchange && !to))
        return status_is(op, PROTO_NOENT, why);
    if (to && op->flags & PROTO_RENAME_NOREPLACE)
        return status_is(op, PROTO_EXIST, why);
    if (!status_is(op, PROTO_OK, why) ||
        !number_is("the replaced inode", op->value, exchange ? 0 : ino_of(model, to), why))
        return false;
    if (to && !exchange)
        set_state(model, to - 1, MODEL_HELD);
    set_name(model, op->place, exchange ? to : 0);
    set_name(model, op->place2, from);
    return true;
}

static bool alive(const struct model_inode *inode)
{
    return inode->state == MODEL_LINKED || inode->state == MODEL_HELD;
}

static bool apply_setattr(struct model *model, const struct load_op *op, char *why)
{
    struct model_inode inode = model->inodes[op->inode];
    if (!alive(&inode))
        return status_is(op, PROTO_STALE, why);
    if (!status_is(op, PROTO_OK, why) || !number_is("the size", op->size, inode.size, why) ||
        !number_is("the mtime", (uint64_t)op->tag, op->word, why))
        return false;
    inode.tag = op->tag;
    set_inode(model, op->inode, inode);
    return true;
}

static bool apply_append(struct model *model, const struct load_op *op, char *why)
{
    struct model_inode inode = model->inodes[op->inode];
    if (!alive(&inode))
        return status_is(op, PROTO_STALE, why);
    if (inode.size + sizeof op->word > model->inline_bytes_max)
        return status_is(op, PROTO_FBIG, why);
    if (!status_is(op, PROTO_OK, why) || !number_is("the offset", op->value, inode.size, why))
        return false;
    inode.tag = op->tag;
    inode.size += sizeof op->word;
    set_inode(model, op->inode, inode);
    return true;
}

static bool apply_release(struct model *model, const struct load_op *op, char *why)
{
    if (model->inodes[op->inode].state != MODEL_HELD)
        return status_is(op, PROTO_NOENT, why);
    if (!status_is(op, PROTO_OK, why))
        return false;
    set_state(model, op->inode, MODEL_GONE);
    return true;
}

static bool attr_is(const struct load_op *op, const struct model_inode *inode, char *why)
{
    return number_is("the mtime", (uint64_t)op->tag, (uint64_t)inode->tag, why) &&
           number_is("the size", op->size, inode->size, why);
}

static bool apply_lookup(struct model *model, const struct load_op *op, char *why)
{
    uint32_t name = model->names[op->place];
    if (!name)
        return status_is(op, PROTO_NOENT, why);
    return status_is(op, PROTO_OK, why) &&
           number_is("the inode", op->ino, ino_of(model, name), why) &&
           attr_is(op, &model->inodes[name - 1], why);
}

static bool apply_getattr(struct model *model, const struct load_op *op, char *why)
{
    const struct model_inode *inode = &model->inodes[op->inode];
    if (!alive(inode))
        return status_is(op, PROTO_STALE, why);
    return status_is(op, PROTO_OK, why) && attr_is(op, inode, why);
}

static bool apply_list(struct model *model, const struct load_op *op, char *why)
{
    char what[32];
    if (!status_is(op, PROTO_OK, why))
        return false;
    for (uint32_t i = 0; i < LOAD_NAMES; i++) {
        uint32_t name = model->names[op->place * LOAD_NAMES + i];
        snprintf(what, sizeof what, "n%u", i);
        if (!number_is(what, op->listed[i], ino_of(model, name), why))
            return false;
    }
    return true;
}

bool model_apply(struct model *model, const struct load_op *op, char *why)
{
    static bool (*const applies[LOAD_KINDS])(struct model *, const struct load_op *, char *) = {
        apply_create,  apply_unlink, apply_rename,  apply_setattr, apply_append,
        apply_release, apply_lookup, apply_getattr, apply_list};
    return applies[op->kind](model, op, why);
}
