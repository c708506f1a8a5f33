/* One member of the bare group: see order_node.h.
 *
 * What a replica does around the group is here in its smallest form. A restart goes on from the
 * last flush with what the log holds. A member that is out forgets its log and its vote, and begins
 * again outside, in the same process; its snapshot is a copy of what its sponsor has flushed.
 * Invariant: a node without the group's state is a founder only in its very first life; the mark
 * `outside` is on disk before the state goes. */
#include "tests/sim/order_internal.h"

#include "store/metafile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void order_node_failed(void *user, int code, const char *detail)
{
    (void)code;
    struct order_node *node = user;
    host_program_failed(node->host, detail);
}

static void note(struct order_node *node, uint32_t moment)
{
    trap_note(&node->cluster->faults.trap, node->member, moment);
}

/* ---- callbacks of the group ---- */

static void on_received(void *user, const struct gcs_message *message)
{
    struct order_node *node = user;
    order_load_received(node->cluster, node->member, message);
}

static void on_store(void *user, const struct gcs_message *message)
{
    struct order_node *node = user;
    struct given *given = sim_alloc(sizeof *given);
    given->epoch = message->epoch;
    given->origin = message->origin;
    given->seq = message->seq;
    STAILQ_INSERT_TAIL(&node->given, given, entry);
    journal_store(node->journal, message);
    note(node, TRAP_STORE);
}

static void on_save(void *user, const void *state, size_t bytes)
{
    struct order_node *node = user;
    journal_save(node->journal, state, bytes);
    note(node, TRAP_SAVE);
}

static void on_deliver(void *user, const struct gcs_message *message, uint64_t index)
{
    struct order_node *node = user;
    world_note(node->host->world, "%s delivers %llu: epoch %llu origin %u seq %llu ts %llu",
               node->host->name, (unsigned long long)index, (unsigned long long)message->epoch,
               message->origin, (unsigned long long)message->seq, (unsigned long long)message->ts);
    if (node->witness)
        world_violation(node->host->world, "integrity: %s, a witness, is given a message",
                        node->host->name);
    order_load_delivered(node->cluster, node->member, message, index);
    node->delivered = index;
    journal_delivered(node->journal, message, index);
    order_state_queue(node, message, index);
}

static void on_epoch(void *user, uint64_t epoch, uint64_t index)
{
    struct order_node *node = user;
    struct gcs_message event = {.epoch = epoch};
    world_note(node->host->world, "%s begins epoch %llu at %llu", node->host->name,
               (unsigned long long)epoch, (unsigned long long)index);
    node->delivered = node->epoch_index = index;
    if (!node->witness)
        order_load_delivered(node->cluster, node->member, &event, index);
    journal_epoch(node->journal, epoch, index);
    order_state_queue(node, &event, index);
    note(node, TRAP_EPOCH);
}

static void on_view(void *user, const struct gcs_view *view, bool self, uint8_t rank)
{
    struct order_node *node = user;
    char text[64] = "";
    for (uint8_t i = 0; i < view->member_count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %u%s", view->members[i].node,
                 view->members[i].witness ? "w" : "");
    world_note(node->host->world, "%s %s view %llu:%s", node->host->name,
               self ? "is in" : "hears of", (unsigned long long)view->epoch, text);
    checks_view(&node->cluster->checks, node->member, view, self, rank);
    if (self) {
        node->outside = false;
        seat_inside(node->cluster, node->member);
    } else {
        seat_hears(node->cluster, node->member, view);
    }
    order_load_view(node->cluster, node->member, view, self);
    note(node, TRAP_VIEW);
}

static void on_released(void *user, uint64_t index)
{
    struct order_node *node = user;
    journal_released(node->journal, index);
    if (node->witness)
        return;
    checks_released(&node->cluster->checks, node->member, index);
    order_load_released(node->cluster, node->member, index);
}

static void on_running(void *user, bool running, const char *waiting_for)
{
    struct order_node *node = user;
    world_note(node->host->world, "%s %s%s", node->host->name, running ? "runs" : "waits for ",
               running ? "" : waiting_for);
    checks_running(&node->cluster->checks, node->member, running);
    node->running = running;
    node->window_full = false;
    if (running)
        order_load_ready(node->cluster, node->member);
}

static void on_window_open(void *user)
{
    struct order_node *node = user;
    node->window_full = false;
    order_load_ready(node->cluster, node->member);
}

static void on_readable(void *user)
{
    struct order_node *node = user;
    order_load_readable(node->cluster, node->member);
}

