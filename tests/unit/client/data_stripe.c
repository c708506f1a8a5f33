/* Larger files: client/data_stripe.c, data_move.c, data_setattr.c, data_purge.c, data_target.c. */
#include "client/data_layout.h"
#include "client/data_target.h"
#include "data_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { LARGE = 50000 };

static struct rig rig;
static struct rig_mount *const a = &rig.mounts[0], *const b = &rig.mounts[1];
static uint8_t want[2 * LARGE];

static void init(void)
{
    rig_init(&rig, RIG_TARGETS);
    rig_fill(want, LARGE, 7);
}
static void finish(void)
{
    rig_finish(&rig);
}
TestSuite(data_stripe, .init = init, .fini = finish);

Test(data_stripe, large_files_go_to_all_targets)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino), *fb = rig_open(b, ino);
    rig_write(fa, want, LARGE, 0);
    rig_expect(a, fa, ino, want, LARGE);
    cr_assert_eq(rig_stat(b, ino).size, 0, "not ordered yet");
    cr_assert_eq(data_fsync(fa, NULL), 0);
    rig_expect(b, fb, ino, want, LARGE);
    cr_assert_eq(rig_objects(&rig), RIG_TARGETS);
    cr_assert_eq(a->calls[PROTO_STRIPE], 1);
    cr_assert_eq(a->calls[PROTO_GROW], 1);
    rig_close(fa);
    cr_assert_eq(a->calls[PROTO_GROW], 1);
    rig_close(fb);
}

Test(data_stripe, growing_out_of_the_inode_keeps_the_content)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino), *fb = rig_open(b, ino);
    rig_write(fa, want, 1000, 0);
    rig_flush(fa);
    rig_write(fa, want + 1000, 500, 1000); /* in the run when the data moves */
    rig_write(fa, want + 1500, 3000, 1500);
    rig_expect(a, fa, ino, want, 4500);
    rig_flush(fa);
    rig_expect(b, fb, ino, want, 4500);
    rig_close(fa);
    rig_close(fb);
}

Test(data_stripe, sparse)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino), *fb = rig_open(b, ino);
    memset(want, 0, sizeof want);
    want[0] = 'x';
    want[LARGE - 1] = 'y';
    rig_write(fa, "x", 1, 0);
    rig_write(fa, "y", 1, LARGE - 1);
    rig_flush(fa);
    rig_expect(a, fa, ino, want, LARGE);
    rig_expect(b, fb, ino, want, LARGE);
    cr_assert_eq(rig_truncate(b, ino, 2 * LARGE), PROTO_OK);
    rig_expect(a, fa, ino, want, 2 * LARGE);
    rig_close(fa);
    rig_close(fb);
}

Test(data_stripe, what_was_cut_does_not_come_back)
{
    static const uint64_t sizes[] = {0, 1, 4095, 4096, 4097, 3 * 4096, 3 * 4096 + 1, LARGE - 1};
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino), *fb = rig_open(b, ino);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        rig_fill(want, LARGE, 7);
        rig_write(fa, want, LARGE, 0);
        rig_flush(fa);
        struct rig_mount *mount = i % 2 ? a : b;
        cr_assert_eq(rig_truncate(mount, ino, sizes[i]), PROTO_OK);
        cr_assert_eq(rig_truncate(mount, ino, LARGE), PROTO_OK);
        memset(want + sizes[i], 0, LARGE - sizes[i]);
        rig_expect(a, fa, ino, want, LARGE);
        rig_expect(b, fb, ino, want, LARGE);
    }
    cr_assert_eq(rig_stat(a, ino).cut, UINT64_MAX);
    rig_close(fa);
    rig_close(fb);
}

