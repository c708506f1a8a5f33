/* The group's callbacks, passed on to whom they concern; and its configuration.
 *
 * They come in one queue on one thread. What ends the group (out, a snapshot is needed) is only
 * noted here and done from the loop (outside.c), because a group can't be destroyed from inside its
 * callbacks. A witness has neither store nor log: for it only views and its vote mean something. */
#include "mds/history.h"
#include "mds/replica_internal.h"
#include "mds/server.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_received(void *user, const struct gcs_message *message)
{
    apply_received(user, message);
}

static void on_store(void *user, const struct gcs_message *message)
{
    struct replica *replica = user;
    journal_store(replica->journal, message);
}

static void on_save(void *user, const void *state, size_t bytes)
{
    struct replica *replica = user;
    journal_save(replica->journal, state, bytes);
}

static void on_deliver(void *user, const struct gcs_message *message, uint64_t index)
{
    apply_delivered(user, message, index);
}

static void on_epoch(void *user, uint64_t epoch, uint64_t index)
{
    struct replica *replica = user;
    log_info("order", "epoch %llu begins at index %llu", (unsigned long long)epoch,
             (unsigned long long)index);
    if (replica->config.witness)
        gcs_applied(replica->gcs, index);
    else
        apply_epoch(replica, epoch, index);
}

static void on_released(void *user, uint64_t index)
{
    struct replica *replica = user;
    if (!replica->config.witness)
        apply_released(replica, index);
}

/* --- views --- */

void order_report_view(const struct replica *replica)
{
    const struct replica_config *config = &replica->config;
    struct replica_view_report report = {.node = config->node,
                                         .incarnation_count = replica->incarnation.count,
                                         .incarnation_random = replica->incarnation.random,
                                         .member_count = replica->view.member_count};
    if (!config->view)
        return;
    memcpy(report.cluster, replica->identity.cluster, sizeof report.cluster);
    memcpy(report.store, replica->identity.store, sizeof report.store);
    memcpy(report.members, replica->view.members, sizeof report.members);
    config->view(config->user, &report);
}

static bool is_lowest(const struct gcs_view *view, uint8_t rank)
{
    for (uint8_t k = 0; k < rank; k++)
        if (!view->members[k].witness)
            return false;
    return true;
}

/* It has been in a view: from now on it is expected back without being added. */
static void note_membership(struct replica *replica)
{
    if (replica->identity.standing == IDENTITY_MEMBER)
        return;
    replica->identity.standing = IDENTITY_MEMBER;
    if (identity_write(replica->config.disk, &replica->identity, &replica->error) < 0)
        replica_fail(replica, "the identity cannot be written: %.300s", replica->error.text);
}

static void say_view(const struct gcs_view *view, bool self)
{
    char text[128] = "";
    size_t at = 0;
    for (uint8_t k = 0; k < view->member_count && at < sizeof text; k++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%u%s", k ? ", " : "",
                               view->members[k].node, view->members[k].witness ? " (witness)" : "");
    log_info("order", "%s view %llu: nodes %s", self ? "in" : "outside",
             (unsigned long long)view->epoch, text);
}

static void on_view(void *user, const struct gcs_view *view, bool self, uint8_t rank)
{
    struct replica *replica = user;
    replica->view = *view;
    replica->in_view = self;
    replica->rank = rank;
    replica->is_lowest = self && is_lowest(view, rank);
    say_view(view, self);
    if (self && view->epoch > 0)
        note_membership(replica);
    if (self)
        replica->outside.snapshots = 0;
    else
        outside_note_contacts(replica);
    order_report_view(replica);
    if (self && replica->server)
        server_tell_members(replica->server);
    if (replica->trace.view)
        replica->trace.view(replica->trace.user, view, self, rank);
}

static void on_running(void *user, bool running, const char *waiting_for)
{
    struct replica *replica = user;
    if (!replica_is_live(replica))
        return;
    if (!running && waiting_for[0])
        log_info("order", "%s", waiting_for);
    replica->running = running;
    replica->expire_out = false;
    if (running)
        replica->unserved_since_ns = 0;
    else if (!replica->unserved_since_ns)
        replica->unserved_since_ns = loop_now_ns(replica->loop);
    if (replica->trace.running)
        replica->trace.running(replica->trace.user, running);
    if (!running || replica->config.witness)
        return;
    replica->reads.floor = replica->apply.index_delivered;
    submit_unblock(replica);
    reads_running(replica);
}

bool order_goes_on(const struct replica *replica)
{
    struct gcs_status status;
    if (!replica->running || !replica->gcs || replica->outside.damaged)
        return false;
    gcs_status(replica->gcs, &status);
    return status.running && !status.waiting_for[0];
}

static void on_readable(void *user)
{
    struct replica *replica = user;
    if (replica_is_live(replica) && !replica->config.witness)
        reads_running(replica);
}

static void on_window_open(void *user)
{
    submit_unblock(user);
}

static void on_fetch(void *user, uint8_t peer, uint64_t index_from, uint32_t bytes_max,
                     const uint8_t history[16])
{
    struct replica *replica = user;
    history_fetch(replica->history, replica->gcs, peer, index_from, bytes_max, history);
}

