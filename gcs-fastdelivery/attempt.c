/* One attempt at another view: the proposer's side.
 *
 *     ASK -> AGREE of a quorum -> PREPARE -> PROMISE of a quorum -> (choose.c) LEVEL, PUSH
 *         -> STORED of all that will be in it -> PROPOSE -> ACCEPTED of a quorum -> INSTALL
 *
 * Source: docs/protocol.md, section 4. Asking wedges nobody. From PREPARE on it is single-decree
 * Paxos among the members of the installed view: a ballot is above any seen, and on disk here
 * before it leaves (this member is its own acceptor, accept.c). An accepted proposal that a promise
 * shows is proposed again unchanged. What is lost with a link is said again every heartbeat; all of
 * it may come twice.
 * The lowest data member that is there begins; the others only when nothing comes of that. */
#include "gcs-fastdelivery/core_state.h"

enum { POSITION_HEARTBEATS = 4, ASK_HEARTBEATS = 6, LEVEL_TIMEOUTS = 8 };
static const uint64_t forget_changes_ns = UINT64_C(10000000000);

/* More than a lease and its margin: a proposal may have to wait for one. */
uint64_t attempt_timeout(const struct gcs_core *core)
{
    const struct gcs_core_config *config = &core->config;
    return config->lease_ns + config->lease_ns / 1000000 * config->drift_ppm +
           config->suspect_after_ns + 2 * config->heartbeat_ns;
}

/* @failed: another one follows, not at once. */
void attempt_end(struct gcs_core *core, bool failed)
{
    core->attempt.stage = ATTEMPT_NONE;
    if (failed)
        core->attempt_after_ns =
            core->now + core->config.heartbeat_ns + random_below(core, attempt_timeout(core) / 2);
}

static bool is_wedged_by_ballot(const struct gcs_core *core)
{
    return core->wanted.promised != 0;
}

/* It would not be in the next view itself: others should begin. */
static bool is_unfit(const struct gcs_core *core)
{
    return core->standings[core->self].leaving || in(core->lost, core->self) || core->crippled;
}

/* How many data members would begin before this one. */
static unsigned position(const struct gcs_core *core)
{
    uint8_t before_self = (uint8_t)(bit(core->self) - 1);
    uint8_t there = (uint8_t)(core->data & ~suspect_missing(core));
    return (unsigned)__builtin_popcount(there & before_self) + (is_unfit(core) ? core->n : 0);
}

static gcs_ballot next_ballot(const struct gcs_core *core)
{
    gcs_ballot seen = most(core->ballot_seen, core->wanted.promised);
    return ((seen >> 8) + 1) << 8 | core->config.self.node;
}

static void send_ask(struct gcs_core *core)
{
    struct attempt *attempt = &core->attempt;
    struct gcs_frame frame = {.type = GCS_FRAME_ASK,
                              .epoch = core->epoch,
                              .ballot = attempt->ballot,
                              .flags = attempt->candidate_only ? GCS_FLAG_JOIN : 0,
                              .hears = suspect_hears(core),
                              .slow = core->slow};
    if (attempt->candidate != NONE)
        frame.candidate = core->peers[attempt->candidate].member;
    attempt->asked_ns = core->now;
    action_send(core, others(core) & (uint8_t)~attempt->agreed, &frame, NULL);
}

static void send_prepare(struct gcs_core *core, uint8_t to)
{
    struct gcs_frame frame = {
        .type = GCS_FRAME_PREPARE, .epoch = core->epoch, .ballot = core->attempt.ballot};
    if (core->attempt.candidate != NONE)
        frame.candidate = core->peers[core->attempt.candidate].member;
    action_send(core, others(core) & to, &frame, NULL);
    if (in(to, core->self))
        accept_prepare(core, core->self, &frame);
}

static void prepare(struct gcs_core *core)
{
    core->attempt.stage = ATTEMPT_PREPARING;
    core->attempt.since_ns = core->now;
    core->ballots++;
    send_prepare(core, all_members(core));
}

