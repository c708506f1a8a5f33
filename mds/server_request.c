/* What clients ask: requests in, replies out.
 *
 * Invariants: `inflight` and `cost` of a connection are the sums over its waiting writes and its
 * reads. A request is taken only while the replies of what is in flight, and what is queued
 * already, stay within CONN_REPLY_BYTES_MAX; so a reply always finds room in the send queue, and
 * one that does not ends the connection. Frames that arrive although the connection is paused are
 * held, bounded, and taken in order. */
#include "mds/server_internal.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t drain_ns = 2000000;

/* Bytes that the reply may need. */
static uint32_t reply_cost(const struct proto_op *op)
{
    uint32_t data = 0;
    switch (op->code) {
    case PROTO_READDIR:
    case PROTO_READ:
        data = op->count < PROTO_DATA_BYTES_MAX ? op->count : PROTO_DATA_BYTES_MAX;
        break;
    case PROTO_PURGE_LIST:
        data = op->count < PROTO_DATA_BYTES_MAX / PROTO_PURGE_BYTES ? op->count * PROTO_PURGE_BYTES
                                                                    : PROTO_DATA_BYTES_MAX;
        break;
    case PROTO_READLINK:
        data = PROTO_SYMLINK_BYTES_MAX;
        break;
    case PROTO_GETXATTR:
    case PROTO_LISTXATTR:
        data = PROTO_XATTR_VALUE_BYTES_MAX;
        break;
    default:
        break;
    }
    return REPLY_HEAD_BYTES + data;
}

/* --- replies ------------------------------------------------------------------------------------
 */

void server_conn_charge(struct server_conn *c, uint32_t cost)
{
    c->inflight++;
    c->cost += cost;
}

void server_conn_release(struct server_conn *c, uint32_t cost)
{
    c->inflight--;
    c->cost -= cost;
    if (c->paused || c->server->stopped)
        loop_defer(c->server->loop, &c->pump);
}

void server_conn_add_waiter(struct server_conn *c, struct waiter *waiter)
{
    LIST_INSERT_HEAD(&c->waiters, waiter, conn_link);
}

struct read_list *server_conn_reads(struct server_conn *c)
{
    return &c->reads;
}

void server_conn_reply(struct server_conn *c, const void *reply, size_t bytes)
{
    if (!c->closing && net_send(c->conn, NET_FRAME_REPLY, reply, (uint32_t)bytes, NULL) != 0)
        server_conn_close(c);
}

void server_conn_answer(struct server_conn *c, const struct proto_reply *reply)
{
    struct buffer *buffer = &c->server->reply;
    buffer_clear(buffer);
    if (proto_reply_encode(reply, buffer) < 0)
        server_conn_close(c);
    else
        server_conn_reply(c, buffer->data, buffer->bytes);
}

static void answer_bad(struct server_conn *c, uint64_t tag)
{
    const struct proto_reply reply = {.tag = tag, .outcome = {.status = PROTO_BAD_REQUEST}};
    c->server->malformed++;
    server_conn_answer(c, &reply);
}

/* --- requests -----------------------------------------------------------------------------------
 */

static void request_take(struct server_conn *c, const uint8_t *bytes, uint32_t count)
{
    struct replica *replica = c->server->replica;
    struct proto_request request;
    c->server->requests++;
    if (proto_request_decode(bytes, count, &request) < 0) {
        answer_bad(c, request.tag);
        return;
    }
    const struct proto_op_info *info = proto_op_info(request.op.code);
    uint32_t cost = reply_cost(&request.op);
    int rc;
    if (info->replica_only)
        answer_bad(c, request.tag);
    else if ((rc = info->write ? submit_request(replica, c, &request, bytes, count, cost)
                               : reads_start(replica, c, bytes, count, cost)) < 0)
        server_conn_close(c); /* no memory: the client goes elsewhere and asks again */
}

static bool may_take(const struct server_conn *c)
{
    const struct replica *replica = c->server->replica;
    return !c->closing && !c->server->stopped && replica->phase == REPLICA_SERVING &&
           !replica->submit.full && c->inflight < PROTO_SLOTS_MAX &&
           c->cost + net_queued_bytes(c->conn) < CONN_REPLY_BYTES_MAX;
}

static void pause_set(struct server_conn *c, bool paused)
{
    if (c->paused == paused || c->closing)
        return;
    c->paused = paused;
    net_pause(c->conn, paused);
}

static void hold(struct server_conn *c, const struct net_frame *frame)
{
    struct held *held = NULL;
    if (c->held_bytes + frame->bytes <= HELD_BYTES_MAX)
        held = malloc(sizeof *held + frame->bytes);
    if (!held) {
        server_conn_close(c);
        return;
    }
    held->bytes = frame->bytes;
    memcpy(held->data, frame->payload, frame->bytes);
    STAILQ_INSERT_TAIL(&c->held, held, link);
    c->held_bytes += frame->bytes;
    pause_set(c, true);
}

void server_request_frame(struct server_conn *c, const struct net_frame *frame)
{
    if (frame->type != NET_FRAME_REQUEST || frame->bytes > PROTO_REQUEST_BYTES_MAX) {
        c->server->malformed++;
        server_conn_close(c);
    } else if (STAILQ_EMPTY(&c->held) && may_take(c)) {
        request_take(c, frame->payload, frame->bytes);
    } else {
        hold(c, frame);
    }
}

static void held_pop(struct server_conn *c)
{
    struct held *head = STAILQ_FIRST(&c->held);
    STAILQ_REMOVE_HEAD(&c->held, link);
    c->held_bytes -= head->bytes;
    free(head);
}

void server_request_pump(struct loop_task *task)
{
    struct server_conn *c = CONTAINER_OF(task, struct server_conn, pump);
    if (!c->server->replica || c->server->replica->phase == REPLICA_FAILED)
        return;
    while (!STAILQ_EMPTY(&c->held) && may_take(c)) {
        const struct held *head = STAILQ_FIRST(&c->held);
        request_take(c, head->data, head->bytes);
        held_pop(c);
    }
    if (STAILQ_EMPTY(&c->held) && may_take(c))
        pause_set(c, false);
    else if (c->inflight == 0 && !c->closing)
        loop_timer_start(&c->server->drain, drain_ns);
    if (c->server->stopped && c->inflight == 0)
        server_conn_close(c);
}

void server_request_drop(struct server_conn *c)
{
    c->closing = true;
    while (!LIST_EMPTY(&c->waiters))
        submit_forget(LIST_FIRST(&c->waiters));
    while (!TAILQ_EMPTY(&c->reads))
        reads_forget(TAILQ_FIRST(&c->reads));
    while (!STAILQ_EMPTY(&c->held))
        held_pop(c);
}
