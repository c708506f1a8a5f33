/* The command line of tutti-mount, which mount(8) also calls as mount.fuse.tutti:
 *
 *     tutti-mount REPLICAS DIR [-o OPTION[,OPTION...]]... [-f] [-d] [-h] [-V]
 *
 * A comma ends an option, but a piece without '=' that begins with '/' goes on with the list of the
 * `data=` before it: "data=/a,/b" and "data=/a:/b" say the same. */
#include "base/size.h"
#include "client/mount.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t timeo_ns_default = 60000000000, timeo_ns_min = 1000000000;
enum { SLOTS_DEFAULT = 128, SLOTS_MAX = 1024, STRIPE_BYTES_DEFAULT = 1 << 20 };

/* What fstab may say to mount(8) or systemd and nobody else needs. */
static bool is_for_others(const char *option)
{
    static const char *const names[] = {"_netdev", "auto",  "noauto",  "nofail", "defaults",
                                        "user",    "users", "nouser",  "owner",  "group",
                                        "rw",      "async", "relatime"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(option, names[i]) == 0)
            return true;
    return strncmp(option, "x-", 2) == 0 || strncmp(option, "comment=", 8) == 0;
}

/* What the kernel and fusermount3 know. */
static bool is_for_kernel(const char *option)
{
    static const char *const names[] = {"ro",      "suid",  "nosuid",  "dev",
                                        "nodev",   "exec",  "noexec",  "sync",
                                        "dirsync", "atime", "noatime", "auto_unmount"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(option, names[i]) == 0)
            return true;
    return false;
}

static int append_kernel(struct mount_options *options, const char *option)
{
    char *joined;
    if (asprintf(&joined, "%s%s%s", options->kernel ? options->kernel : "",
                 options->kernel ? "," : "", option) < 0)
        return -ENOMEM;
    free(options->kernel);
    options->kernel = joined;
    return 0;
}

/* The process leaves its directory when it goes to the background. */
static int add_target(struct mount_options *options, const char *path, struct error *error)
{
    if (options->target_count == DATA_TARGETS_MAX)
        return error_set(error, -EINVAL, "more than %d data targets", DATA_TARGETS_MAX);
    char *absolute = realpath(path, NULL);
    if (!absolute)
        return error_set(error, -EINVAL, "data target %s: %s", path, strerror(errno));
    options->targets[options->target_count++] = absolute;
    return 0;
}

static int add_targets(struct mount_options *options, char *list, struct error *error)
{
    char *path;
    while ((path = strsep(&list, ":"))) {
        int rc = *path ? add_target(options, path, error) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int parse_number(const char *option, const char *text, uint32_t max, uint32_t *ret_number,
                        struct error *error)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || value > max)
        return error_set(error, -EINVAL, "%s=%s: a number up to %u is needed", option, text, max);
    *ret_number = (uint32_t)value;
    return 0;
}

static int parse_stripe(const char *text, uint32_t *ret_bytes, struct error *error)
{
    uint64_t bytes;
    if (size_parse(text, &bytes) < 0 || bytes < 4096 || bytes > (1u << 30) || bytes % 4096)
        return error_set(error, -EINVAL,
                         "stripe=%s: a multiple of 4K from 4K to 1G is needed, as in stripe=1M",
                         text);
    *ret_bytes = (uint32_t)bytes;
    return 0;
}

static int parse_timeo(struct mount_options *options, const char *text, struct error *error)
{
    if (duration_parse(text, &options->timeo_ns) < 0 || options->timeo_ns < timeo_ns_min)
        return error_set(error, -EINVAL,
                         "timeo=%s: a time of at least 1s is needed, as in timeo=30s", text);
    return 0;
}

static int copy_text(const char *text, char **to, struct error *error)
{
    free(*to);
    *to = strdup(text);
    return *to ? 0 : error_set(error, -ENOMEM, "no memory");
}

/* The process leaves its directory. */
static int parse_state(struct mount_options *options, const char *path, struct error *error)
{
    if (path[0] != '/')
        return error_set(error, -EINVAL, "state=%s: an absolute path is needed", path);
    return copy_text(path, &options->state, error);
}

/* An option with a value. */
static int parse_pair(struct mount_options *options, const char *name, char *value,
                      struct error *error)
{
    if (strcmp(name, "data") == 0)
        return add_targets(options, value, error);
    if (strcmp(name, "stripe") == 0)
        return parse_stripe(value, &options->stripe_bytes, error);
    if (strcmp(name, "first") == 0)
        return parse_number(name, value, 63, &options->first, error);
    if (strcmp(name, "slots") == 0) {
        int rc = parse_number(name, value, SLOTS_MAX, &options->slots, error);
        return !rc && !options->slots ? error_set(error, -EINVAL, "slots=0: at least 1") : rc;
    }
    if (strcmp(name, "log") == 0)
        return copy_text(value, &options->log_path, error);
    if (strcmp(name, "timeo") == 0)
        return parse_timeo(options, value, error);
    if (strcmp(name, "state") == 0)
        return parse_state(options, value, error);
    return error_set(error, -EINVAL, "unknown option %s= (see --help)", name);
}

