#include "tests/unit/proto/damage.h"
#include "tests/unit/proto/sample.h"

#include <criterion/criterion.h>
#include <errno.h>

static int recode(const uint8_t *bytes, size_t count, struct buffer *to)
{
    struct proto_batch batch;
    struct proto_bytes request;
    int code;
    if (proto_batch_open(bytes, count, &batch) < 0)
        return -EPROTO;
    proto_batch_begin(to, batch.time_ns);
    while (proto_batch_next(&batch, &request, &code))
        cr_assert_eq(proto_batch_add(to, request.data, request.bytes), 0);
    return code;
}

static void make(struct buffer *batch, unsigned count)
{
    static const uint8_t bytes[40] = {1, 2, 3};
    proto_batch_begin(batch, -5);
    for (unsigned i = 0; i < count; i++)
        cr_assert_eq(proto_batch_add(batch, bytes, 7 * i), 0);
}

Test(batch, with_every_damage)
{
    for (unsigned count = 0; count < 6; count++) {
        struct buffer batch;
        buffer_init(&batch, 4096);
        make(&batch, count);
        damage_check("batch", &batch, recode);
        buffer_finish(&batch);
    }
}

Test(batch, requests_come_back_in_order)
{
    struct prng prng;
    struct buffer batch, one;
    struct proto_batch open;
    struct proto_bytes bytes;
    int code = -1, next = PROTO_SESSION_OPEN;
    prng_init(&prng, 21);
    buffer_init(&batch, 1 << 20);
    buffer_init(&one, 4096);
    proto_batch_begin(&batch, 1234567890);
    for (int op = PROTO_SESSION_OPEN; op <= PROTO_PURGED; op++) {
        struct proto_request request = sample_request((enum proto_opcode)op, &prng);
        buffer_clear(&one);
        cr_assert_eq(proto_request_encode(&request, &one), 0);
        cr_assert_eq(proto_batch_add(&batch, one.data, one.bytes), 0);
    }
    cr_assert_eq(proto_batch_open(batch.data, batch.bytes, &open), 0);
    cr_assert_eq(open.time_ns, 1234567890);
    while (proto_batch_next(&open, &bytes, &code)) {
        struct proto_request request;
        cr_assert_eq(proto_request_decode(bytes.data, bytes.bytes, &request), 0);
        cr_assert_eq((int)request.op.code, next++);
    }
    cr_assert_eq(code, 0);
    cr_assert_eq(next, PROTO_PURGED + 1);
    buffer_finish(&one);
    buffer_finish(&batch);
}

Test(batch, full)
{
    struct buffer batch;
    struct proto_batch open;
    buffer_init(&batch, PROTO_BATCH_HEAD_BYTES + 20);
    make(&batch, 1);
    cr_assert_eq(proto_batch_add(&batch, "0123456789ab", 12), 0);
    cr_assert_eq(proto_batch_add(&batch, "", 0), -ENOMEM);
    cr_assert_eq(proto_batch_open(batch.data, batch.bytes, &open), 0);
    cr_assert_eq(open.count, 2);
    buffer_finish(&batch);
    buffer_init(&batch, 5);
    proto_batch_begin(&batch, 0);
    cr_assert_eq(proto_batch_add(&batch, "", 0), -ENOMEM);
    buffer_finish(&batch);
}

/* A count is not believed further than the bytes that are there. */
Test(batch, count_beyond_the_bytes)
{
    static const uint8_t raw[PROTO_BATCH_HEAD_BYTES + 4] = {1, 0, 0,    0,    0,    0,   0,
                                                            0, 0, 0xff, 0xff, 0xff, 0xff};
    struct proto_batch open;
    cr_assert_eq(proto_batch_open(raw, sizeof raw, &open), -EPROTO);
}