/* A mount that dies between the truncate and the cut. */
Test(data_stripe, others_finish_a_truncate)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino), *fb = rig_open(b, ino);
    struct proto_op op = OP(SETATTR, .ino = ino, .valid = PROTO_SET_SIZE, .size = 100);
    rig_write(fa, want, LARGE, 0);
    rig_flush(fa);
    cr_assert_eq(rig_do(a, &op).status, PROTO_OK);
    rig_expect(b, fb, ino, want, 100);
    rig_write(fb, "z", 1, LARGE);
    memset(want + 100, 0, LARGE - 100);
    want[LARGE] = 'z';
    rig_flush(fb);
    rig_expect(a, fa, ino, want, LARGE + 1);
    rig_expect(b, fb, ino, want, LARGE + 1);
    cr_assert_eq(b->calls[PROTO_CUT_DONE], 1);
    rig_close(fa);
    rig_close(fb);
}

/* What this mount wrote and did not order yet goes with a truncate that was ordered meanwhile. */
Test(data_stripe, nothing_is_read_beyond_a_cut)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    struct proto_op op = OP(SETATTR, .ino = ino, .valid = PROTO_SET_SIZE, .size = 100);
    rig_write(fa, want, LARGE, 0);
    rig_flush(fa);
    rig_write(fa, want, LARGE, 0);
    cr_assert_eq(rig_do(b, &op).status, PROTO_OK);
    memset(want + 100, 0, LARGE - 100);
    rig_expect(a, fa, ino, want, LARGE);
    rig_flush(fa);
    rig_expect(a, fa, ino, want, LARGE);
    rig_close(fa);
}

/* The one that truncated comes late with its cut: nothing is left to cut. */
static struct data_inode *late_fb;
static void write_before_the_cut(struct rig_mount *mount, const struct proto_op *op)
{
    if (op->code != PROTO_GETATTR || !late_fb)
        return;
    struct data_inode *fb = late_fb;
    late_fb = NULL;
    b->cancelled = true; /* the guard is taken: whoever needs it gives up instead of waiting */
    cr_assert_eq(rig_stat(b, op->ino).size, 10);
    cr_assert_eq(data_write(fb, NULL, "b", 1, 5000, false), -EINTR);
    b->cancelled = false;
}

Test(data_stripe, nobody_writes_beyond_a_cut_in_progress)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino), *fb = rig_open(b, ino);
    rig_write(fa, want, LARGE, 0);
    rig_flush(fa);
    rig_stat(b, ino);
    late_fb = fb;
    a->before = write_before_the_cut;
    cr_assert_eq(rig_truncate(a, ino, 10), PROTO_OK);
    cr_assert_null(late_fb, "the moment was not reached");
    a->before = NULL;
    rig_stat(b, ino);
    rig_write(fb, "b", 1, 5000);
    rig_flush(fb);
    memset(want + 10, 0, 5000);
    want[5000] = 'b';
    rig_expect(a, fa, ino, want, 5001);
    rig_close(fa);
    rig_close(fb);
}

/* Both mounts find the file inline and both want to move it. */
static void other_grows(struct rig_mount *mount, const struct proto_op *op)
{
    struct proto_op stripe = OP(STRIPE, .ino = op->ino, .layout = op->layout);
    if (op->code != PROTO_STRIPE)
        return;
    mount->before = NULL;
    stripe.value = rig_stat(b, op->ino).data_version;
    cr_assert_eq(rig_do(b, &stripe).status, PROTO_OK);
}

Test(data_stripe, somebody_else_moved_it_first)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    rig_write(fa, want, 4000, 0);
    rig_flush(fa);
    a->before = other_grows;
    rig_write(fa, want + 4000, 4000, 4000);
    cr_assert_null(a->before, "the moment was not reached");
    rig_close(fa);
    fa = rig_open(a, ino);
    rig_expect(a, fa, ino, want, 8000);
    rig_close(fa);
}

static void content_changes(struct rig_mount *mount, const struct proto_op *op)
{
    struct proto_op write = OP(WRITE, .ino = op->ino, .data = BYTES("new"));
    if (op->code != PROTO_STRIPE)
        return;
    mount->before = NULL;
    cr_assert_eq(rig_do(b, &write).status, PROTO_OK);
}

