/* One member of the bare group: see order_node.h.
 *
 * What a replica does around the group is here in its smallest form: applying lags behind delivery
 * by a random time, the applied state is flushed now and then (only what the local log has stored),
 * and a restart goes on from the last flush with what the log holds. */
#include "tests/sim/order_conn.h"
#include "tests/sim/order_node.h"

#include "base/cursor.h"
#include "base/hash.h"
#include "mds/journal.h"
#include "store/metafile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FLUSHED_BYTES = 8 * 3 + 1 + 16 };

/* Where the state machine stands; what a flush makes durable. */
struct applied {
    uint64_t index;
    struct gcs_position position;
    struct hash128 history;
};

struct delivered {
    STAILQ_ENTRY(delivered) entry;
    struct gcs_message message; /* payload NULL: an epoch event */
    uint64_t index;
};

/* What the group asked to store, until the log says that it is. */
struct given {
    STAILQ_ENTRY(given) entry;
    uint64_t epoch, seq;
    uint8_t origin;
};

struct order_node {
    struct host *host;
    struct cluster *cluster;
    uint32_t member;
    struct journal *journal;
    struct gcs *gcs;
    struct order_listener *listener;
    struct applied applied;
    STAILQ_HEAD(, delivered) queue;
    STAILQ_HEAD(, given) given;
    struct loop_timer apply;
    bool running, window_full;
    struct work_queue *flusher;
    struct work flush;
    struct applied flushing; /* index 0: none */
    uint64_t allowed;
    bool flush_busy;
    int flush_code;
};

/* ---- flushing what was applied ---- */

static void flush_run(struct work *work)
{
    struct order_node *node = CONTAINER_OF(work, struct order_node, flush);
    uint8_t bytes[FLUSHED_BYTES];
    struct writer w = writer_make(bytes, sizeof bytes);
    writer_u64(&w, node->flushing.index);
    writer_u64(&w, node->flushing.position.epoch);
    writer_u64(&w, node->flushing.position.ts);
    writer_u8(&w, node->flushing.position.rank);
    writer_u64(&w, node->flushing.history.low);
    writer_u64(&w, node->flushing.history.high);
    node->flush_code = metafile_write(node->host->disk, "applied", bytes, sizeof bytes, NULL);
}

static void node_failed_code(void *user, int code, const char *detail)
{
    (void)code;
    struct order_node *node = user;
    host_program_failed(node->host, detail);
}

static void flush_done(struct work *work)
{
    struct order_node *node = CONTAINER_OF(work, struct order_node, flush);
    node->flush_busy = false;
    if (!node->host->process->alive)
        return;
    if (node->flush_code < 0)
        node_failed_code(node, node->flush_code, "the applied state can't be written");
    else
        journal_durable(node->journal, node->flushing.index);
    node->flushing.index = 0;
}

/* A flush may carry only what the local log has stored. */
static void flush_maybe(struct order_node *node)
{
    if (node->flush_busy)
        return;
    if (node->flushing.index == 0 && prng_chance(&node->host->world->prng, 1, 8))
        node->flushing = node->applied;
    if (node->flushing.index == 0 || node->flushing.index > node->allowed)
        return;
    node->flush_busy = true;
    node->flush = (struct work){.run = flush_run, .done = flush_done};
    work_queue_submit(node->flusher, &node->flush);
}

static int flushed_read(struct order_node *node, struct error *error)
{
    void *content;
    size_t bytes;
    int code = metafile_read(node->host->disk, "applied", &content, &bytes, error);
    if (code == METAFILE_ABSENT)
        return 0;
    if (code < 0)
        return code;
    struct reader r = reader_make(content, bytes);
    node->applied.index = reader_u64(&r);
    node->applied.position.epoch = reader_u64(&r);
    node->applied.position.ts = reader_u64(&r);
    node->applied.position.rank = reader_u8(&r);
    node->applied.history.low = reader_u64(&r);
    node->applied.history.high = reader_u64(&r);
    bool complete = reader_complete(&r);
    free(content);
    return complete ? 0 : error_set(error, -EBADMSG, "the applied state is damaged");
}

/* ---- the state machine ---- */

static void apply_one(struct order_node *node, struct delivered *delivered)
{
    const struct gcs_message *m = &delivered->message;
    struct applied *applied = &node->applied;
    uint64_t head[4] = {m->epoch, m->origin, m->seq, m->ts};
    applied->history =
        hash128_chain(applied->history, head, sizeof head, m->payload ? m->payload->data : NULL,
                      m->payload ? m->payload->bytes : 0);
    applied->index = delivered->index;
    applied->position = (struct gcs_position){m->epoch, m->ts, m->origin};
    checks_applied(&node->cluster->checks, node->member, delivered->index, m->payload ? m : NULL,
                   applied->history, (struct hash128){0});
    gcs_applied(node->gcs, delivered->index);
    blob_unref(m->payload);
}

