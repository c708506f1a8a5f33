/* Inside of the simulated network: links, their two ends and two pipes. net.c is the contract on
 * top, net_fault.c what goes wrong, net_wire.c what goes wrong with bytes. */
#ifndef TUTTI_SIM_NET_LINK_H
#define TUTTI_SIM_NET_LINK_H

#include "tests/sim/net.h"

enum item_kind { ITEM_OPEN, ITEM_FRAME, ITEM_FIN };
enum { FRAME_HEADER_BYTES = 32 }; /* counted for every frame, as on a wire */

struct item {
    STAILQ_ENTRY(item) entry;
    enum item_kind kind;
    uint16_t type;
    uint32_t bytes;
    uint64_t arrive_ns;
    uint8_t payload[];
};
STAILQ_HEAD(item_list, item);

struct wire; /* net_wire.c */

struct pipe {
    struct sim_link *link;
    int from; /* index of the sending end */
    struct item_list items;
    uint32_t bytes; /* under way */
    uint64_t last_ns;
    uint64_t stalled_until_ns;
    bool held;           /* the receiver paused, or a block: wait for a kick */
    struct wire *wire;   /* it carries bytes; NULL: frames */
    struct event arrive; /* of the receiving process */
};

enum end_state { END_NONE, END_CONNECTING, END_OPEN, END_CLOSING, END_FINISHED };

struct sim_transport {
    struct net_transport base;
    struct sim_net *net;
    struct process *process;
    uint32_t host;
    bool dead;
    struct net_counters counters;
};

struct end {
    struct net_conn conn;
    struct sim_link *link;
    struct sim_transport *transport;
    const struct net_handlers *handlers;
    struct net_limits limits;
    enum end_state state;
    bool counted; /* in connections_open */
    bool paused, was_full;
    bool unwanted; /* closed before it was accepted */
    enum net_reason reason;
    struct item_list queue;
    uint32_t queued_bytes;
    struct loop_task flush;
    struct event closed, room;
};

struct sim_link {
    struct sim_net *net;
    struct end ends[2];   /* [0] connected, [1] accepted */
    struct pipe pipes[2]; /* [i] from ends[i] */
    char address[64];
    uint32_t hosts[2]; /* UINT32_MAX: not known yet */
    uint32_t pipe_bytes_max;
    uint64_t base_ns, begun_ns;
    struct event syn, accept, timeout;
    TAILQ_ENTRY(sim_link) entry;
};

struct sim_listener {
    struct net_listener base;
    struct sim_transport *transport;
    struct net_limits limits;
    struct net_accept accept;
    LIST_ENTRY(sim_listener) entry;
};

static inline struct end *end_of(const struct net_conn *conn)
{
    return (struct end *)((char *)(uintptr_t)conn - offsetof(struct end, conn));
}
static inline int end_side(const struct end *end)
{
    return end == &end->link->ends[1];
}
static inline struct end *end_peer(struct end *end)
{
    return &end->link->ends[!end_side(end)];
}

/* A link with both ends unused. Freed when both are finished or were never used. */
struct sim_link *link_create(struct sim_net *net);

/* Give one end to a transport. */
void end_attach(struct end *end, struct sim_transport *transport, const struct net_limits *limits);

/* Tell the user of this end, soon, that it is over. Nothing where it is known already. */
void end_close_later(struct end *end, enum net_reason reason, uint64_t delay_ns);

/* Nobody refers to this end any more. May free the link. */
void end_finish(struct end *end);

/* Move as much of the send queue into the pipe as it has room for (@all: regardless of room). */
void end_flush(struct end *end, bool all);

/* Put a mark (ITEM_OPEN, ITEM_FIN) behind what the end has sent. */
void pipe_mark(struct pipe *pipe, enum item_kind kind);

/* A frame has arrived. */
void end_take_frame(struct end *end, const struct net_frame *frame);

/* What arrived is none: this end closes, and what is on its way here is lost. */
void end_refuse(struct end *end);

/* From now on the pipe carries bytes, and the next frame's are spoiled. */
void wire_lay(struct pipe *pipe, uint64_t *strikes);
/* Where they are not yet, they will not be. */
void wire_spare(struct pipe *pipe);
void wire_free(struct pipe *pipe);
void wire_take(struct wire *wire, struct end *end, const struct item *item);

/* Go on delivering after a hold. */
void pipe_kick(struct pipe *pipe);

#endif
