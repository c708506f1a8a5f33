/* Frames: round trips of every type, every other size refused, every field checked. */
#include "gcs-fastdelivery/frame.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <string.h>

/* Fields that a type has not are not encoded. */
static struct gcs_frame sample(uint16_t type, uint8_t count)
{
    struct gcs_frame f = {.type = type, .count = count, .ballot = 11, .epoch = 12, .time = 13};
    f.origin = (uint8_t)(count - 1);
    f.seq = 14;
    f.ts = 15;
    f.stable = 16;
    f.applied = 17;
    f.flags = GCS_FLAG_RUNS;
    f.hears = 5;
    f.slow = 2;
    f.target_node = 3;
    f.index = 18;
    f.hash[15] = 19;
    for (uint8_t k = 0; k < count; k++) {
        f.promises[k] = (struct gcs_promise){100u + k, 200u + k};
        f.received[k] = 400u + k;
        f.stored[k] = 300u + k;
        f.target[k] = 500u + k;
    }
    f.limits = (struct gcs_limits){1, 2, 3, 1};
    f.candidate = (struct gcs_view_member){{1, 2}, {3}, 4, 1, {0}};
    f.accepted = 9;
    f.proposal.view.epoch = 13;
    f.proposal.view.count = 2;
    f.proposal.view.members[0] = (struct gcs_view_member){{1, 2}, {3}, 4, 0, {0}};
    f.proposal.view.members[1] = (struct gcs_view_member){{5, 6}, {7}, 8, 1, {0}};
    f.proposal.view.absent_count = 1;
    f.proposal.view.absent[0] = (struct gcs_view_member){{9, 10}, {11}, 12, 0, {0}};
    f.proposal.cut[0] = 20;
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
            cr_assert_eq(gcs_frame_decode(type, one, bytes, &back), 0, "type %u", type);
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
                cr_assert_eq(gcs_frame_decode(type, head, other, &back), -EPROTO);
        head[0] = 4;
        cr_assert(gcs_frame_decode(type, head, bytes, &back) == 0 ||
                  bytes != gcs_frame_head_bytes(type, 4));
    }
}

Test(frame, unknown_types_are_refused)
{
    uint8_t head[GCS_HEAD_BYTES_MAX] = {3};
    struct gcs_frame back;
    const uint16_t types[] = {0, GCS_FRAME_DATA - 1, GCS_FRAME_END, UINT16_MAX};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        cr_assert_eq(gcs_frame_head_bytes(types[i], 3), 0);
        cr_assert_eq(gcs_frame_decode(types[i], head, 0, &back), -EPROTO);
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

static void view_of_nobody(struct gcs_frame *f)
{
    f->proposal.view.count = 0;
}
static void view_unsorted(struct gcs_frame *f)
{
    f->proposal.view.members[1].node = 4;
}
static void view_of_too_many(struct gcs_frame *f)
{
    f->proposal.view.count = GCS_MEMBER_MAX + 1;
}
static void member_behind_the_count(struct gcs_frame *f)
{
    f->proposal.view.members[2].node = 9;
}
static void absent_of_node_zero(struct gcs_frame *f)
{
    f->proposal.view.absent[0].node = 0;
}
static void cut_too_high(struct gcs_frame *f)
{
    f->proposal.cut[6] = GCS_CLOCK_MAX;
}
static void ballot_too_high(struct gcs_frame *f)
{
    f->ballot = GCS_CLOCK_MAX;
}

static void refused(uint16_t type, const struct damage *damages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t head[GCS_HEAD_BYTES_MAX];
        struct gcs_frame f = sample(type, 3), back;
        damages[i].apply(&f);
        uint32_t bytes = gcs_frame_encode(&f, head);
        cr_assert_eq(gcs_frame_decode(type, head, bytes, &back), -EPROTO, "%s", damages[i].name);
    }
}

Test(frame, implausible_contents_are_refused)
{
    static const struct damage data[] = {
        {"origin", origin_outside},        {"ts", clock_too_high},    {"promise", promise_too_high},
        {"stored", stored_above_received}, {"epoch", epoch_too_high}, {"seq", count_of_zero},
    };
    static const struct damage propose[] = {
        {"nobody", view_of_nobody},           {"unsorted", view_unsorted},
        {"too many", view_of_too_many},       {"behind the count", member_behind_the_count},
        {"absent node", absent_of_node_zero}, {"cut", cut_too_high},
        {"ballot", ballot_too_high},
    };
    refused(GCS_FRAME_DATA, data, sizeof data / sizeof *data);
    refused(GCS_FRAME_PROPOSE, propose, sizeof propose / sizeof *propose);
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
            if (gcs_frame_decode(type, head, bytes, &back) == 0) {
                cr_assert_eq(gcs_frame_encode(&back, again), bytes);
                cr_assert_eq(memcmp(head, again, bytes), 0);
            }
            head[b / 8] ^= (uint8_t)(1u << b % 8);
        }
    }
}
