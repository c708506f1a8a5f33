/* Hostile connections. See hostile.h. */
#include "tests/cluster/hostile.h"
#include "net/address.h"
#include "net/frame.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char help[] =
    "usage: hostile frames|roles|client|collide|flood|links HOST:PORT PEER-HOST:PORT [SEED]\n"
    "\n"
    "  frames  what is no frame, or none that can be decoded, in each role\n"
    "  roles   whole frames from who may not send them, out of order, and of old views\n"
    "  client  sessions, sequence numbers and handles that are not its own\n"
    "  collide requests whose names have one hash, where it has no key\n"
    "  flood   large writes and reads, and no answer is read\n"
    "  links   all names that one file may have\n"
    "\n"
    "Prints how many connections the replica has to have counted as strangers'.\n"
    "Exit code: 0 the replica did as it has to; 1 it did not; 2 wrong usage.\n";

void hostile_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("hostile: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* --- bytes --- */

void hostile_close(struct hostile *h)
{
    if (h->fd >= 0)
        close(h->fd);
    h->fd = -1;
}

void hostile_open(struct hostile *h)
{
    char host[NET_HOST_BYTES], port[NET_PORT_BYTES];
    struct sockaddr_storage where;
    struct error error;
    hostile_close(h);
    if (net_address_split(h->address, host, port, &error) < 0 ||
        net_address_numeric(host, port, &where) < 0)
        hostile_fail("%s is no address", h->address);
    h->fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (h->fd < 0 || connect(h->fd, (struct sockaddr *)&where, sizeof where) < 0 ||
        setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0)
        hostile_fail("cannot connect to %s: %s", h->address, strerror(errno));
}

bool hostile_say(struct hostile *h, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count > 0) {
        ssize_t sent = send(h->fd, at, count, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        count -= (size_t)sent;
    }
    return true;
}

void hostile_say_end(struct hostile *h)
{
    if (shutdown(h->fd, SHUT_WR) < 0 && errno != ENOTCONN)
        hostile_fail("shutdown: %s", strerror(errno));
}

bool hostile_send(struct hostile *h, uint16_t type, const void *payload, size_t count)
{
    uint8_t header[NET_FRAME_HEADER_BYTES];
    net_frame_header_make(header, type, payload, (uint32_t)count, NULL, 0);
    return hostile_say(h, header, sizeof header) && hostile_say(h, payload, count);
}

/* HOSTILE_FRAME: all of it is there. */
static enum hostile_answer hear_bytes(struct hostile *h, void *to, size_t count, int wait_ms)
{
    for (size_t got = 0; got < count;) {
        struct pollfd ready = {.fd = h->fd, .events = POLLIN};
        if (poll(&ready, 1, wait_ms) == 0)
            return HOSTILE_SILENT;
        ssize_t bytes = recv(h->fd, (char *)to + got, count - got, 0);
        if (bytes <= 0)
            return HOSTILE_CLOSED;
        got += (size_t)bytes;
    }
    return HOSTILE_FRAME;
}

static enum hostile_answer hear_frame(struct hostile *h, int wait_ms)
{
    uint8_t raw[NET_FRAME_HEADER_BYTES];
    struct net_frame_header header;
    enum hostile_answer answer = hear_bytes(h, raw, sizeof raw, wait_ms);
    if (answer != HOSTILE_FRAME)
        return answer;
    const char *fault = net_frame_header_read(raw, HOSTILE_FRAME_BYTES_MAX, &header);
    if (fault)
        hostile_fail("the replica sends no frame: %s", fault);
    h->frame->type = header.type;
    h->frame->bytes = header.bytes;
    return hear_bytes(h, h->frame->payload, header.bytes, HOSTILE_WAIT_MS);
}

/* Who the members are is said unasked. */
enum hostile_answer hostile_hear(struct hostile *h, int wait_ms)
{
    enum hostile_answer answer;
    do
        answer = hear_frame(h, wait_ms);
    while (answer == HOSTILE_FRAME && h->frame->type == NET_FRAME_MEMBERS);
    return answer;
}

/* --- roles --- */

/* A node that nobody knows. */
struct net_hello hostile_hello(const struct hostile *h, enum net_role role)
{
    struct net_hello hello = {.version = NET_HELLO_VERSION, .role = (uint8_t)role};
    if (role == NET_ROLE_CLIENT || role == NET_ROLE_ADMIN)
        return hello;
    hello.node = 200;
    hello.incarnation_count = hello.incarnation_random = 1;
    hello.lineage_random = h->greeting.lineage_random;
    hello.lineage_generation = h->greeting.lineage_generation;
    memcpy(hello.cluster, h->greeting.cluster, sizeof hello.cluster);
    memset(hello.store, 0x5a, sizeof hello.store);
    return hello;
}

bool hostile_greet(struct hostile *h, const struct net_hello *hello)
{
    uint8_t bytes[NET_HELLO_BYTES_MAX];
    hostile_open(h);
    hostile_send(h, NET_FRAME_HELLO, bytes, net_hello_encode(hello, bytes));
    if (hostile_hear(h, HOSTILE_WAIT_MS) != HOSTILE_FRAME)
        hostile_fail("role %d is neither greeted nor refused", (int)hello->role);
    if (h->frame->type == NET_FRAME_REFUSED)
        return false;
    if (h->frame->type != NET_FRAME_HELLO ||
        net_hello_decode(h->frame->payload, h->frame->bytes, &h->greeting) < 0)
        hostile_fail("role %d is not greeted", (int)hello->role);
    return true;
}

void hostile_enter(struct hostile *h, enum net_role role)
{
    const struct net_hello hello = hostile_hello(h, role);
    for (int waited_ms = 0; !hostile_greet(h, &hello); waited_ms += 10) {
        if (waited_ms > HOSTILE_WAIT_MS)
            hostile_fail("role %d is refused: %.*s", (int)role, (int)h->frame->bytes,
                         (const char *)h->frame->payload);
        usleep(10000); /* those before it may not be gone yet */
    }
}

void hostile_must_close(struct hostile *h, bool counted, const char *what)
{
    enum hostile_answer answer;
    while ((answer = hostile_hear(h, HOSTILE_WAIT_MS)) == HOSTILE_FRAME)
        ; /* a refusal, or what it says on its own */
    if (answer == HOSTILE_SILENT)
        hostile_fail("%s: the connection stays", what);
    h->closed += counted;
    hostile_close(h);
}

void hostile_must_stay(struct hostile *h, const char *what)
{
    enum hostile_answer answer;
    while ((answer = hostile_hear(h, 20)) == HOSTILE_FRAME)
        ;
    if (answer == HOSTILE_CLOSED)
        hostile_fail("%s: the connection is closed", what);
}

struct proto_reply hostile_ask(struct hostile *h, const struct proto_request *request)
{
    struct buffer bytes;
    struct proto_reply reply;
    buffer_init(&bytes, PROTO_REQUEST_BYTES_MAX);
    if (proto_request_encode(request, &bytes) < 0)
        hostile_fail("operation %d can't be encoded", (int)request->op.code);
    hostile_send(h, NET_FRAME_REQUEST, bytes.data, bytes.bytes);
    buffer_finish(&bytes);
    if (hostile_hear(h, HOSTILE_WAIT_MS) != HOSTILE_FRAME || h->frame->type != NET_FRAME_REPLY ||
        proto_reply_decode(h->frame->payload, h->frame->bytes, &reply) < 0 ||
        reply.tag != request->tag)
        hostile_fail("operation %d is not answered", (int)request->op.code);
    return reply;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct hostile *h, uint64_t seed);
    } kinds[] = {{"frames", hostile_frames},   {"roles", hostile_roles}, {"client", hostile_client},
                 {"collide", hostile_collide}, {"flood", hostile_flood}, {"links", hostile_links}};
    struct hostile h = {.fd = -1};
    if (argc != 4 && argc != 5) {
        fputs(help, argc == 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
        return 2;
    }
    h.frame = malloc(sizeof *h.frame);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!h.frame || strcmp(argv[1], kinds[i].name) != 0)
            continue;
        h.address = argv[3];
        hostile_enter(&h, NET_ROLE_CLIENT);
        h.peer = h.greeting;
        h.address = argv[2];
        hostile_enter(&h, NET_ROLE_CLIENT);
        kinds[i].run(&h, argc == 5 ? strtoull(argv[4], NULL, 10) : 1);
        hostile_close(&h);
        free(h.frame);
        printf("%lu closed\n", (unsigned long)h.closed);
        return 0;
    }
    fputs(help, stderr);
    return 2;
}