static void on_fetch(void *user, uint8_t peer, uint64_t index_from, uint32_t bytes_max,
                     const uint8_t history[16])
{
    struct order_node *node = user;
    struct fetch fetch = {true, history != NULL, index_from, bytes_max, {0}};
    if (history)
        memcpy(fetch.history, history, sizeof fetch.history);
    order_past_fetch(node, peer, &fetch);
}

/* Close everything and open again, outside. */
static void begin_again(struct order_node *node)
{
    node->running = false;
    node->ended = true;
    node->outside = true;
    loop_timer_start(&node->again, world_skewed(node->host->world, 0, SIM_MS(40)));
}

static void on_snapshot_needed(void *user, const struct gcs_member *sponsor)
{
    struct order_node *node = user;
    world_note(node->host->world, "%s needs a snapshot of node %u", node->host->name,
               sponsor->node);
    node->snapshot_from = sponsor->node;
    note(node, TRAP_SNAPSHOT);
    begin_again(node);
}

static void on_out(void *user, enum gcs_out why, const char *detail)
{
    struct order_node *node = user;
    note(node, TRAP_OUT);
    checks_out(&node->cluster->checks, node->member, node->leaving);
    node->running = false;
    node->ended = true;
    if (seat_out(node->cluster, node->member, why, detail))
        begin_again(node);
}

static void on_stays(void *user)
{
    struct order_node *node = user;
    node->leaving = false;
    seat_stays(node->cluster, node->member);
    order_load_ready(node->cluster, node->member);
}

static void on_failed(void *user, const char *detail)
{
    struct order_node *node = user;
    node->running = false;
    node->ended = true;
    host_program_failed(node->host, detail);
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
    .window_open = on_window_open,
    .readable = on_readable,
    .fetch = on_fetch,
    .snapshot_needed = on_snapshot_needed,
    .stays = on_stays,
    .out = on_out,
    .failed = on_failed,
};

/* ---- callbacks of the journal ---- */

static void on_stored(void *user, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    struct order_node *node = user;
    struct given *given;
    bool last = false;
    while (!last && (given = STAILQ_FIRST(&node->given))) {
        last = given->epoch == epoch && given->origin == origin && given->seq == seq;
        order_load_stored(node->cluster, node->member, given->epoch, given->origin, given->seq);
        STAILQ_REMOVE_HEAD(&node->given, entry);
        free(given);
    }
    gcs_stored(node->gcs, epoch, origin, seq);
}

static void on_saved(void *user)
{
    struct order_node *node = user;
    gcs_saved(node->gcs);
    note(node, TRAP_SAVED);
}

static void on_allowed(void *user, uint64_t index)
{
    struct order_node *node = user;
    node->allowed = index;
}

static bool on_stored_by_all(void *user, uint64_t epoch, uint8_t origin, uint64_t seq)
{
    struct order_node *node = user;
    return gcs_stored_by_all(node->gcs, epoch, origin, seq);
}

/* ---- opening ---- */

static int node_journal(struct order_node *node, struct error *error)
{
    struct journal_config config = {
        .loop = &node->host->process->loop,
        .disk = node->host->disk,
        .segment_bytes = 16384,
        .payload_bytes_max = 256 * 1024,
        .sync = node->cluster->durability == GCS_DURABILITY_DISK,
        .applied = node->applied.state.position,
        .user = node,
        .stored = on_stored,
        .saved = on_saved,
        .allowed = on_allowed,
        .stored_by_all = on_stored_by_all,
        .failed = order_node_failed,
    };
    return journal_open(&config, &node->journal, error);
}

static void node_hello(const struct order_node *node, struct net_hello *hello)
{
    const struct seat *seat = &node->cluster->seats[node->member];
    *hello = (struct net_hello){
        .version = NET_HELLO_VERSION,
        .role = NET_ROLE_MEMBER,
        .node = (uint8_t)(node->member + 1),
        .lineage_random = 7,
        .incarnation_count = seat->incarnation_count,
        .incarnation_random = seat->incarnation_random,
    };
    memset(hello->cluster, 1, sizeof hello->cluster);
    seat_store(seat, node->member, hello->store);
}

/* The founders to a founder; whom the operator knows to the others. */
static void node_contacts(const struct order_node *node, struct gcs_config *config)
{
    const struct cluster *cluster = node->cluster;
    for (uint32_t i = 0; i < cluster->member_count; i++)
        if (node->founder ? i < cluster->founder_count : cluster->seats[i].belongs)
            config->members[config->member_count++] = cluster->addresses[i];
}

