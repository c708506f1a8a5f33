/* Options of order. */
#include "base/size.h"
#include "bench/order.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: order [OPTION ...]\n"
    "\n"
    "Measure the total order alone, without clients, name space or mount: a group whose members "
    "are\n"
    "processes on this machine, linked by TCP over the loopback device. A latency is the time "
    "from\n"
    "handing a message to the group to its release: every member has received it and everything\n"
    "before it, and a quorum has stored it. One run for each --measures and each --durability.\n"
    "\n"
    "  -n, --members N         members of the group, 1 to 7 (default 3)\n"
    "  -S, --senders N         members that send, the lowest ranks (default: all)\n"
    "  -b, --bytes SIZE        of a message's payload (default 128, at most 1M)\n"
    "  -I, --inflight N        closed loop: so many messages of each sender are out (default 1)\n"
    "  -r, --rate N            open loop instead: N messages a second, of all senders together. A\n"
    "                          message counts from the moment it was due, so stalls show\n"
    "  -m, --measures LIST     measures of fast delivery that are on: all, none, or some of\n"
    "                          subset,ack,behalf,ahead; may be repeated, a run for each\n"
    "                          (default: all, then none)\n"
    "  -D, --durability LIST   memory, disk, or both with a comma (default memory)\n"
    "  -d, --data DIR          where members keep their logs; needed for disk; left empty\n"
    "  -H, --heartbeat TIME    of an idle member (default 50ms)\n"
    "  -s, --seconds TIME      to measure in each run (default 5s)\n"
    "  -w, --warmup TIME       before (default 1s)\n"
    "      --json              one JSON object a run\n"
    "  -h, --help              this text\n"
    "      --version\n"
    "\n"
    "The measures: subset, a message waits only for the promises that can still put something "
    "before\n"
    "it; ack, idle members acknowledge at once; behalf, members pass on what others promised; "
    "ahead,\n"
    "idle members promise beyond what is needed. With none of them an idle group acknowledges by\n"
    "heartbeat, so a latency is about that long.\n"
    "\n"
    "Below each row: frames, acknowledgements, system calls and processor time of all members per\n"
    "message; syncs a second of one member; how often the window was full; messages sent again.\n"
    "\n"
    "exit code: 0 done; 1 a run failed; 2 wrong usage\n"
    "\n"
    "examples:\n"
    "  order                                  fast delivery on and off, in memory\n"
    "  order -D memory,disk -d /var/tmp       the same, and with logs on disk\n"
    "  order -S 1 -m all -m subset -m ack -m behalf -m ahead -m none\n"
    "  order -m all -I 64 -b 4K               throughput\n"
    "  order -m all -r 2000 -s 20s --json     a steady load\n";

static const char *const names[] = {"subset", "ack", "behalf", "ahead"};

static bool *measure_at(struct gcs_measures *measures, unsigned index)
{
    bool *all[] = {&measures->subset_wait, &measures->fast_acknowledgement, &measures->on_behalf,
                   &measures->promise_ahead};
    return all[index];
}

void order_measures_text(const struct gcs_measures *measures, char text[48])
{
    struct gcs_measures copy = *measures;
    unsigned count = 0;
    text[0] = 0;
    for (unsigned i = 0; i < 4; i++)
        if (*measure_at(&copy, i))
            sprintf(text + strlen(text), "%s%s", count++ ? "," : "", names[i]);
    if (count == 0 || count == 4)
        strcpy(text, count ? "all" : "none");
}

static bool measure_set(struct gcs_measures *measures, const char *word)
{
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(word, names[i]) == 0) {
            *measure_at(measures, i) = true;
            return true;
        }
    if (strcmp(word, "all") == 0)
        *measures = (struct gcs_measures){true, true, true, true};
    return strcmp(word, "all") == 0 || strcmp(word, "none") == 0;
}

static bool words_each(const char *list, bool (*each)(void *user, const char *word), void *user)
{
    char copy[256], *rest = copy, *word;
    if (snprintf(copy, sizeof copy, "%s", list) >= (int)sizeof copy)
        return false;
    while ((word = strsep(&rest, ",")))
        if (!each(user, word))
            return false;
    return true;
}

