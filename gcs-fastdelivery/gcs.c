/* The public face: configuration, creation, the owner's calls.
 *
 * Invariant: whatever the owner gives wrong is refused at gcs_create with a text; later calls have
 * nothing left to refuse but what depends on the state. */
#include "gcs-fastdelivery/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void gcs_config_defaults(struct gcs_config *config)
{
    memset(config, 0, sizeof *config);
    config->durability = GCS_DURABILITY_DISK;
    config->measures = (struct gcs_measures){true, true, true, true};
    config->heartbeat_ns = UINT64_C(50000000);
    config->suspect_after_ns = UINT64_C(400000000);
    config->lease_ns = UINT64_C(300000000);
    config->drift_ppm = 10000;
    config->lag_after_ns = UINT64_C(5000000000);
    config->start_wait_ns = UINT64_C(2000000000);
    config->reconnect_ns = UINT64_C(50000000);
    config->window_messages = 1024;
    config->window_bytes = 16 << 20;
    config->payload_bytes_max = 1 << 20;
    config->link_limits = (struct net_limits){
        .frame_bytes_max = (1 << 20) + 4096,
        .queue_bytes_max = 32 << 20,
        .frame_timeout_ns = UINT64_C(30000000000),
    };
}

static bool callbacks_complete(const struct gcs_callbacks *c)
{
    return c && c->received && c->store && c->save && c->deliver && c->epoch && c->view &&
           c->released && c->running && c->readable && c->window_open && c->fetch &&
           c->snapshot_needed && c->out && c->failed;
}

static int check_members(const struct gcs_config *config, bool founds, struct error *error)
{
    bool found = !founds;
    if (config->member_count > GCS_MEMBER_MAX)
        return error_set(error, -EINVAL, "%u members; up to %d are possible", config->member_count,
                         GCS_MEMBER_MAX);
    for (uint32_t j = 0; j < config->member_count; j++) {
        if (config->members[j].node == 0 ||
            (j && config->members[j].node <= config->members[j - 1].node))
            return error_set(error, -EINVAL, "members are not sorted by distinct node ids");
        found = found || config->members[j].node == config->node;
    }
    if (!config->node)
        return error_set(error, -EINVAL, "a node id counts from 1");
    if (!found)
        return error_set(error, -EINVAL, "this member is not one of the founders");
    return 0;
}

static int check_times(const struct gcs_config *config, struct error *error)
{
    if (config->heartbeat_ns == 0 || config->reconnect_ns == 0)
        return error_set(error, -EINVAL, "heartbeat and reconnection pause have to be above zero");
    if (config->suspect_after_ns < 3 * config->heartbeat_ns)
        return error_set(error, -EINVAL,
                         "suspect_after has to be at least three heartbeats: fewer are lost now "
                         "and then");
    if (config->lease_ns < 2 * config->heartbeat_ns)
        return error_set(error, -EINVAL,
                         "a lease has to last two heartbeats: it is renewed with each");
    if (config->drift_ppm > 200000)
        return error_set(error, -EINVAL, "clocks that differ by a fifth can't be allowed for");
    return 0;
}

static int check_config(const struct gcs_config *config, bool founds, struct error *error)
{
    if (!config->loop || !config->transport || !callbacks_complete(config->callbacks))
        return error_set(error, -EINVAL, "loop, transport and all callbacks are needed");
    if (config->window_messages == 0 || config->payload_bytes_max == 0 ||
        config->payload_bytes_max > GCS_PAYLOAD_BYTES_LIMIT ||
        config->window_bytes < config->payload_bytes_max)
        return error_set(error, -EINVAL, "the window has to hold one payload of the largest size");
    if (config->hello.incarnation_count == 0)
        return error_set(error, -EINVAL, "an incarnation counts from 1");
    int code = check_times(config, error);
    return code ? code : check_members(config, founds, error);
}

static struct gcs_core_config core_config(const struct gcs_config *config)
{
    struct gcs_core_config core = {
        .self = {.node = config->node,
                 .witness = config->witness,
                 .incarnation = {config->hello.incarnation_count,
                                 config->hello.incarnation_random}},
        .outside = config->outside,
        .added = config->added,
        .assume_no_partition = config->assume_no_partition,
        .limits = {config->window_messages, config->window_bytes, config->payload_bytes_max,
                   (uint8_t)config->durability},
        .measures = config->measures,
        .recovered_max = config->recovered_max,
        .applied = config->applied,
        .heartbeat_ns = config->heartbeat_ns,
        .suspect_after_ns = config->suspect_after_ns,
        .lease_ns = config->lease_ns,
        .lag_after_ns = config->lag_after_ns,
        .start_wait_ns = config->start_wait_ns,
        .drift_ppm = config->drift_ppm,
        .prng_seed = config->prng_seed,
        .now_ns = loop_now_ns(config->loop),
    };
    memcpy(core.self.store, config->hello.store, sizeof core.self.store);
    core.founders.count = (uint8_t)config->member_count;
    for (uint32_t j = 0; j < config->member_count; j++) {
        core.founders.members[j].node = config->members[j].node;
        core.founders.members[j].witness = config->members[j].witness;
    }
    return core;
}

