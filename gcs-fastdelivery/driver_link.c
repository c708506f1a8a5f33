/* Connections of the driver: one to each node that this member knows, greeted from both ends.
 *
 * Between members the lower node id connects, and the higher where that does not come; where no
 * epoch runs, everybody to everybody it knows.
 * Invariants: a connection belongs to at most one link and a link has at most one; when it is let
 * go its `user` becomes NULL, so that its late callbacks mean nothing. The core hears LINK_UP after
 * the peer's hello was verified and LINK_DOWN exactly once after that (unless it closed it itself).
 */
#include "gcs-fastdelivery/driver.h"

#include <stdio.h>
#include <string.h>

enum { PAUSES_MAX = 20, SILENT_HEARTBEATS = 100 };
static const uint64_t silence_ns_min = UINT64_C(5000000000);

static struct gcs_event event_of(enum gcs_event_kind kind, const struct driver_link *link)
{
    return (struct gcs_event){.kind = kind, .peer = link->peer};
}

/* --- whom this member knows --- */

/* In the view, or absent and expected back: it may not know any more whom to ask. */
static bool is_listed(struct gcs *gcs, uint8_t node)
{
    const struct gcs_view_record *view = gcs_core_view(gcs->core);
    for (uint8_t i = 0; i < view->absent_count; i++)
        if (view->absent[i].node == node)
            return true;
    for (uint8_t k = 0; k < view->count; k++)
        if (view->members[k].node == node)
            return true;
    return false;
}

/* A slot that is free, or else one whose node means nothing any more. */
static struct driver_link *spare_link(struct gcs *gcs)
{
    struct driver_link *spare = NULL;
    for (uint8_t p = 0; p < GCS_PEER_MAX; p++) {
        struct driver_link *link = &gcs->links[p];
        if (!link->member.node)
            return link;
        if (!link->conn && !link->configured && gcs->core && !is_listed(gcs, link->member.node))
            spare = link;
    }
    return spare;
}

struct driver_link *driver_link_of(struct gcs *gcs, uint8_t node, bool add)
{
    for (uint8_t p = 0; p < GCS_PEER_MAX; p++)
        if (gcs->links[p].member.node == node)
            return &gcs->links[p];
    struct driver_link *link = add ? spare_link(gcs) : NULL;
    if (!link)
        return NULL;
    loop_timer_stop(&link->retry);
    memset(&link->member, 0, sizeof link->member);
    link->told[0] = '\0';
    link->member.node = node;
    link->waits = link->configured = link->tries_told = false;
    link->pause_ns = gcs->config.reconnect_ns;
    return link;
}

const char *driver_address(const struct driver_link *link)
{
    return link->tries_told ? link->told : link->member.address;
}

/* What the owner configured is never forgotten; what was learned, only for what the member that the
 * view lists says of itself (@is_sure). Anything else is one more address to try. */
void driver_learn(struct gcs *gcs, const struct gcs_member *member, bool is_sure)
{
    struct driver_link *link =
        member->node == gcs->config.node ? NULL : driver_link_of(gcs, member->node, true);
    if (!link)
        return;
    link->member.witness = member->witness;
    if (!member->address[0])
        return;
    bool holds = link->member.address[0] && (link->configured || !is_sure);
    memcpy(holds ? link->told : link->member.address, member->address, sizeof link->told);
    if (!holds)
        link->tries_told = false;
}

/* Nobody, or somebody else, answers there: the next attempt goes to the other address. */
static void try_other_address(struct driver_link *link)
{
    link->tries_told = !link->tries_told && link->told[0];
}

/* Whether this end makes the connection. */
static bool connects(struct gcs *gcs, const struct driver_link *link)
{
    bool founding = gcs_core_epoch(gcs->core) == 0;
    if (gcs->ending || !link->member.node || !driver_address(link)[0])
        return false;
    if (!gcs_core_runs(gcs->core))
        return true; /* the others may be past this member, and not look for it */
    uint64_t silent_ns = loop_now_ns(gcs->config.loop) - link->heard_ns;
    if (link->member.node < gcs->config.node && silent_ns < gcs->config.suspect_after_ns)
        return false; /* it does */
    return founding ? link->configured : is_listed(gcs, link->member.node);
}

