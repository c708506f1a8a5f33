/* Out of the group, and in again: closing and opening anew, snapshots, leaving on request.
 *
 * A replica that is out keeps its process and its listener. It gives up vote and log, opens again
 * outside, and the group feeds it what it missed; where that is too much, everything is closed, a
 * snapshot is fetched into a store of its own next to the old one, and only when it is whole and
 * verified does it take the old one's place. All of it starts over after a crash at any point.
 *
 * Invariant: what closes and opens runs from a timer of the loop, never inside a callback of the
 * group. Source: docs/protocol.md, section 4 (join, leave). */
#include "mds/replica_internal.h"
#include "mds/server.h"
#include "mds/transfer.h"
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t pause_ns_least = 100000000, pause_ns_most = 5000000000;
static const uint64_t leave_poll_ns = 5000000, leave_again_ns = 100000000;
static const uint64_t leave_patience_ns = 1000000000;

/* The group has spoken for the last time: go on from the loop. */
static void end_group(struct replica *replica, uint64_t pause_ns)
{
    replica->outside.ending = true;
    replica->running = replica->in_view = replica->is_lowest = false;
    if (!replica->unserved_since_ns)
        replica->unserved_since_ns = loop_now_ns(replica->loop);
    loop_timer_start(&replica->outside.again, pause_ns);
}

void outside_out(struct replica *replica, enum gcs_out why, const char *detail)
{
    struct outside *outside = &replica->outside;
    log_warning("replica", "out of the group: %s", detail);
    if (replica->trace.out)
        replica->trace.out(replica->trace.user, why, detail);
    bool back = why == GCS_OUT_EXCLUDED && !(outside->leaving && !outside->leave_back);
    outside->standing = why == GCS_OUT_DIVERGED ? STANDING_DIVERGED
                        : outside->damaged      ? STANDING_DAMAGED
                                                : STANDING_OUT;
    outside->stay_away = !back && why != GCS_OUT_DIVERGED;
    end_group(replica, 0);
}

/* All whom it was told of at first may be gone before it is a member. */
static void keep_contacts(struct replica *replica, const void *state, size_t bytes)
{
    if (standing_keep_contacts(replica->config.disk, state, bytes, &replica->error) < 0)
        replica_fail(replica, "the members' addresses cannot be written: %.300s",
                     replica->error.text);
}

void outside_note_contacts(struct replica *replica)
{
    uint8_t state[GCS_STATE_BYTES_MAX];
    size_t bytes = gcs_contacts(replica->gcs, state);
    keep_contacts(replica, state, bytes);
}

void outside_snapshot_needed(struct replica *replica, const struct gcs_member *sponsor)
{
    log_info("replica",
             "what was missed is more than the others remember: node %u gives a snapshot",
             sponsor->node);
    if (replica->outside.snapshots)
        log_warning("replica", "a snapshot was too old when it was there, and another one is "
                               "fetched; [order] history_disk of the others may be too small");
    replica->outside.standing = STANDING_EMPTY;
    replica->outside.sponsor = *sponsor;
    outside_note_contacts(replica);
    end_group(replica, 0);
}

/* --- snapshots --- */

/* Doubled each time, and up to half as long again by chance. */
static uint64_t next_pause(struct outside *outside)
{
    uint64_t pause = outside->pause_ns ? outside->pause_ns : pause_ns_least;
    outside->pause_ns = 2 * pause < pause_ns_most ? 2 * pause : pause_ns_most;
    return pause + prng_below(&outside->prng, pause / 2);
}

static bool try_contact(struct replica *replica, const struct gcs_member *member)
{
    if (member->node == replica->config.node || member->witness || !member->address[0])
        return false;
    replica->outside.sponsor = *member;
    return true;
}

/* Whom the group named last, whoever is configured, and who was there at its birth, in turn. */
static int next_contact(struct replica *replica, struct error *error)
{
    const struct replica_config *config = &replica->config;
    const struct identity *identity = &replica->identity;
    struct gcs_member known[GCS_PEER_MAX];
    void *state;
    size_t bytes;
    int rc = standing_contacts(config->disk, &state, &bytes, error);
    if (rc < 0)
        return rc;
    uint32_t noted = gcs_contacts_read(state, bytes, known);
    uint32_t count = noted + config->member_count + identity->member_count;
    free(state);
    for (uint32_t tries = 0; tries < count; tries++) {
        uint32_t at = replica->outside.contact_next++ % count;
        const struct gcs_member *member =
            at < noted ? &known[at]
            : at - noted < config->member_count
                ? &config->members[at - noted]
                : &identity->members[at - noted - config->member_count];
        if (try_contact(replica, member))
            return 0;
    }
    return error_set(error, -EINVAL,
                     "nobody is known to get a snapshot from; give the members in [group]");
}