static int node_group(struct order_node *node, struct error *error)
{
    struct cluster *cluster = node->cluster;
    struct gcs_config config;
    gcs_config_defaults(&config);
    config.loop = &node->host->process->loop;
    config.transport = node->host->transport;
    config.link_limits = order_limits;
    node_contacts(node, &config);
    config.node = (uint8_t)(node->member + 1);
    config.witness = node->witness;
    memcpy(config.address, cluster->addresses[node->member].address, sizeof config.address);
    config.outside = node->outside;
    config.added = cluster->seats[node->member].added;
    node_hello(node, &config.hello);
    config.durability = cluster->durability;
    config.measures = cluster->measures;
    config.heartbeat_ns = cluster->heartbeat_ns;
    config.suspect_after_ns = cluster->suspect_after_ns;
    config.lease_ns = cluster->lease_ns;
    config.start_wait_ns = cluster->start_wait_ns;
    config.lag_after_ns = cluster->lag_after_ns;
    config.window_messages = cluster->window_messages;
    config.payload_bytes_max = 256 * 1024;
    config.recovered_max = journal_recovered_count(node->journal);
    config.applied = node->applied.state;
    config.prng_seed = prng_next(&node->host->world->prng);
    config.callbacks = &callbacks;
    config.user = node;
    size_t bytes = 0;
    const void *state = node->outside ? NULL : journal_state(node->journal, &bytes);
    return gcs_create(&config, state, bytes, &node->gcs, error);
}

static int node_recover(void *user, const struct gcs_message *message)
{
    struct order_node *node = user;
    struct error error = {{0}};
    int code = gcs_recover(node->gcs, message, &error);
    if (code < 0)
        world_violation(node->host->world, "validity: %s can't recover: %s", node->host->name,
                        error.text);
    order_load_received(node->cluster, node->member, message);
    order_load_stored(node->cluster, node->member, message->epoch, message->origin, message->seq);
    return code;
}

/* ---- outside: neither log nor vote ---- */

static int wipe_one(void *user, const char *name)
{
    struct disk *disk = user;
    bool keep = strncmp(name, "applied", 7) == 0 || strncmp(name, "outside", 7) == 0;
    return keep ? 0 : disk->ops->unlink(disk, name);
}

static int node_wipe(struct order_node *node, struct error *error)
{
    struct disk *disk = node->host->disk;
    int code = metafile_write(disk, "outside", "", 0, error);
    if (code == 0)
        code = disk->ops->unlink(disk, "group");
    if (code == 0 || code == -ENOENT)
        code = disk->ops->sync_directory(disk);
    if (code == 0)
        code = disk->ops->list(disk, wipe_one, disk);
    return code == 0 ? disk->ops->sync_directory(disk) : code;
}

/* 0: there is such a file. */
static int has_file(struct order_node *node, const char *name, struct error *error)
{
    void *content;
    size_t bytes;
    int code = metafile_read(node->host->disk, name, &content, &bytes, error);
    if (code == 0)
        free(content);
    return code;
}

/* Whether it begins outside, as a founder, or with what it has. */
static int node_standing(struct order_node *node, struct error *error)
{
    int state = has_file(node, "group", error), mark = has_file(node, "outside", error);
    if (state < 0 || mark < 0)
        return state < 0 ? state : mark;
    node->founder = state == METAFILE_ABSENT && mark == METAFILE_ABSENT &&
                    !node->cluster->seats[node->member].added;
    node->outside = state == METAFILE_ABSENT && !node->founder;
    return 0;
}

static int node_open(struct order_node *node, struct error *error)
{
    int code = node->outside ? node_wipe(node, error) : 0;
    seat_incarnation(node->cluster, node->member);
    checks_started(&node->cluster->checks, node->member);
    order_load_opened(node->cluster, node->member);
    if (code == 0)
        code = order_state_read(node, error);
    if (code == 0)
        code = node_journal(node, error);
    if (code == 0)
        code = node_group(node, error);
    if (code == 0)
        code = journal_recovered(node->journal, node_recover, node);
    if (code == 0)
        code = order_listen(node->host->transport, node->cluster->addresses[node->member].address,
                            node->gcs, &node->listener, error);
    if (code < 0)
        return code;
    node->allowed = node->delivered = node->applied.state.index;
    node->epoch_index = 0;
    node->running = node->ended = node->window_full = node->leaving = false;
    note(node, TRAP_OPEN);
    gcs_start(node->gcs);
    return 0;
}

