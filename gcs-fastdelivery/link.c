/* Links: who is there, and how a broken link goes on.
 *
 * Source: docs/protocol.md, section 2.
 * A link is open while both ends run one epoch and have said so by RESUME, which tells how much
 * each has received; the sender goes on from there. So data never meets a member that has not
 * installed its epoch, and nothing is lost or taken twice over a reconnection. Invariant:
 * links[j].sent of an open link is what j has, or what is on its way to j on this connection. */
#include "gcs-fastdelivery/core_state.h"

static bool is_zero(const uint8_t store[16])
{
    for (int i = 0; i < 16; i++)
        if (store[i])
            return false;
    return true;
}

const char *gcs_core_accepts(const struct gcs_core *core, uint8_t rank, const uint8_t store[16],
                             const struct gcs_incarnation *incarnation)
{
    const struct durable *known = &core->wanted;
    if (rank >= core->n || rank == core->self)
        return "it is not another member of this group";
    const struct gcs_incarnation *current = &core->links[rank].incarnation;
    if (incarnation->count == 0)
        return "it has no incarnation";
    if (!is_zero(known->store[rank]) && memcmp(known->store[rank], store, 16) != 0)
        return "its data directory is not the one that this member id had";
    if (incarnation->count < known->incarnation_count[rank])
        return "its data directory is older than one that this member id had";
    if (incarnation->count == current->count && incarnation->random != current->random)
        return "two replicas run with this member id";
    return NULL;
}

void link_say_resume(struct gcs_core *core, uint8_t to)
{
    struct gcs_frame frame = {.type = GCS_FRAME_RESUME, .epoch = core->epoch};
    memcpy(frame.received, received(core), sizeof frame.received);
    action_send(core, bit(to), &frame, NULL);
}

/* Both ends are in the same epoch: go on where the peer stands. */
static void open_link(struct gcs_core *core, uint8_t rank)
{
    struct peer_link *link = &core->links[rank];
    uint64_t has = link->resume_received;
    if (has > received(core)[core->self] || has < core->rings[core->self].base) {
        action_close(core, rank, "it resumes where it never was");
        return;
    }
    core->resent += link->sent > has ? link->sent - has : 0;
    link->open = true;
    link->sent = has;
    core->ack_owed |= bit(rank);
}

static void try_open(struct gcs_core *core, uint8_t rank)
{
    struct peer_link *link = &core->links[rank];
    if (core->stage == STAGE_RUNNING && link->up && !link->open && link->resume_known &&
        link->resume_epoch == core->epoch &&
        same_incarnation(&link->incarnation, &core->incarnations[rank]))
        open_link(core, rank);
}

void link_up(struct gcs_core *core, const struct gcs_event *event)
{
    uint8_t rank = event->rank;
    MUST(rank < core->n && rank != core->self);
    link_down(core, rank);
    core->links[rank].up = true;
    core->links[rank].incarnation = event->incarnation;
    memcpy(core->wanted.store[rank], event->store, 16);
    core->wanted.incarnation_count[rank] = event->incarnation.count;
    link_say_resume(core, rank);
}

void link_down(struct gcs_core *core, uint8_t rank)
{
    struct peer_link *link = &core->links[rank];
    link->up = link->open = link->resume_known = false;
    link->push.active = false;
    core->ack_owed &= (uint8_t)~bit(rank);
    core->have_owed &= (uint8_t)~bit(rank);
    core->lead.active = false;
}

/* The queue of this link refused a message and has room again: go on from that one. */
void link_drained(struct gcs_core *core, uint8_t rank, const struct gcs_message *refused)
{
    struct peer_link *link = &core->links[rank];
    if (link->open && refused->epoch == core->epoch && refused->seq <= link->sent)
        link->sent = refused->seq - 1;
}

/* A member that missed the installation, because the link broke, is told again. */
static void repeat_install(struct gcs_core *core, uint8_t to)
{
    struct gcs_frame frame = {.type = GCS_FRAME_INSTALL, .epoch = core->epoch};
    memcpy(frame.incarnations, core->incarnations, sizeof frame.incarnations);
    action_send(core, bit(to), &frame, NULL);
}

void link_resume(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    struct peer_link *link = &core->links[from];
    link->resume_known = true;
    link->resume_epoch = frame->epoch;
    link->resume_received = frame->received[core->self];
    try_open(core, from);
    if (core->self == 0 && core->stage == STAGE_RUNNING && frame->epoch + 1 == core->epoch &&
        same_incarnation(&link->incarnation, &core->incarnations[from]))
        repeat_install(core, from);
}

/* A new epoch runs: say so, and open the links to those who said so before. */
void link_open_all(struct gcs_core *core)
{
    for (uint8_t j = 0; j < core->n; j++) {
        core->links[j].open = false;
        if (!core->links[j].up)
            continue;
        link_say_resume(core, j);
        try_open(core, j);
    }
}
