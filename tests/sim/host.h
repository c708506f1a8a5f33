/* One machine of the simulated cluster: a medium that stays, and a process that comes and goes.
 *
 * What runs on it is given by `struct host_ops`: a replica (replica_node.c), a bare member of the
 * group (order_node.c), a client (client.c). */
#ifndef TUTTI_SIM_HOST_H
#define TUTTI_SIM_HOST_H

#include "tests/sim/disk.h"
#include "tests/sim/net.h"
#include "tests/sim/store.h"
#include "tests/sim/world.h"

struct host;

struct host_ops {
    /* Bring the program up in host->process. 0 or a negative errno; `destroy` follows then too. */
    int (*start)(struct host *host, struct error *error);
    /* Free the program. The process may be dead (then nothing that is called has an effect). */
    void (*destroy)(struct host *host);
};

struct host {
    struct world *world;
    struct sim_net *net;
    uint32_t id; /* on the network */
    char name[24];
    const struct host_ops *ops;
    void *program; /* owned by ops */
    void *user;
    bool up;
    bool excused; /* a disk fault was put in: it may say that it fails, or not start */
    bool torn;    /* a power cut may leave garbage */
    uint64_t lives;
    struct process *process;
    struct platter *platter;
    struct vault *vault;
    struct net_transport *transport;
    struct disk *disk;
    uint64_t slow_factor; /* of its work queues; 1: normal */
    struct event fail, restart, off;
};

void host_init(struct host *host, struct world *world, struct sim_net *net, uint32_t id,
               const char *name, const struct host_ops *ops, void *user);
void host_finish(struct host *host);

/* Power on. A program that does not come up is a violation. */
void host_start(struct host *host);

/* From inside the program: it can't go on. The machine stops, and comes back later. Without an
 * injected disk fault that is a violation. */
void host_program_failed(struct host *host, const char *detail);

/* The process dies between two events (never from inside one of its own). */
void host_crash(struct host *host, enum sim_death death);

/* The program was told to stop, and said that it is done: it ends, and what it writes at its very
 * end is written. */
void host_end(struct host *host);

/* From inside the program: it has ended, and nobody starts it again. */
void host_off(struct host *host);

/* An empty disk and an empty store in the place of the old ones. The machine is off. */
void host_wipe(struct host *host);

/* host_start after a while; nothing where it is up. */
void host_restart_later(struct host *host, uint64_t delay_ns);

/* All blocking work takes `factor` times as long. */
void host_set_slow(struct host *host, uint64_t factor);

#endif
