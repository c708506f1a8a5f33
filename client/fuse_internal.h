/* Shared by the files that speak FUSE.
 *
 * Each operation of the kernel is answered by one function: begin a call, ask the service or the
 * data path, reply. A reply ends the request; the kernel is never left without one. Node ids are
 * inode numbers, so `forget` has nothing to do. */
#ifndef TUTTI_CLIENT_FUSE_INTERNAL_H
#define TUTTI_CLIENT_FUSE_INTERNAL_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)

#include "client/data.h"
#include "client/mount.h"
#include "client/tutti.h"

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>

struct mount {
    const struct mount_options *options;
    struct tutti *client;
    struct data *data;
    struct fuse_session *session;
    void (*ready)(void *user);
    void *ready_user;
    struct mount_watch *watch;
    struct mount_reopen *reopen;
    atomic_uint waiting;  /* calls that are asking the service */
    atomic_bool stopping; /* calls of the mount itself give up, too */
};

/* Who waits for an answer, and with whose rights. Lives on the stack of the request. */
struct data_caller {
    struct mount *mount;
    pid_t tid;          /* 0: nobody that could be killed */
    bool asked;         /* `cancelled` was called once */
    uint64_t since_ns;  /* of that first time */
    uint64_t looked_ns; /* at the process */
    struct tutti_caller credentials;
    uint32_t groups[PROTO_GROUPS_MAX];
};

/* One request of the kernel. */
struct mount_call {
    fuse_req_t req;
    struct mount *mount;
    struct data_caller caller;
    struct buffer reply;
    struct proto_outcome outcome;
};

/* fuse_call.c */
/* Begin; every call ends by one of the mount_reply functions below or mount_call_end. */
void mount_call_begin(struct mount_call *call, fuse_req_t req);
/* The request was replied to otherwise: let go of memory. */
void mount_call_end(struct mount_call *call);
/* Ask the service with the caller's, or the mount's, rights. 0 where the outcome is PROTO_OK, else
 * the negative errno for the application. */
int mount_call_as_caller(struct mount_call *call, const struct proto_op *op) WARN_UNUSED;
int mount_call_as_mount(struct mount_call *call, const struct proto_op *op) WARN_UNUSED;
/* What the application sees of a negative errno of the library or the data path. */
int mount_errno(int rc);
void mount_reply_error(struct mount_call *call, int rc);
/* rc < 0: that error; else what the outcome has. */
void mount_reply_entry(struct mount_call *call, int rc);
void mount_reply_attr(struct mount_call *call, int rc);
void mount_reply_data(struct mount_call *call, int rc);
/* As getxattr: the size only where `size` is 0, -ERANGE where it is too small. */
void mount_reply_sized(struct mount_call *call, int rc, size_t size);
struct proto_bytes mount_name(const char *name);
/* The attributes with this mount's own writes on top, as the kernel wants them. */
struct stat mount_stat(struct mount *mount, struct proto_attr *attr);
struct fuse_entry_param mount_entry(struct mount *mount, struct proto_attr *attr);

/* fuse_caller.c */
void mount_caller_begin(struct data_caller *caller, struct mount *mount,
                        const struct fuse_ctx *ctx);
/* struct data_service and the `cancelled` of tutti_call. */
int mount_service_call(void *user, struct data_caller *caller, enum data_authority authority,
                       const struct proto_op *op, struct buffer *reply,
                       struct proto_outcome *ret_outcome);
bool mount_service_cancelled(void *user, struct data_caller *caller);

/* fuse_watch.c: two threads. One lets waiting calls look at their callers now and then, the other
 * removes the objects of deleted files. */
int mount_watch_start(struct mount *mount, struct error *error) WARN_UNUSED;
void mount_watch_stop(struct mount *mount);

/* fuse_reopen.c: what the kernel may keep of a file's pages when it is opened again. */
struct mount_reopen *mount_reopen_create(void) WARN_UNUSED;
void mount_reopen_destroy(struct mount_reopen *reopen);
/* Whether nothing was ordered on the inode since this was last called for it. Any thread. */
bool mount_reopen_unchanged(struct mount_reopen *reopen, const struct proto_attr *attr);

/* The operations, by file. */
void mount_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void mount_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count);
void mount_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void mount_readlink(fuse_req_t req, fuse_ino_t ino);
void mount_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void mount_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void mount_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void mount_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void mount_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void mount_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void mount_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t parent2,
                  const char *name2, unsigned flags);

void mount_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mount_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
                   struct fuse_file_info *fi);
void mount_access(fuse_req_t req, fuse_ino_t ino, int mask);
void mount_statfs(fuse_req_t req, fuse_ino_t ino);
void mount_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                    size_t size, int flags);
void mount_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void mount_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void mount_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

void mount_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mount_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie,
                   struct fuse_file_info *fi);
void mount_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie,
                       struct fuse_file_info *fi);
void mount_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mount_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

void mount_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                  struct fuse_file_info *fi);
void mount_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mount_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                struct fuse_file_info *fi);
void mount_write(fuse_req_t req, fuse_ino_t ino, const char *from, size_t size, off_t offset,
                 struct fuse_file_info *fi);
void mount_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mount_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mount_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void mount_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t bytes,
                     struct fuse_file_info *fi);

#endif
