/* Links: who is there, and how a broken link goes on.
 *
 * Source: docs/protocol.md, section 2.
 * A link is open while both ends run one epoch and have said so by RESUME, which tells how much
 * each has received; the sender goes on from there. So data never meets a member that has not
 * installed its epoch, and nothing is lost or taken twice over a reconnection. Invariant: `sent` of
 * an open link is what the peer has, or what is on its way to it on this connection. */
#include "gcs-fastdelivery/core_state.h"

static const struct gcs_view_member nobody;

/* In the view that the small state holds: while that is on its way to the disk, the next one. */
static uint8_t remembered_rank(const struct gcs_core *core, const struct gcs_view_member *member)
{
    return is_outside(core) ? NONE : view_rank(&core->wanted.view, member);
}

/* Each start counts, on the disk, before anybody hears of it: a directory that counted otherwise
 * when this member was last seen is an old copy. */
static bool is_older_copy(const struct gcs_core *core, const struct gcs_view_member *member)
{
    uint8_t rank = remembered_rank(core, member);
    if (rank == NONE)
        return false;
    const struct gcs_incarnation *agreed = &core->wanted.view.members[rank].incarnation;
    return member->incarnation.count < core->wanted.incarnation_count[rank] ||
           (member->incarnation.count == agreed->count &&
            member->incarnation.random != agreed->random);
}

static bool hears_member(const struct gcs_core *core, uint8_t at)
{
    const struct peer *peer = &core->peers[at];
    return peer->up && peer->rank != NONE &&
           core->now - peer->heard_ns < core->config.suspect_after_ns;
}

const char *gcs_core_accepts(const struct gcs_core *core, const struct gcs_view_member *member)
{
    if (member->node == 0 || member->node == core->config.self.node)
        return "it is not another node of this group";
    if (member->incarnation.count == 0 || memcmp(member->store, nobody.store, 16) == 0)
        return "it has no incarnation or no store";
    for (uint8_t p = 0; p < PEERS; p++) {
        const struct gcs_view_member *known = &core->peers[p].member;
        if (known->node != member->node)
            continue;
        if (memcmp(known->store, member->store, 16) != 0) {
            if (hears_member(core, p))
                return "a member of the view has this node id, and another store";
            continue;
        }
        if (member->incarnation.count < known->incarnation.count)
            return "its data directory is older than one that this node had";
        if (member->incarnation.count == known->incarnation.count &&
            member->incarnation.random != known->incarnation.random)
            return "two replicas run with this node id";
    }
    return is_older_copy(core, member) ? "its data directory is older than one that this node had"
                                       : NULL;
}

void link_say_resume(struct gcs_core *core, uint8_t peer)
{
    bool candidate = core->wanted.standing == STANDING_CANDIDATE;
    struct gcs_frame frame = {.type = GCS_FRAME_RESUME,
                              .epoch = core->epoch,
                              .flags = (core->stage == STAGE_RUNNING ? GCS_FLAG_RUNS : 0) |
                                       (is_outside(core) ? 0 : GCS_FLAG_MEMBER) |
                                       (candidate ? GCS_FLAG_CANDIDATE : 0)};
    memcpy(frame.received, received(core), sizeof frame.received);
    action_send_peers(core, (uint16_t)(1u << peer), &frame, NULL);
}

/* Both ends are in the same epoch: go on where the peer stands. */
static void open_link(struct gcs_core *core, uint8_t at)
{
    struct peer *peer = &core->peers[at];
    uint64_t has = peer->resume_received[core->self];
    bool witness = core->view.members[peer->rank].witness || core->config.self.witness;
    if (!witness && (has > received(core)[core->self] || has < core->rings[core->self].base)) {
        action_close(core, at, "it resumes where it never was");
        return;
    }
    core->resent += peer->sent > has ? peer->sent - has : 0;
    peer->open = !witness;
    peer->sent = has;
    if (peer->open)
        core->ack_owed |= bit(peer->rank);
}

static void try_open(struct gcs_core *core, uint8_t at)
{
    struct peer *peer = &core->peers[at];
    if (core->stage == STAGE_RUNNING && peer->up && !peer->open && peer->resume_known &&
        peer->rank != NONE && peer->resume_epoch == core->epoch &&
        peer->resume_flags & GCS_FLAG_MEMBER &&
        same_incarnation(&peer->member.incarnation, &core->view.members[peer->rank].incarnation))
        open_link(core, at);
}

