/* Writes on their way into the order: many requests of all clients become one message.
 *
 * At the end of a turn everything that has arrived goes into one batch. While
 * SUBMIT_OUTSTANDING_MAX messages of this replica are not released, requests collect, so that under
 * load a message, a sync and an acknowledgement carry many operations; a batch of
 * SUBMIT_BATCH_BYTES goes at once. The backlog is bounded: at its bound clients are not read.
 *
 * A request that is sent again while it is on its way here is attached to, not ordered twice; all
 * connections that it came over are answered, because which of them lives on is not known here
 * (what an old one had in its buffer may be read after the new one's). The reply leaves when the
 * message that executed the request is released, whoever ordered it. Source: docs/protocol.md,
 * sections 3.2, 3.3 and 5 (exactly once). */
#include "mds/replica_internal.h"
#include "mds/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    SUBMIT_OUTSTANDING_MAX = 4,
    SUBMIT_BATCH_BYTES = 128 * 1024,
    SUBMIT_BACKLOG_BYTES_MAX = 4 << 20,
    SUBMIT_PAYLOAD_BYTES_MAX = 1 << 20, /* gcs_config.payload_bytes_max */
    PROPOSAL_HEAD_BYTES = 4,            /* in a batch */
    SUBMIT_OPERATIONS_MAX = 1024,       /* in a batch */
};

/* --- who waits ----------------------------------------------------------------------------------
 */

static struct waiting_key key_of(const struct proto_request *request)
{
    struct waiting_key key = {.seq = request->seq, .slot = request->slot};
    memcpy(key.session, request->session, sizeof key.session);
    return key;
}

/* Clients choose the keys, so the hash has one that they can't know. */
static unsigned key_hash(const struct submit *submit, const struct waiting_key *key)
{
    return (unsigned)hash64_seeded(key, sizeof *key, submit->hash_seed);
}

static struct waiting *waiting_find(struct submit *submit, const struct proto_request *request)
{
    struct waiting_key key = key_of(request);
    unsigned hash = key_hash(submit, &key);
    struct waiting *waiting;
    HASH_FIND_BYHASHVALUE(hh, submit->by_key, &key, sizeof key, hash, waiting);
    return waiting;
}

void submit_forget(struct waiter *waiter)
{
    LIST_REMOVE(waiter, link);
    LIST_REMOVE(waiter, conn_link);
    server_conn_release(waiter->conn, waiter->cost);
    free(waiter);
}

/* 0 or -ENOMEM. */
static int waiting_join(struct waiting *waiting, struct server_conn *conn, uint64_t tag,
                        uint32_t cost)
{
    struct waiter *waiter = calloc(1, sizeof *waiter);
    if (!waiter)
        return -ENOMEM;
    *waiter = (struct waiter){.conn = conn, .tag = tag, .cost = cost};
    LIST_INSERT_HEAD(&waiting->waiters, waiter, link);
    server_conn_charge(conn, cost);
    server_conn_add_waiter(conn, waiter);
    return 0;
}

static struct waiting *waiting_create(struct submit *submit, const struct proto_request *request)
{
    struct waiting *waiting = calloc(1, sizeof *waiting);
    if (!waiting)
        return NULL;
    waiting->key = key_of(request);
    unsigned hash = key_hash(submit, &waiting->key);
    HASH_ADD_BYHASHVALUE(hh, submit->by_key, key, sizeof waiting->key, hash, waiting);
    if (!waiting->hh.tbl) {
        free(waiting);
        return NULL;
    }
    return waiting;
}

static void waiting_destroy(struct submit *submit, struct waiting *waiting)
{
    while (!LIST_EMPTY(&waiting->waiters))
        submit_forget(LIST_FIRST(&waiting->waiters));
    HASH_DEL(submit->by_key, waiting);
    free(waiting);
}

/* --- backlog ------------------------------------------------------------------------------------
 */

