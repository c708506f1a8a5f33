/* Whole replicas and real clients: what connects the clients' history, the order and the checks. */
#include "tests/sim/check_linear.h"
#include "tests/sim/client_node.h"
#include "tests/sim/duplicate.h"
#include "tests/sim/replica_node.h"

#include "mds/record.h"
#include "store/segment.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENT_HOST_FIRST = 16, DUPLICATOR_HOST = 31, STEPS_TO_STOP = 20000 };

/* A request that a client sent to a member, by its tag: a client that began anew elsewhere uses
 * tags again. */
struct asked {
    uint64_t tag;
    bool read;
};

enum { ASKED_MAX = 256 };

struct replica_load {
    struct cluster *cluster;
    struct replica_shape shape;
    struct clients clients;
    struct linear linear;
    struct duplicator *duplicator;
    uint64_t duplicates, reads_waited;
    struct asked asked[CLUSTER_CLIENTS_MAX][GCS_MEMBER_MAX][ASKED_MAX];
    struct replica_view_report reports[GCS_MEMBER_MAX];
};

static struct replica_load *load_of(const struct cluster *cluster)
{
    return cluster->load;
}

const struct replica_shape *replica_load_shape(const struct cluster *cluster)
{
    return &load_of(cluster)->shape;
}

/* ---- integrity: what is ordered is what a client asked for ---- */

static bool request_was_sent(struct replica_load *load, const struct proto_bytes *bytes)
{
    struct proto_request request;
    struct buffer own;
    uint8_t groups[4];
    if (proto_request_decode(bytes->data, bytes->bytes, &request) < 0)
        return false;
    struct sim_op *op = history_find(&load->clients.history, &request);
    if (!op) /* of a session itself: carries no number */
        return request.credentials.group_count == 0;
    request.op = op->op;
    history_credentials(op, groups, &request.credentials);
    buffer_init(&own, PROTO_REQUEST_BYTES_MAX);
    bool same = proto_request_encode(&request, &own) == 0 && own.bytes == bytes->bytes &&
                memcmp(own.data, bytes->data, own.bytes) == 0;
    buffer_finish(&own);
    return same;
}

static bool load_was_sent(void *user, uint32_t origin, const uint8_t *payload, uint32_t count)
{
    (void)origin;
    struct proto_batch batch;
    struct proto_bytes bytes;
    int code = 0;
    if (proto_batch_open(payload, count, &batch) < 0)
        return false;
    while (proto_batch_next(&batch, &bytes, &code))
        if (!request_was_sent(user, &bytes))
            return false;
    return code == 0;
}

/* ---- events ---- */

static void load_ordered(void *user, uint64_t index, const struct order_entry *entry)
{
    struct replica_load *load = user;
    linear_ordered(&load->linear, index, entry);
}

static void load_answered(void *user, struct sim_op *op)
{
    struct replica_load *load = user;
    char text[256];
    world_note(&load->cluster->world, "client %u: %s -> %s at %llu", op->client,
               history_text(op, text), proto_status_name(op->reply.outcome.status),
               (unsigned long long)op->reply.index);
    linear_answered(&load->linear, op, load->cluster->checks.order_count);
    if (proto_op_info(op->op.code)->write)
        checks_answered(&load->cluster->checks, op->reply.index);
}

static void load_replied(void *user, const struct proto_request *request,
                         const struct proto_reply *reply)
{
    struct replica_load *load = user;
    struct sim_op *op = history_find(&load->clients.history, request);
    load->duplicates++;
    if (op)
        linear_repeated(&load->linear, op, reply);
}

/* ---- what goes over the network ---- */

static bool is_client(uint32_t host)
{
    return host >= CLIENT_HOST_FIRST && host < CLIENT_HOST_FIRST + CLUSTER_CLIENTS_MAX;
}

static struct asked *asked_by(struct replica_load *load, uint32_t client, uint32_t member,
                              uint64_t tag)
{
    return &load->asked[client - CLIENT_HOST_FIRST][member][tag % ASKED_MAX];
}

