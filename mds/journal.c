/* The group's disk: message log, group state, and what may be flushed and forgotten.
 *
 * Invariants: `entries` are in lsn order. A message is once in `by_message` until it is delivered
 * (as read at the start: until it is forgotten), and in `undelivered` while it has no index: what
 * is done for a message, or for an epoch, takes no longer for a long log. `unflushed` is in index
 * order; its head is the first index that the local log has not stored. Source: docs/protocol.md,
 * section 3.4; docs/decisions.md, write-back in generations. */
#include "mds/journal.h"
#include "base/cursor.h"
#include "base/table.h"
#include "store/metafile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Names a message; without padding, because it is hashed as bytes. */
struct message_key {
    uint64_t epoch, seq, origin;
};

/* What a record of the log is. */
enum record_kind {
    RECORD_MESSAGE = 1,
    RECORD_APPLIED = 2, /* which place of the order a message was given: ts is the index */
};

struct entry {
    struct message_key key;
    uint64_t lsn, ts;
    uint32_t bytes;
    enum record_kind kind;
    uint64_t index;       /* of the order; 0: not delivered */
    bool listed;          /* in by_message */
    struct blob *payload; /* until it was handed over by journal_recovered */
    TAILQ_ENTRY(entry) link, in_undelivered;
    UT_hash_handle hh;
};

/* A record of the kind RECORD_APPLIED, as it was read. */
struct note {
    struct message_key key;
    uint64_t index;
    struct hash128 hash;
    STAILQ_ENTRY(note) link;
};

struct unflushed {
    uint64_t index, lsn;
    STAILQ_ENTRY(unflushed) link;
};

struct journal {
    struct journal_config config;
    struct msglog *log;
    struct work_queue *queue; /* of the group's state */
    TAILQ_HEAD(, entry) entries, undelivered;
    struct entry *by_message;
    struct entry *stored_last; /* the last entry that is stored */
    uint64_t stored_lsn;
    STAILQ_HEAD(, unflushed) unflushed;
    uint32_t recovered_count;
    uint64_t bytes;            /* of all entries and their payloads */
    STAILQ_HEAD(, note) notes; /* as read at the start */
    uint64_t durable;          /* index that the store holds durably */
    uint64_t released;
    void *state; /* as read at the start */
    size_t state_bytes;

    struct work save_work;
    uint8_t save_state[GCS_STATE_BYTES_MAX];
    size_t save_bytes;
    int save_code;
    struct error save_error;

    bool failed;
};

static void journal_fail(struct journal *journal, int code, const char *detail)
{
    if (journal->failed)
        return;
    journal->failed = true;
    journal->config.failed(journal->config.user, code, detail);
}

static struct entry *entry_find(const struct journal *journal, uint64_t epoch, uint8_t origin,
                                uint64_t seq)
{
    struct message_key key = {.epoch = epoch, .seq = seq, .origin = origin};
    struct entry *entry;
    HASH_FIND(hh, journal->by_message, &key, sizeof key, entry);
    return entry;
}

/* A second copy of a message is only taken along. */
static struct entry *entry_add(struct journal *journal, uint64_t lsn,
                               const struct msglog_record *record)
{
    uint64_t epoch = record->epoch, seq = record->seq;
    uint8_t origin = record->origin;
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    *entry = (struct entry){.key = {.epoch = epoch, .seq = seq, .origin = origin},
                            .lsn = lsn,
                            .ts = record->ts,
                            .bytes = record->payload->bytes,
                            .kind = record->kind};
    if (record->kind != RECORD_MESSAGE) {
        entry->index = record->ts;
    } else if (entry_find(journal, epoch, origin, seq)) {
        entry->index = 1;
    } else {
        entry->listed = true;
        HASH_ADD(hh, journal->by_message, key, sizeof entry->key, entry);
        if (!entry->hh.tbl) {
            free(entry);
            return NULL;
        }
    }
    journal->bytes += sizeof *entry + entry->bytes;
    if (entry->index == 0)
        TAILQ_INSERT_TAIL(&journal->undelivered, entry, in_undelivered);
    TAILQ_INSERT_TAIL(&journal->entries, entry, link);
    return entry;
}

static void entry_set_index(struct journal *journal, struct entry *entry, uint64_t index)
{
    if (entry->index == 0)
        TAILQ_REMOVE(&journal->undelivered, entry, in_undelivered);
    entry->index = index;
}

static void entry_unlist(struct journal *journal, struct entry *entry)
{
    if (entry->listed)
        HASH_DEL(journal->by_message, entry);
    entry->listed = false;
}

