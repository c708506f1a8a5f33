/* A new epoch with the same members: the member's side.
 *
 * Source: docs/protocol.md, section 8; this file, lead.c and push.c are what views will replace.
 * Invariants: from LEVEL on a member takes in no data, promise or acknowledgement until it has
 * installed; PREPARED (epoch, cut) goes to disk only when all messages up to the cut are stored
 * here; `installed` goes to disk only when all members are known to have prepared, and after all
 * messages up to the cut were delivered; the epoch's event follows that. So members differ by at
 * most one installed epoch, and one that is behind holds PREPARED and everything it needs. */
#include "gcs-fastdelivery/core_state.h"

static void wedge(struct gcs_core *core)
{
    if (core->stage == STAGE_RUNNING)
        action_add(core, GCS_ACTION_RUNNING)->flag = false;
    core->stage = STAGE_WEDGED;
    for (uint8_t j = 0; j < core->n; j++) {
        core->links[j].open = false;
        core->links[j].push.active = false;
    }
    core->ack_owed = core->have_owed = 0;
}

void restart_report(struct gcs_core *core)
{
    struct gcs_frame frame = {
        .type = GCS_FRAME_REPORT,
        .count = core->n,
        .round = core->round,
        .epoch = core->epoch,
        .prepared = core->on_disk.prepared,
        .limits = core->config.limits,
    };
    memcpy(frame.received, received(core), sizeof frame.received);
    if (core->self == 0)
        lead_report(core, 0, &frame);
    else
        action_send(core, bit(0) & links_up(core), &frame, NULL);
}

/* The leader begins a round. */
void restart_level(struct gcs_core *core, uint64_t round)
{
    core->round = round;
    core->rounds++;
    if (core->stage == STAGE_INSTALLING) {
        core->round_waiting = true;
        return;
    }
    wedge(core);
    restart_report(core);
}

void restart_cut(struct gcs_core *core, const struct gcs_frame *frame)
{
    if (core->stage != STAGE_WEDGED || frame->round != core->round ||
        frame->epoch != core->epoch + 1)
        return;
    for (uint8_t k = 0; k < core->n; k++) {
        uint64_t kept = frame->target[k] - core->rings[k].base;
        if (frame->target[k] < received(core)[k] || kept >= core->capacity) {
            action_fail(core, "the leader's cut does not fit what this member has received");
            return;
        }
        core->cut[k] = frame->target[k];
    }
    core->stage = STAGE_PREPARING;
}

static bool cut_stored(const struct gcs_core *core)
{
    for (uint8_t k = 0; k < core->n; k++)
        if (core->logged[k] < core->cut[k])
            return false;
    return true;
}

static bool prepared_on_disk(const struct gcs_core *core)
{
    return core->on_disk.prepared == core->epoch + 1 &&
           memcmp(core->on_disk.cut, core->cut, sizeof core->cut) == 0;
}

static void prepare(struct gcs_core *core)
{
    if (!cut_stored(core))
        return;
    core->wanted.prepared = core->epoch + 1;
    memcpy(core->wanted.cut, core->cut, sizeof core->cut);
    if (!prepared_on_disk(core))
        return;
    core->stage = STAGE_PREPARED;
    struct gcs_frame frame = {
        .type = GCS_FRAME_PREPARED, .round = core->round, .epoch = core->epoch + 1};
    if (core->self == 0)
        lead_prepared(core, 0, core->round, core->epoch + 1);
    else
        action_send(core, bit(0) & links_up(core), &frame, NULL);
}

/* All have prepared: what this member has on disk is the cut. */
static void begin_installing(struct gcs_core *core)
{
    wedge(core);
    memcpy(core->cut, core->on_disk.cut, sizeof core->cut);
    for (uint8_t k = 0; k < core->n; k++)
        if (received(core)[k] != core->cut[k] || core->logged[k] != core->cut[k]) {
            action_fail(core, "the message log has not what was stored before the last stop");
            return;
        }
    core->stage = STAGE_INSTALLING;
}

void restart_install(struct gcs_core *core, uint64_t epoch,
                     const struct gcs_incarnation *incarnations)
{
    if (core->stage == STAGE_INSTALLING || epoch != core->epoch + 1 ||
        core->on_disk.prepared != epoch ||
        !same_incarnation(&incarnations[core->self], &core->config.incarnation))
        return;
    memcpy(core->next_incarnations, incarnations, sizeof core->next_incarnations);
    core->catching_up = false;
    begin_installing(core);
}

/* Others have installed the epoch that this member has only prepared: finish it, report again. */
void restart_catch_up(struct gcs_core *core, uint64_t round, uint64_t epoch)
{
    if (round != core->round || core->stage == STAGE_INSTALLING)
        return;
    if (epoch != core->epoch + 1 || core->on_disk.prepared != epoch) {
        action_fail(core, "the others went on without this member");
        return;
    }
    core->catching_up = true;
    begin_installing(core);
}

static bool cut_delivered(const struct gcs_core *core)
{
    for (uint8_t k = 0; k < core->n; k++)
        if (core->rings[k].delivered < core->cut[k])
            return false;
    return core->replay.next == core->replay.count && core->replay.epoch == core->epoch;
}

/* All counters of messages begin anew; indices go on. */
static void reset_epoch(struct gcs_core *core)
{
    for (uint8_t k = 0; k < core->n; k++) {
        struct ring *ring = &core->rings[k];
        *ring = (struct ring){.slots = ring->slots};
        core->know[k] = (struct knowledge){0};
        core->links[k].sent = 0;
        core->last_ts[k] = core->logged[k] = core->cut[k] = 0;
    }
    core->know[core->self].applied = core->applied;
    core->journal.stored = core->journal.announced = core->journal.received = 0;
    core->clock = core->heard = 0;
    core->stable = core->window_bytes = core->floor_saved_sum = 0;
    core->releasable = 0;
    core->replay.epoch = core->epoch;
}

/* The event that begins the epoch. All members have stored what came before it: released. */
static void deliver_event(struct gcs_core *core)
{
    struct gcs_action *action = action_add(core, GCS_ACTION_EPOCH);
    action->epoch = core->epoch;
    action->index = ++core->delivered;
    core->released = core->delivered;
    action_add(core, GCS_ACTION_RELEASED)->index = core->delivered;
}

static void run(struct gcs_core *core)
{
    core->stage = STAGE_RUNNING;
    memcpy(core->incarnations, core->next_incarnations, sizeof core->incarnations);
    link_open_all(core);
    action_add(core, GCS_ACTION_RUNNING)->flag = true;
}

static void install(struct gcs_core *core)
{
    if (!cut_delivered(core))
        return;
    core->wanted.installed = core->epoch + 1;
    core->wanted.prepared = 0;
    memset(core->wanted.cut, 0, sizeof core->wanted.cut);
    memset(core->wanted.floor, 0, sizeof core->wanted.floor);
    if (core->on_disk.installed != core->epoch + 1 || !flow_drop_all(core))
        return;
    core->epoch++;
    reset_epoch(core);
    deliver_event(core);
    if (core->catching_up || core->round_waiting) {
        core->catching_up = core->round_waiting = false;
        core->stage = STAGE_WEDGED;
        restart_report(core);
    } else {
        run(core);
    }
}

void restart_pump(struct gcs_core *core)
{
    if (core->stage == STAGE_PREPARING)
        prepare(core);
    else if (core->stage == STAGE_INSTALLING)
        install(core);
}
