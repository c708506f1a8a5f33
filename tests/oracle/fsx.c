/* fsx: random data operations on one file under one or two paths, against a model in memory.
 *
 *     fsx [--seed N] [--ops N] [--bytes N] PATH [PATH2]
 *
 * Two paths are the same file on two mounts. One of them is used at a time; before the other one
 * takes over, the file is synced or closed, because that is what coherence is promised for. The
 * other one may have stayed open meanwhile. After the idea of fsx (Avadis Tevanian, Apple). */
#include "base/prng.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATHS_MAX = 2, BYTES_DEFAULT = 3 << 20, LOG_LINES = 24, LINE_BYTES = 96 };

struct fsx {
    struct prng prng;
    const char *paths[PATHS_MAX];
    int fds[PATHS_MAX]; /* -1: closed */
    unsigned path_count, turn;
    uint8_t *model, *scratch;
    uint64_t bytes_max, size;
    uint64_t seed, step;
    char log[LOG_LINES][LINE_BYTES];
};

static struct fsx fsx;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    va_list arguments;
    char *line = fsx.log[fsx.step % LOG_LINES];
    int used = snprintf(line, LINE_BYTES, "%lu: path %u: ", (unsigned long)fsx.step, fsx.turn + 1);
    va_start(arguments, format);
    vsnprintf(line + used, LINE_BYTES - (size_t)used, format, arguments);
    va_end(arguments);
}

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list arguments;
    uint64_t first = fsx.step >= LOG_LINES ? fsx.step - LOG_LINES + 1 : 0;
    for (uint64_t i = first; i <= fsx.step; i++)
        fprintf(stderr, "  %s\n", fsx.log[i % LOG_LINES]);
    fprintf(stderr, "fsx: seed %lu, step %lu: ", (unsigned long)fsx.seed, (unsigned long)fsx.step);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static void must(bool ok, const char *what)
{
    if (!ok)
        fail("%s: %s", what, strerror(errno));
}

static int fd(void)
{
    return fsx.fds[fsx.turn];
}

/* Small numbers are as likely as large ones: inline files, single stripes, many stripes. */
static uint64_t draw(uint64_t limit)
{
    uint64_t most = 1ull << (1 + prng_below(&fsx.prng, 22));
    if (most > limit)
        most = limit;
    return prng_below(&fsx.prng, most + 1);
}

static uint64_t draw_offset(void)
{
    return prng_chance(&fsx.prng, 1, 3) ? draw(fsx.size) : prng_below(&fsx.prng, fsx.size + 1);
}

static uint64_t draw_count(uint64_t offset)
{
    uint64_t room = fsx.bytes_max - offset, count = 1 + draw(100000);
    return count < room ? count : room;
}

