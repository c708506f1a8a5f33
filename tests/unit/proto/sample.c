#include "tests/unit/proto/sample.h"

#include <sys/stat.h>

static const uint8_t data[] = "some bytes of data, with a \0 inside";
static const uint8_t name[] = "name", name2[] = "second name", xattr[] = "user.a/b";
static const uint8_t groups[12] = {4, 0, 0, 0, 24, 0, 0, 0, 0xe8, 3, 0, 0};

static struct proto_layout sample_layout(struct prng *prng)
{
    return (struct proto_layout){
        .striped = 1, .targets = 4, .first = (uint8_t)prng_below(prng, 4), .stripe_bytes = 1 << 20};
}

struct proto_request sample_request(enum proto_opcode code, struct prng *prng)
{
    const struct proto_op_info *info = proto_op_info(code);
    struct proto_op op = {
        .code = code,
        .ino = prng_next(prng),
        .parent = prng_next(prng),
        .parent2 = prng_next(prng),
        .name = {name, sizeof name - 1},
        .name2 = {name2, sizeof name2 - 1},
        .mode = (uint32_t)prng_next(prng),
        .uid = (uint32_t)prng_next(prng),
        .gid = (uint32_t)prng_next(prng),
        .flags = (uint32_t)prng_next(prng) & info->flags,
        .valid = (uint32_t)prng_next(prng) & info->valid,
        .count = (uint32_t)prng_next(prng),
        .rdev = prng_next(prng),
        .size = prng_next(prng),
        .offset = prng_next(prng),
        .cookie = prng_next(prng),
        .value = prng_next(prng),
        .atime = -1,
        .mtime = (int64_t)prng_next(prng),
        .layout = sample_layout(prng),
        .data = {data, sizeof data},
    };
    if (info->xattr_name)
        op.name = (struct proto_bytes){xattr, sizeof xattr - 1};
    struct proto_request request = {
        .tag = prng_next(prng),
        .slot = (uint16_t)prng_below(prng, PROTO_SLOTS_MAX),
        .seq = prng_next(prng),
        .credentials = {1000, 1001, 3, groups},
        .op = op,
    };
    for (int i = 0; i < PROTO_SESSION_BYTES; i++)
        request.session[i] = (uint8_t)prng_next(prng);
    return request;
}

struct proto_attr sample_attr(struct prng *prng)
{
    return (struct proto_attr){
        .ino = prng_next(prng),
        .generation = prng_next(prng),
        .mode = S_IFREG | 0644,
        .nlink = 2,
        .uid = (uint32_t)prng_next(prng),
        .gid = (uint32_t)prng_next(prng),
        .rdev = prng_next(prng),
        .size = prng_next(prng),
        .blocks = prng_next(prng),
        .atime = INT64_MIN,
        .mtime = INT64_MAX,
        .ctime = (int64_t)prng_next(prng),
        .btime = (int64_t)prng_next(prng),
        .data_version = prng_next(prng),
        .cut = UINT64_MAX,
        .layout = sample_layout(prng),
    };
}

struct proto_reply sample_reply(uint32_t fields, struct prng *prng)
{
    struct proto_reply reply = {.tag = prng_next(prng),
                                .epoch = prng_next(prng),
                                .index = prng_next(prng),
                                .outcome = {.status = PROTO_AGAIN, .fields = fields}};
    if (fields & PROTO_REPLY_ATTR)
        reply.outcome.attr = sample_attr(prng);
    if (fields & PROTO_REPLY_VALUE)
        reply.outcome.value = prng_next(prng);
    if (fields & PROTO_REPLY_DATA)
        reply.outcome.data = (struct proto_bytes){data, sizeof data};
    return reply;
}

struct proto_dirent sample_dirent(bool attr, struct prng *prng)
{
    struct proto_dirent entry = {.cookie = prng_next(prng),
                                 .ino = prng_next(prng),
                                 .type = S_IFDIR,
                                 .name = {name2, sizeof name2 - 1},
                                 .has_attr = attr};
    if (attr)
        entry.attr = sample_attr(prng);
    return entry;
}
