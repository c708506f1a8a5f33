/* Is there one order that explains all answers? A search in the manner of Wing and Gong (1993) and
 * Lowe (2017), made short by what the answers say of their place.
 *
 * Place: the order's message i is 2 i, the state after it 2 i + 1. A write happened at its answer's
 * index, or, where it was sent again, perhaps before it (proto.h), but behind the greatest index
 * that any answer had shown when it was asked. Nobody can see whether a write was sent again; that
 * takes time, so first only slow ones are taken for such, then more of them, then all. A read shows
 * the state of its index, and nothing touches what it read between that and the greatest index of
 * any answer when it was asked: so it is looked at there. Answers of writes that show a ctime
 * happened in the order of their ctimes: the group gives each time out once, ascending.
 *
 * A state from which no order goes on is remembered, so none is tried twice. */
#include "tests/cluster/load.h"
#include "base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_BYTES = 160 };

/* One operation of the order that is being tried. */
struct frame {
    uint64_t tried; /* logs whose next operation was tried here, as bits */
    uint8_t log;    /* whose operation was taken */
    size_t mark;    /* of the model, before it */
};

struct check {
    struct load_log *const *logs;
    size_t log_count, op_count;
    size_t next[LOAD_LOGS_MAX];
    uint64_t next_hash; /* of `next` */
    uint32_t time_next;
    struct model model;
    uint64_t *inos;
    size_t inode_count;
    struct frame *frames;
    size_t depth, deepest;
    size_t deepest_next[LOAD_LOGS_MAX]; /* of the first dead end at that depth */
    char deepest_why[LOAD_LOGS_MAX][WHY_BYTES];
    uint64_t *dead; /* hash table of states that lead nowhere; 0: free */
    size_t dead_count, dead_slots;
    uint64_t again_after_ns; /* a write that took so long may have been sent again */
    uint64_t steps, steps_max;
};

/* --- what can be said of each answer by itself --- */

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int compare_ctime(const void *a, const void *b)
{
    int64_t x = (*(struct load_op *const *)a)->ctime, y = (*(struct load_op *const *)b)->ctime;
    return (x > y) - (x < y);
}

static int compare_index(const void *a, const void *b)
{
    uint64_t x = (*(struct load_op *const *)a)->index, y = (*(struct load_op *const *)b)->index;
    return (x > y) - (x < y);
}

static void describe(const struct load_log *log, const struct load_op *op)
{
    fprintf(stderr, "%s: %s", log->name, load_kind_names[op->kind]);
    if (op->kind == LOAD_LIST)
        fprintf(stderr, " d%u", op->place);
    else if (op->kind == LOAD_SETATTR || op->kind == LOAD_APPEND || op->kind == LOAD_RELEASE ||
             op->kind == LOAD_GETATTR)
        fprintf(stderr, " inode %llu", (unsigned long long)op->ino);
    else
        fprintf(stderr, " d%u/n%u", op->place / LOAD_NAMES, op->place % LOAD_NAMES);
    if (op->kind == LOAD_RENAME)
        fprintf(stderr, " to d%u/n%u flags %u", op->place2 / LOAD_NAMES, op->place2 % LOAD_NAMES,
                op->flags);
    fprintf(stderr, " -> %s", proto_status_name(op->status));
    if (op->status == PROTO_OK && (op->kind == LOAD_CREATE || op->kind == LOAD_LOOKUP))
        fprintf(stderr, " inode %llu", (unsigned long long)op->ino);
    fprintf(stderr, " (epoch %llu index %llu, asked after index %llu)",
            (unsigned long long)op->epoch, (unsigned long long)op->index,
            (unsigned long long)op->after);
}

static int wrong(const struct load_log *log, const struct load_op *op, const char *why)
{
    fprintf(stderr, "load: FAILED: ");
    describe(log, op);
    fprintf(stderr, ": %s\n", why);
    return -1;
}

/* A write comes behind what was answered to anybody before it was asked; a session's epochs don't
 * go back. */
