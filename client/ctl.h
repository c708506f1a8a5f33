/* tuttictl's commands. Each prints its result to stdout, troubles to stderr, and returns the exit
 * code. */
#ifndef TUTTI_CLIENT_CTL_H
#define TUTTI_CLIENT_CTL_H

#include "client/ctl_args.h"

enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_UNREACHABLE = 3 };

enum ctl_exit ctl_create(const struct ctl_command *command);
enum ctl_exit ctl_status(const struct ctl_command *command);
enum ctl_exit ctl_member_list(const struct ctl_command *command);
enum ctl_exit ctl_member_add(const struct ctl_command *command);
enum ctl_exit ctl_member_remove(const struct ctl_command *command);
enum ctl_exit ctl_member_replace(const struct ctl_command *command);
enum ctl_exit ctl_member_drain(const struct ctl_command *command); /* and undrain */
enum ctl_exit ctl_recover(const struct ctl_command *command);

#endif
