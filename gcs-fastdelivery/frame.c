/* Frames: one table of fields, one encoder, one decoder.
 *
 * Invariants: a head is decoded only if its size is exactly that of its type and group; what comes
 * out has ranks inside the group, clocks below GCS_CLOCK_MAX and stored <= received. */
#include "gcs-fastdelivery/frame.h"

#include "base/cursor.h"

#include <errno.h>

/* In the order in which they stand in a head. */
enum field {
    HAS_ROUND = 1 << 0,
    HAS_EPOCH = 1 << 1,
    HAS_PREPARED = 1 << 2,
    HAS_MESSAGE = 1 << 3,
    HAS_STABLE = 1 << 4,
    HAS_APPLIED = 1 << 5,
    HAS_PROMISES = 1 << 6,
    HAS_RECEIVED = 1 << 7,
    HAS_STORED = 1 << 8,
    HAS_TARGET = 1 << 9,
    HAS_INCARNATIONS = 1 << 10,
    HAS_LIMITS = 1 << 11,
    HAS_PAYLOAD = 1 << 12,
};

enum { KNOWLEDGE = HAS_EPOCH | HAS_APPLIED | HAS_PROMISES | HAS_RECEIVED | HAS_STORED };

static const uint16_t fields_of[GCS_FRAME_END - GCS_FRAME_DATA] = {
    [GCS_FRAME_DATA - GCS_FRAME_DATA] = KNOWLEDGE | HAS_MESSAGE | HAS_STABLE | HAS_PAYLOAD,
    [GCS_FRAME_ACK - GCS_FRAME_DATA] = KNOWLEDGE,
    [GCS_FRAME_RESUME - GCS_FRAME_DATA] = HAS_EPOCH | HAS_RECEIVED,
    [GCS_FRAME_LEVEL - GCS_FRAME_DATA] = HAS_ROUND | HAS_INCARNATIONS,
    [GCS_FRAME_REPORT - GCS_FRAME_DATA] =
        HAS_ROUND | HAS_EPOCH | HAS_PREPARED | HAS_RECEIVED | HAS_LIMITS,
    [GCS_FRAME_CATCH_UP - GCS_FRAME_DATA] = HAS_ROUND | HAS_EPOCH,
    [GCS_FRAME_CUT - GCS_FRAME_DATA] = HAS_ROUND | HAS_EPOCH | HAS_TARGET,
    [GCS_FRAME_PULL - GCS_FRAME_DATA] = HAS_ROUND | HAS_EPOCH | HAS_RECEIVED | HAS_TARGET,
    [GCS_FRAME_PUSH - GCS_FRAME_DATA] = HAS_ROUND | HAS_EPOCH | HAS_MESSAGE | HAS_PAYLOAD,
    [GCS_FRAME_HAVE - GCS_FRAME_DATA] = HAS_ROUND | HAS_EPOCH | HAS_RECEIVED,
    [GCS_FRAME_LOST - GCS_FRAME_DATA] = HAS_ROUND | HAS_EPOCH | HAS_MESSAGE,
    [GCS_FRAME_PREPARED - GCS_FRAME_DATA] = HAS_ROUND | HAS_EPOCH,
    [GCS_FRAME_INSTALL - GCS_FRAME_DATA] = HAS_EPOCH | HAS_INCARNATIONS,
};

static unsigned fields(uint16_t type)
{
    return type >= GCS_FRAME_DATA && type < GCS_FRAME_END ? fields_of[type - GCS_FRAME_DATA] : 0;
}

bool gcs_frame_has_payload(uint16_t type)
{
    return fields(type) & HAS_PAYLOAD;
}

uint32_t gcs_frame_head_bytes(uint16_t type, uint8_t count)
{
    static const struct {
        unsigned field;
        uint8_t fixed, per_member;
    } sizes[] = {
        {HAS_ROUND, 8, 0},  {HAS_EPOCH, 8, 0},   {HAS_PREPARED, 8, 0},      {HAS_MESSAGE, 17, 0},
        {HAS_STABLE, 8, 0}, {HAS_APPLIED, 8, 0}, {HAS_PROMISES, 0, 16},     {HAS_RECEIVED, 0, 8},
        {HAS_STORED, 0, 8}, {HAS_TARGET, 0, 8},  {HAS_INCARNATIONS, 0, 16}, {HAS_LIMITS, 17, 0},
    };
    unsigned has = fields(type);
    if (!has)
        return 0;
    uint32_t bytes = 1;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (has & sizes[i].field)
            bytes += sizes[i].fixed + (uint32_t)sizes[i].per_member * count;
    return bytes;
}

static void put_vector(struct writer *w, const uint64_t *vector, uint8_t count)
{
    for (uint8_t k = 0; k < count; k++)
        writer_u64(w, vector[k]);
}

static void put_scalars(struct writer *w, const struct gcs_frame *f, unsigned has)
{
    if (has & HAS_ROUND)
        writer_u64(w, f->round);
    if (has & HAS_EPOCH)
        writer_u64(w, f->epoch);
    if (has & HAS_PREPARED)
        writer_u64(w, f->prepared);
    if (has & HAS_MESSAGE) {
        writer_u8(w, f->origin);
        writer_u64(w, f->seq);
        writer_u64(w, f->ts);
    }
    if (has & HAS_STABLE)
        writer_u64(w, f->stable);
    if (has & HAS_APPLIED)
        writer_u64(w, f->applied);
}

