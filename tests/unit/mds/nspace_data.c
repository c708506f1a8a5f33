/* File data: inline content, the way to stripes, sizes, cuts, what stays behind an unlink. */
#include "world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct world w;

static void setup(void)
{
    world_init(&w);
    STEPS(&w, {0, PROTO_OK, OP(CREATE, AT(1, "f"), .mode = 0644)}); /* 2 */
}

static void teardown(void)
{
    world_check(&w);
    world_finish(&w);
}

TestSuite(nspace_data, .init = setup, .fini = teardown);

#define WRITE(at, text)   OP(WRITE, .ino = 2, .offset = (at), .data = BYTES(text))
#define APPEND(text)      OP(WRITE, .ino = 2, .flags = PROTO_WRITE_APPEND, .data = BYTES(text))
#define TRUNCATE(bytes)   OP(SETATTR, .ino = 2, .valid = PROTO_SET_SIZE, .size = (bytes))
#define STRIPE(version)   OP(STRIPE, .ino = 2, .value = (version), .layout = {1, 2, 1, 65536})
#define GROW(bytes)       OP(GROW, .ino = 2, .size = (bytes))
#define RESERVE(bytes)    OP(RESERVE, .ino = 2, .size = (bytes))
#define CUT_DONE(version) OP(CUT_DONE, .ino = 2, .value = (version))

static struct proto_attr attr_of(uint64_t ino)
{
    struct proto_op op = OP(GETATTR, .ino = ino);
    return world_do(&w, 0, &op).attr;
}

static void expect_content(const void *text, uint32_t bytes)
{
    struct proto_op op = OP(READ, .ino = 2, .count = 100000);
    struct proto_outcome outcome = world_do(&w, 0, &op);
    cr_assert_eq(outcome.status, PROTO_OK);
    cr_assert_eq(outcome.data.bytes, bytes);
    cr_assert_eq(outcome.attr.size, bytes);
    cr_assert(bytes == 0 || memcmp(outcome.data.data, text, bytes) == 0);
}

Test(nspace_data, inline_write_and_read)
{
    struct proto_op part = OP(READ, .ino = 2, .offset = 2, .count = 3);
    STEPS(&w, {0, PROTO_OK, WRITE(0, "hello")});
    expect_content("hello", 5);
    STEPS(&w, {0, PROTO_OK, WRITE(3, "p!")}, {0, PROTO_OK, WRITE(7, "x")});
    expect_content("help!\0\0x", 8);
    cr_assert_eq(memcmp(world_do(&w, 0, &part).data.data, "lp!", 3), 0);
    part.offset = UINT64_MAX;
    cr_assert_eq(world_do(&w, 0, &part).data.bytes, 0);
    uint64_t version = attr_of(2).data_version;
    STEPS(&w, {0, PROTO_OK, WRITE(0, "")});
    cr_assert_eq(attr_of(2).data_version, version, "nothing was written");
}

Test(nspace_data, wrong_kinds_of_files)
{
    STEPS(&w, {0, PROTO_ISDIR, OP(WRITE, .ino = 1, .data = BYTES("x"))},
          {0, PROTO_ISDIR, OP(READ, .ino = 1)},
          {0, PROTO_ISDIR, OP(SETATTR, .ino = 1, .valid = PROTO_SET_SIZE)},
          {0, PROTO_OK, OP(MKNOD, AT(1, "p"), .mode = S_IFIFO)},
          {0, PROTO_INVAL, OP(READ, .ino = 3)},
          {0, PROTO_INVAL, OP(SETATTR, .ino = 3, .valid = PROTO_SET_SIZE)},
          {0, PROTO_STALE, OP(READ, .ino = 9)}, {0, PROTO_AGAIN, GROW(5)},
          {0, PROTO_AGAIN, RESERVE(5)}, {0, PROTO_AGAIN, CUT_DONE(1)});
}

Test(nspace_data, appends_never_overlap)
{
    struct proto_op op = APPEND("abc");
    cr_assert_eq(world_do(&w, 0, &op).value, 0);
    cr_assert_eq(world_do(&w, 0, &op).value, 3);
    op.offset = 1; /* of no account */
    cr_assert_eq(world_do(&w, 0, &op).value, 6);
    expect_content("abcabcabc", 9);
}

