/* One member of the ordering benchmark: a loop, a transport, a group, and what to send.
 *
 * Closed loop: `inflight` messages are out at any time, each counted from its gcs_multicast to its
 * release. Open loop: message k is due at begin + k * interval, whatever became of the ones before,
 * and is counted from then; so a member that stalls can't hide it. A thread of its own keeps that
 * time, because the loop's timers are too coarse. */
#include "bench/clock.h"
#include "bench/order.h"
#include "net/loop_uv.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { OUT_MAX = 1 << 16, POLL_MS = 5, DRAIN_MAX_NS = 2000000000 };

struct own {
    uint64_t begin_ns, index; /* index 0: not delivered yet */
};

struct member {
    const struct order_run *run;
    struct order_result *result;
    uint32_t rank;
    struct loop *loop;
    struct net_transport *transport;
    struct net_listener *listener;
    struct gcs *gcs;
    struct order_log *log; /* NULL: memory */
    struct loop_task send, saved, fetch;
    uint8_t joiner; /* who is to be fed */
    struct loop_timer poll;
    struct blob *payload;
    enum order_phase phase;
    bool sender, running, window_full, failed;
    struct own out[OUT_MAX]; /* by seq */
    uint64_t seq_sent, seq_delivered, seq_released;
    uint64_t window_full_count, drain_ns;
    struct order_figures before;
    /* open loop */
    pthread_t pacer;
    bool pacing;
    atomic_bool pacer_ends;
    atomic_ullong due; /* so many are due until now */
    uint64_t begin_ns, interval_ns, taken;
};

static void member_fail(struct member *member, const char *detail)
{
    if (!member->failed)
        error_set(&member->result->error, -EIO, "member %u: %s", member->rank + 1, detail);
    member->failed = true;
    loop_uv_stop(member->loop);
}

