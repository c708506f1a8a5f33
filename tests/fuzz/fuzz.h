/* Decoders under attack: each target is one function that has to survive any bytes.
 *
 * A target's `one` is called by libFuzzer (libfuzzer.c) and by an ordinary test (replay.c), which
 * feeds it with the target's seeds, with damaged seeds, and with the files of corpus/NAME/: what
 * once broke it. */
#ifndef TUTTI_TESTS_FUZZ_FUZZ_H
#define TUTTI_TESTS_FUZZ_FUZZ_H

#include "base/buffer.h"
#include "base/must.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuzz_target {
    const char *name;
    void (*one)(const uint8_t *bytes, size_t count);
    /* Append the valid input number `number` (from 0); false: there are no more. */
    bool (*seed)(unsigned number, struct buffer *to);
};

/* The last one is NULL. */
extern const struct fuzz_target *const fuzz_targets[];

extern const struct fuzz_target fuzz_request, fuzz_reply, fuzz_batch, fuzz_dirent, fuzz_hello,
    fuzz_death, fuzz_members, fuzz_stream, fuzz_gcs_frame, fuzz_gcs_state, fuzz_gcs_core,
    fuzz_record, fuzz_metafile, fuzz_identity, fuzz_segment;

/* Some bytes of a valid input, one to four times: flip, overwrite, cut off, repeat. */
struct prng;
void fuzz_damage(struct buffer *input, struct prng *prng);

/* The property of all encodings here: what decodes encodes to the same bytes. */
void fuzz_must_equal(const struct buffer *encoding, const uint8_t *bytes, size_t count);

#endif
