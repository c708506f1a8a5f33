/* Frames: one table of fields, one encoder, one decoder.
 *
 * Invariants: a head is decoded only if its size is exactly that of its type and count; what comes
 * out has ranks inside the count, clocks below GCS_CLOCK_MAX, stored <= received, and views whose
 * members are distinct and sorted. */
#include "gcs-fastdelivery/frame.h"

#include "base/cursor.h"

#include <errno.h>
#include <string.h>

/* In the order in which they stand in a head. */
enum field {
    HAS_FLAGS = 1 << 0,
    HAS_EPOCH = 1 << 1,
    HAS_BALLOT = 1 << 2,
    HAS_TIME = 1 << 3,
    HAS_HEARS = 1 << 4,
    HAS_NODE = 1 << 5,
    HAS_INDEX = 1 << 6,
    HAS_HASH = 1 << 7,
    HAS_MESSAGE = 1 << 8,
    HAS_STABLE = 1 << 9,
    HAS_APPLIED = 1 << 10,
    HAS_PROMISES = 1 << 11,
    HAS_RECEIVED = 1 << 12,
    HAS_STORED = 1 << 13,
    HAS_TARGET = 1 << 14,
    HAS_LIMITS = 1 << 15,
    HAS_CANDIDATE = 1 << 16,
    HAS_PROPOSAL = 1 << 17,
    HAS_PAYLOAD = 1 << 18,
};

enum {
    KNOWLEDGE = HAS_EPOCH | HAS_APPLIED | HAS_PROMISES | HAS_RECEIVED | HAS_STORED,
    BALLOT = HAS_EPOCH | HAS_BALLOT,
    MEMBER_BYTES = 34,
    VIEW_BYTES = 10 + MEMBER_BYTES * (GCS_MEMBER_MAX + GCS_ABSENT_MAX),
};

#define AT(type) [GCS_FRAME_##type - GCS_FRAME_DATA]

static const uint32_t fields_of[GCS_FRAME_END - GCS_FRAME_DATA] = {
    AT(DATA) = KNOWLEDGE | HAS_MESSAGE | HAS_STABLE | HAS_PAYLOAD,
    AT(ACK) = KNOWLEDGE,
    AT(RESUME) = HAS_FLAGS | HAS_EPOCH | HAS_RECEIVED,
    AT(BEAT) = HAS_EPOCH | HAS_TIME | HAS_HEARS,
    AT(GRANT) = HAS_EPOCH | HAS_TIME,
    AT(CHECK) = HAS_EPOCH | HAS_INDEX | HAS_HASH,
    AT(ASK) = HAS_FLAGS | BALLOT | HAS_HEARS | HAS_CANDIDATE,
    AT(AGREE) = HAS_FLAGS | BALLOT | HAS_HEARS,
    AT(PREPARE) = BALLOT | HAS_CANDIDATE,
    AT(PROMISE) =
        HAS_FLAGS | BALLOT | HAS_HEARS | HAS_INDEX | HAS_RECEIVED | HAS_LIMITS | HAS_PROPOSAL,
    AT(REFUSE) = BALLOT,
    AT(LEVEL) = BALLOT | HAS_TARGET,
    AT(PULL) = BALLOT | HAS_RECEIVED | HAS_TARGET,
    AT(PUSH) = BALLOT | HAS_MESSAGE | HAS_PAYLOAD,
    AT(HAVE) = BALLOT | HAS_RECEIVED,
    AT(LOST) = HAS_FLAGS | BALLOT,
    AT(STORED) = BALLOT,
    AT(PROPOSE) = BALLOT | HAS_PROPOSAL,
    AT(ACCEPTED) = BALLOT,
    AT(INSTALL) = HAS_EPOCH | HAS_PROPOSAL,
    AT(OUT) = HAS_FLAGS | HAS_EPOCH,
    AT(LEAVE) = HAS_FLAGS | HAS_EPOCH | HAS_NODE,
    AT(JOIN) = HAS_FLAGS | HAS_EPOCH | HAS_INDEX | HAS_HASH | HAS_LIMITS,
    AT(WELCOME) = HAS_EPOCH | HAS_INDEX | HAS_PROPOSAL,
    AT(SNAPSHOT) = HAS_EPOCH,
    AT(FEED) = HAS_EPOCH | HAS_INDEX | HAS_MESSAGE | HAS_APPLIED | HAS_PAYLOAD,
    AT(FEED_EPOCH) = HAS_EPOCH | HAS_INDEX,
    AT(FED) = HAS_EPOCH | HAS_INDEX,
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
        uint16_t fixed, per_member;
    } sizes[] = {
        {HAS_FLAGS, 2, 0},
        {HAS_EPOCH, 8, 0},
        {HAS_BALLOT, 8, 0},
        {HAS_TIME, 8, 0},
        {HAS_HEARS, 2, 0},
        {HAS_NODE, 1, 0},
        {HAS_INDEX, 8, 0},
        {HAS_HASH, 16, 0},
        {HAS_MESSAGE, 17, 0},
        {HAS_STABLE, 8, 0},
        {HAS_APPLIED, 8, 0},
        {HAS_PROMISES, 0, 16},
        {HAS_RECEIVED, 0, 8},
        {HAS_STORED, 0, 8},
        {HAS_TARGET, 0, 8},
        {HAS_LIMITS, 17, 0},
        {HAS_CANDIDATE, MEMBER_BYTES, 0},
        {HAS_PROPOSAL, 8 + VIEW_BYTES + 8 * GCS_MEMBER_MAX, 0},
    };
    unsigned has = fields(type);
    if (!has || count == 0 || count > GCS_MEMBER_MAX)
        return 0;
    uint32_t bytes = 1;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (has & sizes[i].field)
            bytes += sizes[i].fixed + (uint32_t)sizes[i].per_member * count;
    return bytes;
}

