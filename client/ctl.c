/* tuttictl: the operator's program. Here: which command runs. */
#include "client/ctl.h"

#include <signal.h>
#include <stdio.h>

static enum ctl_exit run(const struct ctl_command *command)
{
    switch (command->verb) {
    case CTL_HELP:
        fputs(ctl_help(command->topic), stdout);
        return CTL_OK;
    case CTL_VERSION:
        puts("tuttictl " TUTTI_VERSION);
        return CTL_OK;
    case CTL_CLUSTER_CREATE:
        return ctl_create(command);
    case CTL_STATUS:
        return ctl_status(command);
    case CTL_MEMBER_LIST:
        return ctl_member_list(command);
    case CTL_MEMBER_ADD:
        return ctl_member_add(command);
    case CTL_MEMBER_REMOVE:
        return ctl_member_remove(command);
    case CTL_MEMBER_REPLACE:
        return ctl_member_replace(command);
    case CTL_MEMBER_DRAIN:
    case CTL_MEMBER_UNDRAIN:
        return ctl_member_drain(command);
    case CTL_RECOVER:
        return ctl_recover(command);
    case CTL_VERB_COUNT:
        break;
    }
    return CTL_FAILED;
}

int main(int argc, char **argv)
{
    struct ctl_command command;
    struct error error = {{0}};
    signal(SIGPIPE, SIG_IGN);
    if (ctl_parse(argc, argv, &command, &error)) {
        fprintf(stderr, "tuttictl: %s\nTry 'tuttictl --help'.\n", error.text);
        return CTL_USAGE;
    }
    return (int)run(&command);
}
