/* Random operations here and in a small model written from what POSIX says about names: same
 * answers, same counts; the records never contradict each other; and a replica whose records are
 * seldom at hand comes to the same state as one that has them all. */
#include "world.h"

#include <criterion/criterion.h>
#include <string.h>

enum { NODES = 600, NAMES = 5, ROUNDS = 2500 };

struct node {
    bool used, directory;
    unsigned nlink; /* names of it; a directory: 2 and its directories */
    int parent;
    int child[NAMES]; /* by name; 0: none */
};

/* Node i of the model is inode i; the root is 1. */
struct model {
    struct node nodes[NODES];
    int next;
};

static const char names[NAMES][2] = {"a", "b", "c", "d", "e"};

static bool is_directory(const struct model *m, int i)
{
    return i > 0 && m->nodes[i].used && m->nodes[i].directory;
}

static enum proto_status parent_status(const struct model *m, int i)
{
    if (i <= 0 || i >= NODES || !m->nodes[i].used)
        return PROTO_STALE;
    return m->nodes[i].directory ? PROTO_OK : PROTO_NOTDIR;
}

static bool is_empty(const struct model *m, int i)
{
    for (int n = 0; n < NAMES; n++)
        if (m->nodes[i].child[n])
            return false;
    return true;
}

static bool is_inside(const struct model *m, int i, int above)
{
    for (; i != above; i = m->nodes[i].parent)
        if (i == 1)
            return false;
    return true;
}

static enum proto_status model_make(struct model *m, int in, int name, bool directory)
{
    enum proto_status status = parent_status(m, in);
    if (status != PROTO_OK)
        return status;
    if (m->nodes[in].child[name])
        return PROTO_EXIST;
    m->nodes[in].child[name] = m->next;
    m->nodes[in].nlink += directory;
    m->nodes[m->next++] = (struct node){
        .used = true, .directory = directory, .nlink = directory ? 2 : 1, .parent = in};
    return PROTO_OK;
}

static void model_unname(struct model *m, int in, int name)
{
    struct node *node = &m->nodes[m->nodes[in].child[name]];
    m->nodes[in].child[name] = 0;
    if (node->directory) {
        m->nodes[in].nlink--;
        node->used = false;
    } else {
        node->used = --node->nlink > 0;
    }
}

static enum proto_status model_remove(struct model *m, int in, int name, bool directory)
{
    enum proto_status status = parent_status(m, in);
    if (status != PROTO_OK)
        return status;
    int i = m->nodes[in].child[name];
    if (!i)
        return PROTO_NOENT;
    if (directory && !m->nodes[i].directory)
        return PROTO_NOTDIR;
    if (!directory && m->nodes[i].directory)
        return PROTO_ISDIR;
    if (directory && !is_empty(m, i))
        return PROTO_NOTEMPTY;
    model_unname(m, in, name);
    return PROTO_OK;
}

static enum proto_status model_link(struct model *m, int i, int in, int name)
{
    if (i <= 0 || i >= NODES || !m->nodes[i].used)
        return PROTO_STALE;
    enum proto_status status = parent_status(m, in);
    if (status != PROTO_OK)
        return status;
    if (m->nodes[in].child[name])
        return PROTO_EXIST;
    if (m->nodes[i].directory)
        return PROTO_PERM;
    m->nodes[i].nlink++;
    m->nodes[in].child[name] = i;
    return PROTO_OK;
}

static void model_place(struct model *m, int i, int from, int to, int name)
{
    m->nodes[to].child[name] = i;
    if (!m->nodes[i].directory)
        return;
    m->nodes[from].nlink--;
    m->nodes[to].nlink++;
    m->nodes[i].parent = to;
}

static enum proto_status model_replace(struct model *m, int from, int name, int to, int name2)
{
    int i = m->nodes[from].child[name], target = m->nodes[to].child[name2];
    if (target && is_directory(m, i) && !is_directory(m, target))
        return PROTO_NOTDIR;
    if (target && !is_directory(m, i) && is_directory(m, target))
        return PROTO_ISDIR;
    if (target && is_directory(m, target) && !is_empty(m, target))
        return PROTO_NOTEMPTY;
    if (target)
        model_unname(m, to, name2);
    m->nodes[from].child[name] = 0;
    model_place(m, i, from, to, name2);
    return PROTO_OK;
}

