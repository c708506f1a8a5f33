/* Does the check find lies? Histories of a group that tells the truth pass; with one answer changed
 * they don't. */
#include "tests/cluster/load.h"
#include "base/prng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSIONS = 6, INDICES = 400, OPS_MAX = SESSIONS * INDICES, INLINE_BYTES_MAX = 64 };

/* The group that tells the truth. */
struct group {
    uint64_t names[LOAD_PLACES];
    struct {
        bool alive, held;
        uint32_t holder;
        int64_t tag;
        uint64_t size;
    } inodes[OPS_MAX + 2]; /* from 2 on */
    uint64_t inode_last;
    int64_t time;
};

static struct group group;
static struct load_log logs[SESSIONS], *log_list[SESSIONS];
static uint64_t releases[SESSIONS]; /* what a session has to let go of next */

static void show(struct load_op *op, uint64_t ino, bool write)
{
    op->ino = ino;
    op->tag = group.inodes[ino].tag;
    op->size = group.inodes[ino].size;
    op->ctime = write ? group.time : 0;
}

static void remove_name(struct load_op *op, unsigned session, uint8_t place)
{
    uint64_t ino = group.names[place];
    group.names[place] = 0;
    if (!ino)
        return;
    group.inodes[ino].held = true;
    op->value = releases[session] = ino;
}

static void do_rename(struct load_op *op, unsigned session)
{
    uint64_t from = group.names[op->place], to = group.names[op->place2];
    bool exchange = op->flags & PROTO_RENAME_EXCHANGE;
    if (!from || (exchange && !to)) {
        op->status = PROTO_NOENT;
    } else if (to && op->flags & PROTO_RENAME_NOREPLACE) {
        op->status = PROTO_EXIST;
    } else {
        if (!exchange)
            remove_name(op, session, op->place2);
        group.names[op->place] = exchange ? to : 0;
        group.names[op->place2] = from;
    }
}

static void do_inode(struct load_op *op, unsigned session)
{
    uint64_t ino = op->ino;
    if (op->kind == LOAD_RELEASE) {
        group.inodes[ino].alive = group.inodes[ino].held = false;
        return;
    }
    if (!group.inodes[ino].alive) {
        op->status = PROTO_STALE;
        return;
    }
    if (op->kind == LOAD_APPEND) {
        if (group.inodes[ino].size + 8 > INLINE_BYTES_MAX) {
            op->status = PROTO_FBIG;
            return;
        }
        op->value = group.inodes[ino].size;
        group.inodes[ino].size += 8;
        group.inodes[ino].tag = group.time;
    } else if (op->kind == LOAD_SETATTR) {
        group.inodes[ino].tag = (int64_t)op->word;
    }
    show(op, ino, op->kind != LOAD_GETATTR);
}

static void answer(struct load_op *op, unsigned session)
{
    uint64_t ino = group.names[op->place];
    group.time++;
    op->status = PROTO_OK;
    switch ((enum load_kind)op->kind) {
    case LOAD_CREATE:
        op->status = ino ? PROTO_EXIST : PROTO_OK;
        if (ino)
            return;
        ino = group.names[op->place] = ++group.inode_last;
        group.inodes[ino].alive = true;
        group.inodes[ino].tag = group.time;
        show(op, ino, true);
        return;
    case LOAD_UNLINK:
        op->status = ino ? PROTO_OK : PROTO_NOENT;
        remove_name(op, session, op->place);
        return;
    case LOAD_RENAME:
        do_rename(op, session);
        return;
    case LOAD_LOOKUP:
        op->status = ino ? PROTO_OK : PROTO_NOENT;
        if (ino)
            show(op, ino, false);
        return;
    case LOAD_LIST:
        for (unsigned i = 0; i < LOAD_NAMES; i++)
            op->listed[i] = group.names[op->place * LOAD_NAMES + i];
        return;
    default:
        do_inode(op, session);
    }
}

static void choose(struct prng *prng, unsigned session, struct load_op *op)
{
    static const uint32_t flags[3] = {0, PROTO_RENAME_NOREPLACE, PROTO_RENAME_EXCHANGE};
    op->kind = (uint8_t)prng_below(prng, LOAD_KINDS);
    op->place = (uint8_t)prng_below(prng, op->kind == LOAD_LIST ? LOAD_DIRECTORIES : LOAD_PLACES);
    op->place2 = (uint8_t)((op->place + 1u) % LOAD_PLACES);
    op->flags = op->kind == LOAD_RENAME ? flags[prng_below(prng, 3)] : 0;
    if (op->kind == LOAD_RELEASE || (op->kind > LOAD_RENAME && group.inode_last < 2))
        op->kind = LOAD_CREATE;
    if (op->kind == LOAD_SETATTR || op->kind == LOAD_APPEND || op->kind == LOAD_GETATTR)
        op->ino = 2 + prng_below(prng, group.inode_last - 1);
    op->word = (uint64_t)session << 32 | op->index;
    if (releases[session]) {
        op->kind = LOAD_RELEASE;
        op->ino = releases[session];
        releases[session] = 0;
    }
}

