/* Listings: READDIR and PURGE_LIST, which need a range of records.
 *
 * The range is read on a helper thread and merged with what changed meanwhile, as of one moment. If
 * attributes are wanted, their inodes are fetched, all at once; when they are in, the entries still
 * hold if the directory's own record has not changed since (every change of an entry changes it),
 * and otherwise the range is read again. So a listing is that of one index. After SCAN_TRIES_MAX
 * rounds entries whose inode is not at hand go without attributes, and the client looks them up.
 * Never more than one reply's worth of records is held. */
#include "mds/read_internal.h"
#include "base/cursor.h"
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

enum {
    SCAN_TRIES_MAX = 4,
    DIRENT_BYTES_LEAST = 24, /* encoded, with a name of one character */
    SCAN_RECORDS_MAX = 2048,
};

struct inode_wait {
    struct cache_wait wait;
    struct read_scan *scan;
};

struct read_scan {
    struct read *read;
    struct cache_scan scan;
    struct record_key from, to;
    struct nspace_readdir begun;
    struct buffer records; /* key bytes (4), value bytes (4), key, value */
    uint64_t directory;    /* hash of the directory's record when the range was read */
    bool fresh;            /* the range was read in this turn */
    uint32_t tries;
    uint32_t record_count;
    struct inode_wait *waits; /* owned; one for each inode that is being fetched */
    uint32_t fetching;
    struct buffer data;
    uint64_t touching; /* the newest pending message that touches an entry's attributes */
};

static struct read_scan *scan_create(struct read *read)
{
    struct read_scan *scan = calloc(1, sizeof *scan);
    if (!scan)
        return NULL;
    scan->read = read;
    buffer_init(&scan->records, 8 << 20);
    buffer_init(&scan->data, PROTO_DATA_BYTES_MAX + 1024); /* one entry more than is given */
    return scan;
}

void read_scan_destroy(struct read_scan *scan)
{
    if (!scan)
        return;
    buffer_finish(&scan->records);
    buffer_finish(&scan->data);
    free(scan->waits);
    free(scan);
}

static uint32_t data_bytes_max(const struct read *read)
{
    uint32_t count = read->request.op.count;
    if (read->request.op.code == PROTO_PURGE_LIST)
        return PROTO_DATA_BYTES_MAX;
    return count < PROTO_DATA_BYTES_MAX ? count : PROTO_DATA_BYTES_MAX;
}

static uint32_t records_max(const struct read *read)
{
    uint32_t count = read->request.op.count;
    if (read->request.op.code == PROTO_READDIR) {
        bool attr = read->request.op.flags & PROTO_READDIR_ATTR;
        count = count / (DIRENT_BYTES_LEAST + (attr ? PROTO_ATTR_BYTES : 0)) + 1;
    }
    return count < SCAN_RECORDS_MAX ? count : SCAN_RECORDS_MAX;
}

static void scan_each(struct cache_scan *cache_scan, const void *key, size_t key_bytes,
                      const void *value, size_t value_bytes)
{
    struct read_scan *scan = CONTAINER_OF(cache_scan, struct read_scan, scan);
    buffer_u32(&scan->records, (uint32_t)key_bytes);
    buffer_u32(&scan->records, (uint32_t)value_bytes);
    buffer_append(&scan->records, key, key_bytes);
    buffer_append(&scan->records, value, value_bytes);
    scan->record_count++;
}

/* Hash of the directory's record; 0 where it is not at hand. */
static uint64_t directory_hash(const struct read *read)
{
    const struct record_key key = record_key_inode(read->request.op.ino);
    const void *value;
    size_t bytes;
    if (cache_get(read->replica->cache, key.bytes, key.count, &value, &bytes) != CACHE_PRESENT)
        return 0;
    return hash64(value, bytes) | 1;
}

static void scan_finish(struct read *read);

static void scan_done(struct cache_scan *cache_scan, bool complete)
{
    struct read_scan *scan = CONTAINER_OF(cache_scan, struct read_scan, scan);
    struct read *read = scan->read;
    if (!read_take_back(read))
        return;
    scan->directory = directory_hash(read);
    scan->fresh = true;
    if (scan->records.failed)
        read_failed(read, -ENOMEM);
    else
        scan_finish(read);
}