static void note_request(struct replica_load *load, uint32_t client, uint32_t member,
                         const uint8_t *payload, uint32_t bytes)
{
    struct proto_request request;
    if (proto_request_decode(payload, bytes, &request) < 0)
        return;
    const struct sim_op *op = history_find(&load->clients.history, &request);
    bool read = op && !proto_op_info(op->op.code)->write;
    *asked_by(load, client, member, request.tag) = (struct asked){.tag = request.tag, .read = read};
}

/* What is not about the namespace is no answer to a read. */
static void check_reply(struct replica_load *load, uint32_t member, uint32_t client,
                        const uint8_t *payload, uint32_t bytes)
{
    struct proto_reply reply;
    if (proto_reply_decode(payload, bytes, &reply) < 0)
        return;
    const struct asked *asked = asked_by(load, client, member, reply.tag);
    if (asked->read && asked->tag == reply.tag && reply.outcome.status < PROTO_SESSION_UNKNOWN)
        checks_answers_read(&load->cluster->checks, member);
}

static void load_sent(struct cluster *cluster, uint32_t from, uint32_t to, uint16_t type,
                      const uint8_t *payload, uint32_t bytes)
{
    struct replica_load *load = load_of(cluster);
    if (type == NET_FRAME_REQUEST && is_client(from)) {
        duplicator_keep(load->duplicator, payload, bytes);
        note_request(load, from, to, payload, bytes);
    } else if (type == NET_FRAME_REPLY && is_client(to)) {
        check_reply(load, from, to, payload, bytes);
    }
}

/* ---- the course of a seed ---- */

static void clients_begin(struct replica_load *load)
{
    struct clients *clients = &load->clients;
    struct world *world = &load->cluster->world;
    clients->cluster = load->cluster;
    clients->answered = load_answered;
    clients->user = load;
    history_init(&clients->history, world);
    workload_init(&clients->workload, world, load->shape.limits.inline_bytes_max);
    clients->count = (uint32_t)world_between(world, 4, CLUSTER_CLIENTS_MAX);
    for (uint32_t i = 0; i < clients->count; i++) {
        char name[24];
        snprintf(name, sizeof name, "client %u", CLIENT_HOST_FIRST + i);
        host_init(&clients->hosts[i], world, &load->cluster->net, CLIENT_HOST_FIRST + i, name,
                  &client_node_ops, clients);
        host_restart_later(&clients->hosts[i], world_between(world, 0, SIM_MS(50)));
    }
}

static void load_begin(struct cluster *cluster)
{
    struct replica_load *load = sim_alloc(sizeof *load);
    cluster->load = load;
    load->cluster = cluster;
    cluster->checks.was_sent = load_was_sent;
    cluster->checks.ordered = load_ordered;
    cluster->checks.user = load;
    replica_shape_draw(&load->shape, &cluster->world);
    struct model_limits limits = {.inline_bytes_max = load->shape.limits.inline_bytes_max,
                                  .links_max = load->shape.limits.links_max,
                                  .next_ino = cluster->wrap.next_ino};
    linear_init(&load->linear, &load->clients.history, &limits, load->shape.limits.slots_max);
    load->duplicator = duplicator_create(cluster, DUPLICATOR_HOST, load_replied, load);
    replica_nodes_format(cluster);
    if (cluster->wrap.index) {
        wrap_founders(cluster);
        checks_begin_at(&cluster->checks, cluster->wrap.index, cluster->wrap.epoch);
    }
    clients_begin(load);
}

static bool load_sized(struct cluster *cluster)
{
    return load_of(cluster)->clients.history.answered >= cluster->options.operations;
}

static uint64_t load_done(struct cluster *cluster)
{
    return load_of(cluster)->clients.history.answered;
}