/* At every index some sessions write, in an order that their answers don't show, then some read. */
static void make_history(struct prng *prng)
{
    memset(&group, 0, sizeof group);
    memset(releases, 0, sizeof releases);
    group.inode_last = 1;
    group.time = 1000;
    for (unsigned s = 0; s < SESSIONS; s++) {
        logs[s].count = 0;
        log_list[s] = &logs[s];
    }
    for (uint64_t index = 1; index <= INDICES; index++)
        for (unsigned pass = 0; pass < 2; pass++)
            for (unsigned n = 0, first = (unsigned)prng_below(prng, SESSIONS); n < SESSIONS; n++) {
                unsigned s = (first + n) % SESSIONS;
                struct load_op op = {.index = index, .epoch = 1 + index / 100, .after = index - 1};
                choose(prng, s, &op);
                if (load_is_write(op.kind) != (pass == 0)) {
                    releases[s] = op.kind == LOAD_RELEASE ? op.ino : 0;
                    continue;
                }
                if (logs[s].count && logs[s].ops[logs[s].count - 1].index == index)
                    op.after = index; /* it writes, then reads */
                answer(&op, s);
                logs[s].ops[logs[s].count++] = op;
            }
}

static int check(void)
{
    uint64_t steps;
    return load_check(log_list, SESSIONS, INLINE_BYTES_MAX, &steps);
}

/* --- lies: each changes an operation where it can; false where it can't --- */

static bool lie_created_twice(struct load_op *op)
{
    return op->kind == LOAD_CREATE && op->status == PROTO_EXIST &&
           ((op->status = PROTO_OK), (op->ino = group.inode_last + 7), (op->ctime = 0), true);
}

static bool lie_create_lost(struct load_op *op)
{
    return op->kind == LOAD_CREATE && op->status == PROTO_OK &&
           ((op->status = PROTO_EXIST), (op->ino = 0), (op->ctime = 0), true);
}

static bool lie_other_inode_removed(struct load_op *op)
{
    return op->kind == LOAD_UNLINK && op->status == PROTO_OK && ++op->value;
}

static bool lie_rename_not_done(struct load_op *op)
{
    return op->kind == LOAD_RENAME && op->status == PROTO_OK && !op->value &&
           ((op->status = PROTO_NOENT), true);
}

static bool lie_append_twice(struct load_op *op)
{
    return op->kind == LOAD_APPEND && op->status == PROTO_OK && (op->value += 8);
}

static bool lie_old_mtime(struct load_op *op)
{
    return op->kind == LOAD_LOOKUP && op->status == PROTO_OK && --op->tag;
}

static bool lie_size(struct load_op *op)
{
    return op->kind == LOAD_GETATTR && op->status == PROTO_OK && (op->size += 8);
}

static bool lie_name_hidden(struct load_op *op)
{
    return op->kind == LOAD_LIST && op->listed[1] && !(op->listed[1] = 0);
}

static bool lie_removed_is_there(struct load_op *op)
{
    return op->kind == LOAD_LOOKUP && op->status == PROTO_NOENT &&
           ((op->status = PROTO_OK), (op->ino = 2), true);
}

static bool lie_index_back(struct load_op *op)
{
    return load_is_write(op->kind) && op->index > 5 && ((op->index -= 1), true);
}

static bool lie_epoch_back(struct load_op *op)
{
    return op->epoch > 2 && op->epoch--;
}

static bool lie_time(struct load_op *op)
{
    return op->ctime > 1200 && (op->ctime -= 150);
}

static const struct {
    const char *name;
    bool (*tell)(struct load_op *op);
} lies[] = {
    {"a name made twice", lie_created_twice},
    {"a create that is lost", lie_create_lost},
    {"another inode removed", lie_other_inode_removed},
    {"a rename that is denied", lie_rename_not_done},
    {"an append done twice", lie_append_twice},
    {"an old mtime", lie_old_mtime},
    {"a wrong size", lie_size},
    {"a name hidden", lie_name_hidden},
    {"a removed name is shown", lie_removed_is_there},
    {"an index that goes back", lie_index_back},
    {"an epoch that goes back", lie_epoch_back},
    {"times out of order", lie_time},
};

/* Somewhere in the second half of a history. */
static bool tell(struct prng *prng, unsigned lie)
{
    for (unsigned n = 0, first = (unsigned)prng_below(prng, SESSIONS); n < SESSIONS; n++) {
        struct load_log *log = &logs[(first + n) % SESSIONS];
        for (size_t i = log->count / 2 + prng_below(prng, log->count / 4); i < log->count; i++)
            if (lies[lie].tell(&log->ops[i]))
                return true;
    }
    return false;
}

int main(void)
{
    struct prng prng;
    unsigned told = 0, believed = 0;
    prng_init(&prng, 1);
    for (unsigned s = 0; s < SESSIONS; s++)
        MUST((logs[s].ops = calloc(OPS_MAX, sizeof *logs[s].ops)));
    for (unsigned round = 0; round < 5; round++) {
        make_history(&prng);
        if (check()) {
            puts("the truth is not believed");
            return 1;
        }
        for (unsigned lie = 0; lie < sizeof lies / sizeof lies[0]; lie++) {
            make_history(&prng);
            MUST(tell(&prng, lie));
            told++;
            if (check())
                continue;
            printf("believed: %s\n", lies[lie].name);
            believed++;
        }
    }
    for (unsigned s = 0; s < SESSIONS; s++)
        free(logs[s].ops);
    printf("%u lies told, %u believed\n", told, believed);
    return believed ? 1 : 0;
}
