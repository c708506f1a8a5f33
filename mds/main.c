/* tutti-mds: one replica, as a supervisor and its worker; here is the command line.
 *
 * Exit codes: 0 after an orderly end (SIGTERM, SIGINT), 1 when it had to stop serving, 2 when it
 * did not start. Each says why in one line. Stopping twice by signal ends at once. */
#include "base/log.h"
#include "mds/config.h"
#include "mds/supervisor.h"
#include "mds/worker.h"
#include "net/loop_uv.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: tutti-mds --config FILE [--init] [--witness] [--strict] [--check]\n"
    "                 [--no-supervisor] [--log-level LEVEL]\n"
    "\n"
    "One replica of a Tutti metadata service.\n"
    "\n"
    "  -c, --config FILE      configuration; docs/tutti.conf.example explains every key\n"
    "      --init             the data directory is empty: wait for 'tuttictl cluster create'\n"
    "                         or 'tuttictl member add'\n"
    "      --witness          as 'witness = yes' in the configuration: votes, holds no data\n"
    "      --strict           an unknown key in the configuration is an error\n"
    "      --check            check the configuration and exit\n"
    "      --no-supervisor    serve in this process: nobody starts it again, nor tells the other\n"
    "                         members when it is dead (for debuggers)\n"
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
    const char *config_path, *log_level;
    bool init, init_again, witness, strict, check, alone, store_damaged;
    int supervisor; /* the worker's socket to it; -1: this is no worker */
};

static int complain(const char *text)
{
    fprintf(stderr, "tutti-mds: %s\n", text);
    return MDS_EXIT_START;
}

/* --- command line
 * --------------------------------------------------------------------------------- */

static int set_log_level(struct program *p, const char *name)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0) {
            log_set_level((enum log_level)i);
            p->log_level = names[i];
            return 0;
        }
    return complain("--log-level takes error, warning, info or debug");
}

/* --worker, --init-again and --store-damaged are what a supervisor starts its worker with; not for
 * people. */
static int set_worker(struct program *p, const char *text)
{
    char *rest;
    unsigned long descriptor = strtoul(text, &rest, 10);
    if (rest == text || *rest || descriptor > 1 << 20)
        return complain("--worker is for the supervisor alone");
    p->supervisor = (int)descriptor;
    return 0;
}

enum {
    OPTION_INIT = 256,
    OPTION_WITNESS,
    OPTION_STRICT,
    OPTION_CHECK,
    OPTION_ALONE,
    OPTION_WORKER,
    OPTION_INIT_AGAIN,
    OPTION_STORE_DAMAGED,
    OPTION_LEVEL,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                        {"init", no_argument, NULL, OPTION_INIT},
                                        {"witness", no_argument, NULL, OPTION_WITNESS},
                                        {"strict", no_argument, NULL, OPTION_STRICT},
                                        {"check", no_argument, NULL, OPTION_CHECK},
                                        {"no-supervisor", no_argument, NULL, OPTION_ALONE},
                                        {"worker", required_argument, NULL, OPTION_WORKER},
                                        {"init-again", no_argument, NULL, OPTION_INIT_AGAIN},
                                        {"store-damaged", no_argument, NULL, OPTION_STORE_DAMAGED},
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
    case OPTION_WITNESS:
        p->witness = true;
        return 0;
    case OPTION_STRICT:
        p->strict = true;
        return 0;
    case OPTION_CHECK:
        p->check = true;
        return 0;
    case OPTION_ALONE:
        p->alone = true;
        return 0;
    case OPTION_WORKER:
        return set_worker(p, optarg);
    case OPTION_INIT_AGAIN:
        p->init = p->init_again = true;
        return 0;
    case OPTION_STORE_DAMAGED:
        p->store_damaged = true;
        return 0;
    case OPTION_LEVEL:
        return set_log_level(p, optarg);
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

/* --- the two programs
 * ----------------------------------------------------------------------------- */

static int supervise(const struct program *p, const char *program)
{
    const struct supervisor_options supervisor = {.program = program,
                                                  .config_path = p->config_path,
                                                  .log_level = p->log_level,
                                                  .init = p->init,
                                                  .witness = p->witness,
                                                  .strict = p->strict};
    return supervisor_run(&supervisor);
}

static int work(const struct program *p)
{
    static struct mds_config config;
    struct error error;
    int rc = config_read(p->config_path, p->strict, &config, &error);
    if (rc < 0) {
        complain(error.text);
        return worker_start_failed(rc);
    }
    config.replica.witness |= p->witness;
    if (p->check) {
        printf("%s is right%s\n", p->config_path, config.warnings ? ", but for the warnings" : "");
        return 0;
    }
    if (!config_address_is_loopback(config.listen))
        log_warning("server",
                    "listening on %s without authentication (auth = none): whoever "
                    "reaches it can read and change everything",
                    config.listen);
    const struct worker_options worker = {.init = p->init,
                                          .init_again = p->init_again,
                                          .store_damaged = p->store_damaged,
                                          .supervisor = p->supervisor};
    return worker_run(&config, &worker);
}

int main(int argc, char **argv)
{
    struct program p = {.supervisor = -1};
    int rc = take_arguments(&p, argc, argv);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    loop_uv_tell_shortage();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN); /* nothing is read again, and the end of a terminal ends nobody */
    return p.check || p.alone || p.supervisor >= 0 ? work(&p) : supervise(&p, argv[0]);
}
