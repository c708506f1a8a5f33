/* Read leases against a chain of views: a member that is slow, and has not heard of the views that
 * the others agreed on without it, must not answer a read.
 * Source: docs/protocol.md, section 4 (Leases).
 *
 * Three members, views 1 to VIEWS, HOLDER is the slow one; time passes in ticks, the lease is two of
 * them. How a view is agreed on is the other model's business (view.pml): here each change is one
 * ballot of promises and accepts, on disk, with any set of promisers as the next view. Frames may be
 * late, overtaken or lost; an INSTALL may come when later views are long decided. A crash and its
 * restart are one step. Proof of the holder's end (death notice, its new incarnation) is known at
 * once. A clock may be so slow that the holder counts a tick too many.
 * What is checked: the holder answers a read in no state in which a view without it is decided.
 *
 * Steps are named like the frames; README.md lists the planted bugs, which are -D switches. */

#ifndef HOLDER
#define HOLDER 2
#endif
#ifndef VIEWS
#define VIEWS 4
#endif
#ifndef CRASHES
#define CRASHES 2
#endif

#define LEASE 2
#define HELD (LEASE + 1) /* as a slow clock measures it */
#ifdef NO_MARGIN
#define GRANTED LEASE
#else
#define GRANTED (LEASE + 1)
#endif

#define set(m) (1 << (m))
#define in(s, m) ((s) >> (m) & 1)
#define size(s) (((s) & 1) + ((s) >> 1 & 1) + ((s) >> 2 & 1))
#define lowest(s) ((s) & -(s))
#define is_quorum(s, v) (2 * size((s) & (v)) > size(v) || \
    (2 * size((s) & (v)) == size(v) && ((s) & lowest(v))))

/* Views: members, and those of them that still run as the incarnation that the view names. */
byte view[VIEWS + 1];
byte current[VIEWS + 1];
byte decided = 1;
bool excluded; /* a view without the holder is decided */

/* The change to view `decided` + 1. */
byte promises, accepts;
byte next, next_current;

/* Members. */
byte epoch[3] = 1;
bool wedged[3];
byte granted[3]; /* ticks for which a grant of this member to the holder has to be waited out */
byte started[3]; /* ticks after a restart for which forgotten grants have to be waited out */
byte crashes;

/* Between the holder and each other: one frame on its way. */
mtype = { NOTHING, BEAT, GRANT };
mtype frame[3] = NOTHING;
byte frame_age[3]; /* ticks since the BEAT was sent */
byte frame_epoch[3];
byte held[3];      /* ticks for which its grant still counts for the holder */

#define others_with_grant(m) ((m) != HOLDER && held[m] > 0)
#define granters (set(HOLDER) | others_with_grant(0) | others_with_grant(1) << 1 | \
                  others_with_grant(2) << 2)
/* Every quorum of its view has a granter or the holder. */
#define may_read (!wedged[HOLDER] && \
                  !is_quorum(view[epoch[HOLDER]] & ~granters, view[epoch[HOLDER]]))

#define is_proven (!in(current[decided], HOLDER))
#define restarted(m) (!in(current[decided], m))

#ifdef GRANTER_FORGETS
#define forgotten_run_out(m) true
#else
#define forgotten_run_out(m) (!restarted(m) || started[m] == 0)
#endif
#ifdef CLOSED_IS_DEATH
#define run_out(m) true
#else
#define run_out(m) (granted[m] == 0 && forgotten_run_out(m))
#endif
#define lease_allows(m) (in(next, HOLDER) || is_proven || (m) == HOLDER || run_out(m))

#ifdef WEDGED_GRANTS
#define may_grant(m) true
#else
#define may_grant(m) (!wedged[m])
#endif

#ifdef COUNTED_FROM_RECEIPT
#define remaining(m) HELD
#else
#define remaining(m) (frame_age[m] < HELD -> HELD - frame_age[m] : 0)
#endif

#ifdef NOT_RENEWED
#define renewed(m) 0
#else
#define renewed(m) (in(view[epoch[m]], HOLDER) -> GRANTED : 0)
#endif

inline pass(m)
{
    granted[m] = (granted[m] -> granted[m] - 1 : 0);
    started[m] = (started[m] -> started[m] - 1 : 0);
    held[m] = (held[m] -> held[m] - 1 : 0);
    frame_age[m] = (frame[m] != NOTHING && frame_age[m] < HELD -> frame_age[m] + 1 : frame_age[m])
}

inline drop(m)
{
    frame[m] = NOTHING;
    frame_age[m] = 0;
    frame_epoch[m] = 0
}

/* Grants are of one epoch. */
inline forget_grants(m)
{
#ifndef GRANTS_OUTLIVE_VIEW
    held[m] = 0;
    drop(m)
#else
    skip
#endif
}

inline decide()
{
    if
    :: is_quorum(accepts, view[decided]) ->
        decided++;
        view[decided] = next;
        current[decided] = next_current & next;
        excluded = excluded || !in(next, HOLDER);
        printf("-: decided: view %d is %d\n", decided, next);
        promises = 0; accepts = 0; next = 0; next_current = 0
    :: else
    fi
}

