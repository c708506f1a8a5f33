/* A whole replica (mds/replica.h) on a simulated machine. */
#ifndef TUTTI_SIM_REPLICA_NODE_H
#define TUTTI_SIM_REPLICA_NODE_H

#include "mds/replica.h"
#include "tests/sim/cluster.h"

extern const struct host_ops replica_node_ops; /* host->program is a struct replica_node */

/* What the seed decides about all replicas. */
struct replica_shape {
    uint64_t cache_bytes, log_segment_bytes, session_timeout_ns;
    struct nspace_limits limits;
};
void replica_shape_draw(struct replica_shape *shape, struct world *world);

/* Format every member's disk and store, as `tuttictl cluster create` does. */
void replica_nodes_format(struct cluster *cluster);

/* Stop it in an orderly way; replica_node_stopped tells when it is done. */
void replica_node_stop(struct host *host);
bool replica_node_stopped(const struct host *host);

/* Reads that waited for a pending write, since the start of its present life. */
uint64_t replica_node_reads_waited(const struct host *host);

/* The shape, kept by the load (replica_load.c). */
const struct replica_shape *replica_load_shape(const struct cluster *cluster);

/* The disk of a machine that joins a group that runs. */
void replica_node_format(struct cluster *cluster, uint32_t member);

/* Operators' requests; true where they were taken. */
bool replica_node_leave(struct host *host, bool back);
bool replica_node_remove(struct host *host, uint8_t node);

/* A supervisor says that this one has ended. */
void replica_node_death(struct host *host, const struct replica_view_report *dead);

/* What a replica last told its supervisor (replica_load.c). */
void replica_load_report(struct cluster *cluster, uint32_t member,
                         const struct replica_view_report *report);

/* JSON, for the caller to free; NULL: it is off. */
char *replica_node_status(const struct host *host);

#endif
