/* Joiners that this member feeds.
 *
 * Source: docs/protocol.md, section 4 (Join).
 * What was delivered comes from the owner (`fetch`), by index; while the epoch runs only what is
 * released, after the wedge all that was delivered. Bounded: the next fetch follows when the joiner
 * has taken in enough of the last. A joiner that is nearly level becomes the candidate of the next
 * view. It disturbs nobody before: it counts from its installation. */
#include "gcs-fastdelivery/core_state.h"

enum { FEED_BYTES = 1 << 20, FETCH_BYTES = 256 << 10, LEVEL_MESSAGES = 32 };

static void tell(struct gcs_core *core, uint8_t peer, uint16_t type, uint16_t flags)
{
    struct gcs_frame frame = {.type = type, .epoch = core->epoch, .flags = flags};
    action_send_peers(core, (uint16_t)(1u << peer), &frame, NULL);
}

static bool is_welcome(const struct gcs_core *core, const struct peer *peer, bool added)
{
    for (uint8_t k = 0; k < core->n; k++)
        if (core->view.members[k].node == peer->member.node)
            return true; /* until it is voted out: see is_level */
    return view_has_absent(&core->view, &peer->member) || added;
}

/* It asks again for what is being fetched for it already: a disk may need longer than it waits. */
static bool is_same_fetch(const struct feed *feed, const struct gcs_frame *join)
{
    return feed->active && feed->fetching && !feed->stale && feed->next == join->index + 1 &&
           memcmp(feed->history, join->hash, sizeof feed->history) == 0;
}

void sponsor_join(struct gcs_core *core, uint8_t at, const struct gcs_frame *frame)
{
    struct peer *peer = &core->peers[at];
    struct feed *feed = &peer->feed;
    if (is_outside(core) || core->stage != STAGE_RUNNING || core->config.self.witness)
        return;
    if (!is_welcome(core, peer, frame->flags & GCS_FLAG_ADDED)) {
        tell(core, at, GCS_FRAME_OUT, GCS_FLAG_REMOVED);
        return;
    }
    if (!same_limits(&frame->limits, &core->config.limits)) {
        tell(core, at, GCS_FRAME_OUT, GCS_FLAG_MISFIT);
        return;
    }
    if (!peer->member.witness && !(frame->flags & GCS_FLAG_STATE)) {
        tell(core, at, GCS_FRAME_SNAPSHOT, 0);
        return;
    }
    static const uint8_t none[16];
    bool fetching = feed->fetching, same = is_same_fetch(feed, frame);
    memset(feed, 0, sizeof *feed);
    feed->active = feed->welcome = true;
    feed->fetching = fetching;
    feed->added = frame->flags & GCS_FLAG_ADDED;
    feed->stale = fetching && !same;
    feed->next = frame->index + 1;
    feed->have = frame->index;
    feed->have_epoch = frame->epoch;
    memcpy(feed->history, frame->hash, sizeof feed->history);
    feed->compare = memcmp(frame->hash, none, sizeof none) != 0;
}

void sponsor_fed(struct gcs_core *core, uint8_t at, const struct gcs_frame *frame)
{
    struct feed *feed = &core->peers[at].feed;
    if (!feed->active || frame->index >= feed->next || frame->index < feed->have)
        return;
    feed->have = frame->index;
    feed->have_epoch = frame->epoch;
    if (feed->have == feed->next - 1) {
        feed->bytes = 0;
        feed->barrier = false;
    }
}

void sponsor_fetched(struct gcs_core *core, uint8_t at, const struct gcs_message *message,
                     uint64_t index)
{
    struct peer *peer = &core->peers[at];
    struct feed *feed = &peer->feed;
    if (!feed->active || !feed->fetching || feed->stale || index != feed->next || feed->barrier ||
        index - feed->have > core->config.limits.window_messages)
        return; /* what is too much is fetched again */
    feed->compare = false;
    if (!message->payload && feed->have != index - 1) {
        feed->barrier = true; /* all before it first; then it is fetched again */
        return;
    }
    struct gcs_frame frame = {
        .type = message->payload ? GCS_FRAME_FEED : GCS_FRAME_FEED_EPOCH,
        .epoch = message->epoch,
        .index = index,
        .origin = message->origin,
        .seq = message->seq,
        .ts = message->ts,
        .applied = core->released,
    };
    feed->next++;
    feed->barrier = !message->payload;
    if (message->payload) {
        feed->bytes += message->payload->bytes;
        blob_ref(message->payload);
    }
    uint8_t n = core->n;
    core->n = MEMBERS; /* ranks of older views */
    action_send_peers(core, (uint16_t)(1u << at), &frame, message->payload);
    core->n = n;
    if (message->payload)
        action_drop(core, message->payload);
}