Test(nspace_data, inline_limit)
{
    w.limits.inline_bytes_max = 8;
    STEPS(&w, {0, PROTO_OK, WRITE(0, "12345678")}, {0, PROTO_FBIG, APPEND("9")},
          {0, PROTO_FBIG, WRITE(8, "9")}, {0, PROTO_FBIG, TRUNCATE(9)},
          {0, PROTO_FBIG, TRUNCATE(UINT64_MAX)}, {0, PROTO_FBIG, WRITE(UINT64_MAX, "9")},
          {0, PROTO_FBIG, WRITE(INT64_MAX, "9")}, {0, PROTO_OK, WRITE(7, "x")});
    w.limits.inline_bytes_max = 4; /* what is there may stay */
    STEPS(&w, {0, PROTO_OK, WRITE(6, "yy")}, {0, PROTO_FBIG, WRITE(7, "yy")},
          {0, PROTO_OK, TRUNCATE(6)});
    expect_content("123456", 6);
}

Test(nspace_data, truncate_both_ways)
{
    STEPS(&w, {0, PROTO_OK, WRITE(0, "123456")}, {0, PROTO_OK, TRUNCATE(2)});
    expect_content("12", 2);
    STEPS(&w, {0, PROTO_OK, TRUNCATE(4)});
    expect_content("12\0\0", 4);
    struct proto_attr before = attr_of(2), after;
    STEPS(&w, {0, PROTO_OK, TRUNCATE(4)});
    after = attr_of(2);
    cr_assert(after.mtime == before.mtime && after.ctime == before.ctime, "nothing changed");
    cr_assert_eq(after.data_version, before.data_version);
    STEPS(&w, {0, PROTO_OK, TRUNCATE(0)});
    expect_content("", 0);
    STEPS(&w, {0, PROTO_OK, TRUNCATE(3)});
    expect_content("\0\0\0", 3);
}

Test(nspace_data, times_of_writes)
{
    struct proto_op op = WRITE(0, "x");
    w.clock = 10000;
    op.mtime = 9000;
    world_do(&w, 0, &op);
    cr_assert_eq(attr_of(2).mtime, 9000);
    cr_assert_eq(attr_of(2).ctime, 10000);
    op.mtime = 8000; /* another client's, flushed late */
    world_do(&w, 0, &op);
    cr_assert_eq(attr_of(2).mtime, 9000);
    op.mtime = 99000;
    w.clock = 11000;
    world_do(&w, 0, &op);
    cr_assert_eq(attr_of(2).mtime, 11000);
    struct proto_op touch = OP(SETATTR, .ino = 2, .valid = PROTO_SET_MTIME, .mtime = 500000);
    world_do(&w, 0, &touch);
    op.mtime = 0;
    w.clock = 12000;
    world_do(&w, 0, &op);
    cr_assert_eq(attr_of(2).mtime, 12000, "a time in the future does not stay");
}

Test(nspace_data, from_inline_to_stripes)
{
    STEPS(&w, {0, PROTO_OK, WRITE(0, "123456")}, {0, PROTO_AGAIN, STRIPE(1)},
          {0, PROTO_INVAL, OP(STRIPE, .ino = 2, .value = 2)});
    int64_t changed = attr_of(2).mtime;
    STEPS(&w, {0, PROTO_OK, STRIPE(2)}, {0, PROTO_AGAIN, STRIPE(3)},
          {0, PROTO_AGAIN, OP(READ, .ino = 2)}, {0, PROTO_AGAIN, WRITE(0, "x")});
    struct proto_attr attr = attr_of(2);
    cr_assert(attr.size == 6 && attr.layout.striped && attr.layout.targets == 2);
    cr_assert(attr.layout.first == 1 && attr.layout.stripe_bytes == 65536);
    cr_assert(attr.data_version == 3 && attr.cut == UINT64_MAX && attr.mtime == changed);
}

