/* tuttictl's command line: words first (the verb), options anywhere, then members or addresses.
 * What is wrong is refused before anything is asked of a replica. */
#include "client/ctl_args.h"
#include "base/size.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_DEFAULT_NS (5ull * 1000 * 1000 * 1000)

enum { OPTION_AT = 256, OPTION_WITNESS, OPTION_NO_WAIT, OPTION_WAIT, OPTION_FORCE, OPTION_YES };

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"name", required_argument, NULL, 'n'},
    {"json", no_argument, NULL, 'j'},
    {"timeout", required_argument, NULL, 't'},
    {"at", required_argument, NULL, OPTION_AT},
    {"witness", required_argument, NULL, OPTION_WITNESS},
    {"no-wait", no_argument, NULL, OPTION_NO_WAIT},
    {"wait", required_argument, NULL, OPTION_WAIT},
    {"force", no_argument, NULL, OPTION_FORCE},
    {"yes-i-know", required_argument, NULL, OPTION_YES},
    {0},
};

/* --- single words --- */

int ctl_check_address(const char *text, struct error *error)
{
    const char *colon = strrchr(text, ':');
    bool bracketed = text[0] == '[' && colon && colon > text + 2 && colon[-1] == ']';
    bool plain =
        text[0] != '[' && colon && colon > text && !memchr(text, ':', (size_t)(colon - text));
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    if ((!bracketed && !plain) || !digits || digits > 5 || colon[1 + digits])
        return error_set(error, -EINVAL, "'%s' is not host:port", text);
    if (strlen(text) >= sizeof((struct ctl_member *)0)->address)
        return error_set(error, -EINVAL, "'%.40s...' is too long", text);
    long port = strtol(colon + 1, NULL, 10);
    if (port < 1 || port > 65535)
        return error_set(error, -EINVAL, "'%s': a port is 1 to 65535", text);
    return 0;
}

static int take_address(struct ctl_command *command, const char *word, struct error *error)
{
    int code = ctl_check_address(word, error);
    if (code)
        return code;
    if (command->address_count == CTL_ADDRESSES_MAX)
        return error_set(error, -EINVAL, "more than %d addresses", CTL_ADDRESSES_MAX);
    command->addresses[command->address_count++] = word;
    return 0;
}

/* NODE=HOST:PORT, at the end perhaps ",witness". */
static int parse_member(const char *word, struct ctl_member *ret, struct error *error)
{
    char *end;
    errno = 0;
    long node = strtol(word, &end, 10);
    if (end == word || *end != '=' || errno || node < 1 || node > CTL_NODE_MAX || *word == '+')
        return error_set(error, -EINVAL, "'%s' is no member; write NODE=HOST:PORT, NODE 1 to %d",
                         word, CTL_NODE_MAX);
    char address[sizeof ret->address];
    const char *comma = strchr(end + 1, ',');
    size_t bytes = comma ? (size_t)(comma - end - 1) : strlen(end + 1);
    if (comma && strcmp(comma, ",witness"))
        return error_set(error, -EINVAL, "member %ld: '%s' is not known; write ,witness or nothing",
                         node, comma);
    if (bytes >= sizeof address)
        return error_set(error, -EINVAL, "member %ld: the address is too long", node);
    snprintf(address, sizeof address, "%.*s", (int)bytes, end + 1);
    int code = ctl_check_address(address, error);
    if (code)
        return error_wrap(error, code, "member %ld", node);
    *ret = (struct ctl_member){.node = (uint8_t)node, .witness = comma != NULL};
    memcpy(ret->address, address, sizeof address);
    return 0;
}

