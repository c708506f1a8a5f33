/* The group for clients: epoch u64, count u8, { address bytes u8, address }. */
#include "net/members.h"
#include "base/cursor.h"

#include <errno.h>
#include <string.h>

size_t net_members_encode(const struct net_members *members, uint8_t to[NET_MEMBERS_BYTES_MAX])
{
    struct writer w = writer_make(to, NET_MEMBERS_BYTES_MAX);
    MUST(members->count <= NET_MEMBERS_MAX);
    writer_u64(&w, members->epoch);
    writer_u8(&w, (uint8_t)members->count);
    for (uint32_t i = 0; i < members->count; i++) {
        size_t bytes = strlen(members->addresses[i]);
        writer_u8(&w, (uint8_t)bytes);
        writer_bytes(&w, members->addresses[i], bytes);
    }
    MUST(!w.failed);
    return writer_used(&w);
}

/* What comes from elsewhere ends up in logs. */
static bool is_printable(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return true;
}

static void address_read(struct reader *r, char to[NET_MEMBER_ADDRESS_BYTES])
{
    size_t bytes = reader_u8(r);
    if (bytes == 0 || bytes >= NET_MEMBER_ADDRESS_BYTES) {
        r->failed = true;
        return;
    }
    reader_copy(r, to, bytes);
    r->failed = r->failed || !is_printable(to, bytes);
}

int net_members_decode(const void *from, size_t bytes, struct net_members *ret_members)
{
    struct reader r = reader_make(from, bytes);
    memset(ret_members, 0, sizeof *ret_members);
    ret_members->epoch = reader_u64(&r);
    ret_members->count = reader_u8(&r);
    if (ret_members->count > NET_MEMBERS_MAX)
        return -EPROTO;
    for (uint32_t i = 0; i < ret_members->count && !r.failed; i++)
        address_read(&r, ret_members->addresses[i]);
    return reader_complete(&r) ? 0 : -EPROTO;
}
