/* The load of the bare group: every member multicasts payloads of random sizes, each known by a
 * number. Besides the invariants of check.h it counts what 3.2 of docs/protocol.md counts: who has
 * received and who has stored each message when it is delivered and when it is released. */
#include "tests/sim/order_node.h"

#include "base/cursor.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { PAYLOAD_HEAD_BYTES = 8 };

/* One payload that was handed to a member. */
struct sent {
    uint64_t hash, life;
    uint8_t member;
    bool ordered;
};

/* How far a member's receiving and storing of one origin's messages of one epoch ever got. */
struct reach_key {
    uint64_t epoch;
    uint32_t member, origin;
};
struct reach {
    struct reach_key key;
    uint64_t received, stored;
    UT_hash_handle hh;
};

struct order_load;
struct sender {
    struct order_load *load;
    uint32_t member;
    struct event next; /* of the member's process */
};

struct order_load {
    struct cluster *cluster;
    struct sent *sent;
    uint64_t sent_count, sent_capacity, ordered_count;
    struct reach *reaches;
    uint64_t released_checked, settled;
    bool paused;
    struct sender senders[GCS_MEMBER_MAX];
};

static struct order_load *load_of(struct cluster *cluster)
{
    return cluster->load;
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
        .life = load->cluster->members[member].lives,
    };
}

static void send_later(struct sender *sender)
{
    struct cluster *cluster = sender->load->cluster;
    if (sender->load->paused || sender->next.place)
        return;
    sender->next.process = cluster->members[sender->member].process;
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
    send_later(&load_of(cluster)->senders[member]);
}

/* ---- what came out ---- */

static bool load_was_sent(void *user, uint8_t origin, const uint8_t *payload, uint32_t bytes)
{
    struct order_load *load = user;
    struct reader r = reader_make(payload, bytes);
    uint64_t number = reader_u64(&r);
    if (r.failed || number >= load->sent_count)
        return false;
    struct sent *sent = &load->sent[number];
    if (sent->member != origin || sent->hash != hash64(payload, bytes) || sent->ordered)
        return false;
    sent->ordered = true;
    load->ordered_count++;
    return true;
}

/* ---- thresholds ---- */

static struct reach *reach_of(struct order_load *load, uint32_t member, uint64_t epoch,
                              uint8_t origin)
{
    struct reach_key key = {.epoch = epoch, .member = member, .origin = origin};
    struct reach *reach;
    HASH_FIND(hh, load->reaches, &key, sizeof key, reach);
    if (reach)
        return reach;
    reach = sim_alloc(sizeof *reach);
    reach->key = key;
    HASH_ADD(hh, load->reaches, key, sizeof reach->key, reach);
    return reach;
}

void order_load_received(struct cluster *cluster, uint32_t member,
                         const struct gcs_message *message)
{
    struct reach *reach = reach_of(load_of(cluster), member, message->epoch, message->origin);
    if (message->seq > reach->received + 1)
        world_violation(&cluster->world, "integrity: member %u receives seq %llu of %u after %llu",
                        member, (unsigned long long)message->seq, message->origin,
                        (unsigned long long)reach->received);
    if (message->seq > reach->received)
        reach->received = message->seq;
}

void order_load_stored(struct cluster *cluster, uint32_t member, uint64_t epoch, uint8_t origin,
                       uint64_t seq)
{
    struct reach *reach = reach_of(load_of(cluster), member, epoch, origin);
    if (seq > reach->stored)
        reach->stored = seq;
}

/* Whether every quorum of the group contains one of `set`, and the set has two where there are two.
 */
static bool meets_every_quorum(uint32_t set, uint32_t member_count)
{
    uint32_t others = ((1u << member_count) - 1) & ~set;
    uint32_t count = (uint32_t)__builtin_popcount(others);
    bool others_are_quorum =
        count * 2 > member_count || (count * 2 == member_count && (others & 1));
    uint32_t least = member_count > 1 ? 2 : 1;
    return !others_are_quorum && (uint32_t)__builtin_popcount(set) >= least;
}