/* Jitter, so that members that lost each other don't come back in step. */
static void retry_later(struct driver_link *link)
{
    struct gcs *gcs = link->gcs;
    if (gcs->ended || link->waits || !connects(gcs, link))
        return;
    uint64_t half = link->pause_ns / 2;
    link->waits = true;
    loop_timer_start(&link->retry, half + prng_below(&gcs->prng, half + 1));
    uint64_t longest = gcs->config.reconnect_ns * PAUSES_MAX;
    link->pause_ns = link->pause_ns * 2 < longest ? link->pause_ns * 2 : longest;
}

/* The connection is no longer this link's. */
static void let_go(struct driver_link *link)
{
    bool greeted = link->greeted;
    link->conn->user = NULL;
    link->conn = NULL;
    link->greeted = link->full = false;
    if (greeted) {
        struct gcs_event event = event_of(GCS_EVENT_LINK_DOWN, link);
        (void)driver_event(link->gcs, &event);
    } else {
        try_other_address(link);
    }
}

void driver_hang_up(struct driver_link *link)
{
    struct net_conn *conn = link->conn;
    if (!conn)
        return;
    let_go(link);
    net_close(conn);
    retry_later(link);
}

static bool say_hello(struct gcs *gcs, struct net_conn *conn)
{
    struct net_hello hello = gcs->config.hello;
    uint8_t head[NET_HELLO_BYTES_MAX];
    hello.version = NET_HELLO_VERSION;
    hello.role = NET_ROLE_MEMBER;
    hello.node = gcs->config.node;
    hello.witness = gcs->config.witness;
    memcpy(hello.address, gcs->config.address, sizeof hello.address);
    hello.epoch = gcs_core_epoch(gcs->core);
    size_t bytes = net_hello_encode(&hello, head);
    return net_send(conn, NET_FRAME_HELLO, head, (uint32_t)bytes, NULL) == 0;
}

static struct gcs_view_member identity_of(const struct net_hello *hello)
{
    struct gcs_view_member member = {
        .node = hello->node,
        .witness = hello->witness,
        .incarnation = {hello->incarnation_count, hello->incarnation_random}};
    memcpy(member.store, hello->store, sizeof member.store);
    return member;
}

/* NULL: a link with it may be. Otherwise why not. */
static const char *refusal(const struct gcs *gcs, const struct net_hello *hello)
{
    const struct net_hello *own = &gcs->config.hello;
    struct gcs_view_member member = identity_of(hello);
    if (hello->version != NET_HELLO_VERSION)
        return "another version of the protocol";
    if (hello->role != NET_ROLE_MEMBER)
        return "not a member of a group";
    if (memcmp(hello->cluster, own->cluster, sizeof own->cluster) != 0)
        return "another cluster";
    if (hello->lineage_generation > own->lineage_generation)
        return "a newer lineage than this one";
    if (hello->lineage_random != own->lineage_random ||
        hello->lineage_generation != own->lineage_generation)
        return "another lineage: the cluster was recovered by force without it; give it an empty "
               "data directory and add it again";
    return gcs_core_accepts(gcs->core, &member);
}

/* The cluster was recovered by force, without this member: what it may still think of as the group
 * must not serve any more. */
static bool is_fenced(struct gcs *gcs, const struct net_hello *hello)
{
    const struct net_hello *own = &gcs->config.hello;
    if (memcmp(hello->cluster, own->cluster, sizeof own->cluster) != 0 ||
        hello->lineage_generation <= own->lineage_generation)
        return false;
    if (!gcs->ended)
        driver_fail(gcs, "the cluster was recovered by force without this member; give it an empty "
                         "data directory and add it again");
    return true;
}

/* The view knows this node by another store: it was wiped, or the two have one id by mistake. */
static bool is_another(const struct gcs *gcs, const struct net_hello *hello)
{
    const struct gcs_view_record *view = gcs_core_view(gcs->core);
    for (uint8_t k = 0; k < view->count; k++)
        if (view->members[k].node == hello->node)
            return memcmp(view->members[k].store, hello->store, sizeof hello->store) != 0;
    return false;
}

static void link_is_up(struct driver_link *link, const struct net_hello *hello)
{
    struct gcs *gcs = link->gcs;
    link->greeted = true;
    link->full = false;
    link->heard_ns = loop_now_ns(gcs->config.loop);
    link->pause_ns = gcs->config.reconnect_ns;
    struct gcs_member member = {.node = hello->node, .witness = hello->witness};
    memcpy(member.address, hello->address, sizeof member.address);
    driver_learn(gcs, &member, !is_another(gcs, hello));
    struct gcs_event event = event_of(GCS_EVENT_LINK_UP, link);
    event.member = identity_of(hello);
    (void)driver_event(gcs, &event);
    driver_book_tell(link);
}

