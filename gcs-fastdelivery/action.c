/* The queue of actions: what the core wants done, in order.
 *
 * Invariant: a step finds room for GCS_ACTIONS_PER_EVENT; whatever can be long (deliveries,
 * repeats, drops) asks action_room_for_pump before each one and stops where it is when that says
 * no. */
#include "gcs-fastdelivery/core_state.h"

struct gcs_action *action_add(struct gcs_core *core, enum gcs_action_kind kind)
{
    MUST(core->action_count < GCS_ACTIONS_MAX);
    uint32_t place = (core->action_head + core->action_count++) % GCS_ACTIONS_MAX;
    struct gcs_action *action = &core->actions[place];
    memset(action, 0, offsetof(struct gcs_action, head));
    action->kind = kind;
    return action;
}

/* Leaves what the next event may need; remembers that somebody was turned away. */
bool action_room_for_pump(struct gcs_core *core)
{
    bool room = gcs_action_room(core) > GCS_ACTIONS_PER_EVENT + GCS_ACTIONS_PER_EVENT / 2;
    if (!room)
        core->more = true;
    return room;
}

void action_send_peers(struct gcs_core *core, uint16_t peers, struct gcs_frame *frame,
                       struct blob *payload)
{
    if (!peers)
        return;
    frame->count = core->n;
    struct gcs_action *action = action_add(core, GCS_ACTION_SEND);
    action->to = peers;
    action->type = frame->type;
    action->head_bytes = (uint16_t)gcs_frame_encode(frame, action->head);
    action->payload = payload;
    action->message.epoch = frame->epoch;
    action->message.seq = frame->seq;
}

/* To those of these members that are linked. */
void action_send(struct gcs_core *core, uint8_t ranks, struct gcs_frame *frame,
                 struct blob *payload)
{
    uint16_t peers = 0;
    for (uint8_t j = 0; j < core->n; j++)
        if (in(ranks, j) && core->peer_of_rank[j] != NONE)
            peers |= (uint16_t)(1u << core->peer_of_rank[j]);
    action_send_peers(core, peers, frame, payload);
}

/* RECEIVED, STORE or DELIVER of a message in a ring. */
void action_message(struct gcs_core *core, enum gcs_action_kind kind, uint8_t origin, uint64_t seq)
{
    const struct slot *slot = slot_of(core, origin, seq);
    struct gcs_action *action = action_add(core, kind);
    action->message = (struct gcs_message){
        .epoch = core->epoch,
        .seq = seq,
        .ts = slot->ts,
        .origin = origin,
        .payload = slot->payload,
    };
    action->index = slot->index;
}

void action_drop(struct gcs_core *core, struct blob *payload)
{
    action_add(core, GCS_ACTION_DROP)->payload = payload;
}

/* The end of this core: it can't go on. */
void action_fail(struct gcs_core *core, const char *text)
{
    if (core->ended)
        return;
    core->ended = true;
    action_add(core, GCS_ACTION_FAILED)->text = text;
}

/* The end of this core: it is not a member any more. */
void action_out(struct gcs_core *core, enum gcs_out why, const char *text)
{
    if (core->ended)
        return;
    core->ended = true;
    struct gcs_action *action = action_add(core, GCS_ACTION_OUT);
    action->why = why;
    action->text = text;
}

/* A peer broke a rule: its link goes, and with it what was agreed on it. */
void action_close(struct gcs_core *core, uint8_t peer, const char *text)
{
    struct gcs_action *action = action_add(core, GCS_ACTION_CLOSE);
    action->to = (uint16_t)(1u << peer);
    action->text = text;
    link_down(core, peer);
}

const struct gcs_action *gcs_action(struct gcs_core *core)
{
    return core->action_count ? &core->actions[core->action_head] : NULL;
}

void gcs_action_done(struct gcs_core *core)
{
    MUST(core->action_count > 0);
    core->action_head = (core->action_head + 1) % GCS_ACTIONS_MAX;
    core->action_count--;
}

uint32_t gcs_action_room(const struct gcs_core *core)
{
    return GCS_ACTIONS_MAX - core->action_count;
}

bool gcs_more(const struct gcs_core *core)
{
    return core->more;
}
