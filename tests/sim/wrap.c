#include "tests/sim/wrap.h"

#include "base/cursor.h"
#include "base/hash.h"
#include "gcs-fastdelivery/core.h"
#include "gcs-fastdelivery/frame.h"
#include "mds/identity.h"
#include "mds/record.h"
#include "store/metafile.h"
#include "store/msglog_private.h"
#include "tests/sim/cluster.h"

#include <stdlib.h>
#include <string.h>

/* Up to `before` steps below one of the limits. */
static uint64_t near_limit(struct prng *prng, uint64_t before)
{
    return (UINT64_C(1) << (31 + prng_below(prng, 2))) - 1 - prng_below(prng, before);
}

void wrap_draw(struct wrap *ret_wrap, uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, -seed ^ FAULT_WRAP);
    *ret_wrap = (struct wrap){
        .index = near_limit(&prng, 500),
        .epoch = near_limit(&prng, 5),
        .round = near_limit(&prng, 5),
        .seq = near_limit(&prng, 100),
        .ts = near_limit(&prng, 100),
        .next_ino = near_limit(&prng, 100),
        .lsn = near_limit(&prng, 500),
        .starts = near_limit(&prng, 4),
        .wall_ns = (int64_t)(SIM_S(near_limit(&prng, 5))),
    };
}

/* ---- the store ---- */

static void write_state(const struct wrap *wrap, const struct gcs_view_record *view,
                        struct host *host)
{
    struct store *store;
    struct state_record state;
    struct record_key key = record_key_state();
    uint8_t to[RECORD_STATE_BYTES];
    struct writer w = writer_make(to, sizeof to);
    void *value;
    size_t bytes;
    MUST(sim_store_open(host->vault, false, &store, NULL) == 0);
    MUST(store_get(store, key.bytes, key.count, &value, &bytes, NULL) == 0);
    MUST(record_read_state(value, bytes, &state) == 0);
    free(value);
    state.index = wrap->index;
    state.epoch = wrap->epoch;
    state.ts = wrap->ts;
    state.state.next_ino = wrap->next_ino;
    for (uint8_t rank = 0; rank < view->count; rank++)
        if (!view->members[rank].witness) {
            state.rank = rank;
            state.counts[rank] = wrap->seq;
        }
    record_write_state(&w, &state);
    struct store_batch *batch = store_batch_create();
    MUST(!w.failed && batch &&
         store_batch_put(batch, key.bytes, key.count, to, writer_used(&w)) == 0);
    MUST(store_write(store, batch, true, NULL) == 0);
    store_batch_destroy(batch);
    store_close(store);
}

/* ---- the disk: how often it was started, where its log goes on, its vote ---- */

/* What is not so any more is refused at the start. */
enum { INCARNATION_VERSION = 1, STATE_VERSION = 2, STANDING_MEMBER = 0, VOIDS_MAX = 16 };

static void write_incarnation(const struct gcs_incarnation *incarnation, struct disk *disk)
{
    uint8_t to[32];
    struct error error;
    struct writer w = writer_make(to, sizeof to);
    writer_u16(&w, INCARNATION_VERSION);
    writer_u64(&w, incarnation->count);
    writer_u64(&w, incarnation->random);
    MUST(metafile_write(disk, "incarnation", to, writer_used(&w), &error) == 0);
}

/* An empty segment. */
static void write_log(uint64_t lsn, struct disk *disk)
{
    uint8_t head[SEGMENT_HEAD_BYTES], manifest[16];
    char name[SEGMENT_NAME_BYTES];
    struct segment_place place;
    struct disk_file *file;
    struct error error;
    struct writer w = writer_make(manifest, sizeof manifest);
    segment_name(lsn, name);
    segment_head_encode(head, lsn, 0, &place);
    MUST(disk->ops->open(disk, name, true, &file) == 0);
    MUST(disk->ops->append(file, head, sizeof head) == 0 && disk->ops->sync(file) == 0);
    disk->ops->close(file);
    writer_u64(&w, lsn);
    writer_u64(&w, lsn);
    MUST(metafile_write(disk, MSGLOG_MANIFEST, manifest, writer_used(&w), &error) == 0);
}

