/* The session's requests: slots, sequence numbers, sending, answers.
 *
 * Invariants:
 *  - a write that has a slot keeps it, and its encoding, until it is answered; so it is the same
 *    request however often and to whomever it is sent;
 *  - a slot has at most one request, and its sequence runs from 1 without a gap: a number is given
 *    back only where a replica refused to order the one and only copy that was sent;
 *  - `done` is called once for each accepted request, after it left all lists;
 *  - an answer that leaves it open what happened (session unknown, sequence out of step) ends the
 *    session; nothing is guessed.
 */
#include "client/session_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare_tags(const struct request *a, const struct request *b)
{
    return a->tag < b->tag ? -1 : a->tag > b->tag;
}

RB_GENERATE_INTERNAL(request_tree, request, by_tag, compare_tags, static __attribute__((unused)))

static struct request *find(struct client_session *s, uint64_t tag)
{
    struct request key = {.tag = tag};
    return RB_FIND(request_tree, &s->requests, &key);
}

static struct request_list *list_of(struct client_session *s, const struct request *r)
{
    if (r->state == REQUEST_WAITING)
        return r->write ? &s->waiting_writes : &s->waiting_reads;
    return r->state == REQUEST_READY ? &s->ready : &s->sent;
}

static void move_to(struct client_session *s, struct request *r, enum request_state state)
{
    TAILQ_REMOVE(list_of(s, r), r, entry);
    r->state = state;
    TAILQ_INSERT_TAIL(list_of(s, r), r, entry);
}

static void request_free(struct request *r)
{
    blob_unref(r->payload);
    free(r);
}

/* Out of all books but the slot's. */
static void detach(struct client_session *s, struct request *r)
{
    TAILQ_REMOVE(list_of(s, r), r, entry);
    RB_REMOVE(request_tree, &s->requests, r);
    s->request_count--;
    s->request_bytes -= r->payload->bytes;
    if (!r->write && r->state != REQUEST_WAITING)
        s->reads_out--;
}

static void finish(struct client_session *s, struct request *r, int code,
                   const struct proto_reply *reply)
{
    detach(s, r);
    if (r->slot != SLOT_NONE && s->slot_count)
        s->free_slots[s->free_count++] = r->slot;
    client_session_done *done = r->done;
    void *user = r->user;
    request_free(r);
    if (done)
        done(user, code, reply);
}

/* --- taking requests in --- */

static int encode(struct client_session *s, const struct proto_request *request,
                  struct blob **ret_payload)
{
    buffer_clear(&s->scratch);
    int code = proto_request_encode(request, &s->scratch);
    if (code)
        return code;
    *ret_payload = blob_create(s->scratch.data, (uint32_t)s->scratch.bytes);
    return *ret_payload ? 0 : -ENOMEM;
}

/* Makes a waiting request of it. Encoding refuses what a replica would refuse to decode. */
static int take_in(struct client_session *s, struct proto_request *request,
                   client_session_done *done, void *user, struct request **ret_request)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    memcpy(request->session, s->id, sizeof s->id);
    request->tag = s->last_tag + 1;
    int code = encode(s, request, &r->payload);
    if (code) {
        request_free(r);
        return code;
    }
    r->tag = ++s->last_tag;
    r->code = request->op.code;
    r->write = proto_op_info(r->code)->write;
    r->slot = SLOT_NONE;
    r->done = done;
    r->user = user;
    RB_INSERT(request_tree, &s->requests, r);
    TAILQ_INSERT_TAIL(list_of(s, r), r, entry);
    s->request_count++;
    s->request_bytes += r->payload->bytes;
    *ret_request = r;
    return 0;
}

/* --- slots --- */

/* The slot that is given next, and its next sequence number. */
static void name_next(const struct client_session *s, struct proto_request *request)
{
    request->slot = s->free_slots[s->free_count - 1];
    request->seq = s->seq[request->slot] + 1;
}

/* That slot is this request's now; it is encoded with it. */
static void take_slot(struct client_session *s, struct request *r)
{
    r->slot = s->free_slots[--s->free_count];
    s->seq[r->slot]++;
    move_to(s, r, REQUEST_READY);
}

