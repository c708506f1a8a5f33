/* The part of the history (mds/history.h) that a joiner may need and that memory has no room for.
 *
 * A message log of its own, never synced: it means nothing to the next opening, which begins by
 * removing it. Bounded in bytes, the oldest goes first. Threads: loop thread, callbacks too. */
#ifndef TUTTI_MDS_HISTORY_DISK_H
#define TUTTI_MDS_HISTORY_DISK_H

#include "base/hash.h"
#include "gcs-fastdelivery/gcs.h"
#include "store/disk.h"

struct history_disk;

struct history_disk_config {
    struct loop *loop;
    struct disk *disk;  /* borrowed; the files `joiners.*` */
    uint64_t bytes_max; /* of payloads and bookkeeping */
    uint32_t payload_bytes_max;
    void *user;
    void (*written)(void *user); /* more can be read; or, after a failure, nothing any more */
};

/* Remove what an earlier process left; it may be what a disk is full of. Blocks. 0 or -errno. */
int history_disk_wipe(struct disk *disk) WARN_UNUSED;

/* Empty. Blocks. 0 or negative errno (text). */
int history_disk_open(const struct history_disk_config *config, struct history_disk **ret_disk,
                      struct error *error) WARN_UNUSED;
/* Blocks; calls nothing back. NULL is allowed. */
void history_disk_close(struct history_disk *disk);

/* The next place; where it does not follow the last one, only it is there. Nothing is kept while
 * the disk does not keep up, or after it has failed. */
void history_disk_add(struct history_disk *disk, const struct gcs_message *message, uint64_t index,
                      struct hash128 hash);
void history_disk_forget(struct history_disk *disk);

/* The oldest index; 0: there is none. */
uint64_t history_disk_first(const struct history_disk *disk);
bool history_disk_has(const struct history_disk *disk, uint64_t index);
/* It can be read; otherwise `written` comes. */
bool history_disk_is_written(const struct history_disk *disk, uint64_t index);

/* The places from `index` on, about `bytes_max` of payload and at least one. The caller's until
 * `done`, with 0 or a negative errno; neither is called from inside history_disk_read. */
struct history_disk_read {
    uint64_t index;
    uint32_t bytes_max;
    void *user;
    void (*each)(void *user, const struct gcs_message *message, uint64_t index,
                 struct hash128 hash);
    void (*done)(void *user, int code);
    uint64_t lsn; /* private */
    int code;
};
/* 0 or -ENOMEM. `index` is written. */
int history_disk_read(struct history_disk *disk, struct history_disk_read *read) WARN_UNUSED;

#endif
