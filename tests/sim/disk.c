/* Files as (content, how much of it is stable), names as (now, stable): see disk.h.
 *
 * Invariants: `data[0 .. stable)` survives every power cut, unless a truncation below it was not
 * synced, in which case the cut-off bytes are kept in `undo` until a sync; the stable names are a
 * prefix of the name changes made. What a failed sync was to write is clean afterwards: it can be
 * read until a power cut, and no later sync writes it. */
#include "tests/sim/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct file {            /* an inode */
    uint32_t references; /* names (now and stable), handles */
    uint8_t *data;
    size_t bytes, capacity, stable;
    uint8_t *undo; /* what an unsynced truncation cut off behind `stable` */
    size_t undo_bytes;
    size_t lost_from, lost_to; /* what failed syncs did not write; empty: equal */
};

struct name {
    TAILQ_ENTRY(name) entry;
    struct file *file;
    char text[64];
};
TAILQ_HEAD(name_list, name);

/* One change of the directory: `text` is now `file` (NULL: is gone). */
struct name_change {
    STAILQ_ENTRY(name_change) entry;
    struct file *file;
    char text[64];
};
STAILQ_HEAD(name_change_list, name_change);

struct platter {
    struct world *world;
    struct name_list now, stable;
    struct name_change_list changes; /* since the last sync_directory */
    bool fail_sync, full;
    struct platter_counters counters;
};

struct sim_disk {
    struct disk base;
    struct platter *platter;
    uint64_t operations_left;
};

