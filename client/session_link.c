/* The session's connections: one at a time, to one address after the other.
 *
 * A connection is useful once the replica's hello has come. One that fails, breaks, says something
 * wrong or stays silent is given up, and the next address is tried: at once (with a little jitter,
 * so that the clients of a dead replica don't arrive together), and once all have failed, with
 * exponential back-off. `failures` is reset by a reply, not by a connection: a replica that accepts
 * and then drops everybody is a failure.
 *
 * Now and then it looks whether another replica is the better one for it, because one has joined or
 * is back; it connects to that one first, and leaves the present one when the hello has come.
 *
 * Invariants: at most two links belong to the session, requests go over `link` alone; whatever
 * arrives on another one is ignored. */
#include "client/session_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS_NS 1000000ull

enum {
    HELLO_TIMEOUT_MS = 5000,
    JITTER_MS = 20,
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 2000,
    QUIET_DOUBLINGS_MAX = 4,
    SEND_QUEUE_BYTES_MAX = 4 * 1024 * 1024,
    FRAME_TIMEOUT_MS = 30000,
};

static const struct net_limits limits = {
    .frame_bytes_max = PROTO_REPLY_BYTES_MAX,
    .queue_bytes_max = SEND_QUEUE_BYTES_MAX,
    .frame_timeout_ns = FRAME_TIMEOUT_MS * MS_NS,
};

