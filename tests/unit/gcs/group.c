/* The group of cores: see group.h. The names of members in stories are their ranks. */
#include "group.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void drain(struct node *node);

static void violate(struct group *group, const char *format, ...)
{
    va_list args;
    if (group->violation[0])
        return;
    va_start(args, format);
    vsnprintf(group->violation, sizeof group->violation, format, args);
    va_end(args);
}

void group_say(struct group *group, const char *format, ...)
{
    va_list args;
    size_t room = sizeof group->trace - group->trace_bytes;
    if (!group->tracing || room < 256)
        return;
    va_start(args, format);
    group->trace_bytes += (size_t)vsnprintf(group->trace + group->trace_bytes, room, format, args);
    va_end(args);
}

const char *group_story(struct group *group)
{
    group->trace[group->trace_bytes] = '\0';
    group->trace_bytes = 0;
    return group->trace;
}

/* --- what every run must keep -------------------------------------------------------------------
 */

static uint32_t id_of(const struct gcs_message *message)
{
    uint32_t id = 0;
    if (message->payload->bytes >= sizeof id)
        memcpy(&id, message->payload->data, sizeof id);
    return id;
}

static bool same_place(const struct placed *a, const struct placed *b)
{
    return a->epoch == b->epoch && a->ts == b->ts && a->seq == b->seq && a->id == b->id &&
           a->origin == b->origin;
}

static uint16_t node_bit(const struct node *node)
{
    return (uint16_t)(1u << node->at);
}

static void check_placed(struct node *node, uint64_t index, const struct placed *placed)
{
    struct group *group = node->group;
    if (node->witness)
        return; /* it has no indices */
    if (index != node->delivered + 1)
        violate(group, "%u: index %lu after %lu", node->at, index, node->delivered);
    node->delivered = index;
    if (index < group->sequence_length) {
        if (!same_place(&group->sequence[index], placed))
            violate(group, "%u: another message at index %lu", node->at, index);
        return;
    }
    if (index > group->sequence_length || index >= GROUP_EVENTS_MAX) {
        violate(group, "%u: index %lu beyond the sequence", node->at, index);
        return;
    }
    if (placed->id && group->sent_placed[placed->id])
        violate(group, "%u: message %u at two indices", node->at, placed->id);
    group->sent_placed[placed->id] = true;
    group->sequence[group->sequence_length++] = *placed;
}

static void check_delivered(struct node *node, const struct gcs_message *message, uint64_t index)
{
    struct group *group = node->group;
    uint32_t id = id_of(message);
    if (id == 0 || id > group->sent) {
        violate(group, "%u: delivered what nobody sent", node->at);
        return;
    }
    const struct gcs_view_record *view = &group->views[message->epoch % GROUP_EPOCHS_MAX];
    if (view->count && view->members[message->origin].node != group->sent_by[id] + 1)
        violate(group, "%u: delivered what %u never sent", node->at, message->origin);
    struct placed placed = {message->epoch,  message->ts,        message->seq, id,
                            message->origin, group->payloads[id]};
    check_placed(node, index, &placed);
}

/* The nodes of a view that hold data. */
static uint16_t data_nodes(const struct gcs_view_record *view)
{
    uint16_t set = 0;
    for (uint8_t k = 0; k < view->count; k++)
        if (!view->members[k].witness)
            set |= (uint16_t)(1u << (view->members[k].node - 1));
    return set;
}

static void check_released(struct node *node, uint64_t index)
{
    struct group *group = node->group;
    if (node->witness)
        return;
    if (index > node->delivered || index <= node->released)
        violate(group, "%u: released %lu, delivered %lu, released before %lu", node->at, index,
                node->delivered, node->released);
    bool member = gcs_core_is_member(node->core);
    uint16_t needed = member ? data_nodes(gcs_core_view(node->core)) : 0;
    for (uint64_t i = node->released + 1; i <= index && i < group->sequence_length; i++)
        if (group->sequence[i].id && needed & ~group->received_by[group->sequence[i].id])
            violate(group, "%u: released %lu, which only %x of %x received", node->at, i,
                    group->received_by[group->sequence[i].id], needed);
    node->released = index;
    if (member && index > group->released)
        group->released = index;
}

