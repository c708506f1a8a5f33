/* Tests the tests: linked with one planted bug, a sequence written by hand or the random runs have
 * to find a violation. Exit code 0: found. Prints what found it. */
#include "group.h"

#include <stdio.h>

enum { SEEDS = 400 };

static const struct random_run modes[] = {
    {.members = 3, .window = 8},
    {.members = 3, .witnesses = 4, .window = 8},
    {.members = 4, .window = 8},
    {.members = 2, .window = 8},
};

static bool scenarios_find(void)
{
    const char *name, *violation;
    for (unsigned number = 0;; number++) {
        violation = scenario_run(number, &name);
        if (!name)
            return false;
        if (violation) {
            printf("\"%s\" finds it: %s\n", name, violation);
            return true;
        }
    }
}

int main(void)
{
    if (scenarios_find())
        return 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
            struct random_run run = modes[m];
            run.steps = 8000;
            run.crashes = true;
            run.durability = GCS_DURABILITY_DISK;
            const char *violation = random_run(seed, &run);
            if (violation) {
                printf("seed %lu of mode %zu finds it: %s\n", seed, m, violation);
                return 0;
            }
        }
    fprintf(stderr, "the planted bug was not found within %d seeds\n", SEEDS);
    return 1;
}
