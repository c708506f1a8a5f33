/* One session of the load: asks one thing at a time, and writes down what was answered.
 *
 * Every unlink and replacing rename holds the inode, so that the answer names it, and the session's
 * next operation releases it. */
#include "tests/cluster/load.h"
#include "base/prng.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { DATA_BYTES_MAX = 64 * 1024 };

/* The answer that is waited for. */
struct load_ask {
    sem_t answered;
    int code;
    uint64_t wait_ns;
    struct proto_reply reply;
    uint8_t data[DATA_BYTES_MAX];
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void raise_to(_Atomic uint64_t *to, uint64_t value)
{
    uint64_t was = atomic_load(to);
    while (was < value && !atomic_compare_exchange_weak(to, &was, value))
        ;
}

/* --- asking --- */

static void answered(void *user, int code, const struct proto_reply *reply)
{
    struct load_ask *ask = user;
    ask->code = code;
    if (reply) {
        ask->reply = *reply;
        struct proto_bytes *data = &ask->reply.outcome.data;
        if (data->bytes > sizeof ask->data)
            ask->code = -EMSGSIZE;
        else if (data->bytes)
            memcpy(ask->data, data->data, data->bytes);
        data->data = ask->data;
    }
    sem_post(&ask->answered);
}

/* 0 and the answer in session->ask->reply, or a negative errno. */
static int ask(struct load_session *session, const struct proto_op *op)
{
    static const struct tutti_caller root = {0};
    struct load_ask *a = session->ask;
    uint64_t begin = clock_ns();
    int code = tutti_submit(session->client, &root, op, answered, a);
    if (code)
        return code;
    while (sem_wait(&a->answered) && errno == EINTR)
        ;
    uint64_t end = clock_ns();
    a->wait_ns = end - begin;
    raise_to(&session->load->wait_ns_max, a->wait_ns);
    raise_to(&session->load->answer_ns, end);
    atomic_fetch_add(&session->load->done, 1);
    if (a->code == 0)
        raise_to(&session->load->index_seen, a->reply.index);
    return a->code;
}

static uint32_t replica_count(const char *replicas)
{
    uint32_t count = 1;
    for (const char *c = replicas; *c; c++)
        count += *c == ',';
    return count;
}

int load_session_open(struct load_session *session, struct load *load, const char *replicas,
                      uint32_t number, struct error *error)
{
    struct tutti_options options;
    *session = (struct load_session){.load = load, .number = number};
    snprintf(session->log.name, sizeof session->log.name, "session %u", number);
    session->ask = calloc(1, sizeof *session->ask);
    if (!session->ask || sem_init(&session->ask->answered, 0, 0))
        return error_set(error, -ENOMEM, "out of memory");
    tutti_options_defaults(&options);
    options.replicas = replicas;
    options.first = number % replica_count(replicas);
    return tutti_connect(&options, &session->client, error);
}

void load_session_close(struct load_session *session)
{
    tutti_close(session->client);
    if (session->ask)
        sem_destroy(&session->ask->answered);
    free(session->ask);
    free(session->log.ops);
}

static struct proto_bytes bytes_of(const char *text)
{
    return (struct proto_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static int make_directory(struct load_session *session, uint64_t parent, const char *name,
                          uint64_t *ret_ino)
{
    struct proto_op op = {
        .code = PROTO_MKDIR, .parent = parent, .name = bytes_of(name), .mode = S_IFDIR | 0755};
    int code = ask(session, &op);
    if (code)
        return code;
    *ret_ino = session->ask->reply.outcome.attr.ino;
    return -tutti_errno(session->ask->reply.outcome.status);
}

int load_session_prepare(struct load_session *session, const char *directory)
{
    struct proto_op op = {.code = PROTO_STATFS, .ino = PROTO_ROOT_INO};
    struct proto_statfs statfs;
    char name[8];
    uint64_t top;
    int code = ask(session, &op);
    if (code)
        return code;
    if (session->ask->reply.outcome.data.bytes != PROTO_STATFS_BYTES)
        return -EPROTO;
    struct reader r = reader_make(session->ask->data, PROTO_STATFS_BYTES);
    proto_statfs_read(&r, &statfs);
    session->load->inline_bytes_max = statfs.inline_bytes_max;
    code = make_directory(session, PROTO_ROOT_INO, directory, &top);
    for (unsigned i = 0; code == 0 && i < LOAD_DIRECTORIES; i++) {
        snprintf(name, sizeof name, "d%u", i);
        code = make_directory(session, top, name, &session->load->directories[i]);
    }
    return code;
}

/* --- one operation, there and back --- */

static const char *const place_names[LOAD_NAMES] = {"n0", "n1", "n2", "n3"};

static uint64_t parent_of(const struct load_session *session, unsigned place)
{
    return session->load->directories[place / LOAD_NAMES];
}

static struct proto_op request_of(const struct load_session *session, const struct load_op *op)
{
    static const enum proto_opcode codes[LOAD_KINDS] = {
        PROTO_CREATE,  PROTO_UNLINK, PROTO_RENAME,  PROTO_SETATTR, PROTO_WRITE,
        PROTO_RELEASE, PROTO_LOOKUP, PROTO_GETATTR, PROTO_READDIR};
    struct proto_op request = {.code = codes[op->kind], .ino = op->ino};
    if (op->kind == LOAD_LIST) {
        request.ino = session->load->directories[op->place];
        request.count = DATA_BYTES_MAX / 2;
        return request;
    }
    request.parent = parent_of(session, op->place);
    request.name = bytes_of(place_names[op->place % LOAD_NAMES]);
    if (op->kind == LOAD_CREATE) {
        request.ino = 0;
        request.mode = S_IFREG | 0644;
        request.flags = PROTO_CREATE_EXCLUSIVE | PROTO_OPEN_WRITE;
    } else if (op->kind == LOAD_UNLINK) {
        request.flags = PROTO_UNLINK_HOLD;
    } else if (op->kind == LOAD_RENAME) {
        request.parent2 = parent_of(session, op->place2);
        request.name2 = bytes_of(place_names[op->place2 % LOAD_NAMES]);
        request.flags = op->flags | PROTO_UNLINK_HOLD;
    } else if (op->kind == LOAD_SETATTR) {
        request.valid = PROTO_SET_MTIME;
        request.mtime = (int64_t)op->word;
    } else if (op->kind == LOAD_APPEND) {
        request.flags = PROTO_WRITE_APPEND;
        request.data = (struct proto_bytes){(const uint8_t *)&op->word, sizeof op->word};
    }
    return request;
}

/* What a listing says, into op->listed. 0 or -EPROTO. */
static int take_listing(struct load_session *session, struct load_op *op)
{
    struct proto_bytes data = session->ask->reply.outcome.data;
    struct reader r = reader_make(data.data, data.bytes);
    while (reader_left(&r)) {
        struct proto_dirent entry;
        int code = proto_dirent_decode(&r, &entry);
        if (code)
            return code;
        if (entry.name.data[0] == '.')
            continue;
        unsigned number = entry.name.bytes == 2 ? (unsigned)entry.name.data[1] - '0' : LOAD_NAMES;
        if (number >= LOAD_NAMES || op->listed[number])
            return -EPROTO; /* a name that nobody made, or the same one twice */
        op->listed[number] = entry.ino;
    }
    return 0;
}

static int take_answer(struct load_session *session, struct load_op *op)
{
    const struct proto_reply *reply = &session->ask->reply;
    const struct proto_outcome *outcome = &reply->outcome;
    op->status = outcome->status;
    op->epoch = reply->epoch;
    op->index = reply->index;
    op->value = op->status == PROTO_OK && outcome->fields & PROTO_REPLY_VALUE ? outcome->value : 0;
    if (op->status != PROTO_OK)
        return 0;
    if (op->kind == LOAD_LIST)
        return take_listing(session, op);
    if (!(outcome->fields & PROTO_REPLY_ATTR))
        return 0;
    op->ino = outcome->attr.ino;
    op->tag = outcome->attr.mtime;
    op->size = outcome->attr.size;
    if (load_is_write(op->kind))
        op->ctime = outcome->attr.ctime;
    return 0;
}

static struct load_op *log_add(struct load_log *log)
{
    if (log->count == log->capacity) {
        log->capacity = log->capacity ? 2 * log->capacity : 4096;
        log->ops = realloc(log->ops, log->capacity * sizeof *log->ops);
        MUST(log->ops);
    }
    struct load_op *op = &log->ops[log->count++];
    *op = (struct load_op){0};
    return op;
}

/* Do what `wanted` says and write it down. @ret_op: valid until the next one. */
static int perform(struct load_session *session, const struct load_op *wanted,
                   struct load_op **ret_op)
{
    struct load_op *op = log_add(&session->log);
    *op = *wanted;
    op->after = atomic_load(&session->load->index_seen);
    struct proto_op request = request_of(session, op);
    int code = ask(session, &request);
    op->wait_ns = session->ask->wait_ns;
    if (code == 0)
        code = take_answer(session, op);
    if (code)
        session->log.count--; /* it has no answer */
    *ret_op = op;
    return code;
}

/* --- the load --- */

struct choice {
    enum load_kind kind;
    unsigned weight; /* in 100 */
};
static const struct choice choices[] = {{LOAD_CREATE, 20},  {LOAD_UNLINK, 10}, {LOAD_RENAME, 15},
                                        {LOAD_SETATTR, 12}, {LOAD_APPEND, 15}, {LOAD_LOOKUP, 15},
                                        {LOAD_GETATTR, 7},  {LOAD_LIST, 6}};

static enum load_kind choose_kind(struct prng *prng)
{
    uint64_t point = prng_below(prng, 100);
    size_t i = 0;
    while (point >= choices[i].weight)
        point -= choices[i++].weight;
    return choices[i].kind;
}

/* An inode that somebody saw, 0 where nobody saw one yet. */
static uint64_t choose_inode(struct load_session *session, struct prng *prng)
{
    return atomic_load(&session->load->known[prng_below(prng, LOAD_PLACES)]);
}

static struct load_op choose(struct load_session *session, struct prng *prng, uint64_t number)
{
    static const uint32_t flags[4] = {0, 0, PROTO_RENAME_NOREPLACE, PROTO_RENAME_EXCHANGE};
    struct load_op op = {.kind = (uint8_t)choose_kind(prng),
                         .place = (uint8_t)prng_below(prng, LOAD_PLACES)};
    if (op.kind == LOAD_RENAME) {
        op.place2 = (uint8_t)((op.place + 1 + prng_below(prng, LOAD_PLACES - 1)) % LOAD_PLACES);
        op.flags = flags[prng_below(prng, 4)];
    } else if (op.kind == LOAD_LIST) {
        op.place %= LOAD_DIRECTORIES;
    } else if (op.kind == LOAD_SETATTR || op.kind == LOAD_APPEND || op.kind == LOAD_GETATTR) {
        op.ino = choose_inode(session, prng);
        op.word = ((uint64_t)session->number + 1) << 40 | number;
        if (!op.ino)
            op.kind = LOAD_CREATE;
    }
    return op;
}

/* Remember inodes for others to work on; let go of what an answer holds. */
static int follow_up(struct load_session *session, const struct load_op *op)
{
    struct load_op release = {.kind = LOAD_RELEASE, .ino = op->value}, *done;
    if (op->status != PROTO_OK)
        return 0;
    if (op->kind == LOAD_CREATE || op->kind == LOAD_LOOKUP)
        atomic_store(&session->load->known[op->place], op->ino);
    if ((op->kind == LOAD_UNLINK || op->kind == LOAD_RENAME) && op->value)
        return perform(session, &release, &done);
    return 0;
}

static void pace(uint64_t *due, uint64_t period_ns)
{
    uint64_t now = clock_ns();
    *due += period_ns;
    if (*due < now) { /* after a stall: no storm to make up for it */
        *due = now;
        return;
    }
    struct timespec until = {(time_t)(*due / 1000000000u), (long)(*due % 1000000000u)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

void load_session_run(struct load_session *session)
{
    struct load *load = session->load;
    struct prng prng;
    uint64_t due = clock_ns();
    prng_init(&prng, load->seed * 1000 + session->number);
    for (uint64_t number = 0; session->code == 0 && !atomic_load(&load->stop); number++) {
        struct load_op wanted = choose(session, &prng, number), *op;
        session->code = perform(session, &wanted, &op);
        if (session->code == 0) {
            struct load_op done = *op;
            session->code = follow_up(session, &done);
        }
        if (load->period_ns)
            pace(&due, load->period_ns);
    }
}

/* --- the last look --- */

/* Every append that was answered is in the file, at its offset. */
static int compare_words(const struct load_session *session, uint64_t ino,
                         struct load_log *const *logs, size_t log_count)
{
    struct proto_bytes data = session->ask->reply.outcome.data;
    for (size_t l = 0; l < log_count; l++)
        for (size_t i = 0; i < logs[l]->count; i++) {
            const struct load_op *op = &logs[l]->ops[i];
            if (op->kind != LOAD_APPEND || op->ino != ino || op->status != PROTO_OK)
                continue;
            if (op->value + sizeof op->word <= data.bytes &&
                memcmp(data.data + op->value, &op->word, sizeof op->word) == 0)
                continue;
            fprintf(stderr,
                    "load: FAILED: %s does not see in inode %llu at %llu what %s appended at index "
                    "%llu\n",
                    session->log.name, (unsigned long long)ino, (unsigned long long)op->value,
                    logs[l]->name, (unsigned long long)op->index);
            return -1;
        }
    return 0;
}

static int look_inside(struct load_session *session, uint64_t ino, struct load_log *const *logs,
                       size_t log_count)
{
    struct proto_op op = {.code = PROTO_READ, .ino = ino, .count = DATA_BYTES_MAX};
    int code = ask(session, &op);
    if (code == 0)
        code = -tutti_errno(session->ask->reply.outcome.status);
    if (code) {
        fprintf(stderr, "load: FAILED: %s cannot read inode %llu: %s\n", session->log.name,
                (unsigned long long)ino, strerror(-code));
        return -1;
    }
    return compare_words(session, ino, logs, log_count);
}

int load_session_look(struct load_session *session, struct load_log *const *logs, size_t log_count)
{
    for (unsigned i = 0; i < LOAD_PLACES + LOAD_DIRECTORIES; i++) {
        bool name = i < LOAD_PLACES;
        struct load_op wanted = {.kind = name ? LOAD_LOOKUP : LOAD_LIST,
                                 .place = (uint8_t)(name ? i : i - LOAD_PLACES)};
        struct load_op *op;
        int code = perform(session, &wanted, &op);
        if (code) {
            fprintf(stderr, "load: FAILED: %s: %s\n", session->log.name, strerror(-code));
            return -1;
        }
        if (name && op->status == PROTO_OK && look_inside(session, op->ino, logs, log_count))
            return -1;
    }
    return 0;
}