static enum proto_status model_rename(struct model *m, int from, int name, int to, int name2,
                                      uint32_t flags)
{
    bool exchange = flags & PROTO_RENAME_EXCHANGE;
    enum proto_status status = parent_status(m, from);
    if (status == PROTO_OK)
        status = parent_status(m, to);
    if (status != PROTO_OK)
        return status;
    int i = m->nodes[from].child[name], target = m->nodes[to].child[name2];
    if (!i)
        return PROTO_NOENT;
    if (target && flags & PROTO_RENAME_NOREPLACE)
        return PROTO_EXIST;
    if (!target && exchange)
        return PROTO_NOENT;
    if (from != to && is_directory(m, i) && is_inside(m, to, i))
        return PROTO_INVAL;
    if (from != to && is_directory(m, target) && is_inside(m, from, target))
        return exchange ? PROTO_INVAL : PROTO_NOTEMPTY;
    if (i == target)
        return PROTO_OK;
    if (!exchange)
        return model_replace(m, from, name, to, name2);
    model_place(m, i, from, to, name2);
    model_place(m, target, to, from, name);
    return PROTO_OK;
}

static enum proto_status model_do(struct model *m, const struct proto_op *op, int name, int name2)
{
    int in = (int)op->parent, in2 = (int)op->parent2;
    switch (op->code) {
    case PROTO_MKNOD:
    case PROTO_MKDIR:
        return model_make(m, in, name, op->code == PROTO_MKDIR);
    case PROTO_UNLINK:
    case PROTO_RMDIR:
        return model_remove(m, in, name, op->code == PROTO_RMDIR);
    case PROTO_LINK:
        return model_link(m, (int)op->ino, in2, name2);
    default:
        return model_rename(m, in, name, in2, name2, op->flags);
    }
}

static struct proto_op random_op(struct prng *prng, const struct model *m, int *name, int *name2)
{
    static const enum proto_opcode codes[] = {
        PROTO_MKNOD, PROTO_MKDIR, PROTO_MKDIR,  PROTO_MKDIR,  PROTO_UNLINK, PROTO_RMDIR,
        PROTO_LINK,  PROTO_LINK,  PROTO_RENAME, PROTO_RENAME, PROTO_RENAME, PROTO_RENAME,
    };
    static const uint32_t flags[] = {0, 0, PROTO_RENAME_NOREPLACE, PROTO_RENAME_EXCHANGE};
    int recent = m->next < 40 ? 1 : m->next - 40; /* what still exists is likely among these */
    struct proto_op op = {.code = codes[prng_below(prng, sizeof codes / sizeof codes[0])]};
    *name = (int)prng_below(prng, NAMES);
    *name2 = (int)prng_below(prng, NAMES);
    op.parent = prng_chance(prng, 1, 3) ? 1 : recent + prng_below(prng, 42);
    op.parent2 = prng_chance(prng, 1, 3) ? 1 : recent + prng_below(prng, 42);
    op.ino = recent + prng_below(prng, 42);
    op.name = (struct proto_bytes){(const uint8_t *)names[*name], 1};
    op.name2 = (struct proto_bytes){(const uint8_t *)names[*name2], 1};
    op.mode = op.code == PROTO_MKNOD ? S_IFREG | 0644 : 0755;
    op.flags = op.code == PROTO_RENAME ? flags[prng_below(prng, 4)] : 0;
    return op;
}

static void compare(struct world *w, const struct model *m)
{
    uint64_t live = 0;
    for (int i = 1; i < m->next; i++) {
        struct proto_op op = OP(GETATTR, .ino = (uint64_t)i);
        struct proto_outcome outcome = world_do(w, 0, &op);
        cr_assert_eq(outcome.status, m->nodes[i].used ? PROTO_OK : PROTO_STALE);
        live += m->nodes[i].used;
        if (m->nodes[i].used)
            cr_assert_eq(outcome.attr.nlink, m->nodes[i].nlink, "inode %d", i);
        if (is_directory(m, i)) {
            op = OP(LOOKUP, AT((uint64_t)i, ".."));
            cr_assert_eq(world_do(w, 0, &op).attr.ino, (uint64_t)m->nodes[i].parent);
        }
    }
    cr_assert_eq(w->state.inodes, live);
}

