#include "base/buffer.h"
#include "base/cursor.h"

#include <criterion/criterion.h>

Test(buffer, grows_up_to_its_limit)
{
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    for (int i = 0; i < 1000; i++)
        buffer_u8(&buffer, (uint8_t)i);
    cr_assert(!buffer.failed);
    cr_assert_eq(buffer.bytes, 1000);
    cr_assert_leq(buffer.capacity, 1000);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(buffer.data[i], (uint8_t)i);
    buffer_u8(&buffer, 1);
    cr_assert(buffer.failed);
    cr_assert_eq(buffer.bytes, 1000);
    buffer_finish(&buffer);
    cr_assert_eq(buffer.bytes_max, 1000);
}

Test(buffer, failure_stays_until_cleared)
{
    struct buffer buffer;
    buffer_init(&buffer, 4);
    cr_assert_null(buffer_append(&buffer, "12345", 5));
    cr_assert_null(buffer_append(&buffer, "1", 1), "appends after the failure");
    cr_assert_eq(buffer.bytes, 0);
    buffer_clear(&buffer);
    cr_assert_not_null(buffer_append(&buffer, "1234", 4));
    cr_assert(!buffer.failed);
    buffer_finish(&buffer);
}

Test(buffer, huge_counts_are_refused)
{
    struct buffer buffer;
    buffer_init(&buffer, SIZE_MAX / 2);
    buffer_u8(&buffer, 1);
    cr_assert_null(buffer_reserve(&buffer, SIZE_MAX));
    buffer_finish(&buffer);
}

Test(buffer, integers_are_those_of_the_cursors)
{
    struct buffer buffer;
    buffer_init(&buffer, 100);
    buffer_u8(&buffer, 1);
    buffer_u16(&buffer, 0x0203);
    buffer_u32(&buffer, 0x04050607);
    buffer_u64(&buffer, 0x08090a0b0c0d0e0f);
    struct reader r = reader_make(buffer.data, buffer.bytes);
    cr_assert_eq(reader_u8(&r), 1);
    cr_assert_eq(reader_u16(&r), 0x0203);
    cr_assert_eq(reader_u32(&r), 0x04050607);
    cr_assert_eq(reader_u64(&r), 0x08090a0b0c0d0e0f);
    cr_assert(reader_complete(&r));
    buffer_finish(&buffer);
}

Test(buffer, consume)
{
    struct buffer buffer;
    buffer_init(&buffer, 100);
    buffer_append(&buffer, "abcdef", 6);
    buffer_consume(&buffer, 2);
    cr_assert_eq(buffer.bytes, 4);
    cr_assert_arr_eq(buffer.data, "cdef", 4);
    buffer_consume(&buffer, 4);
    cr_assert_eq(buffer.bytes, 0);
    buffer_finish(&buffer);
}

Test(buffer, nothing_appended_to_nothing_is_no_failure)
{
    struct buffer buffer;
    buffer_init(&buffer, 10);
    cr_assert_not_null(buffer_append(&buffer, "", 0));
    cr_assert(!buffer.failed && buffer.bytes == 0);
    buffer_finish(&buffer);
}