Test(nspace_data, striped_sizes)
{
    struct proto_op reserve = RESERVE(50);
    STEPS(&w, {0, PROTO_OK, STRIPE(1)}, {0, PROTO_OK, GROW(100)}, {0, PROTO_OK, GROW(40)});
    cr_assert_eq(attr_of(2).size, 100);
    cr_assert_eq(world_do(&w, 0, &reserve).value, 100);
    cr_assert_eq(world_do(&w, 0, &reserve).value, 150);
    cr_assert_eq(attr_of(2).size, 200);
    STEPS(&w, {0, PROTO_FBIG, RESERVE(INT64_MAX)}, {0, PROTO_FBIG, GROW(UINT64_MAX)},
          {0, PROTO_OK, TRUNCATE(INT64_MAX)});
}

Test(nspace_data, cut_of_striped_files)
{
    STEPS(&w, {0, PROTO_OK, STRIPE(1)}, {0, PROTO_OK, GROW(100)}, {0, PROTO_OK, TRUNCATE(60)});
    cr_assert_eq(attr_of(2).cut, 60);
    STEPS(&w, {0, PROTO_AGAIN, GROW(61)}, {0, PROTO_AGAIN, RESERVE(1)},
          {0, PROTO_AGAIN, TRUNCATE(61)}, {0, PROTO_OK, GROW(60)}, {0, PROTO_OK, TRUNCATE(30)},
          {0, PROTO_AGAIN, GROW(31)});
    uint64_t version = attr_of(2).data_version;
    cr_assert_eq(attr_of(2).cut, 30);
    STEPS(&w, {0, PROTO_AGAIN, CUT_DONE(version - 1)}, {0, PROTO_OK, CUT_DONE(version)},
          {0, PROTO_OK, CUT_DONE(version)}, {0, PROTO_OK, GROW(500)});
    cr_assert_eq(attr_of(2).cut, UINT64_MAX);
    cr_assert_eq(attr_of(2).data_version, version, "growing moves no data");
    cr_assert_eq(attr_of(2).size, 500);
}

Test(nspace_data, unlinked_stripes_wait_to_be_purged)
{
    STEPS(&w, {0, PROTO_OK, STRIPE(1)}, {0, PROTO_OK, GROW(100)});
    uint64_t generation = attr_of(2).generation;
    STEPS(&w, {0, PROTO_NOENT, OP(PURGED, .ino = 2)}, {0, PROTO_OK, OP(UNLINK, AT(1, "f"))});
    struct record_key key = record_key_purge(2);
    const struct world_record *record = world_find(&w, &key);
    struct proto_purge purge;
    cr_assert(record);
    cr_assert_eq(nspace_purge_entry(record->key, record->key_bytes, record->value,
                                    record->value_bytes, &purge),
                 0);
    cr_assert(purge.ino == 2 && purge.generation == generation);
    STEPS(&w, {7, PROTO_OK, OP(PURGED, .ino = 2)}, {7, PROTO_NOENT, OP(PURGED, .ino = 2)});
    cr_assert(!world_find(&w, &key));
}

Test(nspace_data, held_while_unlinked)
{
    struct proto_op unlink = OP(UNLINK, AT(1, "f"), .flags = PROTO_UNLINK_HOLD);
    STEPS(&w, {0, PROTO_OK, WRITE(0, "hello")}, {0, PROTO_OK, OP(LINK, .ino = 2, AT2(1, "g"))});
    cr_assert_eq(world_do(&w, 0, &unlink).value, 0, "it has another name");
    unlink.name = (struct proto_bytes)BYTES("g");
    cr_assert_eq(world_do(&w, 0, &unlink).value, 2);
    cr_assert_eq(attr_of(2).nlink, 0);
    STEPS(&w, {0, PROTO_OK, WRITE(5, " there")}, {0, PROTO_NOENT, OP(LINK, .ino = 2, AT2(1, "h"))});
    expect_content("hello there", 11);
    STEPS(&w, {0, PROTO_OK, OP(RELEASE, .ino = 2)}, {0, PROTO_NOENT, OP(RELEASE, .ino = 2)},
          {0, PROTO_STALE, OP(GETATTR, .ino = 2)}, {0, PROTO_NOENT, OP(RELEASE, .ino = 1)});
}

