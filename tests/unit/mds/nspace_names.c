/* Operations on names: what each answers, in which order it checks, what it leaves behind. Inode
 * numbers are given in order: the root is 1, the first inode made is 2. */
#include "world.h"

#include <criterion/criterion.h>
#include <string.h>

static struct world w;

static void setup(void)
{
    world_init(&w);
}

static void teardown(void)
{
    world_check(&w);
    world_finish(&w);
}

TestSuite(nspace_names, .init = setup, .fini = teardown);

static struct proto_attr attr_of(uint64_t ino)
{
    struct proto_op op = OP(GETATTR, .ino = ino);
    struct proto_outcome outcome = world_do(&w, 0, &op);
    cr_assert_eq(outcome.status, PROTO_OK);
    return outcome.attr;
}

static uint64_t lookup(uint64_t parent, const char *name)
{
    struct proto_op op = {.code = PROTO_LOOKUP, .parent = parent};
    op.name = (struct proto_bytes){(const uint8_t *)name, (uint32_t)strlen(name)};
    struct proto_outcome outcome = world_do(&w, 0, &op);
    return outcome.status == PROTO_OK ? outcome.attr.ino : 0;
}

Test(nspace_names, create)
{
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "d"), .mode = 0755)}, /* 2 */
          {0, PROTO_OK, OP(CREATE, AT(2, "f"), .mode = 0644)},    /* 3 */
          {0, PROTO_OK, OP(CREATE, AT(2, "f"), .mode = 0600)},    /* there */
          {0, PROTO_EXIST, OP(CREATE, AT(2, "f"), .flags = PROTO_CREATE_EXCLUSIVE)},
          {0, PROTO_ISDIR, OP(CREATE, AT(1, "d"))},
          {0, PROTO_EXIST, OP(CREATE, AT(1, "d"), .flags = PROTO_CREATE_EXCLUSIVE)},
          {0, PROTO_ISDIR, OP(CREATE, AT(1, "."))},
          {0, PROTO_INVAL, OP(CREATE, AT(1, "x"), .mode = S_IFIFO | 0644)},
          {0, PROTO_NOTDIR, OP(CREATE, AT(3, "x"))}, {0, PROTO_STALE, OP(CREATE, AT(99, "x"))},
          {0, PROTO_OK, OP(SYMLINK, AT(2, "l"), .data = BYTES("f"))}, /* 4 */
          {0, PROTO_LOOP, OP(CREATE, AT(2, "l"))});
    struct proto_attr attr = attr_of(3);
    cr_assert_eq(attr.mode, S_IFREG | 0644);
    cr_assert_eq(attr.nlink, 1);
    cr_assert_eq(attr.size, 0);
    cr_assert_eq(attr.mtime, attr.btime);
    cr_assert_gt(attr_of(2).mtime, attr.mtime, "the directory changed again, for the symlink");
}

Test(nspace_names, create_says_whether_it_made_one)
{
    struct proto_op op = OP(CREATE, AT(1, "f"), .mode = 0644);
    cr_assert_eq(world_do(&w, 0, &op).value, 1);
    struct proto_outcome again = world_do(&w, 0, &op);
    cr_assert_eq(again.value, 0);
    cr_assert_eq(again.attr.ino, 2);
    struct proto_op write = OP(WRITE, .ino = 2, .data = BYTES("text"));
    world_do(&w, 0, &write);
    op.flags = PROTO_OPEN_TRUNCATE;
    cr_assert_eq(world_do(&w, 0, &op).attr.size, 0);
}

Test(nspace_names, mknod)
{
    STEPS(&w, {0, PROTO_OK, OP(MKNOD, AT(1, "reg"), .mode = 0640)},
          {0, PROTO_OK, OP(MKNOD, AT(1, "fifo"), .mode = S_IFIFO | 0640)},
          {0, PROTO_OK, OP(MKNOD, AT(1, "dev"), .mode = S_IFCHR | 0640, .rdev = 0x501)},
          {0, PROTO_OK, OP(SETATTR, .ino = 1, .valid = PROTO_SET_MODE, .mode = 0777)},
          {7, PROTO_OK, OP(MKNOD, AT(1, "sock"), .mode = S_IFSOCK | 0640)},
          {7, PROTO_PERM, OP(MKNOD, AT(1, "dev2"), .mode = S_IFBLK | 0640, .rdev = 0x501)},
          {7, PROTO_OK, OP(MKNOD, AT(1, "whiteout"), .mode = S_IFCHR)},
          {7, PROTO_EXIST, OP(MKNOD, AT(1, "dev"), .mode = S_IFBLK)},
          {0, PROTO_PERM, OP(MKNOD, AT(1, "dir"), .mode = S_IFDIR)},
          {0, PROTO_INVAL, OP(MKNOD, AT(1, "link"), .mode = S_IFLNK)});
    cr_assert_eq(attr_of(4).rdev, 0x501);
    cr_assert_eq(attr_of(2).mode, S_IFREG | 0640);
}

