/* The driver: gives the core its events and does what it asks for.
 *
 * Events come from links, timers and the owner's calls, at any time of a turn; actions are done in
 * LOOP_PHASE_ORDER, so that one turn's receipts share one acknowledgement, and callbacks come from
 * the loop alone. Only a turn with very much to do empties the queue in between.
 * Invariant: actions are done one after the other, also where a callback brings new events. */
#include "gcs-fastdelivery/driver.h"

#include "base/hash.h"
#include "base/cursor.h"

#include <stdio.h>

static void fail(struct gcs *gcs, const char *text)
{
    gcs->failed = true;
    loop_timer_stop(&gcs->tick);
    for (uint8_t j = 0; j < gcs->config.member_count; j++)
        driver_hang_up(&gcs->links[j]);
    gcs->config.callbacks->failed(gcs->config.user, text);
}

/* The core's state and a hash of it. */
static void save(struct gcs *gcs)
{
    uint8_t state[GCS_STATE_BYTES_MAX];
    size_t bytes;
    const void *core_state = gcs_core_state(gcs->core, &bytes);
    struct writer w = writer_make(state, sizeof state);
    writer_bytes(&w, core_state, bytes);
    writer_u64(&w, hash64(core_state, bytes));
    MUST(!w.failed);
    gcs->config.callbacks->save(gcs->config.user, state, writer_used(&w));
}

static void hang_up_for(struct gcs *gcs, const struct gcs_action *action)
{
    for (uint8_t j = 0; j < gcs->config.member_count; j++) {
        struct driver_link *link = &gcs->links[j];
        if (!(action->to & (1u << j)) || !link->conn)
            continue;
        log_limited(&gcs->log_limit, 1, LOG_LEVEL_WARNING, "order", "member %u: link closed: %s",
                    gcs->config.members[j].node, action->text);
        driver_hang_up(link);
    }
}

static void send_to_all(struct gcs *gcs, const struct gcs_action *action)
{
    for (uint8_t j = 0; j < gcs->config.member_count; j++)
        if (action->to & (1u << j))
            driver_send(&gcs->links[j], action);
}

static void running(struct gcs *gcs, bool is_running)
{
    char waiting_for[GCS_WAITING_BYTES];
    driver_describe_waiting(gcs, waiting_for);
    gcs->config.callbacks->running(gcs->config.user, is_running, waiting_for);
}

static void act(struct gcs *gcs, const struct gcs_action *action)
{
    const struct gcs_callbacks *call = gcs->config.callbacks;
    void *user = gcs->config.user;
    switch (action->kind) {
    case GCS_ACTION_SEND:
        send_to_all(gcs, action);
        break;
    case GCS_ACTION_CLOSE:
        hang_up_for(gcs, action);
        break;
    case GCS_ACTION_RECEIVED:
        call->received(user, &action->message);
        break;
    case GCS_ACTION_STORE:
        call->store(user, &action->message);
        break;
    case GCS_ACTION_DELIVER:
        call->deliver(user, &action->message, action->index);
        break;
    case GCS_ACTION_EPOCH:
        call->epoch(user, action->epoch, action->index);
        break;
    case GCS_ACTION_RELEASED:
        call->released(user, action->index);
        break;
    case GCS_ACTION_RUNNING:
        running(gcs, action->flag);
        break;
    case GCS_ACTION_WINDOW_OPEN:
        call->window_open(user);
        break;
    case GCS_ACTION_SAVE:
        save(gcs);
        break;
    case GCS_ACTION_FETCH:
        call->fetch(user, action->message.epoch, action->message.origin, action->seq_from,
                    action->seq_to);
        break;
    case GCS_ACTION_DROP:
        blob_unref(action->payload);
        break;
    case GCS_ACTION_FAILED:
        fail(gcs, action->text);
        break;
    }
}

/* Do what is asked for until nothing is. */
static void drain(struct gcs *gcs)
{
    const struct gcs_action *action;
    gcs->draining = true;
    while (!gcs->failed) {
        if ((action = gcs_action(gcs->core))) {
            act(gcs, action);
            gcs_action_done(gcs->core);
        } else if (gcs_more(gcs->core)) {
            (void)gcs_step(gcs->core, &(struct gcs_event){.kind = GCS_EVENT_CONTINUE});
        } else {
            break;
        }
    }
    gcs->draining = false;
}

/* A multicast must not call back: it never makes so much that it would have to wait. */
static bool must_drain_first(const struct gcs *gcs, const struct gcs_event *event)
{
    return !gcs->draining && event->kind != GCS_EVENT_MULTICAST &&
           (gcs_more(gcs->core) || gcs_action_room(gcs->core) < 2 * GCS_ACTIONS_PER_EVENT);
}

int driver_event(struct gcs *gcs, const struct gcs_event *event)
{
    if (gcs->failed)
        return event->kind == GCS_EVENT_MULTICAST ? GCS_E_NOT_RUNNING : 0;
    if (must_drain_first(gcs, event))
        drain(gcs);
    int code = gcs_step(gcs->core, event);
    loop_defer(gcs->config.loop, &gcs->task);
    return code;
}

static void on_turn_end(struct loop_task *task)
{
    struct gcs *gcs = CONTAINER_OF(task, struct gcs, task);
    drain(gcs);
    if (gcs->failed)
        return;
    (void)gcs_step(gcs->core, &(struct gcs_event){.kind = GCS_EVENT_TURN});
    drain(gcs);
}

void driver_tick(struct loop_timer *timer)
{
    struct gcs *gcs = CONTAINER_OF(timer, struct gcs, tick);
    (void)driver_event(gcs, &(struct gcs_event){.kind = GCS_EVENT_TICK});
    driver_check_links(gcs);
    if (!gcs->failed)
        loop_timer_start(timer, gcs->config.heartbeat_ns);
}

void driver_start(struct gcs *gcs)
{
    gcs->started = true;
    gcs->task = (struct loop_task){.run = on_turn_end, .phase = LOOP_PHASE_ORDER};
    (void)driver_event(gcs, &(struct gcs_event){.kind = GCS_EVENT_START});
    for (uint8_t j = (uint8_t)(gcs->rank + 1); j < gcs->config.member_count; j++)
        driver_connect(&gcs->links[j]);
    loop_timer_start(&gcs->tick, gcs->config.heartbeat_ns);
}

/* For people: whom or what the group waits for. Empty while an epoch runs. */
void driver_describe_waiting(const struct gcs *gcs, char text[GCS_WAITING_BYTES])
{
    size_t at = 0;
    const char *reason = gcs_core_waits_for(gcs->core);
    text[0] = '\0';
    if (!reason)
        return;
    for (uint8_t j = 0; j < gcs->config.member_count && at < GCS_WAITING_BYTES; j++)
        if (j != gcs->rank && !driver_connected(gcs, j))
            at += (size_t)snprintf(text + at, GCS_WAITING_BYTES - at, "%smember %u (%s)",
                                   at ? ", " : "", gcs->config.members[j].node,
                                   gcs->config.members[j].address);
    if (at == 0)
        snprintf(text, GCS_WAITING_BYTES, "%s", reason);
}