/* Its incarnation is none that a view names, from the one that it has installed on. */
inline end_incarnation(m)
{
    if
    :: epoch[m] <= 1 -> current[1] = current[1] & ~set(m)
    :: else
    fi;
    if
    :: epoch[m] <= 2 -> current[2] = current[2] & ~set(m)
    :: else
    fi;
    if
    :: epoch[m] <= 3 -> current[3] = current[3] & ~set(m)
    :: else
    fi;
    current[VIEWS] = current[VIEWS] & ~set(m);
    next_current = next_current & ~set(m)
}

#define timer(m) (granted[m] || started[m] || held[m] || (frame[m] != NOTHING && frame_age[m] < HELD))

#define TICK \
:: d_step { timer(0) || timer(1) || timer(2) -> \
    pass(0); pass(1); pass(2); \
    printf("-: tick\n") }

#define READ \
:: d_step { may_read && excluded -> \
    printf("%d: reads in view %d, view %d is decided\n", HOLDER, epoch[HOLDER], decided); \
    assert(!excluded) }

/* --- the holder and another --- */

#define SEND_BEAT(m) \
:: d_step { m != HOLDER && !wedged[HOLDER] && in(view[epoch[HOLDER]], m) && \
            (frame[m] != BEAT || frame_age[m] || frame_epoch[m] != epoch[HOLDER]) -> \
    frame[m] = BEAT; frame_age[m] = 0; frame_epoch[m] = epoch[HOLDER]; \
    printf("%d: BEAT to %d, view %d\n", HOLDER, m, epoch[HOLDER]) }

#define SEND_GRANT(m) \
:: d_step { frame[m] == BEAT && frame_epoch[m] == epoch[m] && may_grant(m) -> \
    frame[m] = GRANT; \
    granted[m] = GRANTED; \
    printf("%d: GRANT, view %d\n", m, epoch[m]) }

#ifdef GRANTS_OUTLIVE_VIEW
#define counts(m) true
#else
#define counts(m) (frame_epoch[m] == epoch[HOLDER])
#endif

#define TAKE_GRANT(m) \
:: d_step { frame[m] == GRANT && !wedged[HOLDER] && counts(m) -> \
    held[m] = (remaining(m) > held[m] -> remaining(m) : held[m]); \
    printf("%d: has GRANT of %d, age %d\n", HOLDER, m, frame_age[m]); \
    drop(m) }

/* --- the change of view --- */

/* Once the holder is left out, later views change nothing for it. */
#define goes_on (decided < VIEWS && !excluded)
#define votes(m) (goes_on && in(view[decided], m) && epoch[m] == decided)

#define PROMISE(m) \
:: d_step { votes(m) && !in(promises, m) -> \
    promises = promises | set(m); \
    wedged[m] = true; \
    printf("%d: PROMISE, view %d\n", m, epoch[m]) }

#ifdef NEXT_WITHOUT_PROMISE
#define may_be_in_next (view[decided])
#else
#define may_be_in_next promises
#endif

#define PROPOSE(v) \
:: d_step { goes_on && next == 0 && is_quorum(promises, view[decided]) && \
            (v & ~may_be_in_next) == 0 -> \
    next = v; \
    next_current = v; \
    printf("-: PROPOSE, view %d is %d\n", decided + 1, v) }

#define ACCEPT(m) \
:: d_step { next && votes(m) && !in(accepts, m) && lease_allows(m) -> \
    accepts = accepts | set(m); \
    wedged[m] = true; \
    printf("%d: ACCEPTED\n", m); \
    decide() }

#define INSTALL(m) \
:: d_step { epoch[m] < decided && in(view[epoch[m] + 1], m) -> \
    epoch[m]++; \
    wedged[m] = !in(current[epoch[m]], m); \
    granted[m] = (m != HOLDER -> renewed(m) : 0); \
    printf("%d: INSTALL view %d\n", m, epoch[m]); \
    if \
    :: m == HOLDER -> forget_grants(0); forget_grants(1); forget_grants(2) \
    :: else \
    fi }

#define CRASH(m) \
:: d_step { crashes < CRASHES -> \
    crashes++; \
    end_incarnation(m); \
    wedged[m] = true; \
    granted[m] = 0; \
    started[m] = (m != HOLDER -> GRANTED : 0); \
    printf("%d: crash, restart\n", m); \
    if \
    :: m == HOLDER -> held[0] = 0; held[1] = 0; held[2] = 0; drop(0); drop(1); drop(2) \
    :: else \
    fi }

#define MEMBER(m) \
    SEND_BEAT(m) SEND_GRANT(m) TAKE_GRANT(m) PROMISE(m) ACCEPT(m) INSTALL(m) CRASH(m)

/* Shows that the model gets far: these assertions have to fail. */
#ifdef REACHES_EXCLUDED
#define watch :: d_step { excluded && !wedged[HOLDER] && decided == VIEWS && \
                          epoch[HOLDER] == VIEWS - 1 && crashes == CRASHES -> assert(false) }
#elif defined(REACHES_READ)
#define watch :: d_step { may_read && epoch[HOLDER] == VIEWS && size(view[VIEWS]) == 3 -> assert(false) }
#else
#define watch
#endif

active proctype group()
{
    d_step { view[1] = 7; current[1] = 7 }
    do
    TICK
    READ
    MEMBER(0) MEMBER(1) MEMBER(2)
    PROPOSE(1) PROPOSE(2) PROPOSE(3) PROPOSE(4) PROPOSE(5) PROPOSE(6) PROPOSE(7)
    watch
    od
}
