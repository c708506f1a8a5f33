/* Receiving: data, acknowledgements, and what the log says of storing.
 *
 * Source: docs/protocol.md, section 3 (Receive) and section 2 (taken strictly at R + 1).
 * Invariants: R[k] grows by one per message; a message is announced (`received`, `store`) in order
 * of receipt and before it is delivered; S[k] <= R[k]. A wedged member takes in nothing. */
#include "gcs-fastdelivery/core_state.h"

#include <errno.h>

/* The message is this member's from now on. */
void receive_take(struct gcs_core *core, uint8_t origin, uint64_t ts, struct blob *payload)
{
    uint64_t seq = ++received(core)[origin];
    *slot_of(core, origin, seq) =
        (struct slot){.payload = blob_ref(payload), .ts = ts, .bytes = payload->bytes};
    core->rings[origin].bytes += payload->bytes;
    core->last_ts[origin] = ts;
    struct journal *journal = &core->journal;
    MUST(journal->received - journal->stored < core->journal_capacity);
    journal->entries[journal->received++ & (core->journal_capacity - 1)] =
        (struct entry){seq, origin};
    if (plant_reply_before_store)
        stored(core)[origin] = seq;
}

/* R, S, promises and the applied index of a peer. False: it says what can't be. */
static bool take_knowledge(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    struct knowledge *know = &core->know[from];
    if (frame->received[core->self] > received(core)[core->self])
        return false;
    core->standings[from].installed = true;
    for (uint8_t k = 0; k < core->n; k++) {
        know->received[k] = most(know->received[k], frame->received[k]);
        know->stored[k] = most(know->stored[k], frame->stored[k]);
    }
    know->applied = most(know->applied, frame->applied);
    return true;
}

static void take_promises(struct gcs_core *core, const struct gcs_frame *frame)
{
    for (uint8_t k = 0; k < core->n; k++)
        promise_note(core, k, frame->promises[k]);
}

/* This epoch, from a member of it? Others are late and mean nothing. */
static bool current(const struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    bool takes =
        core->stage == STAGE_RUNNING || (plant_wedged_stores && core->stage == STAGE_WEDGED);
    return takes && frame->epoch == core->epoch && from != NONE && frame->count == core->n &&
           core->peer_of_rank[from] != NONE &&
           (core->peers[core->peer_of_rank[from]].open || plant_wedged_stores);
}

void receive_ack(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    if (!current(core, from, frame))
        return;
    if (!take_knowledge(core, from, frame))
        action_close(core, core->peer_of_rank[from], "it acknowledges what was never sent");
    else
        take_promises(core, frame);
}

/* NULL, or the rule that this message breaks. */
static const char *broken_rule(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame,
                               const struct blob *payload)
{
    const struct gcs_promise *promise = &core->know[from].promise;
    if (frame->origin != from)
        return "it sends in another member's name";
    if (frame->seq != received(core)[from] + 1)
        return "a gap in its messages";
    if (frame->ts <= core->last_ts[from] ||
        (frame->ts <= promise->clock && frame->seq > promise->sent &&
         !plant_promise_before_receipt))
        return "a message at a time that it had promised away";
    if (!flow_stable_from(core, from, frame->stable))
        return "it takes for applied what is not";
    if (payload->bytes == 0 || payload->bytes > core->config.limits.payload_bytes_max)
        return "a payload of a size that is not allowed";
    if (!flow_accepts(core, from))
        return "more messages than the window allows";
    return NULL;
}

void receive_data(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame,
                  struct blob *payload)
{
    if (!current(core, from, frame) || frame->seq <= received(core)[from])
        return;
    const char *rule = broken_rule(core, from, frame, payload);
    if (!rule && !take_knowledge(core, from, frame))
        rule = "it acknowledges what was never sent";
    if (rule) {
        action_close(core, core->peer_of_rank[from], rule);
        return;
    }
    receive_take(core, from, frame->ts, payload);
    core->know[from].received[from] = most(core->know[from].received[from], frame->seq);
    core->clock = most(core->clock, frame->ts);
    core->heard = most(core->heard, frame->ts);
    promise_ripen(core, from);
    promise_note(core, from, (struct gcs_promise){frame->ts, frame->seq});
    take_promises(core, frame);
    core->ack_owed = links_open(core);
}

/* The log has everything up to this message. */
void receive_stored(struct gcs_core *core, const struct gcs_message *message)
{
    struct journal *journal = &core->journal;
    if (message->epoch != core->epoch || message->origin >= core->n || core->dropping)
        return;
    while (core->logged[message->origin] < message->seq) {
        MUST(journal->stored < journal->announced);
        const struct entry *entry =
            &journal->entries[journal->stored++ & (core->journal_capacity - 1)];
        core->logged[entry->origin] = entry->seq;
        stored(core)[entry->origin] = most(stored(core)[entry->origin], entry->seq);
        core->ack_owed = links_open(core);
        core->fed_owed = is_outside(core);
    }
}

void receive_announce_pump(struct gcs_core *core)
{
    struct journal *journal = &core->journal;
    while (journal->announced < journal->received && action_room_for_pump(core)) {
        struct entry entry = journal->entries[journal->announced++ & (core->journal_capacity - 1)];
        action_message(core, GCS_ACTION_RECEIVED, entry.origin, entry.seq);
        action_message(core, GCS_ACTION_STORE, entry.origin, entry.seq);
    }
}
