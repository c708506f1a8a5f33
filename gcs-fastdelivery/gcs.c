/* The public face: configuration, creation, the owner's calls.
 *
 * Invariant: whatever the owner gives wrong is refused at gcs_create with a text; later calls have
 * nothing left to refuse but what depends on the state. */
#include "gcs-fastdelivery/driver.h"

#include "base/cursor.h"
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void gcs_config_defaults(struct gcs_config *config)
{
    memset(config, 0, sizeof *config);
    config->durability = GCS_DURABILITY_DISK;
    config->measures = (struct gcs_measures){true, true, true, true};
    config->heartbeat_ns = UINT64_C(50000000);
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
    return c && c->received && c->store && c->save && c->deliver && c->epoch && c->released &&
           c->running && c->window_open && c->fetch && c->failed;
}

static int find_rank(const struct gcs_config *config, uint8_t *ret_rank, struct error *error)
{
    int rank = -1;
    for (uint32_t j = 0; j < config->member_count; j++) {
        if (config->members[j].node == 0 ||
            (j && config->members[j].node <= config->members[j - 1].node))
            return error_set(error, -EINVAL, "members are not sorted by distinct node ids");
        if (config->members[j].node == config->node)
            rank = (int)j;
    }
    if (rank < 0)
        return error_set(error, -EINVAL, "node %u is not among the members", config->node);
    *ret_rank = (uint8_t)rank;
    return 0;
}

static int check_config(const struct gcs_config *config, uint8_t *ret_rank, struct error *error)
{
    if (config->member_count == 0 || config->member_count > GCS_MEMBER_MAX)
        return error_set(error, -EINVAL, "%u members; 1 to %d are possible", config->member_count,
                         GCS_MEMBER_MAX);
    if (!config->loop || !config->transport || !callbacks_complete(config->callbacks))
        return error_set(error, -EINVAL, "loop, transport and all callbacks are needed");
    if (config->heartbeat_ns == 0 || config->reconnect_ns == 0)
        return error_set(error, -EINVAL, "heartbeat and reconnection pause have to be above zero");
    if (config->window_messages == 0 || config->payload_bytes_max == 0 ||
        config->payload_bytes_max > GCS_PAYLOAD_BYTES_LIMIT ||
        config->window_bytes < config->payload_bytes_max)
        return error_set(error, -EINVAL, "the window has to hold one payload of the largest size");
    if (config->hello.incarnation_count == 0)
        return error_set(error, -EINVAL, "an incarnation counts from 1");
    return find_rank(config, ret_rank, error);
}

static struct gcs_core_config core_config(const struct gcs_config *config, uint8_t rank)
{
    struct gcs_core_config core = {
        .member_count = (uint8_t)config->member_count,
        .rank = rank,
        .incarnation = {config->hello.incarnation_count, config->hello.incarnation_random},
        .limits = {config->window_messages, config->window_bytes, config->payload_bytes_max,
                   (uint8_t)config->durability},
        .measures = config->measures,
        .recovered_max = config->recovered_max,
        .applied = config->applied,
        .applied_index = config->applied_index,
    };
    memcpy(core.store, config->hello.store, sizeof core.store);
    for (uint32_t j = 0; j < config->member_count; j++)
        core.nodes[j] = config->members[j].node;
    return core;
}

/* The hash that `save` put behind the core's state. */
static int check_state(const void *state, size_t bytes, size_t *ret_core_bytes)
{
    *ret_core_bytes = 0;
    if (bytes == 0)
        return 0;
    if (bytes < sizeof(uint64_t))
        return -EBADMSG;
    *ret_core_bytes = bytes - sizeof(uint64_t);
    struct reader r = reader_make((const uint8_t *)state + *ret_core_bytes, sizeof(uint64_t));
    return reader_u64(&r) == hash64(state, *ret_core_bytes) ? 0 : -EBADMSG;
}

static int make_core(struct gcs *gcs, const void *state, size_t state_bytes, struct error *error)
{
    struct gcs_core_config config = core_config(&gcs->config, gcs->rank);
    size_t bytes = gcs_core_bytes(&config), core_bytes;
    if (bytes == 0)
        return error_set(error, -EINVAL, "window or recovered messages beyond all limits");
    if (check_state(state, state_bytes, &core_bytes))
        return error_set(error, -EBADMSG, "the group's state is damaged");
    gcs->memory = calloc(1, bytes);
    if (!gcs->memory)
        return error_set(error, -ENOMEM, "no memory for the order (%zu bytes)", bytes);
    if (gcs_core_init(gcs->memory, &config, state, core_bytes, &gcs->core))
        return error_set(error, -EBADMSG,
                         "the group's state is of other members, or older than what is applied");
    return 0;
}

