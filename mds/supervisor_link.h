/* Links from the supervisor to the other members' workers, for death notices. */
#ifndef TUTTI_MDS_SUPERVISOR_LINK_H
#define TUTTI_MDS_SUPERVISOR_LINK_H

#include "mds/replica.h"
#include "net/death.h"

#include <sys/queue.h>

LIST_HEAD(supervisor_link_list, supervisor_link);

struct supervisor_links {
    struct loop *loop;
    struct net_transport *transport;
    struct supervisor_link_list links;
    struct replica_view_report report; /* the last; member_count 0: none yet */
    struct net_death death;            /* the last that was told */
    void (*emptied)(void *user);       /* after supervisor_links_close: the last one has closed */
    void *user;
};

void supervisor_links_init(struct supervisor_links *links, struct loop *loop,
                           struct net_transport *transport);

/* Keep one link to each other member, and to nobody else. */
void supervisor_links_follow(struct supervisor_links *links,
                             const struct replica_view_report *report);

/* Send the notice on every link; where one is down, when it is up again. */
void supervisor_links_tell(struct supervisor_links *links, const struct net_death *death);

/* Close all; what is queued is still sent. `emptied` follows, from here where there is none. */
void supervisor_links_close(struct supervisor_links *links, void (*emptied)(void *user),
                            void *user);

#endif
