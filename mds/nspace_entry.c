/* Entries of directories: two records each, one that finds the name (N), one that lists it at its
 * cookie (D). The second follows from the first, so it is changed without being read.
 *
 * Invariants: a directory's `entries` counts its N records, and its D records; a cookie is given
 * out once; dot entries have no records. */
#include "mds/nspace_run.h"

static bool name_is_dots(struct proto_bytes name)
{
    if (name.bytes == 1)
        return name.data[0] == '.';
    return name.bytes == 2 && name.data[0] == '.' && name.data[1] == '.';
}

static int entry_find(struct nspace_run *run, struct place *place)
{
    struct record_key key = record_key_entry(place->dir.ino, place->name);
    struct proto_bytes value;
    TRY(run_get(run, &key, &value));
    place->found = value.data != NULL;
    if (!place->found)
        return 0;
    return record_read_entry(value.data, value.bytes, &place->entry);
}

int place_find(struct nspace_run *run, uint64_t parent, struct proto_bytes name,
               struct place *ret_place)
{
    struct place *place = ret_place;
    *place = (struct place){.name = name, .dots = name_is_dots(name)};
    TRY(inode_load_directory(run, parent, &place->dir));
    TRY(permission_check(run, &place->dir, MAY_EXECUTE));
    if (name.bytes == 0)
        return PROTO_NOENT;
    if (name.bytes > PROTO_NAME_BYTES_MAX)
        return PROTO_NAMETOOLONG;
    return place->dots ? 0 : entry_find(run, place);
}

static size_t listing_encode(uint8_t value[RECORD_LISTING_BYTES_MAX], struct proto_bytes name,
                             uint64_t ino, uint32_t type)
{
    struct listing listing = {.ino = ino, .type = type & S_IFMT, .name = name};
    struct writer w = writer_make(value, RECORD_LISTING_BYTES_MAX);
    record_write_listing(&w, &listing);
    return writer_used(&w);
}

static int entry_put(struct nspace_run *run, const struct inode *dir, struct proto_bytes name,
                     const struct entry *entry)
{
    struct record_key key = record_key_entry(dir->ino, name);
    uint8_t value[RECORD_ENTRY_BYTES];
    struct writer w = writer_make(value, sizeof value);
    record_write_entry(&w, entry);
    return run_put(run, &key, value, writer_used(&w));
}

static void directory_changed(struct nspace_run *run, struct inode *dir)
{
    dir->mtime = run->now;
    dir->ctime = run->now;
}

int entry_add(struct nspace_run *run, struct inode *dir, struct proto_bytes name,
              const struct inode *inode)
{
    const struct entry entry = {
        .cookie = dir->cookie_next++, .ino = inode->ino, .type = inode->mode & S_IFMT};
    struct record_key key = record_key_listing(dir->ino, entry.cookie);
    uint8_t value[RECORD_LISTING_BYTES_MAX];
    size_t bytes = listing_encode(value, name, inode->ino, inode->mode);
    TRY(entry_put(run, dir, name, &entry));
    TRY(run_code(txn_insert(run->txn, &key, value, bytes)));
    dir->entries++;
    directory_changed(run, dir);
    return 0;
}

int entry_remove(struct nspace_run *run, struct inode *dir, struct proto_bytes name,
                 const struct entry *entry)
{
    struct record_key found = record_key_entry(dir->ino, name);
    struct record_key listed = record_key_listing(dir->ino, entry->cookie);
    uint8_t old[RECORD_LISTING_BYTES_MAX];
    size_t old_bytes = listing_encode(old, name, entry->ino, entry->type);
    TRY(run_delete(run, &found));
    TRY(run_code(txn_replace(run->txn, &listed, old, old_bytes, NULL, 0)));
    dir->entries--;
    directory_changed(run, dir);
    return 0;
}

int entry_point(struct nspace_run *run, struct inode *dir, struct proto_bytes name,
                const struct entry *entry, const struct inode *inode)
{
    const struct entry next = {
        .cookie = entry->cookie, .ino = inode->ino, .type = inode->mode & S_IFMT};
    struct record_key listed = record_key_listing(dir->ino, entry->cookie);
    uint8_t old[RECORD_LISTING_BYTES_MAX], value[RECORD_LISTING_BYTES_MAX];
    size_t old_bytes = listing_encode(old, name, entry->ino, entry->type);
    size_t bytes = listing_encode(value, name, next.ino, next.type);
    TRY(entry_put(run, dir, name, &next));
    TRY(run_code(txn_replace(run->txn, &listed, old, old_bytes, value, bytes)));
    directory_changed(run, dir);
    return 0;
}
