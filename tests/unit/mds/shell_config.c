/* The configuration: what is right is taken, what is wrong gets one line that says what and where.
 */
#include "mds/config.h"
#include "mds/config_value.h"
#include "base/log.h"
#include "tests/unit/store/temporary.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const char good[] = "[replica]\nnode = 2\nlisten = 127.0.0.1:7402\ndata = /var/lib/tutti\n"
                           "[group]\nname = alpha\nmember.3 = c:7403\nmember.1 = a:7401\n"
                           "member.2 = [::1]:7402\n";

static int read_text(const char *text, bool strict, struct mds_config *config, struct error *error)
{
    char directory[64], path[128];
    temporary_make(directory);
    snprintf(path, sizeof path, "%s/conf", directory);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    fclose(file);
    log_set_level(LOG_LEVEL_ERROR);
    int rc = config_read(path, strict, config, error);
    temporary_remove(directory);
    return rc;
}

Test(config, takes_values_and_sorts_members)
{
    struct mds_config config;
    struct error error;
    char text[1024];
    snprintf(text, sizeof text,
             "%s[storage]\ndurability = memory\ncache = 32M\ncompression = no\n"
             "[order]\nheartbeat = 20ms\nmeasures = ack, ahead\n[limits]\ninline_max = 8K\n"
             "session_timeout = 2m\n[security]\nauth = none\n",
             good);
    cr_assert_eq(read_text(text, true, &config, &error), 0, "%s", error.text);
    cr_assert_eq(config.replica.node, 2);
    cr_assert_str_eq(config.replica.listen, "127.0.0.1:7402");
    cr_assert_str_eq(config.replica.cluster_name, "alpha");
    cr_assert_eq(config.replica.member_count, 3);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(config.replica.members[i].node, i + 1);
    cr_assert_str_eq(config.replica.members[2].address, "c:7403");
    cr_assert_eq(config.replica.durability, GCS_DURABILITY_MEMORY);
    cr_assert_eq(config.replica.cache_bytes, 32 << 20);
    cr_assert_not(config.leveldb.compression);
    cr_assert_eq(config.replica.heartbeat_ns, 20000000);
    cr_assert(config.replica.measures.fast_acknowledgement &&
              config.replica.measures.promise_ahead);
    cr_assert_not(config.replica.measures.subset_wait || config.replica.measures.on_behalf);
    cr_assert_eq(config.replica.limits.inline_bytes_max, 8192);
    cr_assert_eq(config.replica.session_timeout_ns, 120000000000);
    cr_assert_eq(config.warnings, 0);
}

Test(config, times_of_views)
{
    struct mds_config config;
    struct error error;
    char text[1024];
    snprintf(text, sizeof text,
             "%s[order]\nheartbeat = 20ms\nsuspect_after = 60ms\nlease = 50ms\ndrift = 500\n"
             "lag_after = 1s\nstart_wait = 0s\nhistory = 2M\nhistory_disk = 8G\n[replica]\nwitness = yes\n",
             good);
    cr_assert_eq(read_text(text, true, &config, &error), 0, "%s", error.text);
    cr_assert_eq(config.replica.suspect_after_ns, 60000000);
    cr_assert_eq(config.replica.lease_ns, 50000000);
    cr_assert_eq(config.replica.drift_ppm, 500);
    cr_assert_eq(config.replica.lag_after_ns, 1000000000);
    cr_assert_eq(config.replica.start_wait_ns, 0);
    cr_assert_eq(config.replica.history_bytes, 2 << 20);
    cr_assert_eq(config.replica.history_disk_bytes, 8ull << 30);
    cr_assert_eq(config.replica.give_up_ns, 410000000, "follows from the others");
    cr_assert(config.replica.witness && !config.replica.assume_no_partition);
    cr_assert_eq(config.warnings, 0);
}

Test(config, what_has_a_price_is_warned_of)
{
    static const char *const cases[] = {"assume_no_partition = yes\n", "lease = 500ms\n"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mds_config config;
        struct error error;
        char text[1024];
        snprintf(text, sizeof text, "%s[order]\n%s", good, cases[i]);
        cr_assert_eq(read_text(text, true, &config, &error), 0, "%s", error.text);
        cr_expect_eq(config.warnings, 1, "case %zu", i);
    }
}

/* A replica that was added later is in nobody's list. */
Test(config, members_are_contacts)
{
    struct mds_config config;
    struct error error;
    char text[1024];
    snprintf(text, sizeof text, "%s[replica]\nnode = 9\n", good);
    cr_assert_eq(read_text(text, true, &config, &error), 0, "%s", error.text);
    cr_assert_eq(config.replica.member_count, 3);
}

