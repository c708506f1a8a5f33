/* The group as its replicas show it: who belongs to it and what each says of itself. */
#ifndef TUTTI_CLIENT_CTL_GROUP_H
#define TUTTI_CLIENT_CTL_GROUP_H

#include "client/ctl.h"

#include <jansson.h>

enum { CTL_NODES_MAX = 24 };

/* A node of the newest view, an absent one, or another one of the cluster that was asked. */
struct ctl_node {
    uint8_t node;
    char address[128];
    bool member, absent, witness;
    int rank;       /* of a member */
    bool connected; /* as the replica that was believed sees it */
    uint64_t applied;
    bool fenced;    /* of an older lineage: forced recovery left it behind */
    json_t *status; /* what it says itself; NULL: it was not to be reached */
};

struct ctl_group {
    char name[64], cluster[40], waiting_for[256];
    uint64_t generation, epoch, delivered;
    bool running;
    uint8_t asked;                        /* the node whose view this is */
    struct ctl_node nodes[CTL_NODES_MAX]; /* sorted by node */
    uint32_t count;
};

/* Ask the addresses and then everybody whom they name; believe the one of the newest lineage that
 * runs, with the newest view. Prints why it can't be had. Always ctl_group_finish. Blocks. */
enum ctl_exit ctl_group_find(const char *const *addresses, uint32_t count, uint64_t timeout_ns,
                             struct ctl_group *ret_group);
/* The same, and again within the timeout while the group does not run: it may be between two views.
 */
enum ctl_exit ctl_group_find_running(const char *const *addresses, uint32_t count,
                                     uint64_t timeout_ns, struct ctl_group *ret_group);
void ctl_group_finish(struct ctl_group *group);

/* The node's entry; NULL: there is none. */
const struct ctl_node *ctl_group_node(const struct ctl_group *group, uint8_t node);

/* CTL_OK, or says that the group does not run, and for whom it waits. */
enum ctl_exit ctl_group_must_run(const struct ctl_group *group);

/* A member that runs, other than `but` (0: any); NULL: none. */
const struct ctl_node *ctl_group_runner(const struct ctl_group *group, uint8_t but);

/* "member", "witness", "absent", "fenced", or what the node says of itself ("joining", ...).
 * `to`: 32. */
const char *ctl_node_state(const struct ctl_node *node, char to[32]);

/* Percent of what a joiner needs; -1: it does not join. */
int ctl_node_percent(const struct ctl_group *group, const struct ctl_node *node);

/* One question to one replica; takes over `request`. The answer, where it is "ok": the caller drops
 * the reference. Otherwise NULL, *ret_exit says how, and the cause is printed unless `quiet`. */
json_t *ctl_ask(const char *address, json_t *request, uint64_t timeout_ns, bool quiet,
                enum ctl_exit *ret_exit);

/* --- waiting for what goes on by itself --- */

struct ctl_wait {
    const struct ctl_command *command;
    uint64_t since_ns;
    char said[160]; /* the last line of progress */
};
void ctl_wait_begin(struct ctl_wait *wait, const struct ctl_command *command);
/* Sleeps a moment. False when the time (--wait) is over. */
bool ctl_wait_more(struct ctl_wait *wait);
/* A line of progress, on stderr, when it is another one than before; none with --json. */
__attribute__((format(printf, 2, 3))) void ctl_wait_say(struct ctl_wait *wait, const char *format,
                                                        ...);
void ctl_wait_end(struct ctl_wait *wait);

#endif