static void run(uint64_t seed, struct world *cold, struct world *warm)
{
    static struct model m;
    struct prng prng;
    unsigned succeeded = 0;
    memset(&m, 0, sizeof m);
    m.nodes[1] = (struct node){.used = true, .directory = true, .nlink = 2, .parent = 1};
    m.next = 2;
    prng_init(&prng, seed);
    for (int round = 0; round < ROUNDS && m.next < NODES; round++) {
        int name, name2;
        struct proto_op op = random_op(&prng, &m, &name, &name2);
        enum proto_status want = model_do(&m, &op, name, name2);
        struct proto_outcome a = world_do(cold, 0, &op), b = world_do(warm, 0, &op);
        cr_assert_eq(a.status, want, "seed %lu round %d %s: %s, not %s", (unsigned long)seed, round,
                     proto_op_info(op.code)->name, proto_status_name(a.status),
                     proto_status_name(want));
        cr_assert_eq(b.status, want);
        cr_assert_eq(memcmp(&cold->state, &warm->state, sizeof cold->state), 0);
        succeeded += want == PROTO_OK;
        if (round % 100 == 0)
            world_check(cold);
    }
    cr_assert_gt(succeeded, ROUNDS / 20, "too few operations did anything");
    world_check(cold);
    compare(cold, &m);
}

Test(nspace_random, names_behave_as_in_the_model)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct world cold, warm;
        world_init(&cold);
        world_init(&warm);
        cold.misses = true;
        run(seed, &cold, &warm);
        cr_assert_gt(cold.missed, ROUNDS / 2);
        world_finish(&cold);
        world_finish(&warm);
    }
}

/* Everything else, for consistency and for the same result with and without misses: data,
 * attributes, xattrs, holding, sizes. */
static struct proto_op random_other(struct prng *prng)
{
    static uint8_t bytes[5000];
    static const char *const attributes[] = {"user.a", "user.bc", "trusted.d"};
    uint64_t ino = 1 + prng_below(prng, 24);
    const char *attribute = attributes[prng_below(prng, 3)];
    struct proto_op op = {.ino = ino, .parent = 1 + prng_below(prng, 3)};
    op.parent2 = 1 + prng_below(prng, 3);
    op.name = op.name2 = (struct proto_bytes){(const uint8_t *)names[prng_below(prng, 5)], 1};
    static const enum proto_opcode codes[] = {
        PROTO_CREATE,   PROTO_CREATE,      PROTO_MKDIR,  PROTO_SYMLINK, PROTO_UNLINK,
        PROTO_RENAME,   PROTO_WRITE,       PROTO_WRITE,  PROTO_SETATTR, PROTO_SETXATTR,
        PROTO_SETXATTR, PROTO_REMOVEXATTR, PROTO_GROW,   PROTO_RESERVE, PROTO_STRIPE,
        PROTO_CUT_DONE, PROTO_RELEASE,     PROTO_PURGED, PROTO_RMDIR,   PROTO_LINK,
    };
    op.code = codes[prng_below(prng, sizeof codes / sizeof codes[0])];
    op.flags = op.code == PROTO_UNLINK || op.code == PROTO_RENAME ? PROTO_UNLINK_HOLD : 0;
    op.flags = op.code == PROTO_CREATE ? PROTO_OPEN_TRUNCATE : op.flags;
    op.mode = op.code == PROTO_CREATE ? S_IFREG | 0644 : 0755;
    op.valid = (uint32_t)prng_below(prng, 2 * PROTO_SET_KILL_SUID);
    op.size = prng_below(prng, 6000);
    op.offset = prng_below(prng, 3000);
    op.value = 1 + prng_below(prng, 4);
    op.layout = (struct proto_layout){1, 2, 1, 4096};
    op.data = (struct proto_bytes){bytes, (uint32_t)prng_below(prng, 2000)};
    if (op.code == PROTO_SETXATTR || op.code == PROTO_REMOVEXATTR)
        op.name = (struct proto_bytes){(const uint8_t *)attribute, (uint32_t)strlen(attribute)};
    return op;
}

Test(nspace_random, records_stay_consistent)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct world cold, warm;
        struct prng prng;
        unsigned seen[PROTO_STATUS_COUNT] = {0};
        world_init(&cold);
        world_init(&warm);
        cold.misses = true;
        prng_init(&prng, seed);
        for (int round = 0; round < 1500; round++) {
            struct proto_op op = random_other(&prng);
            uint32_t uid = prng_chance(&prng, 1, 8) ? 7 : 0;
            enum proto_status status = world_do(&cold, uid, &op).status;
            cr_assert_eq(world_do(&warm, uid, &op).status, status);
            cr_assert_eq(memcmp(&cold.state, &warm.state, sizeof cold.state), 0,
                         "seed %lu round %d", (unsigned long)seed, round);
            seen[status]++;
            if (round % 20 == 0)
                world_check(&cold);
        }
        cr_assert_gt(seen[PROTO_OK], 100);
        world_finish(&cold);
        world_finish(&warm);
    }
}
