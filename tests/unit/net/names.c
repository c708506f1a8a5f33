/* hello, death notice, members, address, reason. */
#include "net/address.h"
#include "net/death.h"
#include "net/hello.h"
#include "net/members.h"
#include "net/transport.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct net_hello sample(void)
{
    return (struct net_hello){.version = 1,
                              .role = NET_ROLE_MEMBER,
                              .node = 3,
                              .cluster = {1, 2, 3},
                              .store = {4, 5, 6},
                              .lineage_random = 7,
                              .lineage_generation = 8,
                              .incarnation_count = 9,
                              .incarnation_random = 10,
                              .epoch = 11};
}

Test(hello, round_trip_and_truncation)
{
    uint8_t raw[NET_HELLO_BYTES_MAX];
    struct net_hello sent = sample(), got;
    size_t bytes = net_hello_encode(&sent, raw);
    cr_assert_leq(bytes, NET_HELLO_BYTES_MAX);
    cr_assert_eq(net_hello_decode(raw, bytes, &got), 0);
    cr_assert_eq(memcmp(&got, &sent, sizeof got), 0);
    for (size_t cut = 0; cut < bytes; cut++)
        cr_assert_eq(net_hello_decode(raw, cut, &got), -EPROTO);
    memset(raw + bytes, 0xff, sizeof raw - bytes);
    cr_assert_eq(net_hello_decode(raw, sizeof raw, &got), 0, "room for authentication");
}

Test(hello, roles)
{
    static const struct {
        uint8_t role, node;
        int code;
    } cases[] = {{0, 1, -EPROTO},
                 {NET_ROLE_MEMBER, 0, -EPROTO},
                 {NET_ROLE_MEMBER, 1, 0},
                 {NET_ROLE_CLIENT, 0, 0},
                 {NET_ROLE_ADMIN, 0, 0},
                 {NET_ROLE_SUPERVISOR, 0, -EPROTO},
                 {NET_ROLE_SUPERVISOR, 1, 0},
                 {NET_ROLE_TRANSFER, 0, -EPROTO},
                 {NET_ROLE_TRANSFER, 1, 0},
                 {6, 1, -EPROTO},
                 {255, 1, -EPROTO}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t raw[NET_HELLO_BYTES_MAX];
        struct net_hello hello = sample(), got;
        hello.role = cases[i].role;
        hello.node = cases[i].node;
        size_t bytes = net_hello_encode(&hello, raw);
        cr_expect_eq(net_hello_decode(raw, bytes, &got), cases[i].code, "case %zu", i);
    }
}

Test(death, round_trip_and_what_is_refused)
{
    uint8_t raw[NET_DEATH_BYTES + 1] = {0};
    struct net_death got, sent = {.node = 2,
                                  .store = {[15] = 7},
                                  .incarnation_count = 3,
                                  .incarnation_random = UINT64_MAX};
    net_death_encode(&sent, raw);
    cr_assert_eq(net_death_decode(raw, NET_DEATH_BYTES, &got), 0);
    cr_expect_eq(got.node, sent.node);
    cr_expect_eq(memcmp(got.store, sent.store, sizeof got.store), 0);
    cr_expect_eq(got.incarnation_count, sent.incarnation_count);
    cr_expect_eq(got.incarnation_random, sent.incarnation_random);
    for (size_t cut = 0; cut < NET_DEATH_BYTES; cut++)
        cr_expect_eq(net_death_decode(raw, cut, &got), -EPROTO, "%zu bytes", cut);
    cr_expect_eq(net_death_decode(raw, sizeof raw, &got), -EPROTO, "one too many");
    struct net_death nobody = sent, never = sent;
    nobody.node = 0;
    never.incarnation_count = 0;
    net_death_encode(&nobody, raw);
    cr_expect_eq(net_death_decode(raw, NET_DEATH_BYTES, &got), -EPROTO, "node 0");
    net_death_encode(&never, raw);
    cr_expect_eq(net_death_decode(raw, NET_DEATH_BYTES, &got), -EPROTO, "start 0");
}

