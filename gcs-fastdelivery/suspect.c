/* Suspicion: who is there, and whether a change of view is due.
 *
 * Source: docs/protocol.md, section 4 (Suspect). A member is missing when nothing was heard of it
 * for suspect_after, when its link has been broken for two heartbeats (a reset link is back
 * sooner), or when it is known to have ended. None of that is proof but the death notice. Members
 * tell each other whom they hear, so that a broken pair is seen by all. A member that has stood
 * still itself does not blame the others for it. Deviation: "a closed link: suspicion starts at
 * once" is here a shorter time-out, because with the death notice nothing is gained by less. */
#include "gcs-fastdelivery/core_state.h"

#include <errno.h>

enum { BROKEN_HEARTBEATS = 2 };

uint64_t random_below(struct gcs_core *core, uint64_t limit)
{
    core->random ^= core->random >> 12;
    core->random ^= core->random << 25;
    core->random ^= core->random >> 27;
    return limit ? core->random * 0x2545f4914f6cdd1du % limit : 0;
}

static bool is_missing(const struct gcs_core *core, uint8_t rank)
{
    uint8_t peer = core->peer_of_rank[rank];
    if (rank == core->self)
        return false;
    if (core->standings[rank].gone)
        return peer == NONE; /* a new incarnation is there already */
    if (peer != NONE && core->peers[peer].resume_known &&
        !(core->peers[peer].resume_flags & (GCS_FLAG_MEMBER | GCS_FLAG_CANDIDATE)) &&
        !same_incarnation(&core->peers[peer].member.incarnation,
                          &core->view.members[rank].incarnation))
        return true; /* it has begun anew, outside: it lost what made it a member */
    if (peer != NONE)
        return core->now - core->peers[peer].heard_ns >= core->config.suspect_after_ns;
    uint64_t down_ns = core->started_ns + core->config.start_wait_ns;
    for (uint8_t p = 0; p < PEERS; p++)
        if (core->peers[p].rank == rank && core->peers[p].down_ns)
            down_ns = core->peers[p].down_ns;
    return core->now >= down_ns + BROKEN_HEARTBEATS * core->config.heartbeat_ns;
}

/* Set of ranks. */
uint8_t suspect_missing(const struct gcs_core *core)
{
    uint8_t set = 0;
    for (uint8_t j = 0; j < core->n; j++)
        if (is_missing(core, j))
            set |= bit(j);
    return set;
}

/* Whom this member hears, as it tells the others. */
uint8_t suspect_hears(const struct gcs_core *core)
{
    return (uint8_t)(all_members(core) & ~suspect_missing(core));
}

/* Whom anybody that is heard calls slow. */
uint8_t suspect_slow(const struct gcs_core *core)
{
    uint8_t set = core->slow;
    for (uint8_t j = 0; j < core->n; j++)
        if (core->peer_of_rank[j] != NONE && !is_missing(core, j))
            set |= core->standings[j].slow;
    return set;
}

void suspect_note(struct gcs_core *core, uint8_t rank, const struct gcs_frame *frame)
{
    if (rank == NONE || frame->epoch != core->epoch)
        return;
    core->standings[rank].hears = frame->hears;
    core->standings[rank].slow = frame->slow;
}

static bool restarted(const struct gcs_core *core, uint8_t rank)
{
    const struct gcs_incarnation *known = &core->view.members[rank].incarnation;
    uint8_t peer = core->peer_of_rank[rank];
    if (rank == core->self)
        return !same_incarnation(known, &core->config.self.incarnation);
    return peer != NONE && !same_incarnation(known, &core->peers[peer].member.incarnation);
}

/* A pair of members that both are heard, one of which does not hear the other. */
static bool pair_is_broken(const struct gcs_core *core, uint8_t missing)
{
    for (uint8_t j = 0; j < core->n; j++) {
        uint8_t unheard = all_members(core) & (uint8_t) ~(core->standings[j].hears | missing);
        if (j != core->self && !in(missing, j) && core->peer_of_rank[j] != NONE && unheard)
            return true;
    }
    return false;
}

/* An operator wants it out. */
bool suspect_unwanted(const struct gcs_core *core, const struct gcs_view_member *member)
{
    for (uint8_t i = 0; i < core->unwanted_count; i++)
        if (same_member(&core->unwanted[i], member))
            return true;
    return false;
}

