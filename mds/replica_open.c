/* What stands behind a replica's identity, opened and closed as a whole, more than once in a
 * process: store, message log, cache, writes, reads, group.
 *
 * A witness has only the group and the file of its vote. */
#include "mds/history.h"
#include "mds/replica_internal.h"
#include "mds/server.h"
#include "mds/transfer.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAYLOAD_BYTES_MAX = 1 << 20 };

/* --- the disk -----------------------------------------------------------------------------------
 */

static void on_stored(void *user, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    struct replica *replica = user;
    if (replica_is_live(replica))
        gcs_stored(replica->gcs, epoch, origin, seq);
}

static void on_saved(void *user)
{
    struct replica *replica = user;
    if (replica_is_live(replica))
        gcs_saved(replica->gcs);
}

static void on_allowed(void *user, uint64_t index)
{
    struct replica *replica = user;
    cache_allow(replica->cache, index);
}

static bool on_stored_by_all(void *user, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    const struct replica *replica = user;
    return gcs_stored_by_all(replica->gcs, epoch, origin, seq);
}

static void on_log_failed(void *user, int code, const char *detail)
{
    replica_fail(user, "%s", detail);
}

static void on_flushed(void *user, uint64_t mark, bool durable)
{
    struct replica *replica = user;
    replica->mark_flushed = mark;
    apply_flushed(replica);
    if (!durable)
        return;
    replica->mark_durable = mark;
    if (replica_is_live(replica))
        journal_durable(replica->journal, mark);
}

static void on_cache_failed(void *user, int code, const char *detail)
{
    if (code == -EUCLEAN)
        outside_damaged(user, "%s", detail);
    else
        replica_fail(user, "the store: %s", detail);
}

static int open_store(struct replica *replica, struct error *error)
{
    const struct replica_config *config = &replica->config;
    struct record_key key = record_key_state();
    void *value;
    size_t bytes;
    if (config->store_damaged)
        return error_set(error, -EUCLEAN, "the store: the last process died of reading it");
    int rc = config->store_open(config->store_user, REPLICA_STORE_CURRENT, &replica->store, error);
    if (rc < 0)
        return error_wrap(error, rc, "the store");
    rc = store_get(replica->store, key.bytes, key.count, &value, &bytes, error);
    if (rc == STORE_ABSENT)
        return error_set(error, -EUCLEAN, "the store holds no state record: it is not whole");
    if (rc < 0)
        return error_wrap(error, rc, "the store's state record");
    rc = record_read_state(value, bytes, &replica->apply.record);
    free(value);
    return rc < 0 ? error_set(error, -EUCLEAN, "the store's state record is damaged") : 0;
}

static struct gcs_position applied_position(const struct replica *replica)
{
    const struct state_record *record = &replica->apply.record;
    return (struct gcs_position){.epoch = record->epoch, .ts = record->ts, .rank = record->rank};
}

static int open_journal(struct replica *replica, struct error *error)
{
    const struct replica_config *config = &replica->config;
    const struct journal_config journal = {
        .loop = replica->loop,
        .disk = config->disk,
        .segment_bytes = config->log_segment_bytes,
        .payload_bytes_max = PAYLOAD_BYTES_MAX,
        .retain_bytes = config->history_bytes,
        .sync = config->durability == GCS_DURABILITY_DISK,
        .applied = applied_position(replica),
        .user = replica,
        .stored = on_stored,
        .saved = on_saved,
        .allowed = on_allowed,
        .stored_by_all = on_stored_by_all,
        .failed = on_log_failed,
    };
    return journal_open(&journal, &replica->journal, error);
}

static int open_cache(struct replica *replica, struct error *error)
{
    uint64_t index = replica->apply.record.index;
    const struct cache_config config = {
        .loop = replica->loop,
        .store = replica->store,
        .bytes_max = replica->config.cache_bytes,
        .mark = index,
        .hash_seed = replica_hash_seed(replica),
        .user = replica,
        .flushed = on_flushed,
        .failed = on_cache_failed,
    };
    int rc = cache_create(&config, &replica->cache);
    if (rc < 0)
        return error_set(error, rc, "no memory for the cache");
    replica->mark_flushed = replica->mark_durable = index;
    cache_allow(replica->cache, index);
    return 0;
}

static int remember(void *user, const struct gcs_message *message, uint64_t index,
                    struct hash128 hash)
{
    struct replica *replica = user;
    return history_add(replica->history, message, index, hash);
}

