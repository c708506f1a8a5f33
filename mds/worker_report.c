/* The report: fixed fields, little endian; unused members are zero. The two ends are one program,
 * yet what comes in is checked like any other bytes. */
#include "mds/worker_report.h"
#include "base/cursor.h"
#include "net/address.h"

#include <errno.h>
#include <sys/socket.h>

static const uint32_t report_mark = 0x31525754; /* "TWR1" */

enum { ADDRESS_BYTES = sizeof((struct gcs_member *)0)->address };

void worker_report_encode(const struct replica_view_report *report, uint8_t to[WORKER_REPORT_BYTES])
{
    struct writer w = writer_make(to, WORKER_REPORT_BYTES);
    writer_u32(&w, report_mark);
    writer_u8(&w, report->node);
    writer_bytes(&w, report->cluster, sizeof report->cluster);
    writer_bytes(&w, report->store, sizeof report->store);
    writer_u64(&w, report->incarnation_count);
    writer_u64(&w, report->incarnation_random);
    writer_u8(&w, (uint8_t)report->member_count);
    for (uint32_t i = 0; i < GCS_MEMBER_MAX; i++) {
        char address[ADDRESS_BYTES] = "";
        if (i < report->member_count)
            strncpy(address, report->members[i].address, sizeof address - 1);
        writer_u8(&w, i < report->member_count ? report->members[i].node : 0);
        writer_bytes(&w, address, sizeof address);
    }
    MUST(!w.failed && writer_used(&w) == WORKER_REPORT_BYTES);
}

static bool member_valid(const struct gcs_member *member, uint8_t node_before)
{
    char host[NET_HOST_BYTES], port[NET_PORT_BYTES];
    struct error error;
    return member->node > node_before && !member->address[ADDRESS_BYTES - 1] &&
           net_address_split(member->address, host, port, &error) == 0;
}

static bool members_valid(const struct replica_view_report *report)
{
    if (report->member_count == 0 || report->member_count > GCS_MEMBER_MAX)
        return false;
    uint8_t node = 0;
    for (uint32_t i = 0; i < report->member_count; node = report->members[i++].node)
        if (!member_valid(&report->members[i], node))
            return false;
    return true;
}

int worker_report_decode(const void *from, size_t bytes, struct replica_view_report *ret_report)
{
    struct reader r = reader_make(from, bytes);
    struct replica_view_report report = {0};
    uint32_t mark = reader_u32(&r);
    report.node = reader_u8(&r);
    reader_copy(&r, report.cluster, sizeof report.cluster);
    reader_copy(&r, report.store, sizeof report.store);
    report.incarnation_count = reader_u64(&r);
    report.incarnation_random = reader_u64(&r);
    report.member_count = reader_u8(&r);
    for (uint32_t i = 0; i < GCS_MEMBER_MAX; i++) {
        report.members[i].node = reader_u8(&r);
        reader_copy(&r, report.members[i].address, ADDRESS_BYTES);
    }
    if (!reader_complete(&r) || mark != report_mark || report.node == 0 ||
        report.incarnation_count == 0 || !members_valid(&report))
        return -EPROTO;
    *ret_report = report;
    return 0;
}

int worker_report_send(int socket, const struct replica_view_report *report)
{
    uint8_t bytes[WORKER_REPORT_BYTES];
    worker_report_encode(report, bytes);
    ssize_t sent;
    do
        sent = send(socket, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

int worker_report_receive(int socket, struct replica_view_report *ret_report)
{
    uint8_t bytes[WORKER_REPORT_BYTES + 1]; /* a longer one shows */
    ssize_t count;
    do
        count = recv(socket, bytes, sizeof bytes, MSG_DONTWAIT);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return errno == EAGAIN ? WORKER_REPORT_NONE : -errno;
    return worker_report_decode(bytes, (size_t)count, ret_report);
}
