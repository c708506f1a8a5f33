/* The acceptor: what this member promises and accepts.
 *
 * Source: docs/protocol.md, section 4 (Prepare, Accept).
 * Invariants: a promise and an accepted proposal are on disk before the answer leaves. Who has
 * promised is wedged, for good, until it installs: it takes in, sends, delivers, releases and
 * grants nothing of this epoch. A proposal is accepted only when no member that it leaves out can
 * still hold a lease by this member's word. */
#include "gcs-fastdelivery/core_state.h"

void accept_wedge(struct gcs_core *core)
{
    if (core->stage == STAGE_RUNNING)
        action_add(core, GCS_ACTION_RUNNING)->flag = false;
    core->stage = STAGE_WEDGED;
    core->level_ballot = 0;
    core->stored_told = false;
    core->wedged_ns = core->now;
    link_close_all(core);
}

static bool hears_candidate(const struct gcs_core *core, const struct gcs_view_member *candidate)
{
    for (uint8_t p = 0; p < PEERS; p++)
        if (core->peers[p].up && memcmp(&core->peers[p].member, candidate, sizeof *candidate) == 0)
            return true;
    return false;
}

static void reply(struct gcs_core *core, uint8_t to, struct gcs_frame *frame)
{
    if (to != core->self)
        action_send(core, bit(to), frame, NULL);
    else if (frame->type == GCS_FRAME_PROMISE)
        attempt_promise(core, core->self, frame);
    else if (frame->type == GCS_FRAME_ACCEPTED)
        attempt_accepted(core, core->self, frame);
}

/* Is a change due here too? Nobody wedges for the answer. */
void accept_ask(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    suspect_note(core, from, frame);
    if (frame->epoch != core->epoch || core->stage == STAGE_INSTALLING)
        return;
    bool joins = frame->candidate.node && hears_candidate(core, &frame->candidate);
    bool agreed = frame->flags & GCS_FLAG_JOIN ? joins : suspect_change_due(core);
    core->ballot_seen = most(core->ballot_seen, frame->ballot);
    struct gcs_frame answer = {.type = GCS_FRAME_AGREE,
                               .epoch = core->epoch,
                               .ballot = frame->ballot,
                               .flags =
                                   (agreed ? GCS_FLAG_AGREED : 0) | (joins ? GCS_FLAG_HEARS : 0),
                               .hears = suspect_hears(core),
                               .slow = core->slow};
    action_send(core, bit(from), &answer, NULL);
}

static void refuse(struct gcs_core *core, uint8_t from)
{
    struct gcs_frame frame = {
        .type = GCS_FRAME_REFUSE, .epoch = core->epoch, .ballot = core->wanted.promised};
    if (from != core->self)
        action_send(core, bit(from), &frame, NULL);
}

void accept_prepare(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    if (frame->epoch != core->epoch || core->stage == STAGE_INSTALLING)
        return;
    if (frame->ballot < core->wanted.promised) {
        refuse(core, from);
        return;
    }
    core->ballot_seen = most(core->ballot_seen, frame->ballot);
    if (frame->ballot > core->wanted.promised) {
        core->wanted.promised = frame->ballot;
        if (from != core->self && core->attempt.stage != ATTEMPT_NONE)
            attempt_end(core, true);
        accept_wedge(core);
    }
    core->acceptor.promise_to = from;
    core->acceptor.promise = frame->ballot;
    core->acceptor.hears_candidate =
        frame->candidate.node && (from == core->self || hears_candidate(core, &frame->candidate));
}

static void promise(struct gcs_core *core)
{
    struct acceptor *acceptor = &core->acceptor;
    if (acceptor->promise_to == NONE ||
        (core->on_disk.promised != acceptor->promise && !plant_forgotten_vote))
        return;
    bool fresh = same_incarnation(&core->view.members[core->self].incarnation,
                                  &core->config.self.incarnation);
    struct gcs_frame frame = {.type = GCS_FRAME_PROMISE,
                              .epoch = core->epoch,
                              .ballot = acceptor->promise,
                              .flags = (fresh ? GCS_FLAG_FRESH : 0) |
                                       (acceptor->hears_candidate ? GCS_FLAG_HEARS : 0) |
                                       (core->crippled ? GCS_FLAG_LOST : 0),
                              .hears = suspect_hears(core),
                              .slow = core->slow,
                              .index = core->delivered + core->replay.count - core->replay.next,
                              .limits = core->config.limits,
                              .accepted = core->on_disk.accepted,
                              .proposal = core->on_disk.proposal};
    memcpy(frame.received, received(core), sizeof frame.received);
    uint8_t to = acceptor->promise_to;
    acceptor->promise_to = NONE;
    reply(core, to, &frame);
}

void accept_propose(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    struct acceptor *acceptor = &core->acceptor;
    if (frame->epoch != core->epoch || core->stage == STAGE_INSTALLING ||
        frame->proposal.view.epoch != core->epoch + 1)
        return;
    if (frame->ballot < core->wanted.promised) {
        refuse(core, from);
        return;
    }
    core->ballot_seen = most(core->ballot_seen, frame->ballot);
    if (frame->ballot > core->wanted.promised) {
        core->wanted.promised = frame->ballot;
        accept_wedge(core);
    }
    core->wedged_ns = core->now;
    acceptor->accept_to = from;
    acceptor->accept = frame->ballot;
    memcpy(&acceptor->proposal, &frame->proposal, sizeof acceptor->proposal);
}

static void accept(struct gcs_core *core)
{
    struct acceptor *acceptor = &core->acceptor;
    if (acceptor->accept_to == NONE)
        return;
    if (acceptor->accept < core->wanted.promised) {
        acceptor->accept_to = NONE;
        return;
    }
    if (core->wanted.accepted != acceptor->accept) {
        if (!lease_allows(core, &acceptor->proposal.view))
            return;
        core->wanted.accepted = acceptor->accept;
        memcpy(&core->wanted.proposal, &acceptor->proposal, sizeof core->wanted.proposal);
    }
    if (core->on_disk.accepted != acceptor->accept && !plant_forgotten_vote)
        return;
    struct gcs_frame frame = {
        .type = GCS_FRAME_ACCEPTED, .epoch = core->epoch, .ballot = acceptor->accept};
    uint8_t to = acceptor->accept_to;
    acceptor->accept_to = NONE;
    reply(core, to, &frame);
}

/* Planted: who has lost its disk votes under its old node id. */
void accept_without_memory(struct gcs_core *core, uint8_t peer, const struct gcs_frame *asked)
{
    struct gcs_frame frame = {.epoch = asked->epoch,
                              .ballot = asked->ballot,
                              .flags = GCS_FLAG_AGREED,
                              .limits = core->config.limits};
    frame.type = asked->type == GCS_FRAME_ASK       ? GCS_FRAME_AGREE
                 : asked->type == GCS_FRAME_PREPARE ? GCS_FRAME_PROMISE
                                                    : GCS_FRAME_ACCEPTED;
    if (asked->type == GCS_FRAME_ASK || asked->type == GCS_FRAME_PREPARE ||
        asked->type == GCS_FRAME_PROPOSE)
        action_send_peers(core, (uint16_t)(1u << peer), &frame, NULL);
}

void accept_pump(struct gcs_core *core)
{
    if (is_outside(core) || core->stage == STAGE_RECOVERING || core->stage == STAGE_INSTALLING)
        return;
    promise(core);
    accept(core);
}
