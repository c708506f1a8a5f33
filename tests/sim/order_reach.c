#include "tests/sim/order_reach.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* One place of the order, as its first delivery fixed it. */
struct place {
    uint64_t epoch, seq;
    uint8_t origin;
    bool event;
};

/* How far a member's receiving and storing of one origin's messages of one epoch ever got. */
struct mark_key {
    uint64_t epoch;
    uint32_t member, origin;
};
struct mark {
    struct mark_key key;
    uint64_t received, stored;
    UT_hash_handle hh;
};

/* What a member delivered without every quorum: up to a cut, or wrongly. */
struct doubt {
    uint64_t from, to; /* places; 0: none */
};

struct order_reach {
    struct cluster *cluster;
    struct place *places; /* index i at [i - 1] */
    uint64_t count, capacity, released;
    struct mark *marks;
    struct doubt doubts[GCS_MEMBER_MAX];
};

static struct mark *mark_of(struct order_reach *reach, uint32_t member, uint64_t epoch,
                            uint8_t origin)
{
    struct mark_key key;
    struct mark *mark;
    memset(&key, 0, sizeof key);
    key.epoch = epoch;
    key.member = member;
    key.origin = origin;
    HASH_FIND(hh, reach->marks, &key, sizeof key, mark);
    if (mark)
        return mark;
    mark = sim_alloc(sizeof *mark);
    mark->key = key;
    HASH_ADD(hh, reach->marks, key, sizeof mark->key, mark);
    return mark;
}

void order_reach_received(struct order_reach *reach, uint32_t member,
                          const struct gcs_message *message)
{
    struct mark *mark = mark_of(reach, member, message->epoch, message->origin);
    if (message->seq > mark->received)
        mark->received = message->seq;
}

void order_reach_stored(struct order_reach *reach, uint32_t member, uint64_t epoch, uint8_t origin,
                        uint64_t seq)
{
    struct mark *mark = mark_of(reach, member, epoch, origin);
    if (seq > mark->stored)
        mark->stored = seq;
}

void order_reach_opened(struct order_reach *reach, uint32_t member)
{
    reach->doubts[member] = (struct doubt){0, 0};
}

/* The set of members that hold it as delivery demands. */
static uint32_t holders(struct order_reach *reach, const struct place *place)
{
    struct cluster *cluster = reach->cluster;
    bool disk = cluster->durability == GCS_DURABILITY_DISK;
    uint32_t set = 0;
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        const struct mark *mark = mark_of(reach, i, place->epoch, place->origin);
        if ((disk ? mark->stored : mark->received) >= place->seq)
            set |= 1u << i;
    }
    return set;
}

/* Whether every quorum of the view has a data member of `set`, and two have it where there are two.
 */
static bool meets_every_quorum(const struct check_view *view, uint32_t set)
{
    uint32_t with = 0, without = 0, data = 0;
    bool lowest_is_without = false;
    for (uint8_t rank = 0; rank < view->count; rank++) {
        bool witness = view->witnesses >> rank & 1;
        bool has = !witness && (set >> (view->nodes[rank] - 1) & 1);
        lowest_is_without = !witness && data == 0 ? !has : lowest_is_without;
        data += !witness;
        with += has;
        without += !has;
    }
    bool only_witnesses = without == view->count - data;
    bool others_are_quorum = !only_witnesses && (without * 2 > view->count ||
                                                 (without * 2 == view->count && lowest_is_without));
    return !others_are_quorum && with >= (data > 1 ? 2u : 1u);
}

static void check_delivery(struct order_reach *reach, uint32_t member, uint64_t index)
{
    const struct place *place = &reach->places[index - 1];
    const struct check_view *view = checks_view_of(&reach->cluster->checks, place->epoch);
    struct doubt *doubt = &reach->doubts[member];
    if (place->event || (view && meets_every_quorum(view, holders(reach, place))))
        return;
    if (!doubt->from)
        doubt->from = index;
    doubt->to = index;
}

static void broken_delivery(struct order_reach *reach, uint32_t member, uint64_t index)
{
    const struct place *place = &reach->places[index - 1];
    world_violation(&reach->cluster->world,
                    "durability: member %u delivers %llu (epoch %llu, origin %u, seq %llu), which "
                    "only the members %x hold",
                    member, (unsigned long long)index, (unsigned long long)place->epoch,
                    place->origin, (unsigned long long)place->seq, holders(reach, place));
}

