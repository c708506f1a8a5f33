/* Records of the namespace: keys, values, and the checked way between them and structs.
 *
 *     I ino                 inode
 *     N parent name         finds a name: cookie, ino, type
 *     D parent cookie       lists a directory in stable positions: ino, type, name
 *     B ino                 inline data of a regular file (absent: none)
 *     L ino                 symlink target
 *     X ino name            value of one extended attribute; with no name: the list of names
 *     S session             session
 *     S session slot        sequence number and outcome of a slot's last request
 *     O ino                 orphan: unlinked, and held by a session
 *     P ino                 striped data that waits to be purged
 *     M name                one-off records of the replica; not part of the digest
 *
 * Numbers in keys are big endian, so that a directory is one contiguous range. Every value begins
 * with a version byte. Decoders validate; a value that can't be is -EBADMSG: damage. What a decoder
 * returns points into the value. No allocation. Source: docs/decisions.md.
 */
#ifndef TUTTI_MDS_RECORD_H
#define TUTTI_MDS_RECORD_H

#include "base/hash.h"
#include "base/must.h"
#include "mds/nspace.h"
#include "proto/proto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum record_kind {
    RECORD_INODE = 'I',
    RECORD_ENTRY = 'N',
    RECORD_LISTING = 'D',
    RECORD_BODY = 'B',
    RECORD_SYMLINK = 'L',
    RECORD_XATTR = 'X',
    RECORD_SESSION = 'S',
    RECORD_ORPHAN = 'O',
    RECORD_PURGE = 'P',
    RECORD_META = 'M',
};

struct record_key {
    uint32_t count;
    uint8_t bytes[NSPACE_KEY_BYTES_MAX];
};

struct record_key record_key_inode(uint64_t ino);
/* @name: at most PROTO_NAME_BYTES_MAX bytes. */
struct record_key record_key_entry(uint64_t parent, struct proto_bytes name);
struct record_key record_key_listing(uint64_t parent, uint64_t cookie);
struct record_key record_key_body(uint64_t ino);
struct record_key record_key_symlink(uint64_t ino);
/* @name: at most PROTO_XATTR_NAME_BYTES_MAX bytes; none: the list of names. */
struct record_key record_key_xattr(uint64_t ino, struct proto_bytes name);
struct record_key record_key_session(const uint8_t id[PROTO_SESSION_BYTES]);
struct record_key record_key_slot(const uint8_t id[PROTO_SESSION_BYTES], uint16_t slot);
struct record_key record_key_orphan(uint64_t ino);
struct record_key record_key_purge(uint64_t ino);
struct record_key record_key_state(void); /* M state */
/* The first possible key of a kind, and of the one behind it: the range of all of the kind. */
struct record_key record_key_first(enum record_kind kind);
struct record_key record_key_end(enum record_kind kind);

enum { INODE_HAS_XATTRS = 1 }; /* there is a list of names */

struct inode {
    uint64_t ino, generation;
    uint32_t mode, nlink, uid, gid, flags;
    uint64_t rdev, size;
    int64_t atime, mtime, ctime, btime;
    uint64_t data_version;
    uint64_t cut; /* striped: the lowest size since the objects were cut; UINT64_MAX: none */
    struct proto_layout layout;
    /* of a directory: */
    uint64_t parent, entries, cookie_next;
};

struct entry {
    uint64_t cookie, ino;
    uint32_t type; /* mode & S_IFMT */
};

struct listing {
    uint64_t ino;
    uint32_t type;
    struct proto_bytes name;
};

struct session {
    uint32_t owner;            /* uid that opened it */
    int64_t opened, last_seen; /* ordered time */
    uint16_t slots;            /* granted */
    uint16_t slots_used;       /* no slot from here on has a record */
    bool closing;              /* ended; records of it are still being removed */
    uint64_t orphans;          /* the first inode that it holds; 0: none */
};

struct slot {
    uint64_t seq;
    struct proto_bytes outcome; /* proto_outcome_encode */
};

struct orphan {
    uint8_t session[PROTO_SESSION_BYTES];
    uint64_t previous, next; /* in the session's list; 0: none */
};

struct purge {
    uint64_t generation;
};

