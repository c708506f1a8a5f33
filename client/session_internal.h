/* What the files of the session share: session.c (life), session_address.c (whom to ask),
 * session_link.c (connections), session_request.c (slots, requests, replies). */
#ifndef TUTTI_CLIENT_SESSION_INTERNAL_H
#define TUTTI_CLIENT_SESSION_INTERNAL_H

#include "base/prng.h"
#include "client/session.h"
#include "net/hello.h"

#include <bsd/sys/tree.h>
#include <sys/queue.h>

/* OPENING until the group has answered PROTO_SESSION_OPEN. */
enum session_state { SESSION_OPENING, SESSION_OPEN, SESSION_ENDED };

/* WAITING for a slot, READY to be sent, SENT on the present connection. */
enum request_state { REQUEST_WAITING, REQUEST_READY, REQUEST_SENT };

enum { SLOT_NONE = UINT16_MAX };

struct request {
    uint64_t tag;
    enum request_state state;
    enum proto_opcode code;
    bool write;
    uint16_t slot;             /* SLOT_NONE: a read, or none yet */
    uint32_t sent_times;       /* saturates */
    uint64_t sent_ns;          /* when it was sent last */
    struct blob *payload;      /* the encoded request, owned */
    client_session_done *done; /* NULL: forgotten */
    void *user;
    TAILQ_ENTRY(request) entry; /* in the list of its state */
    RB_ENTRY(request) by_tag;
};
TAILQ_HEAD(request_list, request);
RB_HEAD(request_tree, request);

/* One connection; outlives the session where the transport still has to say `closed`. */
struct link {
    struct client_session *session; /* NULL: given up */
    struct net_conn *conn;
    uint32_t address; /* index */
    bool greeted;     /* the replica's hello has come */
    bool full;        /* until `drained` */
};

/* One replica that may be asked. */
struct address {
    char *text;         /* owned */
    bool configured;    /* the user named it */
    bool member;        /* a replica said that it is one of the group */
    bool worked;        /* it has answered this session */
    uint64_t failed_ns; /* when it failed last; 0: not lately */
    uint64_t order;     /* among equals the smallest is asked first */
};

struct client_session {
    struct client_session_config config;
    uint8_t id[PROTO_SESSION_BYTES];
    uint8_t cluster[16];
    bool cluster_known;
    enum session_state state;
    bool closing; /* PROTO_SESSION_CLOSE was submitted: nothing more is taken */
    struct prng prng;

    /* session_address.c */
    struct address addresses[CLIENT_SESSION_ADDRESSES_MAX];
    uint32_t address_count;     /* the configured ones come first, in their order */
    uint32_t address;           /* index of the present or next one */
    struct net_members members; /* the newest word on who they are; of epoch 0: none */
    uint64_t answered_ns;       /* when the last reply came */

    /* session_link.c */
    struct link *link; /* NULL: none */
    struct link
        *better; /* NULL: none; to a replica that takes the present one's place once it answers */
    uint32_t failures;  /* attempts since the last reply */
    uint32_t quiet;     /* stalls since the last reply */
    uint64_t since_ns;  /* since when the replica's hello is waited for */
    bool watching;      /* the watch timer runs */
    bool was_connected; /* what `connected` was told last */
    struct loop_timer retry, watch, keep, balance;
    char trouble[256];

    /* session_request.c */
    struct request_tree requests; /* all of them */
    uint32_t request_count;
    size_t request_bytes;
    uint64_t last_tag;
    struct request_list waiting_writes, waiting_reads, ready, sent;
    uint32_t reads_out;  /* ready or sent */
    uint32_t slot_count; /* granted; 0 until the session is open */
    uint64_t *seq;       /* of each slot: the last one used */
    uint16_t *free_slots;
    uint32_t free_count;
    bool keep_out;
    struct buffer scratch; /* for encoding */

    uint64_t connects, resent, malformed, stray, stalls, moves;
};

/* session_address.c */

/* -ENOMEM. session_addresses_finish in any case. */
int session_addresses_init(struct client_session *session) WARN_UNUSED;
void session_addresses_finish(struct client_session *session);

/* The present or next one. */
const char *session_address(const struct client_session *session);
/* It has answered; or it is no good now, and another one is to be tried. */
void session_address_works(struct client_session *session);
void session_address_fails(struct client_session *session);
/* Of those in the group that did not fail lately the one that this client should be at; the present
 * one where none is known. An index. */
uint32_t session_address_favourite(const struct client_session *session);

/* One NET_FRAME_MEMBERS. False: malformed. */
bool session_take_members(struct client_session *session, const void *bytes, size_t count);

/* session_link.c */

/* Connect to `session->address` after `delay_ns`. */
void session_retry(struct client_session *session, uint64_t delay_ns);

/* This connection (NULL: none) is none of the session's any more. */
void session_let_go(struct link **link);

/* Give up the present connection (if there is one); what was sent is to be sent again. */
__attribute__((format(printf, 2, 3))) void session_drop(struct client_session *session,
                                                        const char *format, ...);
/* Connect to the next address after a failure, with back-off. */
void session_retry_next(struct client_session *session);

/* Something is waited for: see to it that silence is noticed. */
void session_watch(struct client_session *session);

/* Tell the user, where it is news, whether the session is open and connected. */
void session_tell_connected(struct client_session *session, bool connected);

void session_retry_fire(struct loop_timer *timer);
void session_watch_fire(struct loop_timer *timer);
void session_balance_fire(struct loop_timer *timer);
/* Some time from now, another one each time. */
void session_balance_later(struct client_session *session);

/* session_request.c */

/* Queue PROTO_SESSION_OPEN: slot 0, sequence 1. 0, -ENOMEM. */
int session_request_open(struct client_session *session) WARN_UNUSED;

/* Give slots to what waits and send what is ready, as far as the connection takes it. */
void session_pump(struct client_session *session);

/* What was sent on the connection that is gone is ready again, in the same order. */
void session_unsend(struct client_session *session);

/* One NET_FRAME_REPLY. */
void session_reply(struct client_session *session, const void *bytes, size_t count);

void session_keep_fire(struct loop_timer *timer);

/* The end: `detail` goes to `ended` unless NULL. */
void session_finish_all(struct client_session *session, const char *detail);

/* Free every request without a call. */
void session_discard_all(struct client_session *session);

#endif
