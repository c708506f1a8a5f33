/* Values of records. A value is a version byte and fixed fields, little endian; what varies in
 * length comes last. A decoder accepts only what an encoder can have written: a wrong version,
 * length, type or an impossible number means damage. */
#include "mds/record.h"

#include "base/cursor.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { VERSION = 1, TYPE_SHIFT = 12 };

static_assert(S_IFMT >> TYPE_SHIFT == 15, "the type of an entry is four bits");

static bool type_valid(uint32_t type)
{
    return S_ISREG(type) || S_ISDIR(type) || S_ISLNK(type) || S_ISCHR(type) || S_ISBLK(type) ||
           S_ISFIFO(type) || S_ISSOCK(type);
}

/* A reader behind the version byte; failed where the version is another one. */
static struct reader value_open(const void *value, size_t bytes)
{
    struct reader r = reader_make(value, bytes);
    if (reader_u8(&r) != VERSION)
        r.failed = true;
    return r;
}

void record_write_inode(struct writer *w, const struct inode *inode)
{
    writer_u8(w, VERSION);
    writer_u64(w, inode->generation);
    writer_u32(w, inode->mode);
    writer_u32(w, inode->nlink);
    writer_u32(w, inode->uid);
    writer_u32(w, inode->gid);
    writer_u32(w, inode->flags);
    writer_u64(w, inode->rdev);
    writer_u64(w, inode->size);
    writer_i64(w, inode->atime);
    writer_i64(w, inode->mtime);
    writer_i64(w, inode->ctime);
    writer_i64(w, inode->btime);
    writer_u64(w, inode->data_version);
    writer_u64(w, inode->cut);
    writer_u8(w, inode->layout.striped);
    writer_u8(w, inode->layout.targets);
    writer_u8(w, inode->layout.first);
    writer_u32(w, inode->layout.stripe_bytes);
    if (S_ISDIR(inode->mode)) {
        writer_u64(w, inode->parent);
        writer_u64(w, inode->entries);
        writer_u64(w, inode->cookie_next);
    }
}

int record_read_inode(const void *value, size_t bytes, uint64_t ino, struct inode *ret)
{
    struct reader r = value_open(value, bytes);
    struct inode inode = {.ino = ino};
    inode.generation = reader_u64(&r);
    inode.mode = reader_u32(&r);
    inode.nlink = reader_u32(&r);
    inode.uid = reader_u32(&r);
    inode.gid = reader_u32(&r);
    inode.flags = reader_u32(&r);
    inode.rdev = reader_u64(&r);
    inode.size = reader_u64(&r);
    inode.atime = reader_i64(&r);
    inode.mtime = reader_i64(&r);
    inode.ctime = reader_i64(&r);
    inode.btime = reader_i64(&r);
    inode.data_version = reader_u64(&r);
    inode.cut = reader_u64(&r);
    inode.layout.striped = reader_u8(&r);
    inode.layout.targets = reader_u8(&r);
    inode.layout.first = reader_u8(&r);
    inode.layout.stripe_bytes = reader_u32(&r);
    if (S_ISDIR(inode.mode)) {
        inode.parent = reader_u64(&r);
        inode.entries = reader_u64(&r);
        inode.cookie_next = reader_u64(&r);
    }
    if (!reader_complete(&r) || !type_valid(inode.mode) || inode.layout.striped > 1)
        return -EBADMSG;
    *ret = inode;
    return 0;
}

void record_write_entry(struct writer *w, const struct entry *entry)
{
    writer_u8(w, VERSION);
    writer_u64(w, entry->cookie);
    writer_u64(w, entry->ino);
    writer_u8(w, (uint8_t)((entry->type & S_IFMT) >> TYPE_SHIFT));
}

int record_read_entry(const void *value, size_t bytes, struct entry *ret)
{
    struct reader r = value_open(value, bytes);
    struct entry entry;
    entry.cookie = reader_u64(&r);
    entry.ino = reader_u64(&r);
    entry.type = (uint32_t)reader_u8(&r) << TYPE_SHIFT;
    if (!reader_complete(&r) || !type_valid(entry.type) || entry.type & ~(uint32_t)S_IFMT)
        return -EBADMSG;
    *ret = entry;
    return 0;
}

