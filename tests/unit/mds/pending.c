/* The pending check: which reads wait for which writes. */
#include "world.h"

#include <criterion/criterion.h>

static struct world w;
static struct pending *table;

static void setup(void)
{
    world_init(&w);
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "d"))}, /* 2 */
          {0, PROTO_OK, OP(CREATE, AT(2, "f"))},    /* 3 */
          {0, PROTO_OK, OP(CREATE, AT(2, "g"))},    /* 4 */
          {0, PROTO_OK, OP(CREATE, AT(1, "h"))},    /* 5 */
          {0, PROTO_OK, OP(UNLINK, AT(1, "h"), .flags = PROTO_UNLINK_HOLD)});
    cr_assert_eq(pending_create(&table), 0);
}

static void teardown(void)
{
    pending_destroy(table);
    world_finish(&w);
}

TestSuite(pending, .init = setup, .fini = teardown);

static void add(uint64_t receipt, struct proto_op op)
{
    cr_assert_eq(pending_add(table, receipt, &op, &w.source), 0);
}

/* The newest message that touches the read; 0: none. */
static uint64_t touching(struct proto_op read)
{
    uint64_t newest = 0;
    return pending_touches(table, &read, &w.source, &newest) ? newest : 0;
}

Test(pending, what_touches_what)
{
    const struct proto_op getattr_dir = OP(GETATTR, .ino = 2), getattr_f = OP(GETATTR, .ino = 3),
                          getattr_g = OP(GETATTR, .ino = 4), lookup_f = OP(LOOKUP, AT(2, "f")),
                          lookup_new = OP(LOOKUP, AT(2, "new")), list = OP(READDIR, .ino = 2),
                          unborn = OP(GETATTR, .ino = 77), orphan = OP(GETATTR, .ino = 5);
    const struct {
        struct proto_op write;
        bool dir, f, g, look_f, look_new, lists, newborn, orphans;
    } rows[] = {
        {OP(CREATE, AT(2, "new")), true, false, false, false, true, true, true, false},
        {OP(CREATE, AT(2, "f"), .flags = PROTO_OPEN_TRUNCATE), true, true, false, true, false, true,
         true, false},
        {OP(MKDIR, AT(1, "x")), false, false, false, false, false, false, true, false},
        {OP(UNLINK, AT(2, "f")), true, true, false, true, false, true, false, false},
        {OP(UNLINK, AT(2, "new")), true, false, false, false, true, true, false, false},
        {OP(RENAME, AT(2, "f"), AT2(2, "new")), true, true, false, true, true, true, false, false},
        {OP(RENAME, AT(2, "f"), AT2(2, "g")), true, true, true, true, false, true, false, false},
        {OP(RENAME, AT(2, "f"), AT2(1, "f"), .flags = PROTO_RENAME_WHITEOUT), true, true, false,
         true, false, true, true, false},
        {OP(LINK, .ino = 4, AT2(2, "new")), true, false, true, false, true, true, false, false},
        {OP(SETATTR, .ino = 3), false, true, false, true, false, false, false, false},
        {OP(SETATTR, .ino = 2), true, false, false, true, true, true, false, false},
        {OP(WRITE, .ino = 3), false, true, false, true, false, false, false, false},
        {OP(SETXATTR, .ino = 2), true, false, false, false, false, true, false, false},
        {OP(RELEASE, .ino = 5), false, false, false, false, false, false, false, true},
        {OP(SESSION_CLOSE), false, false, false, false, false, false, true, true},
        {OP(SESSION_EXPIRE), false, false, false, false, false, false, true, true},
        {OP(SESSION_KEEP), false, false, false, false, false, false, false, false},
        {OP(PURGED, .ino = 3), false, false, false, false, false, false, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t n = i + 1;
        add(n, rows[i].write);
        cr_assert_eq(touching(getattr_dir), rows[i].dir ? n : 0, "row %zu", i);
        cr_assert_eq(touching(getattr_f), rows[i].f ? n : 0, "row %zu", i);
        cr_assert_eq(touching(getattr_g), rows[i].g ? n : 0, "row %zu", i);
        cr_assert_eq(touching(lookup_f), rows[i].look_f ? n : 0, "row %zu", i);
        cr_assert_eq(touching(lookup_new), rows[i].look_new ? n : 0, "row %zu", i);
        cr_assert_eq(touching(list), rows[i].lists ? n : 0, "row %zu", i);
        cr_assert_eq(touching(unborn), rows[i].newborn ? n : 0, "row %zu", i);
        cr_assert_eq(touching(orphan), rows[i].orphans ? n : 0, "row %zu", i);
        pending_remove(table, n);
        cr_assert_eq(pending_count(table), 0);
    }
}

Test(pending, the_newest_counts)
{
    add(1, OP(WRITE, .ino = 3));
    add(2, OP(WRITE, .ino = 3));
    add(3, OP(WRITE, .ino = 4));
    add(3, OP(WRITE, .ino = 4));
    cr_assert_eq(touching(OP(GETATTR, .ino = 3)), 2);
    pending_remove(table, 2);
    cr_assert_eq(touching(OP(GETATTR, .ino = 3)), 1);
    pending_remove(table, 1);
    pending_remove(table, 1);
    cr_assert_eq(touching(OP(GETATTR, .ino = 3)), 0);
    cr_assert_eq(touching(OP(STATFS, .ino = 1)), 3);
    cr_assert_eq(touching(OP(READDIR, .ino = 1, .flags = PROTO_READDIR_ATTR)), 3);
    cr_assert_eq(touching(OP(PURGE_LIST)), 0);
    pending_clear(table);
    cr_assert_eq(pending_count(table), 0);
}

Test(pending, one_inode)
{
    uint64_t newest = 0;
    add(1, OP(UNLINK, AT(2, "f")));
    cr_assert(pending_touches_inode(table, 3, &newest) && newest == 1);
    cr_assert(!pending_touches_inode(table, 4, &newest));
}

/* Two writes through one entry: in whichever order they are applied, neither knows its inode. */
Test(pending, a_contended_entry_touches_all_inodes)
{
    add(1, OP(UNLINK, AT(2, "f")));
    cr_assert_eq(touching(OP(GETATTR, .ino = 4)), 0);
    add(2, OP(RENAME, AT(2, "g"), AT2(2, "f")));
    cr_assert_eq(touching(OP(GETATTR, .ino = 1)), 2);
    pending_remove(table, 2);
    cr_assert_eq(touching(OP(GETATTR, .ino = 1)), 1, "the older one found its entry contended");
    cr_assert_eq(touching(OP(LOOKUP, AT(1, "nothing"))), 1);
    pending_remove(table, 1);
    cr_assert_eq(touching(OP(GETATTR, .ino = 1)), 0);
}

/* The younger write comes on the list of all inodes first, the older one after it. */
Test(pending, the_list_of_all_inodes_is_in_the_order_of_receipt)
{
    add(1, OP(UNLINK, AT(2, "f")));
    add(2, OP(UNLINK, AT(2, "g")));
    add(3, OP(UNLINK, AT(2, "g")));
    add(4, OP(LINK, .ino = 5, AT2(2, "f")));
    cr_assert_eq(touching(OP(GETATTR, .ino = 1)), 3);
    pending_remove(table, 3);
    cr_assert_eq(touching(OP(GETATTR, .ino = 1)), 2);
    pending_remove(table, 2);
    cr_assert_eq(touching(OP(GETATTR, .ino = 1)), 1);
    cr_assert_eq(touching(OP(LOOKUP, AT(2, "f"))), 4, "the newest of all reasons");
}

/* One message that makes an entry and finds through it; then another comes between. */
Test(pending, a_message_that_finds_through_an_entry_it_touched_before)
{
    add(1, OP(LINK, .ino = 5, AT2(1, "n")));
    pending_applied(table, 1);
    add(2, OP(LINK, .ino = 5, AT2(1, "m")));
    pending_remove(table, 1);
    add(2, OP(RENAME, AT(1, "m"), AT2(1, "o")));
    cr_assert_eq(touching(OP(GETATTR, .ino = 4)), 2);
}

Test(pending, a_directory_that_goes_is_not_looked_into)
{
    add(1, OP(RMDIR, AT(1, "d")));
    cr_assert_eq(touching(OP(LOOKUP, AT(2, "g"))), 1);
}

Test(pending, within_one_message_too)
{
    add(1, OP(CREATE, AT(2, "new")));
    add(1, OP(UNLINK, AT(2, "new")));
    cr_assert_eq(touching(OP(GETATTR, .ino = 4)), 1);
}

Test(pending, once_applied_an_entry_can_be_looked_up_again)
{
    STEPS(&w, {0, PROTO_OK, OP(CREATE, AT(2, "new"))}); /* 6 */
    add(1, OP(CREATE, AT(2, "new")));
    pending_applied(table, 1);
    add(2, OP(UNLINK, AT(2, "new")));
    cr_assert_eq(touching(OP(GETATTR, .ino = 4)), 0);
    cr_assert_eq(touching(OP(GETATTR, .ino = 6)), 2);
    pending_remove(table, 2);
    cr_assert_eq(touching(OP(LOOKUP, AT(2, "new"))), 1, "not released yet");
}

Test(pending, what_is_not_at_hand_touches_all_inodes)
{
    w.misses = true;
    for (uint64_t n = 1; n <= 64; n++)
        add(n, OP(UNLINK, AT(2, "f")));
    w.misses = false;
    cr_assert_gt(touching(OP(GETATTR, .ino = 4)), 0);
}

Test(pending, an_epoch_touches_everything)
{
    cr_assert_eq(pending_add_everything(table, 1), 0);
    cr_assert_eq(touching(OP(GETATTR, .ino = 4)), 1);
    cr_assert_eq(touching(OP(LOOKUP, AT(2, "x"))), 1);
    pending_remove(table, 1);
    cr_assert_eq(touching(OP(GETATTR, .ino = 4)), 0);
}

Test(pending, dots)
{
    add(1, OP(SETATTR, .ino = 1));
    cr_assert_eq(touching(OP(LOOKUP, AT(2, ".."))), 1);
    cr_assert_eq(touching(OP(LOOKUP, AT(2, "."))), 0);
    pending_remove(table, 1);
    add(2, OP(RENAME, AT(1, "d"), AT2(1, "e")));
    cr_assert_eq(touching(OP(LOOKUP, AT(2, "."))), 2);
}

/* What is removed at random leaves nothing behind. */
Test(pending, random_order_of_release)
{
    struct prng prng;
    uint64_t live[200];
    prng_init(&prng, 7);
    for (uint64_t n = 0; n < 200; n++) {
        live[n] = n + 1;
        add(n + 1, OP(RENAME, AT(2, "f"), AT2(2, "g")));
        add(n + 1, OP(WRITE, .ino = prng_below(&prng, 9)));
    }
    for (size_t left = 200; left > 0; left--) {
        size_t pick = prng_below(&prng, left);
        uint64_t newest = 0;
        for (size_t i = 0; i < left; i++)
            newest = live[i] > newest ? live[i] : newest;
        cr_assert_eq(touching(OP(LOOKUP, AT(2, "f"))), newest);
        pending_remove(table, live[pick]);
        live[pick] = live[left - 1];
    }
    cr_assert_eq(touching(OP(STATFS, .ino = 1)), 0);
}
