/* tutti-mds: one replica on libuv, TCP, LevelDB and a directory.
 *
 * Exit codes: 0 after an orderly end (SIGTERM, SIGINT), 1 when it had to stop serving, 2 when it
 * did not start. Each says why in one line. Stopping twice by signal ends at once. */
#include "mds/config.h"
#include "base/log.h"
#include "net/loop_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { EXIT_STOPPED = 1, EXIT_START = 2 };

static const char help[] =
    "usage: tutti-mds --config FILE [--init] [--strict] [--check] [--log-level LEVEL]\n"
    "\n"
    "One replica of a Tutti metadata service.\n"
    "\n"
    "  -c, --config FILE      configuration; docs/tutti.conf.example explains every key\n"
    "      --init             the data directory is empty: wait for 'tuttictl cluster create'\n"
    "      --strict           an unknown key in the configuration is an error\n"
    "      --check            check the configuration and exit\n"
    "      --log-level LEVEL  error, warning, info (default) or debug\n"
    "      --help, --version\n"
    "\n"
    "examples:\n"
    "  tutti-mds --config /etc/tutti/tutti.conf --init   # the first start of a new replica\n"
    "  tutti-mds --config /etc/tutti/tutti.conf          # every later one\n"
    "  tutti-mds --config new.conf --check --strict      # is it right?\n"
    "\n"
    "exit codes: 0 stopped in order, 1 had to stop serving, 2 did not start\n";

struct program {
    struct mds_config config;
    const char *config_path;
    bool init, strict, check;
    struct loop *loop;
    struct net_transport *transport;
    struct disk *disk;
    struct replica *replica;
    int lock;
    int exit_code;
    bool stopping;
};

static int complain(const char *text)
{
    fprintf(stderr, "tutti-mds: %s\n", text);
    return EXIT_START;
}

/* --- command line
 * --------------------------------------------------------------------------------- */

static int set_log_level(const char *name)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0) {
            log_set_level((enum log_level)i);
            return 0;
        }
    return complain("--log-level takes error, warning, info or debug");
}

enum { OPTION_INIT = 256, OPTION_STRICT, OPTION_CHECK, OPTION_LEVEL, OPTION_HELP, OPTION_VERSION };

static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                        {"init", no_argument, NULL, OPTION_INIT},
                                        {"strict", no_argument, NULL, OPTION_STRICT},
                                        {"check", no_argument, NULL, OPTION_CHECK},
                                        {"log-level", required_argument, NULL, OPTION_LEVEL},
                                        {"help", no_argument, NULL, OPTION_HELP},
                                        {"version", no_argument, NULL, OPTION_VERSION},
                                        {NULL, 0, NULL, 0}};

/* 0: go on; -1: all is said, exit 0; otherwise the exit code. */
static int take_option(struct program *p, int option)
{
    switch (option) {
    case 'c':
        p->config_path = optarg;
        return 0;
    case OPTION_INIT:
        p->init = true;
        return 0;
    case OPTION_STRICT:
        p->strict = true;
        return 0;
    case OPTION_CHECK:
        p->check = true;
        return 0;
    case OPTION_LEVEL:
        return set_log_level(optarg);
    case OPTION_HELP:
        fputs(help, stdout);
        return -1;
    case OPTION_VERSION:
        puts("tutti-mds " TUTTI_VERSION);
        return -1;
    }
    return complain("see tutti-mds --help");
}

static int take_arguments(struct program *p, int argc, char **argv)
{
    int option, rc;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1)
        if ((rc = take_option(p, option)) != 0)
            return rc;
    if (optind != argc)
        return complain("no arguments are taken but options; see tutti-mds --help");
    return p->config_path ? 0 : complain("a configuration is needed: --config FILE");
}

/* --- what a replica stands on
 * ---------------------------------------------------------------------- */

/* One process per data directory; the lock ends with the process. */
static int lock_data(struct program *p, struct error *error)
{
    const char *data = p->config.data;
    p->lock = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->lock < 0)
        return error_set(error, -errno,
                         "the data directory %s cannot be opened: %s; create it, or "
                         "correct data in [replica]",
                         data, strerror(errno));
    if (flock(p->lock, LOCK_EX | LOCK_NB) < 0)
        return error_set(error, -errno, "the data directory %s is in use by another tutti-mds",
                         data);
    return 0;
}