static int make_core(struct gcs *gcs, const void *state, size_t state_bytes, struct error *error)
{
    struct gcs_core_config config = core_config(&gcs->config);
    const void *core_state = NULL;
    size_t bytes = gcs_core_bytes(&config), core_bytes = 0;
    if (bytes == 0)
        return error_set(error, -EINVAL, "window or recovered messages beyond all limits");
    if (state_bytes && driver_book_decode(gcs, state, state_bytes, &core_state, &core_bytes))
        return error_set(error, -EBADMSG, "the group's state is damaged");
    if (config.outside)
        core_bytes = 0;
    gcs->memory = calloc(1, bytes);
    if (!gcs->memory)
        return error_set(error, -ENOMEM, "no memory for the order (%zu bytes)", bytes);
    if (gcs_core_init(gcs->memory, &config, core_state, core_bytes, &gcs->core)) {
        gcs->core = NULL;
        return error_set(error, -EBADMSG,
                         "the group's state is not this member's, or older than what is applied");
    }
    return 0;
}

static int make_links(struct gcs *gcs)
{
    int code = loop_timer_init(gcs->config.loop, &gcs->tick, driver_tick);
    if (!code)
        code = loop_timer_init(gcs->config.loop, &gcs->clock, driver_clock);
    return code ? code : driver_links_init(gcs);
}

/* What the protocol needs of its links, whatever was asked for. */
static void widen_limits(struct gcs_config *config)
{
    struct net_limits *limits = &config->link_limits;
    uint32_t frame = config->payload_bytes_max + 4096;
    if (limits->frame_bytes_max < frame)
        limits->frame_bytes_max = frame;
    if (limits->queue_bytes_max < 4 * frame)
        limits->queue_bytes_max = 4 * frame;
}

int gcs_create(const struct gcs_config *config, const void *state, size_t state_bytes,
               struct gcs **ret_gcs, struct error *error)
{
    int code = check_config(config, !config->outside && !state_bytes, error);
    if (code)
        return code;
    struct gcs *gcs = calloc(1, sizeof *gcs);
    if (!gcs)
        return error_set(error, -ENOMEM, "no memory for the group");
    gcs->config = *config;
    widen_limits(&gcs->config);
    prng_init(&gcs->prng, config->prng_seed);
    code = make_links(gcs);
    if (code)
        (void)error_set(error, code, "no memory for timers");
    else
        code = make_core(gcs, state, state_bytes, error);
    if (code) {
        gcs_destroy(gcs);
        return code;
    }
    *ret_gcs = gcs;
    return 0;
}

int gcs_recover(struct gcs *gcs, const struct gcs_message *message, struct error *error)
{
    const struct gcs_event event = {.kind = GCS_EVENT_RECOVERED, .message = *message};
    int code;
    while ((code = gcs_step(gcs->core, &event)) == GCS_CORE_AGAIN)
        driver_drain(gcs);
    if (code == -ENOSPC)
        return error_set(error, code, "more messages in the log than were announced");
    if (code)
        return error_set(
            error, code, "the log does not fit the group's state (epoch %llu member %u seq %llu)",
            (unsigned long long)message->epoch, message->origin, (unsigned long long)message->seq);
    return 0;
}

void gcs_start(struct gcs *gcs)
{
    driver_start(gcs);
}

static int event(struct gcs *gcs, struct gcs_event given)
{
    return driver_event(gcs, &given);
}

int gcs_multicast(struct gcs *gcs, struct blob *payload, uint64_t *ret_seq)
{
    if (payload->bytes == 0 || payload->bytes > gcs->config.payload_bytes_max)
        return -EINVAL;
    if (!gcs->started)
        return GCS_E_NOT_RUNNING;
    int code = event(gcs, (struct gcs_event){.kind = GCS_EVENT_MULTICAST, .payload = payload});
    if (code == 0) {
        gcs->messages_sent++;
        *ret_seq = gcs_core_sent(gcs->core);
    }
    return code;
}

void gcs_stored(struct gcs *gcs, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    struct gcs_event stored = {.kind = GCS_EVENT_STORED};
    stored.message = (struct gcs_message){.epoch = epoch, .seq = seq, .origin = origin};
    (void)driver_event(gcs, &stored);
}

