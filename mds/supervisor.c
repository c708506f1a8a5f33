/* The supervisor: one worker at a time, from its start to the notice of its death.
 *
 * The kernel tells a process's parent that it is dead only when nothing of it is left: no thread,
 * no memory, no socket. That is what makes the notice a proof. What the worker had still written to
 * its socket is read first: the last report says which incarnation it was. A worker that reported
 * nothing had spoken to nobody that it could hold a lease from, and there is nothing to tell.
 *
 * The supervisor is small, holds no state that outlives it and does nothing else, so that whatever
 * kills the worker spares it. If it dies all the same the worker goes with it (mds/worker.c).
 * Source: docs/protocol.md, section 4 (death notice). */
#include "mds/supervisor.h"
#include "base/log.h"
#include "mds/supervisor_link.h"
#include "mds/worker.h"
#include "mds/worker_report.h"
#include "net/loop_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static const uint64_t pause_first_ns = 100000000, pause_max_ns = 10000000000;
static const uint64_t life_ns =
    10000000000; /* who lived so long starts with the first pause again */
static const uint64_t farewell_ns = 1000000000;

struct supervisor {
    struct supervisor_options options;
    struct loop *loop;
    struct net_transport *transport;
    struct supervisor_links links;
    int socket, worker_socket; /* both ends: each worker inherits the second one */
    pid_t worker;              /* 0: none */
    uint64_t started_ns, pause_ns;
    bool reported;   /* this worker has said who it is: links.report */
    bool tried;      /* there was a worker: it may have done what --init is for */
    bool formatted;  /* a worker has: what --init was for has happened */
    bool unreadable; /* the last worker died of a page of a mapped file that can't be read */
    bool stopping, ending;
    struct loop_timer timer; /* until the next start, or, when ending, until the links are cut */
    int exit_code;
};

/* --- ending
 * --------------------------------------------------------------------------------------- */

static void on_links_closed(void *user)
{
    const struct supervisor *s = user;
    loop_uv_stop(s->loop);
}

static void end(struct supervisor *s, int exit_code)
{
    s->exit_code = exit_code;
    s->ending = true;
    loop_timer_start(&s->timer, farewell_ns);
    supervisor_links_close(&s->links, on_links_closed, s);
}

/* --- the worker's start
 * --------------------------------------------------------------------------- */

enum { ARGUMENTS_MAX = 12 };

static void worker_arguments(const struct supervisor *s, char socket[16],
                             const char *argv[ARGUMENTS_MAX])
{
    const struct supervisor_options *o = &s->options;
    int count = 0;
    snprintf(socket, 16, "%d", s->worker_socket);
    argv[count++] = o->program;
    argv[count++] = "--worker";
    argv[count++] = socket;
    argv[count++] = "--config";
    argv[count++] = o->config_path;
    if (o->log_level) {
        argv[count++] = "--log-level";
        argv[count++] = o->log_level;
    }
    if (o->strict)
        argv[count++] = "--strict";
    if (o->witness)
        argv[count++] = "--witness";
    if (o->init && !s->formatted)
        argv[count++] = s->tried ? "--init-again" : "--init";
    if (s->unreadable)
        argv[count++] = "--store-damaged";
    argv[count] = NULL;
}

/* In the child: only what may be called between fork and exec of a process with threads. A process
 * group of its own, so that a terminal's interrupt comes once, by way of the supervisor. */
__attribute__((noreturn)) static void become_worker(int socket, char *const argv[])
{
    static const char text[] = "tutti-mds: the worker cannot be started\n";
    sigset_t none;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) == 0 && setpgid(0, 0) == 0 &&
        fcntl(socket, F_SETFD, 0) == 0)
        execv("/proc/self/exe", argv); /* this very program, whatever its file has become */
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(MDS_EXIT_STOPPED);
    _exit(MDS_EXIT_START);
}

static void start_later(struct supervisor *s);

static void start(struct supervisor *s)
{
    const char *argv[ARGUMENTS_MAX];
    char socket[16];
    worker_arguments(s, socket, argv);
    s->reported = false;
    s->started_ns = loop_now_ns(s->loop);
    pid_t pid = fork();
    if (pid == 0)
        become_worker(s->worker_socket, (char *const *)argv);
    if (pid < 0) {
        log_error("supervisor", "no process for the worker: %s", strerror(errno));
        start_later(s);
        return;
    }
    s->worker = pid;
    s->tried = true;
    s->unreadable = false;
    log_debug("supervisor", "worker %d started", (int)pid);
}

static void start_later(struct supervisor *s)
{
    if (loop_now_ns(s->loop) - s->started_ns >= life_ns)
        s->pause_ns = pause_first_ns;
    unsigned ms = (unsigned)(s->pause_ns / 1000000);
    log_warning("supervisor", "the worker is started again in %u ms", ms);
    sd_notifyf(0, "STATUS=the worker is started again in %u ms", ms);
    loop_timer_start(&s->timer, s->pause_ns);
    s->pause_ns = 2 * s->pause_ns < pause_max_ns ? 2 * s->pause_ns : pause_max_ns;
}

static void on_timer(struct loop_timer *timer)
{
    struct supervisor *s = CONTAINER_OF(timer, struct supervisor, timer);
    if (s->ending)
        loop_uv_stop(s->loop);
    else
        start(s);
}