Test(data_stripe, content_that_changes_while_it_moves_is_moved_again)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    rig_write(fa, want, 4000, 0);
    rig_flush(fa);
    a->before = content_changes;
    rig_write(fa, want + 4000, 4000, 4000);
    cr_assert_null(a->before, "the moment was not reached");
    memcpy(want, "new", 3);
    rig_close(fa);
    fa = rig_open(a, ino);
    rig_expect(a, fa, ino, want, 8000);
    rig_close(fa);
}

Test(data_stripe, a_run_follows_a_file_that_moved)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino), *fb = rig_open(b, ino);
    rig_write(fa, want, 10, 0); /* waits here while the other mount moves the file */
    rig_write(fb, want + 10, 8000, 10);
    rig_flush(fb);
    rig_flush(fa);
    rig_expect(a, fa, ino, want, 8010);
    rig_expect(b, fb, ino, want, 8010);
    rig_close(fa);
    rig_close(fb);
}

Test(data_stripe, garbage_of_a_move_that_was_not_finished)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    struct data_target target;
    bool created;
    struct error error;
    uint8_t garbage[4096];
    memset(garbage, 'g', sizeof garbage);
    for (uint32_t i = 0; i < RIG_TARGETS; i++) {
        cr_assert_eq(data_target_open(rig.targets[i], i, &target, &error), 0);
        struct data_object_name name = {ino, rig_stat(a, ino).generation};
        int fd = data_target_object(&target, name, true, &created);
        cr_assert_eq(pwrite(fd, garbage, sizeof garbage, 0), sizeof garbage);
        close(fd);
        data_target_close(&target);
    }
    memset(want, 0, 9000);
    want[0] = 'x';
    want[8999] = 'y';
    rig_write(fa, "x", 1, 0);
    rig_write(fa, "y", 1, 8999);
    rig_flush(fa);
    rig_expect(a, fa, ino, want, 9000);
    rig_close(fa);
}

Test(data_stripe, truncate_up_moves_an_inline_file)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    memset(want + 3, 0, LARGE - 3);
    memcpy(want, "abc", 3);
    rig_write(fa, "abc", 3, 0);
    cr_assert_eq(rig_truncate(a, ino, LARGE), PROTO_OK);
    rig_expect(a, fa, ino, want, LARGE);
    rig_close(fa);
    cr_assert_eq(rig_truncate(b, ino, 0), PROTO_OK); /* closed files, too */
    fa = rig_open(a, ino);
    rig_write(fa, "q", 1, 2);
    rig_expect(a, fa, ino, "\0\0q", 3);
    rig_close(fa);
}

Test(data_stripe, allocate)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino), *fb = rig_open(b, ino);
    const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    rig_write(fa, want, 20000, 0);
    cr_assert_eq(data_allocate(fa, NULL, punch, 4000, 5000), 0);
    memset(want + 4000, 0, 5000);
    rig_expect(a, fa, ino, want, 20000);
    cr_assert_eq(data_allocate(fa, NULL, 0, 19000, 2000), 0);
    memset(want + 20000, 0, 1000);
    rig_flush(fa);
    rig_expect(b, fb, ino, want, 21000);
    cr_assert_eq(data_allocate(fa, NULL, FALLOC_FL_ZERO_RANGE, 0, 22000), 0);
    memset(want, 0, 22000);
    rig_expect(a, fa, ino, want, 22000);
    rig_close(fa);
    rig_close(fb);
}

Test(data_stripe, objects_of_removed_files_are_purged)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    rig_write(fa, want, LARGE, 0);
    rig_flush(fa);
    rig_unlink(a, "f");
    cr_assert_eq(data_purge(b->data, NULL), 0, "it is still open");
    rig_expect(a, fa, ino, want, LARGE);
    rig_close(fa);
    cr_assert_eq(rig_objects(&rig), RIG_TARGETS);
    cr_assert_eq(data_purge(b->data, NULL), 1);
    cr_assert_eq(rig_objects(&rig), 0);
    cr_assert_eq(data_purge(a->data, NULL), 0);
}

