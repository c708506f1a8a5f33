/* The order: which message is next, when it is delivered, when it is released.
 *
 * Source: docs/protocol.md, 3.1 (measure 1) and 3.2.
 * Invariants: deliveries follow (epoch, ts, rank) without a gap, and each has the next index;
 * released <= delivered; everything up to `released` has been received by all members. */
#include "gcs-fastdelivery/core_state.h"

/* How far delivery may run ahead of what the state machine has taken in. */
enum { AHEAD_MESSAGES = 1024 };

/* The member's promise as it counts here; this member's own is its clock. */
static uint64_t promised(const struct gcs_core *core, uint8_t member)
{
    return member == core->self ? core->clock : core->know[member].promise.clock;
}

/* No message that precedes (ts, origin) can still arrive. */
static bool ordered(const struct gcs_core *core, uint64_t ts, uint8_t origin)
{
    bool subset = core->config.measures.subset_wait;
    for (uint8_t j = 0; j < core->n; j++) {
        if ((subset && j == origin) || !in(core->data, j))
            continue;
        uint64_t needed = subset && j > origin ? ts - 1 : ts;
        if (promised(core, j) < needed)
            return false;
    }
    return true;
}

/* What is delivered here is in the cut of every later view: every quorum has a data member that has
 * stored it, and two have where there are two. */
static bool safe(const struct gcs_core *core, uint8_t origin, uint64_t seq)
{
    bool memory = core->config.limits.durability == GCS_DURABILITY_MEMORY;
    uint8_t counted = plant_witness_stores ? all_members(core) : core->data;
    uint8_t set = 0;
    for (uint8_t j = 0; j < core->n; j++) {
        const struct knowledge *know = &core->know[j];
        bool witness = !in(core->data, j);
        if (in(counted, j) &&
            (witness || (memory ? know->received[origin] : know->stored[origin]) >= seq))
            set |= bit(j);
    }
    uint8_t without = (uint8_t)(all_members(core) & ~set);
    if (plant_delivery_below_quorum)
        return true;
    if (core->config.assume_no_partition)
        return (set & core->data) == core->data;
    if (plant_quorum_by_count || plant_witness_stores)
        return 2 * __builtin_popcount(set) > core->n;
    return !view_is_quorum(core, without) &&
           __builtin_popcount(set) >= (int)least(2, (uint64_t)__builtin_popcount(core->data));
}

/* The origin of the lowest (ts, rank) that is received, not delivered and not beyond `limit`;
 * -1: none. */
static int head(struct gcs_core *core, const uint64_t *limit)
{
    int best = -1;
    uint64_t best_ts = 0;
    for (uint8_t k = 0; k < core->n; k++) {
        uint64_t next = core->rings[k].delivered + 1;
        if (next > received(core)[k] || next > limit[k])
            continue;
        uint64_t ts = slot_of(core, k, next)->ts;
        if (best < 0 || ts < best_ts) {
            best = k;
            best_ts = ts;
        }
    }
    return best;
}

/* The next message of this origin. */
void order_deliver(struct gcs_core *core, uint8_t origin)
{
    uint64_t seq = ++core->rings[origin].delivered;
    struct slot *slot = slot_of(core, origin, seq);
    slot->index = ++core->delivered;
    if (core->stage == STAGE_RUNNING || (plant_wedged_stores && core->stage == STAGE_WEDGED)) {
        MUST(core->delivered - most(core->released, core->event_index) <= core->order_capacity);
        core->order[slot->index & (core->order_capacity - 1)] = (struct entry){seq, origin};
    }
    if (slot->recovered)
        action_message(core, GCS_ACTION_RECEIVED, origin, seq);
    action_message(core, GCS_ACTION_DELIVER, origin, seq);
}

bool order_may_deliver(struct gcs_core *core)
{
    return core->delivered - core->applied < AHEAD_MESSAGES &&
           core->journal.announced == core->journal.received && action_room_for_pump(core);
}

static void release_to(struct gcs_core *core, uint64_t index)
{
    if (index <= core->released)
        return;
    core->released = index;
    action_add(core, GCS_ACTION_RELEASED)->index = index;
}

