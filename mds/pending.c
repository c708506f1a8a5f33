/* Pending writes by what they touch.
 *
 *     table -- messages (by receipt number) -- uses -- objects (by kind, inode, name)
 *
 * A use says that a message touches an object; an object's uses are in the order of receipt.
 * Besides, a message can be on lists of those that touch a whole kind (all inodes, fresh ones,
 * orphans, everything), each in the order of receipt.
 *
 * Invariant: a message that is not applied, and finds an inode through an entry that no other such
 * message touches, has that inode among its objects; any other that finds inodes through entries is
 * on the list of those that touch all inodes. */
#include "mds/pending.h"

#include "mds/record.h"

#include <bsd/sys/tree.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum pending_kind { ALL_INODES, FRESH_INODES, ORPHANS, EVERYTHING, KIND_COUNT };

struct use {
    struct object *object;
    struct message *message;
    bool resolves; /* the message finds an inode through this entry */
    TAILQ_ENTRY(use) of_object;
    STAILQ_ENTRY(use) of_message;
};

TAILQ_HEAD(use_list, use);

struct object {
    RB_ENTRY(object) node;
    struct use_list uses; /* never empty but while one is added */
    enum nspace_object kind;
    uint64_t ino;
    struct proto_bytes name; /* behind this struct, or the searcher's */
};

struct message {
    RB_ENTRY(message) node;
    uint64_t receipt;
    bool applied;
    bool listed[KIND_COUNT];
    TAILQ_ENTRY(message) list[KIND_COUNT];
    STAILQ_HEAD(, use) uses;
};

static int compare_objects(const struct object *a, const struct object *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->ino != b->ino)
        return a->ino < b->ino ? -1 : 1;
    if (a->name.bytes != b->name.bytes)
        return a->name.bytes < b->name.bytes ? -1 : 1;
    return a->name.bytes ? memcmp(a->name.data, b->name.data, a->name.bytes) : 0;
}

static int compare_messages(const struct message *a, const struct message *b)
{
    return a->receipt < b->receipt ? -1 : a->receipt > b->receipt;
}

RB_HEAD(objects, object);
RB_HEAD(messages, message);
RB_GENERATE_INTERNAL(objects, object, node, compare_objects, __attribute__((unused)) static)
RB_GENERATE_INTERNAL(messages, message, node, compare_messages, __attribute__((unused)) static)
TAILQ_HEAD(message_list, message);

struct pending {
    struct objects objects;
    struct messages messages;
    struct message_list lists[KIND_COUNT];
    size_t count;
};

int pending_create(struct pending **ret_table)
{
    struct pending *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    for (int kind = 0; kind < KIND_COUNT; kind++)
        TAILQ_INIT(&table->lists[kind]);
    *ret_table = table;
    return 0;
}

void pending_destroy(struct pending *table)
{
    if (!table)
        return;
    pending_clear(table);
    free(table);
}

size_t pending_count(const struct pending *table)
{
    return table->count;
}

/* --- messages
 * ---------------------------------------------------------------------------------------- */

static struct message *message_find(const struct pending *table, uint64_t receipt)
{
    const struct message key = {.receipt = receipt};
    return RB_FIND(messages, (struct messages *)&table->messages, (struct message *)&key);
}

static struct message *message_get(struct pending *table, uint64_t receipt)
{
    struct message *newest = RB_MAX(messages, &table->messages);
    if (newest && newest->receipt == receipt)
        return newest;
    MUST(!newest || newest->receipt < receipt);
    struct message *message = calloc(1, sizeof *message);
    if (!message)
        return NULL;
    message->receipt = receipt;
    STAILQ_INIT(&message->uses);
    RB_INSERT(messages, &table->messages, message);
    table->count++;
    return message;
}

