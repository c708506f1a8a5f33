#include "base/cursor.h"

#include <criterion/criterion.h>

Test(cursor, round_trip)
{
    uint8_t raw[64];
    struct writer w = writer_make(raw, sizeof raw);
    writer_u8(&w, 0xfe);
    writer_u16(&w, 0x1234);
    writer_u32(&w, 0xdeadbeef);
    writer_u64(&w, UINT64_MAX - 1);
    writer_i64(&w, INT64_MIN);
    writer_be64(&w, 0x0102030405060708);
    writer_bytes(&w, "end", 3);
    cr_assert(!w.failed);
    cr_assert_eq(writer_used(&w), 1 + 2 + 4 + 8 + 8 + 8 + 3);

    struct reader r = reader_make(raw, writer_used(&w));
    cr_assert_eq(reader_u8(&r), 0xfe);
    cr_assert_eq(reader_u16(&r), 0x1234);
    cr_assert_eq(reader_u32(&r), 0xdeadbeef);
    cr_assert_eq(reader_u64(&r), UINT64_MAX - 1);
    cr_assert_eq(reader_i64(&r), INT64_MIN);
    cr_assert_eq(reader_be64(&r), 0x0102030405060708);
    cr_assert(!reader_complete(&r));
    cr_assert_arr_eq(reader_bytes(&r, 3), "end", 3);
    cr_assert(reader_complete(&r));
}

Test(cursor, byte_order)
{
    uint8_t raw[12];
    struct writer w = writer_make(raw, sizeof raw);
    writer_u32(&w, 0x01020304);
    writer_be64(&w, 0x01);
    static const uint8_t expected[12] = {4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 1};
    cr_assert_arr_eq(raw, expected, 12);
}

Test(cursor, reader_runs_short_and_stays_failed)
{
    static const uint8_t raw[3] = {1, 2, 3};
    struct reader r = reader_make(raw, sizeof raw);
    cr_assert_eq(reader_u32(&r), 0);
    cr_assert(r.failed);
    cr_assert_eq(reader_u8(&r), 0, "reads on after the failure");
    cr_assert_null(reader_bytes(&r, 0));
    uint8_t copy[2] = {9, 9};
    reader_copy(&r, copy, 2);
    cr_assert_eq(copy[0] | copy[1], 0);
    cr_assert(!reader_complete(&r));
}

Test(cursor, huge_count)
{
    static const uint8_t raw[3] = {1, 2, 3};
    struct reader r = reader_make(raw, sizeof raw);
    cr_assert_null(reader_bytes(&r, SIZE_MAX));
    uint8_t to[3];
    struct writer w = writer_make(to, sizeof to);
    cr_assert_null(writer_room(&w, SIZE_MAX));
}

Test(cursor, writer_runs_short_and_stays_failed)
{
    uint8_t raw[5] = {0};
    struct writer w = writer_make(raw, 4);
    writer_u16(&w, 0xffff);
    writer_u32(&w, 0xffffffff);
    cr_assert(w.failed);
    writer_u8(&w, 0xff);
    cr_assert_eq(writer_used(&w), 2);
    cr_assert_eq(raw[2] | raw[4], 0);
}
