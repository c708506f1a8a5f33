/* [5] Virtual synchrony: members that pass together from one view to the next have delivered the
 * same in the first. [6] One primary: an epoch has one view, whoever tells of it, and a member's
 * views rise. (That never two components serve is what check_linear.c sees, and order_read.c.) */
#include "tests/sim/check.h"

#include <stdlib.h>
#include <string.h>

static struct check_view *view_at(struct checks *checks, uint64_t epoch)
{
    uint64_t at = epoch - checks->epoch_first;
    while (at >= checks->view_capacity) {
        uint64_t more = checks->view_capacity;
        checks->views = realloc(checks->views, 2 * more * sizeof *checks->views);
        MUST(checks->views);
        memset(checks->views + more, 0, more * sizeof *checks->views);
        checks->view_capacity *= 2;
    }
    return &checks->views[at];
}

const struct check_view *checks_view_of(const struct checks *checks, uint64_t epoch)
{
    uint64_t at = epoch - checks->epoch_first;
    return at < checks->view_capacity && checks->views[at].known ? &checks->views[at] : NULL;
}

uint32_t checks_member_of(const struct checks *checks, uint64_t epoch, uint8_t rank)
{
    const struct check_view *view = checks_view_of(checks, epoch);
    return view && rank < view->count ? view->nodes[rank] - 1u : checks->member_count;
}

uint32_t checks_data_of(const struct checks *checks, uint64_t epoch)
{
    const struct check_view *view = checks_view_of(checks, epoch);
    uint32_t set = 0;
    for (uint8_t rank = 0; view && rank < view->count; rank++)
        if (!(view->witnesses >> rank & 1))
            set |= 1u << (view->nodes[rank] - 1);
    return set;
}

bool checks_is_quorum(const struct check_view *view, uint32_t machines)
{
    uint32_t count = 0, lowest = UINT32_MAX;
    bool data = false;
    for (uint8_t rank = 0; rank < view->count; rank++) {
        bool witness = view->witnesses >> rank & 1, there = machines >> (view->nodes[rank] - 1) & 1;
        count += there;
        data = data || (there && !witness);
        if (!witness && lowest == UINT32_MAX)
            lowest = view->nodes[rank] - 1u;
    }
    bool tie = count * 2 == view->count && lowest != UINT32_MAX && (machines >> lowest & 1);
    return data && (count * 2 > view->count || tie);
}

static struct check_view view_told(const struct gcs_view *view)
{
    struct check_view told = {
        .known = true, .count = view->member_count, .absent_count = view->absent_count};
    for (uint8_t i = 0; i < view->member_count; i++) {
        told.nodes[i] = view->members[i].node;
        told.witnesses |= (uint8_t)(view->members[i].witness << i);
    }
    for (uint8_t i = 0; i < view->absent_count; i++)
        told.absent[i] = view->absent[i].node;
    return told;
}

static bool same_view(const struct check_view *a, const struct check_view *b)
{
    return a->count == b->count && a->absent_count == b->absent_count &&
           a->witnesses == b->witnesses && memcmp(a->nodes, b->nodes, sizeof a->nodes) == 0 &&
           memcmp(a->absent, b->absent, sizeof a->absent) == 0;
}

static const char *what_is_wrong(const struct checks *checks, uint32_t member,
                                 const struct check_view *told, bool self, uint8_t rank)
{
    for (uint8_t i = 0; i < told->count; i++)
        if (told->nodes[i] == 0 || told->nodes[i] > checks->member_count)
            return "which has somebody unknown";
    if (self && (rank >= told->count || told->nodes[rank] != member + 1))
        return "in which its rank is another one's";
    return NULL;
}

void checks_view(struct checks *checks, uint32_t member, const struct gcs_view *view, bool self,
                 uint8_t rank)
{
    struct check_member *m = &checks->members[member];
    struct check_view told = view_told(view);
    struct check_view *known = view_at(checks, view->epoch);
    const char *wrong = what_is_wrong(checks, member, &told, self, rank);
    if (self && view->epoch < m->epoch)
        wrong = "after a later one";
    else if (!known->known)
        *known = told;
    else if (!same_view(known, &told))
        wrong = "which is another one elsewhere";
    if (wrong)
        world_violation(checks->world, "one primary: member %u has a view of epoch %llu, %s",
                        member, (unsigned long long)view->epoch, wrong);
    if (view->epoch > checks->view_newest)
        checks->view_newest = view->epoch;
    if (!self)
        return;
    m->epoch = view->epoch;
    m->inside = true;
    m->running = false;
    if (view->epoch > m->installed)
        m->installed = view->epoch;
}

static bool installed_by_all(const struct checks *checks, uint64_t epoch)
{
    const struct check_view *view = checks_view_of(checks, epoch);
    for (uint8_t rank = 0; view && rank < view->count; rank++)
        if (checks->members[view->nodes[rank] - 1].installed < epoch)
            return false;
    return view != NULL;
}

/* A view after `epoch`; @by_all: all of its members have installed it. */
static bool next_installed(const struct checks *checks, uint64_t epoch, bool by_all)
{
    for (uint64_t later = epoch + 1; by_all && later <= checks->view_newest; later++)
        if (installed_by_all(checks, later))
            return true;
    for (uint32_t i = 0; !by_all && i < checks->member_count; i++)
        if (checks->members[i].installed > epoch)
            return true;
    return false;
}

void checks_out(struct checks *checks, uint32_t member, bool asked)
{
    const struct check_member *m = &checks->members[member];
    if (m->inside && m->epoch > 0 && !next_installed(checks, m->epoch, asked))
        world_violation(checks->world,
                        "one primary: member %u is out of epoch %llu before %s installed the next "
                        "view",
                        member, (unsigned long long)m->epoch, asked ? "all have" : "anybody has");
}

void check_synchrony(struct checks *checks, uint32_t member, uint64_t index,
                     const struct order_entry *event)
{
    struct hash128 before = index > checks->index_first + 1
                                ? checks_entry(checks, index - 1)->history
                                : (struct hash128){0};
    struct check_view *view = view_at(checks, event->epoch);
    if (!view->event) {
        view->event = index;
        view->before = before;
    }
    if (!view->known)
        world_violation(checks->world, "one primary: epoch %llu begins, and has no view",
                        (unsigned long long)event->epoch);
    else if (view->event != index || !hash128_equal(view->before, before))
        world_violation(checks->world,
                        "virtual synchrony: member %u passes to epoch %llu at %llu, others at %llu",
                        member, (unsigned long long)event->epoch, (unsigned long long)index,
                        (unsigned long long)view->event);
}
