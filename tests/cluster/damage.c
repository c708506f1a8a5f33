/* Silent damage: change one file's owner in the store of a replica that is stopped, as if its disk
 * had given back something else than it was given. Nothing that LevelDB checks is wrong afterwards;
 * only the digest can find it. */
#include "base/cursor.h"
#include "mds/record.h"
#include "mds/store_place.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] = "usage: damage DATA-DIRECTORY NAME\n"
                           "\n"
                           "Exit code: 0 the owner of /NAME is another one; 1 an error.\n";

static int find(struct store *store, const char *name, uint64_t *ret_ino, struct error *error)
{
    struct proto_bytes bytes = {(const uint8_t *)name, (uint32_t)strlen(name)};
    struct record_key key = record_key_entry(PROTO_ROOT_INO, bytes);
    struct entry entry = {0};
    void *value = NULL;
    size_t count = 0;
    int rc = store_get(store, key.bytes, key.count, &value, &count, error);
    if (rc < 0)
        return rc;
    rc = rc == STORE_ABSENT ? error_set(error, -ENOENT, "there is no /%s", name)
                            : record_read_entry(value, count, &entry);
    free(value);
    *ret_ino = entry.ino;
    return rc;
}

static int put(struct store *store, const struct record_key *key, const struct inode *inode,
               struct error *error)
{
    uint8_t content[RECORD_DIRECTORY_BYTES];
    struct writer w = writer_make(content, sizeof content);
    struct store_batch *batch = store_batch_create();
    record_write_inode(&w, inode);
    int rc =
        batch ? store_batch_put(batch, key->bytes, key->count, content, writer_used(&w)) : -ENOMEM;
    if (rc == 0)
        rc = store_write(store, batch, true, error);
    store_batch_destroy(batch);
    return rc;
}

static int change(struct store *store, uint64_t ino, struct error *error)
{
    struct record_key key = record_key_inode(ino);
    struct inode inode;
    void *value = NULL;
    size_t count = 0;
    int rc = store_get(store, key.bytes, key.count, &value, &count, error);
    if (rc == 0)
        rc = record_read_inode(value, count, ino, &inode);
    if (rc == 0) {
        inode.uid ^= 1;
        rc = put(store, &key, &inode, error);
    }
    free(value);
    return rc == STORE_ABSENT ? -ENOENT : rc;
}

static int damage(const char *data, const char *name, struct error *error)
{
    char directory[STORE_PLACE_BYTES];
    struct disk *disk;
    struct store *store;
    uint64_t ino;
    int rc = disk_posix_create(data, &disk, error);
    if (rc < 0)
        return rc;
    rc = store_place_current(disk, data, directory, error);
    struct store_leveldb_config config = {.directory = directory, .compression = true};
    if (rc == 0)
        rc = store_leveldb_open(&config, &store, error);
    if (rc == 0) {
        rc = find(store, name, &ino, error);
        if (rc == 0)
            rc = change(store, ino, error);
        store_close(store);
    }
    disk->ops->destroy(disk);
    return rc;
}

int main(int argc, char **argv)
{
    struct error error = {{0}};
    if (argc != 3) {
        fputs(help, stderr);
        return 1;
    }
    int rc = damage(argv[1], argv[2], &error);
    if (rc == 0)
        return 0;
    fprintf(stderr, "damage: %s\n", error.text[0] ? error.text : strerror(-rc));
    return 1;
}
