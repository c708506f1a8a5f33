/* order: runs of the ordering benchmark, and what they say. */
#include "bench/order.h"

#include "bench/clock.h"
#include "bench/report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONNECT_MAX_NS 20000000000u
#define DRAIN_MAX_NS   10000000000u

struct processes {
    pid_t ids[GCS_MEMBER_MAX];
    uint32_t count; /* that were started */
};

static int fail(const char *what, int code)
{
    fprintf(stderr, "order: %s: %s\n", what, strerror(-code));
    return code;
}

/* Ports that are free now, one for each member. */
static int addresses_make(struct order_run *run)
{
    int fds[GCS_MEMBER_MAX], code = 0;
    uint32_t count = 0;
    for (; count < run->options->members && !code; count++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof address;
        struct gcs_member *member = &run->members[count];
        fds[count] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(fds[count], (void *)&address, sizeof address) < 0 ||
            getsockname(fds[count], (void *)&address, &length) < 0)
            code = fail("no port", -errno);
        member->node = (uint8_t)(count + 1);
        snprintf(member->address, sizeof member->address, "127.0.0.1:%u", ntohs(address.sin_port));
    }
    while (count > 0)
        close(fds[--count]);
    return code;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    return remove(path);
}

static int directories_make(struct order_run *run)
{
    char path[ORDER_PATH_MAX + 16];
    if (!run->disk)
        return 0;
    snprintf(run->directory, sizeof run->directory, "%s/order-XXXXXX", run->options->data);
    if (!mkdtemp(run->directory))
        return fail(run->options->data, -errno);
    for (uint32_t i = 0; i < run->options->members; i++) {
        snprintf(path, sizeof path, "%s/%u", run->directory, i);
        if (mkdir(path, 0700) < 0)
            return fail(path, -errno);
    }
    return 0;
}

