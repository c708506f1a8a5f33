/* [6] One primary, at its root: a member, on one disk, never goes back on what it promised and
 * accepted, whatever crashed in between. [7] Linearizability, at its root: nobody accepts a view
 * that leaves out a member which may still read by its grant, and nobody answers a read without
 * grants from so many that every quorum has one of them.
 *
 * Both are read from the frames that leave. Where a holder has ended (or says so), says that it
 * leaves or has been asked to, or does not run that epoch any more, nothing can come of it. Source:
 * docs/protocol.md, 4.2, 4.5. */
#include "tests/sim/check.h"

#include "gcs-fastdelivery/frame.h"

void checks_wiped(struct checks *checks, uint32_t member)
{
    checks->members[member].vote = (struct check_vote){0};
}

static void gone_back(struct checks *checks, uint32_t member, const char *what,
                      const struct gcs_frame *frame, uint64_t said)
{
    world_violation(checks->world,
                    "one primary: member %u %s %llu in epoch %llu, and said %llu before", member,
                    what, (unsigned long long)frame->ballot, (unsigned long long)frame->epoch,
                    (unsigned long long)said);
}

/* Its vote in this epoch; NULL: it speaks of an epoch that it has left. */
static struct check_vote *vote_in(struct checks *checks, uint32_t member,
                                  const struct gcs_frame *frame)
{
    struct check_vote *vote = &checks->members[member].vote;
    if (frame->epoch < vote->epoch) {
        gone_back(checks, member, "votes", frame, vote->epoch);
        return NULL;
    }
    if (frame->epoch > vote->epoch)
        *vote = (struct check_vote){.epoch = frame->epoch};
    return vote;
}

static void promised(struct checks *checks, uint32_t member, const struct gcs_frame *frame)
{
    struct check_vote *vote = vote_in(checks, member, frame);
    if (!vote)
        return;
    if (frame->ballot < vote->promised)
        gone_back(checks, member, "promises", frame, vote->promised);
    if (frame->accepted < vote->accepted)
        gone_back(checks, member, "has forgotten what it accepted: promises", frame,
                  vote->accepted);
    vote->promised = frame->ballot;
}

/* --- leases --- */

static void granted(struct checks *checks, uint32_t from, uint32_t to,
                    const struct gcs_frame *frame)
{
    checks->grants[from][to] = (struct check_grant){
        .epoch = frame->epoch, .time_ns = checks->world->now_ns, .life = checks->members[to].life};
}

static void proposed(struct checks *checks, const struct gcs_frame *frame)
{
    struct check_proposal *proposal =
        &checks->proposals[checks->proposal_count++ % CHECK_PROPOSALS_MAX];
    *proposal = (struct check_proposal){.epoch = frame->epoch, .ballot = frame->ballot};
    for (uint8_t i = 0; i < frame->proposal.view.count; i++)
        proposal->nodes |= 1u << frame->proposal.view.members[i].node;
}

/* The nodes of the view that this ballot proposed; all: it is not known any more. */
static uint32_t nodes_of(const struct checks *checks, const struct gcs_frame *frame)
{
    for (uint32_t i = 0; i < CHECK_PROPOSALS_MAX; i++)
        if (checks->proposals[i].epoch == frame->epoch &&
            checks->proposals[i].ballot == frame->ballot)
            return checks->proposals[i].nodes;
    return UINT32_MAX;
}

static bool may_still_read(const struct checks *checks, uint32_t holder,
                           const struct check_grant *grant)
{
    const struct check_member *m = &checks->members[holder];
    return grant->time_ns && m->life == grant->life && m->inside && m->running && !m->leaves &&
           m->epoch == grant->epoch && checks->world->now_ns < grant->time_ns + checks->lease_ns;
}

static void accepted(struct checks *checks, uint32_t member, const struct gcs_frame *frame)
{
    struct check_vote *vote = vote_in(checks, member, frame);
    uint32_t nodes = nodes_of(checks, frame);
    if (!vote)
        return;
    if (frame->ballot < vote->promised || frame->ballot < vote->accepted)
        gone_back(checks, member, "accepts", frame, vote->promised);
    vote->promised = vote->accepted = frame->ballot;
    for (uint32_t holder = 0; holder < checks->member_count; holder++) {
        const struct check_grant *grant = &checks->grants[member][holder];
        if (grant->epoch == frame->epoch && !(nodes >> (holder + 1) & 1) &&
            may_still_read(checks, holder, grant))
            world_violation(checks->world,
                            "linearizability: member %u accepts a view of epoch %llu without "
                            "member %u, which may still read by its grant",
                            member, (unsigned long long)frame->epoch + 1, holder);
    }
}

/* By true time, with what two clocks may differ: never stricter than the holder itself. */
void checks_answers_read(struct checks *checks, uint32_t member)
{
    const struct check_member *m = &checks->members[member];
    const struct check_view *view = checks_view_of(checks, m->epoch);
    uint64_t valid_ns = checks->lease_ns + checks->lease_ns / 50;
    uint32_t without = 0;
    for (uint8_t rank = 0; view && rank < view->count; rank++) {
        uint32_t by = view->nodes[rank] - 1u;
        const struct check_grant *grant = &checks->grants[by][member];
        if (by != member && (grant->epoch != m->epoch || grant->life != m->life ||
                             checks->world->now_ns > grant->time_ns + valid_ns))
            without |= 1u << by;
    }
    if (!m->running || !view || (without && checks_is_quorum(view, without)))
        world_violation(checks->world,
                        "linearizability: member %u answers a read in epoch %llu, %s", member,
                        (unsigned long long)m->epoch,
                        m->running ? "and has no lease" : "which does not run there");
}

void checks_sent(struct checks *checks, uint32_t from, uint32_t to, uint16_t type,
                 const uint8_t *head, uint32_t bytes)
{
    struct gcs_frame frame;
    if (type != GCS_FRAME_PROMISE && type != GCS_FRAME_ACCEPTED && type != GCS_FRAME_GRANT &&
        type != GCS_FRAME_PROPOSE && type != GCS_FRAME_LEAVE)
        return;
    if (gcs_frame_decode(type, head, bytes, &frame) < 0)
        world_violation(checks->world, "integrity: member %u sends a frame that is none", from);
    else if (type == GCS_FRAME_PROMISE)
        promised(checks, from, &frame);
    else if (type == GCS_FRAME_ACCEPTED)
        accepted(checks, from, &frame);
    else if (type == GCS_FRAME_GRANT && to < checks->member_count)
        granted(checks, from, to, &frame);
    else if (type == GCS_FRAME_PROPOSE)
        proposed(checks, &frame);
    else if (type == GCS_FRAME_LEAVE &&
             (frame.flags & GCS_FLAG_ENDS || frame.target_node == from + 1))
        checks->members[from].leaves = true;
}
