/* The load's program: sessions in threads until SIGTERM or a time, then the last look at each
 * replica, then the check. See load.h. */
#include "tests/cluster/load.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "usage: load --replicas HOST:PORT,... [OPTION ...]\n"
    "\n"
    "Operations of several sessions on 16 names in 4 directories until SIGTERM; then one order "
    "has\n"
    "to explain every answer, and what each replica shows at the end.\n"
    "\n"
    "  --sessions N      at once (default 12)\n"
    "  --rate N          operations a second of all together, 0 without a limit (default 2000)\n"
    "  --seconds N       end by itself\n"
    "  --final LIST      replicas to look at in the end (default: --replicas; 'none')\n"
    "  --directory NAME  to make, in the root (default load.PID)\n"
    "  --progress FILE   the number of answers so far, and the milliseconds since the last one\n"
    "  --patience N      seconds that a session may wait for its last answer (default 30)\n"
    "  --seed N\n"
    "\n"
    "Exit code: 0 all is right; 1 not, with the first wrong fact on stderr; 2 wrong usage.\n";

struct options {
    const char *replicas, *final, *directory, *progress;
    unsigned long sessions, rate, seconds, patience, seed;
};

static struct load load;
static struct load_session sessions[LOAD_SESSIONS_MAX], lookers[LOAD_LOGS_MAX - LOAD_SESSIONS_MAX];
static pthread_t threads[LOAD_SESSIONS_MAX];
static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    stopping = 1;
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void sleep_ms(unsigned ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static void *thread_main(void *user)
{
    load_session_run(user);
    return NULL;
}

static void show_progress(const struct options *o)
{
    char partial[4096];
    if (!o->progress || snprintf(partial, sizeof partial, "%s.new", o->progress) >= 4096)
        return;
    FILE *file = fopen(partial, "we");
    if (!file)
        return;
    uint64_t answer = atomic_load(&load.answer_ns);
    fprintf(file, "%llu %llu\n", (unsigned long long)atomic_load(&load.done),
            (unsigned long long)((clock_ns() - answer) / 1000000));
    if (fclose(file) == 0 && rename(partial, o->progress))
        perror("load: progress");
}

static int open_sessions(const struct options *o)
{
    struct error error = {{0}};
    char directory[64];
    snprintf(directory, sizeof directory, "load.%d", (int)getpid());
    for (uint32_t i = 0; i < o->sessions; i++) {
        if (load_session_open(&sessions[i], &load, o->replicas, i, &error)) {
            fprintf(stderr, "load: FAILED: session %u: %s\n", i, error.text);
            return -1;
        }
    }
    int code = load_session_prepare(&sessions[0], o->directory ? o->directory : directory);
    if (code)
        fprintf(stderr, "load: FAILED: preparing: %s\n", strerror(-code));
    return code;
}

/* The longest time in which nobody was answered, ns. */
static uint64_t wait_for_the_end(const struct options *o)
{
    uint64_t begin = clock_ns(), silence_max = 0;
    while (!stopping && (!o->seconds || clock_ns() - begin < o->seconds * 1000000000u)) {
        sleep_ms(10);
        uint64_t now = clock_ns(), answer = atomic_load(&load.answer_ns);
        if (now > answer && now - answer > silence_max)
            silence_max = now - answer;
        show_progress(o);
    }
    return silence_max;
}

static int join_sessions(const struct options *o)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)o->patience;
    for (uint32_t i = 0; i < o->sessions; i++) {
        if (pthread_timedjoin_np(threads[i], NULL, &until)) {
            fprintf(stderr, "load: FAILED: session %u has had no answer for %lu s\n", i,
                    o->patience);
            return -1;
        }
        if (sessions[i].code) {
            fprintf(stderr, "load: FAILED: session %u ended: %s\n", i, strerror(-sessions[i].code));
            return -1;
        }
    }
    return 0;
}

/* What each replica shows by itself. */
static int look(const struct options *o, struct load_log **logs, size_t *log_count)
{
    char list[4096], *rest = list;
    const char *address;
    size_t load_logs = *log_count, lookers_used = 0;
    struct error error = {{0}};
    if (!strcmp(o->final, "none"))
        return 0;
    snprintf(list, sizeof list, "%s", o->final);
    while ((address = strsep(&rest, ",")) && lookers_used < LOAD_LOGS_MAX - LOAD_SESSIONS_MAX) {
        struct load_session *s = &lookers[lookers_used];
        if (load_session_open(s, &load, address, (uint32_t)(1000 + lookers_used), &error)) {
            fprintf(stderr, "load: FAILED: %s: %s\n", address, error.text);
            return -1;
        }
        lookers_used++;
        snprintf(s->log.name, sizeof s->log.name, "the last look at %.60s", address);
        if (load_session_look(s, logs, load_logs))
            return -1;
        logs[(*log_count)++] = &s->log;
    }
    return 0;
}