/* Names of the extended attributes of one inode, and what they and their values weigh. */
struct xattr_names {
    uint32_t count;
    uint32_t bytes;           /* names and values */
    struct proto_bytes names; /* count x { u8 length, name } */
};

enum { RECORD_RANKS = 7 };

/* Where the order stands; written with the effects of each message. */
struct state_record {
    uint64_t index;
    uint64_t epoch, ts; /* position of the last message (struct gcs_position) */
    uint8_t rank;
    uint64_t counts[RECORD_RANKS]; /* messages of each rank in the epoch (struct gcs_applied) */
    struct hash128 history;
    struct nspace_state state;
};

enum {
    RECORD_INODE_BYTES = 1 + 8 * 9 + 4 * 5 + 3 + 4,
    RECORD_DIRECTORY_BYTES = RECORD_INODE_BYTES + 8 * 3,
    RECORD_ENTRY_BYTES = 1 + 8 * 2 + 1,
    RECORD_LISTING_BYTES_MAX = 1 + 8 + 1 + PROTO_NAME_BYTES_MAX,
    RECORD_SESSION_BYTES = 1 + 4 + 8 * 2 + 2 * 2 + 1 + 8,
    RECORD_SLOT_HEAD_BYTES = 1 + 8,
    RECORD_ORPHAN_BYTES = 1 + PROTO_SESSION_BYTES + 8 * 2,
    RECORD_PURGE_BYTES = 1 + 8,
    RECORD_XATTR_NAMES_HEAD_BYTES = 1 + 4 * 2,
    RECORD_BYTES_HEAD_BYTES = 1, /* body, symlink target, attribute value */
    RECORD_STATE_BYTES = 8 * RECORD_RANKS + 1 + 8 * 3 + 1 + 16 + 8 * 6 + 16,
};

/* Encoders write to a cursor with enough room (the sizes above). */
void record_write_inode(struct writer *w, const struct inode *inode);
void record_write_entry(struct writer *w, const struct entry *entry);
void record_write_listing(struct writer *w, const struct listing *listing);
void record_write_session(struct writer *w, const struct session *session);
void record_write_slot(struct writer *w, const struct slot *slot);
void record_write_orphan(struct writer *w, const struct orphan *orphan);
void record_write_purge(struct writer *w, const struct purge *purge);
void record_write_xattr_names(struct writer *w, const struct xattr_names *names);
void record_write_bytes(struct writer *w, struct proto_bytes bytes);
void record_write_state(struct writer *w, const struct state_record *state);

/* Decoders: 0 or -EBADMSG. */
int record_read_inode(const void *value, size_t bytes, uint64_t ino, struct inode *ret) WARN_UNUSED;
int record_read_entry(const void *value, size_t bytes, struct entry *ret) WARN_UNUSED;
int record_read_listing(const void *value, size_t bytes, struct listing *ret) WARN_UNUSED;
int record_read_session(const void *value, size_t bytes, struct session *ret) WARN_UNUSED;
int record_read_slot(const void *value, size_t bytes, struct slot *ret) WARN_UNUSED;
int record_read_orphan(const void *value, size_t bytes, struct orphan *ret) WARN_UNUSED;
int record_read_purge(const void *value, size_t bytes, struct purge *ret) WARN_UNUSED;
int record_read_xattr_names(const void *value, size_t bytes, struct xattr_names *ret) WARN_UNUSED;
int record_read_bytes(const void *value, size_t bytes, size_t bytes_max,
                      struct proto_bytes *ret) WARN_UNUSED;
int record_read_state(const void *value, size_t bytes, struct state_record *ret) WARN_UNUSED;

/* Walk a list of names that record_read_xattr_names accepted. False at the end. */
bool record_xattr_next(struct reader *names, struct proto_bytes *ret_name);

/* Keys back into their parts. 0 or -EBADMSG (not such a key). */
int record_parse_listing_key(const void *key, size_t bytes, uint64_t *ret_parent,
                             uint64_t *ret_cookie) WARN_UNUSED;
int record_parse_purge_key(const void *key, size_t bytes, uint64_t *ret_ino) WARN_UNUSED;

/* What a client sees of an inode. */
void inode_attr(const struct inode *inode, struct proto_attr *ret_attr);

#endif