/* One view for each epoch, whoever installs it. */
static void check_view(struct node *node)
{
    struct group *group = node->group;
    const struct gcs_view_record *view = gcs_core_view(node->core);
    if (view->epoch == 0 || !gcs_core_is_member(node->core))
        return;
    if (view->epoch >= GROUP_EPOCHS_MAX) {
        violate(group, "%u: epoch %lu", node->at, view->epoch);
        return;
    }
    struct gcs_view_record *seen = &group->views[view->epoch];
    if (!seen->count)
        memcpy(seen, view, sizeof *seen);
    else if (memcmp(seen, view, sizeof *seen) != 0)
        violate(group, "%u: another view of epoch %lu", node->at, view->epoch);
}

/* Whatever was released anywhere may have been answered: it has to be known where a read is
 * answered, delivered or pending. */
bool group_may_read(struct group *group, uint8_t i)
{
    struct node *node = &group->nodes[i];
    if (node->life != LIFE_UP || !gcs_core_may_read(node->core, group->now_ns))
        return false;
    group->reads++;
    for (uint64_t at = node->delivered + 1; at <= group->released; at++)
        if (group->sequence[at].id && !(group->known_by[group->sequence[at].id] & node_bit(node)))
            violate(group, "%u reads, and %lu was released without it", i, at);
    return true;
}

/* --- actions ------------------------------------------------------------------------------------
 */

static const char *frame_name(uint16_t type)
{
    static const char *const names[] = {
        "DATA",  "ACK",     "RESUME",  "BEAT",     "GRANT",    "CHECK",      "ASK",
        "AGREE", "PREPARE", "PROMISE", "REFUSE",   "LEVEL",    "PULL",       "PUSH",
        "HAVE",  "LOST",    "STORED",  "PROPOSE",  "ACCEPTED", "INSTALL",    "OUT",
        "LEAVE", "JOIN",    "WELCOME", "SNAPSHOT", "FEED",     "FEED_EPOCH", "FED"};
    return names[type - GCS_FRAME_DATA];
}

static void carry_off(struct node *node, const struct gcs_action *action)
{
    struct group *group = node->group;
    for (uint8_t j = 0; j < group->n; j++) {
        struct wire *wire = &group->wires[node->at][j];
        if (!(action->to & (1u << j)) || !group->linked[node->at][j])
            continue;
        if (wire->count == GROUP_FRAMES_MAX) {
            violate(group, "the wire %u to %u is full", node->at, j);
            return;
        }
        struct carried *c = malloc(sizeof *c + action->head_bytes);
        MUST(c);
        c->type = action->type;
        c->head_bytes = action->head_bytes;
        memcpy(c->head, action->head, action->head_bytes);
        c->payload = action->payload ? blob_ref(action->payload) : NULL;
        STAILQ_INSERT_TAIL(&wire->frames, c, entry);
        wire->count++;
    }
}

static void append(struct node *node, const struct gcs_message *message)
{
    if (node->logged == GROUP_EVENTS_MAX) {
        violate(node->group, "the log of %u is full", node->at);
        return;
    }
    node->log[node->logged] = *message;
    blob_ref(node->log[node->logged++].payload);
}

static void end_of(struct node *node, enum life life, const char *reason)
{
    node->life = life;
    node->running = false;
    node->reason = reason;
    group_say(node->group, "%u ends: %s\n", node->at, reason);
}

