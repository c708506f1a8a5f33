/* What the disk says of this node's place in its group.
 *
 * The group's own state (the file `group`) is the vote of a member, or of a candidate. A node that
 * is outside has none: the mark `outside` is written first, then vote and log go, so that a crash
 * in between leaves a member that is told once more that it is out, and a node without a vote never
 * takes itself for a founder. */
#ifndef TUTTI_MDS_STANDING_H
#define TUTTI_MDS_STANDING_H

#include "mds/identity.h"

enum standing {
    STANDING_IN,       /* it has a vote, or is a founder that has not voted yet */
    STANDING_OUT,      /* outside, with a store to go on from */
    STANDING_EMPTY,    /* outside, and its store is none, or not to be used */
    STANDING_DIVERGED, /* the same, and the store is evidence, to be put aside */
    STANDING_DAMAGED,  /* the same: it can't be read */
};

/* All block. 0 or negative errno. */
int standing_read(struct disk *disk, const struct identity *identity, enum standing *ret_standing,
                  struct error *error) WARN_UNUSED;

/* The epoch of the newest view that the vote knows of; without a vote 0. -EBADMSG: it is damaged.
 */
int standing_epoch(struct disk *disk, uint64_t *ret_epoch, struct error *error) WARN_UNUSED;

/* Give up the vote and what the log holds. @standing: not IN. */
int standing_give_up(struct disk *disk, enum standing standing, struct error *error) WARN_UNUSED;

/* Whom the vote knows is who is asked from now on. */
int standing_keep_voters(struct disk *disk, struct error *error) WARN_UNUSED;

/* Both: the contacts go over from the vote. */
int standing_leave(struct disk *disk, enum standing standing, struct error *error) WARN_UNUSED;

/* Whom the last vote, or whoever fed this node since, knew by which address, for
 * gcs_create(outside): on the heap, for the caller to free; NULL: nothing, or it is damaged. */
int standing_keep_contacts(struct disk *disk, const void *state, size_t bytes,
                           struct error *error) WARN_UNUSED;
int standing_contacts(struct disk *disk, void **ret_state, size_t *ret_bytes,
                      struct error *error) WARN_UNUSED;

#endif
