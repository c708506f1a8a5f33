/* One replica: puts its parts together, passes the group's callbacks on, ends.
 *
 * The group's callbacks come in one queue on one thread, and everything here happens on it. A local
 * failure (a damaged record, a failed sync, no memory) ends serving for good: what a replica that
 * may differ says is worth nothing. */
#include "mds/replica_internal.h"
#include "mds/server.h"
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void replica_config_defaults(struct replica_config *config)
{
    struct gcs_config order;
    gcs_config_defaults(&order);
    *config = (struct replica_config){
        .durability = GCS_DURABILITY_DISK,
        .measures = {true, true, true, true},
        .limits = {.inodes_max = 1000000000000,
                   .inline_bytes_max = 4096,
                   .links_max = 65000,
                   .sessions_max = 65536,
                   .slots_max = PROTO_SLOTS_MAX},
        .cache_bytes = 256 << 20,
        .log_segment_bytes = 16 << 20,
        .heartbeat_ns = order.heartbeat_ns,
        .suspect_after_ns = order.suspect_after_ns,
        .lease_ns = order.lease_ns,
        .lag_after_ns = order.lag_after_ns,
        .start_wait_ns = order.start_wait_ns,
        .drift_ppm = order.drift_ppm,
        .history_bytes = 64 << 20,
        .give_up_ns = 1000000000,
        .session_timeout_ns = 60000000000,
        .window_messages = order.window_messages,
        .window_bytes = order.window_bytes,
        .client_connections_max = 4096,
    };
}

void replica_fail(struct replica *replica, const char *format, ...)
{
    char text[512];
    va_list args;
    if (replica->phase == REPLICA_FAILED)
        return;
    replica->phase = REPLICA_FAILED;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (replica->config.failed)
        replica->config.failed(replica->config.user, text);
}

void replica_fetch(struct replica *replica, const struct record_key *key, struct cache_wait *wait)
{
    if (cache_fetch(replica->cache, key->bytes, key->count, wait) < 0)
        replica_fail(replica, "no memory to fetch a record");
}

/* --- the group ----------------------------------------------------------------------------------
 */

static void on_received(void *user, const struct gcs_message *message)
{
    apply_received(user, message);
}

static void on_store(void *user, const struct gcs_message *message)
{
    struct replica *replica = user;
    journal_store(replica->journal, message);
}

static void on_save(void *user, const void *state, size_t bytes)
{
    struct replica *replica = user;
    journal_save(replica->journal, state, bytes);
}

static void on_deliver(void *user, const struct gcs_message *message, uint64_t index)
{
    apply_delivered(user, message, index);
}

static void on_epoch(void *user, uint64_t epoch, uint64_t index)
{
    struct replica *replica = user;
    log_info("order", "epoch %llu begins at index %llu", (unsigned long long)epoch,
             (unsigned long long)index);
    apply_epoch(replica, epoch, index);
}

static void on_released(void *user, uint64_t index)
{
    apply_released(user, index);
}

static void on_running(void *user, bool running, const char *waiting_for)
{
    struct replica *replica = user;
    if (!replica_is_live(replica))
        return;
    if (!running && waiting_for[0])
        log_info("order", "waiting for %s", waiting_for);
    replica->running = running;
    replica->expire_out = false;
    if (!running)
        return;
    replica->reads.floor = replica->apply.index_delivered;
    submit_unblock(replica);
    reads_running(replica);
}

static void on_window_open(void *user)
{
    submit_unblock(user);
}

static void on_fetch(void *user, uint64_t epoch, uint8_t origin, uint64_t seq_from, uint64_t seq_to)
{
    struct replica *replica = user;
    journal_fetch(replica->journal, epoch, origin, seq_from, seq_to);
}

static void on_order_failed(void *user, const char *detail)
{
    replica_fail(user, "order: %s", detail);
}

static const struct gcs_callbacks gcs_callbacks = {
    .received = on_received,
    .store = on_store,
    .save = on_save,
    .deliver = on_deliver,
    .epoch = on_epoch,
    .released = on_released,
    .running = on_running,
    .window_open = on_window_open,
    .fetch = on_fetch,
    .failed = on_order_failed,
};

