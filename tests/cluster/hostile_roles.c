/* Whole frames from who may not send them, out of order, and of old views. See hostile.h.
 *
 * There is no authentication yet, so what a replica would believe of any member (that the group has
 * gone on without it, a decided view, that a node is added) is not said here. */
#include "tests/cluster/hostile.h"
#include "base/prng.h"
#include "gcs-fastdelivery/frame.h"
#include "net/death.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

/* A whole frame of this type, of epoch 0 or 1 where it is the group's. */
static void whole_frame(uint16_t type, unsigned variant, struct buffer *to)
{
    unsigned types = GCS_FRAME_END - GCS_FRAME_DATA;
    buffer_clear(to);
    if (type >= GCS_FRAME_DATA && type < GCS_FRAME_END) {
        fuzz_gcs_frame.seed(variant % GCS_MEMBER_MAX * types + type - GCS_FRAME_DATA, to);
        buffer_consume(to, 1); /* its type */
        if (gcs_frame_has_payload(type))
            buffer_append(to, "payload", 7);
    } else if (type == NET_FRAME_HELLO) {
        fuzz_hello.seed(NET_ROLE_MEMBER - 1, to);
    } else if (type == NET_FRAME_DEATH) {
        fuzz_death.seed(0, to);
    } else {
        fuzz_request.seed(variant, to);
    }
}

/* --- types that are not the role's --- */

static void only(struct hostile *h, enum net_role role, uint16_t own)
{
    struct buffer frame;
    char what[64];
    buffer_init(&frame, 1 << 20);
    for (uint16_t type = 0; type < HOSTILE_TYPES; type++) {
        if (type == own)
            continue;
        whole_frame(type, type, &frame);
        if (role)
            hostile_enter(h, role);
        else
            hostile_open(h);
        hostile_send(h, type, frame.data, frame.bytes);
        snprintf(what, sizeof what, "type %u in role %d", type, (int)role);
        hostile_must_close(h, true, what);
    }
    buffer_finish(&frame);
}

/* --- hellos --- */

static void refused(struct hostile *h, struct net_hello hello, const char *text)
{
    char said[256] = "";
    if (hostile_greet(h, &hello))
        hostile_fail("greeted; it ought to say '%s'", text);
    memcpy(said, h->frame->payload, h->frame->bytes < 255 ? h->frame->bytes : 255);
    if (!strstr(said, text))
        hostile_fail("refused by '%s'; it ought to say '%s'", said, text);
    hostile_must_close(h, true, text);
}

static void false_members(struct hostile *h)
{
    const struct net_hello good = hostile_hello(h, NET_ROLE_MEMBER), peer = h->peer;
    struct net_hello hello = good;
    hello.cluster[3] ^= 1;
    refused(h, hello, "another cluster");
    hello = good;
    hello.lineage_random++;
    refused(h, hello, "another lineage");
    hello = good;
    hello.node = h->greeting.node;
    refused(h, hello, "another node");
    hello = good;
    hello.incarnation_count = 0;
    refused(h, hello, "no incarnation");
    hello = good;
    memset(hello.store, 0, sizeof hello.store);
    refused(h, hello, "no store");
    hello = good;
    hello.node = peer.node; /* an earlier start of a member, and a copy of it */
    memcpy(hello.store, peer.store, sizeof hello.store);
    hello.incarnation_count = peer.incarnation_count - 1;
    hello.incarnation_random = 7;
    refused(h, hello, hello.incarnation_count ? "older" : "no incarnation");
    hello.incarnation_count = peer.incarnation_count;
    refused(h, hello, "two replicas");
    hello.role = NET_ROLE_TRANSFER;
    hello.lineage_random++;
    refused(h, hello, "lineage");
}

