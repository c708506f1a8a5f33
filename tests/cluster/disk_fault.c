/* A disk with faults: a library to preload into a replica. While the file that DISK_FAULT names is
 * there, calls on regular files are delayed, or fail, or are the last ones.
 *
 * Content of that file: CALL ERRNO DELAY-MS SKIP COUNT. The first SKIP calls go through, the next
 * COUNT are delayed, and fail where ERRNO is not 0; then the file is removed. CALL: read, write,
 * sync, name (files are made, renamed, removed, cut), or change: all of them but reads. ERRNO -1:
 * the process is killed instead, half of a write being done; -2: so it is when the file system
 * DISK_FAULT_POWER (XFS) has lost its power, and with it what was not synced. Each call that was
 * struck is noted by a byte at the end of $DISK_FAULT.fired. Standard streams are left alone. */
#include "fault_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { KILL = -1, POWER = -2 };

#define XFS_IOC_GOINGDOWN _IOR('X', 125, uint32_t)

struct fault {
    char call[16];
    int error;
    unsigned delay_ms;
    long skip, count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fault fault;
static struct timespec fault_time; /* of the file that `fault` is from */
static __thread bool inside;

static void *next_call(const char *name)
{
    void *call = dlsym(RTLD_NEXT, name);
    if (!call)
        abort();
    return call;
}

static bool is_ours(int fd)
{
    struct stat status;
    return fd > 2 && fstat(fd, &status) == 0 &&
           (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

/* What the file says now; counting begins anew where it is a new one. */
static bool refresh(const char *path)
{
    char text[FAULT_TEXT_BYTES];
    if (!fault_file_look(path, &fault_time, text))
        return false;
    return !text[0] || sscanf(text, "%15s %d %u %ld %ld", fault.call, &fault.error, &fault.delay_ms,
                              &fault.skip, &fault.count) == 5;
}

static bool is_meant(const char *call)
{
    return strcmp(fault.call, call) == 0 ||
           (strcmp(fault.call, "change") == 0 && strcmp(call, "read") != 0);
}

/* The errno that this call fails with, KILL, POWER or 0; *ret_delay_ms besides. */
static int strike(const char *call, const char *path, unsigned *ret_delay_ms)
{
    int error = 0;
    pthread_mutex_lock(&lock);
    if (refresh(path) && is_meant(call) && --fault.skip < 0 && fault.count-- > 0) {
        if (fault.count == 0)
            unlink(path);
        *ret_delay_ms = fault.delay_ms;
        error = fault.error;
        fault_file_note(path);
    }
    pthread_mutex_unlock(&lock);
    return error;
}

static int meet(const char *call)
{
    const char *path = getenv("DISK_FAULT");
    unsigned delay_ms = 0;
    if (!path || inside)
        return 0;
    inside = true;
    int kept = errno, error = strike(call, path, &delay_ms);
    struct timespec time = {delay_ms / 1000, (long)(delay_ms % 1000) * 1000000};
    if (delay_ms)
        nanosleep(&time, NULL);
    inside = false;
    errno = error > 0 ? error : kept;
    return error;
}

static void end(int how)
{
    const char *place = getenv("DISK_FAULT_POWER");
    uint32_t without_its_log = 2;
    inside = true;
    int fd = how == POWER && place ? open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (how == POWER && (fd < 0 || ioctl(fd, XFS_IOC_GOINGDOWN, &without_its_log) < 0))
        abort();
    kill(getpid(), SIGKILL);
}

/* Whether the call fails; errno is set then. */
static bool struck(const char *call)
{
    int error = meet(call);
    if (error < 0)
        end(error);
    return error != 0;
}

ssize_t write(int fd, const void *from, size_t bytes)
{
    ssize_t (*real)(int, const void *, size_t) = next_call("write");
    int error = is_ours(fd) ? meet("write") : 0;
    if (error < 0) {
        ssize_t half = real(fd, from, bytes / 2);
        (void)half; /* whatever became of it */
        end(error);
    }
    return error ? -1 : real(fd, from, bytes);
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off64_t) = next_call("pwrite64");
    return is_ours(fd) && struck("write") ? -1 : real(fd, from, bytes, offset);
}

ssize_t read(int fd, void *to, size_t bytes)
{
    ssize_t (*real)(int, void *, size_t) = next_call("read");
    return is_ours(fd) && struck("read") ? -1 : real(fd, to, bytes);
}

ssize_t pread64(int fd, void *to, size_t bytes, off64_t offset)
{
    ssize_t (*real)(int, void *, size_t, off64_t) = next_call("pread64");
    return is_ours(fd) && struck("read") ? -1 : real(fd, to, bytes, offset);
}

ssize_t pread(int fd, void *to, size_t bytes, off_t offset)
{
    return pread64(fd, to, bytes, offset);
}

int fdatasync(int fd)
{
    int (*real)(int) = next_call("fdatasync");
    return is_ours(fd) && struck("sync") ? -1 : real(fd);
}

int fsync(int fd)
{
    int (*real)(int) = next_call("fsync");
    return is_ours(fd) && struck("sync") ? -1 : real(fd);
}

int ftruncate64(int fd, off64_t bytes)
{
    int (*real)(int, off64_t) = next_call("ftruncate64");
    return is_ours(fd) && struck("name") ? -1 : real(fd, bytes);
}

int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *) = next_call("rename");
    return struck("name") ? -1 : real(from, to);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    int (*real)(int, const char *, int, const char *) = next_call("renameat");
    return struck("name") ? -1 : real(from_fd, from, to_fd, to);
}

int unlink(const char *path)
{
    int (*real)(const char *) = next_call("unlink");
    return struck("name") ? -1 : real(path);
}

int unlinkat(int fd, const char *path, int flags)
{
    int (*real)(int, const char *, int) = next_call("unlinkat");
    return struck("name") ? -1 : real(fd, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
    int (*real)(const char *, mode_t) = next_call("mkdir");
    return struck("name") ? -1 : real(path, mode);
}

/* The mode of a call that makes a file; of no meaning in others. */
#define MODE_OF(flags, mode)                               \
    do {                                                   \
        va_list list;                                      \
        va_start(list, flags);                             \
        mode = (flags)&O_CREAT ? va_arg(list, mode_t) : 0; \
        va_end(list);                                      \
    } while (0)

int open(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...) = next_call("open");
    mode_t mode;
    MODE_OF(flags, mode);
    return flags & O_CREAT && struck("name") ? -1 : real(path, flags, mode);
}

int openat64(int fd, const char *path, int flags, ...)
{
    int (*real)(int, const char *, int, ...) = next_call("openat64");
    mode_t mode;
    MODE_OF(flags, mode);
    return flags & O_CREAT && struck("name") ? -1 : real(fd, path, flags, mode);
}
