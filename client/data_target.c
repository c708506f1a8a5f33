/* Data targets on directories. Everything is relative to the directory's descriptor, so a target
 * that is mounted over or renamed stays the one that was opened. */
#include "client/data_target.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char mark_name[] = "tutti-target";

enum { MARK_BYTES_MAX = 64, OBJECT_NAME_BYTES = 3 + 16 + 1 + 16 + 1, BLOCK_BYTES = 4096 };

static int mark_write(int directory, const char *text)
{
    char temporary[64];
    snprintf(temporary, sizeof temporary, "%s.%ld", mark_name, (long)getpid());
    int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    size_t bytes = strlen(text);
    int rc = 0;
    if (write(fd, text, bytes) != (ssize_t)bytes || fsync(fd) < 0)
        rc = errno ? -errno : -EIO;
    close(fd);
    if (!rc && linkat(directory, temporary, directory, mark_name, 0) < 0 && errno != EEXIST)
        rc = -errno;
    unlinkat(directory, temporary, 0);
    if (!rc && fsync(directory) < 0)
        rc = -errno;
    return rc;
}

/* -ENOENT where there is no mark. */
static int mark_read(int directory, char text[MARK_BYTES_MAX])
{
    int fd = openat(directory, mark_name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, MARK_BYTES_MAX - 1);
    int rc = n < 0 ? -errno : 0;
    close(fd);
    text[n < 0 ? 0 : n] = 0;
    return rc;
}

static int mark_check(int directory, const char *path, uint32_t index, struct error *error)
{
    char want[MARK_BYTES_MAX], have[MARK_BYTES_MAX];
    snprintf(want, sizeof want, "tutti data target %" PRIu32 "\n", index);
    int rc = mark_read(directory, have);
    if (rc == -ENOENT) {
        rc = mark_write(directory, want);
        if (!rc)
            rc = mark_read(directory, have);
    }
    if (rc < 0)
        return error_set(error, rc, "data target %s: %s: %s", path, mark_name, strerror(-rc));
    if (strcmp(want, have) == 0)
        return 0;
    have[strcspn(have, "\n")] = 0;
    return error_set(error, -EINVAL,
                     "data target %s is listed as number %" PRIu32
                     ", but it is marked \"%s\": every "
                     "mount has to list the same directories in the same order",
                     path, index, have);
}

int data_target_open(const char *directory, uint32_t index, struct data_target *ret_target,
                     struct error *error)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set(error, -errno, "data target %s: %s", directory, strerror(errno));
    int rc = mark_check(fd, directory, index, error);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    ret_target->fd = fd;
    return 0;
}

void data_target_close(struct data_target *target)
{
    close(target->fd);
    target->fd = -1;
}

static void object_path(struct data_object_name name, char text[OBJECT_NAME_BYTES])
{
    snprintf(text, OBJECT_NAME_BYTES, "%02x/%" PRIx64 ".%" PRIx64, (unsigned)(name.ino & 0xff),
             name.ino, name.generation);
}

static int object_create(const struct data_target *target, const char *path)
{
    int flags = O_RDWR | O_CREAT | O_CLOEXEC;
    int fd = openat(target->fd, path, flags, 0600);
    if (fd >= 0 || errno != ENOENT)
        return fd < 0 ? -errno : fd;
    char directory[3] = {path[0], path[1], 0};
    if (mkdirat(target->fd, directory, 0700) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(target->fd, path, flags, 0600);
    return fd < 0 ? -errno : fd;
}

int data_target_object(const struct data_target *target, struct data_object_name name, bool create,
                       bool *ret_created)
{
    char path[OBJECT_NAME_BYTES];
    object_path(name, path);
    *ret_created = false;
    int fd = openat(target->fd, path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && (errno == EROFS || errno == EACCES) && !create)
        fd = openat(target->fd, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    if (errno != ENOENT || !create)
        return -errno;
    *ret_created = true;
    return object_create(target, path);
}

int data_target_sync_names(const struct data_target *target, struct data_object_name name)
{
    char directory[3];
    snprintf(directory, sizeof directory, "%02x", (unsigned)(name.ino & 0xff));
    int fd = openat(target->fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = fsync(fd) < 0 || fsync(target->fd) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

int data_target_remove(const struct data_target *target, struct data_object_name name)
{
    char path[OBJECT_NAME_BYTES];
    object_path(name, path);
    if (unlinkat(target->fd, path, 0) < 0 && errno != ENOENT)
        return -errno;
    return 0;
}

/* Whether an earlier target lies on the same file system. */
static bool counted(const struct data_target *targets, uint32_t index)
{
    struct stat here, other;
    if (fstat(targets[index].fd, &here) < 0)
        return false;
    for (uint32_t i = 0; i < index; i++)
        if (fstat(targets[i].fd, &other) == 0 && other.st_dev == here.st_dev)
            return true;
    return false;
}

int data_target_capacity(const struct data_target *targets, uint32_t count,
                         struct statvfs *ret_capacity)
{
    struct statvfs sum = {.f_bsize = BLOCK_BYTES, .f_frsize = BLOCK_BYTES}, one;
    for (uint32_t i = 0; i < count; i++) {
        if (counted(targets, i))
            continue;
        if (fstatvfs(targets[i].fd, &one) < 0)
            return -errno;
        uint64_t unit = one.f_frsize ? one.f_frsize : one.f_bsize;
        sum.f_blocks += one.f_blocks * unit / BLOCK_BYTES;
        sum.f_bfree += one.f_bfree * unit / BLOCK_BYTES;
        sum.f_bavail += one.f_bavail * unit / BLOCK_BYTES;
    }
    *ret_capacity = sum;
    return 0;
}
