/* A member of the bare group: gcs on the simulated network, its log and state on the simulated disk
 * (mds/journal.h), and a state machine that hashes what it is given. */
#ifndef TUTTI_SIM_ORDER_NODE_H
#define TUTTI_SIM_ORDER_NODE_H

#include "tests/sim/cluster.h"

struct order_node; /* host->program */

extern const struct host_ops order_node_ops;

/* As gcs_multicast; the payload is taken over. */
int order_node_multicast(struct order_node *node, struct blob *payload);

/* True while an epoch runs there, its window is open, and it was not asked to leave. */
bool order_node_ready(const struct order_node *node);

/* True where it would answer a read now. */
bool order_node_may_read(struct order_node *node);

/* The last index that it was given. */
uint64_t order_node_delivered(const struct order_node *node);

/* Operators' requests, and a supervisor's notice. */
bool order_node_leave(struct order_node *node, bool back);
bool order_node_leaving(const struct order_node *node);
bool order_node_remove(struct order_node *node, uint8_t target);
void order_node_stop(struct order_node *node);
void order_node_death(struct order_node *node, uint32_t member, const struct seat *dead);

void order_node_status(const struct order_node *node, struct gcs_status *ret_status);

/* ---- told to the load (order_load.c, order_reach.c) ---- */

/* Thresholds of docs/protocol.md 3.2, counted over all lives of a member. */
void order_load_received(struct cluster *cluster, uint32_t member,
                         const struct gcs_message *message);
void order_load_stored(struct cluster *cluster, uint32_t member, uint64_t epoch, uint8_t origin,
                       uint64_t seq);
void order_load_delivered(struct cluster *cluster, uint32_t member,
                          const struct gcs_message *message, uint64_t index);
void order_load_released(struct cluster *cluster, uint32_t member, uint64_t index);
/* It begins anew. */
void order_load_opened(struct cluster *cluster, uint32_t member);
void order_load_view(struct cluster *cluster, uint32_t member, const struct gcs_view *view,
                     bool self);
/* Its window opened, or its epoch began. */
void order_load_ready(struct cluster *cluster, uint32_t member);
/* It holds a lease again. */
void order_load_readable(struct cluster *cluster, uint32_t member);

#endif
