/* Names of outcomes, for logs and tools. */
#include "proto/proto.h"

const char *proto_status_name(enum proto_status status)
{
    static const char *const names[PROTO_STATUS_COUNT] = {
        [PROTO_OK] = "ok",
        [PROTO_PERM] = "operation not permitted",
        [PROTO_NOENT] = "no such entry",
        [PROTO_ACCES] = "permission denied",
        [PROTO_EXIST] = "exists",
        [PROTO_NOTDIR] = "not a directory",
        [PROTO_ISDIR] = "is a directory",
        [PROTO_INVAL] = "invalid argument",
        [PROTO_NOTEMPTY] = "directory not empty",
        [PROTO_NAMETOOLONG] = "name too long",
        [PROTO_MLINK] = "too many links",
        [PROTO_NOSPC] = "no space left",
        [PROTO_FBIG] = "file too large",
        [PROTO_NODATA] = "no such attribute",
        [PROTO_RANGE] = "out of range",
        [PROTO_NOTSUP] = "not supported",
        [PROTO_STALE] = "no such inode any more",
        [PROTO_TOOBIG] = "too big",
        [PROTO_AGAIN] = "data moved, try again",
        [PROTO_LOOP] = "loop of links",
        [PROTO_XDEV] = "across file systems",
        [PROTO_NXIO] = "no such device",
        [PROTO_SESSION_UNKNOWN] = "session unknown",
        [PROTO_SEQ_OLD] = "sequence number too old",
        [PROTO_SEQ_GAP] = "gap in sequence numbers",
        [PROTO_BAD_REQUEST] = "bad request",
        [PROTO_LIMIT] = "over a limit",
    };
    return (size_t)status < PROTO_STATUS_COUNT ? names[status] : NULL;
}
