/* Requests of the library: any thread submits, the client's thread sends, calls come back.
 *
 * Invariants:
 *  - an accepted call is in `submitted` or in the session, and its `done` is called exactly once;
 *  - what is accepted is bounded (TUTTI_REQUESTS_MAX, TUTTI_BYTES_MAX), cancelled calls that are
 * still unanswered included; the session's own bounds are wider, so it refuses nothing for lack of
 * room;
 *  - the client's thread is woken once for all that is submitted until it looks;
 *  - callbacks run without the lock. */
#include "client/tutti_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)TUTTI_REQUESTS_MAX < (int)CLIENT_SESSION_REQUESTS_MAX,
              "the session has room for all");
static_assert((int)TUTTI_BYTES_MAX < (int)CLIENT_SESSION_BYTES_MAX, "the session has room for all");

/* --- making calls --- */

static struct proto_bytes copy_bytes(uint8_t **to, struct proto_bytes from)
{
    struct proto_bytes copy = {*to, from.bytes};
    if (from.bytes)
        memcpy(*to, from.data, from.bytes);
    *to += from.bytes;
    return copy;
}

static bool valid(const struct tutti_caller *caller, const struct proto_op *op)
{
    return op->code != PROTO_SESSION_CLOSE && caller->group_count <= PROTO_GROUPS_MAX &&
           op->name.bytes <= PROTO_REQUEST_BYTES_MAX &&
           op->name2.bytes <= PROTO_REQUEST_BYTES_MAX && op->data.bytes <= PROTO_REQUEST_BYTES_MAX;
}

static int call_create(struct tutti *client, const struct tutti_caller *caller,
                       const struct proto_op *op, tutti_done *done, void *user,
                       struct call **ret_call)
{
    if (!valid(caller, op))
        return -EINVAL;
    size_t groups_bytes = 4 * (size_t)caller->group_count;
    size_t bytes =
        sizeof(struct call) + groups_bytes + op->name.bytes + op->name2.bytes + op->data.bytes;
    struct call *call = malloc(bytes);
    if (!call)
        return -ENOMEM;
    *call = (struct call){client, *op,  {caller->uid, caller->gid, caller->group_count, NULL},
                          done,   user, bytes};
    struct writer groups = writer_make(call->copies, groups_bytes);
    for (uint32_t i = 0; i < caller->group_count; i++)
        writer_u32(&groups, caller->groups[i]);
    uint8_t *to = call->copies + groups_bytes;
    call->credentials.groups = call->copies;
    call->op.name = copy_bytes(&to, op->name);
    call->op.name2 = copy_bytes(&to, op->name2);
    call->op.data = copy_bytes(&to, op->data);
    *ret_call = call;
    return 0;
}

/* Take a call in; it belongs to the client then. The lock is held. */
static int admit(struct tutti *client, struct call *call)
{
    if (client->closed)
        return -ESHUTDOWN;
    if (client->call_count >= TUTTI_REQUESTS_MAX ||
        (client->call_count && client->call_bytes + call->bytes > TUTTI_BYTES_MAX))
        return -EAGAIN;
    if (!client->posted) {
        int code = loop_uv_post(client->loop, tutti_drain, client);
        if (code)
            return code;
        client->posted = true;
    }
    client->call_count++;
    client->call_bytes += call->bytes;
    STAILQ_INSERT_TAIL(&client->submitted, call, entry);
    return 0;
}

/* Room first, so that the callback may submit the next one. */
static void call_finish(struct call *call, int code, const struct proto_reply *reply)
{
    struct tutti *client = call->client;
    pthread_mutex_lock(&client->lock);
    client->call_count--;
    client->call_bytes -= call->bytes;
    pthread_cond_signal(&client->room);
    pthread_mutex_unlock(&client->lock);
    call->done(call->user, code, reply);
    free(call);
}

static void on_done(void *user, int code, const struct proto_reply *reply)
{
    call_finish(user, code, reply);
}

static void take_submitted(struct tutti *client, struct call_queue *ret_calls)
{
    STAILQ_INIT(ret_calls);
    pthread_mutex_lock(&client->lock);
    STAILQ_CONCAT(ret_calls, &client->submitted);
    client->posted = false;
    pthread_mutex_unlock(&client->lock);
}

void tutti_drain(void *user)
{
    struct tutti *client = user;
    struct call_queue calls;
    if (client->renewing)
        return; /* `posted` stays set; the new session drains */
    take_submitted(client, &calls);
    struct call *call;
    while ((call = STAILQ_FIRST(&calls))) {
        STAILQ_REMOVE_HEAD(&calls, entry);
        int code = client->session ? client_session_submit(client->session, &call->credentials,
                                                           &call->op, on_done, call, NULL)
                                   : -ESHUTDOWN;
        if (code)
            call_finish(call, code, NULL);
    }
}

void tutti_refuse_submitted(struct tutti *client)
{
    struct call_queue calls;
    take_submitted(client, &calls);
    struct call *call;
    while ((call = STAILQ_FIRST(&calls))) {
        STAILQ_REMOVE_HEAD(&calls, entry);
        call_finish(call, -ESHUTDOWN, NULL);
    }
}