static void scan_start(struct read *read)
{
    struct read_scan *scan = read->scan;
    buffer_clear(&scan->records);
    scan->record_count = 0;
    free(scan->waits);
    scan->waits = NULL;
    scan->scan = (struct cache_scan){.from = scan->from.bytes,
                                     .to = scan->to.bytes,
                                     .from_bytes = scan->from.count,
                                     .to_bytes = scan->to.count,
                                     .count_max = records_max(read),
                                     .each = scan_each,
                                     .done = scan_done};
    int rc = cache_scan_start(read->replica->cache, &scan->scan);
    if (rc < 0)
        read_failed(read, rc);
    else
        read_lend(read);
}

/* --- attributes ---------------------------------------------------------------------------------
 */

static void inode_fetched(struct cache_wait *wait)
{
    struct read_scan *scan = CONTAINER_OF(wait, struct inode_wait, wait)->scan;
    if (--scan->fetching == 0 && read_take_back(scan->read))
        scan_finish(scan->read);
}

/* 0 or -ENOMEM. */
static int inode_fetch(struct read_scan *scan, const struct record_key *key)
{
    if (!scan->waits)
        scan->waits = calloc(scan->record_count, sizeof *scan->waits);
    if (!scan->waits)
        return -ENOMEM;
    struct inode_wait *wait = &scan->waits[scan->fetching];
    *wait = (struct inode_wait){.wait.done = inode_fetched, .scan = scan};
    int rc = cache_fetch(scan->read->replica->cache, key->bytes, key->count, &wait->wait);
    scan->fetching += rc == 0;
    return rc;
}

/* --- entries ------------------------------------------------------------------------------------
 */

static bool record_next(struct reader *r, struct proto_bytes *ret_key,
                        struct proto_bytes *ret_value)
{
    if (reader_left(r) == 0)
        return false;
    ret_key->bytes = reader_u32(r);
    ret_value->bytes = reader_u32(r);
    ret_key->data = reader_bytes(r, ret_key->bytes);
    ret_value->data = reader_bytes(r, ret_value->bytes);
    MUST(!r->failed);
    return true;
}

/* False: there is no room for it any more. */
static bool dirent_add(struct read_scan *scan, const struct proto_dirent *entry)
{
    uint64_t newest;
    size_t before = scan->data.bytes;
    if (proto_dirent_encode(entry, &scan->data) < 0 ||
        scan->data.bytes > data_bytes_max(scan->read)) {
        scan->data.bytes = before;
        scan->data.failed = false;
        return false;
    }
    if (entry->has_attr &&
        pending_touches_inode(scan->read->replica->apply.pending, entry->ino, &newest) &&
        newest > scan->touching)
        scan->touching = newest;
    return true;
}

/* One record to one entry. 0; 1: no room; negative. An inode that is not at hand is fetched, and
 * the entry counts as long as it is without attributes. */
static int listing_add(struct read_scan *scan, struct proto_bytes key, struct proto_bytes value)
{
    struct replica *replica = scan->read->replica;
    struct nspace_txn *txn = &replica->reads.txn;
    struct proto_dirent entry;
    bool with_attr = scan->begun.with_attr;
    txn_begin(txn, &replica->source);
    int rc =
        nspace_readdir_entry(txn, with_attr, key.data, key.bytes, value.data, value.bytes, &entry);
    if (rc == NSPACE_MISS && scan->tries < SCAN_TRIES_MAX)
        rc = inode_fetch(scan, &txn->miss_key) < 0 ? -ENOMEM : NSPACE_MISS;
    if (rc == NSPACE_MISS)
        rc = nspace_readdir_entry(txn, false, key.data, key.bytes, value.data, value.bytes, &entry);
    if (rc != 0)
        return rc < 0 ? rc : -EBADMSG;
    return dirent_add(scan, &entry) ? 0 : 1;
}

