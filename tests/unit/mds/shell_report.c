/* What a worker tells its supervisor: there and back, and everything else is refused. */
#include "mds/worker_report.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct replica_view_report sample(void)
{
    return (struct replica_view_report){.node = 2,
                                        .cluster = {1},
                                        .store = {2},
                                        .incarnation_count = 3,
                                        .incarnation_random = 4,
                                        .members = {{.node = 1, .address = "127.0.0.1:7401"},
                                                    {.node = 2, .address = "[::1]:7402"},
                                                    {.node = 9, .address = "host:7403"}},
                                        .member_count = 3};
}

static void assert_equal(const struct replica_view_report *a, const struct replica_view_report *b)
{
    uint8_t one[WORKER_REPORT_BYTES], other[WORKER_REPORT_BYTES];
    worker_report_encode(a, one);
    worker_report_encode(b, other);
    cr_assert_eq(memcmp(one, other, sizeof one), 0);
}

Test(report, over_the_socket)
{
    struct replica_view_report sent = sample(), got;
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    cr_assert_eq(worker_report_receive(pair[0], &got), WORKER_REPORT_NONE);
    cr_assert_eq(worker_report_send(pair[1], &sent), 0);
    cr_assert_eq(send(pair[1], "nonsense", 8, 0), 8);
    sent.incarnation_count++;
    cr_assert_eq(worker_report_send(pair[1], &sent), 0);
    cr_assert_eq(worker_report_receive(pair[0], &got), 0);
    cr_assert_eq(got.incarnation_count, 3);
    cr_assert_eq(got.members[2].node, 9);
    cr_assert_str_eq(got.members[2].address, "host:7403");
    cr_assert_eq(worker_report_receive(pair[0], &got), -EPROTO, "and it is used up");
    cr_assert_eq(worker_report_receive(pair[0], &got), 0);
    assert_equal(&got, &sent);
    cr_assert_eq(worker_report_receive(pair[0], &got), WORKER_REPORT_NONE);
    while (worker_report_send(pair[1], &sent) == 0)
        ;
    cr_assert_eq(worker_report_send(pair[1], &sent), -EAGAIN, "a full socket makes nobody wait");
    close(pair[0]);
    cr_assert_lt(worker_report_send(pair[1], &sent), 0);
    close(pair[1]);
}

Test(report, what_is_refused)
{
    struct replica_view_report wrong[7], got;
    uint8_t bytes[WORKER_REPORT_BYTES + 1];
    for (size_t i = 0; i < 7; i++)
        wrong[i] = sample();
    wrong[0].node = 0;
    wrong[1].incarnation_count = 0;
    wrong[2].member_count = 0;
    wrong[3].members[1].node = 1;
    wrong[4].members[2].node = 1;
    strcpy(wrong[5].members[0].address, "nowhere");
    wrong[6].members[0].address[0] = 0;
    for (size_t i = 0; i < 7; i++) {
        worker_report_encode(&wrong[i], bytes);
        cr_expect_eq(worker_report_decode(bytes, WORKER_REPORT_BYTES, &got), -EPROTO, "case %zu",
                     i);
    }
    struct replica_view_report right = sample();
    worker_report_encode(&right, bytes);
    cr_expect_eq(worker_report_decode(bytes, WORKER_REPORT_BYTES, &got), 0);
    cr_expect_eq(worker_report_decode(bytes, WORKER_REPORT_BYTES + 1, &got), -EPROTO);
    for (size_t cut = 0; cut < WORKER_REPORT_BYTES; cut++)
        cr_expect_eq(worker_report_decode(bytes, cut, &got), -EPROTO, "%zu bytes", cut);
    bytes[0] ^= 1;
    cr_expect_eq(worker_report_decode(bytes, WORKER_REPORT_BYTES, &got), -EPROTO, "the mark");
    bytes[0] ^= 1;
    bytes[4 + 1 + 16 + 16 + 8 + 8] = GCS_MEMBER_MAX + 1;
    cr_expect_eq(worker_report_decode(bytes, WORKER_REPORT_BYTES, &got), -EPROTO, "too many");
}