static void act(struct node *node, const struct gcs_action *action)
{
    struct group *group = node->group;
    const struct gcs_message *m = &action->message;
    switch (action->kind) {
    case GCS_ACTION_SEND:
        carry_off(node, action);
        break;
    case GCS_ACTION_CLOSE:
        for (uint8_t j = 0; j < group->n; j++)
            if (action->to & (1u << j)) {
                group->closes++;
                group_say(group, "%u closes %u: %s\n", node->at, j, action->text);
                if (!group->closes_expected)
                    violate(group, "%u closes %u: %s", node->at, j, action->text);
            }
        break;
    case GCS_ACTION_RECEIVED:
        group_say(group, "%u received %u.%lu\n", node->at, m->origin, m->seq);
        group->received_by[id_of(m)] |= node_bit(node);
        group->known_by[id_of(m)] |= node_bit(node);
        break;
    case GCS_ACTION_STORE:
        append(node, m);
        break;
    case GCS_ACTION_DELIVER:
        group_say(group, "%u delivers %u.%lu at %lu\n", node->at, m->origin, m->seq, action->index);
        check_delivered(node, m, action->index);
        break;
    case GCS_ACTION_EPOCH: {
        group_say(group, "%u epoch %lu at %lu\n", node->at, action->epoch, action->index);
        struct placed placed = {.epoch = action->epoch};
        check_placed(node, action->index, &placed);
        break;
    }
    case GCS_ACTION_RELEASED:
        group_say(group, "%u released to %lu\n", node->at, action->index);
        check_released(node, action->index);
        break;
    case GCS_ACTION_RUNNING:
        node->running = action->flag;
        node->added = node->added && !action->flag;
        group_say(group, "%u %s\n", node->at, action->flag ? "runs" : "waits");
        break;
    case GCS_ACTION_WINDOW_OPEN:
        node->window_open = true;
        group_say(group, "%u window open\n", node->at);
        break;
    case GCS_ACTION_SAVE: {
        const void *state = gcs_core_state(node->core, &node->saving_bytes);
        memcpy(node->saving, state, node->saving_bytes);
        break;
    }
    case GCS_ACTION_VIEW:
        check_view(node);
        break;
    case GCS_ACTION_READABLE:
        node->readable = true;
        break;
    case GCS_ACTION_FETCH:
        group->fetches++;
        if (node->fetches[action->peer].wanted)
            violate(group, "%u: two fetches at a time for %u", node->at, action->peer);
        node->fetches[action->peer].wanted = true;
        node->fetches[action->peer].from = action->index;
        node->fetches[action->peer].compare = action->flag;
        memcpy(node->fetches[action->peer].hash, action->head, 16);
        break;
    case GCS_ACTION_DROP:
        blob_unref(action->payload);
        break;
    case GCS_ACTION_SNAPSHOT_NEEDED:
        node->sponsor = action->peer;
        group->snapshots++;
        end_of(node, LIFE_SNAPSHOT, "needs a snapshot");
        break;
    case GCS_ACTION_STAYS:
        node->stays = true;
        break;
    case GCS_ACTION_OUT:
        group->outs++;
        end_of(node, action->why == GCS_OUT_REMOVED ? LIFE_REMOVED : LIFE_OUT, action->text);
        break;
    case GCS_ACTION_FAILED:
        end_of(node, LIFE_FAILED, action->text);
        break;
    }
}

static void drain(struct node *node)
{
    const struct gcs_action *action;
    while (node->life == LIFE_UP) {
        if ((action = gcs_action(node->core))) {
            act(node, action);
            gcs_action_done(node->core);
        } else if (gcs_more(node->core)) {
            (void)gcs_step(node->core, &(struct gcs_event){.kind = GCS_EVENT_CONTINUE,
                                                           .now_ns = node->group->now_ns});
        } else {
            break;
        }
    }
}

static int step(struct node *node, struct gcs_event event)
{
    event.now_ns = node->group->now_ns;
    if (node->life != LIFE_UP)
        return GCS_E_NOT_RUNNING;
    int code = gcs_step(node->core, &event);
    drain(node);
    return code;
}

/* --- processes ----------------------------------------------------------------------------------
 */

struct group *group_create(uint8_t n, uint8_t founders, uint8_t witnesses,
                           const struct gcs_measures *measures, enum gcs_durability durability,
                           uint32_t window)
{
    struct group *group = calloc(1, sizeof *group);
    MUST(group && n <= GROUP_NODES_MAX && founders <= n);
    group->n = n;
    group->tracing = true;
    group->sequence_length = 1;
    group->now_ns = UINT64_C(1000000000);
    struct gcs_core_config *config = &group->config;
    config->measures = *measures;
    config->limits = (struct gcs_limits){window, (uint64_t)window * 100, 1000, (uint8_t)durability};
    config->heartbeat_ns = GROUP_HEARTBEAT_MS * UINT64_C(1000000);
    config->suspect_after_ns = UINT64_C(400000000);
    config->lease_ns = UINT64_C(300000000);
    config->lag_after_ns = UINT64_C(5000000000);
    config->start_wait_ns = UINT64_C(2000000000);
    config->drift_ppm = 10000;
    config->founders.count = founders;
    for (uint8_t i = 0; i < n; i++) {
        struct node *node = &group->nodes[i];
        node->group = group;
        node->at = i;
        node->witness = witnesses >> i & 1;
        node->store[0] = (uint8_t)(i + 1);
        node->history_from = 1;
        for (uint8_t j = 0; j < n; j++)
            STAILQ_INIT(&group->wires[i][j].frames);
        node->log = calloc(GROUP_EVENTS_MAX, sizeof *node->log);
        MUST(node->log);
        if (i >= founders)
            continue;
        config->founders.members[i].node = (uint8_t)(i + 1);
        config->founders.members[i].witness = node->witness;
    }
    return group;
}

