/* The core's interface: memory, events, and what follows from them.
 *
 * Each event changes the state; then core_pump derives the consequences in a fixed order until
 * nothing changes: announce, deliver, change of epoch; then flow, sending, saving. So a rule
 * stands in one place, whatever event made it true.
 * Source: docs/protocol.md; the shape follows cowsql/raft's step. */
#include "gcs-fastdelivery/core_state.h"

#include <errno.h>

enum { ALIGNMENT = 16 };

static uint64_t power_of_two(uint64_t least_value)
{
    uint64_t value = 2;
    while (value < least_value)
        value *= 2;
    return value;
}

/* Messages that an origin may have between the oldest one kept and its newest: a window that this
 * member does not know yet to be stored by all, and one more that a cut may add. */
static uint64_t ring_capacity(const struct gcs_core_config *config)
{
    return power_of_two(2 * (uint64_t)config->limits.window_messages + config->recovered_max + 4);
}

static uint64_t order_capacity(const struct gcs_core_config *config)
{
    return power_of_two(config->member_count * ((uint64_t)config->limits.window_messages + 4));
}

static uint64_t journal_capacity(const struct gcs_core_config *config)
{
    return power_of_two(config->member_count * ring_capacity(config));
}

/* The memory in one piece; `at` counts even where `memory` is NULL. */
struct carver {
    uint8_t *memory;
    size_t at;
};

static void *carve(struct carver *carver, size_t bytes)
{
    void *piece = carver->memory ? carver->memory + carver->at : NULL;
    carver->at += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return piece;
}

/* The core and its tables; with a memory of NULL only the size counts. */
static struct gcs_core *lay_out(struct carver *carver, const struct gcs_core_config *config)
{
    struct gcs_core *core = carve(carver, sizeof *core);
    struct slot *slots[MEMBERS];
    for (uint8_t k = 0; k < config->member_count; k++)
        slots[k] = carve(carver, ring_capacity(config) * sizeof *slots[k]);
    struct entry *order = carve(carver, order_capacity(config) * sizeof *order);
    struct entry *journal = carve(carver, journal_capacity(config) * sizeof *journal);
    struct gcs_message *replay = carve(carver, (size_t)config->recovered_max * sizeof *replay);
    struct gcs_action *actions = carve(carver, GCS_ACTIONS_MAX * sizeof *actions);
    if (!core)
        return NULL;
    for (uint8_t k = 0; k < config->member_count; k++)
        core->rings[k].slots = slots[k];
    core->order = order;
    core->journal.entries = journal;
    core->replay.messages = replay;
    core->actions = actions;
    return core;
}

size_t gcs_core_bytes(const struct gcs_core_config *config)
{
    const uint32_t most_messages = 1u << 26;
    if (config->member_count == 0 || config->member_count > MEMBERS ||
        config->rank >= config->member_count || config->limits.window_messages == 0 ||
        config->limits.window_messages > most_messages || config->recovered_max > most_messages ||
        config->limits.payload_bytes_max == 0 ||
        config->limits.payload_bytes_max > GCS_PAYLOAD_BYTES_LIMIT)
        return 0;
    struct carver carver = {NULL, 0};
    (void)lay_out(&carver, config);
    return carver.at;
}

int gcs_core_init(void *memory, const struct gcs_core_config *config, const void *state,
                  size_t state_bytes, struct gcs_core **ret_core)
{
    struct carver carver = {memory, 0};
    struct gcs_core *core = lay_out(&carver, config);
    MUST(core);
    core->config = *config;
    core->n = config->member_count;
    core->self = config->rank;
    core->capacity = ring_capacity(config);
    core->order_capacity = order_capacity(config);
    core->journal_capacity = journal_capacity(config);
    int code = save_load(core, state, state_bytes);
    if (code)
        return code;
    memcpy(core->wanted.store[core->self], config->store, 16);
    core->wanted.incarnation_count[core->self] = config->incarnation.count;
    core->delivered = core->released = core->applied = config->applied_index;
    core->know[core->self].applied = config->applied_index;
    core->lead.round = config->incarnation.count << 24; /* never one of an earlier start */
    *ret_core = core;
    return 0;
}

/* What a change of state makes possible; repeated while one thing enables another. */
static void pump_state(struct gcs_core *core)
{
    enum stage stage;
    uint64_t epoch, index;
    do {
        stage = core->stage;
        epoch = core->epoch;
        index = core->delivered;
        receive_announce_pump(core);
        order_pump(core);
        lead_pump(core);
        restart_pump(core);
    } while (!core->failed && !core->more &&
             (stage != core->stage || epoch != core->epoch || index != core->delivered));
}

static void core_pump(struct gcs_core *core)
{
    core->more = false;
    if (core->stage == STAGE_RECOVERING || core->failed)
        return;
    pump_state(core);
    flow_pump(core);
    send_pump(core);
    push_pump(core);
    save_pump(core);
}

/* Frames of the leader's rounds. */
static void step_level_frame(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    bool from_leader = from == 0;
    bool leads = core->self == 0;
    if (frame->type == GCS_FRAME_LEVEL && from_leader) {
        if (same_incarnation(&frame->incarnations[core->self], &core->config.incarnation))
            restart_level(core, frame->round);
    } else if (frame->type == GCS_FRAME_CUT && from_leader) {
        restart_cut(core, frame);
    } else if (frame->type == GCS_FRAME_CATCH_UP && from_leader) {
        restart_catch_up(core, frame->round, frame->epoch);
    } else if (frame->type == GCS_FRAME_INSTALL && from_leader) {
        restart_install(core, frame->epoch, frame->incarnations);
    } else if (frame->type == GCS_FRAME_PULL && from_leader) {
        if (frame->round == core->round && frame->epoch == core->epoch)
            push_begin(core, from, frame->round, frame->received, frame->target);
    } else if (frame->type == GCS_FRAME_REPORT && leads) {
        lead_report(core, from, frame);
    } else if (frame->type == GCS_FRAME_PREPARED && leads) {
        lead_prepared(core, from, frame->round, frame->epoch);
    } else {
        action_close(core, from, "a frame of a role that it has not");
    }
}

