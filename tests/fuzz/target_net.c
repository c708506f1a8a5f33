/* The hello, the death notice, the list of members, and a stream of frames. */
#include "base/hash.h"
#include "net/death.h"
#include "net/hello.h"
#include "net/inbox.h"
#include "net/members.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void hello_one(const uint8_t *bytes, size_t count)
{
    struct net_hello hello;
    uint8_t again[NET_HELLO_BYTES_MAX];
    if (net_hello_decode(bytes, count, &hello) < 0)
        return;
    size_t used = net_hello_encode(&hello, again);
    MUST(used <= count && memcmp(again, bytes, used) == 0);
}

static bool hello_seed(unsigned number, struct buffer *to)
{
    uint8_t raw[NET_HELLO_BYTES_MAX];
    struct net_hello hello = {.version = NET_HELLO_VERSION,
                              .role = (uint8_t)(number + 1),
                              .node = 1,
                              .cluster = {1},
                              .epoch = 7};
    if (number >= NET_ROLE_TRANSFER)
        return false;
    return buffer_append(to, raw, net_hello_encode(&hello, raw)) != NULL;
}

const struct fuzz_target fuzz_hello = {"hello", hello_one, hello_seed};

static void death_one(const uint8_t *bytes, size_t count)
{
    struct net_death death;
    uint8_t again[NET_DEATH_BYTES];
    if (net_death_decode(bytes, count, &death) < 0)
        return;
    net_death_encode(&death, again);
    MUST(count == sizeof again && memcmp(again, bytes, count) == 0);
}

static bool death_seed(unsigned number, struct buffer *to)
{
    uint8_t raw[NET_DEATH_BYTES];
    const struct net_death death = {.node = 2, .store = {1}, .incarnation_count = number + 1};
    if (number >= 2)
        return false;
    net_death_encode(&death, raw);
    return buffer_append(to, raw, sizeof raw) != NULL;
}

const struct fuzz_target fuzz_death = {"death", death_one, death_seed};

static void members_one(const uint8_t *bytes, size_t count)
{
    struct net_members members;
    uint8_t again[NET_MEMBERS_BYTES_MAX];
    if (net_members_decode(bytes, count, &members) < 0)
        return;
    MUST(net_members_encode(&members, again) == count && memcmp(again, bytes, count) == 0);
}

static bool members_seed(unsigned number, struct buffer *to)
{
    static const unsigned counts[] = {0, 1, 3, NET_MEMBERS_MAX};
    uint8_t raw[NET_MEMBERS_BYTES_MAX];
    struct net_members members = {.epoch = 7};
    if (number >= sizeof counts / sizeof *counts)
        return false;
    for (members.count = 0; members.count < counts[number]; members.count++)
        memset(members.addresses[members.count], 'a', 8 * members.count + 1);
    return buffer_append(to, raw, net_members_encode(&members, raw)) != NULL;
}

const struct fuzz_target fuzz_members = {"members", members_one, members_seed};

/* Input: { piece length u8, seal u8, bytes of the piece }. Where `seal` is odd and the piece holds
 * a header and its payload, their checksums are made right, so that what lies behind them is
 * reached. */
enum { STREAM_FRAME_BYTES_MAX = 300 };

static void seal(uint8_t *piece, size_t count)
{
    enum { CHECKSUM_AT = 12, HEADER_CHECKSUM_AT = NET_FRAME_HEADER_BYTES - 4 };
    if (count < NET_FRAME_HEADER_BYTES)
        return;
    struct writer w = writer_make(piece + CHECKSUM_AT, 8);
    writer_u64(&w, hash64(piece + NET_FRAME_HEADER_BYTES, count - NET_FRAME_HEADER_BYTES));
    w = writer_make(piece + HEADER_CHECKSUM_AT, 4);
    writer_u32(&w, (uint32_t)hash64(piece, HEADER_CHECKSUM_AT));
}

/* False: the stream is broken. */
static bool feed(struct net_inbox *inbox, const uint8_t *piece, size_t count)
{
    struct net_frame frame;
    const char *fault = NULL;
    size_t room_bytes;
    int rc;
    while (count > 0) {
        uint8_t *room = net_inbox_room(inbox, &room_bytes);
        size_t take = room && room_bytes < count ? room_bytes : count;
        struct reader from = reader_make(piece, room ? 0 : take);
        if (room) {
            memcpy(room, piece, take);
            net_inbox_filled(inbox, take);
        }
        while ((rc = net_inbox_next(inbox, &from, &frame, &fault)) > 0)
            MUST(frame.bytes <= STREAM_FRAME_BYTES_MAX &&
                 (frame.bytes == 0 || hash64(frame.payload, frame.bytes)));
        MUST(rc == 0 || (rc == -EPROTO && fault));
        if (rc < 0)
            return false;
        MUST(net_inbox_memory_bytes(inbox) <= STREAM_FRAME_BYTES_MAX);
        piece += take;
        count -= take;
    }
    return true;
}

static void stream_one(const uint8_t *bytes, size_t count)
{
    struct reader r = reader_make(bytes, count);
    struct net_inbox inbox;
    bool whole = true;
    net_inbox_init(&inbox, STREAM_FRAME_BYTES_MAX);
    while (whole && reader_left(&r) > 2) {
        size_t piece_bytes = reader_u8(&r);
        bool sealed = reader_u8(&r) & 1;
        piece_bytes = piece_bytes < reader_left(&r) ? piece_bytes : reader_left(&r);
        uint8_t *piece = malloc(piece_bytes + 1);
        MUST(piece);
        reader_copy(&r, piece, piece_bytes);
        if (sealed)
            seal(piece, piece_bytes);
        whole = feed(&inbox, piece, piece_bytes);
        free(piece);
    }
    net_inbox_finish(&inbox);
}

/* Frames whole, and cut into pieces. */
static bool stream_seed(unsigned number, struct buffer *to)
{
    static const uint8_t sizes[] = {0, 1, 40, 200};
    uint8_t frame[NET_FRAME_HEADER_BYTES + 200] = {0};
    if (number >= 8)
        return false;
    uint32_t bytes = sizes[number % 4];
    net_frame_header_make(frame, (uint16_t)number, frame + NET_FRAME_HEADER_BYTES, bytes, NULL, 0);
    size_t total = NET_FRAME_HEADER_BYTES + bytes, piece = number < 4 ? total : 7;
    for (size_t at = 0; at < total; at += piece) {
        size_t take = piece < total - at ? piece : total - at;
        buffer_u8(to, (uint8_t)take);
        buffer_u8(to, 0);
        buffer_append(to, frame + at, take);
    }
    return !to->failed;
}

const struct fuzz_target fuzz_stream = {"stream", stream_one, stream_seed};
