/* Links: how bytes get from one end to the other, and how an end ends.
 *
 * Invariants: items of a pipe are taken in the order in which they were put, at times that never go
 * back; no callback is called from inside a call of the contract, all come from events or
 * end-of-turn tasks; `closed` comes once for each end that was shown to its user; an end whose
 * process is dead is never called again. A link's memory goes when both its ends are finished. */
#include "tests/sim/net_link.h"

#include "base/hash.h"

#include <stdlib.h>

static struct world *world_of(const struct end *end)
{
    return end->link->net->world;
}

/* ---- lives of links and ends ---- */

static void items_free(struct item_list *items)
{
    struct item *item;
    while ((item = STAILQ_FIRST(items))) {
        STAILQ_REMOVE_HEAD(items, entry);
        free(item);
    }
}

static void link_free(struct sim_link *link)
{
    struct world *world = link->net->world;
    event_stop(world, &link->syn);
    event_stop(world, &link->accept);
    event_stop(world, &link->timeout);
    for (int i = 0; i < 2; i++) {
        event_stop(world, &link->pipes[i].arrive);
        items_free(&link->pipes[i].items);
        wire_free(&link->pipes[i]);
    }
    TAILQ_REMOVE(&link->net->links, link, entry);
    link->net->link_count--;
    free(link);
}

static void uncount(struct end *end)
{
    if (end->counted)
        end->transport->counters.connections_open--;
    end->counted = false;
}

void end_finish(struct end *end)
{
    if (end->state == END_FINISHED || end->state == END_NONE)
        return;
    uncount(end);
    end->state = END_FINISHED;
    items_free(&end->queue);
    end->transport->counters.memory_bytes -= end->queued_bytes;
    end->queued_bytes = 0;
    event_stop(world_of(end), &end->closed);
    event_stop(world_of(end), &end->room);
    loop_cancel(&end->transport->process->loop, &end->flush);
    end->transport = NULL;
    enum end_state peer = end_peer(end)->state;
    if (peer == END_FINISHED || peer == END_NONE)
        link_free(end->link);
}

static void end_closed(struct event *event)
{
    struct end *end = CONTAINER_OF(event, struct end, closed);
    if (end->reason == NET_REASON_PROTOCOL)
        end->transport->counters.connections_refused++;
    uncount(end);
    if (end->handlers) /* none: it was not accepted yet */
        end->handlers->closed(&end->conn, end->reason, "simulated");
    end_finish(end);
}

void end_close_later(struct end *end, enum net_reason reason, uint64_t delay_ns)
{
    if (end->state != END_CONNECTING && end->state != END_OPEN)
        return;
    end->state = END_CLOSING;
    end->reason = reason;
    end->closed.process = end->transport->process;
    event_start(world_of(end), &end->closed, delay_ns);
}

/* ---- pipes ---- */

/* Nothing gets through, or this one is too large to. */
static bool pipe_blocked(const struct pipe *pipe, const struct item *item)
{
    const struct sim_link *link = pipe->link;
    uint32_t from = link->hosts[pipe->from], to = link->hosts[!pipe->from];
    if (from == UINT32_MAX || to == UINT32_MAX)
        return false;
    uint32_t most = link->net->frame_bytes_max[from][to];
    bool large = most && item->kind == ITEM_FRAME && item->bytes + FRAME_HEADER_BYTES > most;
    return link->net->blocked[from][to] > 0 || large;
}

static void pipe_arm(struct pipe *pipe)
{
    struct item *item = STAILQ_FIRST(&pipe->items);
    struct end *to = &pipe->link->ends[!pipe->from];
    if (!item || pipe->held || pipe->arrive.place || !to->transport || to->transport->dead)
        return;
    struct world *world = pipe->link->net->world;
    uint64_t at = item->arrive_ns;
    if (at < pipe->stalled_until_ns)
        at = pipe->stalled_until_ns;
    pipe->arrive.process = to->transport->process;
    event_start(world, &pipe->arrive, at > world->now_ns ? at - world->now_ns : 0);
}

