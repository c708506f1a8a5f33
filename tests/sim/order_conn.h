/* What a replica's server does for the group, in its smallest form: accept connections, read the
 * hello, hand members' connections over. */
#ifndef TUTTI_SIM_ORDER_CONN_H
#define TUTTI_SIM_ORDER_CONN_H

#include "gcs-fastdelivery/gcs.h"

struct order_listener;

extern const struct net_limits order_limits;

int order_listen(struct net_transport *transport, const char *address, struct gcs *gcs,
                 struct order_listener **ret_listener, struct error *error) WARN_UNUSED;

/* Before gcs_destroy. Connections that are still there end by themselves. NULL is allowed. */
void order_unlisten(struct order_listener *listener);

#endif
