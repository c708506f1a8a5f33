/* The driver: gives the core its events and does what it asks for.
 *
 * Events come from links, timers and the owner's calls, at any time of a turn; actions are done in
 * LOOP_PHASE_ORDER, so that one turn's receipts share one acknowledgement, and callbacks come from
 * the loop alone. Only a turn with very much to do empties the queue in between.
 * Invariant: actions are done one after the other, also where a callback brings new events. */
#include "gcs-fastdelivery/driver.h"

#include <stdio.h>
#include <string.h>

/* Nothing is called after what is called now. */
static void end(struct gcs *gcs)
{
    gcs->ended = true;
    loop_timer_stop(&gcs->tick);
    loop_timer_stop(&gcs->clock);
    for (uint8_t p = 0; p < GCS_PEER_MAX; p++)
        driver_hang_up(&gcs->links[p]);
}

void driver_fail(struct gcs *gcs, const char *text)
{
    end(gcs);
    gcs->config.callbacks->failed(gcs->config.user, text);
}

static void out(struct gcs *gcs, const struct gcs_action *action)
{
    end(gcs);
    gcs->config.callbacks->out(gcs->config.user, action->why, action->text);
}

static void snapshot_needed(struct gcs *gcs, uint8_t peer)
{
    struct gcs_member sponsor = gcs->links[peer].member;
    end(gcs);
    gcs->config.callbacks->snapshot_needed(gcs->config.user, &sponsor);
}

static void save(struct gcs *gcs)
{
    uint8_t state[GCS_STATE_BYTES_MAX];
    size_t bytes = driver_book_encode(gcs, state);
    gcs->config.callbacks->save(gcs->config.user, state, bytes);
}

static void hang_up_for(struct gcs *gcs, const struct gcs_action *action)
{
    for (uint8_t p = 0; p < GCS_PEER_MAX; p++) {
        struct driver_link *link = &gcs->links[p];
        if (!(action->to & (1u << p)) || !link->conn)
            continue;
        log_limited(&gcs->log_limit, 1, LOG_LEVEL_WARNING, "order", "member %u: link closed: %s",
                    link->member.node, action->text);
        driver_hang_up(link);
    }
}

static void send_to_all(struct gcs *gcs, const struct gcs_action *action)
{
    for (uint8_t p = 0; p < GCS_PEER_MAX; p++)
        if (action->to & (1u << p))
            driver_send(&gcs->links[p], action);
}

static void running(struct gcs *gcs, bool is_running)
{
    char waiting_for[GCS_WAITING_BYTES];
    driver_describe_waiting(gcs, waiting_for);
    gcs->config.callbacks->running(gcs->config.user, is_running, waiting_for);
}

static void address_of(struct gcs *gcs, struct gcs_member *member)
{
    const struct driver_link *link = driver_link_of(gcs, member->node, false);
    if (member->node == gcs->config.node)
        memcpy(member->address, gcs->config.address, sizeof member->address);
    else if (link)
        memcpy(member->address, driver_address(link), sizeof member->address);
}

/* The installed view, with addresses. */
void driver_view(struct gcs *gcs, struct gcs_view *ret_view)
{
    const struct gcs_view_record *view = gcs_core_view(gcs->core);
    memset(ret_view, 0, sizeof *ret_view);
    ret_view->epoch = view->epoch;
    ret_view->member_count = view->count;
    ret_view->absent_count = view->absent_count;
    for (uint8_t k = 0; k < view->count; k++) {
        ret_view->members[k].node = view->members[k].node;
        ret_view->members[k].witness = view->members[k].witness;
        address_of(gcs, &ret_view->members[k]);
    }
    for (uint8_t i = 0; i < view->absent_count; i++) {
        ret_view->absent[i].node = view->absent[i].node;
        ret_view->absent[i].witness = view->absent[i].witness;
        address_of(gcs, &ret_view->absent[i]);
    }
}

static void view(struct gcs *gcs)
{
    struct gcs_view installed;
    driver_view(gcs, &installed);
    for (uint8_t p = 0; p < GCS_PEER_MAX; p++)
        driver_book_tell(&gcs->links[p]);
    driver_check_links(gcs);
    gcs->config.callbacks->view(gcs->config.user, &installed, gcs_core_is_member(gcs->core),
                                gcs_core_rank(gcs->core));
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
    case GCS_ACTION_VIEW:
        view(gcs);
        break;
    case GCS_ACTION_READABLE:
        call->readable(user);
        break;
    case GCS_ACTION_WINDOW_OPEN:
        call->window_open(user);
        break;
    case GCS_ACTION_SAVE:
        save(gcs);
        break;
    case GCS_ACTION_FETCH:
        call->fetch(user, action->peer, action->index, action->bytes_max,
                    action->flag ? action->head : NULL);
        break;
    case GCS_ACTION_DROP:
        blob_unref(action->payload);
        break;
    case GCS_ACTION_SNAPSHOT_NEEDED:
        snapshot_needed(gcs, action->peer);
        break;
    case GCS_ACTION_STAYS:
        call->stays(user);
        break;
    case GCS_ACTION_OUT:
        out(gcs, action);
        break;
    case GCS_ACTION_FAILED:
        driver_fail(gcs, action->text);
        break;
    }
}

