/* The life of a client: options, its thread with a loop and TCP, sessions one after the other, the
 * end.
 *
 * Invariants: the session, the timers and the transport are touched by the client's thread only,
 * but before it starts and after it was joined; the thread takes no signals. */
#include "base/log.h"
#include "client/members_file.h"
#include "client/tutti_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define S_NS 1000000000ull

enum { CLOSE_PATIENCE_S = 3, RENEW_PAUSE_S = 1, ADDRESSES_MAX = 64 };

void tutti_options_defaults(struct tutti_options *options)
{
    *options = (struct tutti_options){
        .first = UINT32_MAX,
        .slots = CLIENT_SESSION_SLOTS_DEFAULT,
        .connect_timeout_ns = 30 * S_NS,
        .keepalive_ns = 15 * S_NS,
    };
}

/* --- options --- */

static int check_address(const char *address, struct error *error)
{
    const char *colon = strrchr(address, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (!colon || colon == address || !colon[1] || *end || port < 1 || port > 65535)
        return error_set(error, -EINVAL, "replica '%s' is not host:port", address);
    return 0;
}

static int take_addresses(struct tutti *client, const char *replicas, struct error *error)
{
    client->replicas = strdup(replicas ? replicas : "");
    client->addresses = calloc(ADDRESSES_MAX, sizeof *client->addresses);
    if (!client->replicas || !client->addresses)
        return error_set(error, -ENOMEM, "out of memory");
    char *rest = client->replicas;
    char *address;
    while ((address = strsep(&rest, ","))) {
        int code = check_address(address, error);
        if (code)
            return code;
        if (client->address_count == ADDRESSES_MAX)
            return error_set(error, -EINVAL, "more than %d replicas", ADDRESSES_MAX);
        client->addresses[client->address_count++] = address;
    }
    return 0;
}

static int take_members_path(struct tutti *client, const char *path, struct error *error)
{
    client->members_path = path ? strdup(path) : NULL;
    if (path && !client->members_path)
        return error_set(error, -ENOMEM, "out of memory");
    if (path)
        members_file_read(path, &client->known);
    return 0;
}

static int take_options(struct tutti *client, const struct tutti_options *options,
                        struct error *error)
{
    client->options = *options;
    int code = take_members_path(client, options->members_path, error);
    if (code)
        return code;
    if (options->slots < 1 || options->slots > PROTO_SLOTS_MAX)
        return error_set(error, -EINVAL, "slots is %u, but has to be 1 to %d", options->slots,
                         PROTO_SLOTS_MAX);
    return take_addresses(client, options->replicas, error);
}

/* --- the session, on the client's thread --- */

static void on_connected(void *user, bool connected, const char *peer)
{
    struct tutti *client = user;
    pthread_mutex_lock(&client->lock);
    snprintf(client->peer, sizeof client->peer, "%s", connected ? peer : "");
    if (connected && !client->open) {
        client->open = true;
        pthread_cond_signal(&client->opened);
    }
    pthread_mutex_unlock(&client->lock);
}

static void on_ended(void *user, const char *detail)
{
    struct tutti *client = user;
    pthread_mutex_lock(&client->lock);
    snprintf(client->trouble, sizeof client->trouble, "%s", detail);
    bool closed = client->closed;
    pthread_mutex_unlock(&client->lock);
    client->renewing = !closed;
    uint64_t age_ns = loop_now_ns(client->loop) - client->renewed_ns;
    if (closed)
        loop_timer_start(&client->closing, 0);
    else
        loop_timer_start(&client->renew, age_ns < 10 * S_NS ? RENEW_PAUSE_S * S_NS : 0);
}

/* A session that follows begins with them, too. */
static void on_members(void *user, const struct net_members *members)
{
    struct tutti *client = user;
    struct error error;
    client->known = *members;
    if (!client->members_path || members_file_write(client->members_path, members, &error) == 0)
        return;
    log_warning("client", "the group's members are not remembered: %s", error.text);
    free(client->members_path);
    client->members_path = NULL;
}

static int make_session(struct tutti *client)
{
    struct client_session_config config = {
        .loop = client->loop,
        .transport = client->transport,
        .addresses = client->addresses,
        .address_count = client->address_count,
        .first = client->options.first,
        .known = &client->known,
        .slots = client->options.slots,
        .keepalive_ns = client->options.keepalive_ns,
        .user = client,
        .connected = on_connected,
        .members = on_members,
        .ended = on_ended,
    };
    if (getrandom(config.random, sizeof config.random, 0) != (ssize_t)sizeof config.random)
        return -EIO;
    client->renewed_ns = loop_now_ns(client->loop);
    return client_session_create(&config, &client->session);
}

static void on_renew(struct loop_timer *timer)
{
    struct tutti *client = CONTAINER_OF(timer, struct tutti, renew);
    client_session_destroy(client->session);
    client->session = NULL;
    if (make_session(client)) {
        loop_timer_start(&client->renew, RENEW_PAUSE_S * S_NS);
        return;
    }
    client->renewing = false;
    tutti_drain(client);
}

/* --- the end --- */

static void on_closing(struct loop_timer *timer)
{
    struct tutti *client = CONTAINER_OF(timer, struct tutti, closing);
    if (client->session)
        client_session_end(client->session);
    tutti_refuse_submitted(client);
    loop_uv_stop(client->loop);
}

static void on_close_answered(void *user, int code, const struct proto_reply *reply)
{
    struct tutti *client = user;
    loop_timer_start(&client->closing, 0);
}

/* What tutti_connect says where nothing opened. */
static void keep_trouble(struct tutti *client, const struct client_session_status *status)
{
    pthread_mutex_lock(&client->lock);
    if (status->trouble[0])
        snprintf(client->trouble, sizeof client->trouble, "%s", status->trouble);
    else if (!client->trouble[0] && status->connects)
        snprintf(client->trouble, sizeof client->trouble,
                 "a replica answers, but the group does not serve yet");
    pthread_mutex_unlock(&client->lock);
}

/* Ask for the end of the session where a replica is there to hear it; it is not worth waiting else.
 */
static void begin_close(void *user)
{
    struct tutti *client = user;
    struct client_session_status status = {.connected = false};
    struct proto_op op = {.code = PROTO_SESSION_CLOSE};
    struct proto_credentials nobody = {.uid = UINT32_MAX, .gid = UINT32_MAX};
    loop_timer_stop(&client->renew);
    tutti_refuse_submitted(client);
    if (client->session) {
        client_session_get_status(client->session, &status);
        keep_trouble(client, &status);
    }
    bool asked = status.connected && client_session_submit(client->session, &nobody, &op,
                                                           on_close_answered, client, NULL) == 0;
    loop_timer_start(&client->closing, asked ? CLOSE_PATIENCE_S * S_NS : 0);
}

static void *run_thread(void *user)
{
    struct tutti *client = user;
    loop_uv_run(client->loop);
    return NULL;
}

static int start_thread(struct tutti *client)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&client->thread, NULL, run_thread, client);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!code)
        pthread_setname_np(client->thread, "tutti-client");
    return -code;
}

