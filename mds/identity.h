/* Who a data directory is: which cluster, which node, which store; and how often it was started.
 *
 * Two meta files. `identity` is written last of all when a replica is formatted, and replaced where
 * standing or lineage change: without it a
 * directory holds no replica. `incarnation` is replaced at each start, synced before anything is
 * said to anybody (docs/protocol.md, section 1: member). */
#ifndef TUTTI_MDS_IDENTITY_H
#define TUTTI_MDS_IDENTITY_H

#include "gcs-fastdelivery/gcs.h"
#include "mds/nspace.h"
#include "store/disk.h"

enum { IDENTITY_ABSENT = 1, IDENTITY_NAME_BYTES = 64 };

/* What the owner of a directory knows of its place, beyond what the group's own state says. */
enum identity_standing {
    IDENTITY_MEMBER,  /* founder, or joined once */
    IDENTITY_ADDED,   /* an operator added it; it has not been in a view yet */
    IDENTITY_REMOVED, /* taken out for good: it stays away */
    IDENTITY_STANDING_COUNT
};

struct identity {
    uint8_t cluster[16];
    char name[IDENTITY_NAME_BYTES]; /* of the cluster */
    uint64_t lineage_random, lineage_generation;
    uint8_t node;
    bool witness; /* votes and stores views, no namespace */
    enum identity_standing standing;
    uint8_t store[16];                         /* drawn when the directory was formatted */
    struct gcs_member members[GCS_MEMBER_MAX]; /* founders; of an added one: who was there then */
    uint32_t member_count;
    int64_t born_ns;             /* when the cluster was created: the root directory's times */
    struct nspace_limits limits; /* they decide outcomes, so they are the same at all members */
};

struct incarnation {
    uint64_t count; /* starts of this directory, this one included */
    uint64_t random;
};

/* 0; IDENTITY_ABSENT; -EBADMSG damaged; -EPROTO written by a newer version; -errno. Blocks. */
int identity_read(struct disk *disk, struct identity *ret_identity,
                  struct error *error) WARN_UNUSED;
int identity_write(struct disk *disk, const struct identity *identity,
                   struct error *error) WARN_UNUSED;

/* Count 0, for a directory that is being formatted. */
int incarnation_format(struct disk *disk, struct error *error) WARN_UNUSED;

/* The next incarnation, on stable storage when it returns. -EBADMSG also where the file is gone: a
 * directory that has lost its count is not the member that the others know. */
int incarnation_next(struct disk *disk, uint64_t random, struct incarnation *ret_incarnation,
                     struct error *error) WARN_UNUSED;

/* 16 bytes as 32 hexadecimal digits and NUL, and back (0 or -EINVAL). */
void identity_hex(const uint8_t bytes[16], char text[33]);
int identity_unhex(const char *text, uint8_t *ret_bytes, size_t bytes) WARN_UNUSED;

#endif
