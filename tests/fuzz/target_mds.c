/* Records of the namespace. Input: kind of the record u8, value. */
#include "mds/record.h"
#include "tests/fuzz/fuzz.h"

#include <sys/stat.h>

enum { ROOM = 8192 };

/* What was decoded encodes to the same bytes. */
#define RECODE(type, read, write) \
    do {                          \
        struct type value;        \
        if (read == 0)            \
            write(&w, &value);    \
        else                      \
            return;               \
    } while (0)

static void walk_names(const struct xattr_names *names)
{
    struct reader r = reader_make(names->names.data, names->names.bytes);
    struct proto_bytes name;
    uint32_t count = 0;
    while (record_xattr_next(&r, &name))
        count++;
    MUST(count == names->count);
}

static void write_xattr_names(struct writer *w, const struct xattr_names *names)
{
    walk_names(names);
    record_write_xattr_names(w, names);
}

static void write_inode(struct writer *w, const struct inode *inode)
{
    struct proto_attr attr;
    inode_attr(inode, &attr);
    record_write_inode(w, inode);
}

static void record_one(const uint8_t *bytes, size_t count)
{
    uint8_t raw[ROOM];
    struct writer w = writer_make(raw, sizeof raw);
    if (count < 1 || count > ROOM)
        return;
    const uint8_t *v = bytes + 1;
    size_t n = count - 1;
    switch (bytes[0]) {
    case 'I':
        RECODE(inode, record_read_inode(v, n, 7, &value), write_inode);
        break;
    case 'N':
        RECODE(entry, record_read_entry(v, n, &value), record_write_entry);
        break;
    case 'D':
        RECODE(listing, record_read_listing(v, n, &value), record_write_listing);
        break;
    case 'S':
        RECODE(session, record_read_session(v, n, &value), record_write_session);
        break;
    case 's':
        RECODE(slot, record_read_slot(v, n, &value), record_write_slot);
        break;
    case 'O':
        RECODE(orphan, record_read_orphan(v, n, &value), record_write_orphan);
        break;
    case 'P':
        RECODE(purge, record_read_purge(v, n, &value), record_write_purge);
        break;
    case 'X':
        RECODE(xattr_names, record_read_xattr_names(v, n, &value), write_xattr_names);
        break;
    case 'M':
        RECODE(state_record, record_read_state(v, n, &value), record_write_state);
        break;
    default:
        return;
    }
    MUST(!w.failed);
    struct buffer again = {.data = raw, .bytes = writer_used(&w)};
    fuzz_must_equal(&again, v, n);
}

static bool record_seed(unsigned number, struct buffer *to)
{
    static const char kinds[] = "IINDSsOPXM";
    static const uint8_t names[] = {6, 'u', 's', 'e', 'r', '.', 'a'};
    const struct inode file = {.ino = 7, .mode = S_IFREG | 0644, .nlink = 1, .cut = UINT64_MAX};
    const struct inode directory = {.ino = 7,
                                    .mode = S_IFDIR | 0755,
                                    .nlink = 2,
                                    .cut = UINT64_MAX,
                                    .parent = 1,
                                    .cookie_next = 9};
    const struct entry entry = {3, 7, S_IFREG};
    const struct listing listing = {7, S_IFREG, {(const uint8_t *)"name", 4}};
    const struct session session = {.slots = 4};
    const struct slot slot = {1, {(const uint8_t *)"\0\0", 2}};
    const struct orphan orphan = {.next = 8};
    const struct purge purge = {1};
    const struct xattr_names xattrs = {1, 10, {names, sizeof names}};
    const struct state_record state = {.index = 1};
    uint8_t raw[ROOM];
    struct writer w = writer_make(raw, sizeof raw);
    switch (number) {
    case 0:
        record_write_inode(&w, &file);
        break;
    case 1:
        record_write_inode(&w, &directory);
        break;
    case 2:
        record_write_entry(&w, &entry);
        break;
    case 3:
        record_write_listing(&w, &listing);
        break;
    case 4:
        record_write_session(&w, &session);
        break;
    case 5:
        record_write_slot(&w, &slot);
        break;
    case 6:
        record_write_orphan(&w, &orphan);
        break;
    case 7:
        record_write_purge(&w, &purge);
        break;
    case 8:
        record_write_xattr_names(&w, &xattrs);
        break;
    case 9:
        record_write_state(&w, &state);
        break;
    default:
        return false;
    }
    buffer_u8(to, (uint8_t)kinds[number]);
    return buffer_append(to, raw, writer_used(&w)) != NULL;
}

const struct fuzz_target fuzz_record = {"record", record_one, record_seed};