static int open_history(struct replica *replica, struct error *error)
{
    const struct replica_config *config = &replica->config;
    const struct state_record *record = &replica->apply.record;
    const struct history_config history = {.loop = replica->loop,
                                           .bytes_max = config->history_bytes,
                                           .disk = config->disk,
                                           .disk_bytes_max = config->history_disk_bytes,
                                           .payload_bytes_max = PAYLOAD_BYTES_MAX};
    int rc = history_create(&history, &replica->history);
    if (rc < 0)
        return error_set(error, rc, "no memory for what joiners need");
    history_start_after(replica->history, record->index, record->history);
    rc = journal_remembered(replica->journal, record->index, remember, replica);
    return rc < 0 ? error_set(error, rc, "no memory for what joiners need") : 0;
}

static bool on_reaches(void *user, uint64_t index)
{
    const struct replica *replica = user;
    return history_reaches(replica->history, index);
}

static bool on_lists(void *user, uint8_t node)
{
    const struct replica *replica = user;
    for (uint32_t k = 0; k < replica->view.member_count; k++)
        if (replica->view.members[k].node == node)
            return true;
    return false;
}

static size_t on_contacts(void *user, uint8_t to[GCS_STATE_BYTES_MAX])
{
    const struct replica *replica = user;
    return gcs_contacts(replica->gcs, to);
}

static void on_sender_damaged(void *user, const char *detail)
{
    outside_damaged(user, "%s", detail);
}

static int open_sender(struct replica *replica, struct error *error)
{
    const struct transfer_sender_config config = {
        .loop = replica->loop,
        .store = replica->store,
        .user = replica,
        .reaches = on_reaches,
        .lists = on_lists,
        .contacts = on_contacts,
        .damaged = on_sender_damaged,
    };
    int rc = transfer_sender_create(&config, &replica->sender);
    return rc < 0 ? error_set(error, rc, "no memory for transfers") : 0;
}

/* What the store holds has to be on stable storage before the log that led there is given up. */
static int sync_store(struct replica *replica, struct error *error)
{
    struct store_batch *nothing = store_batch_create();
    int rc = nothing ? store_write(replica->store, nothing, true, error)
                     : error_set(error, -ENOMEM, "no memory");
    store_batch_destroy(nothing);
    return rc;
}

static int open_data(struct replica *replica, enum standing standing, struct error *error)
{
    int rc = open_store(replica, error);
    if (rc == 0 && standing != STANDING_IN)
        rc = sync_store(replica, error);
    if (rc == 0 && standing != STANDING_IN)
        rc = standing_leave(replica->config.disk, standing, error);
    if (rc == 0)
        rc = open_journal(replica, error);
    if (rc == 0)
        rc = open_cache(replica, error);
    if (rc == 0)
        rc = open_history(replica, error);
    if (rc == 0)
        rc = open_sender(replica, error);
    if (rc < 0)
        return rc;
    submit_init(replica);
    reads_init(replica);
    rc = apply_init(replica);
    if (rc < 0)
        return error_set(error, rc, "%.500s", replica->error.text);
    rc = expire_init(replica);
    return rc < 0 ? error_set(error, rc, "no memory for a timer") : 0;
}

int replica_open(struct replica *replica, enum standing standing, struct error *error)
{
    struct disk *disk = replica->config.disk;
    if (history_disk_wipe(disk) < 0)
        log_warning("replica", "the files joiners.* can't be removed");
    int rc = incarnation_next(disk, replica->config.random[2], &replica->incarnation, error);
    if (rc == 0 && replica->config.witness && standing != STANDING_IN)
        rc = standing_leave(disk, standing, error);
    if (rc == 0)
        rc = replica->config.witness ? open_journal(replica, error)
                                     : open_data(replica, standing, error);
    if (rc == 0)
        rc = order_open(replica, standing != STANDING_IN, error);
    return rc;
}

void replica_begin(struct replica *replica)
{
    log_info("replica", "node %u of cluster '%s', start %llu, at index %llu", replica->config.node,
             replica->identity.name, (unsigned long long)replica->incarnation.count,
             (unsigned long long)replica->apply.record.index);
    replica->phase = REPLICA_SERVING;
    if (!replica->unserved_since_ns) /* not for the first time: clients are better off elsewhere */
        replica->unserved_since_ns = loop_now_ns(replica->loop);
    gcs_start(replica->gcs);
}

void replica_close(struct replica *replica)
{
    replica->running = false;
    gcs_destroy(replica->gcs);
    replica->gcs = NULL;
    if (replica->server)
        server_close_clients(replica->server);
    transfer_sender_destroy(replica->sender);
    cache_destroy(replica->cache);
    journal_close(replica->journal);
    if (!replica->config.witness) {
        reads_finish(replica);
        apply_finish(replica);
        submit_finish(replica);
        expire_finish(replica);
    }
    history_destroy(replica->history);
    store_close(replica->store);
    replica->sender = NULL;
    replica->cache = NULL;
    replica->journal = NULL;
    replica->history = NULL;
    replica->store = NULL;
}