int tutti_submit(struct tutti *client, const struct tutti_caller *caller, const struct proto_op *op,
                 tutti_done *done, void *user)
{
    struct call *call;
    int code = call_create(client, caller, op, done, user, &call);
    if (code)
        return code;
    pthread_mutex_lock(&client->lock);
    code = admit(client, call);
    pthread_mutex_unlock(&client->lock);
    if (code)
        free(call);
    return code;
}

/* --- blocking --- */

static void waiter_free(struct waiter *w)
{
    pthread_cond_destroy(&w->wake);
    free(w);
}

/* Copy the outcome into the caller's memory. */
static int hand_over(struct waiter *w, const struct proto_outcome *outcome)
{
    buffer_clear(w->reply_data);
    const uint8_t *data = NULL;
    if (outcome->data.bytes) {
        data = buffer_append(w->reply_data, outcome->data.data, outcome->data.bytes);
        if (!data)
            return -ENOMEM;
    }
    *w->outcome = *outcome;
    w->outcome->data.data = data;
    return 0;
}

static void on_answer(void *user, int code, const struct proto_reply *reply)
{
    struct waiter *w = user;
    struct tutti *client = w->client;
    pthread_mutex_lock(&client->lock);
    bool abandoned = w->abandoned;
    if (!abandoned) {
        w->code = code ? code : hand_over(w, &reply->outcome);
        w->finished = true;
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&client->lock);
    if (abandoned)
        waiter_free(w);
}

/* Whether to give up: when the time is over, or asked once for each tutti_wake. The lock is held,
 * and let go meanwhile. */
struct patience {
    bool (*cancelled)(void *user);
    void *user;
    uint64_t asked; /* client->wakes when it was asked last */
    bool limited, over;
    struct timespec end; /* CLOCK_MONOTONIC */
};

static struct patience patience_begin(const struct tutti *client, bool (*cancelled)(void *user),
                                      void *user)
{
    struct patience p = {.cancelled = cancelled, .user = user};
    p.limited = client->options.request_timeout_ns != 0;
    if (p.limited)
        p.end = tutti_time_after(client->options.request_timeout_ns);
    return p;
}

/* 0: go on; -EINTR, -ETIMEDOUT. */
static int patience_ends(struct tutti *client, struct patience *p)
{
    while (p->cancelled && p->asked != client->wakes) {
        p->asked = client->wakes;
        pthread_mutex_unlock(&client->lock);
        bool cancelled = p->cancelled(p->user);
        pthread_mutex_lock(&client->lock);
        if (cancelled)
            return -EINTR;
    }
    return p->over ? -ETIMEDOUT : 0;
}

static void patience_wait(struct tutti *client, struct patience *p, pthread_cond_t *cond)
{
    if (!p->limited)
        pthread_cond_wait(cond, &client->lock);
    else if (pthread_cond_timedwait(cond, &client->lock, &p->end) == ETIMEDOUT)
        p->over = true;
}

static int admit_waiting(struct tutti *client, struct call *call, struct patience *p)
{
    for (;;) {
        int code = patience_ends(client, p);
        if (code) {
            pthread_cond_signal(&client->room); /* a wake-up may have been meant for another */
            return code;
        }
        code = admit(client, call);
        if (code != -EAGAIN)
            return code;
        patience_wait(client, p, &client->room);
    }
}

/* The waiter is this thread's no longer where patience ended. */
static int await(struct tutti *client, struct waiter *w, struct patience *p)
{
    LIST_INSERT_HEAD(&client->waiters, w, entry);
    while (!w->finished) {
        int end = patience_ends(client, p);
        if (end && !w->finished) {
            w->abandoned = true;
            LIST_REMOVE(w, entry);
            return end;
        }
        if (!w->finished)
            patience_wait(client, p, &w->wake);
    }
    LIST_REMOVE(w, entry);
    int code = w->code;
    waiter_free(w);
    return code;
}

/* Takes the lock for the way through; takes call and waiter. */
static int run(struct tutti *client, struct call *call, struct waiter *w, struct patience *p)
{
    pthread_mutex_lock(&client->lock);
    client->callers++;
    p->asked = client->wakes - 1;
    int code = admit_waiting(client, call, p);
    if (code) {
        free(call);
        waiter_free(w);
    } else {
        code = await(client, w, p);
    }
    if (--client->callers == 0)
        pthread_cond_signal(&client->left);
    pthread_mutex_unlock(&client->lock);
    return code;
}

int tutti_call(struct tutti *client, const struct tutti_caller *caller, const struct proto_op *op,
               struct buffer *reply_data, struct proto_outcome *ret_outcome,
               bool (*cancelled)(void *user), void *user)
{
    struct waiter *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->client = client;
    w->reply_data = reply_data;
    w->outcome = ret_outcome;
    tutti_cond_init(&w->wake);
    struct call *call;
    int code = call_create(client, caller, op, on_answer, w, &call);
    if (code) {
        waiter_free(w);
        return code;
    }
    struct patience patience = patience_begin(client, cancelled, user);
    return run(client, call, w, &patience);
}

void tutti_wake(struct tutti *client)
{
    pthread_mutex_lock(&client->lock);
    client->wakes++;
    struct waiter *w;
    LIST_FOREACH (w, &client->waiters, entry)
        pthread_cond_signal(&w->wake);
    pthread_cond_broadcast(&client->room);
    pthread_mutex_unlock(&client->lock);
}
