/* Small files: client/data_inline.c on the real namespace. */
#include "data_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/falloc.h>
#include <string.h>

static struct rig rig;
static struct rig_mount *const a = &rig.mounts[0], *const b = &rig.mounts[1];

static void init(void)
{
    rig_init(&rig, RIG_TARGETS);
}
static void finish(void)
{
    rig_finish(&rig);
}
TestSuite(data_inline, .init = init, .fini = finish);

Test(data_inline, own_writes_are_seen_at_once_others_after_flush)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino), *fb = rig_open(b, ino);
    rig_write(fa, "hello", 5, 0);
    cr_assert_eq(a->calls[PROTO_WRITE], 0);
    rig_expect(a, fa, ino, "hello", 5);
    rig_expect(b, fb, ino, "", 0);
    int64_t mtime = rig_stat(a, ino).mtime;
    rig_flush(fa);
    rig_expect(b, fb, ino, "hello", 5);
    cr_assert_eq(rig_stat(b, ino).mtime, mtime, "the time of the write is the one that was shown");
    rig_close(fa);
    rig_close(fb);
}

Test(data_inline, many_writes_one_operation)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    uint8_t want[1000];
    rig_fill(want, sizeof want, 1);
    for (size_t at = 0; at < sizeof want; at += 10)
        rig_write(fa, want + at, 10, at);
    rig_close(fa);
    cr_assert_eq(a->calls[PROTO_WRITE], 1);
    fa = rig_open(a, ino);
    rig_expect(a, fa, ino, want, sizeof want);
    rig_close(fa);
    cr_assert_eq(a->calls[PROTO_WRITE], 1);
    cr_assert_eq(rig_objects(&rig), 0);
}

Test(data_inline, two_mounts_write_different_parts)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino), *fb = rig_open(b, ino);
    rig_write(fa, "....", 4, 0);
    rig_flush(fa);
    rig_write(fa, "A", 1, 0);
    rig_write(fb, "B", 1, 3);
    rig_flush(fb);
    rig_flush(fa);
    rig_expect(a, fa, ino, "A..B", 4);
    rig_expect(b, fb, ino, "A..B", 4);
    rig_close(fa);
    rig_close(fb);
}

/* Another thread got the answer before the write was ordered, and shows it after. */
Test(data_inline, attributes_that_come_late)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    struct proto_attr late = rig_stat(a, ino), newest;
    rig_write(fa, "hello", 5, 0);
    rig_flush(fa);
    data_attr(a->data, &late);
    cr_assert_eq(late.size, 5);
    data_known_attr(fa, &newest);
    cr_assert_eq(newest.size, 5);
    rig_close(fa);
}

Test(data_inline, a_hole_between_two_writes)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    rig_write(fa, "x", 1, 0);
    rig_write(fa, "y", 1, 5); /* does not touch: the first goes on its way */
    cr_assert_eq(a->calls[PROTO_WRITE], 1);
    rig_expect(a, fa, ino, "x\0\0\0\0y", 6);
    rig_close(fa);
}

Test(data_inline, setattr_comes_behind_the_write)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    struct proto_outcome outcome;
    rig_write(fa, "x", 1, 0);
    struct proto_op op = OP(SETATTR, .ino = ino, .valid = PROTO_SET_MTIME, .mtime = 12345);
    cr_assert_eq(data_setattr(a->data, NULL, DATA_AS_MOUNT, &op, &outcome), 0);
    rig_close(fa);
    cr_assert_eq(rig_stat(b, ino).mtime, 12345);
    cr_assert_eq(rig_stat(b, ino).size, 1);
}

Test(data_inline, truncate_both_ways)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino), *fb = rig_open(b, ino);
    rig_write(fa, "abcdef", 6, 0);
    cr_assert_eq(rig_truncate(a, ino, 3), PROTO_OK);
    cr_assert_eq(rig_truncate(b, ino, 5), PROTO_OK);
    rig_expect(a, fa, ino, "abc\0\0", 5);
    rig_expect(b, fb, ino, "abc\0\0", 5);
    rig_close(fa);
    rig_close(fb);
}

Test(data_inline, append_goes_behind_what_others_wrote)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino), *fb = rig_open(b, ino);
    cr_assert_eq(data_write(fa, NULL, "a", 1, 0, true), 1);
    cr_assert_eq(data_write(fb, NULL, "b", 1, 0, true), 1);
    cr_assert_eq(data_write(fa, NULL, "c", 1, 0, true), 1);
    rig_expect(b, fb, ino, "abc", 3);
    rig_close(fa);
    rig_close(fb);
}

