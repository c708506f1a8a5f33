/* The load of the bare group: every member multicasts payloads of random sizes, each known by a
 * number, and asks now and then whether it might answer a read. Besides the invariants of check.h
 * it counts what docs/protocol.md counts (order_reach.c): who has received and who has stored each
 * message when it is delivered, released, and read. */
#include "tests/sim/order_node.h"
#include "tests/sim/order_reach.h"

#include "base/cursor.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAYLOAD_HEAD_BYTES = 8 };

/* One payload that was handed to a member. */
struct sent {
    uint64_t hash;
    uint64_t opened; /* the incarnation of the member that sent it, by its random part */
    uint8_t member;
    bool ordered;
};

struct order_load;
struct sender {
    struct order_load *load;
    uint32_t member;
    struct event next, read; /* of the member's process */
};

struct order_load {
    struct cluster *cluster;
    struct sent *sent;
    uint64_t sent_count, sent_capacity, ordered_count;
    struct order_reach *reach;
    uint64_t settled, reads, reads_refused;
    bool paused;
    struct sender senders[GCS_MEMBER_MAX];
};

static struct order_load *load_of(struct cluster *cluster)
{
    return cluster->load;
}

/* ---- reading ---- */

static void read_later(struct sender *sender)
{
    struct cluster *cluster = sender->load->cluster;
    sender->read.process = cluster->members[sender->member].process;
    if (!sender->load->paused && !sender->read.place)
        event_start(&cluster->world, &sender->read,
                    world_skewed(&cluster->world, SIM_US(50), SIM_MS(100)));
}

/* A read of everything, answered at once where that is allowed. */
static void read_now(struct event *event)
{
    struct sender *sender = CONTAINER_OF(event, struct sender, read);
    struct order_load *load = sender->load;
    struct order_node *node = load->cluster->members[sender->member].program;
    if (order_node_may_read(node)) {
        load->reads++;
        checks_answers_read(&load->cluster->checks, sender->member);
        order_reach_read(load->reach, sender->member, order_node_delivered(node));
    } else {
        load->reads_refused++;
    }
    read_later(sender);
}

/* ---- sending ---- */

static struct blob *payload_make(struct order_load *load, uint64_t number)
{
    struct world *world = &load->cluster->world;
    uint64_t bytes = prng_chance(&world->prng, 1, 50) ? world_between(world, 8, 60000)
                                                      : world_between(world, 8, 200);
    struct blob *payload = blob_create(NULL, (uint32_t)bytes);
    MUST(payload);
    for (uint64_t i = 0; i < bytes; i++)
        payload->data[i] = (uint8_t)(number + i);
    struct writer w = writer_make(payload->data, PAYLOAD_HEAD_BYTES);
    writer_u64(&w, number);
    return payload;
}

static void sent_add(struct order_load *load, uint32_t member, const struct blob *payload)
{
    if (load->sent_count == load->sent_capacity) {
        load->sent_capacity = load->sent_capacity ? load->sent_capacity * 2 : 1024;
        load->sent = realloc(load->sent, load->sent_capacity * sizeof *load->sent);
        MUST(load->sent);
    }
    load->sent[load->sent_count++] = (struct sent){
        .hash = hash64(payload->data, payload->bytes),
        .member = (uint8_t)member,
        .opened = load->cluster->seats[member].incarnation_random,
    };
}

static void send_later(struct sender *sender)
{
    struct cluster *cluster = sender->load->cluster;
    if (sender->load->paused || sender->next.place)
        return;
    sender->next.process = sender->read.process = cluster->members[sender->member].process;
    event_start(&cluster->world, &sender->next, world_skewed(&cluster->world, 0, SIM_MS(60)));
}

static void send_burst(struct event *event)
{
    struct sender *sender = CONTAINER_OF(event, struct sender, next);
    struct order_load *load = sender->load;
    struct order_node *node = load->cluster->members[sender->member].program;
    uint64_t count = world_skewed(&load->cluster->world, 1, 40);
    while (count-- && order_node_ready(node)) {
        struct blob *payload = payload_make(load, load->sent_count);
        blob_ref(payload);
        if (order_node_multicast(node, payload) == 0)
            sent_add(load, sender->member, payload);
        blob_unref(payload);
    }
    if (order_node_ready(node))
        send_later(sender);
}

