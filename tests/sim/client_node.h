/* A client of the simulated cluster: a real session (client/session.h) with several requests out.
 */
#ifndef TUTTI_SIM_CLIENT_NODE_H
#define TUTTI_SIM_CLIENT_NODE_H

#include "tests/sim/cluster.h"
#include "tests/sim/history.h"
#include "tests/sim/workload.h"

/* What all clients share; host->user of a client's machine. */
struct clients {
    struct cluster *cluster;
    struct history history;
    struct workload workload;
    struct host hosts[CLUSTER_CLIENTS_MAX];
    uint32_t count;
    bool paused;
    uint64_t resent; /* of sessions that are gone */
    /* An operation was answered. */
    void (*answered)(void *user, struct sim_op *op);
    void *user;
};

extern const struct host_ops client_node_ops;

/* Go to another replica with everything in flight. False: the client is down. */
bool client_node_move(struct host *host);

/* Begin operations again after a time in which clients->paused was set. */
void client_node_resume(struct host *host);

/* Requests that were sent again in this life. */
uint64_t client_node_resent(const struct host *host);

#endif
