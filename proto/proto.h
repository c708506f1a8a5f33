/* Operations, requests and replies: what clients and replicas say to each other, and what the group
 * orders. Encode, decode, validate; nothing else.
 *
 * One flat `struct proto_op` serves all operations: the table in proto/ops.c says which fields an
 * operation carries, and encoding, decoding and validation follow that table. Bytes and names that a
 * decoder returns point into the decoded memory. Every length is checked before it is believed. */
#ifndef TUTTI_PROTO_H
#define TUTTI_PROTO_H

#include "base/buffer.h"
#include "base/cursor.h"
#include "base/must.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROTO_NAME_BYTES_MAX = 255,
    PROTO_SYMLINK_BYTES_MAX = 4095,
    PROTO_XATTR_NAME_BYTES_MAX = 255,
    PROTO_XATTR_VALUE_BYTES_MAX = 65536,
    PROTO_XATTR_LIST_BYTES_MAX = 65536,
    PROTO_DATA_BYTES_MAX = 128 * 1024, /* inline data, a directory listing */
    PROTO_GROUPS_MAX = 1024,
    PROTO_REQUEST_BYTES_MAX = 256 * 1024,
    PROTO_REPLY_BYTES_MAX = 256 * 1024,
    PROTO_SLOTS_MAX = 1024, /* of one session */
    PROTO_SESSION_BYTES = 16,
    PROTO_INLINE_BYTES_MAX = 65536,
};

#define PROTO_ROOT_INO 1u

/* Outcomes that are the same at every replica. Fixed numbers, never an errno of some platform; the
 * client maps them (client/errno.c). */
enum proto_status {
    PROTO_OK = 0,
    PROTO_PERM = 1,     /* EPERM */
    PROTO_NOENT = 2,    /* ENOENT */
    PROTO_ACCES = 3,    /* EACCES */
    PROTO_EXIST = 4,    /* EEXIST */
    PROTO_NOTDIR = 5,   /* ENOTDIR */
    PROTO_ISDIR = 6,    /* EISDIR */
    PROTO_INVAL = 7,    /* EINVAL */
    PROTO_NOTEMPTY = 8, /* ENOTEMPTY */
    PROTO_NAMETOOLONG = 9,
    PROTO_MLINK = 10,   /* EMLINK */
    PROTO_NOSPC = 11,   /* ENOSPC */
    PROTO_FBIG = 12,    /* EFBIG */
    PROTO_NODATA = 13,  /* ENODATA: no such extended attribute */
    PROTO_RANGE = 14,   /* ERANGE */
    PROTO_NOTSUP = 15,  /* EOPNOTSUPP */
    PROTO_STALE = 16,   /* ESTALE: no such inode any more */
    PROTO_TOOBIG = 17,  /* E2BIG */
    PROTO_AGAIN = 18,   /* the file's data moved on (data_version): look again, then try again */
    PROTO_LOOP = 19,    /* ELOOP */
    PROTO_XDEV = 20,    /* EXDEV */
    PROTO_NXIO = 21,    /* ENXIO */
    PROTO_SESSION_UNKNOWN = 32, /* expired or never opened */
    PROTO_SEQ_OLD = 33,         /* a later request of this slot was already executed */
    PROTO_SEQ_GAP = 34,         /* the slot's next sequence number is a smaller one */
    PROTO_BAD_REQUEST = 35,     /* could not be decoded */
    PROTO_LIMIT = 36,           /* too many sessions, slots */
    PROTO_STATUS_COUNT
};
/* For people; NULL for a number that is no status. */
const char *proto_status_name(enum proto_status status);