/* --- the worker's reports and its end
 * ------------------------------------------------------------- */

static void on_report(void *user)
{
    struct supervisor *s = user;
    struct replica_view_report report;
    int rc;
    while ((rc = worker_report_receive(s->socket, &report)) != WORKER_REPORT_NONE) {
        if (rc < 0) {
            log_error("supervisor", "a report of the worker is not understood: %s", strerror(-rc));
            return;
        }
        s->reported = s->formatted = true;
        supervisor_links_follow(&s->links, &report);
    }
}

static void tell_death(struct supervisor *s)
{
    const struct replica_view_report *report = &s->links.report;
    struct net_death death = {.node = report->node,
                              .incarnation_count = report->incarnation_count,
                              .incarnation_random = report->incarnation_random};
    if (!s->reported)
        return;
    memcpy(death.store, report->store, sizeof death.store);
    supervisor_links_tell(&s->links, &death);
}

/* The exit code that the worker's end stands for. */
static int log_end(struct supervisor *s, pid_t pid, int status)
{
    if (WIFEXITED(status)) {
        if (WEXITSTATUS(status) != 0)
            log_error("supervisor", "worker %d ended with exit code %d", (int)pid,
                      WEXITSTATUS(status));
        return WEXITSTATUS(status);
    }
    int number = WTERMSIG(status);
    if (s->stopping && number == SIGTERM)
        return 0; /* it was still starting: nothing was taken that had to be finished */
    log_error("supervisor", "worker %d was killed by signal %d (%s)", (int)pid, number,
              strsignal(number));
    s->unreadable = number == SIGBUS; /* LevelDB maps its tables */
    return MDS_EXIT_STOPPED;
}

static void on_child(void *user)
{
    struct supervisor *s = user;
    int status;
    pid_t pid = s->worker;
    if (pid == 0 || waitpid(pid, &status, WNOHANG) != pid)
        return;
    s->worker = 0;
    on_report(s);
    tell_death(s);
    int code = log_end(s, pid, status);
    bool for_good = WIFEXITED(status) && (code == 0 || code == MDS_EXIT_START);
    if (s->stopping || for_good)
        end(s, code);
    else
        start_later(s);
}

static void on_signal(void *user)
{
    struct supervisor *s = user;
    bool again = s->stopping;
    s->stopping = true;
    if (s->ending)
        return;
    if (s->worker == 0)
        end(s, MDS_EXIT_STOPPED);
    else if (kill(s->worker, again ? SIGKILL : SIGTERM) < 0)
        log_error("supervisor", "no signal to worker %d: %s", (int)s->worker, strerror(errno));
}

/* --- begin
 * ---------------------------------------------------------------------------------------- */

/* Not to be paged out when memory is short: that is when workers die. Only where there is no limit,
 * for one would make later allocations fail. */
static void lock_memory(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY &&
        mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
        log_debug("supervisor", "memory is not locked: %s", strerror(errno));
}

/* What the user has set stays. */
static int ask_for_huge_pages(void)
{
    static const char name[] = "GLIBC_TUNABLES", key[] = "glibc.malloc.hugetlb";
    const char *set = getenv(name);
    char *value;
    if (set && strstr(set, key))
        return 0;
    if (asprintf(&value, "%s%s%s", set ? set : "", set && set[0] ? ":" : "",
                 SUPERVISOR_WORKER_TUNABLES) < 0)
        return -ENOMEM;
    int rc = setenv(name, value, 1);
    free(value);
    return rc < 0 ? -errno : 0;
}

static int begin(struct supervisor *s)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    s->socket = pair[0];
    s->worker_socket = pair[1];
    s->loop = loop_uv_create();
    s->transport = s->loop ? net_tcp_create(s->loop) : NULL;
    if (!s->transport || loop_timer_init(s->loop, &s->timer, on_timer) < 0)
        return -ENOMEM;
    supervisor_links_init(&s->links, s->loop, s->transport);
    int rc = ask_for_huge_pages();
    if (rc == 0)
        rc = loop_uv_on_readable(s->loop, s->socket, on_report, s);
    if (rc == 0)
        rc = loop_uv_on_signal(s->loop, SIGCHLD, on_child, s);
    if (rc == 0)
        rc = loop_uv_on_signal(s->loop, SIGTERM, on_signal, s);
    if (rc == 0)
        rc = loop_uv_on_signal(s->loop, SIGINT, on_signal, s);
    return rc;
}

static void finish(struct supervisor *s)
{
    if (s->transport)
        net_transport_destroy(s->transport);
    loop_timer_finish(&s->timer);
    if (s->loop)
        loop_uv_destroy(s->loop);
    if (s->socket >= 0)
        close(s->socket);
    if (s->worker_socket >= 0)
        close(s->worker_socket);
}

int supervisor_run(const struct supervisor_options *options)
{
    struct supervisor s = {
        .options = *options, .socket = -1, .worker_socket = -1, .pause_ns = pause_first_ns};
    int rc = begin(&s);
    if (rc < 0) {
        fprintf(stderr, "tutti-mds: the supervisor cannot start: %s\n", strerror(-rc));
        s.exit_code = MDS_EXIT_START;
    } else {
        lock_memory();
        start(&s);
        loop_uv_run(s.loop);
    }
    finish(&s);
    return s.exit_code;
}