static void entry_drop(struct journal *journal, struct entry *entry)
{
    if (journal->stored_last == entry)
        journal->stored_last = NULL;
    entry_set_index(journal, entry, 1);
    entry_unlist(journal, entry);
    journal->bytes -= sizeof *entry + entry->bytes;
    TAILQ_REMOVE(&journal->entries, entry, link);
    blob_unref(entry->payload);
    free(entry);
}

/* True for what the store held already when the log was read. */
static bool is_applied(const struct journal *journal, const struct msglog_record *record)
{
    const struct gcs_position *applied = &journal->config.applied;
    if (record->epoch != applied->epoch)
        return record->epoch < applied->epoch;
    if (record->ts != applied->ts)
        return record->ts < applied->ts;
    return record->origin <= applied->rank;
}

/* The group needs no more of it: applied, and its epoch is over. */
static bool is_past(const struct journal *journal, const struct entry *entry)
{
    return entry->index != 0 && entry->key.epoch < journal->config.applied.epoch;
}

static int recover_note(struct journal *journal, const struct msglog_record *record)
{
    struct reader r = reader_make(record->payload->data, record->payload->bytes);
    struct note *note = calloc(1, sizeof *note);
    if (!note)
        return -ENOMEM;
    note->key =
        (struct message_key){.epoch = record->epoch, .seq = record->seq, .origin = record->origin};
    note->index = record->ts;
    note->hash.low = reader_u64(&r);
    note->hash.high = reader_u64(&r);
    STAILQ_INSERT_TAIL(&journal->notes, note, link);
    return reader_complete(&r) ? 0 : -EBADMSG;
}

static int recover_record(void *user, uint64_t lsn, const struct msglog_record *record)
{
    struct journal *journal = user;
    if (record->payload == NULL || record->origin >= GCS_MEMBER_MAX)
        return -EBADMSG;
    struct entry *entry = entry_add(journal, lsn, record);
    if (!entry)
        return -ENOMEM;
    journal->stored_lsn = lsn;
    if (record->kind == RECORD_APPLIED)
        return recover_note(journal, record);
    entry->payload = blob_ref(record->payload);
    if (is_applied(journal, record))
        entry_set_index(journal, entry, 1);
    journal->stored_last = entry;
    journal->recovered_count += !is_past(journal, entry);
    return 0;
}

static void allow(struct journal *journal)
{
    struct unflushed *head;
    uint64_t index = 0;
    while ((head = STAILQ_FIRST(&journal->unflushed)) && head->lsn <= journal->stored_lsn &&
           (journal->config.sync || head->index <= journal->released)) {
        STAILQ_REMOVE_HEAD(&journal->unflushed, link);
        index = head->index;
        free(head);
    }
    if (index)
        journal->config.allowed(journal->config.user, index);
}

static void on_synced(void *user, uint64_t lsn)
{
    struct journal *journal = user;
    struct entry *last = journal->stored_last;
    struct entry *next = last ? TAILQ_NEXT(last, link) : TAILQ_FIRST(&journal->entries);
    if (journal->failed)
        return;
    journal->stored_lsn = lsn;
    const struct entry *message = NULL;
    for (; next && next->lsn <= lsn; next = TAILQ_NEXT(next, link)) {
        last = next;
        message = next->kind == RECORD_MESSAGE ? next : message;
    }
    journal->stored_last = last;
    if (message)
        journal->config.stored(journal->config.user, message->key.epoch,
                               (uint8_t)message->key.origin, message->key.seq);
    allow(journal);
}

static void on_log_failed(void *user, int code, const char *detail)
{
    journal_fail(user, code, detail);
}

static int read_state(struct journal *journal, struct error *error)
{
    int rc =
        metafile_read(journal->config.disk, "group", &journal->state, &journal->state_bytes, error);
    if (rc == METAFILE_ABSENT)
        return 0;
    return rc < 0 ? error_wrap(error, rc, "the file group") : 0;
}

static int read_log(struct journal *journal, struct error *error)
{
    const struct msglog_config config = {
        .loop = journal->config.loop,
        .disk = journal->config.disk,
        .segment_bytes = journal->config.segment_bytes,
        .record_bytes_max = journal->config.payload_bytes_max,
        .sync = journal->config.sync,
        .user = journal,
        .synced = on_synced,
        .failed = on_log_failed,
    };
    int rc = msglog_open(&config, recover_record, &journal->log, error);
    return rc < 0 ? error_wrap(error, rc, "the message log") : 0;
}