void order_load_ready(struct cluster *cluster, uint32_t member)
{
    struct sender *sender = &load_of(cluster)->senders[member];
    send_later(sender);
    read_later(sender);
}

void order_load_readable(struct cluster *cluster, uint32_t member)
{
    (void)member;
    world_mix(&cluster->world, member);
}

/* ---- what came out ---- */

static bool load_was_sent(void *user, uint32_t member, const uint8_t *payload, uint32_t bytes)
{
    struct order_load *load = user;
    struct reader r = reader_make(payload, bytes);
    uint64_t number = reader_u64(&r);
    if (r.failed || number >= load->sent_count)
        return false;
    struct sent *sent = &load->sent[number];
    if (sent->member != member || sent->hash != hash64(payload, bytes) || sent->ordered)
        return false;
    sent->ordered = true;
    load->ordered_count++;
    return true;
}

/* ---- thresholds ---- */

void order_load_received(struct cluster *cluster, uint32_t member,
                         const struct gcs_message *message)
{
    order_reach_received(load_of(cluster)->reach, member, message);
}

void order_load_stored(struct cluster *cluster, uint32_t member, uint64_t epoch, uint8_t origin,
                       uint64_t seq)
{
    order_reach_stored(load_of(cluster)->reach, member, epoch, origin, seq);
}

void order_load_opened(struct cluster *cluster, uint32_t member)
{
    order_reach_opened(load_of(cluster)->reach, member);
}

void order_load_delivered(struct cluster *cluster, uint32_t member,
                          const struct gcs_message *message, uint64_t index)
{
    order_reach_delivered(load_of(cluster)->reach, member, message, index);
}

void order_load_view(struct cluster *cluster, uint32_t member, const struct gcs_view *view,
                     bool self)
{
    if (self)
        order_reach_view(load_of(cluster)->reach, member, view->epoch);
}

void order_load_released(struct cluster *cluster, uint32_t member, uint64_t index)
{
    order_reach_released(load_of(cluster)->reach, member, index);
}

/* ---- the load's part in the course of a seed ---- */

static void load_begin(struct cluster *cluster)
{
    struct order_load *load = sim_alloc(sizeof *load);
    cluster->load = load;
    load->cluster = cluster;
    cluster->checks.was_sent = load_was_sent;
    cluster->checks.user = load;
    load->reach = order_reach_create(cluster);
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        load->senders[i] = (struct sender){.load = load, .member = i};
        load->senders[i].next = (struct event){.fire = send_burst, .label = "send"};
        load->senders[i].read = (struct event){.fire = read_now, .label = "read"};
    }
}

static bool load_sized(struct cluster *cluster)
{
    return load_of(cluster)->ordered_count >= cluster->options.operations;
}

static uint64_t load_done(struct cluster *cluster)
{
    return load_of(cluster)->ordered_count;
}

static void load_pause(struct cluster *cluster)
{
    load_of(cluster)->paused = true;
}

static void load_resume(struct cluster *cluster)
{
    load_of(cluster)->paused = false;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (cluster->members[i].up && order_node_ready(cluster->members[i].program))
            order_load_ready(cluster, i);
}

static bool leave_pending(struct cluster *cluster, char detail[256])
{
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (cluster->members[i].up && order_node_leaving(cluster->members[i].program)) {
            snprintf(detail, 256, "%s was asked to leave and is still there",
                     cluster->members[i].name);
            return true;
        }
    return false;
}

/* What a member was given must be ordered, unless it restarted, was voted out or was removed since:
 * then it may be; of a frozen one it may be, too. Who was asked to leave has left. */
static bool load_drained(struct cluster *cluster, char detail[256])
{
    struct order_load *load = load_of(cluster);
    uint64_t first = load->settled;
    for (uint64_t i = load->settled; i < load->sent_count; i++) {
        const struct sent *sent = &load->sent[i];
        const struct seat *seat = &cluster->seats[sent->member];
        bool frozen = cluster->frozen >> sent->member & 1;
        bool settled = sent->ordered || sent->opened != seat->incarnation_random || !seat->belongs;
        first += settled && first == i;
        if (settled || frozen)
            continue;
        load->settled = first;
        snprintf(detail, 256, "payload %llu of member %u is not ordered", (unsigned long long)i,
                 sent->member);
        return false;
    }
    load->settled = first;
    return !leave_pending(cluster, detail);
}

