/* Links to the other members: connect, say who, stay; send the notice of a death.
 *
 * A link that is down is tried again with a pause that doubles. A notice that found its link down
 * is sent when it is up: that an incarnation has ended stays true. Only the newest is kept, because
 * a member's incarnations end in their order.
 *
 * Invariant: a link without a connection waits for its timer, or is gone and freed. */
#include "mds/supervisor_link.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t retry_first_ns = 100000000, retry_max_ns = 5000000000;

struct supervisor_link {
    struct supervisor_links *links;
    struct gcs_member member;
    struct net_conn *conn;
    bool up;   /* the member has answered our hello */
    bool due;  /* it has to be told of links->death */
    bool gone; /* freed when its connection has closed */
    uint64_t retry_ns;
    struct loop_timer retry;
    LIST_ENTRY(supervisor_link) entry;
};

static void link_connect(struct supervisor_link *l);

static void link_free(struct supervisor_link *l)
{
    struct supervisor_links *links = l->links;
    LIST_REMOVE(l, entry);
    loop_timer_finish(&l->retry);
    free(l);
    if (LIST_EMPTY(&links->links) && links->emptied)
        links->emptied(links->user);
}

static void link_drop(struct supervisor_link *l)
{
    l->gone = true;
    if (l->conn)
        net_close(l->conn);
    else
        link_free(l);
}

static void link_again(struct supervisor_link *l)
{
    loop_timer_start(&l->retry, l->retry_ns);
    l->retry_ns = 2 * l->retry_ns < retry_max_ns ? 2 * l->retry_ns : retry_max_ns;
}

static void link_tell(struct supervisor_link *l)
{
    const struct net_death *death = &l->links->death;
    uint8_t bytes[NET_DEATH_BYTES];
    net_death_encode(death, bytes);
    if (net_send(l->conn, NET_FRAME_DEATH, bytes, sizeof bytes, NULL) != 0)
        return; /* it is closing: told when it is up again */
    l->due = false;
    log_info("supervisor", "death notice of node %u, start %llu, sent to node %u at %s",
             death->node, (unsigned long long)death->incarnation_count, l->member.node,
             l->member.address);
}

/* --- the transport's callbacks
 * --------------------------------------------------------------------- */

static void on_opened(struct net_conn *conn)
{
    const struct supervisor_link *l = conn->user;
    const struct replica_view_report *report = &l->links->report;
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    struct net_hello hello = {.version = NET_HELLO_VERSION,
                              .role = NET_ROLE_SUPERVISOR,
                              .node = report->node,
                              .incarnation_count = report->incarnation_count,
                              .incarnation_random = report->incarnation_random};
    memcpy(hello.cluster, report->cluster, sizeof hello.cluster);
    memcpy(hello.store, report->store, sizeof hello.store);
    if (net_send(conn, NET_FRAME_HELLO, bytes, (uint32_t)net_hello_encode(&hello, bytes), NULL) !=
        0)
        net_close(conn);
}

static bool is_its_hello(const struct supervisor_link *l, const struct net_frame *frame)
{
    struct net_hello hello;
    return frame->type == NET_FRAME_HELLO &&
           net_hello_decode(frame->payload, frame->bytes, &hello) == 0 &&
           hello.role == NET_ROLE_MEMBER && hello.node == l->member.node &&
           memcmp(hello.cluster, l->links->report.cluster, sizeof hello.cluster) == 0;
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct supervisor_link *l = conn->user;
    if (l->gone)
        return;
    if (!l->up && is_its_hello(l, frame)) {
        l->up = true;
        l->retry_ns = retry_first_ns;
        if (l->due)
            link_tell(l);
        return;
    }
    log_debug("supervisor", "node %u at %s does not take this link: %.*s", l->member.node,
              l->member.address, frame->type == NET_FRAME_REFUSED ? (int)frame->bytes : 0,
              (const char *)frame->payload);
    net_close(conn);
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct supervisor_link *l = conn->user;
    l->conn = NULL;
    l->up = false;
    if (l->gone)
        link_free(l);
    else
        link_again(l);
}

