/* What is remembered for joiners: what was added and is not too old comes back, in order, and only
 * to one that took the same way, from memory or from disk. The group is a notebook. */
#include "mds/history.h"
#include "tests/unit/store/fake_loop.h"
#include "tests/unit/store/memory_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PLAIN_BYTES = 100, NOTES_MAX = 8192, ENOUGH = 1 << 30 };

/* --- the group --- */

struct gcs {
    uint64_t indices[NOTES_MAX], numbers[NOTES_MAX];
    struct gcs_message messages[NOTES_MAX];
    uint8_t peers[NOTES_MAX];
    unsigned count, done;
    bool found;
    uint8_t done_peer;
};

/* The index that is written into each payload. */
static uint64_t number_of(const struct blob *payload)
{
    uint64_t number = 0;
    if (payload)
        memcpy(&number, payload->data, sizeof number);
    return number;
}

void gcs_fetched(struct gcs *gcs, uint8_t peer, const struct gcs_message *message, uint64_t index)
{
    cr_assert_lt(gcs->count, NOTES_MAX);
    gcs->indices[gcs->count] = index;
    gcs->peers[gcs->count] = peer;
    gcs->messages[gcs->count] = *message;
    gcs->numbers[gcs->count++] = number_of(message->payload);
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
    struct memory_disk *disk; /* NULL: none */
    uint64_t bytes_max, disk_bytes_max;
    struct history *history;
    struct gcs gcs;
    struct loop_timer sleep;
    bool woke;
};

static void on_woken(struct loop_timer *timer)
{
    struct rig *rig = CONTAINER_OF(timer, struct rig, sleep);
    rig->woke = true;
}

static void open_history(struct rig *rig)
{
    const struct history_config config = {.loop = rig->loop,
                                          .bytes_max = rig->bytes_max,
                                          .disk = rig->disk ? memory_disk_handle(rig->disk) : NULL,
                                          .disk_bytes_max = rig->disk_bytes_max,
                                          .payload_bytes_max = 1 << 20};
    cr_assert_eq(history_create(&config, &rig->history), 0);
}

static struct rig *rig_make_on_disk(uint64_t bytes_max, uint64_t disk_bytes_max, uint64_t seed)
{
    struct rig *rig = calloc(1, sizeof *rig);
    cr_assert_not_null(rig);
    prng_init(&rig->prng, seed);
    rig->loop = fake_loop_create(&rig->prng);
    cr_assert_eq(loop_timer_init(rig->loop, &rig->sleep, on_woken), 0);
    rig->bytes_max = bytes_max;
    rig->disk_bytes_max = disk_bytes_max;
    rig->disk = disk_bytes_max ? memory_disk_create() : NULL;
    open_history(rig);
    return rig;
}

static struct rig *rig_make(uint64_t bytes_max)
{
    return rig_make_on_disk(bytes_max, 0, 1);
}

static void settle(struct rig *rig)
{
    fake_loop_turn(rig->loop);
    while (fake_loop_step(rig->loop))
        ;
}

static void sleep_s(struct rig *rig, uint64_t s)
{
    rig->woke = false;
    loop_timer_start(&rig->sleep, s * 1000000000);
    while (!rig->woke)
        cr_assert(fake_loop_step(rig->loop));
}

