/* Messages on their way up to whoever prints them. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *error, int code, const char *format, ...)
{
    if (!error)
        return code;
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return code;
}

int error_wrap(struct error *error, int code, const char *format, ...)
{
    if (!error)
        return code;
    char below[sizeof error->text];
    memcpy(below, error->text, sizeof below);
    va_list args;
    va_start(args, format);
    int used = vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    size_t at = used < 0 ? 0 : (size_t)used;
    if (at + 2 < sizeof error->text) {
        memcpy(error->text + at, ": ", 2);
        at += 2;
        size_t keep = strnlen(below, sizeof error->text - at - 1);
        memcpy(error->text + at, below, keep);
        error->text[at + keep] = 0;
    }
    return code;
}
