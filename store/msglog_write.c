/* The write helper of the message log: groups, new segments, removal of old ones.
 *
 * Order on the disk: a segment is synced before the next one is created; the new one's head and
 * name are synced, and the manifest names it, before it takes a record; the manifest gives up a
 * segment before it is removed. */
#include "store/msglog_private.h"

#include "base/cursor.h"
#include "store/metafile.h"

#include <errno.h>
#include <string.h>

enum { STAGING_FLUSH_BYTES = 1 << 20 };

static int manifest_write(struct msglog *log, const struct msglog_manifest *manifest,
                          struct error *error)
{
    uint8_t raw[16];
    struct writer w = writer_make(raw, sizeof raw);
    writer_u64(&w, manifest->first);
    writer_u64(&w, manifest->last);
    int code = metafile_write(log->config.disk, MSGLOG_MANIFEST, raw, sizeof raw, error);
    if (!code)
        log->writer.manifest = *manifest;
    return code;
}

int msglog_segment_create(struct msglog *log, uint64_t first_lsn, uint64_t chain,
                          struct error *error)
{
    struct disk *disk = log->config.disk;
    struct msglog_writer *writer = &log->writer;
    struct msglog_manifest manifest = {writer->manifest.first ? writer->manifest.first : first_lsn,
                                       first_lsn};
    uint8_t head[SEGMENT_HEAD_BYTES];
    char name[SEGMENT_NAME_BYTES];
    segment_name(first_lsn, name);
    segment_head_encode(head, first_lsn, chain, &writer->place);
    int code = disk->ops->open(disk, name, true, &writer->file);
    if (code)
        return error_set(error, code, "message log: create %s: %s", name, strerror(-code));
    code = disk->ops->append(writer->file, head, sizeof head);
    if (!code)
        code = disk->ops->sync(writer->file);
    if (!code)
        code = disk->ops->sync_directory(disk);
    if (code)
        return error_set(error, code, "message log: begin %s: %s", name, strerror(-code));
    return manifest_write(log, &manifest, error);
}

static int staging_flush(struct msglog *log, struct error *error)
{
    struct msglog_writer *writer = &log->writer;
    if (writer->staging.bytes == 0)
        return 0;
    int code =
        log->config.disk->ops->append(writer->file, writer->staging.data, writer->staging.bytes);
    buffer_clear(&writer->staging);
    return code ? error_set(error, code, "message log: write: %s", strerror(-code)) : 0;
}

/* The planted bug takes the second answer for the truth: what the first sync could not write counts
 * as clean from then on. */
static int file_sync(const struct disk_ops *ops, struct disk_file *file)
{
    int code = ops->sync(file);
#ifdef TUTTI_PLANT_SYNC_TRIED_AGAIN
    if (code)
        code = ops->sync(file);
#endif
    return code;
}

/* Everything so far to stable storage. */
static int writer_sync(struct msglog *log, struct msglog_group *group)
{
    int code = staging_flush(log, &group->error);
    if (code)
        return code;
    code = file_sync(log->config.disk->ops, log->writer.file);
    group->syncs++;
    if (code)
        return error_set(&group->error, code, "message log: sync: %s", strerror(-code));
    log->writer.synced = log->writer.place.lsn - 1;
    return 0;
}

static int segment_begin(struct msglog *log, struct msglog_group *group)
{
    int code = writer_sync(log, group);
    if (code)
        return code;
    log->config.disk->ops->close(log->writer.file);
    log->writer.file = NULL;
    return msglog_segment_create(log, log->writer.place.lsn, log->writer.place.chain,
                                 &group->error);
}

static int entry_write(struct msglog *log, struct msglog_group *group,
                       const struct msglog_entry *entry)
{
    struct msglog_writer *writer = &log->writer;
    int code = entry->begins_segment ? segment_begin(log, group) : 0;
    if (!code && writer->staging.bytes >= STAGING_FLUSH_BYTES)
        code = staging_flush(log, &group->error);
    if (code)
        return code;
    uint8_t head[SEGMENT_RECORD_HEAD_BYTES];
    segment_record_encode(head, &entry->record, writer->synced, &writer->place);
    buffer_append(&writer->staging, head, sizeof head);
    buffer_append(&writer->staging, entry->record.payload->data, entry->record.payload->bytes);
    if (writer->staging.failed)
        return error_set(&group->error, -ENOMEM, "message log: no memory");
    return 0;
}

void msglog_group_run(struct work *work)
{
    struct msglog_group *group = CONTAINER_OF(work, struct msglog_group, work);
    struct msglog *log = group->log;
    group->code = 0;
    group->syncs = 0;
    for (uint32_t i = 0; i < group->count && !group->code; i++)
        group->code = entry_write(log, group, &group->entries[i]);
    if (!group->code)
        group->code =
            log->config.sync ? writer_sync(log, group) : staging_flush(log, &group->error);
}

void msglog_trim_run(struct work *work)
{
    struct msglog_trimming *trimming = CONTAINER_OF(work, struct msglog_trimming, work);
    struct msglog *log = trimming->log;
    struct disk *disk = log->config.disk;
    struct msglog_manifest manifest = {trimming->first, log->writer.manifest.last};
    trimming->code = manifest_write(log, &manifest, &trimming->error);
    for (uint32_t i = 0; i < trimming->removed_count && !trimming->code; i++) {
        char name[SEGMENT_NAME_BYTES];
        segment_name(trimming->removed[i], name);
        int code = disk->ops->unlink(disk, name);
        if (code && code != -ENOENT)
            trimming->code = error_set(&trimming->error, code, "message log: remove %s: %s", name,
                                       strerror(-code));
    }
}