static void on_retry(struct loop_timer *timer)
{
    driver_connect(CONTAINER_OF(timer, struct driver_link, retry));
}

static int make_links(struct gcs *gcs)
{
    int code = loop_timer_init(gcs->config.loop, &gcs->tick, driver_tick);
    for (uint8_t j = 0; j < gcs->config.member_count && !code; j++) {
        struct driver_link *link = &gcs->links[j];
        link->gcs = gcs;
        link->rank = j;
        link->pause_ns = gcs->config.reconnect_ns;
        code = loop_timer_init(gcs->config.loop, &link->retry, on_retry);
    }
    return code;
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
    uint8_t rank = 0;
    int code = check_config(config, &rank, error);
    if (code)
        return code;
    struct gcs *gcs = calloc(1, sizeof *gcs);
    if (!gcs)
        return error_set(error, -ENOMEM, "no memory for the group");
    gcs->config = *config;
    gcs->rank = rank;
    widen_limits(&gcs->config);
    prng_init(&gcs->prng, config->prng_seed);
    code = make_core(gcs, state, state_bytes, error);
    if (!code && (code = make_links(gcs)))
        (void)error_set(error, code, "no memory for timers");
    if (code) {
        gcs_destroy(gcs);
        return code;
    }
    *ret_gcs = gcs;
    return 0;
}

int gcs_recover(struct gcs *gcs, const struct gcs_message *message, struct error *error)
{
    int code =
        gcs_step(gcs->core, &(struct gcs_event){.kind = GCS_EVENT_RECOVERED, .message = *message});
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

int gcs_multicast(struct gcs *gcs, struct blob *payload, uint64_t *ret_seq)
{
    if (payload->bytes == 0 || payload->bytes > gcs->config.payload_bytes_max)
        return -EINVAL;
    if (!gcs->started)
        return GCS_E_NOT_RUNNING;
    int code =
        driver_event(gcs, &(struct gcs_event){.kind = GCS_EVENT_MULTICAST, .payload = payload});
    if (code == 0) {
        gcs->messages_sent++;
        *ret_seq = gcs_core_sent(gcs->core);
    }
    return code;
}

void gcs_stored(struct gcs *gcs, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    struct gcs_event event = {.kind = GCS_EVENT_STORED};
    event.message = (struct gcs_message){.epoch = epoch, .seq = seq, .origin = origin};
    (void)driver_event(gcs, &event);
}

void gcs_saved(struct gcs *gcs)
{
    (void)driver_event(gcs, &(struct gcs_event){.kind = GCS_EVENT_SAVED});
}

void gcs_applied(struct gcs *gcs, uint64_t index)
{
    (void)driver_event(gcs, &(struct gcs_event){.kind = GCS_EVENT_APPLIED, .index = index});
}

void gcs_fetched(struct gcs *gcs, const struct gcs_message *message)
{
    struct gcs_event event = {.kind = GCS_EVENT_FETCHED};
    if (message)
        event.message = *message;
    (void)driver_event(gcs, &event);
}

bool gcs_stored_by_all(const struct gcs *gcs, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    return gcs_core_stored_by_all(gcs->core, epoch, origin, seq);
}

void gcs_status(const struct gcs *gcs, struct gcs_status *ret_status)
{
    memset(ret_status, 0, sizeof *ret_status);
    gcs_core_status(gcs->core, ret_status);
    driver_describe_waiting(gcs, ret_status->waiting_for);
    for (uint8_t j = 0; j < gcs->config.member_count; j++) {
        ret_status->members[j].node = gcs->config.members[j].node;
        ret_status->members[j].connected = j == gcs->rank || driver_connected(gcs, j);
    }
    ret_status->frames_sent = gcs->frames_sent;
    ret_status->acknowledgements_sent = gcs->acknowledgements_sent;
    ret_status->messages_sent = gcs->messages_sent;
}

void gcs_destroy(struct gcs *gcs)
{
    if (!gcs)
        return;
    gcs->failed = true;
    loop_cancel(gcs->config.loop, &gcs->task);
    loop_timer_finish(&gcs->tick);
    for (uint8_t j = 0; j < gcs->config.member_count; j++) {
        struct driver_link *link = &gcs->links[j];
        driver_hang_up(link);
        loop_timer_finish(&link->retry);
    }
    struct blob *held;
    while (gcs->core && (held = gcs_core_forget(gcs->core)))
        blob_unref(held);
    free(gcs->memory);
    free(gcs);
}