/* A message can come on a list after a newer one did. */
static void message_list(struct pending *table, struct message *message, enum pending_kind kind)
{
    struct message_list *list = &table->lists[kind];
    if (message->listed[kind])
        return;
    message->listed[kind] = true;
    struct message *before = TAILQ_LAST(list, message_list);
    while (before && before->receipt > message->receipt)
        before = TAILQ_PREV(before, message_list, list[kind]);
    if (before)
        TAILQ_INSERT_AFTER(list, before, message, list[kind]);
    else
        TAILQ_INSERT_HEAD(list, message, list[kind]);
}

static void use_free(struct pending *table, struct use *use)
{
    struct object *object = use->object;
    TAILQ_REMOVE(&object->uses, use, of_object);
    if (TAILQ_EMPTY(&object->uses)) {
        RB_REMOVE(objects, &table->objects, object);
        free(object);
    }
    free(use);
}

static void message_free(struct pending *table, struct message *message)
{
    struct use *use;
    while ((use = STAILQ_FIRST(&message->uses))) {
        STAILQ_REMOVE_HEAD(&message->uses, of_message);
        use_free(table, use);
    }
    for (int kind = 0; kind < KIND_COUNT; kind++)
        if (message->listed[kind])
            TAILQ_REMOVE(&table->lists[kind], message, list[kind]);
    RB_REMOVE(messages, &table->messages, message);
    table->count--;
    free(message);
}

void pending_remove(struct pending *table, uint64_t receipt)
{
    struct message *message = message_find(table, receipt);
    if (message)
        message_free(table, message);
}

void pending_applied(struct pending *table, uint64_t receipt)
{
    struct message *message = message_find(table, receipt);
    if (message)
        message->applied = true;
}

void pending_clear(struct pending *table)
{
    struct message *message;
    while ((message = RB_ROOT(&table->messages)))
        message_free(table, message);
}

/* --- objects
 * ------------------------------------------------------------------------------------------- */

static struct object *object_find(const struct pending *table, enum nspace_object kind,
                                  uint64_t ino, struct proto_bytes name)
{
    struct object key = {.kind = kind, .ino = ino, .name = name};
    return RB_FIND(objects, (struct objects *)&table->objects, &key);
}

static struct object *object_add(struct pending *table, enum nspace_object kind, uint64_t ino,
                                 struct proto_bytes name)
{
    struct object *object = malloc(sizeof *object + name.bytes);
    if (!object)
        return NULL;
    uint8_t *copy = (uint8_t *)(object + 1);
    if (name.bytes)
        memcpy(copy, name.data, name.bytes);
    *object = (struct object){.kind = kind, .ino = ino, .name = {copy, name.bytes}};
    TAILQ_INIT(&object->uses);
    RB_INSERT(objects, &table->objects, object);
    return object;
}

/* Once for each message: where it comes back to an entry to find an inode through it, it is on the
 * list of those that touch all inodes already (entry_contended). */
static int object_use(struct pending *table, struct object *object, struct message *message,
                      bool resolves)
{
    struct use *newest = TAILQ_LAST(&object->uses, use_list);
    if (newest && newest->message == message)
        return 0;
    struct use *use = malloc(sizeof *use);
    if (!use)
        return -ENOMEM;
    *use = (struct use){.object = object, .message = message, .resolves = resolves};
    TAILQ_INSERT_TAIL(&object->uses, use, of_object);
    STAILQ_INSERT_TAIL(&message->uses, use, of_message);
    return 0;
}

static int touch(struct pending *table, struct message *message, enum nspace_object kind,
                 uint64_t ino, struct proto_bytes name, bool resolves)
{
    struct object *object = object_find(table, kind, ino, name);
    bool fresh = !object;
    if (fresh)
        object = object_add(table, kind, ino, name);
    if (!object)
        return -ENOMEM;
    int code = object_use(table, object, message, resolves);
    if (code && fresh) {
        RB_REMOVE(objects, &table->objects, object);
        free(object);
    }
    return code;
}

