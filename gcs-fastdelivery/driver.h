/* The shell around the core: links, timers, callbacks. Seen by driver*.c and gcs.c alone. */
#ifndef TUTTI_GCS_DRIVER_H
#define TUTTI_GCS_DRIVER_H

#include "base/log.h"
#include "base/prng.h"
#include "gcs-fastdelivery/core.h"

enum { GCS_WAITING_BYTES = sizeof((struct gcs_status *)0)->waiting_for };

/* The one connection to a peer. */
struct driver_link {
    struct gcs *gcs;
    uint8_t rank;
    struct net_conn *conn; /* NULL: none. Its `user` is this link, or NULL once it was let go */
    bool greeted;          /* the peer's hello was taken: the core knows the link */
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
    uint8_t rank;
    bool started, failed, draining;
    struct loop_task task;
    struct loop_timer tick;
    struct prng prng;
    struct driver_link links[GCS_MEMBER_MAX];
    struct log_limit log_limit;
    uint64_t frames_sent, acknowledgements_sent, messages_sent;
};

/* driver.c: one event; what follows from it is done at the end of the turn, in LOOP_PHASE_ORDER. */
int driver_event(struct gcs *gcs, const struct gcs_event *event);
void driver_start(struct gcs *gcs);
void driver_tick(struct loop_timer *timer);
void driver_describe_waiting(const struct gcs *gcs, char text[GCS_WAITING_BYTES]);

/* driver_link.c */
void driver_connect(struct driver_link *link);
void driver_hang_up(struct driver_link *link);
void driver_send(struct driver_link *link, const struct gcs_action *action);
void driver_check_links(struct gcs *gcs);
bool driver_connected(const struct gcs *gcs, uint8_t rank);

#endif
