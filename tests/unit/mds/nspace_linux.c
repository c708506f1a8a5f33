/* The namespace beside the kernel's: random operations of several users here and on a tmpfs, same
 * answers (errno), same attributes. Needs root, to act as others; otherwise it is skipped.
 *
 * Inodes are named by number here and by an O_PATH descriptor there, so that both check the same:
 * search and write permission of the directory at hand, not of the way to it. */
#include "world.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { INODES = 700, ROUNDS = 2500, NAMES = 6, TEAM = 50, TMPFS = 0x01021994 };

static const char *const names[NAMES] = {"a", "b", "c", "d", ".", ".."};
static const uint32_t users[] = {0, 10, 11, 12};

struct pair {
    struct world w;
    struct prng prng;
    int fds[INODES]; /* of inode i there; -1: none */
    char top[64];
    unsigned succeeded, refused;
};

static const int errnos[PROTO_STATUS_COUNT] = {
    [PROTO_PERM] = EPERM,        [PROTO_NOENT] = ENOENT,       [PROTO_ACCES] = EACCES,
    [PROTO_EXIST] = EEXIST,      [PROTO_NOTDIR] = ENOTDIR,     [PROTO_ISDIR] = EISDIR,
    [PROTO_INVAL] = EINVAL,      [PROTO_NOTEMPTY] = ENOTEMPTY, [PROTO_LOOP] = ELOOP,
    [PROTO_NOTSUP] = EOPNOTSUPP, [PROTO_NODATA] = ENODATA,     [PROTO_MLINK] = EMLINK,
};

/* File system identity only: the process itself stays root. */
static void become(uint32_t uid)
{
    setfsuid(0);
    setfsgid(uid);
    setfsuid(uid);
}

static void link_of(int fd, char path[32])
{
    snprintf(path, 32, "/proc/self/fd/%d", fd);
}

static struct proto_attr here(struct pair *p, uint64_t ino)
{
    struct proto_op op = OP(GETATTR, .ino = ino);
    struct proto_outcome outcome = world_do(&p->w, 0, &op);
    if (outcome.status != PROTO_OK)
        outcome.attr.ino = 0;
    return outcome.attr;
}

/* --- the kernel's answer: 0 or errno -------------------------------------------------------------
 */

static int there_open(int dir, const struct proto_op *op, const char *name)
{
    int flags = O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    if (op->flags & PROTO_OPEN_WRITE)
        flags |= op->flags & PROTO_OPEN_READ ? O_RDWR : O_WRONLY;
    if (op->flags & PROTO_OPEN_TRUNCATE)
        flags |= O_TRUNC;
    if (op->flags & PROTO_CREATE_EXCLUSIVE)
        flags |= O_EXCL;
    int fd = openat(dir, name, flags, op->mode & 07777);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int there_setattr(int fd, const struct proto_op *op)
{
    char path[32];
    link_of(fd, path);
    if (op->valid & PROTO_SET_MODE)
        return chmod(path, op->mode & 07777);
    if (op->valid & PROTO_SET_SIZE)
        return truncate(path, (off_t)op->size);
    if (op->valid & PROTO_SET_MTIME_NOW)
        return utimensat(AT_FDCWD, path, NULL, 0);
    uid_t uid = op->valid & PROTO_SET_UID ? op->uid : (uid_t)-1;
    gid_t gid = op->valid & PROTO_SET_GID ? op->gid : (gid_t)-1;
    return fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
}

static int there_link(int fd, int dir, const char *name)
{
    char path[32];
    link_of(fd, path);
    return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW);
}

static int there_rename(int from, const char *name, int to, const char *name2, uint32_t flags)
{
    unsigned kernel = 0;
    kernel |= flags & PROTO_RENAME_NOREPLACE ? RENAME_NOREPLACE : 0;
    kernel |= flags & PROTO_RENAME_EXCHANGE ? RENAME_EXCHANGE : 0;
    kernel |= flags & PROTO_RENAME_WHITEOUT ? RENAME_WHITEOUT : 0;
    return renameat2(from, name, to, name2, kernel);
}

static int there_access(int fd, uint32_t flags)
{
    char path[32];
    link_of(fd, path);
    int mode = (flags & PROTO_OPEN_READ ? R_OK : 0) | (flags & PROTO_OPEN_WRITE ? W_OK : 0) |
               (flags & PROTO_OPEN_EXEC ? X_OK : 0);
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS);
}