static int touch_inode(struct pending *table, struct message *message, uint64_t ino)
{
    const struct proto_bytes none = {0};
    int code = touch(table, message, NSPACE_OBJECT_INODE, ino, none, false);
    return code ? code : touch(table, message, NSPACE_OBJECT_ACCESS, ino, none, false);
}

/* --- entries: what do they point to?
 * --------------------------------------------------------------------- */

/* The records of the source, one by one. 0, NSPACE_ABSENT, or anything else: not known. */
static int source_read(struct nspace_source *source, struct record_key key, const void **ret_value,
                       size_t *ret_bytes)
{
    return source->get(source, key.bytes, key.count, ret_value, ret_bytes);
}

static int entry_target(struct nspace_source *source, uint64_t parent, struct proto_bytes name,
                        uint64_t *ret_ino)
{
    struct entry entry;
    const void *value;
    size_t bytes;
    if (name.bytes == 0 || name.bytes > PROTO_NAME_BYTES_MAX)
        return NSPACE_ABSENT;
    int code = source_read(source, record_key_entry(parent, name), &value, &bytes);
    if (code == 0)
        code = record_read_entry(value, bytes, &entry);
    if (code == 0)
        *ret_ino = entry.ino;
    return code;
}

/* Others that are not applied touch this entry: who finds inodes through it can't know which. */
static bool entry_contended(struct pending *table, struct object *entry)
{
    bool contended = false;
    struct use *use;
    TAILQ_FOREACH (use, &entry->uses, of_object) {
        if (use->message->applied)
            continue;
        contended = true;
        if (use->resolves)
            message_list(table, use->message, ALL_INODES);
    }
    return contended;
}

static int touch_entry(struct pending *table, struct message *message, struct nspace_source *source,
                       uint64_t parent, struct proto_bytes name, bool resolves)
{
    struct object *entry = object_find(table, NSPACE_OBJECT_ENTRY, parent, name);
    bool contended = entry && entry_contended(table, entry);
    int code = touch(table, message, NSPACE_OBJECT_ENTRY, parent, name, resolves);
    if (code || !resolves)
        return code;
    uint64_t ino = 0;
    int found = contended ? NSPACE_MISS : entry_target(source, parent, name, &ino);
    if (found == 0)
        return touch_inode(table, message, ino);
    if (found != NSPACE_ABSENT)
        message_list(table, message, ALL_INODES);
    return 0;
}

struct adding {
    struct pending *table;
    uint64_t receipt;
    struct nspace_source *source;
    int code;
};

static void add_object(void *user, enum nspace_object kind, uint64_t ino, struct proto_bytes name,
                       bool resolves)
{
    struct adding *a = user;
    struct message *message = a->code ? NULL : message_get(a->table, a->receipt);
    if (!message) {
        a->code = -ENOMEM;
        return;
    }
    if (kind == NSPACE_OBJECT_FRESH)
        message_list(a->table, message, FRESH_INODES);
    else if (kind == NSPACE_OBJECT_ORPHANS)
        message_list(a->table, message, ORPHANS);
    else if (kind == NSPACE_OBJECT_ENTRY)
        a->code = touch_entry(a->table, message, a->source, ino, name, resolves);
    else
        a->code = touch(a->table, message, kind, ino, name, false);
}

int pending_add(struct pending *table, uint64_t receipt, const struct proto_op *op,
                struct nspace_source *source)
{
    struct adding adding = {table, receipt, source, 0};
    nspace_touched(op, add_object, &adding);
    return adding.code;
}

int pending_add_everything(struct pending *table, uint64_t receipt)
{
    struct message *message = message_get(table, receipt);
    if (!message)
        return -ENOMEM;
    message_list(table, message, EVERYTHING);
    return 0;
}

/* --- reads
 * --------------------------------------------------------------------------------------------- */

struct reading {
    const struct pending *table;
    struct nspace_source *source;
    uint64_t newest; /* 0: nothing touches */
};

static void read_message(struct reading *r, const struct message *message)
{
    if (message && message->receipt > r->newest)
        r->newest = message->receipt;
}

