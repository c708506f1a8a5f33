/* tutti-bench through a directory: plain system calls, one after the other. */
#include "bench/mdtest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20 };

struct directory {
    struct mdtest_backend backend;
    char path[MDTEST_PATH_MAX]; /* the tree of the present phase, with a slash behind it */
    size_t tree_bytes;
    uint8_t *chunk, *expected;
};

static struct directory *directory_of(struct mdtest_backend *backend)
{
    return (struct directory *)backend;
}

static int fail(struct directory *directory, const char *what)
{
    int code = errno ? -errno : -EIO;
    return error_set(directory->backend.rank->error, code, "%s %s: %s", what, directory->path,
                     strerror(-code));
}

/* The path of the iteration's directory, or of a tree in it. */
static void path_set(struct directory *directory, bool tree, uint32_t owner)
{
    const struct mdtest_rank *rank = directory->backend.rank;
    char iteration[MDTEST_NAME_MAX], name[MDTEST_NAME_MAX] = "";
    mdtest_name_iteration(rank, iteration);
    if (tree)
        mdtest_name_tree(rank, owner, name);
    int bytes = snprintf(directory->path, sizeof directory->path, "%s/%s%s%s",
                         rank->options->directory, iteration, tree ? "/" : "", name);
    MUST(bytes > 0 && (size_t)bytes < sizeof directory->path - MDTEST_NAME_MAX - 1);
    directory->tree_bytes = (size_t)bytes;
}

static int directory_prepare(struct mdtest_backend *backend)
{
    struct directory *directory = directory_of(backend);
    path_set(directory, true, mdtest_owner(backend->rank));
    directory->path[directory->tree_bytes++] = '/';
    return 0;
}

static int tree_step(struct directory *directory, bool make)
{
    uint64_t begin_ns = clock_ns();
    if ((make ? mkdir(directory->path, 0777) : rmdir(directory->path)) < 0)
        return fail(directory, make ? "mkdir" : "rmdir");
    mdtest_record(directory->backend.rank, begin_ns);
    return 0;
}

static int trees_run(struct directory *directory, bool make)
{
    uint32_t trees = mdtest_tree_count(directory->backend.rank->options);
    int code = 0;
    path_set(directory, false, 0);
    if (make)
        code = tree_step(directory, make);
    for (uint32_t i = 0; i < trees && !code; i++) {
        path_set(directory, true, i);
        code = tree_step(directory, make);
    }
    path_set(directory, false, 0);
    return make || code ? code : tree_step(directory, make);
}

static int file_write(struct directory *directory, int fd)
{
    uint64_t bytes = directory->backend.rank->options->write_bytes;
    for (uint64_t at = 0; at < bytes;) {
        size_t count = bytes - at < CHUNK_BYTES ? (size_t)(bytes - at) : CHUNK_BYTES;
        mdtest_content(at, directory->chunk, count);
        ssize_t n = write(fd, directory->chunk, count);
        if (n < 0)
            return fail(directory, "write");
        at += (uint64_t)n;
    }
    return 0;
}

static int file_read(struct directory *directory, int fd)
{
    uint64_t bytes = directory->backend.rank->options->read_bytes;
    for (uint64_t at = 0; at < bytes;) {
        size_t count = bytes - at < CHUNK_BYTES ? (size_t)(bytes - at) : CHUNK_BYTES;
        errno = 0;
        ssize_t n = read(fd, directory->chunk, count);
        if (n <= 0)
            return fail(directory, "read");
        mdtest_content(at, directory->expected, (size_t)n);
        if (memcmp(directory->chunk, directory->expected, (size_t)n) != 0)
            return fail(directory, "wrong content of");
        at += (uint64_t)n;
    }
    return 0;
}

static int file_open(struct directory *directory, bool create)
{
    int fd =
        open(directory->path, (create ? O_CREAT | O_EXCL | O_WRONLY : O_RDONLY) | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail(directory, create ? "create" : "open");
    int code = create ? file_write(directory, fd) : file_read(directory, fd);
    if (close(fd) < 0 && !code)
        code = fail(directory, "close");
    return code;
}

static int item_stat(struct directory *directory, mode_t type)
{
    struct stat status;
    if (stat(directory->path, &status) < 0)
        return fail(directory, "stat");
    errno = 0;
    if ((status.st_mode & S_IFMT) != type ||
        (type == S_IFREG &&
         (uint64_t)status.st_size != directory->backend.rank->options->write_bytes))
        return fail(directory, "wrong type or size of");
    return 0;
}

static int item_run(struct directory *directory)
{
    switch (directory->backend.rank->phase) {
    case MDTEST_DIR_CREATE:
        return mkdir(directory->path, 0777) < 0 ? fail(directory, "mkdir") : 0;
    case MDTEST_DIR_STAT:
        return item_stat(directory, S_IFDIR);
    case MDTEST_DIR_REMOVE:
        return rmdir(directory->path) < 0 ? fail(directory, "rmdir") : 0;
    case MDTEST_FILE_CREATE:
        return file_open(directory, true);
    case MDTEST_FILE_STAT:
        return item_stat(directory, S_IFREG);
    case MDTEST_FILE_READ:
        return file_open(directory, false);
    case MDTEST_FILE_REMOVE:
        return unlink(directory->path) < 0 ? fail(directory, "unlink") : 0;
    default:
        MUST(!"a phase of items");
    }
    return 0;
}

static int directory_run(struct mdtest_backend *backend)
{
    struct directory *directory = directory_of(backend);
    struct mdtest_rank *rank = backend->rank;
    int code = 0;
    if (rank->phase == MDTEST_TREE_CREATE || rank->phase == MDTEST_TREE_REMOVE)
        return trees_run(directory, rank->phase == MDTEST_TREE_CREATE);
    for (uint64_t item = 0; item < rank->options->items && !code; item++) {
        mdtest_name_item(rank, item, directory->path + directory->tree_bytes);
        uint64_t begin_ns = clock_ns();
        code = item_run(directory);
        if (!code)
            mdtest_record(rank, begin_ns);
    }
    return code;
}

static void directory_close(struct mdtest_backend *backend)
{
    struct directory *directory = directory_of(backend);
    free(directory->chunk);
    free(directory->expected);
    free(directory);
}

int mdtest_directory_open(struct mdtest_rank *rank, struct mdtest_backend **ret)
{
    struct directory *directory = calloc(1, sizeof *directory);
    if (!directory)
        return error_set(rank->error, -ENOMEM, "no memory");
    directory->backend =
        (struct mdtest_backend){rank, directory_prepare, directory_run, directory_close};
    directory->chunk = malloc(CHUNK_BYTES);
    directory->expected = malloc(CHUNK_BYTES);
    if (!directory->chunk || !directory->expected) {
        directory_close(&directory->backend);
        return error_set(rank->error, -ENOMEM, "no memory");
    }
    *ret = &directory->backend;
    return 0;
}
