#include "tests/unit/proto/damage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The decoder gets memory of exactly this size, so that a sanitizer sees each byte beyond. */
static int recode_exact(const uint8_t *bytes, size_t count, recode_fn *recode, struct buffer *to)
{
    uint8_t *exact = malloc(count ? count : 1);
    cr_assert_not_null(exact);
    memcpy(exact, bytes, count);
    buffer_clear(to);
    int rc = recode(exact, count, to);
    free(exact);
    cr_assert(rc == 0 || rc == -EPROTO);
    return rc;
}

static void check_same(const char *what, const uint8_t *bytes, size_t count,
                       const struct buffer *again)
{
    cr_assert_eq(again->bytes, count, "%s: %zu bytes became %zu", what, count, again->bytes);
    cr_assert_eq(memcmp(again->data, bytes, count), 0, "%s: comes back differently", what);
}

void damage_check(const char *what, const struct buffer *encoding, recode_fn *recode)
{
    struct buffer again;
    size_t count = encoding->bytes;
    uint8_t *bytes = malloc(count + 1);
    cr_assert_not_null(bytes);
    memcpy(bytes, encoding->data, count);
    bytes[count] = 0;
    buffer_init(&again, 1 << 20);

    cr_assert_eq(recode_exact(bytes, count, recode, &again), 0, "%s: refused", what);
    check_same(what, bytes, count, &again);
    for (size_t cut = 0; cut < count; cut++)
        cr_assert_eq(recode_exact(bytes, cut, recode, &again), -EPROTO, "%s cut at %zu", what, cut);
    cr_assert_eq(recode_exact(bytes, count + 1, recode, &again), -EPROTO, "%s and more", what);
    for (size_t bit = 0; bit < 8 * count; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (recode_exact(bytes, count, recode, &again) == 0)
            check_same(what, bytes, count, &again);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buffer_finish(&again);
    free(bytes);
}
