/* Sessions: exactly once, opening, closing, expiry.
 *
 * Invariants: a slot's record holds the sequence number and outcome of the last request that was
 * executed in it, written with that request's effects; no slot at or above slots_used has a record;
 * state.sessions counts the S records of sessions, closing ones included. A closing session is
 * known to nobody any more; what is left of it goes in bounded steps. Source: docs/protocol.md
 * section 5; docs/decisions.md, "Sessions and expiry". */
#include "mds/execute_index.h"
#include "mds/nspace_run.h"

#include <errno.h>
#include <string.h>

enum {
    CHANGES_MAX = 64, /* records after which closing and expiry leave the rest for later */
    ENDED_MAX = 64,   /* sessions that one expiry begins to close */
};

/* What becomes of the session index once the request has ended well. */
struct session_change {
    uint8_t id[PROTO_SESSION_BYTES];
    bool removed;
    struct session session;
};

struct execution {
    struct nspace_run run;
    struct nspace_state next;
    struct session_index *sessions;
    struct proto_outcome outcome;
    struct session_change changes[ENDED_MAX];
    uint32_t change_count;
};

static void session_changed(struct execution *e, const uint8_t *id, const struct session *session)
{
    MUST(e->change_count < ENDED_MAX);
    struct session_change *change = &e->changes[e->change_count++];
    memcpy(change->id, id, PROTO_SESSION_BYTES);
    change->removed = session == NULL;
    if (session)
        change->session = *session;
}

static int sessions_update(struct execution *e)
{
    for (uint32_t i = 0; i < e->change_count; i++) {
        const struct session_change *change = &e->changes[i];
        if (change->removed)
            session_index_remove(e->sessions, change->id);
        else
            TRY(session_index_set(e->sessions, change->id, &change->session));
    }
    return 0;
}

/* --- slots
 * ------------------------------------------------------------------------------------------ */

/* Keep the outcome. @fresh: the slot has no record yet. */
static int slot_store(struct execution *e, uint16_t number, uint64_t seq, bool fresh)
{
    struct nspace_run *run = &e->run;
    struct record_key key = record_key_slot(run->request->session, number);
    struct slot slot = {.seq = seq};
    struct buffer encoded;
    buffer_init(&encoded, PROTO_REPLY_BYTES_MAX);
    int code = proto_outcome_encode(&e->outcome, &encoded);
    size_t capacity = RECORD_SLOT_HEAD_BYTES + encoded.bytes;
    uint8_t *value = code ? NULL : txn_alloc(run->txn, capacity);
    if (value) {
        struct writer w = writer_make(value, capacity);
        slot.outcome = (struct proto_bytes){encoded.data, (uint32_t)encoded.bytes};
        record_write_slot(&w, &slot);
    }
    buffer_finish(&encoded);
    if (!value)
        return code ? code : -ENOMEM;
    if (fresh)
        return run_code(txn_insert(run->txn, &key, value, capacity));
    return run_put(run, &key, value, capacity);
}

static int slot_load(struct execution *e, const struct session *session, uint16_t number,
                     struct slot *ret_slot)
{
    struct record_key key = record_key_slot(e->run.request->session, number);
    struct proto_bytes value;
    *ret_slot = (struct slot){0};
    if (number >= session->slots_used)
        return 0;
    TRY(run_get(&e->run, &key, &value));
    return value.data ? record_read_slot(value.data, value.bytes, ret_slot) : 0;
}

/* The outcome that the slot keeps. */
static int slot_repeat(struct execution *e, const struct slot *slot)
{
    struct reader r = reader_make(slot->outcome.data, slot->outcome.bytes);
    int code = proto_outcome_decode(&r, &e->outcome);
    return code || !reader_complete(&r) ? -EBADMSG : 0;
}

/* --- the end of a session
 * --------------------------------------------------------------------------- */

static bool step_is_full(const struct execution *e)
{
    return txn_changes(e->run.txn) >= CHANGES_MAX;
}

static int orphans_remove_some(struct execution *e, const uint8_t *id, struct session *session)
{
    struct orphan orphan;
    while (session->orphans && !step_is_full(e)) {
        uint64_t ino = session->orphans;
        int code = orphan_load(&e->run, ino, &orphan);
        if (code)
            return code == PROTO_NOENT ? -EBADMSG : code;
        if (memcmp(orphan.session, id, PROTO_SESSION_BYTES) != 0)
            return -EBADMSG;
        TRY(orphan_remove(&e->run, ino, &orphan));
        TRY(session_load(&e->run, id, session));
    }
    return 0;
}

static int slots_remove_some(struct execution *e, const uint8_t *id, struct session *session)
{
    while (session->slots_used > 0 && !step_is_full(e)) {
        struct record_key key = record_key_slot(id, session->slots_used - 1);
        TRY(run_delete(&e->run, &key));
        session->slots_used--;
    }
    return 0;
}

/* Remove what fits into this step; the session itself when nothing else is left. The session is
 * stored as closing before, because removing an orphan changes its record. */
static int session_end_some(struct execution *e, const uint8_t *id, struct session *session)
{
    struct record_key key = record_key_session(id);
    session->closing = true;
    TRY(session_store(&e->run, id, session));
    TRY(orphans_remove_some(e, id, session));
    TRY(slots_remove_some(e, id, session));
    if (session->orphans || session->slots_used) {
        session_changed(e, id, session);
        return session_store(&e->run, id, session);
    }
    e->next.sessions--;
    session_changed(e, id, NULL);
    return run_delete(&e->run, &key);
}

/* SESSION_EXPIRE: the sessions that are due, oldest first. The outcome's value: whether to go on.
 */