static const struct net_handlers handlers = {
    .opened = on_opened, .frame = on_frame, .closed = on_closed};

/* --- links
 * ---------------------------------------------------------------------------------------- */

static void link_connect(struct supervisor_link *l)
{
    static const struct net_limits limits = {
        .frame_bytes_max = 4096, .queue_bytes_max = 4096, .frame_timeout_ns = 10000000000};
    struct error error;
    int rc = net_connect(l->links->transport, l->member.address, NULL, &limits, &handlers, l,
                         &l->conn, &error);
    if (rc == 0)
        return;
    l->conn = NULL;
    log_debug("supervisor", "no link to node %u: %s", l->member.node, error.text);
    link_again(l);
}

static void on_retry(struct loop_timer *timer)
{
    link_connect(CONTAINER_OF(timer, struct supervisor_link, retry));
}

static void link_add(struct supervisor_links *links, const struct gcs_member *member)
{
    struct supervisor_link *l = calloc(1, sizeof *l);
    if (!l || loop_timer_init(links->loop, &l->retry, on_retry) < 0) {
        free(l);
        log_error("supervisor", "no memory for a link to node %u", member->node);
        return;
    }
    l->links = links;
    l->member = *member;
    l->retry_ns = retry_first_ns;
    LIST_INSERT_HEAD(&links->links, l, entry);
    link_connect(l);
}

static bool same_member(const struct gcs_member *a, const struct gcs_member *b)
{
    return a->node == b->node && strcmp(a->address, b->address) == 0;
}

static bool is_other(const struct replica_view_report *report, const struct gcs_member *member)
{
    for (uint32_t i = 0; i < report->member_count; i++)
        if (same_member(&report->members[i], member))
            return member->node != report->node;
    return false;
}

static bool is_linked(const struct supervisor_links *links, const struct gcs_member *member)
{
    const struct supervisor_link *l;
    LIST_FOREACH (l, &links->links, entry)
        if (!l->gone && same_member(&l->member, member))
            return true;
    return false;
}

static bool same_self(const struct replica_view_report *a, const struct replica_view_report *b)
{
    return a->node == b->node && memcmp(a->cluster, b->cluster, sizeof a->cluster) == 0 &&
           memcmp(a->store, b->store, sizeof a->store) == 0;
}

void supervisor_links_init(struct supervisor_links *links, struct loop *loop,
                           struct net_transport *transport)
{
    *links = (struct supervisor_links){.loop = loop, .transport = transport};
    LIST_INIT(&links->links);
}

void supervisor_links_follow(struct supervisor_links *links,
                             const struct replica_view_report *report)
{
    bool known = same_self(&links->report, report); /* a link says once for whom it speaks */
    struct supervisor_link *l, *next;
    links->report = *report;
    for (l = LIST_FIRST(&links->links); l; l = next) {
        next = LIST_NEXT(l, entry);
        if (!l->gone && (!known || !is_other(report, &l->member)))
            link_drop(l);
    }
    for (uint32_t i = 0; i < report->member_count; i++)
        if (report->members[i].node != report->node && !is_linked(links, &report->members[i]))
            link_add(links, &report->members[i]);
}

void supervisor_links_tell(struct supervisor_links *links, const struct net_death *death)
{
    struct supervisor_link *l;
    links->death = *death;
    LIST_FOREACH (l, &links->links, entry) {
        l->due = !l->gone;
        if (l->up && l->due)
            link_tell(l);
    }
}

void supervisor_links_close(struct supervisor_links *links, void (*emptied)(void *user), void *user)
{
    struct supervisor_link *l, *next;
    bool empty = LIST_EMPTY(&links->links);
    links->emptied = emptied;
    links->user = user;
    for (l = LIST_FIRST(&links->links); l; l = next) {
        next = LIST_NEXT(l, entry);
        link_drop(l);
    }
    if (empty)
        emptied(user);
}