/* The answer to our hello. */
static void on_hello(struct driver_link *link, const struct net_frame *frame)
{
    struct gcs *gcs = link->gcs;
    struct net_hello hello;
    const char *why = NULL;
    if (frame->type == NET_FRAME_REFUSED)
        why = "it refused this member";
    else if (frame->type != NET_FRAME_HELLO ||
             net_hello_decode(frame->payload, frame->bytes, &hello))
        why = "it did not say hello";
    else if (hello.node != link->member.node)
        why = "another member answers at its address";
    else
        why = refusal(gcs, &hello);
    if (!why) {
        link_is_up(link, &hello);
        return;
    }
    if (frame->type == NET_FRAME_HELLO && is_fenced(gcs, &hello))
        return;
    int text_bytes = frame->type == NET_FRAME_REFUSED && frame->bytes < 256 ? (int)frame->bytes : 0;
    log_limited(&gcs->log_limit, 1, LOG_LEVEL_WARNING, "order", "member %u (%s): %s%s%.*s",
                link->member.node, driver_address(link), why, text_bytes ? ": " : "", text_bytes,
                (const char *)frame->payload);
    driver_hang_up(link);
}

/* A frame between members: the payload becomes a blob of its own, the head is the core's to check.
 */
static void on_member_frame(struct driver_link *link, const struct net_frame *frame)
{
    struct gcs *gcs = link->gcs;
    struct gcs_event event = event_of(GCS_EVENT_FRAME, link);
    uint32_t head_bytes =
        frame->bytes ? gcs_frame_head_bytes(frame->type, *(const uint8_t *)frame->payload) : 0;
    event.type = frame->type;
    event.head = frame->payload;
    event.head_bytes = frame->bytes;
    if (gcs_frame_has_payload(frame->type) && head_bytes && frame->bytes > head_bytes) {
        event.head_bytes = head_bytes;
        event.payload = blob_create(frame->payload + head_bytes, frame->bytes - head_bytes);
        if (!event.payload) {
            driver_hang_up(link);
            return;
        }
    }
    (void)driver_event(gcs, &event);
    blob_unref(event.payload);
}

static void on_opened(struct net_conn *conn)
{
    struct driver_link *link = conn->user;
    if (!link)
        return;
    link->heard_ns = loop_now_ns(link->gcs->config.loop);
    if (!say_hello(link->gcs, conn))
        driver_hang_up(link);
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct driver_link *link = conn->user;
    if (!link)
        return;
    link->heard_ns = loop_now_ns(link->gcs->config.loop);
    if (link->greeted && frame->type == GCS_FRAME_BOOK) {
        if (!driver_book_take(link->gcs, frame->payload, frame->bytes))
            driver_hang_up(link);
    } else if (link->greeted)
        on_member_frame(link, frame);
    else
        on_hello(link, frame);
}

static void on_drained(struct net_conn *conn)
{
    struct driver_link *link = conn->user;
    if (!link || !link->full)
        return;
    link->full = false;
    struct gcs_event event = event_of(GCS_EVENT_LINK_DRAINED, link);
    event.message = link->refused;
    (void)driver_event(link->gcs, &event);
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct driver_link *link = conn->user;
    if (!link)
        return;
    log_debug("order", "member %u: link ended: %s, %s", link->member.node, net_reason_name(reason),
              detail);
    let_go(link);
    retry_later(link);
}

static const struct net_handlers handlers = {
    .opened = on_opened,
    .frame = on_frame,
    .drained = on_drained,
    .closed = on_closed,
};

static void connect_now(struct driver_link *link)
{
    struct gcs *gcs = link->gcs;
    struct error error;
    if (gcs->ended || link->conn || !connects(gcs, link))
        return;
    int code = net_connect(gcs->config.transport, driver_address(link), NULL,
                           &gcs->config.link_limits, &handlers, link, &link->conn, &error);
    link->heard_ns = loop_now_ns(gcs->config.loop);
    if (code) {
        link->conn = NULL;
        log_limited(&gcs->log_limit, 1, LOG_LEVEL_WARNING, "order", "member %u: %s",
                    link->member.node, error.text);
        try_other_address(link);
        retry_later(link);
    }
}

static void on_retry(struct loop_timer *timer)
{
    struct driver_link *link = CONTAINER_OF(timer, struct driver_link, retry);
    link->waits = false;
    connect_now(link);
}

