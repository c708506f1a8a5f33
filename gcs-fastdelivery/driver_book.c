/* Whom this member knows by which address: kept by the owner together with the core's state and a
 * hash over both, and told to the others, so that one that joins finds all members. */
#include "gcs-fastdelivery/driver.h"

#include "base/cursor.h"
#include "base/hash.h"

#include <errno.h>
#include <string.h>

static void put_member(struct writer *w, const struct gcs_member *member, const char *address)
{
    size_t bytes = strlen(address);
    writer_u8(w, member->node);
    writer_u8(w, member->witness);
    writer_u8(w, (uint8_t)bytes);
    writer_bytes(w, address, bytes);
}

/* --- kept by the owner --- */

/* @self: NULL, or to be listed in the first free slot. */
static size_t encode(const struct gcs *gcs, const void *core, size_t core_bytes,
                     const struct gcs_member *self, uint8_t to[GCS_STATE_BYTES_MAX])
{
    struct writer w = writer_make(to, GCS_STATE_BYTES_MAX);
    writer_u16(&w, (uint16_t)core_bytes);
    writer_bytes(&w, core, core_bytes);
    for (uint8_t p = 0; p < GCS_PEER_MAX; p++) {
        const struct driver_link *link = &gcs->links[p];
        bool here = self && !link->member.node;
        put_member(&w, here ? self : &link->member, here ? self->address : driver_address(link));
        self = here ? NULL : self;
    }
    writer_u64(&w, hash64(to, writer_used(&w)));
    MUST(!w.failed);
    return writer_used(&w);
}

size_t driver_book_encode(struct gcs *gcs, uint8_t to[GCS_STATE_BYTES_MAX])
{
    size_t bytes;
    const void *core = gcs_core_state(gcs->core, &bytes);
    return encode(gcs, core, bytes, NULL, to);
}

size_t gcs_contacts(const struct gcs *gcs, uint8_t to[GCS_STATE_BYTES_MAX])
{
    struct gcs_member self = {.node = gcs->config.node, .witness = gcs->config.witness};
    memcpy(self.address, gcs->config.address, sizeof self.address);
    return encode(gcs, "", 0, &self, to);
}

/* node 0: the slot was free. */
static struct gcs_member get_member(struct reader *r)
{
    struct gcs_member member = {.node = reader_u8(r)};
    member.witness = reader_u8(r) != 0;
    size_t bytes = reader_u8(r);
    if (bytes >= sizeof member.address)
        r->failed = true;
    else
        reader_copy(r, member.address, bytes);
    return member;
}

static void get_link(struct gcs *gcs, struct reader *r)
{
    struct gcs_member member = get_member(r);
    if (!r->failed && member.node)
        driver_learn(gcs, &member, false);
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
            put_member(&w, &gcs->links[p].member, driver_address(&gcs->links[p]));
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

/* @ret: where the addresses begin. */
static int open_book(const void *state, size_t bytes, const void **ret_core, size_t *ret_bytes,
                     struct reader *ret)
{
    if (bytes < sizeof(uint64_t))
        return -EBADMSG;
    size_t hashed = bytes - sizeof(uint64_t);
    struct reader hash = reader_make((const uint8_t *)state + hashed, sizeof(uint64_t));
    if (reader_u64(&hash) != hash64(state, hashed))
        return -EBADMSG;
    *ret = reader_make(state, hashed);
    *ret_bytes = reader_u16(ret);
    *ret_core = reader_bytes(ret, *ret_bytes);
    return ret->failed ? -EBADMSG : 0;
}

int gcs_state_epoch(const void *state, size_t bytes, uint64_t *ret_epoch)
{
    struct reader r;
    const void *core;
    size_t core_bytes;
    if (open_book(state, bytes, &core, &core_bytes, &r))
        return -EBADMSG;
    return gcs_core_state_epoch(core, core_bytes, ret_epoch);
}

int driver_book_decode(struct gcs *gcs, const void *state, size_t bytes, const void **ret_core,
                       size_t *ret_bytes)
{
    struct reader r;
    if (open_book(state, bytes, ret_core, ret_bytes, &r))
        return -EBADMSG;
    for (uint8_t p = 0; p < GCS_PEER_MAX && !r.failed; p++)
        get_link(gcs, &r);
    return reader_complete(&r) ? 0 : -EBADMSG;
}

uint32_t gcs_contacts_read(const void *state, size_t bytes, struct gcs_member to[GCS_PEER_MAX])
{
    struct reader r;
    const void *core;
    size_t core_bytes;
    uint32_t count = 0;
    if (open_book(state, bytes, &core, &core_bytes, &r))
        return 0;
    for (uint8_t p = 0; p < GCS_PEER_MAX; p++) {
        struct gcs_member member = get_member(&r);
        if (!r.failed && member.node)
            to[count++] = member;
    }
    return count;
}
