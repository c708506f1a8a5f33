/* What a replica says of itself: one JSON object, for `tuttictl status` and for tests.
 *
 * `index`, `history` and `digest` belong together: the state after the last whole message. */
#include "mds/replica_internal.h"
#include "mds/server.h"

#include <jansson.h>
#include <stdio.h>

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *hash_text(struct hash128 hash)
{
    char text[33];
    snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)hash.high,
             (unsigned long long)hash.low);
    return json_string(text);
}

static void put(json_t *object, const char *key, json_t *value)
{
    /* A key that is missing for want of memory makes json_dumps' result only shorter. */
    if (json_object_set_new(object, key, value) < 0)
        return;
}

static const char *serving_name(const struct replica *replica)
{
    if (replica->outside.damaged)
        return "damaged";
    switch (replica_standing(replica)) {
    case REPLICA_JOINING:
        return "joining";
    case REPLICA_TRANSFERRING:
        return "transferring";
    case REPLICA_REMOVED:
        return "removed";
    case REPLICA_MEMBER:
        break;
    }
    return order_goes_on(replica) ? "running" : "levelling";
}

static const char *state_name(const struct replica *replica)
{
    switch (replica->phase) {
    case REPLICA_WAITING:
        return "waiting";
    case REPLICA_AWAY:
    case REPLICA_SERVING:
        return serving_name(replica);
    case REPLICA_STOPPING:
        return "stopping";
    case REPLICA_FAILED:
        break;
    }
    return "failed";
}

/* The index in the array is the rank. */
static json_t *members_status(const struct gcs_status *order)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < order->member_count; i++)
        if (json_array_append_new(
                array, json_pack("{s:i,s:s,s:b,s:i,s:b,s:b,s:I,s:I,s:I}", "node",
                                 (int)order->members[i].node, "address", order->members[i].address,
                                 "witness", (int)order->members[i].witness, "rank", (int)i,
                                 "connected", (int)order->members[i].connected, "suspected",
                                 (int)order->members[i].suspected, "received",
                                 (json_int_t)order->members[i].received, "stored",
                                 (json_int_t)order->members[i].stored, "applied",
                                 (json_int_t)order->members[i].index_applied)) < 0)
            break;
    return array;
}

static json_t *absent_status(const struct gcs_status *order)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < order->absent_count; i++)
        if (json_array_append_new(array,
                                  json_pack("{s:i,s:s,s:b}", "node", (int)order->absent[i].node,
                                            "address", order->absent[i].address, "witness",
                                            (int)order->absent[i].witness)) < 0)
            break;
    return array;
}

static int percent_of(uint64_t part, uint64_t whole)
{
    return whole == 0 || part >= whole ? 100 : (int)((double)part * 100 / (double)whole);
}

/* The node that this member feeds, if there is one, and how far it is. */
static json_t *feeding_status(const struct gcs_status *order)
{
    if (order->joining == 0)
        return json_null();
    return json_pack("{s:i,s:I,s:i}", "node", (int)order->joining, "index",
                     (json_int_t)order->joining_index, "percent",
                     percent_of(order->joining_index, order->index_delivered));
}

static void put_transfer(json_t *object, const struct replica *replica)
{
    struct replica_transfer_status transfer;
    replica_transfer_status(replica, &transfer);
    put(object, "transfer",
        json_pack("{s:i,s:b,s:i,s:i,s:I,s:I,s:i}", "sending", (int)transfer.sending, "receiving",
                  (int)transfer.receiving, "sponsor", (int)transfer.sponsor, "percent",
                  (int)transfer.percent, "bytes", (json_int_t)transfer.bytes, "chunks",
                  (json_int_t)transfer.chunks, "snapshots", (int)transfer.snapshots));
}

static void put_view(json_t *object, const struct gcs_status *order)
{
    put(object, "epoch", number(order->epoch));
    put(object, "rank", number(order->rank));
    put(object, "lease", json_boolean(order->lease));
    put(object, "waiting_for", json_string(order->waiting_for));
    put(object, "members", members_status(order));
    put(object, "absent", absent_status(order));
    put(object, "feeding", feeding_status(order));
    put(object, "views",
        json_pack("{s:I,s:I,s:I}", "installed", (json_int_t)order->views, "ballots",
                  (json_int_t)order->ballots, "leases_lost", (json_int_t)order->leases_lost));
}

/* `time`: of the newest operation, ns since 1970; `epoch_time`: of the first one of its epoch. */
static void put_order(json_t *object, const struct replica *replica)
{
    const struct apply *apply = &replica->apply;
    struct gcs_status order;
    gcs_status(replica->gcs, &order);
    put_view(object, &order);
    put(object, "index", number(apply->record.index));
    put(object, "history", hash_text(apply->record.history));
    put(object, "digest", hash_text(apply->record.state.digest));
    put(object, "time", json_integer(apply->record.state.time_ns));
    put(object, "epoch_time", json_integer(apply->record.state.epoch_time_ns));
    put(object, "delivered", number(order.index_delivered));
    put(object, "released", number(apply->index_released));
    put(object, "flushed", number(replica->mark_flushed));
    put(object, "durable", number(replica->mark_durable));
    put(object, "order",
        json_pack("{s:I,s:I,s:I,s:I,s:I}", "clock", (json_int_t)order.clock, "frames_sent",
                  (json_int_t)order.frames_sent, "acknowledgements_sent",
                  (json_int_t)order.acknowledgements_sent, "messages_sent",
                  (json_int_t)order.messages_sent, "resent", (json_int_t)order.resent));
}

