/* Read leases.
 *
 * Source: docs/protocol.md, section 4 (Leases).
 * A grant is the answer to a BEAT. For its holder it counts from the moment that the BEAT was sent;
 * for its granter from the moment of the answer, and longer by the drift bound and a millisecond.
 * Installing a view counts as granting to all of it. Who has granted accepts no view without the
 * holder before that has run out, unless the holder left or has ended; who has restarted forgot
 * what it granted and waits a full lease. */
#include "gcs-fastdelivery/core_state.h"

static const uint64_t margin_ns = 1000000;

static uint64_t granted_ns(const struct gcs_core *core)
{
    uint64_t lease = core->config.lease_ns;
    return lease + lease / 1000000 * core->config.drift_ppm + margin_ns;
}

void lease_beat(struct gcs_core *core)
{
    struct gcs_frame frame = {.type = GCS_FRAME_BEAT,
                              .epoch = core->epoch,
                              .time = core->now,
                              .hears = suspect_hears(core),
                              .slow = core->slow};
    if (!is_outside(core))
        action_send(core, others(core), &frame, NULL);
}

void lease_beaten(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame)
{
    struct peer *p = &core->peers[peer];
    suspect_note(core, p->rank, frame);
    if (p->rank == NONE || frame->epoch != core->epoch)
        return;
    p->grant_owed = true;
    p->beat_time = frame->time;
}

/* The answers to this turn's BEATs. Wedged members grant nothing. */
void lease_turn(struct gcs_core *core)
{
    for (uint8_t j = 0; j < core->n; j++) {
        struct peer *peer = peer_at(core, j);
        if (j == core->self || !peer || !peer->grant_owed)
            continue;
        peer->grant_owed = false;
        if (core->stage != STAGE_RUNNING ||
            !same_incarnation(&peer->member.incarnation, &core->view.members[j].incarnation))
            continue;
        struct gcs_frame frame = {
            .type = GCS_FRAME_GRANT, .epoch = core->epoch, .time = peer->beat_time};
        core->standings[j].granted_until =
            most(core->standings[j].granted_until, core->now + granted_ns(core));
        action_send(core, bit(j), &frame, NULL);
    }
}

void lease_granted(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    if (core->stage != STAGE_RUNNING || frame->epoch != core->epoch || frame->time > core->now)
        return;
    uint64_t until = frame->time + core->config.lease_ns;
    core->standings[from].held_until = most(core->standings[from].held_until, until);
    if (core->lease_wanted && lease_holds(core, core->now)) {
        core->lease_wanted = false;
        action_add(core, GCS_ACTION_READABLE);
    }
}

void lease_install(struct gcs_core *core)
{
    core->lease_wanted = true;
    for (uint8_t j = 0; j < core->n; j++)
        core->standings[j].granted_until =
            plant_lease_not_renewed ? 0 : core->now + granted_ns(core);
}

/* Every quorum has a granter, or this member. */
bool lease_holds(const struct gcs_core *core, uint64_t now_ns)
{
    uint8_t with = bit(core->self);
    for (uint8_t j = 0; j < core->n; j++)
        if (j != core->self && core->standings[j].held_until > now_ns)
            with |= bit(j);
    uint8_t without = (uint8_t)(all_members(core) & ~with);
    if (core->config.assume_no_partition)
        return without == 0;
    return !view_is_quorum(core, without);
}

static bool is_proven(const struct gcs_core *core, uint8_t rank)
{
    const struct standing *standing = &core->standings[rank];
    uint8_t peer = core->peer_of_rank[rank];
    bool restarted = peer != NONE && !same_incarnation(&core->peers[peer].member.incarnation,
                                                       &core->view.members[rank].incarnation);
    return standing->gone || standing->leaving || restarted ||
           (plant_closed_is_death && peer == NONE);
}

/* Whether this member may accept that view now. */
bool lease_allows(const struct gcs_core *core, const struct gcs_view_record *next)
{
    bool forgot = !same_incarnation(&core->view.members[core->self].incarnation,
                                    &core->config.self.incarnation);
    for (uint8_t j = 0; j < core->n; j++) {
        if (j == core->self || core->epoch == 0 || is_proven(core, j) ||
            view_rank(next, &core->view.members[j]) != NONE)
            continue;
        uint64_t until = core->standings[j].granted_until;
        if (forgot)
            until = plant_granter_forgets ? 0 : core->started_ns + granted_ns(core);
        if (core->now < until)
            return false;
    }
    return true;
}

bool gcs_core_may_read(struct gcs_core *core, uint64_t clock_ns)
{
    if (core->ended || core->stage != STAGE_RUNNING || core->config.self.witness ||
        core->standings[core->self].leaving)
        return false;
    if (lease_holds(core, clock_ns))
        return true;
    core->leases_lost += !core->lease_wanted;
    core->lease_wanted = true;
    return false;
}
