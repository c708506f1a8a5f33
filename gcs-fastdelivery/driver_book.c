/* Whom this member knows by which address: kept by the owner together with the core's state and a
 * hash over both, and told to the others, so that one that joins finds all members. */
#include "gcs-fastdelivery/driver.h"

#include "base/cursor.h"
#include "base/hash.h"

#include <errno.h>
#include <string.h>

static void put_link(struct writer *w, const struct driver_link *link)
{
    size_t bytes = strlen(link->member.address);
    writer_u8(w, link->member.node);
    writer_u8(w, link->member.witness);
    writer_u8(w, (uint8_t)bytes);
    writer_bytes(w, link->member.address, bytes);
}

/* --- kept by the owner --- */

size_t driver_book_encode(struct gcs *gcs, uint8_t to[GCS_STATE_BYTES_MAX])
{
    size_t core_bytes;
    const void *core_state = gcs_core_state(gcs->core, &core_bytes);
    struct writer w = writer_make(to, GCS_STATE_BYTES_MAX);
    writer_u16(&w, (uint16_t)core_bytes);
    writer_bytes(&w, core_state, core_bytes);
    for (uint8_t p = 0; p < GCS_PEER_MAX; p++)
        put_link(&w, &gcs->links[p]);
    writer_u64(&w, hash64(to, writer_used(&w)));
    MUST(!w.failed);
    return writer_used(&w);
}

static void get_link(struct gcs *gcs, struct reader *r)
{
    struct gcs_member member = {.node = reader_u8(r)};
    member.witness = reader_u8(r) != 0;
    size_t bytes = reader_u8(r);
    if (bytes >= sizeof member.address)
        r->failed = true;
    else
        reader_copy(r, member.address, bytes);
    if (!r->failed && member.node)
        driver_learn(gcs, &member);
}

/* --- told to others --- */

enum { BOOK_BYTES_MAX = GCS_PEER_MAX * (3 + GCS_ADDRESS_BYTES) };

void driver_book_tell(struct driver_link *link)
{
    struct gcs *gcs = link->gcs;
    uint8_t bytes[BOOK_BYTES_MAX];
    struct writer w = writer_make(bytes, sizeof bytes);
    if (!link->conn || !link->greeted || !gcs_core_is_member(gcs->core))
        return;
    for (uint8_t p = 0; p < GCS_PEER_MAX; p++)
        if (gcs->links[p].member.node && &gcs->links[p] != link)
            put_link(&w, &gcs->links[p]);
    MUST(!w.failed);
    if (net_send(link->conn, GCS_FRAME_BOOK, bytes, (uint32_t)writer_used(&w), NULL) != 0)
        return; /* it is told again with the next view */
}

bool driver_book_take(struct gcs *gcs, const void *bytes, size_t count)
{
    struct reader r = reader_make(bytes, count);
    for (uint8_t p = 0; p < GCS_PEER_MAX && r.at < r.end; p++)
        get_link(gcs, &r);
    return reader_complete(&r);
}

int driver_book_decode(struct gcs *gcs, const void *state, size_t bytes, const void **ret_core,
                       size_t *ret_bytes)
{
    if (bytes < sizeof(uint64_t))
        return -EBADMSG;
    size_t hashed = bytes - sizeof(uint64_t);
    struct reader hash = reader_make((const uint8_t *)state + hashed, sizeof(uint64_t));
    struct reader r = reader_make(state, hashed);
    if (reader_u64(&hash) != hash64(state, hashed))
        return -EBADMSG;
    *ret_bytes = reader_u16(&r);
    *ret_core = reader_bytes(&r, *ret_bytes);
    for (uint8_t p = 0; p < GCS_PEER_MAX && !r.failed; p++)
        get_link(gcs, &r);
    return reader_complete(&r) && *ret_core ? 0 : -EBADMSG;
}
