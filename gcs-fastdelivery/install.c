/* The next view is decided: deliver up to the cut, begin the epoch.
 *
 * Source: docs/protocol.md, section 4 (Accept, install).
 * Invariants: only a decided view is installed; everything up to the cut is stored here before, and
 * delivered before the epoch's event; the view is on disk before the event. The event is released,
 * and with it what is left of the epoch before, when all data members have installed the view. A
 * member whose incarnation is not the one in the view votes, and speaks only in the next. */
#include "gcs-fastdelivery/core_state.h"

#include <errno.h>

/* Everything up to the cut is stored. There may be more: another ballot, which nobody accepted, had
 * a larger cut. That is void, and a restart has to know; @ret_voids: how many origins it concerns.
 */
static bool cut_is_here(const struct gcs_core *core, const struct gcs_proposal *proposal,
                        uint64_t *ret_voids)
{
    bool here = true;
    *ret_voids = 0;
    for (uint8_t k = 0; k < core->n; k++) {
        uint64_t has = core->know[own_row(core)].received[k];
        here = here && has >= proposal->cut[k] && core->logged[k] >= proposal->cut[k];
        *ret_voids += has > proposal->cut[k];
    }
    return here;
}

/* Power cuts (durability = memory) took what was delivered before, or what is in the cut, and
 * others of the next view have it: this member has a vote in it and nothing to say, and the next
 * one after it leaves it out. */
bool install_votes_only(const struct gcs_core *core)
{
    const struct gcs_view_record *view = &core->next.view;
    uint8_t self = bit(view_rank(view, &core->config.self));
    return core->crippled && (view_data(view) & (uint8_t)~self);
}

/* What is nowhere any more is not in the cut. */
static void clip_cut(struct gcs_core *core, struct gcs_proposal *proposal)
{
    for (uint8_t k = 0; k < core->n; k++)
        proposal->cut[k] = least(proposal->cut[k], core->logged[k]);
}

static void mark_voids(struct gcs_core *core)
{
    struct durable *wanted = &core->wanted;
    for (uint8_t k = 0; k < core->n; k++)
        if (received(core)[k] > core->cut[k])
            wanted->voids[wanted->void_count++] = (struct void_mark){core->epoch, k, core->cut[k]};
}

void install_decided(struct gcs_core *core, uint64_t epoch, const struct gcs_proposal *proposal)
{
    bool may = core->stage == STAGE_WEDGED || core->stage == STAGE_LEVELLING ||
               core->stage == STAGE_RUNNING;
    if (!may || epoch != core->epoch || proposal->view.epoch != epoch + 1)
        return;
    if (is_outside(core) && core->on_disk.standing != STANDING_CANDIDATE)
        return;
    attempt_end(core, false);
    if (view_rank(&proposal->view, &core->config.self) == NONE) {
        bool back = is_outside(core) || view_has_absent(&proposal->view, &core->config.self);
        action_out(core, back ? GCS_OUT_EXCLUDED : GCS_OUT_REMOVED,
                   back ? "the others went on without it" : "it was removed from the group");
        return;
    }
    uint64_t voids = 0;
    bool here = core->config.self.witness || cut_is_here(core, proposal, &voids);
    bool may_lack = core->config.limits.durability == GCS_DURABILITY_MEMORY && !is_outside(core);
    if ((!here && !may_lack) || (is_outside(core) && core->crippled) ||
        core->wanted.void_count + voids > (is_outside(core) ? 0 : VOIDS_MAX)) {
        action_out(core, GCS_OUT_EXCLUDED, "it lacks messages that the others have");
        return;
    }
    core->crippled |= !here;
    accept_wedge(core);
    memcpy(&core->next, proposal, sizeof core->next);
    if (!here && !install_votes_only(core))
        clip_cut(core, &core->next);
    memcpy(core->cut, core->next.cut, sizeof core->cut);
    core->acceptor.promise_to = core->acceptor.accept_to = NONE;
    core->stage = STAGE_INSTALLING;
}