Test(config, members_in_one_line)
{
    struct mds_config config;
    struct error error;
    const char *text = "[replica]\nnode=1\nlisten=localhost:1\ndata=d\n[group]\nname=n\n"
                       "members = 2=b:2, 1=a:1\n";
    cr_assert_eq(read_text(text, true, &config, &error), 0, "%s", error.text);
    cr_assert_eq(config.replica.member_count, 2);
    cr_assert_str_eq(config.replica.members[0].address, "a:1");
}

Test(config, says_what_is_wrong)
{
    static const struct {
        const char *more; /* behind the good one */
        const char *says;
    } cases[] = {
        {"[replica]\nnode = 0\n", "1 to 255"},
        {"[replica]\nnode = 2x\n", "node = 2x"},
        {"[replica]\nlisten = nowhere\n", "listen = nowhere"},
        {"[replica]\nlisten = a:b\n", "listen = a:b"},
        {"[replica]\nlisten = 127.0.0.1:70000\n", "70000"},
        {"[replica]\nlisten = 0.0.0.0:7402\n", "auth = none"},
        {"[replica]\nlisten = 127.evil.example:7402\n", "auth = none"},
        {"[replica]\ndata =\n", "data"},
        {"[group]\nmember.2 = b:1\n", "twice"},
        {"[group]\nmember.4 = a:7401\n", "same address"},
        {"[group]\nmember.x = a:1\n", "member.x"},
        {"[group]\nmember.5 = a:\n", "member.5"},
        {"[storage]\ndurability = perhaps\n", "disk or memory"},
        {"[storage]\ncache = lots\n", "size"},
        {"[storage]\ncache = 1K\n", "size"},
        {"[storage]\ncompression = maybe\n", "yes or no"},
        {"[order]\nheartbeat = 0\n", "duration"},
        {"[order]\nmeasures = magic\n", "subset"},
        {"[order]\nheartbeat = 200ms\n", "three heartbeats"},
        {"[order]\nsuspect_after = 149ms\n", "three heartbeats"},
        {"[order]\nlease = 100ms\n", "two heartbeats"},
        {"[order]\nlag_after = 399ms\n", "sooner than"},
        {"[order]\ngive_up = 299ms\n", "shorter than a lease"},
        {"[order]\ndrift = 200001\n", "0 to 200000"},
        {"[order]\nhistory = 1K\n", "size"},
        {"[order]\nassume_no_partition = perhaps\n", "yes or no"},
        {"[replica]\nwitness = 1\n", "yes or no"},
        {"[limits]\ninline_max = 1M\n", "64.0 KiB"},
        {"[limits]\nclients_max = -1\n", "clients_max"},
        {"[security]\nauth = tls\n", "auth"},
        {"nonsense\n", "key = value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mds_config config;
        struct error error = {{0}};
        char text[1024];
        snprintf(text, sizeof text, "%s%s", good, cases[i].more);
        cr_expect_lt(read_text(text, false, &config, &error), 0, "case %zu was taken", i);
        cr_expect_not_null(strstr(error.text, cases[i].says), "case %zu says: %s", i, error.text);
        cr_expect_null(strchr(error.text, '\n'));
    }
}

Test(config, says_what_is_missing)
{
    static const char *const needed[] = {"node = 2\n", "listen = 127.0.0.1:7402\n",
                                         "data = /var/lib/tutti\n", "name = alpha\n"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        struct mds_config config;
        struct error error = {{0}};
        char text[512];
        const char *at = strstr(good, needed[i]);
        snprintf(text, sizeof text, "%.*s%s", (int)(at - good), good, at + strlen(needed[i]));
        cr_expect_lt(read_text(text, false, &config, &error), 0);
        cr_expect_not_null(strstr(error.text, "missing"), "%s", error.text);
    }
}

Test(config, unknown_key_is_a_warning_or_an_error)
{
    struct mds_config config;
    struct error error;
    char text[512];
    snprintf(text, sizeof text, "%s[storage]\ndurabilty = disk\n[odd]\nkey = 1\n", good);
    cr_assert_eq(read_text(text, false, &config, &error), 0);
    cr_assert_eq(config.warnings, 2);
    cr_assert_lt(read_text(text, true, &config, &error), 0);
    cr_assert_not_null(strstr(error.text, "'durability' in [storage]"), "%s", error.text);
}

Test(config, no_file)
{
    struct mds_config config;
    struct error error;
    cr_assert_eq(config_read("/nonexistent/tutti.conf", false, &config, &error), -ENOENT);
    cr_assert_not_null(strstr(error.text, "--config"));
}

Test(config, edit_distance)
{
    static const struct {
        const char *a, *b;
        size_t distance;
    } cases[] = {{"", "", 0},           {"", "abc", 3},           {"cache", "cache", 0},
                 {"cahce", "cache", 2}, {"kitten", "sitting", 3}, {"node", "nodes", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(config_edit_distance(cases[i].a, cases[i].b), cases[i].distance);
        cr_expect_eq(config_edit_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
}
