/* A disk in memory. Two directories, as programs see it and as a power cut leaves it; a file has
 * its content twice likewise. */
#include "tests/unit/store/memory_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 64, NAME_BYTES = 64 };

struct content {
    uint8_t *data;
    size_t bytes;
};

struct node {
    unsigned references; /* names in both directories, and open files */
    struct content seen, stable;
};

struct name {
    char text[NAME_BYTES];
    struct node *node;
};

struct directory {
    struct name names[FILES_MAX];
    unsigned count;
};

struct memory_disk {
    struct disk disk;
    struct directory seen, stable;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned operations, fail_at, syncs, fail_sync;
    bool hold, held;
};

struct disk_file {
    struct memory_disk *memory;
    struct node *node;
};

static struct memory_disk *memory_of(struct disk *disk)
{
    return (struct memory_disk *)disk;
}

static void content_set(struct content *content, const void *data, size_t bytes)
{
    uint8_t *copy = malloc(bytes + 1);
    cr_assert_not_null(copy);
    if (bytes)
        memcpy(copy, data, bytes);
    free(content->data);
    *content = (struct content){copy, bytes};
}

static void node_unref(struct node *node)
{
    if (--node->references)
        return;
    free(node->seen.data);
    free(node->stable.data);
    free(node);
}

static struct name *directory_find(struct directory *directory, const char *text)
{
    for (unsigned i = 0; i < directory->count; i++)
        if (strcmp(directory->names[i].text, text) == 0)
            return &directory->names[i];
    return NULL;
}

static void directory_remove(struct directory *directory, struct name *name)
{
    node_unref(name->node);
    *name = directory->names[--directory->count];
}

static void directory_add(struct directory *directory, const char *text, struct node *node)
{
    cr_assert_lt(directory->count, FILES_MAX);
    struct name *name = &directory->names[directory->count++];
    snprintf(name->text, sizeof name->text, "%s", text);
    name->node = node;
    node->references++;
}

static void directory_assign(struct directory *to, const struct directory *from)
{
    struct directory copy = *from;
    for (unsigned i = 0; i < copy.count; i++)
        copy.names[i].node->references++;
    while (to->count)
        directory_remove(to, &to->names[to->count - 1]);
    *to = copy;
}

/* With the lock held, before each changing operation. */
static bool fails(struct memory_disk *memory)
{
    memory->operations++;
    return memory->fail_at && memory->operations >= memory->fail_at;
}

static int memory_open(struct disk *disk, const char *name, bool create,
                       struct disk_file **ret_file)
{
    struct memory_disk *memory = memory_of(disk);
    struct disk_file *file = malloc(sizeof *file);
    cr_assert_not_null(file);
    pthread_mutex_lock(&memory->lock);
    struct name *found = directory_find(&memory->seen, name);
    int code = create ? (fails(memory) ? -EIO : found ? -EEXIST : 0) : (found ? 0 : -ENOENT);
    if (!code) {
        struct node *node = found ? found->node : calloc(1, sizeof *node);
        if (!found)
            directory_add(&memory->seen, name, node);
        node->references++;
        *file = (struct disk_file){memory, node};
        *ret_file = file;
    }
    pthread_mutex_unlock(&memory->lock);
    if (code)
        free(file);
    return code;
}

static int64_t memory_size(struct disk_file *file)
{
    pthread_mutex_lock(&file->memory->lock);
    int64_t bytes = (int64_t)file->node->seen.bytes;
    pthread_mutex_unlock(&file->memory->lock);
    return bytes;
}

static int64_t memory_read(struct disk_file *file, uint64_t offset, void *to, size_t bytes)
{
    pthread_mutex_lock(&file->memory->lock);
    const struct content *seen = &file->node->seen;
    size_t left = offset < seen->bytes ? seen->bytes - offset : 0;
    size_t count = left < bytes ? left : bytes;
    if (count)
        memcpy(to, seen->data + offset, count);
    pthread_mutex_unlock(&file->memory->lock);
    return (int64_t)count;
}

