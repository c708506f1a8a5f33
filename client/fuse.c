/* The mount: connect, learn the service's limits, mount, serve, end.
 *
 * Workers of libfuse block in the service, one request each. While no replica answers all of them
 * may wait; then the kernel's queue holds the rest, whose callers it can kill by itself. */
#include "base/log.h"
#include "client/fuse_internal.h"
#include "client/members_file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WRITE_BYTES_MAX = 1 << 20, BACKGROUND_MAX = 64, WORKERS_MORE = 16 };

static void set_capability(struct fuse_conn_info *connection, unsigned capability, bool on)
{
    connection->want &= ~capability;
    if (on)
        connection->want |= connection->capable & capability;
}

/* Splicing is off: what comes and goes is memory on this side. libfuse 3.14 does not pass
 * FUSE_CAP_PARALLEL_DIROPS on to the kernel; later ones do. */
static void mount_init(void *user, struct fuse_conn_info *connection)
{
    struct mount *mount = user;
    set_capability(connection, FUSE_CAP_AUTO_INVAL_DATA, true);
    set_capability(connection, FUSE_CAP_ATOMIC_O_TRUNC, true);
    set_capability(connection, FUSE_CAP_PARALLEL_DIROPS, true);
    set_capability(connection, FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO, true);
    set_capability(connection, FUSE_CAP_HANDLE_KILLPRIV, false);
    set_capability(connection, FUSE_CAP_ASYNC_READ, true);
    set_capability(connection, FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_ASYNC_DIO, false);
    set_capability(connection, FUSE_CAP_DONT_MASK | FUSE_CAP_EXPORT_SUPPORT, false);
    set_capability(connection, FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE,
                   false);
    connection->max_write = WRITE_BYTES_MAX;
    connection->max_background = BACKGROUND_MAX;
    connection->congestion_threshold = BACKGROUND_MAX * 3 / 4;
    connection->time_gran = 1;
    mount->ready(mount->ready_user);
}

static const struct fuse_lowlevel_ops operations = {
    .init = mount_init,
    .lookup = mount_lookup,
    .forget = mount_forget,
    .forget_multi = mount_forget_multi,
    .getattr = mount_getattr,
    .setattr = mount_setattr,
    .readlink = mount_readlink,
    .mknod = mount_mknod,
    .mkdir = mount_mkdir,
    .unlink = mount_unlink,
    .rmdir = mount_rmdir,
    .symlink = mount_symlink,
    .rename = mount_rename,
    .link = mount_link,
    .open = mount_open,
    .read = mount_read,
    .write = mount_write,
    .flush = mount_flush,
    .release = mount_release,
    .fsync = mount_fsync,
    .opendir = mount_opendir,
    .readdir = mount_readdir,
    .readdirplus = mount_readdirplus,
    .releasedir = mount_releasedir,
    .fsyncdir = mount_fsyncdir,
    .statfs = mount_statfs,
    .setxattr = mount_setxattr,
    .getxattr = mount_getxattr,
    .listxattr = mount_listxattr,
    .removexattr = mount_removexattr,
    .access = mount_access,
    .create = mount_create,
    .fallocate = mount_fallocate,
};

/* --- the service --- */

static int connect_client(struct mount *mount, struct error *error)
{
    struct tutti_options options;
    tutti_options_defaults(&options);
    options.replicas = mount->options->replicas;
    options.first = mount->options->first;
    options.slots = mount->options->slots;
    char *members = members_file_path(mount->options->state, mount->options->replicas);
    options.members_path = members;
    options.request_timeout_ns = mount->options->soft ? mount->options->timeo_ns : 0;
    int rc = tutti_connect(&options, &mount->client, error);
    free(members);
    return rc;
}

static int ask_limits(struct mount *mount, struct proto_statfs *ret_figures, struct error *error)
{
    struct proto_op op = {.code = PROTO_STATFS, .ino = PROTO_ROOT_INO};
    struct proto_outcome outcome;
    struct buffer reply;
    buffer_init(&reply, PROTO_REPLY_BYTES_MAX);
    int rc = mount_service_call(mount, NULL, DATA_AS_MOUNT, &op, &reply, &outcome);
    if (!rc)
        rc = -tutti_errno(outcome.status);
    if (!rc) {
        struct reader r = reader_make(outcome.data.data, outcome.data.bytes);
        proto_statfs_read(&r, ret_figures);
        rc = reader_complete(&r) ? 0 : -EPROTO;
    }
    buffer_finish(&reply);
    return rc < 0 ? error_set(error, rc, "asking the service for its limits: %s", strerror(-rc))
                  : 0;
}

