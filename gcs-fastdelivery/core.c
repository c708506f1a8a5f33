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
    return power_of_two(MEMBERS * ((uint64_t)config->limits.window_messages + 4));
}

static uint64_t journal_capacity(const struct gcs_core_config *config)
{
    return power_of_two(MEMBERS * ring_capacity(config));
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
    for (uint8_t k = 0; k < MEMBERS; k++)
        slots[k] = carve(carver, ring_capacity(config) * sizeof *slots[k]);
    struct entry *order = carve(carver, order_capacity(config) * sizeof *order);
    struct entry *journal = carve(carver, journal_capacity(config) * sizeof *journal);
    struct gcs_message *replay = carve(carver, (size_t)config->recovered_max * sizeof *replay);
    struct gcs_action *actions = carve(carver, GCS_ACTIONS_MAX * sizeof *actions);
    if (!core)
        return NULL;
    for (uint8_t k = 0; k < MEMBERS; k++)
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
    if (config->self.node == 0 || config->limits.window_messages == 0 ||
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
    core->random = config->prng_seed | 1;
    core->capacity = ring_capacity(config);
    core->order_capacity = order_capacity(config);
    core->journal_capacity = journal_capacity(config);
    core->now = core->started_ns = config->now_ns;
    core->sponsor = core->acceptor.promise_to = core->acceptor.accept_to = NONE;
    core->attempt.candidate = core->level_to = NONE;
    memset(core->peer_of_rank, NONE, sizeof core->peer_of_rank);
    core->self = NONE;
    core->delivered = core->released = core->applied = config->applied.index;
    for (uint8_t p = 0; p < PEERS; p++)
        core->peers[p].rank = NONE;
    int code = config->outside ? 0 : save_load(core, state, state_bytes);
    if (code)
        return code;
    if (core->self != NONE)
        core->wanted.incarnation_count[core->self] = config->self.incarnation.count;
    core->know[own_row(core)].applied = config->applied.index;
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
        join_pump(core);
        accept_pump(core);
        attempt_pump(core);
        install_pump(core);
    } while (!core->ended && !core->more &&
             (stage != core->stage || epoch != core->epoch || index != core->delivered));
}

static void core_pump(struct gcs_core *core)
{
    core->more = false;
    if (core->finishing)
        recover_finish(core);
    if (core->stage == STAGE_RECOVERING || core->ended)
        return;
    pump_state(core);
    flow_pump(core);
    send_pump(core);
    push_pump(core);
    sponsor_pump(core);
    accept_pump(core);
    attempt_pump(core);
    install_pump(core);
    if (!core->ended)
        save_pump(core);
}

/* LEVEL of the proposer that this member has promised; outside, of the sponsor. */
static void step_level(struct gcs_core *core, uint8_t peer, const struct gcs_frame *frame)
{
    bool wedged = core->stage == STAGE_WEDGED || core->stage == STAGE_LEVELLING;
    bool learns = core->stage == STAGE_LEARNING &&
                  core->delivered == core->learn_base + core->journal.received;
    if (frame->epoch != core->epoch)
        return;
    if (is_outside(core) ? (learns || wedged) && (core->sponsor == NONE || peer == core->sponsor)
                         : wedged && frame->ballot == core->wanted.promised)
        push_level(core, peer, frame);
}

/* Frames between members of one view. */
static void step_member_frame(struct gcs_core *core, uint8_t peer, uint8_t from,
                              const struct gcs_frame *frame)
{
    if (is_outside(core) && plant_wiped_votes)
        accept_without_memory(core, peer, frame);
    if (is_outside(core) || from == NONE || core->stage == STAGE_RECOVERING)
        return;
    switch (frame->type) {
    case GCS_FRAME_ACK:
        receive_ack(core, from, frame);
        break;
    case GCS_FRAME_BEAT:
        lease_beaten(core, peer, frame);
        break;
    case GCS_FRAME_GRANT:
        lease_granted(core, from, frame);
        break;
    case GCS_FRAME_CHECK:
        check_told(core, from, frame);
        break;
    case GCS_FRAME_ASK:
        accept_ask(core, from, frame);
        break;
    case GCS_FRAME_AGREE:
        attempt_agree(core, from, frame);
        break;
    case GCS_FRAME_PREPARE:
        accept_prepare(core, from, frame);
        break;
    case GCS_FRAME_PROMISE:
        attempt_promise(core, from, frame);
        break;
    case GCS_FRAME_REFUSE:
        attempt_refuse(core, frame);
        break;
    case GCS_FRAME_PULL:
        push_pull(core, peer, frame);
        break;
    case GCS_FRAME_LOST:
        push_lost(core, from, frame);
        break;
    case GCS_FRAME_PROPOSE:
        accept_propose(core, from, frame);
        break;
    case GCS_FRAME_ACCEPTED:
        attempt_accepted(core, from, frame);
        break;
    case GCS_FRAME_LEAVE:
        suspect_told(core, from, frame);
        break;
    default:
        action_close(core, peer, "a frame that has no meaning");
    }
}

