/* What a worker tells its supervisor over their socket: one message type, of one length. */
#ifndef TUTTI_MDS_WORKER_REPORT_H
#define TUTTI_MDS_WORKER_REPORT_H

#include "mds/replica.h"

enum {
    WORKER_REPORT_NONE = 1, /* nothing is waiting */
    WORKER_REPORT_BYTES = 4 + 1 + 16 + 16 + 8 + 8 + 1 +
                          GCS_MEMBER_MAX * (1 + (int)sizeof((struct gcs_member *)0)->address),
};

void worker_report_encode(const struct replica_view_report *report,
                          uint8_t to[WORKER_REPORT_BYTES]);

/* 0 or -EPROTO: another length or mark; a node, a count of starts or of members that can't be;
 * members not ascending; an address that is none. */
int worker_report_decode(const void *from, size_t bytes,
                         struct replica_view_report *ret_report) WARN_UNUSED;

/* Both on a SOCK_SEQPACKET socket, neither ever waits.
 * send: 0 or -errno (-EAGAIN: the supervisor does not read). receive: 0, WORKER_REPORT_NONE,
 * -EPROTO (this message is used up), -errno. */
int worker_report_send(int socket, const struct replica_view_report *report) WARN_UNUSED;
int worker_report_receive(int socket, struct replica_view_report *ret_report) WARN_UNUSED;

#endif
