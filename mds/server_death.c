/* Supervisors of the other members, and their death notices.
 *
 * A supervisor speaks for one member, which its hello names; a notice of any other is malformed.
 * Of one node there is one connection, the newest: an older one is what a machine that lost power
 * left behind. So their number is bounded by the number of nodes that may be known.
 * Source: docs/protocol.md, section 4 (death notice). */
#include "mds/server_internal.h"
#include "base/log.h"
#include "net/death.h"

#include <string.h>

static void supersede(struct server_conn *newest)
{
    struct server_conn *c;
    LIST_FOREACH (c, &newest->server->conns, link)
        if (c != newest && c->role == CONN_SUPERVISOR && c->node == newest->node)
            server_conn_close(c);
}

static uint32_t open_supervisors(const struct server *server)
{
    const struct server_conn *c;
    uint32_t count = 0;
    LIST_FOREACH (c, &server->conns, link)
        count += c->role == CONN_SUPERVISOR && !c->closing;
    return count;
}

void server_death_hello(struct server_conn *c, const struct net_hello *hello)
{
    const struct replica *replica = c->server->replica;
    if (memcmp(hello->cluster, replica->identity.cluster, sizeof hello->cluster) != 0) {
        server_conn_refuse(c, "this is a replica of another cluster");
        return;
    }
    if (hello->node == replica->config.node) {
        server_conn_refuse(c, "this is the node itself");
        return;
    }
    c->node = hello->node;
    memcpy(c->store, hello->store, sizeof c->store);
    supersede(c);
    if (open_supervisors(c->server) >= SUPERVISORS_MAX) {
        server_conn_refuse(c, "too many supervisors");
        return;
    }
    server_conn_set_role(c, CONN_SUPERVISOR);
    server_conn_greet(c);
}

void server_death_frame(struct server_conn *c, const struct net_frame *frame)
{
    static struct log_limit limit;
    struct net_death death;
    if (frame->type != NET_FRAME_DEATH ||
        net_death_decode(frame->payload, frame->bytes, &death) < 0 || death.node != c->node ||
        memcmp(death.store, c->store, sizeof c->store) != 0) {
        c->server->malformed++;
        server_conn_close(c);
        return;
    }
    c->server->deaths++;
    log_limited(&limit, 10, LOG_LEVEL_INFO, "server",
                "node %u, start %llu, has ended: its "
                "supervisor says so",
                death.node, (unsigned long long)death.incarnation_count);
    replica_death(c->server->replica, death.node, death.store, death.incarnation_count,
                  death.incarnation_random);
}
