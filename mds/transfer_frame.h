/* The frames of a transfer (mds/transfer.h), encoded and decoded.
 *
 * All little endian. CONTACTS: as gcs_contacts makes them. BEGIN: records expected (u64), whether
 * the receiver is in the view (u8), bytes of the state record (u32), it. CREDIT: chunks (u32).
 * CHUNK: number (u64, from 1), checksum over number and content (u64), records: bytes of the key
 * (u16), of the value (u32), key, value. END: chunks, records, checksum of all checksums (u64
 * each). */
#ifndef TUTTI_MDS_TRANSFER_FRAME_H
#define TUTTI_MDS_TRANSFER_FRAME_H

#include "base/cursor.h"
#include "base/hash.h"
#include "net/hello.h"

#include <string.h>

enum transfer_frame {
    TRANSFER_BEGIN = NET_FRAME_TRANSFER_FIRST,
    TRANSFER_CREDIT,
    TRANSFER_CHUNK,
    TRANSFER_END,
    TRANSFER_CONTACTS,
};

enum {
    CHUNK_HEAD_BYTES = 16,
    CHUNK_RECORD_BYTES = 6, /* before key and value */
    END_BYTES = 24,
    STATE_BYTES_MAX = 512,
    KEY_BYTES_MAX = 1024,
};

static inline uint64_t chunk_hash(uint64_t number, const void *records, size_t bytes)
{
    return hash64(records, bytes) ^ (number * UINT64_C(0x9e3779b97f4a7c15));
}

static inline uint64_t chunks_hash(uint64_t before, uint64_t chunk)
{
    uint64_t pair[2] = {before, chunk};
    return hash64(pair, sizeof pair);
}

#endif
