/* Connections of the driver: one to each peer, made by the lower node id, greeted from both ends.
 *
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
    return (struct gcs_event){.kind = kind, .rank = link->rank};
}

bool driver_connected(const struct gcs *gcs, uint8_t rank)
{
    return gcs->links[rank].conn && gcs->links[rank].greeted;
}

/* Jitter, so that members that lost each other don't come back in step. */
static void retry_later(struct driver_link *link)
{
    struct gcs *gcs = link->gcs;
    if (gcs->failed || link->rank < gcs->rank)
        return;
    uint64_t half = link->pause_ns / 2;
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
    hello.epoch = gcs_core_epoch(gcs->core);
    size_t bytes = net_hello_encode(&hello, head);
    return net_send(conn, NET_FRAME_HELLO, head, (uint32_t)bytes, NULL) == 0;
}

static int rank_of(const struct gcs *gcs, uint8_t node)
{
    for (uint8_t j = 0; j < gcs->config.member_count; j++)
        if (gcs->config.members[j].node == node)
            return j;
    return -1;
}

/* NULL: this is a member of this group. Otherwise why not. */
static const char *refusal(const struct gcs *gcs, const struct net_hello *hello)
{
    const struct net_hello *own = &gcs->config.hello;
    struct gcs_incarnation incarnation = {hello->incarnation_count, hello->incarnation_random};
    int rank = rank_of(gcs, hello->node);
    if (hello->version != NET_HELLO_VERSION)
        return "another version of the protocol";
    if (hello->role != NET_ROLE_MEMBER || rank < 0 || rank == gcs->rank)
        return "not another member of this group";
    if (memcmp(hello->cluster, own->cluster, sizeof own->cluster) != 0)
        return "another cluster";
    if (hello->lineage_random != own->lineage_random ||
        hello->lineage_generation != own->lineage_generation)
        return "another lineage of this cluster";
    return gcs_core_accepts(gcs->core, (uint8_t)rank, hello->store, &incarnation);
}

static void link_is_up(struct driver_link *link, const struct net_hello *hello)
{
    struct gcs *gcs = link->gcs;
    link->greeted = true;
    link->full = false;
    link->heard_ns = loop_now_ns(gcs->config.loop);
    link->pause_ns = gcs->config.reconnect_ns;
    struct gcs_event event = event_of(GCS_EVENT_LINK_UP, link);
    memcpy(event.store, hello->store, sizeof event.store);
    event.incarnation =
        (struct gcs_incarnation){hello->incarnation_count, hello->incarnation_random};
    (void)driver_event(gcs, &event);
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
    else if (rank_of(gcs, hello.node) != link->rank)
        why = "another member answers at its address";
    else
        why = refusal(gcs, &hello);
    if (!why) {
        link_is_up(link, &hello);
        return;
    }
    int text_bytes = frame->type == NET_FRAME_REFUSED && frame->bytes < 256 ? (int)frame->bytes : 0;
    log_limited(&gcs->log_limit, 1, LOG_LEVEL_WARNING, "order", "member %u (%s): %s%s%.*s",
                gcs->config.members[link->rank].node, gcs->config.members[link->rank].address, why,
                text_bytes ? ": " : "", text_bytes, (const char *)frame->payload);
    driver_hang_up(link);
}

/* A frame between members: the payload becomes a blob of its own, the head is the core's to check.
 */
static void on_member_frame(struct driver_link *link, const struct net_frame *frame)
{
    struct gcs *gcs = link->gcs;
    struct gcs_event event = event_of(GCS_EVENT_FRAME, link);
    uint32_t head_bytes = gcs_frame_head_bytes(frame->type, (uint8_t)gcs->config.member_count);
    event.type = frame->type;
    event.head = frame->payload;
    event.head_bytes = frame->bytes;
    if (gcs_frame_has_payload(frame->type) && frame->bytes > head_bytes) {
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
    if (link->greeted)
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
    log_debug("order", "member %u: link ended: %s, %s", link->gcs->config.members[link->rank].node,
              net_reason_name(reason), detail);
    let_go(link);
    retry_later(link);
}

static const struct net_handlers handlers = {
    .opened = on_opened,
    .frame = on_frame,
    .drained = on_drained,
    .closed = on_closed,
};

void driver_connect(struct driver_link *link)
{
    struct gcs *gcs = link->gcs;
    struct error error;
    if (gcs->failed || link->conn)
        return;
    int code = net_connect(gcs->config.transport, gcs->config.members[link->rank].address, NULL,
                           &gcs->config.link_limits, &handlers, link, &link->conn, &error);
    link->heard_ns = loop_now_ns(gcs->config.loop);
    if (code) {
        link->conn = NULL;
        log_limited(&gcs->log_limit, 1, LOG_LEVEL_WARNING, "order", "member %u: %s",
                    gcs->config.members[link->rank].node, error.text);
        retry_later(link);
    }
}

/* DATA that a full queue refuses is sent again when it drained; an acknowledgement is repeated by
 * the next one anyway; anything else is worth a new connection. */
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
    if (code != NET_E_FULL || action->type == GCS_FRAME_ACK)
        return;
    if (!data) {
        driver_hang_up(link);
    } else if (!link->full || link->refused.epoch != action->message.epoch) {
        link->full = true;
        link->refused = action->message;
    }
}

/* A peer that says nothing for long, not even heartbeats, has to be connected anew. */
void driver_check_links(struct gcs *gcs)
{
    uint64_t longest = gcs->config.heartbeat_ns * SILENT_HEARTBEATS;
    uint64_t now = loop_now_ns(gcs->config.loop);
    if (longest < silence_ns_min)
        longest = silence_ns_min;
    for (uint8_t j = 0; j < gcs->config.member_count; j++)
        if (gcs->links[j].conn && now - gcs->links[j].heard_ns > longest)
            driver_hang_up(&gcs->links[j]);
}

static void refuse(struct net_conn *conn, const char *why)
{
    conn->user = NULL;
    /* The text is for people; where it can't be sent the closing says enough. */
    if (net_send(conn, NET_FRAME_REFUSED, why, (uint32_t)strlen(why), NULL) != 0)
        log_debug("order", "refused without a word: %s", why);
    net_close(conn);
}

const struct net_handlers *gcs_accept(struct gcs *gcs, struct net_conn *conn,
                                      const struct net_hello *hello)
{
    const char *why = "it is starting or stopping: try again";
    if (gcs->started && !gcs->failed)
        why = refusal(gcs, hello);
    if (!why && rank_of(gcs, hello->node) > gcs->rank)
        why = "the member with the lower id connects";
    if (why) {
        refuse(conn, why);
        return NULL;
    }
    struct driver_link *link = &gcs->links[rank_of(gcs, hello->node)];
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
