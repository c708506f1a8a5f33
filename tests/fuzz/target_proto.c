/* Requests, replies, batches and directory entries. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/proto/sample.h"

enum { ROOM = 1 << 20 };

static void request_one(const uint8_t *bytes, size_t count)
{
    struct proto_request request;
    struct buffer again;
    if (proto_request_decode(bytes, count, &request) < 0)
        return;
    for (uint32_t i = 0; i < request.credentials.group_count; i++)
        proto_group(&request.credentials, i);
    buffer_init(&again, ROOM);
    MUST(proto_request_encode(&request, &again) == 0);
    fuzz_must_equal(&again, bytes, count);
    buffer_finish(&again);
}

static bool request_seed(unsigned number, struct buffer *to)
{
    struct prng prng;
    prng_init(&prng, number);
    for (int code = 0; code < SAMPLE_CODE_END; code++) {
        if (!proto_op_info((enum proto_opcode)code) || number-- > 0)
            continue;
        struct proto_request request = sample_request((enum proto_opcode)code, &prng);
        return proto_request_encode(&request, to) == 0;
    }
    return false;
}

const struct fuzz_target fuzz_request = {"request", request_one, request_seed};

static void reply_one(const uint8_t *bytes, size_t count)
{
    struct proto_reply reply;
    struct buffer again;
    if (proto_reply_decode(bytes, count, &reply) < 0)
        return;
    buffer_init(&again, ROOM);
    MUST(proto_reply_encode(&reply, &again) == 0);
    fuzz_must_equal(&again, bytes, count);
    buffer_finish(&again);
}

static bool reply_seed(unsigned number, struct buffer *to)
{
    struct prng prng;
    prng_init(&prng, number);
    if (number >= 8)
        return false;
    struct proto_reply reply = sample_reply(number, &prng);
    return proto_reply_encode(&reply, to) == 0;
}

const struct fuzz_target fuzz_reply = {"reply", reply_one, reply_seed};

static void batch_one(const uint8_t *bytes, size_t count)
{
    struct proto_batch batch;
    struct proto_bytes request;
    struct buffer again;
    int code;
    if (proto_batch_open(bytes, count, &batch) < 0)
        return;
    buffer_init(&again, ROOM + count);
    proto_batch_begin(&again, batch.time_ns);
    while (proto_batch_next(&batch, &request, &code)) {
        MUST(proto_batch_add(&again, request.data, request.bytes) == 0);
        request_one(request.data, request.bytes);
    }
    if (code == 0)
        fuzz_must_equal(&again, bytes, count);
    buffer_finish(&again);
}

static bool batch_seed(unsigned number, struct buffer *to)
{
    struct buffer one;
    if (number >= 4)
        return false;
    buffer_init(&one, ROOM);
    proto_batch_begin(to, number);
    for (unsigned i = 0; i < number; i++) {
        buffer_clear(&one);
        if (!request_seed(20 + i, &one) || proto_batch_add(to, one.data, one.bytes) < 0)
            to->failed = true;
    }
    buffer_finish(&one);
    return !to->failed;
}

const struct fuzz_target fuzz_batch = {"batch", batch_one, batch_seed};

/* A whole listing, as a client reads it. */
static void dirent_one(const uint8_t *bytes, size_t count)
{
    struct reader r = reader_make(bytes, count);
    struct proto_dirent entry;
    struct buffer again;
    buffer_init(&again, ROOM + count);
    int rc = 0;
    while (rc == 0 && reader_left(&r) > 0)
        if ((rc = proto_dirent_decode(&r, &entry)) == 0)
            MUST(proto_dirent_encode(&entry, &again) == 0);
    if (rc == 0)
        fuzz_must_equal(&again, bytes, count);
    buffer_finish(&again);
}

static bool dirent_seed(unsigned number, struct buffer *to)
{
    struct prng prng;
    prng_init(&prng, number);
    for (unsigned i = 0; i < number; i++) {
        struct proto_dirent entry = sample_dirent(i % 2 == 0, &prng);
        if (proto_dirent_encode(&entry, to) < 0)
            return false;
    }
    return number < 4;
}

const struct fuzz_target fuzz_dirent = {"dirent", dirent_one, dirent_seed};