/* --- the disk -----------------------------------------------------------------------------------
 */

static void on_stored(void *user, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    struct replica *replica = user;
    if (replica_is_live(replica))
        gcs_stored(replica->gcs, epoch, origin, seq);
}

static void on_saved(void *user)
{
    struct replica *replica = user;
    if (replica_is_live(replica))
        gcs_saved(replica->gcs);
}

static void on_fetched(void *user, const struct gcs_message *message)
{
    struct replica *replica = user;
    if (replica_is_live(replica))
        gcs_fetched(replica->gcs, message);
}

static void on_allowed(void *user, uint64_t index)
{
    struct replica *replica = user;
    cache_allow(replica->cache, index);
}

static bool on_stored_by_all(void *user, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    const struct replica *replica = user;
    return gcs_stored_by_all(replica->gcs, epoch, origin, seq);
}

static void on_log_failed(void *user, int code, const char *detail)
{
    replica_fail(user, "%s", detail);
}

static void on_flushed(void *user, uint64_t mark, bool durable)
{
    struct replica *replica = user;
    replica->mark_flushed = mark;
    apply_flushed(replica);
    if (!durable)
        return;
    replica->mark_durable = mark;
    if (replica_is_live(replica))
        journal_durable(replica->journal, mark);
}

static void on_cache_failed(void *user, int code, const char *detail)
{
    replica_fail(user, "the store: %s", detail);
}

/* --- opening ------------------------------------------------------------------------------------
 */

static int open_store(struct replica *replica, struct error *error)
{
    const struct replica_config *config = &replica->config;
    struct record_key key = record_key_state();
    void *value;
    size_t bytes;
    int rc = config->store_open(config->store_user, false, &replica->store, error);
    if (rc < 0)
        return error_wrap(error, rc, "the store");
    rc = store_get(replica->store, key.bytes, key.count, &value, &bytes, error);
    if (rc == STORE_ABSENT)
        return error_set(error, -EBADMSG, "the store holds no state record: it is not whole");
    if (rc < 0)
        return error_wrap(error, rc, "the store's state record");
    rc = record_read_state(value, bytes, &replica->apply.record);
    free(value);
    return rc < 0 ? error_set(error, rc, "the store's state record is damaged") : 0;
}

static struct gcs_position applied_position(const struct replica *replica)
{
    const struct state_record *record = &replica->apply.record;
    return (struct gcs_position){.epoch = record->epoch, .ts = record->ts, .rank = record->rank};
}

static int open_journal(struct replica *replica, struct error *error)
{
    const struct replica_config *config = &replica->config;
    const struct journal_config journal = {
        .loop = replica->loop,
        .disk = config->disk,
        .segment_bytes = config->log_segment_bytes,
        .payload_bytes_max = 1 << 20,
        .sync = config->durability == GCS_DURABILITY_DISK,
        .applied = applied_position(replica),
        .user = replica,
        .stored = on_stored,
        .saved = on_saved,
        .fetched = on_fetched,
        .allowed = on_allowed,
        .stored_by_all = on_stored_by_all,
        .failed = on_log_failed,
    };
    return journal_open(&journal, &replica->journal, error);
}

static int open_cache(struct replica *replica, struct error *error)
{
    uint64_t index = replica->apply.record.index;
    const struct cache_config config = {
        .loop = replica->loop,
        .store = replica->store,
        .bytes_max = replica->config.cache_bytes,
        .mark = index,
        .hash_seed = hash64(replica->config.random, sizeof replica->config.random),
        .user = replica,
        .flushed = on_flushed,
        .failed = on_cache_failed,
    };
    int rc = cache_create(&config, &replica->cache);
    if (rc < 0)
        return error_set(error, rc, "no memory for the cache");
    replica->mark_flushed = replica->mark_durable = index;
    cache_allow(replica->cache, index);
    return 0;
}

