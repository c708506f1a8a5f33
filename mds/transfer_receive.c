/* The receiving side of a transfer: fills an empty store, believes it when all of it is there.
 *
 * Invariants: keys come strictly ascending; at most TRANSFER_CREDITS chunks are on their way or
 * wait to be written; the sum over the records is the digest of the state record, which itself is
 * byte for byte the one that BEGIN announced. See mds/transfer.h. */
#include "mds/transfer.h"
#include "mds/record.h"
#include "mds/transfer_frame.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

static const uint64_t silence_ns = 10000000000;

struct chunk {
    struct work work;
    struct transfer_receive *receive;
    uint64_t number, hash;
    bool last; /* no chunk: sync and verify */
    struct blob *content;
    int code; /* of the helper, for the loop: what it is to the transfer so far */
    uint64_t records;
    struct error error;
};

struct transfer_receive {
    struct transfer_receive_config config;
    struct net_conn *conn;
    struct work_queue *queue;
    struct loop_timer watch;
    bool greeted, begun, all_here, told;
    uint64_t heard_ns;
    uint64_t chunks_received, hash;
    uint64_t expected, bytes, written_records;
    uint32_t percent_said;
    uint32_t waiting; /* chunks given to the helper */
    uint8_t state[STATE_BYTES_MAX];
    size_t state_bytes;
    uint64_t end_chunks, end_records, end_hash;
    /* of the helper */
    int code;
    struct error error;
    uint64_t records;
    struct hash128 digest;
    uint8_t key[KEY_BYTES_MAX];
    size_t key_bytes;
    bool has_state;
};

/* --- on the helper --- */

static int bad(struct transfer_receive *receive, const char *what)
{
    return error_set(&receive->error, -EBADMSG, "what came is damaged: %s", what);
}

static bool ascends(const struct transfer_receive *receive, const void *key, size_t bytes)
{
    size_t common = bytes < receive->key_bytes ? bytes : receive->key_bytes;
    int order = memcmp(receive->key, key, common);
    return order < 0 || (order == 0 && receive->key_bytes < bytes);
}

/* The planted bug leaves out who has been answered with what; all of it is counted, though. */
static bool belongs(const void *key)
{
#ifdef TUTTI_PLANT_SESSIONS_NOT_IN_SNAPSHOT
    return *(const uint8_t *)key != RECORD_SESSION;
#else
    return true;
#endif
}

static int take_record(struct transfer_receive *receive, struct reader *r,
                       struct store_batch *batch)
{
    size_t key_bytes = reader_u16(r), value_bytes = reader_u32(r);
    const void *key = reader_bytes(r, key_bytes);
    const void *value = reader_bytes(r, value_bytes);
    struct record_key state = record_key_state();
    if (r->failed || key_bytes == 0 || key_bytes > KEY_BYTES_MAX)
        return bad(receive, "a record of a size that can't be");
    if (receive->records && !ascends(receive, key, key_bytes))
        return bad(receive, "records out of order");
    memcpy(receive->key, key, key_bytes);
    receive->key_bytes = key_bytes;
    receive->records++;
    if (key_bytes == state.count && memcmp(key, state.bytes, key_bytes) == 0) {
        receive->has_state =
            value_bytes == receive->state_bytes && memcmp(value, receive->state, value_bytes) == 0;
        if (!receive->has_state)
            return bad(receive, "another state record than announced");
    } else if (*(const char *)key != RECORD_META) {
        receive->digest =
            hash128_add(receive->digest, hash128_record(key, key_bytes, value, value_bytes));
    }
    return belongs(key) ? store_batch_put(batch, key, key_bytes, value, value_bytes) : 0;
}

static int write_chunk(struct transfer_receive *receive, const struct chunk *chunk)
{
    size_t bytes = chunk->content->bytes - CHUNK_HEAD_BYTES;
    const uint8_t *records = chunk->content->data + CHUNK_HEAD_BYTES;
    if (chunk_hash(chunk->number, records, bytes) != chunk->hash)
        return bad(receive, "a chunk's checksum");
    struct store_batch *batch = store_batch_create();
    struct reader r = reader_make(records, bytes);
    int rc = batch ? 0 : -ENOMEM;
    while (rc == 0 && r.at < r.end)
        rc = take_record(receive, &r, batch);
    if (rc == 0)
        rc = store_write(receive->config.incoming, batch, false, &receive->error);
    store_batch_destroy(batch);
    return rc;
}