/* What the core holds, and the process. */
static void release_memory(struct node *node)
{
    struct blob *held;
    while (node->core && (held = gcs_core_forget(node->core)))
        blob_unref(held);
    free(node->memory);
    node->memory = NULL;
    node->core = NULL;
}

static struct carried *take_off(struct wire *wire)
{
    struct carried *c = STAILQ_FIRST(&wire->frames);
    STAILQ_REMOVE_HEAD(&wire->frames, entry);
    wire->count--;
    return c;
}

static void clear_wire(struct wire *wire)
{
    while (wire->count) {
        struct carried *c = take_off(wire);
        blob_unref(c->payload);
        free(c);
    }
}

void group_destroy(struct group *group)
{
    for (uint8_t i = 0; i < group->n; i++) {
        struct node *node = &group->nodes[i];
        release_memory(node);
        for (uint32_t m = 0; m < node->logged; m++)
            blob_unref(node->log[m].payload);
        free(node->log);
        for (uint8_t j = 0; j < group->n; j++)
            clear_wire(&group->wires[i][j]);
    }
    for (uint32_t id = 1; id <= group->sent; id++)
        blob_unref(group->payloads[id]);
    free(group);
}

static struct gcs_position position_at(const struct group *group, uint64_t index)
{
    const struct placed *placed = &group->sequence[index];
    if (index == 0)
        return (struct gcs_position){0};
    return (struct gcs_position){placed->epoch, placed->ts, placed->origin};
}

/* What the state machine says that it holds. Its history hash is the index, said another way. */
static struct gcs_applied applied_at(const struct group *group, uint64_t index)
{
    struct gcs_applied applied = {.position = position_at(group, index), .index = index};
    for (uint64_t i = 1; i <= index; i++)
        if (group->sequence[i].id && group->sequence[i].epoch == applied.position.epoch)
            applied.counts[group->sequence[i].origin] = group->sequence[i].seq;
    memcpy(applied.history, &index, sizeof index);
    return applied;
}

static struct gcs_view_member identity(const struct node *node)
{
    struct gcs_view_member member = {
        .node = (uint8_t)(node->at + 1),
        .witness = node->witness,
        .incarnation = {node->incarnation, node->incarnation * 17 + node->at}};
    memcpy(member.store, node->store, sizeof member.store);
    return member;
}

static void forget_log(struct node *node)
{
    while (node->logged)
        blob_unref(node->log[--node->logged].payload);
    node->stored = node->trimmed = 0;
}

static void begin(struct node *node, struct gcs_core_config *config)
{
    struct group *group = node->group;
    release_memory(node);
    node->incarnation++;
    config->self = identity(node);
    config->prng_seed = node->incarnation * 31 + node->at;
    config->now_ns = group->now_ns;
    if (!node->witness)
        config->applied = applied_at(group, node->flushed);
    config->recovered_max = config->outside ? 0 : node->logged - node->trimmed;
    node->memory = calloc(1, gcs_core_bytes(config));
    MUST(node->memory);
    node->running = node->window_open = node->readable = false;
    node->saving_bytes = 0;
    memset(node->fetches, 0, sizeof node->fetches);
    node->outside = config->outside;
    node->life = LIFE_DOWN;
    node->delivered = node->applied = node->released = node->flushed;
    if (gcs_core_init(node->memory, config, config->outside ? NULL : node->state,
                      config->outside ? 0 : node->state_bytes, &node->core))
        violate(group, "%u: its state is refused", node->at);
    else
        node->life = LIFE_UP;
}