static int memory_append(struct disk_file *file, const void *from, size_t bytes)
{
    pthread_mutex_lock(&file->memory->lock);
    struct content *seen = &file->node->seen;
    bool failed = fails(file->memory);
    size_t count = failed ? bytes / 2 : bytes;
    uint8_t *data = realloc(seen->data, seen->bytes + count + 1);
    cr_assert_not_null(data);
    if (count)
        memcpy(data + seen->bytes, from, count);
    *seen = (struct content){data, seen->bytes + count};
    pthread_mutex_unlock(&file->memory->lock);
    return failed ? -EIO : 0;
}

static int memory_truncate(struct disk_file *file, uint64_t bytes)
{
    pthread_mutex_lock(&file->memory->lock);
    bool failed = fails(file->memory);
    if (!failed && bytes < file->node->seen.bytes)
        file->node->seen.bytes = bytes;
    pthread_mutex_unlock(&file->memory->lock);
    return failed ? -EIO : 0;
}

static int memory_rewrite(struct disk_file *file)
{
    pthread_mutex_lock(&file->memory->lock);
    bool failed = fails(file->memory);
    pthread_mutex_unlock(&file->memory->lock);
    return failed ? -EIO : 0;
}

static int memory_sync(struct disk_file *file)
{
    struct memory_disk *memory = file->memory;
    pthread_mutex_lock(&memory->lock);
    while (memory->hold) {
        memory->held = true;
        pthread_cond_broadcast(&memory->changed);
        pthread_cond_wait(&memory->changed, &memory->lock);
    }
    bool failed = fails(memory) | (++memory->syncs == memory->fail_sync);
    if (!failed)
        content_set(&file->node->stable, file->node->seen.data, file->node->seen.bytes);
    pthread_mutex_unlock(&memory->lock);
    return failed ? -EIO : 0;
}

static void memory_close(struct disk_file *file)
{
    pthread_mutex_lock(&file->memory->lock);
    node_unref(file->node);
    pthread_mutex_unlock(&file->memory->lock);
    free(file);
}

static int memory_rename(struct disk *disk, const char *from, const char *to)
{
    struct memory_disk *memory = memory_of(disk);
    pthread_mutex_lock(&memory->lock);
    struct name *name = directory_find(&memory->seen, from);
    int code = fails(memory) ? -EIO : name ? 0 : -ENOENT;
    if (!code) {
        struct node *node = name->node;
        struct name *old = directory_find(&memory->seen, to);
        node->references++;
        if (old)
            directory_remove(&memory->seen, old);
        directory_remove(&memory->seen, directory_find(&memory->seen, from));
        directory_add(&memory->seen, to, node);
        node_unref(node);
    }
    pthread_mutex_unlock(&memory->lock);
    return code;
}

static int memory_unlink(struct disk *disk, const char *name)
{
    struct memory_disk *memory = memory_of(disk);
    pthread_mutex_lock(&memory->lock);
    struct name *found = directory_find(&memory->seen, name);
    int code = fails(memory) ? -EIO : found ? 0 : -ENOENT;
    if (!code)
        directory_remove(&memory->seen, found);
    pthread_mutex_unlock(&memory->lock);
    return code;
}

static int memory_sync_directory(struct disk *disk)
{
    struct memory_disk *memory = memory_of(disk);
    pthread_mutex_lock(&memory->lock);
    bool failed = fails(memory);
    if (!failed)
        directory_assign(&memory->stable, &memory->seen);
    pthread_mutex_unlock(&memory->lock);
    return failed ? -EIO : 0;
}

static int memory_list(struct disk *disk, int (*each)(void *user, const char *name), void *user)
{
    const struct directory names = memory_of(disk)->seen;
    int code = 0;
    for (unsigned i = 0; i < names.count && !code; i++)
        code = each(user, names.names[i].text);
    return code;
}

static void memory_destroy(struct disk *disk)
{
    memory_disk_destroy(memory_of(disk));
}

