/* One replica: puts its parts together, passes the group's callbacks on, ends.
 *
 * The group's callbacks come in one queue on one thread, and everything here happens on it. A local
 * failure (a damaged record, a failed sync, no memory) ends serving for good: what a replica that
 * may differ says is worth nothing. */
#include "mds/replica_internal.h"
#include "mds/server.h"
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void replica_config_defaults(struct replica_config *config)
{
    struct gcs_config order;
    gcs_config_defaults(&order);
    *config = (struct replica_config){
        .durability = GCS_DURABILITY_DISK,
        .measures = {true, true, true, true},
        .limits = {.inodes_max = 1000000000000,
                   .inline_bytes_max = 4096,
                   .links_max = 65000,
                   .sessions_max = 65536,
                   .slots_max = PROTO_SLOTS_MAX},
        .cache_bytes = 256 << 20,
        .log_segment_bytes = 16 << 20,
        .heartbeat_ns = order.heartbeat_ns,
        .suspect_after_ns = order.suspect_after_ns,
        .lease_ns = order.lease_ns,
        .lag_after_ns = order.lag_after_ns,
        .start_wait_ns = order.start_wait_ns,
        .drift_ppm = order.drift_ppm,
        .history_bytes = 64 << 20,
        .history_disk_bytes = 4ull << 30,
        .give_up_ns = 1000000000,
        .session_timeout_ns = 60000000000,
        .window_messages = order.window_messages,
        .window_bytes = order.window_bytes,
        .client_connections_max = 4096,
    };
}

void replica_fail(struct replica *replica, const char *format, ...)
{
    char text[512];
    va_list args;
    if (replica->phase == REPLICA_FAILED)
        return;
    replica->phase = REPLICA_FAILED;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (replica->config.failed)
        replica->config.failed(replica->config.user, text);
}

void replica_fetch(struct replica *replica, const struct record_key *key, struct cache_wait *wait)
{
    if (cache_fetch(replica->cache, key->bytes, key->count, wait) < 0)
        replica_fail(replica, "no memory to fetch a record");
}

static int copy_config(struct replica *replica, const struct replica_config *config,
                       struct error *error)
{
    replica->config = *config;
    if (snprintf(replica->listen, sizeof replica->listen, "%s", config->listen) >=
            (int)sizeof replica->listen ||
        snprintf(replica->cluster_name, sizeof replica->cluster_name, "%s",
                 config->cluster_name ? config->cluster_name : "") >=
            (int)sizeof replica->cluster_name)
        return error_set(error, -EINVAL, "address or name of the cluster too long");
    replica->config.listen = replica->listen;
    replica->config.cluster_name = replica->cluster_name;
    return 0;
}

static int create(struct replica *replica, struct error *error)
{
    int probed = create_probe(replica, error);
    if (probed < 0)
        return probed;
    int rc = server_create(replica, &replica->server, error);
    if (rc < 0)
        return rc;
    if (probed != IDENTITY_ABSENT)
        return outside_start(replica, error);
    log_info("replica", "empty: waiting at %s for 'tuttictl cluster create' or 'member add'",
             server_address(replica->server));
    return 0;
}

int replica_create(const struct replica_config *config, struct replica **ret_replica,
                   struct error *error)
{
    struct replica *replica = calloc(1, sizeof *replica);
    if (!replica || stop_init(replica, config->loop) < 0) {
        free(replica);
        return error_set(error, -ENOMEM, "no memory");
    }
    replica->loop = config->loop;
    if (outside_init(replica) < 0) {
        replica_destroy(replica);
        return error_set(error, -ENOMEM, "no memory");
    }
    replica->started_ns = loop_now_ns(config->loop);
    int rc = copy_config(replica, config, error);
    if (rc == 0)
        rc = create(replica, error);
    if (rc < 0) {
        replica_destroy(replica);
        return rc;
    }
    *ret_replica = replica;
    return 0;
}

void replica_set_trace(struct replica *replica, const struct replica_trace *trace)
{
    replica->trace = *trace;
}

void replica_destroy(struct replica *replica)
{
    if (!replica)
        return;
    replica->phase = REPLICA_FAILED; /* nothing that is freed here says anything any more */
    stop_finish(replica);
    outside_finish(replica);
    struct server *server = replica->server;
    replica->server = NULL;
    replica_close(replica);
    server_destroy(server);
    free(replica);
}
