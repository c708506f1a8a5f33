/* Bytes of strangers on a live TCP listener: the connection is closed, counted, and no memory is
 * held. */
#include "tests/transport/tcp_fixture.h"

#include "base/cursor.h"
#include "base/hash.h"
#include "base/prng.h"
#include "net/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { TIMEOUT_MS = 150, FRAME_BYTES_MAX = 1 << 20, QUEUE_BYTES_MAX = 1 << 20 };

struct scene {
    struct transport_fixture fixture;
    struct net_listener *listener;
    struct sockaddr_in address;
    unsigned frames, closed;
    enum net_reason reason;
    char detail[128];
    struct net_conn *last;
};

static void frame(struct net_conn *conn, const struct net_frame *frame)
{
    ((struct scene *)conn->user)->frames++;
}

static void closed(struct net_conn *conn, enum net_reason reason, const char *detail)
{
    struct scene *scene = conn->user;
    scene->closed++;
    scene->reason = reason;
    snprintf(scene->detail, sizeof scene->detail, "%s", detail);
}

static const struct net_handlers *accepted(void *user, struct net_conn *conn, const char *peer)
{
    static const struct net_handlers handlers = {.frame = frame, .closed = closed};
    struct scene *scene = user;
    conn->user = scene;
    scene->last = conn;
    return &handlers;
}

static void scene_init(struct scene *scene)
{
    struct error error = {""};
    struct net_accept accept = {accepted, scene};
    struct net_limits limits = {FRAME_BYTES_MAX, QUEUE_BYTES_MAX, TIMEOUT_MS * UINT64_C(1000000)};
    *scene = (struct scene){0};
    tcp_fixture_make(&scene->fixture);
    int rc = net_listen(scene->fixture.server, "127.0.0.1:0", &limits, &accept, &scene->listener,
                        &error);
    cr_assert_eq(rc, 0, "%s", error.text);
    scene->address = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(strrchr(scene->listener->address, ':') + 1)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static void scene_finish(struct scene *scene)
{
    net_transport_destroy(scene->fixture.client);
    net_transport_destroy(scene->fixture.server);
    scene->fixture.finish(&scene->fixture);
}

static int stranger(struct scene *scene)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&scene->address, sizeof scene->address), 0);
    cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void turns(struct scene *scene, unsigned count)
{
    while (count-- > 0)
        scene->fixture.run(&scene->fixture);
}

/* True once the server has closed it. */
static bool hung_up(int fd)
{
    char byte;
    ssize_t n = read(fd, &byte, 1);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static struct net_counters counters(struct scene *scene)
{
    struct net_counters c;
    net_counters(scene->fixture.server, &c);
    return c;
}

/* The stranger says `bytes`; expects the end of the connection for `reason`. */
static void say(const void *bytes, size_t count, enum net_reason reason, const char *detail)
{
    struct scene scene;
    scene_init(&scene);
    int fd = stranger(&scene);
    cr_assert_eq(write(fd, bytes, count), (ssize_t)count);
    for (unsigned i = 0; i < 5000 && !(scene.closed && hung_up(fd)); i++)
        turns(&scene, 1);
    cr_assert(scene.closed == 1 && hung_up(fd), "the connection goes on");
    cr_assert_eq(scene.reason, reason, "reason: %s", net_reason_name(scene.reason));
    cr_assert_not_null(strstr(scene.detail, detail), "detail: %s", scene.detail);
    cr_assert_eq(scene.frames, 0);
    cr_assert_eq(counters(&scene).connections_refused, 1);
    cr_assert_eq(counters(&scene).connections_open, 0);
    cr_assert_eq(counters(&scene).memory_bytes, 0);
    cr_assert_eq(counters(&scene).bytes_sent, 0, "a stranger is answered");
    close(fd);
    scene_finish(&scene);
}

Test(strangers, http, .timeout = 30)
{
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/7.88\r\n\r\n";
    say(request, sizeof request - 1, NET_REASON_PROTOCOL, "not a Tutti peer");
}

Test(strangers, tls_hello, .timeout = 30)
{
    uint8_t hello[517] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03};
    say(hello, sizeof hello, NET_REASON_PROTOCOL, "not a Tutti peer");
}