Test(members, round_trip_and_what_is_refused)
{
    uint8_t raw[NET_MEMBERS_BYTES_MAX + 1] = {0};
    struct net_members got, sent = {.epoch = 9, .count = 2};
    strcpy(sent.addresses[0], "a:1");
    memset(sent.addresses[1], 'b', NET_MEMBER_ADDRESS_BYTES - 1);
    size_t bytes = net_members_encode(&sent, raw);
    cr_assert_eq(net_members_decode(raw, bytes, &got), 0);
    cr_expect_eq(memcmp(&sent, &got, sizeof got), 0);
    for (size_t cut = 0; cut < bytes; cut++)
        cr_expect_eq(net_members_decode(raw, cut, &got), -EPROTO, "%zu bytes", cut);
    cr_expect_eq(net_members_decode(raw, bytes + 1, &got), -EPROTO, "one too many");
    sent.addresses[0][1] = '\033';
    cr_expect_eq(net_members_decode(raw, net_members_encode(&sent, raw), &got), -EPROTO);
    sent.addresses[0][0] = '\0';
    cr_expect_eq(net_members_decode(raw, net_members_encode(&sent, raw), &got), -EPROTO, "empty");
    raw[8] = NET_MEMBERS_MAX + 1;
    cr_expect_eq(net_members_decode(raw, sizeof raw, &got), -EPROTO, "too many");
}

Test(address, split)
{
    static const struct {
        const char *address, *host, *port;
    } cases[] = {
        {"localhost:7400", "localhost", "7400"},
        {"127.0.0.1:0", "127.0.0.1", "0"},
        {"[::1]:65535", "::1", "65535"},
        {"::1:7400", NULL, NULL},
        {"[::1]", NULL, NULL},
        {"host", NULL, NULL},
        {"host:", NULL, NULL},
        {"host:65536", NULL, NULL},
        {"host:-1", NULL, NULL},
        {"host:+1", NULL, NULL},
        {"host:1x", NULL, NULL},
        {"host:123456", NULL, NULL},
        {":1", NULL, NULL},
        {"[]:1", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char host[NET_HOST_BYTES] = "", port[NET_PORT_BYTES] = "";
        struct error error = {""};
        int rc = net_address_split(cases[i].address, host, port, &error);
        cr_expect_eq(rc, cases[i].host ? 0 : -EINVAL, "\"%s\"", cases[i].address);
        if (cases[i].host) {
            cr_expect_str_eq(host, cases[i].host);
            cr_expect_str_eq(port, cases[i].port);
        } else {
            cr_expect(error.text[0], "\"%s\" is refused without a word", cases[i].address);
        }
    }
}

Test(address, long_host)
{
    char address[400], host[NET_HOST_BYTES], port[NET_PORT_BYTES];
    memset(address, 'h', sizeof address);
    strcpy(address + 255, ":1");
    cr_assert_eq(net_address_split(address, host, port, NULL), 0);
    strcpy(address + 255, "h:1");
    cr_assert_eq(net_address_split(address, host, port, NULL), -EINVAL);
}

Test(address, numeric_and_back)
{
    struct sockaddr_storage address;
    char text[64];
    cr_assert_eq(net_address_numeric("127.0.0.2", "7401", &address), 0);
    cr_assert_str_eq(net_address_format(&address, text), "127.0.0.2:7401");
    cr_assert_eq(net_address_numeric("::1", "7401", &address), 0);
    cr_assert_str_eq(net_address_format(&address, text), "[::1]:7401");
    cr_assert_eq(net_address_numeric("localhost", "1", &address), -EINVAL);
}

Test(address, source)
{
    struct sockaddr_storage address;
    struct error error = {""};
    char text[64];
    cr_assert_eq(net_address_source("127.0.0.2", &address, &error), 0);
    cr_assert_str_eq(net_address_format(&address, text), "127.0.0.2:0");
    cr_assert_eq(net_address_source("::1", &address, &error), 0);
    cr_assert_eq(net_address_source("127.0.0.2:99", &address, &error), 0);
    cr_assert_str_eq(net_address_format(&address, text), "127.0.0.2:99");
    cr_assert_eq(net_address_source("eth0", &address, &error), -EINVAL);
    cr_assert(error.text[0]);
}

Test(reason, each_has_a_name)
{
    for (int a = NET_REASON_LOCAL; a <= NET_REASON_SYSTEM; a++)
        for (int b = NET_REASON_LOCAL; b < a; b++)
            cr_assert_str_neq(net_reason_name((enum net_reason)a),
                              net_reason_name((enum net_reason)b));
}
