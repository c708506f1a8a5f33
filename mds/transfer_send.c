/* The sending side of a transfer: a snapshot of the store, chunk after chunk.
 *
 * One work queue reads for all transfers, one chunk at a time for each; a chunk is read only when
 * the receiver has granted a credit, so what waits is bounded. Invariant: `key` is the last key
 * that was sent; the next chunk begins behind it. See mds/transfer.h. */
#include "mds/transfer.h"
#include "mds/record.h"
#include "mds/transfer_frame.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

static const uint64_t silence_ns = 10000000000;
static const uint64_t catch_up_ns = 60000000000; /* after a snapshot: to open it and to ask */
static const uint64_t again_ns = 50000000;       /* after one that was too old */

struct sending {
    struct transfer_sender *sender;
    struct net_conn *conn; /* NULL: it has closed */
    struct store_snapshot *snapshot;
    struct work work;
    uint8_t node; /* the receiver's */
    bool working, opened, ended;
    bool too_old;
    uint32_t credits;
    uint64_t chunks, records, hash;
    uint8_t key[KEY_BYTES_MAX];
    size_t key_bytes;
    uint64_t heard_ns;
    /* of the helper */
    struct blob *chunk; /* room for one */
    size_t chunk_bytes;
    uint64_t chunk_records;
    bool complete;
    int code;
    struct error error;
    uint8_t state[STATE_BYTES_MAX];
    size_t state_bytes;
    uint64_t expected, index;
    LIST_ENTRY(sending) link;
};

struct transfer_sender {
    struct transfer_sender_config config;
    struct work_queue *queue;
    struct loop_timer watch, again;
    LIST_HEAD(, sending) sendings;
    uint32_t count;
    uint64_t hold_until_ns; /* by the last snapshot that was sent whole */
    bool destroyed;
};

static void sending_free(struct sending *sending)
{
    LIST_REMOVE(sending, link);
    sending->sender->count--;
    store_snapshot_close(sending->sender->config.store, sending->snapshot);
    blob_unref(sending->chunk);
    free(sending);
}

static void hang_up(struct sending *sending)
{
    struct net_conn *conn = sending->conn;
    sending->conn = NULL;
    if (conn) {
        conn->user = NULL;
        net_close(conn);
    }
    if (!sending->working)
        sending_free(sending);
}

/* --- on the helper --- */

static bool take_state(void *user, const void *key, size_t key_bytes, const void *value,
                       size_t value_bytes)
{
    struct sending *sending = user;
    struct record_key state = record_key_state();
    if (key_bytes == state.count && memcmp(key, state.bytes, key_bytes) == 0 &&
        value_bytes <= sizeof sending->state) {
        memcpy(sending->state, value, value_bytes);
        sending->state_bytes = value_bytes;
    }
    return false;
}

/* The state record of the snapshot says what it is. */
static void open_run(struct work *work)
{
    struct sending *sending = CONTAINER_OF(work, struct sending, work);
    struct record_key key = record_key_state();
    struct state_record record;
    sending->code =
        store_snapshot_open(sending->sender->config.store, &sending->snapshot, &sending->error);
    if (sending->code == 0)
        sending->code =
            store_snapshot_scan(sending->sender->config.store, sending->snapshot, key.bytes,
                                key.count, take_state, sending, &sending->error);
    if (sending->code == 0)
        sending->code = record_read_state(sending->state, sending->state_bytes, &record);
    if (sending->code)
        return;
    sending->expected = 3 * record.state.inodes;
    sending->index = record.index;
}

/* False: the chunk is full. A record always fits into an empty one. */
static bool take_record(void *user, const void *key, size_t key_bytes, const void *value,
                        size_t value_bytes)
{
    struct sending *sending = user;
    size_t bytes = CHUNK_RECORD_BYTES + key_bytes + value_bytes;
    if (key_bytes == sending->key_bytes && memcmp(key, sending->key, key_bytes) == 0)
        return true; /* the last one of the chunk before */
    if (key_bytes > KEY_BYTES_MAX || bytes > TRANSFER_CHUNK_BYTES - CHUNK_HEAD_BYTES) {
        sending->code = -EMSGSIZE;
        return false;
    }
    if (sending->chunk_bytes + bytes > TRANSFER_CHUNK_BYTES) {
        sending->complete = false;
        return false;
    }
    struct writer w = writer_make(sending->chunk->data + sending->chunk_bytes, bytes);
    writer_u16(&w, (uint16_t)key_bytes);
    writer_u32(&w, (uint32_t)value_bytes);
    writer_bytes(&w, key, key_bytes);
    writer_bytes(&w, value, value_bytes);
    sending->chunk_bytes += bytes;
    sending->chunk_records++;
    memcpy(sending->key, key, key_bytes);
    sending->key_bytes = key_bytes;
    return true;
}

