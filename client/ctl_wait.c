/* Waiting for what a group does by itself, with a line of progress. */
#include "client/ctl_group.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct timespec pause_time = {.tv_nsec = 200000000};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void ctl_wait_begin(struct ctl_wait *wait, const struct ctl_command *command)
{
    *wait = (struct ctl_wait){.command = command, .since_ns = now_ns()};
}

bool ctl_wait_more(struct ctl_wait *wait)
{
    if (wait->command->wait_ns && now_ns() - wait->since_ns >= wait->command->wait_ns)
        return false;
    nanosleep(&pause_time, NULL);
    return true;
}

enum ctl_exit ctl_group_find_running(const char *const *addresses, uint32_t count,
                                     uint64_t timeout_ns, struct ctl_group *ret_group)
{
    uint64_t since_ns = now_ns();
    for (;;) {
        enum ctl_exit result = ctl_group_find(addresses, count, timeout_ns, ret_group);
        if (result != CTL_OK || ret_group->running || now_ns() - since_ns >= timeout_ns)
            return result;
        ctl_group_finish(ret_group);
        nanosleep(&pause_time, NULL);
    }
}

/* On a terminal one line is written over and over, elsewhere one below the other. */
void ctl_wait_say(struct ctl_wait *wait, const char *format, ...)
{
    char text[sizeof wait->said];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (wait->command->json || strcmp(text, wait->said) == 0)
        return;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%s\033[K", text);
    else
        fprintf(stderr, "%s\n", text);
    strcpy(wait->said, text);
}

void ctl_wait_end(struct ctl_wait *wait)
{
    if (wait->said[0] && isatty(STDERR_FILENO))
        fputc('\n', stderr);
    wait->said[0] = 0;
}