static void begin(struct gcs_core *core, bool due, bool ask)
{
    struct attempt *attempt = &core->attempt;
    memset(attempt, 0, sizeof *attempt);
    attempt->stage = ATTEMPT_ASKING;
    attempt->ballot = next_ballot(core);
    attempt->since_ns = core->now;
    attempt->candidate = sponsor_candidate(core);
    if (attempt->candidate != NONE)
        core->last_candidate = attempt->candidate;
    attempt->candidate_only = !due;
    attempt->agreed = bit(core->self);
    if (ask)
        send_ask(core);
    else
        prepare(core);
}

static void maybe_begin(struct gcs_core *core)
{
    bool due = suspect_change_due(core);
    bool joins = sponsor_candidate(core) != NONE;
    if (!due && !joins) {
        core->due_ns = 0;
        return;
    }
    if (!core->due_ns)
        core->due_ns = core->now;
    if (core->now < core->attempt_after_ns)
        return;
    if (is_wedged_by_ballot(core)) {
        bool own = (core->wanted.promised & 0xff) == core->config.self.node;
        if ((own && !is_unfit(core)) ||
            core->now >= core->wedged_ns + attempt_timeout(core) +
                             position(core) * POSITION_HEARTBEATS * core->config.heartbeat_ns)
            begin(core, true, false);
        return;
    }
    if (joins || core->now >= core->due_ns +
                                  position(core) * POSITION_HEARTBEATS * core->config.heartbeat_ns)
        begin(core, due, true);
}

/* --- asking --- */

void attempt_agree(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    struct attempt *attempt = &core->attempt;
    suspect_note(core, from, frame);
    if (attempt->stage != ATTEMPT_ASKING || frame->epoch != core->epoch ||
        frame->ballot != attempt->ballot)
        return;
    bool hears = attempt->candidate == NONE || frame->flags & GCS_FLAG_HEARS;
    if (frame->flags & GCS_FLAG_AGREED && (hears || !attempt->candidate_only))
        attempt->agreed |= bit(from);
}

static void ask_pump(struct gcs_core *core)
{
    struct attempt *attempt = &core->attempt;
    uint8_t there = (uint8_t)(all_members(core) & ~suspect_missing(core));
    bool agreed = attempt->candidate_only ? (attempt->agreed & there) == there
                                          : view_decides(core, attempt->agreed);
    if (is_wedged_by_ballot(core)) {
        attempt_end(core, false);
    } else if (!attempt->candidate_only && !suspect_change_due(core)) {
        attempt_end(core, false);
    } else if (agreed && view_decides(core, attempt->agreed)) {
        prepare(core);
    } else if (core->now - attempt->since_ns > ASK_HEARTBEATS * core->config.heartbeat_ns) {
        if (attempt->candidate_only)
            sponsor_put_off(core, attempt->candidate, attempt_timeout(core));
        attempt_end(core, false);
        core->attempt_after_ns = core->now + random_below(core, core->config.heartbeat_ns);
    } else if (core->now - attempt->asked_ns > core->config.heartbeat_ns / 4) {
        send_ask(core);
    }
}

/* --- promises --- */

void attempt_promise(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    struct attempt *attempt = &core->attempt;
    suspect_note(core, from, frame);
    if (attempt->stage != ATTEMPT_PREPARING || frame->epoch != core->epoch ||
        frame->ballot != attempt->ballot)
        return;
    attempt->promised |= bit(from);
    attempt->hears[from] = frame->hears;
    attempt->slow |= frame->slow;
    if (frame->flags & GCS_FLAG_FRESH)
        attempt->fresh |= bit(from);
    if (frame->flags & GCS_FLAG_HEARS)
        attempt->hears_candidate |= bit(from);
    if (frame->flags & GCS_FLAG_LOST)
        attempt->crippled |= bit(from);
    attempt->index[from] = frame->index;
    attempt->limits[from] = frame->limits;
    for (uint8_t k = 0; k < core->n; k++)
        attempt->received[from][k] = frame->received[k];
    if (frame->accepted > attempt->found) {
        attempt->found = frame->accepted;
        memcpy(&attempt->proposal, &frame->proposal, sizeof attempt->proposal);
    }
}