/* First, last and middle one of the session's list; what a rename replaces is held as well. */
Test(nspace_data, many_held)
{
    STEPS(&w, {0, PROTO_OK, OP(CREATE, AT(1, "a"))}, {0, PROTO_OK, OP(CREATE, AT(1, "b"))},
          {0, PROTO_OK, OP(CREATE, AT(1, "c"))}, {0, PROTO_OK, OP(CREATE, AT(1, "d"))});
    STEPS(&w, {0, PROTO_OK, OP(UNLINK, AT(1, "a"), .flags = PROTO_UNLINK_HOLD)},
          {0, PROTO_OK, OP(UNLINK, AT(1, "b"), .flags = PROTO_UNLINK_HOLD)},
          {0, PROTO_OK, OP(UNLINK, AT(1, "c"), .flags = PROTO_UNLINK_HOLD)});
    struct proto_op rename = OP(RENAME, AT(1, "f"), AT2(1, "d"), .flags = PROTO_UNLINK_HOLD);
    cr_assert_eq(world_do(&w, 0, &rename).value, 6);
    STEPS(&w, {0, PROTO_OK, OP(RELEASE, .ino = 4)}, {0, PROTO_OK, OP(RELEASE, .ino = 6)},
          {0, PROTO_OK, OP(RELEASE, .ino = 3)}, {0, PROTO_OK, OP(RELEASE, .ino = 5)});
    cr_assert_eq(w.state.inodes, 2);
}

Test(nspace_data, a_held_directory_takes_no_names)
{
    STEPS(&w, {0, PROTO_OK, OP(MKDIR, AT(1, "d"))}, {0, PROTO_OK, OP(MKDIR, AT(1, "e"))},
          {0, PROTO_OK, OP(RENAME, AT(1, "d"), AT2(1, "e"), .flags = PROTO_UNLINK_HOLD)},
          {0, PROTO_NOENT, OP(CREATE, AT(4, "x"))},
          {0, PROTO_NOENT, OP(RENAME, AT(1, "f"), AT2(4, "x"))},
          {0, PROTO_OK, OP(RELEASE, .ino = 4)});
}

/* --- extended attributes -------------------------------------------------------------------------
 */

#define SET(attribute, text, how) \
    OP(SETXATTR, .ino = 2, .name = BYTES(attribute), .data = BYTES(text), .flags = (how))
#define GET(attribute)    OP(GETXATTR, .ino = 2, .name = BYTES(attribute))
#define REMOVE(attribute) OP(REMOVEXATTR, .ino = 2, .name = BYTES(attribute))

static void expect_names(uint32_t uid, const char *names, uint32_t bytes)
{
    struct proto_op op = OP(LISTXATTR, .ino = 2);
    struct proto_outcome outcome = world_do(&w, uid, &op);
    cr_assert_eq(outcome.status, PROTO_OK);
    cr_assert_eq(outcome.data.bytes, bytes);
    cr_assert(bytes == 0 || memcmp(outcome.data.data, names, bytes) == 0);
}

Test(nspace_data, xattrs)
{
    struct proto_op get = GET("user.b");
    expect_names(0, "", 0);
    STEPS(&w, {0, PROTO_NODATA, GET("user.a")}, {0, PROTO_NODATA, REMOVE("user.a")},
          {0, PROTO_NODATA, SET("user.a", "1", PROTO_XATTR_REPLACE)},
          {0, PROTO_OK, SET("user.a", "1", PROTO_XATTR_CREATE)},
          {0, PROTO_EXIST, SET("user.a", "1", PROTO_XATTR_CREATE)},
          {0, PROTO_OK, SET("user.b", "", 0)}, {0, PROTO_OK, SET("user.c", "333", 0)},
          {0, PROTO_OK, SET("user.b", "2222", PROTO_XATTR_REPLACE)});
    expect_names(0, "user.a\0user.b\0user.c", 21);
    struct proto_outcome outcome = world_do(&w, 0, &get);
    cr_assert(outcome.data.bytes == 4 && memcmp(outcome.data.data, "2222", 4) == 0);
    STEPS(&w, {0, PROTO_OK, REMOVE("user.b")}, {0, PROTO_NODATA, GET("user.b")});
    expect_names(0, "user.a\0user.c", 14);
    STEPS(&w, {0, PROTO_OK, REMOVE("user.c")}, {0, PROTO_OK, REMOVE("user.a")});
    expect_names(0, "", 0);
    w.clock = 7000;
    STEPS(&w, {0, PROTO_OK, SET("user.a", "1", 0)});
    cr_assert_eq(attr_of(2).ctime, 7000);
    STEPS(&w, {0, PROTO_OK, OP(UNLINK, AT(1, "f"))});
}

