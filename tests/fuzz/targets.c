#include "tests/fuzz/fuzz.h"

#include <string.h>

const struct fuzz_target *const fuzz_targets[] = {
    &fuzz_request,  &fuzz_reply,     &fuzz_batch,     &fuzz_dirent,   &fuzz_hello,
    &fuzz_stream,   &fuzz_gcs_frame, &fuzz_gcs_state, &fuzz_gcs_core, &fuzz_record,
    &fuzz_metafile, &fuzz_identity,  &fuzz_segment,   &fuzz_death,    NULL};

void fuzz_must_equal(const struct buffer *encoding, const uint8_t *bytes, size_t count)
{
    MUST(encoding->bytes == count);
    MUST(count == 0 || memcmp(encoding->data, bytes, count) == 0);
}
