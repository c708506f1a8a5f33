/* [1] Agreement: what any two members applied is a prefix of one sequence, without a gap. A member
 * that restarts, or takes over another one's state, goes on anywhere in the sequence: that it holds
 * what lies before is said by its history hash (check_convergence.c). */
#include "tests/sim/check.h"

#include <string.h>

static void check_place(struct checks *checks, uint32_t member, uint64_t index)
{
    const struct check_member *m = &checks->members[member];
    if (index <= checks->index_first || index > checks->order_count + 1)
        world_violation(checks->world, "agreement: member %u applies index %llu of %llu", member,
                        (unsigned long long)index, (unsigned long long)checks->order_count);
    else if (!m->fresh && index != m->applied + 1)
        world_violation(checks->world, "agreement: member %u applies index %llu after %llu", member,
                        (unsigned long long)index, (unsigned long long)m->applied);
}

static bool same(const struct order_entry *a, const struct order_entry *b)
{
    if (a->event || b->event)
        return a->event == b->event;
    return a->epoch == b->epoch && a->seq == b->seq && a->ts == b->ts && a->origin == b->origin &&
           a->bytes == b->bytes && memcmp(a->payload, b->payload, a->bytes) == 0;
}

void check_agreement(struct checks *checks, uint32_t member, uint64_t index,
                     const struct order_entry *seen)
{
    check_place(checks, member, index);
    if (checks->world->stopped || index > checks->order_count)
        return;
    const struct order_entry *first = checks_entry(checks, index);
    if (!same(first, seen))
        world_violation(checks->world,
                        "agreement: index %llu is (epoch %llu, origin %u, seq %llu, ts %llu) to "
                        "member %u and was (%llu, %u, %llu, %llu)",
                        (unsigned long long)index, (unsigned long long)seen->epoch, seen->origin,
                        (unsigned long long)seen->seq, (unsigned long long)seen->ts, member,
                        (unsigned long long)first->epoch, first->origin,
                        (unsigned long long)first->seq, (unsigned long long)first->ts);
}
