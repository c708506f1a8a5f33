/* Who a data directory is: kept, counted up at each start, and never guessed after damage. */
#include "mds/identity.h"
#include "mds/replica.h"
#include "tests/unit/store/memory_disk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct identity example(void)
{
    struct identity identity = {.cluster = {1, 2, 3},
                                .name = "alpha",
                                .lineage_random = 77,
                                .lineage_generation = 1,
                                .node = 2,
                                .standing = IDENTITY_ADDED,
                                .store = {9, 8},
                                .member_count = 2};
    identity.members[0] = (struct gcs_member){.node = 1, .address = "a:7401"};
    identity.members[1] = (struct gcs_member){.node = 2, .witness = true, .address = "b:7402"};
    return identity;
}

Test(identity, is_kept)
{
    struct memory_disk *memory = memory_disk_create();
    struct disk *disk = memory_disk_handle(memory);
    struct identity written = example(), read;
    struct error error;
    cr_assert_eq(identity_read(disk, &read, &error), IDENTITY_ABSENT);
    cr_assert_eq(identity_write(disk, &written, &error), 0);
    memory_disk_cut(memory);
    cr_assert_eq(identity_read(disk, &read, &error), 0);
    cr_assert_eq(memcmp(&read, &written, sizeof read), 0);
    memory_disk_destroy(memory);
}

Test(identity, every_flipped_byte_is_refused)
{
    struct memory_disk *memory = memory_disk_create();
    struct disk *disk = memory_disk_handle(memory);
    struct identity identity = example(), read;
    struct error error;
    size_t bytes;
    cr_assert_eq(identity_write(disk, &identity, &error), 0);
    uint8_t *content = memory_disk_content(memory, "identity", &bytes);
    for (size_t i = 0; i < bytes; i++) {
        content[i] ^= 0x10;
        cr_expect_lt(identity_read(disk, &read, &error), 0, "byte %zu", i);
        content[i] ^= 0x10;
    }
    cr_assert_eq(identity_read(disk, &read, &error), 0);
    memory_disk_destroy(memory);
}

Test(incarnation, counts_every_start_across_power_cuts)
{
    struct memory_disk *memory = memory_disk_create();
    struct disk *disk = memory_disk_handle(memory);
    struct incarnation incarnation;
    struct error error;
    cr_assert_eq(incarnation_next(disk, 5, &incarnation, &error), -EBADMSG);
    cr_assert_eq(incarnation_format(disk, &error), 0);
    for (uint64_t start = 1; start <= 5; start++) {
        cr_assert_eq(incarnation_next(disk, 100 + start, &incarnation, &error), 0);
        cr_assert_eq(incarnation.count, start);
        cr_assert_eq(incarnation.random, 100 + start);
        memory_disk_cut(memory);
    }
    memory_disk_destroy(memory);
}

/* Wherever a start fails: the next one has a count of its own, above all that were told. */
Test(incarnation, never_the_same_twice_after_a_failure)
{
    struct error error;
    for (unsigned at = 1;; at++) {
        struct memory_disk *memory = memory_disk_create();
        struct disk *disk = memory_disk_handle(memory);
        struct incarnation first, second;
        cr_assert_eq(incarnation_format(disk, &error), 0);
        memory_disk_fail_at(memory, at);
        int rc = incarnation_next(disk, 1, &first, &error);
        bool failed = rc < 0;
        memory_disk_fail_at(memory, 0);
        memory_disk_cut(memory);
        cr_assert_eq(incarnation_next(disk, 2, &second, &error), 0);
        cr_assert_gt(second.count, failed ? 0 : first.count);
        memory_disk_destroy(memory);
        if (!failed)
            break;
    }
}

