/* The driver: what it refuses, whom it lets in, how it treats connections and callbacks.
 *
 * One `struct gcs` as rank 1 of 2 on a loop that turns by hand; its peer is a bare core behind a
 * connection that keeps what was sent. */
#include "gcs-fastdelivery/core.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- a loop that turns when told to
 * ---------------------------------------------------------------- */

static STAILQ_HEAD(, loop_task) tasks = STAILQ_HEAD_INITIALIZER(tasks);
static uint64_t now_ns = 1;

static uint64_t loop_now(struct loop *loop)
{
    return now_ns;
}
static void loop_add(struct loop *loop, struct loop_task *task)
{
    task->queued = true;
    STAILQ_INSERT_TAIL(&tasks, task, entry);
}
static void loop_remove(struct loop *loop, struct loop_task *task)
{
    task->queued = false;
    STAILQ_REMOVE(&tasks, task, loop_task, entry);
}
enum { TIMERS_MAX = 64 };
static struct {
    struct loop_timer *timer;
    uint64_t due_ns; /* 0: not running */
} timers[TIMERS_MAX];

static int timer_ok(struct loop *loop, struct loop_timer *timer)
{
    for (int i = 0; i < TIMERS_MAX; i++)
        if (!timers[i].timer) {
            timers[i].timer = timer;
            return 0;
        }
    return -ENOMEM;
}
static void timer_set(struct loop_timer *timer, uint64_t delay_ns)
{
    for (int i = 0; i < TIMERS_MAX; i++)
        if (timers[i].timer == timer)
            timers[i].due_ns = now_ns + delay_ns;
}
static void timer_stop(struct loop_timer *timer)
{
    for (int i = 0; i < TIMERS_MAX; i++)
        if (timers[i].timer == timer)
            timers[i].due_ns = 0;
}
static void timer_finish(struct loop_timer *timer)
{
    for (int i = 0; i < TIMERS_MAX; i++)
        if (timers[i].timer == timer) {
            timers[i].timer = NULL;
            timers[i].due_ns = 0;
        }
}
static const struct loop_ops loop_ops = {.now_ns = loop_now,
                                         .clock_ns = loop_now,
                                         .defer = loop_add,
                                         .cancel = loop_remove,
                                         .timer_init = timer_ok,
                                         .timer_start = timer_set,
                                         .timer_stop = timer_stop,
                                         .timer_finish = timer_finish};
static struct loop loop = {&loop_ops};

static void turn(void)
{
    struct loop_task *task;
    while ((task = STAILQ_FIRST(&tasks))) {
        loop_remove(&loop, task);
        task->run(task);
    }
}

static void pass(uint64_t ns)
{
    now_ns += ns;
    for (int i = 0; i < TIMERS_MAX; i++)
        if (timers[i].due_ns && timers[i].due_ns <= now_ns) {
            timers[i].due_ns = 0;
            timers[i].timer->fire(timers[i].timer);
        }
    turn();
}

/* --- a connection that keeps what was sent
 * --------------------------------------------------------- */

enum { KEPT_MAX = 256 };

struct pipe {
    struct net_conn conn; /* first */
    struct {
        uint16_t type;
        uint32_t bytes;
        uint8_t data[1024];
    } kept[KEPT_MAX];
    uint32_t count, closes;
    bool full;
};

static int pipe_send(struct net_conn *conn, uint16_t type, const void *head, uint32_t head_bytes,
                     struct blob *payload)
{
    struct pipe *pipe = (struct pipe *)conn;
    uint32_t bytes = head_bytes + (payload ? payload->bytes : 0);
    if (pipe->full)
        return NET_E_FULL;
    cr_assert(pipe->count < KEPT_MAX && bytes <= sizeof pipe->kept[0].data && !pipe->closes);
    memcpy(pipe->kept[pipe->count].data, head, head_bytes);
    if (payload)
        memcpy(pipe->kept[pipe->count].data + head_bytes, payload->data, payload->bytes);
    pipe->kept[pipe->count].type = type;
    pipe->kept[pipe->count++].bytes = bytes;
    return 0;
}
static void pipe_close(struct net_conn *conn)
{
    ((struct pipe *)conn)->closes++;
}
static const struct net_transport_ops pipe_ops = {.send = pipe_send, .close = pipe_close};
static struct net_transport transport = {&pipe_ops};

/* --- the owner
 * ------------------------------------------------------------------------------------- */

