/* The group's members as this client heard of them last, in a file: a mount that is started again
 * finds them when none of those that its command line names is left. One address a line. */
#ifndef TUTTI_CLIENT_MEMBERS_FILE_H
#define TUTTI_CLIENT_MEMBERS_FILE_H

#include "base/error.h"
#include "base/must.h"
#include "net/members.h"

/* Lines that are no address are passed over; a file that is not there or can't be read is empty. */
void members_file_read(const char *path, struct net_members *ret_members);

/* Replaces it at once; makes the folder that it is in. 0 or negative errno (text). */
int members_file_write(const char *path, const struct net_members *members,
                       struct error *error) WARN_UNUSED;

/* Where a mount of these replicas keeps it: in `state`, or where that is NULL in /var/lib/tutti
 * for root, $XDG_STATE_HOME/tutti or ~/.local/state/tutti for others. Owned by the caller; NULL:
 * there is no such place, or no memory. */
char *members_file_path(const char *state, const char *replicas) WARN_UNUSED;

#endif