/* Numbers are on disks and wires: append only. */
enum proto_opcode {
    /* answered from local state */
    PROTO_LOOKUP = 1,    /* parent, name -> attr */
    PROTO_GETATTR = 2,   /* ino -> attr */
    PROTO_READLINK = 3,  /* ino -> data */
    PROTO_OPEN = 4,      /* ino, flags (R/W/X wanted) -> attr: permission to open */
    PROTO_READDIR = 5,   /* ino, cookie, count (bytes), flags (with attributes) -> data */
    PROTO_STATFS = 6,    /* ino -> data (struct proto_statfs) */
    PROTO_GETXATTR = 7,  /* ino, name -> data */
    PROTO_LISTXATTR = 8, /* ino -> data (names, NUL after each) */
    PROTO_READ = 9,      /* ino, offset, count -> attr, data; inline files only */
    PROTO_ACCESS = 10,   /* ino, flags */
    PROTO_PURGE_LIST = 11, /* count (entries) -> data: struct proto_purge, inodes whose striped data
                            * can be removed */
    /* ordered */
    PROTO_SESSION_OPEN = 64,   /* count (slots wanted) -> value (slots granted) */
    PROTO_SESSION_CLOSE = 65,
    PROTO_SESSION_KEEP = 66,   /* I am alive */
    PROTO_SESSION_EXPIRE = 67, /* value (timeout, ns): by a replica only */
    PROTO_SETATTR = 68,    /* ino, valid, mode, uid, gid, size, atime, mtime -> attr; FBIG: an inline
                            * file would outgrow inline_bytes_max, STRIPE it first */
    PROTO_CREATE = 69,     /* parent, name, mode, flags -> attr, value (1 if it was made) */
    PROTO_MKNOD = 70,      /* parent, name, mode, rdev -> attr */
    PROTO_MKDIR = 71,      /* parent, name, mode -> attr */
    PROTO_SYMLINK = 72,    /* parent, name, data -> attr */
    PROTO_LINK = 73,       /* ino, parent2, name2 -> attr */
    PROTO_UNLINK = 74,     /* parent, name, flags (HOLD) -> value: ino if now held, else 0 */
    PROTO_RMDIR = 75,      /* parent, name */
    PROTO_RENAME = 76,     /* parent, name, parent2, name2, flags -> value: as UNLINK, of the target */
    PROTO_SETXATTR = 77,   /* ino, name, data, flags */
    PROTO_REMOVEXATTR = 78, /* ino, name */
    PROTO_WRITE = 79,      /* ino, offset, data, mtime, flags (APPEND) -> attr, value: offset; inline */
    PROTO_GROW = 80,       /* ino, size, mtime -> attr: size = max(size, this); striped */
    PROTO_RESERVE = 81,    /* ino, size (bytes), mtime -> attr, value: offset of an append; striped */
    PROTO_STRIPE = 82,     /* ino, value (data_version seen), layout -> attr: inline to striped */
    PROTO_CUT_DONE = 83,   /* ino, value (data_version seen) -> attr: the objects were cut */
    PROTO_RELEASE = 84,    /* ino: this session no longer holds the unlinked inode */
    PROTO_PURGED = 85,     /* ino: its objects are gone */
};

/* Fields of `struct proto_op`, in the order in which they are encoded. */
enum proto_field {
    PROTO_F_INO = 1 << 0,
    PROTO_F_PARENT = 1 << 1,
    PROTO_F_NAME = 1 << 2,
    PROTO_F_PARENT2 = 1 << 3,
    PROTO_F_NAME2 = 1 << 4,
    PROTO_F_MODE = 1 << 5,
    PROTO_F_OWNER = 1 << 6, /* uid, gid */
    PROTO_F_FLAGS = 1 << 7,
    PROTO_F_VALID = 1 << 8,
    PROTO_F_RDEV = 1 << 9,
    PROTO_F_SIZE = 1 << 10,
    PROTO_F_OFFSET = 1 << 11,
    PROTO_F_COOKIE = 1 << 12,
    PROTO_F_COUNT = 1 << 13,
    PROTO_F_VALUE = 1 << 14,
    PROTO_F_ATIME = 1 << 15,
    PROTO_F_MTIME = 1 << 16,
    PROTO_F_LAYOUT = 1 << 17,
    PROTO_F_DATA = 1 << 18,
};