static int purge_add(struct read_scan *scan, struct proto_bytes key, struct proto_bytes value)
{
    struct proto_purge purge;
    uint8_t *to;
    int rc = nspace_purge_entry(key.data, key.bytes, value.data, value.bytes, &purge);
    if (rc < 0)
        return rc;
    if (scan->data.bytes + PROTO_PURGE_BYTES > data_bytes_max(scan->read))
        return 1;
    to = buffer_reserve(&scan->data, PROTO_PURGE_BYTES);
    if (!to)
        return -ENOMEM;
    struct writer w = writer_make(to, PROTO_PURGE_BYTES);
    proto_purge_write(&w, &purge);
    scan->data.bytes += writer_used(&w);
    return 0;
}

/* All entries that fit, as the records are now. 0; 1: there was no room for all; negative. */
static int entries_collect(struct read_scan *scan)
{
    bool listing = scan->read->request.op.code == PROTO_READDIR;
    struct reader r = reader_make(scan->records.data, scan->records.bytes);
    struct proto_bytes key, value;
    int rc = 0;
    buffer_clear(&scan->data);
    scan->touching = 0;
    for (uint32_t i = 0; listing && rc == 0 && i < scan->begun.dot_count; i++)
        rc = dirent_add(scan, &scan->begun.dots[i]) ? 0 : 1;
    while (rc == 0 && record_next(&r, &key, &value))
        rc = listing ? listing_add(scan, key, value) : purge_add(scan, key, value);
    return rc;
}

/* --- the whole -----------------------------------------------------------------------------------
 */

static void scan_executed(struct read *read, enum proto_status status)
{
    struct read_scan *scan = read->scan;
    struct proto_outcome outcome = {.status = status};
    uint64_t touching = 0;
    if (status == PROTO_OK) {
        outcome.fields = PROTO_REPLY_DATA;
        outcome.data = (struct proto_bytes){scan->data.data, (uint32_t)scan->data.bytes};
    }
    if (!read->waited) {
        touching = read_touching(read);
        touching = scan->touching > touching ? scan->touching : touching;
    }
    read_executed(read, &outcome, touching);
}

/* Permission, dot entries and range, as the records are now. 0; NSPACE_MISS; negative. */
static int scan_begin(struct read *read)
{
    struct read_scan *scan = read->scan;
    struct replica *replica = read->replica;
    if (read->request.op.code == PROTO_PURGE_LIST) {
        scan->from = record_key_first(RECORD_PURGE);
        scan->to = record_key_end(RECORD_PURGE);
        return 0;
    }
    txn_begin(&replica->reads.txn, &replica->source);
    return nspace_readdir_begin(&replica->reads.txn, &read->request, &scan->begun, &scan->from,
                                &scan->to);
}

/* True where the listing may go on; otherwise the read has been dealt with. */
static bool scan_may_go_on(struct read *read)
{
    struct replica *replica = read->replica;
    int rc = scan_begin(read);
    if (rc == NSPACE_MISS) {
        read_lend(read);
        replica_fetch(replica, &replica->reads.txn.miss_key, &read->wait);
    } else if (rc < 0) {
        read_failed(read, rc);
    } else if (read->scan->begun.status != PROTO_OK) {
        scan_executed(read, read->scan->begun.status);
    } else {
        return true;
    }
    return false;
}

static void scan_finish(struct read *read)
{
    struct read_scan *scan = read->scan;
    bool fresh = scan->fresh;
    scan->fresh = false;
    if (!fresh && directory_hash(read) != scan->directory) {
        read->replica->reads.counters.rescans++;
        scan_start(read);
        return;
    }
    if (read->waited && apply_is_partial(read->replica)) {
        read_block_again(read);
        return;
    }
    if (!scan_may_go_on(read))
        return;
    int rc = entries_collect(scan);
    scan->tries++;
    if (scan->fetching > 0)
        read_lend(read); /* also after a failure: the cache has the waits */
    else if (rc < 0)
        read_failed(read, rc);
    else
        scan_executed(read, rc == 1 && scan->data.bytes == 0 ? PROTO_INVAL : PROTO_OK);
}

void read_scan_attempt(struct read *read)
{
    if (!read->scan && !(read->scan = scan_create(read))) {
        read_failed(read, -ENOMEM);
        return;
    }
    read->scan->tries = 0;
    if (scan_may_go_on(read))
        scan_start(read);
}
