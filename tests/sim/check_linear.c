#include "tests/sim/check_linear.h"

#include "base/cursor.h"

#include <stdlib.h>
#include <string.h>

void linear_init(struct linear *linear, struct history *history, const struct model_limits *limits,
                 uint32_t slots_max)
{
    linear->history = history;
    linear->limits = *limits;
    linear->slots_max = slots_max;
    linear->model = model_create(limits);
    linear->once = once_create(slots_max);
}

void linear_finish(struct linear *linear)
{
    model_destroy(linear->model);
    once_destroy(linear->once);
}

static bool of_session(enum proto_opcode code)
{
    return code == PROTO_SESSION_OPEN || code == PROTO_SESSION_CLOSE ||
           code == PROTO_SESSION_KEEP || code == PROTO_SESSION_EXPIRE;
}

/* ---- the order ---- */

/* One request takes its effect, if it has one, in a model. */
static bool request_effect(struct model *model, struct once *once,
                           const struct proto_request *request, struct proto_outcome *ret_outcome)
{
    if (request->op.code == PROTO_SESSION_EXPIRE)
        return false;
    enum proto_status taken = once_take(once, request);
    *ret_outcome = (struct proto_outcome){.status = taken};
    if (taken != PROTO_OK || of_session(request->op.code))
        return taken == PROTO_OK;
    model_write(model, request, ret_outcome);
    return true;
}

static void ordered_request(struct linear *linear, uint64_t index,
                            const struct proto_request *request)
{
    struct sim_op *op = history_find(linear->history, request);
    struct proto_outcome outcome;
    bool effect = request_effect(linear->model, linear->once, request, &outcome);
    if (!op)
        return;
    check_once(linear->history, op, request, effect, index);
    if (effect && !op->expected.data.data)
        outcome_copy(&op->expected, &outcome);
}

/* Decode a payload and hand out its requests; damage can't be: integrity looked before. */
static void each_request(const struct order_entry *entry,
                         void (*each)(void *user, const struct proto_request *request), void *user)
{
    struct proto_batch batch;
    struct proto_bytes bytes;
    struct proto_request request;
    int code = 0;
    if (entry->event || proto_batch_open(entry->payload, entry->bytes, &batch) < 0)
        return;
    while (proto_batch_next(&batch, &bytes, &code))
        if (proto_request_decode(bytes.data, bytes.bytes, &request) == 0)
            each(user, &request);
}

struct ordered_call {
    struct linear *linear;
    uint64_t index;
};

static void ordered_each(void *user, const struct proto_request *request)
{
    struct ordered_call *call = user;
    ordered_request(call->linear, call->index, request);
}

void linear_ordered(struct linear *linear, uint64_t index, const struct order_entry *entry)
{
    struct ordered_call call = {linear, index};
    each_request(entry, ordered_each, &call);
}

/* ---- answers ---- */

static void broken(struct linear *linear, const struct sim_op *op, const char *what,
                   const struct proto_reply *reply)
{
    char text[256];
    world_violation(linear->history->world,
                    "linearizability: %s of %s: answered %s at %llu, expected %s at %llu (floor "
                    "%llu)",
                    what, history_text(op, text), proto_status_name(reply->outcome.status),
                    (unsigned long long)reply->index, proto_status_name(op->expected.status),
                    (unsigned long long)op->index, (unsigned long long)op->floor);
}

/* A write that was sent again may be answered at the place of its repetition; its own is where it
 * took effect. */
static void check_write(struct linear *linear, const struct sim_op *op,
                        const struct proto_reply *reply)
{
    const char *wrong = NULL;
    if (!op->executed)
        wrong = "no place in the order";
    else if (reply->index < op->index)
        wrong = "a place before its own";
    else if (op->index <= op->floor && reply == &op->reply)
        wrong = "a place before what was answered earlier";
    else
        wrong = model_compare(&op->expected, &reply->outcome);
    if (wrong)
        broken(linear, op, wrong, reply);
}

void linear_answered(struct linear *linear, const struct sim_op *op, uint64_t order_count)
{
    bool write = proto_op_info(op->op.code)->write;
    const struct proto_reply *reply = &op->reply;
    if (reply->index > order_count)
        broken(linear, op, "a place beyond the order", reply);
    else if (write)
        check_write(linear, op, reply);
}

