/* What is no frame, and frames that can't be decoded: closed and counted, or answered. See
 * hostile.h.
 *
 * The bytes are those that the fuzzers begin with (tests/fuzz), whole and damaged; here they meet
 * everything that stands between a socket and a decoder, too. */
#include "tests/cluster/hostile.h"
#include "base/hash.h"
#include "base/prng.h"
#include "net/frame.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

enum { ROUNDS = 12, SEED_BYTES_MAX = 1 << 20 };

/* --- headers --- */

struct header_case {
    const char *what;
    uint32_t magic;
    uint16_t version;
    uint32_t bytes;     /* that it announces */
    bool wrong_header;  /* its own checksum */
    bool wrong_payload; /* the payload's */
};

static const uint8_t content[] = "something";

static const struct header_case header_cases[] = {
    {"another magic", 0x12345678, NET_FRAME_VERSION, sizeof content, false, false},
    {"version 0", 0x49545554, 0, sizeof content, false, false},
    {"the next version", 0x49545554, NET_FRAME_VERSION + 1, sizeof content, false, false},
    {"a header's wrong checksum", 0x49545554, NET_FRAME_VERSION, sizeof content, true, false},
    {"a payload's wrong checksum", 0x49545554, NET_FRAME_VERSION, sizeof content, false, true},
    {"a payload that is too short", 0x49545554, NET_FRAME_VERSION, 1, false, false},
    {"one byte over the limit", 0x49545554, NET_FRAME_VERSION, HOSTILE_FRAME_BYTES_MAX + 1, false,
     false},
    {"2^31 bytes", 0x49545554, NET_FRAME_VERSION, UINT32_C(1) << 31, false, false},
    {"2^32 - 1 bytes", 0x49545554, NET_FRAME_VERSION, UINT32_MAX, false, false},
};

static void say_header(struct hostile *h, const struct header_case *c, uint16_t type)
{
    uint8_t raw[NET_FRAME_HEADER_BYTES];
    struct writer w = writer_make(raw, sizeof raw);
    writer_u32(&w, c->magic);
    writer_u16(&w, c->version);
    writer_u16(&w, type);
    writer_u32(&w, c->bytes);
    writer_u64(&w, hash64(content, sizeof content) ^ c->wrong_payload);
    writer_u32(&w, (uint32_t)hash64(raw, writer_used(&w)) ^ c->wrong_header);
    hostile_say(h, raw, sizeof raw);
    hostile_say(h, content, sizeof content);
}

/* The frame type that the role may send. */
static const struct role {
    enum net_role role; /* 0: a stranger, before its hello */
    uint16_t type;
    bool answers; /* what can't be decoded is answered, and the connection stays */
} roles[] = {
    {0, NET_FRAME_HELLO, false},
    {NET_ROLE_CLIENT, NET_FRAME_REQUEST, true},
    {NET_ROLE_ADMIN, NET_FRAME_ADMIN, true},
    {NET_ROLE_SUPERVISOR, NET_FRAME_DEATH, false},
    {NET_ROLE_TRANSFER, NET_FRAME_TRANSFER_FIRST, false},
    {NET_ROLE_MEMBER, NET_FRAME_GCS_FIRST, false},
};
enum { ROLES = sizeof roles / sizeof roles[0] };

static void enter(struct hostile *h, const struct role *role)
{
    if (role->role)
        hostile_enter(h, role->role);
    else
        hostile_open(h);
}

static void wrong_headers(struct hostile *h)
{
    for (unsigned r = 0; r < ROLES; r++)
        for (size_t i = 0; i < sizeof header_cases / sizeof header_cases[0]; i++) {
            enter(h, &roles[r]);
            say_header(h, &header_cases[i], roles[r].type);
            hostile_must_close(h, true, header_cases[i].what);
        }
}

/* Every beginning of a frame, and no more. The replica can't tell it from one that died. */
static void cut_off(struct hostile *h, const struct role *role)
{
    uint8_t frame[NET_FRAME_HEADER_BYTES + sizeof content];
    net_frame_header_make(frame, role->type, content, sizeof content, NULL, 0);
    memcpy(frame + NET_FRAME_HEADER_BYTES, content, sizeof content);
    for (size_t bytes = 0; bytes < sizeof frame; bytes++) {
        enter(h, role);
        hostile_say(h, frame, bytes);
        hostile_say_end(h);
        hostile_must_close(h, false, "a frame that is cut off");
    }
}

