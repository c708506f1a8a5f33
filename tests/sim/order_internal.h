/* Inside of a member of the bare group: order_node.c its life, order_state.c what it has applied,
 * order_past.c what it feeds joiners with. */
#ifndef TUTTI_SIM_ORDER_INTERNAL_H
#define TUTTI_SIM_ORDER_INTERNAL_H

#include "mds/journal.h"
#include "tests/sim/order_conn.h"
#include "tests/sim/order_node.h"

/* Where the state machine stands; what a flush makes durable. */
struct applied {
    struct gcs_applied state;
    struct hash128 history; /* the same as in `state` */
};

struct delivered {
    STAILQ_ENTRY(delivered) entry;
    struct gcs_message message; /* payload NULL: an epoch event */
    uint64_t index;
};

/* What the group asked to store, until the log says that it is. */
struct given {
    STAILQ_ENTRY(given) entry;
    uint64_t epoch, seq;
    uint8_t origin;
};

/* One place of the order, for joiners. */
struct past {
    struct gcs_message message; /* payload NULL: an epoch event */
    uint64_t index;
    struct hash128 history; /* after it */
};

/* A fetch of the group's, answered from the loop. */
struct fetch {
    bool wanted, compare;
    uint64_t from;
    uint32_t bytes_max;
    uint8_t history[16];
};

struct order_node {
    struct host *host;
    struct cluster *cluster;
    uint32_t member;
    struct journal *journal;
    struct gcs *gcs;
    struct order_listener *listener;
    bool witness, outside, founder;
    bool running, window_full;
    bool leaving, ended;   /* it asked to leave; nothing more comes from the group */
    uint64_t delivered;    /* index */
    uint64_t epoch_index;  /* of the last epoch event */
    uint8_t snapshot_from; /* node; 0: none is wanted */
    struct loop_timer again;
    STAILQ_HEAD(, given) given;

    /* order_state.c */
    struct applied applied, flushing, flushed;
    STAILQ_HEAD(, delivered) queue;
    struct loop_timer apply;
    struct work_queue *flusher;
    struct work flush;
    uint64_t allowed;
    bool flush_asked, flush_wanted, flush_busy;
    int flush_code;

    /* order_past.c: a ring */
    struct past *past;
    uint64_t past_capacity, past_first, past_count;
    struct hash128 past_before; /* the history right before the oldest place */
    struct fetch fetches[GCS_PEER_MAX];
    struct loop_timer fetch;
};

/* The state machine fails, or its disk. */
void order_node_failed(void *user, int code, const char *detail);

/* ---- order_state.c ---- */

void order_state_init(struct order_node *node);
void order_state_finish(struct order_node *node);

/* What the last flush left. */
int order_state_read(struct order_node *node, struct error *error) WARN_UNUSED;

/* Take over what another member has flushed, durably. False: it is not to be had now. */
bool order_state_take(struct order_node *node, const struct order_node *from);
/* Somebody wants to take it over: flush soon. */
void order_state_ask(struct order_node *node);

/* What was delivered is applied some time later. */
void order_state_queue(struct order_node *node, const struct gcs_message *message, uint64_t index);
void order_state_drop_queue(struct order_node *node);

/* ---- order_past.c ---- */

void order_past_init(struct order_node *node);
void order_past_finish(struct order_node *node);
void order_past_clear(struct order_node *node);

/* What was just applied; @before: the history before it. What is not flushed is kept in any case: a
 * snapshot begins there. */
void order_past_add(struct order_node *node, const struct gcs_message *message, uint64_t index,
                    struct hash128 before);
void order_past_fetch(struct order_node *node, uint8_t peer, const struct fetch *fetch);

#endif
