/* A new epoch with the same members: the leader's side (rank 0).
 *
 *     LEVEL -> REPORT from all -> (CATCH_UP for those one epoch behind, REPORT again)
 *           -> CUT to all, PULL what the leader lacks, PUSH what they lack -> PREPARED from all
 *           -> INSTALL
 *
 * A round is of the incarnations that are connected when it begins; any link that breaks or comes
 * anew ends it, and another begins when all are connected.
 * Invariant: INSTALL leaves only when every member, the leader included, has PREPARED on disk.
 * Source: docs/protocol.md, section 8. */
#include "gcs-fastdelivery/core_state.h"

static bool same_members_as_running(const struct gcs_core *core)
{
    for (uint8_t j = 0; j < core->n; j++)
        if (j != core->self &&
            !same_incarnation(&core->links[j].incarnation, &core->incarnations[j]))
            return false;
    return true;
}

static void begin_round(struct gcs_core *core)
{
    struct lead *lead = &core->lead;
    *lead = (struct lead){.active = true, .round = lead->round + 1};
    struct gcs_frame frame = {.type = GCS_FRAME_LEVEL, .round = lead->round};
    for (uint8_t j = 0; j < core->n; j++)
        lead->incarnations[j] =
            j == core->self ? core->config.incarnation : core->links[j].incarnation;
    memcpy(frame.incarnations, lead->incarnations, sizeof frame.incarnations);
    action_send(core, others(core), &frame, NULL);
    restart_level(core, lead->round);
}

void lead_pump(struct gcs_core *core)
{
    if (core->self != 0 || core->lead.active || core->stage == STAGE_RECOVERING ||
        core->stage == STAGE_INSTALLING || links_up(core) != others(core))
        return;
    if (core->stage == STAGE_RUNNING && same_members_as_running(core))
        return;
    begin_round(core);
}

/* A member that holds all of this origin's messages that anybody has; the leader if it does. */
static uint8_t holder(const struct gcs_core *core, uint8_t origin)
{
    uint8_t best = 0;
    for (uint8_t j = 1; j < core->n; j++)
        if (core->lead.received[j][origin] > core->lead.received[best][origin])
            best = j;
    return best;
}

static void pull_from(struct gcs_core *core, uint8_t from, const uint64_t *cut)
{
    struct gcs_frame frame = {
        .type = GCS_FRAME_PULL, .round = core->lead.round, .epoch = core->epoch};
    bool lacking = false;
    for (uint8_t k = 0; k < core->n; k++) {
        frame.received[k] = frame.target[k] = received(core)[k];
        if (holder(core, k) == from && cut[k] > received(core)[k]) {
            frame.target[k] = cut[k];
            lacking = true;
        }
    }
    if (lacking)
        action_send(core, bit(from), &frame, NULL);
}

static void decide_cut(struct gcs_core *core)
{
    struct lead *lead = &core->lead;
    struct gcs_frame frame = {
        .type = GCS_FRAME_CUT, .round = lead->round, .epoch = core->epoch + 1};
    for (uint8_t k = 0; k < core->n; k++)
        frame.target[k] = lead->received[holder(core, k)][k];
    lead->cut_known = true;
    action_send(core, others(core), &frame, NULL);
    restart_cut(core, &frame);
    for (uint8_t j = 1; j < core->n; j++) {
        pull_from(core, j, frame.target);
        push_begin(core, j, lead->round, lead->received[j], frame.target);
    }
}

/* Everybody has reported: first those behind finish the epoch that others have installed. */
static void decide(struct gcs_core *core)
{
    struct lead *lead = &core->lead;
    uint64_t newest = 0;
    uint8_t behind = 0;
    for (uint8_t j = 0; j < core->n; j++)
        newest = most(newest, lead->installed[j]);
    for (uint8_t j = 0; j < core->n; j++)
        if (lead->installed[j] < newest)
            behind |= bit(j);
    lead->reported &= (uint8_t)~behind;
    if (behind) {
        struct gcs_frame frame = {
            .type = GCS_FRAME_CATCH_UP, .round = lead->round, .epoch = newest};
        action_send(core, behind & others(core), &frame, NULL);
        if (behind & bit(0))
            restart_catch_up(core, lead->round, newest);
    } else if (lead->mismatched == 0) {
        decide_cut(core);
    }
}

static bool same_limits(const struct gcs_limits *a, const struct gcs_limits *b)
{
    return a->window_messages == b->window_messages && a->window_bytes == b->window_bytes &&
           a->payload_bytes_max == b->payload_bytes_max && a->durability == b->durability;
}

void lead_report(struct gcs_core *core, uint8_t from, const struct gcs_frame *report)
{
    struct lead *lead = &core->lead;
    if (!lead->active || report->round != lead->round || lead->cut_known)
        return;
    lead->reported |= bit(from);
    lead->installed[from] = report->epoch;
    memcpy(lead->received[from], report->received, sizeof lead->received[from]);
    if (!same_limits(&report->limits, &core->config.limits))
        lead->mismatched |= bit(from);
    if (lead->reported == all_members(core))
        decide(core);
}

void lead_prepared(struct gcs_core *core, uint8_t from, uint64_t round, uint64_t epoch)
{
    struct lead *lead = &core->lead;
    if (!lead->active || round != lead->round || epoch != core->epoch + 1)
        return;
    lead->prepared |= bit(from);
    if (lead->prepared != all_members(core))
        return;
    lead->active = false;
    struct gcs_frame frame = {.type = GCS_FRAME_INSTALL, .epoch = epoch};
    memcpy(frame.incarnations, lead->incarnations, sizeof frame.incarnations);
    action_send(core, others(core), &frame, NULL);
    restart_install(core, epoch, lead->incarnations);
}