static void put_vector(struct writer *w, const struct gcs_view_record *view, uint64_t value)
{
    for (uint8_t rank = 0; rank < GCS_MEMBER_MAX; rank++)
        writer_u64(w, rank < view->count && !view->members[rank].witness ? value : 0);
}

/* As gcs-fastdelivery/save.c has it: nothing accepted, nothing void. */
static void put_vote(struct writer *w, const struct wrap *wrap, const struct gcs_view_record *view,
                     bool witness)
{
    static const struct gcs_view_record nobody;
    writer_u8(w, STATE_VERSION);
    writer_u8(w, STANDING_MEMBER);
    gcs_view_encode(view, w);
    writer_u64(w, wrap->round << 8 | view->members[0].node);
    writer_u64(w, 0);
    gcs_view_encode(&nobody, w);
    put_vector(w, view, 0);
    writer_u64(w, wrap->index);
    for (int i = 0; i < 1 + 3 * VOIDS_MAX; i++)
        writer_u64(w, 0);
    put_vector(w, view, 0);
    put_vector(w, view, witness ? 0 : wrap->seq);
    for (uint8_t rank = 0; rank < GCS_MEMBER_MAX; rank++)
        writer_u64(w, view->members[rank].incarnation.count);
}

/* As gcs-fastdelivery/driver_book.c has it: the vote, and no address beyond the founders'. */
static void write_group(const struct wrap *wrap, const struct gcs_view_record *view, bool witness,
                        struct disk *disk)
{
    uint8_t vote[GCS_STATE_BYTES_MAX], to[GCS_STATE_BYTES_MAX];
    struct error error;
    struct writer v = writer_make(vote, sizeof vote), w = writer_make(to, sizeof to);
    put_vote(&v, wrap, view, witness);
    writer_u16(&w, (uint16_t)writer_used(&v));
    writer_bytes(&w, vote, writer_used(&v));
    for (int i = 0; i < 3 * GCS_PEER_MAX; i++)
        writer_u8(&w, 0);
    writer_u64(&w, hash64(to, writer_used(&w)));
    MUST(!v.failed && !w.failed);
    MUST(metafile_write(disk, "group", to, writer_used(&w), &error) == 0);
}

/* The view that they were in. */
static void read_view(struct cluster *cluster, struct gcs_view_record *ret_view)
{
    memset(ret_view, 0, sizeof *ret_view);
    ret_view->epoch = cluster->wrap.epoch;
    ret_view->count = (uint8_t)cluster->founder_count;
    for (uint32_t i = 0; i < cluster->founder_count; i++) {
        struct gcs_view_member *member = &ret_view->members[i];
        struct disk *disk = sim_disk_create(cluster->members[i].platter);
        struct identity identity;
        struct error error;
        MUST(identity_read(disk, &identity, &error) == 0);
        disk->ops->destroy(disk);
        member->node = identity.node;
        member->witness = identity.witness;
        memcpy(member->store, identity.store, sizeof member->store);
        member->incarnation = (struct gcs_incarnation){cluster->wrap.starts, i + 1};
    }
}

void wrap_founders(struct cluster *cluster)
{
    const struct wrap *wrap = &cluster->wrap;
    struct gcs_view_record view;
    read_view(cluster, &view);
    for (uint32_t i = 0; i < cluster->founder_count; i++) {
        struct host *host = &cluster->members[i];
        struct disk *disk = sim_disk_create(host->platter);
        write_incarnation(&view.members[i].incarnation, disk);
        write_log(wrap->lsn, disk);
        write_group(wrap, &view, is_witness(cluster, i), disk);
        disk->ops->destroy(disk);
        if (!is_witness(cluster, i))
            write_state(wrap, &view, host);
    }
}
