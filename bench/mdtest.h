/* tutti-bench: mdtest's phases. Parent and processes share one mapping; a process is named by its
 * rank, as in mdtest. Every process goes through the same phases, with a barrier before and after
 * each. */
#ifndef TUTTI_BENCH_MDTEST_H
#define TUTTI_BENCH_MDTEST_H

#include "base/error.h"
#include "base/must.h"
#include "bench/clock.h"
#include "bench/histogram.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum mdtest_phase {
    MDTEST_TREE_CREATE,
    MDTEST_DIR_CREATE,
    MDTEST_DIR_STAT,
    MDTEST_DIR_REMOVE,
    MDTEST_FILE_CREATE,
    MDTEST_FILE_STAT,
    MDTEST_FILE_READ,
    MDTEST_FILE_REMOVE,
    MDTEST_TREE_REMOVE,
    MDTEST_PHASES
};
extern const char *const mdtest_phase_names[MDTEST_PHASES];

enum {
    MDTEST_PROCESSES_MAX = 256,
    MDTEST_ITERATIONS_MAX = 1000,
    MDTEST_PATH_MAX = 4096,
    MDTEST_NAME_MAX = 64,
};

struct mdtest_options {
    uint64_t items;        /* -n, of each process */
    bool unique;           /* -u */
    bool files, dirs;      /* not -D; not -F */
    uint32_t stride;       /* -N */
    uint64_t write_bytes;  /* -w */
    uint64_t read_bytes;   /* -e */
    uint32_t iterations;   /* -i */
    const char *directory; /* -d */
    uint32_t processes;
    const char *replicas; /* NULL: through a mounted directory */
    uint32_t inflight;    /* of each process, through the library */
    bool json, quiet;
};

/* -1: go on; else the exit code. */
int mdtest_options_parse(int argc, char **argv, struct mdtest_options *options);

struct mdtest_span {
    uint64_t begin_ns, end_ns, operations;
};

struct mdtest_shared {
    pthread_barrier_t barrier;
    atomic_uint iteration, phase;             /* where rank 0 is, for the progress line */
    atomic_ullong done[MDTEST_PROCESSES_MAX]; /* operations of the present phase */
    struct error errors[MDTEST_PROCESSES_MAX];
    struct histogram *latency; /* [phase][rank] */
    struct mdtest_span *spans; /* [iteration][phase][rank] */
};

/* One process's view. */
struct mdtest_rank {
    const struct mdtest_options *options;
    struct mdtest_shared *shared;
    uint32_t rank, iteration;
    enum mdtest_phase phase;
    struct error *error;
};

/* One operation of the present phase has ended. One thread at a time. */
void mdtest_record(struct mdtest_rank *rank, uint64_t begin_ns);

/* Whose items this rank works on in the present phase: its own, or with -N a neighbour's. */
uint32_t mdtest_owner(const struct mdtest_rank *rank);
/* Names: of the iteration's directory, of a tree in it, of an item in that. */
void mdtest_name_iteration(const struct mdtest_rank *rank, char name[MDTEST_NAME_MAX]);
void mdtest_name_tree(const struct mdtest_rank *rank, uint32_t owner, char name[MDTEST_NAME_MAX]);
void mdtest_name_item(const struct mdtest_rank *rank, uint64_t item, char name[MDTEST_NAME_MAX]);
uint32_t mdtest_tree_count(const struct mdtest_options *options);

/* What a file holds at `offset`. */
void mdtest_content(uint64_t offset, uint8_t *to, size_t bytes);

/* How a phase is done. All return 0 or a negative errno with a text in rank->error. */
struct mdtest_backend {
    struct mdtest_rank *rank;
    int (*prepare)(struct mdtest_backend *backend); /* before the clock runs */
    int (*run)(struct mdtest_backend *backend);     /* all of the phase, for this rank */
    void (*close)(struct mdtest_backend *backend);
};
int mdtest_directory_open(struct mdtest_rank *rank, struct mdtest_backend **ret) WARN_UNUSED;
int mdtest_library_open(struct mdtest_rank *rank, struct mdtest_backend **ret) WARN_UNUSED;

/* A process's whole life; its exit code. */
int mdtest_rank_run(const struct mdtest_options *options, struct mdtest_shared *shared,
                    uint32_t rank);

bool mdtest_phase_wanted(const struct mdtest_options *options, enum mdtest_phase phase);

/* Print what was measured. */
void mdtest_report(const struct mdtest_options *options, const struct mdtest_shared *shared);

#endif
