/* The threads of failover: each makes files of its own, changes and removes them, one request at a
 * time. All names are a thread's own, so every answer is known beforehand: another one shows a
 * write that was lost or done twice. */
#include "bench/clock.h"
#include "bench/failover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct tutti_caller root;

static void raise_to(_Atomic uint64_t *to, uint64_t value)
{
    uint64_t was = atomic_load(to);
    while (was < value && !atomic_compare_exchange_weak(to, &was, value))
        ;
}

static void count_answer(struct failover_thread *t, uint64_t begin_ns, uint64_t end_ns)
{
    struct failover_load *load = t->load;
    uint64_t bin = (end_ns - load->begin_ns) / FAILOVER_BIN_NS;
    uint64_t fault_ns = atomic_load(&load->fault_ns);
    if (bin < FAILOVER_BINS_MAX)
        atomic_fetch_add_explicit(&load->bins[bin], 1, memory_order_relaxed);
    if (atomic_load(&t->client->victim))
        return;
    uint64_t previous_ns = atomic_exchange(&load->answer_ns, end_ns);
    if (!fault_ns || end_ns < fault_ns)
        return;
    if (end_ns > previous_ns)
        raise_to(&load->gap_max_ns, end_ns - previous_ns);
    pthread_mutex_lock(&t->lock);
    histogram_add(t->latency, end_ns - begin_ns);
    if (end_ns - begin_ns > t->wait_max_ns) {
        t->wait_max_ns = end_ns - begin_ns;
        t->wait_end_ns = end_ns;
    }
    pthread_mutex_unlock(&t->lock);
}

/* One write. 0, or a negative errno where it was not answered; what was answered is counted. */
static int write_once(struct failover_thread *t, const struct proto_op *op, uint64_t *ret_ino)
{
    struct proto_outcome outcome;
    pthread_rwlock_rdlock(&t->client->lock);
    uint64_t begin_ns = clock_ns();
    int code = tutti_call(t->client->tutti, &root, op, &t->reply, &outcome, NULL, NULL);
    pthread_rwlock_unlock(&t->client->lock);
    if (code)
        return code;
    count_answer(t, begin_ns, clock_ns());
    if (outcome.status != PROTO_OK) {
        atomic_fetch_add(&t->load->wrong, 1);
        fprintf(stderr, "failover: thread %u: operation %d: %s\n", t->number, (int)op->code,
                proto_status_name(outcome.status));
    }
    if (ret_ino)
        *ret_ino = outcome.attr.ino;
    return 0;
}

static int write_file(struct failover_thread *t, uint64_t number, unsigned step, uint64_t *ino)
{
    char text[32];
    snprintf(text, sizeof text, "f%llu", (unsigned long long)number);
    struct proto_bytes name = {(const uint8_t *)text, (uint32_t)strlen(text)};
    const struct proto_op steps[3] = {
        {.code = PROTO_CREATE,
         .parent = t->directory,
         .name = name,
         .mode = S_IFREG | 0644,
         .flags = PROTO_CREATE_EXCLUSIVE | PROTO_OPEN_WRITE},
        {.code = PROTO_SETATTR, .ino = *ino, .valid = PROTO_SET_MODE, .mode = 0600},
        {.code = PROTO_UNLINK, .parent = t->directory, .name = name},
    };
    return write_once(t, &steps[step], step == 0 ? ino : NULL);
}

static void *thread_main(void *user)
{
    struct failover_thread *t = user;
    uint64_t ino = 0, due_ns = clock_ns();
    int code = 0;
    for (uint64_t i = 0; !code && !atomic_load(&t->load->stop); i++) {
        code = write_file(t, i / 3, i % 3, &ino);
        if (!t->load->options->period_ns)
            continue;
        due_ns += t->load->options->period_ns;
        if (due_ns < clock_ns())
            due_ns = clock_ns(); /* after a stall: no storm to make up for it */
        else
            clock_sleep_until(due_ns);
    }
    if (code && !atomic_load(&t->load->stop)) {
        atomic_fetch_add(&t->load->wrong, 1);
        fprintf(stderr, "failover: thread %u: %s\n", t->number, strerror(-code));
    }
    return NULL;
}

/* --- start and stop --- */

static int make_directory(struct tutti *client, struct buffer *reply, uint64_t parent,
                          const char *name, uint64_t *ret_ino)
{
    const struct proto_op op = {.code = PROTO_MKDIR,
                                .parent = parent,
                                .name = {(const uint8_t *)name, (uint32_t)strlen(name)},
                                .mode = S_IFDIR | 0755};
    struct proto_outcome outcome;
    int code = tutti_call(client, &root, &op, reply, &outcome, NULL, NULL);
    if (code)
        return code;
    *ret_ino = outcome.attr.ino;
    return -tutti_errno(outcome.status);
}

static int connect_client(struct failover_load *load, struct failover_client *client,
                          struct error *error)
{
    struct tutti_options options;
    tutti_options_defaults(&options);
    options.replicas = load->options->replicas;
    options.slots = load->options->threads;
    options.first = client->home;
    return tutti_connect(&options, &client->tutti, error);
}

static int connect_clients(struct failover_load *load, struct error *error)
{
    pthread_rwlockattr_t attributes;
    unsigned replicas = 1;
    for (const char *c = load->options->replicas; *c; c++)
        replicas += *c == ',';
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    for (unsigned i = 0; i < load->options->clients; i++) {
        load->clients[i].home = i % replicas;
        int code = -pthread_rwlock_init(&load->clients[i].lock, &attributes);
        if (!code)
            code = connect_client(load, &load->clients[i], error);
        if (code)
            return code;
    }
    return 0;
}

