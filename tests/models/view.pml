/* The change of view with flush: what was delivered in epoch E is in the cut that ends it, one view
 * begins E + 1, and what its members deliver to get there survives a power cut.
 * Source: docs/protocol.md, sections 3.2 and 4; durability = disk.
 *
 * Three members (VARIANT 3: all with data; 21: two and a witness; 2: two, no witness), one message
 * each of members 0 and 1, three ballots, CRASHES crashes with restart, of any member.
 * The network is the set of what was sent: anything may be late, lost or overtaken. A step that only
 * makes a member do less (a lost PROMISE, a crash that loses nothing, to have installed) is no step
 * here, and a crash and its restart are one. A group commit stores all that arrived.
 * Some things are wider here than in the protocol, so that what holds here holds there: who proposes
 * need not ask first (ASK wedges nobody); an attempt outlives a crash of its proposer; the next view
 * is any set of promisers, with ANY_SUBSET also a part of those that were counted, not the largest
 * clique; STORED counts whenever the log has the cut; what may be delivered is delivered, without
 * waiting for its place in the order.
 *
 * Steps are named like the frames; README.md lists the planted bugs, which are -D switches. */

#ifndef VARIANT
#define VARIANT 3
#endif
#ifndef CRASHES
#define CRASHES 3
#endif

#if VARIANT == 2
#define ALL 3
#else
#define ALL 7
#endif
#if VARIANT == 3
#define DATA 7
#else
#define DATA 3
#endif

#define set(m) (1 << (m))
#define in(s, m) ((s) >> (m) & 1)
#define size(s) (((s) & 1) + ((s) >> 1 & 1) + ((s) >> 2 & 1))
#define lowest(s) ((s) & -(s))

/* More than half of the view, or exactly half with its lowest data member; never witnesses alone. */
#ifdef QUORUM_BY_COUNT
#define is_quorum(s, view) (2 * size((s) & (view)) >= size(view))
#else
#define is_quorum(s, view) (((s) & (view) & DATA) && \
    (2 * size((s) & (view)) > size(view) || \
     (2 * size((s) & (view)) == size(view) && ((s) & lowest((view) & DATA)))))
#endif

#ifdef VIEW_WITHOUT_QUORUM
#define decides(s) (((s) & DATA) != 0)
#else
#define decides(s) is_quorum(s, ALL)
#endif

/* 3.2: every quorum has a data member that stored it, and two have. */
#ifdef WITNESS_STORES
#define is_safe(s) is_quorum((s) | (ALL & ~DATA), ALL)
#else
#define is_safe(s) (!is_quorum(ALL & ~(s), ALL) && size(s) >= 2)
#endif

/* Members. Message k is that of member k. */
byte received[3]; /* messages in memory */
byte stored[3];   /* disk: the message log */
byte promised[3]; /* disk: ballot; 0 none */
byte accepted[3]; /* disk: ballot; 0 none */
bool wedged[3];

/* Messages. */
byte sent;        /* DATA that has left */
byte acked[2];    /* of each: the members that said while they ran that they stored it */
byte delivered;   /* by somebody, in E */

/* Ballots. */
mtype = { IDLE, PREPARING, LEVELLING, PROPOSED, ENDED };
mtype stage[4] = IDLE;
byte promises[4]; /* members that the proposer has heard of */
byte found[4];    /* highest ballot that was accepted by one of them */
byte cut[4];      /* messages */
byte next[4];     /* members */
byte accepts[4];  /* members */
byte chosen;      /* a ballot that a quorum has accepted; 0 none */
byte crashes;

/* A witness proposes nothing. */
#if VARIANT == 3
#define owner(b) ((b) - 1)
#else
#define owner(b) (((b) - 1) & 1)
#endif

#define runs(m) (!wedged[m])
#define is_data(m) in(DATA, m)
#define storers(k) (in(stored[0], k) | in(stored[1], k) << 1 | in(stored[2], k) << 2)

/* Who takes in messages of E, and whose storing others may count. */
#if defined(WEDGED_STORES) || defined(WEDGED_DELIVERS)
#define takes_in(m) true
#else
#define takes_in(m) runs(m)
#endif
#ifdef WEDGED_STORES
#define says_stored(m) true
#else
#define says_stored(m) runs(m)
#endif

inline check_agreement()
{
    if
    :: chosen -> assert((delivered & ~cut[chosen]) == 0)
    :: else
    fi
}

#if defined(WEDGED_STORES) || defined(WEDGED_DELIVERS)
#define nobody_runs false
#else
#define nobody_runs (wedged[0] && wedged[1] && (wedged[2] || !is_data(2)))
#endif

