/* A cluster in one world: members, clients, faults, checks; one seed of the simulator.
 *
 * The course of a seed: start; load and faults until it has its size; heal (all machines back, no
 * fault any more); drain (everything is answered, all that belong to the group are in its view and
 * level, within a bounded number of steps); in every second seed, and where views were few, a
 * minority is broken for good, and the rest has to go on (liveness.h); all are stopped in order,
 * and started again with everything that was answered. */
#ifndef TUTTI_SIM_CLUSTER_H
#define TUTTI_SIM_CLUSTER_H

#include "tests/sim/check.h"
#include "tests/sim/fault.h"
#include "tests/sim/host.h"
#include "tests/sim/wrap.h"

enum { CLUSTER_CLIENTS_MAX = 8 };

struct sim_options {
    uint64_t seed;
    uint64_t steps;      /* at least; default 20,000 */
    uint64_t operations; /* at least; default 300 */
    uint32_t replicas;   /* that found it; 0: by the seed */
    uint64_t faults;     /* set of 1 << enum fault_kind; those that the seed may use */
    bool faults_given;
    int durability;  /* enum gcs_durability; -1: by the seed */
    bool only_order; /* the group alone, without namespace and clients */
    bool trace;
};

/* What a seed was made of. */
struct sim_result {
    uint64_t steps, operations, simulated_ns, trace_hash;
    uint64_t order, epochs, messages, resent, reads_waited, duplicates, snapshots, joins, outs;
    uint64_t liveness;
    uint64_t faults[FAULT_COUNT];
    uint64_t traps[TRAP_POINTS]; /* of crash-at */
    char violation[1024];
};

struct load_ops;

struct cluster {
    struct world world;
    struct sim_net net;
    struct checks checks;
    struct faults faults;
    struct sim_options options;
    struct wrap wrap;
    struct gcs_measures measures;
    enum gcs_durability durability;
    uint32_t window_messages;
    uint64_t heartbeat_ns, suspect_after_ns, lease_ns, start_wait_ns, lag_after_ns;
    uint64_t history_max; /* places of the order that a member keeps for joiners */
    struct gcs_member addresses[GCS_MEMBER_MAX];
    struct host members[GCS_MEMBER_MAX];
    struct seat seats[GCS_MEMBER_MAX];
    uint32_t member_count, founder_count; /* machines: the founders, then the spare ones */
    uint64_t snapshots, joins, outs;
    uint32_t frozen; /* liveness.c: machines that stay broken in the liveness phase, and how */
    uint32_t frozen_how;
    uint64_t work_done;     /* when it began */
    uint64_t liveness_runs; /* how often it was gone through */
    const struct load_ops *load_ops;
    void *load; /* of load_ops */
};

/* What runs on the members and who gives them work. */
struct load_ops {
    const struct host_ops *member;
    void (*begin)(struct cluster *cluster);    /* after the hosts are made, before they start */
    bool (*sized)(struct cluster *cluster);    /* enough operations were done */
    uint64_t (*done)(struct cluster *cluster); /* operations so far */
    void (*pause)(struct cluster *cluster);    /* begin nothing new */
    void (*resume)(struct cluster *cluster);   /* go on as before pause */
    bool (*drained)(struct cluster *cluster, char detail[256]); /* everything is answered */
    /* All members, who are level, are stopped in order; what their disks hold is checked. */
    void (*stop_all)(struct cluster *cluster);
    void (*count)(struct cluster *cluster, struct sim_result *result);
    void (*finish)(struct cluster *cluster);
    /* What a machine that is up does or waits for, for the trace. */
    void (*describe)(struct cluster *cluster, uint32_t member, char text[256]);
    /* Any machine sends a frame; may be NULL. */
    void (*sent)(struct cluster *cluster, uint32_t from, uint32_t to, uint16_t type,
                 const uint8_t *payload, uint32_t bytes);
    /* Faults of clients: true if it fired. */
    bool (*client_fault)(struct cluster *cluster, enum fault_kind kind);
    /* Prepare the empty disk of a machine that an operator adds. */
    void (*format)(struct cluster *cluster, uint32_t member);
    /* Operators' requests to a machine that is up; true where it took it. */
    bool (*leave)(struct cluster *cluster, uint32_t member, bool back);
    bool (*remove)(struct cluster *cluster, uint32_t by, uint8_t node);
    void (*stop)(struct cluster *cluster, uint32_t member); /* in order */
    /* The supervisor on machine `from` says to `to` that this incarnation has ended. */
    void (*death)(struct cluster *cluster, uint32_t from, uint32_t to, const struct seat *dead);
};

/* Run one seed. */
void sim_run(const struct sim_options *options, const struct load_ops *ops,
             struct sim_result *ret_result);

/* Invariant 3 (check_validity.c): true when there is nothing left to wait for; otherwise `detail`.
 */
bool check_validity(struct cluster *cluster, char detail[256]);

extern const struct load_ops order_load;   /* order_load.c */
extern const struct load_ops replica_load; /* replica_load.c */

static inline struct cluster *cluster_of_host(struct host *host)
{
    return host->user;
}
static inline uint32_t member_of_host(struct host *host)
{
    return (uint32_t)(host - cluster_of_host(host)->members);
}
static inline bool is_witness(const struct cluster *cluster, uint32_t member)
{
    return cluster->addresses[member].witness;
}

#endif
