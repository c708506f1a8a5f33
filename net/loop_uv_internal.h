/* Between loop_uv.c and loop_uv_queue.c. */
#ifndef TUTTI_NET_LOOP_UV_INTERNAL_H
#define TUTTI_NET_LOOP_UV_INTERNAL_H

#include "base/loop.h"

#include <uv.h>

struct work_queue *loop_uv_queue_create(struct loop *loop, const char *name);
void loop_uv_queue_submit(struct work_queue *queue, struct work *work);
void loop_uv_queue_destroy(struct work_queue *queue);

#endif
