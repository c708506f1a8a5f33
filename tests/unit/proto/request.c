#include "tests/unit/proto/damage.h"
#include "tests/unit/proto/sample.h"

#include <criterion/criterion.h>
#include <errno.h>

static int recode(const uint8_t *bytes, size_t count, struct buffer *to)
{
    struct proto_request request;
    int rc = proto_request_decode(bytes, count, &request);
    if (rc == 0)
        cr_assert_eq(proto_request_encode(&request, to), 0);
    return rc;
}

static unsigned count_operations(void)
{
    unsigned count = 0;
    for (int code = 0; code < SAMPLE_CODE_END; code++)
        count += proto_op_info((enum proto_opcode)code) != NULL;
    return count;
}

Test(request, every_operation_with_every_damage)
{
    struct prng prng;
    prng_init(&prng, 7);
    for (int code = 0; code < SAMPLE_CODE_END; code++) {
        const struct proto_op_info *info = proto_op_info((enum proto_opcode)code);
        if (!info)
            continue;
        struct proto_request request = sample_request((enum proto_opcode)code, &prng);
        struct buffer encoding;
        buffer_init(&encoding, PROTO_REQUEST_BYTES_MAX);
        cr_assert_eq(proto_request_encode(&request, &encoding), 0, "%s", info->name);
        damage_check(info->name, &encoding, recode);
        buffer_finish(&encoding);
    }
}

Test(request, table)
{
    cr_assert_eq(count_operations(), 11 + 22);
    cr_assert_null(proto_op_info((enum proto_opcode)0));
    cr_assert_null(proto_op_info((enum proto_opcode)255));
    cr_assert_null(proto_op_info((enum proto_opcode) - 1));
    for (int code = 1; code < SAMPLE_CODE_END; code++) {
        const struct proto_op_info *info = proto_op_info((enum proto_opcode)code);
        if (!info)
            continue;
        cr_assert_eq(info->write, code >= PROTO_SESSION_OPEN, "%s", info->name);
        cr_assert_eq(info->replica_only, code == PROTO_SESSION_EXPIRE, "%s", info->name);
        bool names = (info->fields & (PROTO_F_NAME | PROTO_F_NAME2)) != 0;
        cr_assert_eq(info->name_bytes_max > 0, names, "%s", info->name);
        cr_assert_eq(info->data_bytes_max > 0, (info->fields & PROTO_F_DATA) != 0, "%s",
                     info->name);
    }
}

Test(request, fields_survive)
{
    struct prng prng;
    struct buffer encoding;
    struct proto_request got;
    prng_init(&prng, 3);
    struct proto_request sent = sample_request(PROTO_RENAME, &prng);
    buffer_init(&encoding, 4096);
    cr_assert_eq(proto_request_encode(&sent, &encoding), 0);
    cr_assert_eq(proto_request_decode(encoding.data, encoding.bytes, &got), 0);
    cr_assert_arr_eq(got.session, sent.session, PROTO_SESSION_BYTES);
    cr_assert(got.tag == sent.tag && got.slot == sent.slot && got.seq == sent.seq);
    cr_assert(got.credentials.uid == 1000 && got.credentials.gid == 1001);
    cr_assert_eq(got.credentials.group_count, 3);
    cr_assert_eq(proto_group(&got.credentials, 2), 1000);
    cr_assert(got.op.parent == sent.op.parent && got.op.parent2 == sent.op.parent2);
    cr_assert(got.op.flags == sent.op.flags && got.op.code == PROTO_RENAME);
    cr_assert_eq(got.op.name.bytes, 4);
    cr_assert_arr_eq(got.op.name2.data, "second name", 11);
    cr_assert_eq(got.op.ino, 0, "a field that the operation does not have");
    buffer_finish(&encoding);
}