void order_load_delivered(struct cluster *cluster, uint32_t member,
                          const struct gcs_message *message)
{
    struct order_load *load = load_of(cluster);
    bool disk = cluster->durability == GCS_DURABILITY_DISK;
    uint32_t set = 0;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        struct reach *reach = reach_of(load, i, message->epoch, message->origin);
        if ((disk ? reach->stored : reach->received) >= message->seq)
            set |= 1u << i;
    }
    if (!meets_every_quorum(set, cluster->member_count))
        world_violation(&cluster->world,
                        "durability: member %u delivers (epoch %llu, origin %u, seq %llu), which "
                        "only the members %x hold",
                        member, (unsigned long long)message->epoch, message->origin,
                        (unsigned long long)message->seq, set);
}

static void check_release(struct cluster *cluster, uint32_t member, uint64_t index)
{
    const struct order_entry *entry = &cluster->checks.order[index - 1];
    for (uint32_t i = 0; i < cluster->member_count && !entry->event; i++)
        if (reach_of(load_of(cluster), i, entry->epoch, entry->origin)->received < entry->seq)
            world_violation(
                &cluster->world,
                "durability: member %u releases %llu (epoch %llu, origin %u, seq %llu), "
                "which member %u has not received",
                member, (unsigned long long)index, (unsigned long long)entry->epoch, entry->origin,
                (unsigned long long)entry->seq, i);
}

/* Applying lags behind delivery: what is not in the order yet is checked with the next release. */
void order_load_released(struct cluster *cluster, uint32_t member, uint64_t index)
{
    struct order_load *load = load_of(cluster);
    while (load->released_checked < index && load->released_checked < cluster->checks.order_count)
        check_release(cluster, member, ++load->released_checked);
}

/* ---- the load's part in the course of a seed ---- */

static void load_begin(struct cluster *cluster)
{
    struct order_load *load = sim_alloc(sizeof *load);
    cluster->load = load;
    load->cluster = cluster;
    cluster->checks.was_sent = load_was_sent;
    cluster->checks.user = load;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        load->senders[i] = (struct sender){.load = load, .member = i};
        load->senders[i].next = (struct event){.fire = send_burst, .label = "send"};
    }
}

static bool load_sized(struct cluster *cluster)
{
    return load_of(cluster)->ordered_count >= cluster->options.operations;
}

static void load_pause(struct cluster *cluster)
{
    load_of(cluster)->paused = true;
}

/* What a member was given must be ordered, unless the member died since: then it may be. */
static bool load_drained(struct cluster *cluster, char detail[256])
{
    struct order_load *load = load_of(cluster);
    for (; load->settled < load->sent_count; load->settled++) {
        const struct sent *sent = &load->sent[load->settled];
        if (sent->ordered || sent->life != cluster->members[sent->member].lives)
            continue;
        snprintf(detail, 256, "payload %llu of member %u is not ordered",
                 (unsigned long long)load->settled, sent->member);
        return false;
    }
    return true;
}

static void load_final(struct cluster *cluster)
{
    (void)cluster;
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

static void load_finish(struct cluster *cluster)
{
    struct order_load *load = load_of(cluster);
    struct reach *reach, *next;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        event_stop(&cluster->world, &load->senders[i].next);
    HASH_ITER(hh, load->reaches, reach, next)
    {
        HASH_DEL(load->reaches, reach);
        free(reach);
    }
    free(load->sent);
    free(load);
}

static bool load_client_fault(struct cluster *cluster, enum fault_kind kind)
{
    (void)cluster;
    (void)kind;
    return false; /* there are no clients */
}

const struct load_ops order_load = {
    .member = &order_node_ops,
    .begin = load_begin,
    .sized = load_sized,
    .pause = load_pause,
    .drained = load_drained,
    .final = load_final,
    .count = load_count,
    .finish = load_finish,
    .client_fault = load_client_fault,
};
