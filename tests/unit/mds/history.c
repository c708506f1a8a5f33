/* What is remembered for joiners: what was added and is not too old comes back, in order, and only
 * to one that took the same way. The group is a notebook. */
#include "mds/history.h"
#include "tests/unit/store/fake_loop.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

enum { PLAIN_BYTES = 100, NOTES_MAX = 8192, ENOUGH = 1 << 30 };

/* --- the group --- */

struct gcs {
    uint64_t indices[NOTES_MAX];
    struct gcs_message messages[NOTES_MAX];
    uint8_t peers[NOTES_MAX];
    unsigned count, done;
    bool found;
    uint8_t done_peer;
};

void gcs_fetched(struct gcs *gcs, uint8_t peer, const struct gcs_message *message, uint64_t index)
{
    cr_assert_lt(gcs->count, NOTES_MAX);
    gcs->indices[gcs->count] = index;
    gcs->peers[gcs->count] = peer;
    gcs->messages[gcs->count++] = *message;
}

void gcs_fetch_done(struct gcs *gcs, uint8_t peer, bool found)
{
    gcs->done++;
    gcs->found = found;
    gcs->done_peer = peer;
}

/* --- the rig --- */

struct rig {
    struct prng prng;
    struct loop *loop;
    struct history *history;
    struct gcs gcs;
};

static struct rig *rig_make(uint64_t bytes_max)
{
    struct rig *rig = calloc(1, sizeof *rig);
    cr_assert_not_null(rig);
    prng_init(&rig->prng, 1);
    rig->loop = fake_loop_create(&rig->prng);
    cr_assert_eq(history_create(rig->loop, bytes_max, &rig->history), 0);
    return rig;
}

static void rig_finish(struct rig *rig)
{
    history_destroy(rig->history);
    fake_loop_turn(rig->loop);
    fake_loop_destroy(rig->loop);
    free(rig);
}

static struct hash128 hash_of(uint64_t index)
{
    return (struct hash128){index * 3, ~index};
}

static void add(struct rig *rig, uint64_t index, struct blob *payload)
{
    const struct gcs_message message = {
        .epoch = 1, .seq = index, .ts = 10 * index, .payload = payload};
    cr_assert_eq(history_add(rig->history, &message, index, hash_of(index)), 0);
}

static void add_range(struct rig *rig, uint64_t from, uint64_t to)
{
    for (uint64_t index = from; index <= to; index++) {
        struct blob *payload = blob_create(NULL, PLAIN_BYTES);
        memcpy(payload->data, &index, sizeof index);
        add(rig, index, payload);
        blob_unref(payload);
    }
}

/* @hash_index: of which the joiner has the hash; UINT64_MAX: it gives none. */
static void fetch(struct rig *rig, uint8_t peer, uint64_t from, uint32_t bytes, uint64_t hash_index)
{
    struct hash128 hash = hash_of(hash_index);
    uint8_t bytes_of[16];
    memcpy(bytes_of, &hash, sizeof bytes_of);
    history_fetch(rig->history, &rig->gcs, peer, from, bytes,
                  hash_index == UINT64_MAX ? NULL : bytes_of);
}

/* Fetches and tells how many came; they are checked. */
static unsigned fetched(struct rig *rig, uint64_t from, uint32_t bytes, uint64_t hash_index)
{
    rig->gcs.count = rig->gcs.done = 0;
    fetch(rig, 3, from, bytes, hash_index);
    cr_assert_eq(rig->gcs.count + rig->gcs.done, 0, "never from inside the call");
    fake_loop_turn(rig->loop);
    cr_assert_eq(rig->gcs.done, 1);
    cr_assert_eq(rig->gcs.done_peer, 3);
    for (unsigned i = 0; i < rig->gcs.count; i++) {
        const struct gcs_message *message = &rig->gcs.messages[i];
        cr_assert_eq(rig->gcs.indices[i], from + i);
        cr_assert_eq(message->ts, 10 * (from + i));
        cr_assert(!message->payload ||
                  memcmp(message->payload->data, &rig->gcs.indices[i], 8) == 0);
    }
    return rig->gcs.count;
}

static void expect(struct rig *rig, uint64_t from, uint64_t hash_index, int count)
{
    unsigned came = fetched(rig, from, ENOUGH, hash_index);
    cr_assert_eq(rig->gcs.found, count >= 0, "from %llu with the hash of %llu",
                 (unsigned long long)from, (unsigned long long)hash_index);
    cr_assert_eq(came, count < 0 ? 0 : count);
}

Test(history, gives_what_follows_to_one_that_took_the_same_way)
{
    struct rig *rig = rig_make(1 << 20);
    add_range(rig, 101, 200);
    expect(rig, 150, 149, 51);
    expect(rig, 102, 101, 99);
    expect(rig, 200, 199, 1);
    expect(rig, 201, 200, 0); /* level */
    expect(rig, 101, UINT64_MAX, 100);
    expect(rig, 150, 148, -1); /* another way */
    expect(rig, 201, 199, -1);
    expect(rig, 101, 100, -1); /* what came before is not known */
    expect(rig, 100, UINT64_MAX, -1);
    expect(rig, 0, UINT64_MAX, -1);
    expect(rig, 202, 201, -1); /* ahead of us */
    expect(rig, UINT64_MAX, 1, -1);
    rig_finish(rig);
}

Test(history, that_is_empty_has_nothing)
{
    struct rig *rig = rig_make(1 << 20);
    expect(rig, 1, 0, -1);
    expect(rig, 5, 4, -1);
    expect(rig, 5, UINT64_MAX, -1);
    rig_finish(rig);
}

