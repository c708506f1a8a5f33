/* Random operations over few names, so that they meet: a directory where a file is wanted, entries
 * that exist already, links to what was removed, users who may not. */
#include "oracle.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

enum { DIRECTORIES = 4, NAMES = 7 };

static const uid_t users[] = {0, 0, 1000, 1001};
static const mode_t modes[] = {0644,  0755,  0600,  0700, 0777, 0444, 0,     01777,
                               02755, 04755, 06777, 0711, 0640, 0666, 02770, 0070};

static uint64_t pick(struct prng *prng, uint64_t count)
{
    return prng_below(prng, count);
}

/* "n3", "d1/n0", "d1/d2/n5"; directories are among the names. */
static void draw_path(struct prng *prng, char path[ORACLE_PATH_BYTES])
{
    unsigned depth = (unsigned)pick(prng, 4), used = 0;
    for (unsigned i = 0; i + 1 < depth; i++)
        used += (unsigned)snprintf(path + used, ORACLE_PATH_BYTES - used, "d%u/",
                                   (unsigned)pick(prng, DIRECTORIES));
    if (pick(prng, 3) == 0)
        snprintf(path + used, ORACLE_PATH_BYTES - used, "d%u", (unsigned)pick(prng, DIRECTORIES));
    else
        snprintf(path + used, ORACLE_PATH_BYTES - used, "n%u", (unsigned)pick(prng, NAMES));
}

static off_t draw_size(struct prng *prng)
{
    return (off_t)pick(prng, 1 + pick(prng, ORACLE_DATA_BYTES));
}

static int draw_open_flags(struct prng *prng)
{
    static const int access[] = {O_RDONLY, O_WRONLY, O_RDWR};
    static const int more[] = {O_CREAT,  O_EXCL | O_CREAT, O_TRUNC,
                               O_APPEND, O_NOFOLLOW,       O_DIRECTORY};
    int flags = access[pick(prng, 3)];
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        if (pick(prng, i < 4 ? 3 : 12) == 0)
            flags |= more[i];
    /* O_CREAT with O_DIRECTORY differs between kernels, not between file systems. */
    return flags & O_CREAT ? flags & ~O_DIRECTORY : flags;
}

static int draw_rename_flags(struct prng *prng)
{
    static const int flags[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
    return flags[pick(prng, sizeof flags / sizeof flags[0])];
}

static int draw_flags(struct prng *prng, enum oracle_kind kind)
{
    switch (kind) {
    case ORACLE_CREATE:
    case ORACLE_OPEN:
        return draw_open_flags(prng);
    case ORACLE_RENAME:
        return draw_rename_flags(prng);
    default:
        return (int)pick(prng, 8);
    }
}

static uid_t draw_owner(struct prng *prng)
{
    return pick(prng, 3) == 0 ? (uid_t)-1 : users[pick(prng, 4)];
}

/* Making is somewhat more likely than removing, looking than both. */
static enum oracle_kind draw_kind(struct prng *prng)
{
    static const enum oracle_kind often[] = {ORACLE_CREATE,       ORACLE_CREATE, ORACLE_MKDIR,
                                             ORACLE_RENAME,       ORACLE_OPEN,   ORACLE_LINK,
                                             ORACLE_HANDLE_WRITE, ORACLE_STAT};
    if (pick(prng, 3) == 0)
        return often[pick(prng, sizeof often / sizeof often[0])];
    return (enum oracle_kind)pick(prng, ORACLE_KINDS);
}

void oracle_draw(struct prng *prng, struct oracle_op *ret_op)
{
    struct oracle_op op = {.kind = draw_kind(prng), .uid = users[pick(prng, 4)]};
    draw_path(prng, op.path);
    draw_path(prng, op.path2);
    snprintf(op.name, sizeof op.name, "user.x%u", (unsigned)pick(prng, 4));
    op.mode = modes[pick(prng, sizeof modes / sizeof modes[0])];
    op.umask = pick(prng, 4) == 0 ? 027 : 022;
    op.flags = draw_flags(prng, op.kind);
    op.owner = draw_owner(prng);
    op.group = draw_owner(prng);
    op.offset = draw_size(prng);
    op.size = draw_size(prng);
    op.time_s = (int64_t)pick(prng, 4000000000u);
    op.handle = (unsigned)pick(prng, ORACLE_HANDLES);
    op.fill = (uint32_t)prng_next(prng);
    *ret_op = op;
}
