/* What has to be equal on both sides. Not compared: inode and device numbers, block counts, sizes
 * of directories, and times but the modification time where it was set to a value. */
#include "oracle.h"
#include "base/hash.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 256, ENTRIES_MAX = 4096, TREE_PATH_BYTES = 1024 };

static bool same_time(const struct stat *a, const struct stat *b)
{
    const long set_ns = 7; /* nobody else's nanoseconds: set by utimes */
    if (S_ISFIFO(a->st_mode))
        return true; /* writing into the pipe changes it on the local side only */
    if (a->st_mtim.tv_nsec != set_ns && b->st_mtim.tv_nsec != set_ns)
        return true;
    return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static const char *stat_difference(const struct stat *a, const struct stat *b)
{
    if (a->st_mode != b->st_mode)
        return "mode";
    if (a->st_nlink != b->st_nlink)
        return "nlink";
    if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
        return "owner";
    if (a->st_rdev != b->st_rdev)
        return "device";
    if (!S_ISDIR(a->st_mode) && a->st_size != b->st_size)
        return "size";
    return same_time(a, b) ? NULL : "mtime";
}

static void stat_text(const struct stat *st, char *text, size_t bytes)
{
    snprintf(text, bytes, "mode %o nlink %lu owner %u:%u size %ld mtime %ld.%09ld",
             (unsigned)st->st_mode, (unsigned long)st->st_nlink, st->st_uid, st->st_gid,
             (long)st->st_size, (long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

static bool same_stat(const struct stat *a, const struct stat *b, const char *what, char *text,
                      size_t bytes)
{
    char texts[2][200];
    const char *difference = stat_difference(a, b);
    if (!difference)
        return true;
    stat_text(a, texts[0], sizeof texts[0]);
    stat_text(b, texts[1], sizeof texts[1]);
    snprintf(text, bytes, "%s: %s differs\n  mount: %s\n  local: %s", what, difference, texts[0],
             texts[1]);
    return false;
}

/* The service keeps what is unlinked and still open for regular files only: the kernel tells a
 * mount nothing of open fifos, and rmdir holds nothing. Such a handle answers fstat on the local
 * side only. */
static bool is_removed_other(const struct oracle_result *a, const struct oracle_result *b)
{
    return !a->has_stat && b->has_stat && !S_ISREG(b->st.st_mode) && b->st.st_nlink == 0;
}

bool oracle_same(const struct oracle_result *a, const struct oracle_result *b, char *text,
                 size_t bytes)
{
    if (a->error != b->error) {
        snprintf(text, bytes, "mount: %s, local: %s", a->error ? strerror(a->error) : "success",
                 b->error ? strerror(b->error) : "success");
        return false;
    }
    if (a->value != b->value || a->digest != b->digest) {
        snprintf(text, bytes, "mount: %ld (digest %lx), local: %ld (digest %lx)", a->value,
                 (unsigned long)a->digest, b->value, (unsigned long)b->digest);
        return false;
    }
    if (is_removed_other(a, b))
        return true;
    if (a->has_stat != b->has_stat) {
        const struct stat *st = a->has_stat ? &a->st : &b->st;
        snprintf(text, bytes, "afterwards it exists on the %s only (mode %o, nlink %lu)",
                 a->has_stat ? "mount" : "local side", (unsigned)st->st_mode,
                 (unsigned long)st->st_nlink);
        return false;
    }
    return !a->has_stat || same_stat(&a->st, &b->st, "attributes", text, bytes);
}

/* --- trees --- */

struct names {
    char (*names)[NAME_MAX_BYTES];
    size_t count;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool names_read(int fd, struct names *names)
{
    DIR *directory = fdopendir(fd);
    struct dirent *entry;
    names->count = 0;
    names->names = calloc(ENTRIES_MAX, NAME_MAX_BYTES);
    if (!directory || !names->names)
        return false;
    while ((entry = readdir(directory)) && names->count < ENTRIES_MAX)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            snprintf(names->names[names->count++], NAME_MAX_BYTES, "%s", entry->d_name);
    closedir(directory);
    qsort(names->names, names->count, NAME_MAX_BYTES, compare_names);
    return true;
}

static uint64_t file_digest(int root, const char *path)
{
    static uint8_t bytes[4 * ORACLE_DATA_BYTES];
    int fd = openat(root, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    size_t at = 0;
    ssize_t n = 1;
    while (fd >= 0 && n > 0 && at < sizeof bytes) {
        n = read(fd, bytes + at, sizeof bytes - at);
        at += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    return fd < 0 || n < 0 ? 1 : hash64(bytes, at);
}

static uint64_t link_digest(int root, const char *path)
{
    char target[TREE_PATH_BYTES];
    ssize_t n = readlinkat(root, path, target, sizeof target);
    return n < 0 ? 1 : hash64(target, (size_t)n);
}

static uint64_t xattr_digest(int root, const char *path)
{
    char names[4096];
    uint8_t value[4096];
    uint64_t sum = 0;
    if (fchdir(root) < 0)
        return 1;
    ssize_t bytes = llistxattr(path, names, sizeof names);
    for (ssize_t at = 0; at < bytes; at += (ssize_t)strlen(names + at) + 1) {
        if (strncmp(names + at, "user.", 5) != 0)
            continue;
        ssize_t n = lgetxattr(path, names + at, value, sizeof value);
        sum += hash64_two(names + at, strlen(names + at), value, n > 0 ? (size_t)n : 0);
    }
    return sum;
}

static uint64_t digest_of(int root, const char *path, mode_t mode)
{
    uint64_t digest = xattr_digest(root, path);
    if (S_ISREG(mode))
        return digest + file_digest(root, path);
    return S_ISLNK(mode) ? digest + link_digest(root, path) : digest;
}

static bool tree_same(const struct oracle_side *sides, const char *path, char *text, size_t bytes);

static bool entry_same(const struct oracle_side *sides, const char *path, char *text, size_t bytes)
{
    struct stat st[2];
    for (int i = 0; i < 2; i++)
        if (fstatat(sides[i].root, path, &st[i], AT_SYMLINK_NOFOLLOW) < 0) {
            snprintf(text, bytes, "%s: listed on the %s side, but not there", path,
                     i ? "local" : "mount");
            return false;
        }
    if (!same_stat(&st[0], &st[1], path, text, bytes))
        return false;
    if (digest_of(sides[0].root, path, st[0].st_mode) !=
        digest_of(sides[1].root, path, st[1].st_mode)) {
        snprintf(text, bytes, "%s: content or extended attributes differ", path);
        return false;
    }
    return !S_ISDIR(st[0].st_mode) || tree_same(sides, path, text, bytes);
}

static bool lists_same(const struct names *names, const char *path, char *text, size_t bytes)
{
    for (size_t i = 0; i < names[0].count || i < names[1].count; i++) {
        const char *a = i < names[0].count ? names[0].names[i] : "nothing more";
        const char *b = i < names[1].count ? names[1].names[i] : "nothing more";
        if (strcmp(a, b) != 0) {
            snprintf(text, bytes, "%s: the mount lists %s, the local side %s", path, a, b);
            return false;
        }
    }
    return true;
}

static bool tree_same(const struct oracle_side *sides, const char *path, char *text, size_t bytes)
{
    struct names names[2] = {{0}};
    bool same = true;
    for (int i = 0; i < 2 && same; i++) {
        int fd = openat(sides[i].root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        same = fd >= 0 && names_read(fd, &names[i]);
        if (!same)
            snprintf(text, bytes, "%s can't be listed", path);
    }
    same = same && lists_same(names, path, text, bytes);
    for (size_t i = 0; same && i < names[0].count; i++) {
        char child[TREE_PATH_BYTES];
        snprintf(child, sizeof child, "%s/%s", path, names[0].names[i]);
        same = entry_same(sides, child, text, bytes);
    }
    free(names[0].names);
    free(names[1].names);
    return same;
}

bool oracle_trees_same(const struct oracle_side *sides, char *text, size_t bytes)
{
    return tree_same(sides, ".", text, bytes);
}