static void directories_remove(const struct order_run *run)
{
    if (run->disk)
        nftw(run->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int members_start(const struct order_run *run, struct processes *processes)
{
    for (uint32_t rank = 0; rank < run->options->members; rank++) {
        pid_t id = fork();
        if (id < 0)
            return fail("fork", -errno);
        if (id == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            _exit(order_member_run(run, rank));
        }
        processes->ids[processes->count++] = id;
    }
    return 0;
}

/* A member that ended before its time: says why. */
static bool members_died(const struct order_run *run, struct processes *processes)
{
    for (uint32_t i = 0; i < processes->count; i++) {
        int status;
        if (processes->ids[i] == 0 || waitpid(processes->ids[i], &status, WNOHANG) == 0)
            continue;
        const char *text = run->shared->results[i].error.text;
        if (WIFSIGNALED(status))
            fprintf(stderr, "order: member %u: %s\n", i + 1, strsignal(WTERMSIG(status)));
        else
            fprintf(stderr, "order: %s\n", *text ? text : "a member ended");
        processes->ids[i] = 0;
        return true;
    }
    return false;
}

static bool all_ready(const struct order_run *run)
{
    for (uint32_t i = 0; i < run->options->members; i++)
        if (!atomic_load(&run->shared->results[i].ready))
            return false;
    return true;
}

static bool all_done(const struct order_run *run)
{
    for (uint32_t i = 0; i < run->options->members; i++)
        if (!atomic_load(&run->shared->results[i].done))
            return false;
    return true;
}

/* Wait until `reached` (NULL: the whole time), at most `limit_ns`. */
static int wait_for(const struct order_run *run, struct processes *processes,
                    bool (*reached)(const struct order_run *run), uint64_t limit_ns)
{
    uint64_t begin = clock_ns();
    while (clock_ns() - begin < limit_ns) {
        if (reached && reached(run))
            return 0;
        if (members_died(run, processes))
            return -ECHILD;
        clock_sleep_until(clock_ns() + 2000000);
    }
    return reached ? fail("members did not come that far", -ETIMEDOUT) : 0;
}

static int phases_go(const struct order_run *run, struct processes *processes, double *ret_seconds)
{
    atomic_int *phase = &run->shared->phase;
    int code = wait_for(run, processes, all_ready, CONNECT_MAX_NS);
    if (code)
        return code;
    atomic_store(phase, ORDER_WARM);
    code = wait_for(run, processes, NULL, run->options->warmup_ns);
    if (code)
        return code;
    atomic_store(phase, ORDER_MEASURE);
    uint64_t begin = clock_ns();
    code = wait_for(run, processes, NULL, run->options->seconds_ns);
    *ret_seconds = (double)(clock_ns() - begin) / 1e9;
    if (code)
        return code;
    atomic_store(phase, ORDER_DRAIN);
    return wait_for(run, processes, all_done, DRAIN_MAX_NS);
}

static int members_end(const struct order_run *run, struct processes *processes, bool kill_them)
{
    int code = 0, status;
    atomic_store(&run->shared->phase, ORDER_QUIT);
    for (uint32_t i = 0; i < processes->count; i++)
        if (kill_them && processes->ids[i])
            kill(processes->ids[i], SIGKILL);
    for (uint32_t i = 0; i < processes->count; i++)
        if (processes->ids[i] && (waitpid(processes->ids[i], &status, 0) < 0 || status != 0))
            code = -ECHILD;
    return kill_them ? 0 : code;
}

static void report(const struct order_run *run, double seconds)
{
    static struct histogram latency;
    const struct order_options *options = run->options;
    struct order_figures sum = {0};
    struct report_row row = {.seconds = seconds, .latency = &latency};
    char measures[48], load[32];
    memset(&latency, 0, sizeof latency);
    for (uint32_t i = 0; i < options->members; i++) {
        const struct order_figures *figures = &run->shared->results[i].figures;
        histogram_merge(&latency, &run->shared->results[i].latency);
        sum.frames += figures->frames;
        sum.acknowledgements += figures->acknowledgements;
        sum.send_calls += figures->send_calls;
        sum.cpu_ns += figures->cpu_ns;
        sum.syncs += figures->syncs;
        sum.window_full += figures->window_full;
        sum.resent += figures->resent;
    }
    double count = latency.count ? (double)latency.count : 1;
    order_measures_text(&run->measures, measures);
    if (options->rate)
        snprintf(load, sizeof load, "%lu/s", options->rate);
    else
        snprintf(load, sizeof load, "%ux%u", options->senders, options->inflight);
    snprintf(row.name, sizeof row.name, "%u members, %s, %zu B, %s, %s", options->members,
             run->disk ? "disk" : "memory", (size_t)options->bytes, load, measures);
    report_extra(&row, "frames/msg", (double)sum.frames / count);
    report_extra(&row, "acks/msg", (double)sum.acknowledgements / count);
    report_extra(&row, "sends/msg", (double)sum.send_calls / count);
    report_extra(&row, "cpu_us/msg", (double)sum.cpu_ns / 1e3 / count);
    report_extra(&row, "syncs/s", (double)sum.syncs / seconds / options->members);
    report_extra(&row, "window_full", (double)sum.window_full);
    report_extra(&row, "resent", (double)sum.resent);
    report_print("order", &row, options->json);
}

static int run_go(struct order_run *run)
{
    struct processes processes = {.count = 0};
    double seconds = 0;
    memset(run->shared, 0, sizeof *run->shared);
    int code = addresses_make(run);
    if (!code)
        code = directories_make(run);
    if (!code)
        code = members_start(run, &processes);
    if (!code)
        code = phases_go(run, &processes, &seconds);
    int ended = members_end(run, &processes, code != 0);
    directories_remove(run);
    if (code || ended)
        return code ? code : fail("a member did not end well", ended);
    report(run, seconds);
    return 0;
}

static int runs_go(const struct order_options *options)
{
    static struct order_run run;
    run.options = options;
    run.shared =
        mmap(NULL, sizeof *run.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run.shared == MAP_FAILED)
        return fail("memory", -errno);
    int code = 0;
    for (int disk = 0; disk < 2; disk++)
        for (unsigned i = 0; i < options->measure_count && !code; i++) {
            run.disk = disk;
            run.measures = options->measures[i];
            if (disk ? options->disk : options->memory)
                code = run_go(&run);
        }
    return code;
}

int main(int argc, char **argv)
{
    struct order_options options;
    int code = order_options_parse(argc, argv, &options);
    if (code >= 0)
        return code;
    signal(SIGPIPE, SIG_IGN);
    report_begin(options.json);
    return runs_go(&options) ? 1 : 0;
}
