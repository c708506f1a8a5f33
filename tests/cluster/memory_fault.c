/* Memory that is short: a library to preload into a replica. While the file that MEMORY_FAULT names
 * is there, allocations of its worker fail.
 *
 * Content of that file: SKIP COUNT. The first SKIP allocations succeed, the next COUNT fail; then
 * the file is removed. A worker that is started while it is there counts from its own start.
 * fault_file.h says how it is noted; a line on stderr says whose allocation it was. Those of the
 * supervisor are left alone. */
#include "fault_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* glibc's own, by the names that need no dlsym, which allocates itself. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t items, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *path; /* NULL: not a worker */
static long skip, count;
static struct timespec file_time; /* of the file that these are from */
static __thread bool inside __attribute__((tls_model("initial-exec")));

__attribute__((constructor)) static void begin(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--worker") == 0)
            path = getenv("MEMORY_FAULT");
}

static void say_whose(const void *caller)
{
    Dl_info info;
    bool known = dladdr(caller, &info) != 0;
    dprintf(STDERR_FILENO, "memory_fault: an allocation fails in %s\n",
            known ? info.dli_fname : "somebody");
}

static bool strike(const void *caller)
{
    char text[FAULT_TEXT_BYTES];
    if (!fault_file_look(path, &file_time, text) ||
        (text[0] && sscanf(text, "%ld %ld", &skip, &count) != 2))
        return false;
    if (--skip >= 0 || count <= 0)
        return false;
    fault_file_note(path);
    say_whose(caller);
    if (--count == 0)
        unlink(path);
    return true;
}

/* Whether the allocation fails; errno is set then. */
static bool struck(const void *caller)
{
    if (!path || inside)
        return false;
    inside = true;
    int kept = errno;
    pthread_mutex_lock(&lock);
    bool fails = strike(caller);
    pthread_mutex_unlock(&lock);
    inside = false;
    errno = fails ? ENOMEM : kept;
    return fails;
}

void *malloc(size_t bytes)
{
    return struck(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t items, size_t bytes)
{
    return struck(__builtin_return_address(0)) ? NULL : __libc_calloc(items, bytes);
}

void *realloc(void *old, size_t bytes)
{
    return struck(__builtin_return_address(0)) ? NULL : __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return struck(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, bytes);
}

int posix_memalign(void **ret, size_t alignment, size_t bytes)
{
    void *memory = struck(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, bytes);
    if (!memory)
        return ENOMEM;
    *ret = memory;
    return 0;
}
