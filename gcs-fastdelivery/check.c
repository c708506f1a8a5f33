/* Divergence: members compare the digest of their state at the same index.
 *
 * Source: docs/protocol.md, section 5 (State digest). The odd one out ends, keeps its evidence and
 * is built anew; without a majority of equal digests all stop, for the operator. */
#include "gcs-fastdelivery/core_state.h"

/* This member's own digest at that index, if it is remembered. */
static const uint8_t *own_hash(const struct gcs_core *core, uint64_t index)
{
    for (int i = 0; i < CHECKS_KEPT; i++)
        if (index && core->check_index[i] == index)
            return core->check_hash[i];
    return NULL;
}

static int equal_to(const struct gcs_core *core, uint64_t index, const uint8_t *hash)
{
    const uint8_t *own = own_hash(core, index);
    int count = own && memcmp(own, hash, 16) == 0;
    for (uint8_t j = 0; j < core->n; j++)
        count += in(core->data, j) && j != core->self && core->standings[j].check_index == index &&
                 memcmp(core->standings[j].check_hash, hash, 16) == 0;
    return count;
}

static void compare(struct gcs_core *core, uint64_t index)
{
    const uint8_t *own = own_hash(core, index);
    int data = __builtin_popcount(core->data), told = 0, most_equal = 0;
    if (!own || core->stage != STAGE_RUNNING)
        return;
    int mine = equal_to(core, index, own);
    for (uint8_t j = 0; j < core->n; j++) {
        const struct standing *s = &core->standings[j];
        if (!in(core->data, j) || j == core->self || s->check_index != index)
            continue;
        told++;
        int count = equal_to(core, index, s->check_hash);
        most_equal = count > most_equal ? count : most_equal;
    }
    if (2 * mine > data || mine == told + 1)
        return;
    if (2 * most_equal > data)
        action_out(core, GCS_OUT_DIVERGED, "its state differs from that of the majority");
    else if (told + 1 == data)
        action_fail(core, "the members' states differ, and no majority agrees: compare them");
}

void check_own(struct gcs_core *core, uint64_t index, const uint8_t hash[16])
{
    int place = (int)(index / GCS_CHECK_EVERY % CHECKS_KEPT);
    core->check_index[place] = index;
    memcpy(core->check_hash[place], hash, 16);
    if (core->stage != STAGE_RUNNING)
        return;
    struct gcs_frame frame = {.type = GCS_FRAME_CHECK, .epoch = core->epoch, .index = index};
    memcpy(frame.hash, hash, sizeof frame.hash);
    action_send(core, others(core) & core->data, &frame, NULL);
    compare(core, index);
}

void check_told(struct gcs_core *core, uint8_t from, const struct gcs_frame *frame)
{
    if (frame->epoch != core->epoch)
        return;
    core->standings[from].check_index = frame->index;
    memcpy(core->standings[from].check_hash, frame->hash, sizeof frame->hash);
    compare(core, frame->index);
}
