/* client/ctl_args.c: what is understood, and what is refused with which words. */
#include "client/ctl_args.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 80 };

static char line_copy[4096];
static struct ctl_command command;
static struct error error;

static int parse(const char *line)
{
    char *argv[WORDS_MAX] = {"tuttictl"};
    int argc = 1;
    snprintf(line_copy, sizeof line_copy, "%s", line);
    for (char *word = strtok(line_copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    error.text[0] = 0;
    return ctl_parse(argc, argv, &command, &error);
}

Test(ctl_args, create)
{
    cr_assert(
        parse("cluster create --name a-b.c_1 1=mds1:7400 3=[::1]:7402 --json 255=10.0.0.1:1") == 0,
        "%s", error.text);
    cr_expect(command.verb == CTL_CLUSTER_CREATE && command.json && command.member_count == 3);
    cr_expect(!strcmp(command.name, "a-b.c_1"));
    cr_expect(command.members[0].node == 1 && !strcmp(command.members[0].address, "mds1:7400"));
    cr_expect(command.members[1].node == 3 && !strcmp(command.members[1].address, "[::1]:7402"));
    cr_expect(command.members[2].node == 255);
}

Test(ctl_args, status)
{
    cr_assert(parse("--timeout=1.5s status a:1 b:2 c:65535") == 0, "%s", error.text);
    cr_expect(command.verb == CTL_STATUS && !command.json && command.address_count == 3);
    cr_expect(command.timeout_ns == 1500ull * 1000 * 1000);
    cr_expect(!strcmp(command.addresses[2], "c:65535"));
    cr_expect(parse("status -j a:1") == 0 && command.json);
}

Test(ctl_args, help)
{
    cr_expect(parse("--help") == 0 && command.verb == CTL_HELP);
    cr_expect(parse("cluster create --help") == 0 && command.verb == CTL_HELP);
    cr_expect(parse("-V") == 0 && command.verb == CTL_VERSION);
}

Test(ctl_args, refusals)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"", "what to do"},
        {"destroy", "unknown command 'destroy'"},
        {"cluster destroy", "unknown command 'cluster destroy'"},
        {"cluster", "unknown command 'cluster'"},
        {"status", "HOST:PORT"},
        {"status a", "'a' is not host:port"},
        {"status a:", "not host:port"},
        {"status :1", "not host:port"},
        {"status a:0", "1 to 65535"},
        {"status a:65536", "1 to 65535"},
        {"status a:1x", "not host:port"},
        {"status a:123456789012", "not host:port"},
        {"status ::1:1", "not host:port"},
        {"status []:1", "not host:port"},
        {"status --jsn a:1", "unknown option '--jsn'"},
        {"status a:1 --timeout", "'--timeout' needs a value"},
        {"status a:1 --timeout soon", "'soon' is no time"},
        {"status a:1 --timeout 0", "'0' is no time"},
        {"cluster create 1=a:1", "--name"},
        {"cluster create --name x", "members"},
        {"cluster create --name x/y 1=a:1", "letters"},
        {"cluster create --name x a:1", "NODE=HOST:PORT"},
        {"cluster create --name x 0=a:1", "NODE=HOST:PORT"},
        {"cluster create --name x 256=a:1", "NODE=HOST:PORT"},
        {"cluster create --name x -- -1=a:1", "NODE=HOST:PORT"},
        {"cluster create --name x 99999999999999999999=a:1", "NODE=HOST:PORT"},
        {"cluster create --name x 1=a", "member 1: 'a' is not host:port"},
        {"cluster create --name x 1=a:1 1=b:1", "node 1 is given twice"},
        {"cluster create --name x 1=a:1 2=a:1", "a:1 is given twice"},
        {"cluster create --name x 1=a:1 2=a:2 3=a:3 4=a:4 5=a:5 6=a:6 7=a:7 8=a:8", "at most 7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect(parse(cases[i].line) < 0, "'%s' is taken", cases[i].line);
        cr_expect(strstr(error.text, cases[i].says), "'%s' says '%s'", cases[i].line, error.text);
    }
}
