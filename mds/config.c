/* The configuration file: one table of keys, each with its parser, its place and its bounds.
 *
 * What can be wrong in a single value is found here; what needs the disk or the network (a port in
 * use, data of another cluster) is found by replica_create. */
#include "mds/config.h"
#include "mds/config_value.h"
#include "base/log.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct mds_config, field)

static const struct config_key keys[] = {
    {"replica", "node", config_value_u8, AT(replica.node), 1, 255},
    {"replica", "listen", config_value_text, AT(listen), 1, sizeof((struct mds_config *)0)->listen},
    {"replica", "witness", config_value_bool, AT(replica.witness), 0, 0},
    {"replica", "data", config_value_text, AT(data), 1, sizeof((struct mds_config *)0)->data},
    {"group", "name", config_value_text, AT(name), 1, sizeof((struct mds_config *)0)->name},
    {"group", "members", config_value_members, AT(replica), 0, 0},
    {"storage", "durability", config_value_durability, AT(replica.durability), 0, 0},
    {"storage", "cache", config_value_size, AT(replica.cache_bytes), 1 << 20, UINT64_MAX / 2},
    {"storage", "block_cache", config_value_size, AT(leveldb.block_cache_bytes), 0, UINT64_MAX / 2},
    {"storage", "write_buffer", config_value_size, AT(leveldb.write_buffer_bytes), 1 << 16,
     1u << 30},
    {"storage", "compression", config_value_bool, AT(leveldb.compression), 0, 0},
    {"storage", "segment", config_value_size, AT(replica.log_segment_bytes), 1 << 16, 1u << 30},
    {"order", "heartbeat", config_value_duration, AT(replica.heartbeat_ns), 1000000, 10000000000},
    {"order", "suspect_after", config_value_duration, AT(replica.suspect_after_ns), 3000000,
     600000000000},
    {"order", "lease", config_value_duration, AT(replica.lease_ns), 2000000, 600000000000},
    {"order", "drift", config_value_u32, AT(replica.drift_ppm), 0, 200000},
    {"order", "lag_after", config_value_duration, AT(replica.lag_after_ns), 100000000,
     UINT64_MAX / 4},
    {"order", "start_wait", config_value_duration, AT(replica.start_wait_ns), 0, 600000000000},
    {"order", "give_up", config_value_duration, AT(replica.give_up_ns), 1000000, 3600000000000},
    {"order", "assume_no_partition", config_value_bool, AT(replica.assume_no_partition), 0, 0},
    {"order", "history", config_value_size, AT(replica.history_bytes), 1 << 20, 1ull << 40},
    {"order", "history_disk", config_value_size, AT(replica.history_disk_bytes), 1 << 20,
     1ull << 50},
    {"order", "window_messages", config_value_u32, AT(replica.window_messages), 1, 65536},
    {"order", "window_bytes", config_value_size, AT(replica.window_bytes), 2 << 20, 1u << 30},
    {"order", "measures", config_value_measures, AT(replica.measures), 0, 0},
    {"limits", "inline_max", config_value_size32, AT(replica.limits.inline_bytes_max), 0,
     PROTO_INLINE_BYTES_MAX},
    {"limits", "inodes_max", config_value_u64, AT(replica.limits.inodes_max), 1, UINT64_MAX / 2},
    {"limits", "sessions_max", config_value_u32, AT(replica.limits.sessions_max), 1, 1000000},
    {"limits", "session_timeout", config_value_duration, AT(replica.session_timeout_ns),
     45000000000, UINT64_MAX / 4},
    {"limits", "clients_max", config_value_u32, AT(replica.client_connections_max), 1, 100000},
    {"security", "auth", config_value_text, AT(auth), 1, sizeof((struct mds_config *)0)->auth},
};
enum { KEY_COUNT = sizeof keys / sizeof keys[0] };

struct reading {
    struct mds_config *config;
    const char *path;
    bool strict;
    int code;
    struct error error; /* of the first thing that is wrong */
};

