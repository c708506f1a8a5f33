/* One operation on one side: by system calls relative to the side's root, as the operation's user.
 */
#include "oracle.h"
#include "base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { COMMON_GROUP = 2000, XATTR_BYTES = 300 };

const char *oracle_name(enum oracle_kind kind)
{
    static const char *const names[ORACLE_KINDS] = {
        "create",      "mkdir",       "mknod",    "symlink",      "link",        "unlink",
        "rmdir",       "rename",      "chmod",    "chown",        "truncate",    "utimes",
        "stat",        "access",      "readlink", "list",         "setxattr",    "getxattr",
        "listxattr",   "removexattr", "open",     "handle write", "handle read", "handle truncate",
        "handle stat", "handle close"};
    return names[kind];
}

void oracle_become(uid_t uid)
{
    gid_t group = COMMON_GROUP;
    setfsuid(0);
    if (setgroups(uid ? 1 : 0, &group) < 0) {
        perror("oracle: setgroups (root is needed)");
        exit(2);
    }
    setfsgid(uid);
    setfsuid(uid);
}

static void fill(uint8_t *to, size_t bytes, uint32_t seed)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(seed + i * 13 + i / 256);
}

static uint64_t add_name(uint64_t sum, const char *name)
{
    return sum + hash64(name, strlen(name)); /* the order does not count */
}

/* The xattr calls want a path; the side's root is the working directory then. */
static void enter(const struct oracle_side *side)
{
    if (fchdir(side->root) < 0) {
        perror("oracle: fchdir");
        exit(2);
    }
}