static bool wants_out(const struct gcs_core *core, uint8_t rank)
{
    return core->standings[rank].leaving || suspect_unwanted(core, &core->view.members[rank]);
}

/* The last one with data can't go: nobody would be left. Where all want to, the lower go first.
 * @unwanted: those that an operator wants out are going, too. A lower one may not know of that yet,
 * so that nobody stays because of it: the lower one is asked to leave, and says so. */
static bool may_leave(const struct gcs_core *core, uint8_t rank, bool unwanted)
{
    uint8_t staying = core->data & (uint8_t)~bit(rank);
    for (uint8_t j = 0; j < rank; j++)
        if (unwanted ? wants_out(core, j) : core->standings[j].leaving)
            staying &= (uint8_t)~bit(j);
    return staying != 0;
}

/* Ranks that are to go, by their own wish or an operator's. */
uint8_t suspect_going(const struct gcs_core *core)
{
    uint8_t set = 0;
    for (uint8_t j = 0; j < core->n; j++)
        if (wants_out(core, j) && may_leave(core, j, true))
            set |= bit(j);
    return set;
}

static bool wishes(const struct gcs_core *core)
{
    for (uint8_t i = 0; i < core->view.absent_count; i++)
        if (suspect_unwanted(core, &core->view.absent[i]))
            return true;
    return suspect_going(core) != 0;
}

/* Whether this member sees a reason for another view, joiners apart. */
bool suspect_change_due(struct gcs_core *core)
{
    uint8_t missing = suspect_missing(core);
    bool due = core->stage != STAGE_RUNNING || missing || suspect_slow(core) || wishes(core) ||
               pair_is_broken(core, missing);
    for (uint8_t j = 0; j < core->n; j++)
        due = due || restarted(core, j);
    return due;
}

/* This member itself stood still: what it did not hear in that time says nothing. */
void suspect_gap(struct gcs_core *core)
{
    uint64_t since = core->turned_ns ? core->now - core->turned_ns : 0;
    core->turned_ns = core->now;
    if (since < 3 * core->config.heartbeat_ns)
        return;
    for (uint8_t p = 0; p < PEERS; p++) {
        struct peer *peer = &core->peers[p];
        if (peer->up)
            peer->heard_ns = least(core->now, peer->heard_ns + since);
        else if (peer->down_ns)
            peer->down_ns = least(core->now, peer->down_ns + since);
    }
}

void suspect_death(struct gcs_core *core, const struct gcs_view_member *member)
{
    uint8_t rank = is_outside(core) ? NONE : view_rank(&core->view, member);
    if (rank == NONE || rank == core->self ||
        !same_incarnation(&core->view.members[rank].incarnation, &member->incarnation))
        return;
    core->standings[rank].gone = true;
    struct peer *peer = peer_at(core, rank);
    if (peer && same_incarnation(&peer->member.incarnation, &member->incarnation))
        action_close(core, core->peer_of_rank[rank], "it has ended");
}

/* --- leaving and removing --- */

static void say_leave(struct gcs_core *core, uint8_t node, uint16_t flags)
{
    struct gcs_frame frame = {
        .type = GCS_FRAME_LEAVE, .epoch = core->epoch, .flags = flags, .target_node = node};
    action_send(core, others(core), &frame, NULL);
}

static void say_wish(struct gcs_core *core)
{
    bool for_good = core->standings[core->self].leaving_for_good;
    core->wish_said = true;
    say_leave(core, core->config.self.node, for_good ? GCS_FLAG_REMOVED : 0);
}

static void forget_wish(struct gcs_core *core)
{
    core->leaving = core->standings[core->self].leaving = false;
    core->standings[core->self].leaving_for_good = false;
}

/* The last one with data can't go. Once the others of this view have heard of the wish there is no
 * way back, because a view that fulfils it may be under way. */
static bool has_to_stay(const struct gcs_core *core)
{
    return !core->wish_said && !may_leave(core, core->self, false);
}

/* Nobody counts on one outside, but on a candidate. */
static bool is_counted_on(const struct gcs_core *core)
{
    return !is_outside(core) || core->wanted.standing == STANDING_CANDIDATE;
}

