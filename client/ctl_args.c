/* tuttictl's command line: words first (the verb), options anywhere, then members or addresses.
 * What is wrong is refused before anything is asked of a replica. */
#include "client/ctl_args.h"
#include "base/size.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_DEFAULT_NS (5ull * 1000 * 1000 * 1000)

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'},          {"version", no_argument, NULL, 'V'},
    {"name", required_argument, NULL, 'n'},    {"json", no_argument, NULL, 'j'},
    {"timeout", required_argument, NULL, 't'}, {0},
};

int ctl_check_address(const char *text, struct error *error)
{
    const char *colon = strrchr(text, ':');
    bool bracketed = text[0] == '[' && colon && colon > text + 2 && colon[-1] == ']';
    bool plain =
        text[0] != '[' && colon && colon > text && !memchr(text, ':', (size_t)(colon - text));
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    if ((!bracketed && !plain) || !digits || digits > 5 || colon[1 + digits])
        return error_set(error, -EINVAL, "'%s' is not host:port", text);
    long port = strtol(colon + 1, NULL, 10);
    if (port < 1 || port > 65535)
        return error_set(error, -EINVAL, "'%s': a port is 1 to 65535", text);
    return 0;
}

static int take_option(int option, struct ctl_command *command, struct error *error)
{
    switch (option) {
    case 'h':
        command->verb = CTL_HELP;
        return 0;
    case 'V':
        command->verb = CTL_VERSION;
        return 0;
    case 'n':
        command->name = optarg;
        return 0;
    case 'j':
        command->json = true;
        return 0;
    default:
        if (duration_parse(optarg, &command->timeout_ns) || !command->timeout_ns)
            return error_set(error, -EINVAL, "--timeout '%s' is no time; write 500ms, 5s or 1m",
                             optarg);
        return 0;
    }
}

/* All options; *ret_asked where --help or --version decides. Leaves the words behind optind. */
static int take_options(int argc, char **argv, struct ctl_command *command, bool *ret_asked,
                        struct error *error)
{
    int option;
    opterr = 0;
    optind = 0; /* glibc: start afresh, also the second time in one process */
    while ((option = getopt_long(argc, argv, ":hVn:jt:", options, NULL)) != -1) {
        const char *word = argv[optind - 1];
        if (option == '?')
            return error_set(error, -EINVAL, "unknown option '%s'", word);
        if (option == ':')
            return error_set(error, -EINVAL, "'%s' needs a value", word);
        int code = take_option(option, command, error);
        if (code)
            return code;
        *ret_asked |= option == 'h' || option == 'V';
    }
    return 0;
}

static int check_name(const char *name, struct error *error)
{
    if (!name || !*name)
        return error_set(error, -EINVAL, "cluster create needs --name NAME");
    if (strlen(name) > CTL_NAME_BYTES_MAX)
        return error_set(error, -EINVAL, "the name has more than %d characters",
                         CTL_NAME_BYTES_MAX);
    for (const char *c = name; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", *c))
            return error_set(error, -EINVAL,
                             "the name '%s' may have letters, digits, '-', '_' and '.' only", name);
    return 0;
}

static int take_member(struct ctl_command *command, const char *word, struct error *error)
{
    char *end;
    errno = 0;
    long node = strtol(word, &end, 10);
    if (end == word || *end != '=' || errno || node < 1 || node > CTL_NODE_MAX || *word == '+')
        return error_set(error, -EINVAL, "'%s' is no member; write NODE=HOST:PORT, NODE 1 to %d",
                         word, CTL_NODE_MAX);
    int code = ctl_check_address(end + 1, error);
    if (code)
        return error_wrap(error, code, "member %ld", node);
    for (uint32_t i = 0; i < command->member_count; i++) {
        if (command->members[i].node == node)
            return error_set(error, -EINVAL, "node %ld is given twice", node);
        if (!strcmp(command->members[i].address, end + 1))
            return error_set(error, -EINVAL, "%s is given twice", end + 1);
    }
    if (command->member_count == CTL_MEMBERS_MAX)
        return error_set(error, -EINVAL, "a cluster has at most %d members", CTL_MEMBERS_MAX);
    command->members[command->member_count++] = (struct ctl_member){(uint8_t)node, end + 1};
    return 0;
}

static int take_create(struct ctl_command *command, char **words, struct error *error)
{
    command->verb = CTL_CLUSTER_CREATE;
    int code = check_name(command->name, error);
    for (; !code && *words; words++)
        code = take_member(command, *words, error);
    if (!code && !command->member_count)
        code = error_set(error, -EINVAL, "cluster create needs its members: 1=HOST:PORT ...");
    return code;
}

static int take_status(struct ctl_command *command, char **words, struct error *error)
{
    command->verb = CTL_STATUS;
    for (; *words; words++) {
        int code = ctl_check_address(*words, error);
        if (code)
            return code;
        if (command->address_count == CTL_ADDRESSES_MAX)
            return error_set(error, -EINVAL, "more than %d addresses", CTL_ADDRESSES_MAX);
        command->addresses[command->address_count++] = *words;
    }
    if (!command->address_count)
        return error_set(error, -EINVAL, "status needs an address: HOST:PORT ...");
    return 0;
}

int ctl_parse(int argc, char **argv, struct ctl_command *ret_command, struct error *error)
{
    bool asked = false;
    *ret_command = (struct ctl_command){.timeout_ns = TIMEOUT_DEFAULT_NS};
    int code = take_options(argc, argv, ret_command, &asked, error);
    if (code || asked)
        return code;
    char **words = argv + optind;
    if (words[0] && !strcmp(words[0], "status"))
        return take_status(ret_command, words + 1, error);
    if (words[0] && !strcmp(words[0], "cluster") && words[1] && !strcmp(words[1], "create"))
        return take_create(ret_command, words + 2, error);
    if (!words[0])
        return error_set(error, -EINVAL, "what to do? cluster create, or status");
    return error_set(error, -EINVAL, "unknown command '%s%s%s'", words[0], words[1] ? " " : "",
                     words[1] ? words[1] : "");
}
