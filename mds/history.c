/* The newest part of the order: an array used as a ring, grown by doubling up to its bound, and
 * what left it while somebody may need it, on disk.
 *
 * Invariants: the places first .. first + count - 1 hold consecutive indices; what is on disk, if
 * anything, ends right before them; `before` is of the place before the oldest of all, where it is
 * known. */
#include "mds/history.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE_BYTES = 128, PLACES_LEAST = 1024 };
static const uint64_t patience_ns = 30000000000; /* with one that fetched, for its next time */

struct place {
    struct gcs_message message;
    struct hash128 hash;
};

struct fetch {
    struct history *history;
    bool wanted, compare;
    uint64_t from;
    uint32_t bytes_max;
    uint8_t hash[16];
    bool reading; /* from disk */
    bool differs; /* the joiner took another way */
    uint32_t given;
    struct history_disk_read read;
};

struct history {
    struct loop *loop;
    struct gcs *gcs;
    struct place *places;
    uint64_t capacity, first, count; /* capacity: a power of two */
    uint64_t index;                  /* of the oldest place */
    struct {
        bool known;
        uint64_t index;
        struct hash128 hash; /* of all up to it */
    } before;
    uint64_t bytes, bytes_max;
    bool hold;
    uint64_t hold_until_ns; /* by the last fetch */
    struct history_disk *disk;
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

static void drop_all(struct history *history)
{
    while (history->count)
        drop_oldest(history);
    history->before.known = false;
    if (history->disk)
        history_disk_forget(history->disk);
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

static bool is_holding(const struct history *history)
{
    return history->hold || loop_now_ns(history->loop) < history->hold_until_ns;
}

static uint64_t disk_first(const struct history *history)
{
    return history->disk ? history_disk_first(history->disk) : 0;
}

static uint64_t oldest_index(const struct history *history)
{
    uint64_t first = disk_first(history);
    return first ? first : history->index;
}

static void set_before(struct history *history, uint64_t index, struct hash128 hash)
{
    history->before.known = true;
    history->before.index = index;
    history->before.hash = hash;
}

static bool knows_before(const struct history *history, uint64_t index)
{
    return history->before.known && history->before.index + 1 == index;
}

/* What memory has no room for: to disk, or away. */
static void drop_surplus(struct history *history)
{
    bool keep = history->disk && is_holding(history);
    if (history->disk && !keep)
        history_disk_forget(history->disk);
    while (history->bytes > history->bytes_max && history->count > 1) {
        const struct place *oldest = place_at(history, 0);
        if (keep)
            history_disk_add(history->disk, &oldest->message, history->index, oldest->hash);
        if (disk_first(history) == 0)
            set_before(history, history->index, oldest->hash);
        drop_oldest(history);
    }
}

void history_start_after(struct history *history, uint64_t index, struct hash128 hash)
{
    drop_all(history);
    history->index = index + 1;
    set_before(history, index, hash);
}

int history_add(struct history *history, const struct gcs_message *message, uint64_t index,
                struct hash128 hash)
{
    if (index != history->index + history->count)
        drop_all(history);
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

bool history_reaches(const struct history *history, uint64_t index)
{
    uint64_t first = oldest_index(history);
    return index >= first || (index + 1 == first && knows_before(history, first));
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

static void fetch_refuse(struct history *history, uint8_t peer)
{
    const struct fetch *fetch = &history->fetches[peer];
    uint64_t first = oldest_index(history);
    if (fetch->from < first)
        log_info("history", "a joiner needs all from index %llu on; the oldest here is %llu",
                 (unsigned long long)fetch->from, (unsigned long long)first);
    gcs_fetch_done(history->gcs, peer, false);
}

static void fetch_memory(struct history *history, uint8_t peer)
{
    struct fetch *fetch = &history->fetches[peer];
    uint64_t at = 0, bytes = 0;
    fetch->wanted = false;
    if (!fetch_find(history, fetch, &at)) {
        fetch_refuse(history, peer);
        return;
    }
    for (; at < history->count && bytes < fetch->bytes_max; at++) {
        const struct place *place = place_at(history, at);
        gcs_fetched(history->gcs, peer, &place->message, history->index + at);
        bytes += place_bytes(place);
    }
    gcs_fetch_done(history->gcs, peer, true);
}

static uint8_t peer_of(const struct fetch *fetch)
{
    return (uint8_t)(fetch - fetch->history->fetches);
}

/* Where the hash is compared, the place before the first one comes too. */
static void on_place(void *user, const struct gcs_message *message, uint64_t index,
                     struct hash128 hash)
{
    struct fetch *fetch = user;
    struct history *history = fetch->history;
    if (fetch->wanted) /* something else, by now */
        return;
    if (index + 1 == fetch->from)
        fetch->differs = memcmp(&hash, fetch->hash, sizeof fetch->hash) != 0;
    if (index < fetch->from || fetch->differs)
        return;
    gcs_fetched(history->gcs, peer_of(fetch), message, index);
    fetch->given++;
}

static void on_read(void *user, int code)
{
    struct fetch *fetch = user;
    struct history *history = fetch->history;
    bool nothing = fetch->given == 0;
    fetch->reading = false;
    if (fetch->wanted) {
        loop_defer(history->loop, &history->task);
    } else if (code < 0 || fetch->differs || (nothing && !fetch->compare)) {
        fetch_refuse(history, peer_of(fetch));
    } else if (nothing) { /* only what was compared: the rest is read next, from wherever it is */
        fetch->compare = false;
        fetch->wanted = true;
        loop_defer(history->loop, &history->task);
    } else {
        gcs_fetch_done(history->gcs, peer_of(fetch), true);
    }
}

static void fetch_disk(struct history *history, uint8_t peer, uint64_t index)
{
    struct fetch *fetch = &history->fetches[peer];
    if (!history_disk_is_written(history->disk, index))
        return; /* it will be */
    fetch->history = history;
    fetch->wanted = fetch->differs = false;
    fetch->reading = true;
    fetch->given = 0;
    fetch->read = (struct history_disk_read){.index = index,
                                             .bytes_max = fetch->bytes_max,
                                             .user = fetch,
                                             .each = on_place,
                                             .done = on_read};
    if (history_disk_read(history->disk, &fetch->read) == 0)
        return;
    fetch->reading = false;
    fetch_refuse(history, peer);
}

/* One that needs the very oldest place, and all after it. */
static void compare_before(const struct history *history, struct fetch *fetch)
{
    if (fetch->compare && fetch->from == oldest_index(history) &&
        knows_before(history, fetch->from) &&
        memcmp(&history->before.hash, fetch->hash, sizeof fetch->hash) == 0)
        fetch->compare = false;
}

static void fetch_answer(struct history *history, uint8_t peer)
{
    struct fetch *fetch = &history->fetches[peer];
    compare_before(history, fetch);
    uint64_t index = fetch->from - (fetch->compare && fetch->from > 0);
    if (history->disk && history_disk_has(history->disk, index))
        fetch_disk(history, peer, index);
    else
        fetch_memory(history, peer);
}

static void run(struct loop_task *task)
{
    struct history *history = CONTAINER_OF(task, struct history, task);
    for (uint8_t peer = 0; peer < GCS_PEER_MAX; peer++)
        if (history->fetches[peer].wanted && !history->fetches[peer].reading)
            fetch_answer(history, peer);
}

static void on_written(void *user)
{
    struct history *history = user;
    for (uint8_t peer = 0; peer < GCS_PEER_MAX; peer++)
        if (history->fetches[peer].wanted)
            loop_defer(history->loop, &history->task);
}

void history_fetch(struct history *history, struct gcs *gcs, uint8_t peer, uint64_t index_from,
                   uint32_t bytes_max, const uint8_t hash[16])
{
    struct fetch *fetch = &history->fetches[peer];
    history->gcs = gcs;
    history->hold_until_ns = loop_now_ns(history->loop) + patience_ns;
    fetch->wanted = true;
    fetch->compare = hash != NULL;
    fetch->from = index_from;
    fetch->bytes_max = bytes_max;
    if (hash)
        memcpy(fetch->hash, hash, sizeof fetch->hash);
    loop_defer(history->loop, &history->task);
}

/* --- making --- */

static void open_disk(struct history *history, const struct history_config *config)
{
    const struct history_disk_config disk = {.loop = config->loop,
                                             .disk = config->disk,
                                             .bytes_max = config->disk_bytes_max,
                                             .payload_bytes_max = config->payload_bytes_max,
                                             .user = history,
                                             .written = on_written};
    struct error error;
    if (config->disk && history_disk_open(&disk, &history->disk, &error) < 0)
        log_warning("history", "what joiners may need can't be kept on disk: %s", error.text);
}

int history_create(const struct history_config *config, struct history **ret_history)
{
    struct history *history = calloc(1, sizeof *history);
    if (!history)
        return -ENOMEM;
    history->loop = config->loop;
    history->bytes_max = config->bytes_max;
    history->task = (struct loop_task){.run = run, .phase = LOOP_PHASE_SUBMIT};
    open_disk(history, config);
    *ret_history = history;
    return 0;
}

void history_destroy(struct history *history)
{
    if (!history)
        return;
    loop_cancel(history->loop, &history->task);
    history_disk_close(history->disk);
    while (history->count)
        drop_oldest(history);
    free(history->places);
    free(history);
}
