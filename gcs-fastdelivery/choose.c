/* What to propose: the next view, and how much of the present epoch belongs to it.
 *
 * Source: docs/protocol.md, section 4 (Propose) and "All down".
 * Invariants: the cut of an origin is the most that anybody who promised has received; the next
 * view holds only members that promised and the one candidate. What was delivered was stored by a
 * member of every quorum before that member promised, so it is in the cut. With durability =
 * memory a restart forgets, so there the promises of a quorum that did not restart are needed, or
 * everybody's. */
#include "gcs-fastdelivery/core_state.h"

enum { GRACE_HEARTBEATS = 4 };

static bool messages_are_known(const struct gcs_core *core)
{
    const struct attempt *attempt = &core->attempt;
    if (attempt->found || core->epoch == 0 || core->config.limits.durability == GCS_DURABILITY_DISK)
        return true;
    return view_is_quorum(core, attempt->fresh) || (attempt->promised & core->data) == core->data;
}

/* Enough have promised, and nobody else is to be expected. This member always: what it has promised
 * is on its disk then, and after a restart it does not use the ballot a second time. */
bool choose_ready(const struct gcs_core *core)
{
    const struct attempt *attempt = &core->attempt;
    uint8_t there = (uint8_t)(all_members(core) & ~suspect_missing(core));
    bool grace = core->now - attempt->since_ns < GRACE_HEARTBEATS * core->config.heartbeat_ns;
    return in(attempt->promised, core->self) && view_decides(core, attempt->promised) &&
           messages_are_known(core) && ((attempt->promised & there) == there || !grace);
}

static bool is_clique(const struct attempt *attempt, uint8_t set)
{
    for (uint8_t j = 0; j < MEMBERS; j++)
        if (in(set, j) && (attempt->hears[j] & set) != set)
            return false;
    return true;
}

/* The larger; of two of one size the one with the lower ranks. */
static bool is_better(uint8_t a, uint8_t b)
{
    int more = __builtin_popcount(a) - __builtin_popcount(b);
    uint8_t differ = a ^ b;
    return more > 0 || (more == 0 && differ && (a & (differ & -differ)));
}

/* The best set of those in which everybody hears everybody. */
static uint8_t best_clique(const struct attempt *attempt, uint8_t of)
{
    uint8_t best = 0;
    for (unsigned set = 1; set < 1u << MEMBERS; set++)
        if ((set & of) == set && is_clique(attempt, (uint8_t)set) && is_better((uint8_t)set, best))
            best = (uint8_t)set;
    return best;
}

/* Those that are not configured as most are. */
static uint8_t configured_otherwise(const struct attempt *attempt, uint8_t data)
{
    uint8_t best = 0;
    for (uint8_t j = 0; j < MEMBERS; j++) {
        uint8_t same = 0;
        for (uint8_t k = 0; k < MEMBERS; k++)
            if (in(attempt->promised, k) && same_limits(&attempt->limits[j], &attempt->limits[k]))
                same |= bit(k);
        if ((same & data) && is_better(same, best))
            best = same;
    }
    return attempt->promised & (uint8_t)~best;
}

static uint8_t unwanted(const struct gcs_core *core)
{
    return core->lost | core->attempt.mismatched | core->attempt.crippled | suspect_going(core);
}

static bool candidate_fits(const struct gcs_core *core, uint8_t next)
{
    const struct attempt *attempt = &core->attempt;
    if (attempt->candidate == NONE || !sponsor_may_take(core, attempt->candidate) ||
        (attempt->hears_candidate & next) != next || __builtin_popcount(next) >= MEMBERS)
        return false;
    for (uint8_t k = 0; k < core->n; k++)
        if (in(next, k) &&
            core->view.members[k].node == core->peers[attempt->candidate].member.node)
            return false;
    return true;
}

/* The promiser that has most of this origin's messages; this member where it has as many. */
static uint8_t holder(const struct gcs_core *core, uint8_t origin)
{
    const struct attempt *attempt = &core->attempt;
    uint8_t best = core->self;
    for (uint8_t j = 0; j < core->n; j++)
        if (in(attempt->promised, j) && !core->view.members[j].witness &&
            attempt->received[j][origin] > attempt->received[best][origin])
            best = j;
    return best;
}

/* What this member lacks comes from whoever has most of it. */
static void pull_from(struct gcs_core *core, uint8_t from)
{
    const struct attempt *attempt = &core->attempt;
    struct gcs_frame frame = {
        .type = GCS_FRAME_PULL, .epoch = core->epoch, .ballot = attempt->ballot};
    bool lacking = false;
    for (uint8_t k = 0; k < core->n; k++) {
        frame.received[k] = frame.target[k] = received(core)[k];
        if (holder(core, k) == from && attempt->proposal.cut[k] > received(core)[k]) {
            frame.target[k] = attempt->proposal.cut[k];
            lacking = true;
        }
    }
    if (lacking)
        action_send(core, bit(from), &frame, NULL);
}

/* Members that have what this one still lacks. */
uint8_t choose_sources(const struct gcs_core *core)
{
    uint8_t set = 0;
    for (uint8_t k = 0; k < core->n; k++)
        if (core->attempt.proposal.cut[k] > core->know[core->self].received[k])
            set |= bit(holder(core, k));
    return set;
}

static void begin_levelling(struct gcs_core *core)
{
    struct attempt *attempt = &core->attempt;
    for (uint8_t j = 0; j < core->n; j++) {
        uint8_t peer = core->peer_of_rank[j];
        if (j == core->self || peer == NONE || !in(attempt->promised & core->data, j))
            continue;
        pull_from(core, j);
        if (in(attempt->next, j))
            push_begin(core, peer, attempt->ballot, attempt->received[j], attempt->proposal.cut);
    }
}

/* Every data member has lost something (durability = memory, power cuts): the one that has most is
 * the group, the others join it. What only they had is lost. */
static uint8_t longest(const struct gcs_core *core)
{
    const struct attempt *attempt = &core->attempt;
    uint8_t best = NONE;
    if ((attempt->crippled & core->data) != core->data)
        return 0;
    for (uint8_t j = 0; j < core->n; j++)
        if (in(core->data, j) && (best == NONE || attempt->index[j] > attempt->index[best]))
            best = j;
    return best == NONE ? 0 : bit(best);
}

/* False: nothing can be proposed now. */
bool choose_next(struct gcs_core *core)
{
    struct attempt *attempt = &core->attempt;
    attempt->mismatched = configured_otherwise(attempt, core->data);
    uint8_t wanted = (attempt->promised & (uint8_t)~unwanted(core)) | longest(core);
    uint8_t quick = wanted & (uint8_t)~attempt->slow;
    if (!(wanted & core->data)) /* all with data want to leave: one has to stay */
        wanted =
            attempt->promised & (uint8_t) ~(core->lost | attempt->mismatched | attempt->crippled);
    attempt->next = best_clique(attempt, quick & core->data ? quick : wanted);
    if (!(attempt->next & core->data) || (core->epoch == 0 && attempt->next != all_members(core)))
        return false;
    for (uint8_t k = 0; k < core->n; k++)
        attempt->proposal.cut[k] = attempt->received[holder(core, k)][k];
    if (!candidate_fits(core, attempt->next) || longest(core))
        attempt->candidate = NONE;
    view_next(core, attempt->next,
              attempt->candidate == NONE ? NULL : &core->peers[attempt->candidate].member,
              &attempt->proposal.view);
    begin_levelling(core);
    return true;
}
