/* The order into records.
 *
 * A message is registered when it is received (pending check of local reads, fetching ahead of what
 * it will touch), applied in the order's order, and released when every member has received it and
 * everything before it. Applying never waits for a disk: a record that is not in memory stops it
 * until the record is in, and the same request starts again (docs/decisions.md, "A miss restarts
 * the operation").
 *
 * Invariants: the records in the cache are those of `record.index`, besides the requests of one
 * message that is under way (`executed` of them). The state record changes with a message's effects
 * and before its mark, so that the store always holds both or neither. index_released never passes
 * the applied index.
 * Source: docs/protocol.md, sections 3.2 and 5. */
#include "mds/history.h"
#include "mds/replica_internal.h"
#include "mds/transfer.h"
#include "base/cursor.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OPERATIONS_PER_TURN = 2048, DIRTY_BYTES_LEAST = 64 << 20 };

static struct message_key key_of(const struct gcs_message *message)
{
    return (struct message_key){
        .epoch = message->epoch, .seq = message->seq, .origin = message->origin};
}

static struct ordered *ordered_create(void)
{
    struct ordered *ordered = calloc(1, sizeof *ordered);
    if (ordered)
        STAILQ_INIT(&ordered->answers);
    return ordered;
}

static struct ordered *ordered_find(struct apply *apply, const struct gcs_message *message)
{
    struct message_key key = key_of(message);
    struct ordered *ordered;
    HASH_FIND(hh, apply->by_key, &key, sizeof key, ordered);
    return ordered;
}

/* The end of a message, or of one that is void. */
static void ordered_destroy(struct replica *replica, struct ordered *ordered)
{
    struct apply *apply = &replica->apply;
    submit_released(replica, ordered);
    if (ordered->message.payload) {
        HASH_DEL(apply->by_key, ordered);
        if (!ordered->applied)
            TAILQ_REMOVE(&apply->receipts, ordered, receipt_link);
        pending_remove(apply->pending, ordered->receipt);
        blob_unref(ordered->message.payload);
    }
    free(ordered);
}

/* --- receipt ------------------------------------------------------------------------------------
 */

static void fetch_ahead(void *user, const void *key, size_t key_bytes)
{
    struct replica *replica = user;
    if (cache_fetch(replica->cache, key, key_bytes, NULL) < 0)
        log_debug("apply", "no memory to fetch ahead"); /* it is fetched when it is needed */
}

/* Registers what a message touches, and begins to fetch what it will read. */
static int ordered_register(struct replica *replica, struct ordered *ordered)
{
    struct proto_batch batch;
    struct proto_bytes bytes;
    int code = 0, rc = 0;
    const struct blob *payload = ordered->message.payload;
    if (proto_batch_open(payload->data, payload->bytes, &batch) < 0)
        return 0;
    while (rc == 0 && proto_batch_next(&batch, &bytes, &code)) {
        struct proto_request request;
        if (proto_request_decode(bytes.data, bytes.bytes, &request) < 0)
            continue;
        execute_probe(&replica->source, &request, fetch_ahead, replica);
        rc = pending_add(replica->apply.pending, ordered->receipt, &request.op, &replica->source);
    }
    return rc;
}

static struct ordered *ordered_add(struct apply *apply, const struct gcs_message *message)
{
    struct ordered *ordered = ordered_create();
    if (!ordered)
        return NULL;
    ordered->key = key_of(message);
    HASH_ADD(hh, apply->by_key, key, sizeof ordered->key, ordered);
    if (!ordered->hh.tbl) {
        free(ordered);
        return NULL;
    }
    ordered->message = *message;
    blob_ref(message->payload);
    ordered->receipt = ++apply->receipt_last;
    TAILQ_INSERT_TAIL(&apply->receipts, ordered, receipt_link);
    return ordered;
}

static struct ordered *ordered_receive(struct replica *replica, const struct gcs_message *message)
{
    struct ordered *ordered = ordered_add(&replica->apply, message);
    if (!ordered) {
        replica_fail(replica, "no memory for a message");
        return NULL;
    }
    if (ordered_register(replica, ordered) < 0) {
        replica_fail(replica, "no memory for the table of pending writes");
        return NULL;
    }
    return ordered;
}

void apply_received(struct replica *replica, const struct gcs_message *message)
{
    if (replica_is_live(replica) && !ordered_find(&replica->apply, message))
        (void)ordered_receive(replica, message);
}

bool apply_receipts_done(const struct replica *replica, uint64_t receipt)
{
    const struct ordered *first = TAILQ_FIRST(&replica->apply.receipts);
    return !first || first->receipt > receipt;
}

bool apply_is_partial(const struct replica *replica)
{
    return replica->apply.in_message && replica->apply.executed > 0;
}

/* --- delivery -----------------------------------------------------------------------------------
 */