static void load_stop_all(struct cluster *cluster)
{
    (void)cluster; /* what they hold at an end is what a crash leaves */
}

static void load_count(struct cluster *cluster, struct sim_result *result)
{
    result->operations = load_of(cluster)->ordered_count;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (cluster->members[i].up && cluster->members[i].program) {
            struct gcs_status status;
            order_node_status(cluster->members[i].program, &status);
            result->messages += status.messages_sent;
            result->resent += status.resent;
        }
}

static void sender_stop(struct sender *sender)
{
    event_stop(&sender->load->cluster->world, &sender->next);
    event_stop(&sender->load->cluster->world, &sender->read);
}

static void load_finish(struct cluster *cluster)
{
    struct order_load *load = load_of(cluster);
    for (uint32_t i = 0; i < cluster->member_count; i++)
        sender_stop(&load->senders[i]);
    order_reach_destroy(load->reach);
    free(load->sent);
    free(load);
}

static void load_describe(struct cluster *cluster, uint32_t member, char text[256])
{
    struct gcs_status s;
    order_node_status(cluster->members[member].program, &s);
    snprintf(
        text, 256,
        "epoch %llu%s%s, delivered %llu, released %llu, rank %u of %u, feeds %u at %llu, %.90s",
        (unsigned long long)s.epoch, s.running ? " runs" : "", s.outside ? " outside" : "",
        (unsigned long long)s.index_delivered, (unsigned long long)s.index_released, s.rank,
        s.member_count, s.joining, (unsigned long long)s.joining_index, s.waiting_for);
    for (uint32_t k = 0; k < s.member_count && strlen(text) < 200; k++)
        snprintf(text + strlen(text), 256 - strlen(text), "; %u:%s%s %llu/%llu", s.members[k].node,
                 s.members[k].connected ? "c" : "", s.members[k].suspected ? "s" : "",
                 (unsigned long long)s.members[k].received,
                 (unsigned long long)s.members[k].stored);
}

static bool load_client_fault(struct cluster *cluster, enum fault_kind kind)
{
    (void)cluster;
    (void)kind;
    return false; /* there are no clients */
}

/* ---- operators and supervisors ---- */

static void load_format(struct cluster *cluster, uint32_t member)
{
    (void)cluster;
    (void)member; /* an empty disk is enough */
}

struct request {
    struct order_node *node;
    uint32_t member;
    bool back, taken;
    const struct seat *dead;
};

static void leave_now(void *user)
{
    struct request *request = user;
    request->taken = order_node_leave(request->node, request->back);
}

static void remove_now(void *user)
{
    struct request *request = user;
    request->taken = order_node_remove(request->node, (uint8_t)request->member);
}

static void stop_now(void *user)
{
    struct request *request = user;
    order_node_stop(request->node);
}

static void death_now(void *user)
{
    struct request *request = user;
    order_node_death(request->node, request->member, request->dead);
}

/* A process that stands still takes nothing now. */
static bool ask(struct cluster *cluster, uint32_t member, void (*call)(void *user),
                struct request *request)
{
    struct host *host = &cluster->members[member];
    request->node = host->program;
    if (host->process->paused_until_ns > cluster->world.now_ns)
        return false;
    process_turn(host->process, call, request);
    return request->taken;
}

static bool load_leave(struct cluster *cluster, uint32_t member, bool back)
{
    struct request request = {.back = back};
    return ask(cluster, member, leave_now, &request);
}

static bool load_remove(struct cluster *cluster, uint32_t by, uint8_t node)
{
    struct request request = {.member = node};
    return ask(cluster, by, remove_now, &request);
}

static void load_stop(struct cluster *cluster, uint32_t member)
{
    struct request request = {.node = NULL};
    (void)ask(cluster, member, stop_now, &request);
}

static void load_death(struct cluster *cluster, uint32_t from, uint32_t to, const struct seat *dead)
{
    struct request request = {.member = from, .dead = dead};
    (void)ask(cluster, to, death_now, &request);
}

const struct load_ops order_load = {
    .member = &order_node_ops,
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
    .format = load_format,
    .leave = load_leave,
    .remove = load_remove,
    .stop = load_stop,
    .death = load_death,
};
