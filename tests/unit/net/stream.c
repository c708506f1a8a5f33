/* frame, inbox, outbox: without a socket. */
#include "base/prng.h"
#include "net/frame.h"
#include "net/inbox.h"
#include "net/outbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

Test(frame, header)
{
    uint8_t raw[NET_FRAME_HEADER_BYTES];
    struct net_frame_header header;
    net_frame_header_make(raw, 48, "head", 4, "payload", 7);
    cr_assert_null(net_frame_header_read(raw, 11, &header));
    cr_assert(header.type == 48 && header.bytes == 11);
    cr_assert(net_frame_payload_valid(&header, "headpayload"));
    cr_assert(!net_frame_payload_valid(&header, "headpayloae"));
    cr_assert_not_null(net_frame_header_read(raw, 10, &header), "over the limit");
}

Test(frame, every_flipped_bit_is_seen)
{
    uint8_t raw[NET_FRAME_HEADER_BYTES];
    struct net_frame_header header;
    net_frame_header_make(raw, 1, "x", 1, NULL, 0);
    for (unsigned bit = 0; bit < 8 * sizeof raw; bit++) {
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_not_null(net_frame_header_read(raw, UINT32_MAX, &header), "bit %u", bit);
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert_null(net_frame_header_read(raw, UINT32_MAX, &header));
}

/* On the wire: it must never change. */
Test(frame, fixed_bytes)
{
    static const uint8_t expected[] = {'T', 'U', 'T',  'I',  1,    0,    2,    0,    3,    0,
                                       0,   0,   0x50, 0x39, 0x2f, 0x89, 0x94, 0x5f, 0xaf, 0x78};
    uint8_t raw[NET_FRAME_HEADER_BYTES];
    net_frame_header_make(raw, 2, "abc", 3, NULL, 0);
    cr_assert_arr_eq(raw, expected, sizeof expected);
}

/* A stream of frames of many sizes, made by an outbox. */
enum { FRAMES = 60 };

static uint32_t size_of(uint32_t number)
{
    static const uint32_t sizes[] = {0, 1, 23, 24, 25, 1000, 1024, 1025, 4096, 70000};
    return sizes[number % 10] + number / 10;
}

static void fill(struct net_outbox *outbox)
{
    for (uint32_t i = 0; i < FRAMES; i++) {
        struct blob *blob = blob_create(NULL, size_of(i));
        memset(blob->data, (int)i, blob->bytes);
        cr_assert_eq(net_outbox_add(outbox, (uint16_t)i, "hd", i % 3, blob), 0);
        blob_unref(blob);
    }
}

/* Take everything out in pieces of random sizes, as a socket would. */
static uint8_t *drain(struct net_outbox *outbox, struct prng *prng, size_t *ret_bytes)
{
    size_t total = outbox->bytes, at = 0;
    uint8_t *stream = malloc(total);
    while (outbox->bytes > 0) {
        struct iovec pieces[7];
        size_t bytes, take;
        unsigned count = net_outbox_gather(outbox, pieces, 7, &bytes);
        cr_assert(count > 0 && bytes > 0 && at + bytes <= total);
        take = prng_below(prng, bytes) + 1;
        for (unsigned i = 0, left = (unsigned)take; i < count && left > 0; i++) {
            size_t n = pieces[i].iov_len < left ? pieces[i].iov_len : left;
            memcpy(stream + at, pieces[i].iov_base, n);
            at += n;
            left -= (unsigned)n;
        }
        net_outbox_consume(outbox, take);
    }
    cr_assert_eq(at, total);
    *ret_bytes = total;
    return stream;
}

static void expect(const struct net_frame *frame, uint32_t number)
{
    uint32_t head = number % 3;
    cr_assert_eq(frame->type, number);
    cr_assert_eq(frame->bytes, head + size_of(number));
    cr_assert(head == 0 || memcmp(frame->payload, "hd", head) == 0);
    for (uint32_t i = head; i < frame->bytes; i++)
        cr_assert_eq(frame->payload[i], (uint8_t)number);
}

static uint32_t take(struct net_inbox *inbox, struct reader from, uint32_t number)
{
    struct net_frame frame;
    const char *fault = NULL;
    int rc;
    while ((rc = net_inbox_next(inbox, &from, &frame, &fault)) > 0)
        expect(&frame, number++);
    cr_assert_eq(rc, 0, "%s", fault);
    cr_assert_eq(reader_left(&from), 0);
    return number;
}

/* As a socket does: the rest of a begun payload is read to its place, all else to scratch memory.
 */
static uint32_t receive(struct net_inbox *inbox, const uint8_t *stream, size_t bytes,
                        size_t piece_max, struct prng *prng)
{
    uint32_t number = 0;
    while (bytes > 0) {
        size_t room_bytes, piece = prng_below(prng, piece_max) + 1;
        piece = piece < bytes ? piece : bytes;
        uint8_t *room = net_inbox_room(inbox, &room_bytes);
        if (room) {
            piece = piece < room_bytes ? piece : room_bytes;
            memcpy(room, stream, piece);
            net_inbox_filled(inbox, piece);
            number = take(inbox, reader_make(NULL, 0), number);
        } else {
            uint8_t *exact = malloc(piece);
            memcpy(exact, stream, piece);
            number = take(inbox, reader_make(exact, piece), number);
            free(exact);
        }
        cr_assert_leq(net_inbox_memory_bytes(inbox), 80000);
        stream += piece;
        bytes -= piece;
    }
    return number;
}

Test(stream, frames_survive_any_cutting)
{
    static const size_t piece_max[] = {1, 7, 24, 100, 5000, 100000, 1000000};
    struct prng prng;
    prng_init(&prng, 1);
    for (size_t i = 0; i < sizeof piece_max / sizeof piece_max[0]; i++) {
        struct net_outbox outbox;
        struct net_inbox inbox;
        size_t bytes;
        net_outbox_init(&outbox);
        net_inbox_init(&inbox, 1 << 20);
        fill(&outbox);
        uint8_t *stream = drain(&outbox, &prng, &bytes);
        cr_assert_eq(outbox.memory_bytes, 0);
        cr_assert_eq(receive(&inbox, stream, bytes, piece_max[i], &prng), FRAMES);
        cr_assert(!net_inbox_begun(&inbox));
        take(&inbox, reader_make(NULL, 0), FRAMES);
        cr_assert_eq(net_inbox_memory_bytes(&inbox), 0, "memory is kept");
        net_inbox_finish(&inbox);
        net_outbox_finish(&outbox);
        free(stream);
    }
}

Test(outbox, large_payloads_are_not_copied)
{
    struct net_outbox outbox;
    struct iovec pieces[8];
    size_t bytes;
    struct blob *large = blob_create(NULL, 100000), *small = blob_create(NULL, 10);
    memset(large->data, 1, large->bytes);
    net_outbox_init(&outbox);
    cr_assert_eq(net_outbox_add(&outbox, 1, "h", 1, small), 0);
    cr_assert_eq(net_outbox_add(&outbox, 1, "h", 1, large), 0);
    cr_assert_eq(net_outbox_add(&outbox, 1, "h", 1, small), 0);
    cr_assert(small->references == 1 && large->references == 2);
    cr_assert_eq(net_outbox_gather(&outbox, pieces, 8, &bytes), 3);
    cr_assert_eq(pieces[1].iov_base, large->data);
    cr_assert_eq(bytes, outbox.bytes);
    cr_assert_leq(outbox.memory_bytes, 3 * 4096);
    net_outbox_finish(&outbox);
    cr_assert_eq(large->references, 1);
    blob_unref(large);
    blob_unref(small);
}

Test(outbox, small_frames_share_a_piece)
{
    struct net_outbox outbox;
    struct iovec pieces[8];
    size_t bytes;
    net_outbox_init(&outbox);
    for (int i = 0; i < 50; i++)
        cr_assert_eq(net_outbox_add(&outbox, 1, "0123456789", 10, NULL), 0);
    cr_assert_eq(net_outbox_gather(&outbox, pieces, 8, &bytes), 1);
    cr_assert_eq(bytes, 50 * (10 + NET_FRAME_HEADER_BYTES));
    net_outbox_finish(&outbox);
}

Test(inbox, memory_follows_what_has_arrived)
{
    uint8_t raw[NET_FRAME_HEADER_BYTES + 10] = {0};
    struct net_inbox inbox;
    struct net_frame frame;
    const char *fault;
    uint8_t *payload = calloc(1, 1 << 20);
    net_frame_header_make(raw, 1, payload, 1 << 20, NULL, 0);
    struct reader r = reader_make(raw, sizeof raw);
    net_inbox_init(&inbox, 1 << 20);
    cr_assert_eq(net_inbox_next(&inbox, &r, &frame, &fault), 0);
    cr_assert_leq(net_inbox_memory_bytes(&inbox), 4096);
    cr_assert(net_inbox_begun(&inbox));
    net_inbox_finish(&inbox);
    cr_assert_eq(net_inbox_memory_bytes(&inbox), 0);
    free(payload);
}

Test(inbox, a_broken_stream_is_refused)
{
    uint8_t raw[NET_FRAME_HEADER_BYTES + 3];
    struct net_inbox inbox;
    struct net_frame frame;
    const char *fault = NULL;
    net_frame_header_make(raw, 1, "abc", 3, NULL, 0);
    memcpy(raw + NET_FRAME_HEADER_BYTES, "abd", 3);
    struct reader r = reader_make(raw, sizeof raw);
    net_inbox_init(&inbox, 100);
    cr_assert_eq(net_inbox_next(&inbox, &r, &frame, &fault), -EPROTO);
    cr_assert_not_null(fault);
    net_inbox_finish(&inbox);
}
