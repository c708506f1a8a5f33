/* Replicas that answer operators, and a group that some of them form. */
#ifndef TUTTI_TESTS_CLIENT_CTL_RIG_H
#define TUTTI_TESTS_CLIENT_CTL_RIG_H

#include "client/ctl.h"

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

enum manner { CIVIL, REFUSES, SILENT, NO_JSON, NO_OBJECT, NO_HELLO, FAILS, GONE };

enum { REPLICAS = 3 };

struct replica {
    struct net_listener *listener;
    char address[64];
    int node, claims; /* what `probe` says, where it is not 0 */
    enum manner manner;
    bool witness;
    char name[64], cluster[64], lineage[32];
    int creates, extra_inline;
    json_int_t time;
    uint64_t index;
    const char *history, *waiting_for;

    /* As part of a group; the group's own state is in `group`. */
    bool in_group, draining;
    const char *state; /* NULL: as the group */
    int behind;        /* generations */
    int joins, leaves, removes, forces, clients;
    int join_polls; /* joining: so many questions until it is in the view */
};

/* What its members agree on: bits by node. */
struct group {
    unsigned members, absent, witnesses;
    uint64_t epoch;
    bool running;
    const char *waiting_for;
    int leave_polls; /* so many questions until who leaves is out */
    unsigned leaving;
};

extern struct world {
    struct loop *loop;
    struct net_transport *transport;
    pthread_t thread;
    struct replica replicas[REPLICAS];
    struct group group;
} world;

extern char said[8192]; /* by the last command, on both outputs */

void setup(const enum manner manners[REPLICAS]);
/* Replicas whose bit (1 << node) is set form a group that runs; the others wait, empty. */
void setup_group(unsigned members);
void begin(void);
void teardown(void);

/* The command of `cluster create` and `status`: all replicas. */
enum ctl_exit run_command(enum ctl_exit (*call)(const struct ctl_command *), bool json);
/* Any command, its words kept. */
enum ctl_exit run_prepared(enum ctl_exit (*call)(const struct ctl_command *),
                           const struct ctl_command *command);

extern const enum manner civil[REPLICAS];

#endif
