/* Messages with every field filled in, for round trips, damage and the seeds of the fuzzers. */
#ifndef TUTTI_TESTS_UNIT_PROTO_SAMPLE_H
#define TUTTI_TESTS_UNIT_PROTO_SAMPLE_H

#include "base/prng.h"
#include "proto/proto.h"

enum { SAMPLE_CODE_END = 128 }; /* no operation has this number or a larger one */

/* A valid request of this operation; names and data point to static memory. */
struct proto_request sample_request(enum proto_opcode code, struct prng *prng);

struct proto_attr sample_attr(struct prng *prng);

/* @fields: PROTO_REPLY_*. */
struct proto_reply sample_reply(uint32_t fields, struct prng *prng);

struct proto_dirent sample_dirent(bool attr, struct prng *prng);

#endif