void pipe_kick(struct pipe *pipe)
{
    pipe->held = false;
    pipe_arm(pipe);
}

/* When something that leaves now will arrive. */
static uint64_t pipe_time(struct pipe *pipe)
{
    struct sim_net *net = pipe->link->net;
    uint32_t from = pipe->link->hosts[pipe->from], to = pipe->link->hosts[!pipe->from];
    uint64_t slower_ns = from < SIM_HOSTS_MAX && to < SIM_HOSTS_MAX ? net->slower_ns[from][to] : 0;
    uint64_t at = net->world->now_ns + pipe->link->base_ns + slower_ns +
                  world_skewed(net->world, net->delay_low_ns, net->delay_high_ns);
    if (at > pipe->last_ns)
        pipe->last_ns = at;
    return pipe->last_ns;
}

static void pipe_put(struct pipe *pipe, struct item *item, uint64_t arrive_ns)
{
    item->arrive_ns = arrive_ns;
    pipe->bytes += item->bytes + FRAME_HEADER_BYTES;
    STAILQ_INSERT_TAIL(&pipe->items, item, entry);
    pipe_arm(pipe);
}

void pipe_mark(struct pipe *pipe, enum item_kind kind)
{
    struct item *item = sim_alloc(sizeof *item);
    item->kind = kind;
    pipe_put(pipe, item, pipe_time(pipe));
}

/* The receiver made room: the sender's queue may move on. */
static void pipe_made_room(struct pipe *pipe, uint32_t bytes)
{
    struct end *end = &pipe->link->ends[pipe->from];
    pipe->bytes -= bytes;
    if (end->state != END_OPEN || STAILQ_EMPTY(&end->queue) || end->room.place)
        return;
    end->room.process = end->transport->process;
    event_start(world_of(end), &end->room, pipe->link->base_ns);
}

void end_refuse(struct end *end)
{
    if (end->state != END_OPEN)
        return;
    pipe_mark(&end->link->pipes[end_side(end)], ITEM_FIN);
    end_close_later(end, NET_REASON_PROTOCOL, 0);
}

void end_take_frame(struct end *end, const struct net_frame *frame)
{
    struct net_counters *counters = &end->transport->counters;
    if (frame->bytes > end->limits.frame_bytes_max) {
        end_refuse(end);
        return;
    }
    counters->frames_received++;
    counters->bytes_received += frame->bytes + FRAME_HEADER_BYTES;
    world_mix(world_of(end), hash64(frame->payload, frame->bytes));
    struct sim_net *net = end->link->net;
    if (net->moved)
        net->moved(net->moved_user, end->link->hosts[end_side(end)], false, frame->type);
    end->handlers->frame(&end->conn, frame);
}

static void end_take_item(struct end *end, const struct item *item)
{
    struct wire *wire = end->link->pipes[!end_side(end)].wire;
    struct net_frame frame = {item->type, item->bytes, item->payload};
    if (wire)
        wire_take(wire, end, item);
    else
        end_take_frame(end, &frame);
}

static void end_take(struct end *end, const struct item *item)
{
    if (item->kind == ITEM_OPEN && end->state == END_CONNECTING) {
        end->state = END_OPEN;
        loop_defer(&end->transport->process->loop, &end->flush); /* what was sent before */
        end->handlers->opened(&end->conn);
    } else if (item->kind == ITEM_FRAME && end->state == END_OPEN) {
        end_take_item(end, item);
    } else if (item->kind == ITEM_FIN) {
        bool up = end->state == END_OPEN;
        end_close_later(end, up ? NET_REASON_PEER : NET_REASON_CONNECT, 0);
    }
}

