/* The one exit of a broken invariant: a line on stderr, then abort. */
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

void must_fail(const char *expr, const char *file, int line)
{
    fprintf(stderr, "tutti: broken invariant at %s:%d: %s\n", file, line, expr);
    abort();
}
