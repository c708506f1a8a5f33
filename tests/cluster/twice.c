/* Between a replica and those who connect to it: passes everything on, and every frame of one type
 * twice, and once more a little after the beginning of each later connection with the same peer.
 *
 * Two processes for each connection, one for each direction; the last frame of the type is kept in
 * a file for each sender and receiver. */
#include "net/address.h"
#include "net/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FRAME_BYTES_MAX = (1 << 20) + (64 << 10), NOT_YET = 20 };

static const char help[] =
    "usage: twice LISTEN-HOST:PORT HOST:PORT TYPE FILE\n"
    "\n"
    "A line on standard output for each frame of this type: 'twice', or 'late' where it is one of\n"
    "an earlier connection, kept in FILE.SENDER.RECEIVER.\n";

static uint8_t frame[NET_FRAME_HEADER_BYTES + FRAME_BYTES_MAX];

static int fail(const char *what)
{
    fprintf(stderr, "twice: %s: %s\n", what, strerror(errno));
    return 1;
}

static bool take(int fd, void *to, size_t count)
{
    for (size_t got = 0; got < count;) {
        ssize_t bytes = recv(fd, (char *)to + got, count - got, 0);
        if (bytes <= 0)
            return false;
        got += (size_t)bytes;
    }
    return true;
}

static bool give(int fd, const void *from, size_t count)
{
    for (size_t given = 0; given < count;) {
        ssize_t bytes = send(fd, (const char *)from + given, count - given, MSG_NOSIGNAL);
        if (bytes <= 0)
            return false;
        given += (size_t)bytes;
    }
    return true;
}

/* The size of the next frame; 0: there is none. */
static size_t take_frame(int from, struct net_frame_header *header)
{
    if (!take(from, frame, NET_FRAME_HEADER_BYTES) ||
        net_frame_header_read(frame, FRAME_BYTES_MAX, header) ||
        !take(from, frame + NET_FRAME_HEADER_BYTES, header->bytes))
        return 0;
    return NET_FRAME_HEADER_BYTES + header->bytes;
}

static void keep(const char *path, size_t count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, frame, count) != (ssize_t)count)
        exit(fail(path));
    close(fd);
}

/* One that was kept before this connection. */
static bool give_kept(int to, const char *path)
{
    static uint8_t kept[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd >= 0 ? read(fd, kept, sizeof kept) : 0;
    if (fd >= 0)
        close(fd);
    if (bytes <= 0)
        return true;
    puts("late");
    return give(to, kept, (size_t)bytes);
}

static void pass(int from, int to, uint16_t type, const char *path)
{
    struct net_frame_header header;
    size_t count;
    for (unsigned number = 1; (count = take_frame(from, &header)); number++) {
        bool again = header.type == type;
        if (!give(to, frame, count) || (again && !give(to, frame, count)))
            return;
        if (again) {
            keep(path, count);
            puts("twice");
        }
        if (number == NOT_YET && !give_kept(to, path))
            return;
    }
}

/* A file's name; in one direction the first of the two sends. */
struct kept_name {
    char text[4096];
};

static struct kept_name name_of(const char *prefix, const struct sockaddr_storage *sender,
                                const struct sockaddr_storage *receiver)
{
    struct kept_name name;
    char from[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &((const struct sockaddr_in *)sender)->sin_addr, from, sizeof from);
    inet_ntop(AF_INET, &((const struct sockaddr_in *)receiver)->sin_addr, to, sizeof to);
    snprintf(name.text, sizeof name.text, "%s.%s.%s", prefix, from, to);
    return name;
}

static void begin(int from, int to, uint16_t type, struct kept_name name)
{
    if (fork() != 0)
        return;
    pass(from, to, type, name.text);
    shutdown(to, SHUT_WR);
    shutdown(from, SHUT_RD);
    exit(0);
}

static int socket_at(const char *address, struct sockaddr_storage *ret)
{
    char host[NET_HOST_BYTES], port[NET_PORT_BYTES];
    struct error error;
    if (net_address_split(address, host, port, &error) < 0 ||
        net_address_numeric(host, port, ret) < 0)
        return -1;
    int fd = socket(ret->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0)
        return -1;
    return fd;
}

int main(int argc, char **argv)
{
    struct sockaddr_storage own, other;
    if (argc != 5) {
        fputs(help, stderr);
        return 2;
    }
    uint16_t type = (uint16_t)strtoul(argv[3], NULL, 10);
    signal(SIGCHLD, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = socket_at(argv[1], &own);
    if (listener < 0 || bind(listener, (struct sockaddr *)&own, sizeof own) < 0 ||
        listen(listener, 64) < 0)
        return fail(argv[1]);
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t bytes = sizeof peer;
        int in = accept4(listener, (struct sockaddr *)&peer, &bytes, SOCK_CLOEXEC);
        int out = socket_at(argv[2], &other);
        if (in < 0 || out < 0)
            return fail("accept");
        setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (connect(out, (struct sockaddr *)&other, sizeof other) == 0) {
            begin(in, out, type, name_of(argv[4], &peer, &own));
            begin(out, in, type, name_of(argv[4], &own, &peer));
        }
        close(in);
        close(out);
    }
}
