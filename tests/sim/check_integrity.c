/* [2] Integrity: no message is delivered twice, none that was not sent. In the order an epoch's
 * messages lie between its event and the next one's; each origin's come in sequence from 1; (ts,
 * rank) rises. */
#include "tests/sim/check.h"

#include <string.h>

static void begin_epoch(struct checks *checks)
{
    checks->epoch++;
    checks->ts_last = 0;
    checks->rank_last = 0;
    memset(checks->seq_last, 0, sizeof checks->seq_last);
}

static const char *what_is_wrong(const struct checks *checks, const struct order_entry *entry)
{
    uint32_t member = checks_member_of(checks, entry->epoch, entry->origin);
    if (member == checks->member_count)
        return "comes from nobody";
    if (checks_view_of(checks, entry->epoch)->witnesses >> entry->origin & 1)
        return "comes from a witness";
    if (entry->epoch != checks->epoch)
        return "belongs to another epoch";
    if (entry->seq != checks->seq_last[entry->origin] + 1)
        return "is not its origin's next";
    if (entry->ts < checks->ts_last ||
        (entry->ts == checks->ts_last && entry->origin <= checks->rank_last && checks->ts_last))
        return "is not after the one before it";
    if (!checks->was_sent(checks->user, member, entry->payload, entry->bytes))
        return "was never sent";
    return NULL;
}

void check_integrity(struct checks *checks, uint64_t index, const struct order_entry *entry)
{
    if (entry->event) {
        begin_epoch(checks);
        return;
    }
    const char *wrong = what_is_wrong(checks, entry);
    if (wrong) {
        world_violation(
            checks->world,
            "integrity: index %llu (epoch %llu of %llu, origin %u, seq %llu, ts %llu) %s",
            (unsigned long long)index, (unsigned long long)entry->epoch,
            (unsigned long long)checks->epoch, entry->origin, (unsigned long long)entry->seq,
            (unsigned long long)entry->ts, wrong);
        return;
    }
    checks->seq_last[entry->origin] = entry->seq;
    checks->ts_last = entry->ts;
    checks->rank_last = entry->origin;
}
