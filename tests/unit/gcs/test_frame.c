/* Frames: round trips of every type, every other size refused, every field checked. */
#include "gcs-fastdelivery/frame.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <string.h>

static struct gcs_frame sample(uint16_t type, uint8_t count)
{
    struct gcs_frame f = {.type = type, .count = count, .round = 11, .epoch = 12, .prepared = 13};
    f.origin = (uint8_t)(count - 1);
    f.seq = 14;
    f.ts = 15;
    f.stable = 16;
    f.applied = 17;
    for (uint8_t k = 0; k < count; k++) {
        f.promises[k] = (struct gcs_promise){100u + k, 200u + k};
        f.received[k] = 400u + k;
        f.stored[k] = 300u + k;
        f.target[k] = 500u + k;
        f.incarnations[k] = (struct gcs_incarnation){600u + k, 700u + k};
    }
    f.limits = (struct gcs_limits){1, 2, 3, 1};
    return f;
}

Test(frame, round_trip_of_every_type)
{
    for (uint16_t type = GCS_FRAME_DATA; type < GCS_FRAME_END; type++)
        for (uint8_t count = 1; count <= GCS_MEMBER_MAX; count++) {
            uint8_t one[GCS_HEAD_BYTES_MAX], two[GCS_HEAD_BYTES_MAX];
            struct gcs_frame f = sample(type, count), back;
            uint32_t bytes = gcs_frame_encode(&f, one);
            cr_assert_eq(bytes, gcs_frame_head_bytes(type, count));
            cr_assert_eq(gcs_frame_decode(type, one, bytes, count, &back), 0, "type %u", type);
            cr_assert_eq(gcs_frame_encode(&back, two), bytes);
            cr_assert_eq(memcmp(one, two, bytes), 0, "type %u of %u members", type, count);
        }
}

Test(frame, any_other_size_is_refused)
{
    for (uint16_t type = GCS_FRAME_DATA; type < GCS_FRAME_END; type++) {
        uint8_t head[GCS_HEAD_BYTES_MAX + 1] = {0};
        struct gcs_frame f = sample(type, 3), back;
        uint32_t bytes = gcs_frame_encode(&f, head);
        for (uint32_t other = 0; other <= sizeof head; other++)
            if (other != bytes)
                cr_assert_eq(gcs_frame_decode(type, head, other, 3, &back), -EPROTO);
        cr_assert_eq(gcs_frame_decode(type, head, bytes, 4, &back), -EPROTO, "another group");
    }
}

Test(frame, unknown_types_are_refused)
{
    uint8_t head[GCS_HEAD_BYTES_MAX] = {3};
    struct gcs_frame back;
    const uint16_t types[] = {0, GCS_FRAME_DATA - 1, GCS_FRAME_END, UINT16_MAX};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        cr_assert_eq(gcs_frame_head_bytes(types[i], 3), 0);
        cr_assert_eq(gcs_frame_decode(types[i], head, 0, 3, &back), -EPROTO);
        cr_assert_not(gcs_frame_has_payload(types[i]));
    }
}

struct damage {
    const char *name;
    void (*apply)(struct gcs_frame *frame);
};
static void origin_outside(struct gcs_frame *f)
{
    f->origin = 3;
}
static void clock_too_high(struct gcs_frame *f)
{
    f->ts = GCS_CLOCK_MAX;
}
static void promise_too_high(struct gcs_frame *f)
{
    f->promises[2].clock = UINT64_MAX;
}
static void stored_above_received(struct gcs_frame *f)
{
    f->stored[1] = f->received[1] + 1;
}
static void epoch_too_high(struct gcs_frame *f)
{
    f->epoch = UINT64_MAX;
}
static void count_of_zero(struct gcs_frame *f)
{
    f->seq = UINT64_MAX;
}

Test(frame, implausible_contents_are_refused)
{
    static const struct damage damages[] = {
        {"origin", origin_outside},        {"ts", clock_too_high},    {"promise", promise_too_high},
        {"stored", stored_above_received}, {"epoch", epoch_too_high}, {"seq", count_of_zero},
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        uint8_t head[GCS_HEAD_BYTES_MAX];
        struct gcs_frame f = sample(GCS_FRAME_DATA, 3), back;
        damages[i].apply(&f);
        uint32_t bytes = gcs_frame_encode(&f, head);
        cr_assert_eq(gcs_frame_decode(GCS_FRAME_DATA, head, bytes, 3, &back), -EPROTO, "%s",
                     damages[i].name);
    }
}

/* Whatever bit flips: refused, or it encodes to the same bytes again. */
Test(frame, every_bit_flip_is_refused_or_means_itself)
{
    for (uint16_t type = GCS_FRAME_DATA; type < GCS_FRAME_END; type++) {
        uint8_t head[GCS_HEAD_BYTES_MAX], again[GCS_HEAD_BYTES_MAX];
        struct gcs_frame f = sample(type, 3), back;
        uint32_t bytes = gcs_frame_encode(&f, head);
        for (uint32_t b = 0; b < bytes * 8; b++) {
            head[b / 8] ^= (uint8_t)(1u << b % 8);
            if (gcs_frame_decode(type, head, bytes, 3, &back) == 0) {
                cr_assert_eq(gcs_frame_encode(&back, again), bytes);
                cr_assert_eq(memcmp(head, again, bytes), 0);
            }
            head[b / 8] ^= (uint8_t)(1u << b % 8);
        }
    }
}