Test(strangers, random_bytes, .timeout = 60)
{
    struct prng prng;
    prng_init(&prng, 1);
    for (unsigned round = 0; round < 20; round++) {
        uint8_t bytes[1000];
        for (unsigned i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)prng_next(&prng);
        say(bytes, sizeof bytes, NET_REASON_PROTOCOL, "");
    }
}

/* A header whose own checksum is right, whatever it says. */
static void header_seal(uint8_t header[NET_FRAME_HEADER_BYTES])
{
    struct writer w = writer_make(header + NET_FRAME_HEADER_BYTES - 4, 4);
    writer_u32(&w, (uint32_t)hash64(header, NET_FRAME_HEADER_BYTES - 4));
}

static void header_make(uint8_t header[NET_FRAME_HEADER_BYTES], uint32_t bytes)
{
    enum { BYTES_AT = 8 };
    net_frame_header_make(header, 1, NULL, 0, NULL, 0);
    struct writer w = writer_make(header + BYTES_AT, 4);
    writer_u32(&w, bytes);
    header_seal(header);
}

Test(strangers, four_gigabytes, .timeout = 30)
{
    static const uint32_t lengths[] = {FRAME_BYTES_MAX + 1, UINT32_MAX / 2, UINT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t header[NET_FRAME_HEADER_BYTES];
        header_make(header, lengths[i]);
        say(header, sizeof header, NET_REASON_PROTOCOL, "size limit");
    }
}

Test(strangers, bad_header_checksum, .timeout = 60)
{
    for (unsigned bit = 0; bit < 8 * NET_FRAME_HEADER_BYTES; bit += 5) {
        uint8_t header[NET_FRAME_HEADER_BYTES];
        net_frame_header_make(header, 1, NULL, 0, NULL, 0);
        header[bit / 8] ^= (uint8_t)(1u << bit % 8);
        say(header, sizeof header, NET_REASON_PROTOCOL, "");
    }
}

Test(strangers, other_version, .timeout = 30)
{
    enum { VERSION_AT = 4 };
    uint8_t header[NET_FRAME_HEADER_BYTES];
    net_frame_header_make(header, 1, NULL, 0, NULL, 0);
    header[VERSION_AT]++;
    header_seal(header);
    say(header, sizeof header, NET_REASON_PROTOCOL, "version");
}

Test(strangers, bad_payload_checksum, .timeout = 30)
{
    uint8_t frame[NET_FRAME_HEADER_BYTES + 100] = {0};
    net_frame_header_make(frame, 1, frame + NET_FRAME_HEADER_BYTES, 100, NULL, 0);
    frame[NET_FRAME_HEADER_BYTES + 50] ^= 1;
    say(frame, sizeof frame, NET_REASON_PROTOCOL, "bad checksum of a frame");
}

/* One byte at a time, each in time, the frame never. */
static void drip(const uint8_t *bytes, size_t count, unsigned pause_turns)
{
    struct scene scene;
    scene_init(&scene);
    int fd = stranger(&scene);
    for (size_t i = 0; i < count && !scene.closed; i++) {
        cr_assert_eq(write(fd, bytes + i, 1), 1);
        turns(&scene, pause_turns);
    }
    cr_assert_eq(scene.closed, 1, "the connection goes on");
    cr_assert_eq(scene.reason, NET_REASON_TIMEOUT);
    cr_assert_eq(counters(&scene).connections_refused, 1);
    cr_assert_eq(counters(&scene).memory_bytes, 0);
    close(fd);
    scene_finish(&scene);
}

Test(strangers, slow_header, .timeout = 30)
{
    uint8_t header[NET_FRAME_HEADER_BYTES];
    header_make(header, 100);
    drip(header, sizeof header, 40);
}

Test(strangers, slow_payload, .timeout = 30)
{
    uint8_t frame[NET_FRAME_HEADER_BYTES + 1000] = {0};
    header_make(frame, 1000);
    drip(frame, sizeof frame, 5);
}

Test(strangers, silence, .timeout = 30)
{
    say("", 0, NET_REASON_TIMEOUT, "in time");
}

