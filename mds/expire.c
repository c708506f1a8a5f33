/* Session expiry: the lowest data member proposes it, the order decides it.
 *
 * The local clock and the index of sessions only say whether a proposal is worth its message; what
 * it does depends on ordered time alone (docs/decisions.md, "Sessions and expiry").
 * Invariant: nothing is proposed before clients had a whole time-out in which nothing kept them
 * from saying that they live, counted by a clock that only counts: this replica stood still or was
 * cut off, or somebody's wall clock jumped, and all sessions would look silent. */
#include "mds/replica_internal.h"

static const uint64_t interval_ns_max = 5000000000, interval_ns_min = 50000000;

static uint64_t interval_ns(const struct replica *replica)
{
    uint64_t quarter = replica->config.session_timeout_ns / 4;
    if (quarter > interval_ns_max)
        return interval_ns_max;
    return quarter < interval_ns_min ? interval_ns_min : quarter;
}

static void propose(struct replica *replica)
{
    const struct proto_request request = {
        .op = {.code = PROTO_SESSION_EXPIRE, .value = replica->config.session_timeout_ns}};
    replica->expire_out = submit_own(replica, &request) == 0; /* no memory: at the next interval */
}

/* How far ordered time is, or would be now, ahead of the clock that only counts. */
static int64_t ahead_ns(const struct replica *replica)
{
    int64_t ordered = replica->apply.record.state.time_ns, wall = loop_wall_ns(replica->loop);
    return (ordered > wall ? ordered : wall) - (int64_t)loop_now_ns(replica->loop);
}

/* Since the last look this replica was the one to propose, and time went on evenly. */
static bool was_calm(const struct replica *replica)
{
    uint64_t now = loop_now_ns(replica->loop), jump_max = replica->config.session_timeout_ns / 8;
    int64_t jump = ahead_ns(replica) - replica->expire_calm.ahead_ns;
    return replica->phase == REPLICA_SERVING && replica->running && replica->is_lowest &&
           gcs_may_read(replica->gcs) && replica->expire_calm.looked_ns != 0 &&
           now - replica->expire_calm.looked_ns <= 2 * interval_ns(replica) &&
           (uint64_t)(jump < 0 ? -jump : jump) <= jump_max;
}

/* A whole time-out was calm. */
static bool clients_had_time(struct replica *replica)
{
    uint64_t now = loop_now_ns(replica->loop);
    if (!was_calm(replica))
        replica->expire_calm.calm_since_ns = now;
    replica->expire_calm.looked_ns = now;
    replica->expire_calm.ahead_ns = ahead_ns(replica);
    return now - replica->expire_calm.calm_since_ns >= replica->config.session_timeout_ns;
}

static void on_interval(struct loop_timer *timer)
{
    struct replica *replica = CONTAINER_OF(timer, struct replica, expire_timer);
    const struct apply *apply = &replica->apply;
    if (clients_had_time(replica) && !replica->expire_out &&
        session_index_expired(apply->sessions, &apply->record.state, loop_wall_ns(replica->loop),
                              replica->config.session_timeout_ns))
        propose(replica);
    loop_timer_start(timer, interval_ns(replica));
}

/* An expiry removes a bounded number of records; its value says that there are more. */
void expire_executed(struct replica *replica, const struct proto_request *request,
                     const struct proto_outcome *outcome)
{
    if (request->op.code != PROTO_SESSION_EXPIRE || !replica->expire_out)
        return;
    replica->expire_out = false;
    if (outcome->value != 0 && replica->running && replica->phase == REPLICA_SERVING)
        propose(replica);
}

int expire_init(struct replica *replica)
{
    int rc = loop_timer_init(replica->loop, &replica->expire_timer, on_interval);
    if (rc == 0)
        loop_timer_start(&replica->expire_timer, interval_ns(replica));
    return rc;
}

void expire_finish(struct replica *replica)
{
    loop_timer_finish(&replica->expire_timer);
}