void group_start(struct group *group, uint8_t i)
{
    struct node *node = &group->nodes[i];
    struct gcs_core_config config = group->config;
    if (node->outside && !node->state_bytes) { /* it was in no view yet */
        group_start_outside(group, i, node->store[1] != 0);
        return;
    }
    begin(node, &config);
    for (uint32_t m = node->trimmed; m < node->logged && node->life == LIFE_UP; m++) {
        struct gcs_event event = {.kind = GCS_EVENT_RECOVERED, .message = node->log[m]};
        if (step(node, event))
            violate(group, "%u: its log is refused", i);
    }
    step(node, (struct gcs_event){.kind = GCS_EVENT_START});
}

void group_start_outside(struct group *group, uint8_t i, bool added)
{
    struct node *node = &group->nodes[i];
    struct gcs_core_config config = group->config;
    memset(&config.founders, 0, sizeof config.founders);
    config.outside = true;
    config.added = node->added = added;
    forget_log(node);
    node->state_bytes = 0;
    begin(node, &config);
    step(node, (struct gcs_event){.kind = GCS_EVENT_START});
}

static void take_snapshot(struct group *group, struct node *node)
{
    const struct node *sponsor = &group->nodes[node->sponsor];
    node->flushed = node->history_from = sponsor->applied;
    node->history_from++;
    for (uint64_t i = 1; i <= node->flushed; i++) {
        group->received_by[group->sequence[i].id] |= node_bit(node);
        group->known_by[group->sequence[i].id] |= node_bit(node);
    }
}

void group_revive(struct group *group)
{
    for (uint8_t i = 0; i < group->n; i++) {
        struct node *node = &group->nodes[i];
        if (node->life != LIFE_OUT && node->life != LIFE_SNAPSHOT)
            continue;
        for (uint8_t j = 0; j < group->n; j++)
            group_cut(group, i, j);
        if (node->life == LIFE_SNAPSHOT)
            take_snapshot(group, node);
        group_start_outside(group, i, node->added || node->store[1] != 0);
    }
}

static void end_process(struct group *group, uint8_t i, bool saved)
{
    struct node *node = &group->nodes[i];
    group_say(group, "%u crashes\n", i);
    for (uint8_t j = 0; j < group->n; j++)
        if (j != i)
            group_cut(group, i, j);
    node->life = LIFE_DOWN;
    node->running = false;
    release_memory(node);
    if (saved && node->saving_bytes) {
        memcpy(node->state, node->saving, node->saving_bytes);
        node->state_bytes = node->saving_bytes;
    }
    node->saving_bytes = 0;
    node->history_from = node->flushed + 1;
}

static void cut_log(struct node *node, uint32_t keep)
{
    while (node->logged > keep)
        blob_unref(node->log[--node->logged].payload);
    node->stored = node->logged;
    if (node->trimmed > node->logged)
        node->trimmed = node->logged;
}

void group_crash(struct group *group, uint8_t i, uint32_t keep_unstored, bool saved)
{
    end_process(group, i, saved);
    cut_log(&group->nodes[i], group->nodes[i].stored + keep_unstored);
}

void group_power_cut(struct group *group, uint8_t i, uint32_t keep)
{
    end_process(group, i, false);
    cut_log(&group->nodes[i], keep);
}

/* The store id changes, so whoever knew the old one takes it for another. */
void group_lost(struct group *group, uint64_t index)
{
    uint64_t epoch = group->sequence[index].epoch;
    if (group->sequence[index].id == 0)
        epoch--;
    for (uint64_t at = index; at < group->sequence_length; at++)
        group->sent_placed[group->sequence[at].id] = false;
    group->sequence_length = index;
    group->released = index - 1;
    for (epoch++; epoch < GROUP_EPOCHS_MAX; epoch++)
        group->views[epoch].count = 0;
}

void group_wipe(struct group *group, uint8_t i)
{
    struct node *node = &group->nodes[i];
    MUST(node->life == LIFE_DOWN);
    forget_log(node);
    node->store[1]++;
    node->state_bytes = 0;
    node->flushed = 0;
    for (uint32_t id = 0; id <= group->sent; id++)
        group->known_by[id] &= (uint16_t)~node_bit(node);
}

