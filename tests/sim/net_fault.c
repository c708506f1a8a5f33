/* What goes wrong on the simulated network: resets, stalls, blocks, spoiled bytes, hosts that die.
 */
#include "tests/sim/net_link.h"

#include <stdlib.h>

/* Of what is under way, a random prefix still arrives. */
static void pipe_cut(struct pipe *pipe)
{
    struct world *world = pipe->link->net->world;
    struct item *item, *next;
    uint64_t count = 0;
    STAILQ_FOREACH (item, &pipe->items, entry)
        count++;
    uint64_t keep = prng_below(&world->prng, count + 1);
    for (item = STAILQ_FIRST(&pipe->items); item; item = next) {
        next = STAILQ_NEXT(item, entry);
        if (keep > 0) {
            keep--;
            continue;
        }
        if (item->kind == ITEM_FRAME)
            pipe->link->net->frames_lost++;
        STAILQ_REMOVE(&pipe->items, item, item, entry);
        pipe->bytes -= item->bytes + FRAME_HEADER_BYTES;
        free(item);
    }
}

static void end_cut(struct end *end)
{
    struct item *item;
    while ((item = STAILQ_FIRST(&end->queue))) {
        STAILQ_REMOVE_HEAD(&end->queue, entry);
        end->queued_bytes -= item->bytes + FRAME_HEADER_BYTES;
        end->transport->counters.memory_bytes -= item->bytes + FRAME_HEADER_BYTES;
        end->link->net->frames_lost++;
        free(item);
    }
    end->was_full = false;
}

/* Both ends learn it when they have taken what still arrives. */
static void link_reset(struct sim_link *link)
{
    for (int i = 0; i < 2; i++) {
        end_cut(&link->ends[i]);
        pipe_cut(&link->pipes[i]);
        pipe_mark(&link->pipes[i], ITEM_FIN);
    }
}

static bool link_open(const struct sim_link *link)
{
    return link->ends[0].state == END_OPEN && link->ends[1].state == END_OPEN;
}

static struct sim_link *pick_open(struct sim_net *net, uint32_t host)
{
    struct sim_link *link, *picked = NULL;
    uint64_t seen = 0;
    TAILQ_FOREACH (link, &net->links, entry)
        if (link_open(link) &&
            (host == UINT32_MAX || link->hosts[0] == host || link->hosts[1] == host))
            if (prng_below(&net->world->prng, ++seen) == 0)
                picked = link;
    return picked;
}

bool sim_net_reset(struct sim_net *net, uint32_t host)
{
    struct sim_link *link = pick_open(net, host);
    if (!link)
        return false;
    world_note(net->world, "reset host %u - host %u", link->hosts[0], link->hosts[1]);
    link_reset(link);
    return true;
}

bool sim_net_stall(struct sim_net *net, uint64_t duration_ns)
{
    struct sim_link *link = pick_open(net, UINT32_MAX);
    if (!link)
        return false;
    int from = (int)prng_below(&net->world->prng, 2);
    link->pipes[from].stalled_until_ns = net->world->now_ns + duration_ns;
    world_note(net->world, "stall host %u -> host %u for %llu us", link->hosts[from],
               link->hosts[!from], (unsigned long long)duration_ns / 1000);
    return true;
}

void sim_net_block(struct sim_net *net, uint32_t from, uint32_t to)
{
    MUST(net->blocked[from][to] < UINT8_MAX);
    net->blocked[from][to]++;
}

static void kick_all(struct sim_net *net, uint32_t from, uint32_t to)
{
    struct sim_link *link;
    TAILQ_FOREACH (link, &net->links, entry)
        for (int i = 0; i < 2; i++)
            if (link->hosts[i] == from && link->hosts[!i] == to)
                pipe_kick(&link->pipes[i]);
}

void sim_net_unblock(struct sim_net *net, uint32_t from, uint32_t to)
{
    MUST(net->blocked[from][to] > 0);
    if (--net->blocked[from][to] == 0)
        kick_all(net, from, to);
}

void sim_net_swallow(struct sim_net *net, uint32_t from, uint32_t to, uint32_t bytes)
{
    net->frame_bytes_max[from][to] = bytes;
    kick_all(net, from, to);
}

bool sim_net_spoil(struct sim_net *net, uint64_t *strikes)
{
    struct sim_link *link = pick_open(net, UINT32_MAX);
    struct pipe *pipe = link ? &link->pipes[prng_below(&net->world->prng, 2)] : NULL;
    if (!pipe || pipe->wire)
        return false;
    wire_lay(pipe, strikes);
    return true;
}

void sim_net_spoil_end(struct sim_net *net)
{
    struct sim_link *link;
    TAILQ_FOREACH (link, &net->links, entry)
        for (int i = 0; i < 2; i++)
            wire_spare(&link->pipes[i]);
}

void sim_net_end_blocked(struct sim_net *net, uint32_t host)
{
    struct sim_link *link;
    TAILQ_FOREACH (link, &net->links, entry) {
        uint32_t a = link->hosts[0], b = link->hosts[1];
        if (!link_open(link) || (a != host && b != host) || !net->blocked[a][b])
            continue;
        for (int i = 0; i < 2; i++) {
            end_cut(&link->ends[i]);
            end_close_later(&link->ends[i], NET_REASON_PEER,
                            world_skewed(net->world, 0, SIM_MS(2)));
        }
    }
}

void sim_net_slow(struct sim_net *net, uint32_t a, uint32_t b, uint64_t slower_ns)
{
    net->slower_ns[a][b] = net->slower_ns[b][a] = slower_ns;
}

/* ---- deaths ---- */

static void link_timed_out(struct event *event)
{
    struct sim_link *link = CONTAINER_OF(event, struct sim_link, timeout);
    for (int i = 0; i < 2; i++)
        if (link->ends[i].transport && !link->ends[i].transport->dead)
            end_close_later(&link->ends[i], NET_REASON_PEER, 0);
}

static void link_lost_end(struct sim_link *link, struct end *dead, enum sim_death death)
{
    struct sim_net *net = link->net;
    struct pipe *out = &link->pipes[end_side(dead)];
    event_stop(net->world, &link->syn);
    end_cut(dead);
    if (dead->state == END_CONNECTING && end_side(dead) == 1) {
        end_close_later(end_peer(dead), NET_REASON_CONNECT, link->base_ns);
    } else if (death == SIM_DEATH_KILLED) {
        if (prng_chance(&net->world->prng, 1, 2))
            pipe_cut(out);
        pipe_mark(out, ITEM_FIN);
    } else {
        link->timeout.fire = link_timed_out;
        link->timeout.label = "gone";
        event_start(net->world, &link->timeout, net->silence_timeout_ns);
    }
}

void sim_transport_kill(struct net_transport *base, enum sim_death death)
{
    struct sim_transport *t = CONTAINER_OF(base, struct sim_transport, base);
    struct sim_link *link;
    t->dead = true;
    TAILQ_FOREACH (link, &t->net->links, entry)
        for (int i = 0; i < 2; i++)
            if (link->ends[i].transport == t && link->ends[i].state != END_FINISHED)
                link_lost_end(link, &link->ends[i], death);
}

void sim_net_host_up(struct sim_net *net, uint32_t host)
{
    struct sim_link *link;
    TAILQ_FOREACH (link, &net->links, entry)
        if (link->timeout.place && (link->hosts[0] == host || link->hosts[1] == host))
            event_start(net->world, &link->timeout, world_skewed(net->world, 0, SIM_MS(300)));
}
