/* Local reads: answered from this replica's own state, without a message.
 *
 * The rule (docs/protocol.md, section 5): execute, then ask whether a write that was received and
 * is not released touches what was read. If none does, answer. Otherwise wait until all writes that
 * were received by now are applied, execute again, and answer when that index is released; so
 * writes that go on and on cannot starve a read. All, not only the touching ones: a touching rename
 * may let the name point to an inode that another received write changes.
 *
 * The index of an answer is the newest released one at which it is right: for a read that was not
 * touched the released index, though later writes may be applied already, because none of those
 * touches it; for one that waited the index at which it was executed.
 *
 * While no epoch runs, and until everything delivered before it began to run is applied and the
 * view is installed everywhere (its event released), reads wait. An answer leaves only while this
 * replica holds the read lease; otherwise the read is executed again when it does. */
#include "mds/read_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void list_enter(struct read *read, struct read_list *list)
{
    TAILQ_INSERT_TAIL(list, read, link);
    read->list = list;
}

static void list_leave(struct read *read)
{
    if (read->list)
        TAILQ_REMOVE(read->list, read, link);
    read->list = NULL;
}

static void conn_leave(struct read *read)
{
    if (!read->conn)
        return;
    TAILQ_REMOVE(server_conn_reads(read->conn), read, conn_link);
    server_conn_release(read->conn, read->cost);
    read->conn = NULL;
}

static void read_destroy(struct read *read)
{
    list_leave(read);
    conn_leave(read);
    read->replica->reads.out--;
    read_scan_destroy(read->scan);
    free(read->reply);
    free(read);
}

/* True (and the read is gone) where nobody waits for it any more. */
static bool read_is_orphan(struct read *read)
{
    if (read->conn && replica_is_live(read->replica))
        return false;
    read_destroy(read);
    return true;
}

/* Where the cache has it, it ends when the cache gives it back. */
void reads_forget(struct read *read)
{
    conn_leave(read);
    if (read->list && read->list != &read->replica->reads.fetching)
        read_destroy(read);
}

void read_lend(struct read *read)
{
    list_enter(read, &read->replica->reads.fetching);
}

bool read_take_back(struct read *read)
{
    list_leave(read);
    return !read_is_orphan(read);
}

void read_failed(struct read *read, int code)
{
    struct replica *replica = read->replica;
    const char *name = proto_op_info(read->request.op.code)->name;
    read_destroy(read);
    if (code == -EBADMSG)
        outside_damaged(replica, "reading (%s): a record can't be read", name);
    else
        replica_fail(replica, "reading (%s): %s", name, strerror(-code));
}

static void fetched(struct cache_wait *wait)
{
    struct read *read = CONTAINER_OF(wait, struct read, wait);
    if (read_take_back(read))
        read_attempt(read);
}

uint64_t read_touching(const struct read *read)
{
    uint64_t newest;
    const struct replica *replica = read->replica;
    struct proto_op op = read->request.op;
    if (op.code == PROTO_READDIR)
        op.flags &= ~(uint32_t)PROTO_READDIR_ATTR; /* the scan asks for each entry itself */
    return pending_touches(replica->apply.pending, &op, (struct nspace_source *)&replica->source,
                           &newest)
               ? newest
               : 0;
}

static bool may_begin(const struct replica *replica)
{
    return replica->running && replica->apply.record.index >= replica->reads.floor &&
           replica->apply.index_released >= replica->reads.floor;
}

/* After the read was executed, and at the moment of the answer: the lease has to hold now. The
 * planted bug looked before it began, and not again after it had waited for something. */
#ifdef TUTTI_PLANT_LEASE_BEFORE_READ
static void look_before(struct read *read)
{
    read->had_lease = read->had_lease || gcs_may_read(read->replica->gcs);
}
static bool may_answer(struct read *read)
{
    bool had_lease = read->had_lease;
    read->had_lease = false;
    return had_lease;
}
#else
static void look_before(struct read *read)
{
}
static bool may_answer(struct read *read)
{
    return gcs_may_read(read->replica->gcs);
}
#endif

