/* Seeded runs of a group of cores with crashes, cut links and slow disks; group.h says what is
 * checked. GCS_SEED and GCS_SEEDS choose others than the usual ones. */
#include "group.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { SEEDS_DEFAULT = 20 }; /* each a few hundredths of a second */

static void run_seeds(uint8_t members, uint8_t witnesses, uint32_t window,
                      enum gcs_durability durability, bool crashes)
{
    struct random_run total = {0};
    const char *from = getenv("GCS_SEED"), *count = getenv("GCS_SEEDS");
    uint64_t first = from ? strtoull(from, NULL, 10) : 1;
    uint64_t seeds = count ? strtoull(count, NULL, 10) : from ? 1 : SEEDS_DEFAULT;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        struct random_run run = {.members = members,
                                 .witnesses = witnesses,
                                 .steps = members < 4 ? 8000 : 4000u * members,
                                 .window = window,
                                 .durability = durability,
                                 .crashes = crashes};
        const char *violation = random_run(seed, &run);
        cr_assert(violation == NULL, "seed %lu, %u members, window %u: %s", seed, members, window,
                  violation);
        total.crashed += run.crashed;
        total.cut += run.cut;
        total.multicasts += run.multicasts;
        total.views += run.views;
        total.reads += run.reads;
        total.joined += run.joined;
    }
    if (from)
        return;
    cr_assert_gt(total.multicasts, 10 * seeds, "hardly anything was sent");
    cr_assert(members == 1 || total.cut > seeds, "hardly a link was cut");
    cr_assert(!crashes || total.crashed > seeds, "hardly a member crashed");
    cr_assert(!crashes || members == 1 || total.views > seeds, "hardly an epoch began");
    cr_assert(!crashes || members < 3 || total.joined > 0, "nobody joined");
    cr_assert_gt(total.reads, 0, "nobody held a lease");
}

Test(random_run, one_member)
{
    run_seeds(1, 0, 8, GCS_DURABILITY_DISK, true);
}
Test(random_run, two_members)
{
    run_seeds(2, 0, 8, GCS_DURABILITY_DISK, true);
}
Test(random_run, three_members)
{
    run_seeds(3, 0, 16, GCS_DURABILITY_DISK, true);
}
Test(random_run, three_members_tiny_window)
{
    run_seeds(3, 0, 1, GCS_DURABILITY_DISK, true);
}
Test(random_run, four_members)
{
    run_seeds(4, 0, 8, GCS_DURABILITY_DISK, true);
}
Test(random_run, five_members)
{
    run_seeds(5, 0, 4, GCS_DURABILITY_DISK, true);
}
Test(random_run, seven_members_without_crashes)
{
    run_seeds(7, 0, 8, GCS_DURABILITY_DISK, false);
}
Test(random_run, memory_without_crashes)
{
    run_seeds(3, 0, 8, GCS_DURABILITY_MEMORY, false);
}
Test(random_run, two_members_and_a_witness)
{
    run_seeds(3, 4, 8, GCS_DURABILITY_DISK, true);
}

/* An origin says "stable" before this member has heard that all have installed the view. */
Test(random_run, stable_is_known_before_installed)
{
    struct random_run run = {.members = 4, .steps = 8000, .window = 8, .crashes = true};
    const char *violation = random_run(422, &run);
    cr_assert(violation == NULL, "%s", violation);
}