static void apply_some(struct loop_timer *timer)
{
    struct order_node *node = CONTAINER_OF(timer, struct order_node, apply);
    uint64_t count = world_between(node->host->world, 1, 8);
    struct delivered *delivered;
    while (count-- && (delivered = STAILQ_FIRST(&node->queue))) {
        STAILQ_REMOVE_HEAD(&node->queue, entry);
        apply_one(node, delivered);
        free(delivered);
    }
    flush_maybe(node);
    if (!STAILQ_EMPTY(&node->queue))
        loop_timer_start(&node->apply, world_skewed(node->host->world, 0, SIM_MS(4)));
}

static void queue_delivered(struct order_node *node, const struct gcs_message *message,
                            uint64_t index)
{
    struct delivered *delivered = sim_alloc(sizeof *delivered);
    delivered->message = *message;
    delivered->index = index;
    if (message->payload)
        blob_ref(message->payload);
    if (STAILQ_EMPTY(&node->queue))
        loop_timer_start(&node->apply, world_skewed(node->host->world, 0, SIM_MS(4)));
    STAILQ_INSERT_TAIL(&node->queue, delivered, entry);
}

/* ---- callbacks of the group ---- */

static void on_received(void *user, const struct gcs_message *message)
{
    struct order_node *node = user;
    order_load_received(node->cluster, node->member, message);
}

static void on_store(void *user, const struct gcs_message *message)
{
    struct order_node *node = user;
    struct given *given = sim_alloc(sizeof *given);
    given->epoch = message->epoch;
    given->origin = message->origin;
    given->seq = message->seq;
    STAILQ_INSERT_TAIL(&node->given, given, entry);
    journal_store(node->journal, message);
}

static void on_save(void *user, const void *state, size_t bytes)
{
    struct order_node *node = user;
    journal_save(node->journal, state, bytes);
}

static void on_deliver(void *user, const struct gcs_message *message, uint64_t index)
{
    struct order_node *node = user;
    world_note(node->host->world, "%s delivers %llu: epoch %llu origin %u seq %llu ts %llu",
               node->host->name, (unsigned long long)index, (unsigned long long)message->epoch,
               message->origin, (unsigned long long)message->seq, (unsigned long long)message->ts);
    order_load_delivered(node->cluster, node->member, message);
    journal_delivered(node->journal, message, index);
    queue_delivered(node, message, index);
}

static void on_epoch(void *user, uint64_t epoch, uint64_t index)
{
    struct order_node *node = user;
    struct gcs_message event = {.epoch = epoch};
    world_note(node->host->world, "%s begins epoch %llu at %llu", node->host->name,
               (unsigned long long)epoch, (unsigned long long)index);
    journal_epoch(node->journal, epoch, index);
    queue_delivered(node, &event, index);
}

static void on_released(void *user, uint64_t index)
{
    struct order_node *node = user;
    checks_released(&node->cluster->checks, node->member, index);
    order_load_released(node->cluster, node->member, index);
}

static void on_running(void *user, bool running, const char *waiting_for)
{
    struct order_node *node = user;
    world_note(node->host->world, "%s %s%s", node->host->name, running ? "runs" : "waits for ",
               running ? "" : waiting_for);
    node->running = running;
    node->window_full = false;
    if (running)
        order_load_ready(node->cluster, node->member);
}

static void on_window_open(void *user)
{
    struct order_node *node = user;
    node->window_full = false;
    order_load_ready(node->cluster, node->member);
}

static void on_fetch(void *user, uint64_t epoch, uint8_t origin, uint64_t seq_from, uint64_t seq_to)
{
    struct order_node *node = user;
    journal_fetch(node->journal, epoch, origin, seq_from, seq_to);
}

static void on_failed(void *user, const char *detail)
{
    struct order_node *node = user;
    host_program_failed(node->host, detail);
}

static const struct gcs_callbacks callbacks = {
    .received = on_received,
    .store = on_store,
    .save = on_save,
    .deliver = on_deliver,
    .epoch = on_epoch,
    .released = on_released,
    .running = on_running,
    .window_open = on_window_open,
    .fetch = on_fetch,
    .failed = on_failed,
};

/* ---- callbacks of the journal ---- */

static void on_stored(void *user, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    struct order_node *node = user;
    struct given *given;
    bool last = false;
    while (!last && (given = STAILQ_FIRST(&node->given))) {
        last = given->epoch == epoch && given->origin == origin && given->seq == seq;
        order_load_stored(node->cluster, node->member, given->epoch, given->origin, given->seq);
        STAILQ_REMOVE_HEAD(&node->given, entry);
        free(given);
    }
    gcs_stored(node->gcs, epoch, origin, seq);
}

static void on_saved(void *user)
{
    struct order_node *node = user;
    gcs_saved(node->gcs);
}

static void on_fetched(void *user, const struct gcs_message *message)
{
    struct order_node *node = user;
    gcs_fetched(node->gcs, message);
}

static void on_allowed(void *user, uint64_t index)
{
    struct order_node *node = user;
    node->allowed = index;
}

static bool on_stored_by_all(void *user, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    struct order_node *node = user;
    return gcs_stored_by_all(node->gcs, epoch, origin, seq);
}

/* ---- life ---- */

