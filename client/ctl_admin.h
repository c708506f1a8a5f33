/* Admin exchanges: one JSON question to each of some replicas, all at once. */
#ifndef TUTTI_CLIENT_CTL_ADMIN_H
#define TUTTI_CLIENT_CTL_ADMIN_H

#include "base/must.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct ctl_exchange {
    const char *address;   /* borrowed */
    const json_t *request; /* borrowed */
    json_t *reply;         /* an object, or NULL; the caller drops the reference */
    int code;              /* 0: there is a reply; -errno: there is none, `trouble` says why */
    char trouble[256];
};

/* Ask all of them, wait for all, each for `timeout_ns` at most. Fills in reply, code and trouble of
 * each. Returns 0, or -ENOMEM where nothing was asked. Blocks. */
int ctl_exchange_all(struct ctl_exchange *exchanges, uint32_t count,
                     uint64_t timeout_ns) WARN_UNUSED;

/* The text, number or truth of object[key] as printable text; "" where it is missing. Control
 * characters become '?'. Returns `to`. */
char *ctl_text(const json_t *object, const char *key, char *to, size_t capacity);

#endif
