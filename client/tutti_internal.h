/* What tutti.c (life of a client, its thread) and tutti_call.c (requests) share. */
#ifndef TUTTI_CLIENT_TUTTI_INTERNAL_H
#define TUTTI_CLIENT_TUTTI_INTERNAL_H

#include "client/session.h"
#include "client/tutti.h"
#include "net/loop_uv.h"

#include <pthread.h>
#include <sys/queue.h>

/* One accepted request, with copies of all that it points to. */
struct call {
    struct tutti *client;
    struct proto_op op;
    struct proto_credentials credentials;
    tutti_done *done;
    void *user;
    size_t bytes; /* charged to the client */
    STAILQ_ENTRY(call) entry;
    uint8_t copies[];
};
STAILQ_HEAD(call_queue, call);

/* A thread in tutti_call. On the heap: where the thread gives up, the answer frees it. */
struct waiter {
    struct tutti *client;
    pthread_cond_t wake;
    bool finished, abandoned;
    int code;
    struct buffer *reply_data; /* the caller's; not touched once abandoned */
    struct proto_outcome *outcome;
    LIST_ENTRY(waiter) entry;
};

struct tutti {
    struct loop *loop;
    struct net_transport *transport;
    pthread_t thread;
    char *replicas; /* owned; addresses point into it */
    const char **addresses;
    uint32_t address_count;
    struct tutti_options options;
    char *members_path;       /* owned; NULL: none */
    struct net_members known; /* from there */

    /* the client's thread only */
    struct client_session *session;
    struct loop_timer renew;   /* a new session after one that ended */
    struct loop_timer closing; /* the last patience of tutti_close */
    bool renewing;
    uint64_t renewed_ns;

    pthread_mutex_t lock;  /* guards the rest */
    pthread_cond_t opened; /* this and all others are on CLOCK_MONOTONIC */
    pthread_cond_t room;
    pthread_cond_t left; /* callers became 0 */
    bool open, closed;
    struct call_queue submitted;
    bool posted; /* the client's thread has been told to look at `submitted` */
    uint32_t call_count;
    size_t call_bytes;
    uint32_t callers; /* threads inside tutti_call */
    uint64_t wakes;
    LIST_HEAD(, waiter) waiters;
    char peer[128];
    char trouble[256];
};

/* A condition on CLOCK_MONOTONIC, and a time on it, so far from now. */
void tutti_cond_init(pthread_cond_t *cond);
struct timespec tutti_time_after(uint64_t ns);

/* Give what was submitted to the session. The client's thread. */
void tutti_drain(void *client);

/* End everything submitted with -ESHUTDOWN. The client's thread. */
void tutti_refuse_submitted(struct tutti *client);

#endif