static void step_frame(struct gcs_core *core, const struct gcs_event *event)
{
    uint8_t from = event->rank;
    MUST(from < core->n);
    if (!core->links[from].up)
        return;
    struct gcs_frame frame;
    if (gcs_frame_decode(event->type, event->head, event->head_bytes, core->n, &frame) ||
        gcs_frame_has_payload(event->type) != (event->payload != NULL)) {
        action_close(core, from, "a malformed frame");
        return;
    }
    switch (event->type) {
    case GCS_FRAME_DATA:
        receive_data(core, from, &frame, event->payload);
        break;
    case GCS_FRAME_ACK:
        receive_ack(core, from, &frame);
        break;
    case GCS_FRAME_RESUME:
        link_resume(core, from, &frame);
        break;
    case GCS_FRAME_PUSH:
        push_receive(core, from, &frame, event->payload);
        break;
    case GCS_FRAME_HAVE:
        push_have(core, from, &frame);
        break;
    case GCS_FRAME_LOST:
        push_lost(core, &frame);
        break;
    default:
        step_level_frame(core, from, &frame);
    }
}

static int step(struct gcs_core *core, const struct gcs_event *event)
{
    switch (event->kind) {
    case GCS_EVENT_RECOVERED:
        return recover_message(core, &event->message);
    case GCS_EVENT_START:
        recover_finish(core);
        return 0;
    case GCS_EVENT_LINK_UP:
        link_up(core, event);
        return 0;
    case GCS_EVENT_LINK_DOWN:
        link_down(core, event->rank);
        return 0;
    case GCS_EVENT_LINK_DRAINED:
        link_drained(core, event->rank, &event->message);
        return 0;
    case GCS_EVENT_FRAME:
        step_frame(core, event);
        return 0;
    case GCS_EVENT_MULTICAST:
        return send_multicast(core, event->payload);
    case GCS_EVENT_STORED:
        receive_stored(core, &event->message);
        return 0;
    case GCS_EVENT_SAVED:
        save_done(core);
        return 0;
    case GCS_EVENT_APPLIED:
        order_applied(core, event->index);
        return 0;
    case GCS_EVENT_FETCHED:
        push_fetched(core, &event->message);
        return 0;
    case GCS_EVENT_TICK:
        send_tick(core);
        return 0;
    case GCS_EVENT_TURN:
        send_turn(core);
        return 0;
    case GCS_EVENT_CONTINUE:
        return 0;
    }
    return -EINVAL;
}

int gcs_step(struct gcs_core *core, const struct gcs_event *event)
{
    if (core->failed)
        return event->kind == GCS_EVENT_MULTICAST ? GCS_E_NOT_RUNNING : 0;
    MUST(gcs_action_room(core) >= GCS_ACTIONS_PER_EVENT);
    int code = step(core, event);
    core_pump(core);
    return code;
}

uint64_t gcs_core_epoch(const struct gcs_core *core)
{
    return core->epoch;
}

uint64_t gcs_core_sent(const struct gcs_core *core)
{
    return core->know[core->self].received[core->self];
}

void gcs_core_status(const struct gcs_core *core, struct gcs_status *ret_status)
{
    struct gcs_status *s = ret_status;
    s->running = core->stage == STAGE_RUNNING && !core->failed;
    s->epoch = core->epoch;
    s->index_delivered = core->delivered;
    s->index_released = core->released;
    s->clock = core->clock;
    s->rank = core->self;
    s->member_count = core->n;
    for (uint8_t k = 0; k < core->n; k++) {
        s->members[k].received = core->know[core->self].received[k];
        s->members[k].stored = core->know[k].stored[k];
        s->members[k].index_applied = core->know[k].applied;
    }
    s->resent = core->resent;
    s->level_rounds = core->rounds;
}

const char *gcs_core_waits_for(const struct gcs_core *core)
{
    if (core->failed)
        return "this member has failed";
    if (core->stage == STAGE_RUNNING)
        return NULL;
    if (core->lead.active && core->lead.mismatched)
        return "a member is configured with another durability, window or payload size";
    if (links_up(core) != others(core))
        return "members are not connected";
    if (core->stage == STAGE_INSTALLING)
        return "installing the next epoch";
    return core->stage == STAGE_PREPARING ? "levelling: messages are fetched and stored"
                                          : "the members agree on the next epoch";
}

struct blob *gcs_core_forget(struct gcs_core *core)
{
    for (uint8_t k = 0; k < core->n; k++) {
        struct ring *ring = &core->rings[k];
        while (ring->base < received(core)[k]) {
            struct slot *slot = slot_of(core, k, ++ring->base);
            if (slot->payload)
                return slot->payload;
        }
    }
    if (core->replay.next < core->replay.count)
        return core->replay.messages[core->replay.next++].payload;
    for (; core->action_count; gcs_action_done(core)) {
        const struct gcs_action *action = gcs_action(core);
        if (action->kind == GCS_ACTION_DROP) {
            struct blob *payload = action->payload;
            gcs_action_done(core);
            return payload;
        }
    }
    return NULL;
}
