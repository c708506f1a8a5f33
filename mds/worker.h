/* The process that serves: one replica on libuv, TCP, LevelDB and a directory. */
#ifndef TUTTI_MDS_WORKER_H
#define TUTTI_MDS_WORKER_H

#include "mds/config.h"

enum { MDS_EXIT_STOPPED = 1, MDS_EXIT_START = 2 }; /* docs: tutti-mds(8), exit status */

struct worker_options {
    bool init;
    bool init_again;    /* the worker before this one was started with `init`, too */
    bool store_damaged; /* the worker before this one died of reading the store */
    int supervisor;     /* socket to report to (mds/worker_report.h); -1: there is none */
};

/* What a start that failed ends with: what is wrong stays so until somebody mends it; only memory
 * may be there a moment later. */
int worker_start_failed(int rc);

/* Serve until SIGTERM or SIGINT, or until it can't. Returns the exit code. @config: read by
 * config_read; filled in further. */
int worker_run(struct mds_config *config, const struct worker_options *options);

#endif
