/* Both ends of a transfer in one process, over TCP on 127.0.0.1, between two memory stores. */
#ifndef TUTTI_TESTS_UNIT_MDS_TRANSFER_RIG_H
#define TUTTI_TESTS_UNIT_MDS_TRANSFER_RIG_H

#include "mds/record.h"
#include "mds/transfer.h"
#include "net/loop_uv.h"

struct rig;

/* The giving end of a connection, as mds/server.c has it: the hello is answered, then the sender
 * gets the frames through a proxy; or the test answers instead of it. */
struct gate {
    struct net_conn proxy, *conn; /* conn NULL: closed */
    const struct net_handlers *member;
    struct rig *rig;
};

enum { GATES_MAX = 4, RIG_NAMED = 7 };

struct rig {
    struct loop *loop;
    struct net_transport *transport, *other; /* of the giving end, of the taking one */
    struct net_listener *listener;
    struct loop_timer poll;
    uint64_t deadline_ns;
    bool (*wanted)(struct rig *rig);

    struct store *source, *incoming;
    struct state_record state; /* of the source, with the digest of what it holds */
    struct transfer_sender *sender;
    uint64_t reaches; /* the oldest index from which a receiver could be fed */
    struct gate gates[GATES_MAX];
    unsigned gate_count;
    void (*greeted)(struct gate *gate); /* NULL: the real sender */

    struct transfer_receive *receive;
    bool lists;    /* the receiver is in the sender's view */
    uint8_t named; /* the node that the sender named */
    unsigned told, damaged;
    int code;
    char detail[256];
};

void rig_make(struct rig *rig);
void rig_finish(struct rig *rig);

/* More records in the source, numbered from `from`, and a state record that fits, in one batch. */
void rig_fill(struct rig *rig, uint64_t from, uint64_t count);

/* Fetch into a new store. */
void rig_receive(struct rig *rig);
struct transfer_receive_config rig_receive_config(struct rig *rig);
void rig_forget(struct rig *rig); /* the taking end is no more */

/* Run the loop; fails the test where that does not come. */
void rig_wait(struct rig *rig, bool (*wanted)(struct rig *rig));
bool rig_is_told(struct rig *rig);
bool rig_is_quiet(struct rig *rig); /* no transfer is being sent */

/* Records and a hash over all of them in order; the digest that they add up to. */
struct content {
    uint64_t records;
    struct hash128 chain, digest;
};
struct content rig_content(struct store *store);
void rig_expect_same(struct store *a, struct store *b);

#endif
