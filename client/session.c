/* The life of a session: made, asked about, ended, freed.
 *
 * Invariants: a session that ENDED has no connection, no request and no timer running; `ended` is
 * called at most once. Connections that are given up live on as `struct link` until the transport
 * has said `closed`, so a session may be freed at any time outside its callbacks.
 *
 * Source: docs/protocol.md, section 5 (exactly once). */
#include "client/session_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int make_slots(struct client_session *s)
{
    s->seq = calloc(s->config.slots, sizeof *s->seq);
    s->free_slots = calloc(s->config.slots, sizeof *s->free_slots);
    return s->seq && s->free_slots ? 0 : -ENOMEM;
}

static int make_timers(struct client_session *s)
{
    if (loop_timer_init(s->config.loop, &s->retry, session_retry_fire) ||
        loop_timer_init(s->config.loop, &s->watch, session_watch_fire) ||
        loop_timer_init(s->config.loop, &s->keep, session_keep_fire) ||
        loop_timer_init(s->config.loop, &s->balance, session_balance_fire))
        return -ENOMEM;
    return 0;
}

static void set_config(struct client_session *s, const struct client_session_config *config)
{
    s->config = *config;
    if (!s->config.slots)
        s->config.slots = CLIENT_SESSION_SLOTS_DEFAULT;
    if (s->config.slots > PROTO_SLOTS_MAX)
        s->config.slots = PROTO_SLOTS_MAX;
    if (!s->config.stall_ns)
        s->config.stall_ns = 10ull * 1000 * 1000 * 1000;
    if (!s->config.balance_ns)
        s->config.balance_ns = 10ull * 1000 * 1000 * 1000;
    memcpy(s->id, config->random, sizeof s->id);
    prng_init(&s->prng, config->random[2] ^ config->random[3]);
}

int client_session_create(const struct client_session_config *config,
                          struct client_session **ret_session)
{
    if (!config->address_count || config->address_count > CLIENT_SESSION_CONFIGURED_MAX)
        return -EINVAL;
    struct client_session *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    set_config(s, config);
    RB_INIT(&s->requests);
    TAILQ_INIT(&s->waiting_writes);
    TAILQ_INIT(&s->waiting_reads);
    TAILQ_INIT(&s->ready);
    TAILQ_INIT(&s->sent);
    buffer_init(&s->scratch, PROTO_REQUEST_BYTES_MAX);
    int code = session_addresses_init(s);
    if (!code)
        code = make_slots(s);
    if (!code)
        code = make_timers(s);
    if (!code)
        code = session_request_open(s);
    if (code) {
        client_session_destroy(s);
        return code;
    }
    session_retry(s, 0);
    session_balance_later(s);
    *ret_session = s;
    return 0;
}

void client_session_move(struct client_session *session, uint32_t index)
{
    if (session->state == SESSION_ENDED)
        return;
    session_drop(session, "moved to another replica");
    session->address = index % session->config.address_count;
    session_retry(session, 0);
}

void client_session_end(struct client_session *session)
{
    if (session->state != SESSION_ENDED)
        session_finish_all(session, NULL);
}

void client_session_get_status(const struct client_session *session,
                               struct client_session_status *ret_status)
{
    *ret_status = (struct client_session_status){
        .connected = session->was_connected,
        .peer = session->was_connected ? session_address(session) : "",
        .trouble = session->trouble,
        .requests = session->request_count,
        .connects = session->connects,
        .resent = session->resent,
        .malformed = session->malformed,
        .stray = session->stray,
        .stalls = session->stalls,
        .moves = session->moves,
    };
}

void client_session_destroy(struct client_session *session)
{
    if (!session)
        return;
    session_let_go(&session->link);
    session_let_go(&session->better);
    session_discard_all(session);
    loop_timer_finish(&session->retry);
    loop_timer_finish(&session->watch);
    loop_timer_finish(&session->keep);
    loop_timer_finish(&session->balance);
    session_addresses_finish(session);
    free(session->seq);
    free(session->free_slots);
    buffer_finish(&session->scratch);
    free(session);
}