static int expire(struct execution *e)
{
    uint64_t timeout = e->run.op->value;
    uint8_t id[PROTO_SESSION_BYTES];
    struct session session;
    bool more = session_index_first(e->sessions, id);
    while (more) {
        int code = session_load(&e->run, id, &session);
        if (code)
            return code == PROTO_SESSION_UNKNOWN ? -EBADMSG : code;
        if (!session_due(&session, &e->next, e->run.now, timeout))
            break;
        if (step_is_full(e) || e->change_count == ENDED_MAX) {
            run_set_value(&e->run, 1);
            return 0;
        }
        TRY(session_end_some(e, id, &session));
        more = session_index_next(e->sessions, id);
    }
    bool left = e->change_count > 0 && !e->changes[e->change_count - 1].removed;
    run_set_value(&e->run, left);
    return 0;
}

/* --- requests of a session
 * ---------------------------------------------------------------------------- */

static uint16_t slots_granted(const struct execution *e)
{
    uint32_t wanted = e->run.op->count;
    uint32_t most = e->run.limits->slots_max;
    if (most > PROTO_SLOTS_MAX)
        most = PROTO_SLOTS_MAX;
    if (wanted > most)
        wanted = most;
    return (uint16_t)(wanted ? wanted : 1);
}

static bool session_id_valid(const uint8_t *id)
{
    static const uint8_t none[PROTO_SESSION_BYTES];
    return memcmp(id, none, PROTO_SESSION_BYTES) != 0;
}

/* The first request of a session is number 1 of slot 0. */
static int session_begin(struct execution *e)
{
    const struct proto_request *request = e->run.request;
    if (!session_id_valid(request->session) || request->slot != 0 || request->seq != 1)
        return PROTO_SESSION_UNKNOWN;
    if (e->next.sessions >= e->run.limits->sessions_max)
        return PROTO_LIMIT;
    const struct session session = {.owner = request->credentials.uid,
                                    .opened = e->run.now,
                                    .last_seen = e->run.now,
                                    .slots = slots_granted(e),
                                    .slots_used = 1};
    e->next.sessions++;
    run_set_value(&e->run, session.slots);
    session_changed(e, request->session, &session);
    TRY(session_store(&e->run, request->session, &session));
    return slot_store(e, 0, 1, true);
}

/* The operation itself. Errors are outcomes, kept as any other. */
static int operate(struct execution *e, const struct session *session)
{
    const struct proto_request *request = e->run.request;
    if (request->op.code == PROTO_SESSION_OPEN)
        run_set_value(&e->run, session->slots);
    if (request->op.code == PROTO_SESSION_OPEN || request->op.code == PROTO_SESSION_KEEP)
        return 0;
    e->next.time_ns--; /* nspace_apply counts on by itself */
    return run_code(nspace_apply(e->run.txn, &e->next, e->run.limits, request, &e->outcome));
}

/* What the session's own record says about the request; written only if it changed. */
static int session_note(struct execution *e, uint16_t slot)
{
    enum proto_opcode code = e->run.op->code;
    const uint8_t *id = e->run.request->session;
    bool alive = code == PROTO_SESSION_OPEN || code == PROTO_SESSION_KEEP;
    struct session session;
    TRY(session_load(&e->run, id, &session));
    if (!alive && slot < session.slots_used)
        return 0;
    if (alive)
        session.last_seen = e->run.now;
    if (slot >= session.slots_used)
        session.slots_used = slot + 1;
    session_changed(e, id, &session);
    return session_store(&e->run, id, &session);
}

static int execute_in_session(struct execution *e)
{
    const struct proto_request *request = e->run.request;
    enum proto_opcode code = request->op.code;
    struct session session;
    struct slot slot;
    int known = session_load(&e->run, request->session, &session);
    if (known == PROTO_SESSION_UNKNOWN && code == PROTO_SESSION_OPEN)
        return session_begin(e);
    TRY(known);
    if (session.closing)
        return PROTO_SESSION_UNKNOWN;
    if (request->slot >= session.slots)
        return PROTO_LIMIT;
    TRY(slot_load(e, &session, request->slot, &slot));
    if (request->seq == 0 || request->seq < slot.seq)
        return PROTO_SEQ_OLD;
    if (request->seq == slot.seq)
        return slot_repeat(e, &slot);
    if (request->seq - slot.seq > 1)
        return PROTO_SEQ_GAP;
    if (code == PROTO_SESSION_CLOSE)
        return session_end_some(e, request->session, &session);
    TRY(operate(e, &session));
    TRY(session_note(e, request->slot));
    return slot_store(e, request->slot, request->seq, request->slot >= session.slots_used);
}

int execute_request(struct nspace_txn *txn, struct nspace_state *state,
                    const struct nspace_limits *limits, const struct proto_request *request,
                    struct session_index *sessions, struct proto_outcome *ret_outcome)
{
    struct execution e;
    e.next = *state;
    e.sessions = sessions;
    e.change_count = 0;
    run_begin(&e.run, txn, &e.next, limits, request, &e.outcome);
    int code = request->op.code == PROTO_SESSION_EXPIRE ? expire(&e) : execute_in_session(&e);
    if (code == RUN_MISS)
        return NSPACE_MISS;
    if (code < 0)
        return code;
    if (code > 0) { /* not executed: no slot keeps that */
        *ret_outcome = (struct proto_outcome){.status = (enum proto_status)code};
        txn_discard(txn);
        return 0;
    }
    code = sessions_update(&e);
    if (code)
        return code;
    e.next.digest = txn_digest(txn, e.next.digest);
    *state = e.next;
    *ret_outcome = e.outcome;
    return 0;
}