void record_write_listing(struct writer *w, const struct listing *listing)
{
    writer_u8(w, VERSION);
    writer_u64(w, listing->ino);
    writer_u8(w, (uint8_t)((listing->type & S_IFMT) >> TYPE_SHIFT));
    writer_bytes(w, listing->name.data, listing->name.bytes);
}

int record_read_listing(const void *value, size_t bytes, struct listing *ret)
{
    struct reader r = value_open(value, bytes);
    struct listing listing;
    listing.ino = reader_u64(&r);
    listing.type = (uint32_t)reader_u8(&r) << TYPE_SHIFT;
    listing.name.bytes = (uint32_t)reader_left(&r);
    listing.name.data = r.at;
    if (r.failed || !type_valid(listing.type) || listing.type & ~(uint32_t)S_IFMT ||
        listing.name.bytes == 0 || listing.name.bytes > PROTO_NAME_BYTES_MAX)
        return -EBADMSG;
    *ret = listing;
    return 0;
}

void record_write_session(struct writer *w, const struct session *session)
{
    writer_u8(w, VERSION);
    writer_u32(w, session->owner);
    writer_i64(w, session->opened);
    writer_i64(w, session->last_seen);
    writer_u16(w, session->slots);
    writer_u16(w, session->slots_used);
    writer_u8(w, session->closing);
    writer_u64(w, session->orphans);
}

int record_read_session(const void *value, size_t bytes, struct session *ret)
{
    struct reader r = value_open(value, bytes);
    struct session session;
    session.owner = reader_u32(&r);
    session.opened = reader_i64(&r);
    session.last_seen = reader_i64(&r);
    session.slots = reader_u16(&r);
    session.slots_used = reader_u16(&r);
    uint8_t closing = reader_u8(&r);
    session.closing = closing != 0;
    session.orphans = reader_u64(&r);
    if (!reader_complete(&r) || closing > 1 || session.slots > PROTO_SLOTS_MAX ||
        session.slots_used > session.slots)
        return -EBADMSG;
    *ret = session;
    return 0;
}

void record_write_slot(struct writer *w, const struct slot *slot)
{
    writer_u8(w, VERSION);
    writer_u64(w, slot->seq);
    writer_bytes(w, slot->outcome.data, slot->outcome.bytes);
}

int record_read_slot(const void *value, size_t bytes, struct slot *ret)
{
    struct reader r = value_open(value, bytes);
    struct slot slot;
    slot.seq = reader_u64(&r);
    slot.outcome = (struct proto_bytes){r.at, (uint32_t)reader_left(&r)};
    if (r.failed || bytes > PROTO_REPLY_BYTES_MAX)
        return -EBADMSG;
    *ret = slot;
    return 0;
}

void record_write_orphan(struct writer *w, const struct orphan *orphan)
{
    writer_u8(w, VERSION);
    writer_bytes(w, orphan->session, PROTO_SESSION_BYTES);
    writer_u64(w, orphan->previous);
    writer_u64(w, orphan->next);
}

int record_read_orphan(const void *value, size_t bytes, struct orphan *ret)
{
    struct reader r = value_open(value, bytes);
    struct orphan orphan;
    reader_copy(&r, orphan.session, PROTO_SESSION_BYTES);
    orphan.previous = reader_u64(&r);
    orphan.next = reader_u64(&r);
    if (!reader_complete(&r))
        return -EBADMSG;
    *ret = orphan;
    return 0;
}

void record_write_purge(struct writer *w, const struct purge *purge)
{
    writer_u8(w, VERSION);
    writer_u64(w, purge->generation);
}

int record_read_purge(const void *value, size_t bytes, struct purge *ret)
{
    struct reader r = value_open(value, bytes);
    struct purge purge = {.generation = reader_u64(&r)};
    if (!reader_complete(&r))
        return -EBADMSG;
    *ret = purge;
    return 0;
}

void record_write_xattr_names(struct writer *w, const struct xattr_names *names)
{
    writer_u8(w, VERSION);
    writer_u32(w, names->count);
    writer_u32(w, names->bytes);
    writer_bytes(w, names->names.data, names->names.bytes);
}

