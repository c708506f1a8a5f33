/* Inside local reads: read.c has the rule when a read may answer, read_scan.c the listings. */
#ifndef TUTTI_MDS_READ_INTERNAL_H
#define TUTTI_MDS_READ_INTERNAL_H

#include "mds/replica_internal.h"
#include "mds/server.h"

struct read_scan; /* of a READDIR or PURGE_LIST; read_scan.c */

struct read {
    struct replica *replica;
    struct server_conn *conn; /* NULL: the client is gone */
    uint32_t cost;
    struct read_list *list; /* the list that it waits in; NULL: it runs */
#ifdef TUTTI_PLANT_LEASE_BEFORE_READ
    bool had_lease;
#endif
    bool waited;      /* for writes that touch it; now it is answered when released */
    uint64_t receipt; /* blocked: until messages up to this receipt are applied */
    uint64_t index;   /* held: until this index is released */
    uint8_t *reply;   /* held: encoded, owned */
    size_t reply_bytes;
    struct cache_wait wait;
    struct read_scan *scan;       /* owned */
    struct proto_request request; /* points into bytes */
    TAILQ_ENTRY(read) link;
    TAILQ_ENTRY(read) conn_link;
    uint8_t bytes[];
};

/* Try (again) from the beginning. */
void read_attempt(struct read *read);

/* It was executed on the records as they are now. @touching: the newest pending message that
 * touches it, 0 for none; asked by the caller in the same turn, after executing. */
void read_executed(struct read *read, const struct proto_outcome *outcome, uint64_t touching);

/* A read that waited finds the records between two indices: it goes on after the message. */
void read_block_again(struct read *read);

/* Which pending message touches the read's operation; 0: none. */
uint64_t read_touching(const struct read *read);

/* A record is damaged, memory is short: the replica stops. */
void read_failed(struct read *read, int code);

/* The cache has the read until it calls back; then read_take_back, which is false (and the read is
 * gone) where nobody waits for it any more. */
void read_lend(struct read *read);
bool read_take_back(struct read *read);

void read_scan_attempt(struct read *read);
void read_scan_destroy(struct read_scan *scan);

#endif
