/* From the outcomes that are the same at every replica to this platform's errno: the only place
 * where the two meet. The last group never reaches an application by this way: those end the
 * session (client/session_request.c); they are here so that every status has an answer. */
#include "client/tutti.h"

#include <errno.h>

static const int errnos[PROTO_STATUS_COUNT] = {
    [PROTO_OK] = 0,
    [PROTO_PERM] = EPERM,
    [PROTO_NOENT] = ENOENT,
    [PROTO_ACCES] = EACCES,
    [PROTO_EXIST] = EEXIST,
    [PROTO_NOTDIR] = ENOTDIR,
    [PROTO_ISDIR] = EISDIR,
    [PROTO_INVAL] = EINVAL,
    [PROTO_NOTEMPTY] = ENOTEMPTY,
    [PROTO_NAMETOOLONG] = ENAMETOOLONG,
    [PROTO_MLINK] = EMLINK,
    [PROTO_NOSPC] = ENOSPC,
    [PROTO_FBIG] = EFBIG,
    [PROTO_NODATA] = ENODATA,
    [PROTO_RANGE] = ERANGE,
    [PROTO_NOTSUP] = EOPNOTSUPP,
    [PROTO_STALE] = ESTALE,
    [PROTO_TOOBIG] = E2BIG,
    [PROTO_AGAIN] = EAGAIN,
    [PROTO_LOOP] = ELOOP,
    [PROTO_XDEV] = EXDEV,
    [PROTO_NXIO] = ENXIO,

    [PROTO_SESSION_UNKNOWN] = ESHUTDOWN,
    [PROTO_SEQ_OLD] = ESHUTDOWN,
    [PROTO_SEQ_GAP] = ESHUTDOWN,
    [PROTO_BAD_REQUEST] = EPROTO,
    [PROTO_LIMIT] = EUSERS,
};

int tutti_errno(enum proto_status status)
{
    if (status == PROTO_OK)
        return 0;
    if ((unsigned)status >= PROTO_STATUS_COUNT || !errnos[status])
        return EPROTO; /* a number that this version does not know */
    return errnos[status];
}