/* Epochs that ended before this start: their messages are stored by all, so they are final. */
static void replay_pump(struct gcs_core *core)
{
    struct replay *replay = &core->replay;
    while (order_may_deliver(core)) {
        struct gcs_message *next =
            replay->next < replay->count ? &replay->messages[replay->next] : NULL;
        if (next && next->epoch == replay->epoch) {
            core->delivered++;
            struct gcs_action *action = action_add(core, GCS_ACTION_RECEIVED);
            action->message = *next;
            action = action_add(core, GCS_ACTION_DELIVER);
            action->message = *next;
            action->index = core->delivered;
            action_drop(core, next->payload);
            replay->next++;
        } else if (replay->epoch < core->epoch) {
            struct gcs_action *action = action_add(core, GCS_ACTION_EPOCH);
            action->epoch = ++replay->epoch;
            action->index = ++core->delivered;
        } else {
            break;
        }
    }
    release_to(core, core->delivered);
}

/* All of the epochs that ended before this start is delivered. */
bool order_replayed(const struct gcs_core *core)
{
    return core->replay.next == core->replay.count && core->replay.epoch == core->epoch;
}

static void deliver_ordered(struct gcs_core *core)
{
    int k;
    while (order_may_deliver(core) && (k = head(core, received(core))) >= 0) {
        uint8_t origin = (uint8_t)k;
        uint64_t seq = core->rings[origin].delivered + 1;
        if (!ordered(core, slot_of(core, origin, seq)->ts, origin) || !safe(core, origin, seq))
            break;
        order_deliver(core, origin);
    }
}

static void deliver_cut(struct gcs_core *core)
{
    int k;
    while (order_may_deliver(core) && (k = head(core, core->cut)) >= 0)
        order_deliver(core, (uint8_t)k);
}

/* What this member has of the cut is history, though it delivers none of it now: it counts where
 * nobody turns out to have more. */
void order_keep_cut(struct gcs_core *core)
{
    struct replay *replay = &core->replay;
    int k;
    while (replay->count < core->config.recovered_max && (k = head(core, core->cut)) >= 0) {
        uint64_t seq = ++core->rings[k].delivered;
        const struct slot *slot = slot_of(core, (uint8_t)k, seq);
        replay->messages[replay->count++] =
            (struct gcs_message){core->epoch, seq, slot->ts, (uint8_t)k, blob_ref(slot->payload)};
    }
}

static bool received_by_all(const struct gcs_core *core, const struct entry *entry)
{
    for (uint8_t j = 0; j < core->n; j++)
        if (in(core->data, j) && core->know[j].received[entry->origin] < entry->seq)
            return false;
    return true;
}

static bool installed_by_all(const struct gcs_core *core)
{
    for (uint8_t j = 0; j < core->n; j++)
        if (in(core->data, j) && !core->standings[j].installed)
            return false;
    return true;
}

/* The event that began the epoch is released when all have installed the view, and what is left of
 * the epoch before with it. */
static void release_pump(struct gcs_core *core)
{
    uint64_t index = core->released;
    if (index < core->event_index) {
        if (core->releasable <= core->event_index && !installed_by_all(core))
            return; /* what all have stored of this epoch says so too */
        index = core->event_index;
    }
    for (uint64_t next = index + 1; next <= core->delivered; next++) {
        const struct entry *entry = &core->order[next & (core->order_capacity - 1)];
        if (next <= core->releasable || received_by_all(core, entry))
            index = next;
        else if (!plant_release_without_prefix)
            break;
    }
    release_to(core, index);
}

void order_pump(struct gcs_core *core)
{
    if (core->stage == STAGE_RECOVERING ||
        (core->crippled && (core->stage != STAGE_INSTALLING || install_votes_only(core))))
        return; /* what it has is a part, and counts only where nobody has more */
    if (!order_replayed(core) && core->stage != STAGE_LEARNING) {
        replay_pump(core);
        return;
    }
    if (core->stage == STAGE_RUNNING || (plant_wedged_stores && core->stage == STAGE_WEDGED)) {
        deliver_ordered(core);
        release_pump(core);
    } else if (core->stage == STAGE_INSTALLING && !core->dropping && !plant_event_overtakes) {
        deliver_cut(core);
    }
}

void order_applied(struct gcs_core *core, uint64_t index)
{
    MUST(index <= core->delivered);
    core->applied = most(core->applied, index);
    core->know[own_row(core)].applied = core->applied;
    core->fed_owed = is_outside(core);
}
