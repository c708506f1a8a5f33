/* Who may do what. Users are numbers; a user's group has the same number. */
#include "world.h"

#include <criterion/criterion.h>

enum { ALICE = 10, BOB = 11, TEAM = 50 };

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

TestSuite(nspace_permission, .init = setup, .fini = teardown);

#define CHMOD(inode, bits) OP(SETATTR, .ino = (inode), .valid = PROTO_SET_MODE, .mode = (bits))
#define CHOWN(inode, to)   OP(SETATTR, .ino = (inode), .valid = PROTO_SET_UID, .uid = (to))
#define CHGRP(inode, to)   OP(SETATTR, .ino = (inode), .valid = PROTO_SET_GID, .gid = (to))

static struct proto_attr attr_of(uint64_t ino)
{
    struct proto_op op = OP(GETATTR, .ino = ino);
    return world_do(&w, 0, &op).attr;
}

Test(nspace_permission, classes)
{
    static const struct {
        uint32_t uid, group, mode, wanted;
        enum proto_status want;
    } rows[] = {
        {ALICE, 0, 0400, PROTO_OPEN_READ, PROTO_OK},
        {ALICE, 0, 0400, PROTO_OPEN_WRITE, PROTO_ACCES},
        {ALICE, 0, 0077, PROTO_OPEN_READ, PROTO_ACCES}, /* the owner's bits, not the group's */
        {BOB, 0, 0077, PROTO_OPEN_READ, PROTO_OK},
        {BOB, 0, 0640, PROTO_OPEN_READ, PROTO_ACCES},
        {BOB, TEAM, 0640, PROTO_OPEN_READ, PROTO_OK}, /* supplementary */
        {BOB, TEAM, 0604, PROTO_OPEN_READ, PROTO_ACCES},
        {BOB, 51, 0640, PROTO_OPEN_READ, PROTO_ACCES},
        {TEAM, 0, 0640, PROTO_OPEN_READ, PROTO_OK}, /* effective group */
        {BOB, 0, 0606, PROTO_OPEN_READ | PROTO_OPEN_WRITE, PROTO_OK},
        {BOB, 0, 0604, PROTO_OPEN_READ | PROTO_OPEN_WRITE, PROTO_ACCES},
        {0, 0, 0000, PROTO_OPEN_READ | PROTO_OPEN_WRITE, PROTO_OK},
        {0, 0, 0644, PROTO_OPEN_EXEC, PROTO_ACCES}, /* nobody may execute it */
        {0, 0, 0610, PROTO_OPEN_EXEC, PROTO_OK},
        {BOB, 0, 0000, 0, PROTO_OK},
    };
    STEPS(&w, {0, PROTO_OK, OP(CREATE, AT(1, "f"))}, {0, PROTO_OK, CHOWN(2, ALICE)},
          {0, PROTO_OK, CHGRP(2, TEAM)});
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        w.group_count = 0;
        STEPS(&w, {0, PROTO_OK, CHMOD(2, rows[i].mode)});
        w.groups[0] = 99;
        w.groups[1] = rows[i].group;
        w.group_count = rows[i].group ? 2 : 0;
        struct proto_op open = OP(OPEN, .ino = 2, .flags = rows[i].wanted);
        cr_assert_eq(world_do(&w, rows[i].uid, &open).status, rows[i].want, "row %zu", i);
        open.code = PROTO_ACCESS;
        cr_assert_eq(world_do(&w, rows[i].uid, &open).status, rows[i].want, "row %zu", i);
    }
}

Test(nspace_permission, directories_are_searched_and_written)
{
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "d"), .mode = 0755)}, /* 2 */
          {0, PROTO_OK, CHOWN(2, ALICE)},
          {ALICE, PROTO_OK, OP(CREATE, AT(2, "f"), .mode = 0644)}, /* 3 */
          {BOB, PROTO_OK, OP(LOOKUP, AT(2, "f"))}, {BOB, PROTO_ACCES, OP(CREATE, AT(2, "g"))},
          {BOB, PROTO_EXIST, OP(MKDIR, AT(2, "f"))}, {BOB, PROTO_ACCES, OP(UNLINK, AT(2, "f"))},
          {BOB, PROTO_NOENT, OP(UNLINK, AT(2, "x"))},
          {BOB, PROTO_ACCES, OP(LINK, .ino = 3, AT2(2, "h"))},
          {BOB, PROTO_ACCES, OP(RENAME, AT(2, "f"), AT2(2, "h"))},
          {ALICE, PROTO_OK, CHMOD(2, 0700)}, {BOB, PROTO_ACCES, OP(LOOKUP, AT(2, "f"))},
          {BOB, PROTO_ACCES, OP(UNLINK, AT(2, "x"))}, {BOB, PROTO_OK, OP(GETATTR, .ino = 3)},
          {0, PROTO_OK, OP(LOOKUP, AT(2, "f"))}, {ALICE, PROTO_OK, CHMOD(2, 0600)},
          {ALICE, PROTO_ACCES, OP(LOOKUP, AT(2, "f"))},
          {0, PROTO_OK, OP(LOOKUP, AT(2, "f"))}); /* the superuser searches everywhere */
}

