/* The small state on stable storage: installed and prepared epoch, cut, floor, who the others are.
 *
 * Invariants: at most one save is under way; `on_disk` is what a restart would find; whoever acts
 * on something durable looks at `on_disk`, never at what is wanted or on its way. */
#include "gcs-fastdelivery/core_state.h"

#include "base/cursor.h"

#include <errno.h>

enum { STATE_VERSION = 1 };

static void encode(struct gcs_core *core)
{
    const struct durable *d = &core->saving;
    struct writer w = writer_make(core->state, sizeof core->state);
    writer_u8(&w, STATE_VERSION);
    writer_u8(&w, core->n);
    writer_bytes(&w, core->config.nodes, core->n);
    writer_u64(&w, d->installed);
    writer_u64(&w, d->prepared);
    for (uint8_t k = 0; k < core->n; k++) {
        writer_u64(&w, d->cut[k]);
        writer_u64(&w, d->floor[k]);
        writer_bytes(&w, d->store[k], 16);
        writer_u64(&w, d->incarnation_count[k]);
    }
    MUST(!w.failed);
    core->state_bytes = writer_used(&w);
}

static bool same_nodes(const struct gcs_core *core, struct reader *r)
{
    const uint8_t *nodes = reader_bytes(r, core->n);
    return nodes && memcmp(nodes, core->config.nodes, core->n) == 0;
}

static int decode(const struct gcs_core *core, const void *state, size_t bytes, struct durable *ret)
{
    struct reader r = reader_make(state, bytes);
    if (reader_u8(&r) != STATE_VERSION || reader_u8(&r) != core->n || !same_nodes(core, &r))
        return -EBADMSG;
    struct durable d = {.installed = reader_u64(&r)};
    d.prepared = reader_u64(&r);
    for (uint8_t k = 0; k < core->n; k++) {
        d.cut[k] = reader_u64(&r);
        d.floor[k] = reader_u64(&r);
        reader_copy(&r, d.store[k], 16);
        d.incarnation_count[k] = reader_u64(&r);
        if (d.cut[k] >= GCS_CLOCK_MAX || d.floor[k] >= GCS_CLOCK_MAX)
            return -EBADMSG;
    }
    if (!reader_complete(&r) || d.installed >= GCS_CLOCK_MAX ||
        (d.prepared != 0 && d.prepared != d.installed + 1))
        return -EBADMSG;
    *ret = d;
    return 0;
}

int save_load(struct gcs_core *core, const void *state, size_t bytes)
{
    struct durable durable = {0};
    if (bytes) {
        int code = decode(core, state, bytes, &durable);
        if (code)
            return code;
    }
    if (durable.installed < core->config.applied.epoch)
        return -EBADMSG;
    core->on_disk = core->saving = core->wanted = durable;
    core->epoch = durable.installed;
    return 0;
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

/* Only what a restart would know may be forgotten. */
bool gcs_core_stored_by_all(const struct gcs_core *core, uint64_t epoch, uint8_t origin,
                            uint64_t seq)
{
    if (epoch != core->on_disk.installed)
        return epoch < core->on_disk.installed;
    return origin < core->n && seq <= core->on_disk.floor[origin];
}
