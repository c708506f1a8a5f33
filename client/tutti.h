/* libtutti: the client library.
 *
 * A client holds a list of replicas and one session. Requests may be started from any thread; up to
 * `slots` writes and as many reads are in flight, some thousands more are queued. A connection that
 * breaks is made again, to the next replica if need be, and what is unanswered is sent again:
 * nothing is done twice, because the session table is part of the replicated state. While no
 * replica answers (or the group waits for a member) requests wait, without a limit of time;
 * blocking ones can be cancelled.
 *
 * Any replica tells who the others are, so all that `replicas` names may be replaced, one by one,
 * while the client is there, and with members_path also between two times.
 *
 * A session that expired (this machine was cut off or suspended for longer than the group keeps
 * sessions) is replaced by a new one. What was out then ends with -ESHUTDOWN, what starts later
 * goes through the new one; unlinked files that the old one held are gone (see PROTO_UNLINK_HOLD).
 *
 * Errors: negative errno everywhere.
 *   -ETIMEDOUT  no replica within connect_timeout_ns (tutti_connect); no answer within
 *               request_timeout_ns (tutti_call; whether the request happens is unknown)
 *   -ESHUTDOWN  the client was closed, or the session expired while the request was out (whether it
 *               happened is unknown)
 *   -EINTR      the wait was ended by `cancelled` (whether the request happens is unknown)
 *   -EAGAIN     tutti_submit only: TUTTI_REQUESTS_MAX or TUTTI_BYTES_MAX are out; after some are
 * done -EINVAL     not a request that a client may make -ENOMEM     it was never sent
 *
 * A client does not survive fork(2) in the child: daemonise first. Asynchronous calls call back on
 * the client's own thread: don't block there. */
#ifndef TUTTI_H
#define TUTTI_H

#include "base/error.h"
#include "base/must.h"
#include "proto/proto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tutti;

/* Accepted and not ended. */
enum { TUTTI_REQUESTS_MAX = 8192, TUTTI_BYTES_MAX = 32 * 1024 * 1024 };

struct tutti_options {
    const char *replicas; /* "a:7400,b:7400,c:7400" */
    uint32_t first;       /* index of the replica to try first; UINT32_MAX: at random */
    uint32_t slots;       /* writes in flight, and reads; 1 .. PROTO_SLOTS_MAX, default 128 */
    uint64_t connect_timeout_ns; /* of tutti_connect; 0: wait for ever; default 30 s */
    uint64_t keepalive_ns;       /* default 15 s */
    uint64_t request_timeout_ns; /* of tutti_call; 0 (default): wait for ever */
    const char *members_path;    /* a file: who was in the group last; NULL (default): not kept. One
                                  * that can't be written is said in the log, once. */
};
void tutti_options_defaults(struct tutti_options *options);

/* Start the client's thread, connect, open a session. Blocks until it is open.
 * @options: borrowed for the call
 * Returns 0; -EINVAL, -ETIMEDOUT, -ENOMEM, -errno; text in `error`. */
int tutti_connect(const struct tutti_options *options, struct tutti **ret_client,
                  struct error *error) WARN_UNUSED;

/* Close the session and end the thread; requests in flight end with -ESHUTDOWN. Blocks, for some
 * seconds where the group does not answer (the session expires by itself then), until no blocking
 * call is inside any more. Not from a callback. NULL is allowed. */
void tutti_close(struct tutti *client);

/* On whose behalf; groups: supplementary, at most PROTO_GROUPS_MAX. Copied. */
struct tutti_caller {
    uint32_t uid, gid, group_count;
    const uint32_t *groups;
};

/* One request, asynchronous. The operation and the groups are copied. `done` is called once, on the
 * client's thread, with code 0 and the outcome (borrowed), or with a negative errno and NULL. Where
 * this returns an error, it is not called.
 * Any thread, callbacks included. Source: mds answers of each operation, proto/proto.h. */
typedef void tutti_done(void *user, int code, const struct proto_reply *reply);
int tutti_submit(struct tutti *client, const struct tutti_caller *caller, const struct proto_op *op,
                 tutti_done *done, void *user) WARN_UNUSED;

/* One request, blocking; waits for room, too. `ret_outcome`'s data points into `reply_data`, which
 * the caller gives (buffer_init with at least PROTO_REPLY_BYTES_MAX; cleared here) and keeps.
 * Returns 0 where there is an outcome (its status may still be an error), or a negative errno as
 * above.
 * @cancelled: asked, on the calling thread, once when the wait begins and again whenever tutti_wake
 * is called; may be NULL. Where it returns true, the wait ends with -EINTR and the outcome of the
 *   request is unknown. Keep it cheap for the first call (a flag): it is on every request's path.
 * Any thread but the client's own. */
int tutti_call(struct tutti *client, const struct tutti_caller *caller, const struct proto_op *op,
               struct buffer *reply_data, struct proto_outcome *ret_outcome,
               bool (*cancelled)(void *user), void *user) WARN_UNUSED;

/* Wake all blocking calls so that they ask `cancelled` again. Any thread; not from a signal. */
void tutti_wake(struct tutti *client);

/* The errno of an outcome's status: 0 or positive. */
int tutti_errno(enum proto_status status);

/* Which replica the client is connected to ("127.0.0.1:7401", or "" while it is not), for logs. */
void tutti_peer(struct tutti *client, char text[128]);

#endif
