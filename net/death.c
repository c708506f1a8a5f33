/* The death notice: fixed fields, little endian, in the order of struct net_death. */
#include "net/death.h"
#include "base/cursor.h"

#include <errno.h>

void net_death_encode(const struct net_death *death, uint8_t to[NET_DEATH_BYTES])
{
    struct writer w = writer_make(to, NET_DEATH_BYTES);
    writer_u8(&w, death->node);
    writer_bytes(&w, death->store, sizeof death->store);
    writer_u64(&w, death->incarnation_count);
    writer_u64(&w, death->incarnation_random);
    MUST(!w.failed && writer_used(&w) == NET_DEATH_BYTES);
}

int net_death_decode(const void *from, size_t bytes, struct net_death *ret_death)
{
    struct reader r = reader_make(from, bytes);
    struct net_death death = {.node = reader_u8(&r)};
    reader_copy(&r, death.store, sizeof death.store);
    death.incarnation_count = reader_u64(&r);
    death.incarnation_random = reader_u64(&r);
    if (!reader_complete(&r) || death.node == 0 || death.incarnation_count == 0)
        return -EPROTO;
    *ret_death = death;
    return 0;
}
