/* A replica for tests: real frames on a real socket, a session table, and a plan of what to do
 * wrong.
 *
 * Several fakes may share one table, as replicas do. What the session promises (slots, sequence
 * numbers, one cluster, nothing before the hello) is checked here and counted in `violations`. */
#ifndef TUTTI_TESTS_CLIENT_FAKE_H
#define TUTTI_TESTS_CLIENT_FAKE_H

#include "net/hello.h"
#include "net/members.h"
#include "net/loop_uv.h"
#include "net/transport.h"
#include "proto/proto.h"

#include <sys/queue.h>

enum fake_act {
    FAKE_ANSWER,
    FAKE_DROP_BEFORE, /* close the connection instead of executing */
    FAKE_DROP_AFTER,  /* execute, then close instead of answering */
    FAKE_SILENT,      /* execute, say nothing */
    FAKE_REFUSE,      /* do not execute; answer `status` */
    FAKE_GARBAGE,     /* execute, answer bytes that are no reply */
    FAKE_TRUNCATED,   /* execute, answer half of the reply */
    FAKE_STRAY,       /* answer something never asked, then answer */
    FAKE_TWICE,       /* answer twice */
    FAKE_ACT_COUNT
};

enum fake_hello {
    FAKE_HELLO,
    FAKE_HELLO_REFUSED,
    FAKE_HELLO_OTHER,
    FAKE_HELLO_NONE,
    FAKE_HELLO_BAD,
    FAKE_HELLO_SILENT
};

struct fake_slot {
    uint64_t seq, value;
};

struct fake_table {
    uint8_t session[PROTO_SESSION_BYTES];
    bool open;
    uint32_t slots_granted; /* 0: as many as wanted */
    struct fake_slot slots[PROTO_SLOTS_MAX];
    uint64_t writes, reads, keeps, repeats, closes, sessions; /* executed; repeated writes */
    uint64_t violations;
    uint8_t clusters_seen; /* hellos that named a cluster */
};

struct fake {
    struct loop *loop;
    struct net_transport *transport;
    struct net_listener *listener;
    struct fake_table *table;
    struct net_members members; /* told after the hello; of epoch 0: not */
    enum fake_hello hello;
    enum fake_act act;        /* where there is no plan */
    enum proto_status status; /* of FAKE_REFUSE */
    enum fake_act (*plan)(void *user, const struct proto_request *request); /* or NULL */
    void *user;
    LIST_HEAD(, fake_conn) conns;
    uint64_t accepted, received; /* connections; requests */
};

void fake_table_init(struct fake_table *table);

/* Listen on 127.0.0.1, any port: fake->listener->address. */
void fake_start(struct fake *fake, struct loop *loop, struct net_transport *transport,
                struct fake_table *table);

/* Close every connection; go on listening. */
void fake_drop_all(struct fake *fake);

/* The group's members from now on, NULL behind the last one; all who are connected hear of it. */
void fake_tell(struct fake *fake, uint64_t epoch, const char *const *addresses);

/* It is gone. */
void fake_stop(struct fake *fake);

/* Read nothing more from the connections, or go on. */
void fake_pause(struct fake *fake, bool paused);

#endif
