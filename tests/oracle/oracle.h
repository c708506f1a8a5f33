/* The oracle: the same random operations on a mount and on a local directory, and whatever can be
 * seen of the outcomes compared. One operation is a value; it is executed once on each side. */
#ifndef TUTTI_TESTS_ORACLE_H
#define TUTTI_TESTS_ORACLE_H

#include "base/prng.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
    ORACLE_SIDES = 2, /* 0: the mount, 1: the local directory */
    ORACLE_PATH_BYTES = 64,
    ORACLE_DATA_BYTES = 20000,
    ORACLE_HANDLES = 6,
};

enum oracle_kind {
    ORACLE_CREATE,
    ORACLE_MKDIR,
    ORACLE_MKNOD,
    ORACLE_SYMLINK,
    ORACLE_LINK,
    ORACLE_UNLINK,
    ORACLE_RMDIR,
    ORACLE_RENAME,
    ORACLE_CHMOD,
    ORACLE_CHOWN,
    ORACLE_TRUNCATE,
    ORACLE_UTIMES,
    ORACLE_STAT,
    ORACLE_ACCESS,
    ORACLE_READLINK,
    ORACLE_LIST,
    ORACLE_SETXATTR,
    ORACLE_GETXATTR,
    ORACLE_LISTXATTR,
    ORACLE_REMOVEXATTR,
    ORACLE_OPEN,
    ORACLE_HANDLE_WRITE,
    ORACLE_HANDLE_READ,
    ORACLE_HANDLE_TRUNCATE,
    ORACLE_HANDLE_STAT,
    ORACLE_HANDLE_CLOSE,
    ORACLE_KINDS
};

/* Everything that an operation needs; which fields it uses depends on its kind. */
struct oracle_op {
    enum oracle_kind kind;
    uid_t uid; /* who does it; its group has the same number */
    char path[ORACLE_PATH_BYTES], path2[ORACLE_PATH_BYTES], name[16];
    mode_t mode, umask;
    int flags;
    uid_t owner;
    gid_t group;
    off_t offset, size;
    int64_t time_s;
    unsigned handle;
    uint32_t fill;
};

/* What is compared. */
struct oracle_result {
    int error;     /* 0 or errno */
    long value;    /* bytes, entries */
    bool has_stat; /* of what the operation is about */
    struct stat st;
    uint64_t digest; /* of data, names, targets */
};

struct oracle_side {
    int root;
    int handles[ORACLE_HANDLES]; /* -1: closed */
};

const char *oracle_name(enum oracle_kind kind);
void oracle_draw(struct prng *prng, struct oracle_op *ret_op);
void oracle_execute(struct oracle_side *side, const struct oracle_op *op,
                    struct oracle_result *ret_result);
/* Act as this user, with its group and one more; 0: root. */
void oracle_become(uid_t uid);

/* False, with text, where the two outcomes differ. */
bool oracle_same(const struct oracle_result *a, const struct oracle_result *b, char *text,
                 size_t bytes);
/* Both whole trees: names, attributes, contents, targets, extended attributes. As root. */
bool oracle_trees_same(const struct oracle_side *sides, char *text, size_t bytes);

#endif