struct owner {
    struct gcs *gcs;
    uint64_t received, delivered, epochs, released, indices;
    bool running, failed, readable, inside_call;
    struct gcs_view view;
    uint8_t state[GCS_STATE_BYTES_MAX];
    size_t state_bytes;
};

static void on_received(void *user, const struct gcs_message *message)
{
    struct owner *o = user;
    cr_assert_not(o->inside_call, "called back from inside a call that must not");
    o->received++;
}
static void on_store(void *user, const struct gcs_message *message)
{
    struct owner *o = user;
    gcs_stored(o->gcs, message->epoch, message->origin, message->seq);
}
static void on_save(void *user, const void *state, size_t bytes)
{
    struct owner *o = user;
    memcpy(o->state, state, bytes);
    o->state_bytes = bytes;
    gcs_saved(o->gcs);
}
static void on_deliver(void *user, const struct gcs_message *message, uint64_t index)
{
    struct owner *o = user;
    cr_assert_eq(index, ++o->indices);
    o->delivered++;
    gcs_applied(o->gcs, index);
}
static void on_epoch(void *user, uint64_t epoch, uint64_t index)
{
    struct owner *o = user;
    cr_assert_eq(index, ++o->indices);
    o->epochs++;
    gcs_applied(o->gcs, index);
}
static void on_released(void *user, uint64_t index)
{
    ((struct owner *)user)->released = index;
}
static void on_running(void *user, bool running, const char *waiting_for)
{
    ((struct owner *)user)->running = running;
}
static void on_window(void *user)
{
}
static void on_view(void *user, const struct gcs_view *view, bool self, uint8_t rank)
{
    ((struct owner *)user)->view = *view;
}
static void on_readable(void *user)
{
    ((struct owner *)user)->readable = true;
}
static void on_fetch(void *user, uint8_t peer, uint64_t index_from, uint32_t bytes_max,
                     const uint8_t history[16])
{
    cr_assert_fail("nobody joins here");
}
static void on_snapshot_needed(void *user, const struct gcs_member *sponsor)
{
    ((struct owner *)user)->failed = true;
}
static void on_out(void *user, enum gcs_out why, const char *detail)
{
    ((struct owner *)user)->failed = true;
}
static void on_failed(void *user, const char *detail)
{
    ((struct owner *)user)->failed = true;
}
static const struct gcs_callbacks callbacks = {.received = on_received,
                                               .store = on_store,
                                               .save = on_save,
                                               .deliver = on_deliver,
                                               .epoch = on_epoch,
                                               .view = on_view,
                                               .released = on_released,
                                               .running = on_running,
                                               .window_open = on_window,
                                               .readable = on_readable,
                                               .fetch = on_fetch,
                                               .snapshot_needed = on_snapshot_needed,
                                               .out = on_out,
                                               .failed = on_failed};

static struct gcs_config config_of(uint32_t members, uint8_t node, struct owner *owner)
{
    struct gcs_config config;
    gcs_config_defaults(&config);
    config.loop = &loop;
    config.transport = &transport;
    config.member_count = members;
    for (uint32_t j = 0; j < members; j++)
        config.members[j].node = (uint8_t)(j + 1);
    config.node = node;
    config.hello.incarnation_count = 1;
    config.hello.incarnation_random = node;
    config.hello.store[0] = node;
    config.hello.cluster[0] = 42;
    config.hello.lineage_random = 43;
    config.callbacks = &callbacks;
    config.user = owner;
    return config;
}

static void create(struct owner *owner, uint32_t members, uint8_t node)
{
    struct gcs_config config = config_of(members, node, owner);
    struct error error;
    memset(owner, 0, sizeof *owner);
    cr_assert_eq(gcs_create(&config, NULL, 0, &owner->gcs, &error), 0, "%s", error.text);
    gcs_start(owner->gcs);
    cr_assert_eq(owner->running, false);
    turn();
}

static struct net_hello hello_of(uint8_t node)
{
    struct gcs_config config = config_of(2, node, NULL);
    config.hello.version = NET_HELLO_VERSION;
    config.hello.role = NET_ROLE_MEMBER;
    config.hello.node = node;
    return config.hello;
}

static uint64_t multicast(struct owner *owner, const char *text, int expected)
{
    struct blob *payload = blob_create(text, (uint32_t)strlen(text));
    uint64_t seq = 0;
    owner->inside_call = true;
    cr_assert_eq(gcs_multicast(owner->gcs, payload, &seq), expected);
    owner->inside_call = false;
    blob_unref(payload);
    return seq;
}

