/* What the operator knows of a machine; outlives its processes. */
#ifndef TUTTI_SIM_SEAT_H
#define TUTTI_SIM_SEAT_H

#include "gcs-fastdelivery/gcs.h"

struct cluster;

struct seat {
    bool belongs;   /* a founder, or added, and not removed since */
    bool added;     /* it has had no part in any view yet: it joins because it was added */
    bool to_remove; /* the others were asked to remove it */
    bool leaving;   /* it was asked to leave for good, or the others to remove it */
    uint8_t store;  /* generation of its disk: part of its store id */
    uint32_t knows; /* set of machines that it was told of, or heard of since */
    uint64_t incarnation_count, incarnation_random;
};

/* The store id of a machine's present disk. */
void seat_store(const struct seat *seat, uint32_t member, uint8_t store[16]);

/* A new incarnation begins there. */
void seat_incarnation(struct cluster *cluster, uint32_t member);

/* The disk of a machine that is off is replaced by an empty one, and the operator adds it. */
void seat_add(struct cluster *cluster, uint32_t member);

/* The member was told that it is out; true: it joins again, false: it stays away (and the machine
 * is switched off). A removal that nobody asked for is a violation. */
bool seat_out(struct cluster *cluster, uint32_t member, enum gcs_out why, const char *detail);

/* It was asked to leave and can't. */
void seat_stays(struct cluster *cluster, uint32_t member);

/* It is in a view: it was not added in vain. */
void seat_inside(struct cluster *cluster, uint32_t member);

/* Outside it has heard of a view, and remembers whom it consists of. */
void seat_hears(struct cluster *cluster, uint32_t member, const struct gcs_view *view);

/* Whether somebody who was added, and is in no view yet, knows nobody else who stays. No operator
 * takes that one away: nothing leads the other to the group. */
bool seat_is_needed(const struct cluster *cluster, uint32_t member);

#endif
