/* A plain reference model of the namespace: what POSIX and Linux say an operation does, on lists
 * that are searched from end to end. Written from the rules, apart from mds/; it shares only the
 * message formats. Given requests in the order of their indices it says what has to be answered:
 * status, type, mode, links, owner, size, device, data version and cut, names, content; times it
 * leaves open. */
#ifndef TUTTI_SIM_MODEL_H
#define TUTTI_SIM_MODEL_H

#include "proto/proto.h"

struct model;

struct model_limits {
    uint32_t inline_bytes_max, links_max;
    uint64_t next_ino; /* of a new world; 0: it has none but the root */
};

struct model *model_create(const struct model_limits *limits);
void model_destroy(struct model *model);

/* One ordered operation takes effect. The outcome's bytes live until the next call. */
void model_write(struct model *model, const struct proto_request *request,
                 struct proto_outcome *ret_outcome);

/* One read of the present state; READDIR by model_readdir. */
void model_read(struct model *model, const struct proto_request *request,
                struct proto_outcome *ret_outcome);

/* Whether a listing's answer is right: the entries behind the cookie, in their order, as many as
 * the answer holds, at least one if there is one. NULL, or what is wrong. */
const char *model_readdir(struct model *model, const struct proto_request *request,
                          const struct proto_outcome *outcome);

/* Whether an outcome is the expected one, in all that the model determines. NULL, or what differs.
 */
const char *model_compare(const struct proto_outcome *expected,
                          const struct proto_outcome *outcome);

#endif