Test(nspace_names, mkdir_and_rmdir)
{
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "a"), .mode = 07777)}, /* 2 */
          {0, PROTO_OK, OP(MKDIR, AT(2, "b"), .mode = 0755)},      /* 3 */
          {0, PROTO_EXIST, OP(MKDIR, AT(1, "a"))}, {0, PROTO_EXIST, OP(MKDIR, AT(1, ".."))},
          {0, PROTO_NOTEMPTY, OP(RMDIR, AT(1, "a"))}, {0, PROTO_INVAL, OP(RMDIR, AT(2, "."))},
          {0, PROTO_NOTEMPTY, OP(RMDIR, AT(2, ".."))}, {0, PROTO_NOENT, OP(RMDIR, AT(1, "x"))},
          {0, PROTO_ISDIR, OP(UNLINK, AT(1, "a"))}, {0, PROTO_ISDIR, OP(UNLINK, AT(1, "."))},
          {0, PROTO_OK, OP(CREATE, AT(1, "f"))}, /* 4 */
          {0, PROTO_NOTDIR, OP(RMDIR, AT(1, "f"))});
    cr_assert_eq(attr_of(2).mode, S_IFDIR | 01777, "mkdir takes no setuid or setgid bit");
    cr_assert_eq(attr_of(2).nlink, 3);
    STEPS(&w, {0, PROTO_OK, OP(RMDIR, AT(2, "b"))}, {0, PROTO_STALE, OP(GETATTR, .ino = 3)},
          {0, PROTO_OK, OP(RMDIR, AT(1, "a"))}, {0, PROTO_STALE, OP(MKDIR, AT(2, "x"))});
    cr_assert_eq(attr_of(1).nlink, 2);
}

Test(nspace_names, symlink)
{
    struct proto_op read = OP(READLINK, .ino = 2);
    STEPS(&w, {0, PROTO_OK, OP(SYMLINK, AT(1, "l"), .data = BYTES("some/where"))}, /* 2 */
          {0, PROTO_EXIST, OP(SYMLINK, AT(1, "l"), .data = BYTES("x"))},
          {0, PROTO_NOENT, OP(SYMLINK, AT(1, "m"))}, {0, PROTO_INVAL, OP(READLINK, .ino = 1)},
          {0, PROTO_STALE, OP(READLINK, .ino = 9)});
    struct proto_outcome outcome = world_do(&w, 0, &read);
    cr_assert_eq(outcome.data.bytes, 10);
    cr_assert_eq(memcmp(outcome.data.data, "some/where", 10), 0);
    cr_assert_eq(attr_of(2).size, 10);
    STEPS(&w, {0, PROTO_OK, OP(UNLINK, AT(1, "l"))}, {0, PROTO_STALE, OP(READLINK, .ino = 2)});
}

Test(nspace_names, link_and_unlink)
{
    w.limits.links_max = 3;
    STEPS(&w, {0, PROTO_OK, OP(CREATE, AT(1, "f"))}, /* 2 */
          {0, PROTO_OK, OP(MKDIR, AT(1, "d"))},      /* 3 */
          {0, PROTO_OK, OP(LINK, .ino = 2, AT2(3, "g"))},
          {0, PROTO_EXIST, OP(LINK, .ino = 2, AT2(3, "g"))},
          {0, PROTO_EXIST, OP(LINK, .ino = 2, AT2(3, "."))},
          {0, PROTO_PERM, OP(LINK, .ino = 3, AT2(1, "e"))},
          {0, PROTO_STALE, OP(LINK, .ino = 77, AT2(1, "e"))},
          {0, PROTO_NOTDIR, OP(LINK, .ino = 2, AT2(2, "e"))},
          {0, PROTO_OK, OP(LINK, .ino = 2, AT2(1, "h"))},
          {0, PROTO_MLINK, OP(LINK, .ino = 2, AT2(1, "i"))},
          {0, PROTO_MLINK, OP(MKDIR, AT(1, "i"))}); /* the root: 2 and one more */
    cr_assert_eq(attr_of(2).nlink, 3);
    STEPS(&w, {0, PROTO_OK, OP(UNLINK, AT(1, "f"))}, {0, PROTO_OK, OP(UNLINK, AT(1, "h"))},
          {0, PROTO_NOENT, OP(UNLINK, AT(1, "h"))});
    cr_assert_eq(attr_of(2).nlink, 1);
    STEPS(&w, {0, PROTO_OK, OP(UNLINK, AT(3, "g"))}, {0, PROTO_STALE, OP(GETATTR, .ino = 2)});
}

