/* [9] Convergence: members at one index have one history hash and one state digest; also a member
 * that takes the same way a second time after a crash. */
#include "tests/sim/check.h"

void check_convergence(struct checks *checks, uint32_t member, uint64_t index,
                       const struct order_entry *seen)
{
    const struct order_entry *first = checks_entry(checks, index);
    if (!hash128_equal(first->history, seen->history))
        world_violation(checks->world, "convergence: member %u has another history at index %llu",
                        member, (unsigned long long)index);
    else if (!hash128_equal(first->digest, seen->digest))
        world_violation(checks->world, "convergence: member %u has another digest at index %llu",
                        member, (unsigned long long)index);
}
