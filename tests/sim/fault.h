/* What goes wrong, when: a schedule drawn from the seed. Each fault that has an effect is counted.
 */
#ifndef TUTTI_SIM_FAULT_H
#define TUTTI_SIM_FAULT_H

#include "tests/sim/world.h"

struct cluster;

enum fault_kind {
    FAULT_RESET,        /* a connection breaks, what was under way is lost from a random point on */
    FAULT_STALL,        /* one direction of a connection stands still */
    FAULT_PARTITION,    /* two hosts can't reach each other */
    FAULT_ONE_WAY,      /* one host can't reach another one */
    FAULT_CRASH,        /* a member is killed; its page cache survives */
    FAULT_POWER,        /* a member loses power; what was not synced is lost */
    FAULT_CRASH_ALL,    /* all members are killed at once */
    FAULT_POWER_ALL,    /* all members lose power at once */
    FAULT_PAUSE,        /* a member stands still */
    FAULT_SLOW_DISK,    /* a member's disk is 30 times slower for a while */
    FAULT_TORN,         /* power cuts leave garbage in tails (goes with power, power-all) */
    FAULT_DISK_ERROR,   /* a sync fails, or the disk is full */
    FAULT_CLOCK,        /* a member's wall clock jumps, by minutes, both ways */
    FAULT_CLIENT_RESET, /* a client's connection breaks */
    FAULT_CLIENT_MOVE,  /* a client goes to another replica with everything in flight */
    FAULT_CLIENT_CRASH, /* a client dies; another one takes its place */
    FAULT_DUPLICATE,    /* old requests of clients arrive a second time */
    FAULT_COUNT
};

const char *fault_name(enum fault_kind kind);

/* A set from names separated by commas ("all", "none"). False: an unknown name. */
bool fault_parse(const char *text, uint32_t *ret_set);

struct faults {
    struct cluster *cluster;
    uint32_t set;        /* allowed in this seed */
    uint64_t gap_ns;     /* the longest time between two of one storm */
    uint64_t storm_left; /* faults of this storm */
    struct event next;
    uint64_t fired[FAULT_COUNT];
    LIST_HEAD(, fault_undo) undos; /* what has to be healed later */
};

void faults_begin(struct faults *faults, struct cluster *cluster, uint32_t set);

/* No more faults; everything that is broken heals now, machines that are off come up. */
void faults_heal(struct faults *faults);
void faults_finish(struct faults *faults);

/* How many faults fired. */
uint64_t faults_total(const struct faults *faults);

#endif
