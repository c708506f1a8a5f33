/* tutti-sim: seeds, campaigns over several processes, the distribution, and on a violation the one
 * line that repeats it. */
#include "tests/sim/options.h"
#include "tests/sim/report.h"

#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char repeat_line[640]; /* printed when the seed ends in a signal */
static bool crash_expected;

static void on_crash(int signal)
{
    ssize_t ignored = write(STDOUT_FILENO, repeat_line, strlen(repeat_line));
    (void)ignored;
    _exit(crash_expected ? 0 : 128 + signal);
}

static void catch_crashes(bool expected)
{
    crash_expected = expected;
    signal(SIGABRT, on_crash);
    signal(SIGSEGV, on_crash);
    signal(SIGBUS, on_crash);
    signal(SIGFPE, on_crash);
}

static const struct load_ops *load_of_options(const struct sim_options *options)
{
    return options->only_order ? &order_load : &replica_load;
}

/* One line of a file that --file reads. */
static void keep_seed(const struct campaign_options *options, const char *arguments,
                      const struct sim_result *result)
{
    FILE *file = options->keep ? fopen(options->keep, "a") : NULL;
    if (!file)
        return;
    fprintf(file, "%s # %s\n", arguments, result->violation);
    fclose(file);
}

/* Run one seed; false: an invariant broke. */
static bool run_seed(const struct campaign_options *options, const struct sim_options *sim,
                     struct sim_result *result)
{
    char arguments[512];
    options_format(sim, arguments);
    snprintf(repeat_line, sizeof repeat_line,
             "seed %llu: the program crashed (repeat: tutti-sim %s)\n",
             (unsigned long long)sim->seed, arguments);
    sim_run(sim, load_of_options(sim), result);
    if (options->twice && !result->violation[0]) {
        struct sim_result again;
        sim_run(sim, load_of_options(sim), &again);
        if (again.trace_hash != result->trace_hash)
            snprintf(result->violation, sizeof result->violation,
                     "determinism: two runs of the seed differ");
    }
    if (!result->violation[0])
        return true;
    printf("seed %llu: %s (repeat: tutti-sim %s)\n", (unsigned long long)sim->seed,
           result->violation, arguments);
    fflush(stdout);
    keep_seed(options, arguments, result);
    return false;
}

enum { VIOLATIONS_MAX = 20 }; /* of one job; then it ends */

static bool goes_on(const struct campaign_options *options, time_t end)
{
    return options->seconds == 0 || time(NULL) < end;
}

/* How much it took to find what was planted. */
static void say_found(const struct report *report, const struct sim_result *result)
{
    printf("after %llu seeds, %llu steps\n", (unsigned long long)report->steps.count + 1,
           (unsigned long long)(report->steps.sum + result->steps));
    fflush(stdout);
}

/* Every jobs-th seed, from `job` on. */
static bool run_share(const struct campaign_options *options, uint32_t job, struct report *report)
{
    time_t end = time(NULL) + (time_t)options->seconds;
    uint32_t violations = 0;
    for (uint64_t seed = options->seed_from + job;
         seed <= options->seed_to && violations < VIOLATIONS_MAX && goes_on(options, end);
         seed += options->jobs) {
        struct sim_options sim = options->sim;
        struct sim_result result;
        sim.seed = seed;
        bool held = run_seed(options, &sim, &result);
        if (held)
            report_add(report, &result);
        else if (options->expect)
            say_found(report, &result);
        if (!held && ++violations && options->expect)
            return false;
    }
    report->violations += violations;
    return violations == 0;
}

static pid_t start_job(const struct campaign_options *options, uint32_t job, int *ret_from)
{
    int ends[2];
    if (pipe(ends) < 0)
        return -1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct report report = {0};
        close(ends[0]);
        catch_crashes(options->expect);
        bool held = run_share(options, job, &report);
        bool said = write(ends[1], &report, sizeof report) == (ssize_t)sizeof report;
        exit(held && said ? 0 : 1);
    }
    close(ends[1]);
    *ret_from = ends[0];
    return pid;
}

static bool read_all(int from, void *to, size_t bytes)
{
    size_t got = 0;
    while (got < bytes) {
        ssize_t count = read(from, (char *)to + got, bytes - got);
        if (count <= 0)
            return false;
        got += (size_t)count;
    }
    return true;
}

/* The other jobs go on when one finds a violation: one may be worth more than the first. */
static bool run_jobs(const struct campaign_options *options, struct report *report)
{
    pid_t pids[64];
    int from[64];
    bool held = true;
    for (uint32_t job = 0; job < options->jobs; job++)
        pids[job] = start_job(options, job, &from[job]);
    for (uint32_t job = 0; job < options->jobs; job++) {
        struct report part;
        int status = 1;
        if (pids[job] > 0 && read_all(from[job], &part, sizeof part))
            report_merge(report, &part);
        if (pids[job] < 0 || waitpid(pids[job], &status, 0) < 0 || status != 0)
            held = false;
        close(from[job]);
    }
    return held;
}

/* One line of a file of seeds: its options, then perhaps a comment. */
static bool run_line(const struct campaign_options *options, char *line, struct report *report)
{
    char *argv[32] = {"tutti-sim"}, *rest = NULL;
    int argc = 1;
    struct campaign_options own;
    line[strcspn(line, "#\n")] = 0;
    for (char *word = strtok_r(line, " \t", &rest); word && argc < 31;
         word = strtok_r(NULL, " \t", &rest))
        argv[argc++] = word;
    if (argc == 1)
        return true;
    if (options_parse(argc, argv, &own) != 0)
        return false;
    own.twice = options->twice;
    return run_share(&own, 0, report);
}

static bool run_file(const struct campaign_options *options, struct report *report)
{
    char line[1024];
    bool held = true;
    FILE *file = fopen(options->file, "r");
    if (!file) {
        fprintf(stderr, "tutti-sim: %s: %s\n", options->file, strerror(errno));
        return false;
    }
    while (fgets(line, sizeof line, file))
        held = run_line(options, line, report) && held;
    fclose(file);
    return held;
}

int main(int argc, char **argv)
{
    struct campaign_options options;
    struct report report = {0};
    int code = options_parse(argc, argv, &options);
    if (code)
        return code < 0 ? 2 : 0;
    log_set_level(LOG_LEVEL_ERROR);
    catch_crashes(options.expect);
    bool held = options.file        ? run_file(&options, &report)
                : options.jobs == 1 ? run_share(&options, 0, &report)
                                    : run_jobs(&options, &report);
    if (options.expect) {
        printf("%s\n", held ? "no violation was found" : "found, as expected");
        return held ? 1 : 0;
    }
    if (!options.quiet)
        report_print(&report);
    return held ? 0 : 1;
}