static bool measures_word(void *user, const char *word)
{
    return measure_set(user, word);
}

static bool durability_word(void *user, const char *word)
{
    struct order_options *options = user;
    options->memory |= strcmp(word, "memory") == 0;
    options->disk |= strcmp(word, "disk") == 0;
    return strcmp(word, "memory") == 0 || strcmp(word, "disk") == 0;
}

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value < min || value > max)
        return false;
    *ret_value = value;
    return true;
}

static bool option_take(struct order_options *options, int option, const char *text)
{
    uint64_t value = 0;
    bool valid = true;
    switch (option) {
    case 'n':
        valid = number(text, 1, GCS_MEMBER_MAX, &value);
        options->members = (uint32_t)value;
        return valid;
    case 'S':
        valid = number(text, 1, GCS_MEMBER_MAX, &value);
        options->senders = (uint32_t)value;
        return valid;
    case 'b':
        return size_parse(text, &options->bytes) == 0 && options->bytes >= 1 &&
               options->bytes <= ORDER_BYTES_MAX;
    case 'I':
        valid = number(text, 1, 65535, &value);
        options->inflight = (uint32_t)value;
        return valid;
    case 'r':
        return number(text, 1, 10000000, &options->rate);
    case 'm':
        return options->measure_count < ORDER_RUNS_MAX &&
               words_each(text, measures_word, &options->measures[options->measure_count++]);
    case 'D':
        options->memory = options->disk = false;
        return words_each(text, durability_word, options);
    case 'd':
        options->data = text;
        return strlen(text) < ORDER_PATH_MAX - 64;
    case 'H':
        return duration_parse(text, &options->heartbeat_ns) == 0 && options->heartbeat_ns > 0;
    case 's':
        return duration_parse(text, &options->seconds_ns) == 0 && options->seconds_ns > 0;
    case 'w':
        return duration_parse(text, &options->warmup_ns) == 0;
    case 'j':
        options->json = true;
        return true;
    default:
        return false;
    }
}

/* What holds between options; a text where it does not. */
static const char *options_contradict(struct order_options *options)
{
    if (!options->senders)
        options->senders = options->members;
    if (!options->measure_count) {
        options->measures[0] = (struct gcs_measures){true, true, true, true};
        options->measure_count = 2;
    }
    if (options->senders > options->members)
        return "more senders than members";
    if (options->disk && !options->data)
        return "--durability disk needs --data DIR";
    return NULL;
}

int order_options_parse(int argc, char **argv, struct order_options *options)
{
    static const struct option long_options[] = {
        {"members", 1, NULL, 'n'},    {"senders", 1, NULL, 'S'}, {"bytes", 1, NULL, 'b'},
        {"inflight", 1, NULL, 'I'},   {"rate", 1, NULL, 'r'},    {"measures", 1, NULL, 'm'},
        {"durability", 1, NULL, 'D'}, {"data", 1, NULL, 'd'},    {"heartbeat", 1, NULL, 'H'},
        {"seconds", 1, NULL, 's'},    {"warmup", 1, NULL, 'w'},  {"json", 0, NULL, 'j'},
        {"help", 0, NULL, 'h'},       {"version", 0, NULL, 'V'}, {0}};
    *options = (struct order_options){.members = 3,
                                      .inflight = 1,
                                      .memory = true,
                                      .bytes = 128,
                                      .seconds_ns = 5000000000,
                                      .warmup_ns = 1000000000};
    int option;
    while ((option = getopt_long(argc, argv, "n:S:b:I:r:m:D:d:H:s:w:h", long_options, NULL)) !=
           -1) {
        if (option == 'h' || option == 'V') {
            fputs(option == 'h' ? help : "order " TUTTI_VERSION "\n", stdout);
            return 0;
        }
        if (option_take(options, option, optarg))
            continue;
        if (option != '?')
            fprintf(stderr, "order: %s: not a valid value\n", optarg);
        fprintf(stderr, "Try 'order --help'.\n");
        return 2;
    }
    const char *text = optind < argc ? "no such argument" : options_contradict(options);
    if (!text)
        return -1;
    fprintf(stderr, "order: %s\nTry 'order --help'.\n", text);
    return 2;
}
