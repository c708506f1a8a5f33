/* Inside the namespace: one operation while it runs, and the steps that operations are made of.
 *
 * A step returns 0; a positive enum proto_status, which becomes the operation's outcome; RUN_MISS,
 * a record is not at hand; or a negative errno, a failure of this replica. Whatever it is, the
 * operation returns it unchanged (TRY). Changes made before an outcome that is an error are
 * forgotten by nspace_apply, so steps need not undo anything. */
#ifndef TUTTI_MDS_NSPACE_RUN_H
#define TUTTI_MDS_NSPACE_RUN_H

#include "mds/nspace.h"
#include "mds/record.h"
#include "mds/txn.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum { RUN_MISS = 0x10000 };

#define TRY(step)           \
    do {                    \
        int code_ = (step); \
        if (code_)          \
            return code_;   \
    } while (0)

struct nspace_run {
    struct nspace_txn *txn;
    struct nspace_state *state; /* a working copy; read only in nspace_read */
    const struct nspace_limits *limits;
    const struct proto_request *request;
    const struct proto_op *op;
    int64_t now; /* ns; of an ordered operation */
    struct proto_outcome *outcome;
};

/* Begin an ordered operation at the state's next time. */
void run_begin(struct nspace_run *run, struct nspace_txn *txn, struct nspace_state *state,
               const struct nspace_limits *limits, const struct proto_request *request,
               struct proto_outcome *outcome);

/* --- records ---------------------------------------------------------------------------------- */

/* @ret_value: data NULL where the record is absent. */
int run_get(struct nspace_run *run, const struct record_key *key, struct proto_bytes *ret_value);
int run_put(struct nspace_run *run, const struct record_key *key, const void *value, size_t bytes);
int run_delete(struct nspace_run *run, const struct record_key *key);
/* A return value of the transaction as that of a step. */
int run_code(int txn_code);

/* --- outcome ---------------------------------------------------------------------------------- */

void run_set_attr(struct nspace_run *run, const struct inode *inode);
void run_set_value(struct nspace_run *run, uint64_t value);
/* Copies. */
int run_set_data(struct nspace_run *run, const void *data, size_t bytes);

/* --- inodes (nspace_inode.c) ------------------------------------------------------------------ */

int inode_load(struct nspace_run *run, uint64_t ino, struct inode *ret_inode); /* or STALE */
/* One that an entry points to: it has to be there. */
int inode_load_linked(struct nspace_run *run, uint64_t ino, struct inode *ret_inode);
int inode_load_directory(struct nspace_run *run, uint64_t ino, struct inode *ret_inode);
int inode_load_regular(struct nspace_run *run, uint64_t ino, struct inode *ret_inode);
int inode_store(struct nspace_run *run, const struct inode *inode);

/* A new one in `dir`, not stored yet. Owner and group by the rules of setgid directories. */
int inode_make(struct nspace_run *run, const struct inode *dir, uint32_t mode,
               struct inode *ret_inode);
int inode_store_new(struct nspace_run *run, const struct inode *inode);

/* One link less (a directory: none left). The last one: held for the session of the request, which
 * the outcome's value then says, or removed with all that belongs to it. */
int inode_drop_link(struct nspace_run *run, struct inode *inode, bool hold);
int inode_remove(struct nspace_run *run, const struct inode *inode);

/* --- entries (nspace_entry.c) ------------------------------------------------------------------
 */

/* Where a name is, or would be. */
struct place {
    struct inode dir;
    struct proto_bytes name;
    bool found;
    bool dots; /* "." or ".." */
    struct entry entry;
};

/* Load the directory, check search permission, look for the name. */
int place_find(struct nspace_run *run, uint64_t parent, struct proto_bytes name,
               struct place *ret_place);

/* These change `dir` (its count, its times), which the caller stores. */
int entry_add(struct nspace_run *run, struct inode *dir, struct proto_bytes name,
              const struct inode *inode);
int entry_remove(struct nspace_run *run, struct inode *dir, struct proto_bytes name,
                 const struct entry *entry);
/* Let an entry point to another inode; it keeps its place in the listing. */
int entry_point(struct nspace_run *run, struct inode *dir, struct proto_bytes name,
                const struct entry *entry, const struct inode *inode);

/* --- permissions (nspace_permission.c) ---------------------------------------------------------
 */

enum { MAY_EXECUTE = 1, MAY_WRITE = 2, MAY_READ = 4 };

static inline bool run_privileged(const struct nspace_run *run)
{
    return run->request->credentials.uid == 0;
}
bool permission_in_group(const struct nspace_run *run, uint32_t gid);
bool permission_owner(const struct nspace_run *run, const struct inode *inode);
int permission_check(const struct nspace_run *run, const struct inode *inode, uint32_t may);
/* The mask that PROTO_OPEN_* flags ask for. */
uint32_t permission_wanted(uint32_t flags);
/* For what happens through an open file: the owner passes whatever the mode is by now. */
int permission_opened(const struct nspace_run *run, const struct inode *inode, uint32_t may);
int permission_add_entry(const struct nspace_run *run, const struct inode *dir);
int permission_remove_entry(const struct nspace_run *run, const struct inode *dir,
                            const struct inode *victim);
/* Clear setuid and setgid, as a change of the content by somebody unprivileged does. */
void permission_drop_setid(struct inode *inode);

/* --- data (nspace_data.c), attributes, xattrs, orphans -----------------------------------------
 */

int data_resize(struct nspace_run *run, struct inode *inode, uint64_t size);
int data_remove(struct nspace_run *run, const struct inode *inode);
int xattr_remove_all(struct nspace_run *run, const struct inode *inode);
int orphan_add(struct nspace_run *run, const struct inode *inode);
/* Take an inode off its session's list and remove it. */
int orphan_remove(struct nspace_run *run, uint64_t ino, const struct orphan *orphan);
int orphan_load(struct nspace_run *run, uint64_t ino, struct orphan *ret_orphan); /* or NOENT */
int session_load(struct nspace_run *run, const uint8_t *id, struct session *ret_session);
int session_store(struct nspace_run *run, const uint8_t *id, const struct session *session);

/* --- operations, one for each opcode ------------------------------------------------------------
 */

int nspace_op_lookup(struct nspace_run *run);
int nspace_op_getattr(struct nspace_run *run);
int nspace_op_readlink(struct nspace_run *run);
int nspace_op_open(struct nspace_run *run);
int nspace_op_access(struct nspace_run *run);
int nspace_op_statfs(struct nspace_run *run);
int nspace_op_getxattr(struct nspace_run *run);
int nspace_op_listxattr(struct nspace_run *run);
int nspace_op_read(struct nspace_run *run);
int nspace_op_setattr(struct nspace_run *run);
int nspace_op_create(struct nspace_run *run);
int nspace_op_mknod(struct nspace_run *run);
int nspace_op_mkdir(struct nspace_run *run);
int nspace_op_symlink(struct nspace_run *run);
int nspace_op_link(struct nspace_run *run);
int nspace_op_unlink(struct nspace_run *run);
int nspace_op_rmdir(struct nspace_run *run);
int nspace_op_rename(struct nspace_run *run);
int nspace_op_setxattr(struct nspace_run *run);
int nspace_op_removexattr(struct nspace_run *run);
int nspace_op_write(struct nspace_run *run);
int nspace_op_grow(struct nspace_run *run);
int nspace_op_reserve(struct nspace_run *run);
int nspace_op_stripe(struct nspace_run *run);
int nspace_op_cut_done(struct nspace_run *run);
int nspace_op_release(struct nspace_run *run);
int nspace_op_purged(struct nspace_run *run);

#endif