Test(identity, hexadecimal)
{
    uint8_t bytes[16], back[16];
    char text[33];
    for (int i = 0; i < 16; i++)
        bytes[i] = (uint8_t)(i * 17 + 1);
    identity_hex(bytes, text);
    cr_assert_eq(strlen(text), 32);
    cr_assert_eq(identity_unhex(text, back, 16), 0);
    cr_assert_eq(memcmp(bytes, back, 16), 0);
    static const char *const wrong[] = {"", "0", "zz", "0g112233445566778899aabbccddeeff",
                                        "00112233445566778899aabbccddeeff00"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect_eq(identity_unhex(wrong[i], back, 16), -EINVAL);
}

/* --- formatting
 * ----------------------------------------------------------------------------------- */

struct kept {
    struct store *store; /* a memory store, kept over closing */
    bool made;
};

static struct kept kept;

static const struct store_ops *kept_ops;

static void keep(struct store *store)
{
}

static void kept_drop(void)
{
    if (kept.made)
        kept_ops->close(kept.store);
    kept = (struct kept){0};
}

static int open_kept(void *user, enum replica_store which, struct store **ret_store,
                     struct error *error)
{
    static struct store_ops ops;
    bool create = which == REPLICA_STORE_NEW;
    if (create == kept.made)
        return error_set(error, create ? -EEXIST : -ENOENT, "store");
    if (create) {
        int rc = store_memory_create(&kept.store, error);
        if (rc < 0)
            return rc;
        kept_ops = kept.store->ops;
        ops = *kept_ops;
        ops.close = keep;
        kept.store->ops = &ops;
        kept.made = true;
    }
    *ret_store = kept.store;
    return 0;
}

static struct replica_birth birth_example(void)
{
    struct replica_birth birth = {.name = "alpha", .cluster = {5}, .lineage = 3, .member_count = 2};
    birth.members[0] = (struct gcs_member){.node = 1, .address = "a:1"};
    birth.members[1] = (struct gcs_member){.node = 4, .address = "b:1"};
    return birth;
}

/* A crash at any step of formatting leaves either no replica, and formatting can be repeated, or a
 * whole one. */
Test(format, can_be_repeated_after_a_failure_at_any_step)
{
    struct replica_birth birth = birth_example();
    struct error error;
    for (unsigned at = 1;; at++) {
        struct memory_disk *memory = memory_disk_create();
        struct disk *disk = memory_disk_handle(memory);
        struct replica_config config;
        struct identity identity;
        replica_config_defaults(&config);
        config.disk = disk;
        config.node = 4;
        config.store_open = open_kept;
        memory_disk_fail_at(memory, at);
        bool failed = replica_format(&config, &birth, &error) < 0;
        memory_disk_fail_at(memory, 0);
        memory_disk_cut(memory);
        int rc = identity_read(disk, &identity, &error);
        cr_assert_geq(rc, 0);
        if (rc == IDENTITY_ABSENT) {
            cr_assert(failed);
            cr_assert_eq(replica_format(&config, &birth, &error), 0, "step %u: %s", at, error.text);
        }
        cr_assert_eq(replica_format(&config, &birth, &error), -EEXIST);
        kept_drop();
        memory_disk_destroy(memory);
        if (!failed)
            break;
        cr_assert_lt(at, 100);
    }
}

Test(format, refuses_what_does_not_fit)
{
    struct memory_disk *memory = memory_disk_create();
    struct replica_config config;
    struct error error;
    replica_config_defaults(&config);
    config.disk = memory_disk_handle(memory);
    config.store_open = open_kept;

    struct replica_birth birth = birth_example();
    config.node = 2;
    cr_expect_eq(replica_format(&config, &birth, &error), -EINVAL);
    cr_expect_not_null(strstr(error.text, "not among"), "%s", error.text);
    config.node = 4;
    config.cluster_name = "beta";
    cr_expect_eq(replica_format(&config, &birth, &error), -EINVAL);
    cr_expect_not_null(strstr(error.text, "beta"), "%s", error.text);
    config.cluster_name = "alpha";
    birth.members[0].node = 4;
    cr_expect_eq(replica_format(&config, &birth, &error), -EINVAL);
    birth = birth_example();
    birth.members[1].witness = true;
    cr_expect_eq(replica_format(&config, &birth, &error), -EINVAL);
    cr_expect_not_null(strstr(error.text, "correct witness"), "%s", error.text);
    birth.members[0].witness = config.witness = true;
    cr_expect_eq(replica_format(&config, &birth, &error), -EINVAL);
    cr_expect_not_null(strstr(error.text, "no witness"), "%s", error.text);
    config.witness = false;
    birth = birth_example();
    birth.name = "";
    cr_expect_eq(replica_format(&config, &birth, &error), -EINVAL);
    birth = birth_example();
    cr_expect_eq(replica_join_format(&config, &birth, &error), -EINVAL);
    cr_expect_not_null(strstr(error.text, "a member already"), "%s", error.text);
    config.node = 9;
    config.listen = "0.0.0.0:7400";
    cr_expect_eq(replica_join_format(&config, &birth, &error), -EINVAL);
    cr_expect_not_null(strstr(error.text, "give member.9 = HOST:PORT"), "%s", error.text);
    config.listen = "[::]:7400";
    cr_expect_eq(replica_join_format(&config, &birth, &error), -EINVAL);
    config.members[config.member_count++] = (struct gcs_member){.node = 9, .address = "c:7400"};
    cr_expect_eq(replica_join_format(&config, &birth, &error), 0, "%s", error.text);
    cr_expect_not(kept.made, "a refused birth made a store");
    memory_disk_destroy(memory);
}

/* Neither one that joins nor a witness has a store of its own making. */
Test(format, without_a_store)
{
    static const struct {
        uint8_t node;
        bool witness;
        int (*format)(const struct replica_config *, const struct replica_birth *, struct error *);
        enum identity_standing standing;
    } cases[] = {{4, true, replica_format, IDENTITY_MEMBER},
                 {9, false, replica_join_format, IDENTITY_ADDED},
                 {9, true, replica_join_format, IDENTITY_ADDED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct memory_disk *memory = memory_disk_create();
        struct replica_birth birth = birth_example();
        struct replica_config config;
        struct identity identity;
        struct error error;
        birth.members[1].witness = true;
        birth.lineage_generation = 6;
        replica_config_defaults(&config);
        config.disk = memory_disk_handle(memory);
        config.store_open = open_kept;
        config.node = cases[i].node;
        config.witness = cases[i].witness;
        cr_assert_eq(cases[i].format(&config, &birth, &error), 0, "case %zu: %s", i, error.text);
        cr_expect_not(kept.made, "case %zu made a store", i);
        cr_assert_eq(identity_read(config.disk, &identity, &error), 0);
        cr_expect_eq(identity.standing, cases[i].standing);
        cr_expect_eq(identity.witness, cases[i].witness);
        cr_expect_eq(identity.lineage_generation, 6);
        cr_expect(identity.member_count == 2 && identity.members[1].witness);
        cr_expect_eq(cases[i].format(&config, &birth, &error), -EEXIST);
        memory_disk_destroy(memory);
    }
}
