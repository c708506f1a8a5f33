/* The client's end of a session, on a loop: connect, hello, slots, send again. No threads; the
 * library (client/tutti.c) runs one on a thread of its own, the simulator runs many on its loop. */
#ifndef TUTTI_CLIENT_SESSION_H
#define TUTTI_CLIENT_SESSION_H

#include "base/loop.h"
#include "net/transport.h"
#include "proto/proto.h"

struct client_session;

struct client_session_config {
    struct loop *loop;
    struct net_transport *transport; /* borrowed */
    const char *const *addresses;    /* copied */
    uint32_t address_count;
    uint32_t first;
    uint32_t slots;
    uint64_t keepalive_ns;
    uint64_t random[4];
    void *user;
    /* The session is open (again): true; unreachable replicas: false. */
    void (*connected)(void *user, bool connected, const char *peer);
    /* The session can't go on (expired, refused: another cluster or version). Everything that was
     * out has ended with -ESHUTDOWN. */
    void (*ended)(void *user, const char *detail);
};
int client_session_create(const struct client_session_config *config,
                          struct client_session **ret_session) WARN_UNUSED;

typedef void client_session_done(void *user, int code, const struct proto_reply *reply);

/* Start one request (queued where all slots are busy). `op` and the credentials are copied.
 * @ret_tag: names it for client_session_forget. 0, -EINVAL, -ENOMEM, -ESHUTDOWN. */
int client_session_submit(struct client_session *session,
                          const struct proto_credentials *credentials, const struct proto_op *op,
                          client_session_done *done, void *user, uint64_t *ret_tag) WARN_UNUSED;

/* `done` will not be called any more; the request itself goes on. */
void client_session_forget(struct client_session *session, uint64_t tag);

/* Leave the present replica and go to another one now (operator, tests, load balancing). */
void client_session_move(struct client_session *session, uint32_t index);

/* Drops the connection; calls no `done`. The session itself ends by PROTO_SESSION_CLOSE before. */
void client_session_destroy(struct client_session *session);

#endif