static void print_counts(const struct options *o, size_t log_count, uint64_t silence_ns,
                         uint64_t steps)
{
    uint64_t counts[LOAD_KINDS] = {0}, writes = 0, reads = 0;
    for (uint32_t i = 0; i < o->sessions; i++)
        for (size_t k = 0; k < sessions[i].log.count; k++) {
            const struct load_op *op = &sessions[i].log.ops[k];
            counts[op->kind]++;
            *(load_is_write(op->kind) ? &writes : &reads) += 1;
        }
    for (unsigned k = 0; k < LOAD_KINDS; k++)
        printf("%s %llu%s", load_kind_names[k], (unsigned long long)counts[k],
               k + 1 < LOAD_KINDS ? ", " : "\n");
    printf("%llu writes and %llu reads of %lu sessions in one order, %zu replicas looked at; "
           "%llu steps; longest answer %llu ms, longest silence %llu ms\n",
           (unsigned long long)writes, (unsigned long long)reads, o->sessions,
           log_count - o->sessions, (unsigned long long)steps,
           (unsigned long long)(atomic_load(&load.wait_ns_max) / 1000000),
           (unsigned long long)(silence_ns / 1000000));
}

static int run(const struct options *o)
{
    struct load_log *logs[LOAD_LOGS_MAX];
    size_t log_count = o->sessions;
    uint64_t steps = 0;
    if (open_sessions(o))
        return 1;
    atomic_store(&load.answer_ns, clock_ns());
    for (uint32_t i = 0; i < o->sessions; i++) {
        logs[i] = &sessions[i].log;
        if (pthread_create(&threads[i], NULL, thread_main, &sessions[i]))
            return 1;
    }
    uint64_t silence_ns = wait_for_the_end(o);
    atomic_store(&load.stop, true);
    if (join_sessions(o) || look(o, logs, &log_count) ||
        load_check(logs, log_count, load.inline_bytes_max, &steps))
        return 1;
    print_counts(o, log_count, silence_ns, steps);
    for (uint32_t i = 0; i < o->sessions; i++)
        load_session_close(&sessions[i]);
    for (size_t i = 0; i < log_count - o->sessions; i++)
        load_session_close(&lookers[i]);
    return 0;
}

static bool take_number(const char *text, unsigned long max, unsigned long *ret_number)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || number > max)
        return false;
    *ret_number = number;
    return true;
}

static bool take_option(struct options *o, int option)
{
    switch (option) {
    case 'r':
        o->replicas = optarg;
        return true;
    case 'f':
        o->final = optarg;
        return true;
    case 'd':
        o->directory = optarg;
        return true;
    case 'p':
        o->progress = optarg;
        return true;
    case 'n':
        return take_number(optarg, LOAD_SESSIONS_MAX, &o->sessions) && o->sessions > 0;
    case 'R':
        return take_number(optarg, 1000000, &o->rate);
    case 's':
        return take_number(optarg, 86400, &o->seconds);
    case 'P':
        return take_number(optarg, 86400, &o->patience);
    case 'S':
        return take_number(optarg, UINT32_MAX, &o->seed);
    }
    return false;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"replicas", required_argument, NULL, 'r'},
                                          {"final", required_argument, NULL, 'f'},
                                          {"directory", required_argument, NULL, 'd'},
                                          {"progress", required_argument, NULL, 'p'},
                                          {"sessions", required_argument, NULL, 'n'},
                                          {"rate", required_argument, NULL, 'R'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"patience", required_argument, NULL, 'P'},
                                          {"seed", required_argument, NULL, 'S'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct options o = {
        .sessions = 12, .rate = 2000, .patience = 30, .seed = (unsigned long)getpid()};
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
        if (option == 'h' || !take_option(&o, option)) {
            fputs(help, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    if (!o.replicas || optind != argc) {
        fputs(help, stderr);
        return 2;
    }
    if (!o.final)
        o.final = o.replicas;
    load.seed = o.seed;
    load.period_ns = o.rate ? 1000000000u * o.sessions / o.rate : 0;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    return run(&o);
}
