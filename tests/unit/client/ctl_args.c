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

Test(ctl_args, witnesses)
{
    cr_assert(parse("cluster create --name x 1=a:1 3=c:1,witness --witness 2=[::1]:2") == 0, "%s",
              error.text);
    cr_assert(command.member_count == 3);
    for (uint32_t i = 0; i < 3; i++)
        cr_expect(command.members[i].witness == (command.members[i].node != 1));
    cr_expect(!strcmp(command.members[0].address, "[::1]:2"), "options come first");
    cr_expect(!strcmp(command.members[2].address, "c:1"));
}

Test(ctl_args, members)
{
    static const struct {
        const char *line;
        enum ctl_verb verb;
        uint8_t node, new_node;
        uint32_t addresses;
        bool json, no_wait;
    } cases[] = {
        {"member list a:1 b:2", CTL_MEMBER_LIST, 0, 0, 2, false, false},
        {"member list --at a:1 --json", CTL_MEMBER_LIST, 0, 0, 1, true, false},
        {"member add 4=d:1 --at a:1 --no-wait", CTL_MEMBER_ADD, 0, 4, 1, false, true},
        {"--at a:1 --at b:1 member add 255=[::1]:1", CTL_MEMBER_ADD, 0, 255, 2, false, false},
        {"member remove 3 --at a:1", CTL_MEMBER_REMOVE, 3, 0, 1, false, false},
        {"member replace 3 5=e:1 --at a:1", CTL_MEMBER_REPLACE, 3, 5, 1, false, false},
        {"member drain 2 --at a:1", CTL_MEMBER_DRAIN, 2, 0, 1, false, false},
        {"member undrain 2 --at a:1 -j", CTL_MEMBER_UNDRAIN, 2, 0, 1, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect(parse(cases[i].line) == 0, "'%s': %s", cases[i].line, error.text);
        cr_expect(command.verb == cases[i].verb, "'%s'", cases[i].line);
        cr_expect(command.node == cases[i].node, "'%s'", cases[i].line);
        cr_expect(command.address_count == cases[i].addresses, "'%s'", cases[i].line);
        cr_expect(command.member_count == (cases[i].new_node != 0), "'%s'", cases[i].line);
        cr_expect(command.members[0].node == cases[i].new_node, "'%s'", cases[i].line);
        cr_expect(command.json == cases[i].json && command.no_wait == cases[i].no_wait);
    }
    cr_expect(parse("member add 4=d:1 --at a:1 --wait 2m") == 0);
    cr_expect(command.wait_ns == 120000000000);
}

Test(ctl_args, recover)
{
    cr_expect(parse("recover a:1") == 0 && command.verb == CTL_RECOVER && !command.force);
    cr_expect(parse("recover --force --yes-i-know home a:1") == 0 && command.force);
    cr_expect(!strcmp(command.yes_name, "home") && command.address_count == 1);
}

/* Each command has a help of its own, with examples. */
Test(ctl_args, help)
{
    static const struct {
        const char *line;
        enum ctl_verb topic;
    } cases[] = {{"--help", CTL_HELP},
                 {"member --help", CTL_HELP},
                 {"cluster create --help", CTL_CLUSTER_CREATE},
                 {"status -h", CTL_STATUS},
                 {"member list --help", CTL_MEMBER_LIST},
                 {"member add --help", CTL_MEMBER_ADD},
                 {"member remove --help", CTL_MEMBER_REMOVE},
                 {"member replace --help", CTL_MEMBER_REPLACE},
                 {"member drain --help", CTL_MEMBER_DRAIN},
                 {"member undrain --help", CTL_MEMBER_UNDRAIN},
                 {"recover --help", CTL_RECOVER}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect(parse(cases[i].line) == 0 && command.verb == CTL_HELP, "'%s'", cases[i].line);
        cr_expect(command.topic == cases[i].topic, "'%s'", cases[i].line);
        const char *text = ctl_help(command.topic);
        cr_expect(strstr(text, "usage: tuttictl") && strstr(text, "examples:"), "%s", text);
        cr_expect((text == ctl_help(CTL_HELP)) == (command.topic == CTL_HELP), "'%s'",
                  cases[i].line);
    }
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
        {"cluster create --name x 1=a:1,witness", "no witness"},
        {"cluster create --name x 1=a:1,observer", "',observer' is not known"},
        {"member", "unknown command 'member'"},
        {"member dance", "unknown command 'member dance'"},
        {"member list", "HOST:PORT"},
        {"member add 4=d:1", "--at HOST:PORT"},
        {"member add --at a:1", "new replica is missing"},
        {"member add 4=d:1 5=e:1 --at a:1", "'5=e:1' is too much"},
        {"member remove --at a:1", "no node id"},
        {"member remove x --at a:1", "'x' is no node id"},
        {"member remove 256 --at a:1", "'256' is no node id"},
        {"member remove 1 2 --at a:1", "'2' is too much"},
        {"member remove 1", "--at HOST:PORT"},
        {"member replace 1 --at a:1", "new replica is missing"},
        {"member replace 1 1=b:1 --at a:1", "an id of its own"},
        {"member replace 1 2=b:1 --at a:1 --no-wait", "has to wait"},
        {"member drain --at nowhere 1", "not host:port"},
        {"member add 4=d:1 --at a:1 --wait soon", "'soon' is no time"},
        {"recover", "HOST:PORT"},
        {"recover a:1 b:1", "exactly one"},
        {"cluster create --name x 1=a:1 2=a:2 3=a:3 4=a:4 5=a:5 6=a:6 7=a:7 8=a:8", "at most 7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect(parse(cases[i].line) < 0, "'%s' is taken", cases[i].line);
        cr_expect(strstr(error.text, cases[i].says), "'%s' says '%s'", cases[i].line, error.text);
    }
}
