/* A client that asks for much and reads no answer, for some seconds: what a replica holds for it is
 * bounded. See hostile.h. */
#include "tests/cluster/hostile.h"
#include "base/prng.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECONDS = 5, DATA_BYTES = 60000, SLOTS = PROTO_SLOTS_MAX - 1 };

static uint8_t content[DATA_BYTES];

static struct proto_request request_of(const uint8_t *session, uint64_t seq, struct proto_op op)
{
    struct proto_request request = {.tag = seq, .seq = seq, .op = op};
    memcpy(request.session, session, sizeof request.session);
    return request;
}

/* The file that it reads and writes. */
static uint64_t begin(struct hostile *h, const uint8_t *session)
{
    char name[32];
    snprintf(name, sizeof name, "flood.%d", (int)getpid());
    const struct proto_op open = {.code = PROTO_SESSION_OPEN, .count = PROTO_SLOTS_MAX};
    const struct proto_op create = {.code = PROTO_CREATE,
                                    .parent = PROTO_ROOT_INO,
                                    .name = {(uint8_t *)name, (uint32_t)strlen(name)},
                                    .mode = S_IFREG | 0600,
                                    .flags = PROTO_OPEN_WRITE};
    struct proto_request request = request_of(session, 1, open);
    hostile_ask(h, &request);
    request = request_of(session, 2, create);
    struct proto_reply reply = hostile_ask(h, &request);
    if (reply.outcome.status != PROTO_OK)
        hostile_fail("no file: %s", proto_status_name(reply.outcome.status));
    return reply.outcome.attr.ino;
}

/* A write in every slot, and a read for each. False: the replica has hung up. */
static bool ask_all(struct hostile *h, const uint8_t *session, uint64_t ino, uint64_t seq)
{
    const struct proto_op write = {
        .code = PROTO_WRITE, .ino = ino, .data = {content, sizeof content}};
    const struct proto_op read = {.code = PROTO_READ, .ino = ino, .count = DATA_BYTES};
    struct buffer bytes;
    bool taken = true;
    buffer_init(&bytes, PROTO_REQUEST_BYTES_MAX);
    for (unsigned i = 0; i < 2 * SLOTS && taken; i++) {
        struct proto_request request = request_of(session, seq, i % 2 ? read : write);
        request.slot = (uint16_t)(1 + i / 2);
        buffer_clear(&bytes);
        if (proto_request_encode(&request, &bytes) < 0)
            hostile_fail("a request can't be encoded");
        taken = hostile_send(h, NET_FRAME_REQUEST, bytes.data, bytes.bytes);
    }
    buffer_finish(&bytes);
    return taken;
}

static void over(int signal)
{
    _exit(0);
}

void hostile_flood(struct hostile *h, uint64_t seed)
{
    uint8_t session[PROTO_SESSION_BYTES];
    struct prng prng;
    uint64_t seq = 1;
    signal(SIGALRM, over); /* wherever it waits then */
    alarm(SECONDS);
    prng_init(&prng, seed);
    for (int i = 0; i < PROTO_SESSION_BYTES; i++)
        session[i] = (uint8_t)prng_next(&prng);
    uint64_t ino = begin(h, session);
    while (ask_all(h, session, ino, seq))
        seq++;
}