/* After member m has stored k: whoever runs and has it may deliver it, m at least. */
inline deliver(m, k, who)
{
    if
    :: in(received[m], k) && !in(delivered, k) && is_safe(who) ->
        delivered = delivered | set(k);
        acked[k] = 0;
        printf("%d: deliver message %d\n", m, k);
        check_agreement()
    :: else
    fi
}

inline acknowledge(m, k)
{
    if
    :: in(received[m], k) && !in(delivered, k) -> acked[k] = acked[k] | set(m)
    :: else
    fi;
    deliver(m, k, acked[k])
}

/* One attempt at a time; a promise to somebody else ends it. */
#define is_alive(b) (promised[owner(b)] == b)

inline end_attempt(m, b)
{
    if
    :: owner(b) == m && promised[m] > b && (stage[b] == PREPARING || stage[b] == LEVELLING) ->
        stage[b] = ENDED; promises[b] = 0; found[b] = 0; cut[b] = 0; next[b] = 0
    :: else
    fi
}

inline wedge(m, b)
{
    promised[m] = b;
    wedged[m] = true;
    end_attempt(m, 1);
    end_attempt(m, 2);
    if
    :: nobody_runs -> acked[0] = 0; acked[1] = 0
    :: else
    fi
}

inline count_promise(m, b)
{
    promises[b] = promises[b] | set(m);
    cut[b] = cut[b] | received[m];
    if
    :: accepted[m] > found[b] -> found[b] = accepted[m]
    :: else
    fi
}

/* After a power cut any quorum of the next view has message k. */
#define survives(k) (!in(cut[chosen], k) || \
                     !is_quorum(next[chosen] & ~storers(k), next[chosen]))

/* What a member has beyond the cut is void. */
#ifdef VOID_IS_OUT
#define leaves(m) ((received[m] & ~cut[chosen]) != 0 && is_data(m))
#else
#define leaves(m) false
#endif
#define stays (next[chosen] & ~(leaves(0) | leaves(1) << 1 | leaves(2) << 2))

/* Who has accepted last decides; from here on each member of the next view may INSTALL it, and
 * deliver the cut. */
inline decide(b)
{
    if
    :: decides(accepts[b]) && chosen == 0 ->
        chosen = b;
        printf("-: INSTALL, ballot %d, next view %d, cut %d\n", b, next[b], cut[b]);
        check_agreement();
        assert(survives(0) && survives(1));
        assert((next[b] & (runs(0) | runs(1) << 1 | runs(2) << 2)) == 0);
        assert(is_quorum(stays, next[b]))
    :: decides(accepts[b]) && chosen != 0 ->
        assert(next[b] == next[chosen] && cut[b] == cut[chosen]) /* one view of E + 1 */
    :: else
    fi
}

#ifdef SAME_INCARNATION
#define wedged_by_restart(m) (promised[m] != 0)
#else
#define wedged_by_restart(m) true
#endif

/* A crash that loses nothing only makes a member do less. */
#if defined(WIPED_VOTES) || defined(FORGOTTEN_VOTE)
#define loses(m) (received[m] != stored[m] || promised[m] != 0)
#else
#define loses(m) (received[m] != stored[m])
#endif

inline forget(m)
{
#ifdef WIPED_VOTES
    stored[m] = 0;
#endif
#if defined(WIPED_VOTES) || defined(FORGOTTEN_VOTE)
    promised[m] = 0;
    accepted[m] = 0;
#endif
    received[m] = stored[m]
}

/* --- steps: of a member and a message --- */

#define SEND(k) \
:: d_step { runs(k) && !in(received[k], k) -> \
    assert(!in(sent, k)); /* (epoch, origin, seq) is one message */ \
    sent = sent | set(k); received[k] = received[k] | set(k); \
    printf("%d: send message %d\n", k, k) }

#define RECEIVE(m, k) \
:: d_step { is_data(m) && takes_in(m) && in(sent, k) && !in(received[m], k) -> \
    received[m] = received[m] | set(k); \
    printf("%d: DATA message %d\n", m, k) }

/* --- of a member --- */

#define SYNC(m) \
:: d_step { stored[m] != received[m] -> \
    stored[m] = received[m]; \
    printf("%d: sync, has stored %d\n", m, stored[m]); \
    if \
    :: says_stored(m) -> acknowledge(m, 0); acknowledge(m, 1) \
    :: else -> deliver_wedged(m) \
    fi }

#ifdef WEDGED_DELIVERS
#define deliver_wedged(m) deliver(m, 0, acked[0] | set(m)); deliver(m, 1, acked[1] | set(m))
#else
#define deliver_wedged(m) skip
#endif

#define CRASH(m) \
:: d_step { crashes < CRASHES && loses(m) -> \
    crashes++; \
    forget(m); \
    wedged[m] = wedged_by_restart(m); \
    printf("%d: crash, restart\n", m) }

