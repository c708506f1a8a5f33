/* The checker: what must hold of the records of any namespace, found out by plain loops over all.
 */
#include "world.h"

#include <criterion/criterion.h>
#include <string.h>

#define EXPECT(condition, record) \
    cr_assert(condition, "%c record %lu: %s", (record)->key[0], number(record, 0), #condition)

static unsigned long number(const struct world_record *record, size_t index)
{
    struct reader r = reader_make(record->key + 1 + 8 * index, 8);
    return reader_be64(&r);
}

static bool is(const struct world_record *record, enum record_kind kind)
{
    return record->key[0] == kind;
}

static struct inode inode_of(const struct world *w, uint64_t ino)
{
    struct record_key key = record_key_inode(ino);
    const struct world_record *record = world_find(w, &key);
    struct inode inode;
    cr_assert(record, "inode %lu is not there", (unsigned long)ino);
    cr_assert_eq(record_read_inode(record->value, record->value_bytes, ino, &inode), 0);
    return inode;
}

static bool exists(const struct world *w, struct record_key key)
{
    return world_find(w, &key) != NULL;
}

struct tally {
    uint64_t names, entries, listed, subdirectories, parent;
};

static struct tally tally_of(const struct world *w, uint64_t ino)
{
    struct tally tally = {0};
    for (size_t i = 0; i < w->count; i++) {
        const struct world_record *record = &w->records[i];
        struct entry entry;
        if (is(record, RECORD_LISTING))
            tally.listed += number(record, 0) == ino;
        if (!is(record, RECORD_ENTRY))
            continue;
        cr_assert_eq(record_read_entry(record->value, record->value_bytes, &entry), 0);
        tally.entries += number(record, 0) == ino;
        tally.subdirectories += number(record, 0) == ino && S_ISDIR(entry.type);
        tally.names += entry.ino == ino;
        if (entry.ino == ino)
            tally.parent = number(record, 0);
    }
    return tally;
}

static void check_directory(const struct world_record *record, const struct inode *inode,
                            const struct tally *tally)
{
    bool root = inode->ino == PROTO_ROOT_INO;
    EXPECT(inode->entries == tally->entries, record);
    EXPECT(inode->entries == tally->listed, record);
    EXPECT(inode->nlink == (inode->nlink ? 2 + tally->subdirectories : 0), record);
    EXPECT(tally->names == (root || inode->nlink == 0 ? 0 : 1), record);
    EXPECT(inode->nlink == 0 || inode->parent == (root ? PROTO_ROOT_INO : tally->parent), record);
}

static void check_data(const struct world *w, const struct world_record *record,
                       const struct inode *inode)
{
    struct record_key key = record_key_body(inode->ino);
    const struct world_record *body = world_find(w, &key);
    bool inlined = S_ISREG(inode->mode) && !inode->layout.striped && inode->size > 0;
    EXPECT((body != NULL) == inlined, record);
    EXPECT(!body || body->value_bytes == RECORD_BYTES_HEAD_BYTES + inode->size, record);
    EXPECT(exists(w, record_key_symlink(inode->ino)) == S_ISLNK(inode->mode), record);
    EXPECT(inode->cut == UINT64_MAX || inode->size <= inode->cut, record);
}

static void check_xattrs(const struct world *w, const struct world_record *record,
                         const struct inode *inode)
{
    struct record_key key = record_key_xattr(inode->ino, (struct proto_bytes){0});
    const struct world_record *list = world_find(w, &key);
    struct xattr_names names = {0};
    struct proto_bytes name;
    size_t values = 0, bytes = 0;
    EXPECT((list != NULL) == ((inode->flags & INODE_HAS_XATTRS) != 0), record);
    if (list)
        EXPECT(record_read_xattr_names(list->value, list->value_bytes, &names) == 0, list);
    struct reader r = reader_make(names.names.data, names.names.bytes);
    while (record_xattr_next(&r, &name)) {
        struct record_key value_key = record_key_xattr(inode->ino, name);
        const struct world_record *value = world_find(w, &value_key);
        EXPECT(value != NULL, record);
        bytes += name.bytes + value->value_bytes - RECORD_BYTES_HEAD_BYTES;
    }
    for (size_t i = 0; i < w->count; i++)
        values += is(&w->records[i], RECORD_XATTR) && number(&w->records[i], 0) == inode->ino &&
                  w->records[i].key_bytes > 9;
    EXPECT(values == names.count && bytes == names.bytes, record);
    EXPECT(!list || names.count > 0, record);
}

static void check_inode(const struct world *w, const struct world_record *record)
{
    uint64_t ino = number(record, 0);
    struct inode inode = inode_of(w, ino);
    struct tally tally = tally_of(w, ino);
    EXPECT(ino < w->state.next_ino, record);
    EXPECT(exists(w, record_key_orphan(ino)) == (inode.nlink == 0), record);
    if (S_ISDIR(inode.mode))
        check_directory(record, &inode, &tally);
    else
        EXPECT(inode.nlink == tally.names, record);
    check_data(w, record, &inode);
    check_xattrs(w, record, &inode);
}

static void check_entry(const struct world *w, const struct world_record *record)
{
    struct entry entry;
    struct listing listing;
    cr_assert_eq(record_read_entry(record->value, record->value_bytes, &entry), 0);
    struct inode dir = inode_of(w, number(record, 0)), inode = inode_of(w, entry.ino);
    struct record_key key = record_key_listing(dir.ino, entry.cookie);
    const struct world_record *listed = world_find(w, &key);
    EXPECT(listed != NULL, record);
    EXPECT(record_read_listing(listed->value, listed->value_bytes, &listing) == 0, listed);
    EXPECT(S_ISDIR(dir.mode) && entry.cookie >= 3 && entry.cookie < dir.cookie_next, record);
    EXPECT(listing.ino == entry.ino && listing.type == entry.type, record);
    EXPECT((inode.mode & S_IFMT) == entry.type, record);
    EXPECT(listing.name.bytes == record->key_bytes - 9, record);
    EXPECT(memcmp(listing.name.data, record->key + 9, listing.name.bytes) == 0, record);
}

/* The session's list has this orphan, once, with links that agree. */
static void check_orphan(const struct world *w, const struct world_record *record)
{
    struct orphan orphan;
    struct session session;
    uint64_t previous = 0, seen = 0;
    cr_assert_eq(record_read_orphan(record->value, record->value_bytes, &orphan), 0);
    struct record_key key = record_key_session(orphan.session);
    const struct world_record *owner = world_find(w, &key);
    EXPECT(owner != NULL, record);
    EXPECT(record_read_session(owner->value, owner->value_bytes, &session) == 0, owner);
    for (uint64_t ino = session.orphans; ino; ino = orphan.next) {
        struct record_key at = record_key_orphan(ino);
        const struct world_record *each = world_find(w, &at);
        EXPECT(each != NULL, record);
        EXPECT(record_read_orphan(each->value, each->value_bytes, &orphan) == 0, each);
        EXPECT(orphan.previous == previous && ino != previous, each);
        seen += ino == number(record, 0);
        previous = ino;
    }
    EXPECT(seen == 1, record);
}

static void check_owned(const struct world *w, const struct world_record *record)
{
    EXPECT(exists(w, record_key_inode(number(record, 0))), record);
}

static void check_state(const struct world *w)
{
    struct hash128 digest = {0};
    uint64_t inodes = 0, bytes = 0, sessions = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct world_record *r = &w->records[i];
        digest =
            hash128_add(digest, hash128_record(r->key, r->key_bytes, r->value, r->value_bytes));
        sessions += is(r, RECORD_SESSION) && r->key_bytes == 1 + PROTO_SESSION_BYTES;
        if (!is(r, RECORD_INODE))
            continue;
        struct inode inode = inode_of(w, number(r, 0));
        inodes++;
        bytes += S_ISREG(inode.mode) ? inode.size : 0;
    }
    cr_assert_eq(inodes, w->state.inodes);
    cr_assert_eq(bytes, w->state.bytes_used);
    cr_assert_eq(sessions, w->state.sessions);
    cr_assert_eq(sessions, session_index_count(w->sessions));
    cr_assert(hash128_equal(digest, w->state.digest), "the digest is not that of the records");
}

void world_check(struct world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct world_record *record = &w->records[i];
        if (is(record, RECORD_INODE))
            check_inode(w, record);
        else if (is(record, RECORD_ENTRY))
            check_entry(w, record);
        else if (is(record, RECORD_ORPHAN))
            check_orphan(w, record);
        else if (!is(record, RECORD_SESSION) && !is(record, RECORD_PURGE))
            check_owned(w, record);
    }
    check_state(w);
}
