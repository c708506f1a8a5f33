/* Levelling: messages of the installed epoch, from who has them to who lacks them, up to the cut.
 *
 * Source: docs/protocol.md, section 4 (Propose). The proposer pulls what it lacks and pushes to the
 * others what they lack; whoever has stored everything up to the cut says STORED.
 * Invariant: at most one batch is on its way on a link, so that queues stay bounded; the next one
 * leaves when HAVE says that all of the last arrived. What is no longer in memory was stored by all
 * members that have not lost it: who needs it nevertheless is left out, and joins by a snapshot. */
#include "gcs-fastdelivery/core_state.h"

enum { BATCH_BYTES = 1 << 20, MESSAGE_OVERHEAD = 64 };

static bool cut_fits(struct gcs_core *core, const struct gcs_frame *frame)
{
    for (uint8_t k = 0; k < core->n && !core->config.self.witness; k++)
        if (frame->target[k] < received(core)[k] ||
            frame->target[k] - core->rings[k].base >= core->capacity)
            return false;
    return true;
}

/* A member has lost too much to be levelled; one outside was pushed what another ballot, which
 * nobody has accepted, would have taken. */
static void misfit(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame)
{
    if (is_outside(core)) {
        if (core->wanted.standing == STANDING_CANDIDATE)
            return; /* its word was given to the other ballot: it waits for what is decided */
        action_out(core, GCS_OUT_EXCLUDED, "what it has received is not part of the cut");
        return;
    }
    struct gcs_frame answer = {.type = GCS_FRAME_LOST,
                               .epoch = core->epoch,
                               .ballot = frame->ballot,
                               .flags = GCS_FLAG_LOST};
    if (peer == NONE)
        attempt_lost(core, bit(core->self));
    else
        action_send_peers(core, (uint16_t)(1u << peer), &answer, NULL);
}

/* LEVEL: the cut is known. @peer: NONE, it comes from this member. */
void push_level(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame)
{
    bool follows = core->stage == STAGE_LEVELLING && frame->ballot == core->level_ballot;
    core->wedged_ns = core->now;
    core->level_to = peer;
    if (follows) {
        core->stored_told = false;
        return;
    }
    if (!cut_fits(core, frame)) {
        misfit(core, peer, frame);
        return;
    }
    memcpy(core->cut, frame->target, sizeof core->cut);
    core->stage = STAGE_LEVELLING;
    core->level_ballot = frame->ballot;
    core->stored_told = false;
}

void push_begin(struct gcs_core *core, uint8_t peer, gcs_ballot ballot, const uint64_t *have,
                const uint64_t *target)
{
    struct push *push = &core->peers[peer].push;
    if (push->active && push->ballot == ballot)
        return;
    memset(push, 0, sizeof *push);
    push->active = true;
    push->ballot = ballot;
    memcpy(push->sent, have, sizeof push->sent);
    memcpy(push->have, have, sizeof push->have);
    memcpy(push->target, target, sizeof push->target);
}

void push_pull(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame)
{
    if (frame->epoch == core->epoch && frame->ballot == core->wanted.promised &&
        (core->stage == STAGE_WEDGED || core->stage == STAGE_LEVELLING))
        push_begin(core, peer, frame->ballot, frame->received, frame->target);
}

static void push_message(struct gcs_core *core, uint8_t peer, uint8_t origin, uint64_t seq)
{
    struct push *push = &core->peers[peer].push;
    const struct slot *slot = slot_of(core, origin, seq);
    struct gcs_frame frame = {
        .type = GCS_FRAME_PUSH,
        .ballot = push->ballot,
        .epoch = core->epoch,
        .origin = origin,
        .seq = seq,
        .ts = slot->ts,
    };
    action_send_peers(core, (uint16_t)(1u << peer), &frame, slot->payload);
    push->sent[origin] = seq;
    push->batch_bytes += slot->payload->bytes + MESSAGE_OVERHEAD;
    core->resent++;
}

/* It is nowhere any more: the proposer has to know. */
static void push_ended(struct gcs_core *core, uint8_t peer)
{
    core->peers[peer].push.active = false;
    if (core->attempt.stage == ATTEMPT_LEVELLING) {
        if (core->peers[peer].rank != NONE)
            attempt_lost(core, bit(core->peers[peer].rank));
        return;
    }
    struct gcs_frame frame = {
        .type = GCS_FRAME_LOST, .epoch = core->epoch, .ballot = core->peers[peer].push.ballot};
    action_send_peers(core, (uint16_t)(1u << peer), &frame, NULL);
}

/* To the proposer: who was to give it messages has them no more. All that lack them are left out.
 */