/* --- of a ballot --- */

#define PREPARE(b) \
:: d_step { stage[b] == IDLE && promised[owner(b)] < b -> \
    stage[b] = PREPARING; \
    wedge(owner(b), b); \
    count_promise(owner(b), b); \
    printf("%d: PREPARE ballot %d\n", owner(b), b) }

#ifdef FOUND_IGNORED
#define must_repeat(b) false
#else
#define must_repeat(b) (found[b] != 0)
#endif

#define has_promises(b) (stage[b] == PREPARING && is_alive(b) && decides(promises[b]))

#define REPEAT(b) \
:: d_step { has_promises(b) && must_repeat(b) -> \
    next[b] = next[found[b]]; cut[b] = cut[found[b]]; \
    promises[b] = 0; \
    stage[b] = PROPOSED; \
    printf("%d: PROPOSE ballot %d, as in ballot %d\n", owner(b), b, found[b]); \
    found[b] = 0 }

#ifdef ANY_SUBSET
#define may_be(view, b) ((view & ~promises[b]) == 0 && (view & DATA))
#else
#define may_be(view, b) (view == promises[b])
#endif

#define LEVEL(b, view) \
:: d_step { has_promises(b) && !must_repeat(b) && may_be(view, b) -> \
    next[b] = view; promises[b] = 0; found[b] = 0; \
    stage[b] = LEVELLING; \
    printf("%d: LEVEL ballot %d, next view %d, cut %d\n", owner(b), b, view, cut[b]) }

#ifdef INSTALL_BEFORE_STORED
#define has_cut(m, b) (!in(next[b] & DATA, m) || (cut[b] & ~received[m]) == 0)
#else
#define has_cut(m, b) (!in(next[b] & DATA, m) || (cut[b] & ~stored[m]) == 0)
#endif

#define PROPOSE(b) \
:: d_step { stage[b] == LEVELLING && is_alive(b) && has_cut(0, b) && has_cut(1, b) && has_cut(2, b) -> \
    stage[b] = PROPOSED; \
    printf("%d: PROPOSE ballot %d, all have STORED\n", owner(b), b) }

/* --- of a ballot and a member --- */

#define PROMISE(m, b) \
:: d_step { stage[b] == PREPARING && is_alive(b) && !in(promises[b], m) && in(ALL, m) && \
            promised[m] <= b -> \
    wedge(m, b); \
    count_promise(m, b); \
    printf("%d: PROMISE ballot %d, received %d, accepted %d\n", m, b, received[m], accepted[m]) }

#define can_push(j, k, b) (in(received[j], k) && promised[j] == b)

#define PUSH(m, k, b) \
:: d_step { stage[b] == LEVELLING && is_alive(b) && in(next[b] & DATA, m) && in(cut[b], k) && \
            promised[m] == b && !in(received[m], k) && \
            (can_push(0, k, b) || can_push(1, k, b) || can_push(2, k, b)) -> \
    received[m] = received[m] | set(k); \
    printf("%d: PUSH message %d, ballot %d\n", m, k, b) }

#define ACCEPT(m, b) \
:: d_step { stage[b] == PROPOSED && in(ALL, m) && promised[m] <= b && \
            !in(accepts[b], m) -> \
    wedge(m, b); \
    accepted[m] = b; \
    accepts[b] = accepts[b] | set(m); \
    printf("%d: ACCEPTED ballot %d\n", m, b); \
    decide(b) }

#define MEMBER(m) RECEIVE(m, 0) RECEIVE(m, 1) SYNC(m) CRASH(m)
#define BALLOT(b) \
    PREPARE(b) REPEAT(b) PROPOSE(b) \
    LEVEL(b, 1) LEVEL(b, 2) LEVEL(b, 3) LEVEL(b, 4) LEVEL(b, 5) LEVEL(b, 6) LEVEL(b, 7)
#define VOTE(m, b) PROMISE(m, b) PUSH(m, 0, b) PUSH(m, 1, b) ACCEPT(m, b)

/* Shows that the model gets far: this assertion has to fail. */
#ifdef REACHES
#define watch :: d_step { chosen == 3 && delivered == 3 && accepts[1] && (crashes || VARIANT != 3) -> assert(false) }
#else
#define watch
#endif

active proctype group()
{
    do
    SEND(0) SEND(1)
    MEMBER(0) MEMBER(1) MEMBER(2)
    BALLOT(1) BALLOT(2) BALLOT(3)
    VOTE(0, 1) VOTE(1, 1) VOTE(2, 1)
    VOTE(0, 2) VOTE(1, 2) VOTE(2, 2)
    VOTE(0, 3) VOTE(1, 3) VOTE(2, 3)
    watch
    od
}