static void deliver(struct replica *replica, struct ordered *ordered, uint64_t index)
{
    struct apply *apply = &replica->apply;
    ordered->index = index;
    apply->index_delivered = index;
    STAILQ_INSERT_TAIL(&apply->delivered, ordered, link);
    loop_defer(replica->loop, &apply->task);
}

void apply_delivered(struct replica *replica, const struct gcs_message *message, uint64_t index)
{
    if (!replica_is_live(replica))
        return;
    struct ordered *ordered = ordered_find(&replica->apply, message);
    if (!ordered)
        ordered = ordered_receive(replica, message);
    if (!ordered)
        return;
    journal_delivered(replica->journal, message, index);
    deliver(replica, ordered, index);
}

/* Received in an epoch that ended without it. */
static void drop_void(struct replica *replica, uint64_t epoch)
{
    struct ordered *ordered, *next;
    for (ordered = TAILQ_FIRST(&replica->apply.receipts); ordered; ordered = next) {
        next = TAILQ_NEXT(ordered, receipt_link);
        if (ordered->index == 0 && ordered->key.epoch < epoch)
            ordered_destroy(replica, ordered);
    }
}

void apply_epoch(struct replica *replica, uint64_t epoch, uint64_t index)
{
    if (!replica_is_live(replica))
        return;
    struct ordered *event = ordered_create();
    if (!event) {
        replica_fail(replica, "no memory for epoch %llu", (unsigned long long)epoch);
        return;
    }
    event->message.epoch = epoch;
    drop_void(replica, epoch);
    journal_epoch(replica->journal, epoch, index);
    submit_epoch(replica, epoch);
    deliver(replica, event, index);
}

/* --- application --------------------------------------------------------------------------------
 */

static int cache_get_record(struct nspace_source *source, const void *key, size_t key_bytes,
                            const void **ret_value, size_t *ret_bytes)
{
    struct replica *replica = CONTAINER_OF(source, struct replica, source);
    switch (cache_get(replica->cache, key, key_bytes, ret_value, ret_bytes)) {
    case CACHE_PRESENT:
        return 0;
    case CACHE_ABSENT:
        return NSPACE_ABSENT;
    case CACHE_MISS:
        break;
    }
    return NSPACE_MISS;
}

static int changes_put(struct replica *replica)
{
    struct txn_change change;
    uint32_t cursor = 0;
    int rc = 0;
    while (rc == 0 && txn_change(&replica->apply.txn, &cursor, &change))
        rc = change.value ? cache_put(replica->cache, change.key, change.key_bytes, change.value,
                                      change.value_bytes)
                          : cache_delete(replica->cache, change.key, change.key_bytes);
    return rc;
}

static int request_execute(struct replica *replica, struct ordered *ordered)
{
    struct apply *apply = &replica->apply;
    struct proto_outcome outcome;
    txn_begin(&apply->txn, &replica->source);
    int rc = execute_request(&apply->txn, &apply->state, &replica->config.limits, &apply->request,
                             apply->sessions, &outcome);
    if (rc != 0)
        return rc;
    rc = changes_put(replica);
    if (rc == 0) {
        submit_executed(replica, ordered, &apply->request, &outcome);
        expire_executed(replica, &apply->request, &outcome);
    }
    apply->in_request = false;
    apply->executed++;
    apply->counters.operations++;
    return rc;
}

/* The next request that can be executed; what can't be decoded is passed over, everywhere alike. */
static bool request_next(struct apply *apply)
{
    struct proto_bytes bytes;
    int code = 0;
    while (proto_batch_next(&apply->batch, &bytes, &code)) {
        if (proto_request_decode(bytes.data, bytes.bytes, &apply->request) == 0 &&
            proto_op_info(apply->request.op.code)->write) {
            apply->in_request = true;
            return true;
        }
        apply->counters.garbage++;
    }
    apply->counters.garbage += code < 0;
    return false;
}

static bool message_begin(struct apply *apply, const struct ordered *ordered)
{
    const struct blob *payload = ordered->message.payload;
    apply->in_message = true;
    apply->in_request = false;
    apply->executed = 0;
    if (proto_batch_open(payload->data, payload->bytes, &apply->batch) < 0) {
        apply->counters.garbage++;
        apply->batch = (struct proto_batch){0};
        return false;
    }
    nspace_propose_time(&apply->state, apply->batch.time_ns);
    return true;
}

static int message_execute(struct replica *replica, struct ordered *ordered)
{
    struct apply *apply = &replica->apply;
    int rc = 0;
    if (!apply->in_message && !message_begin(apply, ordered))
        return 0;
    while (rc == 0 && (apply->in_request || request_next(apply)))
        rc = request_execute(replica, ordered);
    return rc;
}