/* flags, by operation */
enum {
    PROTO_OPEN_READ = 1, PROTO_OPEN_WRITE = 2, PROTO_OPEN_EXEC = 4, /* OPEN, ACCESS, CREATE */
    PROTO_CREATE_EXCLUSIVE = 8, PROTO_OPEN_TRUNCATE = 16,           /* CREATE */
    PROTO_READDIR_ATTR = 1,                                         /* READDIR */
    PROTO_UNLINK_HOLD = 1,       /* UNLINK, RENAME: keep the inode for this session if it was the
                                  * last link (somebody here may have it open) */
    PROTO_RENAME_NOREPLACE = 2, PROTO_RENAME_EXCHANGE = 4, PROTO_RENAME_WHITEOUT = 8,
    PROTO_XATTR_CREATE = 1, PROTO_XATTR_REPLACE = 2,
    PROTO_WRITE_APPEND = 1,
};

/* valid, for SETATTR */
enum {
    PROTO_SET_MODE = 1, PROTO_SET_UID = 2, PROTO_SET_GID = 4, PROTO_SET_SIZE = 8,
    PROTO_SET_ATIME = 16, PROTO_SET_MTIME = 32, PROTO_SET_ATIME_NOW = 64, PROTO_SET_MTIME_NOW = 128,
    PROTO_SET_KILL_SUID = 256, /* with SIZE, as a write by somebody without CAP_FSETID does */
};

struct proto_bytes {
    const uint8_t *data;
    uint32_t bytes;
};

/* Where a file's data is. Inline: in the inode's own record. Striped: stripe i of the file is in the
 * object of target (first + i) % targets, at (i / targets) * stripe_bytes. */
struct proto_layout {
    uint8_t striped; /* 0: inline */
    uint8_t targets, first;
    uint32_t stripe_bytes;
};

struct proto_op {
    enum proto_opcode code;
    uint64_t ino, parent, parent2;
    struct proto_bytes name, name2;
    uint32_t mode; /* type and permission bits as in Linux's st_mode, umask applied by the client */
    uint32_t uid, gid, flags, valid, count;
    uint64_t rdev, size, offset, cookie, value;
    int64_t atime, mtime; /* ns since 1970 */
    struct proto_layout layout;
    struct proto_bytes data;
};

struct proto_op_info {
    const char *name;
    bool write;         /* ordered */
    bool replica_only;  /* refused from a client */
    bool xattr_name;    /* `name` is that of an extended attribute: it may hold a '/' */
    uint32_t fields;    /* enum proto_field */
    uint32_t flags, valid; /* bits that it knows; others are refused */
    uint32_t name_bytes_max, data_bytes_max;
};
/* NULL for a number that is no operation. */
const struct proto_op_info *proto_op_info(enum proto_opcode code);

struct proto_credentials {
    uint32_t uid, gid;
    uint32_t group_count;
    const uint8_t *groups; /* group_count little-endian u32, supplementary; see proto_group */
};
static inline uint32_t proto_group(const struct proto_credentials *c, uint32_t i)
{
    struct reader r = reader_make(c->groups + 4 * (size_t)i, 4);
    return reader_u32(&r);
}

/* One request. For a write (slot, seq) names it for ever: each slot's sequence runs from 1 without a
 * gap. For a read they only match the reply to the request. `tag` does that for both. */
struct proto_request {
    uint8_t session[PROTO_SESSION_BYTES];
    uint64_t tag;
    uint16_t slot;
    uint64_t seq;
    struct proto_credentials credentials;
    struct proto_op op;
};

/* Append the encoding. -EINVAL where a field is over its limit or not valid, -ENOMEM. As for all
 * encoders here: on an error the buffer is as it was before, and usable. */
int proto_request_encode(const struct proto_request *request, struct buffer *to) WARN_UNUSED;

/* Decode and validate one whole request. 0 or -EPROTO. On -EPROTO, `tag` is set where it could be
 * read (else 0), so that it can be answered with PROTO_BAD_REQUEST. Names: 1 .. 255 bytes, without
 * '/' and NUL; "." and ".." are valid here and refused by the namespace. */
int proto_request_decode(const void *from, size_t bytes, struct proto_request *ret_request)
    WARN_UNUSED;