static const struct config_key *key_find(const char *section, const char *name)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

/* The key that was probably meant: the least edits, and the same section where several are equal.
 */
static const struct config_key *key_nearest(const char *section, const char *name)
{
    const struct config_key *best = NULL;
    size_t best_cost = SIZE_MAX;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        size_t cost = 2 * config_edit_distance(keys[i].name, name);
        cost += strcmp(keys[i].section, section) != 0;
        if (cost < best_cost) {
            best_cost = cost;
            best = &keys[i];
        }
    }
    return best;
}

static int key_unknown(struct reading *reading, const char *section, const char *name)
{
    const struct config_key *near = key_nearest(section, name);
    if (reading->strict)
        return error_set(&reading->error, -EINVAL,
                         "unknown key '%s' in [%s]; the nearest is '%s' in [%s]", name, section,
                         near->name, near->section);
    log_warning("config", "%s: unknown key '%s' in [%s] is ignored; the nearest is '%s' in [%s]",
                reading->path, name, section, near->name, near->section);
    reading->config->warnings++;
    return 0;
}

static int key_take(struct reading *reading, const char *section, const char *name,
                    const char *value)
{
    if (strcmp(section, "group") == 0 && strncmp(name, "member.", 7) == 0)
        return config_member_add(&reading->config->replica, name + 7, value, &reading->error);
    const struct config_key *key = key_find(section, name);
    if (!key)
        return key_unknown(reading, section, name);
    int rc = key->parse(key, value, (char *)reading->config + key->offset, &reading->error);
    return rc < 0 ? error_wrap(&reading->error, rc, "%s = %s", name, value) : 0;
}

static int on_key(void *user, const char *section, const char *name, const char *value)
{
    struct reading *reading = user;
    if (reading->code == 0)
        reading->code = key_take(reading, section, name, value);
    return reading->code == 0;
}

static int by_node(const void *a, const void *b)
{
    const struct gcs_member *x = a, *y = b;
    return (int)x->node - (int)y->node;
}

/* Members are contacts: this replica need not be one of them. Who is one decides the group. */
static int check_members(struct mds_config *config, struct error *error)
{
    struct replica_config *replica = &config->replica;
    qsort(replica->members, replica->member_count, sizeof replica->members[0], by_node);
    for (uint32_t i = 0; i < replica->member_count; i++) {
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(replica->members[i].address, replica->members[j].address) == 0)
                return error_set(error, -EINVAL, "members %u and %u have the same address %s",
                                 replica->members[j].node, replica->members[i].node,
                                 replica->members[i].address);
    }
    return 0;
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

/* The bounds between durations; docs/protocol.md, section 4 (suspicion, leases). */
static int check_times(const struct replica_config *r, struct error *error)
{
    if (r->suspect_after_ns / 3 < r->heartbeat_ns)
        return error_set(error, -EINVAL,
                         "suspect_after = %gms: has to be at least three heartbeats (3 x %gms), "
                         "since one is lost now and then",
                         ms(r->suspect_after_ns), ms(r->heartbeat_ns));
    if (r->lease_ns / 2 <= r->heartbeat_ns)
        return error_set(error, -EINVAL,
                         "lease = %gms: has to be longer than two heartbeats (2 x %gms), since "
                         "it is renewed with each",
                         ms(r->lease_ns), ms(r->heartbeat_ns));
    if (r->lag_after_ns < r->suspect_after_ns)
        return error_set(error, -EINVAL,
                         "lag_after = %gms: a member that is slow would be voted out sooner than "
                         "one that is silent (suspect_after = %gms)",
                         ms(r->lag_after_ns), ms(r->suspect_after_ns));
    if (r->give_up_ns < r->lease_ns)
        return error_set(error, -EINVAL,
                         "give_up = %gms: shorter than a lease (%gms), so every change of view "
                         "would send all clients away",
                         ms(r->give_up_ns), ms(r->lease_ns));
    return 0;
}