static int open_data(struct mount *mount, struct error *error)
{
    struct proto_statfs figures;
    int rc = ask_limits(mount, &figures, error);
    if (rc < 0)
        return rc;
    struct data_config config = {
        .targets = (const char *const *)mount->options->targets,
        .target_count = mount->options->target_count,
        .stripe_bytes = mount->options->stripe_bytes,
        .inline_bytes_max = figures.inline_bytes_max,
        .service = {mount, mount_service_call, mount_service_cancelled},
    };
    if (!config.target_count)
        log_warning("mount", "no data targets (-o data=DIR): files are limited to %u bytes",
                    figures.inline_bytes_max);
    mount->reopen = mount_reopen_create();
    if (!mount->reopen)
        return error_set(error, -ENOMEM, "no memory");
    return data_create(&config, &mount->data, error);
}

/* --- the session with the kernel --- */

static int add_argument(struct fuse_args *arguments, const char *text)
{
    return fuse_opt_add_arg(arguments, text) < 0 ? -ENOMEM : 0;
}

/* What `mount` shows: "REPLICAS on DIR type fuse.tutti". */
static int make_arguments(const struct mount_options *options, struct fuse_args *arguments)
{
    char *list = NULL, *name = NULL;
    bool others = options->allow_other || (geteuid() == 0 && !options->no_allow_other);
    int rc = asprintf(&name, "fsname=%s", options->replicas) < 0 ? -ENOMEM : 0;
    if (!rc)
        rc = fuse_opt_add_opt(&list, "subtype=tutti,default_permissions");
    if (!rc)
        rc = fuse_opt_add_opt_escaped(&list, name);
    if (!rc && others)
        rc = fuse_opt_add_opt(&list, "allow_other");
    if (!rc && options->kernel)
        rc = fuse_opt_add_opt(&list, options->kernel);
    if (!rc)
        rc = add_argument(arguments, "tutti-mount");
    if (!rc)
        rc = add_argument(arguments, "-o");
    if (!rc)
        rc = add_argument(arguments, list);
    if (!rc && options->debug)
        rc = add_argument(arguments, "-d");
    free(list);
    free(name);
    return rc < 0 ? -ENOMEM : 0;
}

static int make_session(struct mount *mount, struct error *error)
{
    struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
    int rc = make_arguments(mount->options, &arguments);
    if (rc < 0)
        error_set(error, rc, "no memory");
    if (!rc)
        mount->session = fuse_session_new(&arguments, &operations, sizeof operations, mount);
    fuse_opt_free_args(&arguments);
    if (!rc && !mount->session)
        rc = error_set(error, -EINVAL, "libfuse refuses the mount options");
    return rc;
}

/* libfuse and fusermount3 print the reason. */
static int attach(struct mount *mount, const char *directory, struct error *error)
{
    if (fuse_set_signal_handlers(mount->session) < 0)
        return error_set(error, -EINVAL, "signal handlers can't be set");
    if (fuse_session_mount(mount->session, directory) < 0)
        return error_set(error, -EIO, "mounting on %s failed", directory);
    return 0;
}

static int serve(struct mount *mount, struct error *error)
{
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    if (!config)
        return error_set(error, -ENOMEM, "no memory");
    fuse_loop_cfg_set_max_threads(config, mount->options->slots + WORKERS_MORE);
    int rc = fuse_session_loop_mt(mount->session, config);
    fuse_loop_cfg_destroy(config);
    return rc < 0 ? error_set(error, rc, "serving the mount: %s", strerror(-rc)) : 0;
}

/* --- beginning and end --- */

static int run_mounted(struct mount *mount, struct error *error)
{
    int rc = mount_watch_start(mount, error);
    if (rc < 0)
        return rc;
    rc = serve(mount, error);
    mount_watch_stop(mount);
    return rc;
}

static int run(struct mount *mount, const char *directory, struct error *error)
{
    int rc = connect_client(mount, error);
    if (!rc)
        rc = open_data(mount, error);
    if (!rc)
        rc = make_session(mount, error);
    if (rc < 0)
        return rc;
    rc = attach(mount, directory, error);
    if (!rc)
        rc = run_mounted(mount, error);
    fuse_session_unmount(mount->session);
    fuse_remove_signal_handlers(mount->session);
    return rc;
}

static void finish(struct mount *mount)
{
    if (mount->session)
        fuse_session_destroy(mount->session);
    if (mount->data)
        data_destroy(mount->data);
    mount_reopen_destroy(mount->reopen);
    tutti_close(mount->client);
}

int mount_run(const struct mount_options *options, void (*ready)(void *user), void *user,
              struct error *error)
{
    struct mount mount = {.options = options, .ready = ready, .ready_user = user};
    char *directory = realpath(options->directory, NULL);
    if (!directory)
        return error_set(error, -errno, "%s: %s", options->directory, strerror(errno));
    int rc = run(&mount, directory, error);
    finish(&mount);
    free(directory);
    return rc;
}
