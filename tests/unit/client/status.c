/* client/errno.c: every status has an errno of its own kind. */
#include "client/tutti.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(status, every_status_has_one)
{
    cr_expect(tutti_errno(PROTO_OK) == 0);
    for (int s = 1; s < PROTO_STATUS_COUNT; s++)
        cr_expect(tutti_errno((enum proto_status)s) > 0, "status %d", s);
    cr_expect(tutti_errno((enum proto_status)PROTO_STATUS_COUNT) == EPROTO);
    cr_expect(tutti_errno((enum proto_status) - 1) == EPROTO);
    cr_expect(tutti_errno((enum proto_status)25) == EPROTO);
}

Test(status, names_agree)
{
    static const struct {
        enum proto_status status;
        int number;
    } cases[] = {
        {PROTO_PERM, EPERM},   {PROTO_NOENT, ENOENT},   {PROTO_ACCES, EACCES},
        {PROTO_EXIST, EEXIST}, {PROTO_NOTDIR, ENOTDIR}, {PROTO_NOTEMPTY, ENOTEMPTY},
        {PROTO_STALE, ESTALE}, {PROTO_NODATA, ENODATA}, {PROTO_SESSION_UNKNOWN, ESHUTDOWN},
        {PROTO_LIMIT, EUSERS}, {PROTO_AGAIN, EAGAIN},   {PROTO_NOTSUP, EOPNOTSUPP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect(tutti_errno(cases[i].status) == cases[i].number, "%s", strerror(cases[i].number));
}
