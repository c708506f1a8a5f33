/* Lines to stderr. A line leaves in one write, so that those of several threads don't mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Atomic int current_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

static void log_line(enum log_level level, const char *area, const char *format, va_list args)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);

    char line[1024];
    size_t used = strftime(line, sizeof line, "%H:%M:%S", &tm);
    used += (size_t)snprintf(line + used, sizeof line - used, ".%03ld %s %s: ",
                             now.tv_nsec / 1000000, names[level], area);
    int more = vsnprintf(line + used, sizeof line - used - 1, format, args);
    used = more < 0 ? used : used + (size_t)more;
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    line[used++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, used); /* nowhere left to complain to */
    (void)ignored;
}

void log_write(enum log_level level, const char *area, const char *format, ...)
{
    if (level > log_get_level())
        return;
    va_list args;
    va_start(args, format);
    log_line(level, area, format, args);
    va_end(args);
}

void log_limited(struct log_limit *limit, uint32_t per_second, enum log_level level,
                 const char *area, const char *format, ...)
{
    if (level > log_get_level())
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec != limit->window_start_s) {
        if (limit->left_out)
            log_write(level, area, "(%u more lines of this kind left out)", limit->left_out);
        *limit = (struct log_limit){.window_start_s = now.tv_sec};
    }
    if (++limit->in_window > per_second) {
        limit->left_out++;
        return;
    }
    va_list args;
    va_start(args, format);
    log_line(level, area, format, args);
    va_end(args);
}