static void read_run(struct work *work)
{
    struct sending *sending = CONTAINER_OF(work, struct sending, work);
    sending->chunk_bytes = CHUNK_HEAD_BYTES;
    sending->chunk_records = 0;
    sending->complete = true;
    int code = store_snapshot_scan(sending->sender->config.store, sending->snapshot, sending->key,
                                   sending->key_bytes, take_record, sending, &sending->error);
    if (sending->code == 0)
        sending->code = code;
}

/* --- on the loop --- */

static void go_on(struct sending *sending);
static void work_done(struct work *work);

static bool send_begin(struct sending *sending)
{
    uint8_t head[13 + STATE_BYTES_MAX];
    const struct transfer_sender_config *config = &sending->sender->config;
    struct writer w = writer_make(head, sizeof head);
    writer_u64(&w, sending->expected);
    writer_u8(&w, config->lists(config->user, sending->node));
    writer_u32(&w, (uint32_t)sending->state_bytes);
    writer_bytes(&w, sending->state, sending->state_bytes);
    return !w.failed &&
           net_send(sending->conn, TRANSFER_BEGIN, head, (uint32_t)writer_used(&w), NULL) == 0;
}

static bool send_chunk(struct sending *sending)
{
    size_t bytes = sending->chunk_bytes - CHUNK_HEAD_BYTES;
    uint64_t hash = chunk_hash(++sending->chunks, sending->chunk->data + CHUNK_HEAD_BYTES, bytes);
    struct writer w = writer_make(sending->chunk->data, CHUNK_HEAD_BYTES);
    writer_u64(&w, sending->chunks);
    writer_u64(&w, hash);
    sending->hash = chunks_hash(sending->hash, hash);
    sending->records += sending->chunk_records;
    sending->credits--;
    struct blob *payload = blob_create(sending->chunk->data, (uint32_t)sending->chunk_bytes);
    bool sent = payload && net_send(sending->conn, TRANSFER_CHUNK, NULL, 0, payload) == 0;
    blob_unref(payload);
    return sent;
}

static bool send_end(struct sending *sending)
{
    uint8_t head[END_BYTES];
    struct writer w = writer_make(head, sizeof head);
    writer_u64(&w, sending->chunks);
    writer_u64(&w, sending->records);
    writer_u64(&w, sending->hash);
    sending->ended = true;
    sending->sender->hold_until_ns = loop_now_ns(sending->sender->config.loop) + catch_up_ns;
    return net_send(sending->conn, TRANSFER_END, head, sizeof head, NULL) == 0;
}

static void begin_work(struct sending *sending, void (*run)(struct work *work))
{
    sending->working = true;
    sending->work = (struct work){.run = run, .done = work_done};
    work_queue_submit(sending->sender->queue, &sending->work);
}

/* From now on nothing is forgotten (transfer_sender_holds), so a later one reaches far enough. */
static void open_again(struct sending *sending)
{
    struct transfer_sender *sender = sending->sender;
    store_snapshot_close(sender->config.store, sending->snapshot);
    sending->snapshot = NULL;
    sending->opened = false;
    sending->too_old = true;
    loop_timer_start(&sender->again, again_ns);
}

static void on_again(struct loop_timer *timer)
{
    struct transfer_sender *sender = CONTAINER_OF(timer, struct transfer_sender, again);
    struct sending *sending;
    LIST_FOREACH (sending, &sender->sendings, link) {
        if (!sending->too_old)
            continue;
        sending->too_old = false;
        begin_work(sending, open_run);
    }
}

static void work_done(struct work *work)
{
    struct sending *sending = CONTAINER_OF(work, struct sending, work);
    const struct transfer_sender_config *config = &sending->sender->config;
    bool first = !sending->opened;
    sending->working = false;
    sending->opened = true;
    if (!sending->conn || sending->sender->destroyed) {
        hang_up(sending);
        return;
    }
    if (first && sending->code == 0 && !config->reaches(config->user, sending->index)) {
        open_again(sending);
        return;
    }
    bool sent = sending->code == 0;
    if (sending->code)
        log_warning("transfer", "the snapshot cannot be read: %s", strerror(-sending->code));
    if (sending->code == -EUCLEAN)
        config->damaged(config->user, sending->error.text);
    if (sent && first)
        sent = send_begin(sending);
    else if (sent && sending->chunk_records)
        sent = send_chunk(sending);
    if (sent && !first && sending->complete)
        sent = send_end(sending);
    if (sent)
        go_on(sending);
    else
        hang_up(sending);
}