static void end_transfer(struct replica *replica)
{
    struct outside *outside = &replica->outside;
    transfer_receive_destroy(outside->receive);
    store_close(outside->incoming);
    outside->receive = NULL;
    outside->incoming = NULL;
    outside->whole = false;
}

static void contacts(void *user, const void *state, size_t bytes)
{
    keep_contacts(user, state, bytes);
}

static void received(void *user, int code, const char *detail)
{
    struct replica *replica = user;
    struct outside *outside = &replica->outside;
    if (code < 0) {
        log_warning("replica", "the snapshot of node %u: %s", outside->sponsor.node, detail);
        outside->sponsor.node = 0;
    } else {
        outside->whole = true;
        outside->pause_ns = 0;
    }
    loop_timer_start(&outside->again, code < 0 ? next_pause(outside) : 0);
}

static int begin_transfer(struct replica *replica, struct error *error)
{
    struct outside *outside = &replica->outside;
    const struct identity *identity = &replica->identity;
    int rc = outside->sponsor.node ? 0 : next_contact(replica, error);
    if (rc < 0)
        return rc;
    struct transfer_receive_config config = {
        .loop = replica->loop,
        .transport = replica->config.transport,
        .address = outside->sponsor.address,
        .hello = {.version = NET_HELLO_VERSION,
                  .role = NET_ROLE_TRANSFER,
                  .node = replica->config.node,
                  .lineage_random = identity->lineage_random,
                  .lineage_generation = identity->lineage_generation,
                  .incarnation_count = replica->incarnation.count,
                  .incarnation_random = replica->incarnation.random},
        .epoch_least = outside->epoch_least,
        .user = replica,
        .contacts = contacts,
        .done = received,
    };
    memcpy(config.hello.cluster, identity->cluster, sizeof config.hello.cluster);
    memcpy(config.hello.store, identity->store, sizeof config.hello.store);
    rc = replica->config.store_open(replica->config.store_user, REPLICA_STORE_INCOMING,
                                    &outside->incoming, error);
    if (rc < 0)
        return rc;
    config.incoming = outside->incoming;
    log_info("replica", "fetching a snapshot from node %u (%s)", outside->sponsor.node,
             outside->sponsor.address);
    rc = transfer_receive_start(&config, &outside->receive, error);
    if (rc < 0) /* the address is of others' making */
        received(replica, rc, error->text);
    return 0;
}

/* The new store takes the old one's place; the mark follows, so that a crash in between fetches
 * another one. A vote that was kept so far goes now. */
static int promote(struct replica *replica, struct error *error)
{
    struct outside *outside = &replica->outside;
    enum replica_old old = outside->standing == STANDING_DIVERGED  ? REPLICA_OLD_DIVERGED
                           : outside->standing == STANDING_DAMAGED ? REPLICA_OLD_DAMAGED
                                                                   : REPLICA_OLD_REMOVED;
    end_transfer(replica);
    int rc = 0;
    if (outside->epoch_least)
        rc = standing_give_up(replica->config.disk, outside->standing, error);
    outside->standing = STANDING_OUT;
    outside->epoch_least = 0;
    outside->snapshots++;
    replica->config.store_damaged = false;
    return rc < 0 ? rc : replica->config.store_promote(replica->config.store_user, old, error);
}

/* --- a damaged store --- */

static void close_damaged(struct replica *replica)
{
    replica_close(replica);
    replica->outside.standing = STANDING_DAMAGED;
}

/* The store of a member can't be opened. Vote and message log may be what the group needs some day,
 * and stay, unused, until somebody gives the state of a later view: all that was delivered in this
 * one is part of that. */
static int damaged_at_start(struct replica *replica, struct error *error)
{
    struct error of_vote = {{0}};
    uint64_t epoch;
    int rc = standing_epoch(replica->config.disk, &epoch, &of_vote);
    if (rc == 0)
        rc = standing_keep_voters(replica->config.disk, &of_vote);
    if (rc < 0)
        return error_set(error, rc, "%s", of_vote.text);
    log_warning("replica",
                "%s; it is fetched anew from the others as soon as they have gone on without this "
                "replica. If they can't: stop it and put a whole copy of its data directory in its "
                "place, or give up what it alone has, with 'tuttictl recover' at another one",
                error->text);
    close_damaged(replica);
    replica->outside.epoch_least = epoch + 1;
    loop_timer_start(&replica->outside.again, 0);
    return 0;
}

