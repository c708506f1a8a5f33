/* What the kernel may keep of a file's pages from one open to the next.
 *
 * Pages that were read since an open are at least as new as the order was at that open. Whatever is
 * ordered on the inode later, a GROW after data went to the objects included, changes its ctime,
 * which nobody can set. So pages may stay if the ctime at this open is that of the last one. The
 * last ones are remembered in a table of fixed size; who falls out just reads again. */
#include "client/fuse_internal.h"

#include <stdlib.h>

enum { ENTRY_COUNT = 1 << 14 };

struct mount_reopen {
    pthread_mutex_t mutex;
    struct {
        uint64_t ino;
        int64_t ctime;
        uint64_t data_version;
    } entries[ENTRY_COUNT];
};

struct mount_reopen *mount_reopen_create(void)
{
    struct mount_reopen *reopen = calloc(1, sizeof *reopen);
    if (reopen)
        pthread_mutex_init(&reopen->mutex, NULL);
    return reopen;
}

void mount_reopen_destroy(struct mount_reopen *reopen)
{
    if (!reopen)
        return;
    pthread_mutex_destroy(&reopen->mutex);
    free(reopen);
}

bool mount_reopen_unchanged(struct mount_reopen *reopen, const struct proto_attr *attr)
{
    size_t at = attr->ino % ENTRY_COUNT;
    pthread_mutex_lock(&reopen->mutex);
    bool unchanged = reopen->entries[at].ino == attr->ino &&
                     reopen->entries[at].ctime == attr->ctime &&
                     reopen->entries[at].data_version == attr->data_version;
    reopen->entries[at].ino = attr->ino;
    reopen->entries[at].ctime = attr->ctime;
    reopen->entries[at].data_version = attr->data_version;
    pthread_mutex_unlock(&reopen->mutex);
    return unchanged;
}
