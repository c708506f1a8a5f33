/* The model's state, shared by its files. */
#ifndef TUTTI_SIM_MODEL_STATE_H
#define TUTTI_SIM_MODEL_STATE_H

#include "tests/sim/model.h"
#include "tests/sim/world.h"

#include <sys/stat.h>

enum { MODEL_NAME_MAX = 16, MODEL_BODY_MAX = 8192, MODEL_XATTRS_MAX = 8, MODEL_REPLY_MAX = 8192 };

struct model_entry {
    char name[MODEL_NAME_MAX];
    uint64_t ino, cookie;
};

struct model_xattr {
    char name[24];
    uint8_t value[128];
    uint32_t bytes;
};

struct model_inode {
    bool used;
    uint64_t ino;
    uint32_t mode, nlink, uid, gid;
    uint64_t rdev, size, data_version, cut;
    struct proto_layout layout;
    uint8_t *body;                               /* inline content or symlink target */
    struct model_xattr xattrs[MODEL_XATTRS_MAX]; /* in the order of their making */
    uint32_t xattr_count;
    /* of a directory: */
    uint64_t parent, cookie_next;
    struct model_entry *entries; /* by cookie */
    uint32_t entry_count, entry_capacity;
    /* without a name, and held: */
    bool held;
    uint8_t holder[PROTO_SESSION_BYTES];
};

struct model {
    struct model_limits limits;
    struct model_inode **inodes; /* the root, then number ino at [ino - skipped - 1]; NULL: gone */
    uint64_t inode_count, inode_capacity, skipped;
    uint64_t *purges; /* inodes whose objects are to be removed */
    uint32_t purge_count, purge_capacity;
    uint64_t bytes_used, inodes_used;
    uint8_t reply[MODEL_REPLY_MAX];
};

/* Who asks, and the outcome that is being made. Steps return a status. */
struct model_call {
    struct model *model;
    const struct proto_request *request;
    const struct proto_op *op;
    uint32_t uid, gid;
    struct proto_outcome *outcome;
};

#define STEP(expr)                          \
    do {                                    \
        enum proto_status status_ = (expr); \
        if (status_ != PROTO_OK)            \
            return status_;                 \
    } while (0)

enum { MODEL_X = 1, MODEL_W = 2, MODEL_R = 4 };

struct model_call model_call_make(struct model *model, const struct proto_request *request,
                                  struct proto_outcome *outcome);
/* A status that is an error is all that is answered. */
void model_call_end(enum proto_status status, struct proto_outcome *outcome);

void model_fill_attr(const struct model_inode *inode, struct proto_attr *attr);
/* Directories' sizes are the implementation's affair. NULL, or what differs. */
const char *model_compare_attr(const struct proto_attr *a, const struct proto_attr *b);

struct model_inode *model_find(struct model *model, uint64_t ino);
struct model_inode *model_new(struct model_call *call, struct model_inode *dir, uint32_t mode);
void model_forget(struct model *model, struct model_inode *inode);
struct model_entry *model_entry(struct model_inode *dir, struct proto_bytes name);
void model_entry_add(struct model_inode *dir, struct proto_bytes name, uint64_t ino);
void model_entry_remove(struct model_inode *dir, struct proto_bytes name);

enum proto_status model_access(const struct model_call *call, const struct model_inode *inode,
                               uint32_t want);
/* For what goes through a file that was opened before. */
enum proto_status model_access_open(const struct model_call *call, const struct model_inode *inode,
                                    uint32_t want);
bool model_owns(const struct model_call *call, const struct model_inode *inode);
uint32_t model_wanted(uint32_t open_flags);
void model_drop_setid(struct model_inode *inode);
bool model_is_dots(struct proto_bytes name);

/* The directory, searchable. */
enum proto_status model_directory(const struct model_call *call, uint64_t ino,
                                  struct model_inode **ret_dir);

void model_answer_attr(struct model_call *call, const struct model_inode *inode);
void model_answer_value(struct model_call *call, uint64_t value);
void model_answer_data(struct model_call *call, const void *data, uint32_t bytes);

/* A change of the size; STRIPED ones by their own rule. */
enum proto_status model_resize(struct model_call *call, struct model_inode *inode, uint64_t size);

/* model_name.c */
enum proto_status model_create_file(struct model_call *call);
enum proto_status model_mknod(struct model_call *call);
enum proto_status model_mkdir(struct model_call *call);
enum proto_status model_symlink(struct model_call *call);
enum proto_status model_link(struct model_call *call);
enum proto_status model_unlink(struct model_call *call);
enum proto_status model_rmdir(struct model_call *call);
enum proto_status model_release(struct model_call *call);
enum proto_status model_purged(struct model_call *call);
void model_drop_name(struct model_call *call, struct model_inode *inode, bool hold);
enum proto_status model_may_add(const struct model_call *call, const struct model_inode *dir);
enum proto_status model_may_remove(const struct model_call *call, const struct model_inode *dir,
                                   const struct model_inode *victim);

/* model_rename.c */
enum proto_status model_rename(struct model_call *call);

/* model_file.c */
enum proto_status model_setattr(struct model_call *call);
enum proto_status model_write_data(struct model_call *call);
enum proto_status model_read_data(struct model_call *call);
enum proto_status model_grow(struct model_call *call);
enum proto_status model_reserve(struct model_call *call);
enum proto_status model_stripe(struct model_call *call);
enum proto_status model_cut_done(struct model_call *call);

/* model_xattr.c */
enum proto_status model_setxattr(struct model_call *call);
enum proto_status model_removexattr(struct model_call *call);
enum proto_status model_getxattr(struct model_call *call);
enum proto_status model_listxattr(struct model_call *call);

#endif
