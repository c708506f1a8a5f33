/* The shell around the core: links, timers, callbacks. Seen by driver*.c and gcs.c alone. */
#ifndef TUTTI_GCS_DRIVER_H
#define TUTTI_GCS_DRIVER_H

#include "base/log.h"
#include "base/prng.h"
#include "gcs-fastdelivery/core.h"

enum { GCS_WAITING_BYTES = sizeof((struct gcs_status *)0)->waiting_for };

/* One node that this member knows, and the one connection to it. */
struct driver_link {
    struct gcs *gcs;
    uint8_t peer;                 /* the slot; that of the core */
    struct gcs_member member;     /* node 0: the slot is free */
    bool configured;              /* the owner named it */
    char told[GCS_ADDRESS_BYTES]; /* another address, learned; empty: none */
    bool tries_told;              /* the one in use */
    struct net_conn *conn; /* NULL: none. Its `user` is this link, or NULL once it was let go */
    bool greeted;          /* the peer's hello was taken: the core knows the link */
    bool waits;            /* for the next attempt */
    bool full;             /* the queue refused DATA: none is sent until it drained */
    struct gcs_message refused; /* the first one: epoch, seq */
    uint64_t heard_ns;
    uint64_t pause_ns; /* before the next attempt */
    struct loop_timer retry;
};

struct gcs {
    struct gcs_config config;
    struct gcs_core *core;
    void *memory;
    bool started, ending, ended, draining, clock_runs;
    struct loop_task task;
    struct loop_timer tick, clock;
    struct prng prng;
    struct driver_link links[GCS_PEER_MAX];
    struct log_limit log_limit;
    uint64_t frames_sent, acknowledgements_sent, messages_sent;
};

/* driver.c: one event; what follows from it is done at the end of the turn, in LOOP_PHASE_ORDER. */
int driver_event(struct gcs *gcs, struct gcs_event *event);
/* Do what the core wants done, now. */
void driver_drain(struct gcs *gcs);
void driver_start(struct gcs *gcs);
/* The end: `failed` is called, nothing after it. */
void driver_fail(struct gcs *gcs, const char *text);
void driver_tick(struct loop_timer *timer);
void driver_clock(struct loop_timer *timer);
void driver_describe_waiting(struct gcs *gcs, char text[GCS_WAITING_BYTES]);
void driver_view(struct gcs *gcs, struct gcs_view *ret_view);

/* driver_link.c */
int driver_links_init(struct gcs *gcs);
/* The link of this node; @add: make one where there is none. NULL: no slot is free. */
struct driver_link *driver_link_of(struct gcs *gcs, uint8_t node, bool add);
void driver_learn(struct gcs *gcs, const struct gcs_member *member, bool is_sure);
/* The one in use; empty: none is known. */
const char *driver_address(const struct driver_link *link);
void driver_hang_up(struct driver_link *link);
void driver_send(struct driver_link *link, const struct gcs_action *action);
void driver_check_links(struct gcs *gcs);

/* driver_book.c: addresses, told to the others; false: malformed. */
void driver_book_tell(struct driver_link *link);
bool driver_book_take(struct gcs *gcs, const void *bytes, size_t count);
/* The small state as the owner keeps it: the core's, and the addresses. */
size_t driver_book_encode(struct gcs *gcs, uint8_t to[GCS_STATE_BYTES_MAX]);
/* @ret_bytes: of the core's state, which begins at @ret_core. 0 or -EBADMSG. */
int driver_book_decode(struct gcs *gcs, const void *state, size_t bytes, const void **ret_core,
                       size_t *ret_bytes);

#endif
