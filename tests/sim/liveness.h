/* The liveness phase at the end of a seed: a minority stays broken, the rest has to get work done.
 */
#ifndef TUTTI_SIM_LIVENESS_H
#define TUTTI_SIM_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

struct cluster;

/* Whether there is something to break. A machine alone is killed and started again, which
 * durability = memory does not allow. */
bool liveness_possible(const struct cluster *cluster);

/* Break, for good, what the group can do without: all are level in one view. */
void liveness_freeze(struct cluster *cluster);

/* For cluster.c's waiting: enough was done since; the rest is one view, level, and has answered
 * everything. */
bool liveness_progress(struct cluster *cluster, char detail[256]);
bool liveness_level(struct cluster *cluster, char detail[256]);

/* Everything heals. */
void liveness_thaw(struct cluster *cluster);

#endif