bool record_xattr_next(struct reader *names, struct proto_bytes *ret_name)
{
    if (reader_left(names) == 0 || names->failed)
        return false;
    ret_name->bytes = reader_u8(names);
    ret_name->data = reader_bytes(names, ret_name->bytes);
    return ret_name->data != NULL;
}

int record_read_xattr_names(const void *value, size_t bytes, struct xattr_names *ret)
{
    struct reader r = value_open(value, bytes);
    struct xattr_names names;
    names.count = reader_u32(&r);
    names.bytes = reader_u32(&r);
    names.names = (struct proto_bytes){r.at, (uint32_t)reader_left(&r)};
    struct proto_bytes name;
    uint32_t count = 0;
    while (record_xattr_next(&r, &name)) {
        r.failed |= name.bytes == 0;
        count++;
    }
    if (!reader_complete(&r) || count != names.count || bytes > PROTO_XATTR_LIST_BYTES_MAX)
        return -EBADMSG;
    *ret = names;
    return 0;
}

void record_write_bytes(struct writer *w, struct proto_bytes bytes)
{
    writer_u8(w, VERSION);
    writer_bytes(w, bytes.data, bytes.bytes);
}

int record_read_bytes(const void *value, size_t bytes, size_t bytes_max, struct proto_bytes *ret)
{
    struct reader r = value_open(value, bytes);
    if (r.failed || reader_left(&r) > bytes_max)
        return -EBADMSG;
    *ret = (struct proto_bytes){r.at, (uint32_t)reader_left(&r)};
    return 0;
}

static void write_hash(struct writer *w, struct hash128 hash)
{
    writer_u64(w, hash.low);
    writer_u64(w, hash.high);
}

static struct hash128 read_hash(struct reader *r)
{
    struct hash128 hash;
    hash.low = reader_u64(r);
    hash.high = reader_u64(r);
    return hash;
}

void record_write_state(struct writer *w, const struct state_record *record)
{
    const struct nspace_state *state = &record->state;
    writer_u8(w, VERSION);
    writer_u64(w, record->index);
    writer_u64(w, record->epoch);
    writer_u64(w, record->ts);
    writer_u8(w, record->rank);
    for (int k = 0; k < RECORD_RANKS; k++)
        writer_u64(w, record->counts[k]);
    write_hash(w, record->history);
    writer_i64(w, state->time_ns);
    writer_i64(w, state->epoch_time_ns);
    writer_u64(w, state->next_ino);
    writer_u64(w, state->inodes);
    writer_u64(w, state->bytes_used);
    writer_u64(w, state->sessions);
    write_hash(w, state->digest);
}

int record_read_state(const void *value, size_t bytes, struct state_record *ret)
{
    struct reader r = value_open(value, bytes);
    struct state_record record;
    record.index = reader_u64(&r);
    record.epoch = reader_u64(&r);
    record.ts = reader_u64(&r);
    record.rank = reader_u8(&r);
    for (int k = 0; k < RECORD_RANKS; k++)
        record.counts[k] = reader_u64(&r);
    record.history = read_hash(&r);
    record.state.time_ns = reader_i64(&r);
    record.state.epoch_time_ns = reader_i64(&r);
    record.state.next_ino = reader_u64(&r);
    record.state.inodes = reader_u64(&r);
    record.state.bytes_used = reader_u64(&r);
    record.state.sessions = reader_u64(&r);
    record.state.digest = read_hash(&r);
    if (!reader_complete(&r))
        return -EBADMSG;
    *ret = record;
    return 0;
}

/* Directories have no size of their own; 4096 is what most programs expect to see. */
void inode_attr(const struct inode *inode, struct proto_attr *ret_attr)
{
    uint64_t size = S_ISDIR(inode->mode) ? 4096 : inode->size;
    *ret_attr = (struct proto_attr){
        .ino = inode->ino,
        .generation = inode->generation,
        .mode = inode->mode,
        .nlink = inode->nlink,
        .uid = inode->uid,
        .gid = inode->gid,
        .rdev = inode->rdev,
        .size = size,
        .blocks = S_ISLNK(inode->mode) ? 0 : size / 512 + (size % 512 != 0),
        .atime = inode->atime,
        .mtime = inode->mtime,
        .ctime = inode->ctime,
        .btime = inode->btime,
        .data_version = inode->data_version,
        .cut = inode->cut,
        .layout = inode->layout,
    };
}
