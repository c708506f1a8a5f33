/* Who asked: credentials, supplementary groups, and whether it is being killed.
 *
 * The kernel tells uid, gid and thread; the rest is in /proc. Groups are read afresh for each
 * request of a user that is not root: as dear as checking that a remembered thread is still the
 * same one.
 *
 * A call waits as long as no replica answers. Its caller has to be killable meanwhile: a signal
 * makes the kernel send an interrupt, a later SIGKILL makes it send nothing more, and a process
 * that is killed flushes its files when it is past all signals. So a waiting call looks at the
 * process itself, when woken by an interrupt and now and then (fuse_watch.c). */
#include "base/log.h"
#include "client/fuse_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* STATUS_BYTES: 1024 groups of 11 characters, and the rest of the file. */
enum { STATUS_BYTES = 16 * 1024, STAT_BYTES = 2048 };
enum { FIELD_FLAGS = 9, FIELD_EXIT_CODE = 52, FLAG_EXITING = 0x4 }; /* proc(5), PF_EXITING */

#define MS_NS 1000000ull

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * MS_NS + (uint64_t)now.tv_nsec;
}

/* The text of /proc/<tid>/<name>. -ENOENT, -ESRCH: the thread is gone. */
static int read_proc(pid_t tid, const char *name, char *text, size_t bytes)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)tid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t at = 0;
    ssize_t n = 1;
    while (n > 0 && at < bytes - 1) {
        n = read(fd, text + at, bytes - 1 - at);
        if (n > 0)
            at += (size_t)n;
    }
    int rc = n < 0 ? -errno : 0;
    close(fd);
    text[at] = 0;
    return rc;
}

static uint32_t parse_groups(const char *status, uint32_t *groups, uint32_t count_max)
{
    const char *at = strstr(status, "\nGroups:");
    uint32_t count = 0;
    if (!at)
        return 0;
    at += strlen("\nGroups:");
    while (count < count_max) {
        at += strspn(at, " \t");
        if (*at < '0' || *at > '9')
            break;
        char *end;
        groups[count++] = (uint32_t)strtoul(at, &end, 10);
        at = end;
    }
    return count;
}

void mount_caller_begin(struct data_caller *caller, struct mount *mount, const struct fuse_ctx *ctx)
{
    char status[STATUS_BYTES];
    caller->mount = mount;
    caller->tid = ctx->pid;
    caller->asked = false;
    caller->credentials = (struct tutti_caller){.uid = ctx->uid, .gid = ctx->gid};
    if (ctx->uid == 0 || ctx->pid <= 0 || read_proc(ctx->pid, "status", status, sizeof status) < 0)
        return;
    caller->credentials.groups = caller->groups;
    caller->credentials.group_count = parse_groups(status, caller->groups, PROTO_GROUPS_MAX);
}

/* A line of signals of /proc/<tid>/status has SIGKILL. */
static bool has_kill(const char *status, const char *name)
{
    const char *at = strstr(status, name);
    return at && strtoull(at + strlen(name), NULL, 16) & (1ull << (SIGKILL - 1));
}

/* Field `index` of /proc/<tid>/stat, from 1; behind the name, which may hold anything. */
static unsigned long long stat_field(const char *stat, int index)
{
    const char *at = strrchr(stat, ')');
    for (int i = 2; at && i < index; i++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

/* On its way out because of a signal, past the point where signals show. */
static bool is_dying(pid_t tid)
{
    char stat[STAT_BYTES];
    if (read_proc(tid, "stat", stat, sizeof stat) < 0)
        return true;
    return stat_field(stat, FIELD_FLAGS) & FLAG_EXITING &&
           (stat_field(stat, FIELD_EXIT_CODE) & 0x7f) != 0;
}

static bool is_killed(pid_t tid)
{
    char status[STATUS_BYTES];
    int rc = read_proc(tid, "status", status, sizeof status);
    if (rc == -ENOENT || rc == -ESRCH)
        return true;
    if (rc < 0)
        return false;
    return has_kill(status, "\nSigPnd:") || has_kill(status, "\nShdPnd:") || is_dying(tid);
}

/* Grace: what a dying process still has to write should be written while the service answers, and
 * then takes no longer than this. */
static bool should_give_up(struct data_caller *caller)
{
    uint64_t now = now_ns();
    if (!caller->asked) {
        caller->asked = true;
        caller->since_ns = caller->looked_ns = now;
        return false;
    }
    if (now - caller->since_ns < 100 * MS_NS || now - caller->looked_ns < 50 * MS_NS)
        return false;
    caller->looked_ns = now;
    return caller->tid > 0 && is_killed(caller->tid);
}

bool mount_service_cancelled(void *user, struct data_caller *caller)
{
    struct mount *mount = user;
    if (atomic_load_explicit(&mount->stopping, memory_order_relaxed))
        return true;
    return caller && should_give_up(caller);
}

struct question {
    struct mount *mount;
    struct data_caller *caller;
};

static bool cancelled(void *user)
{
    struct question *question = user;
    return mount_service_cancelled(question->mount, question->caller);
}

/* The application gets EIO, and nobody can say more than this. */
static void say_unknown(const struct proto_op *op, int rc)
{
    static struct log_limit limit;
    log_limited(&limit, 10, LOG_LEVEL_WARNING, "mount", "%s: %s; %s", proto_op_info(op->code)->name,
                rc == -ETIMEDOUT ? "no answer within timeo" : "the session has ended",
                proto_op_info(op->code)->write ? "whether it happened is unknown"
                                               : "it was only to read");
}

int mount_service_call(void *user, struct data_caller *caller, enum data_authority authority,
                       const struct proto_op *op, struct buffer *reply,
                       struct proto_outcome *ret_outcome)
{
    static const struct tutti_caller root = {0};
    struct mount *mount = user;
    struct question question = {mount, caller};
    bool as_caller = authority == DATA_AS_CALLER && caller;
    if (caller)
        caller->asked = false;
    atomic_fetch_add(&mount->waiting, 1);
    int rc = tutti_call(mount->client, as_caller ? &caller->credentials : &root, op, reply,
                        ret_outcome, cancelled, &question);
    atomic_fetch_sub(&mount->waiting, 1);
    if (rc == -ETIMEDOUT || rc == -ESHUTDOWN)
        say_unknown(op, rc);
    return rc;
}
