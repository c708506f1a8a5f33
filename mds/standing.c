/* The mark `outside`, one byte: whether there is a store. See standing.h for the order of things.
 */
#include "mds/standing.h"
#include "store/metafile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int is_there(struct disk *disk, const char *name, uint8_t *ret_first, struct error *error)
{
    void *content;
    size_t bytes;
    int rc = metafile_read(disk, name, &content, &bytes, error);
    if (rc != 0)
        return rc;
    *ret_first = bytes ? *(const uint8_t *)content : 0;
    free(content);
    return 0;
}

int standing_read(struct disk *disk, const struct identity *identity, enum standing *ret_standing,
                  struct error *error)
{
    uint8_t first = 0;
    int rc = is_there(disk, "group", &first, error);
    *ret_standing = STANDING_IN;
    if (rc != METAFILE_ABSENT)
        return rc;
    rc = is_there(disk, "outside", &first, error);
    if (rc < 0)
        return rc;
    if (rc == 0)
        *ret_standing =
            first > STANDING_OUT && first <= STANDING_DAMAGED ? (enum standing)first : STANDING_OUT;
    else if (identity->standing == IDENTITY_ADDED)
        *ret_standing = STANDING_EMPTY;
    return 0;
}

int standing_epoch(struct disk *disk, uint64_t *ret_epoch, struct error *error)
{
    void *content;
    size_t bytes;
    *ret_epoch = 0;
    int rc = metafile_read(disk, "group", &content, &bytes, error);
    if (rc != 0)
        return rc == METAFILE_ABSENT ? 0 : rc;
    rc = gcs_state_epoch(content, bytes, ret_epoch);
    free(content);
    return rc < 0 ? error_set(error, rc, "the file group is damaged") : 0;
}

static int wipe_log(void *user, const char *name)
{
    struct disk *disk = user;
    return strncmp(name, "log", 3) == 0 ? disk->ops->unlink(disk, name) : 0;
}

static int wipe(struct disk *disk)
{
    int rc = disk->ops->unlink(disk, "group");
    if (rc == -ENOENT)
        rc = 0;
    if (rc == 0)
        rc = disk->ops->sync_directory(disk);
    if (rc == 0)
        rc = disk->ops->list(disk, wipe_log, disk);
    return rc == 0 ? disk->ops->sync_directory(disk) : rc;
}

int standing_keep_contacts(struct disk *disk, const void *state, size_t bytes, struct error *error)
{
    void *known;
    size_t known_bytes;
    int rc = standing_contacts(disk, &known, &known_bytes, error);
    bool same = rc == 0 && known_bytes == bytes && known && memcmp(known, state, bytes) == 0;
    if (rc == 0)
        free(known);
    if (rc < 0 || same) /* it is told of the same members again and again: no sync for that */
        return rc;
    return metafile_write(disk, "contacts", state, bytes, error);
}

/* The vote's file knows the other nodes' addresses: whom to ask to be let in again. */
int standing_keep_voters(struct disk *disk, struct error *error)
{
    void *content;
    size_t bytes;
    int rc = metafile_read(disk, "group", &content, &bytes, error);
    if (rc != 0)
        return rc == METAFILE_ABSENT ? 0 : rc;
    rc = standing_keep_contacts(disk, content, bytes, error);
    free(content);
    return rc;
}

int standing_contacts(struct disk *disk, void **ret_state, size_t *ret_bytes, struct error *error)
{
    int rc = metafile_read(disk, "contacts", ret_state, ret_bytes, error);
    if (rc != METAFILE_ABSENT && rc != -EBADMSG)
        return rc;
    *ret_state = NULL;
    *ret_bytes = 0;
    return 0;
}

int standing_leave(struct disk *disk, enum standing standing, struct error *error)
{
    int rc = standing_keep_voters(disk, error);
    return rc < 0 ? rc : standing_give_up(disk, standing, error);
}

int standing_give_up(struct disk *disk, enum standing standing, struct error *error)
{
    uint8_t mark = (uint8_t)standing;
    int rc = metafile_write(disk, "outside", &mark, sizeof mark, error);
    if (rc < 0)
        return rc;
    rc = wipe(disk);
    return rc < 0 ? error_set(error, rc, "the message log cannot be removed: %s", strerror(-rc))
                  : 0;
}
