/* Random operations on one file through two mounts: alternating, against a model in memory; and at
 * the same time, from two threads, where all that was written and flushed has to be there. */
#include "data_rig.h"

#include <criterion/criterion.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 40000, WRITE_MAX = 9000, STEPS = 400, SEEDS = 12 };

static struct rig rig;

static void init(void)
{
    rig_init(&rig, RIG_TARGETS);
}
static void finish(void)
{
    rig_finish(&rig);
}
TestSuite(data_random, .init = init, .fini = finish);

/* --- alternating --- */

struct play {
    struct prng prng;
    uint64_t ino;
    struct data_inode *files[RIG_MOUNTS];
    unsigned turn; /* whose mount; only this one may have anything pending */
    uint8_t model[FILE_MAX + WRITE_MAX];
    uint64_t size;
};

static void model_put(struct play *play, const uint8_t *from, uint64_t offset, uint64_t bytes)
{
    if (from)
        memcpy(play->model + offset, from, bytes);
    else
        memset(play->model + offset, 0, bytes);
    if (offset + bytes > play->size)
        play->size = offset + bytes;
}

/* Small offsets and sizes are as likely as large ones, so that inline files are played too. */
static uint64_t draw(struct play *play, uint64_t limit)
{
    return prng_below(&play->prng, 1 + prng_below(&play->prng, limit));
}

static void play_write(struct play *play, bool append)
{
    uint8_t bytes[WRITE_MAX];
    uint64_t count = 1 + draw(play, WRITE_MAX - 1), offset = draw(play, FILE_MAX);
    struct data_inode *file = play->files[play->turn];
    if (append)
        offset = play->size;
    if (offset + count > FILE_MAX)
        return;
    rig_fill(bytes, count, (uint32_t)prng_next(&play->prng));
    cr_assert_eq(data_write(file, NULL, bytes, count, append ? 0 : offset, append), (ssize_t)count);
    model_put(play, bytes, offset, count);
}

static void play_truncate(struct play *play)
{
    uint64_t size = draw(play, FILE_MAX);
    cr_assert_eq(rig_truncate(&rig.mounts[play->turn], play->ino, size), PROTO_OK);
    if (size > play->size)
        memset(play->model + play->size, 0, size - play->size);
    else
        memset(play->model + size, 0, play->size - size);
    play->size = size;
}

static void play_allocate(struct play *play)
{
    static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
                                FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE};
    int mode = modes[prng_below(&play->prng, 5)];
    uint64_t offset = draw(play, FILE_MAX - WRITE_MAX), count = 1 + draw(play, WRITE_MAX - 1);
    uint64_t before = play->size, end = offset + count;
    cr_assert_eq(data_allocate(play->files[play->turn], NULL, mode, offset, count), 0);
    if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        memset(play->model + offset, 0, count);
    if (!(mode & FALLOC_FL_KEEP_SIZE) && end > before)
        play->size = end;
}

static void play_switch(struct play *play)
{
    rig_flush(play->files[play->turn]);
    play->turn = (unsigned)prng_below(&play->prng, RIG_MOUNTS);
    rig_stat(&rig.mounts[play->turn], play->ino);
}

static void play_reopen(struct play *play)
{
    rig_close(play->files[play->turn]);
    play->files[play->turn] = rig_open(&rig.mounts[play->turn], play->ino);
}

static void play_step(struct play *play)
{
    switch (prng_below(&play->prng, 12)) {
    case 0:
        play_truncate(play);
        break;
    case 1:
        play_allocate(play);
        break;
    case 2:
    case 3:
        play_switch(play);
        break;
    case 4:
        play_reopen(play);
        break;
    case 5:
        cr_assert_eq(data_fsync(play->files[play->turn], NULL), 0);
        break;
    case 6:
        play_write(play, true);
        break;
    case 7:
        rig_expect(&rig.mounts[play->turn], play->files[play->turn], play->ino, play->model,
                   play->size);
        break;
    default:
        play_write(play, false);
    }
}

