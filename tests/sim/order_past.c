/* The newest places of the order, with the history hash after each: what joiners are fed with. */
#include "tests/sim/order_internal.h"

#include <stdlib.h>
#include <string.h>

static struct past *past_at(struct order_node *node, uint64_t place)
{
    return &node->past[(node->past_first + place) % node->past_capacity];
}

static void past_drop(struct order_node *node)
{
    node->past_before = past_at(node, 0)->history;
    blob_unref(past_at(node, 0)->message.payload);
    node->past_first = (node->past_first + 1) % node->past_capacity;
    node->past_count--;
}

static void past_grow(struct order_node *node)
{
    struct past *more = sim_alloc(2 * node->past_capacity * sizeof *more);
    for (uint64_t i = 0; i < node->past_count; i++)
        more[i] = *past_at(node, i);
    free(node->past);
    node->past = more;
    node->past_capacity *= 2;
    node->past_first = 0;
}

void order_past_add(struct order_node *node, const struct gcs_message *message, uint64_t index,
                    struct hash128 before)
{
    if (node->past_count == 0)
        node->past_before = before;
    while (node->past_count >= node->cluster->history_max &&
           past_at(node, 0)->index <= node->flushed.state.index)
        past_drop(node);
    if (node->past_count == node->past_capacity)
        past_grow(node);
    *past_at(node, node->past_count++) = (struct past){*message, index, node->applied.history};
    if (message->payload)
        blob_ref(message->payload);
}

void order_past_clear(struct order_node *node)
{
    while (node->past_count)
        past_drop(node);
    memset(node->fetches, 0, sizeof node->fetches);
    loop_timer_stop(&node->fetch);
}

/* The history hash right after a place; false: not known any more. */
static bool history_at(struct order_node *node, uint64_t index, struct hash128 *ret_history)
{
    uint64_t oldest = node->past_count ? past_at(node, 0)->index : node->applied.state.index + 1;
    *ret_history = index ? node->applied.history : (struct hash128){0};
    if (index == 0 || index == node->applied.state.index)
        return true;
    if (index + 1 < oldest || index >= oldest + node->past_count)
        return false;
    *ret_history = index < oldest ? node->past_before : past_at(node, index - oldest)->history;
    return true;
}

static bool fetch_possible(struct order_node *node, const struct fetch *fetch)
{
    uint64_t oldest = node->past_count ? past_at(node, 0)->index : node->applied.state.index + 1;
    struct hash128 history;
    if (fetch->from < oldest)
        return false;
    if (!fetch->compare)
        return true;
    return history_at(node, fetch->from - 1, &history) &&
           memcmp(&history, fetch->history, sizeof history) == 0;
}

static void fetch_answer(struct order_node *node, uint8_t peer)
{
    struct fetch *fetch = &node->fetches[peer];
    uint64_t bytes = 0;
    fetch->wanted = false;
    bool found = fetch_possible(node, fetch);
    uint64_t place = found && node->past_count ? fetch->from - past_at(node, 0)->index : 0;
    for (; found && place < node->past_count && bytes < fetch->bytes_max; place++) {
        const struct past past = *past_at(node, place);
        gcs_fetched(node->gcs, peer, &past.message, past.index);
        bytes += past.message.payload ? past.message.payload->bytes : 0;
    }
    gcs_fetch_done(node->gcs, peer, found);
}

static void fetch_some(struct loop_timer *timer)
{
    struct order_node *node = CONTAINER_OF(timer, struct order_node, fetch);
    for (uint8_t peer = 0; peer < GCS_PEER_MAX; peer++)
        if (node->fetches[peer].wanted)
            fetch_answer(node, peer);
}

void order_past_fetch(struct order_node *node, uint8_t peer, const struct fetch *fetch)
{
    node->fetches[peer] = *fetch;
    loop_timer_start(&node->fetch, world_skewed(node->host->world, 0, SIM_MS(2)));
}

void order_past_init(struct order_node *node)
{
    node->past_capacity = 16;
    node->past = sim_alloc(node->past_capacity * sizeof *node->past);
    MUST(loop_timer_init(&node->host->process->loop, &node->fetch, fetch_some) == 0);
}

void order_past_finish(struct order_node *node)
{
    order_past_clear(node);
    loop_timer_finish(&node->fetch);
    free(node->past);
}
