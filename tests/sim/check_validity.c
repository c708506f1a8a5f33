/* [3] Validity: once nothing is disturbed any more, every request is answered, and every machine
 * that belongs to the group is in one view with the others and reaches the same index, within a
 * bounded number of steps (the bound is cluster.c's). */
#include "tests/sim/cluster.h"

#include <stdio.h>

static bool all_level(const struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (cluster->seats[i].belongs &&
            !(cluster->members[i].up && checks_level(&cluster->checks, i, is_witness(cluster, i))))
            return false;
    return true;
}

bool check_validity(struct cluster *cluster, char detail[256])
{
    const struct checks *checks = &cluster->checks;
    if (!cluster->load_ops->drained(cluster, detail))
        return false;
    if (all_level(cluster))
        return true;
    int used =
        snprintf(detail, 256, "the order has %llu, the last view is %llu, members",
                 (unsigned long long)checks->order_count, (unsigned long long)checks->view_newest);
    for (uint32_t i = 0; i < cluster->member_count && used < 200; i++)
        if (cluster->seats[i].belongs)
            used += snprintf(detail + used, 256 - (size_t)used, " %u%s: %llu/%llu in %llu", i + 1,
                             checks->members[i].running ? "" : " (waits)",
                             (unsigned long long)checks->members[i].applied,
                             (unsigned long long)checks->members[i].released,
                             (unsigned long long)checks->members[i].epoch);
    return false;
}