static void put_work(json_t *object, const struct replica *replica)
{
    const struct apply *apply = &replica->apply;
    const struct submit *submit = &replica->submit;
    const struct reads *reads = &replica->reads;
    put(object, "sessions", number(session_index_count(apply->sessions)));
    put(object, "inodes", number(apply->record.state.inodes));
    put(object, "ops", number(apply->counters.operations + reads->counters.reads));
    put(object, "writes",
        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "applied", (json_int_t)apply->counters.operations,
                  "submitted", (json_int_t)submit->counters.operations, "messages",
                  (json_int_t)submit->counters.messages, "attached",
                  (json_int_t)submit->counters.attached, "misses",
                  (json_int_t)apply->counters.misses, "garbage",
                  (json_int_t)apply->counters.garbage));
    put(object, "reads",
        json_pack("{s:I,s:I,s:I,s:I}", "started", (json_int_t)reads->counters.reads, "waited",
                  (json_int_t)reads->counters.waited, "parked", (json_int_t)reads->counters.parked,
                  "rescans", (json_int_t)reads->counters.rescans));
}

static void put_storage(json_t *object, const struct replica *replica)
{
    struct cache_counters cache;
    struct msglog_counters log;
    cache_counters(replica->cache, &cache);
    journal_counters(replica->journal, &log);
    put(object, "cache",
        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "records", (json_int_t)cache.records,
                  "clean_bytes", (json_int_t)cache.clean_bytes, "dirty_bytes",
                  (json_int_t)cache.dirty_bytes, "hits", (json_int_t)cache.hits, "misses",
                  (json_int_t)cache.misses, "flushes", (json_int_t)cache.flushes, "scans",
                  (json_int_t)cache.scans));
    put(object, "log",
        json_pack("{s:I,s:I,s:I,s:I,s:I}", "records", (json_int_t)log.records, "bytes",
                  (json_int_t)log.bytes, "syncs", (json_int_t)log.syncs, "segments",
                  (json_int_t)log.segments, "backlog_bytes",
                  (json_int_t)journal_backlog_bytes(replica->journal)));
}

/* strangers: ended by the transport (not a Tutti peer), or refused or silent at the hello. deaths:
 * notices of other members' supervisors. */
static void put_net(json_t *object, const struct replica *replica)
{
    struct server_counters server;
    struct net_counters net;
    server_counters(replica->server, &server);
    net_counters(replica->config.transport, &net);
    put(object, "clients", number(server.clients));
    put(object, "strangers", number(net.connections_refused + server.malformed + server.refused));
    put(object, "deaths", number(server.deaths));
    put(object, "net",
        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "frames_sent", (json_int_t)net.frames_sent,
                  "frames_received", (json_int_t)net.frames_received, "bytes_sent",
                  (json_int_t)net.bytes_sent, "bytes_received", (json_int_t)net.bytes_received,
                  "send_calls", (json_int_t)net.send_calls, "connections",
                  (json_int_t)net.connections_open, "memory_bytes", (json_int_t)net.memory_bytes));
}

char *replica_status_json(struct replica *replica)
{
    char cluster[33] = "", lineage[17] = "";
    json_t *object = json_object();
    if (replica->phase != REPLICA_WAITING) {
        identity_hex(replica->identity.cluster, cluster);
        snprintf(lineage, sizeof lineage, "%016llx",
                 (unsigned long long)replica->identity.lineage_random);
    }
    put(object, "ok", json_true());
    put(object, "node", number(replica->config.node));
    put(object, "name", json_string(replica->identity.name));
    put(object, "cluster", json_string(cluster));
    put(object, "lineage", json_string(lineage));
    put(object, "generation", number(replica->identity.lineage_generation));
    put(object, "version", json_string(TUTTI_VERSION));
    put(object, "state", json_string(state_name(replica)));
    put(object, "witness", json_boolean(replica->config.witness));
    put(object, "draining", json_boolean(replica_is_draining(replica)));
    put(object, "running", json_boolean(order_goes_on(replica)));
    put(object, "uptime_s",
        number((loop_now_ns(replica->loop) - replica->started_ns) / 1000000000));
    put_net(object, replica);
    put_transfer(object, replica);
    if (replica->gcs)
        put_order(object, replica);
    if (replica->gcs && replica->cache) {
        put_work(object, replica);
        put_storage(object, replica);
    }
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}