static void order_config(const struct replica *replica, struct gcs_config *order)
{
    const struct replica_config *config = &replica->config;
    const struct identity *identity = &replica->identity;
    gcs_config_defaults(order);
    order->loop = replica->loop;
    order->transport = config->transport;
    order->member_count = config->member_count;
    memcpy(order->members, config->members, sizeof order->members);
    order->node = config->node;
    order->hello = (struct net_hello){.lineage_random = identity->lineage_random,
                                      .lineage_generation = identity->lineage_generation,
                                      .incarnation_count = replica->incarnation.count,
                                      .incarnation_random = replica->incarnation.random};
    memcpy(order->hello.cluster, identity->cluster, sizeof order->hello.cluster);
    memcpy(order->hello.store, identity->store, sizeof order->hello.store);
    order->durability = config->durability;
    order->measures = config->measures;
    order->heartbeat_ns = config->heartbeat_ns;
    order->window_messages = config->window_messages;
    order->window_bytes = config->window_bytes;
    order->recovered_max = journal_recovered_count(replica->journal);
    order->applied = applied_position(replica);
    order->applied_index = replica->apply.record.index;
    order->prng_seed = config->random[3];
    order->callbacks = &gcs_callbacks;
    order->user = (void *)replica;
}

static int recover_message(void *user, const struct gcs_message *message)
{
    struct replica *replica = user;
    return gcs_recover(replica->gcs, message, &replica->error);
}

static int open_order(struct replica *replica, struct error *error)
{
    struct gcs_config order;
    size_t bytes;
    order_config(replica, &order);
    const void *state = journal_state(replica->journal, &bytes);
    int rc = gcs_create(&order, state, bytes, &replica->gcs, error);
    if (rc < 0)
        return error_wrap(error, rc, "the group");
    rc = journal_recovered(replica->journal, recover_message, replica);
    return rc < 0 ? error_set(error, rc, "the message log: %.400s", replica->error.text) : 0;
}

static uint8_t rank_of(const struct replica_config *config)
{
    uint8_t rank = 0;
    while (config->members[rank].node != config->node)
        rank++;
    return rank;
}

/* The configured members hold (an address may have changed); without any, those of the identity. */
static void take_members(struct replica *replica)
{
    struct replica_config *config = &replica->config;
    if (config->member_count == 0) {
        memcpy(config->members, replica->identity.members, sizeof config->members);
        config->member_count = replica->identity.member_count;
    }
    replica->rank = rank_of(config);
}

int replica_open(struct replica *replica, struct error *error)
{
    take_members(replica);
    int rc = incarnation_next(replica->config.disk, replica->config.random[2],
                              &replica->incarnation, error);
    if (rc == 0)
        rc = open_store(replica, error);
    if (rc == 0)
        rc = open_journal(replica, error);
    if (rc == 0)
        rc = open_cache(replica, error);
    if (rc < 0)
        return rc;
    submit_init(replica);
    reads_init(replica);
    rc = apply_init(replica);
    if (rc < 0)
        return error_set(error, rc, "%.500s", replica->error.text);
    rc = expire_init(replica);
    return rc < 0 ? error_set(error, rc, "no memory for a timer") : open_order(replica, error);
}

static void report_view(const struct replica *replica)
{
    const struct replica_config *config = &replica->config;
    struct replica_view_report report = {.node = config->node,
                                         .incarnation_count = replica->incarnation.count,
                                         .incarnation_random = replica->incarnation.random,
                                         .member_count = config->member_count};
    if (!config->view)
        return;
    memcpy(report.cluster, replica->identity.cluster, sizeof report.cluster);
    memcpy(report.store, replica->identity.store, sizeof report.store);
    memcpy(report.members, config->members, sizeof report.members);
    config->view(config->user, &report);
}

void replica_begin(struct replica *replica)
{
    log_info("replica", "node %u of cluster '%s', start %llu, at index %llu", replica->config.node,
             replica->identity.name, (unsigned long long)replica->incarnation.count,
             (unsigned long long)replica->apply.record.index);
    replica->phase = REPLICA_SERVING;
    report_view(replica);
    gcs_start(replica->gcs);
}

