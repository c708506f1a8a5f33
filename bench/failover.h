/* How long does a fault stop the others? A load of blocking clients, a count of their answers every
 * 10 ms, and rounds: each has a time before the fault, the fault, and a time after it.
 *
 * Who makes the faults is told by lines on standard output and answers on standard input: see
 * failover --help, and failover.sh, which has the group and the faults.
 *
 * Files: failover.c (options, the conversation), failover_load.c (threads, the count),
 * failover_fill.c (filling caches, making inodes), failover_report.c (rows, drawing). */
#ifndef TUTTI_BENCH_FAILOVER_H
#define TUTTI_BENCH_FAILOVER_H

#include "base/error.h"
#include "bench/histogram.h"
#include "client/tutti.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    FAILOVER_BIN_NS = 10 * 1000 * 1000,
    FAILOVER_BINS_MAX = 1 << 19, /* an hour and a half */
    FAILOVER_THREADS_MAX = 512,
    FAILOVER_CLIENTS_MAX = 12,
    FAILOVER_ROUNDS_MAX = 1000,
};

struct failover_options {
    const char *replicas, *name, *svg;
    unsigned threads, clients;
    uint64_t before_ns, after_ns;
    uint64_t period_ns; /* of one thread's writes; 0: as fast as answers come */
    uint64_t stolen_max_ns;
    bool json;
};

/* One client of the library, used by some of the threads. */
struct failover_client {
    struct tutti *tutti;
    uint32_t home;         /* the replica that it connects to before each round */
    pthread_rwlock_t lock; /* over `tutti`: held for reading by whoever asks */
    atomic_bool victim;    /* connected to the replica that this round's fault hits */
};

struct failover_thread {
    struct failover_load *load;
    struct failover_client *client;
    pthread_t thread;
    unsigned number;
    uint64_t directory;
    struct buffer reply;
    pthread_mutex_t lock;      /* over the rest */
    struct histogram *latency; /* of writes in rounds that were answered after the fault */
    uint64_t wait_max_ns;      /* of the longest in this round */
    uint64_t wait_end_ns;      /* when it was answered */
};

struct failover_load {
    const struct failover_options *options;
    uint64_t begin_ns;
    struct failover_client clients[FAILOVER_CLIENTS_MAX];
    struct failover_thread threads[FAILOVER_THREADS_MAX];
    _Atomic uint32_t bins[FAILOVER_BINS_MAX]; /* answers, of all */
    _Atomic uint64_t fault_ns;                /* 0: no round is on */
    _Atomic uint64_t answer_ns, gap_max_ns;   /* of the others */
    _Atomic uint64_t wrong;                   /* writes that were lost, done twice, or failed */
    atomic_bool stop;
};

struct failover_round {
    uint64_t begin_ns, fault_ns, done_ns, end_ns; /* done: the fault has been made, in full */
    uint64_t wait_max_ns; /* the others' longest wait for a write's answer */
    uint64_t wait_end_ns; /* when that answer came */
    uint64_t gap_max_ns;  /* the longest time in which the others got no answer at all */
    uint64_t stolen_ns;   /* that a hypervisor took from the processors since the fault */
};

/* Connect, make the threads' directories, start. 0 or a negative errno (text). */
int failover_load_start(struct failover_load *load, const struct failover_options *options,
                        struct error *error) WARN_UNUSED;
void failover_load_stop(struct failover_load *load);

/* A round: clients go home, where a fault had moved them, and it is noted which of them the fault
 * hits (@victim: the replica's address, or ""); the moment before the fault; the end. */
int failover_round_prepare(struct failover_load *load, const char *victim,
                           struct error *error) WARN_UNUSED;
void failover_round_fault(struct failover_load *load, struct failover_round *round);
void failover_round_end(struct failover_load *load, struct failover_round *round);

/* Writes answered between two times, a second. */
double failover_rate(const struct failover_load *load, uint64_t from_ns, uint64_t to_ns);

/* Have `bytes` of file content in the cache of the replica: write the files where they are not
 * there yet, then read all of them there. */
int failover_fill(const struct failover_options *options, const char *address, uint64_t bytes,
                  struct error *error) WARN_UNUSED;

/* Make so many empty files. */
int failover_make_inodes(const struct failover_options *options, uint64_t count,
                         struct error *error) WARN_UNUSED;

/* @passed_over: rounds besides, in which a hypervisor took too much. */
void failover_report(const struct failover_load *load, const struct failover_round *rounds,
                     unsigned round_count, unsigned passed_over);

/* Draw the round with the longest wait. 0 or a negative errno (text). */
int failover_draw(const struct failover_load *load, const struct failover_round *rounds,
                  unsigned round_count, const char *path, struct error *error) WARN_UNUSED;

#endif
