/* One target (FUZZ_TARGET) for libFuzzer. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    FUZZ_TARGET.one(bytes, count);
    return 0;
}