/* --- creation
 * -------------------------------------------------------------------------------------- */

static void no_members(struct gcs_config *c)
{
    c->member_count = 0;
}
static void too_many(struct gcs_config *c)
{
    c->member_count = GCS_MEMBER_MAX + 1;
}
static void unsorted(struct gcs_config *c)
{
    c->members[0].node = 9;
}
static void twice(struct gcs_config *c)
{
    c->members[0].node = c->members[1].node;
}
static void not_one_of_them(struct gcs_config *c)
{
    c->node = 7;
}
static void no_heartbeat(struct gcs_config *c)
{
    c->heartbeat_ns = 0;
}
static void small_window(struct gcs_config *c)
{
    c->window_bytes = c->payload_bytes_max - 1;
}
static void no_incarnation(struct gcs_config *c)
{
    c->hello.incarnation_count = 0;
}
static void huge_window(struct gcs_config *c)
{
    c->window_messages = UINT32_MAX;
}
static void no_callbacks(struct gcs_config *c)
{
    c->callbacks = NULL;
}

Test(driver, wrong_configurations_are_refused_with_a_text)
{
    static void (*const wrongs[])(struct gcs_config *) = {
        no_members,   too_many,     unsorted,       twice,       not_one_of_them,
        no_heartbeat, small_window, no_incarnation, huge_window, no_callbacks};
    for (size_t w = 0; w < sizeof wrongs / sizeof *wrongs; w++) {
        struct owner owner = {0};
        struct gcs_config config = config_of(2, 1, &owner);
        struct error error = {""};
        wrongs[w](&config);
        cr_assert_eq(gcs_create(&config, NULL, 0, &owner.gcs, &error), -EINVAL, "case %zu", w);
        cr_assert_neq(error.text[0], '\0');
    }
}

Test(driver, every_flipped_bit_of_the_state_is_found)
{
    struct owner owner, other = {0};
    create(&owner, 1, 1);
    cr_assert_gt(owner.state_bytes, 0);
    for (size_t b = 0; b < owner.state_bytes * 8; b++) {
        struct gcs_config config = config_of(1, 1, &other);
        struct error error;
        owner.state[b / 8] ^= (uint8_t)(1u << b % 8);
        cr_assert_eq(gcs_create(&config, owner.state, owner.state_bytes, &other.gcs, &error),
                     -EBADMSG);
        owner.state[b / 8] ^= (uint8_t)(1u << b % 8);
    }
    gcs_destroy(owner.gcs);
}

/* --- a group of one
 * -------------------------------------------------------------------------------- */

Test(driver, a_group_of_one_runs_by_itself)
{
    struct owner owner;
    create(&owner, 1, 1);
    cr_assert(owner.running);
    cr_assert_eq(owner.epochs, 1);
    for (int m = 1; m <= 500; m++)
        cr_assert_eq(multicast(&owner, "x", 0), m);
    cr_assert_eq(owner.delivered, 0, "nothing happens inside gcs_multicast");
    turn();
    cr_assert_eq(owner.delivered, 500);
    cr_assert_eq(owner.released, 501);
    gcs_destroy(owner.gcs);
}

Test(driver, sizes_are_checked)
{
    struct owner owner;
    create(&owner, 1, 1);
    (void)multicast(&owner, "", -EINVAL);
    struct blob *large = blob_create(NULL, (1 << 20) + 1);
    uint64_t seq;
    cr_assert_eq(gcs_multicast(owner.gcs, large, &seq), -EINVAL);
    blob_unref(large);
    gcs_destroy(owner.gcs);
}

/* --- who is let in
 * --------------------------------------------------------------------------------- */

static void other_cluster(struct net_hello *h)
{
    h->cluster[0]++;
}
static void other_lineage(struct net_hello *h)
{
    h->lineage_random++;
}
static void other_generation(struct net_hello *h)
{
    h->lineage_generation++;
}
static void other_version(struct net_hello *h)
{
    h->version++;
}
static void a_client(struct net_hello *h)
{
    h->role = NET_ROLE_CLIENT;
}
static void unknown_node(struct net_hello *h)
{
    h->node = 99;
}
static void itself(struct net_hello *h)
{
    h->node = 2;
}
static void never_started(struct net_hello *h)
{
    h->incarnation_count = 0;
}

