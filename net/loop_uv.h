/* The real loop: libuv underneath the contract of base/loop.h. */
#ifndef TUTTI_NET_LOOP_UV_H
#define TUTTI_NET_LOOP_UV_H

#include "base/loop.h"

/* libuv ends the process where it has no memory to watch a descriptor: let it say so before. For a
 * program, not a library; before anything else here. */
void loop_uv_tell_shortage(void);

/* NULL when memory or descriptors are short. */
struct loop *loop_uv_create(void) WARN_UNUSED;

/* Run until loop_uv_stop. */
void loop_uv_run(struct loop *loop);

/* End loop_uv_run after this turn. Loop thread only. */
void loop_uv_stop(struct loop *loop);

/* Run `call(user)` on the loop thread soon; the one entry that any thread may use.
 * Returns 0 or -ENOMEM. */
int loop_uv_post(struct loop *loop, void (*call)(void *user), void *user) WARN_UNUSED;

/* Call `call(user)` on the loop thread whenever the process gets this signal. 0 or -errno. */
int loop_uv_on_signal(struct loop *loop, int signal, void (*call)(void *user), void *user)
    WARN_UNUSED;

/* Call `call(user)` on the loop thread whenever this descriptor can be read or its other end is
 * gone, for as long as the loop lives; the descriptor stays the caller's and outlives the loop.
 * 0 or -errno. */
int loop_uv_on_readable(struct loop *loop, int descriptor, void (*call)(void *user), void *user)
    WARN_UNUSED;

/* All timers, queues, connections have to be gone. */
void loop_uv_destroy(struct loop *loop);

/* The libuv loop (struct uv_loop_s), for net/tcp.c. */
struct uv_loop_s *loop_uv_handle(struct loop *loop);

#endif
