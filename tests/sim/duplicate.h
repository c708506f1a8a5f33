/* Old requests that arrive a second time: requests of clients are kept as they were sent, and now
 * and then sent again over a connection of their own, to any replica. */
#ifndef TUTTI_SIM_DUPLICATE_H
#define TUTTI_SIM_DUPLICATE_H

#include "tests/sim/cluster.h"
#include "tests/sim/history.h"

struct duplicator;

struct duplicator *duplicator_create(struct cluster *cluster, uint32_t host,
                                     void (*replied)(void *user,
                                                     const struct proto_request *request,
                                                     const struct proto_reply *reply),
                                     void *user);
void duplicator_destroy(struct duplicator *duplicator);

/* A request frame, as a client sends it. */
void duplicator_keep(struct duplicator *duplicator, const uint8_t *payload, uint32_t bytes);

/* Send some of those that are kept. False: there are none, or it is busy. */
bool duplicator_fire(struct duplicator *duplicator);

#endif