static int backlog_add(struct replica *replica, const void *bytes, uint32_t count)
{
    struct submit *submit = &replica->submit;
    struct proposal *proposal = malloc(sizeof *proposal + count);
    if (!proposal)
        return -ENOMEM;
    proposal->bytes = count;
    memcpy(proposal->data, bytes, count);
    STAILQ_INSERT_TAIL(&submit->backlog, proposal, link);
    submit->backlog_bytes += count + PROPOSAL_HEAD_BYTES;
    submit->full = submit->backlog_bytes >= SUBMIT_BACKLOG_BYTES_MAX;
    loop_defer(replica->loop, &submit->task);
    return 0;
}

int submit_request(struct replica *replica, struct server_conn *conn,
                   const struct proto_request *request, const void *bytes, uint32_t count,
                   uint32_t cost)
{
    struct submit *submit = &replica->submit;
    struct waiting *waiting = waiting_find(submit, request);
    if (waiting) {
        submit->counters.attached++;
        return waiting_join(waiting, conn, request->tag, cost);
    }
    waiting = waiting_create(submit, request);
    if (!waiting)
        return -ENOMEM;
    int rc = waiting_join(waiting, conn, request->tag, cost);
    if (rc == 0)
        rc = backlog_add(replica, bytes, count);
    if (rc < 0)
        waiting_destroy(submit, waiting);
    return rc;
}

int submit_own(struct replica *replica, const struct proto_request *request)
{
    struct buffer bytes;
    buffer_init(&bytes, PROTO_REQUEST_BYTES_MAX);
    int rc = proto_request_encode(request, &bytes);
    if (rc == 0)
        rc = backlog_add(replica, bytes.data, (uint32_t)bytes.bytes);
    buffer_finish(&bytes);
    return rc;
}

/* --- batches ------------------------------------------------------------------------------------
 */

static bool batch_due(const struct replica *replica)
{
    const struct submit *submit = &replica->submit;
    if (submit->blocked || !replica->running)
        return false;
    if (submit->unsent)
        return true;
    return !STAILQ_EMPTY(&submit->backlog) &&
           (submit->backlog_bytes >= SUBMIT_BATCH_BYTES ||
            submit->sent_seq - submit->released_seq < SUBMIT_OUTSTANDING_MAX);
}

static void backlog_pop(struct submit *submit)
{
    struct proposal *head = STAILQ_FIRST(&submit->backlog);
    STAILQ_REMOVE_HEAD(&submit->backlog, link);
    submit->backlog_bytes -= head->bytes + PROPOSAL_HEAD_BYTES;
    free(head);
}

/* As much of the backlog as fits into one message, which is applied in one piece: its operations
 * are few enough that sockets and heartbeats have their turn. NULL: no memory. */
static struct blob *batch_build(struct replica *replica)
{
    struct submit *submit = &replica->submit;
    struct proposal *head;
    unsigned operations = 0;
    struct buffer batch;
    buffer_init(&batch, SUBMIT_PAYLOAD_BYTES_MAX);
    proto_batch_begin(&batch, loop_wall_ns(replica->loop));
    while (operations < SUBMIT_OPERATIONS_MAX && (head = STAILQ_FIRST(&submit->backlog)) &&
           batch.bytes + PROPOSAL_HEAD_BYTES + head->bytes <= SUBMIT_PAYLOAD_BYTES_MAX &&
           proto_batch_add(&batch, head->data, head->bytes) == 0) {
        backlog_pop(submit);
        operations++;
    }
    submit->counters.operations += operations;
    struct blob *blob = batch.failed ? NULL : blob_create(batch.data, (uint32_t)batch.bytes);
    buffer_finish(&batch);
    return blob;
}

/* 0: sent; a positive condition: later; negative: it can't be. */
static int batch_send(struct replica *replica)
{
    struct submit *submit = &replica->submit;
    uint64_t seq;
    if (!submit->unsent)
        submit->unsent = batch_build(replica);
    if (!submit->unsent)
        return -ENOMEM;
    int rc = gcs_multicast(replica->gcs, submit->unsent, &seq);
    if (rc != 0)
        return rc;
    blob_unref(submit->unsent);
    submit->unsent = NULL;
    submit->sent_seq = seq;
    submit->counters.messages++;
    return 0;
}

static void backlog_relieve(struct replica *replica)
{
    struct submit *submit = &replica->submit;
    if (!submit->full || submit->backlog_bytes >= SUBMIT_BACKLOG_BYTES_MAX / 2)
        return;
    submit->full = false;
    server_resume(replica->server);
}

