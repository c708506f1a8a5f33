/* The ordering benchmark: the group alone, each member a process of its own, over TCP on the
 * loopback device. Parent and members share one mapping: the parent sets the phase, the members
 * fill in what they measured. */
#ifndef TUTTI_BENCH_ORDER_H
#define TUTTI_BENCH_ORDER_H

#include "bench/histogram.h"
#include "gcs-fastdelivery/gcs.h"
#include "store/msglog.h"

#include <stdatomic.h>

enum { ORDER_RUNS_MAX = 64, ORDER_PATH_MAX = 4096, ORDER_BYTES_MAX = 1 << 20 };

struct order_options {
    struct gcs_measures measures[ORDER_RUNS_MAX]; /* one run each ... */
    unsigned measure_count;
    bool memory, disk; /* ... in each of these */
    const char *data;  /* for disk */
    uint32_t members, senders, inflight;
    uint64_t rate; /* messages a second, all senders together; 0: closed loop */
    uint64_t bytes, heartbeat_ns, seconds_ns, warmup_ns;
    bool json;
};

/* -1: go on; else the exit code. */
int order_options_parse(int argc, char **argv, struct order_options *options);
/* "subset,ack" and so on; "all", "none". */
void order_measures_text(const struct gcs_measures *measures, char text[48]);

enum order_phase { ORDER_CONNECT, ORDER_WARM, ORDER_MEASURE, ORDER_DRAIN, ORDER_QUIT };

struct order_figures {
    uint64_t messages, frames, acknowledgements, resent, send_calls, bytes_sent, syncs, cpu_ns,
        window_full;
};

struct order_result {
    atomic_bool ready, done;
    struct order_figures figures; /* of the measured time */
    struct histogram latency;     /* from the sending, or the time it was due, to the release */
    struct error error;           /* set by a member that exits with 1 */
};

struct order_shared {
    atomic_int phase;
    struct order_result results[GCS_MEMBER_MAX];
};

/* One run: what a member has to know. */
struct order_run {
    const struct order_options *options;
    struct gcs_measures measures;
    bool disk;
    struct gcs_member members[GCS_MEMBER_MAX];
    char directory[ORDER_PATH_MAX]; /* for disk: each member has DIRECTORY/<rank> */
    struct order_shared *shared;
};

/* A member's life, in a process of its own. Returns its exit code. */
int order_member_run(const struct order_run *run, uint32_t rank);

/* --- storage of one member: order_log.c --- */

struct order_log;

struct order_log_config {
    struct loop *loop;
    const char *directory;
    void *user;
    void (*stored)(void *user, const struct gcs_message *last); /* without a payload */
    void (*saved)(void *user);
    void (*failed)(void *user, const char *detail);
};

int order_log_open(const struct order_log_config *config, struct order_log **ret_log,
                   struct error *error) WARN_UNUSED;
void order_log_append(struct order_log *log, const struct gcs_message *message);
void order_log_save(struct order_log *log, const void *state, size_t bytes);
/* Give up what all members have stored. */
void order_log_trim(struct order_log *log, const struct gcs *gcs);
uint64_t order_log_syncs(const struct order_log *log);
void order_log_close(struct order_log *log);

/* --- connections that come in: order_accept.c --- */

/* For net_listen: read the hello of what the listener accepts, and give it to the group. */
struct net_accept order_accept(struct gcs *gcs);

#endif