/* What is allowed and has a price. */
static void warn_order(struct mds_config *config, const char *path)
{
    const struct replica_config *r = &config->replica;
    if (r->lease_ns > r->suspect_after_ns) {
        config->warnings++;
        log_warning("config",
                    "%s: lease = %gms is longer than suspect_after = %gms: after a failure writes "
                    "wait for the lease",
                    path, ms(r->lease_ns), ms(r->suspect_after_ns));
    }
    if (r->assume_no_partition) {
        config->warnings++;
        log_warning("config",
                    "%s: assume_no_partition gives up that a majority is needed: where the "
                    "network splits, both sides go on and their states part for good; it also "
                    "waits for all members at each write, and for all of the last view after an "
                    "outage",
                    path);
    }
}

static int check_listen(struct mds_config *config, struct error *error)
{
    if (config_address_check(config->listen, true) < 0)
        return error_set(error, -EINVAL, "listen = %s: not an address; write HOST:PORT",
                         config->listen);
    if (config->auth[0] && strcmp(config->auth, "none") != 0)
        return error_set(error, -EINVAL, "auth = %s: only 'none' is there", config->auth);
    if (!config_address_is_loopback(config->listen) && !config->auth[0])
        return error_set(error, -EINVAL,
                         "listen = %s: anybody who reaches this address could read and write; "
                         "write 'auth = none' in [security] if that is meant, or listen on "
                         "127.0.0.1",
                         config->listen);
    return 0;
}

/* By then a failed member is out and every lease has run out, if the group can go on at all. */
static void derive(struct replica_config *replica)
{
    static const uint64_t agreement_ns = 300000000;
    if (replica->give_up_ns == 0)
        replica->give_up_ns = replica->suspect_after_ns + replica->lease_ns + agreement_ns;
}

static int check(struct mds_config *config, struct error *error)
{
    const struct {
        bool given;
        const char *what;
    } needed[] = {{config->replica.node != 0, "node in [replica]"},
                  {config->listen[0] != 0, "listen in [replica]"},
                  {config->data[0] != 0, "data in [replica]"},
                  {config->name[0] != 0, "name in [group]"}};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!needed[i].given)
            return error_set(error, -EINVAL, "%s is missing", needed[i].what);
    int rc = check_listen(config, error);
    if (rc == 0)
        rc = check_times(&config->replica, error);
    return rc < 0 ? rc : check_members(config, error);
}

static void defaults(struct mds_config *config)
{
    *config = (struct mds_config){
        .leveldb = {.block_cache_bytes = 64 << 20,
                    .write_buffer_bytes = 16 << 20,
                    .compression = true},
    };
    replica_config_defaults(&config->replica);
    config->replica.give_up_ns = 0; /* where it is not given, it follows from others */
    config->replica.listen = config->listen;
    config->replica.cluster_name = config->name;
}

int config_read(const char *path, bool strict, struct mds_config *ret_config, struct error *error)
{
    struct reading reading = {.config = ret_config, .path = path, .strict = strict};
    defaults(ret_config);
    errno = 0;
    int line = ini_parse(path, on_key, &reading);
    if (line < 0)
        return error_set(error, errno ? -errno : -ENOENT,
                         "the configuration %s cannot be read: %s; give one with --config FILE",
                         path, strerror(errno ? errno : ENOENT));
    if (line > 0 && reading.code == 0)
        return error_set(error, -EINVAL, "%s:%d: neither [section] nor key = value", path, line);
    if (line > 0)
        return error_set(error, reading.code, "%s:%d: %.400s", path, line, reading.error.text);
    derive(&ret_config->replica);
    int rc = check(ret_config, &reading.error);
    if (rc < 0)
        return error_set(error, rc, "%s: %.400s", path, reading.error.text);
    warn_order(ret_config, path);
    return 0;
}