void linear_repeated(struct linear *linear, const struct sim_op *op,
                     const struct proto_reply *reply)
{
    enum proto_status status = reply->outcome.status;
    if (!proto_op_info(op->op.code)->write || status == PROTO_SEQ_OLD ||
        status == PROTO_SESSION_UNKNOWN)
        return;
    if (status == PROTO_SEQ_GAP && !op->executed)
        return; /* it came before its predecessor, which was lost */
    check_write(linear, op, reply);
}

/* ---- reads ---- */

struct read_pass {
    struct linear *linear;
    struct model *model;
    struct once *once;
};

static void read_pass_each(void *user, const struct proto_request *request)
{
    struct read_pass *pass = user;
    struct proto_outcome unused;
    request_effect(pass->model, pass->once, request, &unused);
}

/* What is free for a statfs of two sizes of cluster is not the same: only what is used counts. */
static const char *compare_statfs(const struct proto_outcome *expected,
                                  const struct proto_outcome *outcome)
{
    struct proto_statfs a, b;
    struct reader ra = reader_make(expected->data.data, expected->data.bytes);
    struct reader rb = reader_make(outcome->data.data, outcome->data.bytes);
    proto_statfs_read(&ra, &a);
    proto_statfs_read(&rb, &b);
    if (expected->status != outcome->status)
        return "status";
    return a.inodes_used != b.inodes_used || a.bytes_used != b.bytes_used ? "usage" : NULL;
}

/* A read says at which place its replica had arrived. Writes beyond it that were answered before
 * the read began had all been received there and touched nothing of what was read; so the answer
 * has to be right behind them, too, and that is its place. */
static uint64_t place_of(const struct sim_op *read)
{
    return read->reply.index > read->floor ? read->reply.index : read->floor;
}

static void check_read(struct read_pass *pass, struct sim_op *op)
{
    struct proto_request request = {.op = op->op};
    struct proto_outcome expected = {0};
    const struct proto_outcome *outcome = &op->reply.outcome;
    const char *wrong;
    uint8_t groups[4];
    history_credentials(op, groups, &request.credentials);
    if (op->op.code == PROTO_READDIR) {
        wrong = model_readdir(pass->model, &request, outcome);
    } else {
        model_read(pass->model, &request, &expected);
        wrong = op->op.code == PROTO_STATFS ? compare_statfs(&expected, outcome)
                                            : model_compare(&expected, outcome);
    }
    if (!wrong)
        return;
    outcome_free(&op->expected);
    outcome_copy(&op->expected, &expected);
    op->index = place_of(op);
    broken(pass->linear, op, wrong, &op->reply);
}

static int by_place(const void *a, const void *b)
{
    const struct sim_op *x = *(struct sim_op *const *)a, *y = *(struct sim_op *const *)b;
    if (place_of(x) != place_of(y))
        return place_of(x) < place_of(y) ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* The answered reads, by their places. */
static struct sim_op **collect_reads(const struct history *history, uint32_t *ret_count)
{
    struct sim_op **reads = sim_alloc((history->count + 1) * sizeof *reads);
    uint32_t count = 0;
    for (uint32_t i = 0; i < history->count; i++)
        if (history->ops[i]->state == OP_ANSWERED &&
            !proto_op_info(history->ops[i]->op.code)->write)
            reads[count++] = history->ops[i];
    qsort(reads, count, sizeof *reads, by_place);
    *ret_count = count;
    return reads;
}

void linear_check_reads(struct linear *linear, const struct checks *checks)
{
    struct read_pass pass = {linear, model_create(&linear->limits), once_create(linear->slots_max)};
    uint32_t count, next = 0;
    struct sim_op **reads = collect_reads(linear->history, &count);
    for (uint64_t index = checks->index_first; index <= checks->order_count && next < count;
         index++) {
        if (index > checks->index_first)
            each_request(checks_entry(checks, index), read_pass_each, &pass);
        while (next < count && place_of(reads[next]) == index)
            check_read(&pass, reads[next++]);
    }
    free(reads);
    model_destroy(pass.model);
    once_destroy(pass.once);
}