Test(driver, strangers_get_a_text_and_are_closed)
{
    static void (*const strange[])(struct net_hello *) = {
        other_cluster, other_lineage, other_generation, other_version,
        a_client,      unknown_node,  itself,           never_started};
    struct owner owner;
    create(&owner, 2, 2);
    for (size_t s = 0; s < sizeof strange / sizeof *strange; s++) {
        struct pipe pipe = {.conn = {&pipe_ops, NULL}};
        struct net_hello hello = hello_of(1);
        strange[s](&hello);
        cr_assert_null(gcs_accept(owner.gcs, &pipe.conn, &hello), "case %zu", s);
        cr_assert_eq(pipe.closes, 1);
        cr_assert_eq(pipe.count, 1);
        cr_assert_eq(pipe.kept[0].type, NET_FRAME_REFUSED);
    }
    gcs_destroy(owner.gcs);
}

Test(driver, the_higher_node_does_not_connect)
{
    struct owner owner = {0};
    struct gcs_config config = config_of(3, 2, &owner);
    struct pipe pipe = {.conn = {&pipe_ops, NULL}};
    struct net_hello hello = hello_of(3);
    struct error error;
    cr_assert_eq(gcs_create(&config, NULL, 0, &owner.gcs, &error), 0);
    cr_assert_null(gcs_accept(owner.gcs, &pipe.conn, &hello), "before gcs_start");
    cr_assert_eq(pipe.closes, 1);
    gcs_destroy(owner.gcs);
}

/* --- connections
 * ----------------------------------------------------------------------------------- */

Test(driver, a_newer_connection_replaces_the_older)
{
    struct owner owner;
    struct pipe *old = calloc(1, sizeof *old), *new = calloc(1, sizeof *new);
    struct net_hello hello = hello_of(1);
    create(&owner, 2, 2);
    old->conn.ops = new->conn.ops = &pipe_ops;
    const struct net_handlers *handlers = gcs_accept(owner.gcs, &old->conn, &hello);
    cr_assert_not_null(handlers);
    cr_assert_not_null(gcs_accept(owner.gcs, &new->conn, &hello));
    cr_assert_eq(old->closes, 1);
    const struct net_frame late = {GCS_FRAME_ACK, 1, (const uint8_t *)"x"};
    handlers->frame(&old->conn, &late);
    handlers->drained(&old->conn);
    handlers->closed(&old->conn, NET_REASON_LOCAL, "");
    turn();
    cr_assert_eq(new->closes, 0);
    struct gcs_status status;
    gcs_status(owner.gcs, &status);
    cr_assert(status.members[0].connected);
    gcs_destroy(owner.gcs);
    cr_assert_eq(new->closes, 1);
    handlers->closed(&new->conn, NET_REASON_LOCAL, "");
    free(old);
    free(new);
}

static const char *address_of(const struct owner *owner, uint8_t node)
{
    static struct gcs_member known[GCS_PEER_MAX];
    uint8_t state[GCS_STATE_BYTES_MAX];
    uint32_t count = gcs_contacts_read(state, gcs_contacts(owner->gcs, state), known);
    for (uint32_t k = 0; k < count; k++)
        if (known[k].node == node)
            return known[k].address;
    return "";
}

/* A line of the book that members send each other. */
static void tell(const struct net_handlers *handlers, struct pipe *pipe, const char *address)
{
    uint8_t book[3 + GCS_ADDRESS_BYTES] = {3, 0, (uint8_t)strlen(address)};
    memcpy(book + 3, address, book[2]);
    const struct net_frame frame = {GCS_FRAME_BOOK, 3u + book[2], book};
    handlers->frame(&pipe->conn, &frame);
    turn();
    cr_assert_eq(pipe->closes, 0);
}

static const struct net_handlers *greet(struct owner *owner, struct pipe *pipe, uint8_t node,
                                        const char *address)
{
    struct net_hello hello = hello_of(node);
    memset(pipe, 0, sizeof *pipe);
    pipe->conn.ops = &pipe_ops;
    strcpy(hello.address, address);
    const struct net_handlers *handlers = gcs_accept(owner->gcs, &pipe->conn, &hello);
    cr_assert_not_null(handlers);
    return handlers;
}