/* The longest frame that there is, and no frame but bytes behind one. */
static void extremes(struct hostile *h, const struct role *role)
{
    static uint8_t longest[HOSTILE_FRAME_BYTES_MAX];
    enter(h, role);
    hostile_send(h, role->type, longest, sizeof longest);
    if (role->role == NET_ROLE_ADMIN)
        hostile_must_stay(h, "a long verb"); /* it is text, and answered */
    else
        hostile_must_close(h, role->role != NET_ROLE_MEMBER && role->role != NET_ROLE_TRANSFER,
                           "the longest frame");
    enter(h, role);
    hostile_send(h, role->type, NULL, 0);
    if (role->answers)
        hostile_must_stay(h, "an empty frame");
    else
        hostile_must_close(h, role->role != NET_ROLE_MEMBER && role->role != NET_ROLE_TRANSFER,
                           "an empty frame");
    if (role->answers) {
        enter(h, role);
        hostile_send(h, role->type, content, sizeof content);
        hostile_say(h, longest, NET_FRAME_HEADER_BYTES);
        hostile_must_close(h, true, "bytes behind a frame");
    }
}

/* --- what the fuzzers begin with --- */

static unsigned hear_replies(struct hostile *h, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (hostile_hear(h, HOSTILE_WAIT_MS) != HOSTILE_FRAME || h->frame->type != NET_FRAME_REPLY)
            hostile_fail("a request is not answered");
    return count;
}

/* Every byte, and every four, at their bounds; cut off everywhere; one byte more. */
static unsigned vary_request(struct hostile *h, const struct buffer *seed)
{
    static const uint32_t bounds[] = {0, 1, 0x7fffffff, UINT32_MAX};
    uint8_t bytes[1024];
    unsigned sent = 0;
    MUST(seed->bytes + 4 < sizeof bytes);
    for (size_t at = 0; at < seed->bytes; at++) {
        hostile_send(h, NET_FRAME_REQUEST, seed->data, at);
        memcpy(bytes, seed->data, seed->bytes);
        memset(bytes + seed->bytes, 0, 4);
        memcpy(bytes + at, &bounds[at % 4], 4);
        hostile_send(h, NET_FRAME_REQUEST, bytes, seed->bytes);
        bytes[at] ^= 0x80;
        hostile_send(h, NET_FRAME_REQUEST, bytes, seed->bytes);
        sent += 3;
    }
    memcpy(bytes, seed->data, seed->bytes);
    hostile_send(h, NET_FRAME_REQUEST, bytes, seed->bytes + 1);
    return hear_replies(h, sent + 1);
}

static unsigned requests(struct hostile *h, struct prng *prng)
{
    struct buffer seed, input;
    unsigned sent = 0;
    buffer_init(&seed, SEED_BYTES_MAX);
    buffer_init(&input, SEED_BYTES_MAX);
    hostile_enter(h, NET_ROLE_CLIENT);
    for (unsigned n = 0; buffer_clear(&seed), fuzz_request.seed(n, &seed); n++) {
        sent += vary_request(h, &seed);
        for (unsigned i = 0; i < ROUNDS; i++) {
            buffer_clear(&input);
            buffer_append(&input, seed.data, seed.bytes);
            fuzz_damage(&input, prng);
            hostile_send(h, NET_FRAME_REQUEST, input.data, input.bytes);
            sent += hear_replies(h, 1);
        }
    }
    hostile_must_stay(h, "after bad requests");
    buffer_finish(&input);
    buffer_finish(&seed);
    return sent;
}

/* Hellos and death notices: greeted, or closed and counted. */
static unsigned damaged(struct hostile *h, const struct role *role,
                        const struct fuzz_target *target, struct prng *prng)
{
    struct buffer input;
    unsigned sent = 0;
    buffer_init(&input, SEED_BYTES_MAX);
    for (unsigned n = 0; buffer_clear(&input), target->seed(n, &input); n++)
        for (unsigned i = 0; i < ROUNDS; i++, sent++) {
            buffer_clear(&input);
            target->seed(n, &input);
            fuzz_damage(&input, prng);
            enter(h, role);
            hostile_send(h, role->type, input.data, input.bytes);
            hostile_say_end(h);
            hostile_must_close(h, false, target->name);
        }
    buffer_finish(&input);
    return sent;
}

void hostile_frames(struct hostile *h, uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    wrong_headers(h);
    for (unsigned r = 0; r < ROLES; r++) {
        cut_off(h, &roles[r]);
        extremes(h, &roles[r]);
    }
    unsigned sent = requests(h, &prng);
    sent += damaged(h, &roles[0], &fuzz_hello, &prng);
    sent += damaged(h, &roles[3], &fuzz_death, &prng);
    printf("%u damaged inputs\n", sent);
}