static void read_kind(struct reading *r, enum pending_kind kind)
{
    read_message(r, TAILQ_LAST(&r->table->lists[kind], message_list));
}

static void read_object(struct reading *r, enum nspace_object kind, uint64_t ino,
                        struct proto_bytes name)
{
    const struct object *object = object_find(r->table, kind, ino, name);
    if (object)
        read_message(r, TAILQ_LAST(&object->uses, use_list)->message);
}

/* An inode that is not there yet or any more, or has no name, is touched by kinds. */
static void read_presence(struct reading *r, uint64_t ino)
{
    struct inode inode;
    const void *value;
    size_t bytes;
    int code = source_read(r->source, record_key_inode(ino), &value, &bytes);
    if (code == 0)
        code = record_read_inode(value, bytes, ino, &inode);
    if (code != 0)
        read_kind(r, FRESH_INODES);
    if (code != 0 || inode.nlink == 0)
        read_kind(r, ORPHANS);
}

static void read_inode(struct reading *r, enum nspace_object kind, uint64_t ino)
{
    read_object(r, kind, ino, (struct proto_bytes){0});
    read_kind(r, ALL_INODES);
    read_presence(r, ino);
}

static void read_everything(struct reading *r)
{
    read_message(r, RB_MAX(messages, (struct messages *)&r->table->messages));
}

static void read_parent_of(struct reading *r, uint64_t ino)
{
    struct inode inode;
    const void *value;
    size_t bytes;
    int code = source_read(r->source, record_key_inode(ino), &value, &bytes);
    if (code == 0)
        code = record_read_inode(value, bytes, ino, &inode);
    if (code == 0)
        read_inode(r, NSPACE_OBJECT_INODE, inode.parent);
    else if (code != NSPACE_ABSENT)
        read_everything(r);
}

static void read_lookup(struct reading *r, uint64_t parent, struct proto_bytes name)
{
    bool dot = name.bytes == 1 && name.data[0] == '.';
    bool dot_dot = name.bytes == 2 && name.data[0] == '.' && name.data[1] == '.';
    uint64_t ino;
    read_inode(r, dot || dot_dot ? NSPACE_OBJECT_INODE : NSPACE_OBJECT_ACCESS, parent);
    if (dot_dot)
        read_parent_of(r, parent);
    if (dot || dot_dot)
        return;
    read_object(r, NSPACE_OBJECT_ENTRY, parent, name);
    int code = entry_target(r->source, parent, name, &ino);
    if (code == 0)
        read_inode(r, NSPACE_OBJECT_INODE, ino);
    else if (code != NSPACE_ABSENT)
        read_everything(r);
}

static bool reading_end(const struct reading *r, uint64_t *ret_newest)
{
    if (r->newest)
        *ret_newest = r->newest;
    return r->newest != 0;
}

bool pending_touches(const struct pending *table, const struct proto_op *read,
                     struct nspace_source *source, uint64_t *ret_newest)
{
    struct reading r = {.table = table, .source = source};
    read_kind(&r, EVERYTHING);
    if (read->code == PROTO_STATFS ||
        (read->code == PROTO_READDIR && read->flags & PROTO_READDIR_ATTR))
        read_everything(&r);
    else if (read->code == PROTO_LOOKUP)
        read_lookup(&r, read->parent, read->name);
    else if (read->code != PROTO_PURGE_LIST)
        read_inode(&r, NSPACE_OBJECT_INODE, read->ino);
    return reading_end(&r, ret_newest);
}

bool pending_touches_inode(const struct pending *table, uint64_t ino, uint64_t *ret_newest)
{
    struct reading r = {.table = table};
    read_kind(&r, EVERYTHING);
    read_kind(&r, ALL_INODES);
    read_object(&r, NSPACE_OBJECT_INODE, ino, (struct proto_bytes){0});
    return reading_end(&r, ret_newest);
}
