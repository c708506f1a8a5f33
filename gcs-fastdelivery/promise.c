/* Promises: what makes a message ordered.
 *
 * Source: docs/protocol.md, section 3 and 3.1 (measures 3 and 4).
 * Invariant: know[j].promise counts, that is, this member has received all `sent` messages that it
 * covers. A promise whose messages are still on their way waits in `pending`; where two wait, the
 * one whose messages come first is kept, for only one can be. */
#include "gcs-fastdelivery/core_state.h"

/* How far an idle member promises beyond its need. */
enum { AHEAD_CLOCKS = 1024 };

static void count(struct knowledge *know, struct gcs_promise promise)
{
    if (promise.clock > know->promise.clock)
        know->promise = promise;
}

void promise_note(struct gcs_core *core, uint8_t member, struct gcs_promise promise)
{
    struct knowledge *know = &core->know[member];
    if (member == core->self || promise.clock <= know->promise.clock)
        return;
    if (promise.sent <= received(core)[member] || plant_promise_before_receipt) {
        count(know, promise);
        return;
    }
    bool sooner = !know->has_pending || promise.sent < know->pending.sent;
    bool further = promise.sent == know->pending.sent && promise.clock > know->pending.clock;
    if (sooner || further) {
        know->pending = promise;
        know->has_pending = true;
    }
}

/* A message of the member came in: does what was pending count now? */
void promise_ripen(struct gcs_core *core, uint8_t member)
{
    struct knowledge *know = &core->know[member];
    if (know->has_pending && know->pending.sent <= received(core)[member]) {
        know->has_pending = false;
        count(know, know->pending);
    }
}

/* All that this member has sent is released. */
static bool idle(struct gcs_core *core)
{
    uint64_t sent = received(core)[core->self];
    if (!sent)
        return true;
    return core->rings[core->self].delivered == sent &&
           slot_of(core, core->self, sent)->index <= core->released;
}

/* Before this member speaks: its own promise is its clock, and an idle one promises ahead. */
void promise_renew(struct gcs_core *core)
{
    if (core->config.measures.promise_ahead && idle(core) &&
        core->clock < core->heard + AHEAD_CLOCKS / 2)
        core->clock = core->heard + AHEAD_CLOCKS;
    core->know[core->self].promise = (struct gcs_promise){core->clock, received(core)[core->self]};
}
