/* Who has received, who has stored what, over all lives of the members: what the thresholds of
 * docs/protocol.md say of deliveries (3.2), cuts (4), releases (3.2, 4) and reads (4, Leases) is
 * counted here from the outside. Members are machines, origins ranks. */
#ifndef TUTTI_SIM_ORDER_REACH_H
#define TUTTI_SIM_ORDER_REACH_H

#include "tests/sim/cluster.h"

struct order_reach;

struct order_reach *order_reach_create(struct cluster *cluster);
void order_reach_destroy(struct order_reach *reach);

void order_reach_received(struct order_reach *reach, uint32_t member,
                          const struct gcs_message *message);
void order_reach_stored(struct order_reach *reach, uint32_t member, uint64_t epoch, uint8_t origin,
                        uint64_t seq);
/* The member begins anew. */
void order_reach_opened(struct order_reach *reach, uint32_t member);

/* A delivery, of a message or (payload NULL) an epoch's event. Where it is the first of this index:
 * every quorum has to hold it, or, where the member delivers up to a cut, all of the view that it
 * installs next. */
void order_reach_delivered(struct order_reach *reach, uint32_t member,
                           const struct gcs_message *message, uint64_t index);
/* The member has installed this view. */
void order_reach_view(struct order_reach *reach, uint32_t member, uint64_t epoch);

/* A release: all data members of the view have it. */
void order_reach_released(struct order_reach *reach, uint32_t member, uint64_t index);

/* The member, which delivered up to `delivered`, might answer a read: it has to have received all
 * that anybody has released. */
void order_reach_read(struct order_reach *reach, uint32_t member, uint64_t delivered);

#endif
