/* The orderly end: clients are answered, the others told, the store flushed.
 *
 *     draining -> telling -> flushing -> over      (durability = disk)
 *     draining -> flushing -> telling -> over      (durability = memory)
 *
 * The others are told before the store is flushed, so that none of them waits for that. With
 * durability = memory only what is released may be flushed (journal.h), and nothing is released any
 * more once they are told. */
#include "mds/replica_internal.h"
#include "mds/server.h"

static const uint64_t poll_ns = 5000000, drain_ns = 3000000000, tell_ns = 200000000;

static bool in_memory(const struct replica *replica)
{
    return replica->config.durability == GCS_DURABILITY_MEMORY;
}

static void tell(struct replica *replica)
{
    replica->stop.stage = STOP_TELLING;
    replica->stop.deadline_ns = loop_now_ns(replica->loop) + tell_ns;
    if (replica->gcs)
        gcs_end(replica->gcs);
}

static void end(struct replica *replica)
{
    replica->stop.stage = STOP_OVER;
    replica->stop.done(replica->stop.user);
}

static void flushed(struct cache_wait *wait)
{
    struct replica *replica = CONTAINER_OF(wait, struct replica, stop.flush);
    if (replica->stop.stage == STOP_FLUSHING)
        (in_memory(replica) ? tell : end)(replica);
}

static void flush(struct replica *replica)
{
    replica->stop.stage = STOP_FLUSHING;
    replica->stop.flush.done = flushed;
    if (!replica->cache || replica->outside.damaged) /* which takes in nothing more */
        flushed(&replica->stop.flush);
    else if (cache_sync(replica->cache, &replica->stop.flush) < 0)
        replica_fail(replica, "no memory to flush the store");
}

static bool is_late(const struct replica *replica)
{
    return loop_now_ns(replica->loop) >= replica->stop.deadline_ns;
}

static bool is_drained(const struct replica *replica)
{
    return !replica->cache || is_late(replica) ||
           (submit_is_idle(replica) && replica->reads.out == 0);
}

static bool is_told(const struct replica *replica)
{
    return !replica->gcs || gcs_ended(replica->gcs) || is_late(replica);
}

/* Where nothing goes on in the group, what is missing may never be released. The log has it. */
static bool flushes_in_vain(const struct replica *replica)
{
    return in_memory(replica) && is_late(replica) && !order_goes_on(replica) &&
           replica->apply.index_released < replica->apply.record.index;
}

static void poll(struct loop_timer *timer)
{
    struct replica *replica = CONTAINER_OF(timer, struct replica, stop.timer);
    enum stop_stage stage = replica->stop.stage;
    if (replica->phase == REPLICA_FAILED || stage == STOP_OVER)
        return;
    loop_timer_start(timer, poll_ns);
    if (stage == STOP_DRAINING && is_drained(replica))
        (in_memory(replica) ? flush : tell)(replica);
    else if (stage == STOP_TELLING && is_told(replica))
        (in_memory(replica) ? end : flush)(replica);
    else if (stage == STOP_FLUSHING && flushes_in_vain(replica))
        tell(replica);
}

int stop_init(struct replica *replica, struct loop *loop)
{
    return loop_timer_init(loop, &replica->stop.timer, poll);
}

void stop_finish(struct replica *replica)
{
    loop_timer_finish(&replica->stop.timer);
}

void replica_stop(struct replica *replica, void (*done)(void *user), void *user)
{
    if (replica->phase == REPLICA_FAILED || replica->stop.stage != STOP_NOT)
        return;
    if (replica->phase == REPLICA_SERVING)
        replica->phase = REPLICA_STOPPING;
    replica->stop.stage = STOP_DRAINING;
    replica->stop.done = done;
    replica->stop.user = user;
    replica->stop.deadline_ns = loop_now_ns(replica->loop) + drain_ns;
    server_stop(replica->server);
    loop_timer_start(&replica->stop.timer, 0);
}