Test(nspace_permission, opening_directories)
{
    STEPS(&w, {0, PROTO_ISDIR, OP(OPEN, .ino = 1, .flags = PROTO_OPEN_WRITE)},
          {0, PROTO_ACCES, OP(OPEN, .ino = 1, .flags = PROTO_OPEN_EXEC)},
          {BOB, PROTO_OK, OP(OPEN, .ino = 1, .flags = PROTO_OPEN_READ)},
          {0, PROTO_OK, OP(SYMLINK, AT(1, "l"), .data = BYTES("x"))},
          {0, PROTO_LOOP, OP(OPEN, .ino = 2, .flags = PROTO_OPEN_READ)});
}

Test(nspace_permission, listing)
{
    struct proto_dirent e[8];
    enum proto_status status;
    STEPS(&w, {0, PROTO_OK, OP(CREATE, AT(1, "f"))}, {0, PROTO_OK, CHMOD(1, 0744)});
    cr_assert_eq(world_list(&w, BOB, 1, 2, true, e, 8, &status), 1);
    cr_assert(!e[0].has_attr, "who may not search sees names only");
    STEPS(&w, {0, PROTO_OK, CHMOD(1, 0711)});
    world_list(&w, BOB, 1, 0, true, e, 8, &status);
    cr_assert_eq(status, PROTO_ACCES);
}

Test(nspace_permission, sticky_directories)
{
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "tmp"), .mode = 01777)}, /* 2 */
          {ALICE, PROTO_OK, OP(CREATE, AT(2, "a"), .mode = 0666)},   /* 3 */
          {BOB, PROTO_OK, OP(CREATE, AT(2, "b"), .mode = 0666)},     /* 4 */
          {BOB, PROTO_PERM, OP(UNLINK, AT(2, "a"))},
          {BOB, PROTO_PERM, OP(RENAME, AT(2, "a"), AT2(2, "x"))},
          {BOB, PROTO_PERM, OP(RENAME, AT(2, "b"), AT2(2, "a"))},
          {BOB, PROTO_PERM, OP(RENAME, AT(2, "b"), AT2(2, "a"), .flags = PROTO_RENAME_EXCHANGE)},
          {BOB, PROTO_OK, OP(RENAME, AT(2, "b"), AT2(2, "c"))},
          {ALICE, PROTO_OK, OP(MKDIR, AT(2, "d"), .mode = 0777)}, /* 5 */
          {BOB, PROTO_PERM, OP(RMDIR, AT(2, "d"))}, {ALICE, PROTO_OK, OP(RMDIR, AT(2, "d"))},
          {0, PROTO_OK, CHOWN(2, BOB)}, {BOB, PROTO_OK, OP(UNLINK, AT(2, "a"))},
          {0, PROTO_OK, OP(UNLINK, AT(2, "c"))});
}

Test(nspace_permission, moving_a_directory_writes_it)
{
    STEPS(&w, {0, PROTO_OK, CHMOD(1, 0777)}, {0, PROTO_OK, OP(MKDIR, AT(1, "a"), .mode = 0755)},
          {0, PROTO_OK, OP(MKDIR, AT(1, "b"), .mode = 0777)}, /* 3 */
          {BOB, PROTO_OK, OP(RENAME, AT(1, "a"), AT2(1, "c"))},
          {BOB, PROTO_ACCES, OP(RENAME, AT(1, "c"), AT2(3, "c"))},
          {0, PROTO_OK, OP(CREATE, AT(3, "f"))},
          {BOB, PROTO_ACCES, OP(RENAME, AT(3, "f"), AT2(1, "c"), .flags = PROTO_RENAME_EXCHANGE)},
          {0, PROTO_OK, OP(RENAME, AT(1, "c"), AT2(3, "c"))});
}