Test(nspace_names, lookup)
{
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "d"))}, /* 2 */
          {0, PROTO_OK, OP(MKDIR, AT(2, "e"))},     /* 3 */
          {0, PROTO_NOENT, OP(LOOKUP, AT(2, "x"))}, {0, PROTO_STALE, OP(LOOKUP, AT(9, "x"))});
    cr_assert_eq(lookup(2, "e"), 3);
    cr_assert_eq(lookup(3, "."), 3);
    cr_assert_eq(lookup(3, ".."), 2);
    cr_assert_eq(lookup(1, ".."), 1);
}

Test(nspace_names, a_full_name_space)
{
    w.limits.inodes_max = 2;
    STEPS(&w, {0, PROTO_OK, OP(CREATE, AT(1, "a"))}, {0, PROTO_NOSPC, OP(CREATE, AT(1, "b"))},
          {0, PROTO_NOSPC, OP(MKDIR, AT(1, "b"))}, {0, PROTO_OK, OP(LINK, .ino = 2, AT2(1, "b"))},
          {0, PROTO_OK, OP(UNLINK, AT(1, "a"))}, {0, PROTO_OK, OP(UNLINK, AT(1, "b"))},
          {0, PROTO_OK, OP(CREATE, AT(1, "c"))});
}

Test(nspace_names, rename_files)
{
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "d"))}, /* 2 */
          {0, PROTO_OK, OP(CREATE, AT(1, "a"))},    /* 3 */
          {0, PROTO_OK, OP(CREATE, AT(1, "b"))},    /* 4 */
          {0, PROTO_OK, OP(RENAME, AT(1, "a"), AT2(1, "c"))},
          {0, PROTO_NOENT, OP(RENAME, AT(1, "a"), AT2(1, "c"))},
          {0, PROTO_OK, OP(RENAME, AT(1, "c"), AT2(1, "c"))},
          {0, PROTO_EXIST, OP(RENAME, AT(1, "c"), AT2(1, "b"), .flags = PROTO_RENAME_NOREPLACE)},
          {0, PROTO_ISDIR, OP(RENAME, AT(1, "c"), AT2(1, "d"))},
          {0, PROTO_NOTDIR, OP(RENAME, AT(1, "d"), AT2(1, "c"))},
          {0, PROTO_INVAL, OP(RENAME, AT(1, "."), AT2(1, "x"))},
          {0, PROTO_INVAL, OP(RENAME, AT(1, "c"), AT2(2, ".."))},
          {0, PROTO_EXIST, OP(RENAME, AT(1, "c"), AT2(2, ".."), .flags = PROTO_RENAME_NOREPLACE)},
          {0, PROTO_OK, OP(RENAME, AT(1, "c"), AT2(1, "b"))},
          {0, PROTO_STALE, OP(GETATTR, .ino = 4)},
          {0, PROTO_OK, OP(RENAME, AT(1, "b"), AT2(2, "e"), .flags = PROTO_RENAME_NOREPLACE)});
    cr_assert_eq(lookup(2, "e"), 3);
    cr_assert_eq(lookup(1, "b"), 0);
}

Test(nspace_names, rename_of_two_names_of_one_file_does_nothing)
{
    STEPS(&w, {0, PROTO_OK, OP(CREATE, AT(1, "a"))},
          {0, PROTO_OK, OP(LINK, .ino = 2, AT2(1, "b"))});
    int64_t before = attr_of(1).mtime;
    STEPS(&w, {0, PROTO_OK, OP(RENAME, AT(1, "a"), AT2(1, "b"))});
    cr_assert_eq(lookup(1, "a"), 2);
    cr_assert_eq(attr_of(2).nlink, 2);
    cr_assert_eq(attr_of(1).mtime, before);
}

