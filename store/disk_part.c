/* The files of a disk whose names begin with a prefix, as a disk of their own.
 *
 * Open files are those of the whole disk; only names are translated. */
#include "store/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX_BYTES = 32, NAME_BYTES = 128 };

struct disk_part {
    struct disk disk;
    struct disk_ops ops;
    struct disk *whole;
    char prefix[PREFIX_BYTES];
};

static struct disk_part *part_of(struct disk *disk)
{
    return (struct disk_part *)disk;
}

static void full_name(const struct disk_part *part, const char *name, char full[NAME_BYTES])
{
    MUST(snprintf(full, NAME_BYTES, "%s%s", part->prefix, name) < NAME_BYTES);
}

static int part_open(struct disk *disk, const char *name, bool create, struct disk_file **ret_file)
{
    struct disk_part *part = part_of(disk);
    char full[NAME_BYTES];
    full_name(part, name, full);
    return part->whole->ops->open(part->whole, full, create, ret_file);
}

static int part_rename(struct disk *disk, const char *from, const char *to)
{
    struct disk_part *part = part_of(disk);
    char full_from[NAME_BYTES], full_to[NAME_BYTES];
    full_name(part, from, full_from);
    full_name(part, to, full_to);
    return part->whole->ops->rename(part->whole, full_from, full_to);
}

static int part_unlink(struct disk *disk, const char *name)
{
    struct disk_part *part = part_of(disk);
    char full[NAME_BYTES];
    full_name(part, name, full);
    return part->whole->ops->unlink(part->whole, full);
}

static int part_sync_directory(struct disk *disk)
{
    struct disk *whole = part_of(disk)->whole;
    return whole->ops->sync_directory(whole);
}

struct listing {
    const char *prefix;
    int (*each)(void *user, const char *name);
    void *user;
};

static int list_one(void *user, const char *name)
{
    const struct listing *listing = user;
    size_t bytes = strlen(listing->prefix);
    return strncmp(name, listing->prefix, bytes) == 0 ? listing->each(listing->user, name + bytes)
                                                      : 0;
}

static int part_list(struct disk *disk, int (*each)(void *user, const char *name), void *user)
{
    struct disk_part *part = part_of(disk);
    struct listing listing = {.prefix = part->prefix, .each = each, .user = user};
    return part->whole->ops->list(part->whole, list_one, &listing);
}

static void part_destroy(struct disk *disk)
{
    free(part_of(disk));
}

int disk_part_create(struct disk *whole, const char *prefix, struct disk **ret_disk)
{
    struct disk_part *part = calloc(1, sizeof *part);
    if (!part)
        return -ENOMEM;
    MUST(snprintf(part->prefix, sizeof part->prefix, "%s", prefix) < PREFIX_BYTES);
    part->whole = whole;
    part->ops = *whole->ops;
    part->ops.open = part_open;
    part->ops.rename = part_rename;
    part->ops.unlink = part_unlink;
    part->ops.sync_directory = part_sync_directory;
    part->ops.list = part_list;
    part->ops.destroy = part_destroy;
    part->disk.ops = &part->ops;
    *ret_disk = &part->disk;
    return 0;
}
