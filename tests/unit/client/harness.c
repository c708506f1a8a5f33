/* One loop with a session and some fake replicas on it; see harness.h. */
#include "tests/unit/client/harness.h"

#include <criterion/criterion.h>
#include <string.h>

#define S_NS 1000000000ull

static void on_connected(void *user, bool connected, const char *peer)
{
    struct harness *h = user;
    if (connected)
        h->connected++;
    else
        h->disconnected++;
}

static void on_ended(void *user, const char *detail)
{
    struct harness *h = user;
    h->ended++;
    loop_uv_stop(h->loop);
}

static void on_limit(struct loop_timer *timer)
{
    struct harness *h = CONTAINER_OF(timer, struct harness, limit);
    h->timed_out = true;
    loop_uv_stop(h->loop);
}

void harness_setup(struct harness *h, uint32_t fakes)
{
    memset(h, 0, sizeof *h);
    h->loop = loop_uv_create();
    cr_assert(h->loop);
    h->transport = net_tcp_create(h->loop);
    cr_assert(h->transport);
    cr_assert(loop_timer_init(h->loop, &h->limit, on_limit) == 0);
    fake_table_init(&h->table);
    for (uint32_t i = 0; i < fakes; i++) {
        fake_start(&h->fakes[i], h->loop, h->transport, &h->table);
        h->addresses[i] = h->fakes[i].listener->address;
    }
    h->config = (struct client_session_config){
        .loop = h->loop,
        .transport = h->transport,
        .addresses = h->addresses,
        .address_count = fakes,
        .slots = 8,
        .random = {1, 2, 3, 4},
        .user = h,
        .connected = on_connected,
        .ended = on_ended,
    };
}

void harness_begin(struct harness *h)
{
    cr_assert(client_session_create(&h->config, &h->session) == 0);
}

/* `user` is the place of the request's own number in `seen`. */
static struct harness *running;

static void on_done(void *user, int code, const struct proto_reply *reply)
{
    struct harness *h = running;
    uint8_t *seen = user;
    h->last_code = code;
    if ((*seen)++)
        h->wrong++;
    if (code) {
        h->failed++;
        if (reply)
            h->wrong++;
    } else {
        h->answered++;
        h->last_status = reply->outcome.status;
        if (reply->outcome.status == PROTO_OK &&
            reply->outcome.value != (uint64_t)(seen - h->seen) + 1)
            h->wrong++;
    }
    if (h->answered + h->failed == h->stop_after)
        loop_uv_stop(h->loop);
}

static void submit(struct harness *h, struct proto_op *op)
{
    struct proto_credentials nobody = {0};
    running = h;
    cr_assert(h->submitted < HARNESS_REQUESTS_MAX);
    uint8_t *seen = &h->seen[h->submitted];
    int code = client_session_submit(h->session, &nobody, op, on_done, seen, NULL);
    cr_assert(code == 0, "submit: %d", code);
    h->submitted++;
}

void harness_write(struct harness *h, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct proto_op op = {.code = PROTO_CUT_DONE, .ino = 1, .value = h->submitted + 1};
        submit(h, &op);
    }
}

void harness_read(struct harness *h, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct proto_op op = {.code = PROTO_GETATTR, .ino = h->submitted + 1};
        submit(h, &op);
    }
}

void harness_run(struct harness *h)
{
    running = h;
    h->stop_after = h->submitted;
    loop_timer_start(&h->limit, 20 * S_NS);
    loop_uv_run(h->loop);
    loop_timer_stop(&h->limit);
    cr_assert(!h->timed_out, "only %u answered and %u failed of %u", h->answered, h->failed,
              h->submitted);
}

void harness_run_ms(struct harness *h, uint32_t ms)
{
    running = h;
    h->stop_after = 0;
    loop_timer_start(&h->limit, ms * 1000000ull);
    loop_uv_run(h->loop);
    loop_timer_stop(&h->limit);
    h->timed_out = false;
}

void harness_teardown(struct harness *h)
{
    client_session_destroy(h->session);
    loop_timer_finish(&h->limit);
    net_transport_destroy(h->transport);
    loop_uv_destroy(h->loop);
}
