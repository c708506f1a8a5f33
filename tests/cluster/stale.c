/* Do it here, look there, at once: is anything that was answered ever invisible?
 *
 * A round makes a file through one side, looks it up through the other, changes its mode here, asks
 * for it there, removes it here and looks again there; then the sides change places. The sides are
 * two clients of the library, each bound to one replica, or two mounted directories. Whatever the
 * second side does not see at once is stale. */
#include "client/tutti.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "usage: stale --replicas HOST:PORT HOST:PORT [--rounds N]\n"
    "       stale --mounts DIRECTORY DIRECTORY [--rounds N]\n"
    "\n"
    "Exit code: 0 nothing was stale; 1 something was, or failed; 2 wrong usage.\n";

/* What a round does; 0 or a negative errno. */
struct side_ops {
    int (*create)(int side, const char *name, uint64_t *ret_ino);
    int (*chmod)(int side, const char *name, uint64_t ino, uint32_t mode);
    int (*remove)(int side, const char *name);
    int (*look)(int side, const char *name, uint64_t *ret_ino, uint32_t *ret_mode);
};

/* --- through the library --- */

static struct tutti *clients[2];
static uint64_t directory;
static struct buffer replies;

static struct proto_bytes bytes_of(const char *name)
{
    return (struct proto_bytes){(const uint8_t *)name, (uint32_t)strlen(name)};
}

static int ask(int side, const struct proto_op *op, struct proto_outcome *ret)
{
    static const struct tutti_caller root = {0};
    int code = tutti_call(clients[side], &root, op, &replies, ret, NULL, NULL);
    return code ? code : -tutti_errno(ret->status);
}

static int library_create(int side, const char *name, uint64_t *ret_ino)
{
    struct proto_outcome out;
    struct proto_op op = {.code = PROTO_CREATE,
                          .parent = directory,
                          .name = bytes_of(name),
                          .mode = S_IFREG | 0644,
                          .flags = PROTO_CREATE_EXCLUSIVE | PROTO_OPEN_WRITE};
    int code = ask(side, &op, &out);
    *ret_ino = out.attr.ino;
    return code;
}

static int library_chmod(int side, const char *name, uint64_t ino, uint32_t mode)
{
    struct proto_outcome out;
    struct proto_op op = {.code = PROTO_SETATTR, .ino = ino, .valid = PROTO_SET_MODE, .mode = mode};
    return ask(side, &op, &out);
}

static int library_remove(int side, const char *name)
{
    struct proto_outcome out;
    struct proto_op op = {.code = PROTO_UNLINK, .parent = directory, .name = bytes_of(name)};
    return ask(side, &op, &out);
}

static int library_look(int side, const char *name, uint64_t *ret_ino, uint32_t *ret_mode)
{
    struct proto_outcome out;
    struct proto_op op = {.code = PROTO_LOOKUP, .parent = directory, .name = bytes_of(name)};
    int code = ask(side, &op, &out);
    *ret_ino = out.attr.ino;
    *ret_mode = out.attr.mode;
    return code;
}

static const struct side_ops library = {library_create, library_chmod, library_remove,
                                        library_look};

static int library_open(char **addresses)
{
    struct proto_outcome out;
    char name[64];
    buffer_init(&replies, PROTO_REPLY_BYTES_MAX);
    for (int side = 0; side < 2; side++) {
        struct tutti_options options;
        struct error error = {{0}};
        tutti_options_defaults(&options);
        options.replicas = addresses[side];
        int code = tutti_connect(&options, &clients[side], &error);
        if (code) {
            fprintf(stderr, "stale: %s\n", error.text);
            return code;
        }
    }
    snprintf(name, sizeof name, "stale.%d", (int)getpid());
    struct proto_op op = {.code = PROTO_MKDIR,
                          .parent = PROTO_ROOT_INO,
                          .name = bytes_of(name),
                          .mode = S_IFDIR | 0755};
    int code = ask(0, &op, &out);
    directory = out.attr.ino;
    return code;
}

static void library_close(void)
{
    struct proto_outcome out;
    char name[64];
    snprintf(name, sizeof name, "stale.%d", (int)getpid());
    struct proto_op op = {.code = PROTO_RMDIR, .parent = PROTO_ROOT_INO, .name = bytes_of(name)};
    if (ask(0, &op, &out))
        fprintf(stderr, "stale: %s is left behind\n", name);
    tutti_close(clients[0]);
    tutti_close(clients[1]);
    buffer_finish(&replies);
}

/* --- through two mounts --- */

static char places[2][4096];

static char *path_of(int side, const char *name)
{
    static char path[2][4096 + 64];
    snprintf(path[side], sizeof path[side], "%s/%s", places[side], name);
    return path[side];
}