static void load_resume(struct cluster *cluster)
{
    struct clients *clients = &load_of(cluster)->clients;
    clients->paused = false;
    for (uint32_t i = 0; i < clients->count; i++)
        client_node_resume(&clients->hosts[i]);
}

static void load_pause(struct cluster *cluster)
{
    struct clients *clients = &load_of(cluster)->clients;
    clients->paused = true;
    for (uint32_t i = 0; i < clients->count; i++)
        host_restart_later(&clients->hosts[i], 0);
}

static bool load_drained(struct cluster *cluster, char detail[256])
{
    const struct history *history = &load_of(cluster)->clients.history;
    if (history->out == 0)
        return true;
    for (uint32_t i = history->count; i-- > 0;)
        if (history->ops[i]->state == OP_OUT) {
            history_text(history->ops[i], detail);
            break;
        }
    return false;
}

/* ---- what a log holds, read by nobody but the reader of segments ---- */

struct log_scan {
    struct cluster *cluster;
    uint64_t from, to; /* indices looked for */
    bool *found;       /* [index - from] */
    struct disk *disk;
};

static void log_record(struct log_scan *scan, const struct msglog_record *record)
{
    for (uint64_t index = scan->from; index <= scan->to; index++) {
        const struct order_entry *entry = checks_entry(&scan->cluster->checks, index);
        scan->found[index - scan->from] |=
            !entry->event && record->epoch == entry->epoch && record->origin == entry->origin &&
            record->seq == entry->seq && record->ts == entry->ts &&
            record->payload->bytes == entry->bytes &&
            memcmp(record->payload->data, entry->payload, entry->bytes) == 0;
    }
}

static int log_segment(void *user, const char *name)
{
    struct log_scan *scan = user;
    struct segment_reader reader;
    struct msglog_record record;
    uint64_t first, lsn;
    if (!segment_name_parse(name, &first) ||
        segment_reader_open(&reader, scan->disk, first, UINT32_MAX, NULL) < 0)
        return 0;
    while (segment_reader_next(&reader, &lsn, &record) == 0) {
        log_record(scan, &record);
        blob_unref(record.payload);
    }
    segment_reader_close(&reader);
    return 0;
}

/* [4] Of what was answered, what the store does not hold is in the log. Events of epochs are in
 * the group's own file, and no client is answered by one. */
static void check_kept(struct cluster *cluster, struct host *host, uint64_t stored)
{
    const struct checks *checks = &cluster->checks;
    struct log_scan scan = {.from = stored + 1, .to = checks->answered_max};
    if (scan.to < scan.from)
        return;
    scan.cluster = cluster;
    scan.found = sim_alloc((scan.to - scan.from + 1) * sizeof *scan.found);
    scan.disk = sim_disk_create(host->platter);
    (void)scan.disk->ops->list(scan.disk, log_segment, &scan);
    for (uint64_t index = scan.from; index <= scan.to; index++)
        if (!checks_entry(checks, index)->event && !scan.found[index - scan.from])
            world_violation(&cluster->world,
                            "durability: %s has %llu neither in its store (%llu) nor in its log "
                            "after an orderly stop; %llu was answered",
                            host->name, (unsigned long long)index, (unsigned long long)stored,
                            (unsigned long long)checks->answered_max);
    scan.disk->ops->destroy(scan.disk);
    free(scan.found);
}

/* ---- the end: stop in order, then read what the disks hold ---- */

static bool all_stopped(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (cluster->members[i].up && !replica_node_stopped(&cluster->members[i]))
            return false;
    return true;
}

struct digest_scan {
    struct hash128 sum;
};

static bool digest_add(void *user, const void *key, size_t key_bytes, const void *value,
                       size_t value_bytes)
{
    struct digest_scan *scan = user;
    if (key_bytes == 0 || ((const uint8_t *)key)[0] != 'M')
        scan->sum = hash128_add(scan->sum, hash128_record(key, key_bytes, value, value_bytes));
    return true;
}

