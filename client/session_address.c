/* Whom to ask: the replicas that the user named, and those that replicas say are in the group.
 *
 * After a failure the next one is, in this order: one that has not failed since the last answer;
 * one of the group, as far as that is known, that this client has reached before or was told to use
 * by its user (another network may be needed for the others); the one whose last failure is longest
 * ago; and among equals, so that clients spread and each has favourites of its own, the one whose
 * hash with the session's id is smallest. Where the user names a first one, it is their order.
 *
 * Invariants: the configured addresses are never forgotten; the one in use stays until it is left.
 */
#include "client/session_internal.h"

#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A failure that is older says nothing any more. */
static const uint64_t failure_ns = UINT64_C(60000000000);

static uint64_t order_of(const struct client_session *s, const char *text)
{
    return hash64_seeded(text, strlen(text), s->config.random[2]);
}

static int add(struct client_session *s, const char *text)
{
    MUST(s->address_count < CLIENT_SESSION_ADDRESSES_MAX);
    struct address *address = &s->addresses[s->address_count];
    *address = (struct address){.text = strdup(text), .order = order_of(s, text)};
    if (!address->text)
        return -ENOMEM;
    s->address_count++;
    return 0;
}

const char *session_address(const struct client_session *s)
{
    return s->addresses[s->address].text;
}

/* --- which one --- */

static uint64_t lately_ns(const struct client_session *s, const struct address *address)
{
    uint64_t now = loop_now_ns(s->config.loop);
    return now - address->failed_ns < failure_ns ? address->failed_ns : 0;
}

static bool is_tried(const struct client_session *s, const struct address *address)
{
    return address->failed_ns > s->answered_ns;
}

static bool is_of_the_group(const struct client_session *s, const struct address *address)
{
    return !s->members.epoch || address->member;
}

/* 0: the best. */
static int class_of(const struct client_session *s, const struct address *address)
{
    if (!is_of_the_group(s, address))
        return 2;
    return address->configured || address->worked ? 0 : 1;
}

static bool is_better(const struct client_session *s, const struct address *a,
                      const struct address *b)
{
    if (is_tried(s, a) != is_tried(s, b))
        return is_tried(s, b);
    if (!is_tried(s, a) && class_of(s, a) != class_of(s, b))
        return class_of(s, a) < class_of(s, b);
    if (lately_ns(s, a) != lately_ns(s, b))
        return lately_ns(s, a) < lately_ns(s, b);
    return a->order < b->order;
}

static void choose(struct client_session *s)
{
    s->address = 0;
    for (uint32_t i = 1; i < s->address_count; i++)
        if (is_better(s, &s->addresses[i], &s->addresses[s->address]))
            s->address = i;
}

void session_address_works(struct client_session *s)
{
    struct address *address = &s->addresses[s->address];
    address->worked = true;
    address->failed_ns = 0;
    s->answered_ns = loop_now_ns(s->config.loop);
}

void session_address_fails(struct client_session *s)
{
    s->addresses[s->address].failed_ns = loop_now_ns(s->config.loop);
    choose(s);
}

uint32_t session_address_favourite(const struct client_session *s)
{
    uint32_t best = s->address;
    for (uint32_t i = 0; i < s->address_count && s->members.epoch; i++) {
        const struct address *address = &s->addresses[i], *other = &s->addresses[best];
        if (address->member && !lately_ns(s, address) &&
            (!other->member || address->order < other->order))
            best = i;
    }
    return best;
}

/* --- what replicas say --- */

static struct address *find(struct client_session *s, const char *text)
{
    for (uint32_t i = 0; i < s->address_count; i++)
        if (strcmp(s->addresses[i].text, text) == 0)
            return &s->addresses[i];
    return NULL;
}

/* Those that nobody names any more. */
static void forget_others(struct client_session *s)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->address_count; i++) {
        struct address address = s->addresses[i];
        bool present = i == s->address, better = s->better && i == s->better->address;
        if (!address.configured && !address.member && !present && !better) {
            free(address.text);
            continue;
        }
        if (present)
            s->address = kept;
        if (better)
            s->better->address = kept;
        s->addresses[kept++] = address;
    }
    s->address_count = kept;
}

/* One that memory is too short for is told of again with the next view. */
static void note_member(struct client_session *s, const char *text)
{
    struct address *known = find(s, text);
    if (known)
        known->member = true;
    else if (s->address_count < CLIENT_SESSION_ADDRESSES_MAX && add(s, text) == 0)
        s->addresses[s->address_count - 1].member = true;
}

bool session_take_members(struct client_session *s, const void *bytes, size_t count)
{
    struct net_members members;
    if (net_members_decode(bytes, count, &members))
        return false;
    if (members.epoch < s->members.epoch || !members.count)
        return true; /* of one that lags behind */
    for (uint32_t i = 0; i < s->address_count; i++)
        s->addresses[i].member = false;
    for (uint32_t i = 0; i < members.count; i++)
        note_member(s, members.addresses[i]);
    forget_others(s);
    bool news = memcmp(&members, &s->members, sizeof members) != 0;
    s->members = members;
    if (news && s->config.members)
        s->config.members(s->config.user, &s->members);
    return true;
}

/* --- begin and end --- */

int session_addresses_init(struct client_session *s)
{
    const struct client_session_config *config = &s->config;
    for (uint32_t i = 0; i < config->address_count; i++) {
        if (add(s, config->addresses[i]))
            return -ENOMEM;
        s->addresses[i].configured = true;
        if (config->first != UINT32_MAX)
            s->addresses[i].order =
                (i + config->address_count - config->first % config->address_count) %
                config->address_count;
    }
    for (uint32_t i = 0; config->known && i < config->known->count; i++)
        if (!find(s, config->known->addresses[i]) && add(s, config->known->addresses[i]))
            return -ENOMEM;
    choose(s);
    return 0;
}

void session_addresses_finish(struct client_session *s)
{
    for (uint32_t i = 0; i < s->address_count; i++)
        free(s->addresses[i].text);
    s->address_count = 0;
}
