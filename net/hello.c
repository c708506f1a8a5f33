/* The hello: fixed fields, little endian, in the order of struct net_hello. What stands behind them
 * is ignored here: a later version puts its authentication there. */
#include "net/hello.h"
#include "base/cursor.h"

#include <errno.h>
#include <string.h>

size_t net_hello_encode(const struct net_hello *hello, uint8_t to[NET_HELLO_BYTES_MAX])
{
    struct writer w = writer_make(to, NET_HELLO_BYTES_MAX);
    writer_u16(&w, hello->version);
    writer_u8(&w, hello->role);
    writer_u8(&w, hello->node);
    writer_bytes(&w, hello->cluster, sizeof hello->cluster);
    writer_bytes(&w, hello->store, sizeof hello->store);
    writer_u64(&w, hello->lineage_random);
    writer_u64(&w, hello->lineage_generation);
    writer_u64(&w, hello->incarnation_count);
    writer_u64(&w, hello->incarnation_random);
    writer_u64(&w, hello->epoch);
    writer_u8(&w, hello->witness);
    writer_u8(&w, (uint8_t)strlen(hello->address));
    writer_bytes(&w, hello->address, strlen(hello->address));
    MUST(!w.failed);
    return writer_used(&w);
}

static void address_decode(struct reader *r, char to[static 128])
{
    size_t bytes = reader_u8(r);
    if (bytes >= 128) {
        r->failed = true;
        return;
    }
    reader_copy(r, to, bytes);
    r->failed = r->failed || strlen(to) != bytes;
}

static bool role_valid(const struct net_hello *hello)
{
    switch (hello->role) {
    case NET_ROLE_MEMBER:
    case NET_ROLE_SUPERVISOR:
    case NET_ROLE_TRANSFER:
        return hello->node != 0;
    case NET_ROLE_CLIENT:
    case NET_ROLE_ADMIN:
        return true;
    }
    return false;
}

int net_hello_decode(const void *from, size_t bytes, struct net_hello *ret_hello)
{
    struct reader r = reader_make(from, bytes);
    struct net_hello hello = {.version = reader_u16(&r)};
    hello.role = reader_u8(&r);
    hello.node = reader_u8(&r);
    reader_copy(&r, hello.cluster, sizeof hello.cluster);
    reader_copy(&r, hello.store, sizeof hello.store);
    hello.lineage_random = reader_u64(&r);
    hello.lineage_generation = reader_u64(&r);
    hello.incarnation_count = reader_u64(&r);
    hello.incarnation_random = reader_u64(&r);
    hello.epoch = reader_u64(&r);
    hello.witness = reader_u8(&r);
    r.failed = r.failed || hello.witness > 1;
    address_decode(&r, hello.address);
    if (r.failed || bytes > NET_HELLO_BYTES_MAX || !role_valid(&hello))
        return -EPROTO;
    *ret_hello = hello;
    return 0;
}