Test(nspace_names, rename_directories)
{
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "a"))}, /* 2 */
          {0, PROTO_OK, OP(MKDIR, AT(2, "b"))},     /* 3 */
          {0, PROTO_OK, OP(MKDIR, AT(3, "c"))},     /* 4 */
          {0, PROTO_OK, OP(MKDIR, AT(1, "z"))},     /* 5 */
          {0, PROTO_INVAL, OP(RENAME, AT(1, "a"), AT2(2, "x"))},
          {0, PROTO_INVAL, OP(RENAME, AT(1, "a"), AT2(4, "x"))},
          {0, PROTO_NOTEMPTY, OP(RENAME, AT(3, "c"), AT2(1, "a"))},
          {0, PROTO_INVAL, OP(RENAME, AT(3, "c"), AT2(1, "a"), .flags = PROTO_RENAME_EXCHANGE)},
          {0, PROTO_NOTEMPTY, OP(RENAME, AT(1, "z"), AT2(1, "a"))},
          {0, PROTO_OK, OP(RENAME, AT(3, "c"), AT2(1, "z"))}, /* replaces the empty z */
          {0, PROTO_STALE, OP(GETATTR, .ino = 5)},
          {0, PROTO_OK, OP(RENAME, AT(2, "b"), AT2(4, "b"))});
    cr_assert_eq(lookup(1, "z"), 4);
    cr_assert_eq(lookup(4, ".."), 1);
    cr_assert_eq(lookup(3, ".."), 4);
    cr_assert_eq(attr_of(1).nlink, 4);
    cr_assert_eq(attr_of(2).nlink, 2);
    cr_assert_eq(attr_of(4).nlink, 3);
}

Test(nspace_names, rename_exchange)
{
    uint32_t both = PROTO_RENAME_EXCHANGE;
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "a"))}, /* 2 */
          {0, PROTO_OK, OP(MKDIR, AT(2, "b"))},     /* 3 */
          {0, PROTO_OK, OP(CREATE, AT(1, "f"))},    /* 4 */
          {0, PROTO_NOENT, OP(RENAME, AT(1, "f"), AT2(2, "x"), .flags = both)},
          {0, PROTO_INVAL,
           OP(RENAME, AT(1, "f"), AT2(2, "b"), .flags = both | PROTO_RENAME_NOREPLACE)},
          {0, PROTO_INVAL, OP(RENAME, AT(1, "a"), AT2(2, "b"), .flags = both)},
          {0, PROTO_OK, OP(RENAME, AT(1, "f"), AT2(2, "b"), .flags = both)});
    cr_assert_eq(lookup(1, "f"), 3);
    cr_assert_eq(lookup(2, "b"), 4);
    cr_assert_eq(lookup(3, ".."), 1);
    cr_assert_eq(attr_of(1).nlink, 4);
    cr_assert_eq(attr_of(2).nlink, 2);
}

Test(nspace_names, rename_exchange_of_directories)
{
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "a"))}, /* 2 */
          {0, PROTO_OK, OP(MKDIR, AT(2, "b"))},     /* 3 */
          {0, PROTO_OK, OP(MKDIR, AT(1, "c"))},     /* 4 */
          {0, PROTO_OK, OP(RENAME, AT(2, "b"), AT2(1, "c"), .flags = PROTO_RENAME_EXCHANGE)});
    cr_assert_eq(lookup(3, ".."), 1);
    cr_assert_eq(lookup(4, ".."), 2);
}

/* A directory that is gone, but held, takes nothing: neither is it looked for above it. */
Test(nspace_names, rename_into_a_directory_that_is_gone)
{
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "a"))}, /* 2 */
          {0, PROTO_OK, OP(MKDIR, AT(2, "b"))},     /* 3 */
          {0, PROTO_OK, OP(MKDIR, AT(2, "c"))},     /* 4 */
          {0, PROTO_OK, OP(RENAME, AT(2, "b"), AT2(2, "c"), .flags = PROTO_UNLINK_HOLD)},
          {0, PROTO_OK, OP(RMDIR, AT(2, "c"))}, {0, PROTO_OK, OP(RMDIR, AT(1, "a"))},
          {0, PROTO_OK, OP(MKDIR, AT(1, "d"))},
          {0, PROTO_NOENT, OP(RENAME, AT(1, "d"), AT2(4, "d"))});
}

Test(nspace_names, rename_changes_ctime_of_both)
{
    STEPS(&w, {0, PROTO_OK, OP(CREATE, AT(1, "a"))}, {0, PROTO_OK, OP(CREATE, AT(1, "b"))});
    w.clock = 7000;
    STEPS(&w, {0, PROTO_OK, OP(RENAME, AT(1, "a"), AT2(1, "b"), .flags = PROTO_RENAME_EXCHANGE)});
    cr_assert(attr_of(2).ctime == 7000 && attr_of(3).ctime == 7000);
}

