/* What goes wrong, when: a schedule drawn from the seed. Each fault that has an effect is counted.
 */
#ifndef TUTTI_SIM_FAULT_H
#define TUTTI_SIM_FAULT_H

#include "tests/sim/net.h"
#include "tests/sim/seat.h"
#include "tests/sim/stranger.h"
#include "tests/sim/trap.h"
#include "tests/sim/world.h"

struct cluster;

enum fault_kind {
    /* the network between members: fault_net.c */
    FAULT_RESET,     /* a connection breaks, what was under way is lost from a random point on */
    FAULT_STALL,     /* one direction of a connection stands still */
    FAULT_PARTITION, /* two hosts can't reach each other */
    FAULT_ONE_WAY,   /* one host can't reach another one */
    FAULT_FLAP,      /* a pair is cut and healed again and again, at about the suspicion time */
    FAULT_CLOG,      /* some hosts are cut off one by one, and come back in another order */
    FAULT_ISOLATE,   /* one host reaches nobody */
    FAULT_SPLIT,     /* the hosts fall into two parts */
    FAULT_UNPLUG,    /* one host reaches nobody, and its connections end at both ends at once */
    FAULT_SLOW_LINK, /* frames of a pair take up to 200 ms longer for a while */
    /* machines and their processes: fault_host.c */
    FAULT_CRASH,     /* a member is killed; its page cache survives */
    FAULT_POWER,     /* a member loses power; what was not synced is lost */
    FAULT_CRASH_ALL, /* all members are killed at once */
    FAULT_POWER_ALL, /* all members lose power at once */
    FAULT_OUTAGE,    /* all go down one by one and come back in another order, one perhaps empty */
    FAULT_CRASH_AT,  /* a member is killed right after something chosen happened there */
    FAULT_CHAIN, /* three crashes in one change of view, each at a step of what the last began */
    FAULT_CUT_CRASH,   /* one member is cut off, others are killed and back at once */
    FAULT_CRASH_AGAIN, /* a member that was down is killed again while it recovers */
    FAULT_DEATH,       /* the supervisor of a killed process tells the others */
    FAULT_PAUSE,       /* a member stands still */
    FAULT_LONG_PAUSE,  /* for longer than leases and suspicion, up to two minutes */
    FAULT_PAUSE_ALL,   /* all stand still at once */
    FAULT_DRIFT,       /* clocks run at different rates, within the bound */
    FAULT_CLOCK,       /* a member's wall clock jumps, by minutes, both ways */
    /* disks: fault_disk.c */
    FAULT_SLOW_DISK,  /* a member's disk is 30 times slower for a while */
    FAULT_TORN,       /* power cuts leave garbage in tails (goes with power, power-all) */
    FAULT_DISK_ERROR, /* a sync fails, or the disk is full */
    FAULT_WIPE,       /* a member loses its disk and is added again with an empty one */
    /* operators: fault_member.c */
    FAULT_ADD,        /* a machine joins */
    FAULT_JOIN_CRASH, /* a machine joins, and it or another one is killed meanwhile */
    FAULT_LEAVE,      /* a member is asked to leave for good */
    FAULT_DRAIN,      /* a member leaves and comes back */
    FAULT_REMOVE,     /* a member that is away is removed */
    /* clients: the load */
    FAULT_CLIENT_RESET, /* a client's connection breaks */
    FAULT_CLIENT_CUT,   /* a client and a member can't reach each other */
    FAULT_CLIENT_MOVE,  /* a client goes to another replica with everything in flight */
    FAULT_CLIENT_CRASH, /* a client dies; another one takes its place */
    FAULT_DUPLICATE,    /* old requests of clients arrive a second time */
    FAULT_STOP,         /* an operator stops a member in order; it is started again */
    /* What came later; drawn apart, so that seeds without these are what they were. */
    FAULT_CORRUPT,    /* bytes of a frame are spoiled on their way */
    FAULT_BLACK_HOLE, /* large frames of a pair don't arrive, small ones do */
    FAULT_WRAP,       /* counters begin near 2^31 or 2^32, clocks near 2038 or 2106 */
    FAULT_STRANGER,   /* somebody who does not belong here wants to be taken in */
    FAULT_DAMAGE,     /* a table of a member's store goes bad */
    FAULT_CUT_WIPE,   /* a member loses its disk while two others can't hear each other */
    FAULT_COUNT
};
enum { FAULT_LATER_FIRST = FAULT_CORRUPT, FAULT_LAST_FIRST = FAULT_CUT_WIPE };

