/* A disk in memory that forgets what was not synced, and fails where it is told to. Thread safe. */
#ifndef TUTTI_TESTS_UNIT_STORE_MEMORY_DISK_H
#define TUTTI_TESTS_UNIT_STORE_MEMORY_DISK_H

#include "store/disk.h"

struct memory_disk;

struct memory_disk *memory_disk_create(void);
struct disk *memory_disk_handle(struct memory_disk *memory);

/* The changing operation number `number` (from 1, counted from now) and all after it fail with EIO;
 * an append that fails has written the first half. 0: none fails. */
void memory_disk_fail_at(struct memory_disk *memory, unsigned number);
/* Only syncs count, and only that one fails. */
void memory_disk_fail_sync(struct memory_disk *memory, unsigned number);
/* How many changing operations there were since memory_disk_fail_at. */
unsigned memory_disk_operations(struct memory_disk *memory);
unsigned memory_disk_syncs(struct memory_disk *memory);

/* From now on a sync waits until the disk is let go. */
void memory_disk_hold(struct memory_disk *memory);
void memory_disk_wait_held(struct memory_disk *memory); /* until one waits */
void memory_disk_release(struct memory_disk *memory);

/* What a power cut leaves (all files have to be closed): what was synced, of names too.
 * A kill leaves everything and needs no call. */
void memory_disk_cut(struct memory_disk *memory);

/* Look at, and tamper with, a file. NULL: no such file. */
uint8_t *memory_disk_content(struct memory_disk *memory, const char *name, size_t *ret_bytes);
void memory_disk_resize(struct memory_disk *memory, const char *name, size_t bytes);
void memory_disk_remove(struct memory_disk *memory, const char *name);
struct memory_disk *memory_disk_copy(struct memory_disk *memory);
void memory_disk_destroy(struct memory_disk *memory);

#endif
