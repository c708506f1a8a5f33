#include "tests/sim/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "tutti-sim - a cluster in one process, from one seed\n"
    "\n"
    "  tutti-sim --seed N | --seeds A..B | --file FILE [options]\n"
    "\n"
    "  --seed N           run one seed\n"
    "  --seeds A..B       run a campaign and print its distribution\n"
    "  --file FILE        run the seeds of a file: one line of options each, # for comments\n"
    "  --jobs N           processes of a campaign (1)\n"
    "  --seconds N        begin no seed after so long\n"
    "  --keep FILE        add the arguments of seeds that break an invariant to a file\n"
    "  --steps N          least number of steps of a seed (20000)\n"
    "  --operations N     least number of operations of a seed (300)\n"
    "  --replicas N       that found the cluster, 1 to 7 (drawn from the seed)\n"
    "  --durability D     disk or memory (drawn from the seed)\n"
    "  --faults LIST      names separated by commas, all, none (drawn from the seed):\n"
    "                     reset stall partition one-way flap clog isolate split unplug\n"
    "                     slow-link; crash power crash-all power-all outage crash-at chain\n"
    "                     cut-crash crash-again death stop pause long-pause pause-all drift\n"
    "                     clock; slow-disk torn disk-error wipe damage; add join-crash leave\n"
    "                     drain remove; client-reset client-cut client-move client-crash\n"
    "                     duplicate; corrupt black-hole wrap stranger cut-wipe\n"
    "  --only-order       the group alone, without namespace and clients\n"
    "  --trace            print what happens\n"
    "  --twice            run every seed twice: the traces have to be the same\n"
    "  --expect-violation exit 0 if a seed breaks an invariant, 1 if none does (planted bugs)\n"
    "  --quiet            print violations only\n"
    "\n"
    "Exit codes: 0 all invariants held, 1 one broke (the last line repeats it), 2 usage.\n"
    "Examples: tutti-sim --seeds 1..1000 --jobs 2\n"
    "          tutti-sim --seed 17 --faults power-all,torn --trace\n";

enum {
    OPT_SEED = 1,
    OPT_SEEDS,
    OPT_FILE,
    OPT_JOBS,
    OPT_SECONDS,
    OPT_KEEP,
    OPT_STEPS,
    OPT_OPERATIONS,
    OPT_REPLICAS,
    OPT_DURABILITY,
    OPT_FAULTS,
    OPT_ONLY_ORDER,
    OPT_TRACE,
    OPT_TWICE,
    OPT_EXPECT,
    OPT_QUIET,
    OPT_HELP,
};

static const struct option longs[] = {
    {"seed", required_argument, NULL, OPT_SEED},
    {"seeds", required_argument, NULL, OPT_SEEDS},
    {"file", required_argument, NULL, OPT_FILE},
    {"jobs", required_argument, NULL, OPT_JOBS},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"keep", required_argument, NULL, OPT_KEEP},
    {"steps", required_argument, NULL, OPT_STEPS},
    {"operations", required_argument, NULL, OPT_OPERATIONS},
    {"replicas", required_argument, NULL, OPT_REPLICAS},
    {"durability", required_argument, NULL, OPT_DURABILITY},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"only-order", no_argument, NULL, OPT_ONLY_ORDER},
    {"trace", no_argument, NULL, OPT_TRACE},
    {"twice", no_argument, NULL, OPT_TWICE},
    {"expect-violation", no_argument, NULL, OPT_EXPECT},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

static bool parse_u64(const char *text, uint64_t low, uint64_t high, uint64_t *ret_value)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || value < low || value > high)
        return false;
    *ret_value = value;
    return true;
}

static bool parse_u32(const char *text, uint64_t low, uint64_t high, uint32_t *ret_value)
{
    uint64_t value;
    if (!parse_u64(text, low, high, &value))
        return false;
    *ret_value = (uint32_t)value;
    return true;
}

static bool parse_seeds(const char *text, struct campaign_options *options)
{
    const char *dots = strstr(text, "..");
    char first[32];
    if (!dots || (size_t)(dots - text) >= sizeof first)
        return false;
    memcpy(first, text, (size_t)(dots - text));
    first[dots - text] = 0;
    return parse_u64(first, 0, UINT64_MAX, &options->seed_from) &&
           parse_u64(dots + 2, options->seed_from, UINT64_MAX - 1, &options->seed_to);
}

