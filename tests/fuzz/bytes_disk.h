/* A disk of one file in memory, enough for reading what a fuzzer made and for writing a meta file.
 */
#ifndef TUTTI_TESTS_FUZZ_BYTES_DISK_H
#define TUTTI_TESTS_FUZZ_BYTES_DISK_H

#include "base/buffer.h"
#include "store/disk.h"

struct bytes_disk {
    struct disk base;
    struct buffer content; /* of the one file, whatever its name */
};

/* @bytes: copied. */
void bytes_disk_init(struct bytes_disk *disk, const uint8_t *bytes, size_t count);
void bytes_disk_finish(struct bytes_disk *disk);

#endif
