/* Planted bugs: compile-time switches by which the tests are tested. All off in every product
 * build; the simulator links one variant of the core for each (meson.build). docs/protocol.md,
 * section 7. */
#ifndef TUTTI_GCS_PLANT_H
#define TUTTI_GCS_PLANT_H

#include <stdbool.h>

#ifdef TUTTI_PLANT_RELEASE_WITHOUT_PREFIX
static const bool plant_release_without_prefix = true;
#else
static const bool plant_release_without_prefix = false;
#endif

#ifdef TUTTI_PLANT_DELIVERY_BELOW_QUORUM
static const bool plant_delivery_below_quorum = true;
#else
static const bool plant_delivery_below_quorum = false;
#endif

#ifdef TUTTI_PLANT_REPLY_BEFORE_STORE
static const bool plant_reply_before_store = true;
#else
static const bool plant_reply_before_store = false;
#endif

#ifdef TUTTI_PLANT_PROMISE_BEFORE_RECEIPT
static const bool plant_promise_before_receipt = true;
#else
static const bool plant_promise_before_receipt = false;
#endif

#ifdef TUTTI_PLANT_VIEW_WITHOUT_QUORUM
static const bool plant_view_without_quorum = true;
#else
static const bool plant_view_without_quorum = false;
#endif

#ifdef TUTTI_PLANT_QUORUM_BY_COUNT
static const bool plant_quorum_by_count = true;
#else
static const bool plant_quorum_by_count = false;
#endif

#ifdef TUTTI_PLANT_WIPED_VOTES
static const bool plant_wiped_votes = true;
#else
static const bool plant_wiped_votes = false;
#endif

#ifdef TUTTI_PLANT_FORGOTTEN_VOTE
static const bool plant_forgotten_vote = true;
#else
static const bool plant_forgotten_vote = false;
#endif

#ifdef TUTTI_PLANT_WEDGED_STORES
static const bool plant_wedged_stores = true;
#else
static const bool plant_wedged_stores = false;
#endif

#ifdef TUTTI_PLANT_INSTALL_BEFORE_STORED
static const bool plant_install_before_stored = true;
#else
static const bool plant_install_before_stored = false;
#endif

#ifdef TUTTI_PLANT_LEASE_NOT_RENEWED
static const bool plant_lease_not_renewed = true;
#else
static const bool plant_lease_not_renewed = false;
#endif

#ifdef TUTTI_PLANT_GRANTER_FORGETS
static const bool plant_granter_forgets = true;
#else
static const bool plant_granter_forgets = false;
#endif

#ifdef TUTTI_PLANT_WITNESS_STORES
static const bool plant_witness_stores = true;
#else
static const bool plant_witness_stores = false;
#endif

#ifdef TUTTI_PLANT_CLOSED_IS_DEATH
static const bool plant_closed_is_death = true;
#else
static const bool plant_closed_is_death = false;
#endif

#ifdef TUTTI_PLANT_SAME_INCARNATION
static const bool plant_same_incarnation = true;
#else
static const bool plant_same_incarnation = false;
#endif

#ifdef TUTTI_PLANT_EVENT_OVERTAKES
static const bool plant_event_overtakes = true;
#else
static const bool plant_event_overtakes = false;
#endif

#ifdef TUTTI_PLANT_PENDING_CLEARED
static const bool plant_pending_cleared = true;
#else
static const bool plant_pending_cleared = false;
#endif

#endif
