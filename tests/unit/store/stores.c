/* The two stores: the common contract, and what is LevelDB's own. */
#include "tests/unit/store/contract.h"
#include "tests/unit/store/temporary.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct store *memory_new(void *user)
{
    struct store *store = NULL;
    cr_assert_eq(store_memory_create(&store, NULL), 0);
    return store;
}

Test(store, memory)
{
    store_contract_run(&(struct store_fixture){.create = memory_new, .threads = true});
}

static int level_open(const char *directory, bool create, struct store **ret_store,
                      struct error *error)
{
    struct store_leveldb_config config = {.directory = directory,
                                          .write_buffer_bytes = 256 << 10,
                                          .compression = true,
                                          .create = create};
    return store_leveldb_open(&config, ret_store, error);
}

static struct store *level_open_expect(void *user, bool create)
{
    struct store *store = NULL;
    struct error error;
    cr_assert_eq(level_open(user, create, &store, &error), 0, "%s", error.text);
    return store;
}

static struct store *level_new(void *user)
{
    return level_open_expect(user, true);
}

static struct store *level_reopen(void *user, struct store *store)
{
    store_close(store);
    return level_open_expect(user, false);
}

Test(store, leveldb)
{
    char path[64];
    temporary_make(path);
    store_contract_run(&(struct store_fixture){level_new, level_reopen, true, path});
    temporary_remove(path);
}

Test(store, leveldb_is_created_only_when_told)
{
    char path[64];
    struct store *store = NULL;
    struct error error;
    temporary_make(path);
    cr_assert_lt(level_open(path, false, &store, &error), 0);
    store = level_open_expect(path, true);
    store_close(store);
    cr_assert_lt(level_open(path, true, &store, &error), 0);
    cr_assert_neq(strlen(error.text), 0);
    temporary_remove(path);
}

/* LevelDB takes the memory for the text of a failure by this. */
static bool strdup_fails;

char *strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = strdup_fails ? NULL : malloc(bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

Test(store, leveldb_fails_without_memory_to_say_so)
{
    char path[64];
    struct store *store = NULL;
    struct error error;
    temporary_make(path);
    strdup_fails = true;
    cr_assert_eq(level_open(path, false, &store, &error), -ENOMEM);
    strdup_fails = false;
    temporary_remove(path);
}

/* Flip a byte in the middle of the first file with this ending. */
static void file_damage(const char *directory, const char *ending)
{
    DIR *entries = opendir(directory);
    cr_assert_not_null(entries);
    struct dirent *entry;
    while ((entry = readdir(entries)) && !strstr(entry->d_name, ending))
        continue;
    cr_assert_not_null(entry, "no %s", ending);
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    closedir(entries);
    FILE *file = fopen(path, "r+");
    cr_assert_not_null(file);
    fseek(file, 0, SEEK_END);
    long middle = ftell(file) / 2;
    fseek(file, middle, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, middle, SEEK_SET);
    fputc(byte ^ 0x40, file);
    fclose(file);
}

static void level_fill(const char *path)
{
    struct store *store = level_open_expect((void *)path, true);
    struct store_batch *batch = store_batch_create();
    for (int i = 0; i < 3000; i++) {
        char key[16];
        int bytes = snprintf(key, sizeof key, "%08d", i);
        cr_assert_eq(store_batch_put(batch, key, (size_t)bytes, key, (size_t)bytes), 0);
        if (i % 500 == 499) {
            cr_assert_eq(store_write(store, batch, true, NULL), 0);
            store_batch_clear(batch);
        }
    }
    store_batch_destroy(batch);
    store_close(store);
}

Test(store, leveldb_refuses_a_damaged_log)
{
    char path[64];
    struct store *store = NULL;
    struct error error;
    temporary_make(path);
    level_fill(path);
    file_damage(path, ".log");
    cr_assert_eq(level_open(path, false, &store, &error), -EUCLEAN);
    temporary_remove(path);
}

static bool count_each(void *user, const void *key, size_t key_bytes, const void *value,
                       size_t value_bytes)
{
    ++*(unsigned *)user;
    return true;
}

Test(store, leveldb_reports_a_damaged_table)
{
    char path[64];
    unsigned count = 0;
    struct error error;
    temporary_make(path);
    level_fill(path);
    store_close(level_open_expect(path, false)); /* the log becomes a table */
    file_damage(path, ".ldb");
    struct store *store = level_open_expect(path, false);
    cr_assert_eq(store_scan(store, "", 0, "", 0, count_each, &count, &error), -EUCLEAN);
    cr_assert_lt(count, 3000);
    store_close(store);
    temporary_remove(path);
}
