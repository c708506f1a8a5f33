/* failover: the conversation with whoever makes the faults. See failover.h. */
#include "base/size.h"
#include "bench/clock.h"
#include "bench/failover.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: failover --replicas HOST:PORT,... [OPTION ...]\n"
    "\n"
    "How long a fault stops the writes of clients of the other replicas. Threads write without\n"
    "pause; somebody else makes the faults and is asked for them line by line: failover.sh has\n"
    "a group of its own and all faults, use that.\n"
    "\n"
    "  --threads N      that write (default 64)\n"
    "  --clients N      connections that they share, spread over the replicas (default 6)\n"
    "  --rate N         writes a second of all together (default: as fast as answers come)\n"
    "  --before TIME    to count before a fault (default 1s)\n"
    "  --after TIME     to count after it was made (default 2s)\n"
    "  --stolen-max T   pass over rounds in which a hypervisor took more of the processors\n"
    "  --name TEXT      of the fault, for the report\n"
    "  --svg FILE       draw the writes per 10 ms in the round with the longest wait\n"
    "  --json           report for programs\n"
    "  --help\n"
    "\n"
    "lines on standard input, and the answer\n"
    "  fill ADDRESS SIZE  files' content into that replica's cache: 'filled'\n"
    "  inodes N           make N files: 'made'\n"
    "  load               start the threads: 'loaded'\n"
    "  round [ADDRESS]    a round, whose fault hits that replica: 'now' after --before\n"
    "  did                the fault has been made: 'end' after --after, or 'again' where\n"
    "                     --stolen-max does not let the round count\n"
    "  (end of input)     stop and report\n"
    "\n"
    "A stall is the longest time that a write of another replica's client waited for its answer,\n"
    "if it was answered after the fault began; a silence is the longest time in which none of\n"
    "them was answered at all. Threads work on files of their own, so a lost or\n"
    "doubled write shows as a wrong answer.\n"
    "\n"
    "exit code: 0 done; 1 failed, or an answer was wrong; 2 wrong usage\n";

static struct failover_load load;
static struct failover_round rounds[FAILOVER_ROUNDS_MAX];
static unsigned round_count, passed_over;
static bool loaded;

static int fail(const char *text)
{
    fprintf(stderr, "failover: %s\n", text);
    return 1;
}

static void say(const char *word)
{
    puts(word);
    fflush(stdout);
}

static int command_fill(const struct failover_options *o, char *arguments)
{
    struct error error = {{0}};
    uint64_t bytes;
    char *size = strchr(arguments, ' ');
    if (!size)
        return fail("fill takes an address and a size");
    *size++ = 0;
    if (size_parse(size, &bytes))
        return fail("fill: not a size");
    if (failover_fill(o, arguments, bytes, &error))
        return fail(error.text);
    say("filled");
    return 0;
}

static int command_inodes(const struct failover_options *o, const char *arguments)
{
    struct error error = {{0}};
    if (failover_make_inodes(o, strtoull(arguments, NULL, 10), &error))
        return fail(error.text);
    say("made");
    return 0;
}

static int command_load(const struct failover_options *o)
{
    struct error error = {{0}};
    if (loaded)
        return fail("the load runs already");
    if (failover_load_start(&load, o, &error))
        return fail(error.text);
    loaded = true;
    say("loaded");
    return 0;
}

static int command_round(const struct failover_options *o, const char *victim)
{
    if (!loaded || round_count == FAILOVER_ROUNDS_MAX)
        return fail(loaded ? "too many rounds" : "a round needs a load");
    struct failover_round *round = &rounds[round_count];
    struct error error = {{0}};
    if (failover_round_prepare(&load, victim, &error))
        return fail(error.text);
    *round = (struct failover_round){.begin_ns = clock_ns()};
    clock_sleep_until(round->begin_ns + o->before_ns);
    failover_round_fault(&load, round);
    say("now");
    return 0;
}