int driver_links_init(struct gcs *gcs)
{
    int code = 0;
    for (uint8_t p = 0; p < GCS_PEER_MAX && !code; p++) {
        struct driver_link *link = &gcs->links[p];
        link->gcs = gcs;
        link->peer = p;
        link->pause_ns = gcs->config.reconnect_ns;
        code = loop_timer_init(gcs->config.loop, &link->retry, on_retry);
    }
    for (uint32_t j = 0; j < gcs->config.member_count && !code; j++) {
        const struct gcs_member *member = &gcs->config.members[j];
        struct driver_link *link =
            member->node == gcs->config.node ? NULL : driver_link_of(gcs, member->node, true);
        if (!link)
            continue;
        link->member = *member;
        link->configured = true;
    }
    return code;
}

/* The next heartbeat says the same, and more. */
static bool is_repeated(uint16_t type)
{
    return type == GCS_FRAME_ACK || type == GCS_FRAME_BEAT || type == GCS_FRAME_GRANT;
}

/* DATA that a full queue refuses is sent again when it drained; what is repeated anyway is dropped;
 * anything else is worth a new connection. */
void driver_send(struct driver_link *link, const struct gcs_action *action)
{
    if (!link->conn || !link->greeted)
        return;
    bool data = action->type == GCS_FRAME_DATA;
    int code = data && link->full ? NET_E_FULL
                                  : net_send(link->conn, action->type, action->head,
                                             action->head_bytes, action->payload);
    if (code == 0) {
        link->gcs->frames_sent++;
        link->gcs->acknowledgements_sent += action->type == GCS_FRAME_ACK;
        return;
    }
    if (code != NET_E_FULL || is_repeated(action->type))
        return;
    if (!data) {
        driver_hang_up(link);
    } else if (!link->full || link->refused.epoch != action->message.epoch) {
        link->full = true;
        link->refused = action->message;
    }
}

/* A peer that says nothing for long, not even heartbeats, has to be connected anew; one that
 * should be connected and is not, connected. */
void driver_check_links(struct gcs *gcs)
{
    uint64_t longest = gcs->config.heartbeat_ns * SILENT_HEARTBEATS;
    uint64_t now = loop_now_ns(gcs->config.loop);
    if (longest < silence_ns_min)
        longest = silence_ns_min;
    for (uint8_t p = 0; p < GCS_PEER_MAX; p++) {
        struct driver_link *link = &gcs->links[p];
        if (link->conn && now - link->heard_ns > longest)
            driver_hang_up(link);
        else if (!link->conn && !link->waits)
            connect_now(link);
    }
}

/* One of an older lineage has to learn that there is a newer one: by this member's hello. */
static void refuse(struct gcs *gcs, struct net_conn *conn, const struct net_hello *hello,
                   const char *why)
{
    conn->user = NULL;
    if (hello->lineage_generation < gcs->config.hello.lineage_generation && !say_hello(gcs, conn))
        log_debug("order", "no hello to one of an older lineage");
    /* The text is for people; where it can't be sent the closing says enough. */
    if (net_send(conn, NET_FRAME_REFUSED, why, (uint32_t)strlen(why), NULL) != 0)
        log_debug("order", "refused without a word: %s", why);
    net_close(conn);
}

/* The lower node's own attempt is not disturbed by the higher one's, unless that is a new start. */
static const char *collision(const struct gcs *gcs, const struct driver_link *link,
                             const struct net_hello *hello)
{
    if (!link)
        return "it knows too many nodes already";
    if (link->conn && !link->greeted && gcs->config.node < hello->node)
        return "this member connects to it";
    return NULL;
}

const struct net_handlers *gcs_accept(struct gcs *gcs, struct net_conn *conn,
                                      const struct net_hello *hello)
{
    const char *why = "it is starting or stopping: try again";
    struct driver_link *link = NULL;
    if (gcs->started && !gcs->ending && !gcs->ended)
        why = refusal(gcs, hello);
    if (!why) {
        link = driver_link_of(gcs, hello->node, true);
        why = collision(gcs, link, hello);
    }
    if (why) {
        refuse(gcs, conn, hello, why);
        (void)is_fenced(gcs, hello);
        return NULL;
    }
    driver_hang_up(link);
    conn->user = link;
    link->conn = conn;
    if (!say_hello(gcs, conn)) {
        driver_hang_up(link);
        return NULL;
    }
    link_is_up(link, hello);
    return &handlers;
}
