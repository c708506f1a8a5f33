/* Options of tutti-bench: those of mdtest, and those for the library. */
#include "base/size.h"
#include "bench/mdtest.h"

#include "client/tutti.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: tutti-bench [OPTION ...] -n ITEMS -d DIR\n"
    "       tutti-bench [OPTION ...] -n ITEMS --replicas HOST:PORT[,...] [--inflight N]\n"
    "\n"
    "Measure a file system's metadata operations as mdtest does: several processes create, stat "
    "and\n"
    "remove directories, then create, stat, read and remove files. A rate is all operations of "
    "all\n"
    "processes, divided by the time from the first one's start to the last one's end.\n"
    "\n"
    "The first form works on any directory: a mount of Tutti, or another file system to compare\n"
    "with. The second form goes straight through the client library, without a mount, and keeps\n"
    "several operations of each process in flight.\n"
    "\n"
    "mdtest's options:\n"
    "  -n ITEMS    files and directories that each process makes\n"
    "  -u          a directory of its own for each process (default: all share one)\n"
    "  -F          files only\n"
    "  -D          directories only\n"
    "  -N STRIDE   stat what the process STRIDE ranks on made, read what the one at twice that "
    "made,\n"
    "              remove what the one at three times that made; so that no process profits from "
    "what\n"
    "              it has in its cache (default 0: its own)\n"
    "  -w SIZE     write so much to each file that is made (default 0)\n"
    "  -e SIZE     read so much of each file, and check it (default 0; at most what -w wrote)\n"
    "  -i COUNT    iterations of everything (default 1)\n"
    "  -d DIR      where to work; with --replicas a path in the name space (default /). It has to\n"
    "              exist. Everything is done below DIR/test-dir.*, which is removed afterwards\n"
    "\n"
    "further options:\n"
    "  -p, --processes N     how many processes (default 1, at most 256)\n"
    "  -r, --replicas LIST   through the library: replicas to connect to; process k prefers the "
    "k-th\n"
    "  -I, --inflight N      with --replicas: operations of each process in flight (default 1, at\n"
    "                        most 1024)\n"
    "      --json            one JSON object instead of the tables\n"
    "  -q, --quiet           no progress on stderr\n"
    "  -h, --help            this text\n"
    "      --version\n"
    "\n"
    "Through a directory an operation is one system call for directories and stat; open, write,\n"
    "close to create a file; open, read, close to read one. Through the library it is one request\n"
    "to stat (a lookup, which returns the attributes), to make and to remove; making a file with "
    "-w\n"
    "is two; reading one is a lookup, an open and with -e a read. Data is inline there: -w may "
    "not\n"
    "be more than the service's inline_max.\n"
    "\n"
    "The first table is mdtest's: operations a second over the iterations. The second one says "
    "how\n"
    "long single operations took.\n"
    "\n"
    "exit code: 0 done; 1 an operation failed, what was made is left there; 2 wrong usage\n"
    "\n"
    "examples:\n"
    "  tutti-bench -n 1000 -p 4 -d /mnt/tutti\n"
    "  tutti-bench -n 1000 -p 4 -u -F -w 3901 -e 3901 -i 3 -N 1 -d /mnt/tutti\n"
    "  tutti-bench -n 1000 -p 4 -d /var/tmp                  the same on the local file system\n"
    "  tutti-bench -n 20000 -r a:7400,b:7400,c:7400 -I 64    without a mount\n";

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value < min || value > max)
        return false;
    *ret_value = value;
    return true;
}

static bool number32(const char *text, uint64_t min, uint64_t max, uint32_t *ret_value)
{
    uint64_t value = 0;
    bool valid = number(text, min, max, &value);
    *ret_value = (uint32_t)value;
    return valid;
}

static bool option_take(struct mdtest_options *options, int option, const char *text)
{
    switch (option) {
    case 'n':
        return number(text, 1, 1000000000, &options->items);
    case 'u':
        options->unique = true;
        return true;
    case 'F':
        options->dirs = false;
        return true;
    case 'D':
        options->files = false;
        return true;
    case 'N':
        return number32(text, 0, MDTEST_PROCESSES_MAX, &options->stride);
    case 'w':
        return size_parse(text, &options->write_bytes) == 0;
    case 'e':
        return size_parse(text, &options->read_bytes) == 0;
    case 'i':
        return number32(text, 1, MDTEST_ITERATIONS_MAX, &options->iterations);
    case 'd':
        options->directory = text;
        return strlen(text) < MDTEST_PATH_MAX - 4 * MDTEST_NAME_MAX;
    case 'p':
        return number32(text, 1, MDTEST_PROCESSES_MAX, &options->processes);
    case 'r':
        options->replicas = text;
        return *text;
    case 'I':
        return number32(text, 1, PROTO_SLOTS_MAX, &options->inflight);
    case 'j':
        options->json = true;
        return true;
    case 'q':
        options->quiet = true;
        return true;
    default:
        return false;
    }
}

/* What holds between options; a text where it does not. */
static const char *options_contradict(struct mdtest_options *options)
{
    if (!options->items)
        return "how many items? -n is missing";
    if (!options->files && !options->dirs)
        return "-F and -D leave nothing to do";
    if (options->read_bytes > options->write_bytes)
        return "-e is more than -w writes";
    if (!options->replicas && options->inflight)
        return "--inflight needs --replicas";
    if (!options->replicas && !options->directory)
        return "where? -d or --replicas is missing";
    if (options->replicas && options->write_bytes > PROTO_INLINE_BYTES_MAX)
        return "with --replicas at most 64 KiB a file: data is inline";
    if (!options->directory)
        options->directory = "/";
    if (!options->inflight)
        options->inflight = 1;
    return NULL;
}

/* @value: what it is about; NULL: getopt has said it already, or the text says it. */
static int refuse(const char *value, const char *text)
{
    if (text)
        fprintf(stderr, "tutti-bench: %s%s%s\n", value ? value : "", value ? ": " : "", text);
    fprintf(stderr, "Try 'tutti-bench --help'.\n");
    return 2;
}

int mdtest_options_parse(int argc, char **argv, struct mdtest_options *options)
{
    static const struct option long_options[] = {
        {"processes", 1, NULL, 'p'}, {"replicas", 1, NULL, 'r'},
        {"inflight", 1, NULL, 'I'},  {"json", 0, NULL, 'j'},
        {"quiet", 0, NULL, 'q'},     {"help", 0, NULL, 'h'},
        {"version", 0, NULL, 'V'},   {0}};
    *options =
        (struct mdtest_options){.files = true, .dirs = true, .iterations = 1, .processes = 1};
    int option;
    while ((option = getopt_long(argc, argv, "n:uFDN:w:e:i:d:p:r:I:qh", long_options, NULL)) !=
           -1) {
        if (option == 'h' || option == 'V') {
            fputs(option == 'h' ? help : "tutti-bench " TUTTI_VERSION "\n", stdout);
            return 0;
        }
        if (option == '?')
            return refuse(NULL, NULL);
        if (!option_take(options, option, optarg))
            return refuse(optarg, "not a valid value");
    }
    const char *text =
        optind < argc ? "an argument that is no option" : options_contradict(options);
    return text ? refuse(NULL, text) : -1;
}