static int there(struct pair *p, const struct proto_op *op, const char *name, const char *name2)
{
    int dir = p->fds[op->parent], dir2 = p->fds[op->parent2], fd = p->fds[op->ino];
    struct stat st;
    switch (op->code) {
    case PROTO_CREATE:
        return there_open(dir, op, name);
    case PROTO_MKNOD:
        return mknodat(dir, name, op->mode, makedev(5, 1));
    case PROTO_MKDIR:
        return mkdirat(dir, name, op->mode);
    case PROTO_SYMLINK:
        return symlinkat("nowhere", dir, name);
    case PROTO_UNLINK:
        return unlinkat(dir, name, 0);
    case PROTO_RMDIR:
        return unlinkat(dir, name, AT_REMOVEDIR);
    case PROTO_LINK:
        return there_link(fd, dir2, name2);
    case PROTO_RENAME:
        return there_rename(dir, name, dir2, name2, op->flags);
    case PROTO_SETATTR:
        return there_setattr(fd, op);
    case PROTO_ACCESS:
        return there_access(fd, op->flags);
    default:
        return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);
    }
}

/* --- comparing
 * ------------------------------------------------------------------------------------- */

static void compare(struct pair *p, uint64_t ino, const char *when)
{
    struct stat st;
    struct proto_attr attr = here(p, ino);
    if (ino >= INODES || p->fds[ino] < 0)
        return;
    cr_assert_eq(fstatat(p->fds[ino], "", &st, AT_EMPTY_PATH), 0);
    if (attr.ino == 0) {
        cr_assert_eq(st.st_nlink, 0, "%s: inode %lu is gone here only", when, (unsigned long)ino);
        close(p->fds[ino]);
        p->fds[ino] = -1;
        return;
    }
    cr_assert_eq(st.st_mode, attr.mode, "%s: mode %o there, %o here", when, st.st_mode, attr.mode);
    cr_assert_eq(st.st_nlink, attr.nlink, "%s: nlink %lu there, %u here", when,
                 (unsigned long)st.st_nlink, attr.nlink);
    cr_assert(st.st_uid == attr.uid && st.st_gid == attr.gid, "%s: owner %u:%u there, %u:%u here",
              when, st.st_uid, st.st_gid, attr.uid, attr.gid);
    cr_assert(!S_ISREG(attr.mode) || (uint64_t)st.st_size == attr.size, "%s: size", when);
}

