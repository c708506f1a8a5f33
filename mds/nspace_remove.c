/* Operations that take a name away: UNLINK, RMDIR. Order of the checks as in Linux (may_delete). */
#include "mds/nspace_run.h"

/* The last step of both: no entry, one link less. Changes `dir` no further. */
static int place_clear(struct nspace_run *run, struct place *place, struct inode *victim)
{
    bool hold = run->op->flags & PROTO_UNLINK_HOLD;
    TRY(entry_remove(run, &place->dir, place->name, &place->entry));
    TRY(inode_store(run, &place->dir));
    run_set_value(run, 0);
    return inode_drop_link(run, victim, hold);
}

int nspace_op_unlink(struct nspace_run *run)
{
    struct place place;
    struct inode victim;
    TRY(place_find(run, run->op->parent, run->op->name, &place));
    if (place.dots)
        return PROTO_ISDIR;
    if (!place.found)
        return PROTO_NOENT;
    TRY(inode_load_linked(run, place.entry.ino, &victim));
    TRY(permission_remove_entry(run, &place.dir, &victim));
    if (S_ISDIR(victim.mode))
        return PROTO_ISDIR;
    return place_clear(run, &place, &victim);
}

int nspace_op_rmdir(struct nspace_run *run)
{
    struct place place;
    struct inode victim;
    TRY(place_find(run, run->op->parent, run->op->name, &place));
    if (place.dots)
        return place.name.bytes == 1 ? PROTO_INVAL : PROTO_NOTEMPTY;
    if (!place.found)
        return PROTO_NOENT;
    TRY(inode_load_linked(run, place.entry.ino, &victim));
    TRY(permission_remove_entry(run, &place.dir, &victim));
    if (!S_ISDIR(victim.mode))
        return PROTO_NOTDIR;
    if (victim.entries > 0)
        return PROTO_NOTEMPTY;
    place.dir.nlink--;
    return place_clear(run, &place, &victim);
}
