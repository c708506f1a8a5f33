/* See data_rig.h. */
#include "data_rig.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* As the replica answers a PURGE_LIST: a scan of the records. */
static struct proto_outcome purge_list(struct rig *rig, struct buffer *list)
{
    buffer_clear(list);
    for (size_t i = 0; i < rig->world.count; i++) {
        const struct world_record *record = &rig->world.records[i];
        struct proto_purge purge;
        uint8_t entry[PROTO_PURGE_BYTES];
        struct writer w = writer_make(entry, sizeof entry);
        if (record->key[0] != RECORD_PURGE)
            continue;
        cr_assert_eq(nspace_purge_entry(record->key, record->key_bytes, record->value,
                                        record->value_bytes, &purge),
                     0);
        proto_purge_write(&w, &purge);
        buffer_append(list, entry, sizeof entry);
    }
    return (struct proto_outcome){.fields = PROTO_REPLY_DATA,
                                  .data = {list->data, (uint32_t)list->bytes}};
}

static struct proto_outcome execute(struct rig_mount *mount, const struct proto_op *op)
{
    struct proto_request request = {.op = *op};
    struct timespec now;
    memcpy(request.session, mount->session, sizeof request.session);
    clock_gettime(CLOCK_REALTIME, &now);
    mount->rig->world.clock = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    request.seq = proto_op_info(op->code)->write ? ++mount->seq : 0;
    return world_request(&mount->rig->world, &request);
}

static int call(void *user, struct data_caller *caller, enum data_authority authority,
                const struct proto_op *op, struct buffer *reply, struct proto_outcome *ret_outcome)
{
    struct rig_mount *mount = user;
    struct rig *rig = mount->rig;
    if (mount->before)
        mount->before(mount, op);
    pthread_mutex_lock(&rig->mutex);
    mount->calls[op->code]++;
    if (op->code == PROTO_PURGE_LIST) {
        *ret_outcome = purge_list(rig, reply);
    } else {
        *ret_outcome = execute(mount, op);
        buffer_append(reply, ret_outcome->data.data, ret_outcome->data.bytes);
        ret_outcome->data.data = reply->data;
    }
    pthread_mutex_unlock(&rig->mutex);
    return 0;
}

static bool cancelled(void *user, struct data_caller *caller)
{
    return ((struct rig_mount *)user)->cancelled;
}

static void mount_init(struct rig *rig, uint32_t index, uint32_t target_count)
{
    struct rig_mount *mount = &rig->mounts[index];
    const char *targets[RIG_TARGETS];
    struct error error;
    for (uint32_t i = 0; i < RIG_TARGETS; i++)
        targets[i] = rig->targets[i];
    mount->rig = rig;
    mount->session[0] = (uint8_t)(100 + index);
    struct proto_op open = OP(SESSION_OPEN, .count = 1);
    cr_assert_eq(rig_do(mount, &open).status, PROTO_OK);
    struct data_config config = {
        .targets = targets,
        .target_count = target_count,
        .stripe_bytes = RIG_STRIPE_BYTES,
        .inline_bytes_max = RIG_INLINE_BYTES,
        .service = {mount, call, cancelled},
    };
    int rc = data_create(&config, &mount->data, &error);
    cr_assert_eq(rc, 0, "%s", error.text);
}

void rig_init(struct rig *rig, uint32_t target_count)
{
    memset(rig, 0, sizeof *rig);
    world_init(&rig->world);
    cr_assert_eq(rig->world.limits.inline_bytes_max, RIG_INLINE_BYTES);
    pthread_mutex_init(&rig->mutex, NULL);
    snprintf(rig->directory, sizeof rig->directory, "/tmp/tutti-data.XXXXXX");
    cr_assert(mkdtemp(rig->directory));
    for (uint32_t i = 0; i < RIG_TARGETS; i++) {
        snprintf(rig->targets[i], sizeof rig->targets[i], "%s/%u", rig->directory, i);
        cr_assert_eq(mkdir(rig->targets[i], 0700), 0);
    }
    for (uint32_t i = 0; i < RIG_MOUNTS; i++)
        mount_init(rig, i, target_count);
}

void rig_finish(struct rig *rig)
{
    char command[128];
    for (uint32_t i = 0; i < RIG_MOUNTS; i++)
        data_destroy(rig->mounts[i].data);
    world_check(&rig->world);
    world_finish(&rig->world);
    pthread_mutex_destroy(&rig->mutex);
    snprintf(command, sizeof command, "rm -r '%s'", rig->directory);
    cr_assert_eq(system(command), 0);
}

struct proto_outcome rig_do(struct rig_mount *mount, const struct proto_op *op)
{
    pthread_mutex_lock(&mount->rig->mutex);
    struct proto_outcome outcome = execute(mount, op);
    pthread_mutex_unlock(&mount->rig->mutex);
    return outcome;
}

