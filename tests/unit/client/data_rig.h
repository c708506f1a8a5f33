/* The data path on the real namespace, in one process: some mounts, each with a session of its own,
 * one namespace in memory (tests/unit/mds/world.h), data targets in a temporary directory. */
#ifndef TUTTI_TESTS_DATA_RIG_H
#define TUTTI_TESTS_DATA_RIG_H

#include "client/data.h"
#include "tests/unit/mds/world.h"

#include <pthread.h>

enum { RIG_MOUNTS = 2, RIG_TARGETS = 3, RIG_STRIPE_BYTES = 4096, RIG_INLINE_BYTES = 4096 };

struct rig;

struct rig_mount {
    struct rig *rig;
    struct data *data;
    uint8_t session[PROTO_SESSION_BYTES];
    uint64_t seq;
    uint32_t calls[256]; /* by operation */
    bool cancelled;
    /* Called before an operation is executed, without the rig's mutex. */
    void (*before)(struct rig_mount *mount, const struct proto_op *op);
};

struct rig {
    struct world world;
    pthread_mutex_t mutex; /* world, sequences, calls */
    struct rig_mount mounts[RIG_MOUNTS];
    char directory[64];
    char targets[RIG_TARGETS][80];
};

/* With `target_count` targets (0 .. RIG_TARGETS). */
void rig_init(struct rig *rig, uint32_t target_count);
void rig_finish(struct rig *rig);

/* One operation of a mount; fails the test where it can't be executed at all. */
struct proto_outcome rig_do(struct rig_mount *mount, const struct proto_op *op);

/* A new file in the root directory. */
uint64_t rig_create(struct rig_mount *mount, const char *name);
struct data_inode *rig_open(struct rig_mount *mount, uint64_t ino);
/* As stat(2) through this mount. */
struct proto_attr rig_stat(struct rig_mount *mount, uint64_t ino);
enum proto_status rig_truncate(struct rig_mount *mount, uint64_t ino, uint64_t size);
void rig_unlink(struct rig_mount *mount, const char *name);

void rig_write(struct data_inode *inode, const void *from, size_t bytes, uint64_t offset);
void rig_flush(struct data_inode *inode);
void rig_close(struct data_inode *inode);
/* What the file holds is exactly this, seen through the mount, after a look at its attributes. */
void rig_expect(struct rig_mount *mount, struct data_inode *inode, uint64_t ino, const void *want,
                size_t bytes);

/* Objects on all targets. */
unsigned rig_objects(struct rig *rig);

/* Recognisable bytes. */
void rig_fill(uint8_t *to, size_t bytes, uint32_t seed);

#endif