void outside_damaged(struct replica *replica, const char *format, ...)
{
    struct outside *outside = &replica->outside;
    char text[400];
    va_list args;
    if (replica->phase == REPLICA_FAILED || outside->damaged)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (replica->phase == REPLICA_STOPPING) {
        replica_fail(replica, "the store is damaged: %s", text);
        return;
    }
    log_warning("replica", "the store is damaged, and is fetched anew from the others: %s", text);
    outside->damaged = true;
    if (outside->ending && outside->standing == STANDING_OUT)
        outside->standing = STANDING_DAMAGED;
    if (outside->ending)
        return;
    outside->leave_back |= !outside->leaving;
    outside->leaving = true;
    outside->leave_deadline_ns = 0; /* what was begun ends elsewhere */
    loop_timer_start(&outside->leave, 0);
}

/* --- again --- */

static int open_outside(struct replica *replica, struct error *error)
{
    int rc = replica_open(replica, STANDING_OUT, error);
    if (rc < 0)
        return rc;
    if (replica->trace.opened)
        replica->trace.opened(replica->trace.user);
    replica_begin(replica);
    return 0;
}

static int remove_for_good(struct replica *replica, struct error *error)
{
    replica->identity.standing = IDENTITY_REMOVED;
    int rc = identity_write(replica->config.disk, &replica->identity, error);
    if (rc == 0)
        rc = standing_leave(replica->config.disk, STANDING_OUT, error);
    log_info("replica", "removed from the group: it stays away until it is added again, with an "
                        "empty data directory");
    return rc;
}

static int go_on(struct replica *replica, struct error *error)
{
    struct outside *outside = &replica->outside;
    if (outside->stay_away)
        return remove_for_good(replica, error);
    int rc = outside->whole ? promote(replica, error) : 0;
    if (rc < 0)
        return rc;
    end_transfer(replica);
    if (outside->standing == STANDING_OUT || replica->config.witness) {
        rc = open_outside(replica, error);
        if (rc != -EUCLEAN)
            return rc;
        log_warning("replica", "%s; it is fetched anew from the others", error->text);
        close_damaged(replica);
        rc = 0;
    }
    if (!outside->epoch_least)
        rc = standing_leave(replica->config.disk, outside->standing, error);
    return rc < 0 ? rc : begin_transfer(replica, error);
}

static void again(struct loop_timer *timer)
{
    struct replica *replica = CONTAINER_OF(timer, struct replica, outside.again);
    struct error error = {{0}};
    if (replica->phase == REPLICA_FAILED || replica->phase == REPLICA_STOPPING)
        return;
    replica_close(replica);
    replica->phase = REPLICA_AWAY;
    replica->outside.ending = replica->outside.leaving = false;
    replica->outside.damaged = replica->outside.damaged_last = false;
    if (go_on(replica, &error) < 0)
        replica_fail(replica, "%.400s", error.text);
}

int outside_start(struct replica *replica, struct error *error)
{
    struct outside *outside = &replica->outside;
    const struct replica_config *config = &replica->config;
    prng_init(&outside->prng, hash64(config->random, sizeof config->random));
    int rc = standing_read(config->disk, &replica->identity, &outside->standing, error);
    if (rc < 0)
        return rc;
    replica->phase = REPLICA_AWAY;
    if (replica->identity.standing == IDENTITY_REMOVED) {
        log_warning("replica", "this node was removed from the group and stays away");
        return 0;
    }
    bool has_store = outside->standing == STANDING_IN || outside->standing == STANDING_OUT;
    if (!has_store && !config->witness) {
        loop_timer_start(&outside->again, 0);
        return 0;
    }
    rc = replica_open(replica, has_store ? outside->standing : STANDING_OUT, error);
    if (rc == -EUCLEAN && outside->standing == STANDING_IN)
        return damaged_at_start(replica, error);
    if (rc == -EUCLEAN) {
        close_damaged(replica);
        loop_timer_start(&outside->again, 0);
        return 0;
    }
    if (rc == 0)
        replica_begin(replica);
    return rc;
}

/* --- what operators ask --- */

enum replica_standing replica_standing(const struct replica *replica)
{
    if (replica->identity.standing == IDENTITY_REMOVED)
        return REPLICA_REMOVED;
    if (replica->outside.receive)
        return REPLICA_TRANSFERRING;
    return replica->in_view ? REPLICA_MEMBER : REPLICA_JOINING;
}

static void leave_poll(struct loop_timer *timer)
{
    struct replica *replica = CONTAINER_OF(timer, struct replica, outside.leave);
    struct outside *outside = &replica->outside;
    if (!outside->leaving || !replica_is_live(replica))
        return;
    if (outside->damaged)
        server_close_clients(replica->server);
    bool idle = replica->config.witness || submit_is_idle(replica);
    int rc = GCS_E_NOT_RUNNING;
    if (idle || loop_now_ns(replica->loop) >= outside->leave_deadline_ns)
        rc = gcs_leave(replica->gcs, outside->leave_back);
    if (rc == -EBUSY)
        outside_stays(replica);
    if (outside->leaving) /* a view that was under way may not have heard of it */
        loop_timer_start(timer, rc == GCS_E_NOT_RUNNING ? leave_poll_ns : leave_again_ns);
}