static void figures_read(struct member *member, struct order_figures *ret_figures)
{
    struct gcs_status status;
    struct net_counters net;
    struct rusage usage;
    gcs_status(member->gcs, &status);
    net_counters(member->transport, &net);
    getrusage(RUSAGE_SELF, &usage);
    *ret_figures = (struct order_figures){
        .messages = status.messages_sent,
        .frames = status.frames_sent,
        .acknowledgements = status.acknowledgements_sent,
        .resent = status.resent,
        .send_calls = net.send_calls,
        .bytes_sent = net.bytes_sent,
        .syncs = member->log ? order_log_syncs(member->log) : 0,
        .cpu_ns = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
                  (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u,
        .window_full = member->window_full_count,
    };
}

static void figures_end(struct member *member)
{
    struct order_figures now, *result = &member->result->figures;
    const struct order_figures *before = &member->before;
    figures_read(member, &now);
    *result = (struct order_figures){
        now.messages - before->messages,
        now.frames - before->frames,
        now.acknowledgements - before->acknowledgements,
        now.resent - before->resent,
        now.send_calls - before->send_calls,
        now.bytes_sent - before->bytes_sent,
        now.syncs - before->syncs,
        now.cpu_ns - before->cpu_ns,
        now.window_full - before->window_full,
    };
}

/* --- sending --- */

/* Whether a message is to be sent now, and from when it counts. */
static bool message_due(struct member *member, uint64_t *ret_begin_ns)
{
    if (!member->pacing) {
        *ret_begin_ns = clock_ns();
        return member->seq_sent - member->seq_released < member->run->options->inflight;
    }
    if (member->taken >= atomic_load(&member->due))
        return false;
    *ret_begin_ns = member->begin_ns + member->taken * member->interval_ns;
    return true;
}

static bool may_send(const struct member *member)
{
    return member->sender && member->running && !member->window_full && !member->failed &&
           (member->phase == ORDER_WARM || member->phase == ORDER_MEASURE);
}

static void send_due(struct loop_task *task)
{
    struct member *member = CONTAINER_OF(task, struct member, send);
    uint64_t begin_ns, seq;
    while (may_send(member) && member->seq_sent - member->seq_released < OUT_MAX &&
           message_due(member, &begin_ns)) {
        int code = gcs_multicast(member->gcs, member->payload, &seq);
        if (code == GCS_E_WINDOW_FULL) {
            member->window_full = true;
            member->window_full_count++;
            return;
        }
        if (code || seq != member->seq_sent + 1) {
            member_fail(member, "the group did not take a message");
            return;
        }
        member->seq_sent = seq;
        member->out[seq % OUT_MAX] = (struct own){.begin_ns = begin_ns};
        member->taken += member->pacing;
    }
}

static void pacer_wake(void *user)
{
    struct member *member = user;
    loop_defer(member->loop, &member->send);
}

static void *pacer_run(void *user)
{
    struct member *member = user;
    for (uint64_t k = 0; !atomic_load(&member->pacer_ends);) {
        clock_sleep_until(member->begin_ns + k * member->interval_ns);
        k = (clock_ns() - member->begin_ns) / member->interval_ns + 1;
        atomic_store(&member->due, k);
        if (loop_uv_post(member->loop, pacer_wake, member) < 0)
            return NULL;
    }
    return NULL;
}

static void pacer_start(struct member *member)
{
    const struct order_options *options = member->run->options;
    if (!member->sender || options->rate == 0)
        return;
    member->interval_ns = 1000000000ull * options->senders / options->rate;
    member->begin_ns = clock_ns() + member->interval_ns * member->rank / options->senders;
    member->pacing = pthread_create(&member->pacer, NULL, pacer_run, member) == 0;
    if (!member->pacing)
        member_fail(member, "no thread");
}

static void pacer_stop(struct member *member)
{
    if (!member->pacing)
        return;
    atomic_store(&member->pacer_ends, true);
    pthread_join(member->pacer, NULL);
    member->pacing = false;
}

/* --- phases --- */

static void phase_enter(struct member *member, enum order_phase phase)
{
    member->phase = phase;
    switch (phase) {
    case ORDER_CONNECT:
        break;
    case ORDER_WARM:
        pacer_start(member);
        break;
    case ORDER_MEASURE:
        figures_read(member, &member->before);
        break;
    case ORDER_DRAIN:
        figures_end(member);
        pacer_stop(member);
        member->drain_ns = clock_ns();
        break;
    case ORDER_QUIT:
        loop_uv_stop(member->loop);
    }
    loop_defer(member->loop, &member->send);
}

static void poll_fire(struct loop_timer *timer)
{
    struct member *member = CONTAINER_OF(timer, struct member, poll);
    enum order_phase phase = (enum order_phase)atomic_load(&member->run->shared->phase);
    if (phase != member->phase)
        phase_enter(member, phase);
    if (member->phase == ORDER_DRAIN &&
        (member->seq_released == member->seq_sent || clock_ns() - member->drain_ns > DRAIN_MAX_NS))
        atomic_store(&member->result->done, true);
    if (member->log)
        order_log_trim(member->log, member->gcs);
    loop_timer_start(timer, POLL_MS * 1000000ull);
}

/* --- the group's callbacks --- */

static void on_received(void *user, const struct gcs_message *message)
{
}

static void on_store(void *user, const struct gcs_message *message)
{
    struct member *member = user;
    if (member->log)
        order_log_append(member->log, message);
    else
        gcs_stored(member->gcs, message->epoch, message->origin, message->seq);
}

static void on_stored(void *user, const struct gcs_message *last)
{
    struct member *member = user;
    gcs_stored(member->gcs, last->epoch, last->origin, last->seq);
}

static void saved_run(struct loop_task *task)
{
    gcs_saved(CONTAINER_OF(task, struct member, saved)->gcs);
}

static void on_save(void *user, const void *state, size_t bytes)
{
    struct member *member = user;
    if (member->log)
        order_log_save(member->log, state, bytes);
    else
        loop_defer(member->loop, &member->saved);
}

static void on_saved(void *user)
{
    struct member *member = user;
    gcs_saved(member->gcs);
}

static void on_deliver(void *user, const struct gcs_message *message, uint64_t index)
{
    struct member *member = user;
    if (message->origin == member->rank) {
        member->seq_delivered = message->seq;
        member->out[message->seq % OUT_MAX].index = index;
    }
    gcs_applied(member->gcs, index);
}

static void on_epoch(void *user, uint64_t epoch, uint64_t index)
{
    struct member *member = user;
    if (member->seq_sent)
        member_fail(member, "an epoch began in the middle of the run");
    gcs_applied(member->gcs, index);
}

/* A member alone releases in the turn of its sending: without an end, if the next message left in
 * the same one. */
static void send_next(struct member *member)
{
    if (member->run->options->members > 1)
        loop_defer(member->loop, &member->send);
    else if (loop_uv_post(member->loop, pacer_wake, member) < 0)
        member_fail(member, "no memory");
}

static void on_released(void *user, uint64_t index)
{
    struct member *member = user;
    uint64_t now = clock_ns();
    while (member->seq_released < member->seq_delivered &&
           member->out[(member->seq_released + 1) % OUT_MAX].index <= index) {
        const struct own *own = &member->out[++member->seq_released % OUT_MAX];
        if (member->phase == ORDER_MEASURE)
            histogram_add(&member->result->latency, now - own->begin_ns);
    }
    send_next(member);
}

static void on_running(void *user, bool running, const char *waiting_for)
{
    struct member *member = user;
    member->running = running;
    if (running)
        atomic_store(&member->result->ready, true);
    else if (member->seq_sent)
        member_fail(member, "the group stopped in the middle of the run");
}

static void on_window_open(void *user)
{
    struct member *member = user;
    member->window_full = false;
    loop_defer(member->loop, &member->send);
}

static void on_view(void *user, const struct gcs_view *view, bool self, uint8_t rank)
{
}

static void on_readable(void *user)
{
}

static void fetch_run(struct loop_task *task)
{
    struct member *member = CONTAINER_OF(task, struct member, fetch);
    gcs_fetch_done(member->gcs, member->joiner, false);
}

/* Nobody joins a group that is measured. */
static void on_fetch(void *user, uint8_t peer, uint64_t index_from, uint32_t bytes_max,
                     const uint8_t history[16])
{
    struct member *member = user;
    member->joiner = peer;
    loop_defer(member->loop, &member->fetch);
}

static void on_snapshot_needed(void *user, const struct gcs_member *sponsor)
{
    member_fail(user, "it fell out of the group and would need a copy of its state");
}

static void on_out(void *user, enum gcs_out why, const char *detail)
{
    member_fail(user, detail);
}

static void on_failed(void *user, const char *detail)
{
    member_fail(user, detail);
}

static const struct gcs_callbacks callbacks = {
    .received = on_received,
    .store = on_store,
    .save = on_save,
    .deliver = on_deliver,
    .epoch = on_epoch,
    .released = on_released,
    .running = on_running,
    .view = on_view,
    .window_open = on_window_open,
    .readable = on_readable,
    .fetch = on_fetch,
    .snapshot_needed = on_snapshot_needed,
    .out = on_out,
    .failed = on_failed,
};

/* --- begin and end --- */

static void config_make(struct member *member, struct gcs_config *config)
{
    const struct order_run *run = member->run;
    gcs_config_defaults(config);
    config->loop = member->loop;
    config->transport = member->transport;
    config->member_count = run->options->members;
    for (uint32_t j = 0; j < run->options->members; j++)
        config->members[j] = run->members[j];
    config->node = run->members[member->rank].node;
    memcpy(config->address, run->members[member->rank].address, sizeof config->address);
    config->hello.incarnation_count = 1;
    config->hello.incarnation_random = member->rank + 1;
    config->hello.store[0] = (uint8_t)(member->rank + 1);
    config->durability = run->disk ? GCS_DURABILITY_DISK : GCS_DURABILITY_MEMORY;
    config->measures = run->measures;
    if (run->options->heartbeat_ns)
        config->heartbeat_ns = run->options->heartbeat_ns;
    config->prng_seed = member->rank;
    config->callbacks = &callbacks;
    config->user = member;
}

static int log_begin(struct member *member, struct error *error)
{
    char directory[ORDER_PATH_MAX + 16];
    if (!member->run->disk)
        return 0;
    snprintf(directory, sizeof directory, "%s/%u", member->run->directory, member->rank);
    const struct order_log_config config = {.loop = member->loop,
                                            .directory = directory,
                                            .user = member,
                                            .stored = on_stored,
                                            .saved = on_saved,
                                            .failed = on_failed};
    return order_log_open(&config, &member->log, error);
}

static int member_begin(struct member *member, struct error *error)
{
    struct gcs_config config;
    member->loop = loop_uv_create();
    member->transport = member->loop ? net_tcp_create(member->loop) : NULL;
    member->payload = blob_create(NULL, (uint32_t)member->run->options->bytes);
    if (!member->transport || !member->payload ||
        loop_timer_init(member->loop, &member->poll, poll_fire) < 0)
        return error_set(error, -ENOMEM, "no memory");
    for (uint32_t i = 0; i < member->payload->bytes; i++)
        member->payload->data[i] = (uint8_t)i;
    config_make(member, &config);
    int code = gcs_create(&config, NULL, 0, &member->gcs, error);
    if (code)
        return code;
    code = log_begin(member, error);
    const struct net_accept accept = order_accept(member->gcs);
    if (!code)
        code = net_listen(member->transport, config.members[member->rank].address,
                          &config.link_limits, &accept, &member->listener, error);
    return code;
}

static void member_end(struct member *member)
{
    pacer_stop(member);
    loop_timer_finish(&member->poll);
    gcs_destroy(member->gcs);
    order_log_close(member->log);
    net_transport_destroy(member->transport);
    loop_uv_destroy(member->loop);
    blob_unref(member->payload);
}

int order_member_run(const struct order_run *run, uint32_t rank)
{
    struct member *member = calloc(1, sizeof *member);
    struct order_result *result = &run->shared->results[rank];
    if (!member) {
        error_set(&result->error, -ENOMEM, "no memory");
        return 1;
    }
    member->run = run;
    member->result = result;
    member->rank = rank;
    member->sender = rank < run->options->senders;
    member->send = (struct loop_task){.run = send_due, .phase = LOOP_PHASE_SUBMIT};
    member->saved = (struct loop_task){.run = saved_run, .phase = LOOP_PHASE_SUBMIT};
    member->fetch = (struct loop_task){.run = fetch_run, .phase = LOOP_PHASE_SUBMIT};
    if (member_begin(member, &result->error) != 0)
        return 1;
    loop_timer_start(&member->poll, POLL_MS * 1000000ull);
    gcs_start(member->gcs);
    loop_uv_run(member->loop);
    bool failed = member->failed;
    member_end(member);
    free(member);
    return failed;
}