/* Somebody has promised a higher ballot. */
void attempt_refuse(struct gcs_core *core, const struct gcs_frame *frame)
{
    if (frame->epoch != core->epoch)
        return;
    core->ballot_seen = most(core->ballot_seen, frame->ballot);
    if (core->attempt.stage >= ATTEMPT_PREPARING && frame->ballot > core->attempt.ballot)
        attempt_end(core, true);
}

/* --- levelling, proposing --- */

static void send_level(struct gcs_core *core, uint8_t ranks)
{
    struct gcs_frame frame = {
        .type = GCS_FRAME_LEVEL, .epoch = core->epoch, .ballot = core->attempt.ballot};
    memcpy(frame.target, core->attempt.proposal.cut, sizeof frame.target);
    action_send(core, others(core) & ranks, &frame, NULL);
    if (in(ranks, core->self))
        push_level(core, NONE, &frame);
}

/* The candidate has to have been fed with all that was delivered; the rest is pushed. */
static void tell_candidate(struct gcs_core *core)
{
    struct attempt *attempt = &core->attempt;
    if (attempt->candidate == NONE || attempt->candidate_told ||
        !sponsor_is_level(core, attempt->candidate))
        return;
    uint64_t delivered[MEMBERS];
    for (uint8_t k = 0; k < MEMBERS; k++)
        delivered[k] = core->rings[k].delivered;
    struct gcs_frame frame = {
        .type = GCS_FRAME_LEVEL, .epoch = core->epoch, .ballot = attempt->ballot};
    memcpy(frame.target, attempt->proposal.cut, sizeof frame.target);
    action_send_peers(core, (uint16_t)(1u << attempt->candidate), &frame, NULL);
    if (!core->peers[attempt->candidate].member.witness)
        push_begin(core, attempt->candidate, attempt->ballot, delivered, attempt->proposal.cut);
    attempt->candidate_told = true;
}

static void send_propose(struct gcs_core *core, uint8_t ranks)
{
    struct gcs_frame frame = {.type = GCS_FRAME_PROPOSE,
                              .epoch = core->epoch,
                              .ballot = core->attempt.ballot,
                              .proposal = core->attempt.proposal};
    action_send(core, others(core) & ranks, &frame, NULL);
    if (in(ranks, core->self))
        accept_propose(core, core->self, &frame);
}

static void propose(struct gcs_core *core)
{
    core->attempt.stage = ATTEMPT_PROPOSING;
    core->attempt.since_ns = core->now;
    send_propose(core, all_members(core));
}

static void promises_pump(struct gcs_core *core)
{
    struct attempt *attempt = &core->attempt;
    if (!choose_ready(core)) {
        if (core->now - attempt->since_ns > attempt_timeout(core))
            attempt_end(core, true);
        return;
    }
    if (attempt->found) {
        attempt->candidate = NONE;
        propose(core);
    } else if (choose_next(core)) {
        attempt->stage = ATTEMPT_LEVELLING;
        attempt->since_ns = core->now;
        send_level(core, (attempt->next & core->data) | bit(core->self));
    } else {
        attempt_end(core, true);
    }
}

void attempt_stored(struct gcs_core *core, uint8_t peer, uint8_t from,
                    const struct gcs_frame *frame)
{
    struct attempt *attempt = &core->attempt;
    if (attempt->stage != ATTEMPT_LEVELLING || frame->ballot != attempt->ballot ||
        frame->epoch != core->epoch)
        return;
    if (from != NONE)
        attempt->stored |= bit(from);
    else if (peer == attempt->candidate)
        attempt->candidate_stored = true;
}

/* What these lack is nowhere any more: they are left out, and join again with a snapshot. Where
 * they are left out already (this member may be one of them, and pulls in vain), nothing changes.
 */
void attempt_lost(struct gcs_core *core, uint8_t ranks)
{
    core->lost |= ranks;
    if (core->attempt.stage == ATTEMPT_LEVELLING && core->attempt.next & ranks)
        attempt_end(core, true);
}

/* The joiner can't be taken in now: at once without it. */
static void give_up_candidate(struct gcs_core *core)
{
    sponsor_refuse(core, core->attempt.candidate);
    attempt_end(core, false);
    core->attempt_after_ns = core->now;
}