uint32_t gcs_frame_encode(const struct gcs_frame *f, uint8_t to[GCS_HEAD_BYTES_MAX])
{
    unsigned has = fields(f->type);
    struct writer w = writer_make(to, GCS_HEAD_BYTES_MAX);
    writer_u8(&w, f->count);
    put_scalars(&w, f, has);
    for (uint8_t k = 0; k < f->count && has & HAS_PROMISES; k++) {
        writer_u64(&w, f->promises[k].clock);
        writer_u64(&w, f->promises[k].sent);
    }
    if (has & HAS_RECEIVED)
        put_vector(&w, f->received, f->count);
    if (has & HAS_STORED)
        put_vector(&w, f->stored, f->count);
    if (has & HAS_TARGET)
        put_vector(&w, f->target, f->count);
    for (uint8_t k = 0; k < f->count && has & HAS_INCARNATIONS; k++) {
        writer_u64(&w, f->incarnations[k].count);
        writer_u64(&w, f->incarnations[k].random);
    }
    if (has & HAS_LIMITS) {
        writer_u32(&w, f->limits.window_messages);
        writer_u64(&w, f->limits.window_bytes);
        writer_u32(&w, f->limits.payload_bytes_max);
        writer_u8(&w, f->limits.durability);
    }
    MUST(!w.failed && writer_used(&w) == gcs_frame_head_bytes(f->type, f->count));
    return (uint32_t)writer_used(&w);
}

static void get_vector(struct reader *r, uint64_t *vector, uint8_t count)
{
    for (uint8_t k = 0; k < count; k++)
        vector[k] = reader_u64(r);
}

static void get_scalars(struct reader *r, struct gcs_frame *f, unsigned has)
{
    if (has & HAS_ROUND)
        f->round = reader_u64(r);
    if (has & HAS_EPOCH)
        f->epoch = reader_u64(r);
    if (has & HAS_PREPARED)
        f->prepared = reader_u64(r);
    if (has & HAS_MESSAGE) {
        f->origin = reader_u8(r);
        f->seq = reader_u64(r);
        f->ts = reader_u64(r);
    }
    if (has & HAS_STABLE)
        f->stable = reader_u64(r);
    if (has & HAS_APPLIED)
        f->applied = reader_u64(r);
}

static void get_vectors(struct reader *r, struct gcs_frame *f, unsigned has)
{
    for (uint8_t k = 0; k < f->count && has & HAS_PROMISES; k++) {
        f->promises[k].clock = reader_u64(r);
        f->promises[k].sent = reader_u64(r);
    }
    if (has & HAS_RECEIVED)
        get_vector(r, f->received, f->count);
    if (has & HAS_STORED)
        get_vector(r, f->stored, f->count);
    if (has & HAS_TARGET)
        get_vector(r, f->target, f->count);
    for (uint8_t k = 0; k < f->count && has & HAS_INCARNATIONS; k++) {
        f->incarnations[k].count = reader_u64(r);
        f->incarnations[k].random = reader_u64(r);
    }
    if (has & HAS_LIMITS) {
        f->limits.window_messages = reader_u32(r);
        f->limits.window_bytes = reader_u64(r);
        f->limits.payload_bytes_max = reader_u32(r);
        f->limits.durability = reader_u8(r);
    }
}

/* Whatever counts messages, epochs, rounds or time stays below the limit, so that sums can't wrap.
 */
static bool plausible(const struct gcs_frame *f)
{
    if (f->origin >= f->count || f->seq >= GCS_CLOCK_MAX || f->ts >= GCS_CLOCK_MAX ||
        f->epoch >= GCS_CLOCK_MAX || f->prepared >= GCS_CLOCK_MAX || f->stable >= GCS_CLOCK_MAX)
        return false;
    for (uint8_t k = 0; k < f->count; k++)
        if (f->promises[k].clock >= GCS_CLOCK_MAX || f->promises[k].sent >= GCS_CLOCK_MAX ||
            f->received[k] >= GCS_CLOCK_MAX || f->target[k] >= GCS_CLOCK_MAX ||
            f->stored[k] > f->received[k])
            return false;
    return true;
}

int gcs_frame_decode(uint16_t type, const uint8_t *head, uint32_t head_bytes, uint8_t count,
                     struct gcs_frame *ret_frame)
{
    unsigned has = fields(type);
    if (!has || head_bytes != gcs_frame_head_bytes(type, count))
        return -EPROTO;
    struct gcs_frame frame = {.type = type};
    struct reader r = reader_make(head, head_bytes);
    frame.count = reader_u8(&r);
    if (frame.count != count)
        return -EPROTO;
    get_scalars(&r, &frame, has);
    get_vectors(&r, &frame, has);
    if (!reader_complete(&r) || !plausible(&frame))
        return -EPROTO;
    *ret_frame = frame;
    return 0;
}
