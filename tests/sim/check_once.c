#include "tests/sim/check_once.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct once_session {
    uint8_t id[PROTO_SESSION_BYTES];
    uint32_t slots;
    uint64_t *seq; /* of each slot: the last that took effect */
    UT_hash_handle hh;
};

struct once {
    uint32_t slots_max;
    struct once_session *sessions;
};

struct once *once_create(uint32_t slots_max)
{
    struct once *once = sim_alloc(sizeof *once);
    once->slots_max = slots_max;
    return once;
}

void once_destroy(struct once *once)
{
    struct once_session *session, *next;
    HASH_ITER(hh, once->sessions, session, next)
    {
        HASH_DEL(once->sessions, session);
        free(session->seq);
        free(session);
    }
    free(once);
}

/* A session begins with request 1 of slot 0. */
static enum proto_status session_open(struct once *once, const struct proto_request *request)
{
    uint32_t slots = request->op.count;
    if (request->op.code != PROTO_SESSION_OPEN || request->slot != 0 || request->seq != 1)
        return PROTO_SESSION_UNKNOWN;
    if (slots > once->slots_max)
        slots = once->slots_max;
    struct once_session *session = sim_alloc(sizeof *session);
    memcpy(session->id, request->session, sizeof session->id);
    session->slots = slots ? slots : 1;
    session->seq = sim_alloc(session->slots * sizeof *session->seq);
    session->seq[0] = 1;
    HASH_ADD(hh, once->sessions, id, sizeof session->id, session);
    return PROTO_OK;
}

enum proto_status once_take(struct once *once, const struct proto_request *request)
{
    struct once_session *session;
    HASH_FIND(hh, once->sessions, request->session, sizeof session->id, session);
    if (!session)
        return session_open(once, request);
    if (request->slot >= session->slots)
        return PROTO_LIMIT;
    uint64_t *last = &session->seq[request->slot];
    if (request->seq == *last)
        return PROTO_AGAIN;
    if (request->seq < *last)
        return PROTO_SEQ_OLD;
    if (request->seq > *last + 1)
        return PROTO_SEQ_GAP;
    *last = request->seq;
    return PROTO_OK;
}

static bool same_name(const struct sim_op *op, const struct proto_request *request)
{
    return memcmp(op->session, request->session, sizeof op->session) == 0 &&
           op->slot == request->slot && op->seq == request->seq;
}

void check_once(struct history *history, struct sim_op *op, const struct proto_request *request,
                bool takes_effect, uint64_t index)
{
    char text[256];
    if (op->ordered && !same_name(op, request)) {
        world_violation(history->world, "exactly once: %s has two names", history_text(op, text));
        return;
    }
    memcpy(op->session, request->session, sizeof op->session);
    op->slot = request->slot;
    op->seq = request->seq;
    op->ordered = true;
    if (!takes_effect)
        return;
    if (op->executed)
        world_violation(history->world, "exactly once: %s takes effect at %llu and at %llu",
                        history_text(op, text), (unsigned long long)op->index,
                        (unsigned long long)index);
    op->executed = true;
    op->index = index;
}