Test(driver, an_address_that_a_member_says_of_itself_is_not_forgotten_for_one_that_others_say)
{
    struct owner owner;
    struct pipe *pipes = calloc(4, sizeof *pipes);
    create(&owner, 2, 2);
    const struct net_handlers *handlers = greet(&owner, &pipes[0], 1, "a:1");
    tell(handlers, &pipes[0], "early:3");
    cr_assert_str_eq(address_of(&owner, 3), "early:3", "better than none");
    (void)greet(&owner, &pipes[1], 3, "c:3");
    cr_assert_str_eq(address_of(&owner, 3), "c:3");
    tell(handlers, &pipes[0], "wrong:3");
    cr_assert_str_eq(address_of(&owner, 3), "c:3");
    (void)greet(&owner, &pipes[2], 3, "moved:3");
    cr_assert_str_eq(address_of(&owner, 3), "moved:3");
    (void)greet(&owner, &pipes[3], 1, "d:1");
    cr_assert_str_eq(address_of(&owner, 1), "a:1", "configured, or else the first");
    gcs_destroy(owner.gcs);
    free(pipes);
}

Test(driver, a_malformed_frame_closes_the_connection)
{
    struct owner owner;
    for (uint16_t type = NET_FRAME_GCS_FIRST - 1; type <= NET_FRAME_GCS_LAST + 1; type++) {
        struct pipe pipe = {.conn = {&pipe_ops, NULL}};
        struct net_hello hello = hello_of(1);
        create(&owner, 2, 2);
        const struct net_handlers *handlers = gcs_accept(owner.gcs, &pipe.conn, &hello);
        const struct net_frame frame = {type, 5, (const uint8_t *)"\2junk"};
        handlers->frame(&pipe.conn, &frame);
        turn();
        cr_assert_eq(pipe.closes, 1, "type %u", type);
        gcs_destroy(owner.gcs);
    }
}

/* --- with a peer: a bare core as rank 0
 * ------------------------------------------------------------ */

struct peer {
    struct gcs_core *core;
    void *memory;
    const struct net_handlers *handlers;
    struct pipe pipe;
    uint32_t taken; /* of what the pipe kept */
    uint64_t data;  /* highest seq of rank 1 that arrived */
};

static void peer_step(struct peer *peer, const struct gcs_event *event);

static void peer_act(struct peer *peer, const struct gcs_action *action)
{
    uint8_t bytes[1024];
    if (action->kind == GCS_ACTION_SEND) {
        uint32_t payload = action->payload ? action->payload->bytes : 0;
        memcpy(bytes, action->head, action->head_bytes);
        if (payload)
            memcpy(bytes + action->head_bytes, action->payload->data, payload);
        const struct net_frame frame = {action->type, action->head_bytes + payload, bytes};
        peer->handlers->frame(&peer->pipe.conn, &frame);
    } else if (action->kind == GCS_ACTION_SAVE) {
        peer_step(peer, &(struct gcs_event){.kind = GCS_EVENT_SAVED});
    } else if (action->kind == GCS_ACTION_STORE) {
        peer_step(peer, &(struct gcs_event){.kind = GCS_EVENT_STORED, .message = action->message});
    } else if (action->kind == GCS_ACTION_DELIVER || action->kind == GCS_ACTION_EPOCH) {
        peer_step(peer, &(struct gcs_event){.kind = GCS_EVENT_APPLIED, .index = action->index});
    } else if (action->kind == GCS_ACTION_RECEIVED) {
        peer->data = action->message.seq;
    } else if (action->kind == GCS_ACTION_DROP) {
        blob_unref(action->payload);
    }
    cr_assert(action->kind != GCS_ACTION_CLOSE && action->kind != GCS_ACTION_FAILED, "%s (%u)",
              action->text, action->type);
}

static void peer_step(struct peer *peer, const struct gcs_event *event)
{
    struct gcs_event timed = *event;
    timed.now_ns = now_ns;
    (void)gcs_step(peer->core, &timed);
}

static void peer_drain(struct peer *peer)
{
    const struct gcs_action *action;
    while ((action = gcs_action(peer->core))) {
        peer_act(peer, action);
        gcs_action_done(peer->core);
    }
}

static void peer_take(struct peer *peer)
{
    for (; peer->taken < peer->pipe.count; peer->taken++) {
        uint16_t type = peer->pipe.kept[peer->taken].type;
        uint8_t *bytes = peer->pipe.kept[peer->taken].data;
        uint32_t count = peer->pipe.kept[peer->taken].bytes, head = count;
        if (type == NET_FRAME_HELLO || type == GCS_FRAME_BOOK)
            continue;
        struct gcs_event event = {.kind = GCS_EVENT_FRAME, .peer = 1, .type = type, .head = bytes};
        if (gcs_frame_has_payload(type)) {
            head = gcs_frame_head_bytes(type, bytes[0]);
            event.payload = blob_create(bytes + head, count - head);
        }
        event.head_bytes = head;
        peer_step(peer, &event);
        blob_unref(event.payload);
        peer_drain(peer);
    }
}