int suspect_leave(struct gcs_core *core, bool back)
{
    if (core->stage != STAGE_RECOVERING && !is_counted_on(core)) {
        action_out(core, GCS_OUT_EXCLUDED, "it joins no more");
        return 0;
    }
    if (core->stage != STAGE_RUNNING)
        return GCS_E_NOT_RUNNING;
    if (has_to_stay(core)) {
        forget_wish(core); /* it may have asked before */
        return -EBUSY;
    }
    core->leaving = core->standings[core->self].leaving = true;
    core->leaving_for_good = core->standings[core->self].leaving_for_good = !back;
    say_wish(core);
    return 0;
}

/* It is no member less: who starts again with its disk votes with what it stored. */
void suspect_end(struct gcs_core *core)
{
    if (!is_outside(core))
        say_leave(core, core->config.self.node, GCS_FLAG_ENDS);
    core->ended = true;
}

/* A member, or an absent one; NULL: it is neither. */
static const struct gcs_view_member *find_node(const struct gcs_core *core, uint8_t node)
{
    const struct gcs_view_record *view = &core->view;
    for (uint8_t k = 0; k < core->n; k++)
        if (view->members[k].node == node)
            return &view->members[k];
    for (uint8_t i = 0; i < view->absent_count; i++)
        if (view->absent[i].node == node)
            return &view->absent[i];
    return NULL;
}

static void note_unwanted(struct gcs_core *core, const struct gcs_view_member *member)
{
    if (!suspect_unwanted(core, member))
        core->unwanted[core->unwanted_count++] = *member;
}

/* What an operator wishes outlasts a view that did not fulfil it, because who proposed that did not
 * know. */
void suspect_new_view(struct gcs_core *core)
{
    uint8_t kept = 0;
    for (uint8_t i = 0; i < core->unwanted_count; i++) {
        struct gcs_view_member member = core->unwanted[i];
        if (view_rank(&core->view, &member) != NONE || view_has_absent(&core->view, &member))
            core->unwanted[kept++] = member;
    }
    core->unwanted_count = kept;
}

int suspect_remove(struct gcs_core *core, uint8_t node)
{
    if (core->stage != STAGE_RUNNING)
        return GCS_E_NOT_RUNNING;
    const struct gcs_view_member *member = find_node(core, node);
    if (!member)
        return -ENOENT;
    uint8_t rank = view_rank(&core->view, member);
    if (rank != NONE && !is_missing(core, rank) && !suspect_unwanted(core, member))
        return -EBUSY;
    note_unwanted(core, member);
    say_leave(core, node, GCS_FLAG_REMOVED);
    return 0;
}

/* LEAVE: of the sender itself, or an operator's wish that it passes on. Who is to be removed
 * because it was missing, and is back before the view changed, goes of itself: nobody else is to be
 * waited for by whom the operator asked. */
void suspect_told(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    if (frame->epoch != core->epoch)
        return; /* said again, too late: a later start of the sender has not ended */
    if (frame->flags & GCS_FLAG_ENDS) {
        suspect_death(core, &peer_at(core, from)->member);
        return;
    }
    if (frame->target_node != core->view.members[from].node) {
        const struct gcs_view_member *member = find_node(core, frame->target_node);
        if (frame->target_node == core->config.self.node && !core->leaving)
            (void)suspect_leave(core, false);
        else if (frame->target_node != core->config.self.node && member)
            note_unwanted(core, member);
        return;
    }
    core->standings[from].leaving = true;
    core->standings[from].leaving_for_good = frame->flags & GCS_FLAG_REMOVED;
}

/* A wish is repeated until the view changes: a link may have broken. */
void suspect_tick(struct gcs_core *core)
{
    if (core->stage != STAGE_RUNNING)
        return;
    if (core->leaving && has_to_stay(core)) {
        forget_wish(core);
        action_add(core, GCS_ACTION_STAYS);
    }
    if (core->standings[core->self].leaving)
        say_wish(core);
    for (uint8_t i = 0; i < core->unwanted_count; i++)
        say_leave(core, core->unwanted[i].node, GCS_FLAG_REMOVED);
}
