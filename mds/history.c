/* The newest part of the order: an array used as a ring, grown by doubling up to its bound.
 *
 * Invariant: the places first .. first + count - 1 hold consecutive indices. */
#include "mds/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE_BYTES = 128, PLACES_LEAST = 1024, HOLD_FACTOR = 4, DROPS_AT_ONCE = 64 };

struct place {
    struct gcs_message message;
    struct hash128 hash;
};

struct fetch {
    bool wanted, compare;
    uint64_t from;
    uint32_t bytes_max;
    uint8_t hash[16];
};

struct history {
    struct loop *loop;
    struct gcs *gcs;
    struct place *places;
    uint64_t capacity, first, count; /* capacity: a power of two */
    uint64_t index;                  /* of the oldest place */
    uint64_t bytes, bytes_max;
    bool hold;
    struct fetch fetches[GCS_PEER_MAX];
    struct loop_task task;
};

static struct place *place_at(const struct history *history, uint64_t at)
{
    return &history->places[(history->first + at) & (history->capacity - 1)];
}

static uint64_t place_bytes(const struct place *place)
{
    return PLACE_BYTES + (place->message.payload ? place->message.payload->bytes : 0);
}

static void drop_oldest(struct history *history)
{
    struct place *oldest = place_at(history, 0);
    history->bytes -= place_bytes(oldest);
    blob_unref(oldest->message.payload);
    history->first++;
    history->count--;
    history->index++;
}

static int grow(struct history *history)
{
    uint64_t capacity = history->capacity ? 2 * history->capacity : PLACES_LEAST;
    struct place *places = malloc(capacity * sizeof *places);
    if (!places)
        return -ENOMEM;
    for (uint64_t i = 0; i < history->count; i++)
        places[i] = *place_at(history, i);
    free(history->places);
    history->places = places;
    history->capacity = capacity;
    history->first = 0;
    return 0;
}

/* What was held goes little by little when it is held no longer; the bound of holding is strict. */
static void drop_surplus(struct history *history)
{
    uint64_t strict = history->bytes_max * HOLD_FACTOR;
    uint64_t wanted = history->hold ? strict : history->bytes_max;
    for (unsigned n = 0; history->bytes > wanted && history->count > 1; n++) {
        if (n >= DROPS_AT_ONCE && history->bytes <= strict)
            break;
        drop_oldest(history);
    }
}

int history_add(struct history *history, const struct gcs_message *message, uint64_t index,
                struct hash128 hash)
{
    if (index != history->index + history->count)
        while (history->count)
            drop_oldest(history);
    if (history->count == history->capacity && grow(history) < 0)
        return -ENOMEM;
    if (history->count == 0)
        history->index = index;
    struct place *place = place_at(history, history->count++);
    *place = (struct place){*message, hash};
    if (message->payload)
        blob_ref(message->payload);
    history->bytes += place_bytes(place);
    drop_surplus(history);
    return 0;
}

void history_hold(struct history *history, bool hold)
{
    history->hold = hold;
}

/* --- fetching --- */

/* False: what is asked for is no longer here, or the joiner took another way. */
static bool fetch_find(const struct history *history, const struct fetch *fetch, uint64_t *ret_at)
{
    if (fetch->from < history->index || fetch->from > history->index + history->count)
        return false;
    *ret_at = fetch->from - history->index;
    if (!fetch->compare)
        return true;
    return *ret_at > 0 &&
           memcmp(&place_at(history, *ret_at - 1)->hash, fetch->hash, sizeof fetch->hash) == 0;
}

static void fetch_answer(struct history *history, uint8_t peer)
{
    struct fetch *fetch = &history->fetches[peer];
    uint64_t at = 0, bytes = 0;
    bool found = fetch_find(history, fetch, &at);
    fetch->wanted = false;
    for (; found && at < history->count && bytes < fetch->bytes_max; at++) {
        const struct place *place = place_at(history, at);
        gcs_fetched(history->gcs, peer, &place->message, history->index + at);
        bytes += place_bytes(place);
    }
    gcs_fetch_done(history->gcs, peer, found);
}

static void run(struct loop_task *task)
{
    struct history *history = CONTAINER_OF(task, struct history, task);
    for (uint8_t peer = 0; peer < GCS_PEER_MAX; peer++)
        if (history->fetches[peer].wanted)
            fetch_answer(history, peer);
}

void history_fetch(struct history *history, struct gcs *gcs, uint8_t peer, uint64_t index_from,
                   uint32_t bytes_max, const uint8_t hash[16])
{
    struct fetch *fetch = &history->fetches[peer];
    history->gcs = gcs;
    *fetch = (struct fetch){
        .wanted = true, .compare = hash != NULL, .from = index_from, .bytes_max = bytes_max};
    if (hash)
        memcpy(fetch->hash, hash, sizeof fetch->hash);
    loop_defer(history->loop, &history->task);
}

int history_create(struct loop *loop, uint64_t bytes_max, struct history **ret_history)
{
    struct history *history = calloc(1, sizeof *history);
    if (!history)
        return -ENOMEM;
    history->loop = loop;
    history->bytes_max = bytes_max;
    history->task = (struct loop_task){.run = run, .phase = LOOP_PHASE_SUBMIT};
    *ret_history = history;
    return 0;
}

void history_destroy(struct history *history)
{
    if (!history)
        return;
    loop_cancel(history->loop, &history->task);
    while (history->count)
        drop_oldest(history);
    free(history->places);
    free(history);
}
