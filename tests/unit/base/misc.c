/* error, blob, log, must. */
#include "base/blob.h"
#include "base/error.h"
#include "base/log.h"
#include "base/must.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

Test(error, set_and_wrap)
{
    struct error error = {""};
    cr_assert_eq(error_set(&error, -EINVAL, "port %d is not a port", 70000), -EINVAL);
    cr_assert_eq(error_wrap(&error, -EIO, "line %d", 3), -EIO);
    cr_assert_str_eq(error.text, "line 3: port 70000 is not a port");
    cr_assert_eq(error_set(NULL, -EINVAL, "x"), -EINVAL);
    cr_assert_eq(error_wrap(NULL, -EINVAL, "x"), -EINVAL);
}

Test(error, long_texts_are_cut)
{
    struct error error = {""};
    for (int i = 0; i < 300; i++)
        error_wrap(&error, -1, "context %d", i);
    cr_assert_eq(strnlen(error.text, sizeof error.text), sizeof error.text - 1);
    cr_assert_eq(strncmp(error.text, "context 299: context 298: ", 26), 0);
}

Test(blob, references)
{
    struct blob *blob = blob_create("bytes", 5);
    cr_assert_eq(blob->bytes, 5);
    cr_assert_arr_eq(blob->data, "bytes", 5);
    cr_assert_eq(blob_ref(blob), blob);
    cr_assert_eq(blob->references, 2);
    blob_unref(blob);
    cr_assert_eq(blob->references, 1);
    blob_unref(blob);
    blob_unref(NULL);
    struct blob *empty = blob_create(NULL, 0);
    cr_assert_eq(empty->bytes, 0);
    blob_unref(empty);
}

/* What `say` writes to stderr. */
static size_t captured(void (*say)(void), char *text, size_t bytes_max)
{
    int pipes[2], before = dup(STDERR_FILENO);
    cr_assert_eq(pipe(pipes), 0);
    fflush(stderr);
    dup2(pipes[1], STDERR_FILENO);
    close(pipes[1]);
    say();
    dup2(before, STDERR_FILENO);
    close(before);
    ssize_t n = read(pipes[0], text, bytes_max - 1);
    close(pipes[0]);
    text[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

static void say_levels(void)
{
    log_info("area", "number %d", 42);
    log_debug("area", "hidden");
    log_set_level(LOG_LEVEL_ERROR);
    log_warning("area", "hidden");
    log_error("area", "shown");
}

Test(log, levels)
{
    char text[4096];
    cr_assert_eq(log_get_level(), LOG_LEVEL_INFO);
    captured(say_levels, text, sizeof text);
    cr_assert_not_null(strstr(text, "info area: number 42\n"));
    cr_assert_not_null(strstr(text, "error area: shown\n"));
    cr_assert_null(strstr(text, "hidden"));
}

static void say_much(void)
{
    static struct log_limit limit;
    for (int i = 0; i < 200; i++)
        log_limited(&limit, 5, LOG_LEVEL_WARNING, "area", "line");
}

Test(log, limited)
{
    char text[65536];
    captured(say_much, text, sizeof text);
    unsigned lines = 0;
    for (const char *at = text; (at = strstr(at, "area: line\n")); at++)
        lines++;
    cr_assert_geq(lines, 5);
    cr_assert_leq(lines, 10, "%u lines: more than two seconds' worth", lines);
}

static void say_long(void)
{
    char line[5000];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = 0;
    log_info("area", "%s", line);
}

Test(log, long_lines_are_cut)
{
    char text[8192];
    size_t bytes = captured(say_long, text, sizeof text);
    cr_assert_leq(bytes, 1024);
    cr_assert_eq(text[bytes - 1], '\n');
}

Test(must, broken_invariant, .signal = SIGABRT)
{
    MUST(1 + 1 == 2);
    int null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    MUST(1 + 1 == 3);
}
