/* Text for people about a local failure.
 *
 * One `struct error` lives in the outermost object. The place that finds the failure writes it with
 * error_set; each caller on the way up may put context in front with error_wrap; the outermost one
 * prints it once. Functions that take a `struct error *` accept NULL. */
#ifndef TUTTI_BASE_ERROR_H
#define TUTTI_BASE_ERROR_H

#include <stddef.h>

struct error {
    char text[512];
};

/* Write the message and return `code`, so that a failure is one statement:
 * `return error_set(error, -EINVAL, "port %d is not a port", port);` */
__attribute__((format(printf, 3, 4))) int error_set(struct error *error, int code,
                                                     const char *format, ...);

/* Put context in front: "context: what was there". Returns `code`. */
__attribute__((format(printf, 3, 4))) int error_wrap(struct error *error, int code,
                                                      const char *format, ...);

#endif
