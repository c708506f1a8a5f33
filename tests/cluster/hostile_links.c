/* As many names of one file as there may be, and one more; and the listing of them. See hostile.h.
 */
#include "tests/cluster/hostile.h"
#include "base/prng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LINKS_MAX = 65000, AT_ONCE = 1000, NAME_BYTES = 32 };

static uint8_t session[PROTO_SESSION_BYTES];

static struct proto_reply ask(struct hostile *h, uint64_t seq, struct proto_op op)
{
    struct proto_request request = {.tag = seq, .seq = seq, .op = op};
    memcpy(request.session, session, sizeof request.session);
    return hostile_ask(h, &request);
}

static struct proto_bytes name_of(char name[NAME_BYTES], unsigned number)
{
    int bytes = snprintf(name, NAME_BYTES, "%u", number);
    return (struct proto_bytes){(const uint8_t *)name, (uint32_t)bytes};
}

static struct proto_op link_of(uint64_t file, uint64_t directory, struct proto_bytes name)
{
    return (struct proto_op){.code = PROTO_LINK, .ino = file, .parent2 = directory, .name2 = name};
}

/* Each in a slot of its own; the slots' sequence counts rounds. */
static void link_all(struct hostile *h, uint64_t file, uint64_t directory)
{
    struct proto_reply reply;
    struct buffer bytes;
    char name[NAME_BYTES];
    buffer_init(&bytes, PROTO_REQUEST_BYTES_MAX);
    for (unsigned first = 1; first < LINKS_MAX; first += AT_ONCE) {
        unsigned end = first + AT_ONCE < LINKS_MAX ? first + AT_ONCE : LINKS_MAX;
        for (unsigned i = first; i < end; i++) {
            struct proto_request request = {.tag = i,
                                            .slot = (uint16_t)(1 + i - first),
                                            .seq = 1 + first / AT_ONCE,
                                            .op = link_of(file, directory, name_of(name, i))};
            memcpy(request.session, session, sizeof request.session);
            buffer_clear(&bytes);
            if (proto_request_encode(&request, &bytes) < 0)
                hostile_fail("a link can't be encoded");
            hostile_send(h, NET_FRAME_REQUEST, bytes.data, bytes.bytes);
        }
        for (unsigned i = first; i < end; i++)
            if (hostile_hear(h, HOSTILE_WAIT_MS) != HOSTILE_FRAME ||
                proto_reply_decode(h->frame->payload, h->frame->bytes, &reply) < 0 ||
                reply.outcome.status != PROTO_OK)
                hostile_fail("a link of those that there may be is not made");
    }
    buffer_finish(&bytes);
}

/* Each name once, whatever the order. */
static void list_all(struct hostile *h, uint64_t directory)
{
    static bool seen[LINKS_MAX];
    struct proto_op op = {.code = PROTO_READDIR, .ino = directory, .count = PROTO_DATA_BYTES_MAX};
    unsigned count = 0;
    bool more = true;
    while (more) {
        struct proto_reply reply = ask(h, 1, op);
        struct reader r = reader_make(reply.outcome.data.data, reply.outcome.data.bytes);
        struct proto_dirent entry;
        char name[NAME_BYTES] = "";
        more = reply.outcome.status == PROTO_OK && reply.outcome.data.bytes > 0;
        while (reader_left(&r) > 0 && proto_dirent_decode(&r, &entry) == 0) {
            snprintf(name, sizeof name, "%.*s", (int)entry.name.bytes,
                     (const char *)entry.name.data);
            op.cookie = entry.cookie;
            unsigned number = (unsigned)strtoul(name, NULL, 10);
            if (number == 0) /* . and .. */
                continue;
            if (number >= LINKS_MAX || seen[number])
                hostile_fail("'%s' is listed, or twice", name);
            seen[number] = true;
            count++;
        }
    }
    if (count != LINKS_MAX - 1)
        hostile_fail("%u names are listed, of %d", count, LINKS_MAX - 1);
}

void hostile_links(struct hostile *h, uint64_t seed)
{
    struct prng prng;
    char name[NAME_BYTES];
    prng_init(&prng, seed);
    for (int i = 0; i < PROTO_SESSION_BYTES; i++)
        session[i] = (uint8_t)prng_next(&prng);
    ask(h, 1, (struct proto_op){.code = PROTO_SESSION_OPEN, .count = PROTO_SLOTS_MAX});
    uint64_t directory = ask(h, 2,
                             (struct proto_op){.code = PROTO_MKDIR,
                                               .parent = PROTO_ROOT_INO,
                                               .name = {(const uint8_t *)"links", 5},
                                               .mode = S_IFDIR | 0755})
                             .outcome.attr.ino;
    uint64_t file = ask(h, 3,
                        (struct proto_op){.code = PROTO_MKNOD,
                                          .parent = PROTO_ROOT_INO,
                                          .name = {(const uint8_t *)"linked", 6},
                                          .mode = S_IFREG | 0644})
                        .outcome.attr.ino;
    link_all(h, file, directory);
    struct proto_op beyond = link_of(file, directory, name_of(name, LINKS_MAX));
    if (ask(h, 4, beyond).outcome.status != PROTO_MLINK)
        hostile_fail("more links than there may be");
    const struct proto_op look = {.code = PROTO_GETATTR, .ino = file};
    if (ask(h, 4, look).outcome.attr.nlink != LINKS_MAX)
        hostile_fail("%u links", ask(h, 4, look).outcome.attr.nlink);
    list_all(h, directory);
}
