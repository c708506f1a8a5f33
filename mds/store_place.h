/* Which directory of a data directory holds the store.
 *
 * The meta file `store.place` names it by a number: `store-N`, or `store` where there is no such
 * file. So the incoming store, number N + 1, takes the current one's place by one atomic write.
 * What an interrupted change left (the one before, the one after) is brought to its end when the
 * current one is opened the next time. All block; none may be called while an incoming store is
 * open. */
#ifndef TUTTI_MDS_STORE_PLACE_H
#define TUTTI_MDS_STORE_PLACE_H

#include "mds/replica.h"
#include "store/disk.h"

enum { STORE_PLACE_BYTES = 4096 }; /* room for a path; @data is shorter by 64 */

/* The directory of the store. @disk: that of the data directory @data. Cleans up besides.
 * 0; -EBADMSG: the meta file is damaged; -EPROTO: it is of a newer version; -errno. */
int store_place_current(struct disk *disk, const char *data, char directory[STORE_PLACE_BYTES],
                        struct error *error) WARN_UNUSED;

/* A directory for the next one; what was there is removed. Errors as above. */
int store_place_incoming(struct disk *disk, const char *data, char directory[STORE_PLACE_BYTES],
                         struct error *error) WARN_UNUSED;

/* From now on the incoming one is the current one. The old one is removed, or kept as diverged-N or
 * damaged-N; of each kind there is one at most, the newest.
 * -ENOENT: nothing has come in, and nothing was changed; otherwise errors as above. */
int store_place_promote(struct disk *disk, const char *data, enum replica_old old,
                        struct error *error) WARN_UNUSED;

#endif