Test(nspace_data, xattr_namespaces)
{
    STEPS(&w, {0, PROTO_NOTSUP, SET("system.posix_acl_access", "x", 0)},
          {0, PROTO_NOTSUP, GET("system.posix_acl_access")}, {0, PROTO_NOTSUP, SET("foo", "x", 0)},
          {0, PROTO_INVAL, SET("user.", "x", 0)}, {0, PROTO_OK, SET("trusted.t", "x", 0)},
          {0, PROTO_OK, SET("security.s", "x", 0)}, {7, PROTO_PERM, SET("trusted.t", "y", 0)},
          {7, PROTO_NODATA, GET("trusted.t")}, {7, PROTO_OK, GET("security.s")},
          {7, PROTO_PERM, SET("security.s", "y", 0)}, {7, PROTO_ACCES, SET("user.u", "y", 0)},
          {7, PROTO_NODATA, GET("user.u")},
          {0, PROTO_OK, OP(SETATTR, .ino = 2, .valid = PROTO_SET_MODE)},
          {7, PROTO_ACCES, GET("user.u")});
    expect_names(7, "security.s", 11);
    expect_names(0, "trusted.t\0security.s", 21);
}

Test(nspace_data, xattrs_by_type)
{
    STEPS(&w, {0, PROTO_OK, OP(SYMLINK, AT(1, "l"), .data = BYTES("x"))}, /* 3 */
          {0, PROTO_PERM, OP(SETXATTR, .ino = 3, .name = BYTES("user.a"))},
          {0, PROTO_NODATA, OP(GETXATTR, .ino = 3, .name = BYTES("user.a"))},
          {0, PROTO_OK, OP(SETXATTR, .ino = 3, .name = BYTES("trusted.a"))},
          {0, PROTO_OK, OP(MKDIR, AT(1, "d"), .mode = 01777)}, /* 4 */
          {0, PROTO_OK, OP(SETATTR, .ino = 4, .valid = PROTO_SET_MODE, .mode = 01777)},
          {7, PROTO_PERM, OP(SETXATTR, .ino = 4, .name = BYTES("user.a"))},
          {0, PROTO_OK, OP(SETXATTR, .ino = 4, .name = BYTES("user.a"))},
          {0, PROTO_OK, OP(UNLINK, AT(1, "l"))}, {0, PROTO_OK, OP(RMDIR, AT(1, "d"))});
}

Test(nspace_data, xattr_limits)
{
    static uint8_t big[PROTO_XATTR_VALUE_BYTES_MAX];
    char name[16];
    struct proto_op op = OP(SETXATTR, .ino = 2, .data = {big, sizeof big}, .name = BYTES("user.1"));
    cr_assert_eq(world_do(&w, 0, &op).status, PROTO_OK);
    op.name = (struct proto_bytes)BYTES("user.2");
    cr_assert_eq(world_do(&w, 0, &op).status, PROTO_NOSPC, "with the names it is too much");
    op.data.bytes -= 12;
    cr_assert_eq(world_do(&w, 0, &op).status, PROTO_OK);
    op.data.bytes += 1;
    cr_assert_eq(world_do(&w, 0, &op).status, PROTO_NOSPC);
    STEPS(&w, {0, PROTO_OK, REMOVE("user.1")}, {0, PROTO_OK, REMOVE("user.2")});
    for (unsigned i = 0; i <= 250; i++) {
        op.name.data = (const uint8_t *)name;
        op.name.bytes = (uint32_t)snprintf(name, sizeof name, "user.%u", i);
        op.data.bytes = 1;
        cr_assert_eq(world_do(&w, 0, &op).status, i < 250 ? PROTO_OK : PROTO_NOSPC);
    }
    STEPS(&w, {0, PROTO_OK, OP(UNLINK, AT(1, "f"))}); /* with all of them */
}