static void on_snapshot_needed(void *user, const struct gcs_member *sponsor)
{
    outside_snapshot_needed(user, sponsor);
}

static void on_stays(void *user)
{
    outside_stays(user);
}

static void on_out(void *user, enum gcs_out why, const char *detail)
{
    outside_out(user, why, detail);
}

static void on_failed(void *user, const char *detail)
{
    replica_fail(user, "order: %s", detail);
}

static const struct gcs_callbacks callbacks = {
    .received = on_received,
    .store = on_store,
    .save = on_save,
    .deliver = on_deliver,
    .epoch = on_epoch,
    .view = on_view,
    .released = on_released,
    .running = on_running,
    .readable = on_readable,
    .window_open = on_window_open,
    .fetch = on_fetch,
    .snapshot_needed = on_snapshot_needed,
    .stays = on_stays,
    .out = on_out,
    .failed = on_failed,
};

/* --- opening --- */

/* The configured members are contacts; a founder without a vote needs the founders. */
static void take_members(const struct replica *replica, struct gcs_config *order)
{
    const struct replica_config *config = &replica->config;
    const struct identity *identity = &replica->identity;
    order->member_count = identity->member_count;
    memcpy(order->members, identity->members, sizeof order->members);
    for (uint32_t i = 0; i < order->member_count; i++)
        for (uint32_t j = 0; j < config->member_count; j++)
            if (config->members[j].node == order->members[i].node)
                memcpy(order->members[i].address, config->members[j].address,
                       sizeof order->members[i].address);
}

/* How others reach this node: as configured, or as it listens. */
static void take_address(const struct replica *replica, struct gcs_config *order)
{
    const struct replica_config *config = &replica->config;
    const char *address = config->listen;
    for (uint32_t i = 0; i < replica->identity.member_count; i++)
        if (replica->identity.members[i].node == config->node)
            address = replica->identity.members[i].address;
    for (uint32_t i = 0; i < config->member_count; i++)
        if (config->members[i].node == config->node)
            address = config->members[i].address;
    snprintf(order->address, sizeof order->address, "%s", address);
}

static void order_config(struct replica *replica, bool outside, struct gcs_config *order)
{
    const struct replica_config *config = &replica->config;
    const struct identity *identity = &replica->identity;
    const struct state_record *record = &replica->apply.record;
    gcs_config_defaults(order);
    order->loop = replica->loop;
    order->transport = config->transport;
    take_members(replica, order);
    take_address(replica, order);
    order->node = config->node;
    order->witness = config->witness;
    order->outside = outside;
    order->added = identity->standing == IDENTITY_ADDED;
    order->hello = (struct net_hello){.lineage_random = identity->lineage_random,
                                      .lineage_generation = identity->lineage_generation,
                                      .incarnation_count = replica->incarnation.count,
                                      .incarnation_random = replica->incarnation.random};
    memcpy(order->hello.cluster, identity->cluster, sizeof order->hello.cluster);
    memcpy(order->hello.store, identity->store, sizeof order->hello.store);
    order->durability = config->durability;
    order->measures = config->measures;
    order->heartbeat_ns = config->heartbeat_ns;
    order->suspect_after_ns = config->suspect_after_ns;
    order->lease_ns = config->lease_ns;
    order->lag_after_ns = config->lag_after_ns;
    order->start_wait_ns = config->start_wait_ns;
    order->drift_ppm = config->drift_ppm;
    order->assume_no_partition = config->assume_no_partition;
    order->window_messages = config->window_messages;
    order->window_bytes = config->window_bytes;
    order->recovered_max = journal_recovered_count(replica->journal);
    order->applied.position = (struct gcs_position){record->epoch, record->ts, record->rank};
    order->applied.index = record->index;
    memcpy(order->applied.counts, record->counts, sizeof order->applied.counts);
    memcpy(order->applied.history, &record->history, sizeof order->applied.history);
    order->prng_seed = config->random[3] + replica->incarnation.count;
    order->callbacks = &callbacks;
    order->user = replica;
}

static int recover_message(void *user, const struct gcs_message *message)
{
    struct replica *replica = user;
    return gcs_recover(replica->gcs, message, &replica->error);
}

/* Outside there is no vote, but whom it knew is still of use. */
static int create(struct replica *replica, const struct gcs_config *order, struct error *error)
{
    size_t bytes = 0;
    void *contacts = NULL;
    if (!order->outside) {
        const void *state = journal_state(replica->journal, &bytes);
        return gcs_create(order, state, bytes, &replica->gcs, error);
    }
    int rc = standing_contacts(replica->config.disk, &contacts, &bytes, error);
    if (rc == 0)
        rc = gcs_create(order, contacts, bytes, &replica->gcs, error);
    free(contacts);
    return rc;
}

int order_open(struct replica *replica, bool outside, struct error *error)
{
    struct gcs_config order;
    order_config(replica, outside, &order);
    int rc = create(replica, &order, error);
    if (rc < 0)
        return error_wrap(error, rc, "the group");
    rc = journal_recovered(replica->journal, recover_message, replica);
    return rc < 0 ? error_set(error, rc, "the message log: %.400s", replica->error.text) : 0;
}