static int command_did(const struct failover_options *o)
{
    struct failover_round *round = &rounds[round_count];
    if (!loaded || round_count == FAILOVER_ROUNDS_MAX || !round->fault_ns)
        return fail("no round is on");
    round->done_ns = clock_ns();
    clock_sleep_until(round->done_ns + o->after_ns);
    failover_round_end(&load, round);
    bool counts = round->stolen_ns <= o->stolen_max_ns;
    round_count += counts;
    passed_over += !counts;
    fprintf(stderr,
            "%s, round %u: stalled for %.1f ms, until %.1f ms after the fault; "
            "silence of %.1f ms; a hypervisor took %.0f ms%s\n",
            o->name, round_count + !counts, (double)round->wait_max_ns / 1e6,
            (double)(round->wait_end_ns - round->fault_ns) / 1e6, (double)round->gap_max_ns / 1e6,
            (double)round->stolen_ns / 1e6, counts ? "" : ": passed over");
    say(counts ? "end" : "again");
    return 0;
}

static int command(const struct failover_options *o, char *line)
{
    line[strcspn(line, "\n")] = 0;
    char *arguments = line + strcspn(line, " ");
    if (*arguments)
        *arguments++ = 0;
    if (!strcmp(line, "fill"))
        return command_fill(o, arguments);
    if (!strcmp(line, "inodes"))
        return command_inodes(o, arguments);
    if (!strcmp(line, "load"))
        return command_load(o);
    if (!strcmp(line, "round"))
        return command_round(o, arguments);
    if (!strcmp(line, "did"))
        return command_did(o);
    return fail("not a command");
}

static int finish(const struct failover_options *o)
{
    struct error error = {{0}};
    if (!loaded)
        return 0;
    failover_load_stop(&load);
    failover_report(&load, rounds, round_count, passed_over);
    if (o->svg && round_count && failover_draw(&load, rounds, round_count, o->svg, &error))
        return fail(error.text);
    return atomic_load(&load.wrong) ? fail("writes were answered wrongly") : 0;
}

static int run(const struct failover_options *o)
{
    char line[512];
    int code = 0;
    while (!code && fgets(line, sizeof line, stdin))
        code = command(o, line);
    return code ? code : finish(o);
}

static bool take_count(const char *text, unsigned long max, unsigned *ret_count)
{
    char *end;
    unsigned long count = strtoul(text, &end, 10);
    if (*end || end == text || *text == '-' || count == 0 || count > max)
        return false;
    *ret_count = (unsigned)count;
    return true;
}

static bool take_option(struct failover_options *o, unsigned *rate, int option)
{
    switch (option) {
    case 'r':
        o->replicas = optarg;
        return true;
    case 'n':
        o->name = optarg;
        return true;
    case 's':
        o->svg = optarg;
        return true;
    case 'j':
        o->json = true;
        return true;
    case 't':
        return take_count(optarg, FAILOVER_THREADS_MAX, &o->threads);
    case 'c':
        return take_count(optarg, FAILOVER_CLIENTS_MAX, &o->clients);
    case 'R':
        return take_count(optarg, 10000000, rate);
    case 'b':
        return duration_parse(optarg, &o->before_ns) == 0;
    case 'S':
        return duration_parse(optarg, &o->stolen_max_ns) == 0;
    case 'a':
        return duration_parse(optarg, &o->after_ns) == 0;
    }
    return false;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"replicas", required_argument, NULL, 'r'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"clients", required_argument, NULL, 'c'},
                                          {"rate", required_argument, NULL, 'R'},
                                          {"before", required_argument, NULL, 'b'},
                                          {"after", required_argument, NULL, 'a'},
                                          {"stolen-max", required_argument, NULL, 'S'},
                                          {"name", required_argument, NULL, 'n'},
                                          {"svg", required_argument, NULL, 's'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct failover_options o = {.name = "fault",
                                 .threads = 64,
                                 .clients = 6,
                                 .before_ns = 1000000000,
                                 .after_ns = 2000000000,
                                 .stolen_max_ns = UINT64_MAX};
    unsigned rate = 0;
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
        if (option == 'h' || !take_option(&o, &rate, option)) {
            fputs(help, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    if (!o.replicas || optind != argc) {
        fputs(help, stderr);
        return 2;
    }
    o.period_ns = rate ? 1000000000u * (uint64_t)o.threads / rate : 0;
    return run(&o);
}