/* What is announced is not what is held: memory follows the bytes that have arrived. */
Test(strangers, announced_and_not_sent, .timeout = 60)
{
    enum { COUNT = 200, SENT = 3000 };
    static uint8_t bytes[NET_FRAME_HEADER_BYTES + SENT];
    int fds[COUNT];
    struct scene scene;
    scene_init(&scene);
    header_make(bytes, FRAME_BYTES_MAX);
    for (unsigned i = 0; i < COUNT; i++) {
        fds[i] = stranger(&scene);
        cr_assert_eq(write(fds[i], bytes, sizeof bytes), (ssize_t)sizeof bytes);
        if (i % 50 == 0)
            turns(&scene, 1);
    }
    for (unsigned i = 0; i < 1000 && counters(&scene).bytes_received < COUNT * sizeof bytes; i++)
        turns(&scene, 1);
    cr_assert_leq(counters(&scene).memory_bytes, COUNT * 2 * 4096);
    for (unsigned i = 0; i < 5000 && scene.closed < COUNT; i++)
        turns(&scene, 1);
    cr_assert_eq(scene.closed, COUNT);
    cr_assert_eq(counters(&scene).connections_refused, COUNT);
    cr_assert_eq(counters(&scene).memory_bytes, 0);
    for (unsigned i = 0; i < COUNT; i++)
        close(fds[i]);
    scene_finish(&scene);
}

/* As many as this process may have: each connection is two descriptors here. */
static unsigned connections_possible(unsigned wanted)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t files = 2 * wanted + 100;
    limit.rlim_cur = limit.rlim_max < files ? limit.rlim_max : files;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return (unsigned)(limit.rlim_cur - 100) / 2;
}

/* Thousands of connections at once; meanwhile and afterwards a real peer is served. */
Test(strangers, thousands, .timeout = 60)
{
    enum { COUNT_MAX = 3000 };
    static int fds[COUNT_MAX];
    struct scene scene;
    unsigned count = connections_possible(COUNT_MAX), rounds = 0;
    cr_assert_geq(count, 400);
    scene_init(&scene);
    for (unsigned i = 0; i < count; i++) {
        fds[i] = stranger(&scene);
        if (i % 3 == 0)
            cr_assert_eq(write(fds[i], "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1", 32), 32);
        if (i % 100 == 0)
            turns(&scene, 1);
    }
    uint8_t good[NET_FRAME_HEADER_BYTES];
    net_frame_header_make(good, 7, NULL, 0, NULL, 0);
    int fd = stranger(&scene);
    cr_assert_eq(write(fd, good, sizeof good), (ssize_t)sizeof good);
    while (scene.closed < count && rounds++ < 20000)
        turns(&scene, 1);
    cr_assert_eq(scene.closed, count);
    cr_assert_eq(scene.frames, 1, "a peer was not served");
    cr_assert_eq(counters(&scene).connections_refused, count);
    cr_assert_eq(counters(&scene).connections_open, 1);
    cr_assert_eq(counters(&scene).memory_bytes, 0);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    close(fd);
    scene_finish(&scene);
}

/* The time while paused belongs to the receiver, not to the sender. */
Test(strangers, pause_stops_the_clock, .timeout = 30)
{
    struct scene scene;
    scene_init(&scene);
    int fd = stranger(&scene);
    uint8_t good[NET_FRAME_HEADER_BYTES];
    net_frame_header_make(good, 7, NULL, 0, NULL, 0);
    cr_assert_eq(write(fd, good, 10), 10);
    for (unsigned i = 0; i < 100 && counters(&scene).bytes_received < 10; i++)
        turns(&scene, 1);
    net_pause(scene.last, true);
    turns(&scene, 3 * TIMEOUT_MS);
    cr_assert_eq(scene.closed, 0);
    net_pause(scene.last, false);
    cr_assert_eq(write(fd, good + 10, 14), 14);
    for (unsigned i = 0; i < 1000 && scene.frames == 0; i++)
        turns(&scene, 1);
    cr_assert_eq(scene.frames, 1);
    close(fd);
    scene_finish(&scene);
}
