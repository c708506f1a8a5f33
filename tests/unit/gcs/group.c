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

static void check_placed(struct node *node, uint64_t index, const struct placed *placed)
{
    struct group *group = node->group;
    if (index != node->delivered + 1)
        violate(group, "%u: index %lu after %lu", node->rank, index, node->delivered);
    node->delivered = index;
    if (index < group->sequence_length) {
        if (!same_place(&group->sequence[index], placed))
            violate(group, "%u: another message at index %lu", node->rank, index);
        return;
    }
    if (index > group->sequence_length || index >= GROUP_EVENTS_MAX) {
        violate(group, "%u: index %lu beyond the sequence", node->rank, index);
        return;
    }
    if (placed->id && group->sent_placed[placed->id])
        violate(group, "%u: message %u at two indices", node->rank, placed->id);
    group->sent_placed[placed->id] = true;
    group->sequence[group->sequence_length++] = *placed;
}

static void check_delivered(struct node *node, const struct gcs_message *message, uint64_t index)
{
    struct group *group = node->group;
    uint32_t id = id_of(message);
    if (id == 0 || id > group->sent || group->sent_by[id] != message->origin) {
        violate(group, "%u: delivered what %u never sent", node->rank, message->origin);
        return;
    }
    struct placed placed = {message->epoch, message->ts, message->seq, id, message->origin};
    check_placed(node, index, &placed);
}

static void check_released(struct node *node, uint64_t index)
{
    struct group *group = node->group;
    if (index > node->delivered || index <= node->released)
        violate(group, "%u: released %lu, delivered %lu, released before %lu", node->rank, index,
                node->delivered, node->released);
    for (uint64_t i = node->released + 1; i <= index && i < group->sequence_length; i++)
        if (group->sequence[i].id &&
            group->received_by[group->sequence[i].id] != (1u << group->n) - 1)
            violate(group, "%u: released %lu, which only %x received", node->rank, i,
                    group->received_by[group->sequence[i].id]);
    node->released = index;
    group->released = index > group->released ? index : group->released;
}

/* --- actions ------------------------------------------------------------------------------------
 */

static const char *frame_name(uint16_t type)
{
    static const char *const names[] = {"DATA",     "ACK",      "RESUME", "LEVEL", "REPORT",
                                        "CATCH_UP", "CUT",      "PULL",   "PUSH",  "HAVE",
                                        "LOST",     "PREPARED", "INSTALL"};
    return names[type - GCS_FRAME_DATA];
}

static void carry_off(struct node *node, const struct gcs_action *action)
{
    struct group *group = node->group;
    for (uint8_t j = 0; j < group->n; j++) {
        struct wire *wire = &group->wires[node->rank][j];
        if (!(action->to & (1u << j)) || !group->linked[node->rank][j])
            continue;
        if (wire->count == GROUP_FRAMES_MAX) {
            violate(group, "the wire %u to %u is full", node->rank, j);
            return;
        }
        struct carried *c = &wire->frames[(wire->first + wire->count++) % GROUP_FRAMES_MAX];
        c->type = action->type;
        c->head_bytes = action->head_bytes;
        memcpy(c->head, action->head, action->head_bytes);
        c->payload = action->payload ? blob_ref(action->payload) : NULL;
    }
}

