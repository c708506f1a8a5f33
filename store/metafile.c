/* A small file that is replaced as a whole.
 *
 * File: magic (4), version (4), content bytes (4), zero (4), XXH3-64 of those 16 and the content
 * (8), content. The new file is complete and synced under another name before it takes the place of
 * the old one, and the directory is synced before anybody is told, so after a crash one of the two
 * is there, whole. What a crash leaves under the other name is removed by the next write. */
#include "store/metafile.h"

#include "base/cursor.h"
#include "base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METAFILE_MAGIC 0x4d545554u /* "TUTM" */

enum { METAFILE_VERSION = 1, HEAD_BYTES = 24, HEAD_CHECKED_BYTES = 16, NAME_BYTES_MAX = 256 };

static void head_encode(uint8_t head[HEAD_BYTES], const void *content, size_t bytes)
{
    struct writer w = writer_make(head, HEAD_BYTES);
    writer_u32(&w, METAFILE_MAGIC);
    writer_u32(&w, METAFILE_VERSION);
    writer_u32(&w, (uint32_t)bytes);
    writer_u32(&w, 0);
    writer_u64(&w, hash64_two(head, HEAD_CHECKED_BYTES, content, bytes));
}

/* 0 where `raw` is one whole file of this format. */
static int file_check(const uint8_t *raw, size_t raw_bytes, const char *name, struct error *error)
{
    struct reader r = reader_make(raw, raw_bytes);
    uint32_t magic = reader_u32(&r);
    uint32_t version = reader_u32(&r);
    uint32_t bytes = reader_u32(&r);
    reader_u32(&r);
    uint64_t check = reader_u64(&r);
    if (r.failed || magic != METAFILE_MAGIC)
        return error_set(error, -EBADMSG, "%s: damaged: not a file of this kind", name);
    if (version > METAFILE_VERSION)
        return error_set(error, -EPROTO, "%s: format %u, this program knows %d", name, version,
                         METAFILE_VERSION);
    if (version != METAFILE_VERSION || bytes != reader_left(&r))
        return error_set(error, -EBADMSG, "%s: damaged: wrong length or version", name);
    if (check != hash64_two(raw, HEAD_CHECKED_BYTES, r.at, bytes))
        return error_set(error, -EBADMSG, "%s: damaged: wrong checksum", name);
    return 0;
}

/* The whole file on the heap. */
static int file_load(struct disk *disk, const char *name, uint8_t **ret_raw, size_t *ret_bytes,
                     struct error *error)
{
    struct disk_file *file;
    int code = disk->ops->open(disk, name, false, &file);
    if (code == -ENOENT)
        return METAFILE_ABSENT;
    if (code)
        return error_set(error, code, "%s: open: %s", name, strerror(-code));
    size_t room = HEAD_BYTES + METAFILE_BYTES_MAX + 1;
    uint8_t *raw = malloc(room);
    int64_t got = raw ? disk->ops->read(file, 0, raw, room) : -ENOMEM;
    disk->ops->close(file);
    if (got < 0) {
        free(raw);
        return error_set(error, (int)got, "%s: read: %s", name, strerror((int)-got));
    }
    *ret_raw = raw;
    *ret_bytes = (size_t)got;
    return 0;
}

int metafile_read(struct disk *disk, const char *name, void **ret_content, size_t *ret_bytes,
                  struct error *error)
{
    uint8_t *raw = NULL;
    size_t raw_bytes = 0;
    int code = file_load(disk, name, &raw, &raw_bytes, error);
    if (code)
        return code;
    code = file_check(raw, raw_bytes, name, error);
    if (code) {
        free(raw);
        return code;
    }
    memmove(raw, raw + HEAD_BYTES, raw_bytes - HEAD_BYTES);
    *ret_content = raw;
    *ret_bytes = raw_bytes - HEAD_BYTES;
    return 0;
}

static int file_store(struct disk *disk, const char *name, const void *content, size_t bytes)
{
    uint8_t head[HEAD_BYTES];
    struct disk_file *file;
    int code = disk->ops->unlink(disk, name);
    if (code && code != -ENOENT)
        return code;
    code = disk->ops->open(disk, name, true, &file);
    if (code)
        return code;
    head_encode(head, content, bytes);
    code = disk->ops->append(file, head, sizeof head);
    if (!code)
        code = disk->ops->append(file, content, bytes);
    if (!code)
        code = disk->ops->sync(file);
    disk->ops->close(file);
    return code;
}

int metafile_write(struct disk *disk, const char *name, const void *content, size_t bytes,
                   struct error *error)
{
    char fresh[NAME_BYTES_MAX];
    int length = snprintf(fresh, sizeof fresh, "%s.new", name);
    if (bytes > METAFILE_BYTES_MAX || length >= (int)sizeof fresh)
        return error_set(error, -EINVAL, "%s: too long", name);
    int code = file_store(disk, fresh, content, bytes);
    if (!code)
        code = disk->ops->rename(disk, fresh, name);
    if (!code)
        code = disk->ops->sync_directory(disk);
    return code ? error_set(error, code, "%s: write: %s", name, strerror(-code)) : 0;
}
