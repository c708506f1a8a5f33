/* What replies carry: attributes, directory entries, figures of the file system.
 *
 *     dirent: cookie u64, ino u64, type u32, has_attr u8, name u16 length and bytes, [attr] */
#include "proto/codec.h"

#include <errno.h>
#include <sys/stat.h>

enum { DIRENT_HEAD_BYTES = 8 + 8 + 4 + 1 + 2 };

void proto_attr_write(struct writer *w, const struct proto_attr *attr)
{
    writer_u64(w, attr->ino);
    writer_u64(w, attr->generation);
    writer_u32(w, attr->mode);
    writer_u32(w, attr->nlink);
    writer_u32(w, attr->uid);
    writer_u32(w, attr->gid);
    writer_u64(w, attr->rdev);
    writer_u64(w, attr->size);
    writer_u64(w, attr->blocks);
    writer_i64(w, attr->atime);
    writer_i64(w, attr->mtime);
    writer_i64(w, attr->ctime);
    writer_i64(w, attr->btime);
    writer_u64(w, attr->data_version);
    writer_u64(w, attr->cut);
    proto_layout_write(w, &attr->layout);
}

void proto_attr_read(struct reader *r, struct proto_attr *ret_attr)
{
    ret_attr->ino = reader_u64(r);
    ret_attr->generation = reader_u64(r);
    ret_attr->mode = reader_u32(r);
    ret_attr->nlink = reader_u32(r);
    ret_attr->uid = reader_u32(r);
    ret_attr->gid = reader_u32(r);
    ret_attr->rdev = reader_u64(r);
    ret_attr->size = reader_u64(r);
    ret_attr->blocks = reader_u64(r);
    ret_attr->atime = reader_i64(r);
    ret_attr->mtime = reader_i64(r);
    ret_attr->ctime = reader_i64(r);
    ret_attr->btime = reader_i64(r);
    ret_attr->data_version = reader_u64(r);
    ret_attr->cut = reader_u64(r);
    proto_layout_read(r, &ret_attr->layout);
}

static bool dirent_valid(const struct proto_dirent *entry)
{
    return proto_name_valid(entry->name) && !(entry->type & ~(uint32_t)S_IFMT);
}

int proto_dirent_encode(const struct proto_dirent *entry, struct buffer *to)
{
    struct writer w;
    if (!dirent_valid(entry))
        return -EINVAL;
    size_t bytes = DIRENT_HEAD_BYTES + entry->name.bytes + (entry->has_attr ? PROTO_ATTR_BYTES : 0);
    int rc = proto_append_begin(to, bytes, &w);
    if (rc < 0)
        return rc;
    writer_u64(&w, entry->cookie);
    writer_u64(&w, entry->ino);
    writer_u32(&w, entry->type);
    writer_u8(&w, entry->has_attr);
    writer_u16(&w, (uint16_t)entry->name.bytes);
    writer_bytes(&w, entry->name.data, entry->name.bytes);
    if (entry->has_attr)
        proto_attr_write(&w, &entry->attr);
    proto_append_end(to, &w);
    return 0;
}

int proto_dirent_decode(struct reader *r, struct proto_dirent *ret_entry)
{
    struct proto_dirent entry = {.cookie = reader_u64(r)};
    entry.ino = reader_u64(r);
    entry.type = reader_u32(r);
    uint8_t has_attr = reader_u8(r);
    entry.has_attr = has_attr == 1;
    entry.name.bytes = reader_u16(r);
    entry.name.data = reader_bytes(r, entry.name.bytes);
    if (entry.has_attr)
        proto_attr_read(r, &entry.attr);
    if (r->failed || has_attr > 1 || !dirent_valid(&entry))
        return -EPROTO;
    *ret_entry = entry;
    return 0;
}

void proto_statfs_write(struct writer *w, const struct proto_statfs *statfs)
{
    writer_u64(w, statfs->inodes_used);
    writer_u64(w, statfs->inodes_max);
    writer_u64(w, statfs->bytes_used);
    writer_u32(w, statfs->name_bytes_max);
    writer_u32(w, statfs->inline_bytes_max);
}

void proto_statfs_read(struct reader *r, struct proto_statfs *ret_statfs)
{
    ret_statfs->inodes_used = reader_u64(r);
    ret_statfs->inodes_max = reader_u64(r);
    ret_statfs->bytes_used = reader_u64(r);
    ret_statfs->name_bytes_max = reader_u32(r);
    ret_statfs->inline_bytes_max = reader_u32(r);
}

void proto_purge_write(struct writer *w, const struct proto_purge *purge)
{
    writer_u64(w, purge->ino);
    writer_u64(w, purge->generation);
}

void proto_purge_read(struct reader *r, struct proto_purge *ret_purge)
{
    ret_purge->ino = reader_u64(r);
    ret_purge->generation = reader_u64(r);
}