static void append(struct node *node, const struct gcs_message *message)
{
    if (node->logged == GROUP_EVENTS_MAX) {
        violate(node->group, "the log of %u is full", node->rank);
        return;
    }
    node->log[node->logged] = *message;
    blob_ref(node->log[node->logged++].payload);
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
                group_say(group, "%u closes %u: %s\n", node->rank, j, action->text);
                if (!group->closes_expected)
                    violate(group, "%u closes %u: %s", node->rank, j, action->text);
            }
        break;
    case GCS_ACTION_RECEIVED:
        group_say(group, "%u received %u.%lu\n", node->rank, m->origin, m->seq);
        group->received_by[id_of(m)] |= (uint8_t)(1u << node->rank);
        break;
    case GCS_ACTION_STORE:
        append(node, m);
        break;
    case GCS_ACTION_DELIVER:
        group_say(group, "%u delivers %u.%lu at %lu\n", node->rank, m->origin, m->seq,
                  action->index);
        check_delivered(node, m, action->index);
        break;
    case GCS_ACTION_EPOCH: {
        group_say(group, "%u epoch %lu at %lu\n", node->rank, action->epoch, action->index);
        struct placed placed = {.epoch = action->epoch};
        check_placed(node, action->index, &placed);
        break;
    }
    case GCS_ACTION_RELEASED:
        group_say(group, "%u released to %lu\n", node->rank, action->index);
        check_released(node, action->index);
        break;
    case GCS_ACTION_RUNNING:
        node->running = action->flag;
        group_say(group, "%u %s\n", node->rank, action->flag ? "runs" : "waits");
        break;
    case GCS_ACTION_WINDOW_OPEN:
        node->window_open = true;
        group_say(group, "%u window open\n", node->rank);
        break;
    case GCS_ACTION_SAVE: {
        const void *state = gcs_core_state(node->core, &node->saving_bytes);
        memcpy(node->saving, state, node->saving_bytes);
        break;
    }
    case GCS_ACTION_FETCH:
        group->fetches++;
        node->fetching = *m;
        node->fetching.seq = action->seq_from;
        node->fetching_to = action->seq_to;
        break;
    case GCS_ACTION_DROP:
        blob_unref(action->payload);
        break;
    case GCS_ACTION_FAILED:
        node->failed = true;
        node->failure = action->text;
        group_say(group, "%u failed: %s\n", node->rank, action->text);
        break;
    }
}

static void drain(struct node *node)
{
    const struct gcs_action *action;
    while (!node->failed) {
        if ((action = gcs_action(node->core))) {
            act(node, action);
            gcs_action_done(node->core);
        } else if (gcs_more(node->core)) {
            (void)gcs_step(node->core, &(struct gcs_event){.kind = GCS_EVENT_CONTINUE});
        } else {
            break;
        }
    }
}

static int step(struct node *node, const struct gcs_event *event)
{
    int code = gcs_step(node->core, event);
    drain(node);
    return code;
}

/* --- processes ----------------------------------------------------------------------------------
 */