/* It is executed again when that may be: when an epoch runs, or the lease is back. */
static void park(struct read *read)
{
    read->replica->reads.counters.parked++;
    list_enter(read, &read->replica->reads.parked);
}

/* Keep the answer until `index` is released. */
static void hold(struct read *read, uint64_t index)
{
    struct buffer *reply = &read->replica->reads.reply;
    read->reply = malloc(reply->bytes);
    if (!read->reply) {
        read_failed(read, -ENOMEM);
        return;
    }
    memcpy(read->reply, reply->data, reply->bytes);
    read->reply_bytes = reply->bytes;
    read->index = index;
    list_enter(read, &read->replica->reads.held);
}

static void answer(struct read *read, const struct proto_outcome *outcome, uint64_t index)
{
    struct replica *replica = read->replica;
    struct buffer *buffer = &replica->reads.reply;
    const struct proto_reply reply = {.tag = read->request.tag,
                                      .epoch = replica->apply.record.epoch,
                                      .index = index,
                                      .outcome = *outcome};
    buffer_clear(buffer);
    if (proto_reply_encode(&reply, buffer) < 0) {
        read_failed(read, -ENOMEM);
    } else if (index > replica->apply.index_released) {
        hold(read, index);
    } else if (!may_answer(read)) {
        park(read);
    } else {
        server_conn_reply(read->conn, buffer->data, buffer->bytes);
        read_destroy(read);
    }
}

static void block(struct read *read, uint64_t receipt)
{
    read->replica->reads.counters.waited += !read->waited;
    read->waited = true;
    read->receipt = receipt;
    list_enter(read, &read->replica->reads.blocked);
}

void read_block_again(struct read *read)
{
    block(read, read->receipt);
}

/* What touches it may be applied already, and only wait for its release: then this was the
 * execution that counts. */
void read_executed(struct read *read, const struct proto_outcome *outcome, uint64_t touching)
{
    const struct replica *replica = read->replica;
    const struct apply *apply = &replica->apply;
    if (touching && !read->waited) {
        if (!apply_receipts_done(replica, touching) || apply_is_partial(replica)) {
            block(read, apply->receipt_last);
            return;
        }
        read->waited = true;
    }
    answer(read, outcome, read->waited ? apply->record.index : apply->index_released);
}

/* After executing; the planted bug asks before, and only then (tests/sim, the museum). */
#ifdef TUTTI_PLANT_READ_NO_BRACKET
static uint64_t touching_after(struct read *read)
{
    return 0;
}
static bool blocked_before(struct read *read)
{
    uint64_t touching = read->waited || read->receipt ? 0 : read_touching(read);
    read->receipt = touching ? touching : 1;
    if (touching == 0 || apply_receipts_done(read->replica, touching))
        return false;
    block(read, touching);
    return true;
}
#else
static uint64_t touching_after(struct read *read)
{
    return read_touching(read);
}
static bool blocked_before(struct read *read)
{
    return false;
}
#endif

static void read_record(struct read *read)
{
    struct replica *replica = read->replica;
    struct nspace_txn *txn = &replica->reads.txn;
    struct proto_outcome outcome;
    if (blocked_before(read))
        return;
    txn_begin(txn, &replica->source);
    int rc =
        nspace_read(txn, &replica->apply.state, &replica->config.limits, &read->request, &outcome);
    if (rc == NSPACE_MISS) {
        read_lend(read);
        replica_fetch(replica, &txn->miss_key, &read->wait);
    } else if (rc < 0)
        read_failed(read, rc);
    else
        read_executed(read, &outcome, read->waited ? 0 : touching_after(read));
}

