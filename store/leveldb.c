/* The store on LevelDB, through its C interface.
 *
 * Every batch is synced, asked for or not. LevelDB closes a full log file without a sync, and its
 * reader skips over damaged blocks; so a power cut after unsynced batches could keep a later batch
 * and lose an earlier one. With every batch synced before the next begins, what a cut can hit is
 * the last batch alone. The batches are those of the cache's flushes, few and large, so it costs
 * little.
 *
 * Paranoid checks and checksum verification are on: damage is reported, never skipped, and nothing
 * is ever repaired here. After a failed write the store refuses all further ones. */
#include "store/store.h"

#include <errno.h>
#include <leveldb/c.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BLOOM_BITS = 10, BLOCK_CACHE_DEFAULT = 64 << 20, WRITE_BUFFER_DEFAULT = 16 << 20 };

struct store_leveldb {
    struct store store;
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_readoptions_t *read;
    leveldb_writeoptions_t *write;
    atomic_bool failed; /* a write failed: no further one is tried */
};

static struct store_leveldb *leveldb_of(struct store *store)
{
    return (struct store_leveldb *)store;
}

/* What a compaction finds damaged, or a missing file, has the same words as what a read finds. A
 * place that the medium does not give back is damage where it is read; elsewhere the trouble may be
 * with the medium as a whole. */
static int leveldb_code(const char *text, bool reading)
{
    if (strstr(text, "No space left on device") || strstr(text, strerror(ENOSPC)))
        return -ENOSPC;
    if (strncmp(text, "Corruption:", 11) == 0 || strstr(text, "does not exist (create_if_missing"))
        return -EUCLEAN;
    return reading && strstr(text, strerror(EIO)) ? -EUCLEAN : -EIO;
}

/* LevelDB copies the text of a failure and does not look whether it could; it would be no failure
 * then. So it is given an empty text to replace: what happened is no failure as long as that one is
 * there. */
static char *text_begin(void)
{
    return calloc(1, 1);
}

/* LevelDB has one text for all failures. Takes `text`. */
static int text_end(struct error *error, char *text, const char *what, bool reading)
{
    if (!text)
        return error_set(error, -ENOMEM, "LevelDB: %s: no memory", what);
    if (!text[0]) {
        free(text);
        return 0;
    }
    int code = leveldb_code(text, reading);
    error_set(error, code, "LevelDB: %s: %s", what, text);
    leveldb_free(text);
    return code;
}

static int leveldb_get_value(struct store *store, const void *key, size_t key_bytes,
                             void **ret_value, size_t *ret_bytes, struct error *error)
{
    struct store_leveldb *level = leveldb_of(store);
    char *text = text_begin();
    size_t bytes = 0;
    char *value = leveldb_get(level->db, level->read, key, key_bytes, &bytes, &text);
    int rc = text_end(error, text, "get", true);
    if (rc < 0) {
        leveldb_free(value);
        return rc;
    }
    if (!value)
        return STORE_ABSENT;
    *ret_value = value; /* from malloc: leveldb_free is free */
    *ret_bytes = bytes;
    return 0;
}

static bool key_below(const char *key, size_t key_bytes, const void *to, size_t to_bytes)
{
    size_t shared = key_bytes < to_bytes ? key_bytes : to_bytes;
    int order = memcmp(key, to, shared);
    return order < 0 || (order == 0 && key_bytes < to_bytes);
}

static int scan_with(struct store_leveldb *level, const leveldb_readoptions_t *read,
                     const void *from, size_t from_bytes, const void *to, size_t to_bytes,
                     bool (*each)(void *user, const void *key, size_t key_bytes, const void *value,
                                  size_t value_bytes),
                     void *user, struct error *error)
{
    leveldb_iterator_t *it = leveldb_create_iterator(level->db, read);
    for (leveldb_iter_seek(it, from, from_bytes); leveldb_iter_valid(it); leveldb_iter_next(it)) {
        size_t key_bytes, value_bytes;
        const char *key = leveldb_iter_key(it, &key_bytes);
        if (to_bytes && !key_below(key, key_bytes, to, to_bytes))
            break;
        const char *value = leveldb_iter_value(it, &value_bytes);
        if (!each(user, key, key_bytes, value, value_bytes))
            break;
    }
    char *text = text_begin();
    leveldb_iter_get_error(it, &text);
    leveldb_iter_destroy(it);
    return text_end(error, text, "scan", true);
}

static int leveldb_scan(struct store *store, const void *from, size_t from_bytes, const void *to,
                        size_t to_bytes,
                        bool (*each)(void *user, const void *key, size_t key_bytes,
                                     const void *value, size_t value_bytes),
                        void *user, struct error *error)
{
    struct store_leveldb *level = leveldb_of(store);
    return scan_with(level, level->read, from, from_bytes, to, to_bytes, each, user, error);
}

/* --- snapshots --- */

struct store_snapshot {
    const leveldb_snapshot_t *snapshot;
    leveldb_readoptions_t *read;
};

