/* oracle --mount DIR --local DIR [--seed N] [--ops N] [--verbose]
 *
 * Random operations on both directories, which are empty at first; after each its outcome, now and
 * then the whole trees are compared. Root, because it acts as several users. Exit codes: 0 no
 * difference, 1 a difference, 2 it could not be run. */
#include "oracle.h"

#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TREES_EVERY = 250, TEXT_BYTES = 4096 };

struct settings {
    const char *directories[ORACLE_SIDES];
    uint64_t seed, ops;
    bool verbose;
};

static void print_op(FILE *to, uint64_t step, const struct oracle_op *op)
{
    fprintf(to,
            "%lu: %s as %u: path %s path2 %s name %s mode %o umask %o flags %#x owner %d:%d "
            "offset %ld size %ld time %ld handle %u\n",
            (unsigned long)step, oracle_name(op->kind), op->uid, op->path, op->path2, op->name,
            (unsigned)op->mode, (unsigned)op->umask, (unsigned)op->flags, (int)op->owner,
            (int)op->group, (long)op->offset, (long)op->size, (long)op->time_s, op->handle);
}

static void side_open(struct oracle_side *side, const char *directory)
{
    side->root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (side->root < 0) {
        perror(directory);
        exit(2);
    }
    for (int i = 0; i < ORACLE_HANDLES; i++)
        side->handles[i] = -1;
    /* Everybody may work in it, as long as the operations leave it so. */
    if (fchmod(side->root, 0777) < 0 || fchown(side->root, 0, 0) < 0) {
        perror(directory);
        exit(2);
    }
}

static void side_close(struct oracle_side *side)
{
    for (int i = 0; i < ORACLE_HANDLES; i++)
        if (side->handles[i] >= 0)
            close(side->handles[i]);
    close(side->root);
}

static bool step(struct oracle_side *sides, const struct oracle_op *op, char *text)
{
    struct oracle_result results[ORACLE_SIDES];
    for (int i = 0; i < ORACLE_SIDES; i++)
        oracle_execute(&sides[i], op, &results[i]);
    return oracle_same(&results[0], &results[1], text, TEXT_BYTES);
}

/* Whether there was no difference. */
static bool run(const struct settings *settings, struct oracle_side *sides, uint64_t *done)
{
    char text[TEXT_BYTES] = "";
    struct prng prng;
    struct oracle_op op = {0};
    prng_init(&prng, settings->seed);
    for (uint64_t i = 0; i < settings->ops; i++) {
        oracle_draw(&prng, &op);
        if (settings->verbose)
            print_op(stderr, i, &op);
        bool same = step(sides, &op, text);
        if (same && (i % TREES_EVERY == TREES_EVERY - 1 || i == settings->ops - 1))
            same = oracle_trees_same(sides, text, sizeof text);
        if (!same) {
            print_op(stderr, i, &op);
            fprintf(stderr, "oracle: seed %lu, operation %lu: %s\n", (unsigned long)settings->seed,
                    (unsigned long)i, text);
            return false;
        }
        *done = i + 1;
    }
    return true;
}

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 0);
    if (*end || end == text) {
        fprintf(stderr, "oracle: %s is no number\n", text);
        exit(2);
    }
    return value;
}

static bool parse(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        {"mount", required_argument, NULL, 'm'}, {"local", required_argument, NULL, 'l'},
        {"seed", required_argument, NULL, 's'},  {"ops", required_argument, NULL, 'n'},
        {"verbose", no_argument, NULL, 'v'},     {0}};
    int option;
    *settings = (struct settings){.seed = 1, .ops = 1000};
    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
        switch (option) {
        case 'm':
        case 'l':
            settings->directories[option == 'l'] = optarg;
            break;
        case 's':
            settings->seed = number(optarg);
            break;
        case 'n':
            settings->ops = number(optarg);
            break;
        case 'v':
            settings->verbose = true;
            break;
        default:
            return false;
        }
    return settings->directories[0] && settings->directories[1] && optind == argc;
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct oracle_side sides[ORACLE_SIDES];
    uint64_t done = 0;
    if (!parse(argc, argv, &settings)) {
        fputs("usage: oracle --mount DIR --local DIR [--seed N] [--ops N] [--verbose]\n", stderr);
        return 2;
    }
    if (geteuid() != 0) {
        fputs("oracle: root is needed, to act as several users\n", stderr);
        return 2;
    }
    for (int i = 0; i < ORACLE_SIDES; i++)
        side_open(&sides[i], settings.directories[i]);
    bool same = run(&settings, sides, &done);
    for (int i = 0; i < ORACLE_SIDES; i++)
        side_close(&sides[i]);
    if (same)
        printf("oracle: seed %lu: %lu operations, no difference\n", (unsigned long)settings.seed,
               (unsigned long)done);
    return same ? 0 : 1;
}