static void node_close(struct order_node *node)
{
    struct given *given;
    order_unlisten(node->listener);
    if (node->gcs)
        gcs_destroy(node->gcs);
    journal_close(node->journal);
    node->listener = NULL;
    node->gcs = NULL;
    node->journal = NULL;
    order_state_drop_queue(node);
    order_past_clear(node);
    while ((given = STAILQ_FIRST(&node->given))) {
        STAILQ_REMOVE_HEAD(&node->given, entry);
        free(given);
    }
}

/* What the sponsor has flushed, in one piece; or, for this time, nothing. */
static void take_snapshot(struct order_node *node)
{
    const struct host *sponsor = &node->cluster->members[node->snapshot_from - 1];
    struct order_node *from = sponsor->up ? sponsor->program : NULL;
    if (!from || prng_chance(&node->host->world->prng, 1, 10))
        return;
    if (!order_state_take(node, from)) {
        order_state_ask(from);
        return;
    }
    node->cluster->snapshots++;
    world_note(node->host->world, "%s has a snapshot of %s, at %llu", node->host->name,
               sponsor->name, (unsigned long long)from->flushed.state.index);
    note(node, TRAP_SNAPSHOT);
}

static void open_again(struct loop_timer *timer)
{
    struct order_node *node = CONTAINER_OF(timer, struct order_node, again);
    struct error error = {{0}};
    if (node->flush_busy) {
        loop_timer_start(&node->again, SIM_MS(1));
        return;
    }
    node_close(node);
    node->flush_wanted = node->founder = false;
    if (node->snapshot_from)
        take_snapshot(node);
    node->snapshot_from = 0;
    if (node_open(node, &error) < 0)
        host_program_failed(node->host, error.text);
}

/* ---- life ---- */

static int node_start(struct host *host, struct error *error)
{
    struct order_node *node = sim_alloc(sizeof *node);
    host->program = node;
    node->host = host;
    node->cluster = cluster_of_host(host);
    node->member = member_of_host(host);
    node->witness = is_witness(node->cluster, node->member);
    STAILQ_INIT(&node->given);
    order_state_init(node);
    order_past_init(node);
    MUST(loop_timer_init(&host->process->loop, &node->again, open_again) == 0);
    int code = node_standing(node, error);
    return code < 0 ? code : node_open(node, error);
}

static void node_destroy(struct host *host)
{
    struct order_node *node = host->program;
    checks_running(&node->cluster->checks, node->member, false);
    node_close(node);
    order_state_finish(node);
    order_past_finish(node);
    loop_timer_finish(&node->again);
    free(node);
    host->program = NULL;
}

const struct host_ops order_node_ops = {node_start, node_destroy};

/* ---- for the load ---- */

int order_node_multicast(struct order_node *node, struct blob *payload)
{
    uint64_t seq;
    int code = gcs_multicast(node->gcs, payload, &seq);
    blob_unref(payload);
    if (code == GCS_E_WINDOW_FULL)
        node->window_full = true;
    return code;
}

bool order_node_ready(const struct order_node *node)
{
    return node && node->running && !node->window_full && !node->witness && !node->leaving;
}

bool order_node_may_read(struct order_node *node)
{
    return node->running && !node->witness && !node->leaving && gcs_may_read(node->gcs);
}

uint64_t order_node_delivered(const struct order_node *node)
{
    return node->delivered;
}

bool order_node_leave(struct order_node *node, bool back)
{
    if (node->ended || node->leaving || gcs_leave(node->gcs, back) != 0)
        return false;
    node->leaving = true;
    return true;
}

bool order_node_leaving(const struct order_node *node)
{
    return node->leaving;
}

bool order_node_remove(struct order_node *node, uint8_t target)
{
    return !node->ended && gcs_remove(node->gcs, target) == 0;
}

void order_node_stop(struct order_node *node)
{
    if (!node->ended)
        gcs_end(node->gcs);
}

void order_node_death(struct order_node *node, uint32_t member, const struct seat *dead)
{
    uint8_t store[16];
    seat_store(dead, member, store);
    if (!node->ended)
        gcs_death(node->gcs, (uint8_t)(member + 1), store, dead->incarnation_count,
                  dead->incarnation_random);
}

void order_node_status(const struct order_node *node, struct gcs_status *ret_status)
{
    *ret_status = (struct gcs_status){0};
    if (node->gcs)
        gcs_status(node->gcs, ret_status);
}