static int check_indices(const struct check *check)
{
    for (size_t l = 0; l < check->log_count; l++)
        for (size_t i = 0; i < check->logs[l]->count; i++) {
            const struct load_op *op = &check->logs[l]->ops[i];
            if (load_is_write(op->kind) && op->index <= op->after)
                return wrong(check->logs[l], op, "a write at an index that was answered before");
            if (load_is_write(op->kind) && i > 0 && op->epoch < op[-1].epoch)
                return wrong(check->logs[l], op, "the epoch goes back");
        }
    return 0;
}

/* All operations, in an array of its own. */
static struct load_op **gather(const struct check *check, bool (*take)(const struct load_op *),
                               size_t *ret_count)
{
    struct load_op **all = malloc((check->op_count + 1) * sizeof *all);
    MUST(all);
    *ret_count = 0;
    for (size_t l = 0; l < check->log_count; l++)
        for (size_t i = 0; i < check->logs[l]->count; i++)
            if (take(&check->logs[l]->ops[i]))
                all[(*ret_count)++] = &check->logs[l]->ops[i];
    return all;
}

static bool take_all(const struct load_op *op)
{
    return true;
}

static bool take_timed(const struct load_op *op)
{
    return op->ctime != 0;
}

/* An index is of one epoch, and later ones of later epochs. */
static int check_epochs(const struct check *check)
{
    size_t count;
    int code = 0;
    struct load_op **all = gather(check, take_all, &count);
    qsort(all, count, sizeof *all, compare_index);
    for (size_t i = 1; code == 0 && i < count; i++)
        if (all[i]->epoch < all[i - 1]->epoch) {
            fprintf(stderr, "load: FAILED: index %llu is of epoch %llu, index %llu of epoch %llu\n",
                    (unsigned long long)all[i - 1]->index, (unsigned long long)all[i - 1]->epoch,
                    (unsigned long long)all[i]->index, (unsigned long long)all[i]->epoch);
            code = -1;
        }
    free(all);
    return code;
}

/* Each time is given out once. */
static int rank_times(struct check *check)
{
    size_t count;
    int code = 0;
    struct load_op **timed = gather(check, take_timed, &count);
    for (size_t l = 0; l < check->log_count; l++)
        for (size_t i = 0; i < check->logs[l]->count; i++)
            check->logs[l]->ops[i].time_rank = UINT32_MAX;
    qsort(timed, count, sizeof *timed, compare_ctime);
    for (size_t i = 0; code == 0 && i < count; i++) {
        timed[i]->time_rank = (uint32_t)i;
        if (i > 0 && timed[i]->ctime == timed[i - 1]->ctime) {
            fprintf(stderr, "load: FAILED: two writes at one time, indices %llu and %llu\n",
                    (unsigned long long)timed[i - 1]->index, (unsigned long long)timed[i]->index);
            code = -1;
        }
    }
    free(timed);
    return code;
}

static void collect_inodes(struct check *check)
{
    check->inos = malloc((check->op_count + 1) * sizeof *check->inos);
    MUST(check->inos);
    for (size_t l = 0; l < check->log_count; l++)
        for (size_t i = 0; i < check->logs[l]->count; i++) {
            const struct load_op *op = &check->logs[l]->ops[i];
            if (op->kind == LOAD_CREATE && op->status == PROTO_OK)
                check->inos[check->inode_count++] = op->ino;
        }
    qsort(check->inos, check->inode_count, sizeof *check->inos, compare_u64);
}

static int number_inodes(struct check *check)
{
    for (size_t i = 1; i < check->inode_count; i++)
        if (check->inos[i] == check->inos[i - 1]) {
            fprintf(stderr, "load: FAILED: two creates made inode %llu\n",
                    (unsigned long long)check->inos[i]);
            return -1;
        }
    for (size_t l = 0; l < check->log_count; l++)
        for (size_t i = 0; i < check->logs[l]->count; i++) {
            struct load_op *op = &check->logs[l]->ops[i];
            const uint64_t *at = bsearch(&op->ino, check->inos, check->inode_count,
                                         sizeof *check->inos, compare_u64);
            op->inode = at ? (uint32_t)(at - check->inos) : UINT32_MAX;
            if (!at && op->ino)
                return wrong(check->logs[l], op, "an inode that nobody made");
        }
    return 0;
}