static int parse_option(struct mount_options *options, char *option, struct error *error)
{
    if (is_for_others(option) || !*option)
        return 0;
    char *value = strchr(option, '=');
    if (value) {
        *value = 0;
        return parse_pair(options, option, value + 1, error);
    }
    if (is_for_kernel(option))
        return append_kernel(options, option);
    if (strcmp(option, "soft") == 0 || strcmp(option, "hard") == 0)
        options->soft = option[0] == 's';
    else if (strcmp(option, "allow_other") == 0)
        options->allow_other = true;
    else if (strcmp(option, "no_allow_other") == 0)
        options->no_allow_other = true;
    else if (strcmp(option, "debug") == 0)
        options->debug = options->foreground = true;
    else if (strcmp(option, "default_permissions") != 0)
        return error_set(error, -EINVAL, "unknown option %s (see --help)", option);
    return 0;
}

static int parse_list(struct mount_options *options, char *list, struct error *error)
{
    char *option;
    bool in_data = false;
    while ((option = strsep(&list, ","))) {
        bool goes_on = in_data && option[0] == '/' && !strchr(option, '=');
        in_data = goes_on || strncmp(option, "data=", 5) == 0;
        int rc =
            goes_on ? add_targets(options, option, error) : parse_option(options, option, error);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int parse_word(struct mount_options *options, const char *word, struct error *error)
{
    if (strcmp(word, "--help") == 0)
        options->help = true;
    else if (strcmp(word, "--version") == 0)
        options->version = true;
    else if (word[0] == '-' && word[1] == '-')
        return error_set(error, -EINVAL, "unknown option %s (see --help)", word);
    else if (!options->replicas)
        options->replicas = word;
    else if (!options->directory)
        options->directory = word;
    else
        return error_set(error, -EINVAL, "%s: only replicas and one directory are expected", word);
    return 0;
}

static int parse_flag(struct mount_options *options, int flag, char *value, struct error *error)
{
    switch (flag) {
    case 'o':
        return parse_list(options, value, error);
    case 'd':
        options->debug = options->foreground = true;
        return 0;
    case 'f':
        options->foreground = true;
        return 0;
    case 'h':
        options->help = true;
        return 0;
    case 'V':
        options->version = true;
        return 0;
    case 's': /* "sloppy" and "be quiet": mount(8) passes them on */
    case 'n':
    case 'v':
        return 0;
    default:
        return error_set(error, -EINVAL, "unknown option, or no value to it (see --help)");
    }
}

static int check(const struct mount_options *options, struct error *error)
{
    if (options->help || options->version)
        return 0;
    if (!options->replicas || !options->directory)
        return error_set(error, -EINVAL,
                         "replicas and a directory are needed, as in: tutti-mount "
                         "127.0.0.1:7401,127.0.0.1:7402 /mnt (see --help)");
    return 0;
}

int mount_options_parse(int argc, char **argv, struct mount_options *ret_options,
                        struct error *error)
{
    struct mount_options *options = ret_options;
    *options = (struct mount_options){.first = UINT32_MAX,
                                      .slots = SLOTS_DEFAULT,
                                      .stripe_bytes = STRIPE_BYTES_DEFAULT,
                                      .timeo_ns = timeo_ns_default};
    for (int i = 1; i < argc; i++) {
        int rc;
        if (argv[i][0] != '-' || argv[i][1] == '-' || !argv[i][1]) {
            rc = parse_word(options, argv[i], error);
        } else if (argv[i][1] == 'o') {
            char *list = argv[i][2] ? argv[i] + 2 : i + 1 < argc ? argv[++i] : NULL;
            rc = parse_flag(options, list ? 'o' : '?', list, error);
        } else {
            rc = 0;
            for (const char *flag = argv[i] + 1; *flag && !rc; flag++)
                rc = parse_flag(options, *flag == 'o' ? '?' : *flag, NULL, error);
        }
        if (rc < 0)
            return rc;
    }
    return check(options, error);
}

void mount_options_finish(struct mount_options *options)
{
    for (uint32_t i = 0; i < options->target_count; i++)
        free(options->targets[i]);
    free(options->log_path);
    free(options->state);
    free(options->kernel);
}