/* Name a waiting write by (slot, seq): its encoding is made anew. */
static int give_slot(struct client_session *s, struct request *r)
{
    struct proto_request request;
    MUST(proto_request_decode(r->payload->data, r->payload->bytes, &request) == 0);
    name_next(s, &request);
    struct blob *named;
    int code = encode(s, &request, &named);
    if (code)
        return code;
    s->request_bytes += named->bytes;
    s->request_bytes -= r->payload->bytes;
    blob_unref(r->payload);
    r->payload = named;
    take_slot(s, r);
    return 0;
}

static bool clients_may_ask(enum proto_opcode code)
{
    const struct proto_op_info *info = proto_op_info(code);
    return info && !info->replica_only && code != PROTO_SESSION_OPEN && code != PROTO_SESSION_KEEP;
}

static int admissible(const struct client_session *s, enum proto_opcode code)
{
    if (s->closing || s->state == SESSION_ENDED)
        return -ESHUTDOWN;
    if (!clients_may_ask(code))
        return -EINVAL;
    if (s->request_count >= CLIENT_SESSION_REQUESTS_MAX ||
        s->request_bytes >= CLIENT_SESSION_BYTES_MAX)
        return -EAGAIN;
    return 0;
}

/* A write that finds a slot free is encoded with it at once. */
static bool slot_at_once(const struct client_session *s, enum proto_opcode code)
{
    return proto_op_info(code)->write && s->free_count && TAILQ_EMPTY(&s->waiting_writes);
}

int client_session_submit(struct client_session *s, const struct proto_credentials *credentials,
                          const struct proto_op *op, client_session_done *done, void *user,
                          uint64_t *ret_tag)
{
    int code = admissible(s, op->code);
    if (code)
        return code;
    struct proto_request request = {.credentials = *credentials, .op = *op};
    bool at_once = slot_at_once(s, op->code);
    if (at_once)
        name_next(s, &request);
    struct request *r;
    code = take_in(s, &request, done, user, &r);
    if (code)
        return code;
    if (at_once)
        take_slot(s, r);
    if (ret_tag)
        *ret_tag = r->tag;
    s->closing = op->code == PROTO_SESSION_CLOSE;
    session_pump(s);
    return 0;
}

void client_session_forget(struct client_session *s, uint64_t tag)
{
    struct request *r = find(s, tag);
    if (r)
        r->done = NULL;
}

/* --- sending --- */

/* Requests that memory is too short for stay waiting: each answer tries again. */
static void admit(struct client_session *s)
{
    struct request *r;
    if (s->state == SESSION_OPENING)
        return;
    while (s->free_count && (r = TAILQ_FIRST(&s->waiting_writes)))
        if (give_slot(s, r))
            break;
    while (s->reads_out < s->slot_count && (r = TAILQ_FIRST(&s->waiting_reads))) {
        move_to(s, r, REQUEST_READY);
        s->reads_out++;
    }
}

void session_pump(struct client_session *s)
{
    struct request *r;
    admit(s);
    while (s->link && s->link->greeted && !s->link->full && (r = TAILQ_FIRST(&s->ready))) {
        int code = net_send(s->link->conn, NET_FRAME_REQUEST, NULL, 0, r->payload);
        if (code == NET_E_FULL)
            s->link->full = true;
        if (code)
            break; /* closed: `closed` follows and everything is sent again elsewhere */
        if (r->sent_times++)
            s->resent++;
        r->sent_ns = loop_now_ns(s->config.loop);
        move_to(s, r, REQUEST_SENT);
        session_watch(s);
    }
}

void session_unsend(struct client_session *s)
{
    struct request *r;
    TAILQ_FOREACH (r, &s->sent, entry)
        r->state = REQUEST_READY;
    TAILQ_CONCAT(&s->sent, &s->ready, entry);
    TAILQ_CONCAT(&s->ready, &s->sent, entry);
}

/* --- the session's own requests --- */

static const struct proto_credentials nobody = {.uid = UINT32_MAX, .gid = UINT32_MAX};

/* Takes slot 0 before any slot was granted: it is what grants them. */
int session_request_open(struct client_session *s)
{
    struct proto_request request = {.credentials = nobody};
    struct request *r;
    request.slot = 0;
    request.seq = 1;
    request.op.code = PROTO_SESSION_OPEN;
    request.op.count = s->config.slots;
    int code = take_in(s, &request, NULL, NULL, &r);
    if (code)
        return code;
    r->slot = 0;
    s->seq[0] = 1;
    move_to(s, r, REQUEST_READY);
    return 0;
}

