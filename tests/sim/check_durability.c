/* [4] Durability: what one member takes as received by all, and what a client was answered, is in
 * the order; and every member gets there, whatever crashed (check_validity.c waits for that). The
 * order is fixed by its first appearance, so a change of it after an outage is no agreement. */
#include "tests/sim/check.h"

void checks_released(struct checks *checks, uint32_t member, uint64_t index)
{
    struct check_member *m = &checks->members[member];
    if (index < m->released)
        world_violation(checks->world, "durability: member %u releases %llu after %llu", member,
                        (unsigned long long)index, (unsigned long long)m->released);
    m->released = index;
    if (m->running && index > checks->released_max)
        checks->released_max = index;
}

void check_durability(struct checks *checks, uint32_t member)
{
    const struct check_member *m = &checks->members[member];
    if (m->applied < checks->answered_max)
        world_violation(
            checks->world, "durability: index %llu was answered, member %u holds only %llu",
            (unsigned long long)checks->answered_max, member, (unsigned long long)m->applied);
}
