/* Tests the tests: linked with one planted bug, the random runs have to find a violation.
 * Exit code 0: found. Prints the seed that found it. */
#include "group.h"

#include <stdio.h>

enum { SEEDS = 400 };

int main(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct random_run run = {.members = 3,
                                 .steps = 8000,
                                 .window = 8,
                                 .durability = GCS_DURABILITY_DISK,
                                 .crashes = true};
        const char *violation = random_run(seed, &run);
        if (violation) {
            printf("seed %lu finds it: %s\n", seed, violation);
            return 0;
        }
    }
    fprintf(stderr, "the planted bug was not found within %d seeds\n", SEEDS);
    return 1;
}
