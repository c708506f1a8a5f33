/* Many requests at once, for what has to be there before a fault: content in a cache, inodes. */
#include "bench/failover.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INFLIGHT = 256, CHUNK_BYTES = 4096, DIRECTORY_FILES = 10000 };

static const struct tutti_caller root;

/* Requests out, and the first that failed. */
struct stream {
    struct tutti *client;
    sem_t room;
    atomic_int code;
    struct buffer reply;
};

static int stream_open(struct stream *s, const struct failover_options *options,
                       const char *replicas, struct error *error)
{
    struct tutti_options tutti;
    *s = (struct stream){0};
    if (sem_init(&s->room, 0, INFLIGHT))
        return error_set(error, -errno, "%s", strerror(errno));
    buffer_init(&s->reply, PROTO_REPLY_BYTES_MAX);
    tutti_options_defaults(&tutti);
    tutti.replicas = replicas ? replicas : options->replicas;
    tutti.slots = INFLIGHT;
    return tutti_connect(&tutti, &s->client, error);
}

static void stream_done(void *user, int code, const struct proto_reply *reply)
{
    struct stream *s = user;
    int none = 0;
    if (!code)
        code = -tutti_errno(reply->outcome.status);
    if (code)
        atomic_compare_exchange_strong(&s->code, &none, code);
    sem_post(&s->room);
}

static int stream_ask(struct stream *s, const struct proto_op *op)
{
    while (sem_wait(&s->room) && errno == EINTR)
        ;
    if (atomic_load(&s->code)) {
        sem_post(&s->room);
        return atomic_load(&s->code);
    }
    int code = tutti_submit(s->client, &root, op, stream_done, s);
    if (code)
        sem_post(&s->room);
    return code;
}

/* Wait for all answers. */
static int stream_drain(struct stream *s)
{
    for (unsigned i = 0; i < INFLIGHT; i++)
        while (sem_wait(&s->room) && errno == EINTR)
            ;
    for (unsigned i = 0; i < INFLIGHT; i++)
        sem_post(&s->room);
    return atomic_load(&s->code);
}

static void stream_close(struct stream *s)
{
    tutti_close(s->client);
    buffer_finish(&s->reply);
    sem_destroy(&s->room);
}

static struct proto_bytes bytes_of(const char *text)
{
    return (struct proto_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* Make it, or find it. */
static int directory(struct stream *s, const char *name, uint64_t *ret_ino, bool *ret_made)
{
    struct proto_op op = {.code = PROTO_MKDIR,
                          .parent = PROTO_ROOT_INO,
                          .name = bytes_of(name),
                          .mode = S_IFDIR | 0755};
    struct proto_outcome outcome;
    int code = tutti_call(s->client, &root, &op, &s->reply, &outcome, NULL, NULL);
    *ret_made = outcome.status == PROTO_OK;
    if (!code && outcome.status == PROTO_EXIST) {
        op = (struct proto_op){
            .code = PROTO_LOOKUP, .parent = PROTO_ROOT_INO, .name = bytes_of(name)};
        code = tutti_call(s->client, &root, &op, &s->reply, &outcome, NULL, NULL);
    }
    if (code)
        return code;
    *ret_ino = outcome.attr.ino;
    return -tutti_errno(outcome.status);
}

static int create_files(struct stream *s, uint64_t parent, uint64_t count)
{
    char name[32];
    int code = 0;
    for (uint64_t i = 0; !code && i < count; i++) {
        snprintf(name, sizeof name, "f%llu", (unsigned long long)i);
        const struct proto_op op = {.code = PROTO_CREATE,
                                    .parent = parent,
                                    .name = bytes_of(name),
                                    .mode = S_IFREG | 0644,
                                    .flags = PROTO_OPEN_WRITE};
        code = stream_ask(s, &op);
    }
    int drained = stream_drain(s);
    return code ? code : drained;
}

/* The inodes of all files there, by listings: `each` for every one. */
static int for_each_file(struct stream *s, uint64_t parent,
                         int (*each)(struct stream *s, uint64_t ino))
{
    uint64_t cookie = 0;
    for (;;) {
        const struct proto_op op = {
            .code = PROTO_READDIR, .ino = parent, .cookie = cookie, .count = 64 * 1024};
        struct proto_outcome outcome;
        int code = tutti_call(s->client, &root, &op, &s->reply, &outcome, NULL, NULL);
        if (!code)
            code = -tutti_errno(outcome.status);
        if (code || outcome.data.bytes == 0)
            return code;
        struct reader r = reader_make(outcome.data.data, outcome.data.bytes);
        while (!code && reader_left(&r)) {
            struct proto_dirent entry;
            code = proto_dirent_decode(&r, &entry);
            if (!code && entry.name.data[0] != '.')
                code = each(s, entry.ino);
            cookie = entry.cookie;
        }
        if (code)
            return code;
    }
}

static int write_content(struct stream *s, uint64_t ino)
{
    static const uint8_t content[CHUNK_BYTES] = "some content";
    const struct proto_op op = {.code = PROTO_WRITE, .ino = ino, .data = {content, sizeof content}};
    return stream_ask(s, &op);
}

static int read_content(struct stream *s, uint64_t ino)
{
    const struct proto_op op = {.code = PROTO_READ, .ino = ino, .count = CHUNK_BYTES};
    return stream_ask(s, &op);
}

static int fill_directory(struct stream *s, unsigned number)
{
    char name[32];
    uint64_t ino;
    bool made;
    snprintf(name, sizeof name, "fill%u", number);
    int code = directory(s, name, &ino, &made);
    if (!code && made)
        code = create_files(s, ino, DIRECTORY_FILES);
    if (!code && made)
        code = for_each_file(s, ino, write_content);
    if (!code)
        code = stream_drain(s);
    if (!code)
        code = for_each_file(s, ino, read_content);
    return code ? code : stream_drain(s);
}

int failover_fill(const struct failover_options *options, const char *address, uint64_t bytes,
                  struct error *error)
{
    struct stream s;
    int code = stream_open(&s, options, address, error);
    if (code)
        return code;
    uint64_t directories = bytes / ((uint64_t)CHUNK_BYTES * DIRECTORY_FILES) + 1;
    for (unsigned i = 0; !code && i < directories; i++)
        code = fill_directory(&s, i);
    stream_close(&s);
    return code ? error_set(error, code, "filling: %s", strerror(-code)) : 0;
}

int failover_make_inodes(const struct failover_options *options, uint64_t count,
                         struct error *error)
{
    struct stream s;
    char name[32];
    uint64_t ino;
    bool made;
    int code = stream_open(&s, options, NULL, error);
    if (code)
        return code;
    for (unsigned i = 0; !code && count; i++) {
        uint64_t files = count < DIRECTORY_FILES ? count : DIRECTORY_FILES;
        snprintf(name, sizeof name, "inodes%u", i);
        code = directory(&s, name, &ino, &made);
        if (!code && made)
            code = create_files(&s, ino, files);
        count -= files;
    }
    stream_close(&s);
    return code ? error_set(error, code, "making inodes: %s", strerror(-code)) : 0;
}