static void fill(uint8_t *to, uint64_t bytes)
{
    uint8_t start = (uint8_t)prng_next(&fsx.prng);
    for (uint64_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(1 + (start + i * 7 + i / 251) % 255);
}

static void compare(const uint8_t *have, uint64_t offset, uint64_t bytes, const char *how)
{
    for (uint64_t i = 0; i < bytes; i++)
        if (have[i] != fsx.model[offset + i])
            fail("%s: byte %lu is %02x, not %02x (read of %lu at %lu)", how,
                 (unsigned long)(offset + i), have[i], fsx.model[offset + i], (unsigned long)bytes,
                 (unsigned long)offset);
}

static void check_size(void)
{
    struct stat st;
    must(fstat(fd(), &st) == 0, "fstat");
    if ((uint64_t)st.st_size != fsx.size)
        fail("the size is %lu, not %lu", (unsigned long)st.st_size, (unsigned long)fsx.size);
}

static void model_write(const uint8_t *from, uint64_t offset, uint64_t bytes)
{
    memcpy(fsx.model + offset, from, bytes);
    if (offset + bytes > fsx.size)
        fsx.size = offset + bytes;
}

/* --- steps --- */

static void step_write(void)
{
    uint64_t offset = prng_chance(&fsx.prng, 1, 6) ? draw(fsx.bytes_max - 1) : draw_offset();
    uint64_t count = draw_count(offset);
    note("write %lu at %lu", (unsigned long)count, (unsigned long)offset);
    fill(fsx.scratch, count);
    must(pwrite(fd(), fsx.scratch, count, (off_t)offset) == (ssize_t)count, "pwrite");
    model_write(fsx.scratch, offset, count);
}

static void step_append(void)
{
    uint64_t count = draw_count(fsx.size);
    note("append %lu at %lu", (unsigned long)count, (unsigned long)fsx.size);
    int appending = open(fsx.paths[fsx.turn], O_WRONLY | O_APPEND);
    must(appending >= 0, "open for append");
    fill(fsx.scratch, count);
    must(write(appending, fsx.scratch, count) == (ssize_t)count, "append");
    must(close(appending) == 0, "close after append");
    model_write(fsx.scratch, fsx.size, count);
}

static void step_read(void)
{
    uint64_t offset = draw_offset(), count = draw_count(offset) + prng_below(&fsx.prng, 9000);
    uint64_t want = count < fsx.size - offset ? count : fsx.size - offset;
    note("read %lu at %lu", (unsigned long)count, (unsigned long)offset);
    ssize_t n = pread(fd(), fsx.scratch, count, (off_t)offset);
    must(n >= 0, "pread");
    if ((uint64_t)n != want)
        fail("%zd bytes read, not %lu", n, (unsigned long)want);
    compare(fsx.scratch, offset, want, "read");
}

static void step_truncate(void)
{
    uint64_t size = prng_chance(&fsx.prng, 1, 5) ? 0 : draw(fsx.bytes_max);
    bool by_path = prng_chance(&fsx.prng, 1, 2);
    note("%s to %lu", by_path ? "truncate" : "ftruncate", (unsigned long)size);
    must((by_path ? truncate(fsx.paths[fsx.turn], (off_t)size) : ftruncate(fd(), (off_t)size)) == 0,
         "truncate");
    if (size > fsx.size)
        memset(fsx.model + fsx.size, 0, size - fsx.size);
    else
        memset(fsx.model + size, 0, fsx.size - size);
    fsx.size = size;
}

static void step_map(bool write)
{
    uint64_t offset = draw_offset(), count = draw_count(offset);
    if (offset + count > fsx.size)
        count = fsx.size - offset;
    note("%s through a mapping %lu at %lu", write ? "write" : "read", (unsigned long)count,
         (unsigned long)offset);
    if (!count)
        return;
    check_size(); /* a look at the attributes: what others ordered is seen from here on */
    uint64_t begin = offset / 4096 * 4096, bytes = offset + count - begin;
    uint8_t *map = mmap(NULL, bytes, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd(),
                        (off_t)begin);
    must(map != MAP_FAILED, "mmap");
    compare(map + (offset - begin), offset, count, "mapping");
    if (write) {
        fill(fsx.scratch, count);
        memcpy(map + (offset - begin), fsx.scratch, count);
        model_write(fsx.scratch, offset, count);
        must(msync(map, bytes, MS_SYNC) == 0, "msync");
    }
    must(munmap(map, bytes) == 0, "munmap");
}

static void step_allocate(void)
{
    static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
                                FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE};
    int mode = modes[prng_below(&fsx.prng, sizeof modes / sizeof modes[0])];
    uint64_t offset = draw_offset(), count = draw_count(offset), before = fsx.size;
    note("fallocate mode %#x %lu at %lu", mode, (unsigned long)count, (unsigned long)offset);
    if (!count)
        return;
    must(fallocate(fd(), mode, (off_t)offset, (off_t)count) == 0, "fallocate");
    if (mode & (FALLOC_FL_ZERO_RANGE | FALLOC_FL_PUNCH_HOLE))
        memset(fsx.model + offset, 0, count);
    if (!(mode & FALLOC_FL_KEEP_SIZE) && offset + count > before)
        fsx.size = offset + count;
}

static void step_sync(void)
{
    bool whole = prng_chance(&fsx.prng, 1, 2);
    note("%s", whole ? "fsync" : "fdatasync");
    must((whole ? fsync(fd()) : fdatasync(fd())) == 0, "fsync");
}