/* Before everything that waits; one at a time. Where memory is short the next one will do. */
void session_keep_fire(struct loop_timer *timer)
{
    struct client_session *s = CONTAINER_OF(timer, struct client_session, keep);
    struct proto_request request = {.credentials = nobody};
    struct request *r;
    if (s->state != SESSION_OPEN)
        return;
    loop_timer_start(&s->keep, s->config.keepalive_ns);
    request.op.code = PROTO_SESSION_KEEP;
    if (s->keep_out || take_in(s, &request, NULL, NULL, &r))
        return;
    s->keep_out = true;
    TAILQ_REMOVE(&s->waiting_writes, r, entry);
    TAILQ_INSERT_HEAD(&s->waiting_writes, r, entry);
    session_pump(s);
}

static void on_open_reply(struct client_session *s, struct request *r,
                          const struct proto_outcome *outcome)
{
    if (outcome->status != PROTO_OK || !outcome->value) {
        session_finish_all(s, outcome->status == PROTO_LIMIT
                                  ? "the group has as many sessions as it allows"
                                  : "the group refused to open a session");
        return;
    }
    finish(s, r, 0, NULL);
    s->slot_count = outcome->value < s->config.slots ? (uint32_t)outcome->value : s->config.slots;
    for (uint32_t i = s->slot_count; i-- > 0;)
        s->free_slots[s->free_count++] = (uint16_t)i;
    s->state = SESSION_OPEN;
    if (s->config.keepalive_ns)
        loop_timer_start(&s->keep, s->config.keepalive_ns);
    session_tell_connected(s, true);
}

/* --- answers --- */

/* Statuses that say that client and group have lost each other; NULL where it is an outcome. */
static const char *fatal(const struct request *r, enum proto_status status)
{
    switch (status) {
    case PROTO_SESSION_UNKNOWN:
        return r->code == PROTO_SESSION_CLOSE ? NULL : "the session expired";
    case PROTO_SEQ_OLD:
    case PROTO_SEQ_GAP:
        return "the group is out of step with the session's sequence numbers";
    case PROTO_BAD_REQUEST:
        return r->write && r->sent_times > 1 ? "a request that was sent again was refused" : NULL;
    default:
        return NULL;
    }
}

static void deliver(struct client_session *s, struct request *r, const struct proto_reply *reply)
{
    const struct proto_outcome *outcome = &reply->outcome;
    const char *end = fatal(r, outcome->status);
    if (end) {
        session_finish_all(s, end);
    } else if (r->code == PROTO_SESSION_OPEN) {
        on_open_reply(s, r, outcome);
    } else if (r->code == PROTO_SESSION_CLOSE) {
        finish(s, r, 0, reply);
        session_finish_all(s, NULL);
    } else {
        if (r->code == PROTO_SESSION_KEEP)
            s->keep_out = false;
        if (r->write && outcome->status == PROTO_BAD_REQUEST)
            s->seq[r->slot]--; /* the only copy was not ordered */
        finish(s, r, 0, reply);
    }
}

void session_reply(struct client_session *s, const void *bytes, size_t count)
{
    struct proto_reply reply;
    if (proto_reply_decode(bytes, count, &reply) || !reply.tag) {
        s->malformed++;
        session_drop(s, "malformed reply");
        session_retry_next(s);
        return;
    }
    struct request *r = find(s, reply.tag);
    if (!r || r->state != REQUEST_SENT) {
        s->stray++;
        return;
    }
    s->failures = 0;
    s->quiet = 0;
    session_address_works(s);
    deliver(s, r, &reply);
    session_pump(s);
}

/* --- the end --- */

static struct request *any(struct client_session *s)
{
    return RB_MIN(request_tree, &s->requests);
}

void session_finish_all(struct client_session *s, const char *detail)
{
    struct request *r;
    s->state = SESSION_ENDED;
    session_drop(s, "%s", detail ? detail : "closed");
    loop_timer_stop(&s->retry);
    loop_timer_stop(&s->keep);
    loop_timer_stop(&s->balance);
    while ((r = any(s)))
        finish(s, r, -ESHUTDOWN, NULL);
    if (detail && s->config.ended)
        s->config.ended(s->config.user, detail);
}

void session_discard_all(struct client_session *s)
{
    struct request *r;
    while ((r = any(s))) {
        detach(s, r);
        request_free(r);
    }
}
