/* What disks hold: meta files, identities, segments of the message log. */
#include "base/cursor.h"
#include "mds/identity.h"
#include "store/metafile.h"
#include "store/segment.h"
#include "tests/fuzz/bytes_disk.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void metafile_one(const uint8_t *bytes, size_t count)
{
    struct bytes_disk disk;
    struct error error;
    void *content;
    size_t content_bytes;
    bytes_disk_init(&disk, bytes, count);
    if (metafile_read(&disk.base, "meta", &content, &content_bytes, &error) == 0) {
        MUST(content_bytes <= METAFILE_BYTES_MAX);
        MUST(metafile_write(&disk.base, "meta", content, content_bytes, &error) == 0);
        fuzz_must_equal(&disk.content, bytes, count);
        free(content);
    }
    bytes_disk_finish(&disk);
}

static bool metafile_seed(unsigned number, struct buffer *to)
{
    static const char content[200] = "content";
    struct bytes_disk disk;
    struct error error;
    bytes_disk_init(&disk, NULL, 0);
    int rc = metafile_write(&disk.base, "meta", content, 33 * number, &error);
    buffer_append(to, disk.content.data, disk.content.bytes);
    bytes_disk_finish(&disk);
    return rc == 0 && number < 4;
}

const struct fuzz_target fuzz_metafile = {"metafile", metafile_one, metafile_seed};

/* The input is the content of a meta file, so that no checksum stands before the decoder. */
static void identity_one(const uint8_t *bytes, size_t count)
{
    struct bytes_disk disk;
    struct error error;
    struct identity identity;
    if (count > METAFILE_BYTES_MAX)
        return;
    bytes_disk_init(&disk, NULL, 0);
    MUST(metafile_write(&disk.base, "identity", bytes, count, &error) == 0);
    if (identity_read(&disk.base, &identity, &error) == 0) {
        MUST(identity.member_count <= GCS_MEMBER_MAX);
        MUST(memchr(identity.name, 0, sizeof identity.name));
        MUST(identity_write(&disk.base, &identity, &error) == 0);
    }
    bytes_disk_finish(&disk);
}

static bool identity_seed(unsigned number, struct buffer *to)
{
    struct identity identity = {
        .cluster = {1}, .name = "cluster", .node = 1, .member_count = number};
    struct bytes_disk disk;
    struct error error;
    void *content = NULL;
    size_t bytes = 0;
    if (number > GCS_MEMBER_MAX)
        return false;
    for (unsigned i = 0; i < number; i++)
        identity.members[i] = (struct gcs_member){(uint8_t)(i + 1), "127.0.0.1:7401"};
    bytes_disk_init(&disk, NULL, 0);
    bool good = identity_write(&disk.base, &identity, &error) == 0 &&
                metafile_read(&disk.base, "identity", &content, &bytes, &error) == 0;
    if (good)
        buffer_append(to, content, bytes);
    free(content);
    bytes_disk_finish(&disk);
    return good;
}

const struct fuzz_target fuzz_identity = {"identity", identity_one, identity_seed};

enum { SEGMENT_LSN = 1, RECORD_BYTES_MAX = 1000 };

static void segment_one(const uint8_t *bytes, size_t count)
{
    struct bytes_disk disk;
    struct segment_reader reader;
    struct msglog_record record;
    uint64_t lsn, last = SEGMENT_LSN - 1;
    int rc;
    bytes_disk_init(&disk, bytes, count);
    rc = segment_reader_open(&reader, &disk.base, SEGMENT_LSN, RECORD_BYTES_MAX, NULL);
    if (rc >= 0) {
        while (rc == 0 && (rc = segment_reader_next(&reader, &lsn, &record)) == 0) {
            MUST(lsn == ++last && record.payload->bytes <= RECORD_BYTES_MAX);
            blob_unref(record.payload);
        }
        if (rc == SEGMENT_TORN)
            MUST(segment_reader_damaged(&reader) <= 1);
        segment_reader_close(&reader);
    }
    bytes_disk_finish(&disk);
}

static bool segment_seed(unsigned number, struct buffer *to)
{
    uint8_t head[SEGMENT_RECORD_HEAD_BYTES];
    struct segment_place place;
    if (number >= 5)
        return false;
    segment_head_encode(head, SEGMENT_LSN, 0, &place);
    buffer_append(to, head, SEGMENT_HEAD_BYTES);
    for (unsigned i = 0; i < number; i++) {
        struct blob *payload = blob_create(NULL, 60 * i);
        MUST(payload);
        memset(payload->data, 'x', payload->bytes);
        struct msglog_record record = {
            .kind = 1, .origin = (uint8_t)i, .epoch = 1, .seq = i, .ts = i, .payload = payload};
        segment_record_encode(head, &record, i, &place);
        buffer_append(to, head, sizeof head);
        buffer_append(to, payload->data, payload->bytes);
        blob_unref(payload);
    }
    return !to->failed;
}

const struct fuzz_target fuzz_segment = {"segment", segment_one, segment_seed};
