/* What members say to each other: the frame decoder, the saved state, and the core behind them. */
#include "base/cursor.h"
#include "base/prng.h"
#include "gcs-fastdelivery/core.h"
#include "gcs-fastdelivery/frame.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

/* Input: type u8, head (whose first byte is the number of members). */
static void frame_one(const uint8_t *bytes, size_t count)
{
    struct gcs_frame frame;
    uint8_t again[GCS_HEAD_BYTES_MAX];
    if (count < 2 || gcs_frame_decode(bytes[0], bytes + 1, (uint32_t)count - 1, &frame) < 0)
        return;
    uint32_t used = gcs_frame_encode(&frame, again);
    MUST(used == count - 1 && memcmp(again, bytes + 1, used) == 0);
}

enum { TYPES = GCS_FRAME_END - NET_FRAME_GCS_FIRST };

static struct gcs_frame frame_make(unsigned number, uint8_t members)
{
    struct gcs_frame frame = {.type = (uint16_t)(NET_FRAME_GCS_FIRST + number % TYPES),
                              .count = members,
                              .epoch = number / TYPES % 2,
                              .ballot = (1 + number / TYPES) << 8 | 2,
                              .seq = 1,
                              .ts = 1 + number,
                              .index = 1,
                              .hears = 7,
                              .limits = {16, 65536, 4096, 0}};
    frame.candidate = (struct gcs_view_member){{1, 3}, {4}, 4, 0, {0}};
    frame.proposal.view.epoch = frame.epoch + 1;
    frame.proposal.view.count = members;
    for (uint8_t k = 0; k < members; k++)
        frame.proposal.view.members[k] =
            (struct gcs_view_member){{1, k + 1u}, {(uint8_t)(k + 1)}, (uint8_t)(k + 1), 0, {0}};
    return frame;
}

static bool frame_seed(unsigned number, struct buffer *to)
{
    uint8_t head[GCS_HEAD_BYTES_MAX];
    uint8_t members = (uint8_t)(1 + number / TYPES);
    if (members > GCS_MEMBER_MAX)
        return false;
    struct gcs_frame frame = frame_make(number, members);
    buffer_u8(to, (uint8_t)frame.type);
    return buffer_append(to, head, gcs_frame_encode(&frame, head)) != NULL;
}

const struct fuzz_target fuzz_gcs_frame = {"gcs_frame", frame_one, frame_seed};

/* A core of three members, as it starts. */
static struct gcs_core *core_make(const void *state, size_t bytes, void **ret_memory)
{
    struct gcs_core *core = NULL;
    struct gcs_core_config config = {.self = {{1, 1}, {1}, 1, 0, {0}},
                                     .limits = {16, 65536, 4096, 0},
                                     .measures = {true, true, true, true},
                                     .recovered_max = 16,
                                     .heartbeat_ns = 50000000,
                                     .suspect_after_ns = 400000000,
                                     .lease_ns = 300000000,
                                     .lag_after_ns = UINT64_C(5000000000),
                                     .drift_ppm = 10000};
    config.founders.count = 3;
    for (uint8_t k = 0; k < 3; k++)
        config.founders.members[k].node = (uint8_t)(k + 1);
    *ret_memory = calloc(1, gcs_core_bytes(&config));
    MUST(*ret_memory);
    if (gcs_core_init(*ret_memory, &config, state, bytes, &core) < 0)
        return NULL;
    return core;
}

static void core_end(struct gcs_core *core, void *memory)
{
    struct blob *blob;
    while (core && (blob = gcs_core_forget(core)))
        blob_unref(blob);
    free(memory);
}

static void state_one(const uint8_t *bytes, size_t count)
{
    void *memory;
    struct gcs_core *core = core_make(bytes, count, &memory);
    core_end(core, memory);
}