static int verify(struct transfer_receive *receive)
{
    struct state_record record;
    struct store_batch *nothing = store_batch_create();
    int rc = nothing ? 0 : -ENOMEM;
    if (receive->records != receive->end_records || !receive->has_state)
        rc = bad(receive, "records are missing");
    else if (record_read_state(receive->state, receive->state_bytes, &record) < 0)
        rc = bad(receive, "the state record");
    else if (!hash128_equal(record.state.digest, receive->digest))
        rc = bad(receive, "the records do not add up to the digest");
    if (rc == 0)
        rc = store_write(receive->config.incoming, nothing, true, &receive->error);
    store_batch_destroy(nothing);
    return rc;
}

static void chunk_run(struct work *work)
{
    struct chunk *chunk = CONTAINER_OF(work, struct chunk, work);
    struct transfer_receive *receive = chunk->receive;
    if (receive->code == 0)
        receive->code = chunk->last ? verify(receive) : write_chunk(receive, chunk);
    chunk->code = receive->code;
    chunk->records = receive->records;
    if (chunk->code)
        chunk->error = receive->error;
}

/* --- on the loop --- */

static void hang_up(struct transfer_receive *receive)
{
    struct net_conn *conn = receive->conn;
    receive->conn = NULL;
    if (conn) {
        conn->user = NULL;
        net_close(conn);
    }
}

static void end(struct transfer_receive *receive, int code, const char *detail)
{
    if (receive->told)
        return;
    receive->told = true;
    hang_up(receive);
    receive->config.done(receive->config.user, code, detail);
}

static void grant(struct transfer_receive *receive, uint32_t count)
{
    uint8_t head[4];
    struct writer w = writer_make(head, sizeof head);
    writer_u32(&w, count);
    int rc = receive->conn ? net_send(receive->conn, TRANSFER_CREDIT, head, sizeof head, NULL)
                           : NET_E_CLOSED;
    if (rc != 0 && rc != NET_E_CLOSED) /* one that has closed says so itself */
        end(receive, -EPIPE, "the connection takes nothing more");
}

static uint32_t percent(const struct transfer_receive *receive)
{
    if (receive->all_here)
        return 100;
    uint64_t share = receive->expected ? 100 * receive->written_records / receive->expected : 0;
    return share < 99 ? (uint32_t)share : 99;
}

static void say_progress(struct transfer_receive *receive)
{
    uint32_t now = percent(receive);
    if (now < receive->percent_said + 10)
        return;
    receive->percent_said = now;
    log_info("transfer", "%u %%, %llu MiB", now, (unsigned long long)(receive->bytes >> 20));
}

static void chunk_written(struct transfer_receive *receive, const struct chunk *chunk)
{
    receive->written_records = chunk->records;
    receive->heard_ns = loop_now_ns(receive->config.loop); /* it could send nothing before this */
    if (chunk->code)
        end(receive, chunk->code,
            chunk->error.text[0] ? chunk->error.text : strerror(-chunk->code));
    else if (chunk->last)
        end(receive, 0, "");
    else {
        say_progress(receive);
        if (!receive->all_here)
            grant(receive, 1);
    }
}

static void chunk_done(struct work *work)
{
    struct chunk *chunk = CONTAINER_OF(work, struct chunk, work);
    struct transfer_receive *receive = chunk->receive;
    receive->waiting--;
    if (!receive->told)
        chunk_written(receive, chunk);
    blob_unref(chunk->content);
    free(chunk);
}

static void give(struct transfer_receive *receive, struct chunk from)
{
    struct chunk *chunk = malloc(sizeof *chunk);
    if (!chunk) {
        blob_unref(from.content);
        end(receive, -ENOMEM, "no memory");
        return;
    }
    *chunk = from;
    chunk->receive = receive;
    chunk->work = (struct work){.run = chunk_run, .done = chunk_done};
    receive->waiting++;
    work_queue_submit(receive->queue, &chunk->work);
}

