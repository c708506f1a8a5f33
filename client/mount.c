/* tutti-mount: the process around a mount.
 *
 * In the background it works in a child; the parent waits until the mount works, so that everything
 * that can go wrong before reaches the terminal and the exit code. The child starts its threads
 * only after the fork. Exit codes: 0 mounted (or, in the foreground, unmounted), 1 failed, 2 usage.
 */
#include "base/log.h"
#include "client/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static const char help[] =
    "usage: tutti-mount REPLICA[,REPLICA...] DIR [-o OPTION[,OPTION...]] [-f] [-d]\n"
    "\n"
    "Mount a Tutti file system.\n"
    "\n"
    "  REPLICA            host:port; any of the group will do, the others are for when it fails\n"
    "  DIR                an existing directory\n"
    "  -f                 stay in the foreground\n"
    "  -d                 as -f, and say what happens\n"
    "  -o data=DIR[,DIR]  data targets, where files that are not small keep their content: the "
    "same\n"
    "                     directories in the same order at every mount (also DIR:DIR)\n"
    "  -o stripe=SIZE     stripe size of new files (1M)\n"
    "  -o first=N         the replica to prefer: 0 is the first one named (any)\n"
    "  -o slots=N         requests in flight (128)\n"
    "  -o hard            while no replica answers calls wait, and can be killed (default)\n"
    "  -o soft,timeo=TIME a call that is not answered for so long (60s) fails with EIO; whether "
    "it\n"
    "                     happened is unknown\n"
    "  -o log=FILE        where messages go once in the background (nowhere)\n"
    "  -o state=DIR       where it remembers who is in the group, for when it is started again "
    "and\n"
    "                     nobody named here is left (/var/lib/tutti; a user's: "
    "~/.local/state/tutti)\n"
    "  -o allow_other     other users may use the mount (default when root mounts)\n"
    "  -o no_allow_other  they may not\n"
    "  -o ro,nosuid,nodev,noexec,sync,...  as of mount(8)\n"
    "\n"
    "examples:\n"
    "  tutti-mount 127.0.0.1:7401,127.0.0.1:7402,127.0.0.1:7403 /mnt/tutti -o "
    "data=/srv/d0,/srv/d1\n"
    "  tutti-mount mds1:7401,mds2:7401,mds3:7401 ~/tutti -o first=1,ro\n"
    "  fusermount3 -u ~/tutti\n"
    "in fstab:\n"
    "  mds1:7401,mds2:7401  /mnt/tutti  fuse.tutti  data=/srv/d0:/srv/d1,_netdev  0  0\n";

/* Every open striped file keeps a descriptor per target. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int fail(const struct error *error)
{
    fprintf(stderr, "tutti-mount: %s\n", error->text);
    return EXIT_FAILURE;
}

static void nothing(void *user)
{
}

static int run_foreground(const struct mount_options *options)
{
    struct error error;
    if (mount_run(options, nothing, NULL, &error) < 0)
        return fail(&error);
    return EXIT_SUCCESS;
}

/* --- the child --- */

struct child {
    const struct mount_options *options;
    int parent; /* one byte here: the mount works */
    bool detached;
};

static void redirect(const char *path, int flags, int to)
{
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    dup2(fd, to);
    close(fd);
}

/* From here on nobody listens at the terminal. */
static void detach(void *user)
{
    struct child *child = user;
    const char *log = child->options->log_path ? child->options->log_path : "/dev/null";
    if (write(child->parent, "", 1) != 1)
        log_warning("mount", "the process that started this one is gone");
    close(child->parent);
    child->detached = true;
    if (chdir("/") < 0)
        log_warning("mount", "chdir /: %s", strerror(errno));
    redirect("/dev/null", O_RDWR, STDIN_FILENO);
    redirect("/dev/null", O_RDWR, STDOUT_FILENO);
    redirect(log, O_WRONLY | O_CREAT | O_APPEND, STDERR_FILENO);
}

static int run_child(const struct mount_options *options, int parent)
{
    struct child child = {options, parent, false};
    struct error error;
    setsid();
    if (mount_run(options, detach, &child, &error) == 0)
        return EXIT_SUCCESS;
    if (!child.detached)
        return fail(&error);
    log_error("mount", "%s", error.text);
    return EXIT_FAILURE;
}

/* The log has to be writable now, not when it is needed. */
static int check_log(const struct mount_options *options, struct error *error)
{
    if (!options->log_path)
        return 0;
    int fd = open(options->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_set(error, -errno, "log %s: %s", options->log_path, strerror(errno));
    close(fd);
    return 0;
}

static int run_background(const struct mount_options *options)
{
    int ends[2], status;
    char byte;
    struct error error;
    if (check_log(options, &error) < 0)
        return fail(&error);
    if (pipe2(ends, O_CLOEXEC) < 0) {
        error_set(&error, -errno, "pipe: %s", strerror(errno));
        return fail(&error);
    }
    pid_t pid = fork();
    if (pid < 0) {
        error_set(&error, -errno, "fork: %s", strerror(errno));
        return fail(&error);
    }
    if (pid == 0) {
        close(ends[0]);
        exit(run_child(options, ends[1]));
    }
    close(ends[1]);
    if (read(ends[0], &byte, 1) == 1)
        return EXIT_SUCCESS;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        error_set(&error, -EIO, "the mount process died");
        return fail(&error);
    }
    return EXIT_FAILURE; /* it has said why */
}

int main(int argc, char **argv)
{
    struct mount_options options;
    struct error error;
    int code = EXIT_SUCCESS;
    if (mount_options_parse(argc, argv, &options, &error) < 0) {
        fail(&error);
        code = EXIT_USAGE;
    } else if (options.help) {
        fputs(help, stdout);
    } else if (options.version) {
        puts("tutti-mount " TUTTI_VERSION);
    } else {
        raise_descriptor_limit();
        if (options.debug)
            log_set_level(LOG_LEVEL_DEBUG);
        code = options.foreground ? run_foreground(&options) : run_background(&options);
    }
    mount_options_finish(&options);
    return code;
}