/* As save.c writes it: a founding view, and one with a promise, an accepted proposal and floors. */
static bool state_seed(unsigned number, struct buffer *to)
{
    uint8_t bytes[GCS_CORE_STATE_BYTES_MAX];
    struct writer w = writer_make(bytes, sizeof bytes);
    struct gcs_view_record view = frame_make(TYPES * number, 3).proposal.view;
    if (number >= 2)
        return false;
    writer_u8(&w, 2);
    writer_u8(&w, 0);
    gcs_view_encode(&view, &w);
    writer_u64(&w, number ? 0x201 : 0);
    writer_u64(&w, number ? 0x102 : 0);
    view.epoch++;
    gcs_view_encode(&view, &w);
    for (unsigned i = 0; i < 4 * GCS_MEMBER_MAX + 1; i++)
        writer_u64(&w, number);
    return buffer_append(to, bytes, writer_used(&w)) != NULL;
}

const struct fuzz_target fuzz_gcs_state = {"gcs_state", state_one, state_seed};

/* The core, its host being obedient and its peers not. Input: { what u8, peer u8, type u8, count
 * u16, bytes }: frames with these bytes behind the first (which is always the right member count),
 * links that break, ticks. */
enum { PEERS = 4 }; /* two members of the founding view, one that is none */

struct host {
    struct gcs_core *core;
    bool failed, saving;
    uint16_t fetching; /* set of peers */
    uint64_t now_ns;
    bool up[PEERS];
    struct gcs_message stored; /* seq 0: nothing to report */
    uint64_t applied;          /* 0: nothing to report */
    uint16_t closing;          /* set of peers */
};

static void take_action(struct host *host, const struct gcs_action *action)
{
    switch (action->kind) {
    case GCS_ACTION_CLOSE:
        host->closing |= action->to;
        break;
    case GCS_ACTION_STORE:
        host->stored = action->message;
        break;
    case GCS_ACTION_DELIVER:
    case GCS_ACTION_EPOCH:
        host->applied = action->index;
        break;
    case GCS_ACTION_SAVE:
        host->saving = true;
        break;
    case GCS_ACTION_FETCH:
        host->fetching |= (uint16_t)(1u << action->peer);
        break;
    case GCS_ACTION_DROP:
        blob_unref(action->payload);
        break;
    case GCS_ACTION_FAILED:
    case GCS_ACTION_OUT:
    case GCS_ACTION_SNAPSHOT_NEEDED:
        host->failed = true;
        break;
    default:
        break;
    }
}

/* Do what is asked for until nothing is. */
static void drain(struct host *host)
{
    const struct gcs_action *action;
    while (!host->failed) {
        if ((action = gcs_action(host->core))) {
            take_action(host, action);
            gcs_action_done(host->core);
        } else if (gcs_more(host->core)) {
            gcs_step(host->core, &(struct gcs_event){.kind = GCS_EVENT_CONTINUE});
        } else {
            break;
        }
    }
}

static void step(struct host *host, struct gcs_event event)
{
    if (host->failed)
        return;
    event.now_ns = host->now_ns;
    gcs_step(host->core, &event);
    drain(host);
}

static void link_up(struct host *host, uint8_t rank)
{
    struct gcs_event event = {.kind = GCS_EVENT_LINK_UP, .peer = rank};
    event.member = (struct gcs_view_member){
        {1, rank + 1u}, {(uint8_t)(rank + 1)}, (uint8_t)(rank + 1), 0, {0}};
    if (host->up[rank] || gcs_core_accepts(host->core, &event.member))
        return;
    host->up[rank] = true;
    step(host, event);
}

static void link_down(struct host *host, uint8_t rank)
{
    if (host->up[rank])
        step(host, (struct gcs_event){.kind = GCS_EVENT_LINK_DOWN, .peer = rank});
    host->up[rank] = false;
}

