/* A witness for losses: writes files and prints the name of each once fsync and close have
 * returned, so that whatever it named has to be there, complete, whatever happened after.
 *
 * Sizes go from nothing over what is kept inline to several stripes; content and size follow from
 * the name, so that --verify needs no original. */
#include "base/hash.h"
#include "base/prng.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 2560 * 1024, PATH_BYTES = 4096, DIRECTORY_FILES = 100 };

static const char help[] =
    "usage: copier [--count N] DIRECTORY        write files, name those that are safe\n"
    "       copier --verify LIST DIRECTORY      check everything that the list names\n"
    "\n"
    "Exit code: 0 done; 1 an error, or a named file is not complete; 2 wrong usage.\n";

static uint8_t content[FILE_BYTES_MAX], found[FILE_BYTES_MAX + 1];

/* Fill in what the file of this name holds; its size. */
static size_t make_content(const char *name)
{
    struct prng prng;
    prng_init(&prng, hash64(name, strlen(name)));
    uint64_t kind = prng_below(&prng, 100);
    uint64_t limit = kind < 60   ? 4096
                     : kind < 90 ? 32 * 1024
                     : kind < 99 ? 256 * 1024
                                 : FILE_BYTES_MAX;
    size_t bytes = prng_below(&prng, limit + 1);
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = prng_next(&prng);
        memcpy(content + i, &word, bytes - i < 8 ? bytes - i : 8);
    }
    return bytes;
}

static int fail(const char *what, const char *path)
{
    fprintf(stderr, "copier: %s %s: %s\n", what, path, strerror(errno));
    return -1;
}

static int write_all(int fd, const uint8_t *bytes, size_t count)
{
    while (count) {
        ssize_t done = write(fd, bytes, count < 65536 ? count : 65536);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        bytes += done;
        count -= (size_t)done;
    }
    return 0;
}

static int write_file(const char *path, size_t bytes)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (fd < 0)
        return fail("cannot create", path);
    int code = 0;
    if (write_all(fd, content, bytes))
        code = fail("cannot write", path);
    else if (fsync(fd))
        code = fail("cannot sync", path);
    if (close(fd) && !code)
        code = fail("cannot close", path);
    return code;
}

static int write_files(const char *directory, unsigned long count)
{
    char name[64], path[PATH_BYTES];
    for (unsigned long i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/d%04lu", directory, i / DIRECTORY_FILES);
        if (i % DIRECTORY_FILES == 0 && mkdir(path, 0755) && errno != EEXIST)
            return fail("cannot make", path);
        snprintf(name, sizeof name, "d%04lu/f%06lu", i / DIRECTORY_FILES, i);
        snprintf(path, sizeof path, "%s/%s", directory, name);
        if (write_file(path, make_content(name)))
            return -1;
        if (puts(name) < 0 || fflush(stdout))
            return fail("cannot name", name);
    }
    return 0;
}

/* True where the file is there, whole. */
static bool complete(const char *directory, const char *name)
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) {
        fprintf(stderr, "copier: too long a name: %s\n", name);
        return false;
    }
    size_t bytes = make_content(name);
    FILE *file = fopen(path, "re");
    if (!file) {
        fail("cannot open", path);
        return false;
    }
    size_t got = fread(found, 1, sizeof found, file);
    bool broken = ferror(file);
    fclose(file);
    if (!broken && got == bytes && !memcmp(found, content, bytes))
        return true;
    size_t same = 0;
    while (same < got && same < bytes && found[same] == content[same])
        same++;
    fprintf(stderr, "copier: %s: %s%zu of %zu bytes, right up to %zu\n", path,
            broken ? "read error, " : "", got, bytes, same);
    return false;
}

/* A last line without its end was never said. */
static int verify(const char *list, const char *directory)
{
    char line[PATH_BYTES];
    unsigned long names = 0, bad = 0;
    FILE *file = fopen(list, "re");
    if (!file)
        return fail("cannot open", list);
    while (fgets(line, sizeof line, file)) {
        size_t length = strlen(line);
        if (!length || line[length - 1] != '\n')
            break;
        line[length - 1] = 0;
        names++;
        bad += !complete(directory, line);
    }
    fclose(file);
    printf("%lu named, %lu not complete\n", names, bad);
    return bad ? -1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"count", required_argument, NULL, 'c'},
                                            {"verify", required_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    unsigned long count = 1000;
    const char *list = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            count = strtoul(optarg, NULL, 10);
        else if (option == 'v')
            list = optarg;
        else {
            fputs(help, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    }
    if (argc - optind != 1 || strlen(argv[optind]) > PATH_BYTES - 128) {
        fputs(help, stderr);
        return 2;
    }
    return (list ? verify(list, argv[optind]) : write_files(argv[optind], count)) ? 1 : 0;
}