void link_up(struct gcs_core *core, const struct gcs_event *event)
{
    uint8_t at = event->peer;
    MUST(at < PEERS);
    struct peer *peer = &core->peers[at];
    link_down(core, at);
    const struct peer before = *peer;
    memset(peer, 0, sizeof *peer);
    peer->feed.fetching = peer->feed.stale = before.feed.fetching;
    peer->sent = before.sent;
    if (same_incarnation(&before.member.incarnation, &event->member.incarnation)) {
        peer->no_candidate_until_ns = before.no_candidate_until_ns;
        peer->refusals = before.refusals;
    }
    peer->up = true;
    memcpy(&peer->member, &event->member, sizeof peer->member);
    peer->heard_ns = core->now;
    peer->rank = is_outside(core) ? NONE : view_rank(&core->view, &peer->member);
    if (peer->rank != NONE)
        core->peer_of_rank[peer->rank] = at;
    uint8_t rank = remembered_rank(core, &peer->member);
    if (rank != NONE) {
        uint64_t *known = &core->wanted.incarnation_count[rank];
        *known = most(*known, peer->member.incarnation.count);
    }
    link_say_resume(core, at);
}

void link_down(struct gcs_core *core, uint8_t at)
{
    struct peer *peer = &core->peers[at];
    if (!peer->up)
        return;
    peer->up = peer->open = peer->resume_known = peer->grant_owed = false;
    peer->push.active = peer->feed.active = false;
    peer->down_ns = core->now;
    core->have_owed &= (uint16_t) ~(1u << at);
    if (peer->rank != NONE) {
        core->ack_owed &= (uint8_t)~bit(peer->rank);
        core->peer_of_rank[peer->rank] = NONE;
    }
    join_lost_link(core, at);
    attempt_lost_link(core, at);
}

/* The queue of this link refused a message and has room again: go on from that one. */
void link_drained(struct gcs_core *core, uint8_t at, const struct gcs_message *refused)
{
    struct peer *peer = &core->peers[at];
    if (peer->open && refused->epoch == core->epoch && refused->seq <= peer->sent)
        peer->sent = refused->seq - 1;
}

void link_resume(struct gcs_core *core, uint8_t at, const struct gcs_frame *frame)
{
    struct peer *peer = &core->peers[at];
    peer->resume_known = true;
    peer->resume_epoch = frame->epoch;
    peer->resume_flags = frame->flags;
    memcpy(peer->resume_received, frame->received, sizeof peer->resume_received);
    bool claims = frame->flags & (GCS_FLAG_MEMBER | GCS_FLAG_CANDIDATE);
    if (frame->epoch != core->epoch)
        peer->open = false; /* and RESUME is said until one has told the other what it missed */
    if (is_outside(core) || core->stage == STAGE_INSTALLING)
        return;
    if (frame->epoch == core->epoch && frame->flags & GCS_FLAG_MEMBER && peer->rank != NONE)
        core->standings[peer->rank].installed = true;
    if (claims && frame->epoch < core->epoch)
        install_repeat(core, at);
    else
        try_open(core, at);
}

/* The epoch is over here: nothing of it is sent or taken any more. */
void link_close_all(struct gcs_core *core)
{
    for (uint8_t p = 0; p < PEERS; p++) {
        core->peers[p].open = false;
        core->peers[p].push.active = false;
    }
    core->ack_owed = 0;
    core->have_owed = 0;
}

/* A new epoch: say so to everybody, and open the links to those who said so before. */
void link_new_view(struct gcs_core *core)
{
    for (uint8_t p = 0; p < PEERS; p++) {
        struct peer *peer = &core->peers[p];
        if (!peer->up)
            continue;
        link_say_resume(core, p);
        if (peer->rank != NONE && peer->resume_known && peer->resume_epoch == core->epoch &&
            peer->resume_flags & GCS_FLAG_MEMBER)
            core->standings[peer->rank].installed = true;
        try_open(core, p);
    }
    sponsor_new_view(core);
}
