/* Two TCP transports on one libuv loop. */
#include "tests/transport/tcp_fixture.h"

#include "net/loop_uv.h"

#include <stdlib.h>

struct tcp_fixture {
    struct loop *loop;
    struct loop_timer slice;
};

struct loop *tcp_fixture_loop(struct transport_fixture *fixture)
{
    return ((struct tcp_fixture *)fixture->user)->loop;
}

static void slice_over(struct loop_timer *timer)
{
    loop_uv_stop(timer->loop);
}

static void run(struct transport_fixture *fixture)
{
    struct tcp_fixture *tcp = fixture->user;
    loop_timer_start(&tcp->slice, 1000000);
    loop_uv_run(tcp->loop);
}

static void kill_client(struct transport_fixture *fixture)
{
    net_transport_destroy(fixture->client);
    fixture->client = NULL;
}

static void finish(struct transport_fixture *fixture)
{
    struct tcp_fixture *tcp = fixture->user;
    loop_timer_finish(&tcp->slice);
    loop_uv_destroy(tcp->loop);
    free(tcp);
}

void tcp_fixture_make(struct transport_fixture *fixture)
{
    struct tcp_fixture *tcp = calloc(1, sizeof *tcp);
    cr_assert_not_null(tcp);
    tcp->loop = loop_uv_create();
    cr_assert_not_null(tcp->loop);
    cr_assert_eq(loop_timer_init(tcp->loop, &tcp->slice, slice_over), 0);
    *fixture = (struct transport_fixture){
        .server = net_tcp_create(tcp->loop),
        .client = net_tcp_create(tcp->loop),
        .listen_address = "127.0.0.1:0",
        .dead_address = "127.0.0.1:1",
        .user = tcp,
        .run = run,
        .kill_client = kill_client,
        .finish = finish,
    };
    cr_assert(fixture->server && fixture->client);
}