Test(data_stripe, writes_to_a_file_that_is_gone_leave_no_objects)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    rig_write(fa, want, LARGE, 0);
    rig_flush(fa);
    rig_unlink(b, "f");
    cr_assert_eq(data_purge(b->data, NULL), 1);
    rig_write(fa, want, LARGE, 0);
    cr_assert_eq(data_flush(fa, NULL), -ESTALE);
    cr_assert_eq(rig_objects(&rig), 0);
    rig_close(fa);
}

Test(data_stripe, waiting_for_a_lock_can_be_cancelled)
{
    uint64_t ino = rig_create(a, "f");
    struct data_inode *fa = rig_open(a, ino);
    struct data_target target;
    struct error error;
    bool created;
    cr_assert_eq(data_target_open(rig.targets[ino % RIG_TARGETS], (uint32_t)(ino % RIG_TARGETS),
                                  &target, &error),
                 0);
    int fd = data_target_object(
        &target, (struct data_object_name){ino, rig_stat(a, ino).generation}, true, &created);
    cr_assert_eq(flock(fd, LOCK_EX), 0);
    a->cancelled = true;
    cr_assert_eq(data_write(fa, NULL, want, LARGE, 0, false), -EINTR);
    a->cancelled = false;
    close(fd);
    data_target_close(&target);
    rig_write(fa, want, LARGE, 0);
    rig_close(fa);
}

Test(data_stripe, targets_in_another_order_are_refused)
{
    const char *targets[] = {rig.targets[1], rig.targets[0]};
    struct data_config config = {
        .targets = targets, .target_count = 2, .stripe_bytes = 4096, .inline_bytes_max = 4096};
    struct data *data;
    struct error error;
    cr_assert_eq(data_create(&config, &data, &error), -EINVAL);
    cr_assert(strstr(error.text, "same order"), "%s", error.text);
    targets[0] = "/nonexistent";
    cr_assert_eq(data_create(&config, &data, &error), -ENOENT);
    config.stripe_bytes = 1000;
    cr_assert_eq(data_create(&config, &data, &error), -EINVAL);
}

Test(data_stripe, capacity)
{
    struct statvfs sum, one;
    cr_assert_eq(data_capacity(a->data, &sum), 0);
    cr_assert_eq(statvfs(rig.directory, &one), 0);
    cr_assert_eq(sum.f_blocks, one.f_blocks * one.f_frsize / 4096, "one file system, counted once");
}

Test(data_without_targets, files_stay_small)
{
    static struct rig small;
    rig_init(&small, 0);
    struct rig_mount *mount = &small.mounts[0];
    uint64_t ino = rig_create(mount, "f");
    struct data_inode *inode = rig_open(mount, ino);
    static uint8_t zeros[8192];
    rig_write(inode, zeros, RIG_INLINE_BYTES, 0);
    cr_assert_eq(data_write(inode, NULL, "x", 1, RIG_INLINE_BYTES, false), -EFBIG);
    cr_assert_eq(data_write(inode, NULL, "x", 1, 0, true), -EFBIG);
    cr_assert_eq(rig_truncate(mount, ino, 5000), PROTO_FBIG);
    cr_assert_eq(data_purge(mount->data, NULL), 0);
    rig_expect(mount, inode, ino, zeros, RIG_INLINE_BYTES);
    rig_close(inode);
    rig_finish(&small);
}

/* Against placing byte by byte. */
Test(data_layout, pieces_and_lengths)
{
    for (uint8_t targets = 1; targets <= 4; targets++)
        for (uint8_t first = 0; first < targets; first++)
            for (uint32_t stripe = 1; stripe <= 5; stripe++) {
                struct proto_layout layout = {1, targets, first, stripe};
                uint64_t length[4] = {0};
                for (uint64_t size = 0; size < 60; size++) {
                    for (uint32_t t = 0; t < targets; t++)
                        cr_assert_eq(data_layout_object_bytes(&layout, t, size), length[t]);
                    struct data_piece piece = data_layout_piece(&layout, size, 100);
                    cr_assert_eq(piece.target, (first + size / stripe) % targets);
                    cr_assert_eq(piece.offset, length[piece.target]);
                    cr_assert_eq(piece.bytes, stripe - size % stripe);
                    length[piece.target]++;
                }
            }
}
