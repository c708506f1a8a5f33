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

#endif