static void open_turn(int more)
{
    if (fd() < 0)
        fsx.fds[fsx.turn] = open(fsx.paths[fsx.turn], O_RDWR | more, 0644);
    must(fd() >= 0, "open");
}

static void step_reopen(void)
{
    bool empty = prng_chance(&fsx.prng, 1, 10);
    note("close, open%s", empty ? " with O_TRUNC" : "");
    must(close(fd()) == 0, "close");
    fsx.fds[fsx.turn] = -1;
    open_turn(empty ? O_TRUNC : 0);
    if (empty) {
        memset(fsx.model, 0, fsx.size);
        fsx.size = 0;
    }
}

static void step_switch(void)
{
    bool closes = prng_chance(&fsx.prng, 1, 2);
    note("%s, switch", closes ? "close" : "fsync");
    if (fsx.path_count == 1)
        return;
    if (closes) {
        must(close(fd()) == 0, "close");
        fsx.fds[fsx.turn] = -1;
    } else {
        must(fsync(fd()) == 0, "fsync");
    }
    fsx.turn = 1 - fsx.turn;
    open_turn(0);
    check_size();
}

static void step(void)
{
    switch (prng_below(&fsx.prng, 20)) {
    case 0:
    case 1:
        step_truncate();
        break;
    case 2:
        step_allocate();
        break;
    case 3:
        step_map(true);
        break;
    case 4:
    case 5:
        step_map(false);
        break;
    case 6:
        step_sync();
        break;
    case 7:
        step_reopen();
        break;
    case 8:
    case 9:
        step_switch();
        break;
    case 10:
        step_append();
        break;
    case 11:
    case 12:
    case 13:
    case 14:
        step_read();
        break;
    default:
        step_write();
    }
    if (fd() >= 0 && prng_chance(&fsx.prng, 1, 4))
        check_size();
}

static void check_all(void)
{
    for (unsigned i = 0; i < fsx.path_count; i++) {
        if (fsx.fds[i] >= 0)
            must(close(fsx.fds[i]) == 0, "close at the end");
        fsx.fds[i] = -1;
    }
    for (fsx.turn = 0; fsx.turn < fsx.path_count; fsx.turn++) {
        open_turn(0);
        check_size();
        ssize_t n = pread(fd(), fsx.scratch, fsx.size + 1, 0);
        if (n < 0 || (uint64_t)n != fsx.size)
            fail("at the end %zd bytes are read, not %lu", n, (unsigned long)fsx.size);
        compare(fsx.scratch, 0, fsx.size, "at the end");
        must(close(fd()) == 0, "close");
    }
}

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (errno || *end || end == text) {
        fprintf(stderr, "fsx: %s is no number\n", text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"ops", required_argument, NULL, 'n'},
                                            {"bytes", required_argument, NULL, 'b'},
                                            {0}};
    uint64_t ops = 1000;
    int option;
    fsx.seed = 1;
    fsx.bytes_max = BYTES_DEFAULT;
    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (option == 's')
            fsx.seed = number(optarg);
        else if (option == 'n')
            ops = number(optarg);
        else if (option == 'b')
            fsx.bytes_max = number(optarg);
        else
            return 2;
    }
    for (; optind < argc && fsx.path_count < PATHS_MAX; optind++)
        fsx.paths[fsx.path_count++] = argv[optind];
    if (!fsx.path_count || optind < argc || !fsx.bytes_max) {
        fputs("usage: fsx [--seed N] [--ops N] [--bytes N] PATH [PATH2]\n", stderr);
        return 2;
    }
    prng_init(&fsx.prng, fsx.seed);
    fsx.model = calloc(1, fsx.bytes_max + 1);
    fsx.scratch = malloc(2 * fsx.bytes_max + 200000);
    must(fsx.model && fsx.scratch, "memory");
    fsx.fds[0] = fsx.fds[1] = -1;
    open_turn(O_CREAT | O_TRUNC);
    for (; fsx.step < ops; fsx.step++)
        step();
    check_all();
    printf("fsx: seed %lu: %lu operations, no difference\n", (unsigned long)fsx.seed,
           (unsigned long)ops);
    free(fsx.model);
    free(fsx.scratch);
    return 0;
}