/* What it has may be all that there is: nothing is given up. One that joins may be fed from memory,
 * and then it can leave. */
static void stays_damaged(struct replica *replica)
{
    if (replica->outside.damaged_last)
        return;
    replica->outside.damaged_last = true;
    log_error("replica",
              "the store is damaged, and nobody else has the data: it waits for another replica "
              "that joins. If none can: stop it and put a whole copy of its data directory in its "
              "place, or give up what it alone has, with 'tuttictl recover' at another one");
}

void outside_stays(struct replica *replica)
{
    if (replica->outside.damaged) {
        stays_damaged(replica);
        return;
    }
    replica->outside.leaving = false;
    log_warning("replica", "it stays in the group: meanwhile nobody else has the data");
    if (replica->trace.stays)
        replica->trace.stays(replica->trace.user);
}

int replica_leave(struct replica *replica, bool back, struct error *error)
{
    struct outside *outside = &replica->outside;
    if (!replica->running)
        return error_set(error, -EAGAIN, "no epoch runs here; try again, or at another replica");
    outside->leaving = true;
    outside->leave_back = back;
    outside->leave_deadline_ns = loop_now_ns(replica->loop) + leave_patience_ns;
    server_drain(replica->server);
    leave_poll(&outside->leave);
    return 0;
}

int replica_remove(struct replica *replica, uint8_t node, struct error *error)
{
    int rc = replica->gcs ? gcs_remove(replica->gcs, node) : GCS_E_NOT_RUNNING;
    if (rc == -EBUSY)
        return error_set(error, rc, "node %u is there; ask it to leave", node);
    if (rc == -ENOENT)
        return error_set(error, rc, "node %u is not known to the group", node);
    if (rc == GCS_E_NOT_RUNNING)
        return error_set(error, -EAGAIN, "no epoch runs here; try again, or at another replica");
    return rc;
}

void replica_death(struct replica *replica, uint8_t node, const uint8_t store[16],
                   uint64_t incarnation_count, uint64_t incarnation_random)
{
    if (replica_is_live(replica))
        gcs_death(replica->gcs, node, store, incarnation_count, incarnation_random);
}

void replica_drain(struct replica *replica, bool on)
{
    replica->draining = on;
    if (on)
        server_drain(replica->server);
}

bool replica_is_draining(const struct replica *replica)
{
    return replica->draining;
}

int replica_force(struct replica *replica, uint64_t lineage_random, uint64_t *ret_index,
                  struct error *error)
{
    struct identity *identity = &replica->identity;
    if (order_goes_on(replica))
        return error_set(error, -EBUSY, "its epoch runs");
    if (replica->outside.damaged)
        return error_set(error, -EINVAL, "its store is damaged");
    if (replica->config.witness || !replica->gcs || !replica->in_view)
        return error_set(error, -EINVAL,
                         "only a member with data can be the first of a new lineage");
    replica_close(replica);
    identity->lineage_generation++;
    identity->lineage_random = lineage_random;
    int rc = identity_write(replica->config.disk, identity, error);
    if (rc == 0)
        rc = replica_open(replica, STANDING_IN, error);
    if (rc < 0) {
        replica_fail(replica, "%.400s", error->text);
        return rc;
    }
    replica->phase = REPLICA_SERVING;
    rc = gcs_force(replica->gcs, ret_index);
    if (rc < 0)
        replica_fail(replica, "the group cannot go on alone from here");
    return rc == 0 ? 0 : error_set(error, -EIO, "the group cannot go on alone from here");
}

void replica_transfer_status(const struct replica *replica,
                             struct replica_transfer_status *ret_status)
{
    const struct outside *outside = &replica->outside;
    memset(ret_status, 0, sizeof *ret_status);
    if (outside->receive)
        transfer_receive_status(outside->receive, ret_status);
    ret_status->receiving = outside->receive != NULL;
    ret_status->sponsor = outside->sponsor.node;
    ret_status->snapshots = outside->snapshots;
    ret_status->sending = replica->sender ? transfer_sender_count(replica->sender) : 0;
}

/* --- begin and end --- */

int outside_init(struct replica *replica)
{
    int rc = loop_timer_init(replica->loop, &replica->outside.again, again);
    return rc < 0 ? rc : loop_timer_init(replica->loop, &replica->outside.leave, leave_poll);
}

void outside_finish(struct replica *replica)
{
    loop_timer_finish(&replica->outside.again);
    loop_timer_finish(&replica->outside.leave);
    end_transfer(replica);
}
