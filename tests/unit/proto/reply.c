/* outcome, reply, attr, dirent, statfs, status. */
#include "tests/unit/proto/damage.h"
#include "tests/unit/proto/sample.h"

#include <criterion/criterion.h>
#include <errno.h>

static int recode_reply(const uint8_t *bytes, size_t count, struct buffer *to)
{
    struct proto_reply reply;
    int rc = proto_reply_decode(bytes, count, &reply);
    if (rc == 0)
        cr_assert_eq(proto_reply_encode(&reply, to), 0);
    return rc;
}

Test(reply, every_shape_with_every_damage)
{
    struct prng prng;
    prng_init(&prng, 11);
    for (uint32_t fields = 0; fields < 8; fields++) {
        struct proto_reply reply = sample_reply(fields, &prng);
        struct buffer encoding;
        buffer_init(&encoding, 4096);
        cr_assert_eq(proto_reply_encode(&reply, &encoding), 0);
        damage_check("reply", &encoding, recode_reply);
        buffer_finish(&encoding);
    }
}

static int recode_outcome(const uint8_t *bytes, size_t count, struct buffer *to)
{
    struct reader r = reader_make(bytes, count);
    struct proto_outcome outcome;
    int rc = proto_outcome_decode(&r, &outcome);
    if (rc == 0)
        cr_assert_eq(proto_outcome_encode(&outcome, to), 0);
    return rc == 0 && !reader_complete(&r) ? -EPROTO : rc;
}

Test(reply, outcome)
{
    struct prng prng;
    struct buffer encoding;
    prng_init(&prng, 12);
    struct proto_outcome outcome = sample_reply(PROTO_REPLY_ATTR | PROTO_REPLY_DATA, &prng).outcome;
    buffer_init(&encoding, 4096);
    cr_assert_eq(proto_outcome_encode(&outcome, &encoding), 0);
    damage_check("outcome", &encoding, recode_outcome);
    buffer_finish(&encoding);
}

Test(reply, encoder_refuses)
{
    static const uint8_t big[PROTO_DATA_BYTES_MAX + 1];
    struct prng prng;
    struct buffer to;
    prng_init(&prng, 13);
    buffer_init(&to, 1 << 20);
    struct proto_reply reply = sample_reply(PROTO_REPLY_DATA, &prng);
    reply.outcome.data = (struct proto_bytes){big, sizeof big};
    cr_assert_eq(proto_reply_encode(&reply, &to), -EINVAL);
    reply.outcome.data.bytes--;
    cr_assert_eq(proto_reply_encode(&reply, &to), 0);
    cr_assert_leq(to.bytes, PROTO_REPLY_BYTES_MAX);
    reply.outcome.status = (enum proto_status)25;
    cr_assert_eq(proto_reply_encode(&reply, &to), -EINVAL);
    reply.outcome = (struct proto_outcome){.fields = 8};
    cr_assert_eq(proto_reply_encode(&reply, &to), -EINVAL);
    buffer_finish(&to);
}

Test(attr, size_is_as_announced)
{
    uint8_t raw[PROTO_ATTR_BYTES];
    struct prng prng;
    prng_init(&prng, 14);
    struct proto_attr attr = sample_attr(&prng), got;
    struct writer w = writer_make(raw, sizeof raw);
    proto_attr_write(&w, &attr);
    cr_assert(!w.failed && writer_used(&w) == sizeof raw);
    struct reader r = reader_make(raw, sizeof raw);
    proto_attr_read(&r, &got);
    cr_assert(reader_complete(&r));
    cr_assert(got.ino == attr.ino && got.mode == attr.mode && got.size == attr.size);
    cr_assert(got.atime == INT64_MIN && got.mtime == INT64_MAX && got.cut == UINT64_MAX);
    cr_assert(got.layout.first == attr.layout.first && got.layout.targets == 4);
}

Test(statfs, size_is_as_announced)
{
    uint8_t raw[PROTO_STATFS_BYTES];
    struct proto_statfs statfs = {1, 2, 3, 4, 5}, got;
    struct writer w = writer_make(raw, sizeof raw);
    proto_statfs_write(&w, &statfs);
    cr_assert(!w.failed && writer_used(&w) == sizeof raw);
    struct reader r = reader_make(raw, sizeof raw);
    proto_statfs_read(&r, &got);
    cr_assert(reader_complete(&r));
    cr_assert(got.inodes_used == 1 && got.inodes_max == 2 && got.bytes_used == 3);
    cr_assert(got.name_bytes_max == 4 && got.inline_bytes_max == 5);
}

static int recode_dirent(const uint8_t *bytes, size_t count, struct buffer *to)
{
    struct reader r = reader_make(bytes, count);
    struct proto_dirent entry;
    int rc = proto_dirent_decode(&r, &entry);
    if (rc == 0)
        cr_assert_eq(proto_dirent_encode(&entry, to), 0);
    return rc == 0 && !reader_complete(&r) ? -EPROTO : rc;
}

Test(dirent, with_every_damage)
{
    struct prng prng;
    prng_init(&prng, 15);
    for (int attr = 0; attr < 2; attr++) {
        struct proto_dirent entry = sample_dirent(attr, &prng);
        struct buffer encoding;
        buffer_init(&encoding, 4096);
        cr_assert_eq(proto_dirent_encode(&entry, &encoding), 0);
        damage_check("dirent", &encoding, recode_dirent);
        buffer_finish(&encoding);
    }
}

Test(dirent, a_listing_stops_where_it_is_full)
{
    struct prng prng;
    struct buffer listing;
    unsigned written = 0, read = 0;
    prng_init(&prng, 16);
    buffer_init(&listing, 1000);
    struct proto_dirent entry = sample_dirent(true, &prng);
    while (proto_dirent_encode(&entry, &listing) == 0)
        written++;
    cr_assert_gt(written, 3);
    struct reader r = reader_make(listing.data, listing.bytes);
    while (!reader_complete(&r)) {
        cr_assert_eq(proto_dirent_decode(&r, &entry), 0);
        read++;
    }
    cr_assert_eq(read, written);
    buffer_finish(&listing);
}

Test(dirent, encoder_refuses)
{
    struct prng prng;
    struct buffer to;
    prng_init(&prng, 17);
    buffer_init(&to, 1000);
    struct proto_dirent entry = sample_dirent(false, &prng);
    entry.type |= 0644;
    cr_assert_eq(proto_dirent_encode(&entry, &to), -EINVAL);
    entry = sample_dirent(false, &prng);
    entry.name = (struct proto_bytes){(const uint8_t *)"/", 1};
    cr_assert_eq(proto_dirent_encode(&entry, &to), -EINVAL);
    cr_assert_eq(to.bytes, 0);
    buffer_finish(&to);
}

Test(status, names)
{
    unsigned count = 0;
    for (int status = 0; status < PROTO_STATUS_COUNT; status++)
        count += proto_status_name((enum proto_status)status) != NULL;
    cr_assert_eq(count, 22 + 5);
    cr_assert_str_eq(proto_status_name(PROTO_NOENT), "no such entry");
    cr_assert_null(proto_status_name((enum proto_status)22));
    cr_assert_null(proto_status_name(PROTO_STATUS_COUNT));
    cr_assert_null(proto_status_name((enum proto_status) - 1));
}
