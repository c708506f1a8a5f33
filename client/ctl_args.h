/* tuttictl's command line. */
#ifndef TUTTI_CLIENT_CTL_ARGS_H
#define TUTTI_CLIENT_CTL_ARGS_H

#include "base/error.h"
#include "base/must.h"

#include <stdbool.h>
#include <stdint.h>

enum { CTL_MEMBERS_MAX = 7, CTL_ADDRESSES_MAX = 64, CTL_NODE_MAX = 255, CTL_NAME_BYTES_MAX = 63 };

enum ctl_verb {
    CTL_HELP,
    CTL_VERSION,
    CTL_CLUSTER_CREATE,
    CTL_STATUS,
    CTL_MEMBER_LIST,
    CTL_MEMBER_ADD,
    CTL_MEMBER_REMOVE,
    CTL_MEMBER_REPLACE,
    CTL_MEMBER_DRAIN,
    CTL_MEMBER_UNDRAIN,
    CTL_RECOVER,
    CTL_VERB_COUNT
};

struct ctl_member {
    uint8_t node;
    bool witness;
    char address[128];
};

struct ctl_command {
    enum ctl_verb verb;
    enum ctl_verb topic;  /* of CTL_HELP: the verb that was asked about; CTL_HELP: all */
    const char *name;     /* of the cluster; borrowed from argv */
    const char *yes_name; /* recover: what would be typed; NULL: ask */
    bool json, no_wait, force;
    uint64_t timeout_ns; /* of one exchange with one replica */
    uint64_t wait_ns;    /* for what goes on by itself; 0: until it is done */
    uint8_t node;        /* member remove, replace (the old one), drain, undrain */
    struct ctl_member members[CTL_MEMBERS_MAX]; /* create; add, replace: the new one */
    uint32_t member_count;
    const char *addresses[CTL_ADDRESSES_MAX]; /* status: whom to ask; member: of the group */
    uint32_t address_count;
};

/* Read `argv` (argv[0] is the program; its order may change). Returns 0 or -EINVAL with a text that
 * says what is wrong and what is expected. */
int ctl_parse(int argc, char **argv, struct ctl_command *ret_command,
              struct error *error) WARN_UNUSED;

/* "host:port", "[v6]:port": a host and a port of 1 to 65535. 0 or -EINVAL. */
int ctl_check_address(const char *text, struct error *error) WARN_UNUSED;

/* Help on one verb, or (CTL_HELP) on all. */
const char *ctl_help(enum ctl_verb topic);

#endif