int journal_open(const struct journal_config *config, struct journal **ret_journal,
                 struct error *error)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return error_set(error, -ENOMEM, "no memory");
    journal->config = *config;
    TAILQ_INIT(&journal->entries);
    TAILQ_INIT(&journal->undelivered);
    STAILQ_INIT(&journal->unflushed);
    STAILQ_INIT(&journal->notes);
    int rc = read_state(journal, error);
    if (rc == 0)
        rc = read_log(journal, error);
    if (rc == 0 && !(journal->queue = work_queue_create(config->loop, "group state")))
        rc = error_set(error, -ENOMEM, "no thread for the group's state");
    if (rc < 0) {
        journal_close(journal);
        return rc;
    }
    *ret_journal = journal;
    return 0;
}

const void *journal_state(const struct journal *journal, size_t *ret_bytes)
{
    *ret_bytes = journal->state_bytes;
    return journal->state;
}

uint32_t journal_recovered_count(const struct journal *journal)
{
    return journal->recovered_count;
}

/* From the newest note back as far as there is no gap and each message is there. */
static struct note *notes_begin(const struct journal *journal, uint64_t index_last)
{
    struct note *note, *first = NULL, *begin = NULL;
    uint64_t next = 0;
    STAILQ_FOREACH (note, &journal->notes, link) {
        const struct entry *entry =
            entry_find(journal, note->key.epoch, (uint8_t)note->key.origin, note->key.seq);
        bool whole = note->key.seq == 0 || (entry && entry->payload);
        if (!whole || note->index > index_last)
            first = NULL;
        else if (!first || note->index != next)
            first = note;
        next = note->index + 1;
        if (note->index == index_last)
            begin = first;
    }
    return begin;
}

int journal_remembered(struct journal *journal, uint64_t index_last,
                       int (*each)(void *user, const struct gcs_message *message, uint64_t index,
                                   struct hash128 hash),
                       void *user)
{
    int rc = 0;
    struct note *note = notes_begin(journal, index_last);
    for (bool last = false; note && !last && rc == 0; note = STAILQ_NEXT(note, link)) {
        last = note->index == index_last;
        const struct entry *entry =
            entry_find(journal, note->key.epoch, (uint8_t)note->key.origin, note->key.seq);
        struct gcs_message message = {
            .epoch = note->key.epoch, .seq = note->key.seq, .origin = (uint8_t)note->key.origin};
        if (note->key.seq) {
            message.ts = entry->ts;
            message.payload = entry->payload;
        }
        rc = each(user, &message, note->index, note->hash);
    }
    return rc;
}

int journal_recovered(struct journal *journal,
                      int (*each)(void *user, const struct gcs_message *message), void *user)
{
    struct entry *entry;
    int rc = 0;
    TAILQ_FOREACH (entry, &journal->entries, link) {
        const struct gcs_message message = {.epoch = entry->key.epoch,
                                            .seq = entry->key.seq,
                                            .ts = entry->ts,
                                            .origin = (uint8_t)entry->key.origin,
                                            .payload = entry->payload};
        if (rc == 0 && entry->listed && entry->payload && !is_past(journal, entry))
            rc = each(user, &message);
        blob_unref(entry->payload);
        entry->payload = NULL;
    }
    free(journal->state);
    journal->state = NULL;
    journal->state_bytes = 0;
    return rc;
}

void journal_store(struct journal *journal, const struct gcs_message *message)
{
    const struct msglog_record record = {.kind = RECORD_MESSAGE,
                                         .origin = message->origin,
                                         .epoch = message->epoch,
                                         .seq = message->seq,
                                         .ts = message->ts,
                                         .payload = message->payload};
    if (journal->failed)
        return;
    uint64_t lsn = msglog_append(journal->log, &record);
    if (!entry_add(journal, lsn, &record))
        journal_fail(journal, -ENOMEM, "no memory for the message log");
}

void journal_applied(struct journal *journal, const struct gcs_message *message, uint64_t index,
                     struct hash128 hash)
{
    uint8_t bytes[16];
    struct writer w = writer_make(bytes, sizeof bytes);
    writer_u64(&w, hash.low);
    writer_u64(&w, hash.high);
    struct blob *payload = blob_create(bytes, sizeof bytes);
    struct msglog_record record = {.lazy = true,
                                   .kind = RECORD_APPLIED,
                                   .origin = message->origin,
                                   .epoch = message->epoch,
                                   .seq = message->seq,
                                   .ts = index,
                                   .payload = payload};
    if (!payload || journal->failed ||
        !entry_add(journal, msglog_append(journal->log, &record), &record))
        journal_fail(journal, -ENOMEM, "no memory for the message log");
    blob_unref(payload);
}

