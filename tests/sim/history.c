#include "tests/sim/history.h"

#include "base/cursor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void history_init(struct history *history, struct world *world)
{
    memset(history, 0, sizeof *history);
    history->world = world;
}

static struct proto_bytes bytes_copy(struct proto_bytes from)
{
    uint8_t *copy = sim_alloc(from.bytes);
    if (from.bytes)
        memcpy(copy, from.data, from.bytes);
    return (struct proto_bytes){copy, from.bytes};
}

static void bytes_free(struct proto_bytes *bytes)
{
    free((void *)(uintptr_t)bytes->data);
    *bytes = (struct proto_bytes){0};
}

void outcome_copy(struct proto_outcome *to, const struct proto_outcome *from)
{
    *to = *from;
    to->data = bytes_copy(from->data);
}

void outcome_free(struct proto_outcome *outcome)
{
    bytes_free(&outcome->data);
}

static void op_free(struct sim_op *op)
{
    bytes_free(&op->op.name);
    bytes_free(&op->op.name2);
    bytes_free(&op->op.data);
    outcome_free(&op->reply.outcome);
    outcome_free(&op->expected);
    free(op);
}

void history_finish(struct history *history)
{
    for (uint32_t i = 0; i < history->count; i++)
        op_free(history->ops[i]);
    free(history->ops);
}

struct sim_op *history_begin(struct history *history, uint32_t client, uint32_t uid, uint32_t gid,
                             const struct proto_op *op)
{
    if (history->count == history->capacity) {
        history->capacity = history->capacity ? history->capacity * 2 : 1024;
        history->ops = realloc(history->ops, history->capacity * sizeof(void *));
        MUST(history->ops);
    }
    struct sim_op *own = sim_alloc(sizeof *own);
    history->ops[history->count++] = own;
    own->number = history->count;
    own->client = client;
    own->uid = uid;
    own->gid = gid;
    own->op = *op;
    own->op.name = bytes_copy(op->name);
    own->op.name2 = bytes_copy(op->name2);
    own->op.data = bytes_copy(op->data);
    own->floor = history->answered_index_max;
    history->out++;
    return own;
}

void history_answered(struct history *history, struct sim_op *op, const struct proto_reply *reply)
{
    MUST(op->state == OP_OUT);
    op->state = OP_ANSWERED;
    op->reply = *reply;
    outcome_copy(&op->reply.outcome, &reply->outcome);
    history->out--;
    history->answered++;
    if (reply->index > history->answered_index_max)
        history->answered_index_max = reply->index;
}

void history_lost(struct history *history, struct sim_op *op)
{
    MUST(op->state == OP_OUT);
    op->state = OP_LOST;
    history->out--;
}

struct sim_op *history_find(const struct history *history, const struct proto_request *request)
{
    if (request->credentials.group_count != 1)
        return NULL;
    uint32_t number = proto_group(&request->credentials, 0) - HISTORY_GROUP_BASE;
    return number >= 1 && number <= history->count ? history->ops[number - 1] : NULL;
}

void history_credentials(const struct sim_op *op, uint8_t groups[4],
                         struct proto_credentials *ret_credentials)
{
    struct writer w = writer_make(groups, 4);
    writer_u32(&w, HISTORY_GROUP_BASE + op->number);
    *ret_credentials = (struct proto_credentials){
        .uid = op->uid, .gid = op->gid, .group_count = 1, .groups = groups};
}

const char *history_text(const struct sim_op *op, char text[256])
{
    const struct proto_op *o = &op->op;
    snprintf(text, 256,
             "operation %u (%s ino %llu parent %llu '%.*s' parent2 %llu '%.*s' flags %u valid %u "
             "mode %o size %llu offset %llu count %u by %u)",
             op->number, proto_op_info(o->code)->name, (unsigned long long)o->ino,
             (unsigned long long)o->parent, (int)o->name.bytes, (const char *)o->name.data,
             (unsigned long long)o->parent2, (int)o->name2.bytes, (const char *)o->name2.data,
             o->flags, o->valid, o->mode, (unsigned long long)o->size,
             (unsigned long long)o->offset, o->count, op->uid);
    return text;
}
