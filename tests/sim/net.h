/* The simulated network: the transport contract (net/transport.h) between processes of one world.
 *
 * A connection is two pipes. Each is first-in first-out; different ones reorder freely. A frame is
 * copied at its sending, as into the memory of another machine. What a turn sent arrives in one
 * turn. Pipes hold a limited number of bytes (socket buffers); behind them the send queue fills up.
 *
 * Faults: reset (each direction loses a random tail of what was under way), stall of a pipe, blocks
 * between hosts (nothing arrives; both ways or one way; or only what is small), bytes that are
 * spoiled, the end of a process with or without a word to its peers. */
#ifndef TUTTI_SIM_NET_H
#define TUTTI_SIM_NET_H

#include "net/transport.h"
#include "tests/sim/world.h"

enum { SIM_HOSTS_MAX = 32 };

struct sim_listener;
struct sim_link;

struct sim_net {
    struct world *world;
    uint64_t delay_low_ns, delay_high_ns;
    uint64_t connect_timeout_ns; /* of a connect into a block */
    uint64_t silence_timeout_ns; /* until a host that vanished silently counts as gone */
    uint8_t blocked[SIM_HOSTS_MAX][SIM_HOSTS_MAX];          /* [from][to]: number of blocks */
    uint32_t frame_bytes_max[SIM_HOSTS_MAX][SIM_HOSTS_MAX]; /* that gets through; 0: any */
    uint64_t slower_ns[SIM_HOSTS_MAX][SIM_HOSTS_MAX];
    LIST_HEAD(, sim_listener) listeners;
    TAILQ_HEAD(sim_link_list, sim_link) links;
    uint32_t link_count;
    uint16_t port_next;
    uint64_t frames_lost; /* by resets and deaths */
    /* Every frame as it is sent; may be NULL. @from, @to: hosts. */
    void (*tap)(void *user, uint32_t from, uint32_t to, uint16_t type, const uint8_t *payload,
                uint32_t bytes);
    void *tap_user;
    /* A frame was sent, or taken, at a host; may be NULL. */
    void (*moved)(void *user, uint32_t host, bool sent, uint16_t type);
    void *moved_user;
};

void sim_net_init(struct sim_net *net, struct world *world);
void sim_net_finish(struct sim_net *net);

/* A transport for one process on host `host` (0 .. SIM_HOSTS_MAX - 1). Its address part is free: an
 * address is known by who listens on it. */
struct net_transport *sim_transport_create(struct sim_net *net, struct process *process,
                                           uint32_t host);

enum sim_death {
    SIM_DEATH_KILLED, /* the kernel lives on: what was sent arrives, then the connections end */
    SIM_DEATH_POWER,  /* silence, until the host is back or a time-out passes */
};

/* The process behind the transport is dead (process_kill first): nothing more reaches it; its own
 * calls do nothing. The transport still has to be destroyed, after what used it: that calls
 * `closed`, so that whoever frees memory there can. */
void sim_transport_kill(struct net_transport *transport, enum sim_death death);

/* The host is up again: connections to what ran there before get a reset. */
void sim_net_host_up(struct sim_net *net, uint32_t host);

/* Break one open connection picked at random among those that touch `host` (UINT32_MAX: any).
 * False: there is none. */
bool sim_net_reset(struct sim_net *net, uint32_t host);

/* Nothing arrives in one direction of one connection for a while. False: there is none. */
bool sim_net_stall(struct sim_net *net, uint64_t duration_ns);

/* Block or unblock one direction between two hosts; blocks are counted. */
void sim_net_block(struct sim_net *net, uint32_t from, uint32_t to);
void sim_net_unblock(struct sim_net *net, uint32_t from, uint32_t to);

/* Connections of this host that are blocked end now, at both ends; what is under way is lost. */
void sim_net_end_blocked(struct sim_net *net, uint32_t host);

/* Bytes of the next frame in one direction of one connection are spoiled: *strikes is increased
 * then. False: there is no connection. */
bool sim_net_spoil(struct sim_net *net, uint64_t *strikes);
/* Where nothing was spoiled yet, nothing will be. */
void sim_net_spoil_end(struct sim_net *net);

/* Frames of more than `bytes` (with their header) don't get from host to host, nor does what
 * follows on their connection. 0: they do again. */
void sim_net_swallow(struct sim_net *net, uint32_t from, uint32_t to, uint32_t bytes);

/* What two hosts send each other takes so much longer. */
void sim_net_slow(struct sim_net *net, uint32_t a, uint32_t b, uint64_t slower_ns);

#endif
