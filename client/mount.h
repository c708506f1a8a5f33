/* One mount: what the command line says, and running it. */
#ifndef TUTTI_CLIENT_MOUNT_H
#define TUTTI_CLIENT_MOUNT_H

#include "base/error.h"
#include "base/must.h"
#include "client/data_target.h"

#include <stdbool.h>
#include <stdint.h>

struct mount_options {
    const char *replicas;            /* "a:7401,b:7401"; into argv */
    const char *directory;           /* into argv */
    char *targets[DATA_TARGETS_MAX]; /* absolute; owned */
    uint32_t target_count;
    uint32_t stripe_bytes;
    uint32_t first; /* UINT32_MAX: at random */
    uint32_t slots;
    char *log_path; /* owned; NULL: none once in the background */
    char *state;    /* owned; NULL: as of members_file_path */
    char *kernel;   /* what goes on to the kernel and fusermount3: "ro,nosuid"; owned */
    bool soft;      /* a call that is not answered for timeo_ns fails; otherwise it waits */
    uint64_t timeo_ns;
    bool allow_other, no_allow_other;
    bool foreground, debug, help, version;
};

/* Parse the command line. Text of the command line is borrowed.
 * Returns 0 or -EINVAL with text; finish the options in either case. */
int mount_options_parse(int argc, char **argv, struct mount_options *ret_options,
                        struct error *error) WARN_UNUSED;
void mount_options_finish(struct mount_options *options);

/* Connect, mount, serve until unmounted or told to end by SIGTERM, SIGINT or SIGHUP.
 * @ready: called once, when the mount works
 * Returns 0 after a clean end, or a negative errno with text. */
int mount_run(const struct mount_options *options, void (*ready)(void *user), void *user,
              struct error *error) WARN_UNUSED;

#endif