/* h = H(h, epoch, origin, seq, ts, payload): docs/protocol.md section 5. */
static struct hash128 history_next(struct hash128 before, const struct gcs_message *message)
{
    uint8_t head[32];
    struct writer w = writer_make(head, sizeof head);
    writer_u64(&w, message->epoch);
    writer_u64(&w, message->origin);
    writer_u64(&w, message->seq);
    writer_u64(&w, message->ts);
    const struct blob *payload = message->payload;
    return hash128_chain(before, head, sizeof head, payload ? payload->data : head,
                         payload ? payload->bytes : 0);
}

static_assert((int)RECORD_RANKS == (int)GCS_MEMBER_MAX,
              "a record counts the messages of each rank");

static int state_put(struct replica *replica, const struct ordered *ordered)
{
    struct state_record *record = &replica->apply.record;
    uint8_t value[RECORD_STATE_BYTES];
    struct writer w = writer_make(value, sizeof value);
    record->index = ordered->index;
    record->epoch = ordered->message.epoch;
    record->ts = ordered->message.ts;
    record->rank = ordered->message.origin;
    if (ordered->message.payload)
        record->counts[ordered->message.origin] = ordered->message.seq;
    else
        memset(record->counts, 0, sizeof record->counts);
    record->history = history_next(record->history, &ordered->message);
    record->state = replica->apply.state;
    record_write_state(&w, record);
    MUST(!w.failed);
    struct record_key key = record_key_state();
    return cache_put(replica->cache, key.bytes, key.count, value, writer_used(&w));
}

static void release(struct replica *replica)
{
    struct apply *apply = &replica->apply;
    uint64_t before = apply->index_released;
    struct ordered *head;
    while ((head = STAILQ_FIRST(&apply->applied)) && head->index <= apply->index_released_group &&
           replica_is_live(replica)) {
        STAILQ_REMOVE_HEAD(&apply->applied, link);
        apply->index_released = head->index;
        ordered_destroy(replica, head);
    }
    if (apply->index_released == before || !replica_is_live(replica))
        return;
    if (replica->trace.released)
        replica->trace.released(replica->trace.user, apply->index_released);
    reads_released(replica);
}

void apply_released(struct replica *replica, uint64_t index)
{
    if (!replica_is_live(replica))
        return;
    replica->apply.index_released_group = index;
    journal_released(replica->journal, index);
    release(replica);
    if (replica_is_live(replica))
        reads_running(replica);
}

/* Members compare what they have come to, now and then. */
static void check_digest(struct replica *replica, uint64_t index)
{
    uint8_t digest[16];
    if (index % GCS_CHECK_EVERY != 0)
        return;
    memcpy(digest, &replica->apply.record.state.digest, sizeof digest);
    gcs_check(replica->gcs, index, digest);
}

/* A message's effects are all in the cache. */
static int ordered_end(struct replica *replica, struct ordered *ordered)
{
    struct apply *apply = &replica->apply;
    const struct gcs_message *message = &ordered->message;
    int rc = state_put(replica, ordered);
    history_hold(replica->history, transfer_sender_holds(replica->sender));
    if (rc == 0)
        rc = history_add(replica->history, message, ordered->index, apply->record.history);
    if (rc < 0)
        return rc;
    journal_applied(replica->journal, message, ordered->index, apply->record.history);
    cache_mark(replica->cache, ordered->index);
    apply->in_message = false;
    STAILQ_REMOVE_HEAD(&apply->delivered, link);
    STAILQ_INSERT_TAIL(&apply->applied, ordered, link);
    ordered->applied = true;
    if (message->payload) {
        TAILQ_REMOVE(&apply->receipts, ordered, receipt_link);
        pending_applied(apply->pending, ordered->receipt);
        apply->counters.messages++;
    }
    if (replica->trace.applied)
        replica->trace.applied(replica->trace.user, ordered->index,
                               message->payload ? message : NULL, apply->record.history,
                               apply->state.digest);
    return 0;
}

/* One message or epoch event. 0; NSPACE_MISS; negative: stop serving. */
static int apply_one(struct replica *replica, struct ordered *ordered)
{
    int rc = 0;
    if (ordered->message.payload)
        rc = message_execute(replica, ordered);
    else
        nspace_begin_epoch(&replica->apply.state);
    if (rc == 0)
        rc = ordered_end(replica, ordered);
    if (rc != 0)
        return rc;
    uint64_t index = ordered->index;
    gcs_applied(replica->gcs, index);
    check_digest(replica, index);
    if (replica_is_live(replica))
        release(replica);
    if (replica_is_live(replica))
        reads_applied(replica);
    return 0;
}

static void miss(struct replica *replica)
{
    struct apply *apply = &replica->apply;
    apply->counters.misses++;
    apply->waits = true;
    replica_fetch(replica, &apply->txn.miss_key, &apply->wait);
}