static void step_frame(struct gcs_core *core, const struct gcs_event *event)
{
    uint8_t peer = event->peer;
    MUST(peer < PEERS);
    struct gcs_frame frame;
    if (!core->peers[peer].up)
        return;
    core->peers[peer].heard_ns = core->now;
    if (gcs_frame_decode(event->type, event->head, event->head_bytes, &frame) ||
        gcs_frame_has_payload(event->type) != (event->payload != NULL)) {
        action_close(core, peer, "a malformed frame");
        return;
    }
    uint8_t from = core->peers[peer].rank;
    switch (event->type) {
    case GCS_FRAME_DATA:
        receive_data(core, from, &frame, event->payload);
        break;
    case GCS_FRAME_RESUME:
        link_resume(core, peer, &frame);
        break;
    case GCS_FRAME_LEVEL:
        step_level(core, peer, &frame);
        break;
    case GCS_FRAME_PUSH:
        push_receive(core, peer, &frame, event->payload);
        break;
    case GCS_FRAME_HAVE:
        push_have(core, peer, &frame);
        break;
    case GCS_FRAME_STORED:
        attempt_stored(core, peer, from, &frame);
        break;
    case GCS_FRAME_INSTALL:
        install_decided(core, frame.epoch, &frame.proposal);
        break;
    case GCS_FRAME_OUT:
        install_out(core, &frame);
        break;
    case GCS_FRAME_JOIN:
        sponsor_join(core, peer, &frame);
        break;
    case GCS_FRAME_FED:
        sponsor_fed(core, peer, &frame);
        break;
    case GCS_FRAME_WELCOME:
    case GCS_FRAME_SNAPSHOT:
    case GCS_FRAME_FEED:
    case GCS_FRAME_FEED_EPOCH:
        join_frame(core, peer, &frame, event->payload);
        break;
    default:
        step_member_frame(core, peer, from, &frame);
    }
}

static void start(struct gcs_core *core)
{
    core->started_ns = core->turned_ns = core->now;
    core->stable_ns = core->now;
    if (core->config.outside)
        join_start(core);
    else
        core->finishing = true;
}

static void tick(struct gcs_core *core)
{
    if (core->stage == STAGE_RECOVERING)
        return;
    send_tick(core);
    join_tick(core);
    if (!is_outside(core)) {
        attempt_tick(core);
        suspect_tick(core);
    }
}

static int step(struct gcs_core *core, const struct gcs_event *event)
{
    switch (event->kind) {
    case GCS_EVENT_RECOVERED:
        return recover_message(core, &event->message);
    case GCS_EVENT_START:
        start(core);
        return 0;
    case GCS_EVENT_LINK_UP:
        link_up(core, event);
        return 0;
    case GCS_EVENT_LINK_DOWN:
        link_down(core, event->peer);
        return 0;
    case GCS_EVENT_LINK_DRAINED:
        link_drained(core, event->peer, &event->message);
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
        sponsor_fetched(core, event->peer, &event->message, event->index);
        return 0;
    case GCS_EVENT_FETCH_DONE:
        sponsor_fetch_done(core, event->peer, event->flag);
        return 0;
    case GCS_EVENT_TICK:
        tick(core);
        return 0;
    case GCS_EVENT_TURN:
        send_turn(core);
        return 0;
    case GCS_EVENT_CLOCK:
    case GCS_EVENT_CONTINUE:
        return 0;
    case GCS_EVENT_LEAVE:
        return suspect_leave(core, event->flag);
    case GCS_EVENT_END:
        suspect_end(core);
        return 0;
    case GCS_EVENT_REMOVE:
        return suspect_remove(core, event->member.node);
    case GCS_EVENT_DEATH:
        suspect_death(core, &event->member);
        return 0;
    case GCS_EVENT_CHECK:
        check_own(core, event->index, event->hash);
        return 0;
    case GCS_EVENT_FORCE:
        return install_force(core);
    }
    return -EINVAL;
}

int gcs_step(struct gcs_core *core, const struct gcs_event *event)
{
    if (core->ended)
        return event->kind == GCS_EVENT_MULTICAST || event->kind == GCS_EVENT_LEAVE ||
                       event->kind == GCS_EVENT_REMOVE
                   ? GCS_E_NOT_RUNNING
                   : 0;
    MUST(gcs_action_room(core) >= GCS_ACTIONS_PER_EVENT);
    core->now = most(core->now, event->now_ns);
    if (core->stage != STAGE_RECOVERING)
        suspect_gap(core);
    int code = step(core, event);
    core_pump(core);
    return code;
}