Test(nspace_permission, creating_what_is_there_opens_it)
{
    struct proto_op truncate = OP(CREATE, AT(1, "f"), .flags = PROTO_OPEN_TRUNCATE);
    STEPS(&w, {0, PROTO_OK, CHMOD(1, 0777)},
          {ALICE, PROTO_OK, OP(CREATE, AT(1, "f"), .mode = 04644)}, /* 2 */
          {ALICE, PROTO_OK, OP(SETATTR, .ino = 2, .valid = PROTO_SET_SIZE, .size = 5)},
          {ALICE, PROTO_OK, CHMOD(2, 04644)},
          {BOB, PROTO_OK, OP(CREATE, AT(1, "f"), .flags = PROTO_OPEN_READ)},
          {BOB, PROTO_ACCES, OP(CREATE, AT(1, "f"), .flags = PROTO_OPEN_WRITE)},
          {BOB, PROTO_ACCES, truncate});
    cr_assert_eq(attr_of(2).size, 5);
    cr_assert_eq(world_do(&w, ALICE, &truncate).attr.mode, S_IFREG | 0644);
    cr_assert_eq(attr_of(2).size, 0);
}

Test(nspace_permission, owner_and_mode)
{
    STEPS(&w, {0, PROTO_OK, CHMOD(1, 0777)},
          {ALICE, PROTO_OK, OP(CREATE, AT(1, "f"), .mode = 0644)}, /* 2 */
          {BOB, PROTO_PERM, CHMOD(2, 0600)}, {ALICE, PROTO_OK, CHMOD(2, 0600)},
          {ALICE, PROTO_PERM, CHOWN(2, BOB)}, {ALICE, PROTO_OK, CHOWN(2, ALICE)},
          {BOB, PROTO_PERM, CHOWN(2, BOB)}, {ALICE, PROTO_PERM, CHGRP(2, TEAM)},
          {ALICE, PROTO_OK, CHGRP(2, ALICE)},
          {0, PROTO_OK, OP(SYMLINK, AT(1, "l"), .data = BYTES("x"))},
          {0, PROTO_NOTSUP, CHMOD(3, 0600)}, {0, PROTO_OK, CHOWN(3, BOB)},
          {0, PROTO_STALE, CHMOD(99, 0600)});
    w.groups[0] = TEAM;
    w.group_count = 1;
    STEPS(&w, {ALICE, PROTO_OK, CHGRP(2, TEAM)}, {BOB, PROTO_PERM, CHGRP(2, TEAM)});
}

Test(nspace_permission, setid_bits_go_with_owner_and_content)
{
    STEPS(&w, {0, PROTO_OK, CHMOD(1, 0777)}, {ALICE, PROTO_OK, OP(CREATE, AT(1, "f"))}, /* 2 */
          {ALICE, PROTO_OK, CHMOD(2, 06777)},
          {BOB, PROTO_OK, OP(WRITE, .ino = 2, .data = BYTES("x"))});
    cr_assert_eq(attr_of(2).mode & 07777, 0777);
    STEPS(&w, {ALICE, PROTO_OK, CHMOD(2, 06767)},
          {BOB, PROTO_OK, OP(WRITE, .ino = 2, .data = BYTES("x"))});
    cr_assert_eq(attr_of(2).mode & 07777, 02767, "without group execution it is no privilege");
    STEPS(&w, {ALICE, PROTO_OK, CHMOD(2, 06777)},
          {0, PROTO_OK, OP(WRITE, .ino = 2, .data = BYTES("x"))});
    cr_assert_eq(attr_of(2).mode & 07777, 06777, "the superuser writes what he likes");
    STEPS(&w, {0, PROTO_OK, CHOWN(2, BOB)});
    cr_assert_eq(attr_of(2).mode & 07777, 0777);
    STEPS(&w, {BOB, PROTO_OK, CHMOD(2, 06777)},
          {BOB, PROTO_OK, OP(SETATTR, .ino = 2, .valid = PROTO_SET_SIZE)});
    cr_assert_eq(attr_of(2).mode & 07777, 0777);
    STEPS(&w, {0, PROTO_OK, CHMOD(2, 04777)},
          {0, PROTO_OK,
           OP(SETATTR, .ino = 2, .valid = PROTO_SET_SIZE | PROTO_SET_KILL_SUID, .size = 9)});
    cr_assert_eq(attr_of(2).mode & 07777, 0777);
}