void sponsor_fetch_done(struct gcs_core *core, uint8_t at, bool found)
{
    struct feed *feed = &core->peers[at].feed;
    bool stale = feed->stale;
    feed->fetching = feed->stale = false;
    if (found || stale || !feed->active)
        return;
    feed->active = false;
    tell(core, at, GCS_FRAME_SNAPSHOT, 0);
}

static void welcome(struct gcs_core *core, uint8_t at)
{
    struct gcs_frame frame = {
        .type = GCS_FRAME_WELCOME, .epoch = core->epoch, .index = core->delivered};
    memcpy(&frame.proposal.view, &core->view, sizeof frame.proposal.view);
    core->peers[at].feed.welcome = false;
    action_send_peers(core, (uint16_t)(1u << at), &frame, NULL);
}

static bool wants_more(const struct gcs_core *core, const struct feed *feed)
{
    bool runs = core->stage == STAGE_RUNNING;
    uint64_t limit = runs ? least(core->applied, core->released) : core->applied;
    if (feed->fetching || feed->next > limit || feed->bytes >= FEED_BYTES ||
        feed->next - feed->have > core->config.limits.window_messages / 2 + 1)
        return false;
    return !feed->barrier || feed->have == feed->next - 1;
}

static void feed_pump(struct gcs_core *core, uint8_t at)
{
    struct feed *feed = &core->peers[at].feed;
    if (feed->welcome)
        welcome(core, at);
    if (core->peers[at].member.witness || !wants_more(core, feed))
        return;
    feed->fetching = true;
    feed->barrier = false;
    struct gcs_action *action = action_add(core, GCS_ACTION_FETCH);
    action->peer = at;
    action->index = feed->next;
    action->bytes_max = FETCH_BYTES;
    action->flag = feed->compare;
    memcpy(action->head, feed->history, sizeof feed->history);
}

void sponsor_pump(struct gcs_core *core)
{
    for (uint8_t p = 0; p < PEERS; p++)
        if (core->peers[p].up && core->peers[p].feed.active && action_room_for_pump(core))
            feed_pump(core, p);
}

/* Those that a change of view has brought in need no more; the others hear of the new view. */
void sponsor_new_view(struct gcs_core *core)
{
    for (uint8_t p = 0; p < PEERS; p++) {
        struct peer *peer = &core->peers[p];
        bool is_in =
            peer->rank != NONE && same_incarnation(&peer->member.incarnation,
                                                   &core->view.members[peer->rank].incarnation);
        if (is_in) {
            peer->feed.active = false;
            peer->refusals = 0;
        } else if (peer->feed.active && !is_welcome(core, peer, peer->feed.added)) {
            peer->feed.active = false;
            tell(core, p, GCS_FRAME_OUT, GCS_FLAG_REMOVED);
        }
        peer->feed.welcome = peer->feed.active;
    }
}

/* It has everything that was delivered here. */
bool sponsor_is_level(const struct gcs_core *core, uint8_t at)
{
    const struct peer *peer = &core->peers[at];
    if (!peer->up || !peer->feed.active)
        return false;
    return peer->member.witness ||
           (peer->feed.have == core->delivered && peer->feed.have_epoch == core->epoch);
}

/* The others that join come first. */
void sponsor_put_off(struct gcs_core *core, uint8_t at, uint64_t pause_ns)
{
    core->peers[at].no_candidate_until_ns = core->now + pause_ns;
}

/* The group was wedged for it in vain: each time it waits longer. */
void sponsor_refuse(struct gcs_core *core, uint8_t at)
{
    enum { FIRST_TIMEOUTS = 4, SHIFT_MAX = 3 };
    uint8_t *refusals = &core->peers[at].refusals;
    sponsor_put_off(core, at, FIRST_TIMEOUTS * attempt_timeout(core) << *refusals);
    core->no_candidate_until_ns = core->now + attempt_timeout(core);
    *refusals = (uint8_t)least(*refusals + 1u, SHIFT_MAX);
}

bool sponsor_may_take(const struct gcs_core *core, uint8_t at)
{
    const struct peer *peer = &core->peers[at];
    return peer->up && peer->feed.active && core->now >= core->no_candidate_until_ns &&
           core->now >= peer->no_candidate_until_ns && !suspect_unwanted(core, &peer->member);
}

/* A joiner that is nearly level, each in its turn; NONE. Measured from what is released: what was
 * delivered after that is fed when the group is wedged, and is never more than the windows. */
uint8_t sponsor_candidate(const struct gcs_core *core)
{
    for (uint8_t i = 1; i <= PEERS; i++) {
        uint8_t p = (uint8_t)((core->last_candidate + i) % PEERS);
        const struct peer *peer = &core->peers[p];
        if (peer->feed.welcome || peer->rank != NONE || !sponsor_may_take(core, p))
            continue;
        if (peer->member.witness ||
            (peer->feed.have_epoch == core->epoch && peer->feed.have <= core->delivered &&
             core->released <= peer->feed.have + LEVEL_MESSAGES))
            return p;
    }
    return NONE;
}
