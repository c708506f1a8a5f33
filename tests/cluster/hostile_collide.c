/* Requests whose names all fall into one bucket of a table without a key: what would take time in
 * the square of their number. See hostile.h.
 *
 * uthash's own hash (Jenkins) adds twelve bytes of the name to its state and mixes. So behind any
 * first twelve bytes the next twelve can bring the state to where it ought to be: here to zero. */
#include "tests/cluster/hostile.h"
#include "base/prng.h"

#include <uthash.h>

#include <stdio.h>
#include <string.h>

enum { CONNECTIONS = 48, EACH = 1000 };

/* As submit.c has it. */
struct name {
    uint8_t session[PROTO_SESSION_BYTES];
    uint64_t seq, slot;
};

static struct name name_make(struct prng *prng)
{
    struct name name = {.slot = 0};
    for (int i = 0; i < 12; i++)
        name.session[i] = (uint8_t)prng_next(prng);
    struct reader r = reader_make(name.session, 12);
    uint32_t a = 0x9e3779b9u + reader_u32(&r), b = 0x9e3779b9u + reader_u32(&r);
    uint32_t c = 0xfeedbeefu + reader_u32(&r);
    HASH_JEN_MIX(a, b, c);
    struct writer w = writer_make(name.session + 12, 4);
    writer_u32(&w, -a);
    name.seq = -b | (uint64_t)-c << 32;
    return name;
}

static unsigned bucket_of(const struct name *name)
{
    unsigned hash;
    HASH_JEN(name, sizeof *name, hash);
    return hash;
}

static void send_all(struct hostile *h, struct prng *prng, unsigned bucket)
{
    struct buffer bytes;
    buffer_init(&bytes, PROTO_REQUEST_BYTES_MAX);
    for (unsigned i = 0; i < EACH; i++) {
        struct proto_request request = {.tag = i, .op = {.code = PROTO_SESSION_KEEP}};
        struct name name = name_make(prng);
        MUST(bucket_of(&name) == bucket);
        request.seq = name.seq;
        memcpy(request.session, name.session, sizeof request.session);
        buffer_clear(&bytes);
        if (proto_request_encode(&request, &bytes) < 0)
            hostile_fail("a request can't be encoded");
        hostile_send(h, NET_FRAME_REQUEST, bytes.data, bytes.bytes);
    }
    buffer_finish(&bytes);
}

static void hear_all(struct hostile *h)
{
    struct proto_reply reply;
    for (unsigned i = 0; i < EACH; i++)
        if (hostile_hear(h, HOSTILE_WAIT_MS) != HOSTILE_FRAME ||
            proto_reply_decode(h->frame->payload, h->frame->bytes, &reply) < 0 ||
            reply.outcome.status != PROTO_SESSION_UNKNOWN)
            hostile_fail("a request in no session is not answered so");
}

void hostile_collide(struct hostile *h, uint64_t seed)
{
    static struct hostile all[CONNECTIONS];
    struct prng prng;
    prng_init(&prng, seed);
    struct name first = name_make(&prng);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        all[i] = *h;
        all[i].fd = -1;
        hostile_enter(&all[i], NET_ROLE_CLIENT);
    }
    for (unsigned i = 0; i < CONNECTIONS; i++)
        send_all(&all[i], &prng, bucket_of(&first));
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        hear_all(&all[i]);
        hostile_close(&all[i]);
    }
    printf("%d requests of one bucket\n", CONNECTIONS * EACH);
}