static void save_run(struct work *work)
{
    struct journal *journal = CONTAINER_OF(work, struct journal, save_work);
    journal->save_code = metafile_write(journal->config.disk, "group", journal->save_state,
                                        journal->save_bytes, &journal->save_error);
}

static void save_done(struct work *work)
{
    struct journal *journal = CONTAINER_OF(work, struct journal, save_work);
    if (journal->failed)
        return;
    if (journal->save_code < 0)
        journal_fail(journal, journal->save_code, journal->save_error.text);
    else
        journal->config.saved(journal->config.user);
}

void journal_save(struct journal *journal, const void *state, size_t bytes)
{
    MUST(bytes <= sizeof journal->save_state);
    memcpy(journal->save_state, state, bytes);
    journal->save_bytes = bytes;
    journal->save_work = (struct work){.run = save_run, .done = save_done};
    work_queue_submit(journal->queue, &journal->save_work);
}

static void unflushed_add(struct journal *journal, uint64_t index, uint64_t lsn)
{
    struct unflushed *item = malloc(sizeof *item);
    if (!item) {
        journal_fail(journal, -ENOMEM, "no memory for the message log");
        return;
    }
    *item = (struct unflushed){.index = index, .lsn = lsn};
    STAILQ_INSERT_TAIL(&journal->unflushed, item, link);
    allow(journal);
}

void journal_delivered(struct journal *journal, const struct gcs_message *message, uint64_t index)
{
    struct entry *entry = entry_find(journal, message->epoch, message->origin, message->seq);
    if (entry) {
        entry_set_index(journal, entry, index);
        entry_unlist(journal, entry);
    }
    unflushed_add(journal, index, entry ? entry->lsn : 0);
}

/* What an ended epoch did not deliver is void: it counts as done with the epoch event. */
void journal_epoch(struct journal *journal, uint64_t epoch, uint64_t index)
{
    struct entry *entry = TAILQ_FIRST(&journal->undelivered);
    while (entry) {
        struct entry *next = TAILQ_NEXT(entry, in_undelivered);
        if (entry->key.epoch < epoch) {
            entry_set_index(journal, entry, index);
            entry_unlist(journal, entry);
        }
        entry = next;
    }
    unflushed_add(journal, index, 0);
}

void journal_released(struct journal *journal, uint64_t index)
{
    journal->released = index;
    if (!journal->config.sync)
        allow(journal);
}

static bool may_forget(const struct journal *journal, const struct entry *entry)
{
    return entry->index != 0 && entry->index <= journal->durable &&
           journal->config.stored_by_all(journal->config.user, entry->key.epoch,
                                         (uint8_t)entry->key.origin, entry->key.seq);
}

void journal_durable(struct journal *journal, uint64_t index)
{
    struct entry *head;
    uint64_t lsn = 0;
    journal->durable = index;
    while ((head = TAILQ_FIRST(&journal->entries)) && head->lsn <= journal->stored_lsn &&
           journal->bytes > journal->config.retain_bytes && may_forget(journal, head)) {
        lsn = head->lsn;
        entry_drop(journal, head);
    }
    if (lsn)
        msglog_trim(journal->log, lsn + 1);
}

uint64_t journal_backlog_bytes(const struct journal *journal)
{
    return msglog_backlog_bytes(journal->log);
}

void journal_counters(const struct journal *journal, struct msglog_counters *ret_counters)
{
    msglog_counters(journal->log, ret_counters);
}

void journal_close(struct journal *journal)
{
    struct entry *entry;
    struct unflushed *item;
    struct note *note;
    if (!journal)
        return;
    journal->failed = true; /* no callback from here on */
    if (journal->log)
        msglog_close(journal->log);
    work_queue_destroy(journal->queue);
    while ((entry = TAILQ_FIRST(&journal->entries)))
        entry_drop(journal, entry);
    while ((note = STAILQ_FIRST(&journal->notes))) {
        STAILQ_REMOVE_HEAD(&journal->notes, link);
        free(note);
    }
    while ((item = STAILQ_FIRST(&journal->unflushed))) {
        STAILQ_REMOVE_HEAD(&journal->unflushed, link);
        free(item);
    }
    free(journal->state);
    free(journal);
}