Test(history, gives_about_as_much_as_is_asked_for)
{
    struct rig *rig = rig_make(1 << 20);
    add_range(rig, 1, 100);
    cr_assert_eq(fetched(rig, 10, 1, 9), 1, "at least one, or nobody gets ahead");
    unsigned few = fetched(rig, 10, 10 * PLAIN_BYTES, 9);
    cr_assert(few > 1 && few <= 11, "%u", few);
    cr_assert_eq(fetched(rig, 10 + few, 10 * PLAIN_BYTES, 9 + few), few);
    rig_finish(rig);
}

Test(history, has_epoch_events_too)
{
    struct rig *rig = rig_make(1 << 20);
    add_range(rig, 1, 5);
    add(rig, 6, NULL);
    add_range(rig, 7, 9);
    expect(rig, 4, 3, 6);
    cr_assert_null(rig->gcs.messages[2].payload);
    cr_assert_not_null(rig->gcs.messages[3].payload);
    rig_finish(rig);
}

/* The oldest index that is at hand. */
static uint64_t oldest(struct rig *rig, uint64_t newest)
{
    uint64_t index = newest;
    while (index > 1 && (fetched(rig, index - 1, 1, UINT64_MAX), rig->gcs.found))
        index--;
    return index;
}

Test(history, is_bounded_and_the_oldest_goes_first)
{
    struct rig *rig = rig_make(64 << 10);
    struct blob *kept = blob_create(NULL, PLAIN_BYTES);
    memset(kept->data, 0, PLAIN_BYTES);
    kept->data[0] = 1;
    add(rig, 1, kept);
    cr_assert_eq(kept->references, 2);
    add_range(rig, 2, 5000);
    cr_assert_eq(kept->references, 1, "what is forgotten is let go");
    uint64_t first = oldest(rig, 5000), count = 5001 - first;
    cr_assert_leq(count * PLAIN_BYTES, 64 << 10);
    cr_assert_gt(count, 100);
    expect(rig, first + 1, first, (int)count - 1);
    add_range(rig, 5001, 5100);
    cr_assert_eq(oldest(rig, 5100), first + 100);
    blob_unref(kept);
    rig_finish(rig);
}

Test(history, keeps_the_newest_however_large)
{
    struct rig *rig = rig_make(1000);
    add_range(rig, 1, 3);
    struct blob *large = blob_create(NULL, 50000);
    uint64_t index = 4;
    memcpy(large->data, &index, sizeof index);
    add(rig, 4, large);
    blob_unref(large);
    cr_assert_eq(oldest(rig, 4), 4);
    expect(rig, 4, UINT64_MAX, 1);
    add_range(rig, 5, 5);
    cr_assert_eq(oldest(rig, 5), 5);
    rig_finish(rig);
}

/* It grows where it has wrapped round, and shrinks again. */
Test(history, reaches_back_further_during_a_snapshot)
{
    struct rig *rig = rig_make(128 << 10);
    add_range(rig, 1, 3000);
    uint64_t usual = 3001 - oldest(rig, 3000);
    history_hold(rig->history, true);
    add_range(rig, 3001, 8000);
    uint64_t first = oldest(rig, 8000), held = 8001 - first;
    cr_assert(held > 2 * usual && held <= 4 * usual + 4, "%llu, then %llu",
              (unsigned long long)usual, (unsigned long long)held);
    expect(rig, first + 1, first, (int)held - 1);
    history_hold(rig->history, false);
    add_range(rig, 8001, 8001); /* not in one turn */
    cr_assert_gt(8002 - oldest(rig, 8001), usual);
    add_range(rig, 8002, 8500);
    cr_assert_eq(8501 - oldest(rig, 8500), usual);
    rig_finish(rig);
}

Test(history, begins_anew_where_something_is_missing)
{
    struct rig *rig = rig_make(1 << 20);
    add_range(rig, 1, 50);
    add_range(rig, 60, 70);
    expect(rig, 40, 39, -1);
    expect(rig, 55, UINT64_MAX, -1);
    expect(rig, 61, 60, 10);
    add_range(rig, 5, 8); /* back, too */
    expect(rig, 61, 60, -1);
    expect(rig, 6, 5, 3);
    rig_finish(rig);
}

Test(history, serves_several_in_one_turn_and_the_newest_wish_of_each)
{
    struct rig *rig = rig_make(1 << 20);
    add_range(rig, 1, 50);
    fetch(rig, 2, 10, ENOUGH, 3); /* another way; but it asks again */
    fetch(rig, 5, 41, ENOUGH, 40);
    fetch(rig, 2, 46, ENOUGH, 45);
    fetch(rig, GCS_PEER_MAX - 1, 50, ENOUGH, 49);
    fake_loop_turn(rig->loop);
    unsigned of[GCS_PEER_MAX] = {0};
    for (unsigned i = 0; i < rig->gcs.count; i++)
        of[rig->gcs.peers[i]]++;
    cr_assert_eq(rig->gcs.done, 3);
    cr_assert_eq(of[2], 5);
    cr_assert_eq(of[5], 10);
    cr_assert_eq(of[GCS_PEER_MAX - 1], 1);
    rig_finish(rig);
}

Test(history, that_ends_answers_nobody)
{
    struct rig *rig = rig_make(1 << 20);
    add_range(rig, 1, 50);
    fetch(rig, 2, 10, ENOUGH, 9);
    history_destroy(rig->history);
    rig->history = NULL;
    fake_loop_turn(rig->loop);
    cr_assert_eq(rig->gcs.count + rig->gcs.done, 0);
    rig_finish(rig);
}