static void rig_finish(struct rig *rig)
{
    history_destroy(rig->history);
    fake_loop_turn(rig->loop);
    loop_timer_finish(&rig->sleep);
    fake_loop_destroy(rig->loop);
    if (rig->disk)
        memory_disk_destroy(rig->disk);
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
    settle(rig);
    cr_assert_eq(rig->gcs.done, 1);
    cr_assert_eq(rig->gcs.done_peer, 3);
    for (unsigned i = 0; i < rig->gcs.count; i++) {
        const struct gcs_message *message = &rig->gcs.messages[i];
        cr_assert_eq(rig->gcs.indices[i], from + i);
        cr_assert_eq(message->ts, 10 * (from + i));
        cr_assert(!message->payload || rig->gcs.numbers[i] == from + i);
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

/* As the group does: again and again, from where the last one ended; the hash the first time. */
static uint64_t fetch_all(struct rig *rig, uint64_t from, uint64_t newest)
{
    uint64_t next = from;
    while (next <= newest) {
        unsigned came = fetched(rig, next, 20 * PLAIN_BYTES, next == from ? from - 1 : UINT64_MAX);
        if (!rig->gcs.found)
            break;
        cr_assert_gt(came, 0);
        next += came;
    }
    return next - from;
}

/* It grows where it has wrapped round. */
Test(history, goes_to_disk_during_a_snapshot)
{
    struct rig *rig = rig_make_on_disk(64 << 10, 16 << 20, 1);
    add_range(rig, 1, 3000);
    uint64_t first = oldest(rig, 3000);
    cr_assert_gt(first, 1000);
    sleep_s(rig, 31);
    history_hold(rig->history, true);
    add_range(rig, 3001, 8000);
    add(rig, 8001, NULL);
    add_range(rig, 8002, 9000);
    for (uint64_t from = first; from < 9000; from += 777)
        cr_assert_eq(fetch_all(rig, from, 9000), 9001 - from, "from %llu",
                     (unsigned long long)from);
    expect(rig, first - 1, first - 2, -1);
    expect(rig, first, first - 2, -1); /* another way */
    expect(rig, first + 1, first + 7, -1);
    cr_assert_not(history_reaches(rig->history, first - 2));
    cr_assert(history_reaches(rig->history, first - 1));
    rig_finish(rig);
}

Test(history, on_disk_stays_for_one_that_fetches_and_goes_afterwards)
{
    struct rig *rig = rig_make_on_disk(64 << 10, 16 << 20, 1);
    add_range(rig, 1, 100);
    history_hold(rig->history, true);
    add_range(rig, 101, 3000);
    history_hold(rig->history, false);
    uint64_t next = 2;
    for (unsigned i = 0; i < 10; i++) { /* slow, and nobody sends anything any more */
        next += fetched(rig, next, 20 * PLAIN_BYTES, UINT64_MAX);
        cr_assert(rig->gcs.found, "at %llu", (unsigned long long)next);
        sleep_s(rig, 20);
        add_range(rig, 3001 + 10 * i, 3010 + 10 * i);
    }
    cr_assert_lt(next, 2000);
    sleep_s(rig, 31);
    add_range(rig, 3101, 3101);
    expect(rig, next, UINT64_MAX, -1);
    uint64_t first = oldest(rig, 3101);
    cr_assert_gt(first, 2000);
    sleep_s(rig, 31);
    history_hold(rig->history, true); /* again: what is there now has nothing of the first time */
    add_range(rig, 3102, 5000);
    cr_assert_eq(oldest(rig, 5000), first);
    rig_finish(rig);
}

Test(history, on_disk_is_bounded)
{
    struct rig *rig = rig_make_on_disk(16 << 10, 512 << 10, 1);
    history_hold(rig->history, true);
    for (uint64_t index = 1; index < 20000; index += 500) {
        add_range(rig, index, index + 499);
        settle(rig);
    }
    uint64_t first = oldest(rig, 20000), bytes = 0;
    cr_assert_geq((20001 - first) * PLAIN_BYTES, 200 << 10);
    cr_assert_leq((20001 - first) * PLAIN_BYTES, 528 << 10);
    cr_assert_eq(fetch_all(rig, first + 1, 20000), 20000 - first);
    for (uint64_t lsn = 1; lsn <= 20000; lsn++) {
        char name[64];
        size_t size;
        snprintf(name, sizeof name, "joiners.log.%016llx", (unsigned long long)lsn);
        bytes += memory_disk_content(rig->disk, name, &size) ? size : 0;
    }
    cr_assert_gt(bytes, 200 << 10);
    cr_assert_lt(bytes, 600 << 10);
    rig_finish(rig);
}

/* What is on its way to the disk is waited for. */
Test(history, gives_what_is_being_written)
{
    struct rig *rig = rig_make_on_disk(16 << 10, 1 << 20, 1);
    history_hold(rig->history, true);
    add_range(rig, 1, 1000);
    fetch(rig, 3, 5, ENOUGH, 4);
    cr_assert_eq(rig->gcs.done, 0);
    settle(rig);
    cr_assert_eq(rig->gcs.done, 1);
    cr_assert(rig->gcs.found);
    cr_assert_eq(rig->gcs.indices[0], 5);
    rig_finish(rig);
}

Test(history, lives_on_when_its_disk_fails)
{
    struct rig *rig = rig_make_on_disk(16 << 10, 1 << 20, 1);
    history_hold(rig->history, true);
    add_range(rig, 1, 500);
    settle(rig);
    expect(rig, 2, 1, (int)fetched(rig, 2, ENOUGH, 1));
    memory_disk_fail_at(rig->disk, 1);
    add_range(rig, 501, 1000);
    fetch(rig, 3, 450, ENOUGH, 449); /* it waits for the write that fails */
    rig->gcs.done = 0;
    settle(rig);
    cr_assert_eq(rig->gcs.done, 1);
    cr_assert_not(rig->gcs.found);
    add_range(rig, 1001, 1500);
    uint64_t first = oldest(rig, 1500);
    cr_assert_gt(first, 1300);
    expect(rig, first + 1, first, (int)(1500 - first));
    rig_finish(rig);
}

Test(history, lives_without_a_disk_that_it_cannot_have)
{
    struct rig *rig = rig_make_on_disk(16 << 10, 1 << 20, 1);
    history_destroy(rig->history);
    memory_disk_fail_at(rig->disk, 1);
    open_history(rig);
    history_hold(rig->history, true);
    add_range(rig, 1, 1000);
    settle(rig);
    uint64_t first = oldest(rig, 1000);
    cr_assert_gt(first, 800);
    expect(rig, first + 1, first, (int)(1000 - first));
    rig_finish(rig);
}

Test(history, on_disk_means_nothing_to_the_next_life)
{
    struct rig *rig = rig_make_on_disk(16 << 10, 1 << 20, 1);
    history_hold(rig->history, true);
    add_range(rig, 1, 1000);
    settle(rig);
    history_destroy(rig->history);
    memory_disk_cut(rig->disk);
    open_history(rig);
    history_hold(rig->history, true);
    expect(rig, 500, 499, -1);
    history_start_after(rig->history, 1000, hash_of(1000));
    cr_assert(history_reaches(rig->history, 1000));
    cr_assert_not(history_reaches(rig->history, 999));
    expect(rig, 1001, 1000, 0);
    expect(rig, 1001, 999, -1);
    add_range(rig, 1001, 2000);
    expect(rig, 1001, 1000, (int)fetched(rig, 1001, ENOUGH, UINT64_MAX));
    cr_assert_eq(fetch_all(rig, 1001, 2000), 1000);
    rig_finish(rig);
}

/* Anything in any order: what was there when the hold began, or came later, is found, and right. */
Test(history, by_chance)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct rig *rig = rig_make_on_disk(8 << 10, 64 << 20, seed);
        struct prng *prng = &rig->prng;
        uint64_t newest = 100, held = 0;
        add_range(rig, 1, newest);
        for (unsigned step = 0; step < 300; step++) {
            switch (prng_below(prng, held ? 5 : 4)) {
            case 0:
                add_range(rig, newest + 1, newest + 60);
                newest += 60;
                break;
            case 1:
                fake_loop_step(rig->loop);
                break;
            case 2:
                sleep_s(rig, prng_below(prng, 40));
                break;
            case 3:
                if (held || prng_below(prng, 4) == 0) {
                    held = held && prng_below(prng, 10) == 0 ? 0 : held ? held : newest;
                    history_hold(rig->history, held > 0);
                }
                break;
            default: {
                uint64_t from = held + 1 + prng_below(prng, newest - held + 1);
                unsigned came = fetched(rig, from, ENOUGH, from - 1);
                cr_assert(rig->gcs.found, "seed %llu: from %llu, held since %llu of %llu",
                          (unsigned long long)seed, (unsigned long long)from,
                          (unsigned long long)held, (unsigned long long)newest);
                cr_assert(came > 0 || from > newest);
                fetched(rig, from, ENOUGH, from);
                cr_assert_not(rig->gcs.found);
            }
            }
        }
        rig_finish(rig);
    }
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
