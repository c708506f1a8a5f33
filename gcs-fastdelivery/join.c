/* Outside: this node is fed with what the group delivered, until a view takes it in.
 *
 * Source: docs/protocol.md, section 4 (Join).
 * Invariants: what is fed was delivered, so it is delivered here at once, with the same indices,
 * and stored; it counts for nobody. An epoch event comes only when all before it is applied and
 * stored here. What is pushed after LEVEL (beyond what was delivered) waits for the decision, which
 * this node remembers to wait for over a restart (STANDING_CANDIDATE). */
#include "gcs-fastdelivery/core_state.h"

static const uint64_t sponsor_patience_ns = UINT64_C(3000000000);

void join_start(struct gcs_core *core)
{
    const struct gcs_applied *applied = &core->config.applied;
    core->stage = STAGE_LEARNING;
    core->epoch = core->replay.epoch = applied->position.epoch;
    core->n = MEMBERS;
    core->self = NONE;
    core->data = all_members(core);
    core->learn_base = core->event_index = core->delivered;
    for (uint8_t k = 0; k < MEMBERS; k++) {
        struct ring *ring = &core->rings[k];
        ring->base = ring->delivered = applied->counts[k];
        received(core)[k] = stored(core)[k] = core->logged[k] = applied->counts[k];
        core->event_index -= applied->counts[k];
    }
    action_add(core, GCS_ACTION_RUNNING)->flag = false;
}

static void ask_to_join(struct gcs_core *core, uint8_t peer)
{
    const struct gcs_applied *applied = &core->config.applied;
    struct gcs_frame frame = {.type = GCS_FRAME_JOIN,
                              .epoch = core->epoch,
                              .flags = (core->config.added ? GCS_FLAG_ADDED : 0) |
                                       (core->delivered ? GCS_FLAG_STATE : 0),
                              .index = core->delivered,
                              .limits = core->config.limits};
    if (core->delivered == applied->index)
        memcpy(frame.hash, applied->history, sizeof frame.hash);
    core->sponsor = peer;
    core->sponsor_ns = core->now;
    action_send_peers(core, (uint16_t)(1u << peer), &frame, NULL);
}

static bool may_sponsor(const struct peer *peer)
{
    return peer->up && peer->resume_known && peer->resume_flags & GCS_FLAG_RUNS &&
           !peer->member.witness;
}

/* The view that was to take it in does not come, and nobody counts on what it stored: what it was
 * pushed may be void. Who has said STORED waits for the decision. */
static void give_up_levelling(struct gcs_core *core)
{
    if (core->stage == STAGE_LEVELLING && core->on_disk.standing != STANDING_CANDIDATE &&
        core->now - core->wedged_ns > 2 * attempt_timeout(core))
        action_out(core, GCS_OUT_EXCLUDED, "the view that was to take it in did not come");
}

/* What it has is delivered, applied and stored: JOIN may say so. */
static bool is_at_rest(const struct gcs_core *core)
{
    const struct journal *journal = &core->journal;
    return !core->learn_epoch && core->applied == core->delivered &&
           core->delivered == core->learn_base + journal->received &&
           journal->stored == journal->received;
}

/* What it said is about where this node stood then. */
static bool has_forgotten(const struct gcs_core *core, const struct peer *peer)
{
    return peer->forgot == core->delivered + 1;
}

static uint8_t find_sponsor(struct gcs_core *core, bool forgetful)
{
    uint8_t first = (uint8_t)random_below(core, PEERS);
    for (uint8_t i = 0; i < PEERS; i++) {
        uint8_t at = (uint8_t)((first + i) % PEERS);
        const struct peer *peer = &core->peers[at];
        if (may_sponsor(peer) && has_forgotten(core, peer) == forgetful)
            return at;
    }
    return NONE;
}

static void need_snapshot(struct gcs_core *core, uint8_t peer)
{
    core->ended = true;
    action_add(core, GCS_ACTION_SNAPSHOT_NEEDED)->peer = peer;
}

/* One that remembers enough is worth more than a snapshot: all that run are asked first. */
static void ask_somebody(struct gcs_core *core)
{
    uint8_t next = find_sponsor(core, false), last = find_sponsor(core, true);
    if (next != NONE)
        ask_to_join(core, next);
    else if (last != NONE)
        need_snapshot(core, last);
}

/* Another sponsor where there is none, or where the last one gives nothing. */
void join_tick(struct gcs_core *core)
{
    if (is_outside(core))
        give_up_levelling(core);
    if (core->stage != STAGE_LEARNING ||
        (core->sponsor != NONE && core->now - core->sponsor_ns < sponsor_patience_ns))
        return;
    core->sponsor = NONE;
    if (is_at_rest(core))
        ask_somebody(core);
}

/* What came before that is delivered first: JOIN says where it stands. */
static void take_refusal(struct gcs_core *core, uint8_t peer)
{
    core->peers[peer].forgot = core->delivered + 1;
    core->sponsor = NONE;
    if (core->delivered == 0)
        need_snapshot(core, peer);
    else if (is_at_rest(core))
        ask_somebody(core);
}