/* --- views --- */

static void put_member(struct writer *w, const struct gcs_view_member *member)
{
    writer_u64(w, member->incarnation.count);
    writer_u64(w, member->incarnation.random);
    writer_bytes(w, member->store, sizeof member->store);
    writer_u8(w, member->node);
    writer_u8(w, member->witness);
}

static void get_member(struct reader *r, struct gcs_view_member *member)
{
    member->incarnation.count = reader_u64(r);
    member->incarnation.random = reader_u64(r);
    reader_copy(r, member->store, sizeof member->store);
    member->node = reader_u8(r);
    member->witness = reader_u8(r);
}

void gcs_view_encode(const struct gcs_view_record *view, struct writer *w)
{
    writer_u64(w, view->epoch);
    writer_u8(w, view->count);
    writer_u8(w, view->absent_count);
    for (int i = 0; i < GCS_MEMBER_MAX; i++)
        put_member(w, &view->members[i]);
    for (int i = 0; i < GCS_ABSENT_MAX; i++)
        put_member(w, &view->absent[i]);
}

void gcs_view_decode(struct reader *r, struct gcs_view_record *view)
{
    view->epoch = reader_u64(r);
    view->count = reader_u8(r);
    view->absent_count = reader_u8(r);
    for (int i = 0; i < GCS_MEMBER_MAX; i++)
        get_member(r, &view->members[i]);
    for (int i = 0; i < GCS_ABSENT_MAX; i++)
        get_member(r, &view->absent[i]);
}

static bool sorted(const struct gcs_view_member *members, uint8_t count, int most)
{
    static const struct gcs_view_member nobody;
    for (int i = 0; i < most; i++) {
        if (i >= count && memcmp(&members[i], &nobody, sizeof nobody) != 0)
            return false;
        if (i < count && (members[i].node == 0 || members[i].witness > 1 ||
                          (i && members[i].node <= members[i - 1].node)))
            return false;
    }
    return true;
}

bool gcs_view_plausible(const struct gcs_view_record *view)
{
    return view->epoch < GCS_CLOCK_MAX && view->count > 0 && view->count <= GCS_MEMBER_MAX &&
           view->absent_count <= GCS_ABSENT_MAX &&
           sorted(view->members, view->count, GCS_MEMBER_MAX) &&
           sorted(view->absent, view->absent_count, GCS_ABSENT_MAX);
}

static void put_proposal(struct writer *w, const struct gcs_frame *f)
{
    writer_u64(w, f->accepted);
    gcs_view_encode(&f->proposal.view, w);
    for (int k = 0; k < GCS_MEMBER_MAX; k++)
        writer_u64(w, f->proposal.cut[k]);
}

static void get_proposal(struct reader *r, struct gcs_frame *f)
{
    f->accepted = reader_u64(r);
    gcs_view_decode(r, &f->proposal.view);
    for (int k = 0; k < GCS_MEMBER_MAX; k++)
        f->proposal.cut[k] = reader_u64(r);
}

/* --- heads --- */

static void put_vector(struct writer *w, const uint64_t *vector, uint8_t count)
{
    for (uint8_t k = 0; k < count; k++)
        writer_u64(w, vector[k]);
}

