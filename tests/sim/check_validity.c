/* [3] Validity: once nothing is disturbed any more, every request is answered and every member
 * reaches the same index within a bounded number of steps (the bound is cluster.c's). */
#include "tests/sim/cluster.h"

#include <stdio.h>

bool check_validity(struct cluster *cluster, char detail[256])
{
    const struct checks *checks = &cluster->checks;
    if (!cluster->load_ops->drained(cluster, detail))
        return false;
    if (checks_level(checks))
        return true;
    int used = snprintf(detail, 256, "the order has %llu, members",
                        (unsigned long long)checks->order_count);
    for (uint32_t i = 0; i < cluster->member_count && used < 200; i++)
        used += snprintf(detail + used, 256 - (size_t)used, " %llu/%llu",
                         (unsigned long long)checks->members[i].applied,
                         (unsigned long long)checks->members[i].released);
    return false;
}