struct proto_attr {
    uint64_t ino, generation;
    uint32_t mode, nlink, uid, gid;
    uint64_t rdev, size, blocks; /* blocks of 512 B */
    int64_t atime, mtime, ctime, btime;
    uint64_t data_version; /* changes with every change of the data's place or inline content */
    uint64_t cut;          /* striped: objects may hold stale bytes from here on; UINT64_MAX: none */
    struct proto_layout layout;
};
enum { PROTO_ATTR_BYTES = 8 * 11 + 4 * 4 + 3 + 4 };

void proto_attr_write(struct writer *w, const struct proto_attr *attr);
void proto_attr_read(struct reader *r, struct proto_attr *ret_attr);

enum { PROTO_REPLY_ATTR = 1, PROTO_REPLY_DATA = 2, PROTO_REPLY_VALUE = 4 };

/* The outcome of an operation: what a slot keeps. */
struct proto_outcome {
    enum proto_status status;
    uint32_t fields; /* PROTO_REPLY_* */
    struct proto_attr attr;
    uint64_t value;
    struct proto_bytes data;
};
int proto_outcome_encode(const struct proto_outcome *outcome, struct buffer *to) WARN_UNUSED;
int proto_outcome_decode(struct reader *r, struct proto_outcome *ret_outcome) WARN_UNUSED;

/* A reply on the wire: to which request, served at which point of the order, what. */
struct proto_reply {
    uint64_t tag;
    /* A write: its own index, or, where it was sent again, perhaps that of the repetition. A read:
     * that of the state it was read from. */
    uint64_t epoch, index;
    struct proto_outcome outcome;
};
int proto_reply_encode(const struct proto_reply *reply, struct buffer *to) WARN_UNUSED;
int proto_reply_decode(const void *from, size_t bytes, struct proto_reply *ret_reply) WARN_UNUSED;

/* One entry of a READDIR's data: cookie to go on behind it, inode, type (mode & S_IFMT), name, and
 * with PROTO_READDIR_ATTR its attributes. */
struct proto_dirent {
    uint64_t cookie, ino;
    uint32_t type;
    struct proto_bytes name;
    bool has_attr;
    struct proto_attr attr;
};
int proto_dirent_encode(const struct proto_dirent *entry, struct buffer *to) WARN_UNUSED;
int proto_dirent_decode(struct reader *r, struct proto_dirent *ret_entry) WARN_UNUSED;

struct proto_statfs {
    uint64_t inodes_used, inodes_max;
    uint64_t bytes_used; /* sum of sizes of regular files */
    uint32_t name_bytes_max, inline_bytes_max;
};
enum { PROTO_STATFS_BYTES = 8 * 3 + 4 * 2 };
void proto_statfs_write(struct writer *w, const struct proto_statfs *statfs);
void proto_statfs_read(struct reader *r, struct proto_statfs *ret_statfs);

/* One entry of a PURGE_LIST's data, which is nothing but a run of them. Objects are named by both
 * (client/data_target.h). */
struct proto_purge {
    uint64_t ino, generation;
};
enum { PROTO_PURGE_BYTES = 8 * 2 };
void proto_purge_write(struct writer *w, const struct proto_purge *purge);
void proto_purge_read(struct reader *r, struct proto_purge *ret_purge);

/* One ordered payload: a time and a run of requests.
 *
 *     batch: version u8, time i64 (wall clock of the origin, ns), count u32, { bytes u32, request }
 */
enum { PROTO_BATCH_HEAD_BYTES = 13 };
/* Empty the buffer and begin. */
void proto_batch_begin(struct buffer *batch, int64_t time_ns);
/* Append one encoded request. 0 or -ENOMEM (the buffer's limit). */
int proto_batch_add(struct buffer *batch, const void *request, size_t bytes) WARN_UNUSED;

struct proto_batch {
    int64_t time_ns;
    uint32_t count;
    struct reader rest;
};
/* 0 or -EPROTO. */
int proto_batch_open(const void *from, size_t bytes, struct proto_batch *ret_batch) WARN_UNUSED;
/* The next request's bytes; false at the end. A batch that ends early or late: *ret_code -EPROTO. */
bool proto_batch_next(struct proto_batch *batch, struct proto_bytes *ret_request, int *ret_code);

#endif