/* Back pressure of a store that is slower than the order: not applied means that the windows of the
 * group fill. */
static bool throttle(struct replica *replica)
{
    uint64_t most = replica->config.cache_bytes;
    most = most > DIRTY_BYTES_LEAST ? most : DIRTY_BYTES_LEAST;
    replica->apply.throttled = cache_dirty_bytes(replica->cache) > most;
    return replica->apply.throttled;
}

void apply_flushed(struct replica *replica)
{
    if (replica->apply.throttled)
        loop_defer(replica->loop, &replica->apply.task);
}

static void apply_run(struct replica *replica)
{
    struct apply *apply = &replica->apply;
    uint64_t stop_at = apply->counters.operations + OPERATIONS_PER_TURN;
    struct ordered *head;
    while (replica_is_live(replica) && !replica->outside.damaged && !apply->waits &&
           (head = STAILQ_FIRST(&apply->delivered)) && (apply->in_message || !throttle(replica))) {
        if (apply->counters.operations >= stop_at) {
            loop_timer_start(&apply->again, 0); /* let sockets and timers have their turn */
            return;
        }
        uint64_t index = head->index;
        int rc = apply_one(replica, head);
        if (rc == NSPACE_MISS)
            miss(replica);
        else if (rc == -EBADMSG)
            outside_damaged(replica, "applying index %llu: a record can't be read",
                            (unsigned long long)index);
        else if (rc < 0)
            replica_fail(replica, "applying index %llu: %s", (unsigned long long)index,
                         strerror(-rc));
    }
}

static void apply_task(struct loop_task *task)
{
    apply_run(CONTAINER_OF(task, struct replica, apply.task));
}

static void apply_again(struct loop_timer *timer)
{
    apply_run(CONTAINER_OF(timer, struct replica, apply.again));
}

static void apply_fetched(struct cache_wait *wait)
{
    struct replica *replica = CONTAINER_OF(wait, struct replica, apply.wait);
    replica->apply.waits = false;
    apply_run(replica);
}

/* --- begin and end ------------------------------------------------------------------------------
 */

static bool load_session(void *user, const void *key, size_t key_bytes, const void *value,
                         size_t value_bytes)
{
    struct replica *replica = user;
    int rc = session_index_load_record(replica->apply.sessions, key, key_bytes, value, value_bytes);
    if (rc < 0)
        error_set(&replica->error, rc, "a session record cannot be read: %s", strerror(-rc));
    return rc == 0;
}

static int load_sessions(struct replica *replica)
{
    struct record_key from = record_key_first(RECORD_SESSION), to = record_key_end(RECORD_SESSION);
    replica->error.text[0] = 0;
    int rc = store_scan(replica->store, from.bytes, from.count, to.bytes, to.count, load_session,
                        replica, &replica->error);
    return rc == 0 && replica->error.text[0] ? -EUCLEAN : rc;
}

/* @replica: store and state record are there. */
int apply_init(struct replica *replica)
{
    struct apply *apply = &replica->apply;
    struct state_record record = apply->record;
    *apply = (struct apply){.record = record, .state = record.state};
    TAILQ_INIT(&apply->receipts);
    STAILQ_INIT(&apply->delivered);
    STAILQ_INIT(&apply->applied);
    apply->index_delivered = apply->index_released_group = apply->index_released = record.index;
    apply->task = (struct loop_task){.run = apply_task, .phase = LOOP_PHASE_SUBMIT};
    apply->wait.done = apply_fetched;
    replica->source.get = cache_get_record;
    txn_init(&apply->txn);
    int rc = loop_timer_init(replica->loop, &apply->again, apply_again);
    if (rc == 0)
        rc = pending_create(&apply->pending);
    if (rc == 0)
        rc = session_index_create(&apply->sessions);
    return rc < 0 ? error_set(&replica->error, rc, "no memory") : load_sessions(replica);
}

void apply_finish(struct replica *replica)
{
    struct apply *apply = &replica->apply;
    struct ordered *ordered;
    if (!apply->task.run)
        return;
    loop_cancel(replica->loop, &apply->task);
    loop_timer_finish(&apply->again);
    while ((ordered = STAILQ_FIRST(&apply->applied))) {
        STAILQ_REMOVE_HEAD(&apply->applied, link);
        ordered_destroy(replica, ordered);
    }
    while ((ordered = STAILQ_FIRST(&apply->delivered))) {
        STAILQ_REMOVE_HEAD(&apply->delivered, link);
        ordered_destroy(replica, ordered);
    }
    while ((ordered = TAILQ_FIRST(&apply->receipts)))
        ordered_destroy(replica, ordered);
    pending_destroy(apply->pending);
    session_index_destroy(apply->sessions);
    txn_finish(&apply->txn);
    apply->task.run = NULL; /* closed: a second time finds nothing */
}