/* --- the search --- */

static uint64_t place_last(const struct load_op *op)
{
    if (load_is_write(op->kind))
        return 2 * op->index;
    return 2 * (op->index > op->after ? op->index : op->after) + 1;
}

static uint64_t place_first(const struct check *check, const struct load_op *op)
{
    if (load_is_write(op->kind) && op->wait_ns >= check->again_after_ns)
        return 2 * (op->after + 1);
    return place_last(op);
}

static const struct load_op *next_of(const struct check *check, size_t log)
{
    size_t next = check->next[log];
    return next < check->logs[log]->count ? &check->logs[log]->ops[next] : NULL;
}

/* The log whose next operation is to be tried: of those that may come now and were not tried here,
 * the one with the lowest index. -1: none. */
static int choose(const struct check *check, uint64_t tried)
{
    uint64_t limit = UINT64_MAX, best_last = UINT64_MAX;
    uint32_t best_rank = UINT32_MAX;
    int best = -1;
    for (size_t l = 0; l < check->log_count; l++) {
        const struct load_op *op = next_of(check, l);
        if (op && place_last(op) < limit)
            limit = place_last(op);
    }
    for (size_t l = 0; l < check->log_count; l++) {
        const struct load_op *op = next_of(check, l);
        if (!op || tried >> l & 1 || place_first(check, op) > limit ||
            (op->time_rank != UINT32_MAX && op->time_rank != check->time_next))
            continue;
        if (best >= 0 && (place_last(op) > best_last ||
                          (place_last(op) == best_last && op->time_rank >= best_rank)))
            continue;
        best = (int)l;
        best_last = place_last(op);
        best_rank = op->time_rank;
    }
    return best;
}

static uint64_t cursor_hash(size_t log, size_t next)
{
    const uint64_t words[2] = {log, next};
    return hash64(words, sizeof words);
}

static void move_cursor(struct check *check, size_t log, int by)
{
    check->next_hash ^= cursor_hash(log, check->next[log]);
    check->next[log] += (size_t)by;
    check->next_hash ^= cursor_hash(log, check->next[log]);
}

static uint64_t state_hash(const struct check *check)
{
    const uint64_t words[2] = {check->next_hash, check->model.hash};
    return hash64(words, sizeof words) | 1;
}

static bool dead_has(const struct check *check, uint64_t hash)
{
    for (size_t i = hash % check->dead_slots; check->dead[i]; i = (i + 1) % check->dead_slots)
        if (check->dead[i] == hash)
            return true;
    return false;
}

static void dead_put(struct check *check, uint64_t hash)
{
    size_t i = hash % check->dead_slots;
    while (check->dead[i])
        i = (i + 1) % check->dead_slots;
    check->dead[i] = hash;
}

static void dead_grow(struct check *check)
{
    uint64_t *old = check->dead;
    size_t old_slots = check->dead_slots;
    check->dead_slots = 2 * old_slots + 65537;
    check->dead = calloc(check->dead_slots, sizeof *check->dead);
    MUST(check->dead);
    for (size_t i = 0; i < old_slots; i++)
        if (old[i])
            dead_put(check, old[i]);
    free(old);
}

static void dead_add(struct check *check)
{
    if (2 * ++check->dead_count > check->dead_slots)
        dead_grow(check);
    dead_put(check, state_hash(check));
}

static void take_back(struct check *check)
{
    struct frame *frame = &check->frames[check->depth];
    move_cursor(check, frame->log, -1);
    check->time_next -= next_of(check, frame->log)->time_rank != UINT32_MAX;
    model_back(&check->model, frame->mark);
}

/* Take the log's next operation if the model agrees and the state is not known to lead nowhere. */
static bool advance(struct check *check, int log)
{
    char why[WHY_BYTES];
    struct frame *frame = &check->frames[check->depth];
    const struct load_op *op = next_of(check, (size_t)log);
    frame->tried |= (uint64_t)1 << log;
    frame->log = (uint8_t)log;
    frame->mark = check->model.undo_count;
    if (!model_apply(&check->model, op, why))
        return false;
    move_cursor(check, (size_t)log, 1);
    check->time_next += op->time_rank != UINT32_MAX;
    if (dead_has(check, state_hash(check))) {
        take_back(check);
        return false;
    }
    check->depth++;
    check->frames[check->depth] = (struct frame){0};
    return true;
}