void read_attempt(struct read *read)
{
    struct replica *replica = read->replica;
    look_before(read);
    if (!may_begin(replica)) {
        park(read);
    } else if (read->waited && apply_is_partial(replica)) {
        read_block_again(read);
    } else if (read->request.op.code == PROTO_READDIR ||
               read->request.op.code == PROTO_PURGE_LIST) {
        read_scan_attempt(read);
    } else {
        read_record(read);
    }
}

int reads_start(struct replica *replica, struct server_conn *conn, const void *bytes,
                uint32_t count, uint32_t cost)
{
    struct read *read = calloc(1, sizeof *read + count);
    if (!read)
        return -ENOMEM;
    memcpy(read->bytes, bytes, count);
    int rc = proto_request_decode(read->bytes, count, &read->request);
    MUST(rc == 0); /* the same bytes were decoded just before */
    read->replica = replica;
    read->conn = conn;
    read->cost = cost;
    read->wait.done = fetched;
    replica->reads.out++;
    replica->reads.counters.reads++;
    server_conn_charge(conn, cost);
    TAILQ_INSERT_TAIL(server_conn_reads(conn), read, conn_link);
    read_attempt(read);
    return 0;
}

/* Takes those of a list that may go on, then lets them: what they do may enter a list again. */
static void list_wake(struct replica *replica, struct read_list *list,
                      bool (*ready)(const struct replica *replica, const struct read *read),
                      void (*go)(struct read *read))
{
    struct read_list woken = TAILQ_HEAD_INITIALIZER(woken);
    struct read *read, *next;
    for (read = TAILQ_FIRST(list); read; read = next) {
        next = TAILQ_NEXT(read, link);
        if (!ready(replica, read))
            continue;
        list_leave(read);
        list_enter(read, &woken);
    }
    while ((read = TAILQ_FIRST(&woken))) {
        list_leave(read);
        if (!read_is_orphan(read))
            go(read);
    }
}

static bool parked_ready(const struct replica *replica, const struct read *read)
{
    return may_begin(replica);
}

static bool blocked_ready(const struct replica *replica, const struct read *read)
{
    return apply_receipts_done(replica, read->receipt) && !apply_is_partial(replica);
}

static bool held_ready(const struct replica *replica, const struct read *read)
{
    return read->index <= replica->apply.index_released;
}

static void held_send(struct read *read)
{
    if (!may_answer(read)) {
        free(read->reply);
        read->reply = NULL;
        park(read);
        return;
    }
    server_conn_reply(read->conn, read->reply, read->reply_bytes);
    read_destroy(read);
}

void reads_applied(struct replica *replica)
{
    if (!TAILQ_EMPTY(&replica->reads.blocked))
        list_wake(replica, &replica->reads.blocked, blocked_ready, read_attempt);
    if (!TAILQ_EMPTY(&replica->reads.parked))
        reads_running(replica);
}

void reads_released(struct replica *replica)
{
    if (!TAILQ_EMPTY(&replica->reads.held))
        list_wake(replica, &replica->reads.held, held_ready, held_send);
}

void reads_running(struct replica *replica)
{
    list_wake(replica, &replica->reads.parked, parked_ready, read_attempt);
}

void reads_init(struct replica *replica)
{
    struct reads *reads = &replica->reads;
    *reads = (struct reads){0};
    TAILQ_INIT(&reads->parked);
    TAILQ_INIT(&reads->blocked);
    TAILQ_INIT(&reads->held);
    TAILQ_INIT(&reads->fetching);
    txn_init(&reads->txn);
    buffer_init(&reads->reply, PROTO_REPLY_BYTES_MAX + 1024);
}

/* The cache, which has some of them, is gone. */
void reads_finish(struct replica *replica)
{
    struct reads *reads = &replica->reads;
    struct read_list *const lists[] = {&reads->parked, &reads->blocked, &reads->held,
                                       &reads->fetching};
    struct read *read;
    if (!reads->reply.bytes_max)
        return;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        while ((read = TAILQ_FIRST(lists[i])))
            read_destroy(read);
    txn_finish(&reads->txn);
    buffer_finish(&reads->reply);
}