static int node_journal(struct order_node *node, struct error *error)
{
    struct journal_config config = {
        .loop = &node->host->process->loop,
        .disk = node->host->disk,
        .segment_bytes = 16384,
        .payload_bytes_max = 256 * 1024,
        .sync = node->cluster->durability == GCS_DURABILITY_DISK,
        .applied = node->applied.position,
        .user = node,
        .stored = on_stored,
        .saved = on_saved,
        .fetched = on_fetched,
        .allowed = on_allowed,
        .stored_by_all = on_stored_by_all,
        .failed = node_failed_code,
    };
    return journal_open(&config, &node->journal, error);
}

static void node_hello(const struct order_node *node, struct net_hello *hello)
{
    *hello = (struct net_hello){
        .version = NET_HELLO_VERSION,
        .role = NET_ROLE_MEMBER,
        .node = (uint8_t)(node->member + 1),
        .lineage_random = 7,
        .incarnation_count = node->host->lives,
        .incarnation_random = prng_next(&node->host->world->prng),
    };
    memset(hello->cluster, 1, sizeof hello->cluster);
    memset(hello->store, (int)node->member + 1, sizeof hello->store);
}

static int node_group(struct order_node *node, struct error *error)
{
    struct cluster *cluster = node->cluster;
    struct gcs_config config;
    gcs_config_defaults(&config);
    config.loop = &node->host->process->loop;
    config.transport = node->host->transport;
    config.link_limits = order_limits;
    memcpy(config.members, cluster->addresses, sizeof config.members);
    config.member_count = cluster->member_count;
    config.node = (uint8_t)(node->member + 1);
    node_hello(node, &config.hello);
    config.durability = cluster->durability;
    config.measures = cluster->measures;
    config.heartbeat_ns = cluster->heartbeat_ns;
    config.window_messages = cluster->window_messages;
    config.payload_bytes_max = 256 * 1024;
    config.recovered_max = journal_recovered_count(node->journal);
    config.applied = node->applied.position;
    config.applied_index = node->applied.index;
    config.prng_seed = prng_next(&node->host->world->prng);
    config.callbacks = &callbacks;
    config.user = node;
    size_t bytes;
    const void *state = journal_state(node->journal, &bytes);
    return gcs_create(&config, state, bytes, &node->gcs, error);
}

static int node_recover(void *user, const struct gcs_message *message)
{
    struct order_node *node = user;
    struct error error = {{0}};
    int code = gcs_recover(node->gcs, message, &error);
    if (code < 0)
        world_violation(node->host->world, "validity: %s can't recover: %s", node->host->name,
                        error.text);
    order_load_received(node->cluster, node->member, message);
    order_load_stored(node->cluster, node->member, message->epoch, message->origin, message->seq);
    return code;
}

static int node_open(struct order_node *node, struct error *error)
{
    int code = flushed_read(node, error);
    if (code == 0)
        code = node_journal(node, error);
    if (code == 0)
        code = node_group(node, error);
    if (code == 0)
        code = journal_recovered(node->journal, node_recover, node);
    if (code == 0)
        code = order_listen(node->host->transport, node->cluster->addresses[node->member].address,
                            node->gcs, &node->listener, error);
    return code;
}

static int node_start(struct host *host, struct error *error)
{
    struct order_node *node = sim_alloc(sizeof *node);
    host->program = node;
    node->host = host;
    node->cluster = cluster_of_host(host);
    node->member = member_of_host(host);
    STAILQ_INIT(&node->queue);
    STAILQ_INIT(&node->given);
    node->flusher = work_queue_create(&host->process->loop, "flush");
    MUST(loop_timer_init(&host->process->loop, &node->apply, apply_some) == 0);
    checks_started(&node->cluster->checks, node->member);
    int code = node_open(node, error);
    if (code < 0)
        return code;
    node->allowed = node->applied.index;
    gcs_start(node->gcs);
    return 0;
}

static void node_destroy(struct host *host)
{
    struct order_node *node = host->program;
    struct delivered *delivered;
    struct given *given;
    order_unlisten(node->listener);
    if (node->gcs)
        gcs_destroy(node->gcs);
    journal_close(node->journal);
    work_queue_destroy(node->flusher);
    loop_timer_finish(&node->apply);
    while ((delivered = STAILQ_FIRST(&node->queue))) {
        STAILQ_REMOVE_HEAD(&node->queue, entry);
        blob_unref(delivered->message.payload);
        free(delivered);
    }
    while ((given = STAILQ_FIRST(&node->given))) {
        STAILQ_REMOVE_HEAD(&node->given, entry);
        free(given);
    }
    free(node);
    host->program = NULL;
}

const struct host_ops order_node_ops = {node_start, node_destroy};

int order_node_multicast(struct order_node *node, struct blob *payload)
{
    uint64_t seq;
    int code = gcs_multicast(node->gcs, payload, &seq);
    blob_unref(payload);
    if (code == GCS_E_WINDOW_FULL)
        node->window_full = true;
    return code;
}

bool order_node_ready(const struct order_node *node)
{
    return node->running && !node->window_full;
}

void order_node_status(const struct order_node *node, struct gcs_status *ret_status)
{
    *ret_status = (struct gcs_status){0};
    if (node->gcs)
        gcs_status(node->gcs, ret_status);
}
