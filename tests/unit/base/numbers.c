/* size, hash, prng. */
#include "base/hash.h"
#include "base/prng.h"
#include "base/size.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(size, parse)
{
    static const struct {
        const char *text;
        int code;
        uint64_t bytes;
    } cases[] = {
        {"0", 0, 0},         {"17", 0, 17},           {"17B", 0, 17},
        {"64K", 0, 65536},   {"64k", 0, 65536},       {"64KiB", 0, 65536},
        {"64 KB", 0, 65536}, {"1.5GiB", 0, 3u << 29}, {"2T", 0, UINT64_C(2) << 40},
        {".5M", 0, 1 << 19}, {"", -EINVAL},           {"K", -EINVAL},
        {"-1", -EINVAL},     {"1X", -EINVAL},         {"1KX", -EINVAL},
        {"0x10", -EINVAL},   {"nan", -EINVAL},        {"inf", -EINVAL},
        {"1 2", -EINVAL},    {"9000000T", -ERANGE},   {"8388608T", -ERANGE},
        {"1e400", -EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t bytes = 0;
        int code = size_parse(cases[i].text, &bytes);
        cr_expect_eq(code, cases[i].code, "\"%s\": %d", cases[i].text, code);
        cr_expect_eq(bytes, cases[i].bytes, "\"%s\": %lu", cases[i].text, bytes);
    }
}

Test(size, parse_durations)
{
    static const struct {
        const char *text;
        int code;
        uint64_t ns;
    } cases[] = {
        {"2", 0, 2000000000},     {"50ms", 0, 50000000},  {"1.5s", 0, 1500000000},
        {"3us", 0, 3000},         {"7ns", 0, 7},          {"2m", 0, 120000000000},
        {"1h", 0, 3600000000000}, {"1 s", 0, 1000000000}, {"1d", -EINVAL},
        {"ms", -EINVAL},          {"-1s", -EINVAL},       {"10000000000", -ERANGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ns = 0;
        int code = duration_parse(cases[i].text, &ns);
        cr_expect_eq(code, cases[i].code, "\"%s\": %d", cases[i].text, code);
        cr_expect_eq(ns, cases[i].ns, "\"%s\": %lu", cases[i].text, ns);
    }
}

Test(size, format)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1024, "1.0 KiB"},
                 {1536, "1.5 KiB"},
                 {UINT64_C(5) << 40, "5.0 TiB"},
                 {UINT64_MAX, "16.0 EiB"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[16];
        cr_expect_str_eq(size_format(cases[i].bytes, text), cases[i].text);
    }
}

/* Values that are on disks and wires: they must never change. */
Test(hash, fixed_values)
{
    cr_assert_eq(hash64("", 0), 0x2d06800538d394c2);
    cr_assert_eq(hash64("abc", 3), 0x78af5f94892f3950);
    cr_assert_eq(hash64_seeded("abc", 3, 0), hash64("abc", 3));
    cr_assert_neq(hash64_seeded("abc", 3, 1), hash64("abc", 3));
}

Test(hash, two_parts_are_one)
{
    uint8_t bytes[3000];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    for (unsigned at = 0; at <= sizeof bytes; at += 100)
        cr_assert_eq(hash64_two(bytes, at, bytes + at, sizeof bytes - at),
                     hash64(bytes, sizeof bytes));
}

Test(hash, chain_and_sums)
{
    struct hash128 zero = {0, 0};
    struct hash128 a = hash128_chain(zero, "h", 1, "payload", 7);
    cr_assert(hash128_equal(a, hash128_chain(zero, "h", 1, "payload", 7)));
    cr_assert(!hash128_equal(a, hash128_chain(a, "h", 1, "payload", 7)));
    cr_assert(!hash128_equal(a, hash128_chain(zero, "g", 1, "payload", 7)));
    cr_assert(!hash128_equal(hash128_record("ab", 2, "c", 1), hash128_record("a", 1, "bc", 2)));
    struct hash128 b = hash128_record("k", 1, "v", 1);
    cr_assert(hash128_equal(hash128_add(a, b), hash128_add(b, a)));
    cr_assert(hash128_equal(hash128_subtract(hash128_add(a, b), b), a));
}

Test(prng, same_seed_same_sequence)
{
    struct prng a, b, c;
    prng_init(&a, 1);
    prng_init(&b, 1);
    prng_init(&c, 2);
    unsigned equal = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t value = prng_next(&a);
        cr_assert_eq(value, prng_next(&b));
        equal += value == prng_next(&c);
    }
    cr_assert_eq(equal, 0);
}

Test(prng, below_is_uniform)
{
    enum { LIMIT = 7, DRAWS = 70000 };
    unsigned counts[LIMIT] = {0};
    struct prng prng;
    prng_init(&prng, 42);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t value = prng_below(&prng, LIMIT);
        cr_assert_lt(value, LIMIT);
        counts[value]++;
    }
    for (int i = 0; i < LIMIT; i++)
        cr_assert(counts[i] > 9500 && counts[i] < 10500, "%d: %u", i, counts[i]);
    cr_assert_eq(prng_below(&prng, 1), 0);
    cr_assert(prng_chance(&prng, 1, 1));
    cr_assert(!prng_chance(&prng, 0, 1));
}