void group_death(struct group *group, uint8_t i, uint8_t dead)
{
    MUST(group->nodes[dead].life == LIFE_DOWN);
    step(&group->nodes[i],
         (struct gcs_event){.kind = GCS_EVENT_DEATH, .member = identity(&group->nodes[dead])});
}

/* False: it refuses the other. */
static bool tell_up(struct group *group, uint8_t i, uint8_t j)
{
    struct gcs_event event = {.kind = GCS_EVENT_LINK_UP, .peer = j};
    event.member = identity(&group->nodes[j]);
    if (gcs_core_accepts(group->nodes[i].core, &event.member))
        return false;
    step(&group->nodes[i], event);
    return true;
}

void group_connect(struct group *group, uint8_t i, uint8_t j)
{
    if (i == j || group->linked[i][j] || group->nodes[i].life != LIFE_UP ||
        group->nodes[j].life != LIFE_UP)
        return;
    group->linked[i][j] = group->linked[j][i] = true;
    if (!tell_up(group, i, j) || !tell_up(group, j, i))
        group_cut(group, i, j);
}

void group_cut(struct group *group, uint8_t i, uint8_t j)
{
    if (!group->linked[i][j])
        return;
    group->linked[i][j] = group->linked[j][i] = false;
    clear_wire(&group->wires[i][j]);
    clear_wire(&group->wires[j][i]);
    step(&group->nodes[i], (struct gcs_event){.kind = GCS_EVENT_LINK_DOWN, .peer = j});
    step(&group->nodes[j], (struct gcs_event){.kind = GCS_EVENT_LINK_DOWN, .peer = i});
}

void group_isolate(struct group *group, uint16_t side)
{
    for (uint8_t i = 0; i < group->n; i++)
        for (uint8_t j = (uint8_t)(i + 1); j < group->n; j++)
            if ((side >> i & 1) != (side >> j & 1))
                group_cut(group, i, j);
}

void group_connect_all(struct group *group)
{
    for (uint8_t i = 0; i < group->n; i++)
        for (uint8_t j = (uint8_t)(i + 1); j < group->n; j++)
            group_connect(group, i, j);
}

/* --- single steps -------------------------------------------------------------------------------
 */

bool group_carry(struct group *group, uint8_t from, uint8_t to)
{
    struct wire *wire = &group->wires[from][to];
    if (!wire->count)
        return false;
    struct carried *c = take_off(wire);
    group->counts[c->type]++;
    if (c->type != GCS_FRAME_BEAT && c->type != GCS_FRAME_GRANT) /* they go always */
        group_say(group, "%u > %u %s\n", from, to, frame_name(c->type));
    struct gcs_event event = {.kind = GCS_EVENT_FRAME,
                              .peer = from,
                              .type = c->type,
                              .head = c->head,
                              .head_bytes = c->head_bytes,
                              .payload = c->payload};
    step(&group->nodes[to], event);
    blob_unref(c->payload);
    free(c);
    return true;
}

bool group_store(struct group *group, uint8_t i, uint32_t count)
{
    struct node *node = &group->nodes[i];
    if (node->life != LIFE_UP || node->stored == node->logged)
        return false;
    uint32_t left = node->logged - node->stored;
    node->stored += count < left ? count : left;
    struct gcs_event event = {.kind = GCS_EVENT_STORED, .message = node->log[node->stored - 1]};
    event.message.payload = NULL;
    step(node, event);
    return true;
}

bool group_save(struct group *group, uint8_t i)
{
    struct node *node = &group->nodes[i];
    if (node->life != LIFE_UP || !node->saving_bytes || node->saves_hang ||
        (node->installs_hang &&
         gcs_core_epoch(node->group->nodes[0].core) > gcs_core_epoch(node->core)))
        return false;
    memcpy(node->state, node->saving, node->saving_bytes);
    node->state_bytes = node->saving_bytes;
    node->saving_bytes = 0;
    step(node, (struct gcs_event){.kind = GCS_EVENT_SAVED});
    return true;
}

bool group_apply(struct group *group, uint8_t i, uint32_t count)
{
    struct node *node = &group->nodes[i];
    if (node->life != LIFE_UP || node->applied == node->delivered)
        return false;
    uint64_t left = node->delivered - node->applied;
    node->applied += count < left ? count : left;
    step(node, (struct gcs_event){.kind = GCS_EVENT_APPLIED, .index = node->applied});
    return true;
}