static long list_directory(const struct oracle_side *side, const char *path, uint64_t *ret_digest)
{
    int fd = openat(side->root, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return -1;
    DIR *directory = fdopendir(fd);
    struct dirent *entry;
    long count = 0;
    while (directory && (entry = readdir(directory))) {
        *ret_digest = add_name(*ret_digest, entry->d_name) + entry->d_type;
        count++;
    }
    if (directory)
        closedir(directory);
    return count;
}

/* Names that neither side chose (security.*) don't count. */
static long list_xattrs(const char *path, uint64_t *ret_digest)
{
    char names[4096];
    ssize_t bytes = listxattr(path, names, sizeof names);
    long count = bytes < 0 ? -1 : 0;
    for (ssize_t at = 0; at < bytes; at += (ssize_t)strlen(names + at) + 1)
        if (strncmp(names + at, "user.", 5) == 0) {
            *ret_digest = add_name(*ret_digest, names + at);
            count++;
        }
    return count;
}

static long xattr(const struct oracle_side *side, const struct oracle_op *op, uint64_t *ret_digest)
{
    uint8_t value[XATTR_BYTES];
    size_t bytes = op->fill % XATTR_BYTES;
    long n;
    enter(side);
    switch (op->kind) {
    case ORACLE_SETXATTR:
        fill(value, bytes, op->fill);
        return setxattr(op->path, op->name, value, bytes,
                        op->flags == 1   ? XATTR_CREATE
                        : op->flags == 2 ? XATTR_REPLACE
                                         : 0);
    case ORACLE_GETXATTR:
        n = getxattr(op->path, op->name, value,
                     op->flags == 1   ? 0
                     : op->flags == 2 ? 10
                                      : XATTR_BYTES);
        if (n > 0 && op->flags != 1)
            *ret_digest = hash64(value, (size_t)n);
        return n;
    case ORACLE_LISTXATTR:
        return list_xattrs(op->path, ret_digest);
    default:
        return removexattr(op->path, op->name);
    }
}

/* Opening a device is the business of the mount's options, not of the file system. */
static bool is_device(const struct oracle_side *side, const char *path)
{
    struct stat st;
    return fstatat(side->root, path, &st, 0) == 0 && S_ISCHR(st.st_mode);
}

static long open_handle(struct oracle_side *side, const struct oracle_op *op)
{
    int *handle = &side->handles[op->handle];
    if (*handle >= 0)
        close(*handle);
    *handle = -1;
    if (is_device(side, op->path))
        return 0;
    *handle = openat(side->root, op->path, op->flags | O_CLOEXEC | O_NONBLOCK, op->mode & 07777);
    return *handle < 0 ? -1 : 0;
}

static long create(struct oracle_side *side, const struct oracle_op *op)
{
    static uint8_t bytes[ORACLE_DATA_BYTES];
    if (is_device(side, op->path))
        return 0;
    int fd = openat(side->root, op->path, op->flags | O_CREAT | O_CLOEXEC | O_NONBLOCK,
                    op->mode & 07777);
    if (fd < 0)
        return -1;
    long n = 0;
    if ((op->flags & O_ACCMODE) != O_RDONLY) {
        fill(bytes, (size_t)op->size, op->fill);
        n = write(fd, bytes, (size_t)op->size);
    }
    int error = errno;
    close(fd);
    errno = error;
    return n;
}

static long handle_op(struct oracle_side *side, const struct oracle_op *op,
                      struct oracle_result *result)
{
    static uint8_t bytes[ORACLE_DATA_BYTES];
    int *handle = &side->handles[op->handle];
    long n = 0;
    switch (op->kind) {
    case ORACLE_HANDLE_WRITE:
        fill(bytes, (size_t)op->size, op->fill);
        n = pwrite(*handle, bytes, (size_t)op->size, op->offset);
        break;
    case ORACLE_HANDLE_READ:
        n = pread(*handle, bytes, (size_t)op->size, op->offset);
        if (n > 0)
            result->digest = hash64(bytes, (size_t)n);
        break;
    case ORACLE_HANDLE_TRUNCATE:
        n = ftruncate(*handle, op->size);
        break;
    case ORACLE_HANDLE_CLOSE:
        n = close(*handle);
        *handle = -1;
        return n;
    default:
        break;
    }
    int error = errno;
    result->has_stat = *handle >= 0 && fstat(*handle, &result->st) == 0;
    errno = error;
    return *handle < 0 && op->kind == ORACLE_HANDLE_STAT ? -1 : n;
}

static long set_times(const struct oracle_side *side, const struct oracle_op *op)
{
    const struct timespec times[2] = {{op->time_s, op->flags == 1 ? UTIME_OMIT : 5},
                                      {op->time_s + 1, op->flags == 2 ? UTIME_NOW : 7}};
    return utimensat(side->root, op->path, times, AT_SYMLINK_NOFOLLOW);
}

/* A new node: fifo, socket, file, device. */
static long make_node(const struct oracle_side *side, const struct oracle_op *op)
{
    static const mode_t types[] = {S_IFIFO, S_IFSOCK, S_IFREG, S_IFCHR};
    return mknodat(side->root, op->path, types[op->flags % 4] | (op->mode & 07777), 0x103);
}

static long entry_op(const struct oracle_side *side, const struct oracle_op *op)
{
    const int root = side->root;
    switch (op->kind) {
    case ORACLE_MKDIR:
        return mkdirat(root, op->path, op->mode & 01777);
    case ORACLE_MKNOD:
        return make_node(side, op);
    case ORACLE_SYMLINK:
        return symlinkat(op->path2, root, op->path);
    case ORACLE_LINK:
        return linkat(root, op->path, root, op->path2, 0);
    case ORACLE_UNLINK:
        return unlinkat(root, op->path, 0);
    case ORACLE_RMDIR:
        return unlinkat(root, op->path, AT_REMOVEDIR);
    default:
        return syscall(SYS_renameat2, root, op->path, root, op->path2, (unsigned)op->flags);
    }
}

static long attribute_op(const struct oracle_side *side, const struct oracle_op *op)
{
    const int root = side->root;
    switch (op->kind) {
    case ORACLE_CHMOD:
        return fchmodat(root, op->path, op->mode, 0);
    case ORACLE_CHOWN:
        return fchownat(root, op->path, op->owner, op->group,
                        op->flags & 1 ? AT_SYMLINK_NOFOLLOW : 0);
    case ORACLE_TRUNCATE:
        enter(side);
        return truncate(op->path, op->size);
    case ORACLE_UTIMES:
        return set_times(side, op);
    case ORACLE_ACCESS:
        return faccessat(root, op->path, op->flags, AT_EACCESS);
    default:
        return 0;
    }
}

static long read_link(const struct oracle_side *side, const struct oracle_op *op,
                      uint64_t *ret_digest)
{
    char target[ORACLE_PATH_BYTES];
    ssize_t n = readlinkat(side->root, op->path, target, sizeof target);
    if (n > 0)
        *ret_digest = hash64(target, (size_t)n);
    return n;
}

static long execute(struct oracle_side *side, const struct oracle_op *op,
                    struct oracle_result *result)
{
    if (op->kind >= ORACLE_HANDLE_WRITE)
        return handle_op(side, op, result);
    switch (op->kind) {
    case ORACLE_CREATE:
        return create(side, op);
    case ORACLE_OPEN:
        return open_handle(side, op);
    case ORACLE_READLINK:
        return read_link(side, op, &result->digest);
    case ORACLE_LIST:
        return list_directory(side, op->path, &result->digest);
    case ORACLE_SETXATTR:
    case ORACLE_GETXATTR:
    case ORACLE_LISTXATTR:
    case ORACLE_REMOVEXATTR:
        return xattr(side, op, &result->digest);
    case ORACLE_CHMOD:
    case ORACLE_CHOWN:
    case ORACLE_TRUNCATE:
    case ORACLE_UTIMES:
    case ORACLE_STAT:
    case ORACLE_ACCESS:
        return attribute_op(side, op);
    default:
        return entry_op(side, op);
    }
}

void oracle_execute(struct oracle_side *side, const struct oracle_op *op,
                    struct oracle_result *ret_result)
{
    *ret_result = (struct oracle_result){0};
    oracle_become(op->uid);
    umask(op->umask);
    errno = 0;
    ret_result->value = execute(side, op, ret_result);
    ret_result->error = ret_result->value < 0 ? errno : 0;
    oracle_become(0);
    if (op->kind < ORACLE_HANDLE_WRITE)
        ret_result->has_stat =
            fstatat(side->root, op->path, &ret_result->st, AT_SYMLINK_NOFOLLOW) == 0;
}