static int take_member(struct ctl_command *command, const char *word, struct error *error)
{
    struct ctl_member member;
    int code = parse_member(word, &member, error);
    if (code)
        return code;
    for (uint32_t i = 0; i < command->member_count; i++) {
        if (command->members[i].node == member.node)
            return error_set(error, -EINVAL, "node %u is given twice", member.node);
        if (!strcmp(command->members[i].address, member.address))
            return error_set(error, -EINVAL, "%s is given twice", member.address);
    }
    if (command->member_count == CTL_MEMBERS_MAX)
        return error_set(error, -EINVAL, "a cluster has at most %d members", CTL_MEMBERS_MAX);
    command->members[command->member_count++] = member;
    return 0;
}

static int take_node(struct ctl_command *command, const char *word, struct error *error)
{
    char *end;
    long node = word ? strtol(word, &end, 10) : 0;
    if (!word || end == word || *end || node < 1 || node > CTL_NODE_MAX || *word == '+')
        return error_set(error, -EINVAL, "'%s' is no node id; write a number of 1 to %d",
                         word ? word : "", CTL_NODE_MAX);
    command->node = (uint8_t)node;
    return 0;
}

/* --- options --- */

static int take_duration(const char *name, uint64_t *to, struct error *error)
{
    if (duration_parse(optarg, to) || !*to)
        return error_set(error, -EINVAL, "%s '%s' is no time; write 500ms, 5s or 1m", name, optarg);
    return 0;
}

static int take_witness(struct ctl_command *command, struct error *error)
{
    int code = take_member(command, optarg, error);
    if (code == 0)
        command->members[command->member_count - 1].witness = true;
    return code;
}

