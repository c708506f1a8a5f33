/* A simulated disk: the contract of store/disk.h over a platter that outlives processes.
 *
 * What was appended and not synced survives a power cut up to a random byte, sometimes with garbage
 * at its end; a truncation that was not synced may not have happened; creations, renames and
 * unlinks that were not followed by sync_directory survive up to a random one of them. A killed
 * process loses nothing that it had written. */
#ifndef TUTTI_SIM_DISK_H
#define TUTTI_SIM_DISK_H

#include "store/disk.h"
#include "tests/sim/world.h"

struct platter; /* opaque: the medium of one machine */

struct platter *platter_create(struct world *world);
void platter_destroy(struct platter *platter);

/* The disk as one process sees it. Destroyed through its contract, before the platter. */
struct disk *sim_disk_create(struct platter *platter);

/* From now on the process's calls have no effect: after `operations` more of them. They report
 * success to the dead. */
void sim_disk_cut(struct disk *disk, uint32_t operations);

/* Power is gone: forget what a power cut forgets. @torn: a tail may hold garbage besides. */
void platter_power_cut(struct platter *platter, bool torn);

/* The next sync fails with -EIO, and what it should have made stable is lost by a later power cut.
 */
void platter_fail_sync(struct platter *platter);

/* Appends fail with -ENOSPC while it is full. */
void platter_set_full(struct platter *platter, bool full);

/* Faults that were injected and did not strike yet are taken back. */
void platter_heal(struct platter *platter);

struct platter_counters {
    uint64_t syncs, syncs_failed, appends, bytes_lost, torn, entries_lost;
};
void platter_counters(const struct platter *platter, struct platter_counters *ret_counters);

#endif
