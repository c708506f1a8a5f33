/* The disk contract on a directory of the real file system.
 *
 * Holds the directory by a descriptor, so a renamed parent changes nothing. Files are opened for
 * appending: concurrent readers of the same file see whole appends or their beginning. */
#include "store/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct disk_file {
    int fd;
};

struct disk_posix {
    struct disk disk;
    int fd;
};

static int directory_of(struct disk *disk)
{
    return ((struct disk_posix *)disk)->fd;
}

static int posix_open(struct disk *disk, const char *name, bool create, struct disk_file **ret_file)
{
    MUST(!strchr(name, '/'));
    struct disk_file *file = malloc(sizeof *file);
    if (!file)
        return -ENOMEM;
    int flags = O_RDWR | O_APPEND | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0);
    file->fd = openat(directory_of(disk), name, flags, 0600);
    if (file->fd < 0) {
        int code = -errno;
        free(file);
        return code;
    }
    *ret_file = file;
    return 0;
}

static int64_t posix_size(struct disk_file *file)
{
    struct stat status;
    return fstat(file->fd, &status) < 0 ? -errno : status.st_size;
}

static int64_t posix_read(struct disk_file *file, uint64_t offset, void *to, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = pread(file->fd, (char *)to + done, bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (int64_t)done;
}

static int posix_append(struct disk_file *file, const void *from, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = write(file->fd, (const char *)from + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    return 0;
}

static int posix_truncate(struct disk_file *file, uint64_t bytes)
{
    return ftruncate(file->fd, (off_t)bytes) < 0 ? -errno : 0;
}

static int write_at(int fd, const char *from, size_t bytes, off_t offset)
{
    while (bytes > 0) {
        ssize_t n = pwrite(fd, from, bytes, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        from += n;
        offset += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static int rewrite_pieces(struct disk_file *file, void *piece, size_t piece_bytes)
{
    int64_t n;
    int code = 0;
    for (uint64_t offset = 0; code == 0; offset += (uint64_t)n) {
        n = posix_read(file, offset, piece, piece_bytes);
        if (n <= 0)
            return (int)n;
        code = write_at(file->fd, piece, (size_t)n, (off_t)offset);
    }
    return code;
}

/* A descriptor for appending would append. */
static int posix_rewrite(struct disk_file *file)
{
    enum { PIECE_BYTES = 256 << 10 };
    int flags = fcntl(file->fd, F_GETFL);
    void *piece = malloc(PIECE_BYTES);
    if (!piece)
        return -ENOMEM;
    int code = flags < 0 || fcntl(file->fd, F_SETFL, flags & ~O_APPEND) < 0 ? -errno : 0;
    if (code == 0)
        code = rewrite_pieces(file, piece, PIECE_BYTES);
    free(piece);
    if (flags >= 0 && fcntl(file->fd, F_SETFL, flags) < 0 && code == 0)
        code = -errno;
    return code;
}

static int posix_sync(struct disk_file *file)
{
    return fdatasync(file->fd) < 0 ? -errno : 0;
}

static void posix_close(struct disk_file *file)
{
    close(file->fd);
    free(file);
}

static int posix_rename(struct disk *disk, const char *from, const char *to)
{
    MUST(!strchr(from, '/') && !strchr(to, '/'));
    int fd = directory_of(disk);
    return renameat(fd, from, fd, to) < 0 ? -errno : 0;
}

static int posix_unlink(struct disk *disk, const char *name)
{
    MUST(!strchr(name, '/'));
    return unlinkat(directory_of(disk), name, 0) < 0 ? -errno : 0;
}

static int posix_sync_directory(struct disk *disk)
{
    return fsync(directory_of(disk)) < 0 ? -errno : 0;
}

static int list_entries(DIR *entries, int (*each)(void *user, const char *name), void *user)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(entries);
        if (!entry)
            return -errno;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        int stop = each(user, entry->d_name);
        if (stop)
            return stop;
    }
}

static int posix_list(struct disk *disk, int (*each)(void *user, const char *name), void *user)
{
    int fd = openat(directory_of(disk), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *entries = fdopendir(fd);
    if (!entries) {
        int code = -errno;
        close(fd);
        return code;
    }
    int code = list_entries(entries, each, user);
    closedir(entries);
    return code;
}

static void posix_destroy(struct disk *disk)
{
    close(directory_of(disk));
    free(disk);
}

static const struct disk_ops posix_ops = {
    .open = posix_open,
    .size = posix_size,
    .read = posix_read,
    .append = posix_append,
    .truncate = posix_truncate,
    .rewrite = posix_rewrite,
    .sync = posix_sync,
    .close = posix_close,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .sync_directory = posix_sync_directory,
    .list = posix_list,
    .destroy = posix_destroy,
};

int disk_posix_create(const char *directory, struct disk **ret_disk, struct error *error)
{
    struct disk_posix *posix = malloc(sizeof *posix);
    if (!posix)
        return error_set(error, -ENOMEM, "%s: no memory", directory);
    posix->disk.ops = &posix_ops;
    posix->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (posix->fd < 0) {
        int code = -errno;
        free(posix);
        return error_set(error, code, "%s: %s", directory, strerror(-code));
    }
    *ret_disk = &posix->disk;
    return 0;
}