uint64_t gcs_core_epoch(const struct gcs_core *core)
{
    return core->epoch;
}

const struct gcs_view_record *gcs_core_view(const struct gcs_core *core)
{
    return &core->view;
}

bool gcs_core_is_member(const struct gcs_core *core)
{
    return !is_outside(core);
}

bool gcs_core_runs(const struct gcs_core *core)
{
    return core->stage == STAGE_RUNNING;
}

uint8_t gcs_core_rank(const struct gcs_core *core)
{
    return core->self;
}

bool gcs_core_hurries(const struct gcs_core *core)
{
    return !core->ended && !is_outside(core) &&
           (core->attempt.stage != ATTEMPT_NONE || core->acceptor.accept_to != NONE ||
            core->due_ns != 0);
}

uint64_t gcs_core_sent(const struct gcs_core *core)
{
    return core->know[own_row(core)].received[own_row(core)];
}

static void member_status(const struct gcs_core *core, uint8_t k, struct gcs_status *s)
{
    uint8_t peer = core->peer_of_rank[k];
    s->members[k].node = core->view.members[k].node;
    s->members[k].witness = core->view.members[k].witness;
    if (is_outside(core))
        return;
    s->members[k].connected = k == core->self || (peer != NONE && core->peers[peer].up);
    s->members[k].suspected = in(suspect_missing(core), k);
    s->members[k].received = core->know[core->self].received[k];
    s->members[k].stored = core->know[k].stored[k];
    s->members[k].index_applied = core->know[k].applied;
}

void gcs_core_status(const struct gcs_core *core, struct gcs_status *ret_status)
{
    struct gcs_status *s = ret_status;
    s->running = core->stage == STAGE_RUNNING && !core->ended;
    s->outside = is_outside(core);
    s->lease = s->running && lease_holds(core, core->now);
    s->epoch = core->epoch;
    s->index_delivered = core->delivered;
    s->index_released = core->released;
    s->clock = core->clock;
    s->rank = core->self;
    s->member_count = core->view.count;
    s->absent_count = core->view.absent_count;
    for (uint8_t k = 0; k < core->view.count; k++)
        member_status(core, k, s);
    for (uint8_t i = 0; i < core->view.absent_count; i++) {
        s->absent[i].node = core->view.absent[i].node;
        s->absent[i].witness = core->view.absent[i].witness;
    }
    for (uint8_t p = 0; p < PEERS; p++)
        if (core->peers[p].up && core->peers[p].feed.active) {
            s->joining = core->peers[p].member.node;
            s->joining_index = core->peers[p].feed.have;
        }
    s->resent = core->resent;
    s->views = core->views;
    s->ballots = core->ballots;
    s->leases_lost = core->leases_lost;
}

/* Members of the newest view heard of that one outside has no link with: all have to hear it. */
static uint8_t not_linked(const struct gcs_core *core)
{
    uint8_t set = (uint8_t)((1u << core->view.count) - 1);
    for (uint8_t p = 0; p < PEERS; p++)
        for (uint8_t k = 0; k < core->view.count; k++)
            if (core->peers[p].up && core->peers[p].member.node == core->view.members[k].node)
                set &= (uint8_t)~bit(k);
    return set;
}

const char *gcs_core_waits_for(const struct gcs_core *core, uint8_t *ret_ranks)
{
    uint8_t missing = is_outside(core) ? 0 : suspect_missing(core);
    uint8_t there = (uint8_t)(all_members(core) & ~missing);
    *ret_ranks = 0;
    if (core->ended)
        return "this member has ended";
    if (core->stage == STAGE_RUNNING && view_decides(core, there))
        return NULL;
    if (core->stage == STAGE_RUNNING) {
        *ret_ranks = missing;
        return "too few of the view's members are there";
    }
    if (core->stage == STAGE_LEARNING) {
        *ret_ranks = not_linked(core);
        return core->sponsor == NONE ? "outside: looks for a member that runs"
                                     : "outside: takes in what it missed";
    }
    if (core->stage == STAGE_INSTALLING)
        return "installing the next view";
    if (is_outside(core))
        return "a candidate: the members decide";
    if (core->attempt.mismatched)
        return "a member is configured with another durability, window or payload size";
    if (!view_decides(core, there)) {
        *ret_ranks = missing;
        return "too few of the last view's members are there";
    }
    return "the members agree on the next view";
}

struct blob *gcs_core_forget(struct gcs_core *core)
{
    for (uint8_t k = 0; k < MEMBERS; k++) {
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