static bool parse_durability(const char *text, int *ret_durability)
{
    if (strcmp(text, "disk") == 0)
        *ret_durability = GCS_DURABILITY_DISK;
    else if (strcmp(text, "memory") == 0)
        *ret_durability = GCS_DURABILITY_MEMORY;
    else
        return false;
    return true;
}

static bool parse_one(int code, const char *value, struct campaign_options *options)
{
    struct sim_options *sim = &options->sim;
    switch (code) {
    case OPT_SEED:
        if (!parse_u64(value, 0, UINT64_MAX - 1, &options->seed_from))
            return false;
        options->seed_to = options->seed_from;
        return true;
    case OPT_SEEDS:
        return parse_seeds(value, options);
    case OPT_FILE:
        options->file = value;
        return true;
    case OPT_JOBS:
        return parse_u32(value, 1, 64, &options->jobs);
    case OPT_SECONDS:
        return parse_u64(value, 1, UINT32_MAX, &options->seconds);
    case OPT_KEEP:
        options->keep = value;
        return true;
    case OPT_STEPS:
        return parse_u64(value, 1, UINT32_MAX, &sim->steps);
    case OPT_OPERATIONS:
        return parse_u64(value, 0, UINT32_MAX, &sim->operations);
    case OPT_REPLICAS:
        return parse_u32(value, 1, GCS_MEMBER_MAX, &sim->replicas);
    case OPT_DURABILITY:
        return parse_durability(value, &sim->durability);
    case OPT_FAULTS:
        sim->faults_given = true;
        return fault_parse(value, &sim->faults);
    case OPT_ONLY_ORDER:
        return sim->only_order = true;
    case OPT_TRACE:
        return sim->trace = true;
    case OPT_TWICE:
        return options->twice = true;
    case OPT_EXPECT:
        return options->expect = true;
    case OPT_QUIET:
        return options->quiet = true;
    default:
        return false;
    }
}

int options_parse(int argc, char **argv, struct campaign_options *ret_options)
{
    struct campaign_options options = {.seed_from = 1, .seed_to = 1, .jobs = 1};
    options.sim.steps = 20000;
    options.sim.operations = 300;
    options.sim.durability = -1;
    optind = 0;
    int code, index = 0;
    while ((code = getopt_long(argc, argv, "", longs, &index)) != -1) {
        if (code == OPT_HELP) {
            fputs(help, stdout);
            return 1;
        }
        if (code == '?')
            return -EINVAL;
        if (!parse_one(code, optarg, &options)) {
            fprintf(stderr, "tutti-sim: --%s: '%s' is not a value for it (see --help)\n",
                    longs[index].name, optarg ? optarg : "");
            return -EINVAL;
        }
    }
    if (optind != argc) {
        fprintf(stderr, "tutti-sim: unexpected argument '%s' (see --help)\n", argv[optind]);
        return -EINVAL;
    }
    *ret_options = options;
    return 0;
}

static void add(char text[512], const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(char text[512], const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, 512 - used, format, args);
    va_end(args);
}

void options_format(const struct sim_options *options, char text[512])
{
    snprintf(text, 512, "--seed %llu", (unsigned long long)options->seed);
    if (options->only_order)
        add(text, " --only-order");
    if (options->steps != 20000)
        add(text, " --steps %llu", (unsigned long long)options->steps);
    if (options->operations != 300)
        add(text, " --operations %llu", (unsigned long long)options->operations);
    if (options->replicas)
        add(text, " --replicas %u", options->replicas);
    if (options->durability >= 0)
        add(text, " --durability %s",
            options->durability == GCS_DURABILITY_DISK ? "disk" : "memory");
    if (!options->faults_given)
        return;
    add(text, " --faults %s", options->faults ? "" : "none");
    const char *comma = "";
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        if (options->faults & FAULT_BIT(kind)) {
            add(text, "%s%s", comma, fault_name((enum fault_kind)kind));
            comma = ",";
        }
}
