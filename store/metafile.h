/* A small file that is replaced as a whole: identity, incarnation, epoch.
 *
 * Format: magic, version, length, XXH3-64, bytes. Written to a new name, synced, renamed, directory
 * synced: after a crash there is the old content or the new one. Blocks. */
#ifndef TUTTI_STORE_METAFILE_H
#define TUTTI_STORE_METAFILE_H

#include "store/disk.h"

enum { METAFILE_BYTES_MAX = 64 * 1024, METAFILE_ABSENT = 1 };

/* 0; METAFILE_ABSENT; -EBADMSG damaged; -EPROTO a newer format; -errno. @ret_bytes: heap, the
 * caller frees. */
int metafile_read(struct disk *disk, const char *name, void **ret_content, size_t *ret_bytes,
                  struct error *error) WARN_UNUSED;
int metafile_write(struct disk *disk, const char *name, const void *content, size_t bytes,
                   struct error *error) WARN_UNUSED;

#endif
