/* The table of all operations: who may send them, what they carry, how much of it. Encoding,
 * decoding and validation (op.c) follow this table and know no operation by name. */
#include "proto/proto.h"

enum {
    ENTRY = PROTO_F_PARENT | PROTO_F_NAME,
    ENTRY2 = PROTO_F_PARENT2 | PROTO_F_NAME2,
    OPEN_FLAGS = PROTO_OPEN_READ | PROTO_OPEN_WRITE | PROTO_OPEN_EXEC,
    CREATE_FLAGS = OPEN_FLAGS | PROTO_CREATE_EXCLUSIVE | PROTO_OPEN_TRUNCATE,
    RENAME_FLAGS =
        PROTO_UNLINK_HOLD | PROTO_RENAME_NOREPLACE | PROTO_RENAME_EXCHANGE | PROTO_RENAME_WHITEOUT,
    XATTR_FLAGS = PROTO_XATTR_CREATE | PROTO_XATTR_REPLACE,
    SET_TIMES = PROTO_F_ATIME | PROTO_F_MTIME,
    SET_ALL = 2 * PROTO_SET_KILL_SUID - 1,
    NAME = PROTO_NAME_BYTES_MAX,
};

#define READS  .write = false
#define WRITES .write = true
#define XATTR  .xattr_name = true, .name_bytes_max = PROTO_XATTR_NAME_BYTES_MAX

static const struct proto_op_info table[] = {
    [PROTO_LOOKUP] = {"lookup", READS, .fields = ENTRY, .name_bytes_max = NAME},
    [PROTO_GETATTR] = {"getattr", READS, .fields = PROTO_F_INO},
    [PROTO_READLINK] = {"readlink", READS, .fields = PROTO_F_INO},
    [PROTO_OPEN] = {"open", READS, .fields = PROTO_F_INO | PROTO_F_FLAGS, .flags = OPEN_FLAGS},
    [PROTO_READDIR] = {"readdir", READS,
                       .fields = PROTO_F_INO | PROTO_F_FLAGS | PROTO_F_COOKIE | PROTO_F_COUNT,
                       .flags = PROTO_READDIR_ATTR},
    [PROTO_STATFS] = {"statfs", READS, .fields = PROTO_F_INO},
    [PROTO_GETXATTR] = {"getxattr", READS, .fields = PROTO_F_INO | PROTO_F_NAME, XATTR},
    [PROTO_LISTXATTR] = {"listxattr", READS, .fields = PROTO_F_INO},
    [PROTO_READ] = {"read", READS, .fields = PROTO_F_INO | PROTO_F_OFFSET | PROTO_F_COUNT},
    [PROTO_ACCESS] = {"access", READS, .fields = PROTO_F_INO | PROTO_F_FLAGS, .flags = OPEN_FLAGS},
    [PROTO_PURGE_LIST] = {"purge_list", READS, .fields = PROTO_F_COUNT},

    [PROTO_SESSION_OPEN] = {"session_open", WRITES, .fields = PROTO_F_COUNT},
    [PROTO_SESSION_CLOSE] = {"session_close", WRITES},
    [PROTO_SESSION_KEEP] = {"session_keep", WRITES},
    [PROTO_SESSION_EXPIRE] = {"session_expire", WRITES, .replica_only = true,
                              .fields = PROTO_F_VALUE},
    [PROTO_SETATTR] = {"setattr", WRITES,
                       .fields = PROTO_F_INO | PROTO_F_MODE | PROTO_F_OWNER | PROTO_F_VALID |
                                 PROTO_F_SIZE | SET_TIMES,
                       .valid = SET_ALL},
    [PROTO_CREATE] = {"create", WRITES, .fields = ENTRY | PROTO_F_MODE | PROTO_F_FLAGS,
                      .flags = CREATE_FLAGS, .name_bytes_max = NAME},
    [PROTO_MKNOD] = {"mknod", WRITES, .fields = ENTRY | PROTO_F_MODE | PROTO_F_RDEV,
                     .name_bytes_max = NAME},
    [PROTO_MKDIR] = {"mkdir", WRITES, .fields = ENTRY | PROTO_F_MODE, .name_bytes_max = NAME},
    [PROTO_SYMLINK] = {"symlink", WRITES, .fields = ENTRY | PROTO_F_DATA, .name_bytes_max = NAME,
                       .data_bytes_max = PROTO_SYMLINK_BYTES_MAX},
    [PROTO_LINK] = {"link", WRITES, .fields = PROTO_F_INO | ENTRY2, .name_bytes_max = NAME},
    [PROTO_UNLINK] = {"unlink", WRITES, .fields = ENTRY | PROTO_F_FLAGS, .flags = PROTO_UNLINK_HOLD,
                      .name_bytes_max = NAME},
    [PROTO_RMDIR] = {"rmdir", WRITES, .fields = ENTRY, .name_bytes_max = NAME},
    [PROTO_RENAME] = {"rename", WRITES, .fields = ENTRY | ENTRY2 | PROTO_F_FLAGS,
                      .flags = RENAME_FLAGS, .name_bytes_max = NAME},
    [PROTO_SETXATTR] = {"setxattr", WRITES,
                        .fields = PROTO_F_INO | PROTO_F_NAME | PROTO_F_FLAGS | PROTO_F_DATA,
                        .flags = XATTR_FLAGS, XATTR, .data_bytes_max = PROTO_XATTR_VALUE_BYTES_MAX},
    [PROTO_REMOVEXATTR] = {"removexattr", WRITES, .fields = PROTO_F_INO | PROTO_F_NAME, XATTR},
    [PROTO_WRITE] = {"write", WRITES,
                     .fields = PROTO_F_INO | PROTO_F_FLAGS | PROTO_F_OFFSET | PROTO_F_MTIME |
                               PROTO_F_DATA,
                     .flags = PROTO_WRITE_APPEND, .data_bytes_max = PROTO_INLINE_BYTES_MAX},
    [PROTO_GROW] = {"grow", WRITES, .fields = PROTO_F_INO | PROTO_F_SIZE | PROTO_F_MTIME},
    [PROTO_RESERVE] = {"reserve", WRITES, .fields = PROTO_F_INO | PROTO_F_SIZE | PROTO_F_MTIME},
    [PROTO_STRIPE] = {"stripe", WRITES, .fields = PROTO_F_INO | PROTO_F_VALUE | PROTO_F_LAYOUT},
    [PROTO_CUT_DONE] = {"cut_done", WRITES, .fields = PROTO_F_INO | PROTO_F_VALUE},
    [PROTO_RELEASE] = {"release", WRITES, .fields = PROTO_F_INO},
    [PROTO_PURGED] = {"purged", WRITES, .fields = PROTO_F_INO},
};

const struct proto_op_info *proto_op_info(enum proto_opcode code)
{
    if ((size_t)code >= sizeof table / sizeof table[0] || !table[code].name)
        return NULL;
    return &table[code];
}