static struct proto_bytes name_of(const char *name)
{
    return (struct proto_bytes){(const uint8_t *)name, (uint32_t)strlen(name)};
}

uint64_t rig_create(struct rig_mount *mount, const char *name)
{
    struct proto_op op =
        OP(CREATE, .parent = PROTO_ROOT_INO, .name = name_of(name), .mode = S_IFREG | 0644);
    struct proto_outcome outcome = rig_do(mount, &op);
    cr_assert_eq(outcome.status, PROTO_OK);
    return outcome.attr.ino;
}

struct data_inode *rig_open(struct rig_mount *mount, uint64_t ino)
{
    struct data_inode *inode;
    struct proto_op op = OP(OPEN, .ino = ino, .flags = PROTO_OPEN_READ | PROTO_OPEN_WRITE);
    data_open_begin(mount->data);
    struct proto_outcome outcome = rig_do(mount, &op);
    cr_assert_eq(outcome.status, PROTO_OK);
    cr_assert_eq(data_open(mount->data, &outcome.attr, &inode), 0);
    return inode;
}

struct proto_attr rig_stat(struct rig_mount *mount, uint64_t ino)
{
    struct proto_op op = OP(GETATTR, .ino = ino);
    struct proto_outcome outcome = rig_do(mount, &op);
    cr_assert_eq(outcome.status, PROTO_OK);
    data_attr(mount->data, &outcome.attr);
    return outcome.attr;
}

enum proto_status rig_truncate(struct rig_mount *mount, uint64_t ino, uint64_t size)
{
    struct proto_op op = OP(SETATTR, .ino = ino, .valid = PROTO_SET_SIZE, .size = size);
    struct proto_outcome outcome;
    cr_assert_eq(data_setattr(mount->data, NULL, DATA_AS_MOUNT, &op, &outcome), 0);
    return outcome.status;
}

void rig_unlink(struct rig_mount *mount, const char *name)
{
    struct proto_op op = OP(UNLINK, .parent = PROTO_ROOT_INO, .name = name_of(name));
    if (data_should_hold(mount->data))
        op.flags = PROTO_UNLINK_HOLD;
    struct proto_outcome outcome = rig_do(mount, &op);
    cr_assert_eq(outcome.status, PROTO_OK);
    if (outcome.value)
        data_hold(mount->data, outcome.value, NULL);
}

void rig_write(struct data_inode *inode, const void *from, size_t bytes, uint64_t offset)
{
    ssize_t n = data_write(inode, NULL, from, bytes, offset, false);
    cr_assert_eq(n, (ssize_t)bytes, "write of %zu at %lu: %zd", bytes, (unsigned long)offset, n);
}

void rig_flush(struct data_inode *inode)
{
    int rc = data_flush(inode, NULL);
    cr_assert_eq(rc, 0, "flush: %d", rc);
}

void rig_close(struct data_inode *inode)
{
    int rc = data_close(inode, NULL);
    cr_assert_eq(rc, 0, "close: %d", rc);
}

void rig_expect(struct rig_mount *mount, struct data_inode *inode, uint64_t ino, const void *want,
                size_t bytes)
{
    uint8_t *have = malloc(bytes + 4096);
    uint64_t size = rig_stat(mount, ino).size;
    cr_assert_eq(size, bytes, "the size is %lu, not %zu", (unsigned long)size, bytes);
    for (size_t at = 0; at <= bytes;) {
        ssize_t n = data_read(inode, NULL, have + at, bytes + 4096 - at, at);
        cr_assert_geq(n, 0);
        if (n == 0)
            break;
        at += (size_t)n;
        cr_assert_leq(at, bytes, "more bytes than the size says");
    }
    for (size_t i = 0; i < bytes; i++)
        cr_assert_eq(have[i], ((const uint8_t *)want)[i], "byte %zu is %02x, not %02x", i, have[i],
                     ((const uint8_t *)want)[i]);
    free(have);
}

static unsigned objects_in(const char *directory)
{
    unsigned count = 0;
    struct dirent *entry;
    DIR *handle = opendir(directory);
    while (handle && (entry = readdir(handle))) {
        char path[512];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (entry->d_type == DT_DIR)
            count += objects_in(path);
        else if (strcmp(entry->d_name, "tutti-target") != 0)
            count++;
    }
    if (handle)
        closedir(handle);
    return count;
}

unsigned rig_objects(struct rig *rig)
{
    return objects_in(rig->directory);
}

void rig_fill(uint8_t *to, size_t bytes, uint32_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(1 + prng_below(&prng, 255)); /* never a zero: holes are */
}