static void stop_thread(struct tutti *client)
{
    const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
    pthread_mutex_lock(&client->lock);
    client->closed = true;
    pthread_cond_broadcast(&client->room);
    pthread_mutex_unlock(&client->lock);
    while (loop_uv_post(client->loop, begin_close, client))
        nanosleep(&moment, NULL); /* out of memory: there is no other way to reach the thread */
    pthread_join(client->thread, NULL);
    pthread_mutex_lock(&client->lock);
    while (client->callers)
        pthread_cond_wait(&client->left, &client->lock);
    pthread_mutex_unlock(&client->lock);
}

static void client_free(struct tutti *client)
{
    client_session_destroy(client->session);
    if (client->loop) {
        loop_timer_finish(&client->renew);
        loop_timer_finish(&client->closing);
    }
    if (client->transport)
        net_transport_destroy(client->transport);
    if (client->loop)
        loop_uv_destroy(client->loop);
    pthread_cond_destroy(&client->opened);
    pthread_cond_destroy(&client->room);
    pthread_cond_destroy(&client->left);
    pthread_mutex_destroy(&client->lock);
    free(client->addresses);
    free(client->replicas);
    free(client->members_path);
    free(client);
}

void tutti_close(struct tutti *client)
{
    if (!client)
        return;
    stop_thread(client);
    client_free(client);
}

/* --- the beginning --- */

void tutti_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void init_locks(struct tutti *client)
{
    pthread_mutex_init(&client->lock, NULL);
    tutti_cond_init(&client->opened);
    tutti_cond_init(&client->room);
    tutti_cond_init(&client->left);
    STAILQ_INIT(&client->submitted);
    LIST_INIT(&client->waiters);
}

static int make_parts(struct tutti *client)
{
    client->loop = loop_uv_create();
    if (!client->loop)
        return -ENOMEM;
    if (loop_timer_init(client->loop, &client->renew, on_renew) ||
        loop_timer_init(client->loop, &client->closing, on_closing))
        return -ENOMEM;
    client->transport = net_tcp_create(client->loop);
    if (!client->transport)
        return -ENOMEM;
    return make_session(client);
}

struct timespec tutti_time_after(uint64_t ns)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)(ns / S_NS);
    end.tv_nsec += (long)(ns % S_NS);
    if (end.tv_nsec >= (long)S_NS) {
        end.tv_nsec -= (long)S_NS;
        end.tv_sec++;
    }
    return end;
}

/* True where the session is open before the time is over. */
static bool await_open(struct tutti *client)
{
    uint64_t timeout_ns = client->options.connect_timeout_ns;
    const struct timespec end = tutti_time_after(timeout_ns);
    pthread_mutex_lock(&client->lock);
    int code = 0;
    while (!client->open && code != ETIMEDOUT)
        code = timeout_ns ? pthread_cond_timedwait(&client->opened, &client->lock, &end)
                          : pthread_cond_wait(&client->opened, &client->lock);
    bool open = client->open;
    pthread_mutex_unlock(&client->lock);
    return open;
}

/* The client's thread has ended: the session may be asked. */
static int not_open(struct tutti *client, const struct tutti_options *options, struct error *error)
{
    return error_set(error, -ETIMEDOUT, "no session with %s within %.1f s%s%s", options->replicas,
                     (double)options->connect_timeout_ns / 1e9,
                     client->trouble[0] ? "; last: " : "", client->trouble);
}

int tutti_connect(const struct tutti_options *options, struct tutti **ret_client,
                  struct error *error)
{
    struct tutti *client = calloc(1, sizeof *client);
    if (!client)
        return error_set(error, -ENOMEM, "out of memory");
    init_locks(client);
    int code = take_options(client, options, error);
    if (!code) {
        code = make_parts(client);
        if (!code)
            code = start_thread(client);
        if (code)
            error_set(error, code, "cannot start the client: %s", strerror(-code));
    }
    if (code) {
        client_free(client);
        return code;
    }
    if (await_open(client)) {
        *ret_client = client;
        return 0;
    }
    stop_thread(client);
    code = not_open(client, options, error);
    client_free(client);
    return code;
}

void tutti_peer(struct tutti *client, char text[128])
{
    pthread_mutex_lock(&client->lock);
    memcpy(text, client->peer, sizeof client->peer);
    pthread_mutex_unlock(&client->lock);
}