/* Both turn until nobody has anything to say. */
static void exchange(struct peer *peer)
{
    for (int round = 0; round < 50; round++) {
        pass(2000000);
        peer_take(peer);
        if (round % 25 == 24)
            peer_step(peer, &(struct gcs_event){.kind = GCS_EVENT_TICK});
        peer_step(peer, &(struct gcs_event){.kind = GCS_EVENT_TURN});
        peer_drain(peer);
    }
}

static void peer_meet(struct peer *peer, struct owner *owner)
{
    struct gcs_config outer = config_of(2, 1, NULL);
    struct net_hello hello = hello_of(1);
    struct gcs_core_config config = {.self = {{1, 1}, {1}, 1, 0, {0}},
                                     .limits = {outer.window_messages, outer.window_bytes,
                                                outer.payload_bytes_max, GCS_DURABILITY_DISK},
                                     .measures = {true, true, true, true},
                                     .heartbeat_ns = outer.heartbeat_ns,
                                     .suspect_after_ns = outer.suspect_after_ns,
                                     .lease_ns = outer.lease_ns,
                                     .lag_after_ns = outer.lag_after_ns,
                                     .start_wait_ns = outer.start_wait_ns,
                                     .now_ns = now_ns};
    config.founders.count = 2;
    config.founders.members[0].node = 1;
    config.founders.members[1].node = 2;
    memset(peer, 0, sizeof *peer);
    peer->pipe.conn.ops = &pipe_ops;
    peer->memory = calloc(1, gcs_core_bytes(&config));
    cr_assert_eq(gcs_core_init(peer->memory, &config, NULL, 0, &peer->core), 0);
    peer->handlers = gcs_accept(owner->gcs, &peer->pipe.conn, &hello);
    peer_step(peer, &(struct gcs_event){.kind = GCS_EVENT_START});
    peer_step(peer, &(struct gcs_event){
                        .kind = GCS_EVENT_LINK_UP, .peer = 1, .member = {{1, 2}, {2}, 2, 0, {0}}});
    peer_drain(peer);
    exchange(peer);
}

static void peer_end(struct peer *peer)
{
    struct blob *held;
    while ((held = gcs_core_forget(peer->core)))
        blob_unref(held);
    free(peer->memory);
}

Test(driver, two_members_run)
{
    static struct peer peer;
    struct owner owner;
    create(&owner, 2, 2);
    (void)multicast(&owner, "early", GCS_E_NOT_RUNNING);
    peer_meet(&peer, &owner);
    cr_assert(owner.running);
    cr_assert_eq(multicast(&owner, "hello", 0), 1);
    exchange(&peer);
    cr_assert_eq(owner.delivered, 1);
    cr_assert_eq(owner.released, 2);
    struct gcs_status status;
    gcs_status(owner.gcs, &status);
    cr_assert_str_empty(status.waiting_for);
    cr_assert_eq(status.messages_sent, 1);
    peer.handlers->closed(&peer.pipe.conn, NET_REASON_PEER, "");
    gcs_destroy(owner.gcs);
    peer_end(&peer);
}

/* A full queue loses no message and repeats none. */
Test(driver, data_that_a_full_queue_refused_goes_out_when_it_drained)
{
    static struct peer peer;
    struct owner owner;
    create(&owner, 2, 2);
    peer_meet(&peer, &owner);
    (void)multicast(&owner, "one", 0);
    exchange(&peer);
    peer.pipe.full = true;
    for (int m = 0; m < 5; m++)
        (void)multicast(&owner, "more", 0);
    exchange(&peer);
    cr_assert_eq(peer.data, 1);
    cr_assert_eq(owner.released, 2);
    cr_assert_eq(peer.pipe.closes, 0);
    peer.pipe.full = false;
    exchange(&peer);
    cr_assert_eq(peer.data, 1, "nothing goes out of turn before the queue has drained");
    peer.handlers->drained(&peer.pipe.conn);
    exchange(&peer);
    cr_assert_eq(peer.data, 6);
    cr_assert_eq(owner.released, 7);
    gcs_destroy(owner.gcs);
    peer_end(&peer);
}