static int take_option(int option, struct ctl_command *command, struct error *error)
{
    switch (option) {
    case 'h':
    case 'V':
        command->verb = option == 'h' ? CTL_HELP : CTL_VERSION;
        return 0;
    case 'n':
        command->name = optarg;
        return 0;
    case 'j':
        command->json = true;
        return 0;
    case OPTION_AT:
        return take_address(command, optarg, error);
    case OPTION_WITNESS:
        return take_witness(command, error);
    case OPTION_NO_WAIT:
        command->no_wait = true;
        return 0;
    case OPTION_WAIT:
        return take_duration("--wait", &command->wait_ns, error);
    case OPTION_FORCE:
        command->force = true;
        return 0;
    case OPTION_YES:
        command->yes_name = optarg;
        return 0;
    default:
        return take_duration("--timeout", &command->timeout_ns, error);
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

/* --- verbs --- */

static int check_name(const char *name, struct error *error)
{
    if (!name || !*name)
        return error_set(error, -EINVAL, "--name NAME is needed");
    if (strlen(name) > CTL_NAME_BYTES_MAX)
        return error_set(error, -EINVAL, "the name has more than %d characters",
                         CTL_NAME_BYTES_MAX);
    for (const char *c = name; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", *c))
            return error_set(error, -EINVAL,
                             "the name '%s' may have letters, digits, '-', '_' and '.' only", name);
    return 0;
}

static int check_data(const struct ctl_command *command, struct error *error)
{
    for (uint32_t i = 0; i < command->member_count; i++)
        if (!command->members[i].witness)
            return 0;
    return error_set(error, -EINVAL, "a member is needed that is no witness");
}

static int take_create(struct ctl_command *command, char **words, struct error *error)
{
    int code = check_name(command->name, error);
    for (; !code && *words; words++)
        code = take_member(command, *words, error);
    if (!code && !command->member_count)
        code = error_set(error, -EINVAL, "the members are missing: 1=HOST:PORT ...");
    return code ? code : check_data(command, error);
}

static int take_status(struct ctl_command *command, char **words, struct error *error)
{
    int code = 0;
    for (; !code && *words; words++)
        code = take_address(command, *words, error);
    if (!code && !command->address_count)
        code = error_set(error, -EINVAL, "it needs an address: HOST:PORT ...");
    return code;
}

static int no_more(char **words, struct error *error)
{
    return *words ? error_set(error, -EINVAL, "'%s' is too much", *words) : 0;
}

static int take_one_node(struct ctl_command *command, char **words, struct error *error)
{
    int code = take_node(command, *words, error);
    return code ? code : no_more(words + 1, error);
}

static int take_one_member(struct ctl_command *command, char **words, struct error *error)
{
    if (!*words)
        return error_set(error, -EINVAL, "the new replica is missing: NODE=HOST:PORT");
    int code = take_member(command, *words, error);
    return code ? code : no_more(words + 1, error);
}

static int take_replace(struct ctl_command *command, char **words, struct error *error)
{
    int code = take_node(command, *words, error);
    if (code == 0)
        code = take_one_member(command, words + 1, error);
    if (code == 0 && command->no_wait)
        code = error_set(error, -EINVAL, "replace has to wait: the old replica leaves last");
    if (code == 0 && command->node == command->members[0].node)
        code = error_set(error, -EINVAL, "the new replica needs an id of its own, not %u",
                         command->node);
    return code;
}

static int take_recover(struct ctl_command *command, char **words, struct error *error)
{
    int code = take_status(command, words, error);
    if (code == 0 && command->address_count != 1)
        code = error_set(error, -EINVAL, "recover needs exactly one replica: HOST:PORT");
    return code;
}

static const struct {
    const char *first, *second;
    enum ctl_verb verb;
    bool at; /* needs --at */
    int (*take)(struct ctl_command *command, char **words, struct error *error);
} verbs[] = {
    {"cluster", "create", CTL_CLUSTER_CREATE, false, take_create},
    {"status", NULL, CTL_STATUS, false, take_status},
    {"member", "list", CTL_MEMBER_LIST, false, take_status},
    {"member", "add", CTL_MEMBER_ADD, true, take_one_member},
    {"member", "remove", CTL_MEMBER_REMOVE, true, take_one_node},
    {"member", "replace", CTL_MEMBER_REPLACE, true, take_replace},
    {"member", "drain", CTL_MEMBER_DRAIN, true, take_one_node},
    {"member", "undrain", CTL_MEMBER_UNDRAIN, true, take_one_node},
    {"recover", NULL, CTL_RECOVER, false, take_recover},
};
enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

/* The place in the table; VERB_COUNT: none. */
static size_t find_verb(char **words)
{
    size_t i = 0;
    for (; words[0] && i < VERB_COUNT; i++)
        if (!strcmp(words[0], verbs[i].first) &&
            (!verbs[i].second || (words[1] && !strcmp(words[1], verbs[i].second))))
            return i;
    return VERB_COUNT;
}

int ctl_parse(int argc, char **argv, struct ctl_command *ret_command, struct error *error)
{
    bool asked = false;
    *ret_command = (struct ctl_command){.timeout_ns = TIMEOUT_DEFAULT_NS};
    int code = take_options(argc, argv, ret_command, &asked, error);
    if (code)
        return code;
    char **words = argv + optind;
    size_t i = find_verb(words);
    ret_command->topic = i < VERB_COUNT ? verbs[i].verb : CTL_HELP;
    if (asked)
        return 0;
    if (!words[0])
        return error_set(error, -EINVAL,
                         "what to do? cluster create, status, member ..., or recover");
    if (i == VERB_COUNT)
        return error_set(error, -EINVAL, "unknown command '%s%s%s'", words[0], words[1] ? " " : "",
                         words[1] ? words[1] : "");
    ret_command->verb = verbs[i].verb;
    code = verbs[i].take(ret_command, words + (verbs[i].second ? 2 : 1), error);
    if (code < 0)
        return error_wrap(error, code, "%s%s%s", verbs[i].first, verbs[i].second ? " " : "",
                          verbs[i].second ? verbs[i].second : "");
    if (verbs[i].at && !ret_command->address_count)
        return error_set(error, -EINVAL,
                         "%s %s needs --at HOST:PORT, the address of a replica of the group",
                         verbs[i].first, verbs[i].second);
    return 0;
}