/* Each is valid but for what `spoil` does. */
static void spoil_slash(struct proto_request *r)
{
    r->op.name = (struct proto_bytes){(const uint8_t *)"a/b", 3};
}
static void spoil_nul(struct proto_request *r)
{
    r->op.name2 = (struct proto_bytes){(const uint8_t *)"a\0b", 3};
}
static void spoil_empty(struct proto_request *r)
{
    r->op.name.bytes = 0;
}
static void spoil_long_name(struct proto_request *r)
{
    static const uint8_t many[256] = {[0 ... 255] = 'n'};
    r->op.name = (struct proto_bytes){many, 256};
}
static void spoil_flags(struct proto_request *r)
{
    r->op.flags = 1 << 20;
}
static void spoil_slot(struct proto_request *r)
{
    r->slot = PROTO_SLOTS_MAX;
}
static void spoil_groups(struct proto_request *r)
{
    static const uint8_t many[4 * (PROTO_GROUPS_MAX + 1)];
    r->credentials.groups = many;
    r->credentials.group_count = PROTO_GROUPS_MAX + 1;
}
static void spoil_code(struct proto_request *r)
{
    r->op.code = (enum proto_opcode)60;
}

Test(request, encoder_refuses)
{
    static void (*const spoils[])(struct proto_request *) = {
        spoil_slash, spoil_nul,  spoil_empty,  spoil_long_name,
        spoil_flags, spoil_slot, spoil_groups, spoil_code};
    struct prng prng;
    struct buffer to;
    prng_init(&prng, 5);
    buffer_init(&to, 1 << 20);
    buffer_u8(&to, 77);
    for (size_t i = 0; i < sizeof spoils / sizeof spoils[0]; i++) {
        struct proto_request request = sample_request(PROTO_RENAME, &prng);
        spoils[i](&request);
        cr_assert_eq(proto_request_encode(&request, &to), -EINVAL, "spoil %zu", i);
        cr_assert(to.bytes == 1 && !to.failed, "spoil %zu left traces", i);
    }
    buffer_finish(&to);
}

Test(request, limits_of_data_and_layout)
{
    static const uint8_t big[PROTO_XATTR_VALUE_BYTES_MAX + 1];
    struct prng prng;
    struct buffer to;
    prng_init(&prng, 6);
    buffer_init(&to, 1 << 20);
    struct proto_request request = sample_request(PROTO_SETXATTR, &prng);
    request.op.data = (struct proto_bytes){big, PROTO_XATTR_VALUE_BYTES_MAX};
    cr_assert_eq(proto_request_encode(&request, &to), 0);
    request.op.data.bytes++;
    cr_assert_eq(proto_request_encode(&request, &to), -EINVAL);

    request = sample_request(PROTO_STRIPE, &prng);
    request.op.layout =
        (struct proto_layout){.striped = 1, .targets = 2, .first = 2, .stripe_bytes = 1};
    cr_assert_eq(proto_request_encode(&request, &to), -EINVAL);
    request.op.layout = (struct proto_layout){.striped = 1, .targets = 2, .first = 1};
    cr_assert_eq(proto_request_encode(&request, &to), -EINVAL);
    request.op.layout = (struct proto_layout){0};
    cr_assert_eq(proto_request_encode(&request, &to), 0);
    buffer_finish(&to);
}

Test(request, a_full_buffer_is_left_as_it_was)
{
    struct prng prng;
    struct buffer whole;
    prng_init(&prng, 8);
    struct proto_request request = sample_request(PROTO_CREATE, &prng);
    buffer_init(&whole, 4096);
    cr_assert_eq(proto_request_encode(&request, &whole), 0);
    for (size_t room = 0; room < whole.bytes; room++) {
        struct buffer to;
        buffer_init(&to, room + 3);
        buffer_append(&to, "abc", 3);
        cr_assert_eq(proto_request_encode(&request, &to), -ENOMEM);
        cr_assert(to.bytes == 3 && !to.failed);
        buffer_finish(&to);
    }
    buffer_finish(&whole);
}

/* So that what can't be decoded can be answered. */
Test(request, tag_of_what_is_refused)
{
    struct prng prng;
    struct buffer encoding;
    struct proto_request got;
    prng_init(&prng, 9);
    struct proto_request sent = sample_request(PROTO_UNLINK, &prng);
    buffer_init(&encoding, 4096);
    cr_assert_eq(proto_request_encode(&sent, &encoding), 0);
    cr_assert_eq(proto_request_decode(encoding.data, 9, &got), -EPROTO);
    cr_assert_eq(got.tag, sent.tag);
    cr_assert_eq(proto_request_decode(encoding.data, 8, &got), -EPROTO);
    cr_assert_eq(got.tag, 0);
    buffer_finish(&encoding);
}
