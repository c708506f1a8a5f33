/* A simulated store: the contract of store/store.h over records that outlive processes.
 *
 * Batches that were not synced survive a power cut up to a random one of them. */
#ifndef TUTTI_SIM_STORE_H
#define TUTTI_SIM_STORE_H

#include "store/store.h"
#include "tests/sim/world.h"

struct vault; /* opaque: what one machine's store holds */

struct vault *vault_create(struct world *world);
void vault_destroy(struct vault *vault);

/* Whether a store was ever created in it. */
bool vault_formatted(const struct vault *vault);

/* The store as one process sees it; -ENOENT without @create where there is none yet, -EEXIST with
 * it where there is one. */
int sim_store_open(struct vault *vault, bool create, struct store **ret_store,
                   struct error *error) WARN_UNUSED;

/* A second, empty store next to it; what was there is removed. Later it takes the first one's
 * place:
 * @process: vault_process when the caller's process began; of a dead one it has no effect. */
int sim_store_open_incoming(struct vault *vault, struct store **ret_store,
                            struct error *error) WARN_UNUSED;
int sim_store_promote(struct vault *vault, uint64_t process, struct error *error) WARN_UNUSED;
uint64_t vault_process(const struct vault *vault);

/* Writes through stores opened so far have no effect any more; they report success to the dead. */
void vault_cut_process(struct vault *vault);

void vault_power_cut(struct vault *vault);

/* The next synced write fails with -EIO and is not done. */
void vault_fail_sync(struct vault *vault);

/* A table goes bad: some records next to each other can't be read before they are written anew.
 * False: there are none. */
bool vault_damage(struct vault *vault);
bool vault_is_damaged(const struct vault *vault); /* and has not been replaced since */
bool vault_was_damaged(const struct vault *vault);
bool vault_damage_is_met(const struct vault *vault);
void vault_repair(struct vault *vault); /* a whole copy is put in its place */

/* Faults that were injected and did not strike yet are taken back. */
void vault_heal(struct vault *vault);

struct vault_counters {
    uint64_t writes, syncs, syncs_failed, batches_lost;
};
void vault_counters(const struct vault *vault, struct vault_counters *ret_counters);

#endif
