/* Records: what is written is read again, what is damaged is refused. */
#include "world.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

typedef int reads(const void *value, size_t bytes);

static int inode_reads(const void *v, size_t n)
{
    struct inode x;
    return record_read_inode(v, n, 7, &x);
}
static int entry_reads(const void *v, size_t n)
{
    struct entry x;
    return record_read_entry(v, n, &x);
}
static int listing_reads(const void *v, size_t n)
{
    struct listing x;
    return record_read_listing(v, n, &x);
}
static int session_reads(const void *v, size_t n)
{
    struct session x;
    return record_read_session(v, n, &x);
}
static int slot_reads(const void *v, size_t n)
{
    struct slot x;
    return record_read_slot(v, n, &x);
}
static int orphan_reads(const void *v, size_t n)
{
    struct orphan x;
    return record_read_orphan(v, n, &x);
}
static int purge_reads(const void *v, size_t n)
{
    struct purge x;
    return record_read_purge(v, n, &x);
}
static int names_reads(const void *v, size_t n)
{
    struct xattr_names x;
    return record_read_xattr_names(v, n, &x);
}
static int state_reads(const void *v, size_t n)
{
    struct state_record x;
    return record_read_state(v, n, &x);
}

/* Accepted whole; refused when cut (below `shortest`), of another version, or (if `exact`) longer.
 */
static void expect_robust(const char *what, const struct writer *w, reads *read, size_t shortest,
                          bool exact)
{
    uint8_t copy[512];
    size_t bytes = writer_used(w);
    cr_assert(!w->failed && bytes < sizeof copy, "%s", what);
    memcpy(copy, w->base, bytes);
    cr_assert_eq(read(copy, bytes), 0, "%s", what);
    for (size_t cut = 0; cut < shortest; cut++)
        cr_assert_eq(read(copy, cut), -EBADMSG, "%s cut to %zu", what, cut);
    copy[bytes] = 0;
    cr_assert_eq(read(copy, bytes + 1), exact ? -EBADMSG : 0, "%s longer", what);
    copy[0]++;
    cr_assert_eq(read(copy, bytes), -EBADMSG, "%s of a newer version", what);
}

static uint8_t space[512];

static struct writer fresh(void)
{
    memset(space, 0xee, sizeof space);
    return writer_make(space, sizeof space);
}

Test(record, inode)
{
    struct inode in = {7, 8, S_IFREG | 0644, 3, 4, 5, 1, 6, 9, -1, 2, 3, 4, 5, 6, {1, 2, 1, 77}};
    struct inode dir = {.ino = 7, .mode = S_IFDIR, .parent = 9, .entries = 3, .cookie_next = 12};
    struct inode out = {0};
    struct writer w = fresh();
    record_write_inode(&w, &in);
    cr_assert_eq(writer_used(&w), RECORD_INODE_BYTES);
    cr_assert_eq(record_read_inode(space, writer_used(&w), 7, &out), 0);
    cr_assert(out.ino == 7 && out.generation == 8 && out.mode == in.mode && out.nlink == 3);
    cr_assert(out.uid == 4 && out.gid == 5 && out.flags == 1 && out.rdev == 6 && out.size == 9);
    cr_assert(out.atime == -1 && out.mtime == 2 && out.ctime == 3 && out.btime == 4);
    cr_assert(out.data_version == 5 && out.cut == 6 && out.layout.stripe_bytes == 77);
    expect_robust("inode", &w, inode_reads, RECORD_INODE_BYTES, true);
    w = fresh();
    record_write_inode(&w, &dir);
    cr_assert_eq(writer_used(&w), RECORD_DIRECTORY_BYTES);
    cr_assert_eq(record_read_inode(space, writer_used(&w), 7, &out), 0);
    cr_assert(out.parent == 9 && out.entries == 3 && out.cookie_next == 12);
    expect_robust("directory", &w, inode_reads, RECORD_DIRECTORY_BYTES, true);
}

Test(record, inode_of_no_type)
{
    struct inode in = {.mode = 0644};
    struct writer w = fresh();
    record_write_inode(&w, &in);
    cr_assert_eq(inode_reads(space, writer_used(&w)), -EBADMSG);
}

Test(record, names)
{
    struct entry entry = {5, 6, S_IFDIR}, entry_out;
    struct listing listing = {6, S_IFLNK, BYTES("name")}, listing_out;
    struct writer w = fresh();
    record_write_entry(&w, &entry);
    cr_assert_eq(record_read_entry(space, writer_used(&w), &entry_out), 0);
    cr_assert(entry_out.cookie == 5 && entry_out.ino == 6 && entry_out.type == S_IFDIR);
    expect_robust("entry", &w, entry_reads, RECORD_ENTRY_BYTES, true);
    w = fresh();
    record_write_listing(&w, &listing);
    cr_assert_eq(record_read_listing(space, writer_used(&w), &listing_out), 0);
    cr_assert(listing_out.ino == 6 && listing_out.name.bytes == 4);
    expect_robust("listing", &w, listing_reads, 11, false);
}