/* Report what was done. */
static void obey(struct host *host)
{
    if (host->saving) {
        host->saving = false;
        step(host, (struct gcs_event){.kind = GCS_EVENT_SAVED});
    }
    if (host->stored.seq) {
        struct gcs_event event = {.kind = GCS_EVENT_STORED, .message = host->stored};
        host->stored.seq = 0;
        step(host, event);
    }
    if (host->applied) {
        struct gcs_event event = {.kind = GCS_EVENT_APPLIED, .index = host->applied};
        host->applied = 0;
        step(host, event);
    }
    for (uint8_t peer = 0; peer < PEERS; peer++)
        if (host->fetching & (1u << peer)) {
            host->fetching &= (uint16_t) ~(1u << peer);
            step(host, (struct gcs_event){.kind = GCS_EVENT_FETCH_DONE, .peer = peer});
        }
    for (uint8_t rank = 1; rank < PEERS; rank++)
        if (host->closing & (1u << rank))
            link_down(host, rank);
    host->closing = 0;
}

static void peer_says(struct host *host, uint8_t rank, uint16_t type, struct reader *r,
                      size_t count)
{
    uint8_t head[GCS_HEAD_BYTES_MAX] = {3};
    struct blob *payload = gcs_frame_has_payload(type) ? blob_create("payload", 7) : NULL;
    count = count < reader_left(r) ? count : reader_left(r);
    count = count < sizeof head - 1 ? count : sizeof head - 1;
    reader_copy(r, head + 1, count);
    uint32_t right = gcs_frame_head_bytes(type, 3); /* another size would only be refused */
    step(host, (struct gcs_event){.kind = GCS_EVENT_FRAME,
                                  .peer = rank,
                                  .type = type,
                                  .head = head,
                                  .head_bytes = right <= sizeof head ? right : 0,
                                  .payload = payload});
    blob_unref(payload);
}

static void one_event(struct host *host, struct reader *r)
{
    uint8_t what = reader_u8(r), rank = (uint8_t)(1 + reader_u8(r) % (PEERS - 1));
    uint16_t type = (uint16_t)(NET_FRAME_GCS_FIRST + reader_u8(r) % TYPES);
    size_t length = reader_u16(r);
    host->now_ns += (uint64_t)(what / 16) * 10000000;
    if (what % 16 == 1)
        link_down(host, rank);
    else if (what % 16 == 2)
        step(host, (struct gcs_event){.kind = GCS_EVENT_TICK});
    else if (host->up[rank])
        peer_says(host, rank, type, r, length);
    else
        link_up(host, rank);
    if (what % 16 != 3)
        obey(host);
    step(host, (struct gcs_event){.kind = GCS_EVENT_TURN});
}

static void core_one(const uint8_t *bytes, size_t count)
{
    void *memory;
    struct host host = {.core = core_make(NULL, 0, &memory)};
    struct reader r = reader_make(bytes, count);
    MUST(host.core);
    step(&host, (struct gcs_event){.kind = GCS_EVENT_START});
    link_up(&host, 1);
    link_up(&host, 2);
    obey(&host);
    while (!host.failed && reader_left(&r) >= 5)
        one_event(&host, &r);
    if (host.failed) { /* it does nothing more; what it asked for is not waited for */
        const struct gcs_action *action;
        while ((action = gcs_action(host.core))) {
            take_action(&host, action);
            gcs_action_done(host.core);
        }
    }
    core_end(host.core, memory);
}

static bool core_seed(unsigned number, struct buffer *to)
{
    if (number >= 2 * TYPES)
        return false;
    for (unsigned i = 0; i < 6; i++) {
        uint8_t head[GCS_HEAD_BYTES_MAX];
        struct gcs_frame frame = frame_make(i < 2 ? number + i : number * i, 3);
        uint32_t bytes = gcs_frame_encode(&frame, head);
        buffer_u8(to, 0);
        buffer_u8(to, (uint8_t)i);
        buffer_u8(to, (uint8_t)(frame.type - NET_FRAME_GCS_FIRST));
        buffer_u16(to, (uint16_t)(bytes - 1));
        buffer_append(to, head + 1, bytes - 1);
    }
    return !to->failed;
}

const struct fuzz_target fuzz_gcs_core = {"gcs_core", core_one, core_seed};