struct group *group_create(uint8_t n, const struct gcs_measures *measures,
                           enum gcs_durability durability, uint32_t window)
{
    struct group *group = calloc(1, sizeof *group);
    MUST(group);
    group->n = n;
    group->tracing = true;
    group->sequence_length = 1;
    group->config.member_count = n;
    group->config.measures = *measures;
    group->config.limits = (struct gcs_limits){window, (uint64_t)window * 100, 1000, durability};
    for (uint8_t i = 0; i < n; i++) {
        struct node *node = &group->nodes[i];
        node->group = group;
        node->rank = i;
        node->store[0] = (uint8_t)(i + 1);
        node->log = calloc(GROUP_EVENTS_MAX, sizeof *node->log);
        MUST(node->log);
        group->config.nodes[i] = (uint8_t)(i + 1);
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

static void clear_wire(struct wire *wire)
{
    for (; wire->count; wire->count--) {
        blob_unref(wire->frames[wire->first].payload);
        wire->first = (wire->first + 1) % GROUP_FRAMES_MAX;
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
    free(group);
}

static struct gcs_position position_at(const struct group *group, uint64_t index)
{
    const struct placed *placed = &group->sequence[index];
    if (index == 0)
        return (struct gcs_position){0};
    return (struct gcs_position){placed->epoch, placed->ts, placed->origin};
}

void group_start(struct group *group, uint8_t i)
{
    struct node *node = &group->nodes[i];
    struct gcs_core_config config = group->config;
    config.rank = i;
    config.incarnation = (struct gcs_incarnation){++node->incarnation, node->incarnation * 17 + i};
    memcpy(config.store, node->store, sizeof config.store);
    config.applied = position_at(group, node->flushed);
    config.applied_index = node->flushed;
    config.recovered_max = node->logged - node->trimmed;
    node->memory = calloc(1, gcs_core_bytes(&config));
    MUST(node->memory);
    if (gcs_core_init(node->memory, &config, node->state, node->state_bytes, &node->core)) {
        violate(group, "%u: its state is refused", i);
        return;
    }
    node->alive = true;
    node->failed = node->running = node->window_open = false;
    node->delivered = node->applied = node->released = node->flushed;
    for (uint32_t m = node->trimmed; m < node->logged; m++) {
        struct gcs_event event = {.kind = GCS_EVENT_RECOVERED, .message = node->log[m]};
        if (gcs_step(node->core, &event))
            violate(group, "%u: its log is refused", i);
    }
    step(node, &(struct gcs_event){.kind = GCS_EVENT_START});
}

void group_crash(struct group *group, uint8_t i, uint32_t keep_unstored, bool saved)
{
    struct node *node = &group->nodes[i];
    group_say(group, "%u crashes\n", i);
    for (uint8_t j = 0; j < group->n; j++)
        if (j != i)
            group_cut(group, i, j);
    node->alive = node->running = false;
    release_memory(node);
    uint32_t keep = node->stored + keep_unstored;
    while (node->logged > keep)
        blob_unref(node->log[--node->logged].payload);
    node->stored = node->logged;
    if (saved && node->saving_bytes) {
        memcpy(node->state, node->saving, node->saving_bytes);
        node->state_bytes = node->saving_bytes;
    }
    node->saving_bytes = 0;
    node->fetching_to = 0;
}

static void tell_up(struct group *group, uint8_t i, uint8_t j)
{
    const struct node *peer = &group->nodes[j];
    struct gcs_event event = {.kind = GCS_EVENT_LINK_UP, .rank = j};
    event.incarnation = (struct gcs_incarnation){peer->incarnation, peer->incarnation * 17 + j};
    memcpy(event.store, peer->store, sizeof event.store);
    const char *why = gcs_core_accepts(group->nodes[i].core, j, event.store, &event.incarnation);
    if (why)
        violate(group, "%u refuses %u: %s", i, j, why);
    else
        step(&group->nodes[i], &event);
}

void group_connect(struct group *group, uint8_t i, uint8_t j)
{
    if (group->linked[i][j] || !group->nodes[i].alive || !group->nodes[j].alive)
        return;
    group->linked[i][j] = group->linked[j][i] = true;
    tell_up(group, i, j);
    tell_up(group, j, i);
}

void group_cut(struct group *group, uint8_t i, uint8_t j)
{
    if (!group->linked[i][j])
        return;
    group->linked[i][j] = group->linked[j][i] = false;
    clear_wire(&group->wires[i][j]);
    clear_wire(&group->wires[j][i]);
    step(&group->nodes[i], &(struct gcs_event){.kind = GCS_EVENT_LINK_DOWN, .rank = j});
    step(&group->nodes[j], &(struct gcs_event){.kind = GCS_EVENT_LINK_DOWN, .rank = i});
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
    struct carried c = wire->frames[wire->first];
    wire->count--;
    wire->first = wire->count ? (wire->first + 1) % GROUP_FRAMES_MAX : 0;
    group->counts[c.type]++;
    group_say(group, "%u > %u %s\n", from, to, frame_name(c.type));
    struct gcs_event event = {.kind = GCS_EVENT_FRAME,
                              .rank = from,
                              .type = c.type,
                              .head = c.head,
                              .head_bytes = c.head_bytes,
                              .payload = c.payload};
    step(&group->nodes[to], &event);
    blob_unref(c.payload);
    return true;
}

bool group_store(struct group *group, uint8_t i, uint32_t count)
{
    struct node *node = &group->nodes[i];
    if (!node->alive || node->stored == node->logged)
        return false;
    uint32_t left = node->logged - node->stored;
    node->stored += count < left ? count : left;
    struct gcs_event event = {.kind = GCS_EVENT_STORED, .message = node->log[node->stored - 1]};
    event.message.payload = NULL;
    step(node, &event);
    return true;
}

bool group_save(struct group *group, uint8_t i)
{
    struct node *node = &group->nodes[i];
    if (!node->alive || !node->saving_bytes)
        return false;
    memcpy(node->state, node->saving, node->saving_bytes);
    node->state_bytes = node->saving_bytes;
    node->saving_bytes = 0;
    step(node, &(struct gcs_event){.kind = GCS_EVENT_SAVED});
    return true;
}

bool group_apply(struct group *group, uint8_t i, uint32_t count)
{
    struct node *node = &group->nodes[i];
    if (!node->alive || node->applied == node->delivered)
        return false;
    uint64_t left = node->delivered - node->applied;
    node->applied += count < left ? count : left;
    step(node, &(struct gcs_event){.kind = GCS_EVENT_APPLIED, .index = node->applied});
    return true;
}

bool group_fetch(struct group *group, uint8_t i)
{
    struct node *node = &group->nodes[i];
    if (!node->alive || !node->fetching_to)
        return false;
    struct gcs_message wanted = node->fetching;
    uint64_t to = node->fetching_to;
    node->fetching_to = 0;
    for (uint32_t m = node->trimmed; m < node->stored; m++) {
        const struct gcs_message *message = &node->log[m];
        if (message->epoch == wanted.epoch && message->origin == wanted.origin &&
            message->seq >= wanted.seq && message->seq <= to)
            step(node, &(struct gcs_event){.kind = GCS_EVENT_FETCHED, .message = *message});
    }
    step(node, &(struct gcs_event){.kind = GCS_EVENT_FETCHED});
    return true;
}

void group_turn(struct group *group, uint8_t i)
{
    if (group->nodes[i].alive)
        step(&group->nodes[i], &(struct gcs_event){.kind = GCS_EVENT_TURN});
}

void group_tick(struct group *group, uint8_t i)
{
    if (group->nodes[i].alive)
        step(&group->nodes[i], &(struct gcs_event){.kind = GCS_EVENT_TICK});
}

/* The state machine writes what its log has stored; the log forgets what all have and that holds.
 */
void group_flush(struct group *group, uint8_t i)
{
    struct node *node = &group->nodes[i];
    if (!node->alive)
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
    int code = step(node, &(struct gcs_event){.kind = GCS_EVENT_MULTICAST, .payload = payload});
    if (code)
        group->sent--;
    blob_unref(payload);
    return code;
}

void group_forge(struct group *group, uint8_t from, uint8_t to, struct gcs_frame *frame,
                 struct blob *payload)
{
    uint8_t head[GCS_HEAD_BYTES_MAX];
    frame->count = group->n;
    struct gcs_event event = {.kind = GCS_EVENT_FRAME, .rank = from, .type = frame->type};
    event.head = head;
    event.head_bytes = gcs_frame_encode(frame, head);
    event.payload = payload;
    step(&group->nodes[to], &event);
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

bool group_converge(struct group *group)
{
    for (int round = 0; round < 100; round++) {
        bool done = true;
        for (uint8_t i = 0; i < group->n; i++) {
            const struct node *node = &group->nodes[i];
            done = done && node->running && node->delivered + 1 == group->sequence_length &&
                   node->released == node->delivered;
        }
        if (done || group->violation[0])
            return done;
        for (uint8_t i = 0; i < group->n; i++)
            group_tick(group, i);
        group_settle(group);
    }
    return false;
}