static int copy_config(struct replica *replica, const struct replica_config *config,
                       struct error *error)
{
    replica->config = *config;
    if (snprintf(replica->listen, sizeof replica->listen, "%s", config->listen) >=
            (int)sizeof replica->listen ||
        snprintf(replica->cluster_name, sizeof replica->cluster_name, "%s",
                 config->cluster_name ? config->cluster_name : "") >=
            (int)sizeof replica->cluster_name)
        return error_set(error, -EINVAL, "address or name of the cluster too long");
    replica->config.listen = replica->listen;
    replica->config.cluster_name = replica->cluster_name;
    return 0;
}

static int create(struct replica *replica, struct error *error)
{
    int probed = create_probe(replica, error);
    if (probed < 0)
        return probed;
    int rc = server_create(replica, &replica->server, error);
    if (rc == 0 && probed != IDENTITY_ABSENT)
        rc = replica_open(replica, error);
    if (rc < 0)
        return rc;
    if (probed == IDENTITY_ABSENT)
        log_info("replica", "empty: waiting at %s for 'tuttictl cluster create'",
                 server_address(replica->server));
    else
        replica_begin(replica);
    return 0;
}

static void stop_poll(struct loop_timer *timer);

int replica_create(const struct replica_config *config, struct replica **ret_replica,
                   struct error *error)
{
    struct replica *replica = calloc(1, sizeof *replica);
    if (!replica || loop_timer_init(config->loop, &replica->stop_timer, stop_poll) < 0) {
        free(replica);
        return error_set(error, -ENOMEM, "no memory");
    }
    replica->loop = config->loop;
    replica->started_ns = loop_now_ns(config->loop);
    int rc = copy_config(replica, config, error);
    if (rc == 0)
        rc = create(replica, error);
    if (rc < 0) {
        replica_destroy(replica);
        return rc;
    }
    *ret_replica = replica;
    return 0;
}

void replica_set_trace(struct replica *replica, const struct replica_trace *trace)
{
    replica->trace = *trace;
}

/* --- ending -------------------------------------------------------------------------------------
 */

static const uint64_t stop_poll_ns = 10000000, stop_drain_ns = 3000000000;

static void stop_synced(struct cache_wait *wait)
{
    struct replica *replica = CONTAINER_OF(wait, struct replica, stop_sync);
    replica->stop_done(replica->stop_user);
}

static void stop_drained(struct replica *replica)
{
    if (!replica->cache) {
        replica->stop_done(replica->stop_user);
        return;
    }
    replica->stop_syncing = true;
    replica->stop_sync.done = stop_synced;
    if (cache_sync(replica->cache, &replica->stop_sync) < 0)
        replica_fail(replica, "no memory to flush the store");
}

static bool is_drained(const struct replica *replica)
{
    return !replica->cache || loop_now_ns(replica->loop) >= replica->stop_deadline_ns ||
           (submit_is_idle(replica) && replica->reads.out == 0);
}

static void stop_poll(struct loop_timer *timer)
{
    struct replica *replica = CONTAINER_OF(timer, struct replica, stop_timer);
    if (replica->phase == REPLICA_FAILED || replica->stop_syncing)
        return;
    if (is_drained(replica))
        stop_drained(replica);
    else
        loop_timer_start(timer, stop_poll_ns);
}

void replica_stop(struct replica *replica, void (*done)(void *user), void *user)
{
    if (replica->phase == REPLICA_FAILED || replica->stop_done)
        return;
    if (replica->phase == REPLICA_SERVING)
        replica->phase = REPLICA_STOPPING;
    replica->stop_done = done;
    replica->stop_user = user;
    replica->stop_deadline_ns = loop_now_ns(replica->loop) + stop_drain_ns;
    server_stop(replica->server);
    loop_timer_start(&replica->stop_timer, 0);
}

void replica_destroy(struct replica *replica)
{
    if (!replica)
        return;
    replica->phase = REPLICA_FAILED; /* nothing that is freed here says anything any more */
    loop_timer_finish(&replica->stop_timer);
    gcs_destroy(replica->gcs);
    server_destroy(replica->server);
    cache_destroy(replica->cache);
    journal_close(replica->journal);
    reads_finish(replica);
    apply_finish(replica);
    submit_finish(replica);
    expire_finish(replica);
    store_close(replica->store);
    free(replica);
}
