/* Views: who is in one, what is a quorum of it, how the next one is put together.
 *
 * Source: docs/protocol.md, section 4 (primary component). Conditions are tested on sets of ranks.
 * A quorum is more than half of the view, or exactly half with its lowest data member, and never
 * witnesses alone. In the founding view (epoch 0) everybody is needed: store ids are not known
 * yet, and nothing is lost by waiting. */
#include "gcs-fastdelivery/core_state.h"

static bool is_zero(const uint8_t store[16])
{
    for (int i = 0; i < 16; i++)
        if (store[i])
            return false;
    return true;
}

/* The same node on the same store; founders are known by node only. */
bool same_member(const struct gcs_view_member *a, const struct gcs_view_member *b)
{
    if (a->node != b->node)
        return false;
    return is_zero(a->store) || is_zero(b->store) || memcmp(a->store, b->store, 16) == 0 ||
           plant_wiped_votes;
}

/* NONE: it is not in it. */
uint8_t view_rank(const struct gcs_view_record *view, const struct gcs_view_member *member)
{
    for (uint8_t k = 0; k < view->count; k++)
        if (same_member(&view->members[k], member))
            return k;
    return NONE;
}

uint8_t view_data(const struct gcs_view_record *view)
{
    uint8_t set = 0;
    for (uint8_t k = 0; k < view->count; k++)
        if (!view->members[k].witness)
            set |= bit(k);
    return set;
}

bool view_has_absent(const struct gcs_view_record *view, const struct gcs_view_member *member)
{
    for (uint8_t i = 0; i < view->absent_count; i++)
        if (same_member(&view->absent[i], member))
            return true;
    return false;
}

/* Of the installed view: what every other quorum meets. */
bool view_is_quorum(const struct gcs_core *core, uint8_t set)
{
    const struct gcs_view_record *view = &core->view;
    uint8_t count = (uint8_t)__builtin_popcount(set & all_members(core));
    uint8_t lowest = (uint8_t)(core->data & -core->data);
    if (view->epoch == 0 || core->config.assume_no_partition)
        return set == all_members(core);
    if (plant_quorum_by_count)
        return 2 * count >= core->n;
    if (!(set & core->data))
        return false;
    return 2 * count > core->n || (2 * count == core->n && (set & lowest));
}

/* Whether these may decide on the next view. Without partitions that is whoever is not suspected;
 * who has restarted in this epoch knows nobody to be dead and waits for all. */
bool view_decides(const struct gcs_core *core, uint8_t set)
{
    const struct gcs_view_record *view = &core->view;
    if (plant_view_without_quorum)
        return (set & core->data) != 0;
    if (view->epoch == 0 || !core->config.assume_no_partition)
        return view_is_quorum(core, set);
    bool restarted = core->self == NONE || !same_incarnation(&view->members[core->self].incarnation,
                                                             &core->config.self.incarnation);
    uint8_t dead = restarted ? 0 : suspect_missing(core);
    return (set & core->data) && (set | dead) == all_members(core);
}

/* From now on this is the installed view: ranks, peers, and what is known of each rank. */
void view_take(struct gcs_core *core, const struct gcs_view_record *view)
{
    memcpy(&core->view, view, sizeof core->view);
    view = &core->view;
    core->n = view->count;
    core->self = view_rank(view, &core->config.self);
    core->data = view_data(view);
    uint64_t held[MEMBERS];
    for (uint8_t k = 0; k < MEMBERS; k++)
        held[k] = core->standings[k].held_until;
    memset(core->standings, 0, sizeof core->standings);
    for (uint8_t k = 0; k < MEMBERS; k++) {
        core->standings[k].hears = 0xff;
        core->standings[k].held_until = plant_lease_not_renewed ? held[k] : 0;
        core->peer_of_rank[k] = NONE;
    }
    core->slow = core->lost = 0;
    core->wish_said = false;
    suspect_new_view(core);
    if (core->self != NONE) {
        core->standings[core->self].leaving = core->leaving && core->data != bit(core->self);
        core->standings[core->self].leaving_for_good = core->leaving && core->leaving_for_good;
    }
    core->have_owed = 0;
    core->ack_owed = core->spoke = 0;
    for (uint8_t p = 0; p < PEERS; p++) {
        struct peer *peer = &core->peers[p];
        peer->rank = peer->member.node ? view_rank(view, &peer->member) : NONE;
        peer->open = peer->push.active = peer->grant_owed = false;
        peer->sent = 0;
        if (peer->rank != NONE && peer->up)
            core->peer_of_rank[peer->rank] = p;
    }
}

/* --- the next one --- */

static void insert(struct gcs_view_member *members, uint8_t *count,
                   const struct gcs_view_member *member)
{
    uint8_t at = *count;
    while (at > 0 && members[at - 1].node > member->node) {
        memcpy(&members[at], &members[at - 1], sizeof *members);
        at--;
    }
    memcpy(&members[at], member, sizeof *members);
    (*count)++;
}

static bool has_node(const struct gcs_view_record *view, uint8_t node)
{
    for (uint8_t k = 0; k < view->count; k++)
        if (view->members[k].node == node)
            return true;
    for (uint8_t i = 0; i < view->absent_count; i++)
        if (view->absent[i].node == node)
            return true;
    return false;
}

static void keep_absent(struct gcs_view_record *next, const struct gcs_view_member *member)
{
    if (next->absent_count < GCS_ABSENT_MAX && !has_node(next, member->node))
        insert(next->absent, &next->absent_count, member);
}

/* Its identity now: the incarnation that is linked. */
static struct gcs_view_member present(struct gcs_core *core, uint8_t rank)
{
    const struct peer *peer = peer_at(core, rank);
    if (rank == core->self)
        return core->config.self;
    return peer ? peer->member : core->view.members[rank];
}

/* @ranks: of the present view; @candidate: NULL, or who joins. */
void view_next(struct gcs_core *core, uint8_t ranks, const struct gcs_view_member *candidate,
               struct gcs_view_record *ret_view)
{
    const struct gcs_view_record *view = &core->view;
    memset(ret_view, 0, sizeof *ret_view);
    ret_view->epoch = view->epoch + 1;
    for (uint8_t k = 0; k < core->n; k++) {
        struct gcs_view_member member = present(core, k);
        if (in(ranks, k))
            insert(ret_view->members, &ret_view->count, &member);
    }
    if (candidate)
        insert(ret_view->members, &ret_view->count, candidate);
    for (uint8_t k = 0; k < core->n; k++) {
        const struct standing *standing = &core->standings[k];
        bool for_good = standing->leaving_for_good || suspect_unwanted(core, &view->members[k]);
        if (!in(ranks, k) && !(for_good && in(suspect_going(core), k)))
            keep_absent(ret_view, &view->members[k]);
    }
    for (uint8_t i = 0; i < view->absent_count; i++)
        if (!suspect_unwanted(core, &view->absent[i]))
            keep_absent(ret_view, &view->absent[i]);
}