/* One item; false when nothing more can be taken now. */
static bool pipe_take(struct pipe *pipe)
{
    struct item *item = STAILQ_FIRST(&pipe->items);
    struct end *to = &pipe->link->ends[!pipe->from];
    if (!item || item->arrive_ns > pipe->link->net->world->now_ns)
        return false;
    if (!to->handlers || pipe_blocked(pipe, item) || (to->paused && to->state == END_OPEN)) {
        pipe->held = true;
        return false;
    }
    STAILQ_REMOVE_HEAD(&pipe->items, entry);
    pipe_made_room(pipe, item->bytes + FRAME_HEADER_BYTES);
    end_take(to, item);
    free(item);
    return true;
}

/* All that has arrived by now, in one turn of the receiver. Ends are finished by events of their
 * own, so the link outlives its callbacks. */
static void pipe_arrived(struct event *event)
{
    struct pipe *pipe = CONTAINER_OF(event, struct pipe, arrive);
    while (pipe_take(pipe))
        ;
    pipe_arm(pipe);
}

/* ---- the send queue ---- */

void end_flush(struct end *end, bool all)
{
    if (end->state != END_OPEN)
        return;
    struct pipe *pipe = &end->link->pipes[end_side(end)];
    struct item *item = STAILQ_FIRST(&end->queue);
    uint64_t arrive_ns = item ? pipe_time(pipe) : 0;
    if (item)
        end->transport->counters.send_calls++;
    while (item && (all || pipe->bytes < end->link->pipe_bytes_max)) {
        uint32_t bytes = item->bytes + FRAME_HEADER_BYTES;
        STAILQ_REMOVE_HEAD(&end->queue, entry);
        end->queued_bytes -= bytes;
        end->transport->counters.memory_bytes -= bytes;
        end->transport->counters.frames_sent++;
        end->transport->counters.bytes_sent += bytes;
        pipe_put(pipe, item, arrive_ns);
        item = STAILQ_FIRST(&end->queue);
    }
    if (!end->was_full || end->state != END_OPEN ||
        end->queued_bytes > end->limits.queue_bytes_max / 2)
        return;
    end->was_full = false;
    if (end->handlers->drained)
        end->handlers->drained(&end->conn);
}

static void end_flush_task(struct loop_task *task)
{
    end_flush(CONTAINER_OF(task, struct end, flush), false);
}

static void end_has_room(struct event *event)
{
    end_flush(CONTAINER_OF(event, struct end, room), false);
}

/* ---- creation ---- */

struct sim_link *link_create(struct sim_net *net)
{
    struct sim_link *link = sim_alloc(sizeof *link);
    link->net = net;
    link->base_ns = world_between(net->world, SIM_US(20), SIM_US(200));
    link->begun_ns = net->world->now_ns;
    link->pipe_bytes_max = (uint32_t)world_between(net->world, 4096, 262144);
    for (int i = 0; i < 2; i++) {
        link->hosts[i] = UINT32_MAX;
        link->ends[i].link = link;
        STAILQ_INIT(&link->ends[i].queue);
        link->pipes[i].link = link;
        link->pipes[i].from = i;
        STAILQ_INIT(&link->pipes[i].items);
        link->pipes[i].arrive = (struct event){.fire = pipe_arrived, .label = "arrive"};
    }
    TAILQ_INSERT_TAIL(&net->links, link, entry);
    net->link_count++;
    return link;
}

void end_attach(struct end *end, struct sim_transport *transport, const struct net_limits *limits)
{
    end->conn.ops = transport->base.ops;
    end->transport = transport;
    end->limits = *limits;
    end->flush = (struct loop_task){.run = end_flush_task, .phase = LOOP_PHASE_SEND};
    end->closed = (struct event){.fire = end_closed, .label = "closed"};
    end->room = (struct event){.fire = end_has_room, .label = "room"};
    end->state = END_CONNECTING;
    end->counted = true;
    transport->counters.connections_open++;
    end->link->hosts[end_side(end)] = transport->host;
}
