/* client/members_file.c: what is read is what was written, and nothing else. */
#include "client/members_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/tutti-members.XXXXXX";
static char *path;

static void setup(void)
{
    cr_assert(mkdtemp(folder));
    cr_assert(asprintf(&path, "%s/a/b/members", folder) > 0);
}

static void teardown(void)
{
    char *command;
    cr_assert(asprintf(&command, "rm -r '%s'", folder) > 0);
    cr_assert_eq(system(command), 0);
    free(command);
    free(path);
}

TestSuite(members_file, .init = setup, .fini = teardown);

static struct net_members written(uint32_t count)
{
    struct net_members members = {.count = count};
    struct error error;
    for (uint32_t i = 0; i < count; i++)
        snprintf(members.addresses[i], sizeof members.addresses[i], "host-%u:7400", i);
    cr_assert_eq(members_file_write(path, &members, &error), 0, "%s", error.text);
    return members;
}

Test(members_file, is_read_as_it_was_written)
{
    for (uint32_t count = 0; count <= NET_MEMBERS_MAX; count++) {
        struct net_members got, sent = written(count);
        members_file_read(path, &got);
        cr_expect_eq(memcmp(&got, &sent, sizeof got), 0, "%u members", count);
    }
}

Test(members_file, what_is_no_address_is_passed_over)
{
    struct net_members got;
    members_file_read(path, &got);
    cr_expect_eq(got.count, 0, "there is no file");
    (void)written(1);
    FILE *file = fopen(path, "w");
    fprintf(file, "a:1\nnonsense\n\n:7\n[::1]:7400\n%0200d:1\nb:70000\nlast:2", 0);
    fclose(file);
    members_file_read(path, &got);
    cr_assert_eq(got.count, 3);
    cr_expect_str_eq(got.addresses[0], "a:1");
    cr_expect_str_eq(got.addresses[1], "[::1]:7400");
    cr_expect_str_eq(got.addresses[2], "last:2");
    file = fopen(path, "w");
    for (int i = 0; i < 100000; i++)
        fprintf(file, "host-%d:1\n", i);
    fclose(file);
    members_file_read(path, &got);
    cr_expect_eq(got.count, NET_MEMBERS_MAX);
}

Test(members_file, one_that_cannot_be_written_says_why)
{
    struct net_members members = {.count = 1, .addresses = {"a:1"}};
    struct error error;
    cr_expect_eq(members_file_write("/proc/nowhere/members", &members, &error), -ENOENT);
    cr_expect(strstr(error.text, "/proc/nowhere/members"));
}

Test(members_file, each_list_of_replicas_has_its_own)
{
    char *a = members_file_path("/s", "a:1"), *b = members_file_path("/s", "b:1"),
         *again = members_file_path("/s", "a:1"), *usual = members_file_path(NULL, "a:1");
    cr_expect_str_eq(a, again);
    cr_expect_str_neq(a, b);
    cr_expect_eq(strncmp(a, "/s/members-", 11), 0);
    cr_expect(usual && usual[0] == '/');
    free(a), free(b), free(again), free(usual);
}
