/* tuttictl's command line. */
#ifndef TUTTI_CLIENT_CTL_ARGS_H
#define TUTTI_CLIENT_CTL_ARGS_H

#include "base/error.h"
#include "base/must.h"

#include <stdbool.h>
#include <stdint.h>

enum { CTL_MEMBERS_MAX = 7, CTL_ADDRESSES_MAX = 64, CTL_NODE_MAX = 255, CTL_NAME_BYTES_MAX = 63 };

enum ctl_verb { CTL_HELP, CTL_VERSION, CTL_CLUSTER_CREATE, CTL_STATUS };

struct ctl_member {
    uint8_t node;
    const char *address; /* borrowed from argv */
};

struct ctl_command {
    enum ctl_verb verb;
    const char *name; /* of the cluster; borrowed from argv */
    bool json;
    uint64_t timeout_ns; /* of one exchange with one replica */
    struct ctl_member members[CTL_MEMBERS_MAX];
    uint32_t member_count;
    const char *addresses[CTL_ADDRESSES_MAX];
    uint32_t address_count;
};

/* Read `argv` (argv[0] is the program; its order may change). Returns 0 or -EINVAL with a text that
 * says what is wrong and what is expected. */
int ctl_parse(int argc, char **argv, struct ctl_command *ret_command,
              struct error *error) WARN_UNUSED;

/* "host:port", "[v6]:port": a host and a port of 1 to 65535. 0 or -EINVAL. */
int ctl_check_address(const char *text, struct error *error) WARN_UNUSED;

#endif
