/* A disk with faults: a library to preload into a replica. While the file that DISK_FAULT names is
 * there, calls on regular files are delayed, or fail.
 *
 * Content of that file: CALL ERRNO DELAY-MS SKIP COUNT. The first SKIP calls go through, the next
 * COUNT are delayed, and fail where ERRNO is not 0; then the file is removed. CALL: read, write or
 * sync. Each one is noted by a byte at the end of $DISK_FAULT.fired. Standard streams are left
 * alone. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

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

static void note(const char *path)
{
    char fired[PATH_BYTES];
    if (snprintf(fired, sizeof fired, "%s.fired", path) >= PATH_BYTES)
        return;
    int fd = open(fired, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    ssize_t (*real)(int, const void *, size_t) = next_call("write");
    if (fd >= 0 && real(fd, "x", 1) == 1)
        close(fd);
}

/* What the file says now; counting begins anew where it is a new one. */
static bool refresh(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return false;
    if (memcmp(&status.st_mtim, &fault_time, sizeof fault_time) == 0)
        return true;
    FILE *file = fopen(path, "re");
    struct fault new = {{0}};
    bool whole = file && fscanf(file, "%15s %d %u %ld %ld", new.call, &new.error, &new.delay_ms,
                                &new.skip, &new.count) == 5;
    if (file)
        fclose(file);
    if (whole) {
        fault = new;
        fault_time = status.st_mtim;
    }
    return whole;
}

/* The errno that this call fails with, or 0; *ret_delay_ms besides. */
static int strike(const char *call, const char *path, unsigned *ret_delay_ms)
{
    int error = 0;
    pthread_mutex_lock(&lock);
    if (refresh(path) && strcmp(fault.call, call) == 0 && --fault.skip < 0 && fault.count-- > 0) {
        if (fault.count == 0)
            unlink(path);
        *ret_delay_ms = fault.delay_ms;
        error = fault.error;
        note(path);
    }
    pthread_mutex_unlock(&lock);
    return error;
}

static int meet(const char *call, int fd)
{
    const char *path = getenv("DISK_FAULT");
    unsigned delay_ms = 0;
    if (!path || inside || !is_ours(fd))
        return 0;
    inside = true;
    int kept = errno, error = strike(call, path, &delay_ms);
    struct timespec time = {delay_ms / 1000, (long)(delay_ms % 1000) * 1000000};
    if (delay_ms)
        nanosleep(&time, NULL);
    inside = false;
    errno = error ? error : kept;
    return error;
}

ssize_t write(int fd, const void *from, size_t bytes)
{
    ssize_t (*real)(int, const void *, size_t) = next_call("write");
    return meet("write", fd) ? -1 : real(fd, from, bytes);
}

ssize_t read(int fd, void *to, size_t bytes)
{
    ssize_t (*real)(int, void *, size_t) = next_call("read");
    return meet("read", fd) ? -1 : real(fd, to, bytes);
}

ssize_t pread64(int fd, void *to, size_t bytes, off64_t offset)
{
    ssize_t (*real)(int, void *, size_t, off64_t) = next_call("pread64");
    return meet("read", fd) ? -1 : real(fd, to, bytes, offset);
}

ssize_t pread(int fd, void *to, size_t bytes, off_t offset)
{
    return pread64(fd, to, bytes, offset);
}

int fdatasync(int fd)
{
    int (*real)(int) = next_call("fdatasync");
    return meet("sync", fd) ? -1 : real(fd);
}

int fsync(int fd)
{
    int (*real)(int) = next_call("fsync");
    return meet("sync", fd) ? -1 : real(fd);
}