static bool read_store(struct host *host, struct state_record *ret_state, struct hash128 *ret_sum)
{
    struct store *store;
    struct digest_scan scan = {{0, 0}};
    struct record_key key = record_key_state();
    void *value = NULL;
    size_t bytes;
    if (sim_store_open(host->vault, false, &store, NULL) < 0)
        return false;
    bool read = store_get(store, key.bytes, key.count, &value, &bytes, NULL) == 0 &&
                record_read_state(value, bytes, ret_state) == 0 &&
                store_scan(store, "", 0, NULL, 0, digest_add, &scan, NULL) == 0;
    free(value);
    store_close(store);
    *ret_sum = scan.sum;
    return read;
}

/* [9] The digest that members keep as they go is that of the records that they hold. [4] What was
 * answered is there: in the store, or in the log, from which a start takes it. A table that went
 * bad, and that nobody has read yet, is another's to make good. */
static void check_disk(struct cluster *cluster, struct host *host)
{
    const struct checks *checks = &cluster->checks;
    struct state_record state;
    struct hash128 sum;
    if (vault_is_damaged(host->vault))
        return;
    if (!read_store(host, &state, &sum))
        world_violation(&cluster->world, "convergence: %s has no state record", host->name);
    else if (state.index > checks->order_count)
        world_violation(&cluster->world, "agreement: %s holds %llu of %llu", host->name,
                        (unsigned long long)state.index, (unsigned long long)checks->order_count);
    else if (state.index > checks->index_first &&
             !hash128_equal(state.history, checks_entry(checks, state.index)->history))
        world_violation(&cluster->world, "convergence: %s holds another history", host->name);
    else if (!hash128_equal(state.state.digest, sum))
        world_violation(&cluster->world,
                        "convergence: the records of %s don't add up to its digest", host->name);
    else if (cluster->durability == GCS_DURABILITY_DISK && state.index < checks->answered_max)
        world_violation(&cluster->world, "durability: %s holds %llu of %llu after an orderly stop",
                        host->name, (unsigned long long)state.index,
                        (unsigned long long)checks->answered_max);
    else
        check_kept(cluster, host, state.index);
}

static void stop_all(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (cluster->members[i].up)
            replica_node_stop(&cluster->members[i]);
    uint64_t limit = cluster->world.steps + STEPS_TO_STOP;
    while (!all_stopped(cluster) && cluster->world.steps < limit && world_step(&cluster->world))
        ;
    if (!cluster->world.stopped && !all_stopped(cluster))
        world_violation(&cluster->world, "validity: a replica does not stop");
    for (uint32_t i = 0; i < cluster->member_count && !cluster->world.stopped; i++)
        host_end(&cluster->members[i]);
}

static void load_stop_all(struct cluster *cluster)
{
    struct replica_load *load = load_of(cluster);
    linear_check_reads(&load->linear, &cluster->checks);
    for (uint32_t i = 0; i < cluster->member_count; i++)
        load->reads_waited += replica_node_reads_waited(&cluster->members[i]);
    for (uint32_t i = 0; i < load->clients.count; i++)
        host_crash(&load->clients.hosts[i], SIM_DEATH_KILLED);
    if (!cluster->world.stopped)
        stop_all(cluster);
    for (uint32_t i = 0; i < cluster->member_count && !cluster->world.stopped; i++)
        if (cluster->seats[i].belongs && !is_witness(cluster, i))
            check_disk(cluster, &cluster->members[i]);
}

static void load_count(struct cluster *cluster, struct sim_result *result)
{
    struct replica_load *load = load_of(cluster);
    result->operations = load->clients.history.answered;
    result->duplicates = load->duplicates;
    result->resent = load->clients.resent;
    for (uint32_t i = 0; i < load->clients.count; i++)
        result->resent += client_node_resent(&load->clients.hosts[i]);
    result->reads_waited = load->reads_waited;
}

