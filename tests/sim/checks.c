/* The order as an onlooker sees it: the sequence of what was applied anywhere, and how far each
 * member is in it. The invariants themselves are in files of their own. */
#include "tests/sim/check.h"

#include <stdlib.h>
#include <string.h>

void checks_init(struct checks *checks, struct world *world, uint32_t member_count)
{
    memset(checks, 0, sizeof *checks);
    checks->world = world;
    checks->member_count = member_count;
    checks->order_capacity = 256;
    checks->order = sim_alloc(checks->order_capacity * sizeof *checks->order);
    checks->view_capacity = 16;
    checks->views = sim_alloc(checks->view_capacity * sizeof *checks->views);
}

void checks_finish(struct checks *checks)
{
    for (uint64_t index = checks->index_first + 1; index <= checks->order_count; index++)
        free(checks_entry(checks, index)->payload);
    free(checks->order);
    free(checks->views);
}

void checks_begin_at(struct checks *checks, uint64_t index, uint64_t epoch)
{
    checks->index_first = checks->order_count = index;
    checks->epoch_first = checks->epoch = epoch;
}

void checks_started(struct checks *checks, uint32_t member)
{
    struct check_member *m = &checks->members[member];
    m->fresh = true;
    m->leaves = false;
    m->life++;
    m->inside = m->running = false;
    m->released = 0;
    m->epoch = 0;
}

static void order_append(struct checks *checks, struct order_entry entry)
{
    if (checks->order_count - checks->index_first == checks->order_capacity) {
        checks->order_capacity *= 2;
        checks->order = realloc(checks->order, checks->order_capacity * sizeof *checks->order);
        MUST(checks->order);
    }
    if (!entry.event) {
        uint8_t *copy = sim_alloc(entry.bytes);
        memcpy(copy, entry.payload, entry.bytes);
        entry.payload = copy;
    }
    *checks_entry(checks, ++checks->order_count) = entry;
}

static struct order_entry entry_of(const struct gcs_message *message, struct hash128 history,
                                   struct hash128 digest)
{
    struct order_entry entry = {.history = history, .digest = digest, .event = !message};
    if (!message)
        return entry;
    entry.epoch = message->epoch;
    entry.seq = message->seq;
    entry.ts = message->ts;
    entry.origin = message->origin;
    entry.bytes = message->payload->bytes;
    entry.payload = message->payload->data;
    return entry;
}

void checks_applied(struct checks *checks, uint32_t member, uint64_t index,
                    const struct gcs_message *message, struct hash128 history,
                    struct hash128 digest)
{
    struct order_entry seen = entry_of(message, history, digest);
    check_agreement(checks, member, index, &seen);
    if (checks->world->stopped)
        return;
    if (index == checks->order_count + 1) {
        order_append(checks, seen);
        struct order_entry *entry = checks_entry(checks, index);
        check_integrity(checks, index, entry);
        if (entry->event)
            entry->epoch = checks->epoch;
        if (checks->ordered && !checks->world->stopped)
            checks->ordered(checks->user, index, entry);
    } else {
        check_convergence(checks, member, index, &seen);
    }
    if (!message && !checks->world->stopped)
        check_synchrony(checks, member, index, checks_entry(checks, index));
    struct check_member *m = &checks->members[member];
    m->fresh = false;
    m->applied = index;
    world_mix(checks->world, history.low);
}

void checks_answered(struct checks *checks, uint64_t index)
{
    if (index > checks->answered_max)
        checks->answered_max = index;
}

void checks_running(struct checks *checks, uint32_t member, bool running)
{
    checks->members[member].running = running;
}

void checks_leaves(struct checks *checks, uint32_t member)
{
    checks->members[member].leaves = true;
}

bool checks_level(const struct checks *checks, uint32_t member, bool witness)
{
    const struct check_member *m = &checks->members[member];
    if (!m->inside || !m->running || m->epoch != checks->view_newest)
        return false;
    return witness ||
           (!m->fresh && m->applied == checks->order_count && m->released == checks->order_count);
}
