/* Which directory of a data directory holds the store.
 *
 * The meta file `store.place` holds a number; the store is in `store-N`, or in `store` where there
 * is no such file. So another store takes its place by one atomic write. What else is called
 * store-* is what an interrupted change left. All block. */
#ifndef TUTTI_MDS_STORE_PLACE_H
#define TUTTI_MDS_STORE_PLACE_H

#include "store/disk.h"

enum { STORE_PLACE_BYTES = 1100 };

/* The directory of the store. 0 or negative errno. */
int store_place_current(struct disk *disk, const char *data, char directory[STORE_PLACE_BYTES],
                        struct error *error) WARN_UNUSED;

/* A directory for the next one; what was there is removed. */
int store_place_incoming(struct disk *disk, const char *data, char directory[STORE_PLACE_BYTES],
                         struct error *error) WARN_UNUSED;

/* From now on that is the current one. The old one is removed, or kept as diverged-N. */
int store_place_promote(struct disk *disk, const char *data, bool keep_old,
                        struct error *error) WARN_UNUSED;

#endif
