/* A load that can tell whether a group told the truth: several sessions make, rename, change and
 * read 16 names in 4 directories, remember every answer with its place in the order, and afterwards
 * one order has to explain all of them.
 *
 * What makes lies visible: an inode number is never given twice, so it names one create for ever;
 * mtimes are unique (given ones by the session, others because the group gives out each time once);
 * appends say at which offset they landed; ctimes are strictly ascending in the order.
 *
 * Files: load.c (options, threads, report), load_session.c (one session's operations),
 * load_model.c (the names' reference model), load_check.c (the search for the order). */
#ifndef TUTTI_TESTS_CLUSTER_LOAD_H
#define TUTTI_TESTS_CLUSTER_LOAD_H

#include "base/must.h"
#include "client/tutti.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOAD_DIRECTORIES = 4,
    LOAD_NAMES = 4, /* in each directory */
    LOAD_PLACES = LOAD_DIRECTORIES * LOAD_NAMES,
    LOAD_SESSIONS_MAX = 56,
    LOAD_LOGS_MAX = 64, /* those of the sessions, and of the last look at each replica */
};

enum load_kind {
    LOAD_CREATE,  /* place -> ino */
    LOAD_UNLINK,  /* place -> value: the inode, held by the session */
    LOAD_RENAME,  /* place, place2, flags -> value: the replaced inode, held */
    LOAD_SETATTR, /* ino, word: its new mtime */
    LOAD_APPEND,  /* ino, word -> value: offset */
    LOAD_RELEASE, /* ino */
    LOAD_LOOKUP,  /* place -> ino, tag, size */
    LOAD_GETATTR, /* ino -> tag, size */
    LOAD_LIST,    /* place: the directory -> listed */
    LOAD_KINDS
};
extern const char *const load_kind_names[LOAD_KINDS];

static inline bool load_is_write(enum load_kind kind)
{
    return kind < LOAD_LOOKUP;
}

struct load_op {
    uint8_t kind, place, place2;
    uint32_t flags; /* PROTO_RENAME_* */
    enum proto_status status;
    uint32_t inode;     /* set by the check: place of `ino` among all inodes, UINT32_MAX: none; */
    uint32_t time_rank; /* place among all answers that show a ctime, UINT32_MAX: shows none */
    uint64_t ino, value, size, word;
    int64_t tag, ctime; /* of the answer; 0: it shows none */
    uint64_t listed[LOAD_NAMES];
    uint64_t after;        /* the greatest index in any answer that was there when it was sent */
    uint64_t epoch, index; /* of the answer */
    uint64_t wait_ns;      /* for the answer */
};

struct load_log {
    char name[80]; /* for people */
    struct load_op *ops;
    size_t count, capacity;
};

/* What all sessions share. */
struct load {
    uint64_t directories[LOAD_DIRECTORIES];
    uint64_t inline_bytes_max;
    uint64_t period_ns; /* of one session's operations; 0: as fast as it can */
    uint64_t seed;
    atomic_bool stop;
    _Atomic uint64_t index_seen;         /* greatest index in any answer */
    _Atomic uint64_t known[LOAD_PLACES]; /* an inode that was seen there */
    _Atomic uint64_t done, answer_ns, wait_ns_max;
};

/* One client of the library that asks one question at a time. */
struct load_session {
    struct load *load;
    struct tutti *client;
    struct load_log log;
    uint32_t number;
    int code; /* why it ended early: a negative errno */
    struct load_ask *ask;
};

/* Connect; @replicas: as in tutti_options. 0 or a negative errno (text in `error`). */
int load_session_open(struct load_session *session, struct load *load, const char *replicas,
                      uint32_t number, struct error *error) WARN_UNUSED;
void load_session_close(struct load_session *session);

/* Make the directories, and learn what a small file may grow to. 0 or a negative errno. */
int load_session_prepare(struct load_session *session, const char *directory) WARN_UNUSED;

/* Operations at random until load->stop; session->code says how it ended. */
void load_session_run(struct load_session *session);

/* Look at every name and every directory, into the session's log, and compare the contents of all
 * files with what the logs say was appended. 0, or -1 with one line on stderr. */
int load_session_look(struct load_session *session, struct load_log *const *logs,
                      size_t log_count) WARN_UNUSED;

/* --- the reference model --- */

struct model_inode {
    enum { MODEL_NEVER, MODEL_LINKED, MODEL_HELD, MODEL_GONE } state;
    int64_t tag;
    uint64_t size;
};

struct model_undo {
    bool name; /* else an inode */
    uint32_t number, was_name;
    struct model_inode was;
};

struct model {
    uint64_t inline_bytes_max;
    uint32_t names[LOAD_PLACES]; /* inode index + 1; 0: none */
    struct model_inode *inodes;
    uint64_t *inos; /* of each inode */
    size_t inode_count;
    struct model_undo *undo;
    size_t undo_count, undo_capacity;
    uint64_t hash; /* of the state */
};

/* Borrow the table of all inode numbers (sorted). 0 or -ENOMEM. */
int model_init(struct model *model, uint64_t *inos, size_t inode_count,
               uint64_t inline_bytes_max) WARN_UNUSED;
void model_finish(struct model *model);

/* Execute; false, and nothing changed, where the answer is not the model's (`why`: 160 bytes). */
bool model_apply(struct model *model, const struct load_op *op, char *why);

/* Take back everything since undo_count was `mark`. */
void model_back(struct model *model, size_t mark);

/* --- the check --- */

/* Is there one order, in which every answer is right, that respects all indices, times and what was
 * answered before something else was asked? 0; -1 with the first wrong fact on stderr.
 * @ret_steps: how many steps the search took. */
int load_check(struct load_log *const *logs, size_t log_count, uint64_t inline_bytes_max,
               uint64_t *ret_steps) WARN_UNUSED;

#endif