#define FAULT_BIT(kind) (UINT64_C(1) << (kind))

const char *fault_name(enum fault_kind kind);

/* A set from names separated by commas ("all", "none"). False: an unknown name. */
bool fault_parse(const char *text, uint64_t *ret_set);

/* Something that follows from a fault later on. */
struct fault_task {
    struct event event;
    struct faults *faults;
    void (*run)(struct faults *faults, struct fault_task *task);
    bool heals; /* it ends a fault: at the end it is done at once; others are dropped then */
    uint32_t a, b;
    uint64_t n;
    LIST_ENTRY(fault_task) entry;
};

struct faults {
    struct cluster *cluster;
    uint64_t set;        /* allowed in this seed */
    uint64_t gap_ns;     /* the longest time between two of one storm */
    uint64_t storm_left; /* faults of this storm */
    struct event next;
    uint64_t fired[FAULT_COUNT];
    struct trap trap;
    struct stranger *stranger;        /* NULL: none has come yet */
    struct seat dead[GCS_MEMBER_MAX]; /* as they were when they were last killed */
    uint32_t stopping;                /* set of members */
    bool over;                        /* healed */
    LIST_HEAD(, fault_task) tasks;
};

void faults_begin(struct faults *faults, struct cluster *cluster, uint64_t set);

/* No more faults; everything that is broken heals now, machines that are off come up. */
void faults_heal(struct faults *faults);
void faults_finish(struct faults *faults);

/* How many faults fired. */
uint64_t faults_total(const struct faults *faults);

/* ---- between the files ---- */

typedef void (*fault_run)(struct faults *faults, struct fault_task *task);
void fault_later(struct faults *faults, fault_run run, uint32_t a, uint32_t b, uint64_t n,
                 uint64_t delay_ns);
void fault_heal_later(struct faults *faults, fault_run run, uint32_t a, uint32_t b,
                      uint64_t delay_ns);
uint64_t fault_draw(struct faults *faults, uint64_t limit);

/* True if it fired. */
bool fault_net(struct faults *faults, enum fault_kind kind);
bool fault_host(struct faults *faults, enum fault_kind kind);
bool fault_disk(struct faults *faults, enum fault_kind kind);
bool fault_member(struct faults *faults, enum fault_kind kind);

/* fault_host.c: a member goes down, and comes back after a while where it belongs to the group.
 * False: it is down, or durability = memory does not allow it now. */
bool fault_crash(struct faults *faults, uint32_t member, enum sim_death death);
/* It is killed, and back within milliseconds: before it is suspected, or others' leases end. */
bool fault_crash_short(struct faults *faults, uint32_t member);

/* fault_net.c: two hosts, members or clients, can't reach each other. */
void fault_cut(struct faults *faults, uint32_t a, uint32_t b, uint64_t duration_ns);
/* A member and all others. */
void fault_isolate(struct faults *faults, uint32_t member, uint64_t duration_ns);
/* Some time: short, or long enough for a change of view. */
uint64_t fault_duration(struct faults *faults);

/* fault_disk.c: an operator puts a whole copy in the place of a damaged store, where the others
 * can't go on without it: it has been told so, or waits for them. */
void fault_repair(struct faults *faults);
/* fault_disk.c: whether the group can do without the disk of this member. */
bool fault_may_wipe(const struct cluster *cluster, uint32_t member);

#endif
