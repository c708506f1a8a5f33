/* Session expiry: the lowest data member proposes it, the order decides it.
 *
 * The local clock and the index of sessions only say whether a proposal is worth its message; what
 * it does depends on ordered time alone (docs/decisions.md, "Sessions and expiry"). */
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

static void on_interval(struct loop_timer *timer)
{
    struct replica *replica = CONTAINER_OF(timer, struct replica, expire_timer);
    const struct apply *apply = &replica->apply;
    if (replica->phase == REPLICA_SERVING && replica->running && replica->is_lowest &&
        !replica->expire_out &&
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
