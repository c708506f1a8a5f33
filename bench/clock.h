/* Time for measurements: CLOCK_MONOTONIC, read at the moment of the call. */
#ifndef TUTTI_BENCH_CLOCK_H
#define TUTTI_BENCH_CLOCK_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void clock_sleep_until(uint64_t ns)
{
    struct timespec until = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* Time that a hypervisor gave to others while this machine's processors had work, of all of them
 * together; in steps of 10 ms. 0 where nothing tells. */
static inline uint64_t clock_stolen_ns(void)
{
    unsigned long long stolen = 0;
    FILE *file = fopen("/proc/stat", "re");
    if (!file)
        return 0;
    if (fscanf(file, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &stolen) != 1)
        stolen = 0;
    fclose(file);
    return stolen * (1000000000u / (unsigned long)sysconf(_SC_CLK_TCK));
}

#endif