/* A member feeds what it has delivered; the older part may be gone. */
static void feed(struct node *node, uint8_t peer)
{
    const struct group *group = node->group;
    uint64_t from = node->fetches[peer].from, before = from - 1;
    uint8_t hash[16] = {0};
    memcpy(hash, &before, sizeof before);
    bool found = from >= node->history_from &&
                 (!node->fetches[peer].compare || memcmp(hash, node->fetches[peer].hash, 16) == 0);
    node->fetches[peer].wanted = false;
    for (uint64_t at = from; found && at <= node->applied && at < from + 16; at++) {
        const struct placed *placed = &group->sequence[at];
        struct gcs_event event = {.kind = GCS_EVENT_FETCHED, .peer = peer, .index = at};
        event.message = (struct gcs_message){placed->epoch, placed->seq, placed->ts, placed->origin,
                                             placed->payload};
        step(node, event);
    }
    step(node, (struct gcs_event){.kind = GCS_EVENT_FETCH_DONE, .peer = peer, .flag = found});
}

bool group_fetch(struct group *group, uint8_t i)
{
    struct node *node = &group->nodes[i];
    bool any = false;
    for (uint8_t peer = 0; peer < group->n && node->life == LIFE_UP && !node->fetches_hang; peer++)
        if (node->fetches[peer].wanted) {
            feed(node, peer);
            any = true;
        }
    return any;
}

void group_turn(struct group *group, uint8_t i)
{
    if (group->nodes[i].life == LIFE_UP)
        step(&group->nodes[i], (struct gcs_event){.kind = GCS_EVENT_TURN});
}

void group_tick(struct group *group, uint8_t i)
{
    if (group->nodes[i].life == LIFE_UP)
        step(&group->nodes[i], (struct gcs_event){.kind = GCS_EVENT_TICK});
}

void group_clock(struct group *group, uint8_t i)
{
    step(&group->nodes[i], (struct gcs_event){.kind = GCS_EVENT_CLOCK});
}

int group_leave(struct group *group, uint8_t i, bool back)
{
    return step(&group->nodes[i], (struct gcs_event){.kind = GCS_EVENT_LEAVE, .flag = back});
}

void group_end(struct group *group, uint8_t i)
{
    (void)step(&group->nodes[i], (struct gcs_event){.kind = GCS_EVENT_END});
}

int group_remove(struct group *group, uint8_t i, uint8_t who)
{
    struct gcs_event event = {.kind = GCS_EVENT_REMOVE};
    event.member.node = (uint8_t)(who + 1);
    return step(&group->nodes[i], event);
}

int group_force(struct group *group, uint8_t i)
{
    return step(&group->nodes[i], (struct gcs_event){.kind = GCS_EVENT_FORCE});
}

void group_check(struct group *group, uint8_t i, uint64_t index, uint8_t digest)
{
    struct gcs_event event = {.kind = GCS_EVENT_CHECK, .index = index, .hash = {digest}};
    step(&group->nodes[i], event);
}

/* The state machine writes what its log has stored; the log forgets what all have and that holds.
 */
void group_flush(struct group *group, uint8_t i)
{
    struct node *node = &group->nodes[i];
    if (node->life != LIFE_UP)
        return;
    uint64_t index = node->flushed;
    for (uint32_t m = 0; index < node->applied; m = 0) {
        const struct placed *next = &group->sequence[index + 1];
        while (next->id && m < node->stored &&
               !(node->log[m].epoch == next->epoch && node->log[m].origin == next->origin &&
                 node->log[m].seq == next->seq))
            m++;
        if (next->id && m == node->stored)
            break;
        index++;
    }
    node->flushed = index;
    struct gcs_position at = position_at(group, index);
    while (node->trimmed < node->stored) {
        const struct gcs_message *m = &node->log[node->trimmed];
        bool held =
            m->epoch < at.epoch ||
            (m->epoch == at.epoch && (m->ts < at.ts || (m->ts == at.ts && m->origin <= at.rank)));
        if (!held || !gcs_core_stored_by_all(node->core, m->epoch, m->origin, m->seq))
            break;
        node->trimmed++;
    }
}