/* Nothing goes on from here. Where no way came so far: keep why, for the report. */
static void note_dead_end(struct check *check)
{
    if (check->depth < check->deepest || (check->depth == check->deepest && check->depth > 0))
        return;
    check->deepest = check->depth;
    memcpy(check->deepest_next, check->next, sizeof check->next);
    for (size_t l = 0; l < check->log_count; l++) {
        const struct load_op *op = next_of(check, l);
        size_t mark = check->model.undo_count;
        check->deepest_why[l][0] = 0;
        if (op && model_apply(&check->model, op, check->deepest_why[l]))
            model_back(&check->model, mark);
    }
}

/* 0: explained; -1: there is no order; -2: given up. */
static int search(struct check *check)
{
    while (check->depth < check->op_count) {
        int log = choose(check, check->frames[check->depth].tried);
        if (++check->steps > check->steps_max)
            return -2;
        if (log >= 0) {
            (void)advance(check, log);
            continue;
        }
        note_dead_end(check);
        if (check->depth == 0)
            return -1;
        dead_add(check);
        check->depth--;
        take_back(check);
    }
    return 0;
}

/* Say where the search came farthest, and what nothing explains there. */
static void report(const struct check *check)
{
    fprintf(stderr,
            "load: FAILED: no order explains all answers; %zu of %zu are explained, then:\n",
            check->deepest, check->op_count);
    for (size_t l = 0; l < check->log_count; l++) {
        const struct load_op *op = &check->logs[l]->ops[check->deepest_next[l]];
        if (!*check->deepest_why[l])
            continue; /* it may come later, or there is none any more */
        fprintf(stderr, "    ");
        describe(check->logs[l], op);
        fprintf(stderr, ": %s\n", check->deepest_why[l]);
    }
}

/* One search; as search(). */
static int try_order(struct check *check, uint64_t inline_bytes_max)
{
    check->frames = calloc(check->op_count + 1, sizeof *check->frames);
    MUST(check->frames);
    MUST(model_init(&check->model, check->inos, check->inode_count, inline_bytes_max) == 0);
    dead_grow(check);
    for (size_t l = 0; l < check->log_count; l++)
        check->next_hash ^= cursor_hash(l, 0);
    int code = search(check);
    model_finish(&check->model);
    free(check->frames);
    free(check->dead);
    return code;
}

static int check_order(const struct check *checked, uint64_t inline_bytes_max, uint64_t *ret_steps)
{
    static const struct {
        uint64_t again_after_ns, steps_max;
    } tries[] = {{50000000, 10000000}, {5000000, 20000000}, {0, 100000000}};
    static struct check first, check;
    int code = -1;
    for (size_t i = 0; code && i < sizeof tries / sizeof tries[0]; i++) {
        check = *checked;
        check.again_after_ns = tries[i].again_after_ns;
        check.steps_max = tries[i].steps_max;
        code = try_order(&check, inline_bytes_max);
        *ret_steps += check.steps;
        if (i == 0)
            first = check;
    }
    if (code)
        report(&first);
    return code ? -1 : 0;
}

int load_check(struct load_log *const *logs, size_t log_count, uint64_t inline_bytes_max,
               uint64_t *ret_steps)
{
    struct check check = {.logs = logs, .log_count = log_count};
    *ret_steps = 0;
    MUST(log_count <= LOAD_LOGS_MAX);
    for (size_t l = 0; l < log_count; l++)
        check.op_count += logs[l]->count;
    collect_inodes(&check);
    int code = check_indices(&check);
    if (code == 0)
        code = check_epochs(&check);
    if (code == 0)
        code = number_inodes(&check);
    if (code == 0)
        code = rank_times(&check);
    if (code == 0)
        code = check_order(&check, inline_bytes_max, ret_steps);
    free(check.inos);
    return code;
}
