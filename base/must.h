/* MUST: assertions that stay on in release builds.
 *
 * For errors of the programmer only. Bytes that came from a peer, a client or a disk must never
 * decide one: they are validated and answered with an error. */
#ifndef TUTTI_BASE_MUST_H
#define TUTTI_BASE_MUST_H

#define MUST(expr)                                                                                 \
    do {                                                                                           \
        if (__builtin_expect(!(expr), 0))                                                          \
            must_fail(#expr, __FILE__, __LINE__);                                                  \
    } while (0)

#define WARN_UNUSED __attribute__((warn_unused_result))

/* Print the failed condition to stderr and abort. */
__attribute__((noreturn, cold)) void must_fail(const char *expr, const char *file, int line);

#endif
