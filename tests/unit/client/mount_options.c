/* The command line of tutti-mount. */
#include "client/mount.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 8 };

static int parse(const char *const *words, struct mount_options *options, struct error *error)
{
    static char copies[WORDS_MAX][128];
    char *argv[WORDS_MAX + 2] = {"tutti-mount"};
    int argc = 1;
    for (; words[argc - 1]; argc++) {
        snprintf(copies[argc], sizeof copies[argc], "%s", words[argc - 1]);
        argv[argc] = copies[argc];
    }
    return mount_options_parse(argc, argv, options, error);
}

Test(mount_options, defaults)
{
    struct mount_options options;
    struct error error;
    cr_assert_eq(parse((const char *[]){"a:1,b:2", "/mnt", NULL}, &options, &error), 0);
    cr_assert_str_eq(options.replicas, "a:1,b:2");
    cr_assert_str_eq(options.directory, "/mnt");
    cr_assert_eq(options.stripe_bytes, 1 << 20);
    cr_assert_eq(options.first, UINT32_MAX);
    cr_assert(!options.foreground && !options.kernel && !options.target_count);
    mount_options_finish(&options);
}

Test(mount_options, lists_of_targets)
{
    static const char *const lists[] = {"data=/tmp,/usr", "data=/tmp:/usr", "ro,data=/tmp,/usr,dev",
                                        "data=/tmp,data=/usr"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct mount_options options;
        struct error error;
        const char *words[] = {"-o", lists[i], "a:1", "/mnt", NULL};
        cr_assert_eq(parse(words, &options, &error), 0, "%s: %s", lists[i], error.text);
        cr_assert_eq(options.target_count, 2, "%s", lists[i]);
        cr_assert_str_eq(options.targets[0], "/tmp");
        cr_assert_str_eq(options.targets[1], "/usr");
        mount_options_finish(&options);
    }
}

Test(mount_options, as_mount_8_calls_it)
{
    struct mount_options options;
    struct error error;
    const char *words[] = {
        "a:1",
        "/mnt",
        "-n",
        "-o",
        "rw,_netdev,nofail,x-systemd.automount,stripe=64K,first=2,nosuid,slots=7",
        NULL};
    cr_assert_eq(parse(words, &options, &error), 0, "%s", error.text);
    cr_assert_eq(options.stripe_bytes, 65536);
    cr_assert_eq(options.first, 2);
    cr_assert_eq(options.slots, 7);
    cr_assert_str_eq(options.kernel, "nosuid");
    mount_options_finish(&options);
}

Test(mount_options, how_long_calls_wait)
{
    struct mount_options options;
    struct error error;
    cr_assert_eq(parse((const char *[]){"a:1", "/mnt", NULL}, &options, &error), 0);
    cr_assert_not(options.soft);
    mount_options_finish(&options);
    const char *words[] = {"a:1", "/mnt", "-o", "soft,timeo=1500ms,state=/var/x", NULL};
    cr_assert_eq(parse(words, &options, &error), 0, "%s", error.text);
    cr_assert(options.soft && options.timeo_ns == 1500000000);
    cr_assert_str_eq(options.state, "/var/x");
    mount_options_finish(&options);
    words[3] = "soft,hard";
    cr_assert_eq(parse(words, &options, &error), 0, "%s", error.text);
    cr_assert_not(options.soft, "the last one counts");
    mount_options_finish(&options);
}

Test(mount_options, what_is_refused)
{
    static const char *const lists[][2] = {{"stripe=1000", "stripe"},
                                           {"timeo=10ms", "timeo"},
                                           {"timeo=x", "timeo"},
                                           {"state=here", "state"},
                                           {"stripe=x", "stripe"},
                                           {"first=-1", "first"},
                                           {"slots=0", "slots"},
                                           {"slots=100000", "slots"},
                                           {"nonsense", "nonsense"},
                                           {"nonsense=1", "nonsense"},
                                           {"data=/nonexistent", "/nonexistent"},
                                           {"/tmp", "/tmp"}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct mount_options options;
        struct error error;
        const char *words[] = {"a:1", "/mnt", "-o", lists[i][0], NULL};
        cr_assert_eq(parse(words, &options, &error), -EINVAL, "%s", lists[i][0]);
        cr_assert(strstr(error.text, lists[i][1]), "%s", error.text);
        mount_options_finish(&options);
    }
}

Test(mount_options, words)
{
    static const char *const words[][4] = {
        {NULL}, {"a:1", NULL}, {"a:1", "/mnt", "more", NULL}, {"a:1", "/mnt", "-o", NULL}};
    struct mount_options options;
    struct error error;
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(parse(words[i], &options, &error), -EINVAL);
        mount_options_finish(&options);
    }
    cr_assert_eq(parse((const char *[]){"-h", NULL}, &options, &error), 0);
    cr_assert(options.help);
    mount_options_finish(&options);
}