/* What a new name leads to there, remembered by its number here. */
static void remember(struct pair *p, uint64_t parent, const char *name)
{
    struct proto_op op = {.code = PROTO_LOOKUP, .parent = parent};
    op.name = (struct proto_bytes){(const uint8_t *)name, (uint32_t)strlen(name)};
    struct proto_outcome outcome = world_do(&p->w, 0, &op);
    if (outcome.status != PROTO_OK)
        return;
    uint64_t ino = outcome.attr.ino;
    if (ino < INODES && p->fds[ino] < 0)
        p->fds[ino] = openat(p->fds[parent], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* --- random operations
 * ------------------------------------------------------------------------------ */

static uint64_t pick_inode(struct pair *p)
{
    uint64_t ino;
    do
        ino = prng_chance(&p->prng, 1, 4) ? 1 : 1 + prng_below(&p->prng, p->w.state.next_ino - 1);
    while (ino >= INODES || p->fds[ino] < 0);
    return ino;
}

/* Directories mostly: other things make dull parents. */
static uint64_t pick_parent(struct pair *p)
{
    for (;;) {
        uint64_t ino = pick_inode(p);
        if (S_ISDIR(here(p, ino).mode) || prng_chance(&p->prng, 1, 30))
            return ino;
    }
}

static uint32_t pick_mode(struct pair *p)
{
    static const uint32_t modes[] = {0777, 0777,  0755,  0700, 0750,  0711,
                                     0644, 01777, 02775, 0666, 04755, 02755};
    return modes[prng_below(&p->prng, sizeof modes / sizeof modes[0])];
}

static void pick_setattr(struct pair *p, struct proto_op *op)
{
    static const uint32_t valid[] = {PROTO_SET_MODE, PROTO_SET_MODE,
                                     PROTO_SET_MODE, PROTO_SET_UID,
                                     PROTO_SET_GID,  PROTO_SET_UID | PROTO_SET_GID,
                                     PROTO_SET_SIZE, PROTO_SET_MTIME_NOW | PROTO_SET_ATIME_NOW};
    op->valid = valid[prng_below(&p->prng, sizeof valid / sizeof valid[0])];
    op->uid = users[prng_below(&p->prng, 4)];
    op->gid = prng_chance(&p->prng, 1, 2) ? TEAM : users[prng_below(&p->prng, 4)];
    op->size = prng_below(&p->prng, 3000);
}

static struct proto_op pick_op(struct pair *p, const char **name, const char **name2)
{
    static const enum proto_opcode codes[] = {
        PROTO_CREATE,  PROTO_CREATE,  PROTO_MKNOD,   PROTO_MKDIR,  PROTO_MKDIR,   PROTO_MKDIR,
        PROTO_SYMLINK, PROTO_UNLINK,  PROTO_RMDIR,   PROTO_LINK,   PROTO_RENAME,  PROTO_RENAME,
        PROTO_RENAME,  PROTO_SETATTR, PROTO_SETATTR, PROTO_LOOKUP, PROTO_SETATTR, PROTO_ACCESS,
    };
    static const uint32_t types[] = {S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};
    static const uint32_t renames[] = {0, 0, PROTO_RENAME_NOREPLACE, PROTO_RENAME_EXCHANGE,
                                       PROTO_RENAME_WHITEOUT};
    struct proto_op op = {.code = codes[prng_below(&p->prng, sizeof codes / sizeof codes[0])],
                          .ino = pick_inode(p),
                          .parent = pick_parent(p),
                          .parent2 = pick_parent(p),
                          .mode = pick_mode(p),
                          .rdev = makedev(5, 1),
                          .data = BYTES("nowhere")};
    bool renames_it = op.code == PROTO_RENAME; /* dots are EBUSY there, and EINVAL here */
    *name = names[prng_below(&p->prng, renames_it ? NAMES - 2 : NAMES)];
    *name2 = names[prng_below(&p->prng, renames_it ? NAMES - 2 : NAMES)];
    op.name = (struct proto_bytes){(const uint8_t *)*name, (uint32_t)strlen(*name)};
    op.name2 = (struct proto_bytes){(const uint8_t *)*name2, (uint32_t)strlen(*name2)};
    if (op.code == PROTO_CREATE)
        op.flags = prng_below(&p->prng, 32) & ~(uint32_t)PROTO_OPEN_EXEC;
    if (op.code == PROTO_CREATE && !(op.flags & PROTO_OPEN_WRITE))
        op.flags = (op.flags | PROTO_OPEN_READ) & ~(uint32_t)PROTO_OPEN_TRUNCATE;
    if (op.code == PROTO_ACCESS)
        op.flags = prng_below(&p->prng, 8);
    if (op.code == PROTO_RENAME)
        op.flags = renames[prng_below(&p->prng, 5)];
    if (op.code == PROTO_MKNOD)
        op.mode |= types[prng_below(&p->prng, 5)];
    if (op.code == PROTO_SETATTR)
        pick_setattr(p, &op);
    return op;
}

/* Opening a device or pipe is the kernel's business, also through us. */
static bool opens_special(struct pair *p, const struct proto_op *op)
{
    struct proto_op lookup = {.code = PROTO_LOOKUP, .parent = op->parent, .name = op->name};
    struct proto_outcome found = world_do(&p->w, 0, &lookup);
    uint32_t mode = found.attr.mode;
    return found.status == PROTO_OK && !S_ISREG(mode) && !S_ISDIR(mode) && !S_ISLNK(mode);
}

/* What the two are known and meant to answer differently. */
static bool differs_on_purpose(struct pair *p, uint32_t uid, const struct proto_op *op)
{
    struct proto_attr attr = here(p, op->ino), dir = here(p, op->parent);
    if (op->code == PROTO_LINK) /* sysctl fs.protected_hardlinks */
        return uid != 0 && uid != attr.uid;
    if (op->code == PROTO_CREATE) /* sysctls fs.protected_regular, fs.protected_fifos */
        return (dir.mode & S_ISVTX && S_ISDIR(dir.mode)) || opens_special(p, op);
    if (op->code == PROTO_ACCESS)
        return S_ISLNK(attr.mode);
    if (op->code != PROTO_SETATTR)
        return false;
    if (op->valid & (PROTO_SET_MODE | PROTO_SET_MTIME_NOW | PROTO_SET_SIZE) && S_ISLNK(attr.mode))
        return true; /* there the link is followed, into nothing */
    return op->valid & PROTO_SET_SIZE && uid != 0 && uid == attr.uid; /* as through an open file */
}

static void step(struct pair *p, int round)
{
    const char *name, *name2;
    struct proto_op op = pick_op(p, &name, &name2);
    uint32_t uid = users[prng_below(&p->prng, 4)];
    char when[160];
    if (differs_on_purpose(p, uid, &op))
        return;
    snprintf(when, sizeof when,
             "round %d: %u %s ino %lu, %lu/%s, %lu/%s, mode %o, flags %x, valid %x", round, uid,
             proto_op_info(op.code)->name, (unsigned long)op.ino, (unsigned long)op.parent, name,
             (unsigned long)op.parent2, name2, op.mode, op.flags, op.valid);
    become(uid);
    errno = 0;
    int code = there(p, &op, name, name2) < 0 ? errno : 0;
    become(0);
    enum proto_status status = world_do(&p->w, uid, &op).status;
    cr_assert_eq(errnos[status], code, "%s: %s there, %s here", when, strerror(code),
                 proto_status_name(status));
    if (status == PROTO_OK) {
        remember(p, op.parent, name);
        if (op.parent2)
            remember(p, op.parent2, name2);
    }
    p->succeeded += status == PROTO_OK;
    p->refused += status != PROTO_OK;
    compare(p, op.parent, when);
    for (uint64_t ino = 1; ino < p->w.state.next_ino; ino++)
        compare(p, ino, when);
}

static void begin(struct pair *p, uint64_t seed)
{
    memset(p, 0, sizeof *p);
    world_init(&p->w);
    prng_init(&p->prng, seed);
    memset(p->fds, -1, sizeof p->fds);
    strcpy(p->top, "/dev/shm/tutti-XXXXXX");
    cr_assert(mkdtemp(p->top));
    p->fds[1] = open(p->top, O_PATH | O_CLOEXEC);
    p->w.groups[0] = TEAM;
    p->w.group_count = 1;
    const struct proto_op open_up = OP(SETATTR, .ino = 1, .valid = PROTO_SET_MODE, .mode = 0777);
    world_do(&p->w, 0, &open_up);
    cr_assert_eq(chmod(p->top, 0777), 0);
}

static void end(struct pair *p)
{
    char command[96];
    for (int i = 0; i < INODES; i++)
        if (p->fds[i] >= 0)
            close(p->fds[i]);
    snprintf(command, sizeof command, "rm -rf %s", p->top);
    cr_assert_eq(system(command), 0);
    world_check(&p->w);
    world_finish(&p->w);
}

/* Containers often have a root that may make no devices. */
static bool may_make_devices(void)
{
    char path[] = "/dev/shm/tutti-XXXXXX";
    if (!mkdtemp(path))
        return false;
    bool made = false;
    int dir = open(path, O_PATH | O_CLOEXEC);
    if (dir >= 0) {
        made = mknodat(dir, "c", S_IFCHR, makedev(5, 1)) == 0;
        unlinkat(dir, "c", 0);
        close(dir);
    }
    rmdir(path);
    return made;
}

static bool tmpfs_and_root(void)
{
    struct statfs statfs_there;
    gid_t team = TEAM;
    return geteuid() == 0 && statfs("/dev/shm", &statfs_there) == 0 &&
           statfs_there.f_type == TMPFS && setgroups(1, &team) == 0 && may_make_devices();
}

Test(nspace_linux, as_on_tmpfs)
{
    static struct pair p;
    if (!tmpfs_and_root())
        cr_skip_test("needs root and a tmpfs at /dev/shm");
    umask(0);
    for (uint64_t seed = 1; seed <= 4; seed++) {
        begin(&p, seed);
        for (int round = 0; round < ROUNDS && p.w.state.next_ino < INODES; round++)
            step(&p, round);
        cr_assert(p.succeeded > 300 && p.refused > 300, "%u, %u", p.succeeded, p.refused);
        end(&p);
    }
}