int group_multicast(struct group *group, uint8_t i)
{
    struct node *node = &group->nodes[i];
    uint32_t id = group->sent + 1;
    uint8_t bytes[64] = {0};
    memcpy(bytes, &id, sizeof id);
    struct blob *payload = blob_create(bytes, 8 + id % 57);
    MUST(payload && id < GROUP_EVENTS_MAX);
    group->sent_by[id] = i;
    group->sent = id;
    group->payloads[id] = payload;
    int code = step(node, (struct gcs_event){.kind = GCS_EVENT_MULTICAST, .payload = payload});
    if (code) {
        group->sent--;
        blob_unref(payload);
    }
    return code;
}

void group_forge(struct group *group, uint8_t from, uint8_t to, struct gcs_frame *frame,
                 struct blob *payload)
{
    uint8_t head[GCS_HEAD_BYTES_MAX];
    frame->count = frame->count ? frame->count : group->n;
    struct gcs_event event = {.kind = GCS_EVENT_FRAME, .peer = from, .type = frame->type};
    event.head = head;
    event.head_bytes = gcs_frame_encode(frame, head);
    event.payload = payload;
    step(&group->nodes[to], event);
}

/* --- runs ---------------------------------------------------------------------------------------
 */

static bool settle_once(struct group *group)
{
    bool busy = false;
    for (uint8_t i = 0; i < group->n; i++)
        for (uint8_t j = 0; j < group->n; j++)
            while (group_carry(group, j, i))
                busy = true;
    for (uint8_t i = 0; i < group->n; i++) {
        busy |= group_store(group, i, UINT32_MAX);
        busy |= group_save(group, i);
        busy |= group_apply(group, i, UINT32_MAX);
        busy |= group_fetch(group, i);
        group_turn(group, i);
        for (uint8_t j = 0; j < group->n; j++)
            busy |= group->wires[i][j].count > 0;
    }
    return busy;
}

void group_settle(struct group *group)
{
    for (int round = 0; round < 10000 && !group->violation[0]; round++)
        if (!settle_once(group))
            return;
    violate(group, "the group never comes to rest");
}

void group_wait(struct group *group, uint32_t ms)
{
    for (uint32_t passed = 0; passed < ms; passed += GROUP_HEARTBEAT_MS) {
        for (int part = 0; part < 10; part++) {
            group->now_ns += GROUP_HEARTBEAT_MS * UINT64_C(100000);
            for (uint8_t i = 0; i < group->n; i++)
                group_clock(group, i);
            group_settle(group);
        }
        for (uint8_t i = 0; i < group->n; i++)
            group_tick(group, i);
        group_settle(group);
    }
}

static bool is_done(const struct group *group)
{
    for (uint8_t i = 0; i < group->n; i++) {
        const struct node *node = &group->nodes[i];
        if (node->life == LIFE_OUT || node->life == LIFE_SNAPSHOT)
            return false;
        if (node->life != LIFE_UP)
            continue;
        if (!node->running || (!node->witness && (node->delivered + 1 != group->sequence_length ||
                                                  node->released != node->delivered)))
            return false;
    }
    return true;
}

bool group_converge(struct group *group)
{
    enum { HEARTBEATS_MAX = 1200 };
    for (int beat = 0; beat < HEARTBEATS_MAX && !group->violation[0]; beat++) {
        if (is_done(group))
            return true;
        group_revive(group);
        group_connect_all(group);
        group_wait(group, GROUP_HEARTBEAT_MS);
    }
    return false;
}

uint64_t group_epoch(const struct group *group, uint8_t i)
{
    return gcs_core_epoch(group->nodes[i].core);
}

static uint16_t set_of(const struct gcs_view_member *members, uint8_t count)
{
    uint16_t set = 0;
    for (uint8_t k = 0; k < count; k++)
        set |= (uint16_t)(1u << (members[k].node - 1));
    return set;
}

uint16_t group_view(const struct group *group, uint8_t i)
{
    const struct gcs_view_record *view = gcs_core_view(group->nodes[i].core);
    return set_of(view->members, view->count);
}

uint16_t group_absent(const struct group *group, uint8_t i)
{
    const struct gcs_view_record *view = gcs_core_view(group->nodes[i].core);
    return set_of(view->absent, view->absent_count);
}
