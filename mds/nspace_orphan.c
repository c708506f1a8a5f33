/* Orphans: inodes whose last name is gone and that a session still holds. RELEASE.
 *
 * The O records of one session are a doubly linked list by inode number, headed in the session's
 * record, so that neither holding nor releasing nor expiring a session scans.
 * Source: docs/decisions.md, "Unlinked and still open". */
#include "mds/nspace_run.h"

#include <errno.h>
#include <string.h>

int session_load(struct nspace_run *run, const uint8_t *id, struct session *ret_session)
{
    struct record_key key = record_key_session(id);
    struct proto_bytes value;
    TRY(run_get(run, &key, &value));
    if (!value.data)
        return PROTO_SESSION_UNKNOWN;
    return record_read_session(value.data, value.bytes, ret_session);
}

int session_store(struct nspace_run *run, const uint8_t *id, const struct session *session)
{
    struct record_key key = record_key_session(id);
    uint8_t value[RECORD_SESSION_BYTES];
    struct writer w = writer_make(value, sizeof value);
    record_write_session(&w, session);
    return run_put(run, &key, value, writer_used(&w));
}

int orphan_load(struct nspace_run *run, uint64_t ino, struct orphan *ret_orphan)
{
    struct record_key key = record_key_orphan(ino);
    struct proto_bytes value;
    TRY(run_get(run, &key, &value));
    if (!value.data)
        return PROTO_NOENT;
    return record_read_orphan(value.data, value.bytes, ret_orphan);
}

/* A neighbour in the list: it has to be there. */
static int neighbour_load(struct nspace_run *run, uint64_t ino, struct orphan *ret_orphan)
{
    int code = orphan_load(run, ino, ret_orphan);
    return code == PROTO_NOENT ? -EBADMSG : code;
}

static size_t orphan_encode(uint8_t value[RECORD_ORPHAN_BYTES], const struct orphan *orphan)
{
    struct writer w = writer_make(value, RECORD_ORPHAN_BYTES);
    record_write_orphan(&w, orphan);
    return writer_used(&w);
}

static int orphan_store(struct nspace_run *run, uint64_t ino, const struct orphan *orphan)
{
    struct record_key key = record_key_orphan(ino);
    uint8_t value[RECORD_ORPHAN_BYTES];
    size_t bytes = orphan_encode(value, orphan);
    return run_put(run, &key, value, bytes);
}

int orphan_add(struct nspace_run *run, const struct inode *inode)
{
    const uint8_t *id = run->request->session;
    struct record_key key = record_key_orphan(inode->ino);
    struct orphan orphan = {0}, next;
    struct session session;
    uint8_t value[RECORD_ORPHAN_BYTES];
    TRY(session_load(run, id, &session));
    memcpy(orphan.session, id, PROTO_SESSION_BYTES);
    orphan.next = session.orphans;
    if (orphan.next) {
        TRY(neighbour_load(run, orphan.next, &next));
        next.previous = inode->ino;
        TRY(orphan_store(run, orphan.next, &next));
    }
    session.orphans = inode->ino;
    TRY(session_store(run, id, &session));
    size_t bytes = orphan_encode(value, &orphan);
    return run_code(txn_insert(run->txn, &key, value, bytes));
}

/* Take it off the list; the session's head may move. */
static int orphan_unlink(struct nspace_run *run, const struct orphan *orphan)
{
    struct orphan neighbour;
    struct session session;
    if (orphan->next) {
        TRY(neighbour_load(run, orphan->next, &neighbour));
        neighbour.previous = orphan->previous;
        TRY(orphan_store(run, orphan->next, &neighbour));
    }
    if (orphan->previous) {
        TRY(neighbour_load(run, orphan->previous, &neighbour));
        neighbour.next = orphan->next;
        return orphan_store(run, orphan->previous, &neighbour);
    }
    int code = session_load(run, orphan->session, &session);
    if (code)
        return code == PROTO_SESSION_UNKNOWN ? -EBADMSG : code;
    session.orphans = orphan->next;
    return session_store(run, orphan->session, &session);
}

int orphan_remove(struct nspace_run *run, uint64_t ino, const struct orphan *orphan)
{
    struct record_key key = record_key_orphan(ino);
    struct inode inode;
    TRY(orphan_unlink(run, orphan));
    TRY(run_delete(run, &key));
    TRY(inode_load_linked(run, ino, &inode));
    return inode_remove(run, &inode);
}

int nspace_op_release(struct nspace_run *run)
{
    struct orphan orphan;
    TRY(orphan_load(run, run->op->ino, &orphan));
    if (memcmp(orphan.session, run->request->session, PROTO_SESSION_BYTES) != 0)
        return PROTO_PERM;
    return orphan_remove(run, run->op->ino, &orphan);
}
