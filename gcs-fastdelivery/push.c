/* Levelling: messages of the installed epoch, from a member that has them to one that lacks them.
 *
 * Source: docs/protocol.md, section 8.
 * Invariant: at most one batch is on its way on a link, so that queues stay bounded; the next one
 * leaves when HAVE says that all of the last arrived. What is no longer in memory is fetched from
 * the log; what no log has is lost to the receiver, and it is told so. */
#include "gcs-fastdelivery/core_state.h"

enum { BATCH_BYTES = 1 << 20, MESSAGE_OVERHEAD = 64, FETCH_MESSAGES = 16 };

void push_begin(struct gcs_core *core, uint8_t to, uint64_t round, const uint64_t *have,
                const uint64_t *target)
{
    struct push *push = &core->links[to].push;
    *push = (struct push){.active = true, .round = round};
    memcpy(push->sent, have, sizeof push->sent);
    memcpy(push->have, have, sizeof push->have);
    memcpy(push->target, target, sizeof push->target);
}

static void push_message(struct gcs_core *core, uint8_t to, const struct gcs_message *message)
{
    struct push *push = &core->links[to].push;
    struct gcs_frame frame = {
        .type = GCS_FRAME_PUSH,
        .round = push->round,
        .epoch = core->epoch,
        .origin = message->origin,
        .seq = message->seq,
        .ts = message->ts,
    };
    action_send(core, bit(to), &frame, message->payload);
    push->sent[message->origin] = message->seq;
    push->batch_bytes += message->payload->bytes + MESSAGE_OVERHEAD;
    core->resent++;
}

static void fetch(struct gcs_core *core, uint8_t to, uint8_t origin)
{
    const struct push *push = &core->links[to].push;
    if (core->fetch.active)
        return;
    uint64_t from = push->sent[origin] + 1;
    uint64_t until =
        least(least(core->rings[origin].base, push->target[origin]), from + FETCH_MESSAGES - 1);
    core->fetch = (struct fetch){true, to, push->round, core->epoch, from, until, origin};
    struct gcs_action *action = action_add(core, GCS_ACTION_FETCH);
    action->message.epoch = core->epoch;
    action->message.origin = origin;
    action->seq_from = from;
    action->seq_to = until;
}

/* The next message of one origin that the peer lacks; false: none, or not now. */
static bool push_next(struct gcs_core *core, uint8_t to, uint8_t origin)
{
    struct push *push = &core->links[to].push;
    uint64_t seq = push->sent[origin] + 1;
    if (push->batch_bytes >= BATCH_BYTES ||
        seq > least(push->target[origin], received(core)[origin]) || !action_room_for_pump(core))
        return false;
    if (seq <= core->rings[origin].base) {
        fetch(core, to, origin);
        return false;
    }
    const struct slot *slot = slot_of(core, origin, seq);
    struct gcs_message message = {core->epoch, seq, slot->ts, origin, slot->payload};
    push_message(core, to, &message);
    return true;
}

void push_pump(struct gcs_core *core)
{
    for (uint8_t j = 0; j < core->n; j++) {
        const struct peer_link *link = &core->links[j];
        if (!link->up || !link->push.active || link->push.round != core->round)
            continue;
        for (uint8_t k = 0; k < core->n; k++)
            while (push_next(core, j, k))
                ;
    }
}

void push_have(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    struct push *push = &core->links[from].push;
    if (!push->active || frame->round != push->round || frame->epoch != core->epoch)
        return;
    bool all = true;
    for (uint8_t k = 0; k < core->n; k++) {
        push->have[k] = most(push->have[k], least(frame->received[k], push->sent[k]));
        all = all && push->have[k] == push->sent[k];
    }
    if (all)
        push->batch_bytes = 0;
}

void push_receive(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame,
                  struct blob *payload)
{
    uint8_t origin = frame->origin;
    if (core->stage != STAGE_PREPARING || frame->round != core->round ||
        frame->epoch != core->epoch || frame->seq <= received(core)[origin])
        return;
    if (frame->seq != received(core)[origin] + 1 || frame->seq > core->cut[origin] ||
        frame->ts <= core->last_ts[origin] || payload->bytes == 0 ||
        payload->bytes > core->config.limits.payload_bytes_max) {
        action_close(core, from, "it pushes what does not follow");
        return;
    }
    receive_take(core, origin, frame->ts, payload);
    core->have_owed |= bit(from);
}

void push_turn(struct gcs_core *core)
{
    if (!core->have_owed)
        return;
    struct gcs_frame frame = {.type = GCS_FRAME_HAVE, .round = core->round, .epoch = core->epoch};
    memcpy(frame.received, received(core), sizeof frame.received);
    action_send(core, core->have_owed & links_up(core), &frame, NULL);
    core->have_owed = 0;
}

/* The log answers a fetch: one message, or the end. */
void push_fetched(struct gcs_core *core, const struct gcs_message *message)
{
    struct fetch *wanted = &core->fetch;
    if (!wanted->active)
        return;
    const struct peer_link *link = &core->links[wanted->to];
    bool current = link->up && link->push.active && link->push.round == wanted->round &&
                   wanted->epoch == core->epoch;
    uint64_t next = link->push.sent[wanted->origin] + 1;
    if (message->payload) {
        if (current && message->epoch == wanted->epoch && message->origin == wanted->origin &&
            message->seq == next && next <= wanted->until) {
            blob_ref(message->payload);
            push_message(core, wanted->to, message);
            action_drop(core, message->payload);
        }
        return;
    }
    wanted->active = false;
    if (current && next == wanted->from) {
        struct gcs_frame frame = {.type = GCS_FRAME_LOST,
                                  .round = wanted->round,
                                  .epoch = wanted->epoch,
                                  .origin = wanted->origin,
                                  .seq = next};
        action_send(core, bit(wanted->to), &frame, NULL);
        core->links[wanted->to].push.active = false;
    }
}

void push_lost(struct gcs_core *core, const struct gcs_frame *frame)
{
    if (frame->round == core->round && frame->epoch == core->epoch)
        action_fail(core, "this member has lost messages that it had stored, and no other member "
                          "has them any more");
}
