/* Keys of records: one letter for the kind, then numbers (big endian) and names. */
#include "mds/record.h"

#include "base/cursor.h"

#include <errno.h>

static struct record_key key_done(struct record_key *key, const struct writer *w)
{
    MUST(!w->failed);
    key->count = (uint32_t)writer_used(w);
    return *key;
}

static struct record_key key_number(enum record_kind kind, uint64_t number)
{
    struct record_key key;
    struct writer w = writer_make(key.bytes, sizeof key.bytes);
    writer_u8(&w, (uint8_t)kind);
    writer_be64(&w, number);
    return key_done(&key, &w);
}

static struct record_key key_name(enum record_kind kind, uint64_t number, struct proto_bytes name)
{
    struct record_key key;
    struct writer w = writer_make(key.bytes, sizeof key.bytes);
    writer_u8(&w, (uint8_t)kind);
    writer_be64(&w, number);
    writer_bytes(&w, name.data, name.bytes);
    return key_done(&key, &w);
}

struct record_key record_key_inode(uint64_t ino)
{
    return key_number(RECORD_INODE, ino);
}

struct record_key record_key_entry(uint64_t parent, struct proto_bytes name)
{
    return key_name(RECORD_ENTRY, parent, name);
}

struct record_key record_key_listing(uint64_t parent, uint64_t cookie)
{
    struct record_key key;
    struct writer w = writer_make(key.bytes, sizeof key.bytes);
    writer_u8(&w, RECORD_LISTING);
    writer_be64(&w, parent);
    writer_be64(&w, cookie);
    return key_done(&key, &w);
}

struct record_key record_key_body(uint64_t ino)
{
    return key_number(RECORD_BODY, ino);
}

struct record_key record_key_symlink(uint64_t ino)
{
    return key_number(RECORD_SYMLINK, ino);
}

struct record_key record_key_xattr(uint64_t ino, struct proto_bytes name)
{
    return key_name(RECORD_XATTR, ino, name);
}

struct record_key record_key_session(const uint8_t id[PROTO_SESSION_BYTES])
{
    struct record_key key;
    struct writer w = writer_make(key.bytes, sizeof key.bytes);
    writer_u8(&w, RECORD_SESSION);
    writer_bytes(&w, id, PROTO_SESSION_BYTES);
    return key_done(&key, &w);
}

struct record_key record_key_slot(const uint8_t id[PROTO_SESSION_BYTES], uint16_t slot)
{
    struct record_key key = record_key_session(id);
    key.bytes[key.count++] = (uint8_t)(slot >> 8);
    key.bytes[key.count++] = (uint8_t)slot;
    return key;
}

struct record_key record_key_orphan(uint64_t ino)
{
    return key_number(RECORD_ORPHAN, ino);
}

struct record_key record_key_purge(uint64_t ino)
{
    return key_number(RECORD_PURGE, ino);
}

struct record_key record_key_state(void)
{
    static const char text[] = "Mstate";
    struct record_key key;
    struct writer w = writer_make(key.bytes, sizeof key.bytes);
    writer_bytes(&w, text, sizeof text - 1);
    return key_done(&key, &w);
}

struct record_key record_key_first(enum record_kind kind)
{
    return (struct record_key){.count = 1, .bytes = {(uint8_t)kind}};
}

struct record_key record_key_end(enum record_kind kind)
{
    return (struct record_key){.count = 1, .bytes = {(uint8_t)(kind + 1)}};
}

int record_parse_listing_key(const void *key, size_t bytes, uint64_t *ret_parent,
                             uint64_t *ret_cookie)
{
    struct reader r = reader_make(key, bytes);
    bool kind = reader_u8(&r) == RECORD_LISTING;
    uint64_t parent = reader_be64(&r);
    uint64_t cookie = reader_be64(&r);
    if (!kind || !reader_complete(&r))
        return -EBADMSG;
    *ret_parent = parent;
    *ret_cookie = cookie;
    return 0;
}

int record_parse_purge_key(const void *key, size_t bytes, uint64_t *ret_ino)
{
    struct reader r = reader_make(key, bytes);
    bool kind = reader_u8(&r) == RECORD_PURGE;
    uint64_t ino = reader_be64(&r);
    if (!kind || !reader_complete(&r))
        return -EBADMSG;
    *ret_ino = ino;
    return 0;
}
