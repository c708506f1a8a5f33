/* The supervisor: starts the worker, tells the other members when it is dead, starts it again.
 *
 * A worker that ended in order (exit 0) or refused to start (2) is not started again; one that
 * lacked memory for its start is (1). */
#ifndef TUTTI_MDS_SUPERVISOR_H
#define TUTTI_MDS_SUPERVISOR_H

#include "base/must.h"

#include <stdbool.h>

/* GLIBC_TUNABLES of a worker: its heap in huge pages, because the caches need fewer TLB entries,
 * and of a dead worker the kernel takes its memory back, and so tells of its death, many times
 * faster. In one arena, because glibc asks for huge pages in the main one only. */
#define SUPERVISOR_WORKER_TUNABLES "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1"

/* What a worker is started with; texts are borrowed. */
struct supervisor_options {
    const char *program; /* its argv[0] */
    const char *config_path;
    const char *log_level; /* NULL: the default */
    bool init, strict, witness;
};

/* Serve until the worker has ended for good, or SIGTERM or SIGINT. Returns the exit code: the last
 * worker's; 1 where that was killed; 2 where there was none. */
int supervisor_run(const struct supervisor_options *options) WARN_UNUSED;

#endif
