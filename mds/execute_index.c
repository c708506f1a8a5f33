/* The sessions by age, and by id: two red-black trees over the same nodes.
 *
 * Invariant: after each executed request it says what the S records say. The order (closing first,
 * then by the last sign of life, then by id) depends on records alone, so all replicas expire the
 * same sessions in the same order. */
#include "mds/execute_index.h"

#include <bsd/sys/tree.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct node {
    RB_ENTRY(node) by_id, by_age;
    uint8_t id[PROTO_SESSION_BYTES];
    bool closing;
    int64_t last_seen;
};

static int compare_id(const struct node *a, const struct node *b)
{
    return memcmp(a->id, b->id, PROTO_SESSION_BYTES);
}

static int compare_age(const struct node *a, const struct node *b)
{
    if (a->closing != b->closing)
        return a->closing ? -1 : 1;
    if (a->last_seen != b->last_seen)
        return a->last_seen < b->last_seen ? -1 : 1;
    return compare_id(a, b);
}

RB_HEAD(ids, node);
RB_HEAD(ages, node);
RB_GENERATE_INTERNAL(ids, node, by_id, compare_id, __attribute__((unused)) static)
RB_GENERATE_INTERNAL(ages, node, by_age, compare_age, __attribute__((unused)) static)

struct session_index {
    struct ids ids;
    struct ages ages;
    size_t count;
};

int session_index_create(struct session_index **ret_index)
{
    struct session_index *index = malloc(sizeof *index);
    if (!index)
        return -ENOMEM;
    *index = (struct session_index){0};
    *ret_index = index;
    return 0;
}

void session_index_destroy(struct session_index *index)
{
    if (!index)
        return;
    struct node *node;
    while ((node = RB_ROOT(&index->ids))) {
        RB_REMOVE(ids, &index->ids, node);
        free(node);
    }
    free(index);
}

size_t session_index_count(const struct session_index *index)
{
    return index->count;
}

static struct node *node_find(const struct session_index *index, const uint8_t *id)
{
    struct node key;
    memcpy(key.id, id, PROTO_SESSION_BYTES);
    return RB_FIND(ids, (struct ids *)&index->ids, &key);
}

static struct node *node_add(struct session_index *index, const uint8_t *id)
{
    struct node *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    memcpy(node->id, id, PROTO_SESSION_BYTES);
    RB_INSERT(ids, &index->ids, node);
    index->count++;
    return node;
}

int session_index_set(struct session_index *index, const uint8_t id[PROTO_SESSION_BYTES],
                      const struct session *session)
{
    struct node *node = node_find(index, id);
    if (node)
        RB_REMOVE(ages, &index->ages, node);
    else
        node = node_add(index, id);
    if (!node)
        return -ENOMEM;
    node->closing = session->closing;
    node->last_seen = session->last_seen;
    RB_INSERT(ages, &index->ages, node);
    return 0;
}

void session_index_remove(struct session_index *index, const uint8_t id[PROTO_SESSION_BYTES])
{
    struct node *node = node_find(index, id);
    if (!node)
        return;
    RB_REMOVE(ages, &index->ages, node);
    RB_REMOVE(ids, &index->ids, node);
    index->count--;
    free(node);
}

bool session_index_first(const struct session_index *index, uint8_t ret_id[PROTO_SESSION_BYTES])
{
    const struct node *node = RB_MIN(ages, (struct ages *)&index->ages);
    if (node)
        memcpy(ret_id, node->id, PROTO_SESSION_BYTES);
    return node != NULL;
}

bool session_index_next(const struct session_index *index, uint8_t id[PROTO_SESSION_BYTES])
{
    struct node *node = node_find(index, id);
    node = node ? RB_NEXT(ages, (struct ages *)&index->ages, node) : NULL;
    if (node)
        memcpy(id, node->id, PROTO_SESSION_BYTES);
    return node != NULL;
}

bool session_due(const struct session *session, const struct nspace_state *state, int64_t now_ns,
                 uint64_t timeout_ns)
{
    int64_t epoch = state->epoch_time_ns ? state->epoch_time_ns : now_ns;
    int64_t alive = session->last_seen > epoch ? session->last_seen : epoch;
    return session->closing || (now_ns > alive && (uint64_t)(now_ns - alive) > timeout_ns);
}

bool session_index_expired(const struct session_index *index, const struct nspace_state *state,
                           int64_t now_ns, uint64_t timeout_ns)
{
    const struct node *node = RB_MIN(ages, (struct ages *)&index->ages);
    if (!node)
        return false;
    const struct session session = {.closing = node->closing, .last_seen = node->last_seen};
    return session_due(&session, state, now_ns, timeout_ns);
}

int session_index_load_record(struct session_index *index, const void *key, size_t key_bytes,
                              const void *value, size_t value_bytes)
{
    enum { SESSION_KEY = 1 + PROTO_SESSION_BYTES, SLOT_KEY = SESSION_KEY + 2 };
    const uint8_t *bytes = key;
    struct session session;
    if (key_bytes == SLOT_KEY && bytes[0] == RECORD_SESSION)
        return 0;
    if (key_bytes != SESSION_KEY || bytes[0] != RECORD_SESSION)
        return -EBADMSG;
    int code = record_read_session(value, value_bytes, &session);
    return code ? code : session_index_set(index, bytes + 1, &session);
}
