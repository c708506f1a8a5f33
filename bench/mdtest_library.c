/* tutti-bench through the client library: `inflight` jobs, each of which works on one item after
 * the other. The main thread starts them, the client's thread carries on from reply to reply, and
 * the main thread waits until the last one has found nothing to do. */
#include "bench/mdtest.h"

#include "client/tutti.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct library;

/* An item on its way through the requests of one operation. */
struct job {
    struct library *library;
    uint64_t begin_ns, ino;
    unsigned step;
    char name[MDTEST_NAME_MAX];
};

struct library {
    struct mdtest_backend backend;
    struct tutti *client;
    struct tutti_caller caller;
    struct buffer reply;
    uint64_t parent, iteration, tree; /* inodes: of -d, of the iteration's directory, of the tree */
    struct job *jobs;
    pthread_mutex_t lock; /* over recording and `code` while jobs are being started */
    atomic_ullong next;   /* item */
    atomic_uint running;  /* jobs */
    sem_t finished;
    int code;
    uint8_t *content;
};

static struct library *library_of(struct mdtest_backend *backend)
{
    return (struct library *)backend;
}

static struct proto_bytes bytes_of(const char *text)
{
    return (struct proto_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* --- one request at a time: trees --- */

static int call(struct library *library, const struct proto_op *op, const char *what,
                const char *name, uint64_t *ret_ino)
{
    struct proto_outcome outcome;
    int code =
        tutti_call(library->client, &library->caller, op, &library->reply, &outcome, NULL, NULL);
    if (!code)
        code = -tutti_errno(outcome.status);
    if (code)
        return error_set(library->backend.rank->error, code, "%s %s: %s", what, name,
                         strerror(-code));
    if (ret_ino)
        *ret_ino = outcome.attr.ino;
    return 0;
}

static int lookup(struct library *library, uint64_t parent, const char *name, uint64_t *ret_ino)
{
    const struct proto_op op = {.code = PROTO_LOOKUP, .parent = parent, .name = bytes_of(name)};
    return call(library, &op, "lookup", name, ret_ino);
}

static int directory_make(struct library *library, uint64_t parent, const char *name,
                          uint64_t *ret_ino)
{
    const struct proto_op op = {
        .code = PROTO_MKDIR, .parent = parent, .name = bytes_of(name), .mode = S_IFDIR | 0755};
    uint64_t begin_ns = clock_ns();
    int code = call(library, &op, "mkdir", name, ret_ino);
    if (!code)
        mdtest_record(library->backend.rank, begin_ns);
    return code;
}

static int directory_remove(struct library *library, uint64_t parent, const char *name)
{
    const struct proto_op op = {.code = PROTO_RMDIR, .parent = parent, .name = bytes_of(name)};
    uint64_t begin_ns = clock_ns();
    int code = call(library, &op, "rmdir", name, NULL);
    if (!code)
        mdtest_record(library->backend.rank, begin_ns);
    return code;
}

/* The directory that -d names, from the root on. */
static int path_resolve(struct library *library)
{
    char path[MDTEST_PATH_MAX], *rest = path, *name;
    snprintf(path, sizeof path, "%s", library->backend.rank->options->directory);
    library->parent = PROTO_ROOT_INO;
    while ((name = strsep(&rest, "/"))) {
        int code = *name ? lookup(library, library->parent, name, &library->parent) : 0;
        if (code)
            return code;
    }
    return 0;
}

static int library_prepare(struct mdtest_backend *backend)
{
    struct library *library = library_of(backend);
    const struct mdtest_rank *rank = backend->rank;
    char name[MDTEST_NAME_MAX];
    if (rank->phase == MDTEST_TREE_CREATE)
        return 0;
    mdtest_name_iteration(rank, name);
    int code = lookup(library, library->parent, name, &library->iteration);
    if (code)
        return code;
    mdtest_name_tree(rank, mdtest_owner(rank), name);
    return lookup(library, library->iteration, name, &library->tree);
}

static int trees_run(struct library *library, bool make)
{
    const struct mdtest_rank *rank = library->backend.rank;
    char name[MDTEST_NAME_MAX];
    int code = 0;
    mdtest_name_iteration(rank, name);
    if (make)
        code = directory_make(library, library->parent, name, &library->iteration);
    for (uint32_t i = 0; i < mdtest_tree_count(rank->options) && !code; i++) {
        mdtest_name_tree(rank, i, name);
        code = make ? directory_make(library, library->iteration, name, NULL)
                    : directory_remove(library, library->iteration, name);
    }
    mdtest_name_iteration(rank, name);
    return make || code ? code : directory_remove(library, library->parent, name);
}

/* --- many at a time: items --- */

/* The next request of the job's operation; false when it was the last one. */
static bool job_request(struct job *job, struct proto_op *ret_op)
{
    struct library *library = job->library;
    const struct mdtest_options *options = library->backend.rank->options;
    const struct proto_op named = {.parent = library->tree, .name = bytes_of(job->name)};
    const struct proto_op held = {.ino = job->ino};
    unsigned step = job->step++;
    *ret_op = step ? held : named;
    switch (library->backend.rank->phase) {
    case MDTEST_DIR_CREATE:
        ret_op->code = PROTO_MKDIR;
        ret_op->mode = S_IFDIR | 0755;
        return step == 0;
    case MDTEST_DIR_STAT:
    case MDTEST_FILE_STAT:
        ret_op->code = PROTO_LOOKUP;
        return step == 0;
    case MDTEST_DIR_REMOVE:
        ret_op->code = PROTO_RMDIR;
        return step == 0;
    case MDTEST_FILE_REMOVE:
        ret_op->code = PROTO_UNLINK;
        return step == 0;
    case MDTEST_FILE_CREATE:
        ret_op->code = step ? PROTO_WRITE : PROTO_CREATE;
        ret_op->mode = step ? 0 : S_IFREG | 0644;
        ret_op->flags = step ? 0 : PROTO_CREATE_EXCLUSIVE | PROTO_OPEN_WRITE;
        if (step)
            ret_op->data = (struct proto_bytes){library->content, (uint32_t)options->write_bytes};
        return step == 0 || (step == 1 && options->write_bytes > 0);
    case MDTEST_FILE_READ:
        ret_op->code = step == 0 ? PROTO_LOOKUP : step == 1 ? PROTO_OPEN : PROTO_READ;
        ret_op->flags = step == 1 ? PROTO_OPEN_READ : 0;
        ret_op->count = step == 2 ? (uint32_t)options->read_bytes : 0;
        return step < 2 || (step == 2 && options->read_bytes > 0);
    default:
        MUST(!"a phase of items");
    }
    return false;
}

/* Whether a reply says what it has to. */
static const char *reply_check(const struct job *job, const struct proto_outcome *outcome)
{
    const struct library *library = job->library;
    const struct mdtest_options *options = library->backend.rank->options;
    enum mdtest_phase phase = library->backend.rank->phase;
    if (phase == MDTEST_DIR_STAT && (outcome->attr.mode & S_IFMT) != S_IFDIR)
        return "wrong type";
    if (phase == MDTEST_FILE_STAT &&
        ((outcome->attr.mode & S_IFMT) != S_IFREG || outcome->attr.size != options->write_bytes))
        return "wrong type or size";
    if (phase == MDTEST_FILE_READ && job->step == 3 &&
        (outcome->data.bytes != options->read_bytes ||
         memcmp(outcome->data.data, library->content, outcome->data.bytes) != 0))
        return "wrong content";
    return NULL;
}

static void job_go(struct job *job);

/* The job has nothing more to do; the last one wakes the main thread. */
static void job_end(struct job *job)
{
    struct library *library = job->library;
    if (atomic_fetch_sub(&library->running, 1) == 1)
        sem_post(&library->finished);
}

static void job_fail(struct job *job, int code, const char *text)
{
    struct library *library = job->library;
    pthread_mutex_lock(&library->lock);
    if (!library->code)
        library->code =
            error_set(library->backend.rank->error, code, "%s: %s: %s",
                      mdtest_phase_names[library->backend.rank->phase], job->name, text);
    pthread_mutex_unlock(&library->lock);
    atomic_store(&library->next, UINT64_MAX / 2); /* no further items */
    job_end(job);
}

static void job_reply(void *user, int code, const struct proto_reply *reply)
{
    struct job *job = user;
    if (!code)
        code = -tutti_errno(reply->outcome.status);
    const char *text = code ? strerror(-code) : reply_check(job, &reply->outcome);
    if (text) {
        job_fail(job, code ? code : -EIO, text);
        return;
    }
    if (reply->outcome.fields & PROTO_REPLY_ATTR)
        job->ino = reply->outcome.attr.ino;
    job_go(job);
}

/* Take the next item; false when there is none. */
static bool job_begin(struct job *job)
{
    struct library *library = job->library;
    uint64_t item = atomic_fetch_add(&library->next, 1);
    if (item >= library->backend.rank->options->items)
        return false;
    mdtest_name_item(library->backend.rank, item, job->name);
    job->begin_ns = clock_ns();
    job->step = 0;
    return true;
}

static void job_done(struct job *job)
{
    struct library *library = job->library;
    pthread_mutex_lock(&library->lock);
    mdtest_record(library->backend.rank, job->begin_ns);
    pthread_mutex_unlock(&library->lock);
}

static void job_submit(struct job *job, const struct proto_op *op)
{
    struct library *library = job->library;
    int code = tutti_submit(library->client, &library->caller, op, job_reply, job);
    if (code)
        job_fail(job, code, strerror(-code));
}

/* Go on with the next item, if there is one. */
static void job_start(struct job *job)
{
    struct proto_op op;
    if (!job_begin(job)) {
        job_end(job);
        return;
    }
    MUST(job_request(job, &op));
    job_submit(job, &op);
}

/* The next request of this item, or of the next one. */
static void job_go(struct job *job)
{
    struct proto_op op;
    if (job_request(job, &op)) {
        job_submit(job, &op);
        return;
    }
    job_done(job);
    job_start(job);
}

static int library_run(struct mdtest_backend *backend)
{
    struct library *library = library_of(backend);
    const struct mdtest_rank *rank = backend->rank;
    uint32_t jobs = rank->options->inflight;
    if (rank->phase == MDTEST_TREE_CREATE || rank->phase == MDTEST_TREE_REMOVE)
        return trees_run(library, rank->phase == MDTEST_TREE_CREATE);
    atomic_store(&library->next, 0);
    atomic_store(&library->running, jobs);
    for (uint32_t i = 0; i < jobs; i++)
        job_start(&library->jobs[i]);
    while (sem_wait(&library->finished) < 0 && errno == EINTR)
        continue;
    return library->code;
}

/* --- begin and end --- */

static void library_close(struct mdtest_backend *backend)
{
    struct library *library = library_of(backend);
    tutti_close(library->client);
    buffer_finish(&library->reply);
    pthread_mutex_destroy(&library->lock);
    sem_destroy(&library->finished);
    free(library->jobs);
    free(library->content);
    free(library);
}

static int library_connect(struct library *library)
{
    const struct mdtest_rank *rank = library->backend.rank;
    struct tutti_options options;
    uint32_t replicas = 1;
    for (const char *at = rank->options->replicas; *at; at++)
        replicas += *at == ',';
    tutti_options_defaults(&options);
    options.replicas = rank->options->replicas;
    options.first = rank->rank % replicas;
    options.slots = rank->options->inflight;
    int code = tutti_connect(&options, &library->client, rank->error);
    return code ? code : path_resolve(library);
}

int mdtest_library_open(struct mdtest_rank *rank, struct mdtest_backend **ret)
{
    struct library *library = calloc(1, sizeof *library);
    if (!library)
        return error_set(rank->error, -ENOMEM, "no memory");
    library->backend = (struct mdtest_backend){rank, library_prepare, library_run, library_close};
    library->caller = (struct tutti_caller){.uid = geteuid(), .gid = getegid()};
    buffer_init(&library->reply, PROTO_REPLY_BYTES_MAX);
    pthread_mutex_init(&library->lock, NULL);
    sem_init(&library->finished, 0, 0);
    library->jobs = calloc(rank->options->inflight, sizeof *library->jobs);
    library->content = malloc(rank->options->write_bytes + 1);
    int code = library->jobs && library->content ? 0 : error_set(rank->error, -ENOMEM, "no memory");
    for (uint32_t i = 0; i < rank->options->inflight && !code; i++)
        library->jobs[i].library = library;
    if (!code) {
        mdtest_content(0, library->content, rank->options->write_bytes);
        code = library_connect(library);
    }
    if (code) {
        library_close(&library->backend);
        return code;
    }
    *ret = &library->backend;
    return 0;
}
