/* The verbs of operators, by file: admin_birth.c (probe, create, join), admin_member.c (leave,
 * remove, drain, force); admin.c looks them up. Each takes the request (any JSON: what is in it is
 * not believed) and returns the answer, a new reference, or NULL where memory is short. */
#ifndef TUTTI_MDS_ADMIN_H
#define TUTTI_MDS_ADMIN_H

#include "mds/replica_internal.h"

#include <jansson.h>

json_t *admin_probe(struct replica *replica, json_t *request);
json_t *admin_create(struct replica *replica, json_t *request);
json_t *admin_join(struct replica *replica, json_t *request);
json_t *admin_leave(struct replica *replica, json_t *request);
json_t *admin_remove(struct replica *replica, json_t *request);
json_t *admin_drain(struct replica *replica, json_t *request);
json_t *admin_force(struct replica *replica, json_t *request);

/* {"ok":true} */
json_t *admin_done(void);
/* {"ok":false,"error":text} */
json_t *admin_refusal(const char *text);
/* 0, or -EINVAL where object[key] is not 16 hexadecimal digits. */
int admin_lineage(json_t *object, const char *key, uint64_t *ret_lineage) WARN_UNUSED;

#endif
