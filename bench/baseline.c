/* baseline: what this machine can do, to set the other figures against.
 *
 * A TCP round trip between two processes on the loopback device, with blocking sockets and
 * TCP_NODELAY; and an append of some bytes with fdatasync, which is what one group commit costs at
 * least. Same rows as bench/order. */
#include "base/size.h"
#include "bench/clock.h"
#include "bench/report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BYTES_MAX = 1 << 20 };

struct options {
    const char *data;
    uint64_t bytes, append_bytes;
    uint64_t duration_ns;
    bool json;
};

static const char help[] =
    "usage: baseline [OPTION ...]\n"
    "\n"
    "Measure this machine: a TCP round trip over the loopback device between two processes, and "
    "an\n"
    "append followed by fdatasync in a directory. The rows are those of order, so "
    "that\n"
    "figures taken in the same minute can stand beside each other.\n"
    "\n"
    "  -d, --data DIR       also measure append + fdatasync of a file in DIR (removed afterwards)\n"
    "  -b, --bytes SIZE     of a TCP message, both ways (default 128)\n"
    "  -a, --append SIZE    of an append (default 4K)\n"
    "  -s, --seconds TIME   for each measurement (default 2s)\n"
    "      --json           one JSON object a row\n"
    "  -h, --help           this text\n"
    "      --version\n"
    "\n"
    "exit code: 0 done; 1 failed; 2 wrong usage\n"
    "\n"
    "examples:\n"
    "  baseline -d /var/lib/tutti\n"
    "  baseline --bytes 1K --seconds 5s --json\n";

static int fail(const char *what)
{
    fprintf(stderr, "baseline: %s: %s\n", what, strerror(errno));
    return 1;
}

/* All of `bytes` each way; false at the end of the connection. */
static bool transfer(int fd, char *buffer, size_t bytes, bool out)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = out ? send(fd, buffer + done, bytes - done, MSG_NOSIGNAL)
                        : recv(fd, buffer + done, bytes - done, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* A pair of connected TCP sockets. */
static int tcp_pair(int ret_fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    ret_fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || ret_fds[0] < 0 || bind(listener, (void *)&address, sizeof address) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (void *)&address, &length) < 0 ||
        connect(ret_fds[0], (void *)&address, sizeof address) < 0)
        return -1;
    ret_fds[1] = accept(listener, NULL, NULL);
    close(listener);
    for (int i = 0; i < 2; i++)
        setsockopt(ret_fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return ret_fds[1];
}

static void echo(int fd, char *buffer, size_t bytes)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (transfer(fd, buffer, bytes, false) && transfer(fd, buffer, bytes, true))
        continue;
    _exit(0);
}

static int measure_tcp(const struct options *options)
{
    static char buffer[BYTES_MAX];
    static struct histogram latency;
    int fds[2];
    if (tcp_pair(fds) < 0)
        return fail("TCP");
    pid_t child = fork();
    if (child < 0)
        return fail("fork");
    if (child == 0) {
        close(fds[0]);
        echo(fds[1], buffer, options->bytes);
    }
    close(fds[1]);
    uint64_t begin = clock_ns(), now = begin;
    while (now - begin < options->duration_ns) {
        if (!transfer(fds[0], buffer, options->bytes, true) ||
            !transfer(fds[0], buffer, options->bytes, false))
            return fail("TCP");
        uint64_t end = clock_ns();
        histogram_add(&latency, end - now);
        now = end;
    }
    close(fds[0]);
    waitpid(child, NULL, 0);
    struct report_row row = {.seconds = (double)(now - begin) / 1e9, .latency = &latency};
    snprintf(row.name, sizeof row.name, "TCP round trip, loopback, %zu B", (size_t)options->bytes);
    report_print("baseline", &row, options->json);
    return 0;
}

static int append_loop(const struct options *options, int fd, struct report_row *row,
                       struct histogram *latency)
{
    static char buffer[BYTES_MAX];
    memset(buffer, 'x', sizeof buffer);
    uint64_t begin = clock_ns(), now = begin;
    while (now - begin < options->duration_ns) {
        if (write(fd, buffer, options->append_bytes) != (ssize_t)options->append_bytes ||
            fdatasync(fd) < 0)
            return fail(options->data);
        uint64_t end = clock_ns();
        histogram_add(latency, end - now);
        now = end;
    }
    row->seconds = (double)(now - begin) / 1e9;
    return 0;
}

static int measure_sync(const struct options *options)
{
    static struct histogram latency;
    struct report_row row = {.latency = &latency};
    char path[4096];
    if (snprintf(path, sizeof path, "%s/baseline-XXXXXX", options->data) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return fail("data directory");
    }
    int fd = mkostemp(path, O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return fail(path);
    int code = append_loop(options, fd, &row, &latency);
    close(fd);
    unlink(path);
    snprintf(row.name, sizeof row.name, "append %zu B + fdatasync", (size_t)options->append_bytes);
    if (!code)
        report_print("baseline", &row, options->json);
    return code;
}

static bool size_option(const char *text, uint64_t *ret_bytes)
{
    return size_parse(text, ret_bytes) == 0 && *ret_bytes >= 1 && *ret_bytes <= BYTES_MAX;
}

/* -1 go on; else the exit code. */
static int options_parse(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {{"data", 1, NULL, 'd'},    {"bytes", 1, NULL, 'b'},
                                          {"append", 1, NULL, 'a'},  {"seconds", 1, NULL, 's'},
                                          {"json", 0, NULL, 'j'},    {"help", 0, NULL, 'h'},
                                          {"version", 0, NULL, 'V'}, {0}};
    int option;
    bool valid = true;
    while (valid && (option = getopt_long(argc, argv, "d:b:a:s:h", names, NULL)) != -1) {
        switch (option) {
        case 'd':
            options->data = optarg;
            break;
        case 'b':
            valid = size_option(optarg, &options->bytes);
            break;
        case 'a':
            valid = size_option(optarg, &options->append_bytes);
            break;
        case 's':
            valid = duration_parse(optarg, &options->duration_ns) == 0;
            break;
        case 'j':
            options->json = true;
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        case 'V':
            puts("baseline " TUTTI_VERSION);
            return 0;
        default:
            valid = false;
        }
        if (!valid && option != '?')
            fprintf(stderr, "baseline: %s: not a valid value (sizes: 1 .. 1M)\n", optarg);
    }
    if (valid && optind == argc)
        return -1;
    fprintf(stderr, "Try 'baseline --help'.\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct options options = {.bytes = 128, .append_bytes = 4096, .duration_ns = 2000000000};
    int code = options_parse(argc, argv, &options);
    if (code >= 0)
        return code;
    report_begin(options.json);
    code = measure_tcp(&options);
    return code || !options.data ? code : measure_sync(&options);
}
