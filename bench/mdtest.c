/* tutti-bench: starts the processes, shows how far they are, prints what they measured. */
#include "bench/mdtest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WATCH_NS 20000000u

struct processes {
    pid_t ids[MDTEST_PROCESSES_MAX]; /* 0: ended */
    uint32_t count;
};

static void *shared_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static struct mdtest_shared *shared_create(const struct mdtest_options *options)
{
    size_t ranks = (size_t)MDTEST_PHASES * options->processes;
    struct mdtest_shared *shared = shared_memory(sizeof *shared);
    pthread_barrierattr_t attributes;
    if (!shared)
        return NULL;
    shared->latency = shared_memory(ranks * sizeof *shared->latency);
    shared->spans = shared_memory(options->iterations * ranks * sizeof *shared->spans);
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (!shared->latency || !shared->spans ||
        pthread_barrier_init(&shared->barrier, &attributes, options->processes) != 0)
        return NULL;
    return shared;
}

static int processes_start(const struct mdtest_options *options, struct mdtest_shared *shared,
                           struct processes *processes)
{
    for (uint32_t rank = 0; rank < options->processes; rank++) {
        pid_t id = fork();
        if (id < 0) {
            fprintf(stderr, "tutti-bench: fork: %s\n", strerror(errno));
            return -1;
        }
        if (id == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            _exit(mdtest_rank_run(options, shared, rank));
        }
        processes->ids[processes->count++] = id;
    }
    return 0;
}

static void processes_kill(struct processes *processes)
{
    for (uint32_t i = 0; i < processes->count; i++)
        if (processes->ids[i])
            kill(processes->ids[i], SIGKILL);
    for (uint32_t i = 0; i < processes->count; i++)
        if (processes->ids[i])
            waitpid(processes->ids[i], NULL, 0);
}

/* One process has ended badly: say why, and that its files are still there. */
static void process_blame(const struct mdtest_shared *shared, uint32_t rank, int status)
{
    const char *text = shared->errors[rank].text;
    if (WIFSIGNALED(status))
        text = strsignal(WTERMSIG(status));
    fprintf(stderr, "\ntutti-bench: process %u: %s\n", rank, *text ? text : "ended");
}

/* How many still run; negative: one ended badly. */
static int processes_watch(const struct mdtest_shared *shared, struct processes *processes)
{
    int running = 0;
    for (uint32_t i = 0; i < processes->count; i++) {
        int status;
        if (!processes->ids[i])
            continue;
        if (waitpid(processes->ids[i], &status, WNOHANG) == 0) {
            running++;
            continue;
        }
        processes->ids[i] = 0;
        if (status != 0) {
            process_blame(shared, i, status);
            return -1;
        }
    }
    return running;
}

/* One line that is written over on a terminal, else a new one now and then. */
static void progress_show(const struct mdtest_options *options, struct mdtest_shared *shared,
                          uint64_t *next_ns)
{
    bool terminal = isatty(STDERR_FILENO);
    uint64_t now = clock_ns(), done = 0;
    if (options->quiet || now < *next_ns)
        return;
    *next_ns = now + (terminal ? 200000000u : 5000000000u);
    for (uint32_t i = 0; i < options->processes; i++)
        done += atomic_load(&shared->done[i]);
    fprintf(stderr, "%siteration %u of %u: %-20s %10lu%s", terminal ? "\r" : "",
            atomic_load(&shared->iteration) + 1, options->iterations,
            mdtest_phase_names[atomic_load(&shared->phase)], done, terminal ? "" : "\n");
}

static void progress_end(const struct mdtest_options *options)
{
    if (!options->quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\r%60s\r", "");
}

static int run(const struct mdtest_options *options, struct mdtest_shared *shared)
{
    struct processes processes = {.count = 0};
    uint64_t next_ns = clock_ns() + 1000000000u;
    int running = processes_start(options, shared, &processes);
    while (running >= 0 && (running = processes_watch(shared, &processes)) > 0) {
        progress_show(options, shared, &next_ns);
        clock_sleep_until(clock_ns() + WATCH_NS);
    }
    progress_end(options);
    if (running < 0)
        processes_kill(&processes);
    return running;
}

int main(int argc, char **argv)
{
    struct mdtest_options options;
    int code = mdtest_options_parse(argc, argv, &options);
    if (code >= 0)
        return code;
    struct mdtest_shared *shared = shared_create(&options);
    if (!shared) {
        fprintf(stderr, "tutti-bench: not enough memory for the figures\n");
        return 1;
    }
    if (!options.json) {
        printf("tutti-bench " TUTTI_VERSION ": %u processes, %lu items each, ", options.processes,
               options.items);
        if (options.replicas)
            printf("library, %s, %u in flight\n", options.replicas, options.inflight);
        else
            printf("directory %s\n", options.directory);
        fflush(stdout);
    }
    if (run(&options, shared) < 0) {
        bool began = atomic_load(&shared->iteration) || atomic_load(&shared->phase);
        if (began)
            fprintf(stderr, "tutti-bench: %s/test-dir.%u is left there\n", options.directory,
                    atomic_load(&shared->iteration));
        return 1;
    }
    mdtest_report(&options, shared);
    return 0;
}