static bool installed_by_all(const struct gcs_core *core)
{
    for (uint8_t j = 0; j < core->n; j++)
        if (!core->standings[j].installed)
            return false;
    return true;
}

/* A peer that missed the decision, or that it left out, is told. */
void install_repeat(struct gcs_core *core, uint8_t peer)
{
    const struct peer *p = &core->peers[peer];
    bool listed = view_rank(&core->view, &p->member) != NONE;
    if (is_outside(core) || core->epoch == 0 || (!listed && !installed_by_all(core)))
        return;
    if (p->resume_epoch + 1 == core->epoch && (listed || p->resume_epoch > 0)) {
        struct gcs_frame frame = {.type = GCS_FRAME_INSTALL, .epoch = core->epoch - 1};
        memcpy(&frame.proposal.view, &core->view, sizeof frame.proposal.view);
        memcpy(frame.proposal.cut, core->on_disk.cut, sizeof frame.proposal.cut);
        action_send_peers(core, (uint16_t)(1u << peer), &frame, NULL);
        return;
    }
    bool back =
        listed || view_has_absent(&core->view, &p->member) || p->resume_flags & GCS_FLAG_CANDIDATE;
    struct gcs_frame frame = {
        .type = GCS_FRAME_OUT, .epoch = core->epoch, .flags = back ? 0 : GCS_FLAG_REMOVED};
    action_send_peers(core, (uint16_t)(1u << peer), &frame, NULL);
}

/* OUT: the group is past this member. */
void install_out(struct gcs_core *core, const struct gcs_frame *frame)
{
    if (core->stage == STAGE_LEARNING || core->stage == STAGE_RECOVERING) {
        if (core->stage == STAGE_LEARNING && frame->flags & GCS_FLAG_REMOVED &&
            frame->epoch >= core->epoch) /* one that is behind knows nothing of it */
            action_out(core, GCS_OUT_REMOVED,
                       "the group does not expect it: it was removed, or never added");
        if (core->stage == STAGE_LEARNING && frame->flags & GCS_FLAG_MISFIT)
            action_fail(core, "the group has another durability, window or payload size than this "
                              "node is configured with");
        return;
    }
    if (frame->epoch <= core->epoch || core->stage == STAGE_INSTALLING)
        return;
    bool removed = frame->flags & GCS_FLAG_REMOVED;
    action_out(core, removed ? GCS_OUT_REMOVED : GCS_OUT_EXCLUDED,
               removed ? "it was removed from the group" : "the others went on without it");
}

static bool cut_delivered(const struct gcs_core *core)
{
    for (uint8_t k = 0; k < core->n && !core->config.self.witness; k++)
        if (core->rings[k].delivered < core->cut[k])
            return false;
    return order_replayed(core);
}

/* All counters of messages begin anew; indices go on. */
void install_reset_epoch(struct gcs_core *core)
{
    for (uint8_t k = 0; k < MEMBERS; k++) {
        core->rings[k] = (struct ring){.slots = core->rings[k].slots};
        core->know[k] = (struct knowledge){0};
        core->last_ts[k] = core->logged[k] = core->cut[k] = 0;
    }
    core->journal.stored = core->journal.announced = core->journal.received = 0;
    core->clock = core->heard = 0;
    core->stable = core->window_bytes = core->floor_saved_sum = 0;
    core->releasable = 0;
    core->replay.epoch = core->epoch;
    core->level_ballot = 0;
    core->dropping = false;
    core->due_ns = 0;
    core->stable_ns = core->now;
    memset(core->check_index, 0, sizeof core->check_index);
}

static void deliver_event(struct gcs_core *core)
{
    struct gcs_action *action = action_add(core, GCS_ACTION_EPOCH);
    action->epoch = core->epoch;
    action->index = core->event_index = ++core->delivered;
    if (plant_pending_cleared)
        core->released = core->delivered;
}