static void play(uint32_t seed)
{
    static struct play game;
    char name[16];
    memset(&game, 0, sizeof game);
    prng_init(&game.prng, seed);
    snprintf(name, sizeof name, "f%u", seed);
    game.ino = rig_create(&rig.mounts[0], name);
    for (unsigned i = 0; i < RIG_MOUNTS; i++)
        game.files[i] = rig_open(&rig.mounts[i], game.ino);
    for (unsigned i = 0; i < STEPS; i++)
        play_step(&game);
    rig_flush(game.files[game.turn]);
    for (unsigned i = 0; i < RIG_MOUNTS; i++) {
        rig_expect(&rig.mounts[i], game.files[i], game.ino, game.model, game.size);
        rig_close(game.files[i]);
    }
}

Test(data_random, alternating)
{
    for (uint32_t seed = 1; seed <= SEEDS; seed++)
        play(seed);
}

/* --- at the same time --- */

enum { RECORD = 700, RECORDS = 60 };

struct writer_thread {
    pthread_t thread;
    struct rig_mount *mount;
    uint64_t ino;
    unsigned index; /* writes records whose number is this modulo RIG_MOUNTS */
    bool append;
};

static void *write_records(void *user)
{
    struct writer_thread *me = user;
    struct data_inode *file = rig_open(me->mount, me->ino);
    uint8_t record[RECORD];
    for (unsigned i = me->index; i < RECORDS; i += RIG_MOUNTS) {
        memset(record, (int)i + 1, sizeof record);
        ssize_t n = data_write(file, NULL, record, RECORD, (uint64_t)i * RECORD, me->append);
        cr_assert_eq(n, RECORD);
        if (i % 3 == 0)
            rig_flush(file);
    }
    rig_close(file);
    return NULL;
}

static uint64_t run_writers(const char *name, bool append)
{
    struct writer_thread threads[RIG_MOUNTS];
    uint64_t ino = rig_create(&rig.mounts[0], name);
    for (unsigned i = 0; i < RIG_MOUNTS; i++) {
        threads[i] = (struct writer_thread){
            .mount = &rig.mounts[i], .ino = ino, .index = i, .append = append};
        cr_assert_eq(pthread_create(&threads[i].thread, NULL, write_records, &threads[i]), 0);
    }
    for (unsigned i = 0; i < RIG_MOUNTS; i++)
        pthread_join(threads[i].thread, NULL);
    return ino;
}

Test(data_random, two_writers_of_one_growing_file)
{
    static uint8_t want[RECORD * RECORDS];
    for (unsigned i = 0; i < RECORDS; i++)
        memset(want + i * RECORD, (int)i + 1, RECORD);
    for (unsigned round = 0; round < 30; round++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", round);
        uint64_t ino = run_writers(name, false);
        struct data_inode *file = rig_open(&rig.mounts[0], ino);
        rig_expect(&rig.mounts[0], file, ino, want, sizeof want);
        rig_close(file);
    }
}

Test(data_random, two_appenders)
{
    for (unsigned round = 0; round < 30; round++) {
        static uint8_t have[RECORD * RECORDS + 1];
        unsigned seen[RECORDS + 1] = {0};
        char name[16];
        snprintf(name, sizeof name, "f%u", round);
        uint64_t ino = run_writers(name, true);
        struct data_inode *file = rig_open(&rig.mounts[0], ino);
        cr_assert_eq(data_read(file, NULL, have, sizeof have, 0), RECORD * RECORDS);
        for (unsigned i = 0; i < RECORDS; i++) {
            uint8_t first = have[i * RECORD];
            cr_assert(first >= 1 && first <= RECORDS && !seen[first]++, "record %u", i);
            for (unsigned j = 0; j < RECORD; j++)
                cr_assert_eq(have[i * RECORD + j], first, "records overlap");
        }
        rig_close(file);
    }
}
