/* Sending: multicasts, repeats, acknowledgements, heartbeats.
 *
 * Source: docs/protocol.md, section 3 (Send) and 3.1 (measures 2 and 3).
 * Invariants: on one link own messages leave in seq order, each once per connection; a message's ts
 * is above everything received or promised before. Data and acknowledgement go only on open links,
 * that is to members that run this epoch. There is at most one acknowledgement frame per turn, and
 * none where data carried it. */
#include "gcs-fastdelivery/core_state.h"

/* Set of ranks. */
uint8_t links_open(const struct gcs_core *core)
{
    uint8_t set = 0;
    for (uint8_t j = 0; j < core->n; j++)
        if (core->peer_of_rank[j] != NONE && core->peers[core->peer_of_rank[j]].open)
            set |= bit(j);
    return set;
}

int send_multicast(struct gcs_core *core, struct blob *payload)
{
    if (core->stage != STAGE_RUNNING || core->config.self.witness ||
        core->standings[core->self].leaving)
        return GCS_E_NOT_RUNNING;
    if (!flow_has_room(core, payload->bytes)) {
        core->window_wanted = true;
        return GCS_E_WINDOW_FULL;
    }
    core->clock++;
    core->window_bytes += payload->bytes;
    receive_take(core, core->self, core->clock, payload);
    return 0;
}

/* What this member knows, as it stands in DATA and ACK. */
static void knowledge_frame(struct gcs_core *core, uint16_t type, struct gcs_frame *frame)
{
    promise_renew(core);
    struct knowledge *own = &core->know[core->self];
    memset(frame, 0, sizeof *frame);
    frame->type = type;
    frame->epoch = core->epoch;
    frame->applied = core->applied;
    for (uint8_t k = 0; k < core->n; k++) {
        frame->received[k] = own->received[k];
        frame->stored[k] = own->stored[k];
        if (k == core->self || core->config.measures.on_behalf)
            frame->promises[k] = core->know[k].promise;
    }
    core->applied_told = core->applied;
}

static void send_data(struct gcs_core *core, uint8_t to, uint64_t seq)
{
    const struct slot *slot = slot_of(core, core->self, seq);
    struct gcs_frame frame;
    knowledge_frame(core, GCS_FRAME_DATA, &frame);
    frame.origin = core->self;
    frame.seq = seq;
    frame.ts = slot->ts;
    frame.stable = core->stable;
    action_send(core, to, &frame, slot->payload);
    core->ack_owed &= (uint8_t)~to;
    core->spoke |= to;
}

/* The open links that lack a message, all that stand at the same lowest one; its seq. */
static uint8_t most_behind(struct gcs_core *core, uint64_t *ret_seq)
{
    uint64_t lowest = received(core)[core->self];
    uint8_t set = 0;
    for (uint8_t j = 0; j < core->n; j++) {
        const struct peer *peer = peer_at(core, j);
        if (!peer || !peer->open || peer->sent >= received(core)[core->self])
            continue;
        if (peer->sent < lowest) {
            lowest = peer->sent;
            set = 0;
        }
        if (peer->sent == lowest)
            set |= bit(j);
    }
    *ret_seq = lowest + 1;
    return set;
}

void send_pump(struct gcs_core *core)
{
    uint64_t seq;
    uint8_t to;
    while (core->stage == STAGE_RUNNING && (to = most_behind(core, &seq)) &&
           action_room_for_pump(core)) {
        send_data(core, to, seq);
        for (uint8_t j = 0; j < core->n; j++)
            if (in(to, j))
                peer_at(core, j)->sent = seq;
    }
}

static void send_ack(struct gcs_core *core, uint8_t to)
{
    if (!to)
        return;
    struct gcs_frame frame;
    knowledge_frame(core, GCS_FRAME_ACK, &frame);
    action_send(core, to, &frame, NULL);
    core->ack_owed &= (uint8_t)~to;
    core->spoke |= to;
}

/* Fast acknowledgement: at once, but once per turn. */
void send_turn(struct gcs_core *core)
{
    if (core->stage == STAGE_RUNNING && core->config.measures.fast_acknowledgement) {
        if (core->applied - core->applied_told > core->config.limits.window_messages / 4)
            core->ack_owed = links_open(core);
        send_ack(core, core->ack_owed & links_open(core));
    }
    push_turn(core);
    join_turn(core);
    lease_turn(core);
}

/* A heartbeat: BEAT to all members; an acknowledgement where nothing was said since the last one.
 */
void send_tick(struct gcs_core *core)
{
    uint8_t open = core->stage == STAGE_RUNNING ? links_open(core) : 0;
    send_ack(core, open & (uint8_t)~core->spoke);
    for (uint8_t p = 0; p < PEERS; p++)
        if (core->peers[p].up && !core->peers[p].open)
            link_say_resume(core, p);
    core->spoke = 0;
    lease_beat(core);
}
