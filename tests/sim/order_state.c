/* The state machine of the bare group: it hashes what it is given. Applying lags behind delivery by
 * a random time; what was applied is flushed now and then, and only what the local log has stored.
 */
#include "tests/sim/order_internal.h"

#include "base/cursor.h"
#include "store/metafile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FLUSHED_BYTES = 8 * 3 + 1 + 16 + 8 * GCS_MEMBER_MAX };

/* ---- what is on disk ---- */

static void applied_write(struct writer *w, const struct applied *applied)
{
    writer_u64(w, applied->state.index);
    writer_u64(w, applied->state.position.epoch);
    writer_u64(w, applied->state.position.ts);
    writer_u8(w, applied->state.position.rank);
    writer_u64(w, applied->history.low);
    writer_u64(w, applied->history.high);
    for (int k = 0; k < GCS_MEMBER_MAX; k++)
        writer_u64(w, applied->state.counts[k]);
}

static void applied_read(struct reader *r, struct applied *applied)
{
    applied->state.index = reader_u64(r);
    applied->state.position.epoch = reader_u64(r);
    applied->state.position.ts = reader_u64(r);
    applied->state.position.rank = reader_u8(r);
    applied->history.low = reader_u64(r);
    applied->history.high = reader_u64(r);
    for (int k = 0; k < GCS_MEMBER_MAX; k++)
        applied->state.counts[k] = reader_u64(r);
    memcpy(applied->state.history, &applied->history, sizeof applied->state.history);
}

static int applied_put(struct disk *disk, const struct applied *applied)
{
    uint8_t bytes[FLUSHED_BYTES];
    struct writer w = writer_make(bytes, sizeof bytes);
    applied_write(&w, applied);
    return metafile_write(disk, "applied", bytes, sizeof bytes, NULL);
}

int order_state_read(struct order_node *node, struct error *error)
{
    void *content;
    size_t bytes;
    node->applied = node->flushed = (struct applied){0};
    int code = metafile_read(node->host->disk, "applied", &content, &bytes, error);
    if (code == METAFILE_ABSENT)
        return 0;
    if (code < 0)
        return code;
    struct reader r = reader_make(content, bytes);
    applied_read(&r, &node->applied);
    node->flushed = node->applied;
    bool complete = reader_complete(&r);
    free(content);
    return complete ? 0 : error_set(error, -EBADMSG, "the applied state is damaged");
}

bool order_state_take(struct order_node *node, const struct order_node *from)
{
    if (from->outside || from->flushed.state.index <= node->flushed.state.index)
        return false;
    return applied_put(node->host->disk, &from->flushed) == 0;
}

/* ---- flushing ---- */

static void flush_run(struct work *work)
{
    struct order_node *node = CONTAINER_OF(work, struct order_node, flush);
    node->flush_code = applied_put(node->host->disk, &node->flushing);
}

static void flush_done(struct work *work)
{
    struct order_node *node = CONTAINER_OF(work, struct order_node, flush);
    node->flush_busy = node->flush_wanted = false;
    if (!node->host->process->alive)
        return;
    if (node->flush_code < 0) {
        order_node_failed(node, node->flush_code, "the applied state can't be written");
        return;
    }
    node->flushed = node->flushing;
    if (node->journal)
        journal_durable(node->journal, node->flushed.state.index);
    trap_note(&node->cluster->faults.trap, node->member, TRAP_FLUSH);
}

static void flush_maybe(struct order_node *node)
{
    if (node->flush_busy)
        return;
    bool due = node->flush_asked || prng_chance(&node->host->world->prng, 1, 8);
    if (!node->flush_wanted && due) {
        node->flush_asked = false;
        node->flushing = node->applied;
        node->flush_wanted = true;
    }
    if (!node->flush_wanted || node->flushing.state.index > node->allowed)
        return;
    node->flush_busy = true;
    node->flush = (struct work){.run = flush_run, .done = flush_done};
    work_queue_submit(node->flusher, &node->flush);
}

/* ---- applying ---- */

static void apply_one(struct order_node *node, const struct delivered *delivered)
{
    const struct gcs_message *m = &delivered->message;
    struct applied *applied = &node->applied;
    struct hash128 before = applied->history;
    uint64_t head[4] = {m->epoch, m->origin, m->seq, m->ts};
    applied->history =
        hash128_chain(applied->history, head, sizeof head, m->payload ? m->payload->data : NULL,
                      m->payload ? m->payload->bytes : 0);
    memcpy(applied->state.history, &applied->history, sizeof applied->state.history);
    applied->state.index = delivered->index;
    applied->state.position = (struct gcs_position){m->epoch, m->ts, m->origin};
    if (m->payload)
        applied->state.counts[m->origin] = m->seq;
    else
        memset(applied->state.counts, 0, sizeof applied->state.counts);
    if (!node->witness)
        checks_applied(&node->cluster->checks, node->member, delivered->index,
                       m->payload ? m : NULL, applied->history, (struct hash128){0});
    order_past_add(node, m, delivered->index, before);
    gcs_applied(node->gcs, delivered->index);
    if (delivered->index % GCS_CHECK_EVERY == 0)
        gcs_check(node->gcs, delivered->index, applied->state.history);
    blob_unref(m->payload);
}

static void apply_some(struct loop_timer *timer)
{
    struct order_node *node = CONTAINER_OF(timer, struct order_node, apply);
    uint64_t count = world_between(node->host->world, 1, 8);
    struct delivered *delivered;
    while (count-- && (delivered = STAILQ_FIRST(&node->queue))) {
        STAILQ_REMOVE_HEAD(&node->queue, entry);
        apply_one(node, delivered);
        free(delivered);
    }
    flush_maybe(node);
    if (!STAILQ_EMPTY(&node->queue))
        loop_timer_start(&node->apply, world_skewed(node->host->world, 0, SIM_MS(4)));
}

void order_state_ask(struct order_node *node)
{
    node->flush_asked = true;
    if (!node->ended)
        loop_timer_start(&node->apply, SIM_MS(1));
}

void order_state_queue(struct order_node *node, const struct gcs_message *message, uint64_t index)
{
    struct delivered *delivered = sim_alloc(sizeof *delivered);
    delivered->message = *message;
    delivered->index = index;
    if (message->payload)
        blob_ref(message->payload);
    if (STAILQ_EMPTY(&node->queue))
        loop_timer_start(&node->apply, world_skewed(node->host->world, 0, SIM_MS(4)));
    STAILQ_INSERT_TAIL(&node->queue, delivered, entry);
}

void order_state_drop_queue(struct order_node *node)
{
    struct delivered *delivered;
    loop_timer_stop(&node->apply);
    while ((delivered = STAILQ_FIRST(&node->queue))) {
        STAILQ_REMOVE_HEAD(&node->queue, entry);
        blob_unref(delivered->message.payload);
        free(delivered);
    }
}

void order_state_init(struct order_node *node)
{
    STAILQ_INIT(&node->queue);
    node->flusher = work_queue_create(&node->host->process->loop, "flush");
    MUST(loop_timer_init(&node->host->process->loop, &node->apply, apply_some) == 0);
}

void order_state_finish(struct order_node *node)
{
    order_state_drop_queue(node);
    work_queue_destroy(node->flusher);
    loop_timer_finish(&node->apply);
}
