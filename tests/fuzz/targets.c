#include "base/prng.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

const struct fuzz_target *const fuzz_targets[] = {
    &fuzz_request,   &fuzz_reply,     &fuzz_batch,    &fuzz_dirent, &fuzz_hello,    &fuzz_stream,
    &fuzz_gcs_frame, &fuzz_gcs_state, &fuzz_gcs_core, &fuzz_record, &fuzz_metafile, &fuzz_identity,
    &fuzz_segment,   &fuzz_death,     &fuzz_members,  NULL};

void fuzz_must_equal(const struct buffer *encoding, const uint8_t *bytes, size_t count)
{
    MUST(encoding->bytes == count);
    MUST(count == 0 || memcmp(encoding->data, bytes, count) == 0);
}

void fuzz_damage(struct buffer *input, struct prng *prng)
{
    for (unsigned i = (unsigned)prng_below(prng, 4) + 1; i > 0 && input->bytes > 0; i--) {
        size_t at = prng_below(prng, input->bytes);
        switch (prng_below(prng, 5)) {
        case 0:
            input->data[at] ^= (uint8_t)(1u << prng_below(prng, 8));
            break;
        case 1:
            input->data[at] = (uint8_t)prng_next(prng);
            break;
        case 2:
            input->data[at] = prng_chance(prng, 1, 2) ? 0xff : 0;
            break;
        case 3:
            input->bytes = at;
            break;
        default:
            buffer_reserve(input, input->bytes - at);
            buffer_append(input, input->data + at, input->bytes - at);
        }
    }
}