static void load_finish(struct cluster *cluster)
{
    struct replica_load *load = load_of(cluster);
    for (uint32_t i = 0; i < load->clients.count; i++)
        host_finish(&load->clients.hosts[i]);
    duplicator_destroy(load->duplicator);
    linear_finish(&load->linear);
    history_finish(&load->clients.history);
    free(load);
}

/* ---- faults of clients ---- */

static bool load_client_fault(struct cluster *cluster, enum fault_kind kind)
{
    struct replica_load *load = load_of(cluster);
    struct world *world = &cluster->world;
    struct host *host = &load->clients.hosts[prng_below(&world->prng, load->clients.count)];
    switch (kind) {
    case FAULT_CLIENT_RESET:
        return sim_net_reset(&cluster->net, host->id);
    case FAULT_CLIENT_CUT:
        fault_cut(&cluster->faults, host->id,
                  (uint32_t)prng_below(&world->prng, cluster->member_count),
                  fault_duration(&cluster->faults));
        return true;
    case FAULT_CLIENT_MOVE:
        return client_node_move(host);
    case FAULT_CLIENT_CRASH:
        if (!host->up)
            return false;
        host_crash(host, prng_chance(&world->prng, 1, 2) ? SIM_DEATH_KILLED : SIM_DEATH_POWER);
        host_restart_later(host, world_skewed(world, 0, SIM_MS(500)));
        return true;
    case FAULT_DUPLICATE:
        return duplicator_fire(load->duplicator);
    default:
        return false;
    }
}

/* ---- members that come and go ---- */

void replica_load_report(struct cluster *cluster, uint32_t member,
                         const struct replica_view_report *report)
{
    load_of(cluster)->reports[member] = *report;
    cluster->seats[member].incarnation_count = report->incarnation_count;
    cluster->seats[member].incarnation_random = report->incarnation_random;
}

static bool load_leave(struct cluster *cluster, uint32_t member, bool back)
{
    return replica_node_leave(&cluster->members[member], back);
}

static bool load_remove(struct cluster *cluster, uint32_t by, uint8_t node)
{
    return replica_node_remove(&cluster->members[by], node);
}

static void load_stop(struct cluster *cluster, uint32_t member)
{
    replica_node_stop(&cluster->members[member]);
}

/* @dead: the incarnation that ended. Another one may have reported since. */
static void load_death(struct cluster *cluster, uint32_t from, uint32_t to, const struct seat *dead)
{
    struct replica_view_report report = load_of(cluster)->reports[from];
    report.incarnation_count = dead->incarnation_count;
    report.incarnation_random = dead->incarnation_random;
    if (report.node)
        replica_node_death(&cluster->members[to], &report);
}

static void load_describe(struct cluster *cluster, uint32_t member, char text[256])
{
    char *status = replica_node_status(&cluster->members[member]);
    json_t *object = status ? json_loads(status, 0, NULL) : NULL;
    const char *state = "?", *waiting = "";
    json_int_t epoch = 0, index = 0, delivered = 0, released = 0;
    (void)json_unpack(object, "{s:s,s?I,s?I,s?I,s?I,s?s}", "state", &state, "epoch", &epoch,
                      "index", &index, "delivered", &delivered, "released", &released,
                      "waiting_for", &waiting);
    snprintf(text, 256, "%s, epoch %lld, applied %lld, delivered %lld, released %lld, %.100s",
             object ? state : "off", (long long)epoch, (long long)index, (long long)delivered,
             (long long)released, waiting);
    json_decref(object);
    free(status);
}

const struct load_ops replica_load = {
    .member = &replica_node_ops,
    .begin = load_begin,
    .sized = load_sized,
    .done = load_done,
    .pause = load_pause,
    .resume = load_resume,
    .drained = load_drained,
    .stop_all = load_stop_all,
    .count = load_count,
    .finish = load_finish,
    .client_fault = load_client_fault,
    .describe = load_describe,
    .sent = load_sent,
    .format = replica_node_format,
    .leave = load_leave,
    .remove = load_remove,
    .stop = load_stop,
    .death = load_death,
};