static int prepare_thread(struct failover_load *load, unsigned number, uint64_t top)
{
    struct failover_thread *t = &load->threads[number];
    char name[32];
    t->load = load;
    t->number = number;
    t->client = &load->clients[number % load->options->clients];
    t->latency = calloc(1, sizeof *t->latency);
    buffer_init(&t->reply, PROTO_REPLY_BYTES_MAX);
    if (!t->latency || pthread_mutex_init(&t->lock, NULL))
        return -ENOMEM;
    snprintf(name, sizeof name, "t%u", number);
    return make_directory(t->client->tutti, &t->reply, top, name, &t->directory);
}

int failover_load_start(struct failover_load *load, const struct failover_options *options,
                        struct error *error)
{
    struct buffer reply;
    char name[64];
    uint64_t top = 0;
    load->options = options;
    load->begin_ns = clock_ns();
    int code = connect_clients(load, error);
    if (code)
        return code;
    buffer_init(&reply, PROTO_REPLY_BYTES_MAX);
    snprintf(name, sizeof name, "failover.%d", (int)getpid());
    code = make_directory(load->clients[0].tutti, &reply, PROTO_ROOT_INO, name, &top);
    buffer_finish(&reply);
    for (unsigned i = 0; !code && i < options->threads; i++)
        code = prepare_thread(load, i, top);
    for (unsigned i = 0; !code && i < options->threads; i++)
        code = -pthread_create(&load->threads[i].thread, NULL, thread_main, &load->threads[i]);
    return code ? error_set(error, code, "the load cannot start: %s", strerror(-code)) : 0;
}

void failover_load_stop(struct failover_load *load)
{
    atomic_store(&load->stop, true);
    for (unsigned i = 0; i < load->options->threads; i++)
        pthread_join(load->threads[i].thread, NULL);
    for (unsigned i = 0; i < load->options->clients; i++)
        tutti_close(load->clients[i].tutti);
}

/* --- rounds --- */

static bool at_home(const struct failover_load *load, const struct failover_client *client,
                    const char *peer)
{
    const char *address = load->options->replicas;
    for (uint32_t i = 0; i < client->home; i++)
        address = strchr(address, ',') + 1;
    size_t length = strcspn(address, ",");
    return strlen(peer) == length && !memcmp(peer, address, length);
}

static int go_home(struct failover_load *load, struct failover_client *client, struct error *error)
{
    pthread_rwlock_wrlock(&client->lock);
    tutti_close(client->tutti);
    client->tutti = NULL;
    int code = connect_client(load, client, error);
    pthread_rwlock_unlock(&client->lock);
    return code;
}

int failover_round_prepare(struct failover_load *load, const char *victim, struct error *error)
{
    char peer[128];
    for (unsigned i = 0; i < load->options->clients; i++) {
        struct failover_client *client = &load->clients[i];
        tutti_peer(client->tutti, peer);
        int code = at_home(load, client, peer) ? 0 : go_home(load, client, error);
        if (code)
            return code;
        tutti_peer(client->tutti, peer);
        atomic_store(&client->victim, *victim && !strcmp(peer, victim));
    }
    return 0;
}

void failover_round_fault(struct failover_load *load, struct failover_round *round)
{
    for (unsigned i = 0; i < load->options->threads; i++) {
        pthread_mutex_lock(&load->threads[i].lock);
        load->threads[i].wait_max_ns = 0;
        pthread_mutex_unlock(&load->threads[i].lock);
    }
    atomic_store(&load->gap_max_ns, 0);
    round->stolen_ns = clock_stolen_ns();
    round->fault_ns = clock_ns();
    atomic_store(&load->answer_ns, round->fault_ns);
    atomic_store(&load->fault_ns, round->fault_ns);
}

void failover_round_end(struct failover_load *load, struct failover_round *round)
{
    uint64_t answer_ns = atomic_load(&load->answer_ns); /* read first: another answer may come */
    round->end_ns = clock_ns();
    uint64_t silent_ns = round->end_ns - answer_ns;
    atomic_store(&load->fault_ns, 0);
    round->stolen_ns = clock_stolen_ns() - round->stolen_ns;
    round->wait_max_ns = 0;
    for (unsigned i = 0; i < load->options->threads; i++) {
        struct failover_thread *t = &load->threads[i];
        pthread_mutex_lock(&t->lock);
        if (t->wait_max_ns > round->wait_max_ns) {
            round->wait_max_ns = t->wait_max_ns;
            round->wait_end_ns = t->wait_end_ns;
        }
        pthread_mutex_unlock(&t->lock);
    }
    /* Where nobody was answered to the end, that is how long they waited at least. */
    round->gap_max_ns = atomic_load(&load->gap_max_ns);
    if (silent_ns > round->gap_max_ns)
        round->gap_max_ns = silent_ns;
    if (silent_ns > round->wait_max_ns) {
        round->wait_max_ns = silent_ns;
        round->wait_end_ns = round->end_ns;
    }
}

double failover_rate(const struct failover_load *load, uint64_t from_ns, uint64_t to_ns)
{
    uint64_t from = (from_ns - load->begin_ns) / FAILOVER_BIN_NS;
    uint64_t to = (to_ns - load->begin_ns) / FAILOVER_BIN_NS, answers = 0;
    for (uint64_t bin = from; bin < to && bin < FAILOVER_BINS_MAX; bin++)
        answers += atomic_load(&load->bins[bin]);
    return to > from ? (double)answers * 1e9 / ((double)(to - from) * FAILOVER_BIN_NS) : 0;
}
