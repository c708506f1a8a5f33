/* A disk of one file in memory. All names are that file's; a file that is created begins empty. */
#include "tests/fuzz/bytes_disk.h"

#include <errno.h>
#include <string.h>

enum { CONTENT_BYTES_MAX = 4 << 20 };

static struct bytes_disk *disk_of(struct disk *disk)
{
    return (struct bytes_disk *)disk;
}
static struct buffer *content_of(struct disk_file *file)
{
    return (struct buffer *)file;
}

static int disk_open(struct disk *disk, const char *name, bool create, struct disk_file **ret_file)
{
    struct buffer *content = &disk_of(disk)->content;
    if (create)
        buffer_clear(content);
    *ret_file = (struct disk_file *)content;
    return 0;
}

static int64_t file_size(struct disk_file *file)
{
    return (int64_t)content_of(file)->bytes;
}

static int64_t file_read(struct disk_file *file, uint64_t offset, void *to, size_t bytes)
{
    struct buffer *content = content_of(file);
    if (offset >= content->bytes)
        return 0;
    size_t left = content->bytes - offset;
    bytes = bytes < left ? bytes : left;
    memcpy(to, content->data + offset, bytes);
    return (int64_t)bytes;
}

static int file_append(struct disk_file *file, const void *from, size_t bytes)
{
    return buffer_append(content_of(file), from, bytes) ? 0 : -ENOSPC;
}

static int file_truncate(struct disk_file *file, uint64_t bytes)
{
    if (bytes < content_of(file)->bytes)
        content_of(file)->bytes = bytes;
    return 0;
}

static int file_sync(struct disk_file *file)
{
    return 0;
}
static void file_close(struct disk_file *file)
{
}
static int disk_rename(struct disk *disk, const char *from, const char *to)
{
    return 0;
}
static int disk_unlink(struct disk *disk, const char *name)
{
    return -ENOENT;
}
static int disk_sync_directory(struct disk *disk)
{
    return 0;
}
static int disk_list(struct disk *disk, int (*each)(void *user, const char *name), void *user)
{
    return 0;
}

static const struct disk_ops ops = {
    .open = disk_open,
    .size = file_size,
    .read = file_read,
    .append = file_append,
    .truncate = file_truncate,
    .rewrite = file_sync,
    .sync = file_sync,
    .close = file_close,
    .rename = disk_rename,
    .unlink = disk_unlink,
    .sync_directory = disk_sync_directory,
    .list = disk_list,
};

void bytes_disk_init(struct bytes_disk *disk, const uint8_t *bytes, size_t count)
{
    *disk = (struct bytes_disk){.base.ops = &ops};
    buffer_init(&disk->content, CONTENT_BYTES_MAX);
    buffer_append(&disk->content, bytes, count);
}

void bytes_disk_finish(struct bytes_disk *disk)
{
    buffer_finish(&disk->content);
}