Test(nspace_permission, directories_keep_setid_bits)
{
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "d"))}, {0, PROTO_OK, CHMOD(2, 06777)},
          {0, PROTO_OK, CHOWN(2, BOB)});
    cr_assert_eq(attr_of(2).mode, S_IFDIR | 06777);
}

Test(nspace_permission, setgid_needs_the_group)
{
    STEPS(&w, {0, PROTO_OK, CHMOD(1, 0777)}, {ALICE, PROTO_OK, OP(CREATE, AT(1, "f"))},
          {0, PROTO_OK, CHGRP(2, TEAM)}, {ALICE, PROTO_OK, CHMOD(2, 02755)});
    cr_assert_eq(attr_of(2).mode & 07777, 0755);
    w.groups[0] = TEAM;
    w.group_count = 1;
    STEPS(&w, {ALICE, PROTO_OK, CHMOD(2, 02755)});
    cr_assert_eq(attr_of(2).mode & 07777, 02755);
}

Test(nspace_permission, setgid_directories)
{
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "d"))}, {0, PROTO_OK, CHGRP(2, TEAM)},
          {0, PROTO_OK, CHMOD(2, 02777)}, {ALICE, PROTO_OK, OP(MKDIR, AT(2, "sub"), .mode = 0755)},
          {ALICE, PROTO_OK, OP(CREATE, AT(2, "f"), .mode = 02755)},
          {ALICE, PROTO_OK, OP(CREATE, AT(2, "g"), .mode = 02644)},
          {ALICE, PROTO_OK, OP(SYMLINK, AT(2, "l"), .data = BYTES("x"))});
    cr_assert(attr_of(3).gid == TEAM && attr_of(3).mode == (S_IFDIR | 02755));
    cr_assert(attr_of(4).gid == TEAM && attr_of(4).mode == (S_IFREG | 0755));
    cr_assert(attr_of(5).gid == TEAM && attr_of(5).mode == (S_IFREG | 02644));
    cr_assert_eq(attr_of(6).gid, TEAM);
    STEPS(&w, {ALICE, PROTO_OK, OP(MKDIR, AT(3, "below"), .mode = 0700)});
    cr_assert_eq(attr_of(7).gid, TEAM);
    cr_assert_eq(attr_of(7).mode, S_IFDIR | 02700);
}

Test(nspace_permission, times)
{
    uint32_t given = PROTO_SET_MTIME, now = PROTO_SET_MTIME | PROTO_SET_MTIME_NOW;
    STEPS(
        &w, {0, PROTO_OK, CHMOD(1, 0777)}, {ALICE, PROTO_OK, OP(CREATE, AT(1, "f"), .mode = 0644)},
        {BOB, PROTO_PERM, OP(SETATTR, .ino = 2, .valid = given, .mtime = 5)},
        {BOB, PROTO_ACCES, OP(SETATTR, .ino = 2, .valid = now)}, {ALICE, PROTO_OK, CHMOD(2, 0666)},
        {BOB, PROTO_PERM, OP(SETATTR, .ino = 2, .valid = given, .mtime = 5)},
        {BOB, PROTO_OK, OP(SETATTR, .ino = 2, .valid = now)},
        {ALICE, PROTO_OK,
         OP(SETATTR, .ino = 2, .valid = given | PROTO_SET_ATIME, .mtime = 5, .atime = -7)});
    struct proto_attr attr = attr_of(2);
    cr_assert(attr.mtime == 5 && attr.atime == -7 && attr.ctime > 1000);
}

/* A file stays writable through the descriptor that it was made with. */
Test(nspace_permission, data_goes_through_open_files)
{
    STEPS(&w, {0, PROTO_OK, CHMOD(1, 0777)},
          {ALICE, PROTO_OK, OP(CREATE, AT(1, "f"), .mode = 0400)},
          {ALICE, PROTO_OK, OP(WRITE, .ino = 2, .data = BYTES("x"))},
          {BOB, PROTO_ACCES, OP(WRITE, .ino = 2, .data = BYTES("x"))},
          {BOB, PROTO_ACCES, OP(READ, .ino = 2, .count = 9)},
          {BOB, PROTO_ACCES, OP(SETATTR, .ino = 2, .valid = PROTO_SET_SIZE)},
          {BOB, PROTO_ACCES, OP(STRIPE, .ino = 2, .value = 2, .layout = {1, 1, 0, 4096})},
          {ALICE, PROTO_OK, CHMOD(2, 0001)}, {BOB, PROTO_OK, OP(READ, .ino = 2, .count = 9)});
}