void gcs_saved(struct gcs *gcs)
{
    (void)event(gcs, (struct gcs_event){.kind = GCS_EVENT_SAVED});
}

void gcs_applied(struct gcs *gcs, uint64_t index)
{
    (void)event(gcs, (struct gcs_event){.kind = GCS_EVENT_APPLIED, .index = index});
}

void gcs_fetched(struct gcs *gcs, uint8_t peer, const struct gcs_message *message, uint64_t index)
{
    (void)event(gcs,
                (struct gcs_event){
                    .kind = GCS_EVENT_FETCHED, .peer = peer, .message = *message, .index = index});
}

void gcs_fetch_done(struct gcs *gcs, uint8_t peer, bool found)
{
    (void)event(gcs, (struct gcs_event){.kind = GCS_EVENT_FETCH_DONE, .peer = peer, .flag = found});
}

bool gcs_may_read(struct gcs *gcs)
{
    return gcs->started && !gcs->ended &&
           gcs_core_may_read(gcs->core, loop_clock_ns(gcs->config.loop));
}

int gcs_leave(struct gcs *gcs, bool back)
{
    return event(gcs, (struct gcs_event){.kind = GCS_EVENT_LEAVE, .flag = back});
}

void gcs_end(struct gcs *gcs)
{
    gcs->ending = true;
    (void)event(gcs, (struct gcs_event){.kind = GCS_EVENT_END});
}

/* Members that have heard it hang up; to others nothing is said. */
bool gcs_ended(const struct gcs *gcs)
{
    for (uint8_t p = 0; p < GCS_PEER_MAX; p++)
        if (gcs->links[p].conn && gcs->links[p].greeted && gcs_core_is_member(gcs->core))
            return false;
    return gcs->ending;
}

int gcs_remove(struct gcs *gcs, uint8_t node)
{
    if (node == gcs->config.node)
        return -EBUSY;
    return event(gcs, (struct gcs_event){.kind = GCS_EVENT_REMOVE, .member.node = node});
}

void gcs_death(struct gcs *gcs, uint8_t node, const uint8_t store[16], uint64_t incarnation_count,
               uint64_t incarnation_random)
{
    struct gcs_event death = {.kind = GCS_EVENT_DEATH};
    death.member.node = node;
    death.member.incarnation = (struct gcs_incarnation){incarnation_count, incarnation_random};
    memcpy(death.member.store, store, sizeof death.member.store);
    if (gcs->started)
        (void)driver_event(gcs, &death);
}

void gcs_check(struct gcs *gcs, uint64_t index, const uint8_t digest[16])
{
    struct gcs_event check = {.kind = GCS_EVENT_CHECK, .index = index};
    memcpy(check.hash, digest, sizeof check.hash);
    (void)driver_event(gcs, &check);
}

int gcs_force(struct gcs *gcs, uint64_t *ret_index)
{
    gcs_start(gcs);
    int code = event(gcs, (struct gcs_event){.kind = GCS_EVENT_FORCE});
    *ret_index = gcs->config.applied.index;
    return code;
}

bool gcs_stored_by_all(const struct gcs *gcs, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    return gcs_core_stored_by_all(gcs->core, epoch, origin, seq);
}

void gcs_status(const struct gcs *gcs, struct gcs_status *ret_status)
{
    struct gcs *self = (struct gcs *)gcs; /* looking a name up changes nothing */
    struct gcs_view view;
    memset(ret_status, 0, sizeof *ret_status);
    gcs_core_status(gcs->core, ret_status);
    driver_describe_waiting(self, ret_status->waiting_for);
    driver_view(self, &view);
    for (uint8_t k = 0; k < view.member_count; k++)
        memcpy(ret_status->members[k].address, view.members[k].address, GCS_ADDRESS_BYTES);
    memcpy(ret_status->absent, view.absent, sizeof ret_status->absent);
    ret_status->frames_sent = gcs->frames_sent;
    ret_status->acknowledgements_sent = gcs->acknowledgements_sent;
    ret_status->messages_sent = gcs->messages_sent;
}

void gcs_destroy(struct gcs *gcs)
{
    if (!gcs)
        return;
    gcs->ended = true;
    loop_cancel(gcs->config.loop, &gcs->task);
    loop_timer_finish(&gcs->tick);
    loop_timer_finish(&gcs->clock);
    for (uint8_t p = 0; p < GCS_PEER_MAX; p++) {
        driver_hang_up(&gcs->links[p]);
        loop_timer_finish(&gcs->links[p].retry);
    }
    struct blob *held;
    while (gcs->core && (held = gcs_core_forget(gcs->core)))
        blob_unref(held);
    free(gcs->memory);
    free(gcs);
}
