/* The meta files `identity` and `incarnation`. Layouts: the encode functions below; both begin with
 * a version of their own, inside what store/metafile.h protects by a checksum. */
#include "mds/identity.h"
#include "base/cursor.h"
#include "store/metafile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IDENTITY_VERSION = 2, /* 1: no witnesses, no standing */
    IDENTITY_BYTES_MAX = 2048,
    INCARNATION_VERSION = 1,
    INCARNATION_BYTES = 18
};

static void text_write(struct writer *w, const char *text)
{
    size_t bytes = strlen(text);
    writer_u8(w, (uint8_t)bytes);
    writer_bytes(w, text, bytes);
}

static void text_read(struct reader *r, char *to, size_t room)
{
    size_t bytes = reader_u8(r);
    if (bytes >= room)
        r->failed = true;
    else
        reader_copy(r, to, bytes);
    to[r->failed ? 0 : bytes] = 0;
}

static size_t identity_encode(const struct identity *identity, uint8_t to[IDENTITY_BYTES_MAX])
{
    struct writer w = writer_make(to, IDENTITY_BYTES_MAX);
    writer_u16(&w, IDENTITY_VERSION);
    writer_bytes(&w, identity->cluster, sizeof identity->cluster);
    text_write(&w, identity->name);
    writer_i64(&w, identity->born_ns);
    writer_u64(&w, identity->limits.inodes_max);
    writer_u32(&w, identity->limits.inline_bytes_max);
    writer_u32(&w, identity->limits.links_max);
    writer_u32(&w, identity->limits.sessions_max);
    writer_u32(&w, identity->limits.slots_max);
    writer_u64(&w, identity->lineage_random);
    writer_u64(&w, identity->lineage_generation);
    writer_u8(&w, identity->node);
    writer_bytes(&w, identity->store, sizeof identity->store);
    writer_u8(&w, (uint8_t)identity->member_count);
    for (uint32_t i = 0; i < identity->member_count; i++) {
        writer_u8(&w, identity->members[i].node);
        text_write(&w, identity->members[i].address);
        writer_u8(&w, identity->members[i].witness);
    }
    writer_u8(&w, identity->witness);
    writer_u8(&w, (uint8_t)identity->standing);
    MUST(!w.failed);
    return writer_used(&w);
}

/* 0 or 1; anything else is damage. */
static bool truth_read(struct reader *r)
{
    uint8_t value = reader_u8(r);
    r->failed = r->failed || value > 1;
    return value == 1;
}

static int standing_decode(struct reader *r, struct identity *ret)
{
    ret->witness = truth_read(r);
    uint8_t standing = reader_u8(r);
    if (standing >= IDENTITY_STANDING_COUNT)
        return -EBADMSG;
    ret->standing = (enum identity_standing)standing;
    return 0;
}

static int identity_decode(struct reader r, struct identity *ret)
{
    *ret = (struct identity){0};
    uint16_t version = reader_u16(&r);
    if (version > IDENTITY_VERSION)
        return -EPROTO;
    reader_copy(&r, ret->cluster, sizeof ret->cluster);
    text_read(&r, ret->name, sizeof ret->name);
    ret->born_ns = reader_i64(&r);
    ret->limits.inodes_max = reader_u64(&r);
    ret->limits.inline_bytes_max = reader_u32(&r);
    ret->limits.links_max = reader_u32(&r);
    ret->limits.sessions_max = reader_u32(&r);
    ret->limits.slots_max = reader_u32(&r);
    ret->lineage_random = reader_u64(&r);
    ret->lineage_generation = reader_u64(&r);
    ret->node = reader_u8(&r);
    reader_copy(&r, ret->store, sizeof ret->store);
    ret->member_count = reader_u8(&r);
    if (ret->member_count > GCS_MEMBER_MAX)
        return -EBADMSG;
    for (uint32_t i = 0; i < ret->member_count; i++) {
        ret->members[i].node = reader_u8(&r);
        text_read(&r, ret->members[i].address, sizeof ret->members[i].address);
        ret->members[i].witness = version > 1 && truth_read(&r);
    }
    if (version > 1 && standing_decode(&r, ret) < 0)
        return -EBADMSG;
    return reader_complete(&r) ? 0 : -EBADMSG;
}

