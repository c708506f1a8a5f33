/* What has to be true, checked apart from the code under test; one file for each invariant of
 * docs/protocol.md, section 6 (its number in brackets). Each breaks the world by world_violation.
 *
 *     check_agreement.c    [1] what members apply are prefixes of one sequence
 *     check_integrity.c    [2] nothing twice, nothing that was not sent
 *     check_validity.c     [3] after the last fault everything is answered within bounded steps
 *     check_durability.c   [4] what was answered is in the order and in every member's state
 *     check_views.c        [5] who passes from view to view passes with the same; [6] one primary
 *     check_votes.c        [6] nobody goes back on a vote; [7] nobody accepts against its grant
 *     check_linear.c       [7] real time and the reference model explain every answer
 *     check_once.c         [8] one request, one effect, one answer
 *     check_convergence.c  [9] equal index, equal history and digest; records add up to the digest
 *
 * Members are known here by their machine (node id - 1), in frames and messages by their rank in
 * the view of the epoch. */
#ifndef TUTTI_SIM_CHECK_H
#define TUTTI_SIM_CHECK_H

#include "base/hash.h"
#include "gcs-fastdelivery/gcs.h"
#include "tests/sim/world.h"

/* One place of the order, as the first member that applied it saw it. */
struct order_entry {
    bool event; /* begins an epoch */
    uint64_t epoch, seq, ts;
    uint8_t origin; /* rank */
    uint32_t bytes;
    uint8_t *payload; /* owned copy; NULL of an event */
    struct hash128 history, digest;
};

/* A view, as the first member that told of it saw it. */
struct check_view {
    bool known;
    uint8_t count, absent_count;
    uint8_t nodes[GCS_MEMBER_MAX], absent[GCS_ABSENT_MAX]; /* node ids */
    uint8_t witnesses;                                     /* set of ranks */
    uint64_t event;        /* index of its event; 0: not applied anywhere yet */
    struct hash128 before; /* history right before the event */
};

/* What a member has said in the newest epoch in which it voted, on the disk that it has now. */
struct check_vote {
    uint64_t epoch, promised, accepted;
};

/* The last GRANT of one member to another one. */
struct check_grant {
    uint64_t epoch, time_ns, life;
};

/* Whom a ballot proposed. */
struct check_proposal {
    uint64_t epoch, ballot;
    uint32_t nodes; /* set of node ids */
};

enum { CHECK_PROPOSALS_MAX = 64 };

struct check_member {
    uint64_t applied; /* the last index that it applied */
    uint64_t released;
    uint64_t epoch;     /* of the last view that it told of, in this life */
    uint64_t installed; /* the last view that it was in, in all its lives */
    bool inside;        /* it is in that view */
    bool running;       /* an epoch runs there */
    bool fresh;         /* started and applied nothing yet */
    bool leaves;        /* it was asked to leave in this life */
    uint64_t life;      /* a number for each time that it opened */
    struct check_vote vote;
};

struct checks {
    struct world *world;
    struct order_entry *order;            /* index i at [i - 1 - index_first]: checks_entry */
    uint64_t order_count, order_capacity; /* order_count: the last index */
    uint64_t index_first, epoch_first;    /* where the world begins: 0, or as wrap.h has it */
    struct check_member members[GCS_MEMBER_MAX];
    uint32_t member_count;
    struct check_view *views; /* epoch e at [e - epoch_first] */
    uint64_t view_capacity, view_newest;
    uint64_t epoch, seq_last[GCS_MEMBER_MAX]; /* of the running epoch in the order */
    uint64_t ts_last;
    uint8_t rank_last;
    uint64_t answered_max; /* the highest index of an answered write */
    uint64_t released_max; /* the highest index that a member released and could answer */
    uint64_t lease_ns;
    struct check_grant grants[GCS_MEMBER_MAX][GCS_MEMBER_MAX]; /* [by][to] */
    struct check_proposal proposals[CHECK_PROPOSALS_MAX];      /* the newest */
    uint32_t proposal_count;
    /* Whether somebody multicast this payload (integrity). @member: machine. */
    bool (*was_sent)(void *user, uint32_t member, const uint8_t *payload, uint32_t bytes);
    /* A new place of the order (for what lies above the order). */
    void (*ordered)(void *user, uint64_t index, const struct order_entry *entry);
    void *user;
};

void checks_init(struct checks *checks, struct world *world, uint32_t member_count);
void checks_finish(struct checks *checks);

/* The world is not new: before it begins. */
void checks_begin_at(struct checks *checks, uint64_t index, uint64_t epoch);

/* index_first < index <= order_count. */
static inline struct order_entry *checks_entry(const struct checks *checks, uint64_t index)
{
    return &checks->order[index - 1 - checks->index_first];
}

/* A member begins a life, or opens anew in it: what it applied after its last stable state comes
 * again, or it went ahead by a state of another one. The history hash tells whether it may. */
void checks_started(struct checks *checks, uint32_t member);

/* A member tells of a view; @self: it is in it, with this rank. */
void checks_view(struct checks *checks, uint32_t member, const struct gcs_view *view, bool self,
                 uint8_t rank);
/* It is told that the others went on without it: then one of them has, durably. Where it asked to
 * leave, all of the next view have. */
void checks_out(struct checks *checks, uint32_t member, bool asked);
void checks_running(struct checks *checks, uint32_t member, bool running);
/* Its disk is replaced by an empty one. */
void checks_wiped(struct checks *checks, uint32_t member);
/* It is asked to leave: it answers nothing from then on. */
void checks_leaves(struct checks *checks, uint32_t member);

/* A member sends a frame of the group's. */
void checks_sent(struct checks *checks, uint32_t from, uint32_t to, uint16_t type,
                 const uint8_t *head, uint32_t bytes);

/* A member applied `index`: a message, or (NULL) the event that begins an epoch. */
void checks_applied(struct checks *checks, uint32_t member, uint64_t index,
                    const struct gcs_message *message, struct hash128 history,
                    struct hash128 digest);

/* A member takes everything up to `index` as received by all. */
void checks_released(struct checks *checks, uint32_t member, uint64_t index);

/* A write at `index` was answered to a client. */
void checks_answered(struct checks *checks, uint64_t index);

/* The view of an epoch; NULL: nobody told of it. */
const struct check_view *checks_view_of(const struct checks *checks, uint64_t epoch);
/* The machine of a rank; member_count: nobody. */
uint32_t checks_member_of(const struct checks *checks, uint64_t epoch, uint8_t rank);
/* The set of machines that hold data in the view of an epoch. */
uint32_t checks_data_of(const struct checks *checks, uint64_t epoch);

/* Whether these machines, of a view, decide without the others. */
bool checks_is_quorum(const struct check_view *view, uint32_t machines);

/* A member answers a read: it has a lease, as far as grants that were sent can tell. */
void checks_answers_read(struct checks *checks, uint32_t member);

/* True when this member is in the newest view and runs it, and (unless it is a witness) has applied
 * and released all of the order. */
bool checks_level(const struct checks *checks, uint32_t member, bool witness);

/* ---- the invariants, called by the above ---- */

void check_agreement(struct checks *checks, uint32_t member, uint64_t index,
                     const struct order_entry *seen);
void check_integrity(struct checks *checks, uint64_t index, const struct order_entry *entry);
void check_convergence(struct checks *checks, uint32_t member, uint64_t index,
                       const struct order_entry *seen);
void check_durability(struct checks *checks, uint32_t member);
void check_synchrony(struct checks *checks, uint32_t member, uint64_t index,
                     const struct order_entry *event);

#endif
