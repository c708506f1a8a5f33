/* reap: how long a killed process with a large heap takes to be dead.
 *
 * A worker's death is told when the kernel has reaped it (docs/protocol.md, section 4: death
 * notice), and it is reaped when its memory is given back. A child fills its heap in the way of the
 * record cache, pairs of an entry and its value, and is killed; measured from the kill to the
 * return of waitpid, which is when a supervisor sends its notice. A thread of its own fills it, as
 * a worker's helpers do: with the heap in small pages, in huge ones, and as a supervisor starts its
 * worker. */
#include "base/size.h"
#include "bench/clock.h"
#include "bench/report.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* As in mds/supervisor.h. */
static const char worker_tunables[] = "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1";

enum { ENTRY_BYTES = 240, VALUE_BYTES = 120, REPEAT_MAX = 1000 };

struct options {
    uint64_t bytes;
    unsigned repeat;
    bool json;
};

static const char help[] =
    "usage: reap [OPTION ...]\n"
    "\n"
    "Measure the time from the kill of a process with a large heap until it is reaped: with the "
    "heap\n"
    "in small pages, in huge ones, and as tutti-mds starts its worker.\n"
    "\n"
    "  -b, --bytes SIZE     of the heap (default 1G)\n"
    "  -r, --repeat N       times each (default 5)\n"
    "      --json           one JSON object a row\n"
    "  -h, --help           this text\n"
    "      --version\n"
    "\n"
    "exit code: 0 done; 1 failed; 2 wrong usage\n"
    "\n"
    "examples:\n"
    "  reap\n"
    "  reap --bytes 4G --repeat 20 --json\n";

static int fail(const char *what)
{
    fprintf(stderr, "reap: %s: %s\n", what, strerror(errno));
    return 1;
}

/* --- the child: this program again, because the page size is chosen before main
 * ------------------ */

static void *fill(void *bytes_of_heap)
{
    uint64_t bytes = *(uint64_t *)bytes_of_heap;
    for (uint64_t done = 0; done < bytes; done += ENTRY_BYTES + VALUE_BYTES) {
        char *entry = malloc(ENTRY_BYTES), *value = malloc(VALUE_BYTES);
        if (!entry || !value)
            exit(fail("memory"));
        memset(entry, 1, ENTRY_BYTES);
        memset(value, 1, VALUE_BYTES);
        memcpy(entry, &value, sizeof value);
    }
    if (write(STDOUT_FILENO, "", 1) != 1)
        exit(1);
    return NULL;
}

static int be_child(const char *text)
{
    uint64_t bytes = strtoull(text, NULL, 10);
    pthread_t thread;
    errno = pthread_create(&thread, NULL, fill, &bytes);
    if (errno)
        return fail("a thread");
    while (true)
        pause();
}

static void become_child(uint64_t bytes, const char *tunables, int out)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)bytes);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(out, STDOUT_FILENO) >= 0 && setenv("GLIBC_TUNABLES", tunables, 1) == 0)
        execl("/proc/self/exe", "reap", "--fill", text, (char *)NULL);
    _exit(fail("exec"));
}

/* --- the measurement
 * ------------------------------------------------------------------------------ */

/* Bytes of its memory that are in huge pages. */
static uint64_t huge_bytes(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file) && sscanf(line, "AnonHugePages: %llu", &kib) != 1)
        continue;
    fclose(file);
    return kib << 10;
}

static int measure_one(const struct options *options, const char *tunables,
                       struct histogram *latency, uint64_t *ret_huge)
{
    int fds[2], status;
    char byte;
    if (pipe(fds) < 0)
        return fail("pipe");
    pid_t child = fork();
    if (child < 0)
        return fail("fork");
    if (child == 0)
        become_child(options->bytes, tunables, fds[1]);
    close(fds[1]);
    ssize_t filled = read(fds[0], &byte, 1);
    close(fds[0]);
    *ret_huge = huge_bytes(child);
    uint64_t begin = clock_ns();
    if (kill(child, SIGKILL) < 0 || waitpid(child, &status, 0) != child)
        return fail("kill");
    histogram_add(latency, clock_ns() - begin);
    errno = ENOMEM;
    return filled == 1 && WIFSIGNALED(status) ? 0 : fail("the child did not fill its heap");
}

static int measure(const struct options *options, const char *name, const char *tunables)
{
    struct histogram *latency = calloc(1, sizeof *latency);
    struct report_row row = {.latency = latency};
    uint64_t in_huge = 0, begin = clock_ns();
    char size[16];
    int code = latency ? 0 : fail("memory");
    for (unsigned i = 0; !code && i < options->repeat; i++)
        code = measure_one(options, tunables, latency, &in_huge);
    row.seconds = (double)(clock_ns() - begin) / 1e9;
    snprintf(row.name, sizeof row.name, "kill to reaped, %s, %s", size_format(options->bytes, size),
             name);
    report_extra(&row, "MiB in huge pages", (double)(in_huge >> 20));
    if (!code)
        report_print("reap", &row, options->json);
    free(latency);
    return code;
}

/* -1 go on; else the exit code. */
static int options_parse(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {{"bytes", 1, NULL, 'b'},
                                          {"repeat", 1, NULL, 'r'},
                                          {"fill", 1, NULL, 'f'},
                                          {"json", 0, NULL, 'j'},
                                          {"help", 0, NULL, 'h'},
                                          {"version", 0, NULL, 'V'},
                                          {0}};
    int option;
    while ((option = getopt_long(argc, argv, "b:r:h", names, NULL)) != -1) {
        bool valid = true;
        switch (option) {
        case 'b':
            valid = size_parse(optarg, &options->bytes) == 0 && options->bytes > 0;
            break;
        case 'r':
            options->repeat = (unsigned)atoi(optarg);
            valid = options->repeat >= 1 && options->repeat <= REPEAT_MAX;
            break;
        case 'f':
            return be_child(optarg);
        case 'j':
            options->json = true;
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        case 'V':
            puts("reap " TUTTI_VERSION);
            return 0;
        default:
            valid = false;
        }
        if (!valid)
            return 2;
    }
    return optind == argc ? -1 : 2;
}

int main(int argc, char **argv)
{
    struct options options = {.bytes = 1 << 30, .repeat = 5};
    int code = options_parse(argc, argv, &options);
    if (code == 2)
        fputs("reap: see reap --help\n", stderr);
    if (code >= 0)
        return code;
    report_begin(options.json);
    code = measure(&options, "small pages", "glibc.malloc.hugetlb=0");
    if (!code)
        code = measure(&options, "huge pages", "glibc.malloc.hugetlb=1");
    return code ? code : measure(&options, "as a worker", worker_tunables);
}