static void go_on(struct sending *sending)
{
    if (sending->opened && !sending->working && !sending->ended && sending->credits)
        begin_work(sending, read_run);
}

static void on_opened(struct net_conn *conn)
{
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct sending *sending = conn->user;
    if (!sending)
        return;
    struct reader r = reader_make(frame->payload, frame->bytes);
    uint32_t credits = reader_u32(&r);
    if (frame->type != TRANSFER_CREDIT || !reader_complete(&r) || credits > TRANSFER_CREDITS ||
        sending->credits + credits > TRANSFER_CREDITS) {
        hang_up(sending);
        return;
    }
    sending->heard_ns = loop_now_ns(sending->sender->config.loop);
    sending->credits += credits;
    go_on(sending);
}

static void on_drained(struct net_conn *conn)
{
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct sending *sending = conn->user;
    if (!sending)
        return;
    conn->user = NULL;
    sending->conn = NULL;
    if (!sending->working)
        sending_free(sending);
}

static const struct net_handlers handlers = {
    .opened = on_opened, .frame = on_frame, .drained = on_drained, .closed = on_closed};

/* A receiver may need others before it has all. */
static void send_contacts(struct sending *sending)
{
    uint8_t state[GCS_STATE_BYTES_MAX];
    const struct transfer_sender_config *config = &sending->sender->config;
    uint32_t bytes = (uint32_t)config->contacts(config->user, state);
    if (net_send(sending->conn, TRANSFER_CONTACTS, state, bytes, NULL) != 0)
        return; /* the link is gone: its end follows */
}

const struct net_handlers *transfer_sender_accept(struct transfer_sender *sender,
                                                  struct net_conn *conn, uint8_t node)
{
    struct sending *sending;
    if (sender->count >= TRANSFER_SENDERS_MAX || !(sending = calloc(1, sizeof *sending)))
        return NULL;
    sending->chunk = blob_create(NULL, TRANSFER_CHUNK_BYTES);
    if (!sending->chunk) {
        free(sending);
        return NULL;
    }
    sending->sender = sender;
    sending->conn = conn;
    sending->node = node;
    sending->heard_ns = loop_now_ns(sender->config.loop);
    LIST_INSERT_HEAD(&sender->sendings, sending, link);
    sender->count++;
    conn->user = sending;
    send_contacts(sending);
    begin_work(sending, open_run);
    return &handlers;
}

/* A receiver that grants nothing for long is gone. */
static void on_watch(struct loop_timer *timer)
{
    struct transfer_sender *sender = CONTAINER_OF(timer, struct transfer_sender, watch);
    uint64_t now = loop_now_ns(sender->config.loop);
    struct sending *sending, *next;
    for (sending = LIST_FIRST(&sender->sendings); sending; sending = next) {
        next = LIST_NEXT(sending, link);
        if (sending->conn && !sending->working && now - sending->heard_ns > silence_ns)
            hang_up(sending);
    }
    loop_timer_start(timer, silence_ns / 4);
}

uint32_t transfer_sender_count(const struct transfer_sender *sender)
{
    return sender->count;
}

bool transfer_sender_holds(const struct transfer_sender *sender)
{
    return sender->count > 0 || loop_now_ns(sender->config.loop) < sender->hold_until_ns;
}

int transfer_sender_create(const struct transfer_sender_config *config,
                           struct transfer_sender **ret_sender)
{
    struct transfer_sender *sender = calloc(1, sizeof *sender);
    if (!sender)
        return -ENOMEM;
    sender->config = *config;
    LIST_INIT(&sender->sendings);
    sender->queue = work_queue_create(config->loop, "transfer");
    if (!sender->queue || loop_timer_init(config->loop, &sender->watch, on_watch) < 0 ||
        loop_timer_init(config->loop, &sender->again, on_again) < 0) {
        transfer_sender_destroy(sender);
        return -ENOMEM;
    }
    loop_timer_start(&sender->watch, silence_ns / 4);
    *ret_sender = sender;
    return 0;
}

void transfer_sender_destroy(struct transfer_sender *sender)
{
    struct sending *sending, *next;
    if (!sender)
        return;
    sender->destroyed = true;
    for (sending = LIST_FIRST(&sender->sendings); sending; sending = next) {
        next = LIST_NEXT(sending, link);
        hang_up(sending);
    }
    work_queue_destroy(sender->queue);
    loop_timer_finish(&sender->watch);
    loop_timer_finish(&sender->again);
    free(sender);
}