/* One that can't be read is found out at the end. */
static bool is_counted_on(const struct transfer_receive *receive, bool listed)
{
    struct state_record record;
    uint64_t least = receive->config.epoch_least;
    if (!least || listed)
        return least != 0;
    return record_read_state(receive->state, receive->state_bytes, &record) == 0 &&
           record.epoch < least;
}

static void on_begin(struct transfer_receive *receive, const struct net_frame *frame)
{
    struct reader r = reader_make(frame->payload, frame->bytes);
    receive->expected = reader_u64(&r);
    bool listed = reader_u8(&r) != 0;
    size_t bytes = reader_u32(&r);
    if (receive->begun || bytes > sizeof receive->state) {
        end(receive, -EPROTO, "a beginning that can't be");
        return;
    }
    reader_copy(&r, receive->state, bytes);
    receive->state_bytes = bytes;
    receive->begun = true;
    if (!reader_complete(&r))
        end(receive, -EPROTO, "a beginning that can't be");
    else if (is_counted_on(receive, listed))
        end(receive, -ESTALE, "its group has not gone on without this replica yet");
    else
        grant(receive, TRANSFER_CREDITS);
}

static void on_contacts(struct transfer_receive *receive, const struct net_frame *frame)
{
    struct gcs_member members[GCS_PEER_MAX];
    if (frame->bytes > GCS_STATE_BYTES_MAX ||
        gcs_contacts_read(frame->payload, frame->bytes, members) == 0)
        end(receive, -EPROTO, "contacts that can't be");
    else
        receive->config.contacts(receive->config.user, frame->payload, frame->bytes);
}

static void on_chunk(struct transfer_receive *receive, const struct net_frame *frame)
{
    struct reader r = reader_make(frame->payload, frame->bytes);
    struct chunk chunk = {.last = false};
    chunk.number = reader_u64(&r);
    chunk.hash = reader_u64(&r);
    if (!receive->begun || receive->all_here || r.failed || frame->bytes > TRANSFER_CHUNK_BYTES ||
        receive->waiting >= TRANSFER_CREDITS || chunk.number != receive->chunks_received + 1) {
        end(receive, -EPROTO, "a chunk that was not due");
        return;
    }
    chunk.content = blob_create(frame->payload, frame->bytes);
    if (!chunk.content) {
        end(receive, -ENOMEM, "no memory");
        return;
    }
    receive->chunks_received++;
    receive->hash = chunks_hash(receive->hash, chunk.hash);
    receive->bytes += frame->bytes;
    give(receive, chunk);
}

static void on_end(struct transfer_receive *receive, const struct net_frame *frame)
{
    struct reader r = reader_make(frame->payload, frame->bytes);
    receive->end_chunks = reader_u64(&r);
    receive->end_records = reader_u64(&r);
    receive->end_hash = reader_u64(&r);
    if (!receive->begun || !reader_complete(&r) ||
        receive->end_chunks != receive->chunks_received || receive->end_hash != receive->hash) {
        end(receive, -EPROTO, "an end that does not fit what came");
        return;
    }
    receive->all_here = true;
    give(receive, (struct chunk){.last = true});
}

/* The state of another cluster, or lineage, must never come in here. */
static void on_greeting(struct transfer_receive *receive, const struct net_frame *frame)
{
    const struct net_hello *own = &receive->config.hello;
    struct net_hello hello;
    if (net_hello_decode(frame->payload, frame->bytes, &hello) < 0)
        end(receive, -EPROTO, "a hello that can't be");
    else if (memcmp(hello.cluster, own->cluster, sizeof hello.cluster) != 0 ||
             hello.lineage_random != own->lineage_random ||
             hello.lineage_generation != own->lineage_generation)
        end(receive, -EXDEV, "it belongs to another cluster or lineage");
    else
        receive->greeted = true;
}

