/* Admin exchanges on a loop of their own: connect, hello, one question, one answer.
 *
 * Invariants: each exchange ends once, by its answer, by the end of its connection or by the time;
 * the loop stops when all have. Whatever a replica sends is validated or refused; nothing of it is
 * printed unseen. */
#include "client/ctl_admin.h"
#include "net/hello.h"
#include "net/loop_uv.h"
#include "net/transport.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLY_BYTES_MAX = 1024 * 1024 };

static const struct net_limits limits = {
    .frame_bytes_max = REPLY_BYTES_MAX, .queue_bytes_max = REPLY_BYTES_MAX, .frame_timeout_ns = 0};

struct round;

struct admin_conn {
    struct round *round;
    struct ctl_exchange *exchange;
    struct net_conn *conn;
    bool greeted, ended;
};

struct round {
    struct loop *loop;
    struct net_transport *transport;
    struct loop_timer timer;
    struct admin_conn *conns;
    uint32_t count, open;
};

static void make_printable(char *text)
{
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
}

char *ctl_text(const json_t *object, const char *key, char *to, size_t capacity)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value))
        snprintf(to, capacity, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(to, capacity, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_boolean(value))
        snprintf(to, capacity, "%s", json_is_true(value) ? "yes" : "no");
    else
        to[0] = 0;
    make_printable(to);
    return to;
}

__attribute__((format(printf, 3, 4))) static void end(struct admin_conn *a, int code,
                                                      const char *format, ...)
{
    if (a->ended)
        return;
    a->ended = true;
    a->exchange->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(a->exchange->trouble, sizeof a->exchange->trouble, format, args);
    va_end(args);
    make_printable(a->exchange->trouble);
    if (a->conn)
        net_close(a->conn);
    if (--a->round->open == 0)
        loop_uv_stop(a->round->loop);
}

static void on_opened(struct net_conn *conn)
{
    struct admin_conn *a = conn->user;
    struct net_hello hello = {.version = NET_HELLO_VERSION, .role = NET_ROLE_ADMIN};
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    size_t count = net_hello_encode(&hello, bytes);
    if (net_send(conn, NET_FRAME_HELLO, bytes, (uint32_t)count, NULL))
        end(a, -EIO, "the hello could not be sent");
}

static void ask(struct admin_conn *a, const struct net_frame *frame)
{
    struct net_hello hello;
    if (net_hello_decode(frame->payload, frame->bytes, &hello) || hello.role != NET_ROLE_MEMBER ||
        hello.version != NET_HELLO_VERSION) {
        end(a, -EPROTO, "not a Tutti replica of this version");
        return;
    }
    a->greeted = true;
    char *text = json_dumps(a->exchange->request, JSON_COMPACT);
    if (!text || net_send(a->conn, NET_FRAME_ADMIN, text, (uint32_t)strlen(text), NULL))
        end(a, -EIO, "the request could not be sent");
    free(text);
}

static void take_answer(struct admin_conn *a, const struct net_frame *frame)
{
    json_t *reply = json_loadb((const char *)frame->payload, frame->bytes, 0, NULL);
    if (!json_is_object(reply)) {
        json_decref(reply);
        end(a, -EPROTO, "the answer is not a JSON object");
        return;
    }
    a->exchange->reply = reply;
    end(a, 0, "%s", "");
}

static void on_frame(struct net_conn *conn, const struct net_frame *frame)
{
    struct admin_conn *a = conn->user;
    if (a->ended)
        return;
    if (frame->type == NET_FRAME_REFUSED)
        end(a, -ECONNREFUSED, "refused: %.*s", (int)(frame->bytes < 200 ? frame->bytes : 200),
            (const char *)frame->payload);
    else if (!a->greeted && frame->type == NET_FRAME_HELLO)
        ask(a, frame);
    else if (a->greeted && frame->type == NET_FRAME_ADMIN_REPLY)
        take_answer(a, frame);
    else
        end(a, -EPROTO, "not a Tutti replica (unexpected frame)");
}

static void on_closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct admin_conn *a = conn->user;
    a->conn = NULL;
    if (detail && *detail)
        end(a, -ECONNRESET, "%s", detail);
    else
        end(a, -ECONNRESET, "%s", net_reason_name(reason));
}

static const struct net_handlers handlers = {
    .opened = on_opened, .frame = on_frame, .closed = on_closed};

static void on_time(struct loop_timer *timer)
{
    struct round *round = CONTAINER_OF(timer, struct round, timer);
    for (uint32_t i = 0; i < round->count; i++)
        end(&round->conns[i], -ETIMEDOUT,
            round->conns[i].greeted ? "no answer in time" : "not reachable in time");
}

static int round_init(struct round *round, uint32_t count)
{
    round->loop = loop_uv_create();
    if (!round->loop)
        return -ENOMEM;
    round->transport = net_tcp_create(round->loop);
    round->conns = calloc(count, sizeof *round->conns);
    round->count = round->open = count;
    if (!round->transport || !round->conns)
        return -ENOMEM;
    return loop_timer_init(round->loop, &round->timer, on_time);
}

static void round_finish(struct round *round)
{
    if (round->transport)
        net_transport_destroy(round->transport);
    if (round->loop) {
        loop_timer_finish(&round->timer);
        loop_uv_destroy(round->loop);
    }
    free(round->conns);
}

static void start(struct round *round, uint32_t i, struct ctl_exchange *exchange)
{
    struct admin_conn *a = &round->conns[i];
    struct error error = {{0}};
    *a = (struct admin_conn){.round = round, .exchange = exchange};
    exchange->reply = NULL;
    int code = net_connect(round->transport, exchange->address, NULL, &limits, &handlers, a,
                           &a->conn, &error);
    if (code) {
        a->conn = NULL;
        end(a, code, "%s", error.text);
    }
}

int ctl_exchange_all(struct ctl_exchange *exchanges, uint32_t count, uint64_t timeout_ns)
{
    struct round round = {0};
    int code = round_init(&round, count);
    if (!code) {
        for (uint32_t i = 0; i < count; i++)
            start(&round, i, &exchanges[i]);
        loop_timer_start(&round.timer, timeout_ns);
        if (round.open)
            loop_uv_run(round.loop);
    }
    round_finish(&round);
    return code;
}