Test(data_inline, an_unlinked_file_lives_until_its_last_close)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino), *again = rig_open(a, ino);
    struct proto_op look = OP(GETATTR, .ino = ino);
    rig_unlink(a, "f");
    rig_write(fa, "still here", 10, 0);
    rig_flush(fa);
    rig_expect(a, again, ino, "still here", 10);
    rig_close(fa);
    cr_assert_eq(rig_do(a, &look).status, PROTO_OK);
    rig_close(again);
    cr_assert_eq(rig_do(a, &look).status, PROTO_STALE);
    cr_assert(!data_should_hold(a->data));
}

Test(data_inline, what_is_held_waits_for_an_open_that_may_be_its_own)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa;
    struct proto_op look = OP(GETATTR, .ino = ino);
    data_open_begin(a->data);
    struct proto_attr attr = rig_stat(a, ino); /* the answer of a CREATE, on its way */
    rig_unlink(a, "f");
    cr_assert_eq(rig_do(a, &look).status, PROTO_OK);
    cr_assert_eq(data_open(a->data, &attr, &fa), 0);
    rig_write(fa, "x", 1, 0);
    rig_flush(fa);
    rig_close(fa);
    cr_assert_eq(rig_do(a, &look).status, PROTO_STALE);
}

Test(data_inline, what_is_held_for_nobody_is_released)
{
    uint64_t ino = rig_create(a, "f"), other = rig_create(a, "other");
    struct proto_op look = OP(GETATTR, .ino = ino);
    struct data_inode *fo = rig_open(a, other);
    rig_unlink(a, "f");
    cr_assert_eq(rig_do(a, &look).status, PROTO_STALE);
    data_open_begin(a->data);
    ino = rig_create(a, "g");
    look.ino = ino;
    rig_unlink(a, "g");
    cr_assert_eq(rig_do(a, &look).status, PROTO_OK);
    data_open_failed(a->data);
    cr_assert_eq(rig_do(a, &look).status, PROTO_STALE);
    rig_close(fo);
}

Test(data_inline, a_file_that_is_gone_is_stale)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    uint8_t byte;
    rig_write(fa, "x", 1, 0);
    rig_unlink(b, "f"); /* the other mount does not know that it is open here */
    cr_assert_eq(data_read(fa, NULL, &byte, 1, 0), -ESTALE);
    cr_assert_eq(data_flush(fa, NULL), -ESTALE);
    rig_close(fa);
}

Test(data_inline, allocate)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    rig_write(fa, "abcdef", 6, 0);
    cr_assert_eq(data_allocate(fa, NULL, punch, 2, 2), 0);
    rig_expect(a, fa, ino, "ab\0\0ef", 6);
    cr_assert_eq(data_allocate(fa, NULL, 0, 0, 8), 0);
    rig_expect(a, fa, ino, "ab\0\0ef\0\0", 8);
    cr_assert_eq(data_allocate(fa, NULL, FALLOC_FL_KEEP_SIZE, 0, 100), 0);
    cr_assert_eq(data_allocate(fa, NULL, FALLOC_FL_ZERO_RANGE, 4, 5), 0);
    rig_expect(a, fa, ino, "ab\0\0\0\0\0\0\0", 9);
    cr_assert_eq(data_allocate(fa, NULL, FALLOC_FL_COLLAPSE_RANGE, 0, 1), -EOPNOTSUPP);
    cr_assert_eq(data_allocate(fa, NULL, 0, 0, 0), -EINVAL);
    cr_assert_eq(data_allocate(fa, NULL, 0, INT64_MAX, 1), -EFBIG);
    rig_close(fa);
}

Test(data_inline, offsets_beyond_the_end_of_everything)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    uint8_t byte;
    cr_assert_eq(data_write(fa, NULL, "x", 1, INT64_MAX, false), -EFBIG);
    cr_assert_eq(data_read(fa, NULL, &byte, 1, INT64_MAX), 0);
    cr_assert_eq(data_read(fa, NULL, &byte, 1, UINT64_MAX), -EINVAL);
    cr_assert_eq(data_read(fa, NULL, &byte, 1, 0), 0);
    rig_close(fa);
}