static void submit_run(struct loop_task *task)
{
    struct replica *replica = CONTAINER_OF(task, struct replica, submit.task);
    int rc = 0;
    while (rc == 0 && replica_is_live(replica) && batch_due(replica))
        rc = batch_send(replica);
    if (rc > 0)
        replica->submit.blocked = true;
    else if (rc < 0)
        replica_fail(replica, "sending a message: %s", strerror(-rc));
    if (replica_is_live(replica))
        backlog_relieve(replica);
}

void submit_unblock(struct replica *replica)
{
    replica->submit.blocked = false;
    loop_defer(replica->loop, &replica->submit.task);
}

/* A new epoch counts this member's messages from 1; those of the old one are all released with it.
 */
void submit_epoch(struct replica *replica, uint64_t epoch)
{
    struct submit *submit = &replica->submit;
    submit->epoch = epoch;
    submit->sent_seq = submit->released_seq = 0;
}

bool submit_is_idle(const struct replica *replica)
{
    const struct submit *submit = &replica->submit;
    return STAILQ_EMPTY(&submit->backlog) && !submit->unsent && !submit->by_key;
}

/* --- outcomes -----------------------------------------------------------------------------------
 */

void submit_executed(struct replica *replica, struct ordered *ordered,
                     const struct proto_request *request, const struct proto_outcome *outcome)
{
    struct waiting *waiting = waiting_find(&replica->submit, request);
    if (!waiting || waiting->executed)
        return;
    waiting->executed = true;
    waiting->epoch = ordered->message.epoch;
    waiting->index = ordered->index;
    waiting->outcome = *outcome;
    waiting->outcome.fields &= ~(uint32_t)PROTO_REPLY_DATA; /* no write answers with any */
    waiting->outcome.data = (struct proto_bytes){0};
    STAILQ_INSERT_TAIL(&ordered->answers, waiting, link);
}

static void answer(const struct waiting *waiting)
{
    struct proto_reply reply = {
        .epoch = waiting->epoch, .index = waiting->index, .outcome = waiting->outcome};
    const struct waiter *waiter;
    LIST_FOREACH (waiter, &waiting->waiters, link) {
        reply.tag = waiter->tag;
        server_conn_answer(waiter->conn, &reply);
    }
}

/* This replica's own messages count for pacing. */
static void count_released(struct replica *replica, const struct ordered *ordered)
{
    struct submit *submit = &replica->submit;
    const struct gcs_message *message = &ordered->message;
    if (!message->payload || message->origin != replica->rank || message->epoch != submit->epoch)
        return;
    submit->released_seq = message->seq;
    if (!STAILQ_EMPTY(&submit->backlog))
        loop_defer(replica->loop, &submit->task);
}

void submit_released(struct replica *replica, struct ordered *ordered)
{
    struct waiting *waiting;
    bool released = replica_is_live(replica) && ordered->index != 0 &&
                    ordered->index <= replica->apply.index_released;
    while ((waiting = STAILQ_FIRST(&ordered->answers))) {
        STAILQ_REMOVE_HEAD(&ordered->answers, link);
        if (released)
            answer(waiting);
        waiting_destroy(&replica->submit, waiting);
    }
    if (released)
        count_released(replica, ordered);
}

/* --- begin and end ------------------------------------------------------------------------------
 */

void submit_init(struct replica *replica)
{
    struct submit *submit = &replica->submit;
    *submit = (struct submit){.hash_seed = replica_hash_seed(replica)};
    STAILQ_INIT(&submit->backlog);
    submit->task = (struct loop_task){.run = submit_run, .phase = LOOP_PHASE_SUBMIT};
}

void submit_finish(struct replica *replica)
{
    struct submit *submit = &replica->submit;
    struct waiting *waiting, *next;
    if (!submit->task.run)
        return;
    loop_cancel(replica->loop, &submit->task);
    HASH_ITER(hh, submit->by_key, waiting, next)
    waiting_destroy(submit, waiting);
    while (!STAILQ_EMPTY(&submit->backlog))
        backlog_pop(submit);
    blob_unref(submit->unsent);
    submit->unsent = NULL;
}