/* Views in quick succession slow down. */
static void hold_back(struct gcs_core *core)
{
    enum { FREE_CHANGES = 4, SHIFT_MAX = 6 };
    core->installed_ns = core->now;
    core->recent++;
    core->attempt_after_ns = core->now;
    if (core->recent > FREE_CHANGES) {
        uint32_t shift = (uint32_t)least(core->recent - FREE_CHANGES, SHIFT_MAX);
        uint64_t pause = core->config.heartbeat_ns << shift;
        core->attempt_after_ns += pause / 2 + random_below(core, pause / 2 + 1);
    }
}

static void begin(struct gcs_core *core)
{
    bool votes_only = install_votes_only(core);
    core->crippled = votes_only;
    uint64_t replayed = core->replay.epoch;
    core->epoch++;
    core->views++;
    view_take(core, &core->next.view);
    install_reset_epoch(core);
    if (votes_only)
        core->replay.epoch = replayed;
    if (!core->config.self.witness)
        core->know[core->self].applied = core->applied;
    hold_back(core);
    lease_install(core);
    core->standings[core->self].installed = true;
    action_add(core, GCS_ACTION_VIEW);
    core->stage = STAGE_WEDGED;
    core->wedged_ns = core->now;
    if (!votes_only)
        deliver_event(core);
    if (!votes_only && same_incarnation(&core->view.members[core->self].incarnation,
                                        &core->config.self.incarnation)) {
        core->stage = STAGE_RUNNING;
        action_add(core, GCS_ACTION_RUNNING)->flag = true;
    }
    link_new_view(core);
}

/* Of the next view's event: behind all of the cut, whether it is delivered here or not. */
static uint64_t event_index(const struct gcs_core *core)
{
    uint64_t index = core->delivered + 1;
    if (install_votes_only(core)) {
        index = core->wanted.event_index + 1;
        for (uint8_t k = 0; k < core->n; k++)
            index += core->next.cut[k];
        return index;
    }
    for (uint8_t k = 0; k < core->n && !core->config.self.witness; k++)
        index += core->cut[k] - core->rings[k].delivered;
    return index;
}

void install_pump(struct gcs_core *core)
{
    if (core->stage != STAGE_INSTALLING)
        return;
    struct durable *wanted = &core->wanted;
    bool votes_only = install_votes_only(core);
    if ((votes_only || order_replayed(core)) &&
        (wanted->view.epoch == core->epoch || wanted->standing != STANDING_MEMBER)) {
        memcpy(&wanted->view, &core->next.view, sizeof wanted->view);
        memcpy(wanted->cut, core->next.cut, sizeof wanted->cut);
        memset(&wanted->proposal, 0, sizeof wanted->proposal);
        memset(wanted->floor, 0, sizeof wanted->floor);
        wanted->standing = STANDING_MEMBER;
        wanted->event_index = event_index(core);
        if (!core->config.self.witness)
            mark_voids(core);
        wanted->promised = wanted->accepted = 0;
        for (uint8_t k = 0; k < MEMBERS; k++)
            wanted->incarnation_count[k] = wanted->view.members[k].incarnation.count;
    }
    if (core->on_disk.view.epoch != core->epoch + 1 ||
        !(votes_only || cut_delivered(core) || plant_event_overtakes))
        return;
    if (votes_only)
        order_keep_cut(core);
    core->dropping = true;
    if (flow_drop_all(core))
        begin(core);
}

/* Forced recovery: this member alone is the next view. What it has received is the cut. */
int install_force(struct gcs_core *core)
{
    struct gcs_proposal proposal;
    if (is_outside(core) || core->config.self.witness || core->stage != STAGE_WEDGED)
        return -EINVAL;
    memset(&proposal, 0, sizeof proposal);
    view_next(core, bit(core->self), NULL, &proposal.view);
    proposal.view.absent_count = 0;
    memset(proposal.view.absent, 0, sizeof proposal.view.absent);
    memcpy(proposal.cut, received(core), sizeof proposal.cut);
    install_decided(core, core->epoch, &proposal);
    return 0;
}