static int leveldb_snapshot_begin(struct store *store, struct store_snapshot **ret_snapshot,
                                  struct error *error)
{
    struct store_leveldb *level = leveldb_of(store);
    struct store_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (!snapshot)
        return error_set(error, -ENOMEM, "LevelDB: no memory");
    snapshot->snapshot = leveldb_create_snapshot(level->db);
    snapshot->read = leveldb_readoptions_create();
    leveldb_readoptions_set_snapshot(snapshot->read, snapshot->snapshot);
    leveldb_readoptions_set_verify_checksums(snapshot->read, 1);
    leveldb_readoptions_set_fill_cache(snapshot->read, 0);
    *ret_snapshot = snapshot;
    return 0;
}

static int leveldb_snapshot_read(struct store *store, struct store_snapshot *snapshot,
                                 const void *from, size_t from_bytes,
                                 bool (*each)(void *user, const void *key, size_t key_bytes,
                                              const void *value, size_t value_bytes),
                                 void *user, struct error *error)
{
    return scan_with(leveldb_of(store), snapshot->read, from, from_bytes, NULL, 0, each, user,
                     error);
}

static void leveldb_snapshot_end(struct store *store, struct store_snapshot *snapshot)
{
    leveldb_readoptions_destroy(snapshot->read);
    leveldb_release_snapshot(leveldb_of(store)->db, snapshot->snapshot);
    free(snapshot);
}

static int batch_convert(void *user, const void *key, size_t key_bytes, const void *value,
                         size_t value_bytes)
{
    leveldb_writebatch_t *to = user;
    if (value)
        leveldb_writebatch_put(to, key, key_bytes, value, value_bytes);
    else
        leveldb_writebatch_delete(to, key, key_bytes);
    return 0;
}

static int leveldb_write_batch(struct store *store, const struct store_batch *batch, bool sync,
                               struct error *error)
{
    struct store_leveldb *level = leveldb_of(store);
    if (atomic_load(&level->failed))
        return error_set(error, -EIO, "LevelDB: write refused: an earlier one failed");
    leveldb_writebatch_t *changes = leveldb_writebatch_create();
    char *text = text_begin();
    if (store_batch_each(batch, batch_convert, changes) == 0)
        leveldb_write(level->db, level->write, changes, &text);
    leveldb_writebatch_destroy(changes);
    int rc = text_end(error, text, "write", false);
    if (rc < 0)
        atomic_store(&level->failed, true);
    return rc;
}

static void leveldb_close_store(struct store *store)
{
    struct store_leveldb *level = leveldb_of(store);
    if (level->db)
        leveldb_close(level->db);
    leveldb_options_destroy(level->options);
    leveldb_cache_destroy(level->cache);
    leveldb_filterpolicy_destroy(level->filter);
    leveldb_readoptions_destroy(level->read);
    leveldb_writeoptions_destroy(level->write);
    free(level);
}

static const struct store_ops leveldb_ops = {
    .name = "leveldb",
    .get = leveldb_get_value,
    .scan = leveldb_scan,
    .write = leveldb_write_batch,
    .snapshot_open = leveldb_snapshot_begin,
    .snapshot_scan = leveldb_snapshot_read,
    .snapshot_close = leveldb_snapshot_end,
    .close = leveldb_close_store,
};

static void leveldb_configure(struct store_leveldb *level, const struct store_leveldb_config *c)
{
    leveldb_options_t *options = level->options;
    leveldb_options_set_create_if_missing(options, c->create);
    leveldb_options_set_error_if_exists(options, c->create);
    leveldb_options_set_paranoid_checks(options, 1);
    leveldb_options_set_filter_policy(options, level->filter);
    leveldb_options_set_cache(options, level->cache);
    leveldb_options_set_write_buffer_size(options, c->write_buffer_bytes ? c->write_buffer_bytes
                                                                         : WRITE_BUFFER_DEFAULT);
    leveldb_options_set_compression(options, c->compression ? leveldb_snappy_compression
                                                            : leveldb_no_compression);
    leveldb_readoptions_set_verify_checksums(level->read, 1);
    leveldb_writeoptions_set_sync(level->write, 1);
}

int store_leveldb_open(const struct store_leveldb_config *config, struct store **ret_store,
                       struct error *error)
{
    struct store_leveldb *level = calloc(1, sizeof *level);
    if (!level)
        return error_set(error, -ENOMEM, "LevelDB: no memory");
    level->store.ops = &leveldb_ops;
    level->options = leveldb_options_create();
    level->cache = leveldb_cache_create_lru(config->block_cache_bytes ? config->block_cache_bytes
                                                                      : BLOCK_CACHE_DEFAULT);
    level->filter = leveldb_filterpolicy_create_bloom(BLOOM_BITS);
    level->read = leveldb_readoptions_create();
    level->write = leveldb_writeoptions_create();
    leveldb_configure(level, config);
    char *text = text_begin();
    level->db = leveldb_open(level->options, config->directory, &text);
    int rc = text_end(error, text, "open", false);
    if (rc < 0) {
        leveldb_close_store(&level->store);
        return rc;
    }
    *ret_store = &level->store;
    return 0;
}
