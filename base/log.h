/* The log: one line per event, "level area: text", to stderr (journald adds time and unit).
 *
 * Below `main` code is silent above debug; whoever gives up logs, once, with coordinates. What a
 * peer can trigger goes through log_limited. Thread safe. */
#ifndef TUTTI_BASE_LOG_H
#define TUTTI_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);

__attribute__((format(printf, 3, 4))) void log_write(enum log_level level, const char *area,
                                                      const char *format, ...);

#define log_error(area, ...)   log_write(LOG_LEVEL_ERROR, area, __VA_ARGS__)
#define log_warning(area, ...) log_write(LOG_LEVEL_WARNING, area, __VA_ARGS__)
#define log_info(area, ...)    log_write(LOG_LEVEL_INFO, area, __VA_ARGS__)
#define log_debug(area, ...)                                                                       \
    do {                                                                                           \
        if (log_get_level() >= LOG_LEVEL_DEBUG)                                                    \
            log_write(LOG_LEVEL_DEBUG, area, __VA_ARGS__);                                         \
    } while (0)

/* At most `per_second` lines a second from one place; says how many were left out. */
struct log_limit {
    int64_t window_start_s;
    uint32_t in_window;
    uint32_t left_out;
};
__attribute__((format(printf, 5, 6))) void log_limited(struct log_limit *limit,
                                                        uint32_t per_second, enum log_level level,
                                                        const char *area, const char *format, ...);

#endif
