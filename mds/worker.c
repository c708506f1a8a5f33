/* The process that serves, from its data directory's lock to its orderly end.
 *
 * Under a supervisor it ends when the supervisor does: the kernel kills it then, and where that was
 * arranged too late the socket's other end is gone already. So there is never a worker that nobody
 * watches, and a supervisor that is started again finds the directory free. */
#include "mds/worker.h"
#include "base/log.h"
#include "mds/worker_report.h"
#include "mds/store_place.h"
#include "net/loop_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

struct worker {
    struct mds_config *config;
    struct worker_options options;
    struct loop *loop;
    struct net_transport *transport;
    struct disk *disk;
    struct replica *replica;
    int lock;
    int exit_code;
    bool stopping;
};

/* --- under a supervisor
 * --------------------------------------------------------------------------- */

static int follow_supervisor(const struct worker *w, struct error *error)
{
    int fd = w->options.supervisor, type = 0;
    socklen_t bytes = sizeof type;
    struct pollfd other = {.fd = fd};
    if (fd < 0)
        return 0;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) < 0 || type != SOCK_SEQPACKET)
        return error_set(error, -EINVAL, "--worker is for the supervisor alone");
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
        prctl(PR_SET_NAME, "tutti-worker") < 0)
        return error_set(error, -errno, "cannot follow the supervisor: %s", strerror(errno));
    if (poll(&other, 1, 0) != 0)
        return error_set(error, -ESRCH, "the supervisor is gone");
    return 0;
}

static void on_view(void *user, const struct replica_view_report *report)
{
    const struct worker *w = user;
    int rc = worker_report_send(w->options.supervisor, report);
    if (rc < 0)
        log_warning("replica", "the supervisor does not hear of the members: %s", strerror(-rc));
}

/* --- what a replica stands on
 * ---------------------------------------------------------------------- */

static int try_lock(int fd)
{
    static const struct timespec pause = {.tv_nsec = 20000000};
    enum { TRIES = 150 }; /* 3 s: the kernel may still be reaping the one before */
    for (int i = 0; i < TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK)
            return -errno;
        nanosleep(&pause, NULL);
    }
    return -EWOULDBLOCK;
}

/* One process per data directory; the lock ends with the process. */
static int lock_data(struct worker *w, struct error *error)
{
    const char *data = w->config->data;
    w->lock = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->lock < 0)
        return error_set(error, -errno,
                         "the data directory %s cannot be opened: %s; create it, or "
                         "correct data in [replica]",
                         data, strerror(errno));
    int rc = try_lock(w->lock);
    if (rc == -EWOULDBLOCK)
        return error_set(error, rc, "the data directory %s is in use by another tutti-mds", data);
    if (rc < 0)
        return error_set(error, rc, "the data directory %s cannot be locked: %s", data,
                         strerror(-rc));
    return 0;
}

/* --- where the store is --- */

static int store_open(void *user, enum replica_store which, struct store **ret_store,
                      struct error *error)
{
    struct worker *w = user;
    struct store_leveldb_config leveldb = w->config->leveldb;
    char directory[STORE_PLACE_BYTES];
    int rc = which == REPLICA_STORE_INCOMING
                 ? store_place_incoming(w->disk, w->config->data, directory, error)
                 : store_place_current(w->disk, w->config->data, directory, error);
    if (rc < 0)
        return rc;
    leveldb.directory = directory;
    leveldb.create = which != REPLICA_STORE_CURRENT;
    return store_leveldb_open(&leveldb, ret_store, error);
}

static int store_promote(void *user, enum replica_old old, struct error *error)
{
    struct worker *w = user;
    return store_place_promote(w->disk, w->config->data, old, error);
}

static int make_base(struct worker *w, struct error *error)
{
    w->loop = loop_uv_create();
    w->transport = w->loop ? net_tcp_create(w->loop) : NULL;
    if (!w->transport)
        return error_set(error, -ENOMEM, "memory or descriptors are short");
    int rc = lock_data(w, error);
    return rc < 0 ? rc : disk_posix_create(w->config->data, &w->disk, error);
}

static void end_base(struct worker *w)
{
    if (w->transport)
        net_transport_destroy(w->transport);
    if (w->disk)
        w->disk->ops->destroy(w->disk);
    if (w->lock >= 0)
        close(w->lock);
    if (w->loop)
        loop_uv_destroy(w->loop);
}

/* --- serving
 * ------------------------------------------------------------------------------------------ */

static void on_failed(void *user, const char *detail)
{
    struct worker *w = user;
    log_error("replica", "node %u stops serving: %s", w->config->replica.node, detail);
    /* Under a supervisor the service goes on: another worker comes. */
    sd_notifyf(0, "%sSTATUS=failed: %s", w->options.supervisor < 0 ? "STOPPING=1\n" : "", detail);
    w->exit_code = MDS_EXIT_STOPPED;
    loop_uv_stop(w->loop);
}

static void on_stopped(void *user)
{
    struct worker *w = user;
    loop_uv_stop(w->loop);
}

static void on_signal(void *user)
{
    struct worker *w = user;
    if (w->stopping) {
        loop_uv_stop(w->loop);
        return;
    }
    w->stopping = true;
    log_info("replica", "stopping");
    sd_notify(0, "STOPPING=1\nSTATUS=stopping");
    replica_stop(w->replica, on_stopped, w);
}

static int watch_signals(struct worker *w, struct error *error)
{
    int rc = loop_uv_on_signal(w->loop, SIGTERM, on_signal, w);
    if (rc == 0)
        rc = loop_uv_on_signal(w->loop, SIGINT, on_signal, w);
    return rc < 0 ? error_set(error, rc, "signals can't be watched: %s", strerror(-rc)) : 0;
}

static int make_replica(struct worker *w, struct error *error)
{
    struct replica_config *config = &w->config->replica;
    config->loop = w->loop;
    config->transport = w->transport;
    config->disk = w->disk;
    config->store_open = store_open;
    config->store_promote = store_promote;
    config->store_user = w;
    config->init = w->options.init;
    config->init_again = w->options.init_again;
    config->store_damaged = w->options.store_damaged;
    config->user = w;
    config->failed = on_failed;
    config->view = w->options.supervisor < 0 ? NULL : on_view;
    if (getrandom(config->random, sizeof config->random, 0) != (ssize_t)sizeof config->random)
        return error_set(error, -errno, "no random numbers to be had");
    int rc = replica_create(config, &w->replica, error);
    return rc < 0 ? rc : watch_signals(w, error);
}

int worker_start_failed(int rc)
{
    return rc == -ENOMEM ? MDS_EXIT_STOPPED : MDS_EXIT_START;
}

int worker_run(struct mds_config *config, const struct worker_options *options)
{
    struct worker w = {.config = config, .options = *options, .lock = -1};
    struct error error = {{0}};
    int rc = follow_supervisor(&w, &error);
    if (rc == 0)
        rc = make_base(&w, &error);
    if (rc == 0)
        rc = make_replica(&w, &error);
    if (rc < 0) {
        fprintf(stderr, "tutti-mds: %s\n", error.text);
        w.exit_code = worker_start_failed(rc);
    } else {
        sd_notifyf(0, "READY=1\nSTATUS=node %u at %s", config->replica.node, config->listen);
        loop_uv_run(w.loop);
    }
    replica_destroy(w.replica);
    end_base(&w);
    return w.exit_code;
}
