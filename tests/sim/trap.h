/* A trap: a member is killed right after the n-th time that something chosen happened there. */
#ifndef TUTTI_SIM_TRAP_H
#define TUTTI_SIM_TRAP_H

#include "tests/sim/world.h"

struct cluster;

/* What can be waited for: frames between members by their type, sent or received, and moments of
 * the program on the machine. */
enum trap_moment {
    TRAP_SENT = 0,       /* + enum gcs_frame_type */
    TRAP_RECEIVED = 128, /* + enum gcs_frame_type */
    TRAP_VIEW = 256,     /* a view was installed */
    TRAP_EPOCH,          /* its event came */
    TRAP_SAVE,           /* the group's state is to be saved */
    TRAP_SAVED,
    TRAP_STORE,
    TRAP_FLUSH, /* the applied state was flushed */
    TRAP_OUT,
    TRAP_SNAPSHOT, /* one is needed, or a part of it came */
    TRAP_OPEN,     /* the program opened what it has on disk */
    TRAP_MOMENT_END,
};

enum { TRAP_ANYBODY = UINT32_MAX };

enum { TRAP_POINTS = 41 }; /* of these, what is waited for */

struct trap {
    struct cluster *cluster;
    bool armed;
    uint64_t armed_ns;
    uint32_t point, member, moment, countdown, caught;
    uint64_t fired[TRAP_POINTS];
    uint32_t deep;       /* crashes so far in one change of view; 0: no chain */
    uint64_t deep_epoch; /* of which view */
    struct event event;
};

void trap_init(struct trap *trap, struct cluster *cluster);
void trap_finish(struct trap *trap);

/* A point by its name, for people. */
const char *trap_name(uint32_t point, char text[32]);

/* Wait for something that is drawn. False: one has been armed a moment ago. */
bool trap_arm(struct trap *trap);

/* A member was just killed; wait for a step of the change of view that this brings, kill who takes
 * it, and once more. True. */
bool trap_chain(struct trap *trap);

/* It happened there. */
void trap_note(struct trap *trap, uint32_t member, uint32_t moment);

#endif