static int mount_create(int side, const char *name, uint64_t *ret_ino)
{
    struct stat st;
    int fd = open(path_of(side, name), O_CREAT | O_EXCL | O_WRONLY, 0644);
    if (fd < 0)
        return -errno;
    int code = fstat(fd, &st) ? -errno : 0;
    *ret_ino = st.st_ino;
    if (close(fd) && !code)
        code = -errno;
    return code;
}

static int mount_chmod(int side, const char *name, uint64_t ino, uint32_t mode)
{
    return chmod(path_of(side, name), mode) ? -errno : 0;
}

static int mount_remove(int side, const char *name)
{
    return unlink(path_of(side, name)) ? -errno : 0;
}

static int mount_look(int side, const char *name, uint64_t *ret_ino, uint32_t *ret_mode)
{
    struct stat st;
    if (stat(path_of(side, name), &st))
        return -errno;
    *ret_ino = st.st_ino;
    *ret_mode = st.st_mode;
    return 0;
}

static const struct side_ops mounts = {mount_create, mount_chmod, mount_remove, mount_look};

static int mounts_open(char **directories)
{
    for (int side = 0; side < 2; side++)
        if (snprintf(places[side], sizeof places[side], "%s/stale.%d", directories[side],
                     (int)getpid()) >= (int)sizeof places[side])
            return -ENAMETOOLONG;
    return mkdir(places[0], 0755) ? -errno : 0;
}

static void mounts_close(void)
{
    if (rmdir(places[0]))
        perror(places[0]);
}

/* --- rounds --- */

static uint64_t stale;

/* The other side has to see exactly this: `code`, and where that is 0, inode and mode. */
static void expect(const struct side_ops *ops, int side, const char *name, int code, uint64_t ino,
                   uint32_t mode)
{
    uint64_t seen_ino = 0;
    uint32_t seen_mode = 0;
    int seen = ops->look(side, name, &seen_ino, &seen_mode);
    if (seen == code && (code || (seen_ino == ino && (seen_mode & 07777) == mode)))
        return;
    if (stale++ < 10)
        fprintf(stderr, "stale: %s at side %d: %s, inode %lu mode %o instead of %s, %lu, %o\n",
                name, side, strerror(-seen), (unsigned long)seen_ino, seen_mode & 07777,
                strerror(-code), (unsigned long)ino, mode);
}

static int run_round(const struct side_ops *ops, uint64_t number)
{
    int here = (int)(number & 1);
    uint64_t ino;
    char name[32];
    snprintf(name, sizeof name, "f%lu", (unsigned long)number);
    int code = ops->create(here, name, &ino);
    if (code)
        return code;
    expect(ops, !here, name, 0, ino, 0644);
    code = ops->chmod(here, name, ino, 0600);
    if (code)
        return code;
    expect(ops, !here, name, 0, ino, 0600);
    code = ops->remove(here, name);
    if (code)
        return code;
    expect(ops, !here, name, -ENOENT, 0, 0);
    return 0;
}

static int run_rounds(const struct side_ops *ops, uint64_t rounds)
{
    for (uint64_t i = 0; i < rounds; i++) {
        int code = run_round(ops, i);
        if (code) {
            fprintf(stderr, "stale: round %lu: %s\n", (unsigned long)i, strerror(-code));
            return code;
        }
        if (isatty(STDERR_FILENO) && i % 1000 == 999)
            fprintf(stderr, "\r%lu", (unsigned long)i + 1);
    }
    return 0;
}

static int run(char **sides, bool mounted, uint64_t rounds)
{
    int code = mounted ? mounts_open(sides) : library_open(sides);
    if (code) {
        fprintf(stderr, "stale: cannot begin: %s\n", strerror(-code));
        return 1;
    }
    code = run_rounds(mounted ? &mounts : &library, rounds);
    printf("%lu rounds, %lu stale\n", (unsigned long)rounds, (unsigned long)stale);
    if (mounted)
        mounts_close();
    else
        library_close();
    return code || stale;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"replicas", no_argument, NULL, 'r'},
                                            {"mounts", no_argument, NULL, 'm'},
                                            {"rounds", required_argument, NULL, 'n'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option, kind = 0;
    uint64_t rounds = 10000;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'n')
            rounds = strtoull(optarg, NULL, 10);
        else if (option == 'r' || option == 'm')
            kind = option;
        else {
            fputs(help, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    }
    if (!kind || argc - optind != 2 || !rounds) {
        fputs(help, stderr);
        return 2;
    }
    return run(argv + optind, kind == 'm', rounds);
}
