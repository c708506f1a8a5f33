/* tuttictl: the operator's program. Here: help, and which command runs. */
#include "client/ctl.h"

#include <signal.h>
#include <stdio.h>

static const char help[] =
    "usage: tuttictl cluster create --name NAME NODE=HOST:PORT ...\n"
    "       tuttictl status [--json] HOST:PORT ...\n"
    "       tuttictl --help | --version\n"
    "\n"
    "cluster create   Make one cluster of replicas that wait (tutti-mds --init). Each is named by\n"
    "                 the node id of its configuration. Interrupted, it can be repeated.\n"
    "status           What each replica says of itself, and whether replicas at the same index\n"
    "                 agree.\n"
    "\n"
    "  --name NAME      name of the cluster: letters, digits, '-', '_', '.'\n"
    "  --json           for programs: one JSON object a line\n"
    "  --timeout TIME   how long to wait for a replica (default 5s)\n"
    "\n"
    "exit code: 0 done; 1 failed or refused; 2 wrong usage; 3 a replica could not be reached\n"
    "\n"
    "examples:\n"
    "  tuttictl cluster create --name home 1=mds1:7400 2=mds2:7400 3=mds3:7400\n"
    "  tuttictl status mds1:7400 mds2:7400 mds3:7400\n"
    "  tuttictl status --json 127.0.0.1:7401 | python3 -m json.tool\n";

int main(int argc, char **argv)
{
    struct ctl_command command;
    struct error error = {{0}};
    signal(SIGPIPE, SIG_IGN);
    if (ctl_parse(argc, argv, &command, &error)) {
        fprintf(stderr, "tuttictl: %s\nTry 'tuttictl --help'.\n", error.text);
        return CTL_USAGE;
    }
    switch (command.verb) {
    case CTL_HELP:
        fputs(help, stdout);
        return CTL_OK;
    case CTL_VERSION:
        puts("tuttictl " TUTTI_VERSION);
        return CTL_OK;
    case CTL_CLUSTER_CREATE:
        return (int)ctl_create(&command);
    case CTL_STATUS:
        return (int)ctl_status(&command);
    }
    return CTL_FAILED;
}
