/* Somebody who does not belong here: a replica of another cluster or lineage, of another version,
 * or with the id of the very node that it speaks to. It says hello to a member, asks to be taken in
 * (or for the state, or to be a client) without waiting for the answer, and has to be refused: no
 * hello ever comes back. One whose node id is taken is a joiner to the group, and may be greeted;
 * but it is configured otherwise, so it is not taken in either. */
#ifndef TUTTI_SIM_STRANGER_H
#define TUTTI_SIM_STRANGER_H

#include <stdbool.h>
#include <stdint.h>

struct cluster;
struct stranger; /* opaque */

/* @ends: increased when a visit ended that had reached a member. */
struct stranger *stranger_create(struct cluster *cluster, uint64_t *ends);
/* Visit a member. False: the last visit is not over. */
bool stranger_fire(struct stranger *stranger);
void stranger_destroy(struct stranger *stranger);

#endif
