/* Operators' verbs: one JSON object in, one out.
 *
 *     {"verb":"probe"}  -> {"ok":true,"state":"waiting"|"formatted"|"removed","cluster":hex,
 *                           "name":..,"node":n,"store":hex,"witness":bool,"lineage":hex,"generation":n,
 *                           "time":ns,"limits":{..}}
 *     {"verb":"create","name":..,"cluster":32 hex,"lineage":16 hex,"time":ns,"limits":{..},
 *      "members":[{"node":n,"address":"host:port","witness":bool}]}  -> {"ok":true}
 *     {"verb":"join", as create, "generation":n; members: who is to be asked}  -> {"ok":true}
 *     {"verb":"status"}  -> {"ok":true, ...}, see status.c
 *     {"verb":"leave"}, {"verb":"remove","node":n}, {"verb":"drain","on":bool}  -> {"ok":true}
 *     {"verb":"force","name":..,"lineage":16 hex,"epoch":n,"index":n}  -> {"ok":true,"index":n}
 *     anything else, or a failure -> {"ok":false,"error":text} */
#include "mds/admin.h"
#include "base/cursor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

json_t *admin_done(void)
{
    return json_pack("{s:b}", "ok", 1);
}

json_t *admin_refusal(const char *text)
{
    return json_pack("{s:b,s:s}", "ok", 0, "error", text);
}

int admin_lineage(json_t *object, const char *key, uint64_t *ret_lineage)
{
    const char *text = json_string_value(json_object_get(object, key));
    uint8_t bytes[8];
    if (!text || identity_unhex(text, bytes, sizeof bytes) < 0)
        return -EINVAL;
    struct reader r = reader_make(bytes, sizeof bytes);
    *ret_lineage = reader_be64(&r);
    return 0;
}

static json_t *status(struct replica *replica, json_t *request)
{
    char *text = replica_status_json(replica);
    json_t *object = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return object;
}

static json_t *answer(struct replica *replica, json_t *request)
{
    static const struct {
        const char *name;
        json_t *(*run)(struct replica *replica, json_t *request);
    } verbs[] = {
        {"probe", admin_probe}, {"create", admin_create}, {"join", admin_join},
        {"status", status},     {"leave", admin_leave},   {"remove", admin_remove},
        {"drain", admin_drain}, {"force", admin_force},
    };
    const char *verb = json_string_value(json_object_get(request, "verb"));
    if (!verb)
        return admin_refusal("not a JSON object with a verb");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verb, verbs[i].name) == 0)
            return verbs[i].run(replica, request);
    return admin_refusal("unknown verb; there are probe, create, join, status, leave, remove, "
                         "drain, force");
}

char *admin_answer(struct replica *replica, const void *text, size_t bytes)
{
    json_t *request = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    json_t *object = answer(replica, request);
    char *reply = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    json_decref(request);
    return reply;
}