struct disk_file {
    struct sim_disk *disk;
    struct file *file;
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static struct sim_disk *disk_of(struct disk *disk)
{
    return CONTAINER_OF(disk, struct sim_disk, base);
}

/* One operation that changes something; false: the process is dead, it has no effect. */
static bool disk_lives(struct sim_disk *disk)
{
    if (disk->operations_left == 0)
        return false;
    if (disk->operations_left != UINT64_MAX)
        disk->operations_left--;
    return true;
}

/* ---- files and names ---- */

static void file_unref(struct file *file)
{
    if (!file || --file->references)
        return;
    free(file->data);
    free(file->undo);
    free(file);
}

static struct name *name_find(struct name_list *list, const char *text)
{
    struct name *name;
    TAILQ_FOREACH (name, list, entry)
        if (strcmp(name->text, text) == 0)
            return name;
    return NULL;
}

static void name_remove(struct name_list *list, struct name *name)
{
    TAILQ_REMOVE(list, name, entry);
    file_unref(name->file);
    free(name);
}

static void name_set(struct name_list *list, const char *text, struct file *file)
{
    struct name *name = name_find(list, text);
    if (file)
        file->references++;
    if (name)
        name_remove(list, name);
    if (!file)
        return;
    name = sim_alloc(sizeof *name);
    strcpy(name->text, text);
    name->file = file;
    TAILQ_INSERT_TAIL(list, name, entry);
}

static void change_free(struct platter *platter, struct name_change *change)
{
    STAILQ_REMOVE_HEAD(&platter->changes, entry);
    file_unref(change->file);
    free(change);
}

/* Change a name now; stable at the next sync_directory. */
static void name_change(struct platter *platter, const char *text, struct file *file)
{
    struct name_change *change = sim_alloc(sizeof *change);
    strcpy(change->text, text);
    change->file = file;
    if (file)
        file->references++;
    STAILQ_INSERT_TAIL(&platter->changes, change, entry);
    name_set(&platter->now, text, file);
}

/* ---- the contract ---- */

static int sim_open(struct disk *base, const char *text, bool create, struct disk_file **ret_file)
{
    struct sim_disk *disk = disk_of(base);
    struct name *name = name_find(&disk->platter->now, text);
    struct file *file = name ? name->file : NULL;
    if (strlen(text) >= sizeof name->text || strchr(text, '/') || !text[0])
        return -EINVAL;
    if (create && file)
        return -EEXIST;
    if (!create && !file)
        return -ENOENT;
    if (create) {
        file = sim_alloc(sizeof *file);
        if (disk_lives(disk))
            name_change(disk->platter, text, file);
    }
    struct disk_file *handle = sim_alloc(sizeof *handle);
    handle->disk = disk;
    handle->file = file;
    file->references++;
    *ret_file = handle;
    return 0;
}

static int64_t sim_size(struct disk_file *handle)
{
    return (int64_t)handle->file->bytes;
}

static int64_t sim_read(struct disk_file *handle, uint64_t offset, void *to, size_t bytes)
{
    const struct file *file = handle->file;
    if (offset >= file->bytes)
        return 0;
    size_t count = file->bytes - offset < bytes ? file->bytes - offset : bytes;
    memcpy(to, file->data + offset, count);
    return (int64_t)count;
}

static int sim_append(struct disk_file *handle, const void *from, size_t bytes)
{
    struct file *file = handle->file;
    struct platter *platter = handle->disk->platter;
    if (!disk_lives(handle->disk))
        return 0;
    if (platter->full)
        return -ENOSPC;
    platter->counters.appends++;
    if (file->capacity < file->bytes + bytes) {
        file->capacity = (file->bytes + bytes) * 2;
        file->data = realloc(file->data, file->capacity);
        MUST(file->data);
    }
    if (bytes)
        memcpy(file->data + file->bytes, from, bytes);
    file->bytes += bytes;
    return 0;
}

static int sim_truncate(struct disk_file *handle, uint64_t bytes)
{
    struct file *file = handle->file;
    if (!disk_lives(handle->disk))
        return 0;
    if (bytes > file->bytes)
        return -EINVAL;
    if (bytes < file->stable) {
        size_t cut = file->stable - bytes;
        uint8_t *undo = sim_alloc(cut + file->undo_bytes);
        memcpy(undo, file->data + bytes, cut);
        if (file->undo_bytes)
            memcpy(undo + cut, file->undo, file->undo_bytes);
        free(file->undo);
        file->undo = undo;
        file->undo_bytes += cut;
        file->stable = bytes;
    }
    file->bytes = bytes;
    file->lost_from = least(file->lost_from, bytes);
    file->lost_to = least(file->lost_to, bytes);
    return 0;
}

/* What was lost is waiting for a sync again. */
static int sim_rewrite(struct disk_file *handle)
{
    struct file *file = handle->file;
    if (!disk_lives(handle->disk))
        return 0;
    if (file->lost_from < file->lost_to)
        file->stable = least(file->stable, file->lost_from);
    file->lost_from = file->lost_to = 0;
    return 0;
}

static void lose(struct file *file)
{
    bool first = file->lost_from == file->lost_to;
    file->lost_from = first ? file->stable : least(file->lost_from, file->stable);
    file->lost_to = file->bytes;
}

static int sim_sync(struct disk_file *handle)
{
    struct file *file = handle->file;
    struct platter *platter = handle->disk->platter;
    if (!disk_lives(handle->disk))
        return 0;
    if (platter->fail_sync) {
        platter->fail_sync = false;
        platter->counters.syncs_failed++;
        lose(file);
        return -EIO;
    }
    platter->counters.syncs++;
    file->stable = file->bytes;
    file->undo_bytes = 0;
    return 0;
}

static void sim_close(struct disk_file *handle)
{
    file_unref(handle->file);
    free(handle);
}

static int sim_rename(struct disk *base, const char *from, const char *to)
{
    struct sim_disk *disk = disk_of(base);
    struct name *name = name_find(&disk->platter->now, from);
    if (strlen(to) >= sizeof name->text || strchr(to, '/') || !to[0])
        return -EINVAL;
    if (!disk_lives(disk))
        return 0;
    if (!name)
        return -ENOENT;
    struct file *file = name->file;
    file->references++;
    name_change(disk->platter, to, file);
    name_change(disk->platter, from, NULL);
    file_unref(file);
    return 0;
}

static int sim_unlink(struct disk *base, const char *text)
{
    struct sim_disk *disk = disk_of(base);
    if (!disk_lives(disk))
        return 0;
    if (!name_find(&disk->platter->now, text))
        return -ENOENT;
    name_change(disk->platter, text, NULL);
    return 0;
}

static void changes_settle(struct platter *platter, uint64_t count)
{
    struct name_change *change;
    while (count-- && (change = STAILQ_FIRST(&platter->changes))) {
        name_set(&platter->stable, change->text, change->file);
        change_free(platter, change);
    }
}

static int sim_sync_directory(struct disk *base)
{
    struct sim_disk *disk = disk_of(base);
    struct platter *platter = disk->platter;
    if (!disk_lives(disk))
        return 0;
    if (platter->fail_sync) {
        platter->fail_sync = false;
        platter->counters.syncs_failed++;
        return -EIO;
    }
    platter->counters.syncs++;
    changes_settle(platter, UINT64_MAX);
    return 0;
}

static int sim_list(struct disk *base, int (*each)(void *user, const char *name), void *user)
{
    struct name *name, *next;
    int code = 0;
    for (name = TAILQ_FIRST(&disk_of(base)->platter->now); name && !code; name = next) {
        next = TAILQ_NEXT(name, entry);
        code = each(user, name->text);
    }
    return code;
}

static void sim_destroy(struct disk *base)
{
    free(disk_of(base));
}

static const struct disk_ops sim_disk_ops = {
    .open = sim_open,
    .size = sim_size,
    .read = sim_read,
    .append = sim_append,
    .truncate = sim_truncate,
    .rewrite = sim_rewrite,
    .sync = sim_sync,
    .close = sim_close,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .sync_directory = sim_sync_directory,
    .list = sim_list,
    .destroy = sim_destroy,
};

struct disk *sim_disk_create(struct platter *platter)
{
    struct sim_disk *disk = sim_alloc(sizeof *disk);
    disk->base.ops = &sim_disk_ops;
    disk->platter = platter;
    disk->operations_left = UINT64_MAX;
    return &disk->base;
}

void sim_disk_cut(struct disk *base, uint32_t operations)
{
    disk_of(base)->operations_left = operations;
}

/* ---- the medium ---- */

struct platter *platter_create(struct world *world)
{
    struct platter *platter = sim_alloc(sizeof *platter);
    platter->world = world;
    TAILQ_INIT(&platter->now);
    TAILQ_INIT(&platter->stable);
    STAILQ_INIT(&platter->changes);
    return platter;
}

static void names_free(struct name_list *list)
{
    struct name *name;
    while ((name = TAILQ_FIRST(list)))
        name_remove(list, name);
}

void platter_destroy(struct platter *platter)
{
    changes_settle(platter, UINT64_MAX);
    names_free(&platter->now);
    names_free(&platter->stable);
    free(platter);
}

/* The truncation did not happen: back to what was stable before it. */
static void file_undo(struct file *file)
{
    file->bytes = file->stable;
    if (file->capacity < file->bytes + file->undo_bytes) {
        file->capacity = file->bytes + file->undo_bytes;
        file->data = realloc(file->data, file->capacity);
        MUST(file->data);
    }
    memcpy(file->data + file->bytes, file->undo, file->undo_bytes);
    file->bytes += file->undo_bytes;
}

static void file_tear(struct platter *platter, struct file *file)
{
    size_t tail = file->bytes - file->stable;
    uint64_t bytes = prng_below(&platter->world->prng, (tail < 512 ? tail : 512) + 1);
    for (size_t i = file->bytes - bytes; i < file->bytes; i++)
        file->data[i] = (uint8_t)prng_next(&platter->world->prng);
    platter->counters.torn += bytes > 0;
}

static void file_power_cut(struct platter *platter, struct file *file, bool torn)
{
    struct prng *prng = &platter->world->prng;
    if (file->undo_bytes && prng_chance(prng, 1, 2)) {
        file_undo(file);
    } else {
        uint64_t keep = prng_below(prng, file->bytes - file->stable + 1);
        platter->counters.bytes_lost += file->bytes - file->stable - keep;
        file->bytes = file->stable + keep;
        if (torn && keep && prng_chance(prng, 1, 2))
            file_tear(platter, file);
    }
    if (file->lost_to > file->bytes)
        file->lost_to = file->bytes;
    if (file->lost_from < file->lost_to)
        memset(file->data + file->lost_from, 0, file->lost_to - file->lost_from);
    file->lost_from = file->lost_to = 0;
    file->stable = file->bytes;
    file->undo_bytes = 0;
}

void platter_power_cut(struct platter *platter, bool torn)
{
    struct name *name;
    uint64_t changes = 0;
    struct name_change *change;
    STAILQ_FOREACH (change, &platter->changes, entry)
        changes++;
    uint64_t keep = prng_below(&platter->world->prng, changes + 1);
    platter->counters.entries_lost += changes - keep;
    changes_settle(platter, keep);
    while ((change = STAILQ_FIRST(&platter->changes)))
        change_free(platter, change);
    names_free(&platter->now);
    TAILQ_FOREACH (name, &platter->stable, entry) {
        name_set(&platter->now, name->text, name->file);
        file_power_cut(platter, name->file, torn);
    }
    platter->fail_sync = false;
}

void platter_fail_sync(struct platter *platter)
{
    platter->fail_sync = true;
}

void platter_set_full(struct platter *platter, bool full)
{
    platter->full = full;
}

void platter_heal(struct platter *platter)
{
    platter->fail_sync = false;
    platter->full = false;
}

void platter_counters(const struct platter *platter, struct platter_counters *ret_counters)
{
    *ret_counters = platter->counters;
}