/* The trouble in front is the address; what a peer wrote is made harmless for a terminal. */
static void note_trouble(struct client_session *s, const char *format, va_list args)
{
    int at = snprintf(s->trouble, sizeof s->trouble, "%s: ", session_address(s));
    if (at < 0 || (size_t)at >= sizeof s->trouble)
        return;
    vsnprintf(s->trouble + at, sizeof s->trouble - (size_t)at, format, args);
    for (char *c = s->trouble; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
}

void session_tell_connected(struct client_session *s, bool connected)
{
    if (s->was_connected == connected)
        return;
    s->was_connected = connected;
    if (s->config.connected)
        s->config.connected(s->config.user, connected, connected ? session_address(s) : s->trouble);
}

void session_let_go(struct link **link)
{
    struct link *gone = *link;
    *link = NULL;
    if (!gone)
        return;
    gone->session = NULL;
    net_close(gone->conn);
}

void session_drop(struct client_session *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note_trouble(s, format, args);
    va_end(args);
    s->watching = false;
    loop_timer_stop(&s->watch);
    session_unsend(s);
    session_let_go(&s->link);
    session_let_go(&s->better);
    session_tell_connected(s, false);
}

void session_retry(struct client_session *s, uint64_t delay_ns)
{
    loop_timer_start(&s->retry, delay_ns);
}

void session_retry_next(struct client_session *s)
{
    uint32_t count = s->address_count;
    uint64_t delay_ms = 0;
    session_address_fails(s);
    if (s->failures++ >= count) {
        uint32_t doublings = s->failures - count - 1;
        delay_ms = doublings < 8 ? (uint64_t)BACKOFF_FIRST_MS << doublings : BACKOFF_MAX_MS;
        if (delay_ms > BACKOFF_MAX_MS)
            delay_ms = BACKOFF_MAX_MS;
    }
    uint64_t jitter_ns = prng_below(&s->prng, (delay_ms / 2 + JITTER_MS) * MS_NS);
    session_retry(s, (delay_ms - delay_ms / 2) * MS_NS + jitter_ns);
}

static void fail(struct client_session *s, const char *why, const char *detail)
{
    session_drop(s, "%s%s%s", why, detail && *detail ? ": " : "", detail ? detail : "");
    session_retry_next(s);
}

static void malformed(struct client_session *s, const char *why)
{
    s->malformed++;
    fail(s, why, NULL);
}

/* How long silence is borne now. */
static uint64_t patience_ns(const struct client_session *s)
{
    if (!s->link->greeted)
        return HELLO_TIMEOUT_MS * MS_NS;
    return s->config.stall_ns << (s->quiet < QUIET_DOUBLINGS_MAX ? s->quiet : QUIET_DOUBLINGS_MAX);
}

void session_watch(struct client_session *s)
{
    if (s->watching || !s->link)
        return;
    s->watching = true;
    s->since_ns = loop_now_ns(s->config.loop);
    loop_timer_start(&s->watch, patience_ns(s));
}

/* Since when the oldest answer is waited for. Answers to others don't count: one lost reply has to
 * be noticed also while keepalives are answered. */
static uint64_t waiting_since_ns(const struct client_session *s)
{
    return s->link->greeted ? TAILQ_FIRST(&s->sent)->sent_ns : s->since_ns;
}

void session_watch_fire(struct loop_timer *timer)
{
    struct client_session *s = CONTAINER_OF(timer, struct client_session, watch);
    s->watching = false;
    if (!s->link || (s->link->greeted && TAILQ_EMPTY(&s->sent)))
        return;
    uint64_t silent_ns = loop_now_ns(s->config.loop) - waiting_since_ns(s);
    if (silent_ns < patience_ns(s)) {
        s->watching = true;
        loop_timer_start(&s->watch, patience_ns(s) - silent_ns);
        return;
    }
    s->stalls++;
    if (s->link->greeted)
        s->quiet++;
    fail(s, "no answer", NULL);
}

static void better_fails(struct client_session *s)
{
    s->addresses[s->better->address].failed_ns = loop_now_ns(s->config.loop);
    session_let_go(&s->better);
}

static void on_opened(struct net_conn *conn)
{
    struct link *link = conn->user;
    struct client_session *s = link->session;
    if (!s)
        return;
    struct net_hello hello = {.version = NET_HELLO_VERSION, .role = NET_ROLE_CLIENT};
    if (s->cluster_known)
        memcpy(hello.cluster, s->cluster, sizeof hello.cluster);
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    size_t count = net_hello_encode(&hello, bytes);
    bool sent = net_send(conn, NET_FRAME_HELLO, bytes, (uint32_t)count, NULL) == 0;
    if (!sent && link == s->better)
        better_fails(s);
    else if (!sent)
        fail(s, "the hello could not be sent", NULL);
}

/* NULL: this is a replica of the group. */
static const char *hello_fault(struct client_session *s, const struct net_frame *frame,
                               struct net_hello *ret_hello)
{
    static const uint8_t none[16];
    if (net_hello_decode(frame->payload, frame->bytes, ret_hello)) {
        s->malformed++;
        return "malformed hello";
    }
    if (ret_hello->version != NET_HELLO_VERSION || ret_hello->role != NET_ROLE_MEMBER) {
        s->malformed++;
        return "not a replica of this version";
    }
    if (!memcmp(ret_hello->cluster, none, sizeof none))
        return "it belongs to no cluster yet";
    if (s->cluster_known && memcmp(ret_hello->cluster, s->cluster, sizeof s->cluster))
        return "it belongs to another cluster";
    return NULL;
}

static void link_is_open(struct client_session *s)
{
    s->link->greeted = true;
    s->connects++;
    if (s->state != SESSION_OPENING)
        session_tell_connected(s, true);
    session_pump(s);
}

static void on_hello(struct client_session *s, const struct net_frame *frame)
{
    struct net_hello hello;
    const char *fault = hello_fault(s, frame, &hello);
    if (fault) {
        fail(s, fault, NULL);
        return;
    }
    memcpy(s->cluster, hello.cluster, sizeof s->cluster);
    s->cluster_known = true;
    link_is_open(s);
}

static void on_refused(struct client_session *s, const struct net_frame *frame)
{
    char text[200];
    size_t bytes = frame->bytes < sizeof text - 1 ? frame->bytes : sizeof text - 1;
    if (bytes)
        memcpy(text, frame->payload, bytes);
    text[bytes] = 0;
    fail(s, "refused", text);
}

/* --- a better replica: it is reached before the present one is left --- */

void session_balance_later(struct client_session *s)
{
    uint64_t half = s->config.balance_ns / 2;
    loop_timer_start(&s->balance, half + prng_below(&s->prng, 2 * half + 1));
}

/* What is out goes along: it may be asked twice, and happens once. */
static void better_answers(struct client_session *s, const struct net_frame *frame)
{
    struct net_hello hello;
    if (frame->type != NET_FRAME_HELLO || hello_fault(s, frame, &hello)) {
        better_fails(s);
        return;
    }
    struct link *better = s->better;
    s->better = NULL;
    session_drop(s, "left for a better one");
    s->link = better;
    s->address = better->address;
    s->moves++;
    link_is_open(s);
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct link *link = conn->user;
    struct client_session *s = link->session;
    if (!s)
        return;
    if (link == s->better)
        better_answers(s, frame);
    else if (frame->type == NET_FRAME_REFUSED)
        on_refused(s, frame);
    else if (!link->greeted && frame->type == NET_FRAME_HELLO)
        on_hello(s, frame);
    else if (link->greeted && frame->type == NET_FRAME_REPLY)
        session_reply(s, frame->payload, frame->bytes);
    else if (!link->greeted || frame->type != NET_FRAME_MEMBERS ||
             !session_take_members(s, frame->payload, frame->bytes))
        malformed(s, "unexpected frame");
}

static void on_drained(struct net_conn *conn)
{
    struct link *link = conn->user;
    link->full = false;
    if (link->session && link == link->session->link)
        session_pump(link->session);
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct link *link = conn->user;
    struct client_session *s = link->session;
    bool better = s && link == s->better;
    if (better)
        s->addresses[link->address].failed_ns = loop_now_ns(s->config.loop);
    free(link);
    if (better)
        s->better = NULL;
    if (!s || better)
        return;
    s->link = NULL;
    fail(s, net_reason_name(reason), detail);
}

static const struct net_handlers handlers = {
    .opened = on_opened, .frame = on_frame, .drained = on_drained, .closed = on_closed};

/* 0, or a negative errno and a text. */
static int connect_to(struct client_session *s, uint32_t address, struct link **ret_link,
                      struct error *error)
{
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        return error_set(error, -ENOMEM, "out of memory");
    link->session = s;
    link->address = address;
    int code = net_connect(s->config.transport, s->addresses[address].text, NULL, &limits,
                           &handlers, link, &link->conn, error);
    if (code)
        free(link);
    else
        *ret_link = link;
    return code;
}

void session_retry_fire(struct loop_timer *timer)
{
    struct client_session *s = CONTAINER_OF(timer, struct client_session, retry);
    struct error error = {{0}};
    if (s->link || s->state == SESSION_ENDED)
        return;
    if (connect_to(s, s->address, &s->link, &error))
        fail(s, "connect", error.text);
    else
        session_watch(s);
}

/* One that has not answered since the last time is given up. */
void session_balance_fire(struct loop_timer *timer)
{
    struct client_session *s = CONTAINER_OF(timer, struct client_session, balance);
    struct error error = {{0}};
    if (s->state == SESSION_ENDED)
        return;
    session_balance_later(s);
    if (s->better)
        better_fails(s);
    uint32_t favourite = session_address_favourite(s);
    if (!s->was_connected || favourite == s->address)
        return;
    if (connect_to(s, favourite, &s->better, &error))
        s->addresses[favourite].failed_ns = loop_now_ns(s->config.loop);
}