/* What was to come or go on this link is not on its way any more, and its member may have begun
 * anew with less than it promised: again, with a higher ballot, at once. */
void attempt_lost_link(struct gcs_core *core, uint8_t peer)
{
    struct attempt *attempt = &core->attempt;
    uint8_t rank = core->peers[peer].rank;
    if (attempt->stage != ATTEMPT_LEVELLING)
        return;
    if (peer == attempt->candidate) {
        give_up_candidate(core);
    } else if (rank != NONE && in((attempt->next & core->data) | choose_sources(core), rank)) {
        attempt_end(core, false);
        core->attempt_after_ns = core->now;
    }
}

static void levelling_pump(struct gcs_core *core)
{
    struct attempt *attempt = &core->attempt;
    uint8_t next_data = attempt->next & core->data;
    tell_candidate(core);
    uint64_t waited = core->now - attempt->since_ns;
    if (((attempt->stored & next_data) == next_data || plant_install_before_stored) &&
        (attempt->candidate == NONE || attempt->candidate_stored))
        propose(core);
    else if (attempt->candidate != NONE && !attempt->candidate_stored &&
             waited > attempt_timeout(core))
        give_up_candidate(core);
    else if ((attempt->next | choose_sources(core)) & suspect_missing(core) ||
             waited > LEVEL_TIMEOUTS * attempt_timeout(core))
        attempt_end(core, true);
}

void attempt_accepted(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    struct attempt *attempt = &core->attempt;
    if (attempt->stage == ATTEMPT_PROPOSING && frame->ballot == attempt->ballot &&
        frame->epoch == core->epoch)
        attempt->accepted |= bit(from);
}

/* Those that it leaves out hear of it when it is installed (install_repeat): until then their votes
 * may be needed. */
static void decide(struct gcs_core *core)
{
    struct gcs_frame frame = {
        .type = GCS_FRAME_INSTALL, .epoch = core->epoch, .proposal = core->attempt.proposal};
    uint16_t peers = 0;
    for (uint8_t p = 0; p < PEERS; p++) {
        const struct peer *peer = &core->peers[p];
        if (peer->up && view_rank(&frame.proposal.view, &peer->member) != NONE)
            peers |= (uint16_t)(1u << p);
    }
    action_send_peers(core, peers, &frame, NULL);
    attempt_end(core, false);
    if (view_rank(&frame.proposal.view, &core->config.self) != NONE)
        install_decided(core, core->epoch, &frame.proposal);
}

static void accepts_pump(struct gcs_core *core)
{
    struct attempt *attempt = &core->attempt;
    if (view_decides(core, attempt->accepted))
        decide(core);
    else if (core->now - attempt->since_ns > 2 * attempt_timeout(core))
        attempt_end(core, true);
}

/* --- time --- */

/* Said again, where no answer came. */
void attempt_tick(struct gcs_core *core)
{
    struct attempt *attempt = &core->attempt;
    if (core->now - core->installed_ns > forget_changes_ns)
        core->recent = 0;
    if (attempt->stage == ATTEMPT_PREPARING)
        send_prepare(core, (uint8_t)~attempt->promised & others(core));
    else if (attempt->stage == ATTEMPT_LEVELLING)
        send_level(core, attempt->next & core->data & others(core));
    else if (attempt->stage == ATTEMPT_PROPOSING)
        send_propose(core, (uint8_t)~attempt->accepted & others(core));
}

void attempt_pump(struct gcs_core *core)
{
    if (is_outside(core) || core->config.self.witness || core->stage == STAGE_RECOVERING ||
        core->stage == STAGE_INSTALLING || core->ended)
        return;
    switch (core->attempt.stage) {
    case ATTEMPT_NONE:
        maybe_begin(core);
        break;
    case ATTEMPT_ASKING:
        ask_pump(core);
        break;
    case ATTEMPT_PREPARING:
        promises_pump(core);
        break;
    case ATTEMPT_LEVELLING:
        levelling_pump(core);
        break;
    case ATTEMPT_PROPOSING:
        accepts_pump(core);
        break;
    }
}