static int open_store(void *user, bool create, struct store **ret_store, struct error *error)
{
    struct program *p = user;
    char directory[sizeof p->config.data + 8];
    struct store_leveldb_config leveldb = p->config.leveldb;
    snprintf(directory, sizeof directory, "%s/store", p->config.data);
    leveldb.directory = directory;
    leveldb.create = create;
    return store_leveldb_open(&leveldb, ret_store, error);
}

static int make_base(struct program *p, struct error *error)
{
    p->loop = loop_uv_create();
    p->transport = p->loop ? net_tcp_create(p->loop) : NULL;
    if (!p->transport)
        return error_set(error, -ENOMEM, "memory or descriptors are short");
    int rc = lock_data(p, error);
    return rc < 0 ? rc : disk_posix_create(p->config.data, &p->disk, error);
}

static void end_base(struct program *p)
{
    if (p->transport)
        net_transport_destroy(p->transport);
    if (p->disk)
        p->disk->ops->destroy(p->disk);
    if (p->lock >= 0)
        close(p->lock);
    if (p->loop)
        loop_uv_destroy(p->loop);
}

/* --- serving
 * ------------------------------------------------------------------------------------------ */

static void on_failed(void *user, const char *detail)
{
    struct program *p = user;
    log_error("replica", "node %u stops serving: %s", p->config.replica.node, detail);
    sd_notifyf(0, "STOPPING=1\nSTATUS=failed: %s", detail);
    p->exit_code = EXIT_STOPPED;
    loop_uv_stop(p->loop);
}

static void on_stopped(void *user)
{
    struct program *p = user;
    loop_uv_stop(p->loop);
}

static void on_signal(void *user)
{
    struct program *p = user;
    if (p->stopping) {
        loop_uv_stop(p->loop);
        return;
    }
    p->stopping = true;
    log_info("replica", "stopping");
    sd_notify(0, "STOPPING=1\nSTATUS=stopping");
    replica_stop(p->replica, on_stopped, p);
}

static int make_replica(struct program *p, struct error *error)
{
    struct replica_config *config = &p->config.replica;
    config->loop = p->loop;
    config->transport = p->transport;
    config->disk = p->disk;
    config->store_open = open_store;
    config->store_user = p;
    config->init = p->init;
    config->user = p;
    config->failed = on_failed;
    if (getrandom(config->random, sizeof config->random, 0) != (ssize_t)sizeof config->random)
        return error_set(error, -errno, "no random numbers to be had");
    int rc = replica_create(config, &p->replica, error);
    if (rc == 0)
        rc = loop_uv_on_signal(p->loop, SIGTERM, on_signal, p);
    if (rc == 0)
        rc = loop_uv_on_signal(p->loop, SIGINT, on_signal, p);
    return rc;
}

static int serve(struct program *p)
{
    struct error error = {{0}};
    int rc = make_base(p, &error);
    if (rc == 0)
        rc = make_replica(p, &error);
    if (rc < 0) {
        complain(error.text);
        p->exit_code = EXIT_START;
    } else {
        sd_notifyf(0, "READY=1\nSTATUS=node %u at %s", p->config.replica.node, p->config.listen);
        loop_uv_run(p->loop);
    }
    replica_destroy(p->replica);
    end_base(p);
    return p->exit_code;
}

int main(int argc, char **argv)
{
    static struct program p = {.lock = -1};
    struct error error;
    int rc = take_arguments(&p, argc, argv);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if (config_read(p.config_path, p.strict, &p.config, &error) < 0)
        return complain(error.text);
    if (p.check) {
        printf("%s is right%s\n", p.config_path, p.config.warnings ? ", but for the warnings" : "");
        return 0;
    }
    if (!config_address_is_loopback(p.config.listen))
        log_warning("server",
                    "listening on %s without authentication (auth = none): whoever "
                    "reaches it can read and change everything",
                    p.config.listen);
    signal(SIGPIPE, SIG_IGN);
    return serve(&p);
}
