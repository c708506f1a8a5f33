/* The configuration file of a replica: what main.c makes a replica from.
 *
 * INI (inih); docs/tutti.conf.example explains every key. */
#ifndef TUTTI_MDS_CONFIG_H
#define TUTTI_MDS_CONFIG_H

#include "mds/replica.h"

struct mds_config {
    struct replica_config
        replica; /* numbers and members; `listen` and `cluster_name` point below */
    struct store_leveldb_config leveldb; /* without the directory */
    char listen[128];
    char data[3072];
    char name[64];
    char auth[16];
    uint32_t warnings; /* unknown keys; each was logged */
};

/* Read and check a file. A wrong value is an error, an unknown key a logged warning that names the
 * nearest key, or an error where `strict`. One error is reported, the first.
 * @ret_config: must not be moved afterwards (it points into itself).
 * Errors: -ENOENT, -EINVAL, ...; the text names the file, the line and the way out. */
int config_read(const char *path, bool strict, struct mds_config *ret_config,
                struct error *error) WARN_UNUSED;

/* "host:port" with a port of 1 .. 65535 (0 too where `any_port`). 0 or -EINVAL. */
int config_address_check(const char *address, bool any_port) WARN_UNUSED;

/* True for an address that only this machine reaches. */
bool config_address_is_loopback(const char *address);
/* All addresses of the machine: for listening, not for connecting. */
bool config_address_is_any(const char *address);

#endif