static void on_hello(struct transfer_receive *receive, const struct net_frame *frame)
{
    char text[256];
    if (frame->type == NET_FRAME_HELLO) {
        on_greeting(receive, frame);
        return;
    }
    int bytes = frame->type == NET_FRAME_REFUSED && frame->bytes < 200 ? (int)frame->bytes : 0;
    snprintf(text, sizeof text, "refused: %.*s", bytes, (const char *)frame->payload);
    end(receive, -ECONNREFUSED, text);
}

static void on_opened(struct net_conn *conn)
{
    struct transfer_receive *receive = conn->user;
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    if (receive && net_send(conn, NET_FRAME_HELLO, bytes,
                            (uint32_t)net_hello_encode(&receive->config.hello, bytes), NULL) != 0)
        end(receive, -EPIPE, "no hello could be sent");
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct transfer_receive *receive = conn->user;
    if (!receive || receive->told)
        return;
    receive->heard_ns = loop_now_ns(receive->config.loop);
    if (!receive->greeted)
        on_hello(receive, frame);
    else if (frame->type == TRANSFER_CONTACTS && !receive->begun)
        on_contacts(receive, frame);
    else if (frame->type == TRANSFER_BEGIN)
        on_begin(receive, frame);
    else if (frame->type == TRANSFER_CHUNK)
        on_chunk(receive, frame);
    else if (frame->type == TRANSFER_END && !receive->all_here)
        on_end(receive, frame);
    else
        end(receive, -EPROTO, "a frame that has no meaning here");
}

static void on_drained(struct net_conn *conn)
{
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct transfer_receive *receive = conn->user;
    if (!receive)
        return;
    conn->user = NULL;
    receive->conn = NULL;
    if (!receive->all_here)
        end(receive, -ECONNRESET, detail && detail[0] ? detail : "the connection broke");
}

static const struct net_handlers handlers = {
    .opened = on_opened, .frame = on_frame, .drained = on_drained, .closed = on_closed};

static void on_watch(struct loop_timer *timer)
{
    struct transfer_receive *receive = CONTAINER_OF(timer, struct transfer_receive, watch);
    bool silent = loop_now_ns(receive->config.loop) - receive->heard_ns > silence_ns;
    if (silent && !receive->waiting && !receive->all_here)
        end(receive, -ETIMEDOUT, "nothing came for a while");
    else if (!receive->told)
        loop_timer_start(timer, silence_ns / 4);
}

int transfer_receive_start(const struct transfer_receive_config *config,
                           struct transfer_receive **ret_receive, struct error *error)
{
    const struct net_limits limits = {.frame_bytes_max = TRANSFER_CHUNK_BYTES + 4096,
                                      .queue_bytes_max = 1 << 20,
                                      .frame_timeout_ns = silence_ns};
    struct transfer_receive *receive = calloc(1, sizeof *receive);
    if (!receive || !(receive->queue = work_queue_create(config->loop, "transfer")) ||
        loop_timer_init(config->loop, &receive->watch, on_watch) < 0) {
        if (receive)
            work_queue_destroy(receive->queue);
        free(receive);
        return error_set(error, -ENOMEM, "no memory for a transfer");
    }
    receive->config = *config;
    receive->heard_ns = loop_now_ns(config->loop);
    int rc = net_connect(config->transport, config->address, NULL, &limits, &handlers, receive,
                         &receive->conn, error);
    if (rc < 0) {
        receive->conn = NULL;
        transfer_receive_destroy(receive);
        return rc;
    }
    loop_timer_start(&receive->watch, silence_ns / 4);
    *ret_receive = receive;
    return 0;
}

void transfer_receive_status(const struct transfer_receive *receive,
                             struct replica_transfer_status *ret_status)
{
    ret_status->percent = percent(receive);
    ret_status->bytes = receive->bytes;
    ret_status->chunks = receive->chunks_received;
}

void transfer_receive_destroy(struct transfer_receive *receive)
{
    if (!receive)
        return;
    receive->told = true;
    hang_up(receive);
    work_queue_destroy(receive->queue);
    loop_timer_finish(&receive->watch);
    free(receive);
}