Test(nspace_names, rename_whiteout)
{
    STEPS(&w, {0, PROTO_OK, OP(CREATE, AT(1, "a"))}, /* 2 */
          {0, PROTO_OK, OP(RENAME, AT(1, "a"), AT2(1, "b"), .flags = PROTO_RENAME_WHITEOUT)});
    cr_assert_eq(lookup(1, "b"), 2);
    struct proto_attr whiteout = attr_of(lookup(1, "a"));
    cr_assert_eq(whiteout.mode, S_IFCHR);
    cr_assert_eq(whiteout.rdev, 0);
}

Test(nspace_names, rename_links_max)
{
    w.limits.links_max = 4;
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "a"))}, /* 2 */
          {0, PROTO_OK, OP(MKDIR, AT(2, "b"))},     /* 3 */
          {0, PROTO_OK, OP(MKDIR, AT(1, "c"))},     /* 4: the root is full */
          {0, PROTO_MLINK, OP(RENAME, AT(2, "b"), AT2(1, "b"))},
          {0, PROTO_OK, OP(CREATE, AT(1, "f"))},
          {0, PROTO_MLINK, OP(RENAME, AT(2, "b"), AT2(1, "f"), .flags = PROTO_RENAME_EXCHANGE)},
          {0, PROTO_OK, OP(RENAME, AT(2, "b"), AT2(1, "c"))});
}

Test(nspace_names, times)
{
    w.clock = 5000;
    STEPS(&w, {0, PROTO_OK, OP(CREATE, AT(1, "a"))}, {0, PROTO_OK, OP(MKDIR, AT(1, "d"))});
    int64_t made = attr_of(2).btime;
    cr_assert_eq(made, 5000);
    cr_assert_eq(attr_of(1).mtime, 5001, "two operations never happen at one time");
    w.clock = 9000;
    STEPS(&w, {0, PROTO_OK, OP(RENAME, AT(1, "a"), AT2(3, "a"))});
    cr_assert_eq(attr_of(2).ctime, 9000);
    cr_assert_eq(attr_of(2).mtime, made);
    cr_assert_eq(attr_of(1).mtime, 9000);
    cr_assert_eq(attr_of(3).ctime, 9000);
    w.clock = 100; /* a clock that runs behind */
    STEPS(&w, {0, PROTO_OK, OP(LINK, .ino = 2, AT2(1, "b"))});
    cr_assert_eq(attr_of(2).ctime, 9001);
    w.clock = INT64_MAX; /* one that is broken */
    STEPS(&w, {0, PROTO_OK, OP(UNLINK, AT(1, "b"))});
    cr_assert_eq(attr_of(2).ctime, 9002);
}

Test(nspace_names, readdir_gives_stable_positions)
{
    struct proto_dirent e[16];
    enum proto_status status;
    STEPS(&w, {0, PROTO_OK, OP(CREATE, AT(1, "z"))}, {0, PROTO_OK, OP(CREATE, AT(1, "a"))},
          {0, PROTO_OK, OP(CREATE, AT(1, "m"))});
    cr_assert_eq(world_list(&w, 0, 1, 0, true, e, 16, &status), 5);
    cr_assert(e[0].cookie == 1 && e[1].cookie == 2 && !e[0].has_attr && e[1].ino == 1);
    cr_assert(e[2].name.data[0] == 'z' && e[2].cookie == 3 && e[2].attr.ino == 2);
    STEPS(&w, {0, PROTO_OK, OP(UNLINK, AT(1, "a"))}, {0, PROTO_OK, OP(CREATE, AT(1, "b"))});
    cr_assert_eq(world_list(&w, 0, 1, 3, false, e, 16, &status), 2);
    cr_assert(e[0].name.data[0] == 'm' && e[1].name.data[0] == 'b' && !e[0].has_attr);
    cr_assert_eq(world_list(&w, 0, 1, 1, false, e, 16, &status), 4);
    cr_assert_eq(world_list(&w, 0, 1, UINT64_MAX, false, e, 16, &status), 0);
    cr_assert_eq(world_list(&w, 0, 2, 0, false, e, 16, &status), 0);
    cr_assert_eq(status, PROTO_NOTDIR);
}

Test(nspace_names, statfs)
{
    struct proto_op op = OP(STATFS, .ino = 1);
    struct proto_statfs statfs;
    STEPS(&w, {0, PROTO_OK, OP(CREATE, AT(1, "a"))},
          {0, PROTO_OK, OP(WRITE, .ino = 2, .data = BYTES("12345"))});
    struct proto_outcome outcome = world_do(&w, 0, &op);
    struct reader r = reader_make(outcome.data.data, outcome.data.bytes);
    proto_statfs_read(&r, &statfs);
    cr_assert(statfs.inodes_used == 2 && statfs.bytes_used == 5 && statfs.inline_bytes_max == 4096);
}