void push_lost(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    const struct attempt *attempt = &core->attempt;
    uint8_t lacking = 0;
    if (attempt->stage != ATTEMPT_LEVELLING || frame->ballot != attempt->ballot)
        return;
    if (frame->flags & GCS_FLAG_LOST) {
        attempt_lost(core, bit(from));
        return;
    }
    for (uint8_t j = 0; j < core->n; j++)
        for (uint8_t k = 0; k < core->n; k++)
            if (in(attempt->promised & core->data, j) && j != from &&
                attempt->received[j][k] < attempt->received[from][k])
                lacking |= bit(j);
    attempt_lost(core, lacking);
}

/* The next message of one origin that the peer lacks; false: none, or not now. */
static bool push_next(struct gcs_core *core, uint8_t peer, uint8_t origin)
{
    struct push *push = &core->peers[peer].push;
    uint64_t seq = push->sent[origin] + 1;
    if (!push->active || push->batch_bytes >= BATCH_BYTES ||
        seq > least(push->target[origin], received(core)[origin]) || !action_room_for_pump(core))
        return false;
    if (seq <= core->rings[origin].base || !slot_of(core, origin, seq)->payload) {
        push_ended(core, peer);
        return false;
    }
    push_message(core, peer, origin, seq);
    return true;
}

static void say_stored(struct gcs_core *core)
{
    struct gcs_frame frame = {
        .type = GCS_FRAME_STORED, .epoch = core->epoch, .ballot = core->level_ballot};
    core->stored_told = true;
    if (core->level_to == NONE)
        attempt_stored(core, NONE, core->self, &frame);
    else
        action_send_peers(core, (uint16_t)(1u << core->level_to), &frame, NULL);
}

/* One that joins has to remember over a restart that it may be in the next view. */
static bool candidacy_on_disk(struct gcs_core *core)
{
    if (!is_outside(core))
        return true;
    core->wanted.standing = STANDING_CANDIDATE;
    memcpy(&core->wanted.view, &core->view, sizeof core->wanted.view);
    core->wanted.event_index = core->event_index;
    return core->on_disk.standing == STANDING_CANDIDATE && core->on_disk.view.epoch == core->epoch;
}

static void stored_pump(struct gcs_core *core)
{
    if (core->stage != STAGE_LEVELLING || core->stored_told)
        return;
    for (uint8_t k = 0; k < core->n && !core->config.self.witness; k++)
        if (core->logged[k] < core->cut[k])
            return;
    if (candidacy_on_disk(core))
        say_stored(core);
}

void push_pump(struct gcs_core *core)
{
    bool wedged = core->stage == STAGE_WEDGED || core->stage == STAGE_LEVELLING;
    for (uint8_t p = 0; p < PEERS && wedged; p++) {
        const struct peer *peer = &core->peers[p];
        if (!peer->up || !peer->push.active || peer->push.ballot != core->wanted.promised)
            continue;
        for (uint8_t k = 0; k < core->n; k++)
            while (push_next(core, p, k))
                ;
    }
    stored_pump(core);
}

void push_have(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame)
{
    struct push *push = &core->peers[peer].push;
    if (!push->active || frame->ballot != push->ballot || frame->epoch != core->epoch)
        return;
    bool all = true;
    for (uint8_t k = 0; k < core->n; k++) {
        push->have[k] = most(push->have[k], least(frame->received[k], push->sent[k]));
        all = all && push->have[k] == push->sent[k];
    }
    if (all)
        push->batch_bytes = 0;
}

void push_receive(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame,
                  struct blob *payload)
{
    uint8_t origin = frame->origin;
    if (core->stage != STAGE_LEVELLING || frame->ballot != core->level_ballot ||
        frame->epoch != core->epoch || frame->seq <= received(core)[origin])
        return;
    if (frame->seq != received(core)[origin] + 1 || frame->seq > core->cut[origin] ||
        frame->ts <= core->last_ts[origin] || payload->bytes == 0 ||
        payload->bytes > core->config.limits.payload_bytes_max) {
        action_close(core, peer, "it pushes what does not follow");
        return;
    }
    receive_take(core, origin, frame->ts, payload);
    core->wedged_ns = core->now;
    core->have_owed |= (uint16_t)(1u << peer);
}

void push_turn(struct gcs_core *core)
{
    if (!core->have_owed)
        return;
    struct gcs_frame frame = {
        .type = GCS_FRAME_HAVE, .ballot = core->level_ballot, .epoch = core->epoch};
    memcpy(frame.received, received(core), sizeof frame.received);
    action_send_peers(core, core->have_owed, &frame, NULL);
    core->have_owed = 0;
}