static void put_scalars(struct writer *w, const struct gcs_frame *f, unsigned has)
{
    if (has & HAS_FLAGS)
        writer_u16(w, f->flags);
    if (has & HAS_EPOCH)
        writer_u64(w, f->epoch);
    if (has & HAS_BALLOT)
        writer_u64(w, f->ballot);
    if (has & HAS_TIME)
        writer_u64(w, f->time);
    if (has & HAS_HEARS) {
        writer_u8(w, f->hears);
        writer_u8(w, f->slow);
    }
    if (has & HAS_NODE)
        writer_u8(w, f->target_node);
    if (has & HAS_INDEX)
        writer_u64(w, f->index);
    if (has & HAS_HASH)
        writer_bytes(w, f->hash, sizeof f->hash);
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
    if (has & HAS_LIMITS) {
        writer_u32(&w, f->limits.window_messages);
        writer_u64(&w, f->limits.window_bytes);
        writer_u32(&w, f->limits.payload_bytes_max);
        writer_u8(&w, f->limits.durability);
    }
    if (has & HAS_CANDIDATE)
        put_member(&w, &f->candidate);
    if (has & HAS_PROPOSAL)
        put_proposal(&w, f);
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
    if (has & HAS_FLAGS)
        f->flags = reader_u16(r);
    if (has & HAS_EPOCH)
        f->epoch = reader_u64(r);
    if (has & HAS_BALLOT)
        f->ballot = reader_u64(r);
    if (has & HAS_TIME)
        f->time = reader_u64(r);
    if (has & HAS_HEARS) {
        f->hears = reader_u8(r);
        f->slow = reader_u8(r);
    }
    if (has & HAS_NODE)
        f->target_node = reader_u8(r);
    if (has & HAS_INDEX)
        f->index = reader_u64(r);
    if (has & HAS_HASH)
        reader_copy(r, f->hash, sizeof f->hash);
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
    if (has & HAS_LIMITS) {
        f->limits.window_messages = reader_u32(r);
        f->limits.window_bytes = reader_u64(r);
        f->limits.payload_bytes_max = reader_u32(r);
        f->limits.durability = reader_u8(r);
    }
    if (has & HAS_CANDIDATE)
        get_member(r, &f->candidate);
    if (has & HAS_PROPOSAL)
        get_proposal(r, f);
}

/* Whatever counts messages, epochs, ballots or time stays below the limit, so that sums can't wrap.
 */
static bool plausible(const struct gcs_frame *f, unsigned has)
{
    if (f->origin >= f->count || f->seq >= GCS_CLOCK_MAX || f->ts >= GCS_CLOCK_MAX ||
        f->epoch >= GCS_CLOCK_MAX || f->ballot >= GCS_CLOCK_MAX || f->stable >= GCS_CLOCK_MAX ||
        f->index >= GCS_CLOCK_MAX || f->applied >= GCS_CLOCK_MAX || f->accepted >= GCS_CLOCK_MAX)
        return false;
    bool proposes = has & HAS_PROPOSAL && (f->type != GCS_FRAME_PROMISE || f->accepted);
    if (proposes && !gcs_view_plausible(&f->proposal.view))
        return false;
    for (int k = 0; k < GCS_MEMBER_MAX; k++)
        if (f->proposal.cut[k] >= GCS_CLOCK_MAX)
            return false;
    for (uint8_t k = 0; k < f->count; k++)
        if (f->promises[k].clock >= GCS_CLOCK_MAX || f->promises[k].sent >= GCS_CLOCK_MAX ||
            f->received[k] >= GCS_CLOCK_MAX || f->target[k] >= GCS_CLOCK_MAX ||
            f->stored[k] > f->received[k])
            return false;
    return true;
}

int gcs_frame_decode(uint16_t type, const uint8_t *head, uint32_t head_bytes,
                     struct gcs_frame *ret_frame)
{
    unsigned has = fields(type);
    if (!has || head_bytes == 0 || head_bytes != gcs_frame_head_bytes(type, head[0]))
        return -EPROTO;
    struct gcs_frame *frame = ret_frame;
    memset(frame, 0, sizeof *frame);
    frame->type = type;
    struct reader r = reader_make(head, head_bytes);
    frame->count = reader_u8(&r);
    get_scalars(&r, frame, has);
    get_vectors(&r, frame, has);
    return reader_complete(&r) && plausible(frame, has) ? 0 : -EPROTO;
}
