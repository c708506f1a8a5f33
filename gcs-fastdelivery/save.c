/* The small state on stable storage: installed view, promised ballot, accepted proposal, floor.
 *
 * Invariants: at most one save is under way; `on_disk` is what a restart would find; whoever acts
 * on something durable looks at `on_disk`, never at what is wanted or on its way. */
#include "gcs-fastdelivery/core_state.h"

#include "base/cursor.h"

#include <errno.h>

enum { STATE_VERSION = 2 };

static void put_vector(struct writer *w, const uint64_t vector[MEMBERS])
{
    for (uint8_t k = 0; k < MEMBERS; k++)
        writer_u64(w, vector[k]);
}

static void get_vector(struct reader *r, uint64_t vector[MEMBERS])
{
    for (uint8_t k = 0; k < MEMBERS; k++) {
        vector[k] = reader_u64(r);
        r->failed = r->failed || vector[k] >= GCS_CLOCK_MAX;
    }
}

static void encode(struct gcs_core *core)
{
    const struct durable *d = &core->saving;
    struct writer w = writer_make(core->state, sizeof core->state);
    writer_u8(&w, STATE_VERSION);
    writer_u8(&w, (uint8_t)d->standing);
    gcs_view_encode(&d->view, &w);
    writer_u64(&w, d->promised);
    writer_u64(&w, d->accepted);
    gcs_view_encode(&d->proposal.view, &w);
    put_vector(&w, d->proposal.cut);
    writer_u64(&w, d->event_index);
    writer_u64(&w, d->void_count);
    for (uint64_t i = 0; i < VOIDS_MAX; i++) {
        writer_u64(&w, d->voids[i].epoch);
        writer_u64(&w, d->voids[i].origin);
        writer_u64(&w, d->voids[i].seq);
    }
    put_vector(&w, d->cut);
    put_vector(&w, d->floor);
    put_vector(&w, d->incarnation_count);
    MUST(!w.failed);
    core->state_bytes = writer_used(&w);
}

static int decode(const void *state, size_t bytes, struct durable *ret)
{
    struct reader r = reader_make(state, bytes);
    struct durable *d = ret;
    memset(d, 0, sizeof *d);
    if (reader_u8(&r) != STATE_VERSION)
        return -EBADMSG;
    d->standing = reader_u8(&r);
    gcs_view_decode(&r, &d->view);
    d->promised = reader_u64(&r);
    d->accepted = reader_u64(&r);
    gcs_view_decode(&r, &d->proposal.view);
    get_vector(&r, d->proposal.cut);
    d->event_index = reader_u64(&r);
    d->void_count = reader_u64(&r);
    for (uint64_t i = 0; i < VOIDS_MAX; i++) {
        d->voids[i].epoch = reader_u64(&r);
        d->voids[i].origin = reader_u64(&r);
        d->voids[i].seq = reader_u64(&r);
    }
    get_vector(&r, d->cut);
    get_vector(&r, d->floor);
    get_vector(&r, d->incarnation_count);
    bool plausible = gcs_view_plausible(&d->view) && d->void_count <= VOIDS_MAX &&
                     d->standing <= STANDING_CANDIDATE && d->promised < GCS_CLOCK_MAX &&
                     d->accepted <= d->promised &&
                     (d->accepted == 0 || gcs_view_plausible(&d->proposal.view));
    return reader_complete(&r) && plausible ? 0 : -EBADMSG;
}

/* What the state machine holds durably is past them. */
static void forget_voids(struct durable *d, uint64_t epoch)
{
    uint64_t kept = 0;
    for (uint64_t i = 0; i < d->void_count; i++)
        if (d->voids[i].epoch >= epoch)
            d->voids[kept++] = d->voids[i];
    memset(&d->voids[kept], 0, (VOIDS_MAX - kept) * sizeof *d->voids);
    d->void_count = kept;
}

int gcs_core_state_epoch(const void *state, size_t bytes, uint64_t *ret_epoch)
{
    struct durable durable;
    int code = decode(state, bytes, &durable);
    if (code == 0)
        *ret_epoch = durable.view.epoch;
    return code;
}

/* The founding view where there is no state yet. */
int save_load(struct gcs_core *core, const void *state, size_t bytes)
{
    struct durable durable;
    memset(&durable, 0, sizeof durable);
    memcpy(&durable.view, &core->config.founders, sizeof durable.view);
    if (bytes && decode(state, bytes, &durable))
        return -EBADMSG;
    if (!gcs_view_plausible(&durable.view) ||
        durable.view.epoch < core->config.applied.position.epoch)
        return -EBADMSG;
    if (plant_forgotten_vote) {
        durable.promised = durable.accepted = 0;
        memset(&durable.proposal, 0, sizeof durable.proposal);
    }
    forget_voids(&durable, core->config.applied.position.epoch);
    core->on_disk = core->saving = core->wanted = durable;
    core->epoch = durable.view.epoch;
    view_take(core, &durable.view);
    bool member = durable.standing == STANDING_MEMBER;
    return member == (core->self != NONE) ? 0 : -EBADMSG;
}

void save_pump(struct gcs_core *core)
{
    if (core->save_running || memcmp(&core->wanted, &core->on_disk, sizeof core->wanted) == 0)
        return;
    core->save_running = true;
    core->saving = core->wanted;
    encode(core);
    action_add(core, GCS_ACTION_SAVE);
}

void save_done(struct gcs_core *core)
{
    MUST(core->save_running);
    core->save_running = false;
    core->on_disk = core->saving;
}

const void *gcs_core_state(const struct gcs_core *core, size_t *ret_bytes)
{
    *ret_bytes = core->state_bytes;
    return core->state;
}

/* Only what a restart would know may be forgotten. Outside nobody needs anything from here: what
 * the state machine holds is enough. */
bool gcs_core_stored_by_all(const struct gcs_core *core, uint64_t epoch, uint8_t origin,
                            uint64_t seq)
{
    if (is_outside(core))
        return true;
    if (epoch != core->on_disk.view.epoch)
        return epoch < core->on_disk.view.epoch;
    return origin < core->n && seq <= core->on_disk.floor[origin];
}
