/* One process of tutti-bench: the phases, names, and what it records. */
#include "bench/mdtest.h"

#include <stdio.h>
#include <string.h>

const char *const mdtest_phase_names[MDTEST_PHASES] = {
    [MDTEST_TREE_CREATE] = "Tree creation", [MDTEST_DIR_CREATE] = "Directory creation",
    [MDTEST_DIR_STAT] = "Directory stat",   [MDTEST_DIR_REMOVE] = "Directory removal",
    [MDTEST_FILE_CREATE] = "File creation", [MDTEST_FILE_STAT] = "File stat",
    [MDTEST_FILE_READ] = "File read",       [MDTEST_FILE_REMOVE] = "File removal",
    [MDTEST_TREE_REMOVE] = "Tree removal",
};

bool mdtest_phase_wanted(const struct mdtest_options *options, enum mdtest_phase phase)
{
    if (phase >= MDTEST_DIR_CREATE && phase <= MDTEST_DIR_REMOVE)
        return options->dirs;
    if (phase >= MDTEST_FILE_CREATE && phase <= MDTEST_FILE_REMOVE)
        return options->files;
    return true;
}

void mdtest_record(struct mdtest_rank *rank, uint64_t begin_ns)
{
    struct mdtest_shared *shared = rank->shared;
    histogram_add(&shared->latency[rank->phase * rank->options->processes + rank->rank],
                  clock_ns() - begin_ns);
    atomic_fetch_add_explicit(&shared->done[rank->rank], 1, memory_order_relaxed);
}

uint32_t mdtest_owner(const struct mdtest_rank *rank)
{
    static const uint32_t strides[MDTEST_PHASES] = {[MDTEST_DIR_STAT] = 1,
                                                    [MDTEST_DIR_REMOVE] = 3,
                                                    [MDTEST_FILE_STAT] = 1,
                                                    [MDTEST_FILE_READ] = 2,
                                                    [MDTEST_FILE_REMOVE] = 3};
    uint32_t distance = strides[rank->phase] * rank->options->stride;
    return (rank->rank + distance) % rank->options->processes;
}

uint32_t mdtest_tree_count(const struct mdtest_options *options)
{
    return options->unique ? options->processes : 1;
}

void mdtest_name_iteration(const struct mdtest_rank *rank, char name[MDTEST_NAME_MAX])
{
    snprintf(name, MDTEST_NAME_MAX, "test-dir.%u", rank->iteration);
}

void mdtest_name_tree(const struct mdtest_rank *rank, uint32_t owner, char name[MDTEST_NAME_MAX])
{
    snprintf(name, MDTEST_NAME_MAX, "mdtest_tree.%u", rank->options->unique ? owner : 0);
}

void mdtest_name_item(const struct mdtest_rank *rank, uint64_t item, char name[MDTEST_NAME_MAX])
{
    bool directory = rank->phase <= MDTEST_DIR_REMOVE;
    snprintf(name, MDTEST_NAME_MAX, "%s.mdtest.%u.%lu", directory ? "dir" : "file",
             mdtest_owner(rank), item);
}

void mdtest_content(uint64_t offset, uint8_t *to, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)('a' + (offset + i) % 26);
}

/* Trees are made and removed by rank 0 alone. */
static bool phase_mine(const struct mdtest_rank *rank)
{
    bool tree = rank->phase == MDTEST_TREE_CREATE || rank->phase == MDTEST_TREE_REMOVE;
    return !tree || rank->rank == 0;
}

static int phase_run(struct mdtest_rank *rank, struct mdtest_backend *backend)
{
    struct mdtest_shared *shared = rank->shared;
    uint32_t place = rank->iteration * MDTEST_PHASES + rank->phase;
    struct mdtest_span *span = &shared->spans[place * rank->options->processes + rank->rank];
    int code = 0;
    atomic_store(&shared->done[rank->rank], 0);
    if (rank->rank == 0) {
        atomic_store(&shared->iteration, rank->iteration);
        atomic_store(&shared->phase, rank->phase);
    }
    if (phase_mine(rank))
        code = backend->prepare(backend);
    if (code)
        return code;
    pthread_barrier_wait(&shared->barrier);
    if (phase_mine(rank)) {
        span->begin_ns = clock_ns();
        code = backend->run(backend);
        span->end_ns = clock_ns();
        span->operations = atomic_load(&shared->done[rank->rank]);
    }
    if (!code)
        pthread_barrier_wait(&shared->barrier);
    return code;
}

static int iteration_run(struct mdtest_rank *rank, struct mdtest_backend *backend)
{
    int code = 0;
    for (unsigned phase = 0; phase < MDTEST_PHASES && !code; phase++) {
        rank->phase = (enum mdtest_phase)phase;
        if (mdtest_phase_wanted(rank->options, rank->phase))
            code = phase_run(rank, backend);
    }
    return code;
}

int mdtest_rank_run(const struct mdtest_options *options, struct mdtest_shared *shared,
                    uint32_t number)
{
    struct mdtest_rank rank = {
        .options = options, .shared = shared, .rank = number, .error = &shared->errors[number]};
    struct mdtest_backend *backend = NULL;
    int code = options->replicas ? mdtest_library_open(&rank, &backend)
                                 : mdtest_directory_open(&rank, &backend);
    if (code)
        return 1;
    for (; rank.iteration < options->iterations && !code; rank.iteration++)
        code = iteration_run(&rank, backend);
    backend->close(backend);
    return code ? 1 : 0;
}
