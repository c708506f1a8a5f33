/* Flow control and memory.
 *
 * Source: docs/protocol.md, 3.3 (counted until all have stored and applied, see docs/decisions.md).
 * Invariants: received - stable <= window at every origin, as every member sees it, so no ring ever
 * overflows; a payload is kept here until all members have stored it and this one has applied and
 * released it, so that whoever lacks it finds it in memory. */
#include "gcs-fastdelivery/core_state.h"

bool flow_has_room(const struct gcs_core *core, uint32_t bytes)
{
    uint64_t sent = core->know[core->self].received[core->self];
    uint64_t count = sent - core->stable;
    const struct gcs_limits *limits = &core->config.limits;
    return count < limits->window_messages &&
           (count == 0 || core->window_bytes + bytes <= limits->window_bytes);
}

/* A peer may not make this member keep more than its window. Looks at what was taken before: every
 * step ends with trimming, so that is what the origin itself counted when it sent its last one. */
bool flow_accepts(const struct gcs_core *core, uint8_t origin)
{
    const struct ring *ring = &core->rings[origin];
    const struct gcs_limits *limits = &core->config.limits;
    uint64_t count = core->know[core->self].received[origin] - ring->base;
    return count <= limits->window_messages && (count <= 1 || ring->bytes <= limits->window_bytes);
}

static uint64_t stored_by_all(const struct gcs_core *core, uint8_t origin)
{
    uint64_t lowest = UINT64_MAX;
    for (uint8_t j = 0; j < core->n; j++)
        if (in(core->data, j))
            lowest = least(lowest, core->know[j].stored[origin]);
    return lowest;
}

static uint64_t applied_by_all(const struct gcs_core *core)
{
    uint64_t lowest = UINT64_MAX;
    for (uint8_t j = 0; j < core->n; j++)
        if (in(core->data, j))
            lowest = least(lowest, core->know[j].applied);
    return lowest;
}

static void drop_slot(struct gcs_core *core, uint8_t origin)
{
    struct ring *ring = &core->rings[origin];
    struct slot *slot = slot_of(core, origin, ++ring->base);
    ring->bytes -= slot->bytes;
    action_drop(core, slot->payload);
    slot->payload = NULL;
}

static void trim(struct gcs_core *core, uint8_t origin)
{
    struct ring *ring = &core->rings[origin];
    uint64_t limit = least(ring->delivered, stored_by_all(core, origin));
    while (ring->base < limit) {
        uint64_t index = slot_of(core, origin, ring->base + 1)->index;
        if (index > core->released || index > core->applied || !action_room_for_pump(core))
            break;
        drop_slot(core, origin);
    }
}

/* An origin says that all members have stored and applied its messages up to `stable`; this member
 * learns it from there before it hears it from each. False: it can't be true. */
bool flow_stable_from(struct gcs_core *core, uint8_t origin, uint64_t stable)
{
    const struct ring *ring = &core->rings[origin];
    if (stable == 0)
        return true;
    if (stable > least(ring->delivered, stored(core)[origin]) ||
        received(core)[origin] - stable >= core->capacity)
        return false;
    uint64_t index = slot_of(core, origin, stable)->index;
    if (index > core->applied)
        return false;
    for (uint8_t j = 0; j < core->n; j++) {
        struct knowledge *know = &core->know[j];
        if (j == core->self || !in(core->data, j))
            continue;
        know->received[origin] = most(know->received[origin], stable);
        know->stored[origin] = most(know->stored[origin], stable);
        know->applied = most(know->applied, index);
    }
    core->releasable = most(core->releasable, index);
    return true;
}

static void advance_stable(struct gcs_core *core)
{
    uint64_t stored_all = stored_by_all(core, core->self);
    uint64_t applied_all = applied_by_all(core);
    uint64_t limit = least(stored_all, core->rings[core->self].delivered);
    while (core->stable < limit) {
        const struct slot *slot = slot_of(core, core->self, core->stable + 1);
        if (slot->index > applied_all)
            break;
        core->window_bytes -= slot->bytes;
        core->stable++;
        core->stable_ns = core->now;
    }
    if (core->stable == received(core)[core->self])
        core->stable_ns = core->now;
}

/* Members that have not yet stored and applied what this one waits for. */
static uint8_t lagging(struct gcs_core *core)
{
    uint8_t set = 0;
    if (core->now - core->stable_ns < core->config.lag_after_ns ||
        core->stable >= core->rings[core->self].delivered)
        return 0;
    uint64_t index = slot_of(core, core->self, core->stable + 1)->index;
    for (uint8_t j = 0; j < core->n; j++)
        if (in(core->data, j) &&
            (core->know[j].stored[core->self] <= core->stable || core->know[j].applied < index))
            set |= bit(j);
    return set;
}

/* Members that do not come into this view: without their promises nothing in it is ordered. */
static uint8_t not_installed(const struct gcs_core *core)
{
    uint8_t set = 0;
    if (core->now - core->installed_ns < core->config.lag_after_ns)
        return 0;
    for (uint8_t j = 0; j < core->n; j++)
        if (!core->standings[j].installed)
            set |= bit(j);
    return set;
}

/* Only a minority is to blame. */
static void find_slow(struct gcs_core *core)
{
    uint8_t behind = lagging(core) | not_installed(core);
    bool minority =
        !in(behind, core->self) && view_is_quorum(core, all_members(core) & (uint8_t)~behind);
    core->slow = minority ? behind : 0;
}

/* Now and then the log learns how far it may forget: by way of the disk, so that a member that
 * restarts knows that what its log has not, it once had. */
static void advance_floor(struct gcs_core *core)
{
    uint64_t sum = 0;
    for (uint8_t k = 0; k < core->n; k++)
        sum += stored_by_all(core, k);
    if (core->save_running ||
        sum < core->floor_saved_sum + 4 * (uint64_t)core->config.limits.window_messages)
        return;
    core->floor_saved_sum = sum;
    for (uint8_t k = 0; k < core->n; k++)
        core->wanted.floor[k] = stored_by_all(core, k);
}

void flow_pump(struct gcs_core *core)
{
    if (core->stage != STAGE_RUNNING || core->config.self.witness)
        return;
    for (uint8_t k = 0; k < core->n; k++)
        trim(core, k);
    advance_stable(core);
    find_slow(core);
    advance_floor(core);
    if (core->window_wanted && flow_has_room(core, core->config.limits.payload_bytes_max)) {
        core->window_wanted = false;
        action_add(core, GCS_ACTION_WINDOW_OPEN);
    }
}

/* Outside: nobody needs from here what this member has stored and applied. */
void flow_trim_learned(struct gcs_core *core)
{
    for (uint8_t k = 0; k < core->n; k++) {
        struct ring *ring = &core->rings[k];
        uint64_t limit = least(ring->delivered, core->logged[k]);
        while (ring->base < limit && slot_of(core, k, ring->base + 1)->index <= core->applied &&
               action_room_for_pump(core))
            drop_slot(core, k);
    }
}

/* The epoch is over: all members have stored all of it. True when nothing is left. */
bool flow_drop_all(struct gcs_core *core)
{
    for (uint8_t k = 0; k < MEMBERS; k++)
        while (core->rings[k].base < received(core)[k]) {
            if (!action_room_for_pump(core))
                return false;
            drop_slot(core, k);
        }
    return true;
}
