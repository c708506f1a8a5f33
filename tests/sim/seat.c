/* Seats: which machines belong to the group, as the operator knows it. */
#include "tests/sim/cluster.h"

#include <string.h>

void seat_store(const struct seat *seat, uint32_t member, uint8_t store[16])
{
    memset(store, (int)member + 1, 16);
    store[0] = seat->store;
}

void seat_incarnation(struct cluster *cluster, uint32_t member)
{
    struct seat *seat = &cluster->seats[member];
    seat->incarnation_count++;
    seat->incarnation_random = prng_next(&cluster->world.prng);
}

static uint32_t staying(const struct cluster *cluster)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (cluster->seats[i].belongs && !cluster->seats[i].added && !cluster->seats[i].leaving)
            set |= 1u << i;
    return set;
}

void seat_add(struct cluster *cluster, uint32_t member)
{
    struct seat *seat = &cluster->seats[member];
    struct host *host = &cluster->members[member];
    world_note(&cluster->world, "%s has an empty disk and is added", host->name);
    host_wipe(host);
    checks_wiped(&cluster->checks, member);
    *seat = (struct seat){.belongs = true,
                          .added = true,
                          .store = (uint8_t)(seat->store + 1),
                          .knows = staying(cluster) & ~(1u << member)};
    cluster->load_ops->format(cluster, member);
}

bool seat_out(struct cluster *cluster, uint32_t member, enum gcs_out why, const char *detail)
{
    struct seat *seat = &cluster->seats[member];
    struct host *host = &cluster->members[member];
    static const char *const names[] = {"voted out", "removed", "diverged"};
    world_note(&cluster->world, "%s is %s: %s", host->name, names[why], detail);
    cluster->outs++;
    if (why == GCS_OUT_DIVERGED)
        world_violation(&cluster->world, "convergence: %s is said to have diverged", host->name);
    if (why == GCS_OUT_REMOVED && !seat->leaving)
        world_violation(&cluster->world, "validity: %s is removed, and nobody asked for it: %s",
                        host->name, detail);
    if (why != GCS_OUT_REMOVED)
        return true;
    seat->belongs = false;
    host_off(host);
    return false;
}

void seat_stays(struct cluster *cluster, uint32_t member)
{
    world_note(&cluster->world, "%s was asked to leave, and stays", cluster->members[member].name);
    cluster->seats[member].leaving = cluster->seats[member].to_remove;
}

void seat_inside(struct cluster *cluster, uint32_t member)
{
    cluster->joins += cluster->seats[member].added;
    cluster->seats[member].added = false;
}

void seat_hears(struct cluster *cluster, uint32_t member, const struct gcs_view *view)
{
    for (uint32_t k = 0; k < view->member_count; k++)
        cluster->seats[member].knows |= 1u << (view->members[k].node - 1);
}

bool seat_is_needed(const struct cluster *cluster, uint32_t member)
{
    uint32_t others = staying(cluster) & ~(1u << member);
    for (uint32_t i = 0; i < cluster->member_count; i++) {
        const struct seat *seat = &cluster->seats[i];
        if (i != member && seat->belongs && seat->added && !(seat->knows & others))
            return true;
    }
    return false;
}