Test(record, sessions)
{
    struct session session = {.owner = 1,
                              .opened = 2,
                              .last_seen = 3,
                              .slots = 9,
                              .slots_used = 4,
                              .closing = true,
                              .orphans = 8};
    struct session out;
    struct slot slot = {7, BYTES("outcome")};
    struct orphan orphan = {{1}, 2, 3};
    struct purge purge = {4};
    struct writer w = fresh();
    record_write_session(&w, &session);
    cr_assert_eq(record_read_session(space, writer_used(&w), &out), 0);
    cr_assert(out.owner == 1 && out.opened == 2 && out.last_seen == 3 && out.slots == 9);
    cr_assert(out.slots_used == 4 && out.closing && out.orphans == 8);
    expect_robust("session", &w, session_reads, RECORD_SESSION_BYTES, true);
    w = fresh();
    record_write_slot(&w, &slot);
    expect_robust("slot", &w, slot_reads, RECORD_SLOT_HEAD_BYTES, false);
    w = fresh();
    record_write_orphan(&w, &orphan);
    expect_robust("orphan", &w, orphan_reads, RECORD_ORPHAN_BYTES, true);
    w = fresh();
    record_write_purge(&w, &purge);
    expect_robust("purge", &w, purge_reads, RECORD_PURGE_BYTES, true);
}

Test(record, session_with_more_slots_than_it_has)
{
    struct session session = {.slots = 3, .slots_used = 4};
    struct writer w = fresh();
    record_write_session(&w, &session);
    cr_assert_eq(session_reads(space, writer_used(&w)), -EBADMSG);
}

Test(record, xattr_names)
{
    struct xattr_names names = {2, 10, BYTES("\001a\003bcd")};
    struct writer w = fresh();
    record_write_xattr_names(&w, &names);
    expect_robust("names", &w, names_reads, RECORD_XATTR_NAMES_HEAD_BYTES + 6, true);
    names.count = 3;
    w = fresh();
    record_write_xattr_names(&w, &names);
    cr_assert_eq(names_reads(space, writer_used(&w)), -EBADMSG);
}

Test(record, state)
{
    struct state_record
        in = {1, 2, 3, 4, {5, 0, 7, 0, 0, 0, 9}, {5, 6}, {7, 8, 9, 10, 11, 12, {13, 14}}},
        out = {0};
    struct writer w = fresh();
    record_write_state(&w, &in);
    cr_assert_eq(writer_used(&w), RECORD_STATE_BYTES);
    cr_assert_eq(record_read_state(space, writer_used(&w), &out), 0);
    cr_assert(out.index == 1 && out.epoch == 2 && out.ts == 3 && out.rank == 4);
    cr_assert(out.history.high == 6 && out.state.time_ns == 7 && out.state.epoch_time_ns == 8);
    cr_assert(out.state.next_ino == 9 && out.state.inodes == 10 && out.state.bytes_used == 11);
    cr_assert(out.state.sessions == 12 && out.state.digest.high == 14);
    expect_robust("state", &w, state_reads, RECORD_STATE_BYTES, true);
}

Test(record, bytes)
{
    struct proto_bytes out;
    cr_assert_eq(record_read_bytes("\001abc", 4, 3, &out), 0);
    cr_assert(out.bytes == 3 && out.data[0] == 'a');
    cr_assert_eq(record_read_bytes("\001abc", 4, 2, &out), -EBADMSG);
    cr_assert_eq(record_read_bytes("\002abc", 4, 3, &out), -EBADMSG);
    cr_assert_eq(record_read_bytes("", 0, 3, &out), -EBADMSG);
}

Test(record, keys_sort_as_directories_list)
{
    struct record_key a = record_key_listing(255, 7), b = record_key_listing(256, 3);
    struct record_key first = record_key_first(RECORD_LISTING),
                      end = record_key_end(RECORD_LISTING);
    uint64_t parent, cookie;
    cr_assert_lt(memcmp(a.bytes, b.bytes, a.count), 0);
    cr_assert_lt(memcmp(first.bytes, a.bytes, 1), 1);
    cr_assert_gt(memcmp(end.bytes, b.bytes, 1), 0);
    cr_assert_eq(record_parse_listing_key(b.bytes, b.count, &parent, &cookie), 0);
    cr_assert(parent == 256 && cookie == 3);
    cr_assert_eq(record_parse_listing_key(b.bytes, b.count - 1, &parent, &cookie), -EBADMSG);
    cr_assert_eq(record_parse_purge_key(b.bytes, 9, &parent), -EBADMSG);
}