int identity_read(struct disk *disk, struct identity *ret_identity, struct error *error)
{
    void *content;
    size_t bytes;
    int rc = metafile_read(disk, "identity", &content, &bytes, error);
    if (rc == METAFILE_ABSENT)
        return IDENTITY_ABSENT;
    if (rc < 0)
        return rc;
    rc = identity_decode(reader_make(content, bytes), ret_identity);
    free(content);
    if (rc == -EPROTO)
        return error_set(error, rc,
                         "the data directory was written by a newer version; install "
                         "that version here");
    return rc < 0 ? error_set(error, rc, "the file identity is damaged") : 0;
}

int identity_write(struct disk *disk, const struct identity *identity, struct error *error)
{
    uint8_t content[IDENTITY_BYTES_MAX];
    return metafile_write(disk, "identity", content, identity_encode(identity, content), error);
}

static int incarnation_write(struct disk *disk, const struct incarnation *incarnation,
                             struct error *error)
{
    uint8_t content[INCARNATION_BYTES];
    struct writer w = writer_make(content, sizeof content);
    writer_u16(&w, INCARNATION_VERSION);
    writer_u64(&w, incarnation->count);
    writer_u64(&w, incarnation->random);
    return metafile_write(disk, "incarnation", content, writer_used(&w), error);
}

int incarnation_format(struct disk *disk, struct error *error)
{
    return incarnation_write(disk, &(struct incarnation){0}, error);
}

static int incarnation_decode(struct reader r, struct incarnation *ret)
{
    if (reader_u16(&r) > INCARNATION_VERSION)
        return -EPROTO;
    ret->count = reader_u64(&r);
    ret->random = reader_u64(&r);
    return reader_complete(&r) ? 0 : -EBADMSG;
}

static int incarnation_read(struct disk *disk, struct incarnation *ret, struct error *error)
{
    void *content;
    size_t bytes;
    int rc = metafile_read(disk, "incarnation", &content, &bytes, error);
    if (rc < 0)
        return rc;
    if (rc == METAFILE_ABSENT)
        return error_set(error, -EBADMSG,
                         "the file incarnation is missing: the data directory is "
                         "not whole");
    uint8_t copy[INCARNATION_BYTES + 1]; /* one more, to see what is too long */
    if (bytes > sizeof copy)
        bytes = sizeof copy;
    memcpy(copy, content, bytes);
    free(content);
    rc = incarnation_decode(reader_make(copy, bytes), ret);
    if (rc == -EPROTO)
        return error_set(error, rc, "the file incarnation was written by a newer version");
    return rc < 0 ? error_set(error, rc, "the file incarnation is damaged") : 0;
}

int incarnation_next(struct disk *disk, uint64_t random, struct incarnation *ret_incarnation,
                     struct error *error)
{
    struct incarnation next;
    int rc = incarnation_read(disk, &next, error);
    if (rc < 0)
        return rc;
    next.count++;
    next.random = random;
    rc = incarnation_write(disk, &next, error);
    if (rc == 0)
        *ret_incarnation = next;
    return rc;
}

void identity_hex(const uint8_t bytes[16], char text[33])
{
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

int identity_unhex(const char *text, uint8_t *ret_bytes, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(text) != 2 * bytes || strspn(text, digits) != 2 * bytes)
        return -EINVAL;
    for (size_t i = 0; i < bytes; i++) {
        long high = strchr(digits, text[2 * i]) - digits;
        long low = strchr(digits, text[2 * i + 1]) - digits;
        ret_bytes[i] = (uint8_t)(16 * high + low);
    }
    return 0;
}
