#include "client/members_file.h"
#include "base/hash.h"
#include "net/address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = NET_MEMBERS_MAX * NET_MEMBER_ADDRESS_BYTES };

static void take_line(const char *line, struct net_members *members)
{
    char host[NET_HOST_BYTES], port[NET_PORT_BYTES];
    struct error error;
    if (members->count < NET_MEMBERS_MAX && strlen(line) < NET_MEMBER_ADDRESS_BYTES &&
        net_address_split(line, host, port, &error) == 0)
        strcpy(members->addresses[members->count++], line);
}

void members_file_read(const char *path, struct net_members *ret_members)
{
    char text[FILE_BYTES_MAX + 1];
    *ret_members = (struct net_members){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (bytes < 0)
        return;
    text[bytes] = 0;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")))
        take_line(line, ret_members);
}

/* Each folder of the path. One that can't be made is found out when the file is. */
static void make_folders(const char *path)
{
    char *copy = strdup(path);
    for (char *at = copy ? copy + 1 : NULL; at && (at = strchr(at, '/')); at++) {
        *at = 0;
        (void)mkdir(copy, 0755);
        *at = '/';
    }
    free(copy);
}

static int write_all(int fd, const struct net_members *members)
{
    char text[FILE_BYTES_MAX];
    size_t bytes = 0;
    for (uint32_t i = 0; i < members->count; i++)
        bytes += (size_t)snprintf(text + bytes, sizeof text - bytes, "%s\n", members->addresses[i]);
    ssize_t written = write(fd, text, bytes);
    return written < 0 ? -errno : (size_t)written < bytes ? -ENOSPC : 0;
}

int members_file_write(const char *path, const struct net_members *members, struct error *error)
{
    char *fresh;
    make_folders(path);
    if (asprintf(&fresh, "%s.new", path) < 0)
        return error_set(error, -ENOMEM, "no memory");
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int rc = fd < 0 ? -errno : write_all(fd, members);
    if (fd >= 0 && close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(fresh, path) < 0)
        rc = -errno;
    free(fresh);
    return rc < 0 ? error_set(error, rc, "%s: %s", path, strerror(-rc)) : 0;
}

char *members_file_path(const char *state, const char *replicas)
{
    const char *home = getenv("HOME"), *xdg = getenv("XDG_STATE_HOME");
    unsigned long long hash = hash64(replicas, strlen(replicas));
    char *path;
    int rc = -1;
    if (state)
        rc = asprintf(&path, "%s/members-%016llx", state, hash);
    else if (geteuid() == 0)
        rc = asprintf(&path, "/var/lib/tutti/members-%016llx", hash);
    else if (xdg && xdg[0] == '/')
        rc = asprintf(&path, "%s/tutti/members-%016llx", xdg, hash);
    else if (home && home[0] == '/')
        rc = asprintf(&path, "%s/.local/state/tutti/members-%016llx", home, hash);
    return rc < 0 ? NULL : path;
}