static const struct disk_ops memory_ops = {
    .open = memory_open,
    .size = memory_size,
    .read = memory_read,
    .append = memory_append,
    .truncate = memory_truncate,
    .rewrite = memory_rewrite,
    .sync = memory_sync,
    .close = memory_close,
    .rename = memory_rename,
    .unlink = memory_unlink,
    .sync_directory = memory_sync_directory,
    .list = memory_list,
    .destroy = memory_destroy,
};

struct memory_disk *memory_disk_create(void)
{
    struct memory_disk *memory = calloc(1, sizeof *memory);
    cr_assert_not_null(memory);
    memory->disk.ops = &memory_ops;
    pthread_mutex_init(&memory->lock, NULL);
    pthread_cond_init(&memory->changed, NULL);
    return memory;
}

struct disk *memory_disk_handle(struct memory_disk *memory)
{
    return &memory->disk;
}

void memory_disk_fail_at(struct memory_disk *memory, unsigned number)
{
    memory->operations = 0;
    memory->fail_at = number;
}

void memory_disk_fail_sync(struct memory_disk *memory, unsigned number)
{
    memory->syncs = 0;
    memory->fail_sync = number;
}

unsigned memory_disk_operations(struct memory_disk *memory)
{
    return memory->operations;
}

unsigned memory_disk_syncs(struct memory_disk *memory)
{
    return memory->syncs;
}

void memory_disk_hold(struct memory_disk *memory)
{
    pthread_mutex_lock(&memory->lock);
    memory->hold = true;
    memory->held = false;
    pthread_mutex_unlock(&memory->lock);
}

void memory_disk_wait_held(struct memory_disk *memory)
{
    pthread_mutex_lock(&memory->lock);
    while (!memory->held)
        pthread_cond_wait(&memory->changed, &memory->lock);
    pthread_mutex_unlock(&memory->lock);
}

void memory_disk_release(struct memory_disk *memory)
{
    pthread_mutex_lock(&memory->lock);
    memory->hold = false;
    pthread_cond_broadcast(&memory->changed);
    pthread_mutex_unlock(&memory->lock);
}

void memory_disk_cut(struct memory_disk *memory)
{
    directory_assign(&memory->seen, &memory->stable);
    for (unsigned i = 0; i < memory->seen.count; i++) {
        struct node *node = memory->seen.names[i].node;
        content_set(&node->seen, node->stable.data, node->stable.bytes);
    }
}

uint8_t *memory_disk_content(struct memory_disk *memory, const char *name, size_t *ret_bytes)
{
    struct name *found = directory_find(&memory->seen, name);
    if (!found)
        return NULL;
    *ret_bytes = found->node->seen.bytes;
    return found->node->seen.data;
}

void memory_disk_resize(struct memory_disk *memory, const char *name, size_t bytes)
{
    struct name *found = directory_find(&memory->seen, name);
    cr_assert_not_null(found);
    cr_assert_leq(bytes, found->node->seen.bytes);
    found->node->seen.bytes = bytes;
}

void memory_disk_remove(struct memory_disk *memory, const char *name)
{
    struct name *found = directory_find(&memory->seen, name);
    cr_assert_not_null(found, "%s", name);
    directory_remove(&memory->seen, found);
}

struct memory_disk *memory_disk_copy(struct memory_disk *memory)
{
    struct memory_disk *copy = memory_disk_create();
    for (unsigned i = 0; i < memory->seen.count; i++) {
        const struct name *name = &memory->seen.names[i];
        struct node *node = calloc(1, sizeof *node);
        cr_assert_not_null(node);
        content_set(&node->seen, name->node->seen.data, name->node->seen.bytes);
        content_set(&node->stable, name->node->stable.data, name->node->stable.bytes);
        directory_add(&copy->seen, name->text, node);
    }
    directory_assign(&copy->stable, &copy->seen);
    return copy;
}

void memory_disk_destroy(struct memory_disk *memory)
{
    while (memory->seen.count)
        directory_remove(&memory->seen, &memory->seen.names[0]);
    while (memory->stable.count)
        directory_remove(&memory->stable, &memory->stable.names[0]);
    pthread_mutex_destroy(&memory->lock);
    pthread_cond_destroy(&memory->changed);
    free(memory);
}
