/* What the message log held at the start.
 *
 * Source: docs/protocol.md, 3.4 and section 4 (All down).
 * Messages of ended epochs are final (all members of the next view had stored them before):
 * those that the state machine has not are delivered again, in the one order, with the indices of
 * the first time. Messages of the installed epoch are votes: they count as stored, and wait for a
 * cut. Invariant: what is missing below an origin's first record was applied, and stored by all.
 * With durability = memory a power cut may leave the log behind the state machine, and what came
 * later is in the log behind a gap: what the state machine holds is not missing. */
#include "gcs-fastdelivery/core_state.h"

#include <errno.h>

static bool is_applied(const struct gcs_core *core, const struct gcs_message *message)
{
    const struct gcs_position *applied = &core->config.applied.position;
    if (message->epoch != applied->epoch)
        return message->epoch < applied->epoch;
    return !before(applied->ts, applied->rank, message->ts, message->origin);
}

static bool is_void(const struct gcs_core *core, const struct gcs_message *message)
{
    for (uint64_t i = 0; i < core->on_disk.void_count; i++) {
        const struct void_mark *mark = &core->on_disk.voids[i];
        if (mark->epoch == message->epoch && mark->origin == message->origin &&
            message->seq > mark->seq)
            return true;
    }
    return false;
}

static int keep_for_replay(struct gcs_core *core, const struct gcs_message *message)
{
    struct replay *replay = &core->replay;
    if (is_applied(core, message) || is_void(core, message))
        return 0;
    if (replay->count == core->config.recovered_max)
        return -ENOSPC;
    replay->messages[replay->count] = *message;
    blob_ref(message->payload);
    replay->count++;
    return 0;
}

/* Messages of this rank that the state machine holds of the installed epoch. */
static uint64_t applied_count(const struct gcs_core *core, uint8_t rank)
{
    const struct gcs_applied *applied = &core->config.applied;
    return applied->position.epoch == core->epoch ? applied->counts[rank] : 0;
}

/* The state machine holds all of this origin up to `seq`: what the log has of it is let go. False:
 * not all yet, because there is no room for more actions. */
static bool forget_up_to(struct gcs_core *core, uint8_t k, uint64_t seq)
{
    struct ring *ring = &core->rings[k];
    while (ring->base < received(core)[k]) {
        struct slot *slot = slot_of(core, k, ring->base + 1);
        if (slot->payload && !action_room_for_pump(core))
            return false;
        if (slot->payload)
            action_drop(core, slot->payload);
        slot->payload = NULL;
        ring->base++;
    }
    ring->bytes = 0;
    ring->base = ring->delivered = received(core)[k] = seq;
    return true;
}

/* Before the first record, or (durability = memory) behind a gap. */
static bool is_covered(struct gcs_core *core, const struct gcs_message *message)
{
    bool first = core->last_ts[message->origin] == 0;
    bool gap = message->seq > received(core)[message->origin] + 1 &&
               core->config.limits.durability == GCS_DURABILITY_MEMORY;
    return (first || gap) && message->seq - 1 <= applied_count(core, message->origin);
}

static int keep_in_ring(struct gcs_core *core, const struct gcs_message *message)
{
    uint8_t origin = message->origin;
    struct ring *ring = &core->rings[origin];
    uint64_t *has = &received(core)[origin];
    if (is_covered(core, message) && !forget_up_to(core, origin, message->seq - 1))
        return GCS_CORE_AGAIN;
    if (message->seq != *has + 1 || message->ts <= core->last_ts[origin])
        return -EBADMSG;
    bool applied = is_applied(core, message);
    if (!(applied && message->seq <= core->on_disk.floor[origin]) &&
        message->seq - ring->base > core->config.recovered_max)
        return -ENOSPC;
    *has = message->seq;
    core->last_ts[origin] = message->ts;
    if (applied)
        ring->delivered = message->seq;
    if (applied && message->seq <= core->on_disk.floor[origin]) {
        ring->base = message->seq;
        return 0;
    }
    *slot_of(core, origin, message->seq) = (struct slot){
        .payload = blob_ref(message->payload),
        .ts = message->ts,
        .bytes = message->payload->bytes,
        .recovered = !applied,
    };
    ring->bytes += message->payload->bytes;
    return 0;
}

int recover_message(struct gcs_core *core, const struct gcs_message *message)
{
    MUST(core->stage == STAGE_RECOVERING);
    if (message->epoch == 0 || message->epoch > core->epoch ||
        message->origin >= (message->epoch == core->epoch ? core->n : MEMBERS) ||
        message->seq == 0 || message->seq >= GCS_CLOCK_MAX || message->ts == 0 ||
        message->ts >= GCS_CLOCK_MAX || message->payload->bytes == 0)
        return -EBADMSG;
    if (message->epoch < core->epoch)
        return keep_for_replay(core, message);
    return keep_in_ring(core, message);
}

static bool precedes(const struct gcs_message *a, const struct gcs_message *b)
{
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch;
    return before(a->ts, a->origin, b->ts, b->origin);
}

static void sift_down(struct gcs_message *heap, uint32_t root, uint32_t count)
{
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && precedes(&heap[child], &heap[child + 1]))
            child++;
        if (!precedes(&heap[root], &heap[child]))
            return;
        struct gcs_message swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
    }
}

/* Heapsort: in place, no calls. */
static void sort(struct gcs_message *messages, uint32_t count)
{
    for (uint32_t root = count / 2; root-- > 0;)
        sift_down(messages, root, count);
    for (uint32_t end = count; end-- > 1;) {
        struct gcs_message swap = messages[0];
        messages[0] = messages[end];
        messages[end] = swap;
        sift_down(messages, 0, end);
    }
}

/* What the state machine holds was here, also where the log has lost it. */
static bool recover_origin(struct gcs_core *core, uint8_t k)
{
    uint64_t known = applied_count(core, k);
    if ((core->last_ts[k] == 0 || received(core)[k] < known) && !forget_up_to(core, k, known))
        return false;
    core->logged[k] = stored(core)[k] = received(core)[k];
    if (received(core)[k] < core->on_disk.floor[k] &&
        core->config.limits.durability == GCS_DURABILITY_DISK)
        action_fail(core, "the message log has lost what this member had stored");
    return true;
}

/* Whether store and log lead to the index that the view's event had. */
static bool is_whole(const struct gcs_core *core)
{
    const struct gcs_applied *applied = &core->config.applied;
    uint64_t epochs = core->epoch - applied->position.epoch;
    return core->on_disk.event_index == 0 || epochs == 0 || core->config.self.witness ||
           applied->index + core->replay.count + epochs == core->on_disk.event_index;
}

void recover_finish(struct gcs_core *core)
{
    MUST(core->stage == STAGE_RECOVERING);
    for (uint8_t k = 0; k < core->n; k++)
        if (!recover_origin(core, k))
            return;
    sort(core->replay.messages, core->replay.count);
    core->replay.epoch =
        core->config.self.witness ? core->epoch : core->config.applied.position.epoch;
    core->crippled = !is_whole(core);
    core->finishing = false;
    core->stage = STAGE_WEDGED;
    action_add(core, GCS_ACTION_VIEW);
    action_add(core, GCS_ACTION_RUNNING)->flag = false;
}
