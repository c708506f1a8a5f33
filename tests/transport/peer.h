/* The two sides of a contract case: peers that count what happens to them and check, at each
 * callback, that it may happen now. */
#ifndef TUTTI_TESTS_TRANSPORT_PEER_H
#define TUTTI_TESTS_TRANSPORT_PEER_H

#include "tests/transport/contract.h"

enum { PEERS_MAX = 64 };

struct peer {
    struct rig *rig;
    struct net_conn *conn;
    unsigned opened, frames, drained, closed;
    bool full; /* a send was refused, and `drained` has not come since */
    enum net_reason reason;
    uint64_t bytes; /* of payloads */
    uint32_t next;  /* number that the next numbered frame has to carry */
    /* The case's own part; may be NULL. */
    void (*on_opened)(struct peer *peer);
    void (*on_frame)(struct peer *peer, const struct net_frame *frame);
    void (*on_drained)(struct peer *peer);
    void (*on_closed)(struct peer *peer);
};

struct rig {
    struct transport_fixture *fixture;
    struct net_limits server_limits, client_limits;
    struct net_listener *listener;
    char address[128]; /* of the listener */
    /* `server` is what an accepted connection becomes, `accepted` of them came in so far. */
    struct peer server, client, others[PEERS_MAX];
    unsigned accepted;
    bool refuse, close_accepted;
    int inside; /* calls of the interface that are running */
    uint32_t sent;
};

void rig_init(struct rig *rig, struct transport_fixture *fixture);
void rig_listen(struct rig *rig);
void rig_connect(struct rig *rig, struct peer *peer, const char *address);
/* Listen, connect, wait until both ends are open. */
void rig_open(struct rig *rig);
/* Destroys what is left. Checks that each connection was closed exactly once. */
void rig_finish(struct rig *rig);

/* Run until `condition` holds; fails the test when it does not within some seconds. */
#define RUN_UNTIL(rig, condition)                                 \
    do {                                                          \
        unsigned turns_ = 0;                                      \
        while (!(condition)) {                                    \
            cr_assert(turns_++ < 20000, "never: %s", #condition); \
            (rig)->fixture->run((rig)->fixture);                  \
        }                                                         \
    } while (0)
void rig_run(struct rig *rig, unsigned turns);

/* The interface, with `inside` kept. */
int peer_send(struct peer *peer, uint16_t type, const void *head, uint32_t head_bytes,
              struct blob *payload);
void peer_close(struct peer *peer);
void peer_pause(struct peer *peer, bool paused);

/* The next numbered frame: a number and `bytes` more that follow from it, the larger part as a
 * blob. The receiving peer checks all of it where its on_frame is peer_expect_numbered. */
int peer_send_numbered(struct peer *peer, uint32_t number, uint32_t bytes);
void peer_expect_numbered(struct peer *peer, const struct net_frame *frame);

struct net_counters rig_counters(struct net_transport *transport);

#endif
