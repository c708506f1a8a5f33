/* The client's end of a session, on a loop: connect, hello, slots, send again. No threads; the
 * library (client/tutti.c) runs one on a thread of its own, the simulator runs many on its loop.
 *
 * A write takes a free slot and that slot's next sequence number and keeps both until it is
 * answered: after a reconnect, to whichever replica, it is sent again under the same name, and the
 * replicated session table sees to it that it happens once. A read changes nothing and is simply
 * asked again.
 *
 * `done` and `ended` are never called from inside a call of this interface (but see
 * client_session_end). A callback may call everything here but client_session_destroy. */
#ifndef TUTTI_CLIENT_SESSION_H
#define TUTTI_CLIENT_SESSION_H

#include "base/loop.h"
#include "net/members.h"
#include "net/transport.h"
#include "proto/proto.h"

struct client_session;

enum {
    CLIENT_SESSION_CONFIGURED_MAX = 64, /* addresses */
    CLIENT_SESSION_ADDRESSES_MAX = 96,  /* with those that replicas tell of */
    CLIENT_SESSION_SLOTS_DEFAULT = 128,
    CLIENT_SESSION_REQUESTS_MAX = 16384,         /* accepted and not ended */
    CLIENT_SESSION_BYTES_MAX = 64 * 1024 * 1024, /* their encodings */
};

struct client_session_config {
    struct loop *loop;
    struct net_transport *transport; /* borrowed */
    const char *const *addresses;    /* copied */
    uint32_t address_count;          /* 1 .. CLIENT_SESSION_CONFIGURED_MAX */
    uint32_t first;                  /* address to try first; UINT32_MAX: any */
    const struct net_members *known; /* copied; NULL: none. Of an earlier time, asked after those */
    uint32_t slots;                  /* writes in flight, and reads; 0: the default */
    uint64_t keepalive_ns;           /* an ordered sign of life this often; 0: none */
    uint64_t stall_ns;   /* go to another replica where the oldest request that is out was not
                          * answered for so long; 0: 10 s. Doubles while nothing at all is
                          * answered: a group that waits for a member is not overrun. */
    uint64_t balance_ns; /* look about this often whether another replica is the better one for this
                          * client; 0: 10 s */
    uint64_t random[4];  /* session id and jitter; never the same twice */
    void *user;
    /* The session is open (again): true; the connection was lost: false, and `peer` says why. */
    void (*connected)(void *user, bool connected, const char *peer);
    /* A replica has said who is in the group now, and it is news. May be NULL. */
    void (*members)(void *user, const struct net_members *members);
    /* The session can't go on (expired, or refused by the group). Everything that was out has ended
     * with -ESHUTDOWN. A single replica that is not fit (another cluster, another version, not
     * formatted) does not end it: the next address is tried. */
    void (*ended)(void *user, const char *detail);
};

/* Begins to connect. -EINVAL, -ENOMEM. */
int client_session_create(const struct client_session_config *config,
                          struct client_session **ret_session) WARN_UNUSED;

/* @code: 0 with the reply (borrowed for the call), or with NULL: -ESHUTDOWN (the session ended;
 * whether the request happened is unknown), -ENOMEM (it was never sent). Called once. */
typedef void client_session_done(void *user, int code, const struct proto_reply *reply);

/* Start one request (queued where all slots are busy). `op` and the credentials are copied.
 * @ret_tag: names it for client_session_forget; may be NULL. After PROTO_SESSION_CLOSE nothing more
 * is taken, and once that is answered the session has ended (`ended` is not called). 0; -EINVAL: no
 * valid request of a client; -EAGAIN: CLIENT_SESSION_REQUESTS_MAX or _BYTES_MAX; -ENOMEM;
 * -ESHUTDOWN. */
int client_session_submit(struct client_session *session,
                          const struct proto_credentials *credentials, const struct proto_op *op,
                          client_session_done *done, void *user, uint64_t *ret_tag) WARN_UNUSED;

/* `done` will not be called any more; the request itself goes on. */
void client_session_forget(struct client_session *session, uint64_t tag);

/* Leave the present replica and go to another one now (operator, tests, load balancing). */
void client_session_move(struct client_session *session, uint32_t index);

/* End it here and now: what is out ends with -ESHUTDOWN (`done` is called during this call, the one
 * exception to the rule above), the connection is dropped. The replicas hear nothing:
 * PROTO_SESSION_CLOSE before does that. */
void client_session_end(struct client_session *session);

struct client_session_status {
    bool connected;      /* the session is open and has a connection */
    const char *peer;    /* the replica's address; "" while there is none. Borrowed. */
    const char *trouble; /* what went wrong last; "" where nothing did. Borrowed. */
    uint32_t requests;   /* accepted and not ended */
    uint64_t connects;   /* connections that got as far as the hello */
    uint64_t resent;     /* requests sent again after a reconnect */
    uint64_t malformed;  /* connections dropped because of what came in */
    uint64_t stray;      /* replies to nothing that was asked; ignored */
    uint64_t stalls;     /* connections given up because nothing came */
    uint64_t moves;      /* to a better replica, of its own accord */
};
void client_session_get_status(const struct client_session *session,
                               struct client_session_status *ret_status);

/* Drops the connection; calls no `done`. The session itself ends by PROTO_SESSION_CLOSE before.
 * NULL is allowed. */
void client_session_destroy(struct client_session *session);

#endif