static void place_add(struct order_reach *reach, const struct place *place)
{
    if (reach->count == reach->capacity) {
        reach->capacity = reach->capacity ? reach->capacity * 2 : 1024;
        reach->places = realloc(reach->places, reach->capacity * sizeof *reach->places);
        MUST(reach->places);
    }
    reach->places[reach->count++] = *place;
}

static bool same_place(const struct place *a, const struct place *b)
{
    return a->epoch == b->epoch && a->event == b->event &&
           (a->event || (a->seq == b->seq && a->origin == b->origin));
}

void order_reach_delivered(struct order_reach *reach, uint32_t member,
                           const struct gcs_message *message, uint64_t index)
{
    struct place place = {message->epoch, message->seq, message->origin, !message->payload};
    if (index == reach->count + 1) {
        place_add(reach, &place);
        check_delivery(reach, member, index);
    } else if (index == 0 || index > reach->count ||
               !same_place(&reach->places[index - 1], &place)) {
        world_violation(&reach->cluster->world,
                        "agreement: member %u delivers (epoch %llu, origin %u, seq %llu) as %llu "
                        "of %llu",
                        member, (unsigned long long)place.epoch, place.origin,
                        (unsigned long long)place.seq, (unsigned long long)index,
                        (unsigned long long)reach->count);
    }
}

/* What was delivered up to the cut is held by all data members of the new view. */
void order_reach_view(struct order_reach *reach, uint32_t member, uint64_t epoch)
{
    struct doubt *doubt = &reach->doubts[member];
    uint32_t data = checks_data_of(&reach->cluster->checks, epoch);
    for (uint64_t index = doubt->from; index && index <= doubt->to; index++) {
        const struct place *place = &reach->places[index - 1];
        if (!place->event && place->epoch < epoch && (data & ~holders(reach, place)))
            broken_delivery(reach, member, index);
    }
    *doubt = (struct doubt){0, 0};
}

static bool has_received(struct order_reach *reach, uint32_t member, const struct place *place)
{
    return mark_of(reach, member, place->epoch, place->origin)->received >= place->seq;
}

/* A message of the view's own epoch: all have received it. Anything older, and the view's event:
 * all have installed the view. */
static void check_release(struct order_reach *reach, uint32_t member, uint64_t index)
{
    const struct checks *checks = &reach->cluster->checks;
    const struct place *place = &reach->places[index - 1];
    uint64_t epoch = checks->members[member].epoch;
    uint32_t data = checks_data_of(checks, epoch);
    bool own = place->epoch == epoch && !place->event;
    for (uint32_t i = 0; i < reach->cluster->member_count; i++)
        if ((data >> i & 1) &&
            !(own ? has_received(reach, i, place) : checks->members[i].installed >= epoch))
            world_violation(&reach->cluster->world,
                            "durability: member %u releases %llu (epoch %llu, origin %u, seq %llu) "
                            "in epoch %llu, which member %u has not received",
                            member, (unsigned long long)index, (unsigned long long)place->epoch,
                            place->origin, (unsigned long long)place->seq,
                            (unsigned long long)epoch, i);
}

void order_reach_released(struct order_reach *reach, uint32_t member, uint64_t index)
{
    struct doubt *doubt = &reach->doubts[member];
    if (doubt->from && doubt->from <= index)
        broken_delivery(reach, member, doubt->from);
    while (reach->released < index && reach->released < reach->count &&
           reach->cluster->checks.members[member].running)
        check_release(reach, member, ++reach->released);
}

void order_reach_read(struct order_reach *reach, uint32_t member, uint64_t delivered)
{
    const struct checks *checks = &reach->cluster->checks;
    uint64_t epoch = checks->members[member].epoch;
    for (uint64_t index = delivered + 1; index <= checks->released_max; index++) {
        const struct place *place = &reach->places[index - 1];
        if (place->epoch == epoch && !place->event && has_received(reach, member, place))
            continue;
        world_violation(&reach->cluster->world,
                        "linearizability: member %u answers reads in epoch %llu, and has not "
                        "received %llu (epoch %llu), which is released",
                        member, (unsigned long long)epoch, (unsigned long long)index,
                        (unsigned long long)place->epoch);
        return;
    }
}

struct order_reach *order_reach_create(struct cluster *cluster)
{
    struct order_reach *reach = sim_alloc(sizeof *reach);
    reach->cluster = cluster;
    return reach;
}

void order_reach_destroy(struct order_reach *reach)
{
    struct mark *mark, *next;
    HASH_ITER(hh, reach->marks, mark, next)
    {
        HASH_DEL(reach->marks, mark);
        free(mark);
    }
    free(reach->places);
    free(reach);
}