static void false_supervisors(struct hostile *h)
{
    struct net_hello hello = hostile_hello(h, NET_ROLE_SUPERVISOR);
    uint8_t bytes[NET_DEATH_BYTES];
    struct net_death death = {.node = h->peer.node, .incarnation_count = 1};
    memcpy(death.store, h->peer.store, sizeof death.store);
    net_death_encode(&death, bytes);
    hello.cluster[0] ^= 1;
    refused(h, hello, "another cluster");
    hello.cluster[0] ^= 1;
    hello.node = h->greeting.node;
    refused(h, hello, "the node itself");
    hostile_enter(h, NET_ROLE_SUPERVISOR); /* of another node than its notice */
    hostile_send(h, NET_FRAME_DEATH, bytes, sizeof bytes);
    hostile_must_close(h, true, "a notice of another node's death");
    hello.node = h->peer.node; /* a notice of an incarnation that ended long ago, sent again */
    memcpy(hello.store, h->peer.store, sizeof hello.store);
    if (!hostile_greet(h, &hello))
        hostile_fail("a supervisor is refused");
    hostile_send(h, NET_FRAME_DEATH, bytes, sizeof bytes);
    hostile_must_stay(h, "an old notice");
}

/* --- frames of the group, from a node that is not in it --- */

static bool is_believed(uint16_t type)
{
    return type == GCS_FRAME_INSTALL || type == GCS_FRAME_OUT || type == GCS_FRAME_JOIN;
}

/* All that are whole mean nothing: of another epoch, or not a member's. */
static unsigned outsiders_frames(struct hostile *h, struct prng *prng)
{
    struct buffer frame;
    unsigned sent = 0;
    buffer_init(&frame, 1 << 20);
    for (unsigned round = 0; round < 40; round++) {
        hostile_enter(h, NET_ROLE_MEMBER);
        for (unsigned i = 0; i < 40; i++, sent++) {
            uint16_t type =
                (uint16_t)(GCS_FRAME_DATA + prng_below(prng, GCS_FRAME_END - GCS_FRAME_DATA));
            whole_frame(type, (unsigned)prng_below(prng, GCS_MEMBER_MAX), &frame);
            hostile_send(h, type, frame.data, frame.bytes);
        }
        hostile_close(h);
    }
    for (unsigned round = 0; round < 400; round++, sent++) {
        uint16_t type =
            (uint16_t)(GCS_FRAME_DATA + prng_below(prng, GCS_FRAME_END - GCS_FRAME_DATA));
        whole_frame(type, round, &frame);
        fuzz_damage(&frame, prng);
        if (is_believed(type))
            continue;
        hostile_enter(h, NET_ROLE_MEMBER);
        hostile_send(h, type, frame.data, frame.bytes);
        hostile_say_end(h);
        hostile_must_close(h, false, "after a frame of the group");
    }
    buffer_finish(&frame);
    return sent;
}

/* Who fetches a state grants credits, and says nothing else. */
static void false_fetchers(struct hostile *h)
{
    static const uint8_t too_many[4] = {255, 255, 255, 255};
    struct buffer frame;
    buffer_init(&frame, 1 << 20);
    for (uint16_t type = NET_FRAME_TRANSFER_FIRST; type <= NET_FRAME_TRANSFER_LAST; type++) {
        whole_frame(type, type, &frame);
        hostile_enter(h, NET_ROLE_TRANSFER);
        hostile_send(h, type, frame.data, frame.bytes);
        hostile_must_close(h, false, "what a receiver does not say");
    }
    hostile_enter(h, NET_ROLE_TRANSFER);
    hostile_send(h, NET_FRAME_TRANSFER_FIRST + 1, too_many, sizeof too_many);
    hostile_must_close(h, false, "too many credits");
    buffer_finish(&frame);
}

void hostile_roles(struct hostile *h, uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    only(h, 0, NET_FRAME_HELLO);
    only(h, NET_ROLE_CLIENT, NET_FRAME_REQUEST);
    only(h, NET_ROLE_ADMIN, NET_FRAME_ADMIN);
    only(h, NET_ROLE_SUPERVISOR, NET_FRAME_DEATH);
    false_members(h);
    false_supervisors(h);
    false_fetchers(h);
    printf("%u frames of the group\n", outsiders_frames(h, &prng));
}