static int step(struct gcs *gcs, enum gcs_event_kind kind)
{
    struct gcs_event event = {.kind = kind, .now_ns = loop_now_ns(gcs->config.loop)};
    return gcs_step(gcs->core, &event);
}

/* Do what is asked for until nothing is. A callback may end the group, but not destroy it. */
void driver_drain(struct gcs *gcs)
{
    const struct gcs_action *action;
    gcs->draining = true;
    while (!gcs->ended) {
        if ((action = gcs_action(gcs->core))) {
            act(gcs, action);
            gcs_action_done(gcs->core);
        } else if (gcs_more(gcs->core)) {
            (void)step(gcs, GCS_EVENT_CONTINUE);
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

int driver_event(struct gcs *gcs, struct gcs_event *event)
{
    if (gcs->ended)
        return GCS_E_NOT_RUNNING;
    if (must_drain_first(gcs, event))
        driver_drain(gcs);
    if (gcs->ended)
        return GCS_E_NOT_RUNNING;
    event->now_ns = loop_now_ns(gcs->config.loop);
    int code = gcs_step(gcs->core, event);
    loop_defer(gcs->config.loop, &gcs->task);
    return code;
}

/* Deadlines are near: look at the clock more often than every heartbeat. */
static void hurry(struct gcs *gcs)
{
    enum { HURRY_PARTS = 10 };
    if (gcs->ended || gcs->clock_runs || !gcs_core_hurries(gcs->core))
        return;
    gcs->clock_runs = true;
    loop_timer_start(&gcs->clock, gcs->config.heartbeat_ns / HURRY_PARTS);
}

/* Grants count from now, not from when the turn began. */
static void on_turn_end(struct loop_task *task)
{
    struct gcs *gcs = CONTAINER_OF(task, struct gcs, task);
    driver_drain(gcs);
    if (gcs->ended)
        return;
    struct gcs_event event = {.kind = GCS_EVENT_TURN, .now_ns = loop_clock_ns(gcs->config.loop)};
    (void)gcs_step(gcs->core, &event);
    driver_drain(gcs);
    hurry(gcs);
}

void driver_tick(struct loop_timer *timer)
{
    struct gcs *gcs = CONTAINER_OF(timer, struct gcs, tick);
    struct gcs_event event = {.kind = GCS_EVENT_TICK};
    (void)driver_event(gcs, &event);
    driver_check_links(gcs);
    if (!gcs->ended)
        loop_timer_start(timer, gcs->config.heartbeat_ns);
}

void driver_clock(struct loop_timer *timer)
{
    struct gcs *gcs = CONTAINER_OF(timer, struct gcs, clock);
    struct gcs_event event = {.kind = GCS_EVENT_CLOCK};
    gcs->clock_runs = false;
    (void)driver_event(gcs, &event);
}

void driver_start(struct gcs *gcs)
{
    struct gcs_event event = {.kind = GCS_EVENT_START};
    gcs->started = true;
    gcs->task = (struct loop_task){.run = on_turn_end, .phase = LOOP_PHASE_ORDER};
    (void)driver_event(gcs, &event);
    driver_check_links(gcs);
    loop_timer_start(&gcs->tick, gcs->config.heartbeat_ns);
}

/* For people: whom or what the group waits for. Empty while an epoch runs. */
void driver_describe_waiting(struct gcs *gcs, char text[GCS_WAITING_BYTES])
{
    uint8_t ranks;
    struct gcs_view installed;
    const char *reason = gcs_core_waits_for(gcs->core, &ranks);
    text[0] = '\0';
    if (!reason)
        return;
    int at = snprintf(text, GCS_WAITING_BYTES, "%s", reason);
    driver_view(gcs, &installed);
    const char *separator = ": waits for ";
    for (uint8_t k = 0; k < installed.member_count && at < GCS_WAITING_BYTES; k++) {
        if (!(ranks & (1u << k)))
            continue;
        at += snprintf(text + at, (size_t)(GCS_WAITING_BYTES - at), "%s%u (%s)", separator,
                       installed.members[k].node, installed.members[k].address);
        separator = ", ";
    }
}