void join_lost_link(struct gcs_core *core, uint8_t peer)
{
    if (core->sponsor == peer)
        core->sponsor = NONE;
}

static void take_welcome(struct gcs_core *core, const struct gcs_frame *frame)
{
    memcpy(&core->view, &frame->proposal.view, sizeof core->view);
    if (core->config.self.witness)
        core->epoch = core->replay.epoch = frame->epoch;
    action_add(core, GCS_ACTION_VIEW);
}

static bool is_next(struct gcs_core *core, const struct gcs_frame *frame)
{
    return frame->index == core->learn_base + core->journal.received + 1;
}

/* A group that lost the end of what it had (durability = memory) goes on from there, and this node
 * has more: it begins anew, with the hash of its history. */
static void does_not_follow(struct gcs_core *core)
{
    action_out(core, GCS_OUT_EXCLUDED, "what it is fed does not follow from what it has");
}

static const char *take_message(struct gcs_core *core, const struct gcs_frame *frame,
                                struct blob *payload)
{
    uint8_t origin = frame->origin;
    const struct ring *ring = &core->rings[origin];
    if (!is_next(core, frame))
        return frame->index > core->delivered ? "a gap in what it feeds" : NULL;
    if (frame->epoch != core->epoch || core->learn_epoch ||
        frame->seq != received(core)[origin] + 1 || frame->ts <= core->last_ts[origin]) {
        does_not_follow(core);
        return NULL;
    }
    if (payload->bytes == 0 || payload->bytes > core->config.limits.payload_bytes_max ||
        frame->seq - ring->base >= core->capacity)
        return "it feeds what nobody can have sent";
    receive_take(core, origin, frame->ts, payload);
    core->learn_released = most(core->learn_released, frame->applied);
    return NULL;
}

static const char *take_epoch(struct gcs_core *core, const struct gcs_frame *frame)
{
    if (!is_next(core, frame))
        return frame->index > core->delivered ? "a gap in what it feeds" : NULL;
    if (frame->epoch != core->epoch + 1 || core->learn_epoch) {
        does_not_follow(core);
        return NULL;
    }
    if (core->journal.stored != core->journal.received)
        return "it feeds an epoch before all of the last one was stored";
    core->learn_epoch = frame->epoch;
    return NULL;
}

void join_frame(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame,
                struct blob *payload)
{
    const char *rule = NULL;
    if (core->stage != STAGE_LEARNING || peer != core->sponsor)
        return;
    core->sponsor_ns = core->now;
    if (frame->type == GCS_FRAME_WELCOME) {
        take_welcome(core, frame);
    } else if (frame->type == GCS_FRAME_SNAPSHOT) {
        take_refusal(core, peer);
    } else if (frame->type == GCS_FRAME_FEED) {
        rule = take_message(core, frame, payload);
    } else {
        rule = take_epoch(core, frame);
    }
    if (rule)
        action_close(core, peer, rule);
}

/* All of the epoch before is applied, stored and dropped: the next one begins. */
static void begin_epoch(struct gcs_core *core)
{
    if (core->delivered != core->learn_base + core->journal.received ||
        core->applied != core->delivered)
        return;
    core->dropping = true;
    if (!flow_drop_all(core))
        return;
    core->epoch = core->learn_epoch;
    core->learn_epoch = 0;
    install_reset_epoch(core);
    struct gcs_action *action = action_add(core, GCS_ACTION_EPOCH);
    action->epoch = core->epoch;
    action->index = core->event_index = ++core->delivered;
    core->learn_base = core->delivered;
}

void join_pump(struct gcs_core *core)
{
    if (core->stage != STAGE_LEARNING)
        return;
    while (core->delivered - core->learn_base < core->journal.received && order_may_deliver(core)) {
        uint64_t place = core->delivered - core->learn_base;
        order_deliver(core, core->journal.entries[place & (core->journal_capacity - 1)].origin);
    }
    uint64_t release = least(core->learn_released, core->delivered);
    if (release > core->released) {
        core->released = release;
        action_add(core, GCS_ACTION_RELEASED)->index = release;
    }
    if (core->learn_epoch)
        begin_epoch(core);
    else
        flow_trim_learned(core);
}

/* How far everything is applied and stored. */
void join_turn(struct gcs_core *core)
{
    if (core->stage != STAGE_LEARNING || core->sponsor == NONE || !core->fed_owed)
        return;
    uint64_t index = least(core->applied, core->learn_base + core->journal.stored);
    core->fed_owed = false;
    if (index <= core->fed_told)
        return;
    struct gcs_frame frame = {.type = GCS_FRAME_FED, .epoch = core->epoch, .index = index};
    core->fed_told = index;
    action_send_peers(core, (uint16_t)(1u << core->sponsor), &frame, NULL);
}
